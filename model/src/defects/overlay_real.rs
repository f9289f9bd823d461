//! What the defects of real systems' choices make of the sound steps: of the dirty log, of what ends pre-copy, and of the
//! hand-over where it is not ready-go. `None` where the defect leaves the step to the sound protocol.

use crate::control::{Control, Phase};
use crate::defects::Defect;
use crate::disruption::Leftover;
use crate::migration::Migration;
use crate::moves::{AfterControl, AfterPage, LOST, alone, to, with_leftover};
use crate::page::{DirtyLog, Page, Plan};
use crate::step::{ControlStep, PageStep};

impl Migration {
    /// Of the control record.
    pub(super) fn broken_real_step(
        &self,
        defect: Defect,
        step: ControlStep,
        control: &Control,
    ) -> Option<AfterControl> {
        let expected = control.aftermath.leftover == Leftover::Expecting && control.aftermath.is_connected();
        let orphaned = control.phase == Phase::Loading && control.aftermath.source_down;
        match (defect, step) {
            (Defect::AnswerUnheard, ControlStep::DeliverAnswer) => Some(None),
            (Defect::BeginUnexpected, ControlStep::Begin) if control.phase == Phase::Announced => {
                Some(self.sound_control_step(step, &Control { phase: Phase::Expected, ..*control }))
            }
            // The answer that it still waits for has come.
            (Defect::BeginCalledOff, ControlStep::Begin) if control.phase == Phase::Rest && expected => {
                let aftermath = with_leftover(control, Leftover::None).aftermath;
                Some(
                    self.sound_control_step(step, &Control { phase: Phase::Expected, aftermath, ..*control }),
                )
            }
            (Defect::CancelUnsaid, ControlStep::DeliverCancel) if expected => Some(None),
            (Defect::AwaitExpected, ControlStep::Abort) if control.phase.is_announced() => Some(None),
            (Defect::ForgetEntrusted, ControlStep::Fence) if orphaned => {
                Some(Some(to(LOST).each(|_, _, page| *page = Page::GONE)))
            }
            _ => None,
        }
    }

    /// What becomes of a page in a control step.
    pub(super) fn broken_real_effect(&self, defect: Defect, step: ControlStep, page: &Page, next: &mut Page) {
        use ControlStep::{CrashSource, NextPass, Suspend, Switch};
        match (defect, step) {
            (Defect::CutPassCountsAsSent, Suspend | Switch) if page.log.is_due() => {
                next.log = DirtyLog::InStep
            }
            (Defect::SwitchForgetsRedirtied, Switch) if page.log == DirtyLog::Redirtied => {
                next.log = DirtyLog::InStep;
            }
            (Defect::TrustUnacknowledged, CrashSource)
                if self.falls_back() && next.plan == Plan::FromSource =>
            {
                next.dirty = page.dirty;
            }
            // The mark was not cleared, so the page is due again.
            (Defect::ClearAfterCopy, Suspend | Switch | NextPass) => next.sent = false,
            _ => {}
        }
    }

    /// Of a page.
    pub(super) fn broken_real_page_step(
        &self,
        defect: Defect,
        step: PageStep,
        control: &Control,
        page: &Page,
    ) -> Option<AfterPage> {
        let sound = |page: &Page| self.sound_page_step(step, control, page);
        let owed = page.plan == Plan::FromSource;
        let copying = matches!(control.phase, Phase::PreCopy { .. });
        let uncleared = page.log == DirtyLog::Uncleared && copying;
        match (defect, step) {
            // What is marked as sent waits for its mark to be cleared.
            (Defect::ClearAfterCopy, PageStep::Copy) if uncleared && !page.sent => {
                Some(sound(&Page { log: DirtyLog::Due, ..*page }).map(|mut copied| {
                    copied.page = Page { log: DirtyLog::Uncleared, sent: true, ..copied.page };
                    copied
                }))
            }
            (Defect::ClearAfterCopy, PageStep::ClearLog) if uncleared => {
                let cleared = Page { log: DirtyLog::InStep, sent: false, ..*page };
                Some(if page.sent { alone(control, cleared) } else { None })
            }
            (Defect::ClearUnread, PageStep::ClearLog) if copying && page.log == DirtyLog::Redirtied => {
                Some(alone(control, Page { log: DirtyLog::InStep, ..*page }))
            }
            (Defect::FallBackBlindly, PageStep::FallBack) if owed => {
                Some(sound(&Page { dirty: false, ..*page }))
            }
            (Defect::NeverFallBack, PageStep::FallBack) => Some(None),
            (Defect::NeverFallBack, PageStep::DeclareLost) if owed => {
                Some(sound(&Page { dirty: true, ..*page }))
            }
            (Defect::UntrackedWriter, PageStep::WriteUnlogged) => {
                Some(if copying { self.write_unlogged(control, page) } else { None })
            }
            (Defect::WriterWhileFrozen, PageStep::WriteUnlogged) => {
                let writes = self.is_frozen_with(control, page);
                Some(if writes { self.write_unlogged(control, page) } else { None })
            }
            _ => None,
        }
    }

    pub(super) fn adds_unlogged_writer(&self, step: PageStep) -> bool {
        let writes = matches!(self.defect, Some(Defect::UntrackedWriter | Defect::WriterWhileFrozen));
        writes && step == PageStep::WriteUnlogged
    }

    /// Is the process frozen, and has the page been sent?
    fn is_frozen_with(&self, control: &Control, page: &Page) -> bool {
        match control.phase {
            Phase::Freeze => page.sent || (self.strategy.copies() && page.log == DirtyLog::InStep),
            Phase::Offered | Phase::Rebuilding | Phase::Accepted | Phase::Entrusted => {
                page.plan == Plan::Travelled
            }
            _ => false,
        }
    }
}
