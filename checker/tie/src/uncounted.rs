//! The model where things may go wrong any number of times.
//!
//! The model counts disruptions and recoveries, so that a search of it ends and a bound on traffic can be told. No
//! guard reads the counts for anything else. Where nothing is searched or judged they are left at zero: a recorded run
//! may have any number of disruptions, and the steps that runs can take are finitely many all the same.
//!
//! So safety is proved for any number of pages *and* of disruptions, but for the bound on traffic (S8), which says how
//! often a page may cross for each recovery, and would have to count them.

use model::disruption::Disruptions;
use model::property::Property;
use model::system::{Conditions, ControlMove, Judged, PageMove, Properties, System, Verdict};
use model::{Condition, Control, ControlStep, Hosts, Link, Migration, Page, PageStep, Strategy};

/// A migration that does not count what goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncounted(Migration);

impl Uncounted {
    /// The algorithm between two hosts where everything may go wrong.
    pub fn disrupted(strategy: Strategy, link: Link) -> Self {
        let all = Disruptions::up_to(1, enumset::EnumSet::all());
        Uncounted(Migration::new(strategy, Hosts::Two, link).with_disruptions(all))
    }

    /// The algorithm among three hosts where nothing goes wrong.
    pub fn undisrupted(strategy: Strategy, link: Link) -> Self {
        Uncounted(Migration::new(strategy, Hosts::Three, link))
    }

    /// The same, counting.
    pub fn migration(&self) -> &Migration {
        &self.0
    }
}

fn uncounted(mut control: Control) -> Control {
    (control.aftermath.struck, control.aftermath.recoveries) = (0, 0);
    control
}

impl System for Uncounted {
    type Control = Control;
    type Page = Page;
    type ControlStep = ControlStep;
    type PageStep = PageStep;
    type Condition = Condition;

    fn initial_control(&self) -> Control {
        self.0.initial_control()
    }

    fn initial_pages(&self) -> Vec<Page> {
        self.0.initial_pages()
    }

    fn conditions(&self, page: &Page) -> Conditions {
        self.0.conditions(page)
    }

    fn control_steps(&self) -> &[ControlStep] {
        self.0.control_steps()
    }

    fn control_move(&self, step: ControlStep, control: &Control) -> Option<ControlMove<Control>> {
        let taken = self.0.control_move(step, control)?;
        Some(ControlMove { control: uncounted(taken.control), ..taken })
    }

    fn carry(&self, step: ControlStep, control: &Control, page: &Page) -> Page {
        self.0.carry(step, control, page)
    }

    fn page_steps(&self) -> &[PageStep] {
        self.0.page_steps()
    }

    fn page_move(&self, step: PageStep, control: &Control, page: &Page) -> Option<PageMove<Control, Page>> {
        let taken = self.0.page_move(step, control, page)?;
        Some(PageMove { control: uncounted(taken.control), ..taken })
    }
}

/// What it does not count it cannot be judged by.
const COUNTED: Property = Property::S8;

impl Judged for Uncounted {
    type Property = Property;

    fn judge_control(&self, control: &Control) -> Properties {
        self.0.judge_control(control) - COUNTED
    }

    fn judge_page(&self, control: &Control, page: &Page) -> Properties {
        self.0.judge_page(control, page) - COUNTED
    }

    fn judge_control_move(
        &self,
        step: ControlStep,
        before: &Control,
        after: &ControlMove<Control>,
    ) -> Properties {
        self.0.judge_control_move(step, before, after) - COUNTED
    }

    fn judge_page_move(
        &self,
        step: PageStep,
        control: &Control,
        page: &Page,
        after: &PageMove<Control, Page>,
    ) -> Verdict {
        let Verdict { violated, violated_unless, conditions } =
            self.0.judge_page_move(step, control, page, after);
        Verdict { violated: violated - COUNTED, violated_unless: violated_unless - COUNTED, conditions }
    }

    fn may_end(&self, control: &Control) -> bool {
        self.0.may_end(control)
    }

    fn safety(&self) -> Properties {
        self.0.safety() - COUNTED
    }
}

#[cfg(test)]
mod tests {
    use model::Move;
    use model::algorithms::{ASSISTED_POST_COPY, BUILT_IN, GENERIC, POST_COPY, TOTAL_COPY, TOTAL_COPY_DIRTY};
    use model::defects::Defect;

    use super::*;
    use engine::views::transitions::transitions;
    use engine::views::{ProofBounds, ProofOutcome, prove};

    /// Whatever goes wrong, and however often: safety holds, for any number of pages.
    #[test]
    fn safety_holds_however_often_things_go_wrong() {
        for strategy in BUILT_IN {
            for link in Link::ALL {
                let model = Uncounted::disrupted(strategy.clone(), link);
                let proof = prove(&model, ProofBounds::default());
                for property in model.safety() {
                    let outcome = &proof.verdicts[&property];
                    let holds = matches!(outcome, ProofOutcome::HoldsForAny { .. });
                    assert!(holds, "{}, {link}: {property}: {outcome:?}", strategy.name);
                }
            }
        }
    }

    #[test]
    fn it_would_not_hold_with_a_defect() {
        for (strategy, link, defect) in [
            (TOTAL_COPY, Link::Fifo, Defect::ResumeAfterHandOver),
            (TOTAL_COPY_DIRTY, Link::Fifo, Defect::ConsumeDirtyBits),
            (POST_COPY, Link::Fifo, Defect::IgnoreLoss),
            (ASSISTED_POST_COPY, Link::Fifo, Defect::LoseDiscardList),
            (GENERIC, Link::Unordered, Defect::AcceptEarlierEpoch),
        ] {
            let Uncounted(migration) = Uncounted::disrupted(strategy, link);
            let proof = prove(&Uncounted(migration.with_defect(defect)), ProofBounds::default());
            let fails = |outcome: &ProofOutcome<_>| matches!(outcome, ProofOutcome::Fails { .. });
            assert!(proof.verdicts.values().any(fails), "{defect}: {:?}", proof.verdicts.keys());
        }
    }

    /// It judges as the migration does, but for S8, and counts nothing.
    #[test]
    fn it_judges_what_it_does_not_count() {
        let mut judged = Properties::empty();
        for (strategy, link, defect) in [
            (POST_COPY, Link::Fifo, Defect::IgnoreLoss),
            (TOTAL_COPY, Link::Fifo, Defect::ResumeAfterHandOver),
            (GENERIC, Link::Unordered, Defect::AcceptEarlierEpoch),
        ] {
            let Uncounted(migration) = Uncounted::disrupted(strategy, link);
            let counting = migration.with_defect(defect);
            let model = Uncounted(counting.clone());
            for (control, page, step) in transitions(&model) {
                assert_eq!(uncounted(control), control, "nothing is counted");
                assert_eq!(model.may_end(&control), counting.may_end(&control));
                let of_control = counting.judge_control(&control) - Property::S8;
                let of_page = counting.judge_page(&control, &page) - Property::S8;
                assert_eq!(model.judge_control(&control), of_control);
                assert_eq!(model.judge_page(&control, &page), of_page);
                judged |= of_control | of_page;
                match step {
                    Move::Control(step) => {
                        let taken = model.control_move(step, &control).expect("it is a step");
                        let all = counting.judge_control_move(step, &control, &taken) - Property::S8;
                        assert_eq!(model.judge_control_move(step, &control, &taken), all);
                        judged |= all;
                    }
                    Move::Page(step, _) => {
                        let taken = model.page_move(step, &control, &page).expect("it is a step");
                        let Verdict { violated, violated_unless, conditions } =
                            counting.judge_page_move(step, &control, &page, &taken);
                        let all = Verdict {
                            violated: violated - Property::S8,
                            violated_unless: violated_unless - Property::S8,
                            conditions,
                        };
                        assert_eq!(model.judge_page_move(step, &control, &page, &taken), all);
                        judged |= all.violated | all.violated_unless;
                    }
                }
            }
        }
        assert!(judged.len() > 3 && !judged.contains(Property::S8), "{judged:?}");
    }

    /// Where nothing goes wrong there is nothing to count.
    #[test]
    fn nothing_is_left_out_where_nothing_goes_wrong() {
        let model = Uncounted::undisrupted(POST_COPY, Link::Lossy);
        assert_eq!(
            transitions(&model),
            transitions(model.migration()),
            "the same transitions, counted or not"
        );
    }
}
