//! The steps between pairs, by index.

use std::collections::BTreeMap;

use enumset::{EnumSet, EnumSetType};
use population::system::{Conditions, Live};

use super::Pairs;

/// Everything that pairs can do, with targets outside the given pairs as `None`.
pub(super) struct Graph<S: Live> {
    pub controls: Vec<S::Control>,
    pub pairs: Vec<Node<S>>,
}

/// A pair, with its steps.
pub(super) struct Node<S: Live> {
    pub control: usize,
    pub page: S::Page,
    pub conditions: Conditions<S>,
    pub page_moves: Vec<Edge<S::PageStep, S::Condition>>,
    pub control_moves: Vec<Edge<S::ControlStep, S::Condition>>,
}

/// A step of a page or of the control, as one page sees it.
pub(super) struct Edge<Step, K: EnumSetType> {
    pub step: Step,
    pub requires: EnumSet<K>,
    /// The control record afterwards, if it occurs in a pair.
    pub control: Option<usize>,
    /// The pair afterwards.
    pub target: Option<usize>,
}

impl<S: Live> Graph<S> {
    pub fn new(system: &S, pairs: &Pairs<S>) -> Self {
        let mut control_ids = BTreeMap::new();
        for (control, _) in pairs {
            let next = control_ids.len();
            control_ids.entry(*control).or_insert(next);
        }
        let pair_ids: BTreeMap<_, _> = pairs.iter().enumerate().map(|(id, pair)| (*pair, id)).collect();

        let node = |(control, page): &(S::Control, S::Page)| {
            let page_moves = system.page_steps().iter().filter_map(|step| {
                let taken = system.page_move(*step, control, page)?;
                Some(Edge {
                    step: *step,
                    requires: taken.requires,
                    control: control_ids.get(&taken.control).copied(),
                    target: pair_ids.get(&(taken.control, taken.page)).copied(),
                })
            });
            let control_moves = system.control_steps().iter().filter_map(|step| {
                let taken = system.control_move(*step, control)?;
                let carried = system.carry(*step, control, page);
                Some(Edge {
                    step: *step,
                    requires: taken.requires,
                    control: control_ids.get(&taken.control).copied(),
                    target: pair_ids.get(&(taken.control, carried)).copied(),
                })
            });
            Node {
                control: control_ids[control],
                page: *page,
                conditions: system.conditions(page),
                page_moves: page_moves.collect(),
                control_moves: control_moves.collect(),
            }
        };
        let pairs = pairs.iter().map(node).collect();
        Graph { controls: control_ids.into_keys().collect(), pairs }
    }
}
