//! The least set of views that contains the initial ones and is closed under steps.

use std::collections::BTreeSet;

use population::system::{Conditions, System};
use rustc_hash::FxHashMap;

use super::bits::Bits;
use super::set::{View, ViewSet, combinations, without};
use super::steps::{ControlId, Steps};

/// A closed set of views, and how many rounds it took.
pub(super) struct Closed {
    pub views: ViewSet,
    pub rounds: usize,
}

/// Closes the initial views with `pages` pages each under the steps of every permitted configuration
/// with one page more.
pub(super) fn close<S: System>(steps: &mut Steps<'_, S>, pages: usize) -> Closed {
    let mut views = ViewSet::new(pages);
    let initial = steps.control_id(steps.system.initial_control());
    let records: BTreeSet<_> =
        steps.system.initial_pages().into_iter().map(|record| steps.record_id(record)).collect();
    for view in combinations(&records.into_iter().collect::<Vec<_>>(), pages) {
        views.insert(initial, view);
    }

    let mut rounds = 0;
    let mut changed = BTreeSet::from([initial]);
    while !changed.is_empty() {
        rounds += 1;
        for control in std::mem::take(&mut changed) {
            for (reached, view) in successors(steps, &views, control) {
                if views.insert(reached, view) {
                    changed.insert(reached);
                }
            }
        }
    }
    Closed { views, rounds }
}

/// The views, not in the set yet, that steps under this control record lead to.
fn successors<S: System>(
    steps: &mut Steps<'_, S>,
    views: &ViewSet,
    control: ControlId,
) -> Vec<(ControlId, View)> {
    let steppers = steppers(steps, views, control);
    let control_moves = steps.control_moves(control);
    let mut found = Vec::new();
    let mut add = |reached, view: View| {
        if !views.contains(reached, &view) {
            found.push((reached, view));
        }
    };

    for view in views.under(control) {
        let beside = views.extensions(control, view);
        for taken in &control_moves {
            if permits(steps, view, &beside, taken.requires) {
                let carried = view.iter().map(|record| steps.carry(taken.step, control, *record));
                add(taken.control, sorted(carried.collect()));
            }
        }
        for index in 0..view.len() {
            let others = without(view, index);
            for taken in steps.page_moves(control, view[index]).iter() {
                if permits(steps, &others, &beside, taken.requires) {
                    add(taken.control, with(&others, taken.record));
                }
            }
        }
        for ((requires, reached), pages) in &steppers {
            if view.iter().all(|record| steps.meets(*record, *requires)) && beside.meets(pages) {
                add(*reached, view.clone());
            }
        }
    }
    found
}

/// For each way in which a page step changes the control record: the pages that can do it. A step that
/// leaves the control record alone shows nothing to the other pages.
fn steppers<S: System>(
    steps: &mut Steps<'_, S>,
    views: &ViewSet,
    control: ControlId,
) -> FxHashMap<(Conditions<S>, ControlId), Bits> {
    let mut steppers = FxHashMap::<_, Bits>::default();
    for record in views.records(control).iter() {
        for taken in steps.page_moves(control, record).iter().filter(|taken| taken.control != control) {
            steppers.entry((taken.requires, taken.control)).or_default().insert(record);
        }
    }
    steppers
}

/// Do these records meet the conditions, and one that may stand beside them too?
pub(super) fn permits<S: System>(
    steps: &mut Steps<'_, S>,
    records: &View,
    beside: &Bits,
    required: Conditions<S>,
) -> bool {
    records.iter().all(|record| steps.meets(*record, required)) && beside.meets(steps.meeting(required))
}

fn with(others: &View, record: usize) -> View {
    sorted(others.iter().copied().chain([record]).collect())
}

fn sorted(mut view: View) -> View {
    view.sort_unstable();
    view
}
