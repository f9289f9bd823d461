//! How a log ends: nobody waits for anything, or it is unfinished.
//!
//! A run may stop where the process is at rest, has exited or is lost, and where it was left to run away from its pages
//! as lazy copy does. Everything else is the middle of something: who waits, and for what, is in the roster, in the
//! records of pages, and, over links that lose nothing, in what has been sent and has not arrived.

use model::disruption::Leftover;
use model::page::Plan;
use model::{Page, Phase};
use steplog::place::{Epoch, HostId, Place};

use super::follow::{Follower, is_held_at_process};
use super::objection::MessageName;

/// Somebody waits for something that the log does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences say what the fields are")]
pub enum Wait {
    /// There is no step at all.
    #[error("there is no step in it")]
    Nothing,
    /// A fault has not been served.
    #[error("the process on {on} waits for page {page}, which {asked} was asked for")]
    Page { on: HostId, page: u64, asked: Place },
    /// It is there, and nobody has been woken.
    #[error("page {page} is there on {on}, and whoever waits for it has not been woken")]
    Woken { on: HostId, page: u64 },
    /// The source has not come as far as the state.
    #[error("{from} has begun to move the process to {to} in {epoch} and has not sent its state{}", meanwhile(*.suspended))]
    State { from: HostId, to: HostId, epoch: Epoch, suspended: bool },
    /// The source has sent the state.
    #[error("{from} waits for *ready* from {to} in {epoch}; the process is suspended")]
    Ready { from: HostId, to: HostId, epoch: Epoch },
    /// The source has heard *ready*.
    #[error("{to} waits for *go* from {from} in {epoch}, which has heard *ready*; the process is suspended")]
    HandOver { from: HostId, to: HostId, epoch: Epoch },
    /// The destination has the state, or not even that.
    #[error("{on} waits for the process from {from} in {epoch}")]
    Process { on: HostId, from: HostId, epoch: Epoch },
    /// The destination has said *ready*.
    #[error(
        "{on} has said *ready* and waits for *go*, or for word that the process stays, from {from} in {epoch}"
    )]
    Go { on: HostId, from: HostId, epoch: Epoch },
    /// Nothing is missing, but the former hosts have not all answered.
    #[error("{on} waits for *destroyed* from {from} in {epoch}")]
    Destroyed { on: HostId, from: HostId, epoch: Epoch },
    /// The former host may still be needed.
    #[error("{on} keeps what is left of the process and waits for *complete* from {from} in {epoch}")]
    Complete { on: HostId, from: HostId, epoch: Epoch },
    /// The former host is not needed, and has not said that it is free.
    #[error("{on} has not destroyed what is left of the process from {epoch}")]
    Destruction { on: HostId, epoch: Epoch },
    /// The process has ended, and what it held has not been freed.
    #[error("the process has exited on {on}, which has not released it")]
    Release { on: HostId },
    /// A message is on its way.
    #[error("{0} has not arrived")]
    Message(MessageName),
    /// No state that the model can be in is one to stop in.
    #[error("the model can be in no state in which a run may end")]
    Model,
}

fn meanwhile(suspended: bool) -> &'static str {
    if suspended { "; the process is suspended" } else { "" }
}

impl Follower<'_> {
    /// Who waits at the end of the log, and for what; nobody where it is complete.
    pub(super) fn waits(&self, lines: usize) -> Vec<Wait> {
        if lines == 0 {
            return vec![Wait::Nothing];
        }
        let mut waits: Vec<_> = self.waiting_page().into_iter().chain(self.waiting_hosts()).collect();
        if waits.is_empty() {
            waits.extend(self.ledger.undelivered().map(Wait::Message));
        }
        // Of a process that is gone, and of which no host keeps anything, nothing is left to come.
        let over =
            self.roster.process.gone || self.reached.iter().any(|reached| self.may_end(&reached.state));
        if waits.is_empty() && !over {
            waits.push(Wait::Model);
        }
        waits
    }

    fn waiting_page(&self) -> Option<Wait> {
        let state = &self.reached.first()?.state;
        if state.control.phase.is_over() {
            return None;
        }
        let on = self.roster.process.at?;
        let is_waiting = |page: &Page| page.waiting;
        let in_all = |page: &usize| state.records(*page).iter().all(|record| is_waiting(&record.page));
        let page = state.representatives(is_waiting).into_iter().find(in_all)?;
        let migration = self.model.migration();
        let is_there = |page: &Page| is_held_at_process(state.control.phase, page);
        if state.records(page).iter().all(|record| is_there(&record.page)) {
            return Some(Wait::Woken { on, page: page as u64 });
        }
        let stored =
            state.records(page).iter().all(|record| migration.comes_from_store(&state.control, &record.page));
        let former = self.roster.process.formers.last().map(|(host, _)| Place::Host(*host));
        let asked = former.filter(|_| !stored).unwrap_or(Place::FileServer);
        Some(Wait::Page { on, page: page as u64, asked })
    }

    fn waiting_hosts(&self) -> Vec<Wait> {
        let process = &self.roster.process;
        let lazy = self.model.migration().strategy.is_lazy();
        let mut waits = Vec::new();
        for (&on, member) in &self.roster.members {
            if let Some(leaving) = member.leaving {
                let (from, to, epoch) = (on, leaving.to, leaving.epoch);
                waits.push(match (leaving.offered, leaving.ready) {
                    (false, _) => Wait::State { from, to, epoch, suspended: process.suspended },
                    (true, false) => Wait::Ready { from, to, epoch },
                    (true, true) => Wait::HandOver { from, to, epoch },
                });
            }
            if let Some(coming) = member.coming {
                let (from, epoch) = (coming.from, coming.epoch);
                waits.push(match coming.ready {
                    true => Wait::Go { on, from, epoch },
                    false => Wait::Process { on, from, epoch },
                });
            }
            match member.left {
                Some(left) if left.done.is_some() => waits.push(Wait::Destruction { on, epoch: left.epoch }),
                Some(left) if !lazy || process.gone => {
                    waits.push(Wait::Complete { on, from: left.to, epoch: left.epoch });
                }
                _ => {}
            }
        }
        if let Some(on) = process.at.filter(|_| !process.gone) {
            let awaited = process.awaited.iter().flatten();
            waits.extend(awaited.map(|(from, epoch)| Wait::Destroyed { on, from: *from, epoch: *epoch }));
            waits.extend(process.exited.then_some(Wait::Release { on }));
        }
        waits
    }

    fn may_end(&self, state: &super::population::Population) -> bool {
        let control = &state.control;
        let settled = match control.phase {
            Phase::Exited | Phase::Lost => return true,
            Phase::Rest => control.aftermath.leftover != Leftover::InDoubt,
            Phase::Departing => self.roster.departure_unseen,
            Phase::Running if self.model.migration().strategy.is_lazy() => true,
            // Nobody says that it is complete, so it is where nothing is owed.
            Phase::Running | Phase::Completing => {
                let owed = |page: &Page| matches!(page.plan, Plan::FromSource | Plan::FromThird);
                self.roster.departure_unseen && state.can_all(|page| !owed(page))
            }
            _ => false,
        };
        settled && state.can_all(|page| !page.waiting)
    }
}
