//! Conditions that do not hold, to see that the solvers, and the conditions, can tell.

use std::collections::{BTreeMap, BTreeSet};

use engine::views::InvariantOf;
use engine::views::recheck::{parts, permitted};
use enumset::{EnumSet, EnumSetType};
use population::concrete::{Concrete, Move, State, Step};
use population::system::{Judged, Properties, PropertyName};

use super::consecution::{self, Variant};
use super::safety;
use super::vocabulary::{View, Vocabulary};
use super::{SolverAnswer, VerificationCondition};

/// The hypotheses and the conclusion together, so the hypotheses are not contradictory.
const POSSIBLE: Variant =
    Variant { prefix: "mutant/possible/", guarded: true, concluded: true, expected: SolverAnswer::Sat };
/// One view that the step leads to is neither permitted before nor after.
const VIEW_LEFT_OUT: Variant = Variant { prefix: "mutant/view-left-out/", concluded: false, ..POSSIBLE };
/// The step does not ask anything of other pages.
const GUARD_LEFT_OUT: Variant = Variant { prefix: "mutant/guard-left-out/", guarded: false, ..VIEW_LEFT_OUT };

/// The mutants. Which view can be left out, and which guard is needed, is seen on a permitted configuration.
pub(super) fn all<S: Judged + Clone>(
    vocabulary: &Vocabulary<'_, S>,
    invariant: &InvariantOf<S>,
) -> Vec<VerificationCondition> {
    let mut mutants = vec![consecution::initiation(vocabulary, POSSIBLE)];
    let states = permitted(vocabulary.system, invariant);
    let goes_on = states.iter().any(|state| !vocabulary.system.may_end(&state.control));
    let claims = vocabulary.claims.iter().filter(|property| *property != S::Property::NO_DEADLOCK || goes_on);
    mutants.extend(claims.map(|property| safety::of_states(vocabulary, property, POSSIBLE)));
    let mut smaller = vocabulary.clone();
    for (step, seen) in witnesses(vocabulary, &states) {
        if seen.enabled {
            mutants.push(consecution::of_step(vocabulary, step, POSSIBLE));
        }
        if let Some(view) = seen.leads_to {
            smaller.views.remove(&view);
            mutants.push(consecution::of_step(&smaller, step, VIEW_LEFT_OUT));
            smaller.views.insert(view);
        }
        if seen.leaves {
            mutants.push(consecution::of_step(vocabulary, step, GUARD_LEFT_OUT));
        }
        let violated = seen.violates & vocabulary.claims;
        mutants.extend(
            violated
                .iter()
                .filter_map(|property| safety::of_step(vocabulary, property, step, GUARD_LEFT_OUT)),
        );
    }
    mutants
}

/// What permitted configurations show about a step.
#[derive(Clone, Debug)]
struct Witness<R: EnumSetType> {
    /// It is enabled in one.
    enabled: bool,
    /// It leads to this view from where the view does not occur.
    leads_to: Option<View>,
    /// It leads out of the invariant where its guard forbids it.
    leaves: bool,
    /// It violates these properties where its guard forbids it.
    violates: EnumSet<R>,
}

impl<R: EnumSetType> Witness<R> {
    /// Nothing shown yet.
    const NONE: Self = Witness { enabled: false, leads_to: None, leaves: false, violates: EnumSet::empty() };
}

/// A witness for each step; the steps of a page stand under index 0.
fn witnesses<S: Judged + Clone>(
    vocabulary: &Vocabulary<'_, S>,
    states: &[State<S>],
) -> BTreeMap<Step<S>, Witness<S::Property>> {
    let concrete = Concrete { system: vocabulary.system.clone(), pages: vocabulary.view_pages + 1 };
    let views = Views::new(vocabulary);
    let mut witnesses = BTreeMap::<_, Witness<_>>::new();
    for state in states {
        let before = views.of(state);
        for step in concrete.steps() {
            let Some((after, violated)) = unguarded(&concrete, state, step) else { continue };
            let name = match step {
                Move::Control(_) => step,
                Move::Page(step, _) => Move::Page(step, 0),
            };
            let witness = witnesses.entry(name).or_insert(Witness::NONE);
            let after = views.of(&after);
            if concrete.apply(state, step).is_some() {
                witness.enabled = true;
                let new = || after.iter().flatten().find(|view| !before.contains(&Some((*view).clone())));
                witness.leads_to = witness.leads_to.take().or_else(|| new().cloned());
            } else {
                witness.leaves |= after
                    .iter()
                    .any(|view| view.as_ref().is_none_or(|view| !vocabulary.views.contains(view)));
                witness.violates |= violated;
            }
        }
    }
    witnesses
}

/// Where a step would lead if it asked nothing of other pages, and what it would violate itself.
fn unguarded<S: Judged>(
    concrete: &Concrete<S>,
    state: &State<S>,
    step: Step<S>,
) -> Option<(State<S>, Properties<S>)> {
    let system = &concrete.system;
    let mut after = state.clone();
    match step {
        Move::Control(step) => {
            let taken = system.control_move(step, &state.control)?;
            after.control = taken.control;
            after.pages.iter_mut().for_each(|page| *page = system.carry(step, &state.control, page));
            Some((after, system.judge_control_move(step, &state.control, &taken)))
        }
        Move::Page(step, index) => {
            let page = state.pages[index];
            let taken = system.page_move(step, &state.control, &page)?;
            after.control = taken.control;
            after.pages[index] = taken.page;
            let verdict = system.judge_page_move(step, &state.control, &page, &taken);
            Some((after, verdict.given(concrete.others(state, index))))
        }
    }
}

/// Looks up views by index.
struct Views<S: Judged> {
    pages: usize,
    controls: BTreeMap<S::Control, usize>,
    records: BTreeMap<S::Page, usize>,
}

impl<S: Judged> Views<S> {
    fn new(vocabulary: &Vocabulary<'_, S>) -> Self {
        let controls = vocabulary.controls.iter().enumerate().map(|(index, control)| (*control, index));
        let records = vocabulary.records.iter().enumerate().map(|(index, record)| (*record, index));
        Views { pages: vocabulary.view_pages, controls: controls.collect(), records: records.collect() }
    }

    /// The views of a state; `None` stands for one with a record that the vocabulary does not have.
    fn of(&self, state: &State<S>) -> BTreeSet<Option<View>> {
        let views = parts(&state.sorted(), self.pages);
        views.into_iter().map(|view| self.view(&view)).collect()
    }

    fn view(&self, view: &State<S>) -> Option<View> {
        let records = view.pages.iter().map(|page| self.records.get(page).copied());
        Some((*self.controls.get(&view.control)?, records.collect::<Option<_>>()?))
    }
}
