//! A [`System`] with a fixed number of pages: the plain semantics that everything faster is held to.

use arrayvec::ArrayVec;
use enumset::{EnumSet, EnumSetType};

use crate::system::{Conditions, Judged, Properties, PropertyName, System};

/// The most pages a concrete population can have; eleven pages are already far beyond exhaustive reach.
pub const PAGES_MAX: usize = 12;

/// One state: the control record and a record for each page.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Configuration<C, P> {
    /// Who runs, in which phase, which control message is in flight.
    pub control: C,
    /// One record a page.
    pub pages: ArrayVec<P, PAGES_MAX>,
}

/// One step of a configuration: of the control, or of the page with the given index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Move<C, P> {
    /// A control step.
    Control(C),
    /// A page step of the page with this index, counted from 0.
    Page(P, usize),
}

/// The configurations of a system.
pub type State<S> = Configuration<<S as System>::Control, <S as System>::Page>;
/// The moves of a system.
pub type Step<S> = Move<<S as System>::ControlStep, <S as System>::PageStep>;

impl<C: Copy, P: Copy + Ord> Configuration<C, P> {
    /// The representative of all configurations that differ in the order of their pages alone.
    pub fn sorted(&self) -> Self {
        let mut sorted = self.clone();
        sorted.pages.sort_unstable();
        sorted
    }
}

/// A system together with a number of pages.
#[derive(Clone, Debug)]
pub struct Concrete<S> {
    /// The system.
    pub system: S,
    /// How many pages every configuration has; at most [`PAGES_MAX`].
    pub pages: usize,
}

impl<S: System> Concrete<S> {
    /// Every combination of initial page records under the initial control record.
    pub fn initial(&self) -> Vec<State<S>> {
        let choices = self.system.initial_pages();
        let mut populations = vec![ArrayVec::new()];
        for _ in 0..self.pages {
            populations = populations
                .iter()
                .flat_map(|pages| {
                    choices.iter().map(move |page| pages.iter().chain([page]).copied().collect())
                })
                .collect();
        }
        let control = self.system.initial_control();
        populations.into_iter().map(|pages| Configuration { control, pages }).collect()
    }

    /// The state that `step` leads to, or `None` where it is not enabled.
    pub fn apply(&self, state: &State<S>, step: Step<S>) -> Option<State<S>> {
        let mut next = state.clone();
        match step {
            Move::Control(step) => {
                let taken = self.system.control_move(step, &state.control)?;
                if !self.all(state).is_superset(taken.requires) {
                    return None;
                }
                next.control = taken.control;
                for page in &mut next.pages {
                    *page = self.system.carry(step, &state.control, page);
                }
            }
            Move::Page(step, index) => {
                let taken = self.system.page_move(step, &state.control, state.pages.get(index)?)?;
                if !taken.requires.is_empty() && !self.others(state, index).is_superset(taken.requires) {
                    return None;
                }
                next.control = taken.control;
                next.pages[index] = taken.page;
            }
        }
        Some(next)
    }

    /// Every step there is, enabled or not: the control steps first, then page by page.
    pub fn steps(&self) -> impl Iterator<Item = Step<S>> {
        let control = self.system.control_steps().iter().map(|step| Move::Control(*step));
        let page = (0..self.pages)
            .flat_map(|index| self.system.page_steps().iter().map(move |step| Move::Page(*step, index)));
        control.chain(page)
    }

    /// The enabled steps, with the states they lead to.
    pub fn successors(&self, state: &State<S>) -> impl Iterator<Item = (Step<S>, State<S>)> {
        self.steps().filter_map(|step| Some((step, self.apply(state, step)?)))
    }

    /// The conditions that all pages meet.
    pub fn all(&self, state: &State<S>) -> Conditions<S> {
        meet(state.pages.iter().map(|page| self.system.conditions(page)))
    }

    /// The conditions that all pages but one meet.
    pub fn others(&self, state: &State<S>, index: usize) -> Conditions<S> {
        let others = state.pages.iter().enumerate().filter(|(other, _)| *other != index);
        meet(others.map(|(_, page)| self.system.conditions(page)))
    }
}

impl<S: Judged> Concrete<S> {
    /// The properties that the state itself violates, a deadlock included.
    pub fn judge(&self, state: &State<S>) -> Properties<S> {
        let pages = state.pages.iter().map(|page| self.system.judge_page(&state.control, page));
        let violated = pages.fold(self.system.judge_control(&state.control), |all, page| all | page);
        let stuck = !self.system.may_end(&state.control) && self.successors(state).next().is_none();
        if stuck { violated | S::Property::NO_DEADLOCK } else { violated }
    }

    /// The properties that an enabled step violates when taken in `state`; none for a step that is not
    /// enabled.
    pub fn judge_step(&self, state: &State<S>, step: Step<S>) -> Properties<S> {
        match step {
            Move::Control(step) => match self.system.control_move(step, &state.control) {
                Some(taken) => self.system.judge_control_move(step, &state.control, &taken),
                None => EnumSet::empty(),
            },
            Move::Page(step, index) => {
                let page = &state.pages[index];
                match self.system.page_move(step, &state.control, page) {
                    Some(taken) => self
                        .system
                        .judge_page_move(step, &state.control, page, &taken)
                        .given(self.others(state, index)),
                    None => EnumSet::empty(),
                }
            }
        }
    }
}

fn meet<K: EnumSetType>(conditions: impl Iterator<Item = EnumSet<K>>) -> EnumSet<K> {
    conditions.fold(EnumSet::all(), |all, page| all & page)
}
