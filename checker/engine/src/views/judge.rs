//! What the permitted configurations violate.

use enumset::EnumSet;
use population::system::{ControlMove, Judged, PageMove, Properties, PropertyName};

use super::bits::Bits;
use super::fixpoint::permits;
use super::set::{View, ViewSet, without};
use super::steps::{ControlId, Steps};

/// The properties that some permitted configuration, or a step of one, violates: all safety properties
/// but `S10`, which is about absence of steps and has an argument of its own.
pub(super) fn suspects<S: Judged>(steps: &mut Steps<'_, S>, views: &ViewSet) -> Properties<S> {
    let mut violated = EnumSet::empty();
    for control in views.controls() {
        for view in views.under(control) {
            let beside = views.extensions(control, view);
            if beside.is_empty() {
                continue;
            }
            violated |= states(steps, control, view);
            violated |= control_steps(steps, control, view, &beside);
            violated |= page_steps(steps, control, view, &beside);
        }
    }
    violated - S::Property::NO_DEADLOCK
}

fn states<S: Judged>(steps: &Steps<'_, S>, control: ControlId, view: &View) -> Properties<S> {
    let (system, control) = (steps.system, steps.control(control));
    let pages = view.iter().map(|record| system.judge_page(control, steps.record(*record)));
    pages.fold(system.judge_control(control), |all, page| all | page)
}

fn control_steps<S: Judged>(
    steps: &mut Steps<'_, S>,
    control: ControlId,
    view: &View,
    beside: &Bits,
) -> Properties<S> {
    let mut violated = EnumSet::empty();
    for taken in steps.control_moves(control) {
        if permits(steps, view, beside, taken.requires) {
            let after = ControlMove { requires: taken.requires, control: *steps.control(taken.control) };
            violated |= steps.system.judge_control_move(taken.step, steps.control(control), &after);
        }
    }
    violated
}

fn page_steps<S: Judged>(
    steps: &mut Steps<'_, S>,
    control: ControlId,
    view: &View,
    beside: &Bits,
) -> Properties<S> {
    let mut violated = EnumSet::empty();
    for (index, record) in view.iter().enumerate() {
        let others = without(view, index);
        for taken in steps.page_moves(control, *record).iter() {
            if !permits(steps, &others, beside, taken.requires) {
                continue;
            }
            let after = PageMove {
                requires: taken.requires,
                control: *steps.control(taken.control),
                page: *steps.record(taken.record),
            };
            let (before, page) = (steps.control(control), steps.record(*record));
            let verdict = steps.system.judge_page_move(taken.step, before, page, &after);
            let excused = |other: usize| steps.meets(other, verdict.conditions);
            let enabled_beside = beside.iter().filter(|other| steps.meets(*other, taken.requires));
            let unexcused = || !others.iter().copied().chain(enabled_beside).all(excused);
            violated |= verdict.violated;
            if !verdict.violated_unless.is_empty() && unexcused() {
                violated |= verdict.violated_unless;
            }
        }
    }
    violated
}
