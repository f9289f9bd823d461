//! The operator: suspends the process as soon as that makes sense, slows it down if that helps, and gives up copying that
//! never ends.

use protocol::host::{Host, Role, Suspension, Work};
use protocol::memory::{Accesses, Memory};
use protocol::policy::{Passes, Pre, Stop};
use protocol::source::{PreMigration, Source};

use super::World;
use crate::simulate::{Divergence, SimulationError};

/// Passes in a row that gain nothing before copying ahead is given up, where the best has left so many pages or more: the
/// fewer are left, the sooner they are none by chance.
const PASSES_IN_VAIN: [(u64, u32); 3] = [(1024, 8), (16, 32), (0, 512)];

/// So many pages that are found marked when the process has been stopped are sent while it stands still, where it may be suspended
/// only once everything is in step (`WRITTEN_BY_STOP_MAX` of the reference); with more it goes on.
const HELD_PAGES_MAX: u64 = 16;

/// Passes after which it is given up in any case.
const PASSES_MAX: u32 = 10_000;

impl<M: Memory + Accesses> World<'_, M> {
    /// The operator suspends the process as soon as that makes sense.
    pub(super) fn operate(&mut self) -> Result<bool, SimulationError> {
        let Some(source) = self.source() else { return Ok(false) };
        let Role::Source(Source::PreMigration(pre)) = source.role() else { return Ok(false) };
        let ended = pre.pass.as_ref().filter(|pass| pass.due.is_empty()).map(|pass| pass.number);
        let ready = match self.setup.policy.pre {
            Pre::None => true,
            Pre::WriteBack => {
                let none_due = || source.tasks().next().is_none();
                self.costs.pages.written_back >= self.write_backs_ahead || none_due()
            }
            Pre::Copy(passes) => has_copied_enough(source, pre, passes),
        };
        if let Some(pass) = ended {
            self.end_pass(pass);
        }
        let stops = self.may_stop(ended.is_some()) || self.meets_target_within_pass();
        let goes_on = |world: &Self| world.source().is_some_and(|source| source.is_due(Work::BeginPass));
        if ended.is_some() && !stops && goes_on(self) {
            self.divergence = self.divergence();
        }
        let possible = |world: &Self| world.source().is_some_and(|source| source.check_suspension().is_ok());
        if self.divergence.is_some() || !(ready || stops) || !possible(self) {
            return Ok(false);
        }
        if self.setup.look_ns().is_some() && !self.stop_and_look()? {
            return Ok(false);
        }
        let (code_page, stack_page) = self.code_and_stack;
        let suspension = Suspension { registers: Vec::new(), code_page, stack_page, switched: false };
        self.tell(0, |host| host.suspend(suspension))?;
        let held_ns = self.held_ns.take();
        let outdated = self.costs.left_after_pass.last().is_some_and(|left| *left > 0);
        let software_ns = self.setup.freeze_software_ns(outdated);
        self.busy_ns[0] = self.busy_ns[0].max(self.now_ns).saturating_add(software_ns);
        self.count_throttled();
        self.process.halt();
        self.collect()?;
        // It stands still since it was held.
        self.costs.suspended_ns = held_ns.or(self.costs.suspended_ns);
        Ok(true)
    }

    /// Stops the process and looks for marks once more: whether it may be suspended as it is. If not, it runs on, or is held while
    /// the few pages are sent that are marked.
    fn stop_and_look(&mut self) -> Result<bool, SimulationError> {
        self.look_for_marks()?;
        let written = self.source().and_then(|source| source.memory().written_pages().ok());
        let left = written.map_or(0, |pages| pages.len() as u64);
        if let Some(last) = self.costs.left_after_pass.last_mut() {
            *last = left;
        }
        if self.source().is_some_and(|source| source.check_suspension().is_ok()) {
            return Ok(true);
        }
        if left <= HELD_PAGES_MAX {
            self.held_ns = Some(self.now_ns);
            self.process.halt();
        }
        Ok(false)
    }

    /// Whether the rule says to stop, at the end of a pass.
    fn may_stop(&self, ended: bool) -> bool {
        let stop = &self.setup.stop;
        let left = self.costs.left_after_pass.last().copied().unwrap_or(u64::MAX);
        let met = stop
            .downtime_ns
            .is_some_and(|target_ns| left != u64::MAX && self.setup.frozen_ns(left) <= target_ns);
        let late = stop.timeout_ns.is_some_and(|timeout_ns| self.now_ns >= timeout_ns);
        ended && (met || late)
    }

    /// Whether it is time to look during a pass, and what it has still to send, with what was written since, takes no longer
    /// than the target.
    fn meets_target_within_pass(&mut self) -> bool {
        let stop = &self.setup.stop;
        let (Some(every_ns), Some(target_ns)) = (stop.look_every_ns, stop.downtime_ns) else { return false };
        if self.setup.policy.stop == Stop::Passes || self.now_ns < self.looked_ns.saturating_add(every_ns) {
            return false;
        }
        self.looked_ns = self.now_ns;
        let Some(source) = self.source() else { return false };
        let Role::Source(Source::PreMigration(pre)) = source.role() else { return false };
        let Some(pass) = &pre.pass else { return false };
        let (due, meets) = (pass.due.len() as u64, |pages: u64| self.setup.frozen_ns(pages) <= target_ns);
        // What was written is not asked for before that can matter.
        let written = if meets(due) { source.memory().written_pages().ok() } else { None };
        written.is_some_and(|written| {
            meets(due + written.iter().filter(|page| !pass.due.contains(*page)).count() as u64)
        })
    }

    /// Notes once what a pass has left, and slows the process down if it was much.
    fn end_pass(&mut self, pass: u32) {
        if self.costs.left_after_pass.len() >= pass as usize {
            return;
        }
        let written = self.source().and_then(|source| source.memory().written_pages().ok());
        let left = written.map_or(0, |pages| pages.len() as u64);
        let sent_in_it = self.costs.left_after_pass.last().copied().unwrap_or(self.image.page_count());
        self.costs.left_after_pass.push(left);
        let Some(throttling) = self.setup.stop.throttle else { return };
        if 2 * left > sent_in_it {
            self.count_throttled();
            let percent = match self.process.throttle_percent {
                0 => throttling.initial_percent,
                percent => percent + throttling.step_percent,
            };
            self.process.throttle_percent = percent.min(throttling.max_percent);
        }
    }

    /// Counts the time for which the process has been slowed down as much as it is.
    fn count_throttled(&mut self) {
        let since_ns = self.now_ns - self.throttled_since_ns;
        let denied_ns = u128::from(since_ns) * u128::from(self.process.throttle_percent) / 100;
        self.costs.throttled_ns += denied_ns as u64;
        self.throttled_since_ns = self.now_ns;
    }

    /// Why the next pass would be in vain, if so: the last ones have left no less than those before.
    fn divergence(&self) -> Option<Divergence> {
        let Pre::Copy(Passes::UntilInStep | Passes::AtMost(u32::MAX)) = self.setup.policy.pre else {
            return None;
        };
        let left = &self.costs.left_after_pass;
        let least = left.iter().copied().min()?;
        let (_, in_vain) = PASSES_IN_VAIN.into_iter().find(|(pages, _)| least >= *pages)?;
        let (earlier, last) = left.split_at(left.len().checked_sub(in_vain as usize)?);
        let fewest_before = earlier.iter().copied().min()?;
        let fewest_left = last.iter().copied().min()?;
        let slowing = self.setup.stop.throttle.is_some_and(|throttling| {
            self.process.throttle_percent < throttling.max_percent && 2 * last[0] > fewest_before
        });
        let gained = fewest_left < fewest_before || slowing;
        let passes = left.len() as u32;
        (!gained || passes >= PASSES_MAX).then(|| Divergence {
            passes,
            passes_in_vain: in_vain,
            pages_left: last.last().copied().unwrap_or_default(),
            fewest_left,
            most_left: last.iter().copied().max().unwrap_or_default(),
            freeze_ns: self.setup.frozen_ns(fewest_left),
            writes_per_s: self.setup.writes_per_s(),
            pages_per_s: self.setup.pages_per_s(),
        })
    }
}

/// Whether a pass of copying ahead is over and no other is to follow, or it is unknown whether one should.
fn has_copied_enough<M: Memory>(source: &Host<M>, pre: &PreMigration, passes: Passes) -> bool {
    let Some(pass) = pre.pass.as_ref().filter(|pass| pass.due.is_empty()) else { return false };
    match passes {
        Passes::AtMost(passes) => pass.number >= passes || !source.is_due(Work::BeginPass),
        Passes::UntilInStep => true,
    }
}
