//! The transitions that a page can see, whatever number of other pages there are.

use std::collections::HashSet;

use population::concrete::Move;
use population::system::System;

use super::fixpoint::{close, permits};
use super::set::{View, without};
use super::steps::Steps;

/// The control record and a page before a step, and the step: one of all pages, or the page's own.
pub type Seen<S> =
    (<S as System>::Control, <S as System>::Page, Move<<S as System>::ControlStep, <S as System>::PageStep>);

/// The transitions that views of one page permit, the page in a page's own step counting as number 0. They are all
/// that runs of two pages or more take, and perhaps more. A page that is alone has no others to ask, and may take
/// more.
pub fn transitions<S: System>(system: &S) -> HashSet<Seen<S>> {
    let mut steps = Steps::new(system);
    let views = close(&mut steps, 1).views;
    let mut seen = HashSet::new();
    let controls: Vec<_> = views.controls().collect();
    for control in controls {
        let moves = steps.control_moves(control);
        for view in views.under(control) {
            let beside = views.extensions(control, view);
            let (before, page) = (*steps.control(control), *steps.record(view[0]));
            for taken in &moves {
                if permits(&mut steps, view, &beside, taken.requires) {
                    seen.insert((before, page, Move::Control(taken.step)));
                }
            }
            let others: View = without(view, 0);
            for taken in steps.page_moves(control, view[0]).iter() {
                if permits(&mut steps, &others, &beside, taken.requires) {
                    seen.insert((before, page, Move::Page(taken.step, 0)));
                }
            }
        }
    }
    seen
}
