//! S2, reads are current: the process sees one memory. Caught: `forget-redirtied`, `keep-stale`, and
//! others.

use crate::control::Control;
use crate::migration::Migration;
use crate::page::{Currency, Holding, Page};

pub(super) const TITLE: &str = "reads are current";
pub(super) const MEANING: &str =
    "A page that the running process can access without a fault has the current content.";

impl Migration {
    pub(super) fn reads_stale(&self, control: &Control, page: &Page) -> bool {
        control.runs() && self.copy_at_process(control, page) == Holding::Held(Currency::Stale)
    }
}
