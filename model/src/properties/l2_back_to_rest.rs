//! L2, back to rest; under disruptions, or lost. Fails for lazy copy, and for pre-copy without a bound on passes.

use crate::control::{Control, Phase};
use crate::migration::Migration;

pub(super) const TITLE: &str = "back to rest";
pub(super) const MEANING: &str =
    "A migration that has started eventually ends at rest: Normal, or Pre-migration for generic.";

impl Migration {
    pub(super) fn is_migrating(&self, control: &Control) -> bool {
        !matches!(control.phase, Phase::Rest | Phase::Exited | Phase::Lost)
    }
}
