//! Partition refinement by signatures.
//!
//! All states start in one class. In each round a state's *signature* says what it can do: every label, and
//! the class it leads to, after hidden steps within the state's own class; hidden steps within that class
//! count for nothing. States with different signatures part. When no class is divided any more, the classes
//! are those of branching bisimilarity (Blom and Orzan, *A distributed algorithm for strong bisimulation
//! reduction of state spaces*, 2005, and for branching bisimulation the work that follows it).

use std::fmt::Debug;

use rustc_hash::FxHashMap;

use super::{HIDDEN, Node, Union};

/// What a state can do: label and class.
pub(super) type Signature = Vec<(u32, u32)>;

/// The partition after each round, by state.
pub(super) struct Rounds {
    partitions: Vec<Vec<u32>>,
}

impl Rounds {
    /// The first round after which two states are in different classes; `None` if they are bisimilar.
    pub(super) fn separated(&self, one: Node, other: Node) -> Option<Separation> {
        let round = self.partitions.iter().position(|class| class[one as usize] != class[other as usize]);
        round.map(Separation)
    }

    /// The partition before the round that separates.
    pub(super) fn before(&self, separation: Separation) -> &[u32] {
        &self.partitions[separation.0 - 1]
    }

    /// How many classes there are in the end.
    pub(super) fn classes(&self) -> usize {
        self.partitions.last().and_then(|classes| classes.iter().max()).map_or(0, |last| *last as usize + 1)
    }
}

/// The round that separates two states; the later, the more alike they are. Round 0 separates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Separation(usize);

pub(super) fn refine<L: Clone + Ord + Debug>(union: &Union<L>) -> Rounds {
    let mut partitions = vec![vec![0; union.states()]];
    let mut classes = 1.min(union.states());
    loop {
        let class = &partitions[partitions.len() - 1];
        let mut numbers = FxHashMap::default();
        let mut next = Vec::with_capacity(class.len());
        for node in 0..union.states() as Node {
            let fresh = numbers.len() as u32;
            next.push(*numbers.entry((class[node as usize], signature(union, class, node))).or_insert(fresh));
        }
        if numbers.len() == classes {
            return Rounds { partitions };
        }
        classes = numbers.len();
        partitions.push(next);
    }
}

pub(super) fn signature<L: Clone + Ord + Debug>(union: &Union<L>, class: &[u32], node: Node) -> Signature {
    let mut signature = Signature::new();
    for (from, _) in union.within(class, node) {
        for edge in union.edges(from) {
            let (label, to) = union.transitions[edge];
            let to = class[to as usize];
            if label != HIDDEN || to != class[node as usize] {
                signature.push((label, to));
            }
        }
    }
    signature.sort_unstable();
    signature.dedup();
    signature
}
