//! L8, a pause ends: in going on, in an abort, or in *lost*. Caught: `resync-unanswered`, `doubt-unanswered`.
//!
//! Paused is a committed migration without a connection, a destination in doubt about an attempt that was aborted, and a
//! host that has not been told of the other one's death.

use crate::control::Control;
use crate::migration::Migration;

pub(super) const TITLE: &str = "a pause ends";
pub(super) const MEANING: &str =
    "What is paused after a disruption eventually goes on, is told that it was aborted, or is lost.";

impl Migration {
    pub(super) fn is_interrupted(&self, control: &Control) -> bool {
        control.is_paused()
    }
}
