//! S9, state cycle. Caught: `skip-post-migration`, `resume-before-state`, `begin-unexpected`, `begin-called-off`.
//!
//! ```text
//!         ┌──────────────── without pre-copy ───────────────┐
//!      Normal ──▶ Pre-migration ──▶ Migration ──▶ Post-migration ──▶ Normal
//!                                        └── nothing owed ──────────▶ Normal
//!  generic:       Pre-migration ──▶ Migration ──▶ Post-migration ──▶ Pre-migration
//! ```
//!
//! A migration that is announced begins at a destination that expects it.
//!
//! Under disruptions an attempt that is aborted goes back to where it began, before its commit and never after it;
//! and a process that needs nothing any more from a host that has died is at rest.

use crate::control::{Control, Phase, Process};
use crate::migration::Migration;
use crate::step::ControlStep;
use crate::strategy::Pre;

pub(super) const TITLE: &str = "state cycle";
pub(super) const MEANING: &str =
    "The process's states follow the algorithm's cycle, and Migration is left only with the state in place.";

impl Migration {
    pub(super) fn leaves_cycle(&self, step: ControlStep, before: &Control, after: &Control) -> bool {
        let resumes_early = step == ControlStep::Resume && before.phase != self.resumes_from();
        let rest = self.strategy.resting();
        let copies = matches!(self.strategy.pre, Pre::Copy(_));
        let owes = self.owes_after(before);
        let lazy = self.strategy.is_lazy();
        let legal = match (before.process, after.process) {
            (from, to) if from == to => true,
            (Process::Migration, Process::Exited) => false,
            (_, Process::Exited | Process::Lost) => true,
            (Process::Lost, _) => false,
            _ if self.can_still_abort(before.phase) && after.phase == Phase::Rest => after.process == rest,
            _ if self.can_still_abort(before.phase) && before.returning && after.phase == Phase::Running => {
                after.process == Process::PostMigration
            }
            (Process::PostMigration, to) if step == ControlStep::Fence => to == rest,
            (from, Process::PreMigration) if copies => from == Process::Normal,
            (from, Process::Migration) if copies => from == Process::PreMigration,
            (from, Process::Migration) => from == rest || (lazy && from == Process::PostMigration),
            (Process::Migration, to) => to == if owes { Process::PostMigration } else { rest },
            (Process::PostMigration, to) => to == rest && (!lazy || before.returning),
            _ => false,
        };
        resumes_early || !legal || self.begins_unexpected(before, after)
    }

    /// Does a migration that is to be announced begin at a destination that does not expect it?
    fn begins_unexpected(&self, before: &Control, after: &Control) -> bool {
        let rest = self.strategy.resting();
        let begins = after.phase.can_abort() && before.process == rest && after.process != rest;
        self.announces() && begins && before.phase != Phase::Expected
    }
}
