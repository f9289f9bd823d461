//! The lightest walk from a source to a sink of a weighted graph, and the heaviest from a source to anywhere.
//!
//! Weights are not negative, and walks may repeat. The lightest is a matter of Dijkstra. The heaviest exists
//! unless some cycle of positive weight can be reached from a source: within a strongly connected component
//! all weights must be zero, and between components there is no way back, so one pass over the components in
//! topological order decides. Among walks of the extreme weight, one with the fewest edges is returned.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

/// A node's number.
pub type Node = u32;
/// An edge's number; those of one node are consecutive.
pub type Edge = usize;

/// A weighted graph with sources and sinks.
#[derive(Clone, Debug, Default)]
pub struct WeightedGraph {
    /// Where walks start.
    pub sources: Vec<Node>,
    /// By node: may the lightest walk end there?
    pub sinks: Vec<bool>,
    offsets: Vec<Edge>,
    /// By edge: from, to, weight. An edge that no walk may take leads nowhere.
    ends: Vec<(Node, Option<Node>)>,
    weights: Vec<u64>,
}

/// A walk with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Where it starts.
    pub start: Node,
    /// What it takes.
    pub edges: Vec<Edge>,
    /// The sum of their weights.
    pub weight: u64,
}

/// The heaviest walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heaviest {
    /// It exists.
    Finite(Walk),
    /// There is none: going round the cycle once more always makes a heavier one.
    Unbounded {
        /// From a source to the cycle.
        stem: Walk,
        /// Back to where the stem ends; its weight is positive.
        cycle: Vec<Edge>,
    },
}

impl WeightedGraph {
    /// A graph of so many nodes without edges.
    pub fn new(sources: Vec<Node>, sinks: Vec<bool>) -> Self {
        WeightedGraph { sources, sinks, offsets: vec![0], ends: Vec::new(), weights: Vec::new() }
    }

    /// Adds an edge to the next node that has not been closed; one without target can never be taken.
    pub fn edge(&mut self, to: Option<Node>, weight: u64) {
        self.ends.push((self.offsets.len() as Node - 1, to));
        self.weights.push(weight);
    }

    /// The node has no more edges; the next one follows.
    pub fn close(&mut self) {
        self.offsets.push(self.ends.len());
    }

    /// Replaces the weights.
    pub fn weigh(&mut self, weights: Vec<u64>) {
        assert_eq!(weights.len(), self.ends.len(), "each edge has one weight");
        self.weights = weights;
    }

    fn edges(&self, node: Node) -> Range<Edge> {
        self.offsets[node as usize]..self.offsets[node as usize + 1]
    }

    fn steps(&self, node: Node) -> impl Iterator<Item = (Edge, Node)> + '_ {
        self.edges(node).filter_map(|edge| Some((edge, self.ends[edge].1?)))
    }

    /// The lightest walk; `None` if no sink can be reached.
    pub fn lightest(&self) -> Option<Walk> {
        // By weight, then by number of edges.
        let mut best = vec![(u64::MAX, usize::MAX); self.sinks.len()];
        let mut into: Vec<Option<Edge>> = vec![None; self.sinks.len()];
        let mut open = BinaryHeap::new();
        for source in &self.sources {
            best[*source as usize] = (0, 0);
            open.push(Reverse((0, 0, *source)));
        }
        while let Some(Reverse((weight, length, node))) = open.pop() {
            if (weight, length) > best[node as usize] {
                continue;
            }
            if self.sinks[node as usize] {
                return Some(self.walk(node, weight, &into));
            }
            for (edge, target) in self.steps(node) {
                let longer = (weight + self.weights[edge], length + 1);
                if longer < best[target as usize] {
                    best[target as usize] = longer;
                    into[target as usize] = Some(edge);
                    open.push(Reverse((longer.0, longer.1, target)));
                }
            }
        }
        None
    }

    fn walk(&self, end: Node, weight: u64, into: &[Option<Edge>]) -> Walk {
        let mut edges = Vec::new();
        let mut start = end;
        while let Some(edge) = into[start as usize] {
            edges.push(edge);
            start = self.ends[edge].0;
        }
        edges.reverse();
        Walk { start, edges, weight }
    }

    /// The heaviest walk, wherever it ends; `None` if there is no source.
    pub fn heaviest(&self) -> Option<Heaviest> {
        let reached = self.reached();
        let components = self.components(&reached);
        let mut component_of = vec![usize::MAX; self.sinks.len()];
        for (number, component) in components.iter().enumerate() {
            for node in component {
                component_of[*node as usize] = number;
            }
        }
        let inner = |edge: Edge| {
            let (from, Some(to)) = self.ends[edge] else { return false };
            reached[to as usize] && component_of[from as usize] == component_of[to as usize]
        };
        if let Some(unbounded) = self.unbounded(&reached, inner) {
            return Some(unbounded);
        }
        let mut best: Vec<Option<u64>> = vec![None; components.len()];
        for source in self.sources.iter().filter(|source| reached[**source as usize]) {
            best[component_of[*source as usize]] = Some(0);
        }
        for (number, component) in components.iter().enumerate() {
            let Some(weight) = best[number] else { continue };
            for node in component {
                for (edge, target) in self.steps(*node).filter(|(_, target)| reached[*target as usize]) {
                    let target = &mut best[component_of[target as usize]];
                    *target = (*target).max(Some(weight + self.weights[edge]));
                }
            }
        }
        let best = |node: Node| best.get(component_of[node as usize]).copied().flatten();
        let weight = (0..self.sinks.len() as Node).filter_map(best).max()?;
        // Every walk of edges that keep to the best is one of the best weight.
        let tight = |edge: Edge, target: Node| {
            best(target) == best(self.ends[edge].0).map(|from| from + self.weights[edge])
        };
        let starts = self.sources.iter().copied().filter(|source| best(*source) == Some(0));
        let ends = |node: Node| best(node) == Some(weight);
        let (start, edges) =
            self.shortest(starts, ends, |edge, target| reached[target as usize] && tight(edge, target))?;
        Some(Heaviest::Finite(Walk { start, edges, weight }))
    }

    /// A cycle of positive weight near the sources, if there is one.
    fn unbounded(&self, reached: &[bool], inner: impl Fn(Edge) -> bool) -> Option<Heaviest> {
        let heavy = |node: Node| {
            self.edges(node).find(|edge| self.weights[*edge] > 0 && reached[node as usize] && inner(*edge))
        };
        let sources = self.sources.iter().copied();
        let (start, edges) =
            self.shortest(sources, |node| heavy(node).is_some(), |_, target| reached[target as usize])?;
        let knot = edges.last().and_then(|edge| self.ends[*edge].1).unwrap_or(start);
        let first = heavy(knot)?;
        let (_, back) = self.shortest(self.ends[first].1, |node| node == knot, |edge, _| inner(edge))?;
        let weight = edges.iter().map(|edge| self.weights[*edge]).sum();
        let cycle = [first].into_iter().chain(back).collect();
        Some(Heaviest::Unbounded { stem: Walk { start, edges, weight }, cycle })
    }

    /// A walk with the fewest edges, among those that may be taken.
    fn shortest(
        &self,
        starts: impl IntoIterator<Item = Node>,
        ends: impl Fn(Node) -> bool,
        may_take: impl Fn(Edge, Node) -> bool,
    ) -> Option<(Node, Vec<Edge>)> {
        let mut into: Vec<Option<Edge>> = vec![None; self.sinks.len()];
        let mut seen = vec![false; self.sinks.len()];
        let mut open: VecDeque<Node> = VecDeque::new();
        for start in starts {
            if !std::mem::replace(&mut seen[start as usize], true) {
                open.push_back(start);
            }
        }
        while let Some(node) = open.pop_front() {
            if ends(node) {
                let walk = self.walk(node, 0, &into);
                return Some((walk.start, walk.edges));
            }
            for (edge, target) in self.steps(node).filter(|(edge, target)| may_take(*edge, *target)) {
                if !std::mem::replace(&mut seen[target as usize], true) {
                    into[target as usize] = Some(edge);
                    open.push_back(target);
                }
            }
        }
        None
    }

    /// By node: can it be reached from a source?
    fn reached(&self) -> Vec<bool> {
        let mut reached = vec![false; self.sinks.len()];
        let mut open = self.sources.clone();
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut reached[node as usize], true) {
                open.extend(self.steps(node).map(|(_, target)| target));
            }
        }
        reached
    }

    /// The strongly connected components of the part that can be reached, in topological order.
    fn components(&self, reached: &[bool]) -> Vec<Vec<Node>> {
        let mut graph: DiGraph<(), (), u32> = DiGraph::default();
        for _ in reached {
            graph.add_node(());
        }
        for (from, to) in self.ends.iter().filter_map(|(from, to)| Some((*from, (*to)?))) {
            if reached[from as usize] && reached[to as usize] {
                graph.add_edge(NodeIndex::from(from), NodeIndex::from(to), ());
            }
        }
        let components = kosaraju_scc(&graph).into_iter().rev();
        let numbers = components.map(|component| component.into_iter().map(|node| node.index() as Node));
        numbers
            .map(|component| component.filter(|node| reached[*node as usize]).collect::<Vec<_>>())
            .filter(|component| !component.is_empty())
            .collect()
    }
}
