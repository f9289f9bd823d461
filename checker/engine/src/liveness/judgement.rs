//! From the search on a graph to a verdict about a property, replayed where it is a counterexample.

use std::collections::BTreeSet;

use population::concrete::{Concrete, Move, Step};
use population::system::{Fairness, Live, Scope};

use super::Counterexample;
use super::assumptions::Assumptions;
use super::components::Allowed;
use super::graph::{Label, Node};
use super::lasso::{self, Lasso, Tail};
use super::possibility;
use super::replay::{LassoError, replay};
use super::response::{self, FairWaits, ResponseProperty};
use super::space::Space;
use super::verdict::{Liveness, LivenessOutcome};

/// The properties of one space under one set of assumptions.
pub(super) struct Judgement<'a, S: Live> {
    space: &'a Space<'a, S>,
    assumptions: &'a Assumptions<S>,
    /// By label.
    fairness: Vec<Fairness>,
}

impl<'a, S: Live> Judgement<'a, S> {
    pub(super) fn new(space: &'a Space<'a, S>, assumptions: &'a Assumptions<S>) -> Self {
        let system = &space.concrete.system;
        let fairness = space.steps.iter().map(|step| assumptions.fairness(system, *step)).collect();
        Judgement { space, assumptions, fairness }
    }

    pub(super) fn judge(
        &self,
        property: S::Property,
        scope: Scope,
    ) -> Result<Liveness<S>, LassoError<S::Property>> {
        let mut verdict = match scope {
            Scope::Control | Scope::Page => self.response(property, scope)?,
            Scope::Possibility => self.possibility(property),
        };
        match (&verdict.outcome, self.space.truncated()) {
            (LivenessOutcome::Fails(lasso), _) => {
                replay(self.space.concrete, property, self.assumptions, lasso)?;
            }
            (_, Some(reason)) => verdict.outcome = LivenessOutcome::Inconclusive(reason.to_string()),
            (_, None) => verdict.vacuous = verdict.pending == 0,
        }
        Ok(verdict)
    }

    /// Does a response property hold? Nothing is said about truncated graphs.
    pub(super) fn response_holds(&self, property: S::Property, scope: Scope) -> bool {
        let discharging = (scope == Scope::Page).then(|| self.discharging(property));
        self.search(property, discharging.as_deref()).none()
    }

    fn search(&self, property: S::Property, discharging: Option<&[bool]>) -> FairWaits {
        let pending = |state: Node| self.pending(property, state);
        let response = ResponseProperty { pending, discharging, fairness: &self.fairness };
        response::search(&self.space.graph, &response)
    }

    fn response(&self, property: S::Property, scope: Scope) -> Result<Liveness<S>, LassoError<S::Property>> {
        let graph = &self.space.graph;
        let discharging = (scope == Scope::Page).then(|| self.discharging(property));
        let found = self.search(property, discharging.as_deref());
        let mut verdict = self.holds(property, found.pending);
        verdict.strong = self.distinct(&found.strong);
        verdict.fairness = match (found.pending, found.strong.is_empty()) {
            (0, _) => Fairness::None,
            (_, true) => Fairness::Weak,
            (_, false) => Fairness::Strong,
        };
        if !found.none() {
            let allowed = Allowed { barred: discharging.as_deref() };
            let lasso = lasso::shortest(graph, &found, allowed, &self.fairness);
            let lasso = lasso.ok_or(LassoError::NotClosed)?;
            verdict.outcome = LivenessOutcome::Fails(self.in_words(lasso));
            verdict.fairness = self.fairness.iter().copied().max().unwrap_or(Fairness::None);
            verdict.strong.clear();
        }
        Ok(verdict)
    }

    fn possibility(&self, property: S::Property) -> Liveness<S> {
        let graph = &self.space.graph;
        let Concrete { system, .. } = self.space.concrete;
        let conditions = system.goal_conditions(property);
        let all_meet = self.space.all_meet(conditions);
        let in_the_way = |state| !conditions.is_empty() && !all_meet(state);
        let excused = |state| system.excused(property, &self.space.state(state).control);
        let doom =
            possibility::search(graph, |state| self.pending(property, state) || in_the_way(state), excused);
        let mut verdict = self.holds(property, doom.pending);
        if let Some(state) = doom.nearest {
            let lasso = lasso::with_stem(graph, state, Tail::Doomed);
            verdict.outcome = LivenessOutcome::Fails(self.in_words(lasso));
        }
        verdict
    }

    fn holds(&self, property: S::Property, pending: u64) -> Liveness<S> {
        Liveness {
            property,
            outcome: LivenessOutcome::Holds,
            fairness: Fairness::None,
            strong: Vec::new(),
            states: u64::from(self.space.graph.states()),
            transitions: self.space.graph.transitions() as u64,
            pending,
            vacuous: false,
        }
    }

    fn pending(&self, property: S::Property, state: Node) -> bool {
        self.space.pending[state as usize].contains(property)
    }

    /// By label: is it a step of page 0 that discharges the property?
    fn discharging(&self, property: S::Property) -> Vec<bool> {
        let discharges = |step: &Step<S>| match step {
            Move::Page(step, 0) => self.space.concrete.system.discharges(property, *step),
            Move::Page(..) | Move::Control(_) => false,
        };
        self.space.steps.iter().map(discharges).collect()
    }

    /// The steps with these labels, each once whatever the page.
    fn distinct(&self, labels: &[Label]) -> Vec<Step<S>> {
        let any_page = |label: &Label| match self.space.step(*label) {
            Move::Page(step, _) => Move::Page(step, 0),
            control => control,
        };
        let steps: BTreeSet<_> = labels.iter().map(any_page).collect();
        steps.into_iter().collect()
    }

    fn in_words(&self, lasso: Lasso<Node, Label>) -> Counterexample<S> {
        let path = |path: Vec<(Label, Node)>| {
            path.into_iter().map(|(label, state)| (self.space.step(label), self.space.state(state))).collect()
        };
        Lasso {
            start: self.space.state(lasso.start),
            stem: path(lasso.stem),
            tail: match lasso.tail {
                Tail::Cycle(cycle) => Tail::Cycle(path(cycle)),
                Tail::Stutter => Tail::Stutter,
                Tail::Doomed => Tail::Doomed,
            },
        }
    }
}
