//! Write-backs to the file server, and faults that it serves.
//!
//! A write-back carries its page's version. The server never replaces newer content by older, and
//! acknowledges either way; a duplicate is the only way in which an older one can come late, since a
//! host sends the next write-back of a page only when the last one is acknowledged.

use super::{AfterPage, alone};
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Holding, Kind, Page, Transit, WriteBack};
use crate::strategy::{Freeze, Pre};

impl Migration {
    /// From the process's host; under flushing from the source, during the freeze. A page that the freeze
    /// has sent takes its duty along, and between the dirty map and the hand-over no write-back starts: so
    /// the map stays true, and no two hosts ever have a write-back of one page under way.
    pub(crate) fn write_back(&self, control: &Control, page: &Page) -> AfterPage {
        let holder = match control.phase {
            Phase::Freeze if page.sent => Holding::Absent,
            Phase::Rest | Phase::Announced | Phase::Expected | Phase::Freeze => page.source,
            Phase::Running | Phase::Completing | Phase::Departing => page.destination,
            _ => Holding::Absent,
        };
        let flushes = self.strategy.freeze == Freeze::FlushModified && control.phase == Phase::Freeze;
        let writes_back = self.is_written_back(page);
        let Holding::Held(content) = holder else { return None };
        if !(flushes || writes_back) || !page.dirty || page.write_back != WriteBack::Idle {
            return None;
        }
        let write_back = WriteBack::Sent(Transit::Flying(content));
        alone(control, Page { dirty: false, write_back, ..*page })
    }

    /// Is the page written back all along?
    pub(crate) fn is_written_back(&self, page: &Page) -> bool {
        self.strategy.pre == Pre::WriteBack && page.kind == Kind::FileMapped
    }

    /// It is stored and acknowledged.
    pub(crate) fn store(&self, control: &Control, page: &Page) -> AfterPage {
        let WriteBack::Sent(Transit::Flying(store)) = page.write_back else { return None };
        alone(control, Page { store, write_back: WriteBack::Acknowledged(true), ..*page })
    }

    /// The same, and the link keeps a duplicate of the write-back.
    pub(crate) fn duplicate_store(&self, control: &Control, page: &Page) -> AfterPage {
        let WriteBack::Sent(Transit::Flying(content)) = page.write_back else { return None };
        let stored = self.store(control, page)?.page;
        if !self.duplicates(page) {
            return None;
        }
        alone(control, Page { write_back_echo: Holding::Held(content), ..stored })
    }

    /// A duplicate is no newer than what is stored: the version says so, and it is dropped.
    pub(crate) fn store_echo(&self, control: &Control, page: &Page) -> AfterPage {
        let next = Page { write_back_echo: Holding::Absent, ..*page };
        if page.write_back_echo.is_held() { alone(control, next) } else { None }
    }

    /// The page's host hears that it is stored.
    pub(crate) fn deliver_acknowledgement(&self, control: &Control, page: &Page) -> AfterPage {
        let next = Page { write_back: WriteBack::Idle, ..*page };
        if page.write_back == WriteBack::Acknowledged(true) { alone(control, next) } else { None }
    }

    /// The file server answers a fault with what it holds.
    pub(crate) fn serve_from_store(&self, control: &Control, page: &Page) -> AfterPage {
        if !self.asks_store(control, page) || page.request != Transit::Flying(()) {
            return None;
        }
        let content = Transit::Flying(page.store);
        alone(control, Page { request: Transit::Idle, content, ..*page })
    }
}
