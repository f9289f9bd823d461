//! What the defects of the choices about pages and threads make of the sound steps.

use crate::control::Control;
use crate::defects::Defect;
use crate::migration::Migration;
use crate::moves::{AfterPage, alone};
use crate::page::{Currency, Holding, Page, Transit};
use crate::step::PageStep;

impl Migration {
    /// Of a page, or what the sound protocol does.
    pub(super) fn broken_paging_step(
        &self,
        defect: Defect,
        step: PageStep,
        control: &Control,
        page: &Page,
    ) -> AfterPage {
        use PageStep::*;
        let mut next = self.sound_page_step(step, control, page)?;
        let after = &mut next.page;
        let there = self.copy_at_process(control, page).is_held();
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
            _ => {}
        }
        Some(next)
    }
}

impl Defect {
    /// Is it one of the choices about pages and threads?
    pub(super) fn is_about_paging(self) -> bool {
        use Defect::*;
        matches!(self, ForgetWake | DropLateFault | RequestHeldPage | MapBeforeFill)
    }
}
