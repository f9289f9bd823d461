//! The network: contents arrive; a lossy link loses, duplicates and sends again.
//!
//! Between two places a FIFO link keeps the order of one page's messages, and delivers a control message
//! only behind the pages sent before it, and a page only behind the control message sent before it. The
//! order between different pages stays free: more behaviours than one TCP connection has, so what holds
//! here holds there. `unordered` and `lossy` links keep no order at all.
//!
//! Duplicates are modelled for all that carries a page, a request or a write-back; of one page's contents
//! and write-backs, one duplicate lingers at a time. Control messages are
//! numbered within their migration; a duplicate of one is recognised by its number and changes nothing.

use super::agreement::is_behind_state;
use super::{AfterControl, AfterPage, alone, to};
use crate::control::{Control, Phase};
use crate::migration::{Link, Migration};
use crate::page::{Currency, Holding, Page, Plan, Transit, WriteBack};

impl Migration {
    /// The newest content message arrives, at the host where the process lacks it.
    pub(crate) fn deliver_page(&self, control: &Control, page: &Page) -> AfterPage {
        let Transit::Flying(content) = page.content else { return None };
        let behind_go = self.is_behind_go(control) || is_behind_state(control, page);
        if self.link == Link::Fifo && (page.older > 0 || behind_go) {
            return None;
        }
        let mut next = Page { content: Transit::Idle, ..*page };
        if self.fetched_home(control, page) {
            next.source = Holding::Held(content);
            next.waiting &= self.wakes_apart();
        } else {
            self.install(control, &mut next, content);
            if is_behind_state(control, page) {
                self.settle(&mut next);
            }
        }
        alone(control, next)
    }

    /// The same, and the link keeps a duplicate of it.
    pub(crate) fn duplicate_page(&self, control: &Control, page: &Page) -> AfterPage {
        let Transit::Flying(content) = page.content else { return None };
        let delivered = self.deliver_page(control, page)?.page;
        if !self.duplicates(page) {
            return None;
        }
        alone(control, Page { echo: Holding::Held(content), ..delivered })
    }

    /// An earlier message arrives. Its sequence number tells the destination whether it has the page, or
    /// was told of, a newer content.
    pub(crate) fn deliver_older(&self, control: &Control, page: &Page) -> AfterPage {
        let mut next = Page { older: page.older.checked_sub(1)?, ..*page };
        let newest_here = page.content.is_idle() && !matches!(page.plan, Plan::FromSource | Plan::FromStore);
        if before_dirty_map(control) && !newest_here {
            self.install(control, &mut next, Currency::Stale);
        }
        alone(control, next)
    }

    /// A duplicate is dropped, by its sequence number or because the page is there.
    pub(crate) fn deliver_echo(&self, control: &Control, page: &Page) -> AfterPage {
        let next = Page { echo: Holding::Absent, ..*page };
        if page.echo.is_held() { alone(control, next) } else { None }
    }

    /// Content reaches the destination. What the dirty map said was owed is owed no more, and the owner's
    /// copy is dead.
    pub(crate) fn install(&self, control: &Control, page: &mut Page, content: Currency) {
        page.destination = Holding::Held(content);
        let owed = matches!(page.plan, Plan::FromSource | Plan::FromThird | Plan::FromStore);
        if owed && !before_dirty_map(control) {
            self.settle(page);
        }
    }

    /// The page is where it is needed, and nowhere else.
    fn settle(&self, page: &mut Page) {
        page.plan = Plan::Settled;
        page.source = Holding::Absent;
        page.third = Holding::Absent;
        page.waiting &= self.wakes_apart();
        page.asked = false;
        page.sent = false;
        if page.request == Transit::Lost(()) {
            page.request = Transit::Idle;
        }
    }

    /// Can the link keep a duplicate of a message about this page? One at a time.
    pub(super) fn duplicates(&self, page: &Page) -> bool {
        !page.echo.is_held() && !page.write_back_echo.is_held()
    }

    /// Is the content in flight an answer of the file server to the process's host at rest?
    pub(crate) fn fetched_home(&self, control: &Control, page: &Page) -> bool {
        control.phase.at_source() && page.plan == Plan::Undecided && !page.source.is_held()
    }

    /// Of the control message in flight, whatever it is.
    pub(crate) fn lose_message(&self, control: &Control) -> AfterControl {
        let in_flight = control.phase.message_in_flight() && !control.message_lost;
        in_flight.then_some(to(Control { message_lost: true, ..*control }))
    }

    /// By its sender's timer.
    pub(crate) fn resend_message(&self, control: &Control) -> AfterControl {
        control.message_lost.then_some(to(Control { message_lost: false, ..*control }))
    }

    /// A lost request that nobody waits for any more is gone for good.
    pub(crate) fn lose_request(&self, control: &Control, page: &Page) -> AfterPage {
        let request = if self.awaits_answer(control, page) { Transit::Lost(()) } else { Transit::Idle };
        if page.request == Transit::Flying(()) { alone(control, Page { request, ..*page }) } else { None }
    }

    /// By its sender's timer, or when the file server is in reach again.
    pub(crate) fn resend_request(&self, control: &Control, page: &Page) -> AfterPage {
        let request = Transit::Flying(());
        if page.request == Transit::Lost(()) { alone(control, Page { request, ..*page }) } else { None }
    }

    /// The newest one.
    pub(crate) fn lose_page(&self, control: &Control, page: &Page) -> AfterPage {
        let Transit::Flying(content) = page.content else { return None };
        alone(control, Page { content: Transit::Lost(content), ..*page })
    }

    /// By its sender's timer.
    pub(crate) fn resend_page(&self, control: &Control, page: &Page) -> AfterPage {
        let Transit::Lost(content) = page.content else { return None };
        alone(control, Page { content: Transit::Flying(content), ..*page })
    }

    /// Or its acknowledgement.
    pub(crate) fn lose_write_back(&self, control: &Control, page: &Page) -> AfterPage {
        let write_back = match page.write_back {
            WriteBack::Sent(Transit::Flying(content)) => WriteBack::Sent(Transit::Lost(content)),
            WriteBack::Acknowledged(true) => WriteBack::Acknowledged(false),
            _ => return None,
        };
        alone(control, Page { write_back, ..*page })
    }

    /// The file server acknowledges again what it already has.
    pub(crate) fn resend_write_back(&self, control: &Control, page: &Page) -> AfterPage {
        let write_back = match page.write_back {
            WriteBack::Sent(Transit::Lost(content)) => WriteBack::Sent(Transit::Flying(content)),
            WriteBack::Acknowledged(false) => WriteBack::Acknowledged(true),
            _ => return None,
        };
        alone(control, Page { write_back, ..*page })
    }

    /// Does a request for the page go to the file server?
    pub(crate) fn asks_store(&self, control: &Control, page: &Page) -> bool {
        match control.phase.at_source() {
            true => page.plan == Plan::Undecided,
            false => page.plan == Plan::FromStore,
        }
    }

    /// Does the page's content in flight come from the file server?
    pub fn comes_from_store(&self, control: &Control, page: &Page) -> bool {
        self.asks_store(control, page) && !self.copy_at_process(control, page).is_held()
    }
}

/// Does the destination not have the dirty map yet?
pub(crate) fn before_dirty_map(control: &Control) -> bool {
    matches!(control.phase, Phase::PreCopy { .. } | Phase::Freeze | Phase::Offered | Phase::Entrusted)
}
