//! L4, a suspended process runs again. Caught: `commit-forgotten`, `abort-leaves-frozen`. Under disruptions a process
//! that is lost is suspended no more.

use crate::control::{Control, Process};
use crate::migration::Migration;

pub(super) const TITLE: &str = "runs again";
pub(super) const MEANING: &str = "A suspended process eventually runs again.";

impl Migration {
    pub(super) fn is_suspended(&self, control: &Control) -> bool {
        control.process == Process::Migration
    }
}
