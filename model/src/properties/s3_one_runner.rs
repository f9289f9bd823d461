//! S3, one runner. Caught: `run-on-at-source`.

use crate::control::Control;
use crate::migration::Migration;

pub(super) const TITLE: &str = "one runner";
pub(super) const MEANING: &str =
    "At most one host runs the process, and after its commit the source never does again in this migration.";

impl Migration {
    pub(super) fn has_two_runners(&self, control: &Control) -> bool {
        control.source_runs && (control.destination_runs || control.phase.committed())
    }
}
