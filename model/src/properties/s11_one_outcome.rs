//! S11, one outcome of a commit race. Caught: `cancel-after-commit`, `accept-old-ready`.
//!
//! Where the hand-over is agreed [otherwise](crate::strategy::HandOver), a one-shot commits unasked, one that is to be
//! acknowledged commits when the source hears the answer, and where there is none the destination decides.
//!
//! A cancel, a refusal, a time-out and *ready* may cross each other. The source's commit decides: it answers *ready* of
//! this very attempt, and after it the process never thaws at the source, nor does it ever resume at a destination that
//! was not told *go*. That one of the two happens is what [L4](super::l4_runs_again) asks for.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::step::ControlStep;

pub(super) const TITLE: &str = "one outcome";
pub(super) const MEANING: &str = "An attempt is committed once the destination is ready, or aborted, and never both; only a committed one resumes at the destination.";

impl Migration {
    pub(super) fn has_two_outcomes(&self, step: ControlStep, before: &Control, after: &Control) -> bool {
        let committed = before.phase.committed() && before.phase != Phase::Departing;
        let committed = committed && !self.can_still_abort(before.phase);
        let thaws_late = committed && after.source_runs && step != ControlStep::Fence;
        let commits = after.phase == Phase::Committed && before.phase != Phase::Committed;
        let unready = commits && before.phase != Phase::Accepted;
        let resumes = after.destination_runs && !before.destination_runs;
        let returns = before.returning && self.can_still_abort(before.phase);
        let untold = resumes && before.phase != self.resumes_from() && !returns;
        thaws_late || unready || untold
    }
}
