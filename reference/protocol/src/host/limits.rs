//! How much a host takes on, and how long it waits.

use serde::{Deserialize, Serialize};
use steplog::place::{Epoch, HostId, Place};

use super::{Host, Location};
use crate::destination::Destination;
use crate::memory::Memory;

/// Messages that may wait for the driver: four megabytes of pages, more than any send buffer takes at once.
pub const OUTBOX_MESSAGES_MAX_DEFAULT: usize = 1024;

/// How much a host takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostLimits {
    /// Messages that may wait for the driver. While so many do, no work is due that would add to them.
    pub outbox_messages_max: usize,
    /// Pages of a process that the host has room for when it resumes. A process that comes with more is refused.
    pub pages_at_resumption_max: Option<u64>,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self { outbox_messages_max: OUTBOX_MESSAGES_MAX_DEFAULT, pages_at_resumption_max: None }
    }
}

impl<M: Memory> Host<M> {
    /// Whether the process comes with more pages than there is room for.
    pub(super) fn lacks_room_for(&self, destination: &Destination) -> bool {
        let Some(max) = self.limits.pages_at_resumption_max else { return false };
        let Some(resident) = destination.resident() else { return false };
        let here = resident.pages.iter().filter(|record| record.location == Location::Here);
        here.count() as u64 > max
    }
}

/// How long a host waits for a peer before it gives the connection up. `None`: for ever.
///
/// A time-out comes after the time given here, and at most one tick later than twice that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Timeouts {
    /// Source: from the suspension of the process until the destination is ready, whatever it says meanwhile. The
    /// process stands still. Before the suspension: while messages to the destination wait for the driver.
    pub hand_over_ns: Option<u64>,
    /// Destination: from one sign of life of the source to the next, until everything that travels is here.
    pub arrival_ns: Option<u64>,
    /// Either, after that: from one sign of life to the next of a peer that owes an answer or a page.
    pub answer_ns: Option<u64>,
}

/// What a host waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// That the driver takes messages.
    Room,
    /// That the destination is ready.
    Readiness,
    /// Pages and state of a process that comes.
    Arrival,
    /// The answer of a peer.
    Answer,
}

/// For whom a host waits, for what, and in which migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub peer: HostId,
    pub what: Awaited,
    pub epoch: Epoch,
}

/// Counts from the beginning of a wait, or from the last sign of life of the peer that is waited for.
///
/// A sign of life is a message of that peer that changed something. What others say is none, nor what is ignored or merely
/// answered: anybody can say that at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timer {
    now_ns: u64,
    heard: bool,
    armed: Option<(Wait, u64)>,
}

impl Timer {
    /// A place said something that changed something.
    pub(crate) fn heard(&mut self, from: Place) {
        self.heard |= self.armed.is_some_and(|(wait, _)| {
            // A suspended process stands still, however talkative the destination is.
            wait.what != Awaited::Readiness && from == wait.peer.into()
        });
    }

    /// Time goes on. The peer for which the host has waited too long, if there is one.
    pub(crate) fn tick(&mut self, now_ns: u64, awaited: Option<(Wait, u64)>) -> Option<HostId> {
        self.now_ns = self.now_ns.max(now_ns);
        let heard = std::mem::take(&mut self.heard);
        let armed = std::mem::take(&mut self.armed);
        let (wait, limit_ns) = awaited?;
        match armed {
            Some((since, at_ns)) if !heard && since == wait => {
                if at_ns <= self.now_ns {
                    return Some(wait.peer);
                }
                self.armed = armed;
            }
            _ => self.armed = Some((wait, self.now_ns.saturating_add(limit_ns))),
        }
        None
    }

    /// When to tick at the latest.
    pub(crate) fn next_ns(&self, awaited: Option<(Wait, u64)>) -> Option<u64> {
        let (wait, limit_ns) = awaited?;
        match self.armed {
            Some((since, at_ns)) if since == wait => Some(at_ns),
            _ => Some(self.now_ns.saturating_add(limit_ns)),
        }
    }
}
