//! A migration under observation: the same steps, a chosen population, and records of what has happened.
//!
//! Some questions are about the past ("was the page sent before?", "which of the five steps came last?"),
//! and some about a process of a particular kind ("with only private dirty pages"). [`ObservedMigration`] answers the
//! first by history variables beside the model's records, which no guard reads, so they change nothing; and
//! the second by the records that pages start with and by barring writes.

use engine::explore::Trace;
use enumset::{EnumSet, EnumSetType};
use model::concrete::{Concrete, Configuration, State, Step};
use model::page::{Kind, Page};
use model::system::{ControlMove, Judged, PageMove, Properties, System, Verdict};
use model::{Condition, Control, ControlStep, Migration, PageStep, Process, Property};

use crate::narrative::Story;

/// Which pages the process has, and what it does to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Population {
    /// All of this kind; any where `None`, or where the algorithm does not tell kinds apart.
    pub kind: Option<Kind>,
    /// What the process does to them.
    pub writes: Writes,
}

/// What the process writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Writes {
    /// Whatever it likes.
    #[default]
    Any,
    /// It has written to every page before anything else happens, and goes on as it likes.
    AllAtFirst,
    /// Nothing, ever: all pages are clean.
    None,
}

/// Something to remember about each page since the last migration started.
#[derive(Debug, EnumSetType)]
pub enum Past {
    /// Its content was sent by a host that owed it.
    Sent,
    /// The process touched it while it was missing.
    Touched,
    /// The process wrote to it.
    Written,
}

/// A migration under observation.
#[derive(Clone, Debug)]
pub struct ObservedMigration {
    /// What is observed.
    pub migration: Migration,
    /// Which pages it moves.
    pub population: Population,
    /// What is remembered; the less, the fewer states.
    pub remembered: EnumSet<Past>,
}

/// The five steps that all algorithms share, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SharedStage {
    /// The process is suspended.
    Suspend,
    /// Its state has reached the destination.
    Transmit,
    /// The destination has reconstructed it.
    Reconstruct,
    /// It runs again.
    Resume,
    /// The source destroys its process.
    Remove,
}

/// A control record, and the last of the five steps that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObservedControl {
    /// The model's record.
    pub control: Control,
    /// The last of the five steps; `None` before the first migration.
    pub stage: Option<SharedStage>,
}

/// A page record, and what is remembered of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObservedPage {
    /// The model's record.
    pub page: Page,
    /// [`Past::Sent`].
    pub sent: bool,
    /// [`Past::Touched`].
    pub touched: bool,
    /// [`Past::Written`].
    pub written: bool,
}

impl SharedStage {
    /// Which of the five a control step is.
    pub fn of(step: ControlStep, before: &Control, after: &Control) -> Option<SharedStage> {
        let suspends = before.process != Process::Migration && after.process == Process::Migration;
        match step {
            _ if suspends => Some(SharedStage::Suspend),
            ControlStep::DeliverState => Some(SharedStage::Transmit),
            ControlStep::SendReady => Some(SharedStage::Reconstruct),
            ControlStep::Resume => Some(SharedStage::Resume),
            ControlStep::Destroy => Some(SharedStage::Remove),
            _ => None,
        }
    }

    /// The step that has to come before.
    pub fn previous(self) -> SharedStage {
        match self {
            SharedStage::Suspend => SharedStage::Remove,
            SharedStage::Transmit => SharedStage::Suspend,
            SharedStage::Reconstruct => SharedStage::Transmit,
            SharedStage::Resume => SharedStage::Reconstruct,
            SharedStage::Remove => SharedStage::Resume,
        }
    }
}

impl ObservedPage {
    fn of(page: Page) -> Self {
        ObservedPage { page, sent: false, touched: false, written: false }
    }
}

impl ObservedMigration {
    /// Any pages, nothing remembered.
    pub fn new(migration: Migration) -> Self {
        ObservedMigration { migration, population: Population::default(), remembered: EnumSet::empty() }
    }

    /// The same with a number of pages.
    pub fn with_pages(self, pages: usize) -> Concrete<ObservedMigration> {
        Concrete { system: self, pages }
    }

    fn touches(step: PageStep) -> bool {
        matches!(step, PageStep::Fault | PageStep::LoadLocal)
    }
}

/// The run as the model has it, to be told.
pub fn story(title: String, trace: Trace<ObservedMigration>, loop_from: Option<usize>) -> Story {
    let steps: Vec<(Step<Migration>, State<Migration>)> =
        trace.steps.into_iter().map(|(step, state)| (step, plain(&state))).collect();
    Story { title, start: plain(&trace.initial), steps, loop_from }
}

fn plain(state: &State<ObservedMigration>) -> State<Migration> {
    let pages = state.pages.iter().map(|observed| observed.page).collect();
    Configuration { control: state.control.control, pages }
}

impl System for ObservedMigration {
    type Control = ObservedControl;
    type Page = ObservedPage;
    type ControlStep = ControlStep;
    type PageStep = PageStep;
    type Condition = Condition;

    fn initial_control(&self) -> ObservedControl {
        ObservedControl { control: self.migration.initial_control(), stage: None }
    }

    fn initial_pages(&self) -> Vec<ObservedPage> {
        let strategy = &self.migration.strategy;
        let wanted = |page: &Page| {
            !strategy.tells_kinds_apart() || self.population.kind.is_none_or(|kind| page.kind == kind)
        };
        let control = self.migration.initial_control();
        let written = |page: Page| match self.population.writes {
            Writes::AllAtFirst => {
                let written = self.migration.page_move(PageStep::Write, &control, &page);
                written.map_or(page, |written| written.page)
            }
            Writes::Any | Writes::None => page,
        };
        let pages = self.migration.initial_pages().into_iter().filter(wanted);
        pages.map(|page| ObservedPage::of(written(page))).collect()
    }

    fn conditions(&self, page: &ObservedPage) -> model::system::Conditions {
        self.migration.conditions(&page.page)
    }

    fn control_steps(&self) -> &[ControlStep] {
        self.migration.control_steps()
    }

    fn control_move(
        &self,
        step: ControlStep,
        before: &ObservedControl,
    ) -> Option<ControlMove<ObservedControl>> {
        let taken = self.migration.control_move(step, &before.control)?;
        let stage = SharedStage::of(step, &before.control, &taken.control).or(before.stage);
        let gone = taken.control.process == Process::Exited;
        let control = ObservedControl { control: taken.control, stage: stage.filter(|_| !gone) };
        Some(ControlMove { requires: taken.requires, control })
    }

    fn carry(&self, step: ControlStep, control: &ObservedControl, page: &ObservedPage) -> ObservedPage {
        let carried = self.migration.carry(step, &control.control, &page.page);
        match step {
            ControlStep::MigrateBack | ControlStep::MigrateOnward | ControlStep::Exit => {
                ObservedPage::of(carried)
            }
            _ => ObservedPage { page: carried, ..*page },
        }
    }

    fn page_steps(&self) -> &[PageStep] {
        self.migration.page_steps()
    }

    fn page_move(
        &self,
        step: PageStep,
        control: &ObservedControl,
        page: &ObservedPage,
    ) -> Option<PageMove<ObservedControl, ObservedPage>> {
        if step == PageStep::Write && self.population.writes == Writes::None {
            return None;
        }
        let taken = self.migration.page_move(step, &control.control, &page.page)?;
        let now = |past, happens: bool| happens && self.remembered.contains(past);
        let after = ObservedPage {
            page: taken.page,
            sent: page.sent || now(Past::Sent, step.sends_content()),
            touched: page.touched || now(Past::Touched, ObservedMigration::touches(step)),
            written: page.written || now(Past::Written, step == PageStep::Write),
        };
        let control = ObservedControl { control: taken.control, ..*control };
        Some(PageMove { requires: taken.requires, control, page: after })
    }
}

impl Judged for ObservedMigration {
    type Property = Property;

    fn judge_control(&self, control: &ObservedControl) -> Properties {
        self.migration.judge_control(&control.control)
    }

    fn judge_page(&self, control: &ObservedControl, page: &ObservedPage) -> Properties {
        self.migration.judge_page(&control.control, &page.page)
    }

    fn judge_control_move(
        &self,
        step: ControlStep,
        before: &ObservedControl,
        after: &ControlMove<ObservedControl>,
    ) -> Properties {
        let after = ControlMove { requires: after.requires, control: after.control.control };
        self.migration.judge_control_move(step, &before.control, &after)
    }

    fn judge_page_move(
        &self,
        step: PageStep,
        control: &ObservedControl,
        page: &ObservedPage,
        after: &PageMove<ObservedControl, ObservedPage>,
    ) -> Verdict {
        let after =
            PageMove { requires: after.requires, control: after.control.control, page: after.page.page };
        self.migration.judge_page_move(step, &control.control, &page.page, &after)
    }

    fn may_end(&self, control: &ObservedControl) -> bool {
        self.migration.may_end(&control.control)
    }

    fn safety(&self) -> Properties {
        self.migration.safety()
    }
}
