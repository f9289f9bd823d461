//! Random small systems: the verdict is that of the definition, and every play is one.

use std::collections::BTreeSet;

use engine::bisimulation::{Comparison, Edge, Labelled, Node, PlayedMove, PlayerSide, compare};

const PAIRS: u64 = 20_000;
const STATES_MAX: u64 = 5;
const TRANSITIONS_MAX: u64 = 9;

/// A system as a list of transitions: from, label, to; label 0 is hidden.
#[derive(Clone, Debug)]
struct Small {
    states: u64,
    transitions: Vec<(Node, u8, Node)>,
}

impl Small {
    fn random(random: &mut Random, labels: u64) -> Self {
        let states = 1 + random.below(STATES_MAX);
        let state = |random: &mut Random| random.below(states) as Node;
        let transitions = 0..random.below(TRANSITIONS_MAX + 1);
        let mut transitions: Vec<_> =
            transitions.map(|_| (state(random), random.below(labels) as u8, state(random))).collect();
        transitions.sort_unstable();
        Small { states, transitions }
    }

    /// The same with a step that adds nothing to what a state can do, or with one left out.
    fn varied(&self, random: &mut Random) -> Self {
        let mut varied = self.clone();
        match random.below(3) {
            0 if !varied.transitions.is_empty() => {
                varied.transitions.remove(random.below(self.transitions.len() as u64) as usize);
            }
            1 => {
                // A state whose only step is a hidden one to a state of old behaves like that state.
                let before = varied.states as Node;
                let target = random.below(self.states) as Node;
                varied.states += 1;
                for (_, _, to) in varied.transitions.iter_mut().filter(|(_, _, to)| *to == target) {
                    *to = before;
                }
                varied.transitions.push((before, 0, target));
            }
            _ => {}
        }
        varied.transitions.sort_unstable();
        varied
    }

    fn labelled(&self) -> Labelled<u8> {
        let mut labelled = Labelled::new(vec![0]);
        for node in 0..self.states as Node {
            let own = self.transitions.iter().filter(|(from, ..)| *from == node);
            labelled.state(own.map(|(_, label, to)| ((*label > 0).then_some(*label), *to)));
        }
        labelled
    }

    /// Everything that hidden steps lead to.
    fn silently(&self, node: Node) -> BTreeSet<Node> {
        let mut reached = BTreeSet::from([node]);
        loop {
            let more: Vec<Node> = self
                .transitions
                .iter()
                .filter(|(from, label, to)| *label == 0 && reached.contains(from) && !reached.contains(to))
                .map(|(_, _, to)| *to)
                .collect();
            if more.is_empty() {
                return reached;
            }
            reached.extend(more);
        }
    }

    /// Follows transitions; what is seen of them, and where they lead.
    fn follow(&self, node: Node, edges: &[Edge]) -> (Vec<u8>, Node) {
        let mut seen = Vec::new();
        let mut at = node;
        for edge in edges {
            let (from, label, to) = self.transitions[*edge];
            assert_eq!(from, at, "{self:?}: {edges:?}");
            seen.extend((label > 0).then_some(label));
            at = to;
        }
        (seen, at)
    }
}

/// The greatest relation that meets the definition, by taking out pairs that do not.
fn bisimilar(left: &Small, right: &Small) -> bool {
    let mut related: BTreeSet<(Node, Node)> = (0..left.states as Node)
        .flat_map(|one| (0..right.states as Node).map(move |other| (one, other)))
        .collect();
    loop {
        let kept: BTreeSet<(Node, Node)> = related
            .iter()
            .copied()
            .filter(|(one, other)| {
                answers(left, *one, right, *other, |one, other| related.contains(&(one, other)))
                    && answers(right, *other, left, *one, |other, one| related.contains(&(one, other)))
            })
            .collect();
        if kept.len() == related.len() {
            return related.contains(&(0, 0));
        }
        related = kept;
    }
}

/// Can each step of `one` be answered by `other`?
fn answers(
    left: &Small,
    one: Node,
    right: &Small,
    other: Node,
    related: impl Fn(Node, Node) -> bool,
) -> bool {
    left.transitions.iter().filter(|(from, ..)| *from == one).all(|(_, label, to)| {
        let stays = *label == 0 && related(*to, other);
        stays
            || right.silently(other).into_iter().any(|between| {
                related(one, between)
                    && right
                        .transitions
                        .iter()
                        .any(|(from, own, end)| (*from, own) == (between, label) && related(*to, *end))
            })
    })
}

#[test]
fn agrees_with_the_definition() {
    let (mut alike, mut different) = (0, 0);
    for seed in 0..PAIRS {
        let mut random = Random(seed);
        let labels = 2 + seed % 2;
        let left = Small::random(&mut random, labels);
        let right = if seed % 4 == 0 { Small::random(&mut random, labels) } else { left.varied(&mut random) };
        let bisimilar = bisimilar(&left, &right);
        match compare(&left.labelled(), &right.labelled()) {
            Comparison::Bisimilar { .. } => {
                assert!(bisimilar, "seed {seed}: {left:?} {right:?}");
                alike += 1;
            }
            Comparison::Different { play } => {
                assert!(!bisimilar, "seed {seed}: {left:?} {right:?}");
                check_play(seed, &left, &right, &play);
                different += 1;
            }
        }
    }
    assert!(alike > 2_000 && different > 2_000, "{alike} alike, {different} not: no good mixture");
}

/// Every move can be taken, an answer looks like the attack, and the last attack has none.
fn check_play(seed: u64, left: &Small, right: &Small, play: &[PlayedMove<u8>]) {
    let (mut at_left, mut at_right) = (0, 0);
    let last = play.last().unwrap_or_else(|| panic!("seed {seed}: a play has a move"));
    assert!(last.answer.is_none(), "seed {seed}: {play:?}");
    for (number, step) in play.iter().enumerate() {
        let (attacker, defender) = match step.attacker {
            PlayerSide::Left => ((left, &mut at_left), (right, &mut at_right)),
            PlayerSide::Right => ((right, &mut at_right), (left, &mut at_left)),
        };
        let seen: Vec<u8> = step.label.into_iter().collect();
        let (shown, to) = attacker.0.follow(*attacker.1, &step.attack);
        assert_eq!(shown, seen, "seed {seed}: {play:?}");
        *attacker.1 = to;
        match &step.answer {
            Some(answer) => {
                let (shown, to) = defender.0.follow(*defender.1, answer);
                assert_eq!(shown, seen, "seed {seed}: {play:?}");
                *defender.1 = to;
            }
            None => assert_eq!(number + 1, play.len(), "seed {seed}: {play:?}"),
        }
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash ^ (hash >> 31)) % bound
    }
}
