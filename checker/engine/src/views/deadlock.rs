//! `S10` for any number of pages.
//!
//! A state is stuck when *no* page has an enabled step, which no view of a few pages shows. The argument
//! here is by elimination, separately for each control record:
//!
//! 1. Suppose that all pages have records from a set `stuck`; at first, all that occur with the control.
//! 2. If a record has a step whose requirement *every* record in `stuck` meets, a state that contains it
//!    is not stuck: its others are from `stuck`. So a stuck state does not contain it; drop it and repeat.
//! 3. If nothing is left, every state with a page in it has a step. If a control step's requirement is
//!    met by all that is left, every remaining state has that step.
//!
//! What is left otherwise is a real suspicion: a state with two pages of every remaining record has no
//! enabled step. Whether such a state is reachable is for concrete populations to say.

use population::system::{Conditions, Judged};

use super::set::ViewSet;
use super::steps::{ControlId, RecordId, Steps};

/// A control record under which the argument leaves something over.
pub(super) struct Suspicion {
    pub control: ControlId,
    pub stuck: Vec<RecordId>,
}

/// The control records under which a deadlock cannot be excluded.
pub(super) fn suspicions<S: Judged>(steps: &mut Steps<'_, S>, views: &ViewSet) -> Vec<Suspicion> {
    let controls: Vec<_> = views.controls().collect();
    let mut suspicions = Vec::new();
    for control in controls {
        if !steps.system.may_end(steps.control(control)) {
            let stuck = eliminate(steps, control, views.records(control).iter().collect());
            if !stuck.is_empty() {
                suspicions.push(Suspicion { control, stuck });
            }
        }
    }
    suspicions
}

fn eliminate<S: Judged>(
    steps: &mut Steps<'_, S>,
    control: ControlId,
    mut stuck: Vec<RecordId>,
) -> Vec<RecordId> {
    let control_moves = steps.control_moves(control);
    loop {
        let met = stuck.iter().fold(Conditions::<S>::all(), |met, record| met & steps.conditions(*record));
        if control_moves.iter().any(|taken| met.is_superset(taken.requires)) {
            return Vec::new();
        }
        let before = stuck.len();
        stuck.retain(|record| {
            let moves = steps.page_moves(control, *record);
            !moves.iter().any(|taken| met.is_superset(taken.requires))
        });
        if stuck.len() == before {
            return stuck;
        }
    }
}
