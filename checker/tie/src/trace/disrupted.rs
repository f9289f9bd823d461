//! Where things go wrong: what a line stands for, and what leaves no line.
//!
//! Nobody sees a connection break, or the file server drop out, when it happens: hosts notice later. So both may have
//! happened before any line, as long as a later line tells of it. What else goes wrong has a line of its own: a crash,
//! a cancel, a refusal. A time-out is a connection that its host gives up.

use std::collections::BTreeSet;

use model::disruption::{Aftermath, Connection, Disruption, Leftover};
use model::page::{Plan, Transit};
use model::strategy::Fallback;
use model::{Control, ControlStep, Migration, Move, Page, PageStep, Phase};
use steplog::event::{Event, Step};
use steplog::fate::{Fate, Loss};
use steplog::message::MessageKind;
use steplog::place::{Epoch, HostId, Place};

use super::messages::Handling;
use super::population::Population;
use super::roster::Roster;
use crate::explain::{Explanation, explanations};
use crate::rig::{Happening, Mending};

/// What the lines so far, and those to come, say of things that go wrong.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// For each line, what may have happened unseen before it.
    unseen: Vec<Unseen>,
    /// Connections leave no line at all, neither when they break nor when they come back.
    connections_unseen: bool,
    /// The attempts that their source has called off.
    aborted: BTreeSet<Epoch>,
    /// The attempts that their destination has forgotten.
    forgotten: BTreeSet<Epoch>,
    /// The machines that have died.
    crashed: BTreeSet<HostId>,
    /// The one that is not back, as far as anybody has been told.
    dead: Option<HostId>,
    /// An attempt has been announced, and the process has not been suspended.
    announced: bool,
}

/// Does a line from here on tell that a connection was lost?
#[derive(Clone, Copy, Debug, Default)]
struct Unseen {
    between_hosts: bool,
    to_store: bool,
}

impl Trouble {
    pub(super) fn of(steps: &[Step], connections_unseen: bool) -> Self {
        let mut later = Unseen::default();
        let unseen = steps.iter().rev().map(|step| {
            match step.event {
                Event::PeerDisconnected { peer, .. }
                | Event::PeerTimedOut { peer, .. }
                | Event::PeerConnected { peer, .. } => match peer {
                    Place::Host(_) => later.between_hosts = true,
                    Place::FileServer => later.to_store = true,
                },
                _ => {}
            }
            later
        });
        let mut unseen: Vec<_> = unseen.collect();
        unseen.reverse();
        Self { unseen, connections_unseen, ..Self::default() }
    }

    /// What may have gone wrong since the last line without anybody having noticed.
    pub(super) fn unseen(&self, at: usize) -> Vec<Vec<ControlStep>> {
        if self.connections_unseen {
            return comings_and_goings();
        }
        let Unseen { between_hosts, to_store } = self.unseen.get(at).copied().unwrap_or_default();
        let mut unseen = vec![vec![]];
        for (possible, step) in [(between_hosts, ControlStep::Cut), (to_store, ControlStep::Outage)] {
            if possible {
                let struck: Vec<_> = unseen.iter().map(|steps| [&steps[..], &[step]].concat()).collect();
                unseen.extend(struck);
            }
        }
        unseen
    }

    /// Does the machine die that the process is at rest on? The model has no such step, unless something is left to be
    /// done there: it would end every run.
    pub(super) fn ends_at_rest(
        &self,
        migration: &Migration,
        state: &Population,
        roster: &Roster,
        step: &Step,
    ) -> bool {
        let of_process = || roster.source(state.control.phase).is_some_and(|host| step.place == host.into());
        let at_rest = state.control.stage(&migration.strategy).is_none() && !state.control.phase.is_over();
        matches!(step.event, Event::HostCrashed) && at_rest && of_process()
    }

    /// What may explain a line in this state.
    pub(super) fn explanations(
        &self,
        migration: &Migration,
        state: &Population,
        roster: &Roster,
        step: &Step,
    ) -> Vec<Explanation> {
        use ControlStep::{Commit, CrashDestination, DeliverCancel, DeliverResync, Destroy, Forget};
        let control = &state.control;
        let aborted = self.aborted.contains(&step.epoch);
        match step.event {
            Event::HostCrashed => return self.of_crash(migration, control, roster, step.place),
            // To the model it has heard already that the attempt was called off.
            Event::MigrationRefused { .. } if aborted => {
                return vec![moves(&[DeliverCancel]), moves(&[Forget])];
            }
            _ => {}
        }
        let is_owed = owed_by_the_dead(control);
        if let Event::PeerFenced { fate: Some(Fate::Lost(Loss::Pages(lost))), .. } = step.event {
            let possible = is_owed.map_or(0..=0, |is_owed| state.count(is_owed));
            // Of one that has exited only some are needed; and some may be in the store as well.
            let least_counts = control.phase == Phase::Running
                && !roster.process.exited
                && migration.strategy.real.fallback == Fallback::None;
            if lost > *possible.end() || (least_counts && lost < *possible.start()) {
                return vec![];
            }
        }
        // A host that does not give the process up falls back, if it is owed anything.
        let stays = matches!(step.event, Event::PeerFenced { fate: None, .. });
        let is_owed = is_owed.filter(|_| !(stays && roster.falls_back));
        let owed = is_owed.map_or_else(Vec::new, |is_owed| state.representatives(is_owed));
        let found = happenings(control, step).iter().fold(vec![vec![]], |found: Vec<Explanation>, what| {
            let then = explanations(migration, control, &owed, what);
            let both = found.iter().flat_map(|first| then.iter().map(|then| [&first[..], then].concat()));
            // What a page shows ends it.
            both.filter(|steps| steps.iter().rev().skip(1).all(|step| matches!(step, Move::Control(_))))
                .collect()
        });
        let found = found.into_iter().filter(|found| self.is_timely(migration, state, step, found));
        match step.event {
            // The first message of the next attempt says that the last one was called off.
            Event::PageInstalled { .. } | Event::StateAccepted { .. }
                if control.aftermath.leftover != Leftover::None && !aborted =>
            {
                let heard = moves(&[DeliverCancel]);
                found.flat_map(|then| [[&heard[..], &then].concat(), then]).collect()
            }
            // Where nothing is copied ahead, the model has no attempt before the suspension: a machine that has died
            // since it was announced there has yet to die. And the resync is heard before the process leaves.
            Event::MigrationStarted { .. } | Event::ProcessSuspended { .. } => {
                let resyncs = control.aftermath.connection == Connection::Resyncing;
                let heard = if resyncs { moves(&[DeliverResync]) } else { vec![] };
                let dead = if self.dead.is_some() { moves(&[CrashDestination]) } else { vec![] };
                let completed = |then: Explanation| match then.is_empty() {
                    true => then,
                    false => [&heard[..], &then, &dead].concat(),
                };
                found.map(completed).collect()
            }
            // To the model hearing *ready* and saying *go* are one step. Nothing strikes in between.
            Event::ReadinessLearned { .. } => found.chain([moves(&[Commit])]).collect(),
            // Over links without order they may come before the resync, and say as much.
            Event::CompletionLearned { .. } | Event::RequestAccepted { .. } => {
                let resyncs = control.aftermath.connection == Connection::Resyncing;
                let heard = if resyncs { moves(&[DeliverResync]) } else { vec![] };
                let found: Vec<_> = found.collect();
                // Hearing *complete* and destroying are one step as well.
                let destroyed =
                    matches!(step.event, Event::CompletionLearned { .. }).then(|| moves(&[Destroy]));
                found.into_iter().chain(destroyed).map(|then| [&heard[..], &then].concat()).collect()
            }
            _ => found.collect(),
        }
    }

    /// At rest the crash of another machine changes nothing, unless something is left to be done there.
    fn of_crash(
        &self,
        migration: &Migration,
        control: &Control,
        roster: &Roster,
        place: Place,
    ) -> Vec<Explanation> {
        // To the model the machine is dead until nothing is needed of it any more.
        if control.aftermath.source_down
            && roster.process.orphaned_by.is_some_and(|dead| place == dead.into())
        {
            return vec![vec![]];
        }
        let is_source = roster.source(control.phase).is_some_and(|host| place == host.into());
        let step = if is_source { ControlStep::CrashSource } else { ControlStep::CrashDestination };
        let is_modelled = control.stage(&migration.strategy).is_some();
        // Where an attempt has been announced that the model does not count as begun, the machine dies when it does.
        let waits = self.announced && matches!(control.phase, Phase::Rest | Phase::Running);
        let dies = is_modelled.then(|| moves(&[step]));
        dies.into_iter().chain((waits || !is_modelled).then(Vec::new)).collect()
    }

    /// Does what the line says, beside the steps of the model, hold of the model's state?
    fn is_timely(&self, migration: &Migration, state: &Population, step: &Step, found: &Explanation) -> bool {
        let Control { phase, aftermath, .. } = state.control;
        let is_stray = |step: &_| matches!(step, Move::Page(PageStep::DeliverStray, _));
        let aborted = self.aborted.contains(&step.epoch);
        // The model has nothing that could break: there is no attempt, or it does not count as begun.
        let waits = self.announced && matches!(phase, Phase::Rest | Phase::Running);
        let is_calm = waits || phase.is_over() || state.control.stage(&migration.strategy).is_none();
        let noticed = match (&step.event, step.place) {
            (Event::PeerDisconnected { peer: Place::FileServer, .. }, Place::Host(host)) => {
                state.may_notice_outage(host)
            }
            (Event::PeerDisconnected { .. } | Event::PeerTimedOut { .. }, _) => {
                aftermath.connection == Connection::Broken
            }
            _ => true,
        };
        if matches!(step.event, Event::PeerFenced { peer, .. } if !self.crashed.contains(&peer)) {
            return false;
        }
        let concluded = match step.event {
            // A page that arrives comes from the attempt that its line names.
            Event::PageInstalled { .. } if aborted => {
                found.iter().all(is_stray) && !self.forgotten.contains(&step.epoch)
            }
            Event::PageInstalled { .. } | Event::PageFetched { .. } => {
                phase.is_over() || !found.iter().all(is_stray)
            }
            Event::MessageIgnored { .. } => {
                found.iter().all(|step| matches!(step, Move::Control(_)) || is_stray(step) == aborted)
            }
            Event::ProcessHandedOver { .. } => !found.is_empty() || phase.committed() || phase.is_over(),
            // A source that goes on in vain does not run the process.
            Event::PageWritten { .. }
            | Event::PageFaulted { .. }
            | Event::PageLoaded { .. }
            | Event::PagePulled { .. }
            | Event::ThreadsWoken { .. } => !found.is_empty(),
            Event::MigrationStarted { .. } => phase != Phase::Forgotten,
            ref event if calls_off(event) => match phase.can_abort() {
                true => !found.is_empty(),
                // To the model the attempt has not begun. After the commit it is too late; one-shot, the process is lost.
                false => matches!(phase, Phase::Rest | Phase::Running | Phase::Lost),
            },
            ref event if forgets(event) => !is_before_ready(phase) || !found.is_empty(),
            _ => true,
        };
        concluded && (noticed || is_calm)
    }

    /// Is the content of a page that arrives an older one, or not? A number that is not the newest is. What is ignored
    /// and was not handled before is one, too.
    pub(super) fn is_of_this_content(&self, step: &Step, handling: Handling, is_older: bool) -> bool {
        match step.event {
            Event::PageInstalled { .. } => {
                is_older || handling.newest || self.aborted.contains(&step.epoch) || handling.again
            }
            Event::MessageIgnored { kind: MessageKind::Page, .. } => !handling.again || !is_older,
            _ => true,
        }
    }

    /// Can the host take the step at all? A dead one takes none, and who knows that a connection is gone says nothing.
    pub(super) fn can_take(&self, state: &Population, step: &Step) -> bool {
        let Place::Host(host) = step.place else { return true };
        let in_vain = state.has_noticed(host) && is_said_to_host(&step.event);
        !in_vain && self.dead != Some(host)
    }

    /// Takes note of a line.
    pub(super) fn note(&mut self, step: &Step) {
        if calls_off(&step.event) {
            self.aborted.insert(step.epoch);
        }
        if forgets(&step.event) {
            self.forgotten.insert(step.epoch);
        }
        match step.event {
            Event::MigrationStarted { .. } => self.announced = true,
            Event::ProcessSuspended { .. } | Event::ProcessExited => self.announced = false,
            ref event if calls_off(event) => self.announced = false,
            _ => {}
        }
        match (&step.event, step.place) {
            (Event::HostCrashed, Place::Host(host)) => {
                self.crashed.insert(host);
                // With both dead nobody is left to be told.
                self.dead = Some(host).filter(|_| self.dead.is_none());
            }
            (Event::PeerFenced { peer, .. } | Event::PeerConnected { peer: Place::Host(peer), .. }, _) => {
                self.dead = self.dead.filter(|dead| dead != peer);
            }
            _ => {}
        }
    }
}

/// What connections can have done between two lines, as far as anything came of it.
fn comings_and_goings() -> Vec<Vec<ControlStep>> {
    use ControlStep::{Cut, Outage, Reconnect, StoreReturns};
    let between_hosts: [&[ControlStep]; 4] = [&[], &[Cut], &[Reconnect], &[Cut, Reconnect]];
    let to_store: [&[ControlStep]; 4] = [&[], &[Outage], &[StoreReturns], &[Outage, StoreReturns]];
    let both = between_hosts.iter().flat_map(|hosts| to_store.map(|store| [*hosts, store].concat()));
    both.collect()
}

fn moves(steps: &[ControlStep]) -> Explanation {
    steps.iter().copied().map(Move::Control).collect()
}

/// Does the source go on with the process, when an attempt has failed?
pub(super) fn calls_off(event: &Event) -> bool {
    matches!(event, Event::MigrationCancelled { .. } | Event::RefusalLearned { .. })
        || matches!(fate(event), Some(Fate::CarriedOn(_)))
}

/// Does the destination give up what it has of an attempt?
fn forgets(event: &Event) -> bool {
    matches!(event, Event::CancellationLearned { .. } | Event::MigrationRefused { .. })
        || matches!(fate(event), Some(Fate::Forgotten(_)))
}

/// Can the destination still give up the attempt on its own?
fn is_before_ready(phase: Phase) -> bool {
    matches!(phase, Phase::PreCopy { .. } | Phase::Freeze | Phase::Offered | Phase::Rebuilding)
}

/// What has become of a migration by the loss of a peer.
fn fate(event: &Event) -> Option<Fate> {
    match event {
        Event::PeerDisconnected { fate, .. }
        | Event::PeerTimedOut { fate, .. }
        | Event::PeerFenced { fate, .. } => *fate,
        _ => None,
    }
}

/// Does the host send something to the other host, and would not send it again?
fn is_said_to_host(event: &Event) -> bool {
    match event {
        // Where there is nobody to be told.
        Event::CompletionDeclared { told } => !told.is_empty(),
        Event::PageCopied { .. }
        | Event::PageTransferred { .. }
        | Event::PageServed { .. }
        | Event::PagePushed { .. }
        | Event::StateSent { .. }
        | Event::ReadinessDeclared { .. }
        | Event::ProcessHandedOver { .. } => true,
        _ => false,
    }
}

/// Which pages nobody has any more, if a dead machine is the reason.
fn owed_by_the_dead(control: &Control) -> Option<fn(&Page) -> bool> {
    let Aftermath { source_down, destination_down, .. } = control.aftermath;
    match control.phase {
        Phase::Loading => {
            Some(|page| page.plan == Plan::Travelled && matches!(page.content, Transit::Lost(_)))
        }
        _ if source_down => Some(|page| page.plan == Plan::FromSource),
        // A process that was on its way back lacks what the host owes that it was to go to.
        _ if destination_down && control.returning => Some(|page| !page.source.is_held()),
        _ => None,
    }
}

fn awaits_fence(control: &Control) -> bool {
    control.phase == Phase::Doomed || control.aftermath.awaits_fence()
}

/// What happened, in order, when an endpoint takes such a step.
fn happenings(control: &Control, step: &Step) -> Vec<Happening> {
    let Step { place, epoch, ref event, .. } = *step;
    let own = Happening::Step { place, epoch, event: event.clone() };
    match event {
        // An attempt that the model counts as begun.
        Event::MigrationCancelled { .. } if !matches!(control.phase, Phase::Rest | Phase::Running) => {
            vec![Happening::Struck(Disruption::Cancel), own]
        }
        Event::MigrationRefused { .. } => vec![Happening::Struck(Disruption::Refuse), own],
        Event::PeerConnected { peer: Place::Host(_), .. } => {
            vec![own, Happening::Mended(Mending::Connection)]
        }
        Event::PeerConnected { peer: Place::FileServer, .. } if control.aftermath.store_down => {
            vec![own, Happening::Mended(Mending::FileServer)]
        }
        // The model has committed already.
        Event::ProcessHandedOver { .. } if control.phase == Phase::Committed => vec![],
        Event::PeerFenced { .. } if awaits_fence(control) => {
            vec![own, Happening::Mended(Mending::Machine)]
        }
        _ => vec![own],
    }
}
