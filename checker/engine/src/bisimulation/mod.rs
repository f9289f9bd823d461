//! Do two systems behave alike? Branching bisimilarity, computed, with a play that tells them apart if not.
//!
//! Every step has a label that an observer sees, or is hidden. Two states are *branching bisimilar* (van
//! Glabbeek and Weijland) if each step of one can be answered by the other: a hidden one by doing nothing,
//! any one by the same label after hidden steps that stay within what is bisimilar, and so on from there.
//! It is the finest of the usual equivalences that disregard hidden steps: it preserves every choice, and with
//! it all properties of this project but for divergence. With nothing hidden it is strong bisimilarity, where
//! divergence is no question either.
//!
//! | module | |
//! |---|---|
//! | `refine` | partition refinement by signatures (Blom and Orzan), each round kept |
//! | `play` | from the rounds, a play of attacker and defender that ends with a step without answer |

mod play;
mod refine;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;

use population::concrete::{State, Step};
use population::system::Judged;

pub use play::{PlayedMove, PlayerSide};

use crate::state_graph::StateGraph;

/// A state's number.
pub type Node = u32;
/// A transition's number; those of one state are consecutive.
pub type Edge = usize;

/// A finite system with a label on each visible step.
#[derive(Clone, Debug)]
pub struct Labelled<L> {
    initial: Vec<Node>,
    offsets: Vec<Edge>,
    /// By transition: its label, `None` where it is hidden, and where it leads.
    transitions: Vec<(Option<L>, Node)>,
}

impl<L: Clone + Ord + Debug> Labelled<L> {
    /// A system with these initial states and no state yet.
    pub fn new(initial: Vec<Node>) -> Self {
        Labelled { initial, offsets: vec![0], transitions: Vec::new() }
    }

    /// The next state, with its transitions.
    pub fn state(&mut self, transitions: impl IntoIterator<Item = (Option<L>, Node)>) {
        self.transitions.extend(transitions);
        self.offsets.push(self.transitions.len());
    }

    /// The graph of a system, each step labelled as an observer sees it.
    pub fn of<S: Judged>(graph: &StateGraph<'_, S>, label: impl Fn(Step<S>, &State<S>) -> Option<L>) -> Self {
        let mut labelled = Labelled::new(graph.initial_states().collect());
        for node in 0..graph.states() as Node {
            let state = graph.state(node);
            let step = |edge| (label(graph.step(edge), &state), graph.target(edge));
            labelled.state(graph.edges(node).map(step));
        }
        labelled
    }

    /// How many states there are.
    pub fn states(&self) -> usize {
        self.offsets.len() - 1
    }
}

/// Whether two systems behave alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison<L> {
    /// Each initial state of one has a bisimilar one in the other.
    Bisimilar {
        /// How many classes the states of both fall into.
        classes: usize,
    },
    /// An initial state of one has no bisimilar one in the other.
    Different {
        /// A play that shows it, against the best defence.
        play: Vec<PlayedMove<L>>,
    },
}

/// Compares two systems.
pub fn compare<L: Clone + Ord + Debug>(left: &Labelled<L>, right: &Labelled<L>) -> Comparison<L> {
    let union = Union::of(left, right);
    let rounds = refine::refine(&union);
    let (lefts, rights) = (&left.initial, union.initial(right));
    let sides = [(PlayerSide::Left, lefts, &rights), (PlayerSide::Right, &rights, lefts)];
    for (side, attackers, defenders) in sides {
        for attacker in attackers {
            if !defenders.iter().any(|defender| rounds.separated(*attacker, *defender).is_none()) {
                // The defender starts in the state that holds out longest.
                let best = defenders.iter().max_by_key(|defender| rounds.separated(*attacker, **defender));
                let Some(defender) = best else { return Comparison::Different { play: Vec::new() } };
                let (left, right) = match side {
                    PlayerSide::Left => (*attacker, *defender),
                    PlayerSide::Right => (*defender, *attacker),
                };
                return Comparison::Different { play: play::play(&union, &rounds, left, right) };
            }
        }
    }
    Comparison::Bisimilar { classes: rounds.classes() }
}

/// Both systems side by side, with labels as numbers.
struct Union<L> {
    /// The states of the right system have the numbers from here on.
    right: Node,
    /// The transitions of the right system have the numbers from here on.
    right_edges: Edge,
    labels: Vec<L>,
    offsets: Vec<Edge>,
    /// By transition: the label's number, [`HIDDEN`] for none, and where it leads.
    transitions: Vec<(u32, Node)>,
}

const HIDDEN: u32 = u32::MAX;

impl<L: Clone + Ord + Debug> Union<L> {
    fn of(left: &Labelled<L>, right: &Labelled<L>) -> Self {
        let both = || left.transitions.iter().chain(&right.transitions);
        let mut numbers: BTreeMap<&L, u32> =
            both().filter_map(|(label, _)| Some((label.as_ref()?, 0))).collect();
        for (number, (_, slot)) in numbers.iter_mut().enumerate() {
            *slot = number as u32;
        }
        let shift = left.states() as Node;
        let number = |label: &Option<L>| label.as_ref().map_or(HIDDEN, |label| numbers[label]);
        let lefts = left.transitions.iter().map(|(label, to)| (number(label), *to));
        let rights = right.transitions.iter().map(|(label, to)| (number(label), to + shift));
        let behind = left.transitions.len();
        Union {
            right: shift,
            right_edges: behind,
            labels: numbers.keys().map(|label| (*label).clone()).collect(),
            offsets: left
                .offsets
                .iter()
                .copied()
                .chain(right.offsets[1..].iter().map(|offset| offset + behind))
                .collect(),
            transitions: lefts.chain(rights).collect(),
        }
    }

    fn initial(&self, right: &Labelled<L>) -> Vec<Node> {
        right.initial.iter().map(|node| node + self.right).collect()
    }

    fn states(&self) -> usize {
        self.offsets.len() - 1
    }

    fn edges(&self, node: Node) -> Range<Edge> {
        self.offsets[node as usize]..self.offsets[node as usize + 1]
    }

    /// The hidden steps that remain in a class, from a state on, each with the transition on the way there.
    fn within(&self, class: &[u32], from: Node) -> Vec<(Node, Option<(Node, Edge)>)> {
        let mut reached = vec![(from, None)];
        let mut at = 0;
        while let Some((node, _)) = reached.get(at).copied() {
            for edge in self.edges(node) {
                let (label, to) = self.transitions[edge];
                let inert = label == HIDDEN && class[to as usize] == class[from as usize];
                if inert && !reached.iter().any(|(known, _)| *known == to) {
                    reached.push((to, Some((node, edge))));
                }
            }
            at += 1;
        }
        reached
    }
}
