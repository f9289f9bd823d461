//! L7, migrate again. Caught: `answer-lost`. Judged as a possibility (AG EF): a state must remain reachable in
//! which the protocol may start a migration and every page is [`Quiet`](crate::Condition::Quiet), as its start
//! requires. A process that has exited is excused.

use crate::control::{Control, Phase};
use crate::migration::Migration;

pub(super) const TITLE: &str = "migrates again";
pub(super) const MEANING: &str =
    "While the process exists, it remains possible to come to a state in which a migration can start.";

impl Migration {
    pub(super) fn cannot_migrate(&self, control: &Control) -> bool {
        match control.phase {
            Phase::Rest => false,
            Phase::Running => !self.strategy.is_lazy(),
            _ => true,
        }
    }
}
