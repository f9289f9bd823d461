//! A migration that is announced, and pages of a dead source that come from a store, for any number of pages.

mod common;

use std::time::{Duration, Instant};

use common::liveness_is_ranked_as_expected;
use engine::views::{ProofBounds, ProofOutcome, prove};
use model::strategy::{Fallback, Real, Start, Strategy};
use model::{Disruption, Disruptions, Hosts, Link, Migration, algorithms};

/// Views of one page or two are enough.
const PAGES_MAX: usize = 2;

/// Every algorithm that takes the precaution, with each hand-over, log and stop that it goes with.
fn announced() -> impl Iterator<Item = Strategy> {
    let algorithms = algorithms::BUILT_IN.into_iter().chain([algorithms::QEMU_HYBRID]);
    let with = |strategy: Strategy| {
        Real::all()
            .map(move |real| Strategy { real: Real { start: Start::Announced, ..real }, ..strategy.clone() })
    };
    algorithms.flat_map(with).filter_map(|strategy| strategy.check().ok())
}

/// Every algorithm that can fall back on a store, and those that leave the rest to source and store after pre-copy.
fn falling_back() -> impl Iterator<Item = Strategy> {
    let algorithms = algorithms::BUILT_IN.into_iter().chain([algorithms::QEMU_HYBRID]);
    let with = |strategy: Strategy| {
        Real::all().map(move |real| Strategy {
            real: Real { fallback: Fallback::Store, ..real },
            ..strategy.clone()
        })
    };
    let split = |real| Strategy { real, ..algorithms::ASSISTED_SPLIT };
    algorithms.flat_map(with).chain(Real::all().map(split)).filter_map(|strategy| strategy.check().ok())
}

/// How long the proof took.
fn is_safe(system: &Migration) -> Duration {
    let start = Instant::now();
    let proof = prove(system, ProofBounds::default());
    let took = start.elapsed();
    let name = format!("{:?}, {:?}", system.strategy, system.link);
    assert!(proof.view_pages <= PAGES_MAX, "{name}: views of {}", proof.view_pages);
    for (property, outcome) in &proof.verdicts {
        let holds = matches!(outcome, ProofOutcome::HoldsForAny { .. });
        assert!(holds, "{property} of {name}: {outcome:?}");
    }
    took
}

#[test]
fn what_is_announced_is_safe_with_any_number_of_pages() {
    let mut took = Vec::new();
    for strategy in announced() {
        for link in Link::ALL {
            took.push(is_safe(&Migration::new(strategy.clone(), Hosts::Two, link)));
        }
    }
    println!("the slowest proof took {:?}", took.iter().max());
    assert_eq!(took.len(), 228);
}

/// With the death of the source, and undisturbed.
#[test]
fn what_falls_back_is_safe_with_any_number_of_pages() {
    let mut took = Vec::new();
    for strategy in falling_back() {
        for link in Link::ALL {
            let system = Migration::new(strategy.clone(), Hosts::Two, link);
            took.push(is_safe(&system));
            let crash = Disruptions::up_to(1, Disruption::CrashSource.into());
            took.push(is_safe(&system.with_disruptions(crash)));
        }
    }
    println!("the slowest proof took {:?}", took.iter().max());
    assert_eq!(took.len(), 264);
}

/// Also when a cancel, a refusal or a crash strikes, at any moment.
#[test]
fn it_is_safe_with_any_number_of_pages_when_something_goes_wrong() {
    for strategy in algorithms::PRECAUTIONS {
        for link in Link::ALL {
            for kind in Disruption::ALL {
                let system = Migration::new(strategy.clone(), Hosts::Two, link);
                is_safe(&system.with_disruptions(Disruptions::up_to(1, kind.into())));
            }
        }
    }
}

/// What is announced begins, and ends; what falls back comes.
#[test]
fn liveness_has_a_ranking_exactly_where_it_is_expected_to_hold() {
    liveness_is_ranked_as_expected(announced().chain(falling_back()));
}
