//! The question that people have: which algorithm freezes the process for no longer than this, and slows it down by no more
//! than that, here; and what would have to change for the others.

use model::Strategy;
use protocol::policy::{Freeze, Pre};
use serde::Serialize;

use super::bounds::{Bounded, bounded_all};
use super::summary::{Summary, outcomes};
use super::{Patience, SimulationError, SimulationOutcome, SimulationSetup, run_while};
use crate::bounds::Cost;

/// More pages than this are not simulated again and again to find out what would help: a part of them is.
const PAGES_OF_A_TRIAL: u64 = 1 << 14;

/// How much faster a line, or slower a process, is tried.
const FACTOR_MAX: f64 = 1024.0;

/// What is asked for. In all runs, not on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Wish {
    /// Frozen for no longer than this.
    pub freeze_ns: Option<u64>,
    /// Slowed down by no more than this share, apart from the freeze.
    pub slowdown: Option<f64>,
    /// Over no later than this.
    pub total_ns: Option<u64>,
}

/// What of it an algorithm does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Miss {
    /// It is frozen for longer.
    Freeze,
    /// It is slowed down more.
    Slowdown,
    /// It takes longer, or does not end.
    Total,
}

/// An algorithm, and whether it does what is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The setting.
    pub setup: SimulationSetup,
    /// What its runs have come to.
    pub summary: Summary,
    /// What is not met.
    pub misses: Vec<Miss>,
    /// The tightest of what is met, as the share of the wish that is left; `None` where something is missed.
    pub margin: Option<f64>,
    /// For how long any run of the algorithm freezes this process at least and at most, by the bounds on pages that are
    /// sent in the freeze; the most is `None` without bound, both are where the model does not have the setting.
    pub freeze_least_ns: Option<u64>,
    /// The most.
    pub freeze_most_ns: Option<u64>,
    /// What would help, where something is missed.
    pub remedies: Vec<Remedy>,
    /// Costs that no run can have; empty unless the simulation or the model is wrong.
    pub outside: Vec<Bounded>,
}

/// A change that would help.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// A line of so many bits a second, or more.
    Bandwidth(u64),
    /// A process whose accesses are so much farther apart.
    AccessIntervalNs(u64),
    /// Nothing that was tried: not a line a thousand times as fast, nor a process a thousand times as slow.
    None,
}

impl Wish {
    /// What of it these runs do not meet.
    fn missed(&self, summary: &Summary) -> Vec<Miss> {
        let over = |limit_ns: Option<u64>, spread: Option<f64>| {
            limit_ns.is_some_and(|limit_ns| spread.is_none_or(|most| most > limit_ns as f64))
        };
        let freeze = over(self.freeze_ns, summary.freeze_ns.map(|spread| spread.most));
        let slowdown = self.slowdown.is_some_and(|limit| summary.slowdown.most > limit);
        let total = over(self.total_ns, summary.total_ns.map(|spread| spread.most));
        let all = [(freeze, Miss::Freeze), (slowdown, Miss::Slowdown), (total, Miss::Total)];
        all.into_iter().filter(|(missed, _)| *missed).map(|(_, miss)| miss).collect()
    }

    /// The share that is left of the tightest.
    fn margin(&self, summary: &Summary) -> f64 {
        let left = |limit: Option<f64>, most: Option<f64>| Some(1.0 - most? / limit?.max(f64::MIN_POSITIVE));
        let ns = |limit: Option<u64>| limit.map(|ns| ns as f64);
        let all = [
            left(ns(self.freeze_ns), summary.freeze_ns.map(|spread| spread.most)),
            left(self.slowdown, Some(summary.slowdown.most)),
            left(ns(self.total_ns), summary.total_ns.map(|spread| spread.most)),
        ];
        all.into_iter().flatten().fold(1.0, f64::min)
    }

    /// The setting with the downtime target that the wish leaves to an algorithm that copies ahead, once what every freeze
    /// takes is taken off; unless a rule was given.
    pub fn aim(&self, mut setup: SimulationSetup) -> SimulationSetup {
        let copies = matches!(setup.policy.pre, Pre::Copy(_)) && setup.policy.freeze == Freeze::NotInStep;
        if let (true, Some(freeze_ns), None) = (copies, self.freeze_ns, setup.stop.downtime_ns) {
            setup.aim_at_downtime(freeze_ns.saturating_sub(setup.bare_freeze_ns()));
            if setup.policy.pre == Pre::Copy(protocol::policy::Passes::UntilInStep) {
                setup.unbind_passes();
            }
        }
        setup
    }
}

/// Whether an algorithm does what is asked for, in so many runs, and otherwise what would help.
///
/// # Errors
/// As [`run_while`].
pub fn advise(
    wish: &Wish,
    (strategy, setup): (&Strategy, SimulationSetup),
    runs: u64,
    patience: &dyn Patience,
) -> Result<Advice, SimulationError> {
    let setup = wish.aim(setup);
    let outcomes = outcomes(&setup, runs, patience)?;
    let summary = Summary::of(&outcomes);
    let misses = wish.missed(&summary);
    let margin = misses.is_empty().then(|| wish.margin(&summary));
    let remedies = if misses.is_empty() { Vec::new() } else { remedies(wish, &setup, patience)? };
    let (least, most, outside) = frozen(strategy, &setup, &outcomes);
    let ns = |pages: u64| setup.frozen_ns(pages).saturating_add(setup.bare_freeze_ns());
    // With or without pages in the freeze, some that were sent ahead may be outdated.
    let drop_ns = if matches!(setup.policy.pre, Pre::Copy(_)) { setup.costs.drop_ns } else { 0 };
    let freeze_least_ns = least.map(ns);
    let freeze_most_ns = most.map(|pages| ns(pages).saturating_add(drop_ns));
    Ok(Advice { setup, summary, misses, margin, freeze_least_ns, freeze_most_ns, remedies, outside })
}

/// Bounds on pages in the freeze, and whatever is outside of its bounds.
fn frozen(
    strategy: &Strategy,
    setup: &SimulationSetup,
    outcomes: &[SimulationOutcome],
) -> (Option<u64>, Option<u64>, Vec<Bounded>) {
    let rows = bounded_all(strategy, setup, outcomes).unwrap_or_default();
    let frozen = rows.first().and_then(|rows| rows.iter().find(|row| row.cost == Cost::Frozen)).copied();
    let outside = rows.into_iter().flatten().filter(|row| !row.is_within()).collect();
    (frozen.map(|row| row.least), frozen.and_then(|row| row.most), outside)
}

/// The least change of each kind that would help.
fn remedies(
    wish: &Wish,
    setup: &SimulationSetup,
    patience: &dyn Patience,
) -> Result<Vec<Remedy>, SimulationError> {
    let pages = setup.page_count()?;
    let trial = setup.scaled(pages.div_ceil(PAGES_OF_A_TRIAL));
    let meets = |setup: &SimulationSetup| {
        let aimed = wish.aim(SimulationSetup {
            stop: super::StopRule { downtime_ns: None, ..setup.stop },
            ..setup.clone()
        });
        let summary = Summary::of(&[run_while(&aimed, patience)?]);
        Ok::<bool, SimulationError>(wish.missed(&summary).is_empty())
    };
    let faster = |factor: f64| {
        let mut setup = trial.clone();
        setup.costs.bandwidth_bits_per_s = (setup.costs.bandwidth_bits_per_s as f64 * factor) as u64;
        setup
    };
    let slower = |factor: f64| {
        let access_interval_ns = (trial.access_interval_ns as f64 * factor) as u64;
        SimulationSetup { access_interval_ns, accesses_min: 0, ..trial.clone() }
    };
    let mut remedies = Vec::new();
    if let Some(factor) = least_factor(|factor| meets(&faster(factor)))? {
        remedies.push(Remedy::Bandwidth((setup.costs.bandwidth_bits_per_s as f64 * factor) as u64));
    }
    if let (Some(_), Some(factor)) = (setup.writes_per_s(), least_factor(|factor| meets(&slower(factor)))?) {
        remedies.push(Remedy::AccessIntervalNs((setup.access_interval_ns as f64 * factor) as u64));
    }
    if remedies.is_empty() {
        remedies.push(Remedy::None);
    }
    Ok(remedies)
}

/// The least factor that helps, to about a twentieth; `None` if the largest does not.
fn least_factor(
    mut helps: impl FnMut(f64) -> Result<bool, SimulationError>,
) -> Result<Option<f64>, SimulationError> {
    let mut factor = 2.0;
    while !helps(factor)? {
        factor *= 2.0;
        if factor > FACTOR_MAX {
            return Ok(None);
        }
    }
    let (mut too_little, mut enough) = (factor / 2.0, factor);
    for _ in 0..4 {
        let between = (too_little * enough).sqrt();
        if helps(between)? {
            enough = between;
        } else {
            too_little = between;
        }
    }
    Ok(Some(enough))
}

/// How long a migration takes for each rate of the line and each downtime target; `None` where the target is never met.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DowntimeTable {
    /// The columns, in nanoseconds.
    pub downtimes_ns: Vec<u64>,
    /// The rows: a rate in bits a second, and the totals.
    pub rows: Vec<(u64, Vec<Option<u64>>)>,
}

/// The table for an algorithm that copies ahead, with as many passes as it takes.
///
/// # Errors
/// As [`run_while`].
pub fn downtime_table(
    setup: &SimulationSetup,
    rates_bits_per_s: &[u64],
    downtimes_ns: &[u64],
    patience: &dyn Patience,
) -> Result<DowntimeTable, SimulationError> {
    let total = |rate: u64, downtime_ns: u64| {
        let mut setup = setup.clone();
        setup.costs.bandwidth_bits_per_s = rate;
        setup.aim_at_downtime(downtime_ns);
        setup.accesses_min = 0;
        setup.unbind_passes();
        let scale = setup.page_count()?.div_ceil(8 * PAGES_OF_A_TRIAL);
        run_while(&setup.scaled(scale), patience).map(|outcome| outcome.total().ns())
    };
    let row = |&rate: &u64| {
        let totals = downtimes_ns.iter().map(|&downtime_ns| total(rate, downtime_ns));
        Ok((rate, totals.collect::<Result<Vec<_>, SimulationError>>()?))
    };
    let rows = rates_bits_per_s.iter().map(row).collect::<Result<_, SimulationError>>()?;
    Ok(DowntimeTable { downtimes_ns: downtimes_ns.to_vec(), rows })
}
