//! An explicit state graph with labelled edges, in compressed rows: 4 bytes a state, 6 bytes a transition.
//!
//! ```text
//!   offsets   0     2     5 …            row s = offsets[s] .. offsets[s + 1]
//!   targets   1  2  0  3  3 …            one entry a transition
//!   labels    a  b  a  c  d …
//! ```
//!
//! States are numbered in breadth-first order, initial states first. So all of them are reachable, depth
//! never decreases with the number, the smallest number in a set is one of its states nearest to the start,
//! and a truncated graph is one that lacks the rows of its last states.

use std::ops::Range;

/// A state, by its number.
pub type Node = u32;
/// An action instance, by its number: a control step, or a page step of one page.
pub type Label = u16;

/// The most states a graph can have; the highest numbers are markers of [`super::components`].
pub const STATES_MAX: u32 = u32::MAX - 16;
/// The most transitions a graph can have.
pub const TRANSITIONS_MAX: usize = u32::MAX as usize;

/// The graph; made by a [`GraphBuilder`].
#[derive(Clone, Debug)]
pub struct Graph {
    states: u32,
    /// The first state of each depth.
    levels: Vec<Node>,
    offsets: Vec<u32>,
    targets: Vec<Node>,
    labels: Vec<Label>,
}

impl Graph {
    /// The number of states.
    pub fn states(&self) -> u32 {
        self.states
    }

    /// The number of transitions.
    pub fn transitions(&self) -> usize {
        self.targets.len()
    }

    /// How many states have a row; the states from this number on were seen, but not expanded.
    pub fn expanded(&self) -> u32 {
        (self.offsets.len() - 1) as u32
    }

    /// Is every state expanded?
    pub fn complete(&self) -> bool {
        self.expanded() == self.states
    }

    /// The least number of steps from an initial state to this one.
    pub fn depth(&self, state: Node) -> usize {
        self.levels.partition_point(|first| *first <= state) - 1
    }

    /// The outgoing transitions of a state; none for a state that was not expanded.
    #[inline]
    pub fn successors(&self, state: Node) -> impl Iterator<Item = (Label, Node)> + '_ {
        let row = self.row(state);
        self.labels[row.clone()].iter().copied().zip(self.targets[row].iter().copied())
    }

    /// The labels on the outgoing transitions of a state: the action instances enabled in it.
    #[inline]
    pub fn enabled(&self, state: Node) -> &[Label] {
        &self.labels[self.row(state)]
    }

    /// A shortest path to a state: the initial state it starts in, and its transitions.
    ///
    /// Each step back looks through the previous level only, so that the whole path costs one pass over
    /// the transitions and no memory.
    pub fn shortest_path(&self, to: Node) -> (Node, Vec<(Label, Node)>) {
        let mut path = Vec::new();
        let mut state = to;
        for depth in (0..self.depth(to)).rev() {
            let level = self.levels[depth]..self.levels[depth + 1];
            let step = level.into_iter().find_map(|from| {
                let (label, _) = self.successors(from).find(|(_, target)| *target == state)?;
                Some((from, label))
            });
            let Some((from, label)) = step else { break };
            path.push((label, state));
            state = from;
        }
        path.reverse();
        (state, path)
    }

    /// The positions of a state's transitions, for [`Graph::label`] and [`Graph::target`].
    #[inline]
    pub(super) fn row(&self, state: Node) -> Range<usize> {
        match self.offsets.get(state as usize..state as usize + 2) {
            Some(ends) => ends[0] as usize..ends[1] as usize,
            None => 0..0,
        }
    }

    #[inline]
    pub(super) fn label(&self, transition: usize) -> Label {
        self.labels[transition]
    }

    #[inline]
    pub(super) fn target(&self, transition: usize) -> Node {
        self.targets[transition]
    }
}

/// Takes the rows of a breadth-first exploration, in the order of the states.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
}

impl GraphBuilder {
    /// A graph whose initial states are `0..initial`.
    pub fn new(initial: u32) -> Self {
        let graph = Graph {
            states: initial,
            levels: vec![0, initial],
            offsets: vec![0],
            targets: Vec::new(),
            labels: Vec::new(),
        };
        GraphBuilder { graph }
    }

    /// The number of the next state that has no row yet; the number of all states when done.
    pub fn next(&self) -> Node {
        self.graph.expanded()
    }

    /// The number of transitions so far.
    pub fn transitions(&self) -> usize {
        self.graph.targets.len()
    }

    /// The memory taken, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let Graph { offsets, targets, labels, .. } = &self.graph;
        let numbers = (offsets.capacity() + targets.capacity()) * size_of::<u32>();
        (numbers + labels.capacity() * size_of::<Label>()) as u64
    }

    /// Adds a transition to the row of [`GraphBuilder::next`]. A new state must have the next number that no state has.
    #[inline]
    pub fn transition(&mut self, label: Label, target: Node) {
        debug_assert!(target <= self.graph.states, "states are numbered in the order of their discovery");
        self.graph.states = self.graph.states.max(target + 1);
        self.graph.targets.push(target);
        self.graph.labels.push(label);
    }

    /// Ends the row of [`GraphBuilder::next`].
    #[inline]
    pub fn end_row(&mut self) {
        self.graph.offsets.push(self.graph.targets.len() as u32);
        let expanded = self.graph.expanded();
        if self.graph.levels.last() == Some(&expanded) {
            self.graph.levels.push(self.graph.states);
        }
    }

    /// The graph; truncated when not all states have their row.
    pub fn finish(self) -> Graph {
        let mut graph = self.graph;
        // A row that was begun and not ended tells nothing about its state.
        graph.targets.truncate(graph.offsets[graph.offsets.len() - 1] as usize);
        graph.labels.truncate(graph.targets.len());
        graph.targets.shrink_to_fit();
        graph.labels.shrink_to_fit();
        graph
    }
}
