//! The process at work: it writes, it touches missing pages, it exits.

use super::{AfterControl, AfterPage, alone, freely, when};
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::defects::Defect;
use crate::migration::Migration;
use crate::page::{Currency, DirtyLog, Holding, Kind, Page, Plan};
use crate::strategy::{Freeze, Pre};

impl Migration {
    /// The writer's copy becomes the current one, every other copy, message and image stale.
    pub(super) fn write(&self, control: &Control, page: &Page) -> AfterPage {
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
        if matches!(control.phase, Phase::PreCopy { .. })
            && page.log == DirtyLog::InStep
            && !self.is_broken(Defect::ForgetRedirtied)
        {
            next.log = DirtyLog::Redirtied;
        }
        alone(control, next)
    }

    /// The replica on the local disk serves the fault at once.
    pub(super) fn load_local(&self, control: &Control, page: &Page) -> AfterPage {
        if !self.is_missing_from_store(control, page) || self.is_on_file_server(page) {
            return None;
        }
        let image = if self.is_broken(Defect::DivergingReplica) { Currency::Stale } else { page.store };
        let mut next = *page;
        *self.copy_at_process_mut(control, &mut next) = Holding::Held(image);
        next.plan = if control.phase.at_source() { Plan::Undecided } else { Plan::Settled };
        alone(control, next)
    }

    /// The fault becomes a request to the page's owner or to the file server. Other threads run on.
    pub(super) fn fault(&self, control: &Control, page: &Page) -> AfterPage {
        let from_store = self.is_missing_from_store(control, page) && self.is_on_file_server(page);
        let from_host = !control.phase.at_source()
            && control.runs()
            && matches!(page.plan, Plan::FromSource | Plan::FromThird)
            && !page.destination.is_held();
        if !(from_store || from_host) || page.waiting {
            return None;
        }
        let request = if from_store { control.to_store(()) } else { control.on_link(()) };
        alone(control, Page { waiting: true, request, ..*page })
    }

    /// Possible whenever the process runs; a process with write-backs waits for the last one, as a
    /// closing `munmap` would.
    pub(super) fn exit(&self, control: &Control) -> AfterControl {
        if !control.runs() {
            return None;
        }
        let gone = match control.phase {
            Phase::Rest => Control::GONE,
            _ => Control { aftermath: control.aftermath.at_exit(), ..Control::GONE }.saying(Phase::Exiting),
        };
        if self.strategy.pre == Pre::WriteBack { when([Condition::WrittenBack], gone) } else { freely(gone) }
    }

    pub(super) fn deliver_exit(&self, control: &Control) -> AfterControl {
        (control.phase == Phase::Exiting && !control.message_lost).then_some(Control::GONE).and_then(freely)
    }

    /// The copy that the process's accesses go to.
    pub(crate) fn copy_at_process(&self, control: &Control, page: &Page) -> Holding {
        if control.phase.at_source() { page.source } else { page.destination }
    }

    pub(super) fn copy_at_process_mut<'a>(&self, control: &Control, page: &'a mut Page) -> &'a mut Holding {
        if control.phase.at_source() { &mut page.source } else { &mut page.destination }
    }

    fn is_missing_from_store(&self, control: &Control, page: &Page) -> bool {
        let left_to_store = match control.phase.at_source() {
            true => page.plan == Plan::Undecided,
            false => page.plan == Plan::FromStore,
        };
        control.runs() && left_to_store && !self.copy_at_process(control, page).is_held()
    }

    /// Is the page's backing store the file server (and not the replica that each host has)?
    pub(crate) fn is_on_file_server(&self, page: &Page) -> bool {
        self.strategy.freeze == Freeze::FlushModified
            || (self.strategy.pre == Pre::WriteBack && page.kind == Kind::FileMapped)
    }

    pub(crate) fn is_at_rest(&self, control: &Control) -> bool {
        control.process == self.strategy.resting()
    }
}
