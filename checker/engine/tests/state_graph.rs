//! Whole graphs, held to the plain semantics of random systems.

use std::collections::{BTreeMap, BTreeSet};

use engine::state_graph::{Node, PageIdentity, StateGraph, TooLarge};
use engine::testing::{RandomSystem, Shape};
use population::concrete::{Concrete, Move, State};

const SYSTEMS: u64 = 60;

fn each_graph(look: impl Fn(&Concrete<RandomSystem>, PageIdentity, &StateGraph<'_, RandomSystem>)) {
    for seed in 0..SYSTEMS {
        for pages in 0..=3 {
            let concrete = Concrete { system: RandomSystem::new(seed, Shape::default()), pages };
            for identity in [PageIdentity::Interchangeable, PageIdentity::Apart] {
                let graph = StateGraph::explore(&concrete, identity, usize::MAX).expect("it is small");
                look(&concrete, identity, &graph);
            }
        }
    }
}

fn as_known(state: &State<RandomSystem>, identity: PageIdentity) -> State<RandomSystem> {
    if identity == PageIdentity::Interchangeable { state.sorted() } else { state.clone() }
}

/// How many steps each reachable state is away.
fn distances(
    concrete: &Concrete<RandomSystem>,
    identity: PageIdentity,
) -> BTreeMap<State<RandomSystem>, usize> {
    let initial: BTreeSet<_> = concrete.initial().iter().map(|state| as_known(state, identity)).collect();
    let mut distances: BTreeMap<_, _> = initial.iter().map(|state| (state.clone(), 0)).collect();
    let mut level: Vec<_> = initial.into_iter().collect();
    for distance in 1.. {
        let after = level
            .iter()
            .flat_map(|state| concrete.successors(state).map(|(_, after)| as_known(&after, identity)));
        let new: BTreeSet<_> = after.filter(|after| !distances.contains_key(after)).collect();
        if new.is_empty() {
            break;
        }
        distances.extend(new.iter().map(|state| (state.clone(), distance)));
        level = new.into_iter().collect();
    }
    distances
}

#[test]
fn every_state_is_there_once_and_has_a_shortest_run() {
    each_graph(|concrete, identity, graph| {
        let distances = distances(concrete, identity);
        let states: BTreeSet<_> =
            (0..graph.states() as Node).map(|node| as_known(&graph.state(node), identity)).collect();
        assert_eq!(states.len(), graph.states(), "each is there once");
        assert!(states.iter().eq(distances.keys()));
        let initial = graph.initial_states().map(|node| as_known(&graph.state(node), identity));
        assert!(
            initial
                .collect::<BTreeSet<_>>()
                .iter()
                .eq(distances.iter().filter(|(_, at)| **at == 0).map(|(state, _)| state))
        );
        for node in 0..graph.states() as Node {
            let (from, path) = graph.path_to(node);
            assert_eq!(path.len(), distances[&as_known(&graph.state(node), identity)]);
            let run = graph.run(from, &path);
            assert!(graph.initial_states().contains(&from) && run.initial == graph.state(from));
            let mut now = run.initial.clone();
            for (step, after) in &run.steps {
                assert_eq!(concrete.apply(&now, *step).as_ref(), Some(after));
                now = after.clone();
            }
            assert_eq!(as_known(&now, identity), as_known(&graph.state(node), identity));
        }
    });
}

#[test]
fn every_step_of_a_state_has_an_edge() {
    each_graph(|concrete, identity, graph| {
        let mut edges = 0;
        for node in 0..graph.states() as Node {
            let state = graph.state(node);
            // Of pages that are alike, the step of one stands for that of all.
            let first_alike = |page: usize| state.pages.iter().position(|other| *other == state.pages[page]);
            let is_told = |step: &_| match (identity, step) {
                (PageIdentity::Interchangeable, Move::Page(_, page)) => first_alike(*page) == Some(*page),
                _ => true,
            };
            let expected: BTreeSet<_> = concrete
                .successors(&state)
                .filter(|(step, _)| is_told(step))
                .map(|(step, after)| (step, as_known(&after, identity)))
                .collect();
            let told: BTreeSet<_> = graph
                .edges(node)
                .map(|edge| (graph.step(edge), as_known(&graph.state(graph.target(edge)), identity)))
                .collect();
            assert_eq!((&told, graph.edges(node).len()), (&expected, expected.len()));
            assert!(graph.edges(node).all(|edge| graph.leaves(edge) == node));
            edges += told.len();
        }
        assert_eq!((graph.transitions(), graph.all_edges().count()), (edges, edges));
        assert!(graph.all_edges().all(|(node, edge)| graph.edges(node).contains(&edge)));
    });
}

#[test]
fn a_bound_that_is_met_exactly_is_none() {
    each_graph(|concrete, identity, graph| {
        let (states, initial) = (graph.states(), graph.initial_states().len());
        let explored =
            |states_max| StateGraph::explore(concrete, identity, states_max).map(|graph| graph.states());
        assert_eq!(explored(states), Ok(states));
        assert_eq!(explored(states - 1), Err(TooLarge::States(states - 1)));
        let given_up = StateGraph::explore_while(concrete, identity, states, &|_| false).err();
        assert_eq!(given_up, Some(TooLarge::GivenUp(initial)));
    });
}
