//! L3, every page fault is served. Caught: `forget-demand`.

use crate::migration::Migration;
use crate::page::Page;

pub(super) const TITLE: &str = "faults are served";
pub(super) const MEANING: &str = "A page that the process waits for eventually arrives.";

impl Migration {
    pub(super) fn is_waited_for(&self, page: &Page) -> bool {
        page.waiting
    }
}
