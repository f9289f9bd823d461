//! The reachable states of a system with a fixed number of pages, as a graph that all liveness properties
//! are judged on. No symmetry is used: fairness is about each page on its own, and a quotient by the order
//! of pages forgets which page a step belongs to.

use population::concrete::{Concrete, Configuration, PAGES_MAX, State, Step};
use population::system::{Conditions, Live, Properties};

use super::exploration::Exploration;
use super::graph::{Graph, Label, Node, STATES_MAX, TRANSITIONS_MAX};
use super::states::{Key, Pages, words};
use crate::tabled::{ControlId, Tabled, TooManyRecords};

/// The reachable states, with what is pending in each.
pub struct Space<'a, S: Live> {
    pub(super) concrete: &'a Concrete<S>,
    pub(super) graph: Graph,
    /// By label.
    pub(super) steps: Vec<Step<S>>,
    /// By state; for [`Scope::Page`] it is page 0 that waits.
    pub(super) pending: Vec<Properties<S>>,
    pub(super) truncated: Option<Truncation>,
    tabled: Tabled<'a, S>,
    states: Box<dyn Rows>,
}

/// Why a space lacks states.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Truncation {
    /// The caller did not want to go on.
    #[error("{0}")]
    Stopped(String),
    /// More pages than a state can have.
    #[error("{0} pages are too many; a state has at most {PAGES_MAX}")]
    TooManyPages(usize),
    /// More states than were asked for or than a graph can have.
    #[error("there are more than {0} states")]
    TooManyStates(u32),
    /// More transitions than a graph can have.
    #[error("there are more than {TRANSITIONS_MAX} transitions")]
    TooManyTransitions,
    /// More action instances than there are labels.
    #[error("there are more than {} steps, counted for each page", Label::MAX)]
    TooManySteps,
    /// More records than there are numbers.
    #[error(transparent)]
    TooManyRecords(#[from] TooManyRecords),
}

/// How far an exploration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceProgress {
    /// States met.
    pub states: u32,
    /// States of which the transitions are known.
    pub expanded: u32,
    /// Transitions known.
    pub transitions: usize,
    /// Memory taken, in bytes. Judging takes some more afterwards: for each thread 4 bytes a state, and up to
    /// 16 bytes for each state of the longest path that its search goes down.
    pub memory_bytes: u64,
}

/// How far to go, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct SpaceLimits {
    /// The most states to number.
    pub states_max: u32,
    /// How many threads explore; 0 is taken for 1. The result does not depend on it.
    pub threads: usize,
}

impl Default for SpaceLimits {
    /// As many states as a graph can have, on one thread.
    fn default() -> Self {
        SpaceLimits { states_max: STATES_MAX, threads: 1 }
    }
}

impl<'a, S: Live> Space<'a, S> {
    /// Explores the whole state space, whatever it takes.
    pub fn explore(concrete: &'a Concrete<S>) -> Self {
        Space::explore_while(concrete, SpaceLimits::default(), |_| Ok(()))
    }

    /// Explores until all states are known, or a limit is reached, or `watch` returns an error: the reason
    /// to be shown for a verdict that then remains open. It is called every few thousand states.
    pub fn explore_while(
        concrete: &'a Concrete<S>,
        limits: SpaceLimits,
        watch: impl FnMut(SpaceProgress) -> Result<(), String>,
    ) -> Self {
        match words(concrete.pages) {
            1 => Space::explore_packed::<1>(concrete, limits, watch),
            2 => Space::explore_packed::<2>(concrete, limits, watch),
            3 => Space::explore_packed::<3>(concrete, limits, watch),
            _ => Space::explore_packed::<4>(concrete, limits, watch),
        }
    }

    fn explore_packed<const WORDS: usize>(
        concrete: &'a Concrete<S>,
        limits: SpaceLimits,
        mut watch: impl FnMut(SpaceProgress) -> Result<(), String>,
    ) -> Self {
        let limits = SpaceLimits { states_max: limits.states_max.min(STATES_MAX), ..limits };
        let mut exploration = Exploration::<S, WORDS>::new(concrete);
        let truncated = exploration.run(limits, &mut watch).err();
        Space {
            concrete,
            graph: exploration.graph.finish(),
            steps: concrete.steps().collect(),
            pending: exploration.marks,
            truncated,
            tabled: exploration.tabled,
            states: Box::new(exploration.states.into_keys()),
        }
    }

    /// The graph, for whoever wants to look at it.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Why states are missing, if any are.
    pub fn truncated(&self) -> Option<&Truncation> {
        self.truncated.as_ref()
    }

    /// The state with this number.
    pub fn state(&self, state: Node) -> State<S> {
        let (control, pages) = self.states.row(state, self.concrete.pages);
        let pages = pages.iter().map(|page| *self.tabled.page(*page)).collect();
        Configuration { control: *self.tabled.control(control), pages }
    }

    /// Do all pages of a state meet the conditions? It is asked of each record once.
    pub(super) fn all_meet(&self, conditions: Conditions<S>) -> impl Fn(Node) -> bool {
        let meets = |page| self.concrete.system.conditions(page).is_superset(conditions);
        let meets: Vec<bool> = self.tabled.pages().iter().map(meets).collect();
        move |state| {
            let (_, pages) = self.states.row(state, self.concrete.pages);
            pages.iter().all(|page| meets[page.index()])
        }
    }

    /// The step with this label.
    pub fn step(&self, label: Label) -> Step<S> {
        self.steps[usize::from(label)]
    }
}

/// The states, whatever the width of their keys.
trait Rows: Send + Sync {
    fn row(&self, state: Node, pages: usize) -> (ControlId, Pages);
}

impl<const WORDS: usize> Rows for Vec<Key<WORDS>> {
    fn row(&self, state: Node, pages: usize) -> (ControlId, Pages) {
        let key = self[state as usize];
        (key.control(), key.pages(pages))
    }
}
