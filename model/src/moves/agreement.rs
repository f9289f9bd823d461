//! How the hosts agree on the hand-over where it is not *state* → *ready* → *go*.
//!
//! ```text
//!   one-shot       state and go ──▶ loads, resumes                  the source commits when it sends them
//!   acknowledged   state ──▶ ready ──▶ go ──▶ resumes ──▶ answer    the source commits when it hears the answer
//!   none           state ──▶ resumes … complete                     the source commits when it hears complete
//! ```
//!
//! | | loses | when |
//! |---|---|---|
//! | one-shot | the process | the destination cannot load what only it has; the connection breaks under the one message |
//! | acknowledged | that it is one | the connection breaks under the answer: the source takes back what runs at the destination |
//! | none | that it is one | the connection breaks, or the operator cancels, at any time after the state has arrived |
//!
//! Ready-go loses neither: between *ready* and *go* the destination is in doubt and waits, and nobody else decides.

use super::{AfterControl, AfterPage, Effect, LOST, Taken, to};
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::disruption::{Connection, Disruption, Leftover};
use crate::migration::Migration;
use crate::page::{Page, Plan, Transit};
use crate::strategy::HandOver;
use crate::system::{Conditions, PageMove};

impl Migration {
    /// What the source has done when it has sent the state.
    pub(crate) fn phase_of_state(&self) -> Phase {
        if self.strategy.real.hand_over == HandOver::OneShot { Phase::Entrusted } else { Phase::Offered }
    }

    /// Does such a disruption leave anything to be repaired? A one-shot that is refused does not, unless it was announced.
    pub(crate) fn is_repaired_after(&self, kind: Disruption) -> bool {
        self.undoes_attempt_after(kind) || self.announces()
    }

    /// The same of an attempt that has begun.
    pub(crate) fn undoes_attempt_after(&self, kind: Disruption) -> bool {
        kind != Disruption::Refuse || self.strategy.real.hand_over != HandOver::OneShot
    }

    /// Can an attempt that is undone have pages on a link that does not break?
    pub(crate) fn leaves_strays(&self) -> bool {
        let undoes = |kind| self.disruptions.include(kind) && self.undoes_attempt_after(kind);
        let undone = [Disruption::Cancel, Disruption::Refuse, Disruption::Suspect].into_iter().any(undoes);
        undone && self.strategy.sends_before_commit()
    }

    /// Where the destination may resume the process.
    pub(crate) fn resumes_from(&self) -> Phase {
        match self.strategy.real.hand_over {
            HandOver::ReadyGo | HandOver::Acknowledged => Phase::Committed,
            HandOver::OneShot => Phase::Loading,
            HandOver::None => Phase::Rebuilding,
        }
    }

    /// Nobody has asked whether everything that travels is there: it must be, and counts from now on.
    pub(super) fn unprepared(&self, resumed: Taken) -> Taken {
        let take_over: Effect = |migration, control, page| {
            migration.settle_travelled(control, page);
            migration.release_settled(control, page);
        };
        resumed.when(Condition::Arrived).each(take_over)
    }

    /// The source knows that the process runs elsewhere, or has made up its mind that it will.
    pub(super) fn pushes_in(&self, control: &Control) -> bool {
        match (self.strategy.real.hand_over, control.phase) {
            (_, Phase::Running) => !control.unanswered,
            (HandOver::ReadyGo, Phase::Committed) => true,
            (HandOver::OneShot, Phase::Entrusted | Phase::Loading) => true,
            _ => false,
        }
    }

    /// The record of a resume that is to be answered, or is not.
    pub(super) fn awaiting_answer(&self, control: &Control) -> Control {
        let unanswered = self.strategy.real.hand_over == HandOver::Acknowledged;
        Control { switched: false, unanswered, ..*control }
    }

    /// The source hears that the process runs at the destination.
    pub(crate) fn deliver_answer(&self, control: &Control) -> AfterControl {
        let there = control.unanswered && control.aftermath.connection == Connection::Up;
        there.then_some(to(Control { unanswered: false, ..*control }))
    }

    /// Has the source not given the process up yet? After *go* only where *go* is to be answered.
    pub(crate) fn can_still_abort(&self, phase: Phase) -> bool {
        let answered = self.strategy.real.hand_over == HandOver::Acknowledged;
        phase.can_abort() || (answered && phase == Phase::Committed)
    }

    /// The source has lost the connection, and has not heard that the process runs elsewhere, which it does.
    pub(crate) fn take_back(&self, control: &Control) -> AfterControl {
        let broken = control.aftermath.connection == Connection::Broken;
        (broken && self.believes_in_vain(control)).then_some(runs_at_source(control))
    }

    /// A cancel when the process runs at the destination: too late, unless the source has never been told.
    pub(super) fn cancel_late(&self, control: &Control) -> Taken {
        let untold = self.strategy.real.hand_over == HandOver::None && self.believes_in_vain(control);
        if untold { runs_at_source(control) } else { to(*control) }
    }

    /// Does the source take the process for its own although it runs at the destination?
    fn believes_in_vain(&self, control: &Control) -> bool {
        let untold = match self.strategy.real.hand_over {
            HandOver::ReadyGo | HandOver::OneShot => false,
            HandOver::Acknowledged => control.unanswered,
            HandOver::None => matches!(control.phase, Phase::Running | Phase::Completing),
        };
        untold && !control.source_runs && !control.aftermath.source_down
    }

    /// The source has called the attempt off, and the destination, which has the state and asks nobody, resumes.
    pub(crate) fn resume_abandoned(&self, control: &Control) -> AfterControl {
        let has_state = control.aftermath.leftover == Leftover::Rebuilding && control.source_runs;
        let resumed = Control { destination_runs: true, ..*control };
        (has_state && !control.destination_runs).then_some(to(resumed))
    }

    /// The connection is gone before the one message has arrived.
    pub(crate) fn perish(&self, control: &Control) -> AfterControl {
        let broken = control.aftermath.connection == Connection::Broken;
        (broken && control.phase == Phase::Entrusted).then_some(perishes())
    }

    /// Over links that reorder the state may be there, and the connection gone before a page is without which the process
    /// cannot resume.
    pub(crate) fn perish_without(&self, control: &Control, page: &Page) -> AfterPage {
        let broken = control.aftermath.connection == Connection::Broken && control.phase == Phase::Loading;
        let missed = page.plan == Plan::Travelled && matches!(page.content, Transit::Lost(_));
        let lost = PageMove { requires: Conditions::empty(), control: LOST, page: Page::GONE };
        (broken && missed).then_some(lost)
    }
}

fn runs_at_source(control: &Control) -> Taken {
    to(Control { source_runs: true, unanswered: false, ..*control })
}

/// One-shot: the destination cannot run what nobody else may run any more.
pub(super) fn perishes() -> Taken {
    to(LOST).each(|_, _, page| *page = Page::GONE)
}

/// One-shot: a page sent after the state, which has not arrived.
pub(super) fn is_behind_state(control: &Control, page: &Page) -> bool {
    control.phase == Phase::Entrusted && matches!(page.plan, Plan::FromSource | Plan::FromThird)
}
