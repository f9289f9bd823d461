//! S12, lost only if lost. Caught: `hasty-lost`, `lost-on-time-out`, `never-fall-back`.
//!
//! A process is given up where it died with its machine (phase *Doomed*), or where the page that was the reason existed
//! on a dead machine alone: where a backing store is fallen back on, not one that it has. A connection that is lost is no
//! reason.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Currency, Page, Plan};
use crate::step::PageStep;
use crate::system::PageMove;

pub(super) const TITLE: &str = "lost only if lost";
pub(super) const MEANING: &str =
    "The process is declared lost only when a machine has died that it, or a page of it, existed on alone.";

impl Migration {
    pub(super) fn is_given_up(&self, before: &Control, after: &Control) -> bool {
        after.phase == Phase::Lost && before.phase != Phase::Doomed
    }

    pub(super) fn is_given_up_for(
        &self,
        step: PageStep,
        control: &Control,
        page: &Page,
        after: &PageMove<Control, Page>,
    ) -> bool {
        let travels = page.plan == Plan::Travelled && control.phase == Phase::Loading;
        let needed = page.plan == Plan::FromSource || travels;
        let gone = control.aftermath.source_down && needed;
        // What travels is needed as it was sent last, whatever is there.
        let stored = self.falls_back() && page.store == Currency::Current;
        let held = page.destination.is_current() || page.content.is_current();
        let elsewhere = page.plan == Plan::FromSource && (held || stored);
        let declared = step == PageStep::DeclareLost || after.control.phase == Phase::Lost;
        declared && (!gone || elsewhere)
    }
}
