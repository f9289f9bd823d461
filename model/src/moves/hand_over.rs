//! The process changes hands: *state* → *ready* → *go*.
//!
//! The source's *go* is the one commit point: before it the source could carry on, after it the process
//! belongs to the destination.

use super::{AfterControl, to};
use crate::condition::Condition;
use crate::control::{Control, Phase, Process};
use crate::migration::{Link, Migration};
use crate::page::{Holding, Page, Plan};

impl Migration {
    /// On a FIFO link the state comes behind every page sent before it.
    pub(crate) fn deliver_state(&self, control: &Control) -> AfterControl {
        let (phase, ahead) = match control.phase {
            Phase::Offered => (Phase::Rebuilding, Condition::Landed),
            Phase::Entrusted => (Phase::Loading, Condition::Ahead),
            _ => return None,
        };
        let arrived = to(Control { phase, ..*control }).each(Migration::discard_stale);
        let arrived = if self.link == Link::Fifo { arrived.when(ahead) } else { arrived };
        (!control.message_lost).then_some(arrived)
    }

    /// A pre-copied page that the dirty map declares stale must not be taken for the page.
    fn discard_stale(&self, _: &Control, page: &mut Page) {
        if matches!(page.plan, Plan::FromSource | Plan::FromStore) {
            page.destination = Holding::Absent;
        }
    }

    /// Links that reorder may deliver the state first: the destination waits for what travelled.
    pub(crate) fn send_ready(&self, control: &Control) -> AfterControl {
        if control.phase != Phase::Rebuilding {
            return None;
        }
        let accepted = Control { phase: Phase::Accepted, ..*control };
        Some(to(accepted).when(Condition::Arrived).each(Migration::settle_travelled))
    }

    pub(super) fn settle_travelled(&self, _: &Control, page: &mut Page) {
        if page.plan == Plan::Travelled {
            page.plan = Plan::Settled;
        }
    }

    /// The source gives the process up for good.
    pub(crate) fn commit(&self, control: &Control) -> AfterControl {
        let ready = control.phase == Phase::Accepted && !control.message_lost;
        ready.then_some(to(Control { phase: Phase::Committed, ..*control }))
    }

    /// The process runs again, at the destination.
    pub(crate) fn resume(&self, control: &Control) -> AfterControl {
        if control.phase != self.resumes_from() || control.message_lost {
            return None;
        }
        let owes = self.owes_after(control);
        let resumed = Control {
            phase: Phase::Running,
            process: if owes { Process::PostMigration } else { self.strategy.resting() },
            destination_runs: true,
            code_page_sent: false,
            stack_page_sent: false,
            ..self.awaiting_answer(control)
        };
        let resumed = to(resumed).each(Migration::release_settled);
        Some(if self.strategy.says_ready() { resumed } else { self.unprepared(resumed) })
    }

    /// The source's copy of a page that it does not owe is dead from here on.
    pub(super) fn release_settled(&self, _: &Control, page: &mut Page) {
        if page.plan != Plan::FromSource {
            page.source = Holding::Absent;
        }
    }
}
