//! All runs from the start over the disruptions to where nothing remains to be repaired.

use std::collections::BTreeMap;

use engine::explore::Trace;
use model::concrete::{Concrete, State, Step};
use model::page::{Transit, WriteBack};
use model::{ControlStep, Migration, Move, Page, PageStep, Phase};
use rustc_hash::FxHashSet;

use super::SurvivalOutcome;

/// The most states that are visited: about four gigabytes.
const STATES_MAX: usize = 5_000_000;

/// States expanded between two looks at whether to go on.
const STATES_PER_LOOK: usize = 1 << 10;

/// A search came to no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not finished after {states} states, of which at most {STATES_MAX} are visited")]
pub struct SurvivalUnfinished {
    /// So many had been found.
    pub states: usize,
}

/// A state, how many disruptions there have been, and the worst that has come of them.
type Node = (State<Migration>, u8, SurvivalOutcome);

/// How a node was reached first: from the node at that position, by that step.
type Parent = Option<(usize, Step<Migration>)>;

/// A run: the positions of its nodes, but for the first.
type Path = Vec<usize>;

/// A breadth-first search. States of the same record and another past are told apart by what came of it.
pub struct Search<'c> {
    concrete: &'c Concrete<Migration>,
    budget: u8,
    nodes: Vec<(Node, Parent)>,
    known: FxHashSet<Node>,
}

impl<'c> Search<'c> {
    /// A search that has seen nothing.
    pub fn new(concrete: &'c Concrete<Migration>) -> Self {
        let budget = concrete.system.disruptions.budget();
        let mut search = Search { concrete, budget, nodes: vec![], known: FxHashSet::default() };
        for state in concrete.initial() {
            search.meet((state, 0, SurvivalOutcome::Unaffected), None);
        }
        search
    }

    /// For each outcome that some run has, the first one found, which is a shortest; only up to `wanted`, where it is
    /// given.
    ///
    /// # Errors
    /// It did not go on, or came upon more states than it may.
    pub fn ends(
        &mut self,
        wanted: Option<SurvivalOutcome>,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<BTreeMap<SurvivalOutcome, Path>, SurvivalUnfinished> {
        let mut ends = BTreeMap::new();
        let mut position = 0;
        while position < self.nodes.len() {
            if self.nodes.len() > STATES_MAX || (position.is_multiple_of(STATES_PER_LOOK) && !goes_on()) {
                return Err(SurvivalUnfinished { states: self.nodes.len() });
            }
            let (state, struck, worst) = self.nodes[position].0.clone();
            if self.is_over(&state, struck) {
                ends.entry(worst).or_insert_with(|| self.path_to(position));
                if wanted == Some(worst) {
                    break;
                }
            } else {
                for (step, next) in self.concrete.successors(&state) {
                    if matches!(next.control.phase, Phase::Exiting | Phase::Exited) {
                        continue;
                    }
                    let struck = struck + u8::from(is_disruption(step));
                    let worst = if struck == 0 { worst } else { worst.max(outcome_of(step, &state, &next)) };
                    self.meet((next, struck, worst), Some((position, step)));
                }
            }
            position += 1;
        }
        Ok(ends)
    }

    /// The run along a path: its first state, and each step with the state it leads to.
    pub fn run(&self, path: Path) -> Trace<Migration> {
        let first = path.first().and_then(|position| self.nodes[*position].1);
        let initial = self.nodes[first.map_or(0, |(parent, _)| parent)].0.0.clone();
        let steps = path.into_iter().filter_map(|position| {
            let ((state, ..), parent) = &self.nodes[position];
            parent.map(|(_, step)| (step, state.clone()))
        });
        Trace::<Migration> { initial, steps: steps.collect() }
    }

    fn meet(&mut self, node: Node, parent: Parent) {
        if self.known.insert(node.clone()) {
            self.nodes.push((node, parent));
        }
    }

    fn path_to(&self, mut position: usize) -> Path {
        let mut path = Vec::new();
        while let Some((parent, _)) = self.nodes[position].1 {
            path.push(position);
            position = parent;
        }
        path.reverse();
        path
    }

    /// Has everything gone wrong that will, and is nothing left to be repaired? Lazy copy has no other rest than a
    /// Post-migration in which nothing happens.
    fn is_over(&self, state: &State<Migration>, struck: u8) -> bool {
        let control = &state.control;
        let lazy = self.concrete.system.strategy.is_lazy();
        let at_rest = control.phase == Phase::Rest || (control.phase == Phase::Running && lazy);
        let repaired = !control.aftermath.is_unsettled() && !state.pages.iter().any(is_to_be_sent_again);
        let over = control.phase == Phase::Lost || (control.source_runs && control.destination_runs);
        over || (struck == self.budget && at_rest && repaired)
    }
}

fn is_disruption(step: Step<Migration>) -> bool {
    matches!(step, Move::Control(step) if step.disruption().is_some())
}

fn is_to_be_sent_again(page: &Page) -> bool {
    let write_back =
        matches!(page.write_back, WriteBack::Sent(Transit::Lost(_)) | WriteBack::Acknowledged(false));
    write_back || matches!(page.content, Transit::Lost(_)) || matches!(page.request, Transit::Lost(()))
}

/// What a step makes of a disruption.
fn outcome_of(step: Step<Migration>, before: &State<Migration>, after: &State<Migration>) -> SurvivalOutcome {
    let (was, is) = (&before.control, &after.control);
    let runs_on = matches!(is.phase, Phase::Rest | Phase::Running);
    match step {
        _ if is.phase == Phase::Lost => SurvivalOutcome::Lost,
        _ if is.source_runs && is.destination_runs => SurvivalOutcome::Twice,
        Move::Control(ControlStep::Resume) => SurvivalOutcome::Unaffected,
        Move::Control(ControlStep::Abort) if runs_on => SurvivalOutcome::CarriesOn,
        Move::Control(_) if was.phase.can_abort() && runs_on => SurvivalOutcome::CarriesOn,
        Move::Control(ControlStep::DeliverResync) => SurvivalOutcome::Recovers,
        Move::Control(ControlStep::Reconnect | ControlStep::Fence) if was.phase.committed() => {
            SurvivalOutcome::Recovers
        }
        Move::Page(PageStep::ResendRequest | PageStep::ResendWriteBack | PageStep::FallBack, _) => {
            SurvivalOutcome::Recovers
        }
        _ => SurvivalOutcome::Unaffected,
    }
}
