//! The proof for any number of pages, held to concrete populations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use engine::liveness;
use engine::testing::toy::{Toy, ToyPage, ToyPhase, ToyProperty};
use engine::testing::{Kindness, RandomProperty, RandomSystem, Shape};
use engine::views::ranking::{self, Level, Ranking, RankingError, RankingOf, Ranks, Unranked};
use engine::views::recheck::{self, ProofObjection};
use engine::views::transitions::transitions;
use engine::views::{
    Configurations, Invariant, InvariantError, InvariantOf, ProofBounds, ProofOutcome, prove,
};
use enumset::EnumSet;
use population::concrete::{Concrete, Move, State};
use population::system::{Judged, Properties, PropertyName, System};
use proptest::prelude::*;

/// The largest population that verdicts are compared with.
const PAGES_MAX: usize = 4;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_holds_for_any_number_holds_for_small_ones(system in random_systems()) {
        let proof = prove(&system, ProofBounds::default());
        for pages in 1..=PAGES_MAX {
            let (states, violated) = explore(&system, pages);
            for (property, outcome) in &proof.verdicts {
                match outcome {
                    ProofOutcome::HoldsForAny { .. } => prop_assert!(!violated.contains(*property)),
                    ProofOutcome::Fails { pages: first, .. } if *first == pages => {
                        prop_assert!(violated.contains(*property));
                    }
                    ProofOutcome::Fails { pages: first, .. } if *first > pages => {
                        prop_assert!(!violated.contains(*property));
                    }
                    ProofOutcome::Inconclusive(reason) => {
                        prop_assert!(!violated.contains(*property), "{pages} pages violate {property}: {reason}");
                    }
                    ProofOutcome::Fails { .. } => {}
                }
            }
            for state in &states {
                prop_assert!(covered(&proof.invariant, state), "{state:?} is not covered");
            }
        }
        let (seen, concrete) = (transitions(&system), Concrete { system: system.clone(), pages: 2 });
        for state in explore(&system, 2).0 {
            for (step, _) in concrete.successors(&state) {
                let taken: Vec<_> = match step {
                    Move::Control(_) => state.pages.iter().map(|page| (state.control, *page, step)).collect(),
                    Move::Page(own, page) => vec![(state.control, state.pages[page], Move::Page(own, 0))],
                };
                prop_assert!(taken.iter().all(|taken| seen.contains(taken)), "{taken:?} is not seen");
            }
        }
    }

    #[test]
    fn every_violating_run_is_a_run_and_violates(system in random_systems()) {
        for (property, outcome) in prove(&system, ProofBounds::default()).verdicts {
            let ProofOutcome::Fails { pages, trace } = outcome else { continue };
            let concrete = Concrete { system: system.clone(), pages };
            prop_assert!(concrete.initial().contains(&trace.initial));
            let mut now = trace.initial;
            let mut violated = concrete.judge(&now);
            for (step, next) in trace.steps {
                prop_assert!(!violated.contains(property), "the run violates {property} before it ends");
                violated = concrete.judge_step(&now, step);
                prop_assert_eq!(concrete.apply(&now, step), Some(next.clone()));
                violated |= concrete.judge(&next);
                now = next;
            }
            prop_assert!(violated.contains(property), "the run does not violate {property}");
        }
    }

    #[test]
    fn the_rechecker_accepts_the_set_and_needs_all_of_it(system in random_systems()) {
        let invariant = prove(&system, ProofBounds::default()).invariant;
        prop_assert!(recheck::recheck(&system, &invariant).is_ok(), "{:?}", recheck::recheck(&system, &invariant));
        for mutated in without_one(&invariant) {
            prop_assert!(recheck::recheck(&system, &mutated).is_err(), "accepted {mutated:?}");
        }
        let pages = invariant.view_pages + 1;
        let permitted: BTreeSet<_> = recheck::permitted(&system, &invariant).iter().map(State::<RandomSystem>::sorted).collect();
        prop_assert!(permitted.iter().all(|state| state.pages.len() == pages));
        prop_assert!(explore(&system, pages).0.is_subset(&permitted));

        let mut bold = invariant;
        bold.claims = EnumSet::<RandomProperty>::all().iter().filter(|property| property.is_safety()).collect();
        let proof = prove(&system, ProofBounds::default());
        let fails = proof.verdicts.values().any(|outcome| matches!(outcome, ProofOutcome::Fails { .. }));
        let objection = recheck::recheck(&system, &bold).err();
        prop_assert!(!fails || objection.is_some());
        // Small populations are looked at first, and nothing in them is overlooked.
        if !explore(&system, 1).1.is_empty() {
            let of_one_page = matches!(objection.as_deref(), Some(ProofObjection::Violated { state, .. }) if state.pages.len() == 1);
            prop_assert!(of_one_page, "{objection:?}");
        }
    }

    /// What would prove a property of a system with fewer requirements, more fairness or fewer steps proves nothing false
    /// of this one.
    #[test]
    fn a_ranking_of_a_kinder_system_proves_nothing_false(system in random_systems(), kindness: u8) {
        let pairs = prove(&system, ProofBounds::default()).invariant.pairs();
        let kinder = system.kinder(EnumSet::<Kindness>::from_u8_truncated(kindness));
        for property in EnumSet::all() {
            let Ok(found) = ranking::find(&kinder, property, &pairs) else { continue };
            if ranking::check(&system, &pairs, &found).is_ok() {
                for pages in 1..=2 {
                    let concrete = Concrete { system: system.clone(), pages };
                    for judged in liveness::check(&concrete, property.into()).unwrap() {
                        prop_assert!(judged.outcome.holds(), "{property} with {pages} pages: {:?}", judged.outcome);
                    }
                }
            }
        }
    }

    #[test]
    fn a_ranking_passes_the_check_and_no_small_population_refutes_it(system in random_systems()) {
        let pairs = prove(&system, ProofBounds::default()).invariant.pairs();
        let mut ranked = EnumSet::empty();
        for property in EnumSet::all() {
            if let Ok(found) = ranking::find(&system, property, &pairs) {
                prop_assert_eq!(ranking::check(&system, &pairs, &found), Ok(()));
                ranked |= property;
            }
        }
        for pages in 1..=3 {
            let concrete = Concrete { system: system.clone(), pages };
            for judged in liveness::check(&concrete, ranked).unwrap() {
                prop_assert!(judged.outcome.holds(), "{} with {pages} pages: {:?}", judged.property, judged.outcome);
            }
        }
    }

    /// One level, in which everything has the same rank and one step is said to help, for each step and kind of level.
    #[test]
    fn a_flat_ranking_proves_nothing_false(system in random_systems()) {
        let pairs = prove(&system, ProofBounds::default()).invariant.pairs();
        let controls = pairs.iter().map(|(control, _)| (*control, 0)).collect::<BTreeMap<_, _>>();
        let pages = pairs.iter().map(|pair| (*pair, 0)).collect::<BTreeMap<_, _>>();
        let of_control = |step: &u8| Level::Control(Ranks { ranks: controls.clone(), helpful: [(0, *step)].into() });
        let of_page = |step: &u8| {
            let ranks = || Ranks { ranks: pages.clone(), helpful: [(0, *step)].into() };
            [Level::EveryPage(ranks()), Level::WaitingPage(ranks())]
        };
        let of_pages = system.page_steps().iter().flat_map(of_page);
        let levels: Vec<_> = system.control_steps().iter().map(of_control).chain(of_pages).collect();
        for property in EnumSet::all() {
            let proves = |level: &Level<_, _, _, _>| {
                let ranking = Ranking { property, levels: vec![level.clone()] };
                ranking::check(&system, &pairs, &ranking).is_ok()
            };
            if levels.iter().any(proves) {
                for pages in 1..=2 {
                    let concrete = Concrete { system: system.clone(), pages };
                    for judged in liveness::check(&concrete, property.into()).unwrap() {
                        prop_assert!(judged.outcome.holds(), "{property} with {pages} pages: {:?}", judged.outcome);
                    }
                }
            }
        }
    }

    #[test]
    fn a_ranking_changed_at_random_proves_nothing_false(
        system in random_systems(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..4), 1..4),
    ) {
        let pairs = prove(&system, ProofBounds::default()).invariant.pairs();
        for property in EnumSet::all() {
            let mut changed = match ranking::find(&system, property, &pairs) {
                Ok(found) => found,
                Err(_) => continue,
            };
            for (index, rank) in &changes {
                change(&mut changed, index, *rank);
            }
            // Whether or not another property would need it, what passes the check must be true.
            for claimed in EnumSet::all() {
                changed.property = claimed;
                if ranking::check(&system, &pairs, &changed).is_ok() {
                    let concrete = Concrete { system: system.clone(), pages: 2 };
                    for judged in liveness::check(&concrete, claimed.into()).unwrap() {
                        prop_assert!(judged.outcome.holds(), "{claimed}: {:?}", judged.outcome);
                    }
                }
            }
        }
    }
}

fn random_systems() -> impl Strategy<Value = RandomSystem> {
    // Mostly a violation here and there; sometimes nearly everywhere, by control record and pages alike.
    let violating = prop_oneof![5 => 0u8..10, 1 => 80u8..=100];
    let shape = (1u8..5, 1u8..6, 1u8..4, 0u8..4, 1u8..5, 10u8..70, 0u8..60, violating).prop_map(
        |(controls, pages, initial_pages, control_steps, page_steps, moves, guarded, violating)| Shape {
            controls,
            pages,
            initial_pages,
            control_steps,
            page_steps,
            moves,
            guarded,
            violating,
        },
    );
    (any::<u64>(), shape).prop_map(|(seed, shape)| RandomSystem::new(seed, shape))
}

/// All reachable states, up to the order of pages, and what they and their steps violate.
fn explore<S: Judged + Clone>(system: &S, pages: usize) -> (BTreeSet<State<S>>, Properties<S>) {
    let concrete = Concrete { system: system.clone(), pages };
    let mut queue: VecDeque<_> = concrete.initial().into();
    let mut states: BTreeSet<_> = queue.iter().map(State::<S>::sorted).collect();
    let mut violated = EnumSet::empty();
    while let Some(state) = queue.pop_front() {
        violated |= concrete.judge(&state);
        for (step, next) in concrete.successors(&state) {
            violated |= concrete.judge_step(&state, step);
            if states.insert(next.sorted()) {
                queue.push_back(next.sorted());
            }
        }
    }
    (states, violated)
}

/// Gives something in a ranking another rank.
fn change(ranking: &mut RankingOf<RandomSystem>, index: &prop::sample::Index, rank: usize) {
    if ranking.levels.is_empty() {
        return;
    }
    let level = index.index(ranking.levels.len());
    let ranks: Vec<_> = match &mut ranking.levels[level] {
        Level::Control(ranks) => ranks.ranks.values_mut().collect(),
        Level::EveryPage(ranks) | Level::WaitingPage(ranks) => ranks.ranks.values_mut().collect(),
    };
    let at = index.index(ranks.len().max(1));
    ranks.into_iter().skip(at).take(1).for_each(|of| *of = rank);
}

/// Are all views of the state in the invariant?
fn covered(invariant: &InvariantOf<RandomSystem>, state: &State<RandomSystem>) -> bool {
    let pages = state.pages.as_slice();
    let size = invariant.view_pages.min(pages.len());
    let listed = if size == pages.len() { &invariant.small } else { &invariant.views };
    let listed: BTreeSet<_> = listed
        .iter()
        .flat_map(|of| of.pages.iter().map(|pages| (invariant.controls[of.control], pages)))
        .map(|(control, pages)| {
            (control, pages.iter().map(|page| invariant.records[*page]).collect::<Vec<_>>())
        })
        .collect();
    (0..1u32 << pages.len()).filter(|chosen| chosen.count_ones() as usize == size).all(|chosen| {
        let view =
            (0..pages.len()).filter(|index| chosen >> index & 1 == 1).map(|index| pages[index]).collect();
        listed.contains(&(state.control, view))
    })
}

/// The invariant without one of its configurations or views, for each.
fn without_one<C: Clone, P: Clone, R: PropertyName>(
    invariant: &Invariant<C, P, R>,
) -> Vec<Invariant<C, P, R>> {
    let mut mutated = Vec::new();
    for (of, configurations) in invariant.small.iter().enumerate() {
        for index in 0..configurations.pages.len() {
            let mut without = invariant.clone();
            without.small[of].pages.remove(index);
            mutated.push(without);
        }
    }
    for (of, configurations) in invariant.views.iter().enumerate() {
        for index in 0..configurations.pages.len() {
            let mut without = invariant.clone();
            without.views[of].pages.remove(index);
            mutated.push(without);
        }
    }
    mutated
}

#[test]
fn a_correct_protocol_holds_for_any_number_of_pages() {
    let proof = prove(&Toy::default(), ProofBounds::default());
    for (property, outcome) in &proof.verdicts {
        assert_eq!(*outcome, ProofOutcome::HoldsForAny { view_pages: 1 }, "{property}");
    }
    assert_eq!((proof.views, proof.controls, proof.records, proof.rounds), (5, 2, 4, 4));
}

#[test]
fn a_violation_comes_with_the_smallest_population_and_a_shortest_run() {
    let hasty = prove(&Toy { hasty: true, ..Toy::default() }, ProofBounds::default());
    let ProofOutcome::Fails { pages: 1, trace } = &hasty.verdicts[&ToyProperty::S5] else {
        panic!("{:?}", hasty.verdicts);
    };
    assert_eq!(trace.steps.len(), 2);

    let rude = prove(&Toy { rude: true, ..Toy::default() }, ProofBounds::default());
    let ProofOutcome::Fails { pages: 2, trace } = &rude.verdicts[&ToyProperty::S7] else {
        panic!("{:?}", rude.verdicts);
    };
    assert_eq!(trace.steps.len(), 3);
}

#[test]
fn a_deadlock_is_found() {
    let stalled = prove(&Toy { stalled: true, ..Toy::default() }, ProofBounds::default());
    let ProofOutcome::Fails { pages: 1, trace } = &stalled.verdicts[&ToyProperty::S10] else {
        panic!("{:?}", stalled.verdicts);
    };
    assert_eq!(trace.steps.len(), 2);
}

#[test]
fn a_deadlock_of_two_pages_is_none_of_one() {
    let jealous = Toy { jealous: true, ..Toy::default() };
    let proof = prove(&jealous, ProofBounds::default());
    let ProofOutcome::Fails { pages: 2, trace } = &proof.verdicts[&ToyProperty::S10] else {
        panic!("{:?}", proof.verdicts);
    };
    assert_eq!(trace.steps.len(), 3);
    let mut bold = proof.invariant;
    bold.claims |= ToyProperty::S10;
    let ProofObjection::Stuck(stuck) = *recheck::recheck(&jealous, &bold).unwrap_err() else {
        panic!("it may be stuck");
    };
    assert_eq!(
        (stuck.control, &stuck.pages[..]),
        (ToyPhase::Post, &[ToyPage::Requested, ToyPage::Present][..])
    );
}

/// What is not decided within the bounds says what was looked at, and a larger population is not looked at.
#[test]
fn bounds_that_are_too_tight_are_inconclusive() {
    let reasons = |toy: Toy, bounds: ProofBounds| {
        let inconclusive = |(property, outcome)| match outcome {
            ProofOutcome::Inconclusive(reason) => Some((property, reason)),
            _ => None,
        };
        prove(&toy, bounds).verdicts.into_iter().filter_map(inconclusive).collect::<BTreeMap<_, _>>()
    };
    let bounds = ProofBounds::default();
    let few_states = reasons(Toy::default(), ProofBounds { states_max: 1, ..bounds });
    assert_eq!(few_states.len(), 3);
    for reason in few_states.values() {
        assert_eq!(
            reason,
            "populations too small for views were not explored; no population of up to 0 pages shows one, and that of 1 \
             pages has over 1 states"
        );
    }

    let one_page = ProofBounds { view_pages_max: 1, population_max: 1, ..bounds };
    let rude = reasons(Toy { rude: true, ..Toy::default() }, one_page);
    let reason = "views of 1 pages permit a violation; no population of up to 1 pages shows one";
    assert_eq!(rude, BTreeMap::from([(ToyProperty::S7, reason.to_owned())]));

    let jealous = reasons(Toy { jealous: true, ..Toy::default() }, one_page);
    let reason = "views of 1 pages do not exclude a deadlock in Post with pages among [Present, Requested]; no population of \
                  up to 1 pages shows one";
    assert_eq!(jealous, BTreeMap::from([(ToyProperty::S10, reason.to_owned())]));

    // One page has five states, two have more.
    let two_many = ProofBounds { view_pages_max: 1, states_max: 5, ..bounds };
    let jealous = reasons(Toy { jealous: true, ..Toy::default() }, two_many);
    let searched = format!("{reason}, and that of 2 pages has over 5 states");
    assert_eq!(jealous, BTreeMap::from([(ToyProperty::S10, searched)]));

    // Three initial states are more than two, though there never are exactly two.
    let many_initial = RandomSystem::new(0, Shape { initial_pages: 3, ..Shape::default() });
    for outcome in prove(&many_initial, ProofBounds { states_max: 2, ..bounds }).verdicts.values() {
        assert!(!matches!(outcome, ProofOutcome::HoldsForAny { .. }), "{outcome:?}");
    }
}

#[test]
fn an_invariant_survives_its_document() {
    let toy = Toy::default();
    let mut invariant = prove(&toy, ProofBounds::default()).invariant;
    invariant.subject = "toy".to_owned();
    let json = invariant.to_json().unwrap();
    let read = InvariantOf::<Toy>::from_json(&json).unwrap();
    assert_eq!(read, invariant);
    assert!(recheck::recheck(&toy, &read).is_ok());

    let newer = json.replace("\"version\": 1", "\"version\": 2");
    assert!(matches!(InvariantOf::<Toy>::from_json(&newer), Err(InvariantError::Version { version: 2, .. })));
    let dangling = json.replacen("\"control\":0", "\"control\":9", 1);
    assert!(matches!(InvariantOf::<Toy>::from_json(&dangling), Err(InvariantError::Malformed(_))));
    assert!(matches!(InvariantOf::<Toy>::from_json("{}"), Err(InvariantError::Json(_))));

    // Each place where a number of pages or their order is wrong.
    let refused = |change: &dyn Fn(&mut InvariantOf<Toy>)| {
        let mut wrong = invariant.clone();
        change(&mut wrong);
        let read = InvariantOf::<Toy>::from_json(&wrong.to_json().unwrap());
        assert!(matches!(read, Err(InvariantError::Malformed(_))), "{read:?}");
    };
    refused(&|wrong| wrong.small[0].pages.push(vec![]));
    refused(&|wrong| wrong.small[0].pages.push(vec![0, 0]));
    refused(&|wrong| wrong.views[0].pages.push(vec![]));
    refused(&|wrong| wrong.views[0].pages.push(vec![0, 0]));
    refused(&|wrong| wrong.view_pages = 0);
    let two_pages = |pages: Vec<usize>, small: bool| {
        move |of: &mut InvariantOf<Toy>| {
            of.view_pages = 2;
            of.views.clear();
            let control = 0;
            let list = if small { &mut of.small } else { &mut of.views };
            list.push(Configurations { control, pages: vec![pages.clone()] });
        }
    };
    for small in [true, false] {
        refused(&two_pages(vec![1, 0], small));
        let mut sorted = invariant.clone();
        two_pages(vec![0, 1], small)(&mut sorted);
        assert!(InvariantOf::<Toy>::from_json(&sorted.to_json().unwrap()).is_ok());
    }
}

#[test]
fn the_rechecker_names_what_is_wrong() {
    let toy = Toy::default();
    let invariant = prove(&toy, ProofBounds::default()).invariant;
    let hasty = Toy { hasty: true, ..toy };
    assert!(matches!(
        *recheck::recheck(&hasty, &invariant).unwrap_err(),
        ProofObjection::NotInductive { .. }
    ));
    let rude = Toy { rude: true, ..toy };
    let objection = *recheck::recheck(&rude, &invariant).unwrap_err();
    assert!(matches!(objection, ProofObjection::Violated { property: ToyProperty::S7, .. }), "{objection}");
    let stalled = Toy { stalled: true, ..toy };
    let objection = *recheck::recheck(&stalled, &invariant).unwrap_err();
    assert!(matches!(objection, ProofObjection::Violated { property: ToyProperty::S10, .. }), "{objection}");
}

#[test]
fn pushing_empties_the_source_for_any_number_of_pages() {
    let toy = Toy::default();
    let pairs = prove(&toy, ProofBounds::default()).invariant.pairs();
    for property in [ToyProperty::L1, ToyProperty::L3] {
        let found = ranking::find(&toy, property, &pairs).unwrap();
        assert_eq!(ranking::check(&toy, &pairs, &found), Ok(()));
    }
}

/// A property that is never pending has a ranking without levels, which says nothing.
#[test]
fn what_is_never_pending_is_vacuous() {
    let pairs = prove(&Toy::default(), ProofBounds::default()).invariant.pairs();
    let vacuous = |property| ranking::is_vacuous(&Toy::default(), property, &pairs);
    let waits = [ToyProperty::L1, ToyProperty::L3];
    assert!(EnumSet::all().iter().all(|property| vacuous(property) != waits.contains(&property)));
}

#[test]
fn without_pushing_only_requested_pages_arrive() {
    let lazy = Toy { lazy: true, ..Toy::default() };
    let pairs = prove(&lazy, ProofBounds::default()).invariant.pairs();
    let Err(Unranked::Left(left)) = ranking::find(&lazy, ToyProperty::L1, &pairs) else {
        panic!("a page that is never touched keeps the source needed");
    };
    assert!(left.contains(&(ToyPhase::Post, ToyPage::Missing)));
    assert!(ranking::find(&lazy, ToyProperty::L3, &pairs).is_ok());
}

#[test]
fn wrong_rankings_are_rejected() {
    let toy = Toy::default();
    let pairs = prove(&toy, ProofBounds::default()).invariant.pairs();
    let right = ranking::find(&toy, ToyProperty::L1, &pairs).unwrap();

    let mut short = right.clone();
    short.levels.pop();
    assert!(matches!(ranking::check(&toy, &pairs, &short), Err(RankingError::Left(_))));

    // The steps that a lazy copy does not have, or that nobody is obliged to take, do not help.
    let lazy = Toy { lazy: true, ..toy };
    assert!(matches!(ranking::check(&lazy, &pairs, &right), Err(RankingError::NotHelpful { .. })));

    let every_page = right.levels.iter().position(|level| matches!(level, Level::EveryPage(_))).unwrap();
    let mut flat = right.clone();
    let Level::EveryPage(ranks) = &mut flat.levels[every_page] else { unreachable!() };
    let settled = ranks.ranks[&(ToyPhase::Post, ToyPage::Present)];
    ranks.ranks.values_mut().for_each(|rank| *rank = settled);
    assert!(ranking::check(&toy, &pairs, &flat).is_err());

    let mut upside_down = right.clone();
    let Level::EveryPage(ranks) = &mut upside_down.levels[every_page] else { unreachable!() };
    ranks.ranks.values_mut().for_each(|rank| *rank = 100 - *rank);
    ranks.helpful =
        std::mem::take(&mut ranks.helpful).into_iter().map(|(rank, step)| (100 - rank, step)).collect();
    let error = ranking::check(&toy, &pairs, &upside_down);
    assert!(matches!(error, Err(RankingError::Rises { level, .. }) if level == every_page + 1), "{error:?}");

    let mut unranked = right;
    let Level::EveryPage(ranks) = &mut unranked.levels[every_page] else { unreachable!() };
    ranks.ranks = BTreeMap::new();
    assert!(matches!(ranking::check(&toy, &pairs, &unranked), Err(RankingError::NoRank { .. })));
}
