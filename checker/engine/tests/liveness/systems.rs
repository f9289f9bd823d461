//! Random systems: the whole way from records to a verdict, against a naive checker that works on plain
//! configurations and looks at every page.

use std::collections::{HashMap, HashSet};

use engine::liveness::{
    Assumptions, Liveness, LivenessOutcome, Space, SpaceLimits, SpaceProgress, Tail, Truncation, check,
    judge, strong_needed,
};
use engine::testing::toy::Toy;
use engine::testing::{RandomProperty as Property, RandomSystem, Shape};
use enumset::EnumSet;
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use population::concrete::{Concrete, Move, PAGES_MAX, State, Step};
use population::system::{Fairness, Live, Scope};

const SYSTEMS: u64 = 400;

fn population(seed: u64, pages: usize) -> Concrete<RandomSystem> {
    Concrete { system: RandomSystem::new(seed, Shape::default()), pages }
}

fn checked(concrete: &Concrete<RandomSystem>) -> Vec<Liveness<RandomSystem>> {
    let verdicts = check(concrete, EnumSet::all());
    verdicts.unwrap_or_else(|error| panic!("seed {}: {error}", concrete.system.seed))
}

#[test]
fn agrees_with_a_naive_checker() {
    let mut verdicts = HashMap::new();
    for (seed, pages) in (0..SYSTEMS / 2).flat_map(|seed| [(seed, 1), (seed, 2), (seed, 3)]) {
        let concrete = population(seed, pages);
        let naive = Naive::new(&concrete);
        for liveness in checked(&concrete) {
            let scope = concrete.system.scope(liveness.property);
            let holds = naive.holds(liveness.property, scope);
            assert_eq!(liveness.outcome.holds(), holds, "seed {seed}, {pages} pages: {liveness:?}");
            assert_eq!(liveness.states, naive.states.len() as u64, "seed {seed}");
            assert_eq!(liveness.transitions, naive.transitions.len() as u64, "seed {seed}");
            *verdicts.entry((scope.map(|scope| format!("{scope:?}")), holds)).or_insert(0) += 1;
        }
    }
    assert!(
        verdicts.len() == 6 && verdicts.values().all(|count| *count > 50),
        "no good mixture: {verdicts:?}"
    );
}

#[test]
fn threads_make_no_difference() {
    for seed in 0..SYSTEMS / 10 {
        // Enough states for the threads to have a share each.
        let concrete = population(seed, 5);
        let text = |threads| {
            let limits = SpaceLimits { threads, ..SpaceLimits::default() };
            let space = Space::explore_while(&concrete, limits, |_| Ok(()));
            let verdicts = judge(&space, EnumSet::all(), &Assumptions::default(), threads);
            format!("{:?} {verdicts:?}", space.graph())
        };
        assert_eq!(text(1), text(2), "seed {seed}");
    }
}

/// Stopped at whatever point, nothing is said to hold, and what fails also fails on the whole graph.
#[test]
fn a_truncated_space_proves_nothing() {
    let (mut inconclusive, mut fails) = (0, 0);
    for seed in 0..SYSTEMS {
        let concrete = population(seed, 2);
        let whole = checked(&concrete);
        let stop = |_| Err("interrupted".to_owned());
        let stopped = Space::explore_while(&concrete, SpaceLimits::default(), stop);
        assert_eq!(stopped.truncated(), Some(&Truncation::Stopped("interrupted".to_owned())));
        let limits = SpaceLimits { states_max: (seed % 20) as u32, ..SpaceLimits::default() };
        let space = Space::explore_while(&concrete, limits, |_| Ok(()));
        let verdicts = judge(&space, EnumSet::all(), &Assumptions::default(), 1);
        for (part, whole) in verdicts.unwrap_or_default().iter().zip(&whole) {
            match part.outcome {
                LivenessOutcome::Holds => assert!(space.truncated().is_none(), "seed {seed}: {part:?}"),
                LivenessOutcome::Fails(_) => assert!(!whole.outcome.holds(), "seed {seed}: {part:?}"),
                LivenessOutcome::Inconclusive(_) => assert!(!part.vacuous, "seed {seed}: {part:?}"),
            }
            match part.outcome {
                LivenessOutcome::Inconclusive(_) => inconclusive += 1,
                _ => fails += 1,
            }
        }
    }
    assert!(inconclusive > 100 && fails > 100, "{inconclusive} and {fails}: no good mixture");
}

/// A property that nothing can violate is told apart from one that holds.
#[test]
fn vacuous_properties_are_reported() {
    let mut vacuous = 0;
    for seed in 0..SYSTEMS {
        let concrete = population(seed, 1);
        let naive = Naive::new(&concrete);
        for liveness in checked(&concrete) {
            let waits = (0..naive.states.len()).any(|state| naive.pending(liveness.property, state, 0));
            assert_eq!(liveness.vacuous, !waits, "seed {seed}: {liveness:?}");
            assert!(!liveness.vacuous || liveness.outcome.holds(), "seed {seed}: {liveness:?}");
            vacuous += u32::from(liveness.vacuous);
        }
    }
    assert!(vacuous > 10);
}

/// Fairness that the caller assumes replaces the system's: with none at all, whatever waits may stutter.
#[test]
fn assumptions_replace_fairness() {
    for seed in 0..SYSTEMS {
        let concrete = population(seed, 2);
        let controls = concrete.steps().filter_map(|step| match step {
            Move::Control(step) => Some(step),
            Move::Page(..) => None,
        });
        let pages = concrete.steps().filter_map(|step| match step {
            Move::Page(step, 0) => Some(step),
            _ => None,
        });
        let none = controls.fold(Assumptions::default(), |all, step| all.control(step, Fairness::None));
        let none = pages.fold(none, |all, step| all.page(step, Fairness::None));
        let verdicts = judge(&Space::explore(&concrete), EnumSet::all(), &none, 1);
        for liveness in verdicts.unwrap_or_default() {
            if concrete.system.scope(liveness.property) != Some(Scope::Possibility) {
                let stutters = liveness.outcome.counterexample().map(|lasso| lasso.tail == Tail::Stutter);
                assert_eq!(stutters, (!liveness.vacuous).then_some(true), "seed {seed}: {liveness:?}");
            }
        }
    }
}

/// What is listed as needing strong fairness is enough, and nothing on the list can be left out.
#[test]
fn strong_fairness_is_minimised() {
    let (mut shorter, mut kept) = (0, 0);
    for seed in 0..4 * SYSTEMS {
        let concrete = population(seed, 2);
        let space = Space::explore(&concrete);
        let all = Assumptions::default();
        for liveness in judge(&space, EnumSet::all(), &all, 1).unwrap_or_default() {
            let needed = strong_needed(&space, &liveness, &all);
            let holds_with = |strong: &[Step<RandomSystem>]| {
                let weakened = concrete.steps().filter(|step| {
                    all.fairness(&concrete.system, *step) == Fairness::Strong && !strong.contains(step)
                });
                let first = weakened.filter(|step| !matches!(step, Move::Page(_, 1..)));
                let less = first.fold(all.clone(), |less, step| less.step(step, Fairness::Weak));
                let verdicts = judge(&space, liveness.property.into(), &less, 1).unwrap_or_default();
                verdicts.iter().all(|verdict| verdict.outcome.holds())
            };
            assert_eq!(holds_with(&needed), liveness.outcome.holds(), "seed {seed}: {liveness:?}");
            for left_out in &needed {
                let fewer: Vec<_> = needed.iter().copied().filter(|step| step != left_out).collect();
                assert!(!holds_with(&fewer), "seed {seed}: {liveness:?}");
            }
            shorter += usize::from(needed.len() < liveness.strong.len());
            kept += needed.len();
        }
    }
    assert!(shorter > 10 && kept > 10, "{shorter} and {kept}: no good mixture");
}

/// A bound that is met exactly is none.
#[test]
fn as_many_states_as_allowed_are_all_explored() {
    for seed in 0..SYSTEMS / 10 {
        let concrete = population(seed, 2);
        let states = Space::explore(&concrete).graph().states();
        let truncated = |states_max| {
            let limits = SpaceLimits { states_max, ..SpaceLimits::default() };
            Space::explore_while(&concrete, limits, |_| Ok(())).truncated().cloned()
        };
        assert_eq!(truncated(states), None, "seed {seed}");
        // The initial states are known before any limit is looked at.
        if states > concrete.initial().len() as u32 {
            assert_eq!(truncated(states - 1), Some(Truncation::TooManyStates(states - 1)), "seed {seed}");
        }
    }
}

/// Whoever watches is told what is known so far, and memory that is what this must take, or a few times that.
#[test]
fn progress_is_that_of_the_graph() {
    let concrete = Concrete { system: Toy::default(), pages: 7 };
    let mut last = None;
    let space = Space::explore_while(&concrete, SpaceLimits::default(), |progress| {
        last = Some(progress);
        Ok(())
    });
    let SpaceProgress { states, expanded, transitions, memory_bytes } = last.expect("it is watched");
    let graph = space.graph();
    assert!((2_000..graph.states()).contains(&expanded) && (expanded..=graph.states()).contains(&states));
    let rows = (0..expanded).map(|state| graph.enabled(state).len()).sum::<usize>();
    assert_eq!(transitions, rows);
    // A state is two words, a slot of one word and more, and its row; a transition is a target and a label.
    let least = 28 * u64::from(states) + 6 * transitions as u64;
    assert!((least..4 * least).contains(&memory_bytes), "{memory_bytes} of {least}");
}

/// More pages than a state can have are an open question, not a panic; as many as it can have are explored.
#[test]
fn too_many_pages_are_inconclusive() {
    let alike = Shape { pages: 1, initial_pages: 1, ..Shape::default() };
    let concrete = Concrete { system: RandomSystem::new(0, alike), pages: PAGES_MAX };
    assert_eq!(Space::explore(&concrete).truncated(), None);
    for liveness in checked(&population(0, PAGES_MAX + 1)) {
        assert!(matches!(liveness.outcome, LivenessOutcome::Inconclusive(_)), "{liveness:?}");
    }
}

/// Plain configurations, and petgraph for the components.
struct Naive<'a> {
    concrete: &'a Concrete<RandomSystem>,
    states: Vec<State<RandomSystem>>,
    transitions: Vec<(usize, Step<RandomSystem>, usize)>,
}

impl<'a> Naive<'a> {
    fn new(concrete: &'a Concrete<RandomSystem>) -> Self {
        let mut states = concrete.initial();
        let mut numbers: HashMap<_, _> = states.iter().cloned().zip(0..).collect();
        let mut transitions = Vec::new();
        let mut from = 0;
        while from < states.len() {
            for (step, next) in concrete.successors(&states[from].clone()) {
                let to = *numbers.entry(next.clone()).or_insert_with(|| {
                    states.push(next);
                    states.len() - 1
                });
                transitions.push((from, step, to));
            }
            from += 1;
        }
        Naive { concrete, states, transitions }
    }

    fn holds(&self, property: Property, scope: Option<Scope>) -> bool {
        match scope {
            Some(Scope::Control) => !self.waits(property, None),
            Some(Scope::Page) => (0..self.concrete.pages).all(|page| !self.waits(property, Some(page))),
            Some(Scope::Possibility) => self.possible(property),
            None => unreachable!("only liveness properties are judged"),
        }
    }

    fn pending(&self, property: Property, state: usize, page: usize) -> bool {
        let state = &self.states[state];
        let system = &self.concrete.system;
        match system.scope(property) {
            Some(Scope::Page) => system.pending(property, &state.control, Some(&state.pages[page])),
            Some(Scope::Possibility) => {
                system.pending(property, &state.control, None)
                    || !self.concrete.all(state).is_superset(system.goal_conditions(property))
            }
            _ => system.pending(property, &state.control, None),
        }
    }

    fn fairness(&self, step: Step<RandomSystem>) -> Fairness {
        match step {
            Move::Control(step) => self.concrete.system.control_fairness(step),
            Move::Page(step, _) => self.concrete.system.page_fairness(step),
        }
    }

    fn waits(&self, property: Property, page: Option<usize>) -> bool {
        let pending = |state: &usize| self.pending(property, *state, page.unwrap_or(0));
        let part = (0..self.states.len()).filter(pending).collect();
        let barred = |step: Step<RandomSystem>| match (step, page) {
            (Move::Page(step, of), Some(page)) => {
                of == page && self.concrete.system.discharges(property, step)
            }
            _ => false,
        };
        self.has_fair_run(&part, &barred)
    }

    fn has_fair_run(&self, part: &HashSet<usize>, barred: &impl Fn(Step<RandomSystem>) -> bool) -> bool {
        let inner = |part: &HashSet<usize>| {
            let transitions = self.transitions.iter().copied();
            transitions
                .filter(|(from, step, to)| part.contains(from) && part.contains(to) && !barred(*step))
                .collect::<Vec<_>>()
        };
        let edges = inner(part);
        let mut graph = DiGraphMap::<usize, ()>::new();
        part.iter().for_each(|state| _ = graph.add_node(*state));
        edges.iter().for_each(|(from, _, to)| _ = graph.add_edge(*from, *to, ()));
        tarjan_scc(&graph).into_iter().any(|states| {
            let states: HashSet<_> = states.into_iter().collect();
            let taken: HashSet<_> = inner(&states).into_iter().map(|(_, step, _)| step).collect();
            let mut enabled = HashMap::<_, HashSet<usize>>::new();
            for (from, step, _) in self.transitions.iter().filter(|(from, ..)| states.contains(from)) {
                enabled.entry(*step).or_default().insert(*from);
            }
            enabled.retain(|step, _| !taken.contains(step) && self.fairness(*step) > Fairness::None);
            if enabled.values().any(|everywhere| everywhere.len() == states.len()) {
                return false;
            }
            enabled.retain(|step, _| self.fairness(*step) == Fairness::Strong);
            let rest: HashSet<_> =
                enabled.into_values().fold(states.clone(), |rest, avoided| &rest - &avoided);
            rest == states || self.has_fair_run(&rest, barred)
        })
    }

    fn possible(&self, property: Property) -> bool {
        let system = &self.concrete.system;
        let goal = |state: &usize| !self.pending(property, *state, 0);
        let excused = |state: usize| system.excused(property, &self.states[state].control);
        let mut hopeful: HashSet<_> = (0..self.states.len()).filter(goal).collect();
        loop {
            let before = hopeful.len();
            let back = self.transitions.iter().filter(|(_, _, to)| hopeful.contains(to));
            let more: Vec<_> = back.map(|(from, ..)| *from).collect();
            hopeful.extend(more);
            if hopeful.len() == before {
                return (0..self.states.len()).all(|state| hopeful.contains(&state) || excused(state));
            }
        }
    }
}
