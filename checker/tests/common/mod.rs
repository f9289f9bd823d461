//! What several tests need.

use engine::views::{ProofBounds, prove, ranking};
use model::strategy::Strategy;
use model::{Expectation, Hosts, Link, Migration, Property};

/// There is a ranking for each liveness property that is expected to hold, and it holds; and none for those that are not.
pub fn liveness_is_ranked_as_expected(strategies: impl IntoIterator<Item = Strategy>) {
    for strategy in strategies {
        for link in [Link::Fifo, Link::Unordered] {
            let system = Migration::new(strategy.clone(), Hosts::Two, link);
            let pairs = prove(&system, ProofBounds::default()).invariant.pairs();
            for property in [Property::L1, Property::L2, Property::L3, Property::L4, Property::L5] {
                let expected = strategy.expectation(property) != Expectation::Fails;
                match ranking::find(&system, property, &pairs) {
                    Ok(found) => {
                        assert!(expected, "{property} of {strategy:?}, {link:?}");
                        assert_eq!(ranking::check(&system, &pairs, &found), Ok(()));
                    }
                    Err(left) => assert!(!expected, "{property} of {strategy:?}, {link:?}: {left:?}"),
                }
            }
        }
    }
}
