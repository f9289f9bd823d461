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

use super::{AfterControl, AfterPage, to};
use crate::condition::Condition;
use crate::control::{Control, Phase, Process};
use crate::disruption::{Aftermath, Connection, Leftover};
use crate::migration::Migration;
use crate::page::{Holding, Page, Plan, Transit};
use crate::system::{Conditions, PageMove};

impl Migration {
    /// Not before the source has aborted an attempt that it can abort.
    pub(crate) fn reconnect(&self, control: &Control) -> AfterControl {
        let Aftermath { connection, leftover, .. } = control.aftermath;
        let waits =
            self.can_still_abort(control.phase) || matches!(control.phase, Phase::Entrusted | Phase::Loading);
        if connection != Connection::Broken || control.aftermath.awaits_fence() || waits {
            return None;
        }
        let resyncs = matches!(control.phase, Phase::Committed | Phase::Running | Phase::Departing);
        let aftermath = Aftermath {
            connection: if resyncs { Connection::Resyncing } else { Connection::Up },
            leftover: if leftover == Leftover::InDoubt { leftover } else { Leftover::None },
            ..control.aftermath
        };
        Some(to(Control { message_lost: resyncs && control.message_lost, aftermath, ..*control }))
    }

    /// The source hears the resync. One that has destroyed its process says so again; one that has committed says
    /// *go* again.
    pub(crate) fn deliver_resync(&self, control: &Control) -> AfterControl {
        let recoveries = control.aftermath.recoveries + 1;
        let aftermath = Aftermath { connection: Connection::Up, recoveries, ..control.aftermath };
        let heard = Control { message_lost: false, unanswered: false, aftermath, ..*control };
        let heard = to(heard).each(Migration::owe_again);
        (control.aftermath.connection == Connection::Resyncing).then_some(heard)
    }

    /// What the resync says of a page that the source owes: it is not there, and the process waits for it or not.
    fn owe_again(&self, _: &Control, page: &mut Page) {
        let requested_since = page.request == Transit::Flying(());
        if page.request == Transit::Lost(()) && page.plan != Plan::FromStore {
            page.request = Transit::Idle;
        }
        if page.plan == Plan::FromSource {
            page.content = Transit::Idle;
            page.sent = false;
            page.asked = page.waiting && !requested_since;
        }
    }

    /// Word of a death.
    pub(crate) fn fence(&self, control: &Control) -> AfterControl {
        let Aftermath { source_down, destination_down, .. } = control.aftermath;
        match control.phase {
            Phase::Doomed => Some(to(LOST)),
            Phase::Exiting if source_down || destination_down => Some(to(Control::GONE)),
            Phase::Rest if destination_down => Some(to(back(control))),
            Phase::Forgotten if destination_down && !control.returning => {
                Some(to(back(&self.aborted(control))).each(Migration::thaw))
            }
            Phase::Running | Phase::Completing | Phase::Departing if source_down => {
                let aftermath = control.aftermath.at_rest_again();
                let alone = Control { aftermath, ..Control::at_rest(self.strategy.resting()) };
                Some(to(back(&alone)).when(Condition::Settled).each(Migration::leave_peer))
            }
            _ => None,
        }
    }

    /// The peer is needed no more, and all that came from it is void.
    pub(crate) fn leave_peer(&self, control: &Control, page: &mut Page) {
        self.rotate(control, page);
        page.stray = Holding::Absent;
    }

    /// The only place that had the page is dead.
    pub(crate) fn declare_lost(&self, control: &Control, page: &Page) -> AfterPage {
        let owed = page.plan == Plan::FromSource && !self.can_fall_back(page);
        if !control.aftermath.source_down || control.phase != Phase::Running || !owed {
            return None;
        }
        Some(PageMove { requires: Conditions::empty(), control: LOST, page: Page::GONE })
    }
}

pub(crate) const LOST: Control = Control { phase: Phase::Lost, process: Process::Lost, ..Control::GONE };

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
