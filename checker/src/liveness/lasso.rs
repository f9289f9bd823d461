//! A counterexample to a liveness property: a stem, and how it goes on for ever.

use std::collections::VecDeque;

use model::system::Fairness;
use rustc_hash::FxHashMap;

use super::components::Allowed;
use super::graph::{Graph, Label, Node};
use super::response::Found;

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
/// the cycle begins; which state that is, is chosen for the sum of both among the nearest ones.
pub fn shortest(
    graph: &Graph,
    found: &Found,
    allowed: Allowed<'_>,
    fairness: &[Fairness],
) -> Option<Lasso<Node, Label>> {
    let mut best = found.stutter.map(|state| (graph.depth(state), state, Vec::new()));
    for states in &found.components {
        let inside = Inside::new(graph, states, allowed, fairness);
        let starts = STARTS_MAX.min(1 + WORK_MAX / states.len());
        for (start, state) in states.iter().enumerate().take(starts) {
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

/// A fair component with the transitions inside it; states are numbered by their position in `states`.
struct Inside<'a> {
    graph: &'a Graph,
    states: &'a [Node],
    fairness: &'a [Fairness],
    steps: Vec<Vec<(Label, usize)>>,
}

/// What a cycle still has to do for fairness.
#[derive(Default)]
struct Duties {
    /// Instances that were enabled wherever the cycle went so far (weak) or anywhere (strong), not taken.
    due: Vec<Label>,
    taken: Vec<Label>,
}

impl<'a> Inside<'a> {
    fn new(graph: &'a Graph, states: &'a [Node], allowed: Allowed<'_>, fairness: &'a [Fairness]) -> Self {
        let position: FxHashMap<Node, usize> = states.iter().copied().zip(0..).collect();
        let inner = |state: &Node| {
            let steps = graph.successors(*state).filter(|(label, _)| allowed.permits(*label));
            steps.filter_map(|(label, target)| Some((label, *position.get(&target)?))).collect()
        };
        Inside { graph, states, fairness, steps: states.iter().map(inner).collect() }
    }

    /// A cycle from `start` that is fair; found by going to the nearest duty until none is left, and back.
    /// Empty where a fair run may stutter.
    fn cycle(&self, start: usize) -> Option<Vec<(Label, Node)>> {
        let mut duties = Duties::default();
        duties.due.extend(self.graph.enabled(self.states[start]).iter().filter(|label| self.fair(**label)));
        let mut cycle = Vec::new();
        let mut at = start;
        while !duties.due.is_empty() || at != start {
            let path = if duties.due.is_empty() {
                self.path(at, |_, to| to == start)
            } else {
                self.path(at, |label, to| {
                    duties.due.contains(&label) || duties.due.iter().any(|due| self.rests(*due, to))
                })
            };
            for (label, to) in path? {
                self.fulfil(&mut duties, label, to);
                cycle.push((label, self.states[to]));
                at = to;
            }
        }
        Some(cycle)
    }

    fn fair(&self, label: Label) -> bool {
        self.fairness[usize::from(label)] > Fairness::None
    }

    fn strong(&self, label: Label) -> bool {
        self.fairness[usize::from(label)] == Fairness::Strong
    }

    /// Does a visit to this state do for an instance that need not be taken?
    fn rests(&self, label: Label, state: usize) -> bool {
        !self.strong(label) && !self.graph.enabled(self.states[state]).contains(&label)
    }

    fn fulfil(&self, duties: &mut Duties, label: Label, to: usize) {
        duties.taken.push(label);
        duties.due.retain(|due| *due != label && !self.rests(*due, to));
        for enabled in self.graph.enabled(self.states[to]) {
            if self.strong(*enabled) && !duties.taken.contains(enabled) && !duties.due.contains(enabled) {
                duties.due.push(*enabled);
            }
        }
    }

    /// A shortest non-empty path to the first transition that is wanted, that one included.
    fn path(&self, from: usize, wanted: impl Fn(Label, usize) -> bool) -> Option<Vec<(Label, usize)>> {
        let mut reached: FxHashMap<usize, (Label, usize)> = FxHashMap::default();
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            for (label, to) in &self.steps[at] {
                if wanted(*label, *to) {
                    let mut path = vec![(*label, *to)];
                    let mut back = at;
                    while back != from {
                        let (label, before) = *reached.get(&back)?;
                        path.push((label, back));
                        back = before;
                    }
                    path.reverse();
                    return Some(path);
                }
                if *to != from && !reached.contains_key(to) {
                    reached.insert(*to, (*label, at));
                    queue.push_back(*to);
                }
            }
        }
        None
    }
}
