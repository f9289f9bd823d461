//! L6, writes become visible. Caught: `never-write-back`. Needs strong fairness of writing back, since each
//! migration interrupts it.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Currency, Kind, Page};

pub(super) const TITLE: &str = "writes become visible";
pub(super) const MEANING: &str =
    "A write to a file-mapped page eventually reaches the file server, or is overwritten.";

impl Migration {
    pub(super) fn is_unseen(&self, control: &Control, page: &Page) -> bool {
        control.phase != Phase::Lost && page.kind == Kind::FileMapped && page.store == Currency::Stale
    }
}
