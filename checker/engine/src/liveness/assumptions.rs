//! Fairness that a caller assumes in addition to what the system says.

use std::collections::BTreeMap;

use population::concrete::{Move, Step};
use population::system::{Fairness, Live, System};

/// Steps whose fairness is taken to be other than the system says, for questions such as "does it hold if
/// the operator does not wait for ever?". Each page keeps a fairness condition of its own.
#[derive(Debug)]
pub struct Assumptions<S: System> {
    control: BTreeMap<S::ControlStep, Fairness>,
    page: BTreeMap<S::PageStep, Fairness>,
}

impl<S: System> Clone for Assumptions<S> {
    fn clone(&self) -> Self {
        Assumptions { control: self.control.clone(), page: self.page.clone() }
    }
}

impl<S: System> Default for Assumptions<S> {
    fn default() -> Self {
        Assumptions { control: BTreeMap::new(), page: BTreeMap::new() }
    }
}

impl<S: System> Assumptions<S> {
    /// Takes this fairness for a control step.
    pub fn control(mut self, step: S::ControlStep, fairness: Fairness) -> Self {
        self.control.insert(step, fairness);
        self
    }

    /// Takes this fairness for a page step, of every page.
    pub fn page(mut self, step: S::PageStep, fairness: Fairness) -> Self {
        self.page.insert(step, fairness);
        self
    }
}

impl<S: System> Assumptions<S> {
    /// Takes this fairness for a step; for a page step, of every page.
    pub fn step(self, step: Step<S>, fairness: Fairness) -> Self {
        match step {
            Move::Control(step) => self.control(step, fairness),
            Move::Page(step, _) => self.page(step, fairness),
        }
    }
}

impl<S: Live> Assumptions<S> {
    /// The fairness of a step, with these assumptions.
    pub fn fairness(&self, system: &S, step: Step<S>) -> Fairness {
        match step {
            Move::Control(step) => {
                self.control.get(&step).copied().unwrap_or_else(|| system.control_fairness(step))
            }
            Move::Page(step, _) => {
                self.page.get(&step).copied().unwrap_or_else(|| system.page_fairness(step))
            }
        }
    }
}
