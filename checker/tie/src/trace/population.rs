//! A state of the model with any number of pages.

use std::collections::BTreeSet;
use std::fmt;

use model::concrete::Step;
use model::disruption::Connection;
use model::page::{Kind, Transit};
use model::system::{Conditions, System};
use model::{Control, ControlStep, Move, Page, PageStep, Phase, Process};
use steplog::event::{Event, Step as TraceStep};
use steplog::header::Header;
use steplog::place::{HostId, Place};

use super::names;
use crate::explain::Explanation;
use crate::uncounted::Uncounted;

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
    /// The hosts that know that the connection to the other one is gone, and of no new one.
    noticed: BTreeSet<HostId>,
    /// The hosts that have noticed the last outage, if there was one.
    noticed_outage: Option<BTreeSet<HostId>>,
}

impl Population {
    pub(super) fn loaded(model: &Uncounted, header: &Header) -> Self {
        let kind = |page| match header.file_mapped.contains(&page)
            && model.migration().strategy.tells_kinds_apart()
        {
            true => Kind::FileMapped,
            false => Kind::Private,
        };
        let pages: Vec<_> = (0..header.pages).map(|page| Page::loaded(kind(page))).collect();
        Population {
            control: model.initial_control(),
            surplus: vec![0; pages.len()],
            pages,
            noticed: BTreeSet::new(),
            noticed_outage: None,
        }
    }

    /// The state after these steps, if all are possible.
    pub(super) fn follow(&self, model: &Uncounted, steps: &Explanation) -> Option<Self> {
        let mut state = self.clone();
        for step in steps {
            state.take(model, *step)?;
        }
        Some(state)
    }

    /// The state when the process has died with its host.
    pub(super) fn lost(&self) -> Self {
        let control = Control { phase: Phase::Lost, process: Process::Lost, ..Control::GONE };
        Population { control, ..self.clone() }
    }

    /// What the step says of its host's connection to the other one. Where the model has one that is broken, a new one
    /// is there when both say so.
    pub(super) fn note_connection(&mut self, step: &TraceStep) {
        let Place::Host(host) = step.place else { return };
        match step.event {
            Event::PeerDisconnected { peer: Place::Host(_), .. } | Event::PeerTimedOut { .. } => {
                self.noticed.insert(host);
            }
            Event::PeerConnected { peer: Place::Host(_), .. }
                if self.control.aftermath.connection != Connection::Broken =>
            {
                self.noticed.remove(&host);
            }
            Event::PeerFenced { .. } => self.noticed.clear(),
            // Its successor has noticed nothing.
            Event::HostCrashed => {
                self.noticed.remove(&host);
                self.noticed_outage.iter_mut().for_each(|hosts| _ = hosts.remove(&host));
            }
            Event::PeerDisconnected { peer: Place::FileServer, .. } => {
                self.noticed_outage.get_or_insert_default().insert(host);
            }
            _ => {}
        }
    }

    /// Does the host know that there is no connection to the other one?
    pub(super) fn has_noticed(&self, host: HostId) -> bool {
        self.noticed.contains(&host)
    }

    /// Is there an outage that the host can notice now? It may be over, if the host has not noticed it before.
    pub(super) fn may_notice_outage(&self, host: HostId) -> bool {
        let unnoticed = self.noticed_outage.as_ref().is_some_and(|hosts| !hosts.contains(&host));
        self.control.aftermath.store_down || unnoticed
    }

    /// Whoever has not noticed that a connection is broken does so before there is a new one.
    fn may_reconnect(&self) -> bool {
        self.noticed.len() > 1
    }

    /// The names of the steps that are possible.
    pub(super) fn enabled(&self, model: &Uncounted) -> Vec<String> {
        let control = model.control_steps().iter().map(|step| Move::Control(*step));
        let pages = (0..self.pages.len())
            .flat_map(|index| model.page_steps().iter().map(move |step| Move::Page(*step, index)));
        let possible = |step: &Step<Uncounted>| self.clone().take(model, *step).is_some();
        names(control.chain(pages).filter(possible).take(LISTED_STEPS_MAX))
    }

    fn take(&mut self, model: &Uncounted, step: Step<Uncounted>) -> Option<()> {
        match step {
            Move::Control(step) => self.take_control(model, step),
            Move::Page(PageStep::Copy, index) if self.is_link_full(model, index) => {
                self.pages[index].older -= 1;
                self.take_page(model, PageStep::Copy, index)?;
                self.surplus[index] += 1;
                Some(())
            }
            Move::Page(PageStep::DeliverOlder, index)
                if self.surplus.get(index).is_some_and(|more| *more > 0) =>
            {
                self.take_page(model, PageStep::DeliverOlder, index)?;
                self.pages[index].older += 1;
                self.surplus[index] -= 1;
                Some(())
            }
            Move::Page(step, index) => self.take_page(model, step, index),
        }
    }

    fn is_link_full(&self, model: &Uncounted, index: usize) -> bool {
        let unbounded = model.migration().strategy.crossings_max().is_none();
        let full = |page: &Page| matches!(page.content, Transit::Flying(_)) && page.older > 0;
        unbounded && self.pages.get(index).is_some_and(full)
    }

    fn take_control(&mut self, model: &Uncounted, step: ControlStep) -> Option<()> {
        if step == ControlStep::Reconnect && !self.may_reconnect() {
            return None;
        }
        let taken = model.control_move(step, &self.control)?;
        let all = self.meet(model, taken.requires, None);
        if !all {
            return None;
        }
        for (page, surplus) in self.pages.iter_mut().zip(&mut self.surplus) {
            *page = model.carry(step, &self.control, page);
            *surplus = if page.older == 0 { 0 } else { *surplus };
        }
        match step {
            ControlStep::Reconnect => self.noticed.clear(),
            ControlStep::Outage => self.noticed_outage = Some(BTreeSet::new()),
            _ => {}
        }
        self.control = taken.control;
        Some(())
    }

    fn take_page(&mut self, model: &Uncounted, step: PageStep, index: usize) -> Option<()> {
        let taken = model.page_move(step, &self.control, self.pages.get(index)?)?;
        if !self.meet(model, taken.requires, Some(index)) {
            return None;
        }
        self.control = taken.control;
        self.pages[index] = taken.page;
        Some(())
    }

    /// Do all pages, but one, meet the conditions?
    fn meet(&self, model: &Uncounted, required: Conditions, but: Option<usize>) -> bool {
        let mut others = self.pages.iter().enumerate().filter(|(index, _)| Some(*index) != but);
        required.is_empty() || others.all(|(_, page)| model.conditions(page).is_superset(required))
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
