//! What the operator of a host does: suspend the process when that makes sense; and when there is
//! room for what the endpoint has to do.

use std::time::{Duration, Instant};

use protocol::host::{Role, Suspension, Task, Work};
use protocol::memory::Memory as _;
use protocol::policy::{Passes, Pre};
use protocol::source::Source;
use protocol::wire::REGISTERS_LEN_MAX;
use steplog::place::Place;

use super::{Driver, wall_clock_ns};
use crate::aside::DriverMessage;
use crate::judge::Judge;
use crate::status::MigrationMoment;
use crate::subject::{Stopped, SubjectError};

/// Tasks that are looked at for one that has room. More of them wait for the same place.
const TASKS_LOOKED_AT: usize = 64;

/// The registers begin with this where they are the whole state, and with this where it was said beside them.
const WHOLE: u8 = 0;
const APART: u8 = 1;

/// When a thread is stopped the kernel itself writes to its restartable sequences, and a call that was interrupted says how much of
/// its time is left. So few pages are brought into step while the process stands still: it would write them at the next stop again.
const WRITTEN_BY_STOP_MAX: usize = 16;

/// For how long at most.
const HELD_MAX: Duration = Duration::from_secs(1);

/// How long a process may stand still for its judge.
const JUDGE_PATIENCE: Duration = Duration::from_secs(10);

/// Work done in one turn at most, so that what arrives is heard in between.
const WORK_MAX: usize = 64;

impl Driver {
    /// Suspends the process as soon as that makes sense.
    pub(super) fn operate(&mut self) {
        self.look_after_held();
        if self.unfit {
            self.unfit = false;
            let refused = self.host.refuse();
            self.note_error("a refusal", refused);
        }
        let Role::Source(Source::PreMigration(pre)) = self.host.role() else { return };
        if self.host.policy().pre == Pre::WriteBack && !self.awaited.is_over() {
            return;
        }
        if pre.pass.as_ref().is_some_and(|pass| !pass.due.is_empty()) || !self.host.is_connected(pre.route.to)
        {
            return;
        }
        let passes_left = match (self.host.policy().pre, &pre.pass) {
            (Pre::Copy(Passes::AtMost(passes)), Some(pass)) => {
                pass.number < passes && self.host.is_due(Work::BeginPass)
            }
            _ => false,
        };
        if passes_left || self.host.check_suspension().is_err() {
            return;
        }
        self.suspend();
    }

    fn suspend(&mut self) {
        let stopped = match self.held.take() {
            Some(stopped) => Ok(stopped),
            None => {
                self.stopped_at = Some(Instant::now());
                self.handle.status.lock().mark(MigrationMoment::Stopped, wall_clock_ns());
                self.subject.lock().stop()
            }
        };
        // What it did up to now comes before its suspension.
        self.observe();
        if let Ok(stopped) = &stopped
            && self.host.check_suspension().is_err()
        {
            // It has written since it was last looked at, in an algorithm that waits until everything is in step.
            let written = self.subject.lock().written_pages().map_or(usize::MAX, |pages| pages.len());
            self.held = (written <= WRITTEN_BY_STOP_MAX).then(|| stopped.clone());
            if self.held.is_none() {
                self.let_go();
            }
            self.collect();
            return;
        }
        let suspended = stopped.map_err(|error| error.to_string()).and_then(
            |Stopped { state, code_page, stack_page }| {
                let registers = self.pack(state)?;
                let suspension = Suspension { registers, code_page, stack_page, switched: false };
                self.host.suspend(suspension).map_err(|error| error.to_string())
            },
        );
        let Err(reason) = suspended else {
            self.collect();
            return;
        };
        tracing::error!(session = %self.session, reason, "the process cannot be suspended; it runs on here");
        self.handle.status.lock().error = Some(reason);
        let cancelled = self.host.cancel();
        self.note_error("a cancellation", cancelled);
        self.go_on();
        self.collect();
    }

    /// The process was stopped, and is not to be suspended after all.
    fn let_go(&mut self) {
        (self.held, self.stopped_at) = (None, None);
        if let Err(error) = self.subject.clone().thaw() {
            tracing::error!(session = %self.session, %error, "the process cannot go on here");
            self.handle.status.lock().error = Some(error.to_string());
        }
    }

    /// A process that stands still for the last pages goes on if that takes too long, or comes to nothing.
    fn look_after_held(&mut self) {
        let waits = matches!(self.host.role(), Role::Source(Source::PreMigration(_)))
            && self.stopped_at.is_some_and(|at| at.elapsed() < HELD_MAX);
        if self.held.is_some() && !waits {
            self.let_go();
        }
    }

    /// The state as registers of the protocol. What is too much for those is said at once, and they hold its checksum.
    fn pack(&mut self, state: Vec<u8>) -> Result<Vec<u8>, String> {
        if state.len() < REGISTERS_LEN_MAX {
            return Ok([&[WHOLE], &state[..]].concat());
        }
        let Role::Source(source) = self.host.role() else { return Err("the process is not here".to_owned()) };
        let to = source.route().map(|route| Place::Host(route.to));
        let channel = to.and_then(|to| self.peers.channel_mut(to)).ok_or("there is no connection")?;
        let registers = checksum(&state);
        channel.aside(&DriverMessage::State(state)).map_err(|error| error.to_string())?;
        Ok(registers)
    }

    /// The state that came, from the registers and what was said beside them.
    pub(super) fn unpack(&mut self) -> Result<Vec<u8>, SubjectError> {
        let registers =
            self.host.role().resident().map(|resident| resident.registers.clone()).unwrap_or_default();
        let unfit = |reason: &str| SubjectError::Unfit(reason.to_owned());
        match registers.split_first() {
            Some((&WHOLE, state)) => Ok(state.to_vec()),
            Some((&APART, _)) => {
                let state = self.state.take().ok_or_else(|| unfit("a part of it is missing"))?;
                if checksum(&state) == registers {
                    Ok(state)
                } else {
                    Err(unfit("a part of it is of another state"))
                }
            }
            _ => Err(unfit("no state")),
        }
    }

    /// The process runs on here, if it was stopped.
    pub(super) fn go_on(&mut self) {
        if self.host.is_running() {
            self.let_go();
        }
    }

    /// A migration that has left the model is called off, as long as it can be.
    pub(super) fn heed_judge(&mut self) {
        let Some(reason) = self.judge.as_ref().and_then(Judge::objection) else { return };
        let under_way = matches!(
            self.host.role(),
            Role::Source(Source::PreMigration(_) | Source::Frozen(_) | Source::Offered(_))
        );
        if under_way && self.handle.status.lock().judged.is_none() {
            tracing::error!(session = %self.session, reason, "the migration has left the model");
            self.handle.status.lock().judged = Some(format!("rejected: {reason}"));
            let cancelled = self.host.cancel();
            self.note_error("a cancellation", cancelled);
            self.go_on();
            self.collect();
        }
    }

    /// Whether the judge, if there is one, has heard all that leads to the hand-over and objects to nothing. One that takes too long is no
    /// judge.
    fn is_judged(&mut self) -> bool {
        let Some(judge) = &self.judge else { return true };
        if judge.objection().is_none() && judge.has_caught_up() {
            return true;
        }
        let since = *self.judge_awaited.get_or_insert_with(Instant::now);
        if judge.objection().is_none() && since.elapsed() > JUDGE_PATIENCE {
            self.handle.status.lock().judged = Some("not judged: it does not keep up".to_owned());
            let cancelled = self.host.cancel();
            self.note_error("a cancellation", cancelled);
            self.go_on();
            self.collect();
        }
        false
    }

    /// Lets the endpoint do what is due and has room. True when it could do more at once.
    pub(super) fn work(&mut self) -> bool {
        for _ in 0..WORK_MAX {
            let has_room = |task: &Task| match (task.work, task.page_to) {
                // What is waited for does not wait for room.
                (Work::Serve(_), _) | (_, None) => true,
                // A suspended process waits for no page but for all of them.
                (Work::Transfer(_), Some(place)) => self.peers.takes_more(place),
                (_, Some(place)) => self.peers.has_room(place),
            };
            let task = self
                .host
                .tasks()
                .take(TASKS_LOOKED_AT)
                .filter(|task| !(self.drains && matches!(task.work, Work::WriteBack(_))))
                .find(has_room);
            let Some(task) = task else { return false };
            if task.work == Work::HandOver && !self.is_judged() {
                return true;
            }
            if task.work == Work::HandOver
                && let Err(error) = { self.subject.lock().part() }
            {
                tracing::error!(session = %self.session, %error, "the process cannot be handed over");
                let cancelled = self.host.cancel();
                self.note_error("a cancellation", cancelled);
                self.collect();
                continue;
            }
            let performed = self.host.perform(task.work);
            if !self.note_error("work", performed) {
                return false;
            }
            self.collect();
            if task.work == Work::HandOver {
                // Pages that follow would be sealed together with it, and *go* would have arrived when they have.
                self.flush();
            }
        }
        true
    }
}

fn checksum(state: &[u8]) -> Vec<u8> {
    let len = (state.len() as u64).to_le_bytes();
    [&[APART], &len[..], &crc32fast::hash(state).to_le_bytes()].concat()
}
