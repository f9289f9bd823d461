//! Components of a graph, and the steps that lead out of them.

use std::collections::{BTreeMap, BTreeSet};

use enumset::EnumSetType;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use population::system::Fairness;

use super::graph::Edge;

/// The strongly connected components, in an order in which every edge leads to an earlier one, or stays. The
/// place of a component in that order is its rank.
pub(super) struct Components {
    of: Vec<Option<usize>>,
    members: Vec<Vec<usize>>,
}

impl Components {
    /// The components of the graph with these nodes, all below `size`, and the edges between them.
    pub fn new(
        size: usize,
        nodes: impl Iterator<Item = usize>,
        edges: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let mut graph = DiGraph::<usize, ()>::new();
        let mut indices: Vec<Option<NodeIndex>> = vec![None; size];
        for node in nodes {
            indices[node] = Some(graph.add_node(node));
        }
        for (from, to) in edges {
            if let (Some(from), Some(to)) = (indices[from], indices[to]) {
                graph.add_edge(from, to, ());
            }
        }
        let mut of = vec![None; size];
        let mut members = Vec::new();
        // Tarjan's algorithm gives components in reverse topological order.
        for (rank, component) in tarjan_scc(&graph).into_iter().enumerate() {
            let component: Vec<_> = component.into_iter().map(|index| graph[index]).collect();
            component.iter().for_each(|node| of[*node] = Some(rank));
            members.push(component);
        }
        Components { of, members }
    }

    /// The rank of a node; `None` if it is not in the graph.
    pub fn rank(&self, node: usize) -> Option<usize> {
        self.of[node]
    }

    /// The nodes of the component with this rank.
    pub fn members(&self, rank: usize) -> &[usize] {
        &self.members[rank]
    }
}

/// What a step strikes out of a component, if it helps there. It must lead out of the component wherever it
/// may be taken, also where it is only enabled when the other pages allow it.
pub(super) fn strikes<'e, Step: 'e, K: EnumSetType + 'e>(
    members: &[usize],
    fairness: Fairness,
    edge: impl Fn(&usize) -> Option<&'e Edge<Step, K>>,
    enabled: impl Fn(&usize, &Edge<Step, K>) -> bool,
    lower: impl Fn(&Edge<Step, K>) -> bool,
) -> Option<Vec<usize>> {
    if fairness == Fairness::None || members.iter().filter_map(&edge).any(|edge| !lower(edge)) {
        return None;
    }
    let enabled = |member: &&usize| edge(member).is_some_and(|edge| enabled(member, edge));
    let struck: Vec<_> = members.iter().filter(enabled).copied().collect();
    let enough = if fairness == Fairness::Weak { members.len() } else { 1 };
    (struck.len() >= enough).then_some(struck)
}

/// For every component the first step that strikes out something; `None` if there is no such step at all.
pub(super) fn first_helpful<Step: Copy>(
    components: &Components,
    steps: &[Step],
    helps: impl Fn(usize, Step) -> Option<Vec<usize>>,
) -> Option<(BTreeMap<usize, Step>, BTreeSet<usize>)> {
    let mut helpful = BTreeMap::new();
    let mut struck = BTreeSet::new();
    for rank in 0..components.members.len() {
        if let Some((step, members)) = steps.iter().find_map(|step| Some((*step, helps(rank, *step)?))) {
            helpful.insert(rank, step);
            struck.extend(members);
        }
    }
    (!helpful.is_empty()).then_some((helpful, struck))
}
