//! The replay accepts what the search finds, and nothing that was tampered with.

use engine::liveness::{Assumptions, Counterexample, LassoError, Tail, check, replay};
use engine::testing::toy::{ControlStep, Toy, ToyPage, ToyPhase, ToyProperty};
use engine::testing::{RandomProperty as Property, RandomSystem, Shape};
use enumset::EnumSet;
use population::concrete::{Concrete, Move, State, Step};
use population::system::{Fairness, Live, PropertyName, Scope, System};

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

/// The same run violates another property exactly where that is pending on the whole tail and nothing discharges it.
#[test]
fn the_property_is_replayed() {
    let (mut refused, mut accepted) = (0, 0);
    each_counterexample(|concrete, property, lasso| {
        let liveness =
            EnumSet::<Property>::all().iter().filter(|other| !other.is_safety() && *other != property);
        for other in liveness {
            if concrete.system.scope(other) == concrete.system.scope(property) {
                let waits = match &lasso.tail {
                    Tail::Cycle(cycle) => cycle.iter().all(|(step, state)| {
                        is_pending(concrete, other, state) && !discharges(concrete, other, *step)
                    }),
                    Tail::Stutter => is_pending(concrete, other, lasso.knot()),
                    Tail::Doomed => is_doomed(concrete, other, lasso.knot()),
                };
                assert_eq!(error(concrete, other, lasso).is_none(), waits, "{other}: {lasso:?}");
                *(if waits { &mut accepted } else { &mut refused }) += 1;
            }
        }
        assert_eq!(error(concrete, Property::S1, lasso), Some(LassoError::WrongKind(Property::S1)));
    });
    assert!(refused > 100 && accepted > 100, "{refused} and {accepted}: no good mixture");
}

fn is_pending(concrete: &Concrete<RandomSystem>, property: Property, state: &State<RandomSystem>) -> bool {
    let system = &concrete.system;
    match system.scope(property) {
        Some(Scope::Page) => system.pending(property, &state.control, state.pages.first()),
        Some(Scope::Possibility) => {
            let all = state
                .pages
                .iter()
                .all(|page| system.conditions(page).is_superset(system.goal_conditions(property)));
            system.pending(property, &state.control, None) || !all
        }
        _ => system.pending(property, &state.control, None),
    }
}

fn discharges(concrete: &Concrete<RandomSystem>, property: Property, step: Step<RandomSystem>) -> bool {
    let of_a_page = concrete.system.scope(property) == Some(Scope::Page);
    matches!(step, Move::Page(step, 0) if of_a_page && concrete.system.discharges(property, step))
}

/// Is nothing that can follow the goal, and the state not excused?
fn is_doomed(concrete: &Concrete<RandomSystem>, property: Property, state: &State<RandomSystem>) -> bool {
    let mut reached = vec![state.clone()];
    let mut next = 0;
    while let Some(state) = reached.get(next).cloned() {
        for (_, after) in concrete.successors(&state) {
            if !reached.contains(&after) {
                reached.push(after);
            }
        }
        next += 1;
    }
    let excused = concrete.system.excused(property, &state.control);
    !excused && reached.iter().all(|state| is_pending(concrete, property, state))
}

/// Each objection to a run that a person can follow, and the step that it names.
#[test]
fn objections_name_the_step() {
    let normal = |page| State::<Toy> { control: ToyPhase::Normal, pages: [page].into_iter().collect() };
    let post = |page| State::<Toy> { control: ToyPhase::Post, pages: [page].into_iter().collect() };
    let (depart, finish) = (Move::Control(ControlStep::Depart), Move::Control(ControlStep::Finish));
    let (missing, present) = (ToyPage::Missing, ToyPage::Present);
    let objection = |toy: Toy, stem: Vec<_>, tail| {
        let lasso = Counterexample::<Toy> { start: normal(present), stem, tail };
        replay(&Concrete { system: toy, pages: 1 }, ToyProperty::L1, &Assumptions::default(), &lasso).err()
    };
    let lazy = Toy { lazy: true, ..Toy::default() };
    let departed = vec![(depart, post(missing))];
    assert_eq!(objection(lazy, departed.clone(), Tail::Stutter), None);
    let not_pending = |at| Some(LassoError::NotPending { property: ToyProperty::L1, at });
    assert_eq!(objection(lazy, vec![], Tail::Stutter), not_pending(0));

    let hasty = Toy { hasty: true, ..Toy::default() };
    let back = |state: State<Toy>| Tail::Cycle(vec![(finish, state), (depart, post(missing))]);
    assert_eq!(objection(hasty, departed.clone(), back(normal(missing))), not_pending(2));
    assert_eq!(
        objection(hasty, departed.clone(), back(normal(present))),
        Some(LassoError::NotAStep { at: 2 })
    );
    assert_eq!(objection(hasty, departed, Tail::Cycle(vec![])), Some(LassoError::NotClosed));
}
