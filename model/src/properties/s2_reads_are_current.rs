//! S2, reads are current: the process sees one memory. Caught: `forget-redirtied`, `keep-stale`, `resume-before-pages`,
//! and others.
//!
//! A page that the process's host takes for settled is read without a fault, whether it is there or not.

use crate::control::Control;
use crate::migration::Migration;
use crate::page::{Currency, Holding, Page, Plan};
use crate::paging::Life;

pub(super) const TITLE: &str = "reads are current";
pub(super) const MEANING: &str =
    "A page that the running process can access without a fault has the current content.";

impl Migration {
    pub(super) fn reads_stale(&self, control: &Control, page: &Page) -> bool {
        let taken_for_settled = !control.phase.at_source() && page.plan == Plan::Settled;
        let stale = match self.copy_at_process(control, page) {
            Holding::Held(currency) => currency == Currency::Stale,
            Holding::Absent => taken_for_settled,
        };
        let unread = matches!(page.aside.life, Life::Exempt | Life::Gone);
        control.runs() && stale && !unread
    }
}
