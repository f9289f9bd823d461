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
        if control.phase != Phase::Offered || control.message_lost {
            return None;
        }
        let rebuilding = to(Control { phase: Phase::Rebuilding, ..*control }).each(Migration::discard_stale);
        Some(if self.link == Link::Fifo { rebuilding.when(Condition::Landed) } else { rebuilding })
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

    fn settle_travelled(&self, _: &Control, page: &mut Page) {
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
        if control.phase != Phase::Committed || control.message_lost {
            return None;
        }
        let owes = self.strategy.owes_pages();
        let resumed = Control {
            phase: Phase::Running,
            process: if owes { Process::PostMigration } else { self.strategy.resting() },
            destination_runs: true,
            code_page_sent: false,
            stack_page_sent: false,
            ..*control
        };
        Some(to(resumed).each(Migration::release_settled))
    }

    /// The source's copy of a page that it does not owe is dead from here on.
    fn release_settled(&self, _: &Control, page: &mut Page) {
        if page.plan != Plan::FromSource {
            page.source = Holding::Absent;
        }
    }
}
