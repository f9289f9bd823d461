//! A counterexample to a liveness property: a stem, and how it goes on for ever.

use population::system::Fairness;

use super::components::Allowed;
use super::cycle::Inside;
use super::graph::{Graph, Label, Node};
use super::response::FairWaits;

/// A run from an initial state that violates a liveness property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasso<State, Step> {
    /// The initial state it starts in.
    pub start: State,
    /// The steps up to the first state of the tail, each with the state that it leads to.
    pub stem: Vec<(Step, State)>,
    /// How it goes on.
    pub tail: Tail<State, Step>,
}

/// What follows the stem of a [`Lasso`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail<State, Step> {
    /// These steps, repeated for ever; the last leads back to the end of the stem. Never empty.
    Cycle(Vec<(Step, State)>),
    /// Nothing: no step that is fair is enabled at the end of the stem.
    Stutter,
    /// Anything: nothing that can follow reaches the goal.
    Doomed,
}

impl<State, Step> Lasso<State, Step> {
    /// The state at the end of the stem, where the tail begins.
    pub fn knot(&self) -> &State {
        self.stem.last().map_or(&self.start, |(_, state)| state)
    }

    /// The number of steps shown.
    pub fn len(&self) -> usize {
        let cycle = match &self.tail {
            Tail::Cycle(cycle) => cycle.len(),
            Tail::Stutter | Tail::Doomed => 0,
        };
        self.stem.len() + cycle
    }

    /// Is it an initial state and nothing else?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The bound on the work of trying states as the start of the cycle, in states visited.
const WORK_MAX: usize = 1 << 20;
/// How many states of one component are tried as the start of the cycle.
const STARTS_MAX: usize = 64;

/// A short lasso around one of the fair components found: the stem is a shortest path to the state where
/// the cycle begins; which state that is, is chosen for the sum of both among the nearest ones. In small
/// components nothing is shorter.
pub fn shortest(
    graph: &Graph,
    found: &FairWaits,
    allowed: Allowed<'_>,
    fairness: &[Fairness],
) -> Option<Lasso<Node, Label>> {
    let mut best = found.stutter.map(|state| (graph.depth(state), state, Vec::new()));
    for states in &found.components {
        let inside = Inside::new(graph, states, allowed, fairness);
        let starts = STARTS_MAX.min(1 + WORK_MAX / states.len());
        for (start, state) in (0..).zip(states).take(starts) {
            let depth = graph.depth(*state);
            if best.as_ref().is_some_and(|(length, ..)| *length <= depth + 1) {
                break;
            }
            if let Some(cycle) = inside.cycle(start)
                && best.as_ref().is_none_or(|(length, ..)| depth + cycle.len() < *length)
            {
                best = Some((depth + cycle.len(), *state, cycle));
            }
        }
    }
    let (_, knot, cycle) = best?;
    let tail = if cycle.is_empty() { Tail::Stutter } else { Tail::Cycle(cycle) };
    Some(with_stem(graph, knot, tail))
}

/// The lasso with this tail and a shortest stem to it.
pub fn with_stem(graph: &Graph, knot: Node, tail: Tail<Node, Label>) -> Lasso<Node, Label> {
    let (start, stem) = graph.shortest_path(knot);
    Lasso { start, stem, tail }
}
