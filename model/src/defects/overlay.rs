//! What each defect makes of the sound steps: it leaves one out, takes one too early, asks less, or does something else
//! than it should. The protocol itself knows of no defect.
//!
//! Where a defect forgets to look at something, the sound step is told that it is not so.

use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::defects::Defect;
use crate::disruption::{Aftermath, Connection, Leftover};
use crate::migration::Migration;
use crate::moves::{AfterControl, AfterPage, LOST, before_dirty_map, to};
use crate::page::{Currency, DirtyLog, Holding, Kind, Page, Plan, WriteBack};
use crate::step::{ControlStep, PageStep};
use crate::strategy::Freeze;
use crate::system::{Conditions, PageMove};

impl Migration {
    /// The step, with its defect.
    pub(crate) fn control_step(&self, step: ControlStep, control: &Control) -> AfterControl {
        match self.defect {
            None => self.sound_control_step(step, control),
            Some(defect) => self.broken_control_step(defect, step, control),
        }
    }

    /// What the step does to a page; the control record is the one before the step.
    pub(crate) fn carried(&self, step: ControlStep, control: &Control, page: &Page) -> Page {
        let Some(step_taken) = self.control_step(step, control) else { return *page };
        let mut next = *page;
        (step_taken.effect)(self, control, &mut next);
        match self.defect {
            None => next,
            Some(defect) => {
                let aborts = aborts(control, &step_taken.taken.control);
                self.broken_effect(defect, step, aborts, control, page, next)
            }
        }
    }

    /// The step of a page, with its defect.
    pub(crate) fn page_step(&self, step: PageStep, control: &Control, page: &Page) -> AfterPage {
        match self.defect {
            None => self.sound_page_step(step, control, page),
            Some(defect) => self.broken_page_step(defect, step, control, page),
        }
    }

    /// The conditions that a page record meets, with the defect of who looks at it.
    pub(crate) fn conditions_of(&self, page: &Page) -> Conditions {
        let sound = self.sound_conditions(page);
        match self.defect {
            Some(Defect::FlushUnacknowledged)
                if self.strategy.freeze == Freeze::FlushModified && !page.dirty =>
            {
                sound | Condition::FreezeDone
            }
            _ => sound,
        }
    }

    /// Does the defect take a step for which the protocol has no occasion here?
    pub(crate) fn adds(&self, step: ControlStep) -> bool {
        self.defect == Some(Defect::LostOnTimeOut) && step == ControlStep::Fence
    }

    fn broken_control_step(&self, defect: Defect, step: ControlStep, control: &Control) -> AfterControl {
        use ControlStep::*;
        let told = |lie: Control| self.sound_control_step(step, &lie);
        let sound = told(*control);
        let Aftermath { connection, leftover, destination_down, .. } = control.aftermath;
        let broken = connection == Connection::Broken;
        let phase = control.phase;
        match (defect, step) {
            (Defect::CommitForgotten, Commit) | (Defect::ResyncUnanswered, DeliverResync) => return None,
            (Defect::DoubtUnanswered, DeliverCancel) if leftover == Leftover::InDoubt => return None,
            (Defect::MigrateWhileOwed, MigrateBack | MigrateOnward) if phase == Phase::Running => {
                return sound.or_else(|| told(Control { phase: Phase::Rest, ..*control }));
            }
            (Defect::ResumeBeforeState, Resume) if phase == Phase::Offered => {
                return told(Control { phase: Phase::Committed, message_lost: false, ..*control });
            }
            (Defect::ResumeInDoubt, Resume)
                if leftover == Leftover::InDoubt
                    && connection != Connection::Up
                    && !control.destination_runs =>
            {
                return Some(to(Control { destination_runs: true, ..*control }));
            }
            (Defect::ResumeAfterHandOver, Abort) if broken && phase == Phase::Committed => {
                return Some(to(Control { source_runs: true, ..*control }));
            }
            (Defect::ForgetInDoubt, Forget) if broken && phase == Phase::Committed && !destination_down => {
                return Some(to(*control).each(|_, _, page| page.destination = Holding::Absent));
            }
            (Defect::LostOnTimeOut, Fence) if broken && phase == Phase::Running => {
                return Some(to(LOST).each(Migration::leave_peer));
            }
            _ => {}
        }
        let mut next = sound?;
        let after = &mut next.taken.control;
        match (defect, step) {
            (Defect::ReturnEmptyHanded, SendState) if control.returning => {
                next.taken.requires = Conditions::empty();
            }
            (Defect::ResumeBeforePages, SendReady)
            | (Defect::DestroyWhileOwed, SendComplete)
            | (Defect::IgnoreLoss, Fence) => next.taken.requires = Conditions::empty(),
            (Defect::RunOnAtSource, _) => after.source_runs |= suspends(control, after),
            (Defect::SkipPostMigration, Resume) => after.process = self.strategy.resting(),
            (Defect::CancelAfterCommit, Cancel) if !phase.can_abort() => after.source_runs = true,
            (Defect::AcceptOldReady, DeliverOldReady)
                if matches!(phase, Phase::Offered | Phase::Rebuilding) =>
            {
                *after = after.saying(Phase::Committed);
            }
            (Defect::AbortLeavesFrozen, _) if aborts(control, after) => {
                let process = control.process;
                *after = Control { process, source_runs: false, destination_runs: false, ..*after };
            }
            _ => {}
        }
        Some(next)
    }

    fn broken_effect(
        &self,
        defect: Defect,
        step: ControlStep,
        aborts: bool,
        control: &Control,
        page: &Page,
        mut next: Page,
    ) -> Page {
        use ControlStep::*;
        let copies = self.strategy.copies();
        match (defect, step) {
            (Defect::RetryTrustsLog, MigrateBack | MigrateOnward) if page.sent => {
                next.log = DirtyLog::InStep;
            }
            (Defect::RetryTrustsLog, _) if aborts => next.sent = copies && page.log == DirtyLog::InStep,
            (Defect::ConsumeDirtyBits, _) if aborts => next.dirty &= !page.sent,
            (Defect::KeepStale, DeliverState)
                if page.destination.is_held() && !next.destination.is_held() =>
            {
                next = Page { destination: page.destination, plan: Plan::Settled, ..next };
            }
            (Defect::ReturnEmptyHanded, SendState) if control.returning => next.plan = Plan::Settled,
            (Defect::LiteralGeneric, SendState)
                if page.kind == Kind::FileMapped && next.plan == Plan::FromSource =>
            {
                next.plan = Plan::FromStore;
            }
            // What a destination would make of a page about which it was told nothing.
            (Defect::DropDirtyMap, SendState) if next.plan == Plan::FromSource && copies => {
                next = Page { plan: Plan::Travelled, content: page.content, older: page.older, ..next };
            }
            (Defect::DropDirtyMap, SendState) if next.plan == Plan::FromSource => {
                next.plan = Plan::FromStore;
            }
            (Defect::LoseDiscardList, DeliverResync) if copies && page.plan == Plan::FromSource => {
                let destination = Holding::Held(Currency::Stale);
                next = Page { destination, plan: Plan::Settled, request: next.request, ..*page };
            }
            (Defect::BelieveInFlight, DeliverResync) => next.sent = page.sent,
            (Defect::ForgetDemandOnReconnect, DeliverResync) if page.plan == Plan::FromSource => {
                next.asked = false;
            }
            (Defect::AcknowledgeBeforeDurable, Outage)
                if matches!(page.write_back, WriteBack::Acknowledged(_)) =>
            {
                next.store = Currency::Stale;
            }
            _ => {}
        }
        next
    }

    fn broken_page_step(&self, defect: Defect, step: PageStep, control: &Control, page: &Page) -> AfterPage {
        use PageStep::*;
        let phase = control.phase;
        let frozen = matches!(phase, Phase::Offered | Phase::Rebuilding | Phase::Accepted);
        let told = match (defect, step) {
            (Defect::NeverPush, Push) => return None,
            (Defect::NeverWriteBack, WriteBack) if self.strategy.freeze != Freeze::FlushModified => {
                return None;
            }
            (Defect::ReturnEmptyHanded, SendFrozen) if control.returning => return None,
            (Defect::FreezeSendsAll, SendFrozen) if !control.returning => {
                let sent = self.page_step_amid(step, Migration::send_while_frozen, control, page)?;
                return Some(PageMove { page: Page { sent: true, ..sent.page }, ..sent });
            }
            (Defect::SwollenWorkingSet, SendWorkingSet) => {
                (Control { code_page_sent: false, stack_page_sent: false, ..*control }, *page)
            }
            (Defect::PushWhileFrozen, Push) if frozen => {
                (Control { phase: Phase::Committed, ..*control }, *page)
            }
            (Defect::SendTwice, DeliverRequest | DuplicateRequest)
            | (Defect::WriteBackAfterSent, WriteBack) => (*control, Page { sent: false, ..*page }),
            (Defect::HastyLost, DeclareLost) => (*control, Page { plan: Plan::FromSource, ..*page }),
            _ => (*control, *page),
        };
        let mut next = self.sound_page_step(step, &told.0, &told.1)?;
        let after = &mut next.page;
        match (defect, step) {
            (Defect::SwollenWorkingSet, SendWorkingSet) => {
                next.control.code_page_sent |= control.code_page_sent;
                next.control.stack_page_sent |= control.stack_page_sent;
            }
            (Defect::PushWhileFrozen, Push) => next.control.phase = phase,
            (Defect::SendTwice, DeliverRequest | DuplicateRequest)
            | (Defect::WriteBackAfterSent, WriteBack) => after.sent = page.sent,
            (Defect::AnswerLost, Serve) => *after = Page { sent: true, asked: false, ..*page },
            (Defect::MarkSentUnsent, Push) => *after = Page { sent: true, ..*page },
            (Defect::DemandBehindPushes, Push) => next.requires = Conditions::empty(),
            (Defect::ForgetRedirtied, Write) => after.log = page.log,
            (Defect::DivergingReplica, LoadLocal) => {
                *self.copy_at_process_mut(control, after) = Holding::Held(Currency::Stale);
            }
            (Defect::ForgetDemand, DeliverRequest | DuplicateRequest) => after.asked = page.asked,
            (Defect::NoSequenceNumbers, DeliverOlder) => self.install(control, after, Currency::Stale),
            (Defect::NoSequenceNumbers, DeliverEcho) => {
                let owed = page.plan == Plan::FromSource && !page.destination.is_held();
                if let Holding::Held(content) = page.echo
                    && (owed || before_dirty_map(control))
                {
                    self.install(control, after, content);
                }
            }
            (Defect::AcceptEarlierEpoch, DeliverStray) => {
                let open = phase.can_abort() && phase != Phase::Forgotten;
                let owed = page.plan == Plan::FromSource && !page.destination.is_held();
                if let Holding::Held(content) = page.stray
                    && (open || owed)
                {
                    self.install(control, after, content);
                }
            }
            (Defect::ClearDirtyOnArrival, DeliverOlder) => {
                after.dirty &= after.destination == page.destination;
            }
            (Defect::ClearDirtyOnArrival, DeliverPage | DuplicatePage) => {
                after.dirty &= self.fetched_home(control, page);
            }
            (Defect::ForgetWriteBackDuty, DeliverPage | DuplicatePage) if page.kind == Kind::FileMapped => {
                after.dirty &= self.fetched_home(control, page);
            }
            (Defect::AcknowledgeUnstored, Store | DuplicateStore) => after.store = page.store,
            (Defect::StoreOlder, StoreEcho) => {
                if let Holding::Held(content) = page.write_back_echo {
                    after.store = content;
                }
            }
            _ => {}
        }
        Some(next)
    }
}

/// Does the step suspend the process?
fn suspends(before: &Control, after: &Control) -> bool {
    after.phase == Phase::Freeze && before.phase != Phase::Freeze
}

/// Does the step end the attempt before its commit, at the source?
fn aborts(before: &Control, after: &Control) -> bool {
    before.phase.can_abort() && matches!(after.phase, Phase::Rest | Phase::Running)
}
