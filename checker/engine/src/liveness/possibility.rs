//! `AG EF goal` on an explicit graph: does the goal remain reachable from everywhere?
//!
//! A state is *doomed* when no path from it reaches a goal and it is not excused. Components come out in reverse topological
//! order, so whether one is doomed is known from the transitions that leave it: backward reachability
//! without a reversed copy of the graph.

use super::components::{Allowed, Components};
use super::graph::{Graph, Node};

/// What the search found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doom {
    /// The number of states that are no goal.
    pub pending: u64,
    /// The doomed state nearest to the initial ones.
    pub nearest: Option<Node>,
}

/// Searches for doomed states. A state that was not expanded counts as a goal, so that a doomed state of a
/// truncated graph is doomed in the whole graph.
pub fn search(graph: &Graph, pending: impl Fn(Node) -> bool, excused: impl Fn(Node) -> bool) -> Doom {
    let mut doom = Doom::default();
    let mut components = Components::new(graph);
    let mut hopeful = vec![true; graph.states() as usize];
    for state in (0..graph.expanded()).filter(|state| pending(*state)) {
        components.admit(state);
        hopeful[state as usize] = false;
        doom.pending += 1;
    }
    if doom.pending == 0 {
        return doom;
    }
    components.visit(0..graph.expanded(), Allowed { barred: None }, |component| {
        let targets = component.states.iter().flat_map(|state| graph.successors(*state));
        if targets.map(|(_, target)| target).any(|target| hopeful[target as usize]) {
            component.states.iter().for_each(|state| hopeful[*state as usize] = true);
        } else {
            let doomed = component.states.iter().copied().filter(|state| !excused(*state));
            doom.nearest = doomed.chain(doom.nearest).min();
        }
    });
    doom
}
