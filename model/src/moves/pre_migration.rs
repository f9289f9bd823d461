//! A migration starts; pages are copied while the process still runs.

use super::{AfterControl, AfterPage, alone, freely, when};
use crate::condition::Condition;
use crate::control::{Control, Phase, Process};
use crate::defects::Defect;
use crate::disruption::{Aftermath, Connection};
use crate::migration::{Hosts, Migration};
use crate::page::{DirtyLog, Holding, Page, Plan, Transit};
use crate::step::ControlStep;
use crate::strategy::{Clean, Freeze, Passes, Pre};

impl Migration {
    /// To the host at the other end of the last migration.
    pub(super) fn migrate_back(&self, control: &Control) -> AfterControl {
        self.migrate(control, control.phase == Phase::Running && self.strategy.is_lazy())
    }

    /// To the third host.
    pub(super) fn migrate_onward(&self, control: &Control) -> AfterControl {
        if self.hosts == Hosts::Three { self.migrate(control, false) } else { None }
    }

    /// Only from rest, but for lazy copy, which may move on while pages are still elsewhere; faults are
    /// served first.
    fn migrate(&self, control: &Control, returning: bool) -> AfterControl {
        let may_start = match control.phase {
            Phase::Rest => true,
            Phase::Running => self.strategy.is_lazy() || self.is_broken(Defect::MigrateWhileOwed),
            _ => false,
        };
        if !may_start || !control.runs() || !control.aftermath.is_connected() {
            return None;
        }
        let started = match self.strategy.pre {
            Pre::Copy(_) => {
                Control { phase: Phase::PreCopy { pass: 1 }, ..Control::at_rest(Process::PreMigration) }
            }
            Pre::None | Pre::WriteBack => Control { returning, ..self.frozen(control) },
        };
        let began_returned = returning && control.returning && !self.disruptions.is_none();
        let aftermath = Aftermath { began_returned, ..control.aftermath.for_next_attempt() };
        let started = Control { aftermath, ..started };
        when([Condition::Quiet], started)
    }

    /// What the start of a migration does to a page: roles move on, and the dirty log starts afresh.
    pub(super) fn begin(&self, step: ControlStep, control: &Control, page: &mut Page) {
        let (former, here, third) = match control.phase {
            Phase::Running => (page.source, page.destination, page.third),
            _ => (page.destination, page.source, page.third),
        };
        let (destination, third) =
            if step == ControlStep::MigrateOnward { (third, former) } else { (former, third) };
        let stays_behind = self.strategy.clean == Clean::LocalStore && !page.dirty;
        let trusted = page.sent && self.is_broken(Defect::RetryTrustsLog);
        let copies = matches!(self.strategy.pre, Pre::Copy(_)) && !trusted;
        *page = Page {
            source: here,
            destination,
            third,
            log: if copies && !stays_behind && here.is_held() { DirtyLog::Due } else { DirtyLog::InStep },
            plan: Plan::Undecided,
            sent: false,
            // A duplicate of a request that was answered is none of the new migration.
            request: Transit::Idle,
            crossings: 0,
            ..*page
        };
    }

    /// The next pass takes up what was modified after it was sent in the last one.
    pub(super) fn next_pass(&self, control: &Control) -> AfterControl {
        let Phase::PreCopy { pass } = control.phase else { return None };
        let pass = match self.strategy.pre {
            Pre::Copy(Passes::AtMost(passes)) if pass < passes => pass + 1,
            Pre::Copy(Passes::Unbounded) => pass,
            _ => return None,
        };
        when([Condition::NotDue], Control { phase: Phase::PreCopy { pass }, ..*control })
    }

    pub(super) fn begin_pass(&self, page: &mut Page) {
        if page.log == DirtyLog::Redirtied {
            page.log = DirtyLog::Due;
        }
    }

    /// At the end of a pass; without a bound on passes, only when every page is in step. A source that has not
    /// heard that the destination has forgotten the attempt suspends the process in vain.
    pub(super) fn suspend(&self, control: &Control) -> AfterControl {
        let in_vain = control.phase == Phase::Forgotten && control.process == Process::PreMigration;
        if in_vain && matches!(self.strategy.pre, Pre::Copy(_)) {
            return freely(Control { process: Process::Migration, source_runs: false, ..*control });
        }
        let Phase::PreCopy { .. } = control.phase else { return None };
        let condition = match self.strategy.pre {
            Pre::Copy(Passes::Unbounded) => Condition::InStep,
            _ => Condition::NotDue,
        };
        when([condition], self.frozen(control))
    }

    /// Each page at most once a pass. The link takes only so many messages of one page at a time.
    pub(super) fn copy(&self, control: &Control, page: &Page) -> AfterPage {
        let Phase::PreCopy { .. } = control.phase else { return None };
        if page.log != DirtyLog::Due || !page.source.is_held() {
            return None;
        }
        alone(control, Page { log: DirtyLog::InStep, ..self.send_content(control, page, page.source)? })
    }

    /// The page with its content put on the link; `None` while the link is full of earlier ones, and while a
    /// destination that has come back has not said what it needs.
    pub(super) fn send_content(&self, control: &Control, page: &Page, from: Holding) -> Option<Page> {
        let Holding::Held(content) = from else { return None };
        let overtaken = matches!(page.content, Transit::Flying(_));
        let full = overtaken && page.older == self.older_max();
        if full || control.aftermath.connection == Connection::Resyncing {
            return None;
        }
        Some(Page {
            content: control.on_link(content),
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

    /// Saturates one above the bound, which is enough to judge it; counts nothing where none exists.
    fn count_crossing(&self, crossings: u8) -> u8 {
        let recoveries_max = self.disruptions.budget();
        self.strategy.crossings_max().map_or(0, |bound| (crossings + 1).min(bound + recoveries_max + 1))
    }

    fn frozen(&self, control: &Control) -> Control {
        Control {
            phase: Phase::Freeze,
            source_runs: self.is_broken(Defect::RunOnAtSource),
            aftermath: control.aftermath,
            ..Control::at_rest(Process::Migration)
        }
    }
}

/// Does the freeze owe this page to the destination?
pub(super) fn is_owed_by_freeze(freeze: Freeze, page: &Page) -> bool {
    match freeze {
        Freeze::All => true,
        Freeze::Modified => page.dirty,
        Freeze::NotInStep => page.log != DirtyLog::InStep,
        Freeze::FlushModified | Freeze::None => false,
    }
}
