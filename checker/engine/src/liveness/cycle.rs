//! A short fair cycle inside a fair component.
//!
//! A cycle under construction has *duties*: fair instances that it would ignore if it ended where it is. A
//! weakly fair one is due while it was enabled in every state so far, a strongly fair one if it was enabled
//! in any, unless it was taken. A cycle is fair when it is back at its start with nothing due.

use std::collections::VecDeque;

use population::system::Fairness;
use rustc_hash::{FxHashMap, FxHashSet};

use super::components::Allowed;
use super::graph::{Graph, Label, Node};

/// The most partial cycles to look at before being content with a cycle that may not be the shortest.
const PARTIAL_MAX: usize = 1 << 14;

/// A fair component with the transitions inside it; states are numbered by their position in it.
pub(super) struct Inside<'a> {
    graph: &'a Graph,
    states: &'a [Node],
    fairness: &'a [Fairness],
    /// By position: the end of its transitions in `steps`.
    ends: Vec<usize>,
    steps: Vec<(Label, u32)>,
}

/// Where a cycle under construction is, and what it still has to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Partial {
    at: u32,
    /// Sorted.
    due: Vec<Label>,
    /// The strongly fair instances that were taken; sorted.
    taken: Vec<Label>,
}

impl<'a> Inside<'a> {
    /// A component given by its states, and what may be taken in it.
    pub(super) fn new(
        graph: &'a Graph,
        states: &'a [Node],
        allowed: Allowed<'_>,
        fairness: &'a [Fairness],
    ) -> Self {
        let positions: FxHashMap<Node, u32> = states.iter().copied().zip(0..).collect();
        let (mut ends, mut steps) = (Vec::with_capacity(states.len()), Vec::new());
        for state in states {
            let kept = graph.successors(*state).filter(|(label, _)| allowed.permits(*label));
            steps.extend(kept.filter_map(|(label, target)| Some((label, *positions.get(&target)?))));
            ends.push(steps.len());
        }
        Inside { graph, states, fairness, ends, steps }
    }

    /// A fair cycle from the state at position `start`; empty where a fair run may stutter. It is a shortest
    /// one unless there are very many ways to go.
    pub(super) fn cycle(&self, start: u32) -> Option<Vec<(Label, Node)>> {
        let cycle = self.shortest(start).or_else(|| self.greedy(start))?;
        Some(cycle.into_iter().map(|(label, to)| (label, self.states[to as usize])).collect())
    }

    /// Breadth-first search over partial cycles; `None` if there are too many.
    fn shortest(&self, start: u32) -> Option<Vec<(Label, u32)>> {
        let begin = self.begin(start);
        if begin.due.is_empty() {
            return Some(Vec::new());
        }
        let mut seen = FxHashSet::from_iter([begin.clone()]);
        // Each with the step that led to it, and the index of what it extends.
        let mut partials = vec![(begin, (0, start), 0)];
        let mut next = 0;
        while next < partials.len() && partials.len() < PARTIAL_MAX {
            for (label, to) in self.steps(partials[next].0.at) {
                let partial = self.extend(&partials[next].0, *label, *to);
                if partial.at == start && partial.due.is_empty() {
                    let mut cycle = vec![(*label, *to)];
                    let mut back = next;
                    while back != 0 {
                        cycle.push(partials[back].1);
                        back = partials[back].2;
                    }
                    cycle.reverse();
                    return Some(cycle);
                }
                if seen.insert(partial.clone()) {
                    partials.push((partial, (*label, *to), next));
                }
            }
            next += 1;
        }
        None
    }

    /// Goes to the nearest duty until none is left, and back.
    fn greedy(&self, start: u32) -> Option<Vec<(Label, u32)>> {
        let mut partial = self.begin(start);
        let mut cycle = Vec::new();
        while !partial.due.is_empty() || partial.at != start {
            let path = self.path(partial.at, |label, to| match partial.due.as_slice() {
                [] => to == start,
                due => due.contains(&label) || due.iter().any(|due| self.rests(*due, to)),
            })?;
            for (label, to) in &path {
                partial = self.extend(&partial, *label, *to);
            }
            cycle.extend(path);
        }
        Some(cycle)
    }

    fn begin(&self, start: u32) -> Partial {
        let mut begin = Partial { at: start, due: Vec::new(), taken: Vec::new() };
        begin.due.extend(self.enabled(start).iter().filter(|label| self.fair(**label)));
        begin.due.sort_unstable();
        begin.due.dedup();
        begin
    }

    fn extend(&self, partial: &Partial, label: Label, to: u32) -> Partial {
        let Partial { mut due, mut taken, .. } = partial.clone();
        if self.strong(label) && !taken.contains(&label) {
            taken.push(label);
            taken.sort_unstable();
        }
        due.retain(|due| *due != label && !self.rests(*due, to));
        for enabled in self.enabled(to) {
            if self.strong(*enabled) && !taken.contains(enabled) && !due.contains(enabled) {
                due.push(*enabled);
            }
        }
        due.sort_unstable();
        Partial { at: to, due, taken }
    }

    fn steps(&self, at: u32) -> &[(Label, u32)] {
        let at = at as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.steps[start..self.ends[at]]
    }

    /// The instances enabled in the whole graph.
    fn enabled(&self, at: u32) -> &[Label] {
        self.graph.enabled(self.states[at as usize])
    }

    fn fair(&self, label: Label) -> bool {
        self.fairness[usize::from(label)] > Fairness::None
    }

    fn strong(&self, label: Label) -> bool {
        self.fairness[usize::from(label)] == Fairness::Strong
    }

    /// Does a visit to this state do for an instance that is not taken?
    fn rests(&self, label: Label, at: u32) -> bool {
        !self.strong(label) && !self.enabled(at).contains(&label)
    }

    /// A shortest non-empty path to the first transition that is wanted, that one included.
    fn path(&self, from: u32, wanted: impl Fn(Label, u32) -> bool) -> Option<Vec<(Label, u32)>> {
        let mut reached: FxHashMap<u32, (Label, u32)> = FxHashMap::default();
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            for (label, to) in self.steps(at) {
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
