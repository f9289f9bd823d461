//! After an interruption: a new connection, what is still needed, and what is known to be gone.
//!
//! ```text
//!   paused ── reconnect ──▶ the destination's resync is on its way ── the source has heard ──▶ the rest is sent
//!     ▲                          │
//!     └────────── cut ───────────┘
//! ```
//!
//! A reconnection is a new connection: nothing of an old one is ever accepted, and whoever has not noticed that the
//! old one is gone does so now. The source sends nothing on the new one before it has heard the resync, so each page
//! crosses at most once more for each of them.

use super::{AfterControl, AfterPage, freely, when};
use crate::condition::Condition;
use crate::control::{Control, Phase, Process};
use crate::defects::Defect;
use crate::disruption::{Aftermath, Connection, Leftover};
use crate::migration::Migration;
use crate::page::{Currency, Holding, Page, Plan, Transit};
use crate::strategy::Pre;
use crate::system::{Conditions, PageMove};

impl Migration {
    /// Not before the source has aborted an attempt that it can abort.
    pub(super) fn reconnect(&self, control: &Control) -> AfterControl {
        let Aftermath { connection, leftover, .. } = control.aftermath;
        if connection != Connection::Broken || control.aftermath.awaits_fence() || control.phase.can_abort() {
            return None;
        }
        let resyncs = matches!(control.phase, Phase::Committed | Phase::Running | Phase::Departing);
        let aftermath = Aftermath {
            connection: if resyncs { Connection::Resyncing } else { Connection::Up },
            leftover: if leftover == Leftover::InDoubt { leftover } else { Leftover::None },
            ..control.aftermath
        };
        freely(Control { message_lost: resyncs && control.message_lost, aftermath, ..*control })
    }

    /// The source hears the resync. One that has destroyed its process says so again; one that has committed says
    /// *go* again.
    pub(super) fn deliver_resync(&self, control: &Control) -> AfterControl {
        let resyncing = control.aftermath.connection == Connection::Resyncing;
        if !resyncing || self.is_broken(Defect::ResyncUnanswered) {
            return None;
        }
        let recoveries = control.aftermath.recoveries + 1;
        let aftermath = Aftermath { connection: Connection::Up, recoveries, ..control.aftermath };
        freely(Control { message_lost: false, aftermath, ..*control })
    }

    /// What the resync says of a page that the source owes: it is not there, and the process waits for it or not.
    pub(super) fn owe_again(&self, page: &mut Page) {
        let requested_since = page.request == Transit::Flying(());
        if page.request == Transit::Lost(()) && page.plan != Plan::FromStore {
            page.request = Transit::Idle;
        }
        if page.plan != Plan::FromSource {
            return;
        }
        if self.is_broken(Defect::LoseDiscardList) && matches!(self.strategy.pre, Pre::Copy(_)) {
            page.destination = Holding::Held(Currency::Stale);
            page.plan = Plan::Settled;
            return;
        }
        page.content = Transit::Idle;
        page.sent &= self.is_broken(Defect::BelieveInFlight);
        page.asked = page.waiting && !requested_since && !self.is_broken(Defect::ForgetDemandOnReconnect);
    }

    /// Word of a death.
    pub(super) fn fence(&self, control: &Control) -> AfterControl {
        let Aftermath { source_down, destination_down, .. } = control.aftermath;
        let interrupted = control.aftermath.connection == Connection::Broken;
        if self.is_broken(Defect::LostOnTimeOut) && interrupted && control.phase == Phase::Running {
            return freely(LOST);
        }
        match control.phase {
            Phase::Doomed => freely(LOST),
            Phase::Exiting if source_down || destination_down => freely(Control::GONE),
            Phase::Rest if destination_down => freely(back(control)),
            Phase::Forgotten if destination_down && !control.returning => {
                freely(back(&self.aborted(control)))
            }
            Phase::Running | Phase::Completing | Phase::Departing if source_down => {
                let next = back(&self.at_rest_again(control));
                if self.is_broken(Defect::IgnoreLoss) {
                    freely(next)
                } else {
                    when([Condition::Settled], next)
                }
            }
            _ => None,
        }
    }

    pub(super) fn settle_without_peer(&self, control: &Control, page: &mut Page) {
        match control.phase {
            Phase::Forgotten => self.thaw(control, page),
            Phase::Running | Phase::Completing | Phase::Departing => self.rotate(page),
            _ => {}
        }
    }

    /// The only place that had the page is dead.
    pub(super) fn declare_lost(&self, control: &Control, page: &Page) -> AfterPage {
        let owed = page.plan == Plan::FromSource || self.is_broken(Defect::HastyLost);
        if !control.aftermath.source_down || control.phase != Phase::Running || !owed {
            return None;
        }
        Some(PageMove { requires: Conditions::empty(), control: LOST, page: Page::GONE })
    }
}

const LOST: Control = Control { phase: Phase::Lost, process: Process::Lost, ..Control::GONE };

/// The dead machine is back, with nothing in it.
fn back(control: &Control) -> Control {
    let aftermath = Aftermath {
        source_down: false,
        destination_down: false,
        connection: Connection::Up,
        ..control.aftermath
    };
    Control { message_lost: false, aftermath, ..*control }
}
