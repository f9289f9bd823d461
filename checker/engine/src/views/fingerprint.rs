//! A number that changes when the system does, and hardly ever otherwise.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hasher;

use population::system::Judged;
use rustc_hash::FxHasher;

use super::fixpoint::close;
use super::steps::Steps;

/// A hash of everything that the system says of the records that occur in any population of two pages or more: its steps
/// and its judgement. What was computed with one system is not to be taken for what another, or another version of it, would
/// give.
pub fn fingerprint<S: Judged>(system: &S) -> u64 {
    let mut steps = Steps::new(system);
    let views = close(&mut steps, 1).views;
    let pairs: BTreeSet<(S::Control, S::Page)> = (views.controls())
        .flat_map(|control| views.under(control).iter().map(move |view| (control, view[0])))
        .map(|(control, record)| (*steps.control(control), *steps.record(record)))
        .collect();
    let mut told = Told(FxHasher::default());
    told.tell(&(system.initial_control(), system.initial_pages(), system.safety()));
    for (control, page) in &pairs {
        told.tell(&(control, system.judge_control(control), system.may_end(control)));
        told.tell(&(page, system.conditions(page), system.judge_page(control, page)));
        for step in system.control_steps() {
            if let Some(taken) = system.control_move(*step, control) {
                let judged = system.judge_control_move(*step, control, &taken);
                told.tell(&(step, &taken, judged, system.carry(*step, control, page)));
            }
        }
        for step in system.page_steps() {
            if let Some(taken) = system.page_move(*step, control, page) {
                told.tell(&(step, &taken, system.judge_page_move(*step, control, page, &taken)));
            }
        }
    }
    told.0.finish()
}

struct Told(FxHasher);

impl Told {
    fn tell(&mut self, what: &impl Debug) {
        self.0.write(format!("{what:?}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::toy::Toy;

    #[test]
    fn it_changes_with_a_step_and_with_a_judgement() {
        let of = |toy: Toy| fingerprint(&toy);
        let sound = of(Toy::default());
        assert_eq!(sound, of(Toy::default()));
        let others = [
            Toy { hasty: true, ..Toy::default() },
            Toy { rude: true, ..Toy::default() },
            Toy { stalled: true, ..Toy::default() },
        ];
        let mut numbers: Vec<u64> = others.map(of).into_iter().chain([sound]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 4);
    }
}
