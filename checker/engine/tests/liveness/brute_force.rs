//! Fair runs by definition: every set of transitions that a run could take infinitely often is tried.

use std::collections::BTreeSet;

use engine::liveness::graph::{Graph, Label, Node};
use engine::liveness::{Lasso, Tail};
use population::system::Fairness;

use crate::small_graph::{Numbered, SmallGraph};

type Transition = (Node, Label, Node);

/// Is there a fair run on which the property is pending from some point on and never discharged?
pub fn violated(small: &SmallGraph, numbered: &Numbered) -> bool {
    let pending = |state: Node| small.pending.contains(&numbered.names[state as usize]);
    let waiting: Vec<Transition> = transitions(&numbered.graph)
        .into_iter()
        .filter(|(from, label, to)| pending(*from) && pending(*to) && !small.discharging[usize::from(*label)])
        .collect();
    assert!(waiting.len() <= 16, "too many transitions for brute force");
    let stutters = (0..numbered.graph.states())
        .filter(|state| pending(*state))
        .any(|state| is_fair(small, &numbered.graph, &BTreeSet::from([state]), &[]));
    stutters
        || (1u32..1 << waiting.len()).any(|chosen| {
            let chosen: Vec<_> =
                (0..waiting.len()).filter(|nth| chosen >> nth & 1 == 1).map(|nth| waiting[nth]).collect();
            let states = chosen.iter().flat_map(|(from, _, to)| [*from, *to]).collect();
            strongly_connected(&states, &chosen) && is_fair(small, &numbered.graph, &states, &chosen)
        })
}

/// Is the lasso a run of the graph that violates the property?
pub fn is_counterexample(small: &SmallGraph, numbered: &Numbered, lasso: &Lasso<Node, Label>) -> bool {
    let all = transitions(&numbered.graph);
    let walk = |from: Node, path: &[(Label, Node)]| {
        let mut before = from;
        let mut taken = Vec::new();
        for (label, to) in path {
            taken.push((before, *label, *to));
            before = *to;
        }
        taken
    };
    let cycle = match &lasso.tail {
        Tail::Cycle(cycle) => walk(*lasso.knot(), cycle),
        Tail::Stutter => Vec::new(),
        Tail::Doomed => return false,
    };
    let mut states = BTreeSet::from([*lasso.knot()]);
    states.extend(cycle.iter().map(|(_, _, to)| *to));
    (lasso.start as usize) < small.initial.len()
        && walk(lasso.start, &lasso.stem).iter().chain(&cycle).all(|taken| all.contains(taken))
        && cycle.last().is_none_or(|(_, _, to)| to == lasso.knot())
        && cycle.iter().all(|(_, label, _)| !small.discharging[usize::from(*label)])
        && states.iter().all(|state| small.pending.contains(&numbered.names[*state as usize]))
        && is_fair(small, &numbered.graph, &states, &cycle)
}

/// The length of a shortest counterexample, stem and cycle together.
pub fn shortest(small: &SmallGraph, numbered: &Numbered) -> Option<usize> {
    let pending = |state: Node| small.pending.contains(&numbered.names[state as usize]);
    let waiting: Vec<Transition> = transitions(&numbered.graph)
        .into_iter()
        .filter(|(_, label, to)| pending(*to) && !small.discharging[usize::from(*label)])
        .collect();
    let knots = (0..numbered.graph.states()).filter(|state| pending(*state));
    let lengths = knots.filter_map(|knot| {
        let cycle = shortest_cycle(small, &numbered.graph, &waiting, knot)?;
        Some(numbered.graph.depth(knot) + cycle)
    });
    lengths.min()
}

/// Tries all closed walks, breadth first; those in the same state that took the same transitions are as
/// good as each other.
fn shortest_cycle(small: &SmallGraph, graph: &Graph, waiting: &[Transition], knot: Node) -> Option<usize> {
    let mut seen = BTreeSet::from([(knot, 0u32)]);
    let mut walks = vec![(knot, 0u32)];
    for length in 0.. {
        if walks.is_empty() {
            return None;
        }
        let mut longer = Vec::new();
        for (at, taken) in walks {
            let chosen = |nth: &usize| taken >> nth & 1 == 1;
            let steps: Vec<_> = (0..waiting.len()).filter(chosen).map(|nth| waiting[nth]).collect();
            let states = steps.iter().map(|(_, _, to)| *to).chain([knot]).collect();
            if at == knot && is_fair(small, graph, &states, &steps) {
                return Some(length);
            }
            for (nth, (_, _, to)) in waiting.iter().enumerate().filter(|(_, (from, ..))| *from == at) {
                if seen.insert((*to, taken | 1 << nth)) {
                    longer.push((*to, taken | 1 << nth));
                }
            }
        }
        walks = longer;
    }
    None
}

/// Is a goal reachable from every state that is pending?
pub fn always_possible(small: &SmallGraph, numbered: &Numbered) -> bool {
    let goal = |state: Node| !small.pending.contains(&numbered.names[state as usize]);
    let all = transitions(&numbered.graph);
    (0..numbered.graph.states()).all(|state| reach(BTreeSet::from([state]), &all).into_iter().any(goal))
}

fn transitions(graph: &Graph) -> Vec<Transition> {
    let row = |from: Node| graph.successors(from).map(move |(label, to)| (from, label, to));
    (0..graph.states()).flat_map(row).collect()
}

fn is_fair(small: &SmallGraph, graph: &Graph, states: &BTreeSet<Node>, taken: &[Transition]) -> bool {
    (0..).zip(&small.fairness).all(|(instance, fairness)| {
        let enabled = |state: &Node| graph.enabled(*state).contains(&instance);
        let ignored = match fairness {
            Fairness::None => false,
            Fairness::Weak => states.iter().all(enabled),
            Fairness::Strong => states.iter().any(enabled),
        };
        !ignored || taken.iter().any(|(_, label, _)| *label == instance)
    })
}

fn strongly_connected(states: &BTreeSet<Node>, transitions: &[Transition]) -> bool {
    states.iter().all(|state| reach(BTreeSet::from([*state]), transitions) == *states)
}

fn reach(mut reached: BTreeSet<Node>, transitions: &[Transition]) -> BTreeSet<Node> {
    loop {
        let more: Vec<_> = transitions.iter().filter(|(from, ..)| reached.contains(from)).collect();
        let before = reached.len();
        reached.extend(more.iter().map(|(_, _, to)| *to));
        if reached.len() == before {
            return reached;
        }
    }
}
