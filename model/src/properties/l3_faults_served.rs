//! L3, every page fault is served. Caught: `forget-demand`, `forget-demand-on-reconnect`.
//!
//! By the answer to its request: where the owner has dropped a request, a page that it happens to push later does not
//! make up for it. Under disruptions a process that is lost is excused.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Neglect, Page};

pub(super) const TITLE: &str = "faults are served";
pub(super) const MEANING: &str =
    "A page that the process waits for eventually arrives, and not by chance: its request is answered.";

impl Migration {
    pub(super) fn is_waited_for(&self, control: &Control, page: &Page) -> bool {
        (page.waiting || page.aside.late || page.neglect != Neglect::None) && control.phase != Phase::Lost
    }
}
