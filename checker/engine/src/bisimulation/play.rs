//! A play that tells two states apart.
//!
//! The attacker takes a step of either system, the defender answers with a step of the other that an observer
//! sees alike. From the rounds of the refinement the attacker knows a step whose answers all lead to states
//! that part in an earlier round; so the play ends, with a step that has no answer. The defender always
//! chooses the answer that holds out longest. Where both systems have at most one step for each label, the
//! play is simply the shortest run that one has and the other has not.

use std::fmt::Debug;

use super::refine::{Rounds, Separation, signature};
use super::{Edge, HIDDEN, Node, Union};

/// One of the two systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerSide {
    /// The one named first.
    Left,
    /// The other.
    Right,
}

/// A step of the attacker and its answer. Transitions are numbered as in the system they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayedMove<L> {
    /// Whose step the attacker takes.
    pub attacker: PlayerSide,
    /// What an observer sees; `None` for a hidden step.
    pub label: Option<L>,
    /// The attacker's transitions, hidden ones first.
    pub attack: Vec<Edge>,
    /// The defender's, hidden ones first; `None` where there is no answer.
    pub answer: Option<Vec<Edge>>,
}

/// A step with the hidden ones before it, and where it leads.
struct Taken {
    edges: Vec<Edge>,
    label: u32,
    to: Node,
}

pub(super) fn play<L: Clone + Ord + Debug>(
    union: &Union<L>,
    rounds: &Rounds,
    mut left: Node,
    mut right: Node,
) -> Vec<PlayedMove<L>> {
    let mut moves = Vec::new();
    while let Some(separation) = rounds.separated(left, right) {
        let class = rounds.before(separation);
        let Some((attacker, attack)) = attack(union, class, left, right) else { break };
        let defender = if attacker == PlayerSide::Left { right } else { left };
        let answer = answer(union, rounds, class, defender, &attack);
        moves.push(PlayedMove {
            attacker,
            label: union.labels.get(attack.label as usize).cloned(),
            attack: union.own(attack.edges),
            answer: answer.as_ref().map(|answer| union.own(answer.edges.clone())),
        });
        let Some(answer) = answer else { break };
        (left, right) = match attacker {
            PlayerSide::Left => (attack.to, answer.to),
            PlayerSide::Right => (answer.to, attack.to),
        };
    }
    moves
}

/// A step that one can take and the other cannot, classes considered.
fn attack<L: Clone + Ord + Debug>(
    union: &Union<L>,
    class: &[u32],
    left: Node,
    right: Node,
) -> Option<(PlayerSide, Taken)> {
    let (of_left, of_right) = (signature(union, class, left), signature(union, class, right));
    let sides =
        [(PlayerSide::Left, left, &of_left, &of_right), (PlayerSide::Right, right, &of_right, &of_left)];
    sides.into_iter().find_map(|(side, node, own, other)| {
        let only = |taken: &Taken| {
            let seen = (taken.label, class[taken.to as usize]);
            own.contains(&seen) && !other.contains(&seen)
        };
        // A label that the other lacks altogether ends the play at once.
        let lacking = |taken: &Taken| only(taken) && !other.iter().any(|(label, _)| *label == taken.label);
        let taken = || steps(union, class, node);
        let best = taken().into_iter().find(lacking).or_else(|| taken().into_iter().find(only))?;
        Some((side, best))
    })
}

/// The answer that holds out longest.
fn answer<L: Clone + Ord + Debug>(
    union: &Union<L>,
    rounds: &Rounds,
    class: &[u32],
    defender: Node,
    attack: &Taken,
) -> Option<Taken> {
    let mut answers = steps(union, class, defender);
    if attack.label == HIDDEN {
        answers.push(Taken { edges: Vec::new(), label: HIDDEN, to: defender });
    }
    let holds_out = |taken: &Taken| -> Option<Separation> { rounds.separated(attack.to, taken.to) };
    answers.into_iter().filter(|taken| taken.label == attack.label).max_by_key(holds_out)
}

/// Every step of a state after hidden steps within its class.
fn steps<L: Clone + Ord + Debug>(union: &Union<L>, class: &[u32], node: Node) -> Vec<Taken> {
    let within = union.within(class, node);
    let way = |to: Node| {
        let mut edges = Vec::new();
        let mut at = to;
        while let Some((_, Some((before, edge)))) = within.iter().find(|(reached, _)| *reached == at) {
            edges.push(*edge);
            at = *before;
        }
        edges.reverse();
        edges
    };
    let mut found = Vec::new();
    for (from, _) in &within {
        for edge in union.edges(*from) {
            let (label, to) = union.transitions[edge];
            let edges = way(*from).into_iter().chain([edge]).collect();
            found.push(Taken { edges, label, to });
        }
    }
    found
}

impl<L> Union<L> {
    /// Transitions as they are numbered in the system they belong to.
    fn own(&self, edges: Vec<Edge>) -> Vec<Edge> {
        let own = |edge: Edge| if edge < self.right_edges { edge } else { edge - self.right_edges };
        edges.into_iter().map(own).collect()
    }
}
