//! The model where things may go wrong any number of times.
//!
//! The model counts disruptions and recoveries, so that a search of it ends and a bound on traffic can be told. No
//! guard reads the counts for anything else. Where nothing is searched or judged they are left at zero: a recorded run
//! may have any number of disruptions, and the steps that runs can take are finitely many all the same.

use model::disruption::Disruptions;
use model::system::{Conditions, ControlMove, PageMove, System};
use model::{Control, ControlStep, Hosts, Link, Migration, Page, PageStep, Strategy};

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
