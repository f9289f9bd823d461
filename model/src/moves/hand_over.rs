//! The process changes hands: *state* → *ready* → *go*.
//!
//! The source's *go* is the one commit point: before it the source could carry on, after it the process
//! belongs to the destination.

use super::{AfterControl, freely, when};
use crate::condition::Condition;
use crate::control::{Control, Phase, Process};
use crate::defects::Defect;
use crate::disruption::Leftover;
use crate::migration::{Link, Migration};
use crate::page::{Holding, Page, Plan};

impl Migration {
    /// On a FIFO link the state comes behind every page sent before it. What is left of an aborted attempt is
    /// forgotten first.
    pub(super) fn deliver_state(&self, control: &Control) -> AfterControl {
        let heeds = control.aftermath.leftover == Leftover::None;
        if control.phase != Phase::Offered || control.message_lost || !heeds {
            return None;
        }
        let next = Control { phase: Phase::Rebuilding, ..*control };
        if self.link == Link::Fifo { when([Condition::Landed], next) } else { freely(next) }
    }

    /// A pre-copied page that the dirty map declares stale must not be taken for the page.
    pub(super) fn discard_stale(&self, page: &mut Page) {
        let stale = matches!(page.plan, Plan::FromSource | Plan::FromStore) && page.destination.is_held();
        if stale && self.is_broken(Defect::KeepStale) {
            page.plan = Plan::Settled;
        } else if stale {
            page.destination = Holding::Absent;
        }
    }

    /// Links that reorder may deliver the state first: the destination waits for what travelled.
    pub(super) fn send_ready(&self, control: &Control) -> AfterControl {
        if control.phase != Phase::Rebuilding {
            return None;
        }
        let next = control.saying(Phase::Accepted);
        if self.is_broken(Defect::ResumeBeforePages) {
            freely(next)
        } else {
            when([Condition::Arrived], next)
        }
    }

    pub(super) fn settle_travelled(&self, page: &mut Page) {
        if page.plan == Plan::Travelled {
            page.plan = Plan::Settled;
        }
    }

    pub(super) fn commit(&self, control: &Control) -> AfterControl {
        if control.phase != Phase::Accepted || control.message_lost || self.is_broken(Defect::CommitForgotten)
        {
            return None;
        }
        freely(Control { phase: Phase::Committed, ..*control })
    }

    /// The process runs again, at the destination.
    pub(super) fn resume(&self, control: &Control) -> AfterControl {
        let told = control.phase == Phase::Committed && !control.message_lost;
        let hasty = control.phase == Phase::Offered && self.is_broken(Defect::ResumeBeforeState);
        let in_doubt = control.aftermath.leftover == Leftover::InDoubt && !control.destination_runs;
        if in_doubt && !control.aftermath.is_connected() && self.is_broken(Defect::ResumeInDoubt) {
            return freely(Control { destination_runs: true, ..*control });
        }
        if !told && !hasty {
            return None;
        }
        let owes = self.strategy.owes_pages() && !self.is_broken(Defect::SkipPostMigration);
        freely(Control {
            phase: Phase::Running,
            process: if owes { Process::PostMigration } else { self.strategy.resting() },
            destination_runs: true,
            message_lost: false,
            code_page_sent: false,
            stack_page_sent: false,
            ..*control
        })
    }

    /// The source's copy of a page that it does not owe is dead from here on.
    pub(super) fn release_settled(&self, page: &mut Page) {
        if page.plan != Plan::FromSource {
            page.source = Holding::Absent;
        }
    }
}
