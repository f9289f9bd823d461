//! The process is suspended: the freeze transfer, the working set, and the state with the dirty map.

use super::{AfterControl, AfterPage, alone, to};
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{DirtyLog, Kind, Page, Plan, Transit, WriteBack};
use crate::strategy::{Clean, Freeze, Pre};
use crate::system::{Conditions, PageMove};

impl Migration {
    /// A page that the freeze owes. Lazy copy owes none, unless it carries pages back on a return.
    pub(crate) fn send_frozen(&self, control: &Control, page: &Page) -> AfterPage {
        let owed = match self.strategy.freeze {
            _ if control.returning => page.source.is_held(),
            Freeze::All => true,
            Freeze::Modified => page.dirty,
            Freeze::NotInStep => page.log != DirtyLog::InStep,
            Freeze::FlushModified | Freeze::None => false,
        };
        if owed { self.send_while_frozen(control, page) } else { None }
    }

    pub(crate) fn send_while_frozen(&self, control: &Control, page: &Page) -> AfterPage {
        let unable = control.phase != Phase::Freeze || control.switched;
        if unable || page.sent || page.write_back != WriteBack::Idle {
            return None;
        }
        let sent = !matches!(self.strategy.pre, Pre::Copy(_));
        alone(control, Page { log: DirtyLog::InStep, sent, ..self.send_content(page, page.source)? })
    }

    /// One code page and one stack page at most: any one may be the page that the pointer is in.
    pub(crate) fn send_working_set(&self, control: &Control, page: &Page) -> AfterPage {
        let (code, stack) = (page.kind == Kind::FileMapped, page.kind == Kind::Private);
        let already_sent = (code && control.code_page_sent) || (stack && control.stack_page_sent);
        if control.phase != Phase::Freeze || already_sent || page.sent || page.write_back != WriteBack::Idle {
            return None;
        }
        let page = Page { sent: true, ..self.send_content(page, page.source)? };
        let control = Control {
            code_page_sent: control.code_page_sent || code,
            stack_page_sent: control.stack_page_sent || stack,
            ..*control
        };
        Some(PageMove { requires: Conditions::empty(), control, page })
    }

    /// When the freeze transfer is done, the state without pages goes, and the dirty map with it.
    pub(crate) fn send_state(&self, control: &Control) -> AfterControl {
        if control.phase != Phase::Freeze {
            return None;
        }
        let done = if control.returning { Condition::Carried } else { Condition::FreezeDone };
        let sent = to(Control { phase: self.phase_of_state(), ..*control }).each(Migration::map_page);
        Some(if control.switched { sent } else { sent.when(done) })
    }

    /// The dirty map's entry for a page.
    fn map_page(&self, _: &Control, page: &mut Page) {
        page.plan = self.plan(page);
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
            _ if self.is_left_by_switch(page) => Plan::FromSource,
            Freeze::All | Freeze::Modified | Freeze::NotInStep if !held_back => Plan::Travelled,
            _ if held_back => Plan::FromStore,
            _ if pre_copied => Plan::Travelled,
            _ => Plan::FromSource,
        }
    }
}
