//! Write-backs to the file server, and faults that it serves.
//!
//! A write-back carries its page's version. The server never replaces newer content by older, and
//! acknowledges either way; a duplicate is the only way in which an older one can come late, since a
//! host sends the next write-back of a page only when the last one is acknowledged.

use super::{AfterPage, alone};
use crate::control::{Control, Phase};
use crate::defects::Defect;
use crate::migration::Migration;
use crate::page::{Currency, Holding, Kind, Page, Plan, Transit, WriteBack};
use crate::strategy::{Freeze, Pre};

impl Migration {
    /// From the process's host; under flushing from the source, during the freeze. A page that the freeze
    /// has sent takes its duty along, and between the dirty map and the hand-over no write-back starts: so
    /// the map stays true, and no two hosts ever have a write-back of one page under way.
    pub(super) fn write_back(&self, control: &Control, page: &Page) -> AfterPage {
        let holder = match control.phase {
            Phase::Freeze if page.sent && !self.is_broken(Defect::WriteBackAfterSent) => Holding::Absent,
            // A source goes on until it hears that the destination has forgotten the attempt.
            Phase::Rest | Phase::Freeze | Phase::Forgotten => page.source,
            Phase::Running | Phase::Completing | Phase::Departing => page.destination,
            _ => Holding::Absent,
        };
        let freezing = matches!(control.phase, Phase::Freeze | Phase::Forgotten);
        let flushes = self.strategy.freeze == Freeze::FlushModified && freezing;
        let writes_back = self.strategy.pre == Pre::WriteBack
            && page.kind == Kind::FileMapped
            && !self.is_broken(Defect::NeverWriteBack);
        let Holding::Held(content) = holder else { return None };
        if !(flushes || writes_back) || !page.dirty || page.write_back != WriteBack::Idle {
            return None;
        }
        let write_back = WriteBack::Sent(control.to_store(content));
        alone(control, Page { dirty: false, write_back, ..*page })
    }

    pub(super) fn store(&self, control: &Control, page: &Page, duplicated: bool) -> AfterPage {
        let WriteBack::Sent(Transit::Flying(content)) = page.write_back else { return None };
        if duplicated && !self.duplicates(page) {
            return None;
        }
        let store = if self.is_broken(Defect::AcknowledgeUnstored) { page.store } else { content };
        let write_back_echo = if duplicated { Holding::Held(content) } else { page.write_back_echo };
        alone(control, Page { store, write_back: WriteBack::Acknowledged(true), write_back_echo, ..*page })
    }

    /// A duplicate is no newer than what is stored: the version says so, and it is dropped.
    pub(super) fn store_echo(&self, control: &Control, page: &Page) -> AfterPage {
        let Holding::Held(content) = page.write_back_echo else { return None };
        let store = if self.is_broken(Defect::StoreOlder) { content } else { page.store };
        alone(control, Page { store, write_back_echo: Holding::Absent, ..*page })
    }

    pub(super) fn deliver_acknowledgement(&self, control: &Control, page: &Page) -> AfterPage {
        (page.write_back == WriteBack::Acknowledged(true))
            .then_some(Page { write_back: WriteBack::Idle, ..*page })
            .and_then(|next| alone(control, next))
    }

    /// The file server answers a fault with what it holds.
    pub(super) fn serve_from_store(&self, control: &Control, page: &Page) -> AfterPage {
        let to_store = match control.phase.at_source() {
            true => page.plan == Plan::Undecided,
            false => page.plan == Plan::FromStore,
        };
        if !to_store || page.request != Transit::Flying(()) {
            return None;
        }
        let content: Currency = page.store;
        alone(control, Page { request: Transit::Idle, content: Transit::Flying(content), ..*page })
    }
}
