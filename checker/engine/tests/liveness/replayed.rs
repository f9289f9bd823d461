//! The replay accepts what the search finds, and nothing that was tampered with.

use engine::liveness::{Assumptions, Counterexample, LassoError, Tail, check, replay};
use engine::testing::{RandomProperty as Property, RandomSystem, Shape};
use enumset::EnumSet;
use population::concrete::{Concrete, Move};
use population::system::{Fairness, Live, PropertyName};

const SYSTEMS: u64 = 200;

fn each_counterexample(
    mut look: impl FnMut(&Concrete<RandomSystem>, Property, &Counterexample<RandomSystem>),
) {
    for seed in 0..SYSTEMS {
        let concrete = Concrete { system: RandomSystem::new(seed, Shape::default()), pages: 2 };
        for liveness in check(&concrete, EnumSet::all()).unwrap_or_default() {
            if let Some(lasso) = liveness.outcome.counterexample() {
                look(&concrete, liveness.property, lasso);
            }
        }
    }
}

fn error(
    concrete: &Concrete<RandomSystem>,
    property: Property,
    lasso: &Counterexample<RandomSystem>,
) -> Option<LassoError<Property>> {
    replay(concrete, property, &Assumptions::default(), lasso).err()
}

#[test]
fn tampering_is_noticed() {
    let mut noticed = 0;
    each_counterexample(|concrete, property, lasso| {
        assert_eq!(error(concrete, property, lasso), None);

        let mut elsewhere = lasso.clone();
        elsewhere.start.control = u8::MAX;
        assert_eq!(error(concrete, property, &elsewhere), Some(LassoError::NotInitial));

        if lasso.stem.len() > 1 {
            let mut shortened = lasso.clone();
            shortened.stem.remove(0);
            noticed += u32::from(error(concrete, property, &shortened).is_some());
            let mut altered = lasso.clone();
            altered.stem[0].1.control = u8::MAX;
            assert_eq!(error(concrete, property, &altered), Some(LassoError::NotAStep { at: 1 }));
        }
        if let Tail::Cycle(cycle) = &lasso.tail {
            let with = |tail| Counterexample::<RandomSystem> { tail, ..lasso.clone() };
            let open = with(Tail::Cycle(cycle[..cycle.len() - 1].to_vec()));
            if cycle.len() == 1 || cycle[cycle.len() - 2].1 != *lasso.knot() {
                assert_eq!(error(concrete, property, &open), Some(LassoError::NotClosed));
            }
            // A cycle is shown only where the run could not as well rest.
            assert!(matches!(error(concrete, property, &with(Tail::Stutter)), Some(LassoError::Unfair(_))));
            assert_eq!(error(concrete, property, &with(Tail::Doomed)), Some(LassoError::WrongKind(property)));
        }
    });
    assert!(noticed > 100);
}

/// What was fair enough is not any more when a step that the tail ignores has to be taken.
#[test]
fn fairness_is_replayed() {
    let mut unfair = 0;
    each_counterexample(|concrete, property, lasso| {
        let ignored =
            concrete.successors(lasso.knot()).map(|(step, _)| step).find(|step| match &lasso.tail {
                Tail::Cycle(cycle) => cycle.iter().all(|(taken, _)| taken != step),
                Tail::Stutter => true,
                Tail::Doomed => false,
            });
        let Some(ignored) = ignored else { return };
        let stricter = match ignored {
            Move::Control(step) => Assumptions::default().control(step, Fairness::Strong),
            Move::Page(step, _) => Assumptions::default().page(step, Fairness::Strong),
        };
        let result = replay(concrete, property, &stricter, lasso);
        assert!(matches!(result, Err(LassoError::Unfair(_))), "{result:?} {lasso:?}");
        unfair += 1;
    });
    assert!(unfair > 50);
}

/// The same run says nothing about a property that is not pending on it.
#[test]
fn the_property_is_replayed() {
    let mut refused = 0;
    each_counterexample(|concrete, property, lasso| {
        let liveness =
            EnumSet::<Property>::all().iter().filter(|other| !other.is_safety() && *other != property);
        for other in liveness {
            if concrete.system.scope(other) == concrete.system.scope(property) {
                refused += u32::from(error(concrete, other, lasso).is_some());
            }
        }
        assert_eq!(error(concrete, Property::S1, lasso), Some(LassoError::WrongKind(Property::S1)));
    });
    assert!(refused > 100);
}
