//! An attempt ends before its commit: the process thaws at the source, and the destination forgets.
//!
//! ```text
//!   source       frozen ─ cancel, time-out, refusal ─▶ thaws, runs on; says cancel
//!   destination  receiving ── cancel, lost connection ──▶ forgets
//!                ready ────── in doubt ── cancel only ──▶ forgets
//! ```
//!
//! What the attempt has marked as sent counts for nothing. Where no connection broke, its messages are still on
//! their way; they carry its epoch, and whoever has moved on ignores them. A destination in doubt decides nothing
//! alone: the source may have committed.

use super::agreement::perishes;
use super::{AfterControl, AfterPage, Taken, alone, to};
use crate::condition::Condition;
use crate::control::{Control, Phase, Process};
use crate::disruption::{Aftermath, Connection, Leftover};
use crate::migration::{Link, Migration};
use crate::page::{Currency, DirtyLog, Holding, Page, Plan, Transit};

impl Migration {
    /// The operator's cancel. After the commit it is answered with *too late*, which changes nothing.
    pub(crate) fn cancel(&self, control: &Control) -> AfterControl {
        match control.phase {
            Phase::Rest => None,
            phase if phase.can_abort() => Some(self.aborts(control)),
            _ => Some(self.cancel_late(control)),
        }
    }

    /// The destination could say *ready*, or that it expects the migration, and says that it will not.
    pub(crate) fn refuse(&self, control: &Control) -> AfterControl {
        match control.phase {
            Phase::Rebuilding => Some(forgets(control).when(Condition::Arrived)),
            Phase::Loading => Some(perishes().when(Condition::Arrived)),
            Phase::Announced if !control.message_lost => Some(forgets(control)),
            _ => None,
        }
    }

    /// The source takes the destination for dead, and is wrong.
    pub(crate) fn suspect_destination(&self, control: &Control) -> AfterControl {
        match control.phase {
            Phase::Rest => None,
            phase if phase.can_abort() => Some(self.aborts(control)),
            _ => self.cut(control),
        }
    }

    /// The destination takes the source for dead, and is wrong.
    pub(crate) fn suspect_source(&self, control: &Control) -> AfterControl {
        match control.phase {
            Phase::Rest | Phase::Forgotten | Phase::Announced => None,
            phase if is_before_ready(phase) => Some(forgets(control)),
            _ => self.cut(control),
        }
    }

    /// The source hears of the refusal, or has lost the connection.
    pub(crate) fn abort(&self, control: &Control) -> AfterControl {
        let broken = control.aftermath.connection == Connection::Broken;
        let told = control.phase == Phase::Forgotten && !control.message_lost;
        (self.can_still_abort(control.phase) && (told || broken)).then_some(self.aborts(control))
    }

    fn aborts(&self, control: &Control) -> Taken {
        to(self.aborted(control)).each(Migration::thaw)
    }

    /// Back to where the attempt began: at rest, or, where lazy copy moved on with pages elsewhere, in
    /// Post-migration.
    pub(super) fn aborted(&self, control: &Control) -> Control {
        let (leftover, old_ready) = left_behind(control);
        let aftermath = Aftermath { leftover, old_ready, ..control.aftermath.for_next_attempt() };
        match control.returning {
            false => Control { aftermath, ..Control::at_rest(self.strategy.resting()) },
            true => Control {
                phase: Phase::Running,
                source_runs: false,
                destination_runs: true,
                returning: control.aftermath.began_returned,
                // The roles of before the attempt: its destination is the source again.
                aftermath: Aftermath {
                    source_down: aftermath.destination_down,
                    destination_down: aftermath.source_down,
                    ..aftermath
                },
                ..Control::at_rest(Process::PostMigration)
            },
        }
    }

    /// What an abort does to a page.
    pub(super) fn thaw(&self, control: &Control, page: &mut Page) {
        self.forsake(control, page);
        if control.returning {
            // What the process's host holds is settled there; what it lacks, the other host owes it again.
            let owed = !page.source.is_held();
            *page = Page {
                source: page.destination,
                destination: page.source,
                plan: if owed { Plan::FromSource } else { Plan::Settled },
                ..*page
            };
        }
    }

    /// What is left of a page's part in an attempt that the destination has forgotten, or will.
    pub(super) fn forsake(&self, control: &Control, page: &mut Page) {
        if control.has_not_begun(&self.strategy) {
            return;
        }
        let owed_by_destination = control.returning && !page.source.is_held();
        *page = Page {
            destination: if owed_by_destination { page.destination } else { Holding::Absent },
            log: DirtyLog::InStep,
            plan: Plan::Undecided,
            sent: false,
            stray: strays(control, page),
            content: Transit::Idle,
            older: 0,
            echo: Holding::Absent,
            crossings: 0,
            ..*page
        };
    }

    /// The source of a forgotten attempt sends on until it hears of it.
    pub(crate) fn send_in_vain(&self, control: &Control, page: &Page) -> AfterPage {
        let copies = self.strategy.copies() && control.process == Process::PreMigration;
        let sends = copies || control.process == Process::Migration;
        let nothing_moved = self.strategy.is_lazy() && !control.returning;
        let in_vain = control.phase == Phase::Forgotten && control.aftermath.is_connected();
        if !in_vain || !sends || nothing_moved || !page.source.is_held() {
            return None;
        }
        alone(control, Page { stray: page.stray.oldest(page.source), ..*page })
    }

    /// A page message of an aborted attempt arrives. Its epoch is not the one expected.
    pub(crate) fn deliver_stray(&self, control: &Control, page: &Page) -> AfterPage {
        let next = Page { stray: Holding::Absent, ..*page };
        if page.stray.is_held() { alone(control, next) } else { None }
    }

    /// *Cancel* arrives, or the first message of a later attempt, which is as good; on a FIFO link behind whatever
    /// was sent before.
    pub(crate) fn deliver_cancel(&self, control: &Control) -> AfterControl {
        let Aftermath { leftover, .. } = control.aftermath;
        let ahead = leftover == Leftover::Offered && self.link == Link::Fifo;
        if leftover == Leftover::None || !control.aftermath.is_connected() || ahead {
            return None;
        }
        Some(self.behind_strays(with_leftover(control, Leftover::None)))
    }

    /// The state of an aborted attempt arrives before the cancel.
    pub(crate) fn deliver_old_state(&self, control: &Control) -> AfterControl {
        let offered = control.aftermath.leftover == Leftover::Offered && control.aftermath.is_connected();
        offered.then_some(self.behind_strays(with_leftover(control, Leftover::Rebuilding)))
    }

    /// The destination of an aborted attempt has all it needs, and says *ready* to a source that has moved on.
    pub(crate) fn send_old_ready(&self, control: &Control) -> AfterControl {
        if control.aftermath.leftover != Leftover::Rebuilding {
            return None;
        }
        let old_ready = control.aftermath.connection != Connection::Broken;
        let aftermath = Aftermath { leftover: Leftover::InDoubt, old_ready, ..control.aftermath };
        Some(self.behind_strays(Control { aftermath, ..*control }))
    }

    /// The source is in another epoch than that *ready*, or in none.
    pub(crate) fn deliver_old_ready(&self, control: &Control) -> AfterControl {
        let aftermath = Aftermath { old_ready: false, ..control.aftermath };
        control.aftermath.old_ready.then_some(to(Control { aftermath, ..*control }))
    }

    /// A destination that has not said *ready* gives up an attempt whose connection is lost.
    pub(crate) fn forget(&self, control: &Control) -> AfterControl {
        if control.aftermath.connection != Connection::Broken || control.aftermath.destination_down {
            return None;
        }
        if is_before_ready(control.phase) {
            return Some(forgets(control));
        }
        match control.aftermath.leftover {
            Leftover::Expecting | Leftover::Receiving | Leftover::Offered | Leftover::Rebuilding => {
                Some(to(with_leftover(control, Leftover::None)))
            }
            Leftover::None | Leftover::InDoubt => None,
        }
    }

    fn behind_strays(&self, next: Control) -> Taken {
        if self.link == Link::Fifo { to(next).when(Condition::NoStray) } else { to(next) }
    }
}

/// Can the destination still forget the attempt on its own?
pub(super) fn is_before_ready(phase: Phase) -> bool {
    phase.can_abort() && !matches!(phase, Phase::Accepted | Phase::Forgotten | Phase::Announced)
}

/// The destination has forgotten the attempt, and all earlier ones; word of it goes to the source.
pub(super) fn forgets(control: &Control) -> Taken {
    let forgotten = Control {
        code_page_sent: false,
        stack_page_sent: false,
        aftermath: Aftermath { leftover: Leftover::None, ..control.aftermath },
        ..*control
    };
    to(forgotten.saying(Phase::Forgotten)).each(Migration::forsake)
}

pub(crate) fn with_leftover(control: &Control, leftover: Leftover) -> Control {
    Control { aftermath: Aftermath { leftover, ..control.aftermath }, ..*control }
}

/// What the destination has of an attempt that is aborted now, and whether its *ready* is on its way.
fn left_behind(control: &Control) -> (Leftover, bool) {
    let Aftermath { leftover: earlier, old_ready, .. } = control.aftermath;
    if earlier != Leftover::None {
        // It has not taken up this attempt: the earlier one comes first.
        return (earlier, old_ready);
    }
    match control.phase {
        Phase::Announced | Phase::Expected => (Leftover::Expecting, old_ready),
        Phase::PreCopy { .. } | Phase::Freeze => (Leftover::Receiving, old_ready),
        Phase::Offered if control.message_lost => (Leftover::Receiving, old_ready),
        Phase::Offered => (Leftover::Offered, old_ready),
        Phase::Rebuilding => (Leftover::Rebuilding, old_ready),
        Phase::Accepted => (Leftover::InDoubt, old_ready || !control.message_lost),
        Phase::Committed => (Leftover::InDoubt, old_ready),
        _ => (Leftover::None, old_ready),
    }
}

/// The messages with the page's content that the attempt leaves on a link that does not break.
fn strays(control: &Control, page: &Page) -> Holding {
    if !control.aftermath.is_connected() {
        return Holding::Absent;
    }
    let newest = match page.content {
        Transit::Flying(content) => Holding::Held(content),
        Transit::Idle | Transit::Lost(_) => Holding::Absent,
    };
    let older = if page.older > 0 { Holding::Held(Currency::Stale) } else { Holding::Absent };
    page.stray.oldest(newest).oldest(older).oldest(page.echo)
}
