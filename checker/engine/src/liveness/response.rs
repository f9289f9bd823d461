//! Response properties on an explicit graph: is there a fair run that waits for ever?
//!
//! ```text
//!   the graph ──► its pending states and non-discharging transitions ──► components ──► fair ones
//!                                                         ▲                   │
//!                                                         └── take states out ┘  (strong fairness only)
//! ```
//!
//! What a run visits infinitely often is a component of that part, or, because a run may stutter, any one
//! state. An action instance is *enabled* in a state when the whole graph has such a transition there, inside
//! the part or not; it is *taken* by a component that has such a transition inside it.
//!
//! * Weak fairness is violated where an instance is enabled in every state of the component and not taken.
//!   The same then holds for all that a run could visit within the component.
//! * Strong fairness is violated where it is enabled in some state and not taken. A fair run within the
//!   component must then keep out of the states where it is enabled: they are taken out and the rest is
//!   decomposed again, as for Streett automata (Emerson and Lei, Sci. Comput. Program. 1987).

use population::system::Fairness;

use super::components::{Allowed, Component, Components};
use super::graph::{Graph, Label, Node};

/// How many of the fair components nearest to the initial states are kept.
const CANDIDATES_MAX: usize = 8;

/// A response property, put in terms of a graph.
pub struct ResponseProperty<'a, P> {
    /// Is the property pending in this state?
    pub pending: P,
    /// By label: does the transition discharge the property? `None` if none does.
    pub discharging: Option<&'a [bool]>,
    /// By label.
    pub fairness: &'a [Fairness],
}

/// What the search found. The property holds if `stutter` is `None` and `components` is empty.
#[derive(Debug, Default)]
pub struct FairWaits {
    /// The number of states in which the property is pending.
    pub pending: u64,
    /// The pending state nearest to the initial ones in which a fair run may stutter for ever.
    pub stutter: Option<Node>,
    /// Sets of states, each sorted, such that a fair run visits exactly these for ever; nearest first.
    /// Not all of them: the nearest few.
    pub components: Vec<Vec<Node>>,
    /// The labels whose strong fairness excluded a run that weak fairness would allow; sorted.
    pub strong: Vec<Label>,
}

impl FairWaits {
    /// Does the property hold on the states that were expanded?
    pub fn none(&self) -> bool {
        self.stutter.is_none() && self.components.is_empty()
    }
}

/// Searches the expanded states of a graph for fair runs that wait for ever.
pub fn search<P: Fn(Node) -> bool>(graph: &Graph, response: &ResponseProperty<'_, P>) -> FairWaits {
    let mut found = FairWaits::default();
    let mut components = Components::new(graph);
    for state in (0..graph.expanded()).filter(|state| (response.pending)(*state)) {
        components.admit(state);
        found.pending += 1;
    }
    if found.pending == 0 {
        return found;
    }
    let allowed = Allowed { barred: response.discharging };
    let mut search = Search {
        found,
        again: Vec::new(),
        judge: Judge {
            graph,
            allowed,
            fairness: response.fairness,
            counts: vec![Count::default(); response.fairness.len()],
            seen: Vec::new(),
        },
    };
    components.visit(0..graph.expanded(), allowed, |component| search.note(&component));
    while let Some(part) = search.again.pop() {
        part.iter().for_each(|state| components.admit(*state));
        components.visit(part, allowed, |component| search.note(&component));
    }
    let mut found = search.found;
    found.strong.sort_unstable();
    found.strong.dedup();
    found
}

struct Search<'a> {
    found: FairWaits,
    /// Parts that are still to be decomposed.
    again: Vec<Vec<Node>>,
    judge: Judge<'a>,
}

impl Search<'_> {
    fn note(&mut self, component: &Component<'_>) {
        match self.judge.judge(component) {
            Judgement::Unfair => {}
            Judgement::Stutter => self.stutters(component.states[0]),
            Judgement::Fair => {
                let idle = component.states.iter().copied().filter(|state| self.judge.idle(*state));
                if let Some(state) = idle.min() {
                    self.stutters(state);
                }
                let mut states = component.states.to_vec();
                states.sort_unstable();
                let known = &mut self.found.components;
                let at = known.partition_point(|nearer| nearer[0] < states[0]);
                if at < CANDIDATES_MAX {
                    known.insert(at, states);
                    known.truncate(CANDIDATES_MAX);
                }
            }
            Judgement::Avoid(labels) => {
                let graph = self.judge.graph;
                let avoids = |state: &Node| !graph.enabled(*state).iter().any(|label| labels.contains(label));
                let rest: Vec<_> = component.states.iter().copied().filter(avoids).collect();
                self.found.strong.extend(labels);
                if !rest.is_empty() {
                    self.again.push(rest);
                }
            }
        }
    }

    fn stutters(&mut self, state: Node) {
        self.found.stutter = Some(self.found.stutter.map_or(state, |nearest| nearest.min(state)));
    }
}

/// Can a fair run visit exactly the states of a component for ever?
enum Judgement {
    /// It can.
    Fair,
    /// It can, by stuttering in the one state that there is.
    Stutter,
    /// No fair run stays inside.
    Unfair,
    /// Only a run that keeps out of the states where these are enabled.
    Avoid(Vec<Label>),
}

/// Judges components; keeps the counters between them.
struct Judge<'a> {
    graph: &'a Graph,
    allowed: Allowed<'a>,
    fairness: &'a [Fairness],
    /// By label.
    counts: Vec<Count>,
    /// The labels of fair instances that are enabled somewhere in the component.
    seen: Vec<Label>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    /// In how many states of the component it is enabled.
    enabled: u32,
    /// The state counted last: an instance may lead from one state to several.
    last: Option<Node>,
    /// Taken inside the component.
    taken: bool,
}

impl Judge<'_> {
    fn judge(&mut self, component: &Component<'_>) -> Judgement {
        if let [state] = component.states
            && !self
                .graph
                .successors(*state)
                .any(|(label, target)| target == *state && self.allowed.permits(label))
        {
            return if self.idle(*state) { Judgement::Stutter } else { Judgement::Unfair };
        }
        for label in self.seen.drain(..) {
            self.counts[usize::from(label)] = Count::default();
        }
        for state in component.states {
            for (label, target) in self.graph.successors(*state) {
                if self.fair(label) {
                    let inside = component.contains(target) && self.allowed.permits(label);
                    self.count(label, *state, inside);
                }
            }
        }
        self.conclude(component.states.len() as u32)
    }

    fn fair(&self, label: Label) -> bool {
        self.fairness[usize::from(label)] > Fairness::None
    }

    /// Is no fair instance enabled here?
    fn idle(&self, state: Node) -> bool {
        !self.graph.enabled(state).iter().any(|label| self.fair(*label))
    }

    fn count(&mut self, label: Label, state: Node, inside: bool) {
        let count = &mut self.counts[usize::from(label)];
        if count.enabled == 0 {
            self.seen.push(label);
        }
        if count.last != Some(state) {
            count.last = Some(state);
            count.enabled += 1;
        }
        count.taken |= inside;
    }

    fn conclude(&self, states: u32) -> Judgement {
        let untaken = || {
            let counted = self.seen.iter().map(|label| (*label, self.counts[usize::from(*label)]));
            counted.filter(|(_, count)| !count.taken)
        };
        if untaken().any(|(_, count)| count.enabled == states) {
            return Judgement::Unfair;
        }
        let strong = |label: &Label| self.fairness[usize::from(*label)] == Fairness::Strong;
        let avoided: Vec<_> = untaken().map(|(label, _)| label).filter(strong).collect();
        if avoided.is_empty() { Judgement::Fair } else { Judgement::Avoid(avoided) }
    }
}
