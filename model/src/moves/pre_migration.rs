//! A migration starts; pages are copied while the process still runs.

use std::mem::swap;

use super::{AfterControl, AfterPage, alone, to};
use crate::condition::Condition;
use crate::control::{Control, Phase, Process};
use crate::migration::Migration;
use crate::page::{DirtyLog, Holding, Page, Plan, Transit};
use crate::strategy::{Clean, Passes, Pre, Stop};

impl Migration {
    /// To the host at the other end of the last migration.
    pub(crate) fn migrate_back(&self, control: &Control) -> AfterControl {
        let returning = control.phase == Phase::Running && self.strategy.is_lazy();
        let started = self.started(control)?;
        let started = Control { returning, ..started };
        Some(to(started).when(Condition::Quiet).each(Migration::begin_back))
    }

    /// To the third host.
    pub(crate) fn migrate_onward(&self, control: &Control) -> AfterControl {
        Some(to(self.started(control)?).when(Condition::Quiet).each(Migration::begin_onward))
    }

    /// Only from rest, but for lazy copy, which may move on while pages are still elsewhere; faults are
    /// served first.
    pub(super) fn started(&self, control: &Control) -> Option<Control> {
        let may_start = match control.phase {
            Phase::Rest => true,
            Phase::Running => self.strategy.is_lazy(),
            _ => false,
        };
        let started = match self.strategy.pre {
            Pre::Copy(_) => {
                Control { phase: Phase::PreCopy { pass: 1 }, ..Control::at_rest(Process::PreMigration) }
            }
            Pre::None | Pre::WriteBack => FROZEN,
        };
        (may_start && control.runs()).then_some(started)
    }

    /// What the start of a migration does to a page: roles move on, and the dirty log starts afresh.
    pub(super) fn begin_back(&self, control: &Control, page: &mut Page) {
        if control.phase == Phase::Running {
            swap(&mut page.source, &mut page.destination);
        }
        let stays_behind = self.strategy.clean == Clean::LocalStore && !page.dirty;
        let copies = matches!(self.strategy.pre, Pre::Copy(_)) && !stays_behind;
        *page = Page {
            log: if copies && page.source.is_held() { self.due_in_pass() } else { DirtyLog::InStep },
            plan: Plan::Undecided,
            sent: false,
            // A duplicate of a request that was answered is none of the new migration.
            request: Transit::Idle,
            crossings: 0,
            ..*page
        };
    }

    fn begin_onward(&self, control: &Control, page: &mut Page) {
        self.begin_back(control, page);
        swap(&mut page.destination, &mut page.third);
    }

    /// The next pass takes up what was modified after it was sent in the last one.
    pub(crate) fn next_pass(&self, control: &Control) -> AfterControl {
        let Phase::PreCopy { pass } = control.phase else { return None };
        let pass = match self.strategy.pre {
            Pre::Copy(Passes::AtMost(passes)) if pass < passes => pass + 1,
            Pre::Copy(Passes::Unbounded) => pass,
            _ => return None,
        };
        let next = to(Control { phase: Phase::PreCopy { pass }, ..*control }).each(Migration::begin_pass);
        Some(if self.strategy.real.stop == Stop::Passes { next.when(Condition::NotDue) } else { next })
    }

    fn begin_pass(&self, _: &Control, page: &mut Page) {
        if matches!(page.log, DirtyLog::Redirtied | DirtyLog::DueAgain) {
            page.log = self.due_in_pass();
        }
    }

    /// At the end of a pass; without a bound on passes, only when every page is in step. A [target](crate::strategy::Stop)
    /// is reached at any moment.
    pub(crate) fn suspend(&self, control: &Control) -> AfterControl {
        let Phase::PreCopy { .. } = control.phase else { return None };
        Some(match (self.strategy.real.stop, self.strategy.pre) {
            (Stop::Target | Stop::Switch, _) => to(FROZEN).each(Migration::end_pass),
            (Stop::Passes, Pre::Copy(Passes::Unbounded)) => to(FROZEN).when(Condition::InStep),
            (Stop::Passes, _) => to(FROZEN).when(Condition::NotDue),
        })
    }

    /// Each page at most once a pass. The link takes only so many messages of one page at a time.
    pub(crate) fn copy(&self, control: &Control, page: &Page) -> AfterPage {
        let Phase::PreCopy { .. } = control.phase else { return None };
        let log = match page.log {
            DirtyLog::Due => DirtyLog::InStep,
            DirtyLog::DueAgain => DirtyLog::Redirtied,
            _ => return None,
        };
        if !page.source.is_held() {
            return None;
        }
        alone(control, Page { log, ..self.send_content(page, page.source)? })
    }

    /// The page with its content put on the link; `None` while the link is full of earlier ones.
    pub(crate) fn send_content(&self, page: &Page, from: Holding) -> Option<Page> {
        let Holding::Held(content) = from else { return None };
        let overtaken = matches!(page.content, Transit::Flying(_));
        if overtaken && page.older == self.older_max() {
            return None;
        }
        Some(Page {
            content: Transit::Flying(content),
            older: page.older + u8::from(overtaken),
            crossings: self.count_crossing(page.crossings),
            ..*page
        })
    }

    /// As many messages of one page as the algorithm can send; back-pressure where nothing bounds them.
    fn older_max(&self) -> u8 {
        match self.strategy.crossings_max() {
            Some(crossings) => crossings.max(1),
            None => 1,
        }
    }
}

pub(super) const FROZEN: Control =
    Control { phase: Phase::Freeze, source_runs: false, ..Control::at_rest(Process::Migration) };
