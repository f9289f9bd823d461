//! The process runs at the destination: pages on demand and by push, and the end of the migration.

use super::{AfterControl, AfterPage, alone, to};
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::migration::{Link, Migration};
use crate::page::{Holding, Page, Plan, Transit, WriteBack};
use crate::system::{Conditions, PageMove};

impl Migration {
    /// A request reaches the page's owner. If the page is already on its way, it is the answer.
    pub(crate) fn deliver_request(&self, control: &Control, page: &Page) -> AfterPage {
        let to_owner = !control.phase.at_source() && page.plan != Plan::FromStore;
        if !to_owner || page.request != Transit::Flying(()) {
            return None;
        }
        let owed = matches!(page.plan, Plan::FromSource | Plan::FromThird);
        alone(control, Page { request: Transit::Idle, asked: page.asked || (owed && !page.sent), ..*page })
    }

    /// The same, and the link keeps a duplicate of the request.
    pub(crate) fn duplicate_request(&self, control: &Control, page: &Page) -> AfterPage {
        let delivered = self.deliver_request(control, page)?;
        alone(control, Page { request: page.request, ..delivered.page })
    }

    /// The answer to a request. A page whose write-back is under way waits for its acknowledgement.
    pub(crate) fn serve(&self, control: &Control, page: &Page) -> AfterPage {
        if !page.asked || page.write_back != WriteBack::Idle {
            return None;
        }
        let copy = if page.plan == Plan::FromThird { page.third } else { page.source };
        alone(control, Page { sent: true, asked: false, ..self.send_content(page, copy)? })
    }

    /// A page that nobody asked for; never while a requested one could be sent.
    pub(crate) fn push(&self, control: &Control, page: &Page) -> AfterPage {
        let due = page.plan == Plan::FromSource && !page.sent && !page.asked;
        if !self.pushes_in(control) || !due || page.write_back != WriteBack::Idle {
            return None;
        }
        let page = Page { sent: true, ..self.send_content(page, page.source)? };
        Some(PageMove { requires: Conditions::only(Condition::NoDemand), control: *control, page })
    }

    /// Lazy copy says it only after a return: otherwise it has no means to get there.
    pub(crate) fn send_complete(&self, control: &Control) -> AfterControl {
        if control.phase != Phase::Running || (self.strategy.is_lazy() && !control.returning) {
            return None;
        }
        Some(to(Control { phase: Phase::Completing, ..*control }).when(Condition::Settled))
    }

    /// On a FIFO link *complete* comes behind every request.
    pub(crate) fn destroy(&self, control: &Control) -> AfterControl {
        if control.phase != Phase::Completing || control.message_lost {
            return None;
        }
        let departing = to(Control { phase: Phase::Departing, unanswered: false, ..*control });
        Some(if self.link == Link::Fifo { departing.when(Condition::Unasked) } else { departing })
    }

    /// The process is at rest where it is.
    pub(crate) fn finish(&self, control: &Control) -> AfterControl {
        let told = control.phase == Phase::Departing && !control.message_lost;
        let rest = Control::at_rest(self.strategy.resting());
        told.then_some(to(rest).each(Migration::rotate))
    }

    /// The destination is the process's host now, and the connection to the former one is closed with
    /// whatever duplicates and unneeded requests are still in it. Traffic with the file server goes on.
    pub(crate) fn rotate(&self, _: &Control, page: &mut Page) {
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
            crossings: 0,
            ..*page
        };
    }
}
