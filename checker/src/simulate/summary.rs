//! The same migration with several seeds: means, and how far single runs are from them.

use serde::Serialize;

use super::{Patience, SimulationError, SimulationOutcome, SimulationSetup, Span, run_while};

/// Pages that are simulated in all runs together, unless it is said how many runs there are.
const PAGES: u64 = 1 << 18;

/// Runs, unless it is said how many.
const RUNS_MAX: u64 = 8;

/// How a number differs from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// What several runs have come to. A time is `None` where it ends in no run, or not in all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many runs, with seeds from that of the setup on.
    pub runs: u64,
    /// In Pre-migration.
    pub pre_migration_ns: Option<Spread>,
    /// Frozen.
    pub freeze_ns: Option<Spread>,
    /// In Post-migration.
    pub post_migration_ns: Option<Spread>,
    /// From the start until the process is back at rest.
    pub total_ns: Option<Spread>,
    /// For which threads waited for pages.
    pub stall_ns: Spread,
    /// Accesses that found no page and waited for it.
    pub faults: Spread,
    /// Share of its time that the process lost, apart from the freeze.
    pub slowdown: Spread,
    /// Bytes of all messages.
    pub bytes: Spread,
}

impl Spread {
    /// Of these numbers.
    pub fn of(numbers: &[f64]) -> Self {
        let count = numbers.len().max(1) as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { mean, deviation, least, most }
    }
}

impl Summary {
    /// Of these runs.
    pub fn of(outcomes: &[SimulationOutcome]) -> Self {
        let numbers = |number: &dyn Fn(&SimulationOutcome) -> f64| {
            Spread::of(&outcomes.iter().map(number).collect::<Vec<_>>())
        };
        let time = |span: &dyn Fn(&SimulationOutcome) -> Span| {
            let times: Option<Vec<f64>> =
                outcomes.iter().map(|outcome| Some(span(outcome).ns()? as f64)).collect();
            times.map(|times| Spread::of(&times))
        };
        Self {
            runs: outcomes.len() as u64,
            pre_migration_ns: time(&|outcome| outcome.pre_migration),
            freeze_ns: time(&|outcome| outcome.freeze),
            post_migration_ns: time(&|outcome| outcome.post_migration),
            total_ns: time(&SimulationOutcome::total),
            stall_ns: numbers(&|outcome| outcome.stall_ns as f64),
            faults: numbers(&|outcome| outcome.faults.remote() as f64),
            slowdown: numbers(&SimulationOutcome::slowdown),
            bytes: numbers(&|outcome| outcome.bytes() as f64),
        }
    }
}

/// How many runs are made where nobody says: as many as are done at once, and one of what is large.
pub fn runs_by_default(setup: &SimulationSetup) -> u64 {
    setup.page_count().map_or(1, |pages| (PAGES / pages.max(1)).clamp(1, RUNS_MAX))
}

/// So many runs, with seeds from that of the setup on.
///
/// # Errors
/// As [`run_while`].
pub fn outcomes(
    setup: &SimulationSetup,
    runs: u64,
    patience: &dyn Patience,
) -> Result<Vec<SimulationOutcome>, SimulationError> {
    let seeds = (0..runs).map(|number| setup.seed.wrapping_add(number));
    seeds.map(|seed| run_while(&SimulationSetup { seed, ..setup.clone() }, patience)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_that_of_a_sample() {
        let spread = Spread::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!((spread.mean, spread.least, spread.most), (2.5, 1.0, 4.0));
        assert!((spread.deviation - (5.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(&[7.0]).deviation, 0.0);
    }
}
