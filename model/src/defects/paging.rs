//! What the defects of the choices about pages, threads and connections make of the sound steps.

use crate::condition::Condition;
use crate::control::Control;
use crate::defects::Defect;
use crate::migration::{Link, Migration};
use crate::moves::{AfterControl, AfterPage, alone, before_dirty_map};
use crate::page::{Currency, DirtyLog, Holding, Page, Plan, Transit};
use crate::paging::{Aside, Life};
use crate::step::{ControlStep, PageStep};
use crate::system::Conditions;

impl Defect {
    /// Is it one of the choices about pages, threads and connections?
    pub(super) fn is_about_paging(self) -> bool {
        use Defect::*;
        matches!(
            self,
            ForgetWake
                | DropLateFault
                | RequestHeldPage
                | MapBeforeFill
                | BornInStep
                | ZeroUnsaid
                | SendZeroes
                | InstallVoid
                | ServeDiscarded
                | HintInUse
                | RefuseExempt
                | CompleteBeforeAnswers
                | TwoSenders
                | NoPassBarrier
                | NoStateBarrier
                | PullBeforeDemand
                | PullsTakenForSent
        )
    }
}

impl Migration {
    /// A control step, or what the sound protocol does.
    pub(super) fn broken_paging_control(
        &self,
        defect: Defect,
        step: ControlStep,
        control: &Control,
    ) -> AfterControl {
        use ControlStep::*;
        let mut next = self.sound_control_step(step, control)?;
        match (defect, step) {
            // All that comes over the other connection is read, and that is all that is asked.
            (Defect::CompleteBeforeAnswers, SendComplete) if self.answers_apart() => {
                next.taken.requires = Conditions::only(Condition::MainRead);
            }
            (Defect::NoStateBarrier, DeliverState | SendReady)
                if self.is_striped() && self.link == Link::Fifo =>
            {
                next.taken.requires = Conditions::empty();
            }
            _ => {}
        }
        Some(next)
    }

    /// What a control step does to a page, or what it does in the sound protocol.
    pub(super) fn broken_paging_effect(
        &self,
        defect: Defect,
        step: ControlStep,
        page: &Page,
        mut next: Page,
    ) -> Page {
        use ControlStep::*;
        let pulls_on = page.aside.pulled && next.plan == Plan::FromSource;
        match (defect, step) {
            (Defect::ZeroUnsaid, SendState)
                if page.aside.life == Life::Zero && self.strategy.copies() && was_copied(page) =>
            {
                next = Page { plan: Plan::Travelled, content: page.content, older: page.older, ..next };
            }
            (Defect::RefuseExempt, SendState)
                if page.aside.life == Life::Exempt && self.strategy.owes_pages() =>
            {
                next = Page { plan: Plan::FromSource, sent: true, ..next };
            }
            (Defect::ZeroUnsaid, DeliverState) if page.plan == Plan::Travelled => {
                next.destination = page.destination;
            }
            (Defect::RefuseExempt, DeliverState) if next.plan == Plan::FromSource => {
                next.destination = Holding::Absent;
            }
            (Defect::PullsTakenForSent, Reconnect) if pulls_on => next.aside.pulled = true,
            _ => {}
        }
        next
    }

    /// A step of a page, or what the sound protocol does.
    pub(super) fn broken_paging_step(
        &self,
        defect: Defect,
        step: PageStep,
        control: &Control,
        page: &Page,
    ) -> AfterPage {
        use PageStep::*;
        let there = self.copy_at_process(control, page).is_held();
        let striped = self.is_striped() && self.link == Link::Fifo;
        let told = match (defect, step) {
            (Defect::SendZeroes, Copy) => Page { aside: Aside { life: Life::Used, ..page.aside }, ..*page },
            (Defect::NoPassBarrier, DeliverPage) if striped => Page { older: 0, ..*page },
            _ => *page,
        };
        if defect == Defect::SendZeroes && step == SendFrozen && page.aside.life == Life::Zero {
            let used = Page { log: DirtyLog::Due, aside: Aside { life: Life::Used, ..page.aside }, ..*page };
            let sent = self.sound_page_step(step, control, &used)?;
            return alone(&sent.control, Page { aside: page.aside, ..sent.page });
        }
        let mut next = self.sound_page_step(step, control, &told)?;
        let after = &mut next.page;
        match (defect, step) {
            (Defect::ForgetWake, Wake) => return None,
            (Defect::DropLateFault, HearFault) if there => return None,
            // Whoever waits is woken with the page, and a fault that is heard is a request.
            (Defect::RequestHeldPage, Wake) => return None,
            (Defect::RequestHeldPage, DeliverPage | DuplicatePage) if !there => after.waiting = false,
            (Defect::RequestHeldPage, HearFault) if there => {
                *after = Page { waiting: true, request: Transit::Flying(()), ..*after };
            }
            // The page is mapped for whoever waits, and filled by a second step.
            (Defect::MapBeforeFill, DeliverPage) if self.wakes_apart() && page.waiting && !there => {
                let mut mapped = *page;
                *self.copy_at_process_mut(control, &mut mapped) = Holding::Held(Currency::Stale);
                return alone(control, mapped);
            }
            // The log is of the pages that there were when it was begun.
            (Defect::BornInStep, Write) if page.aside.life == Life::Zero => after.log = page.log,
            (Defect::InstallVoid, DeliverPage | DuplicatePage) if page.aside.void => {
                if let (Transit::Flying(content), Life::Zero) = (page.content, page.aside.life) {
                    after.destination = Holding::Held(content);
                }
            }
            (Defect::ServeDiscarded, Discard)
                if page.plan == Plan::FromSource && !there && page.content.is_idle() =>
            {
                let Page { destination, waiting, plan, .. } = *page;
                let aside = Aside { late: page.aside.late, void: page.aside.void, ..after.aside };
                *after = Page { destination, waiting, plan, aside, ..*after };
            }
            (Defect::HintInUse, Exempt) if self.strategy.copies() => after.aside.life = Life::Used,
            (Defect::TwoSenders, Serve) if self.answers_apart() => after.sent = page.sent,
            (Defect::NoPassBarrier, DeliverPage) if striped => after.older = page.older,
            (Defect::NoPassBarrier, DeliverOlder) if striped && before_dirty_map(control) => {
                self.install(control, after, Currency::Stale);
            }
            (Defect::PullBeforeDemand, Pull) => next.requires = Conditions::empty(),
            _ => {}
        }
        Some(next)
    }
}

/// Was it sent in a pass of pre-copy? The destination has it, or has it coming.
fn was_copied(page: &Page) -> bool {
    page.destination.is_held() || !page.content.is_idle() || page.older > 0
}
