//! Concrete populations, explored plainly: those too small for the views, and those that confirm or
//! refute what the views suspect.

use std::collections::BTreeMap;

use enumset::EnumSet;
use population::concrete::{Concrete, State, Step};
use population::system::{Judged, Properties, PropertyName};
use rustc_hash::FxHashMap;

use crate::explore::{StateRun, Trace};

/// A population, explored as far as it was allowed.
pub(super) struct Explored<S: Judged> {
    /// The states, each with its pages in ascending order.
    pub states: Vec<State<S>>,
    /// A shortest violating run for each violated property.
    pub violations: BTreeMap<S::Property, Trace<S>>,
    /// Were all reachable states visited?
    pub complete: bool,
}

/// Explores breadth first, up to the order of pages, until every property in `wanted` is violated if
/// `wanted` is not empty, or until there are more than `states_max` states.
pub(super) fn explore<S: Judged + Clone>(
    concrete: &Concrete<S>,
    wanted: Properties<S>,
    states_max: usize,
) -> Explored<S> {
    let mut search = Search {
        concrete,
        states: Vec::new(),
        ids: FxHashMap::default(),
        parents: Vec::new(),
        violations: BTreeMap::new(),
    };
    for state in concrete.initial() {
        search.visit(state.sorted(), None);
    }
    let mut next = 0;
    let mut complete = true;
    while next < search.states.len() && !search.has_all(wanted) {
        if search.states.len() > states_max {
            complete = false;
            break;
        }
        search.expand(next);
        next += 1;
    }
    Explored { states: search.states, violations: search.violations, complete }
}

struct Search<'c, S: Judged> {
    concrete: &'c Concrete<S>,
    states: Vec<State<S>>,
    ids: FxHashMap<State<S>, usize>,
    parents: Vec<Option<usize>>,
    violations: BTreeMap<S::Property, Trace<S>>,
}

impl<S: Judged> Search<'_, S> {
    fn has_all(&self, wanted: Properties<S>) -> bool {
        !wanted.is_empty() && wanted.iter().all(|property| self.violations.contains_key(&property))
    }

    /// Judges a state when it is found, so that its violations come before those of longer runs.
    fn visit(&mut self, state: State<S>, parent: Option<usize>) {
        if self.ids.contains_key(&state) {
            return;
        }
        let id = self.states.len();
        let system = &self.concrete.system;
        let pages = state.pages.iter().map(|page| system.judge_page(&state.control, page));
        let violated = pages.fold(system.judge_control(&state.control), |all, page| all | page);
        self.ids.insert(state.clone(), id);
        self.states.push(state);
        self.parents.push(parent);
        self.report(violated, id, None);
    }

    fn expand(&mut self, id: usize) {
        let state = self.states[id].clone();
        let successors: Vec<_> = self.concrete.successors(&state).collect();
        if successors.is_empty() && !self.concrete.system.may_end(&state.control) {
            self.report(EnumSet::only(S::Property::NO_DEADLOCK), id, None);
        }
        for (step, next) in successors {
            let violated = self.concrete.judge_step(&state, step);
            self.report(violated, id, Some(step));
            self.visit(next.sorted(), Some(id));
        }
    }

    fn report(&mut self, violated: Properties<S>, id: usize, last: Option<Step<S>>) {
        for property in violated {
            if !self.violations.contains_key(&property) {
                let trace = self.trace(id, last);
                self.violations.insert(property, trace);
            }
        }
    }

    /// The run to a state, and one step more, with every page in its place throughout.
    fn trace(&self, id: usize, last: Option<Step<S>>) -> Trace<S> {
        let mut path: Vec<usize> = std::iter::successors(Some(id), |id| self.parents[*id]).collect();
        path.reverse();
        let initial = self.states[path[0]].clone();
        let mut now = initial.clone();
        let mut steps = Vec::new();
        for id in &path[1..] {
            let target = &self.states[*id];
            let Some((step, next)) =
                self.concrete.successors(&now).find(|(_, next)| next.sorted() == *target)
            else {
                unreachable!("renaming the pages of a state renames those of its successors");
            };
            steps.push((step, next.clone()));
            now = next;
        }
        if let Some(last) = last {
            let target = self.concrete.apply(&self.states[id], last).map(|state| state.sorted());
            let violating = self.concrete.judge_step(&self.states[id], last);
            let same = self.concrete.successors(&now).find(|(step, next)| {
                Some(next.sorted()) == target && self.concrete.judge_step(&now, *step) == violating
            });
            steps.extend(same);
        }
        StateRun { initial, steps }
    }
}
