//! The process at work: it writes, it touches missing pages, it exits.

use super::{AfterControl, AfterPage, alone, to};
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Currency, Holding, Page, Plan, Transit};
use crate::strategy::{Freeze, Pre};

impl Migration {
    /// The writer's copy becomes the current one, every other copy, message and image stale.
    pub(crate) fn write(&self, control: &Control, page: &Page) -> AfterPage {
        if !control.runs() || !self.copy_at_process(control, page).is_held() {
            return None;
        }
        let mut next = *page;
        next.outdate();
        *self.copy_at_process_mut(control, &mut next) = Holding::Held(Currency::Current);
        if self.strategy.tracks_dirty() {
            next.store = Currency::Stale;
            next.dirty = true;
        }
        if matches!(control.phase, Phase::PreCopy { .. }) {
            next.log = self.logged(page.log);
        }
        alone(control, next)
    }

    /// The replica on the local disk serves the fault at once.
    pub(crate) fn load_local(&self, control: &Control, page: &Page) -> AfterPage {
        if !self.is_missing_from_store(control, page) || self.is_on_file_server(page) {
            return None;
        }
        let mut next = *page;
        *self.copy_at_process_mut(control, &mut next) = Holding::Held(page.store);
        next.plan = if control.phase.at_source() { Plan::Undecided } else { Plan::Settled };
        alone(control, next)
    }

    /// The fault becomes a request to the page's owner or to the file server. Other threads run on.
    pub(crate) fn fault(&self, control: &Control, page: &Page) -> AfterPage {
        let from_store = self.is_missing_from_store(control, page) && self.is_on_file_server(page);
        let from_host = !control.phase.at_source()
            && control.runs()
            && matches!(page.plan, Plan::FromSource | Plan::FromThird)
            && !page.destination.is_held();
        if !(from_store || from_host) || page.waiting {
            return None;
        }
        alone(control, Page { waiting: true, request: Transit::Flying(()), ..*page })
    }

    /// Possible whenever the process runs; a process with write-backs waits for the last one, as a
    /// closing `munmap` would.
    pub(crate) fn exit(&self, control: &Control) -> AfterControl {
        let phase = if control.phase == Phase::Rest { Phase::Exited } else { Phase::Exiting };
        let gone = to(Control { phase, ..Control::GONE }).each(|_, _, page| *page = Page::GONE);
        let gone = if self.strategy.pre == Pre::WriteBack { gone.when(Condition::WrittenBack) } else { gone };
        control.runs().then_some(gone)
    }

    /// The former host frees everything.
    pub(crate) fn deliver_exit(&self, control: &Control) -> AfterControl {
        (control.phase == Phase::Exiting && !control.message_lost).then_some(to(Control::GONE))
    }

    /// The copy that the process's accesses go to.
    pub(crate) fn copy_at_process(&self, control: &Control, page: &Page) -> Holding {
        if control.phase.at_source() { page.source } else { page.destination }
    }

    pub(crate) fn copy_at_process_mut<'a>(&self, control: &Control, page: &'a mut Page) -> &'a mut Holding {
        if control.phase.at_source() { &mut page.source } else { &mut page.destination }
    }

    fn is_missing_from_store(&self, control: &Control, page: &Page) -> bool {
        control.runs() && self.asks_store(control, page) && !self.copy_at_process(control, page).is_held()
    }

    /// Is the page's backing store the file server (and not the replica that each host has)?
    pub fn is_on_file_server(&self, page: &Page) -> bool {
        self.strategy.freeze == Freeze::FlushModified || self.is_written_back(page)
    }

    pub(crate) fn is_at_rest(&self, control: &Control) -> bool {
        control.process == self.strategy.resting()
    }
}
