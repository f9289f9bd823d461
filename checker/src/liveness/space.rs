//! The reachable states of a system with a fixed number of pages, as a graph that all liveness properties
//! are judged on. No symmetry is used: fairness is about each page on its own, and a quotient by the order
//! of pages forgets which page a step belongs to.

use arrayvec::ArrayVec;
use model::concrete::{Concrete, Configuration, PAGES_MAX, State, Step};
use model::system::{Live, Properties};

use super::graph::{Builder, Graph, Label, Node, STATES_MAX, TRANSITIONS_MAX};
use super::pending::Pending;
use super::states::States;
use crate::tabled::{ControlId, PageId, Tabled, Taken, TooManyRecords};

/// After how many states the caller is asked whether to go on.
const WATCH_EVERY: u32 = 1 << 14;

/// The reachable states, with what is pending in each.
pub struct Space<'a, S: Live> {
    pub(super) concrete: &'a Concrete<S>,
    pub(super) graph: Graph,
    /// By label.
    pub(super) steps: Vec<Step<S>>,
    /// By state; for [`Scope::Page`] it is page 0 that waits.
    pub(super) pending: Vec<Properties>,
    pub(super) truncated: Option<Truncation>,
    tabled: Tabled<'a, S>,
    states: States,
}

/// Why a space lacks states.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Truncation {
    /// The caller did not want to go on.
    #[error("{0}")]
    Stopped(String),
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
pub struct Progress {
    /// States met.
    pub states: u32,
    /// States of which the transitions are known.
    pub expanded: u32,
    /// Transitions known.
    pub transitions: usize,
    /// Memory taken, in bytes.
    pub memory_bytes: u64,
}

impl<'a, S: Live> Space<'a, S> {
    /// Explores the whole state space, whatever it takes.
    pub fn explore(concrete: &'a Concrete<S>) -> Self {
        Space::explore_while(concrete, STATES_MAX, |_| Ok(()))
    }

    /// Explores until all states are known, or there are more than `states_max`, or `watch` returns an
    /// error: the reason to be shown for a verdict that then remains open.
    pub fn explore_while(
        concrete: &'a Concrete<S>,
        states_max: u32,
        mut watch: impl FnMut(Progress) -> Result<(), String>,
    ) -> Self {
        let mut exploration = Exploration {
            concrete,
            tabled: Tabled::new(&concrete.system),
            states: States::new(1 + concrete.pages),
            pending: Pending::new(&concrete.system),
            marks: Vec::new(),
        };
        let mut graph = Builder::new(0);
        let truncated = exploration.run(&mut graph, states_max.min(STATES_MAX), &mut watch).err();
        Space {
            concrete,
            graph: graph.finish(),
            steps: concrete.steps().collect(),
            pending: exploration.marks,
            truncated,
            tabled: exploration.tabled,
            states: exploration.states,
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
        let row = self.states.get(state);
        let control = *self.tabled.control(ControlId(row[0]));
        let pages = row[1..].iter().map(|page| *self.tabled.page(PageId(*page))).collect();
        Configuration { control, pages }
    }

    /// The step with this label.
    pub fn step(&self, label: Label) -> Step<S> {
        self.steps[usize::from(label)]
    }
}

struct Exploration<'a, S: Live> {
    concrete: &'a Concrete<S>,
    tabled: Tabled<'a, S>,
    states: States,
    pending: Pending<'a, S>,
    marks: Vec<Properties>,
}

impl<S: Live> Exploration<'_, S> {
    fn run(
        &mut self,
        graph: &mut Builder,
        states_max: u32,
        watch: &mut impl FnMut(Progress) -> Result<(), String>,
    ) -> Result<(), Truncation> {
        let system = &self.concrete.system;
        let (controls, pages) = (system.control_steps().len(), system.page_steps().len());
        if controls + self.concrete.pages * pages > usize::from(Label::MAX) {
            return Err(Truncation::TooManySteps);
        }
        self.initial()?;
        *graph = Builder::new(self.states.len());
        let mut row = ArrayVec::<u16, { PAGES_MAX + 1 }>::new();
        let mut next = row.clone();
        while graph.next() < self.states.len() {
            let state = graph.next();
            if state.is_multiple_of(WATCH_EVERY) {
                self.watch(graph, watch)?;
            }
            row.clear();
            row.extend(self.states.get(state).iter().copied());
            let control = ControlId(row[0]);
            let ids: ArrayVec<PageId, PAGES_MAX> = row[1..].iter().copied().map(PageId).collect();
            self.marks.push(self.pending.of(&self.tabled, control, ids.first().copied()));
            self.tabled.complete(control, &ids)?;
            let states = &mut self.states;
            self.tabled.expand(control, &ids, |taken| {
                let label = match taken {
                    Taken::Control { edge, pages } => {
                        next.clear();
                        next.push(edge.control.0);
                        next.extend(pages.iter().map(|page| page.0));
                        usize::from(edge.step)
                    }
                    Taken::Page { index, edge, .. } => {
                        next.clone_from(&row);
                        next[0] = edge.control.0;
                        next[1 + index] = edge.page.0;
                        controls + index * pages + usize::from(edge.step)
                    }
                };
                graph.transition(label as Label, states.insert(&next));
            });
            if self.states.len() > states_max {
                return Err(Truncation::TooManyStates(states_max));
            }
            if graph.transitions() > TRANSITIONS_MAX {
                return Err(Truncation::TooManyTransitions);
            }
            graph.end_row();
        }
        Ok(())
    }

    fn initial(&mut self) -> Result<(), Truncation> {
        let (control, pages) = self.tabled.initial()?;
        let mut rows = vec![vec![control.0]];
        for _ in 0..self.concrete.pages {
            let longer = |row: &Vec<u16>| {
                pages.iter().map(|page| [row.as_slice(), &[page.0]].concat()).collect::<Vec<_>>()
            };
            rows = rows.iter().flat_map(longer).collect();
        }
        for row in rows {
            self.states.insert(&row);
        }
        Ok(())
    }

    fn watch(
        &self,
        graph: &Builder,
        watch: &mut impl FnMut(Progress) -> Result<(), String>,
    ) -> Result<(), Truncation> {
        let progress = Progress {
            states: self.states.len(),
            expanded: graph.next(),
            transitions: graph.transitions(),
            memory_bytes: graph.memory_bytes() + self.states.memory_bytes() + self.tabled.memory_bytes(),
        };
        watch(progress).map_err(Truncation::Stopped)
    }
}
