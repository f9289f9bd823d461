//! L7, migrate again. Caught: `answer-lost`. Judged as a possibility (AG EF): a state must remain reachable in
//! which the protocol may start a migration and every page is [`Quiet`](crate::Condition::Quiet), as its start
//! requires. A process that has exited or is lost is excused. Under disruptions that includes that the hosts can be
//! connected again; and before a host has been told of the other one's death, nothing is asked.

use crate::control::{Control, Phase, Process};
use crate::migration::Migration;

pub(super) const TITLE: &str = "migrates again";
pub(super) const MEANING: &str =
    "While the process exists, it remains possible to come to a state in which a migration can start.";

impl Migration {
    /// After a death that nobody has been told of, what is left shows when the word of it has come.
    pub(crate) fn need_not_migrate_again(&self, control: &Control) -> bool {
        matches!(control.process, Process::Exited | Process::Lost) || control.aftermath.awaits_fence()
    }

    pub(super) fn cannot_migrate(&self, control: &Control) -> bool {
        match control.phase {
            _ if !control.aftermath.is_connected() => true,
            Phase::Rest => false,
            Phase::Running => !self.strategy.is_lazy(),
            _ => true,
        }
    }
}
