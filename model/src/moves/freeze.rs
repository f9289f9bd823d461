//! The process is suspended: the freeze transfer, the working set, and the state with the dirty map.

use super::pre_migration::is_owed_by_freeze;
use super::{AfterControl, AfterPage, alone, when};
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::defects::Defect;
use crate::migration::Migration;
use crate::page::{DirtyLog, Kind, Page, Plan, Transit, WriteBack};
use crate::strategy::{Clean, Freeze, Pre};
use crate::system::{Conditions, PageMove};

impl Migration {
    /// A page that the freeze owes. Lazy copy owes none, unless it carries pages back on a return.
    pub(super) fn send_frozen(&self, control: &Control, page: &Page) -> AfterPage {
        let owed = match control.returning {
            true => page.source.is_held() && !self.is_broken(Defect::ReturnEmptyHanded),
            false => is_owed_by_freeze(self.strategy.freeze, page) || self.is_broken(Defect::FreezeSendsAll),
        };
        if control.phase != Phase::Freeze || !owed || page.sent || page.write_back != WriteBack::Idle {
            return None;
        }
        let next = self.send_content(control, page, page.source)?;
        let sent = !matches!(self.strategy.pre, Pre::Copy(_)) || self.is_broken(Defect::FreezeSendsAll);
        alone(control, Page { log: DirtyLog::InStep, sent, ..next })
    }

    /// One code page and one stack page at most: any one may be the page that the pointer is in.
    pub(super) fn send_working_set(&self, control: &Control, page: &Page) -> AfterPage {
        let (code, stack) = (page.kind == Kind::FileMapped, page.kind == Kind::Private);
        let already_sent = (code && control.code_page_sent) || (stack && control.stack_page_sent);
        if control.phase != Phase::Freeze
            || !self.strategy.working_set
            || (already_sent && !self.is_broken(Defect::SwollenWorkingSet))
            || page.sent
            || page.write_back != WriteBack::Idle
        {
            return None;
        }
        let page = Page { sent: true, ..self.send_content(control, page, page.source)? };
        let control = Control {
            code_page_sent: control.code_page_sent || code,
            stack_page_sent: control.stack_page_sent || stack,
            ..*control
        };
        Some(PageMove { requires: Conditions::empty(), control, page })
    }

    /// When the freeze transfer is done, the state without pages goes, and the dirty map with it.
    pub(super) fn send_state(&self, control: &Control) -> AfterControl {
        if control.phase != Phase::Freeze {
            return None;
        }
        let carries = control.returning && !self.is_broken(Defect::ReturnEmptyHanded);
        let done = if carries { Condition::Carried } else { Condition::FreezeDone };
        when([done], control.saying(Phase::Offered))
    }

    /// The dirty map's entry for a page.
    pub(super) fn map_page(&self, control: &Control, page: &mut Page) {
        page.plan = self.plan(page);
        if control.returning && self.is_broken(Defect::ReturnEmptyHanded) {
            page.plan = Plan::Settled;
        }
        let left_behind = matches!(page.plan, Plan::FromSource | Plan::FromStore);
        if left_behind && !page.content.is_idle() {
            // A copy made by a pre-copy pass, modified since: the map makes it an older one.
            page.older += u8::from(matches!(page.content, Transit::Flying(_)));
            page.content = Transit::Idle;
        }
        page.log = DirtyLog::InStep;
        page.sent = false;
    }

    fn plan(&self, page: &Page) -> Plan {
        let clean = !page.dirty && page.write_back == WriteBack::Idle;
        let held_back = self.strategy.clean == Clean::LocalStore && clean;
        let pre_copied = matches!(self.strategy.pre, Pre::Copy(_)) && page.log == DirtyLog::InStep;
        if self.strategy.is_lazy() && page.third.is_held() {
            return Plan::FromThird;
        }
        if page.sent || (self.strategy.is_lazy() && page.destination.is_held()) {
            return Plan::Travelled;
        }
        if !page.source.is_held() && self.strategy.tracks_dirty() {
            return Plan::FromStore;
        }
        match self.strategy.freeze {
            Freeze::FlushModified => Plan::FromStore,
            Freeze::All | Freeze::Modified | Freeze::NotInStep if !held_back => Plan::Travelled,
            Freeze::None if self.is_broken(Defect::DropDirtyMap) => self.plan_without_dirty_map(),
            Freeze::None if self.is_broken(Defect::LiteralGeneric) && page.kind == Kind::FileMapped => {
                Plan::FromStore
            }
            _ if held_back => Plan::FromStore,
            _ if pre_copied => Plan::Travelled,
            _ => Plan::FromSource,
        }
    }

    /// What a destination would make of pages about which it was told nothing.
    fn plan_without_dirty_map(&self) -> Plan {
        match self.strategy.pre {
            Pre::Copy(_) => Plan::Travelled,
            Pre::None | Pre::WriteBack => Plan::FromStore,
        }
    }
}
