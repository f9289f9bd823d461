//! L5, pre-migration ends. Fails for pre-copy without a bound on passes: a process that keeps writing is
//! never in step.

use crate::control::{Control, Phase};
use crate::migration::Migration;

pub(super) const TITLE: &str = "pre-migration ends";
pub(super) const MEANING: &str = "Copying pages of the running process eventually stops.";

impl Migration {
    pub(super) fn is_pre_copying(&self, control: &Control) -> bool {
        matches!(control.phase, Phase::PreCopy { .. })
    }
}
