//! What may happen, step by step. Each function is one step: its guard first, then the control record or the page
//! afterwards, and for a control step what becomes of each page. [`step`](crate::step) has a row for each.
//!
//! The files follow a migration: `memory` is the process at work, then `pre_migration`, `freeze`, `hand_over`,
//! `post_migration`; `file_server` and `link` go on all the time. These seven read as if nothing ever went wrong:
//! what disruptions add to their steps is in `hindrance`, and what deliberate defects make of them in
//! [`defects`](crate::defects).
//!
//! What real systems do otherwise is in `announcement` (what comes before the start), `agreement` (the hand-over), `log` (when
//! pre-copy reads what was written) and `stop` (what ends it); each is off in the nine algorithms.
//!
//! What goes wrong is in `cut` and `outage`, what is made of it in `abort`, `recovery` and `fallback`. Choices that the plain algorithms
//! leave out ([`paging`](crate::paging)) have a file each: `waking`, `come_and_go`, `channels`, `pull`.
//!
//! A guard reads protocol variables only (see [`crate::page`]); where a step also depends on other pages,
//! it names the universal [`Condition`]s it asks of them.

mod abort;
mod agreement;
mod announcement;
mod channels;
mod come_and_go;
mod cut;
mod fallback;
mod file_server;
mod freeze;
mod hand_over;
mod hindrance;
mod link;
mod log;
mod memory;
mod outage;
mod post_migration;
mod pre_migration;
mod pull;
mod recovery;
mod stop;
mod waking;

pub(crate) use abort::with_leftover;
pub(crate) use link::before_dirty_map;
pub(crate) use recovery::LOST;

use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Page, Plan};
use crate::step::{ControlStep, PageStep, Part};
use crate::system::{Conditions, ControlMove, PageMove};

/// What a control step does to a page; the control record is the one *before* the step.
pub(crate) type Effect = fn(&Migration, &Control, &mut Page);

/// A control step that may be taken: what it leads to, and what it does to each page.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) taken: ControlMove<Control>,
    pub(crate) effect: Effect,
}

pub(crate) type AfterControl = Option<Taken>;
pub(crate) type AfterPage = Option<PageMove<Control, Page>>;

impl Migration {
    /// The step as the protocol has it, whatever the defect.
    pub(crate) fn sound_control_step(&self, step: ControlStep, control: &Control) -> AfterControl {
        let row = step.row();
        let taken = match row.part {
            Part::Undisturbed => self.control_step_amid(step, control),
            Part::Strike(kind) => (row.take)(self, &self.struck_by(kind, control)?),
            Part::Repair(_) => (row.take)(self, control),
        };
        let taken = taken.filter(|_| row.exists(self))?;
        Some(self.over_channels(step, taken))
    }

    /// What the step does to a page.
    pub(crate) fn sound_effect(
        &self,
        step: ControlStep,
        effect: Effect,
        control: &Control,
        page: &Page,
    ) -> Page {
        let mut next = *page;
        effect(self, control, &mut next);
        if !self.strategy.paging.is_plain() || self.strategy.pulls() {
            self.carry_life(step, control, page, &mut next);
            self.settle_aside(&mut next);
            self.pull_again(step, page, &mut next);
        }
        next
    }

    /// The same for a step of a page.
    pub(crate) fn sound_page_step(&self, step: PageStep, control: &Control, page: &Page) -> AfterPage {
        if control.phase == Phase::Lost || self.is_needless(step, page) {
            return None;
        }
        let row = step.row();
        let known = self.as_owed(step, page);
        let taken = match row.part {
            Part::Undisturbed => self.page_step_amid(step, row.take, control, &known),
            Part::Strike(_) | Part::Repair(_) => (row.take)(self, control, &known),
        };
        let mut taken = taken.filter(|_| row.exists(self))?;
        self.live_on(step, control, page, &mut taken.page);
        self.over_channel(step, &mut taken.page);
        self.asks_once(step, page, &mut taken.page);
        self.settle_aside(&mut taken.page);
        Some(taken)
    }

    /// Of a page that the source owes no more nothing is asked.
    fn settle_aside(&self, page: &mut Page) {
        page.aside.pulled &= page.plan == Plan::FromSource;
        page.aside.apart &= !page.content.is_idle();
    }
}

/// A control step that asks nothing of the pages and leaves them alone.
pub(crate) fn to(control: Control) -> Taken {
    Taken { taken: ControlMove { requires: Conditions::empty(), control }, effect: |_, _, _| {} }
}

impl Taken {
    /// Asks the condition of every page.
    pub(crate) fn when(mut self, condition: Condition) -> Self {
        self.taken.requires |= condition;
        self
    }

    /// Does this to every page.
    pub(crate) fn each(self, effect: Effect) -> Self {
        Taken { effect, ..self }
    }
}

/// A page step that asks nothing of the other pages and leaves the control record alone.
pub(crate) fn alone(control: &Control, page: Page) -> AfterPage {
    Some(PageMove { requires: Conditions::empty(), control: *control, page })
}
