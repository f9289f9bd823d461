//! The simulation against closed forms, against itself, and against the same endpoints with contents.

mod closed_forms;
mod consistency;
mod systems;

use checker::simulate::{SimulatedWorkload, SimulationSetup};
use protocol::policy::{Passes, Policy, Pre};

/// The published setting with other accesses.
fn setup(policy: Policy, workload: SimulatedWorkload) -> SimulationSetup {
    SimulationSetup { workload, ..SimulationSetup::published(policy) }
}

/// Pre-copy of one pass.
fn pre_copy_once() -> Policy {
    Policy { pre: Pre::Copy(Passes::AtMost(1)), ..Policy::PRE_COPY }
}
