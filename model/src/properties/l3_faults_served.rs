//! L3, every page fault is served. Caught: `forget-demand`, `forget-demand-on-reconnect`. Under disruptions a process
//! that is lost is excused.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::Page;

pub(super) const TITLE: &str = "faults are served";
pub(super) const MEANING: &str = "A page that the process waits for eventually arrives.";

impl Migration {
    pub(super) fn is_waited_for(&self, control: &Control, page: &Page) -> bool {
        page.waiting && control.phase != Phase::Lost
    }
}
