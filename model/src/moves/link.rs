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

use super::{AfterControl, AfterPage, alone, freely};
use crate::control::{Control, Phase};
use crate::defects::Defect;
use crate::disruption::{Connection, Leftover};
use crate::migration::{Link, Migration};
use crate::page::{Currency, Holding, Kind, Page, Plan, Transit, WriteBack};

impl Migration {
    /// The newest content message arrives, at the host where the process lacks it.
    pub(super) fn deliver_page(&self, control: &Control, page: &Page, duplicated: bool) -> AfterPage {
        let Transit::Flying(content) = page.content else { return None };
        let behind_go = control.phase == Phase::Committed;
        if (self.link == Link::Fifo && (page.older > 0 || behind_go))
            || (duplicated && !self.duplicates(page))
            || self.is_behind_aborted(control, page)
        {
            return None;
        }
        let mut next = Page { content: Transit::Idle, ..*page };
        if duplicated {
            next.echo = Holding::Held(content);
        }
        if self.fetched_home(control, page) {
            next.source = Holding::Held(content);
            next.waiting = false;
        } else {
            self.install(control, &mut next, content);
        }
        alone(control, next)
    }

    /// An earlier message arrives. Its sequence number tells the destination whether it has the page, or
    /// was told of, a newer content.
    pub(super) fn deliver_older(&self, control: &Control, page: &Page) -> AfterPage {
        let older = page.older.checked_sub(1)?;
        if self.is_behind_aborted(control, page) {
            return None;
        }
        let mut next = Page { older, ..*page };
        let newest_here = page.content.is_idle() && !matches!(page.plan, Plan::FromSource | Plan::FromStore);
        if (before_dirty_map(control) && !newest_here) || self.is_broken(Defect::NoSequenceNumbers) {
            self.install(control, &mut next, Currency::Stale);
        }
        alone(control, next)
    }

    /// A duplicate is dropped, by its sequence number or because the page is there.
    pub(super) fn deliver_echo(&self, control: &Control, page: &Page) -> AfterPage {
        let Holding::Held(content) = page.echo else { return None };
        if self.is_behind_aborted(control, page) {
            return None;
        }
        let mut next = Page { echo: Holding::Absent, ..*page };
        let owed = page.plan == Plan::FromSource && !page.destination.is_held();
        if self.is_broken(Defect::NoSequenceNumbers) && (owed || before_dirty_map(control)) {
            self.install(control, &mut next, content);
        }
        alone(control, next)
    }

    /// Content reaches the destination. What the dirty map said was owed is owed no more, and the owner's
    /// copy is dead.
    pub(super) fn install(&self, control: &Control, page: &mut Page, content: Currency) {
        page.destination = Holding::Held(content);
        let owed = matches!(page.plan, Plan::FromSource | Plan::FromThird | Plan::FromStore);
        if owed && !before_dirty_map(control) {
            page.plan = Plan::Settled;
            page.source = Holding::Absent;
            page.third = Holding::Absent;
            page.waiting = false;
            page.asked = false;
            page.sent = false;
            if page.request == Transit::Lost(()) {
                page.request = Transit::Idle;
            }
        }
        if self.is_broken(Defect::ClearDirtyOnArrival)
            || (self.is_broken(Defect::ForgetWriteBackDuty) && page.kind == Kind::FileMapped)
        {
            page.dirty = false;
        }
    }

    /// Must a message of this attempt wait for what an aborted one has left? The destination forgets that attempt
    /// before it takes up this one; and a FIFO link delivers its messages first.
    fn is_behind_aborted(&self, control: &Control, page: &Page) -> bool {
        let left =
            control.aftermath.leftover != Leftover::None || (self.link == Link::Fifo && page.stray.is_held());
        left && control.phase.can_abort() && !self.fetched_home(control, page)
    }

    /// Can the link keep a duplicate of a message about this page? One at a time.
    pub(super) fn duplicates(&self, page: &Page) -> bool {
        self.link == Link::Lossy && !page.echo.is_held() && !page.write_back_echo.is_held()
    }

    /// Is the content in flight an answer of the file server to the process's host at rest?
    pub(super) fn fetched_home(&self, control: &Control, page: &Page) -> bool {
        control.phase.at_source() && page.plan == Plan::Undecided && !page.source.is_held()
    }

    pub(super) fn lose_message(&self, control: &Control) -> AfterControl {
        let in_flight = control.phase.message_in_flight() && !control.message_lost;
        (self.link == Link::Lossy && in_flight)
            .then_some(Control { message_lost: true, ..*control })
            .and_then(freely)
    }

    pub(super) fn resend_message(&self, control: &Control) -> AfterControl {
        let resends = control.message_lost && control.aftermath.is_connected();
        resends.then_some(Control { message_lost: false, ..*control }).and_then(freely)
    }

    /// A lost request that nobody waits for any more is gone for good.
    pub(super) fn lose_request(&self, control: &Control, page: &Page) -> AfterPage {
        // While a connection is set up, nothing on it is lost.
        let resyncing =
            control.aftermath.connection == Connection::Resyncing && !self.asks_store(control, page);
        if self.link != Link::Lossy || page.request != Transit::Flying(()) || resyncing {
            return None;
        }
        let request = if page.waiting { Transit::Lost(()) } else { Transit::Idle };
        alone(control, Page { request, ..*page })
    }

    pub(super) fn resend_request(&self, control: &Control, page: &Page) -> AfterPage {
        let reached = self.is_reached(control, self.asks_store(control, page));
        (reached && page.request == Transit::Lost(()))
            .then_some(Page { request: Transit::Flying(()), ..*page })
            .and_then(|next| alone(control, next))
    }

    pub(super) fn lose_page(&self, control: &Control, page: &Page) -> AfterPage {
        let Transit::Flying(content) = page.content else { return None };
        if self.link != Link::Lossy {
            return None;
        }
        alone(control, Page { content: Transit::Lost(content), ..*page })
    }

    pub(super) fn resend_page(&self, control: &Control, page: &Page) -> AfterPage {
        let Transit::Lost(content) = page.content else { return None };
        if !self.is_reached(control, self.comes_from_store(control, page)) {
            return None;
        }
        alone(control, Page { content: Transit::Flying(content), ..*page })
    }

    pub(super) fn lose_write_back(&self, control: &Control, page: &Page) -> AfterPage {
        let lost = match page.write_back {
            WriteBack::Sent(Transit::Flying(content)) => WriteBack::Sent(Transit::Lost(content)),
            WriteBack::Acknowledged(true) => WriteBack::Acknowledged(false),
            _ => return None,
        };
        if self.link != Link::Lossy {
            return None;
        }
        alone(control, Page { write_back: lost, ..*page })
    }

    /// The file server acknowledges again what it already has.
    pub(super) fn resend_write_back(&self, control: &Control, page: &Page) -> AfterPage {
        let write_back = match page.write_back {
            WriteBack::Sent(Transit::Lost(content)) => WriteBack::Sent(Transit::Flying(content)),
            WriteBack::Acknowledged(false) => WriteBack::Acknowledged(true),
            _ => return None,
        };
        if control.aftermath.store_down {
            return None;
        }
        alone(control, Page { write_back, ..*page })
    }

    /// Does a message get through to, or from, the file server or the other host?
    fn is_reached(&self, control: &Control, store: bool) -> bool {
        if store { !control.aftermath.store_down } else { control.aftermath.is_connected() }
    }

    /// Does a request for the page go to the file server?
    pub(super) fn asks_store(&self, control: &Control, page: &Page) -> bool {
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
pub(super) fn before_dirty_map(control: &Control) -> bool {
    matches!(control.phase, Phase::PreCopy { .. } | Phase::Freeze | Phase::Offered)
}
