//! What any run can cost at least and at most, beside what one simulated run cost.
//!
//! The bounds over all interleavings come from the model's graphs ([`crate::bounds`]), which are small: with
//! [`PAGES`] pages each. From there they are continued to the simulated number of pages, which is right as long as a
//! cost grows with each page as it grew with the last one, or not at all. That is extrapolation and not proof, and
//! what is printed says so; but a simulated figure that is outside means that one of the two counts wrongly.

use std::num::NonZeroUsize;

use engine::state_graph::TooLarge;
use model::strategy::{Passes, Pre};
use model::{Hosts, Link, Migration, Strategy};
use protocol::policy as real;
use serde::Serialize;

use super::{SimulationOutcome, SimulationSetup};
use crate::bounds::{Bounds, Cost, Migrations, STATES_MAX, Way, observed};
use crate::observed::Population;

/// How many pages the populations have from which bounds are continued, in order.
pub const PAGES: [NonZeroUsize; 2] = {
    let [Some(two), Some(three)] = [NonZeroUsize::new(2), NonZeroUsize::new(3)] else { unreachable!() };
    [two, three]
};

/// A cost of a simulated migration between its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounded {
    /// Which cost.
    pub cost: Cost,
    /// What this run cost.
    pub simulated: u64,
    /// No migration costs less.
    pub least: u64,
    /// No migration costs more; `None` if for each number one does.
    pub most: Option<u64>,
}

impl Bounded {
    /// Is it where it must be?
    pub fn is_within(&self) -> bool {
        self.least <= self.simulated && self.most.is_none_or(|most| self.simulated <= most)
    }
}

/// Passes up to which bounds are computed: the model's graph grows with each.
const PASSES_MAX: u32 = 16;

/// Every cost that the simulation measures as the model counts it, between its bounds. None where the model does not
/// have the setting: it has no pre-copy of very many passes, and none that changes into post-copy as it goes.
///
/// # Errors
/// A graph of the model is too large.
pub fn bounded(
    strategy: &Strategy,
    setup: &SimulationSetup,
    outcome: &SimulationOutcome,
) -> Result<Vec<Bounded>, TooLarge> {
    Ok(bounded_all(strategy, setup, std::slice::from_ref(outcome))?.pop().unwrap_or_default())
}

/// The same for several runs of one setting.
///
/// # Errors
/// As [`bounded`].
pub fn bounded_all(
    strategy: &Strategy,
    setup: &SimulationSetup,
    outcomes: &[SimulationOutcome],
) -> Result<Vec<Vec<Bounded>>, TooLarge> {
    let passes = outcomes.iter().map(|outcome| outcome.passes).max().unwrap_or(0);
    let known = outcomes.iter().all(|outcome| !outcome.switched);
    let strategy = with_passes(strategy, setup, passes).filter(|_| known);
    let Some(strategy) = strategy else { return Ok(outcomes.iter().map(|_| Vec::new()).collect()) };
    let migration = Migration::new(strategy, Hosts::Two, Link::Fifo);
    let [fewer, more] = PAGES.map(|pages| observed(migration.clone(), Population::default(), pages));
    let explore = |concrete| Migrations::explore(concrete, Way::Forth, STATES_MAX, |_| true);
    let (mut fewer, mut more) = (explore(&fewer)?, explore(&more)?);
    let bounds: Vec<(Cost, [Bounds; 2])> = Cost::ALL
        .into_iter()
        .filter_map(|cost| Some((cost, [fewer.bounds(cost)?, more.bounds(cost)?])))
        .collect();
    let rows = |outcome: &SimulationOutcome| {
        let row = |&(cost, known): &(Cost, [Bounds; 2])| {
            let simulated = measured(cost, setup, outcome)?;
            let continued = continued(known, outcome.page_count);
            let scale = |count| match cost {
                Cost::Bytes => count / crate::bounds::PAGE_BYTES * setup.page_size_bytes,
                _ => count,
            };
            let (least, most) = (scale(continued.minimum), continued.maximum.map(scale));
            Some(Bounded { cost, simulated, least, most })
        };
        bounds.iter().filter_map(row).collect()
    };
    Ok(outcomes.iter().map(rows).collect())
}

/// The strategy with as many passes as are simulated, if the model counts so far. A run that a rule has ended is one of
/// an algorithm that makes no more passes than it made.
fn with_passes(strategy: &Strategy, setup: &SimulationSetup, made: u32) -> Option<Strategy> {
    let ruled = setup.stop.downtime_ns.is_some() || setup.stop.timeout_ns.is_some();
    let pre = match setup.policy.pre {
        real::Pre::Copy(real::Passes::AtMost(passes)) => {
            let passes = if ruled { passes.min(made.max(1)) } else { passes };
            Pre::Copy(Passes::AtMost(u8::try_from(passes).ok().filter(|_| passes <= PASSES_MAX)?))
        }
        real::Pre::Copy(real::Passes::UntilInStep) => Pre::Copy(Passes::Unbounded),
        real::Pre::None | real::Pre::WriteBack => strategy.pre,
    };
    Strategy { pre, ..strategy.clone() }.check().ok()
}

/// The cost of a simulated migration, counted as in the model; `None` if the simulation does not count it.
fn measured(cost: Cost, setup: &SimulationSetup, outcome: &SimulationOutcome) -> Option<u64> {
    let (pages, faults) = (&outcome.pages, outcome.faults);
    let contents: u64 = outcome.sent.iter().map(|sent| sent.pages).sum();
    match cost {
        Cost::Sent => Some(outcome.pages_from_source()),
        Cost::Frozen => Some(pages.transferred + pages.flushed),
        Cost::Awaited => None,
        Cost::Resent => Some(pages.sent_again),
        Cost::Faults => Some(faults.remote() + faults.at_local_store),
        Cost::Fetched => Some(pages.fetched),
        Cost::WrittenBack => Some(pages.written_back + pages.flushed),
        Cost::Bytes => Some(contents * setup.page_size_bytes),
    }
}

/// The bounds for so many pages, from those for [`PAGES`]: each page more adds what the last one added.
fn continued([fewer, more]: [Bounds; 2], pages: u64) -> Bounds {
    let [_, known] = PAGES.map(|pages| pages.get() as u64);
    let at = |fewer: u64, more: u64| match pages.checked_sub(known) {
        Some(further) => more + further * (more - fewer),
        None => more.saturating_sub((known - pages) * (more - fewer)),
    };
    Bounds {
        minimum: at(fewer.minimum, more.minimum),
        maximum: fewer.maximum.zip(more.maximum).map(|(fewer, more)| at(fewer, more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(minimum: u64, maximum: Option<u64>) -> Bounds {
        Bounds { minimum, maximum }
    }

    #[test]
    fn bounds_go_on_as_they_grew() {
        let copied_twice = continued([bounds(2, Some(4)), bounds(3, Some(6))], 10);
        assert_eq!(copied_twice, bounds(10, Some(20)));
        assert_eq!(continued([bounds(0, Some(2)), bounds(0, Some(2))], 10), bounds(0, Some(2)));
        assert_eq!(continued([bounds(2, None), bounds(3, None)], 1), bounds(1, None));
    }

    #[test]
    fn a_figure_outside_is_noticed() {
        let row = Bounded { cost: Cost::Sent, simulated: 3, least: 3, most: Some(3) };
        assert!(row.is_within());
        assert!(!Bounded { simulated: 2, ..row }.is_within());
        assert!(!Bounded { simulated: 4, ..row }.is_within());
        assert!(Bounded { simulated: 4, most: None, ..row }.is_within());
    }
}
