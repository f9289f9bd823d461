//! Telling the caller how far the exploration is.

use std::time::{Duration, Instant};

use super::limits::Limits;

/// How far an exploration is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExploreProgress {
    /// Distinct states found so far.
    pub states: u64,
    /// States found per second, since the exploration was started or resumed.
    pub states_per_second: f64,
    /// States in the level that is being expanded.
    pub frontier: u64,
    /// Distance of that level from the initial states, in steps.
    pub depth: usize,
    /// Memory in use, in bytes.
    pub memory_bytes: u64,
    /// Time since the exploration was started or resumed.
    pub elapsed: Duration,
}

/// Is called with the progress, every now and then and always on the thread that explores.
pub type ProgressFn<'a> = dyn Fn(&ExploreProgress) + 'a;

/// Calls a [`ProgressFn`], but not too often.
pub(super) struct Reporter<'a> {
    report: &'a ProgressFn<'a>,
    /// The states that there were at the first look: the initial ones, or those before it was resumed.
    states_before: Option<u64>,
    last: Instant,
}

/// The least time between two reports: often enough for a moving bar, too seldom to cost anything.
const REPORT_EVERY: Duration = Duration::from_millis(100);

impl<'a> Reporter<'a> {
    pub(super) fn new(report: &'a ProgressFn<'a>) -> Self {
        Reporter { report, states_before: None, last: Instant::now() }
    }

    /// Reports, if the last report is long enough ago.
    pub(super) fn report(&mut self, limits: &Limits<'_>, depth: usize, level_sizes: &[u64]) {
        let states = limits.states();
        let before = *self.states_before.get_or_insert(states);
        if self.last.elapsed() < REPORT_EVERY {
            return;
        }
        self.last = Instant::now();
        let elapsed = limits.elapsed();
        (self.report)(&ExploreProgress {
            states,
            states_per_second: states.saturating_sub(before) as f64 / elapsed.as_secs_f64(),
            frontier: level_sizes.get(depth).copied().unwrap_or(0),
            depth,
            memory_bytes: limits.memory_bytes(),
            elapsed,
        });
    }
}
