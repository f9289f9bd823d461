//! The process runs at the destination: pages on demand and by push, and the end of the migration.

use super::{AfterControl, AfterPage, alone, freely, when};
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::defects::Defect;
use crate::disruption::{Aftermath, Leftover};
use crate::migration::{Link, Migration};
use crate::page::{Holding, Page, Plan, Transit, WriteBack};
use crate::strategy::Push;
use crate::system::{Conditions, PageMove};

impl Migration {
    /// A request reaches the page's owner. If the page is already on its way, it is the answer. After a
    /// reconnection requests wait behind the resync, and a host in doubt hears them before it is told to forget.
    pub(super) fn deliver_request(&self, control: &Control, page: &Page, duplicated: bool) -> AfterPage {
        let told = matches!(control.aftermath.leftover, Leftover::None | Leftover::InDoubt);
        let cancelled = self.link != Link::Fifo || told;
        let heard = control.aftermath.is_connected() && cancelled;
        let to_owner = !control.phase.at_source() && page.plan != Plan::FromStore && heard;
        if !to_owner || page.request != Transit::Flying(()) || (duplicated && self.link != Link::Lossy) {
            return None;
        }
        let owed = matches!(page.plan, Plan::FromSource | Plan::FromThird);
        let answered = page.sent && !self.is_broken(Defect::SendTwice);
        let request = if duplicated { page.request } else { Transit::Idle };
        let asked = page.asked || (owed && !answered && !self.is_broken(Defect::ForgetDemand));
        alone(control, Page { request, asked, ..*page })
    }

    /// The answer to a request. A page whose write-back is under way waits for its acknowledgement.
    pub(super) fn serve(&self, control: &Control, page: &Page) -> AfterPage {
        if !page.asked || page.write_back != WriteBack::Idle {
            return None;
        }
        if self.is_broken(Defect::AnswerLost) {
            return alone(control, Page { sent: true, asked: false, ..*page });
        }
        let copy = if page.plan == Plan::FromThird { page.third } else { page.source };
        alone(control, Page { sent: true, asked: false, ..self.send_content(control, page, copy)? })
    }

    /// A page that nobody asked for; never while a requested one could be sent.
    pub(super) fn push(&self, control: &Control, page: &Page) -> AfterPage {
        let frozen = matches!(control.phase, Phase::Offered | Phase::Rebuilding | Phase::Accepted);
        let pushing = matches!(control.phase, Phase::Committed | Phase::Running)
            || (frozen && self.is_broken(Defect::PushWhileFrozen));
        if !pushing
            || self.strategy.push == Push::None
            || page.plan != Plan::FromSource
            || page.sent
            || page.asked
            || page.write_back != WriteBack::Idle
            || self.is_broken(Defect::NeverPush)
        {
            return None;
        }
        let page = if self.is_broken(Defect::MarkSentUnsent) {
            Page { sent: true, ..*page }
        } else {
            Page { sent: true, ..self.send_content(control, page, page.source)? }
        };
        let requires = match self.is_broken(Defect::DemandBehindPushes) {
            true => Conditions::empty(),
            false => Conditions::only(Condition::NoDemand),
        };
        Some(PageMove { requires, control: *control, page })
    }

    /// Lazy copy says it only after a return: otherwise it has no means to get there.
    pub(super) fn send_complete(&self, control: &Control) -> AfterControl {
        if control.phase != Phase::Running || (self.strategy.is_lazy() && !control.returning) {
            return None;
        }
        let next = control.saying(Phase::Completing);
        if self.is_broken(Defect::DestroyWhileOwed) { freely(next) } else { when([Condition::Settled], next) }
    }

    /// On a FIFO link *complete* comes behind every request.
    pub(super) fn destroy(&self, control: &Control) -> AfterControl {
        if control.phase != Phase::Completing || control.message_lost || !control.aftermath.is_connected() {
            return None;
        }
        // What was left of an aborted attempt goes with the rest.
        let aftermath = Aftermath { leftover: Leftover::None, ..control.aftermath };
        let next = Control { phase: Phase::Departing, aftermath, ..*control };
        if self.link == Link::Fifo { when([Condition::Unasked], next) } else { freely(next) }
    }

    pub(super) fn finish(&self, control: &Control) -> AfterControl {
        let told = control.phase == Phase::Departing && !control.message_lost;
        told.then_some(self.at_rest_again(control)).and_then(freely)
    }

    /// The process is at rest where it is.
    pub(super) fn at_rest_again(&self, control: &Control) -> Control {
        let aftermath = Aftermath { old_ready: false, ..control.aftermath.for_next_attempt() };
        Control { aftermath, ..Control::at_rest(self.strategy.resting()) }
    }

    /// The destination is the process's host now, and the connection to the former one is closed with
    /// whatever duplicates and unneeded requests are still in it. Traffic with the file server goes on.
    pub(super) fn rotate(&self, page: &mut Page) {
        let arrived = page.destination.is_held();
        *page = Page {
            source: page.destination,
            destination: Holding::Absent,
            plan: Plan::Undecided,
            sent: false,
            asked: false,
            request: if arrived { Transit::Idle } else { page.request },
            content: if arrived { Transit::Idle } else { page.content },
            older: 0,
            echo: Holding::Absent,
            stray: Holding::Absent,
            crossings: 0,
            ..*page
        };
    }
}
