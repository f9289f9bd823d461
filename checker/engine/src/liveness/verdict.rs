//! What is said about a liveness property.

use population::concrete::Step;
use population::system::{Fairness, Judged, System};

use super::Counterexample;

/// The verdict on one liveness property, and what it rests on.
#[derive(Clone, Debug)]
pub struct Liveness<S: Judged> {
    /// The property.
    pub property: S::Property,
    /// Does it hold?
    pub outcome: LivenessOutcome<S>,
    /// For a property that holds, the weakest fairness that is enough: [`Fairness::None`] for a possibility
    /// or a vacuous property, [`Fairness::Weak`] where no step has to be strongly fair. For one that fails,
    /// the strongest fairness of any step: the counterexample respects it.
    pub fairness: Fairness,
    /// The steps whose strong fairness excluded a component that weak fairness would allow, for a property
    /// that holds. All of them together are enough; [`strong_needed`](super::strong_needed) tells which are
    /// necessary. A page step is listed once, as one of page 0.
    pub strong: Vec<Step<S>>,
    /// The states judged.
    pub states: u64,
    /// The transitions judged.
    pub transitions: u64,
    /// The states in which the property is pending.
    pub pending: u64,
    /// No reachable state is pending: the property holds because it never says anything.
    pub vacuous: bool,
}

/// Does a liveness property hold?
#[derive(Clone, Debug)]
pub enum LivenessOutcome<S: System> {
    /// On every fair run.
    Holds,
    /// Not on this run, which was replayed.
    Fails(Counterexample<S>),
    /// States are missing, and those that are there do not refute it. The reason why they are missing.
    Inconclusive(String),
}

impl<S: System> LivenessOutcome<S> {
    /// Was it shown to hold?
    pub fn holds(&self) -> bool {
        matches!(self, LivenessOutcome::Holds)
    }

    /// The run that refutes it.
    pub fn counterexample(&self) -> Option<&Counterexample<S>> {
        match self {
            LivenessOutcome::Fails(lasso) => Some(lasso),
            LivenessOutcome::Holds | LivenessOutcome::Inconclusive(_) => None,
        }
    }
}
