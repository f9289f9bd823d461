//! What real systems do otherwise is proved for any number of pages: every choice alone and with each other one, every
//! profile, and what fails where something goes wrong.

mod common;

use std::time::Duration;

use common::liveness_is_ranked_as_expected;
use engine::views::{ProofBounds, ProofOutcome, prove};
use model::strategy::{Real, Strategy};
use model::{Hosts, Link, Migration, algorithms};

/// Every choice with each other one, for every algorithm that they go with; and the profiles.
fn strategies() -> Vec<Strategy> {
    let algorithms = algorithms::BUILT_IN.into_iter().chain([algorithms::QEMU_HYBRID]);
    let with = |strategy: Strategy| Real::all().map(move |real| Strategy { real, ..strategy.clone() });
    let choices = algorithms.flat_map(with).filter_map(|strategy| strategy.check().ok());
    choices.chain(algorithms::PROFILES).collect()
}

#[test]
fn every_choice_is_safe_with_any_number_of_pages() {
    let mut slowest = Duration::ZERO;
    for strategy in strategies() {
        for link in Link::ALL {
            let system = Migration::new(strategy.clone(), Hosts::Two, link);
            let start = std::time::Instant::now();
            let proof = prove(&system, ProofBounds::default());
            slowest = slowest.max(start.elapsed());
            assert!(proof.view_pages <= 2, "{strategy:?}, {link:?}: views of {}", proof.view_pages);
            for (property, outcome) in &proof.verdicts {
                let holds = matches!(outcome, ProofOutcome::HoldsForAny { .. });
                assert!(holds, "{property} of {strategy:?}, {link:?}: {outcome:?}");
            }
        }
    }
    println!("the slowest proof took {slowest:?}");
}

#[test]
fn liveness_has_a_ranking_exactly_where_it_is_expected_to_hold() {
    liveness_is_ranked_as_expected(strategies());
}
