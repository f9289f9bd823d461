//! L7, migrate again. Judged as a possibility (AG EF); a process that has exited is excused. Caught:
//! `commit-forgotten`.

use crate::control::{Control, Phase};
use crate::migration::Migration;

pub(super) const TITLE: &str = "migrates again";
pub(super) const MEANING: &str =
    "From every state it remains possible to come to one in which a migration can start.";

impl Migration {
    pub(super) fn cannot_migrate(&self, control: &Control) -> bool {
        match control.phase {
            Phase::Rest | Phase::Exited | Phase::Exiting => false,
            Phase::Running => !self.strategy.is_lazy(),
            _ => true,
        }
    }
}
