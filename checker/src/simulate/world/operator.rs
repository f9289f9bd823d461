//! The operator: suspends the process as soon as that makes sense, and gives up copying that never ends.

use protocol::host::{Role, Suspension, Work};
use protocol::memory::{Accesses, Memory};
use protocol::policy::{Passes, Pre};
use protocol::source::{PreMigration, Source};

use super::{World, at};
use crate::simulate::{Divergence, SimulationError};

/// Passes after which copying ahead is given up where the process writes faster than the link carries pages.
const PASSES_IN_VAIN: u32 = 8;

/// Passes after which it is given up in any case.
const PASSES_MAX: u32 = 10_000;

impl<M: Memory + Accesses> World<'_, M> {
    /// The operator suspends the process as soon as that makes sense.
    pub(super) fn operate(&mut self) -> Result<bool, SimulationError> {
        let Role::Source(Source::PreMigration(pre)) = self.hosts[0].role() else { return Ok(false) };
        let ready = match self.setup.policy.pre {
            Pre::None => true,
            Pre::WriteBack => {
                let none_due = || self.hosts[0].tasks().next().is_none();
                self.costs.pages.written_back >= self.write_backs_ahead || none_due()
            }
            Pre::Copy(passes) => self.has_copied_enough(pre, passes),
        };
        if !ready {
            return Ok(false);
        }
        if self.costs.passes >= PASSES_IN_VAIN && self.hosts[0].is_due(Work::BeginPass) {
            self.divergence = self.divergence();
        }
        if self.divergence.is_some() || self.hosts[0].check_suspension().is_err() {
            return Ok(false);
        }
        let (code_page, stack_page) = self.code_and_stack;
        let suspension = Suspension { registers: Vec::new(), code_page, stack_page };
        self.hosts[0].suspend(suspension).map_err(at(0))?;
        self.access_ns = None;
        self.collect(0)?;
        Ok(true)
    }

    /// Whether a pass of copying ahead is over and no other is to follow, or it is unknown whether one should.
    fn has_copied_enough(&self, pre: &PreMigration, passes: Passes) -> bool {
        let Some(pass) = pre.pass.as_ref().filter(|pass| pass.due.is_empty()) else { return false };
        match passes {
            Passes::AtMost(passes) => pass.number >= passes || !self.hosts[0].is_due(Work::BeginPass),
            Passes::UntilInStep => true,
        }
    }

    /// Why the next pass would be in vain, if so.
    fn divergence(&self) -> Option<Divergence> {
        let Pre::Copy(Passes::UntilInStep) = self.setup.policy.pre else { return None };
        let (writes_per_s, pages_per_s) = (self.setup.writes_per_s(), self.setup.pages_per_s());
        let passes = self.costs.passes;
        let outrun = writes_per_s.is_none_or(|writes_per_s| writes_per_s >= pages_per_s);
        let in_vain = outrun || passes >= PASSES_MAX;
        let memory = self.hosts[0].memory();
        let pages_left = || self.image.page_numbers().filter(|&page| memory.is_written(page)).count() as u64;
        in_vain.then(|| Divergence { passes, pages_left: pages_left(), writes_per_s, pages_per_s })
    }
}
