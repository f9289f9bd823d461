//! What a simulated migration costs lies between the bounds over all runs.

use std::num::NonZeroUsize;

use checker::bounds::{Cost, Migrations, STATES_MAX, Way, observed};
use checker::observed::Population;
use checker::simulate::{Fraction, SimulatedWorkload, SimulationOutcome, SimulationSetup, run};
use model::{Hosts, Link, Migration, algorithms};
use protocol::policy::Policy;

/// The counterpart of a cost in what was simulated, which ends when the process is back at rest.
fn figure(outcome: &SimulationOutcome, cost: Cost) -> Option<u64> {
    let pages = outcome.pages;
    match cost {
        Cost::Sent => Some(outcome.pages_from_source()),
        Cost::Frozen => Some(pages.transferred + pages.flushed),
        Cost::Resent => Some(pages.sent_again),
        Cost::Faults => Some(outcome.faults.remote() + outcome.faults.at_local_store),
        Cost::Fetched => Some(pages.fetched),
        Cost::WrittenBack => Some(pages.flushed + pages.written_back),
        // Messages have headers, and what is under way at the suspension is not counted.
        Cost::Awaited | Cost::Bytes => None,
    }
}

#[test]
fn simulated_migrations_lie_between_the_bounds() {
    let mut compared = 0;
    for strategy in algorithms::BUILT_IN {
        let policy = Policy::named(&strategy.name).expect("the same names");
        for pages in 1..=3_u64 {
            let count = NonZeroUsize::new(pages as usize).expect("a page");
            let migration = Migration::new(strategy.clone(), Hosts::Three, Link::Fifo);
            let concrete = observed(migration, Population::default(), count);
            let mut migrations =
                Migrations::explore(&concrete, Way::Forth, STATES_MAX, |_| true).expect("small");
            let bounds = Cost::ALL.map(|cost| (cost, migrations.bounds(cost).expect("a migration")));
            for (workload, seed) in [
                SimulatedWorkload::Uniform,
                SimulatedWorkload::Sequential,
                SimulatedWorkload::None,
                SimulatedWorkload::All,
            ]
            .into_iter()
            .flat_map(|workload| (1..=3).map(move |seed| (workload.clone(), seed)))
            {
                let setup = SimulationSetup {
                    memory_bytes: pages * 4096,
                    workload: workload.clone(),
                    seed,
                    accesses_min: 20,
                    // As fast as pages are sent, so that they meet.
                    access_interval_ns: 100_000,
                    dirty_share: Fraction::HALF,
                    ..SimulationSetup::published(policy.clone())
                };
                let outcome = run(&setup).expect("it runs");
                if outcome.divergence.is_some() {
                    continue;
                }
                for (cost, bounds) in bounds {
                    let Some(figure) = figure(&outcome, cost) else { continue };
                    let inside = bounds.minimum <= figure && bounds.maximum.is_none_or(|most| figure <= most);
                    assert!(
                        inside,
                        "{}, {pages} pages, {workload:?}, seed {seed}: {cost} {figure} is not in {bounds:?}",
                        strategy.name
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 1_500, "{compared} figures were compared");
}
