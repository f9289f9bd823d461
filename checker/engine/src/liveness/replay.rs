//! Replays a counterexample by the plain semantics of [`Concrete`], knowing nothing of the graph, the
//! components or the search that found it. Nothing is shown that was not replayed.

use std::collections::HashSet;

use population::concrete::{Concrete, Move, State, Step};
use population::system::{Fairness, Live, PropertyName, Scope};

use super::assumptions::Assumptions;
use super::lasso::{Lasso, Tail};

/// Why a lasso is no counterexample. Always a defect of the checker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LassoError<R: PropertyName> {
    /// The property has no liveness meaning in this system, or one that does not go with this tail.
    #[error("{0} cannot be violated by such a run")]
    WrongKind(R),
    /// The run starts elsewhere.
    #[error("the run does not start in an initial state")]
    NotInitial,
    /// A step is not enabled, or leads elsewhere.
    #[error("step {at} of the run is not a step of the system")]
    NotAStep {
        /// Counted from 1, through stem and cycle.
        at: usize,
    },
    /// The last step of the cycle does not lead back.
    #[error("the cycle does not close")]
    NotClosed,
    /// Somewhere on the tail the property is satisfied.
    #[error("after step {at} of the run, {property} is not pending")]
    NotPending {
        /// The property.
        property: R,
        /// Counted from 1, through stem and cycle; 0 is the start.
        at: usize,
    },
    /// Somewhere on the tail the awaited event happens.
    #[error("step {at} of the run discharges {property}")]
    Discharged {
        /// The property.
        property: R,
        /// Counted from 1, through stem and cycle.
        at: usize,
    },
    /// A fair scheduler would not do this.
    #[error("the tail is unfair to {0}")]
    Unfair(String),
    /// The goal is reachable after all.
    #[error("{0} is still possible after the run")]
    Possible(R),
}

/// Checks that the lasso is a run of the system that violates the property under these assumptions.
/// For [`Scope::Page`] it is page 0 that waits.
pub fn replay<S: Live>(
    concrete: &Concrete<S>,
    property: S::Property,
    assumptions: &Assumptions<S>,
    lasso: &Lasso<State<S>, Step<S>>,
) -> Result<(), LassoError<S::Property>> {
    let scope = concrete.system.scope(property).ok_or(LassoError::WrongKind(property))?;
    let replay = Replay { concrete, property, scope, assumptions };
    if !concrete.initial().contains(&lasso.start) {
        return Err(LassoError::NotInitial);
    }
    replay.walk(&lasso.start, &lasso.stem, 1)?;
    let knot = lasso.knot();
    let at = lasso.stem.len();
    match (&lasso.tail, scope) {
        (Tail::Cycle(cycle), Scope::Control | Scope::Page) => {
            replay.walk(knot, cycle, at + 1)?;
            if cycle.last().is_none_or(|(_, last)| last != knot) {
                return Err(LassoError::NotClosed);
            }
            replay.waits(cycle, at + 1)?;
            replay.is_fair(cycle)
        }
        (Tail::Stutter, Scope::Control | Scope::Page) => {
            replay.is_pending(knot, at)?;
            replay.may_rest(knot)
        }
        (Tail::Doomed, Scope::Possibility) => replay.is_doomed(knot, at),
        _ => Err(LassoError::WrongKind(property)),
    }
}

struct Replay<'a, S: Live> {
    concrete: &'a Concrete<S>,
    property: S::Property,
    scope: Scope,
    assumptions: &'a Assumptions<S>,
}

impl<S: Live> Replay<'_, S> {
    fn walk(
        &self,
        from: &State<S>,
        path: &[(Step<S>, State<S>)],
        at: usize,
    ) -> Result<(), LassoError<S::Property>> {
        let mut before = from;
        for (at, (step, after)) in (at..).zip(path) {
            if self.concrete.apply(before, *step).as_ref() != Some(after) {
                return Err(LassoError::NotAStep { at });
            }
            before = after;
        }
        Ok(())
    }

    fn pending(&self, state: &State<S>) -> bool {
        match self.scope {
            Scope::Page => state
                .pages
                .first()
                .is_some_and(|page| self.concrete.system.pending(self.property, &state.control, Some(page))),
            Scope::Control => self.concrete.system.pending(self.property, &state.control, None),
            Scope::Possibility => {
                let system = &self.concrete.system;
                system.pending(self.property, &state.control, None)
                    || !self.concrete.all(state).is_superset(system.goal_conditions(self.property))
            }
        }
    }

    fn is_pending(&self, state: &State<S>, at: usize) -> Result<(), LassoError<S::Property>> {
        match self.pending(state) {
            true => Ok(()),
            false => Err(LassoError::NotPending { property: self.property, at }),
        }
    }

    /// The property is pending in every state of the cycle, and no step of it discharges the property.
    fn waits(&self, cycle: &[(Step<S>, State<S>)], at: usize) -> Result<(), LassoError<S::Property>> {
        for (at, (step, state)) in (at..).zip(cycle) {
            self.is_pending(state, at)?;
            if let (Scope::Page, Move::Page(step, 0)) = (self.scope, step)
                && self.concrete.system.discharges(self.property, *step)
            {
                return Err(LassoError::Discharged { property: self.property, at });
            }
        }
        Ok(())
    }

    /// Every fair instance is taken, or disabled: somewhere (weak), everywhere (strong).
    fn is_fair(&self, cycle: &[(Step<S>, State<S>)]) -> Result<(), LassoError<S::Property>> {
        for step in self.concrete.steps() {
            let enabled = |(_, state): &(Step<S>, State<S>)| self.concrete.apply(state, step).is_some();
            let ignored = match self.assumptions.fairness(&self.concrete.system, step) {
                Fairness::None => false,
                Fairness::Weak => cycle.iter().all(enabled),
                Fairness::Strong => cycle.iter().any(enabled),
            };
            if ignored && !cycle.iter().any(|(taken, _)| *taken == step) {
                return Err(LassoError::Unfair(format!("{step:?}")));
            }
        }
        Ok(())
    }

    /// No fair instance is enabled.
    fn may_rest(&self, state: &State<S>) -> Result<(), LassoError<S::Property>> {
        let fair = |step: &Step<S>| self.assumptions.fairness(&self.concrete.system, *step) > Fairness::None;
        let mut enabled = self.concrete.successors(state).map(|(step, _)| step);
        enabled.find(fair).map_or(Ok(()), |step| Err(LassoError::Unfair(format!("{step:?}"))))
    }

    /// Explores all that can follow, up to the order of the pages, which the goal does not depend on.
    fn is_doomed(&self, knot: &State<S>, at: usize) -> Result<(), LassoError<S::Property>> {
        self.is_pending(knot, at)?;
        if self.concrete.system.excused(self.property, &knot.control) {
            return Err(LassoError::NotPending { property: self.property, at });
        }
        let mut seen = HashSet::from([knot.sorted()]);
        let mut open = vec![knot.sorted()];
        while let Some(state) = open.pop() {
            for (_, next) in self.concrete.successors(&state) {
                if !self.pending(&next) {
                    return Err(LassoError::Possible(self.property));
                }
                let next = next.sorted();
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        Ok(())
    }
}
