//! `start = "announced"`: the destination is told of a migration before it begins, and says that it expects it.
//!
//! ```text
//!   source       runs ─ announces ─▶              ◀─ expected ─ begins: copies pages, or suspends the process
//!   destination                       expects it
//! ```
//!
//! Until it begins the process runs on as if there were none: it writes, faults and exits. A refusal, a cancel or a crash
//! costs nothing then, where the process would otherwise be frozen; but a destination that is not told of a cancel goes on
//! expecting, and takes up no other migration (defect `cancel-unsaid`).

use super::{AfterControl, Taken, to};
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::step::ControlStep;
use crate::strategy::Start;

impl Migration {
    pub(crate) fn announces(&self) -> bool {
        self.strategy.real.start == Start::Announced
    }

    /// What the start of a migration is where it is announced. Nothing happens to a page: at rest no other host has one, so
    /// whether it goes back or onward makes no difference to any.
    pub(super) fn announced_first(&self, step: ControlStep, started: Taken) -> Taken {
        let starts = matches!(step, ControlStep::MigrateBack | ControlStep::MigrateOnward);
        let rest = Control::at_rest(self.strategy.resting());
        if starts && self.announces() { to(Control { phase: Phase::Announced, ..rest }) } else { started }
    }

    /// The destination hears of it, and expects it.
    pub(crate) fn deliver_announcement(&self, control: &Control) -> AfterControl {
        let arrives = control.phase == Phase::Announced && !control.message_lost;
        arrives.then_some(to(Control { phase: Phase::Expected, ..*control }))
    }

    /// The migration begins as one that was not announced does, when no fault is being served.
    pub(crate) fn begin(&self, control: &Control) -> AfterControl {
        let expected = control.phase == Phase::Expected && !control.message_lost;
        let started = self.started(&Control { phase: Phase::Rest, ..*control })?;
        let begun = to(started).when(Condition::Quiet).each(Migration::begin_back);
        expected.then_some(begun)
    }
}
