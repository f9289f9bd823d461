//! The reachable states of a system with a given number of pages, as a graph with a step on each edge.
//!
//! What asks about whole graphs (the cheapest and the dearest migration, bisimilarity) starts from here.
//! Where the order of pages does not matter, states that differ in it alone are one: guards see pages only as
//! "this one" and "all others", so every path of the smaller graph is a run of the system once its pages have
//! their places again ([`StateGraph::run`]).

use std::ops::Range;

use arrayvec::ArrayVec;
use population::concrete::{Concrete, Configuration, Move, PAGES_MAX, State, Step};
use population::system::Judged;
use rustc_hash::FxHashMap;

use crate::explore::{StateRun, Trace};
use crate::tabled::{ControlId, PageId, Tabled, Taken, TooManyRecords};

/// A state, by its number; states are numbered in breadth-first order.
pub type Node = u32;
/// A transition, by its number; those of one state are consecutive.
pub type Edge = usize;

/// Are states that differ in the order of their pages alone one state?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageIdentity {
    /// Yes.
    Interchangeable,
    /// No: page 0 remains page 0.
    Apart,
}

/// Why there is no graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// More states than asked for.
    #[error("there are more than {0} states")]
    States(usize),
    /// More transitions than can be numbered.
    #[error("there are more than {} transitions", u32::MAX)]
    Transitions,
    /// More records than can be numbered.
    #[error(transparent)]
    Records(#[from] TooManyRecords),
    /// Somebody has had enough.
    #[error("given up at {0} states")]
    GivenUp(usize),
}

/// States expanded between two looks at whether to go on.
const STATES_PER_LOOK: usize = 1 << 12;

type Key = (ControlId, ArrayVec<PageId, PAGES_MAX>);

/// The graph.
pub struct StateGraph<'a, S: Judged> {
    concrete: &'a Concrete<S>,
    tabled: Tabled<'a, S>,
    states: Vec<Key>,
    initial: usize,
    /// For each state but the initial ones: a transition on a shortest path to it.
    parents: Vec<Option<(Node, Edge)>>,
    offsets: Vec<Edge>,
    targets: Vec<Node>,
    steps: Vec<Step<S>>,
}

impl<'a, S: Judged> StateGraph<'a, S> {
    /// Explores everything.
    ///
    /// # Errors
    /// The graph is larger than `states_max`, or than can be numbered.
    pub fn explore(
        concrete: &'a Concrete<S>,
        pages: PageIdentity,
        states_max: usize,
    ) -> Result<Self, TooLarge> {
        Self::explore_while(concrete, pages, states_max, &|_| true)
    }

    /// The same, as long as `goes_on`, which is told the number of states from time to time.
    ///
    /// # Errors
    /// The graph is larger than `states_max`, or than can be numbered; or it did not go on.
    pub fn explore_while(
        concrete: &'a Concrete<S>,
        pages: PageIdentity,
        states_max: usize,
        goes_on: &dyn Fn(usize) -> bool,
    ) -> Result<Self, TooLarge> {
        let mut graph = StateGraph {
            concrete,
            tabled: Tabled::new(&concrete.system),
            states: Vec::new(),
            initial: 0,
            parents: Vec::new(),
            offsets: vec![0],
            targets: Vec::new(),
            steps: Vec::new(),
        };
        let mut known = FxHashMap::default();
        graph.initial(pages, &mut known)?;
        let mut found = Vec::new();
        while graph.offsets.len() <= graph.states.len() {
            let from = graph.offsets.len() - 1;
            if from.is_multiple_of(STATES_PER_LOOK) && !goes_on(graph.states.len()) {
                return Err(TooLarge::GivenUp(graph.states.len()));
            }
            graph.successors(from, pages, &mut found)?;
            for (step, key) in found.drain(..) {
                let edge = graph.targets.len();
                let target = graph.number(key, Some((from as Node, edge)), &mut known);
                graph.targets.push(target);
                graph.steps.push(step);
            }
            if graph.states.len() > states_max.min(Node::MAX as usize) {
                return Err(TooLarge::States(states_max));
            }
            if graph.targets.len() > u32::MAX as usize {
                return Err(TooLarge::Transitions);
            }
            graph.offsets.push(graph.targets.len());
        }
        Ok(graph)
    }

    fn initial(&mut self, pages: PageIdentity, known: &mut FxHashMap<Key, Node>) -> Result<(), TooLarge> {
        let (control, choices) = self.tabled.initial()?;
        let mut populations = vec![ArrayVec::new()];
        for _ in 0..self.concrete.pages {
            let longer = |pages: &ArrayVec<PageId, PAGES_MAX>| {
                let pages = pages.clone();
                choices
                    .iter()
                    .map(move |page| pages.iter().chain([page]).copied().collect())
                    .collect::<Vec<_>>()
            };
            populations = populations.iter().flat_map(longer).collect();
        }
        for population in populations {
            self.number(key(control, population, pages), None, known);
        }
        self.initial = self.states.len();
        Ok(())
    }

    fn number(&mut self, key: Key, parent: Option<(Node, Edge)>, known: &mut FxHashMap<Key, Node>) -> Node {
        if let Some(node) = known.get(&key) {
            return *node;
        }
        let node = self.states.len() as Node;
        known.insert(key.clone(), node);
        self.states.push(key);
        self.parents.push(parent);
        node
    }

    fn successors(
        &mut self,
        from: usize,
        pages: PageIdentity,
        found: &mut Vec<(Step<S>, Key)>,
    ) -> Result<(), TooLarge> {
        let (control, records) = self.states[from].clone();
        self.tabled.complete(control, &records)?;
        let system = &self.concrete.system;
        let visit = |taken: Taken<'_, _, _>| match taken {
            Taken::Control { edge, pages: after } => {
                let step = Move::Control(system.control_steps()[usize::from(edge.step)]);
                found.push((step, key(edge.control, after.iter().copied().collect(), pages)));
            }
            // Of pages that are alike, one stands for all.
            Taken::Page { index, .. }
                if pages == PageIdentity::Interchangeable
                    && index > 0
                    && records[index - 1] == records[index] => {}
            Taken::Page { index, edge, .. } => {
                let mut after = records.clone();
                after[index] = edge.page;
                let step = Move::Page(system.page_steps()[usize::from(edge.step)], index);
                found.push((step, key(edge.control, after, pages)));
            }
        };
        let expanded = self.tabled.expand(control, &records, visit);
        debug_assert!(expanded.is_some(), "the tables were completed");
        Ok(())
    }

    /// The system.
    pub fn system(&self) -> &'a S {
        &self.concrete.system
    }

    /// The number of states.
    pub fn states(&self) -> usize {
        self.states.len()
    }

    /// The number of transitions.
    pub fn transitions(&self) -> usize {
        self.targets.len()
    }

    /// The initial states.
    pub fn initial_states(&self) -> Range<Node> {
        0..self.initial as Node
    }

    /// The control record of a state.
    pub fn control(&self, node: Node) -> &S::Control {
        self.tabled.control(self.states[node as usize].0)
    }

    /// The page records of a state.
    pub fn pages(&self, node: Node) -> impl Iterator<Item = &S::Page> {
        self.states[node as usize].1.iter().map(|page| self.tabled.page(*page))
    }

    /// A state.
    pub fn state(&self, node: Node) -> State<S> {
        Configuration { control: *self.control(node), pages: self.pages(node).copied().collect() }
    }

    /// The transitions of a state.
    pub fn edges(&self, node: Node) -> Range<Edge> {
        self.offsets[node as usize]..self.offsets[node as usize + 1]
    }

    /// Where a transition leads.
    pub fn target(&self, edge: Edge) -> Node {
        self.targets[edge]
    }

    /// The state that a transition leaves.
    pub fn leaves(&self, edge: Edge) -> Node {
        (self.offsets.partition_point(|offset| *offset <= edge) - 1) as Node
    }

    /// The step of a transition; a page's index is its place in the state that the transition leaves.
    pub fn step(&self, edge: Edge) -> Step<S> {
        self.steps[edge]
    }

    /// Every transition with the state that it leaves, those of states near to the start first.
    pub fn all_edges(&self) -> impl Iterator<Item = (Node, Edge)> {
        (0..self.states() as Node).flat_map(|node| self.edges(node).map(move |edge| (node, edge)))
    }

    /// A shortest path from an initial state.
    pub fn path_to(&self, node: Node) -> (Node, Vec<Edge>) {
        let mut path = Vec::new();
        let mut at = node;
        while let Some((parent, edge)) = self.parents[at as usize] {
            path.push(edge);
            at = parent;
        }
        path.reverse();
        (at, path)
    }

    /// The run that a path stands for: each page keeps its place.
    pub fn run(&self, from: Node, path: &[Edge]) -> Trace<S> {
        let mut run = StateRun { initial: self.state(from), steps: Vec::new() };
        let mut at = from;
        for edge in path {
            let before = run.last().clone();
            let step = match self.steps[*edge] {
                Move::Page(step, index) => Move::Page(step, self.place(at, index, &before)),
                control => control,
            };
            let after = self.concrete.apply(&before, step).unwrap_or_else(|| {
                unreachable!("{step:?} is a step of the state up to the order of pages, and here disabled")
            });
            run.steps.push((step, after));
            at = self.targets[*edge];
        }
        run
    }

    /// The place in `state` of a page with the record that a node has at `index`.
    fn place(&self, node: Node, index: usize, state: &State<S>) -> usize {
        let record = self.tabled.page(self.states[node as usize].1[index]);
        let alike = |at: &usize| state.pages.get(*at) == Some(record);
        [index].into_iter().chain(0..state.pages.len()).find(alike).unwrap_or(index)
    }
}

fn key(control: ControlId, mut records: ArrayVec<PageId, PAGES_MAX>, pages: PageIdentity) -> Key {
    if pages == PageIdentity::Interchangeable {
        records.sort_unstable();
    }
    (control, records)
}
