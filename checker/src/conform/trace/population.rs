//! A state of the model with any number of pages.

use std::fmt;

use model::concrete::Step;
use model::page::{Kind, Transit};
use model::system::{Conditions, System};
use model::{Control, ControlStep, Migration, Move, Page, PageStep};

use super::{Header, names};
use crate::conform::explain::Explanation;

/// Steps that are listed where a trace is rejected.
const LISTED_STEPS_MAX: usize = 40;
/// Pages that are listed there.
const LISTED_PAGES_MAX: usize = 8;

/// One control record and a record for each page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Population {
    pub control: Control,
    pub pages: Vec<Page>,
    /// Where passes are unbounded, the model's link takes two contents of a page at a time. Real links take more:
    /// how many more are on their way.
    surplus: Vec<u32>,
}

impl Population {
    pub(super) fn loaded(migration: &Migration, header: &Header) -> Self {
        let kind = |page| match header.file_mapped.contains(&page) && migration.strategy.tells_kinds_apart() {
            true => Kind::FileMapped,
            false => Kind::Private,
        };
        let pages: Vec<_> = (0..header.pages).map(|page| Page::loaded(kind(page))).collect();
        Population { control: migration.initial_control(), surplus: vec![0; pages.len()], pages }
    }

    /// The state after these steps, if all are possible.
    pub(super) fn follow(&self, migration: &Migration, steps: &Explanation) -> Option<Self> {
        let mut state = self.clone();
        for step in steps {
            state.take(migration, *step)?;
        }
        Some(state)
    }

    /// The names of the steps that are possible.
    pub(super) fn enabled(&self, migration: &Migration) -> Vec<String> {
        let control = migration.control_steps().iter().map(|step| Move::Control(*step));
        let pages = (0..self.pages.len())
            .flat_map(|index| migration.page_steps().iter().map(move |step| Move::Page(*step, index)));
        let possible = |step: &Step<Migration>| self.clone().take(migration, *step).is_some();
        names(control.chain(pages).filter(possible).take(LISTED_STEPS_MAX))
    }

    fn take(&mut self, migration: &Migration, step: Step<Migration>) -> Option<()> {
        match step {
            Move::Control(step) => self.take_control(migration, step),
            Move::Page(PageStep::Copy, index) if self.is_link_full(migration, index) => {
                self.pages[index].older -= 1;
                self.take_page(migration, PageStep::Copy, index)?;
                self.surplus[index] += 1;
                Some(())
            }
            Move::Page(PageStep::DeliverOlder, index)
                if self.surplus.get(index).is_some_and(|more| *more > 0) =>
            {
                self.take_page(migration, PageStep::DeliverOlder, index)?;
                self.pages[index].older += 1;
                self.surplus[index] -= 1;
                Some(())
            }
            Move::Page(step, index) => self.take_page(migration, step, index),
        }
    }

    fn is_link_full(&self, migration: &Migration, index: usize) -> bool {
        let unbounded = migration.strategy.crossings_max().is_none();
        let full = |page: &Page| matches!(page.content, Transit::Flying(_)) && page.older > 0;
        unbounded && self.pages.get(index).is_some_and(full)
    }

    fn take_control(&mut self, migration: &Migration, step: ControlStep) -> Option<()> {
        let taken = migration.control_move(step, &self.control)?;
        let all = self.meet(migration, taken.requires, None);
        if !all {
            return None;
        }
        for page in &mut self.pages {
            *page = migration.carry(step, &self.control, page);
        }
        if step == ControlStep::Finish {
            self.surplus.fill(0);
        }
        self.control = taken.control;
        Some(())
    }

    fn take_page(&mut self, migration: &Migration, step: PageStep, index: usize) -> Option<()> {
        let taken = migration.page_move(step, &self.control, self.pages.get(index)?)?;
        if !self.meet(migration, taken.requires, Some(index)) {
            return None;
        }
        self.control = taken.control;
        self.pages[index] = taken.page;
        Some(())
    }

    /// Do all pages, but one, meet the conditions?
    fn meet(&self, migration: &Migration, required: Conditions, but: Option<usize>) -> bool {
        let mut others = self.pages.iter().enumerate().filter(|(index, _)| Some(*index) != but);
        required.is_empty() || others.all(|(_, page)| migration.conditions(page).is_superset(required))
    }
}

impl fmt::Display for Population {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.control)?;
        for (index, page) in self.pages.iter().enumerate().take(LISTED_PAGES_MAX) {
            write!(f, "\n  page {index}: {page:?}")?;
        }
        match self.pages.len().checked_sub(LISTED_PAGES_MAX) {
            Some(more) if more > 0 => write!(f, "\n  and {more} more pages"),
            _ => Ok(()),
        }
    }
}
