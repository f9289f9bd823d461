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

use std::mem::swap;

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

    /// What the start of a migration is where it is announced: nothing happens to a page, but that the destination is named.
    pub(super) fn announced_first(&self, step: ControlStep, started: Taken) -> Taken {
        if !self.announces() {
            return started;
        }
        let rest = Control::at_rest(self.strategy.resting());
        let announced = to(Control { phase: Phase::Announced, ..rest });
        match step {
            ControlStep::MigrateBack => announced,
            ControlStep::MigrateOnward => {
                announced.each(|_, _, page| swap(&mut page.destination, &mut page.third))
            }
            _ => started,
        }
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
