//! Can a defect make any difference to an algorithm in a world?
//!
//! A defect that cannot leaves every reachable state and every step as they are: a verdict about it says nothing. Where
//! one can is known here; `tests/occasions.rs` compares that with every reachable state.

use std::collections::BTreeSet;

use population::concrete::{Concrete, State};

use crate::defects::Defect;
use crate::disruption::Disruption::{
    self, Cancel, CrashDestination, CrashSource, Cut, Outage, Refuse, Suspect,
};
use crate::disruption::Disruptions;
use crate::migration::{Hosts, Link, Migration};
use crate::strategy::{Clean, Freeze, HandOver, LogReading, Pre, Stop};

/// Why a defect makes no difference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Idle {
    /// The algorithm has no step that it would change.
    #[error("the defect '{0}' makes no difference to {1}: the algorithm never does what it would do wrong")]
    Algorithm(Defect, String),
    /// It takes an orderly link for granted.
    #[error("the defect '{0}' makes no difference to {1} over a {2} link; over a {3} link it does")]
    Link(Defect, String, Link, Link),
    /// It takes a third host.
    #[error("the defect '{0}' makes no difference to {1} with two hosts; with three it does")]
    Hosts(Defect, String),
    /// It takes something that goes wrong.
    #[error("the defect '{0}' makes no difference to {1} unless something else goes wrong: {2}")]
    Disruption(Defect, String, String),
    /// It takes other stages.
    #[error("the defect '{0}' makes no difference to {1} where disruptions strike in these stages alone")]
    Stage(Defect, String),
    /// It takes another page.
    #[error("the defect '{0}' makes no difference to {1} with one page; with two it does")]
    Pages(Defect, String),
}

impl Migration {
    /// Can the defect built in make a difference with that many pages (`None`: any number)? Where there is no defect,
    /// nothing is refused.
    ///
    /// Where disruptions strike in some stages alone, the states of one page are looked at.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn defect_acts(&self, pages: Option<usize>) -> Result<(), Idle> {
        let Some(defect) = self.defect else { return Ok(()) };
        let name = self.strategy.name.to_string();
        if !self.gives_occasion(defect) {
            return Err(self.what_is_missing(defect, name));
        }
        if pages == Some(1) && defect.is_about_two_pages() {
            return Err(Idle::Pages(defect, name));
        }
        let searched = if defect.is_about_two_pages() { 2 } else { 1 };
        if !self.disruptions.strike_freely() && !self.differs_from_sound(searched) {
            return Err(Idle::Stage(defect, name));
        }
        Ok(())
    }

    fn what_is_missing(&self, defect: Defect, name: String) -> Idle {
        let in_world = |hosts, link, disruptions| {
            Migration::new(self.strategy.clone(), hosts, link)
                .with_disruptions(disruptions)
                .gives_occasion(defect)
        };
        let over = |link: &Link| in_world(self.hosts, *link, self.disruptions);
        if let Some(link) = Link::ALL.into_iter().find(over) {
            return Idle::Link(defect, name, self.link, link);
        }
        if self.disruptions.is_none() && in_world(Hosts::Three, self.link, Disruptions::NONE) {
            return Idle::Hosts(defect, name);
        }
        let with = |kind: &&Disruption| {
            let struck = Disruptions::up_to(1, (**kind).into());
            Link::ALL.into_iter().any(|link| in_world(Hosts::Two, link, struck))
        };
        let kinds: Vec<String> = Disruption::ALL.iter().filter(with).map(Disruption::to_string).collect();
        match kinds.is_empty() {
            true => Idle::Algorithm(defect, name),
            false => Idle::Disruption(defect, name, kinds.join(" or ")),
        }
    }

    /// Does some reachable state of the sound protocol have another step with the defect? If none has, the defect
    /// changes nothing at all. A plain search: for a few pages.
    pub fn differs_from_sound(&self, pages: usize) -> bool {
        let broken = Concrete { system: self.clone(), pages };
        let sound = Concrete { system: self.clone().without_defect(), pages };
        let mut seen: BTreeSet<State<Migration>> =
            sound.initial().into_iter().map(|state| state.sorted()).collect();
        let mut open: Vec<State<Migration>> = seen.iter().cloned().collect();
        while let Some(state) = open.pop() {
            if broken.steps().any(|step| broken.apply(&state, step) != sound.apply(&state, step)) {
                return true;
            }
            for (_, next) in sound.successors(&state) {
                let next = next.sorted();
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        false
    }

    /// Is there a step that it would change, if disruptions strike whenever they like?
    #[rustfmt::skip]
    fn gives_occasion(&self, defect: Defect) -> bool {
        use Defect::*;
        let strategy = &self.strategy;
        let hits = |kinds: &[Disruption]| kinds.iter().any(|kind| self.disruptions.include(*kind));
        let one_shot = strategy.real.hand_over == HandOver::OneShot;
        let refuses = hits(&[Refuse]) && self.undoes_attempt_after(Refuse);
        let aborts = refuses || hits(&[Cancel, Suspect, Cut, CrashDestination]);
        let interrupts = hits(&[Cut, Suspect]);
        // A return that is aborted is what makes the host returned to a source that can die.
        let owner_dies = hits(&[CrashSource]) || (hits(&[CrashDestination]) && strategy.is_lazy());
        let owes = strategy.owes_pages();
        let copies = strategy.copies();
        let writes_back = strategy.pre == Pre::WriteBack;
        let sends_early = strategy.sends_before_commit();
        let orderly = self.link == Link::Fifo;
        // One that says *ready* is in doubt until it hears *go*.
        let doubts = strategy.says_ready();
        let pushes = strategy.pushes();
        match defect {
            RunOnAtSource | ResumeBeforeState => true,
            CommitForgotten => doubts,
            LiteralGeneric => strategy.tells_kinds_apart() && owes,
            ForgetWriteBackDuty | NeverWriteBack => writes_back && strategy.freeze != Freeze::FlushModified,
            ClearDirtyOnArrival => strategy.tracks_dirty() && strategy.freeze != Freeze::FlushModified,
            MarkSentUnsent => sends_early || owes,
            DropDirtyMap | SkipPostMigration | ForgetDemand | AnswerLost => owes,
            FlushUnacknowledged => strategy.freeze == Freeze::FlushModified,
            MigrateWhileOwed => owes && !strategy.is_lazy(),
            ForgetRedirtied => copies,
            KeepStale => copies && (owes || self.comes_and_goes()),
            NoSequenceNumbers => copies && (!orderly || self.comes_and_goes()),
            ResumeBeforePages => sends_early && !orderly,
            DivergingReplica => strategy.clean == Clean::LocalStore,
            PushWhileFrozen => pushes && !one_shot,
            DemandBehindPushes | NeverPush => pushes,
            FreezeSendsAll => strategy.sends_frozen() && strategy.freeze != Freeze::All,
            SwollenWorkingSet => strategy.working_set,
            DestroyWhileOwed => owes && (!strategy.is_lazy() || self.hosts == Hosts::Three),
            WriteBackAfterSent => writes_back && sends_early,
            ReturnEmptyHanded => strategy.is_lazy(),
            AcknowledgeUnstored => strategy.writes_to_store(),
            StoreOlder => strategy.writes_to_store() && self.is_lossy(),
            SendTwice => owes && (pushes || self.is_lossy() || (strategy.pulls() && interrupts)),
            ResumeAfterHandOver | ResyncUnanswered => interrupts,
            ResumeInDoubt => interrupts && doubts,
            CancelAfterCommit => hits(&[Cancel]),
            AcceptOldReady => hits(&[Cancel, Suspect]) && doubts,
            ConsumeDirtyBits => aborts && sends_early && (copies || strategy.tracks_dirty()),
            RetryTrustsLog => aborts && copies,
            AcceptEarlierEpoch => (refuses || hits(&[Cancel, Suspect])) && sends_early && !orderly,
            LoseDiscardList => interrupts && copies && owes,
            BelieveInFlight | ForgetDemandOnReconnect => interrupts && owes,
            ForgetInDoubt => hits(&[Cut]) && doubts,
            AbortLeavesFrozen => aborts,
            DoubtUnanswered => hits(&[Cancel, Suspect, Cut]) && doubts,
            HastyLost => owner_dies,
            LostOnTimeOut => interrupts || owner_dies,
            AcknowledgeBeforeDurable => hits(&[Outage]) && strategy.writes_to_store(),
            IgnoreLoss => owner_dies && owes,
            // Of what real systems have.
            ClearAfterCopy | ClearUnread => strategy.real.log == LogReading::Pass,
            UntrackedWriter => copies,
            WriterWhileFrozen => sends_early,
            CutPassCountsAsSent => strategy.real.stop != Stop::Passes,
            SwitchForgetsRedirtied => strategy.real.stop == Stop::Switch,
            ForgetEntrusted => hits(&[CrashSource]) && one_shot,
            AnswerUnheard => strategy.real.hand_over == HandOver::Acknowledged,
            BeginUnexpected => self.announces(),
            BeginCalledOff | CancelUnsaid => self.announces() && hits(&[Cancel, Suspect]),
            AwaitExpected => self.announces() && hits(&[Cut]),
            FallBackBlindly | NeverFallBack => self.falls_back() && owner_dies,
            TrustUnacknowledged => self.falls_back() && writes_back && hits(&[CrashSource]),
            // Of the choices about pages, threads and connections.
            ForgetWake | DropLateFault | RequestHeldPage | MapBeforeFill => self.wakes_apart(),
            BornInStep | ZeroUnsaid | HintInUse => self.comes_and_goes() && copies,
            SendZeroes => self.comes_and_goes() && strategy.sends_frozen(),
            InstallVoid | ServeDiscarded | RefuseExempt => self.comes_and_goes() && owes,
            CompleteBeforeAnswers | TwoSenders => self.answers_apart(),
            NoPassBarrier => self.is_striped() && copies && orderly,
            NoStateBarrier => self.is_striped() && sends_early && orderly,
            PullBeforeDemand => strategy.pulls(),
            PullsTakenForSent => strategy.pulls() && interrupts,
        }
    }
}

impl Defect {
    /// Does it show on one page only if there is another one?
    fn is_about_two_pages(self) -> bool {
        matches!(self, Defect::SwollenWorkingSet | Defect::DemandBehindPushes | Defect::PullBeforeDemand)
    }
}
