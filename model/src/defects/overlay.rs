//! What each defect makes of the sound steps: it leaves one out, takes one too early, asks less, or does something else
//! than it should. The protocol itself knows of no defect.
//!
//! Where a defect forgets to look at something, the sound step is told that it is not so.

use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::defects::Defect;
use crate::disruption::{Aftermath, Connection, Disruption, Leftover};
use crate::migration::{Link, Migration};
use crate::moves::{AfterControl, AfterPage, LOST, before_dirty_map, to, with_leftover};
use crate::page::{Currency, DirtyLog, Holding, Kind, Neglect, Page, Plan, WriteBack};
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
        let next = self.sound_effect(step, step_taken.effect, control, page);
        match self.defect {
            None => next,
            Some(defect) => {
                let broken =
                    self.broken_effect(defect, (step, step_taken.taken.control), control, page, next);
                let dropped = next.asked && !broken.asked && step == ControlStep::DeliverResync;
                let neglect = if dropped { Neglect::Unsent } else { broken.neglect };
                Page { neglect, ..broken }
            }
        }
    }

    /// The step of a page, with its defect.
    pub(crate) fn page_step(&self, step: PageStep, control: &Control, page: &Page) -> AfterPage {
        match self.defect {
            None => self.sound_page_step(step, control, page),
            Some(defect) => {
                let next = self.broken_page_step(defect, step, control, page)?;
                let neglect = self.neglected(step, page, &next.page);
                Some(PageMove { page: Page { neglect, ..next.page }, ..next })
            }
        }
    }

    /// What has become of a request that has reached the page's owner, whatever the owner believes to have sent.
    fn neglected(&self, step: PageStep, page: &Page, next: &Page) -> Neglect {
        let owed = matches!(page.plan, Plan::FromSource | Plan::FromThird);
        let unsent = owed && page.content.is_idle();
        let sends = (next.content, next.older) != (page.content, page.older);
        match step {
            PageStep::DeliverRequest | PageStep::DuplicateRequest if unsent && !next.asked => Neglect::Unsent,
            PageStep::Serve if sends => Neglect::None,
            PageStep::Serve => Neglect::Unsent,
            PageStep::Push if sends && page.neglect == Neglect::Unsent => Neglect::Pushed,
            _ => next.neglect,
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
    pub(crate) fn adds_control_step(&self, step: ControlStep) -> bool {
        self.defect == Some(Defect::LostOnTimeOut) && step == ControlStep::Fence
    }

    /// The same for a step of a page.
    pub(crate) fn adds_page_step(&self, step: PageStep) -> bool {
        self.defect == Some(Defect::HastyLost)
            && step == PageStep::DeclareLost
            && self.disruptions.include(Disruption::CrashSource)
            || self.adds_unlogged_writer(step)
    }

    fn broken_control_step(&self, defect: Defect, step: ControlStep, control: &Control) -> AfterControl {
        use ControlStep::*;
        if let Some(broken) = self.broken_real_step(defect, step, control) {
            return broken;
        }
        if defect.is_about_paging() {
            return self.broken_paging_control(defect, step, control);
        }
        let told = |lie: Control| self.sound_control_step(step, &lie);
        let sound = told(*control);
        let Aftermath { connection, leftover, source_down, destination_down, .. } = control.aftermath;
        let broken = connection == Connection::Broken;
        let phase = control.phase;
        match (defect, step) {
            (Defect::CommitForgotten, Commit) | (Defect::ResyncUnanswered, DeliverResync) => return None,
            (Defect::DoubtUnanswered, DeliverCancel) if leftover == Leftover::InDoubt => return None,
            (Defect::MigrateWhileOwed, MigrateBack | MigrateOnward)
                if phase == Phase::Running && self.strategy.owes_pages() =>
            {
                return sound.or_else(|| told(Control { phase: Phase::Rest, ..*control }));
            }
            (Defect::ResumeBeforeState, Resume) if phase == self.phase_of_state() => {
                return told(Control { phase: self.resumes_from(), message_lost: false, ..*control });
            }
            (Defect::ResumeInDoubt, Resume)
                if leftover == Leftover::InDoubt
                    && connection != Connection::Up
                    && !control.destination_runs =>
            {
                return Some(to(Control { destination_runs: true, ..*control }));
            }
            (Defect::ResumeAfterHandOver, Abort)
                if broken && !source_down && phase.committed() && phase != Phase::Departing =>
            {
                return Some(to(Control { source_runs: true, ..*control }));
            }
            (Defect::ForgetInDoubt, Forget) if broken && phase == Phase::Committed && !destination_down => {
                let forgotten = to(with_leftover(control, FORGOTTEN));
                return Some(forgotten.each(|_, _, page| page.destination = Holding::Absent));
            }
            // It has nothing that could resume, and hears nothing that makes it forget more.
            (Defect::ForgetInDoubt, Resume | DeliverCancel)
                if phase == Phase::Committed && leftover == FORGOTTEN =>
            {
                return None;
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
            (Defect::ResumeBeforePages, SendReady | Resume)
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
            (Defect::ForgetInDoubt, Reconnect) if phase == Phase::Committed => {
                after.aftermath.leftover = leftover;
            }
            (Defect::AbortLeavesFrozen, _) if aborts(step, control, after) => {
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
        (step, after): (ControlStep, Control),
        control: &Control,
        page: &Page,
        mut next: Page,
    ) -> Page {
        use ControlStep::*;
        if defect.is_about_paging() {
            return self.broken_paging_effect(defect, step, page, next);
        }
        let copies = self.strategy.copies();
        let forgets = after.phase == Phase::Forgotten && control.phase != Phase::Forgotten;
        let ends = forgets || aborts(step, control, &after);
        self.broken_real_effect(defect, step, page, &mut next);
        match (defect, step) {
            // What has come to rest as sent is not due in the retry.
            (Defect::RetryTrustsLog | Defect::ConsumeDirtyBits, MigrateBack | MigrateOnward)
                if copies && page.sent =>
            {
                next.log = DirtyLog::InStep;
            }
            (Defect::RetryTrustsLog, _) if ends => next.sent = copies && self.has_sent(control, page),
            (Defect::ConsumeDirtyBits, _) if ends => {
                let sent = self.has_sent(control, page);
                next = Page { dirty: next.dirty && !sent, sent: copies && sent, ..next };
            }
            // The connection is closed with whatever is still in it.
            (Defect::MigrateWhileOwed, MigrateBack | MigrateOnward) => next.older = 0,
            // From now on the bit is the destination's.
            (Defect::ClearDirtyOnArrival, Resume) => next.dirty &= !page.destination.is_held(),
            (Defect::ForgetWriteBackDuty, Resume) if self.is_written_back(page) => {
                next.dirty &= !page.destination.is_held();
            }
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

    /// Has the source sent the page in the attempt under way, and has it not been modified since? Once the destination
    /// has forgotten the attempt, the mark of that is all there is.
    fn has_sent(&self, control: &Control, page: &Page) -> bool {
        match page.plan {
            _ if control.phase == Phase::Forgotten => page.sent,
            Plan::Undecided => page.sent || (self.strategy.copies() && page.log == DirtyLog::InStep),
            Plan::Travelled | Plan::Settled => true,
            Plan::FromSource | Plan::FromThird | Plan::FromStore => false,
        }
    }

    fn broken_page_step(&self, defect: Defect, step: PageStep, control: &Control, page: &Page) -> AfterPage {
        use PageStep::*;
        if let Some(broken) = self.broken_real_page_step(defect, step, control, page) {
            return broken;
        }
        if defect.is_about_paging() {
            return self.broken_paging_step(defect, step, control, page);
        }
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
                (Control { phase: Phase::Running, ..*control }, *page)
            }
            (Defect::SendTwice, DeliverRequest | DuplicateRequest)
            | (Defect::WriteBackAfterSent, WriteBack) => (*control, Page { sent: false, ..*page }),
            (Defect::HastyLost, DeclareLost) => {
                let told = control.aftermath.source_down;
                let runs = matches!(phase, Phase::Running | Phase::Completing | Phase::Departing);
                let lost = PageMove { requires: Conditions::empty(), control: LOST, page: Page::GONE };
                return (told && runs).then_some(lost);
            }
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
            (Defect::AnswerLost, Serve) => *after = unsent(after, page),
            (Defect::MarkSentUnsent, _) if step.sends_content() => *after = unsent(after, page),
            (Defect::DemandBehindPushes, Push) => next.requires = Conditions::empty(),
            (Defect::ForgetRedirtied, Write) => after.log = page.log,
            (Defect::ConsumeDirtyBits, Write) if matches!(phase, Phase::Rest | Phase::Forgotten) => {
                after.sent = false;
            }
            (Defect::DivergingReplica, LoadLocal) => {
                *self.copy_at_process_mut(control, after) = Holding::Held(Currency::Stale);
            }
            (Defect::ForgetDemand, DeliverRequest | DuplicateRequest) => after.asked = page.asked,
            (Defect::NoSequenceNumbers, DeliverOlder) => self.install(control, after, Currency::Stale),
            (Defect::NoSequenceNumbers, DeliverEcho) => {
                let owed = page.plan == Plan::FromSource && !page.destination.is_held();
                // Other duplicates come from a file server or a former owner, and go where they went.
                let copied = self.strategy.copies() && (owed || before_dirty_map(control));
                if let Holding::Held(content) = page.echo
                    && copied
                {
                    self.install(control, after, content);
                }
            }
            // On a FIFO link what an aborted attempt has left arrives first: the epoch tells nothing new.
            (Defect::AcceptEarlierEpoch, DeliverStray) if self.link != Link::Fifo => {
                let open = phase.can_abort() && phase != Phase::Forgotten;
                let owed = page.plan == Plan::FromSource && !page.destination.is_held();
                if let Holding::Held(content) = page.stray
                    && (open || owed)
                {
                    self.install(control, after, content);
                }
            }
            (Defect::ClearDirtyOnArrival, DeliverPage | DuplicatePage) if !phase.at_source() => {
                after.dirty = false;
            }
            (Defect::ForgetWriteBackDuty, DeliverPage | DuplicatePage)
                if !phase.at_source() && self.is_written_back(page) =>
            {
                after.dirty = false;
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

/// What is left at a destination that has forgotten an attempt which was committed.
const FORGOTTEN: Leftover = Leftover::Receiving;

/// All that the step does but for sending.
fn unsent(after: &Page, page: &Page) -> Page {
    Page { content: page.content, older: page.older, crossings: page.crossings, ..*after }
}

/// Does the step suspend the process?
fn suspends(before: &Control, after: &Control) -> bool {
    after.phase == Phase::Freeze && before.phase != Phase::Freeze
}

/// Does the step end the attempt before its commit, at the source?
fn aborts(step: ControlStep, before: &Control, after: &Control) -> bool {
    let attempted = before.phase.can_abort() || step == ControlStep::Abort;
    attempted && step != ControlStep::Resume && matches!(after.phase, Phase::Rest | Phase::Running)
}
