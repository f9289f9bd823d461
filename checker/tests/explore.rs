//! The explorer on the algorithms: against a naive one, and killed again and again.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use engine::explore::{Checkpoint, ExploreOptions, ExploreOutcome, LimitReason, explore};
use engine::testing::naive::Naive;
use model::{Concrete, Defect, Hosts, Link, Migration, Property, algorithms};

fn with<'a>(threads: usize, symmetry: bool) -> ExploreOptions<'a, Property> {
    ExploreOptions { threads: NonZeroUsize::new(threads).unwrap(), symmetry, ..ExploreOptions::default() }
}

/// Saved once at the end alone.
fn saving<'a>(
    options: ExploreOptions<'a, Property>,
    directory: &'a Path,
    resume: bool,
) -> ExploreOptions<'a, Property> {
    let every = Duration::from_secs(3600);
    let checkpoint = Checkpoint { directory, system: "generic", every, resume };
    ExploreOptions { checkpoint: Some(checkpoint), ..options }
}

#[test]
fn agrees_with_a_naive_exploration_of_the_nine_algorithms() {
    for strategy in algorithms::BUILT_IN {
        for link in [Link::Fifo, Link::Unordered, Link::Lossy] {
            for pages in [0, 1, 2] {
                if pages == 2 && link == Link::Lossy && strategy.name == "generic" {
                    // Half a million states are too many to be naive about.
                    continue;
                }
                let concrete =
                    Concrete { system: Migration::new(strategy.clone(), Hosts::Three, link), pages };
                let naive = Naive::explore(&concrete, false);
                for symmetry in [false, true] {
                    let end = explore(&concrete, with(2, symmetry)).unwrap();
                    let unreduced = (end.states_unreduced, end.transitions_unreduced, end.depth);
                    assert_eq!(
                        unreduced,
                        (naive.states, naive.transitions, naive.depth),
                        "{}",
                        strategy.name
                    );
                    assert_eq!(end.control_steps, naive.control_steps);
                    assert_eq!(end.page_steps, naive.page_steps);
                    assert!(end.violations.keys().eq(naive.violations.keys()));
                }
            }
        }
    }
}

#[test]
fn an_exploration_that_is_killed_again_and_again_ends_the_same() {
    let system =
        Migration::new(algorithms::GENERIC, Hosts::Two, Link::Fifo).with_defect(Defect::ForgetWriteBackDuty);
    let concrete = Concrete { system, pages: 3 };
    let whole = explore(&concrete, with(1, false)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // Patience grows, or a slow machine might never get through the widest level.
    for run in 0..20 {
        let options = ExploreOptions { timeout: Some(Duration::from_millis(1 << run)), ..with(2, false) };
        let end = explore(&concrete, saving(options, directory.path(), run > 0)).unwrap();
        if end.outcome == ExploreOutcome::Complete {
            assert!(run > 0, "the first run is too short for anything");
            assert_eq!(
                (end.states, end.transitions, end.depth),
                (whole.states, whole.transitions, whole.depth)
            );
            assert_eq!((end.control_steps, end.page_steps), (whole.control_steps, whole.page_steps));
            assert_eq!(end.violations, whole.violations);
            return;
        }
        assert!(matches!(end.outcome, ExploreOutcome::Inconclusive(LimitReason::Timeout(_))));
    }
    panic!("there is no end");
}
