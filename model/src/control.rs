//! The control record: who runs, how far the migration is, which control message is in flight.
//!
//! ```text
//!                 ┌────────────────────────── the process is at the source ───────────────────────┐
//!                 │                                                                               │
//!   Rest ──migrate──▶ PreCopy ──suspend──▶ Freeze ──state──▶ Offered ──▶ Rebuilding ──ready──▶ Accepted
//!     ▲     └───────── without pre-copy ─────▲                                                     │
//!     │                                                                              commit: go    │
//!   finish                                                                                         ▼
//!     │                                                                                        Committed
//!  Departing ◀──destroyed── Completing ◀──complete── Running ◀──────────── resume ─────────────────┘
//!     │                                                 │
//!     └───── the process is at the destination ─────────┘    (lazy copy may migrate again from Running)
//! ```
//!
//! One-shot: Freeze ── state, go ──▶ Entrusted ──▶ Loading ── resume ──▶ Running. Without any hand-over the process resumes
//! from Rebuilding.
//!
//! Announced: Rest ── announcement ──▶ Announced ── expected ──▶ Expected ── begins ──▶ PreCopy or Freeze.
//!
//! Disruptions add three phases: *Forgotten*, from which the process thaws at the source; *Doomed* and *Lost*, from which
//! there is no way back ([`disruption`](crate::disruption) has the picture).
//!
//! The five steps that all algorithms share are edges here: *suspend* (migrate or suspend), *transmit*
//! (send state, and what the freeze sends), *reconstruct* (ready), *resume*, *remove* (destroy).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::disruption::Aftermath;

/// The state of the process, as the literature names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Process {
    /// Runs on one host, and no other host matters.
    Normal,
    /// Runs at the source while pages already travel, or while its dirty pages are written back.
    PreMigration,
    /// Suspended.
    Migration,
    /// Runs at the destination while pages are still owed.
    PostMigration,
    /// Has exited.
    Exited,
    /// Has been lost with a machine.
    Lost,
}

/// How far the migration is. At most one control message is in flight at a time, so the phase names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// No migration under way.
    Rest,
    /// Pages are copied while the process runs; passes count from 1.
    PreCopy {
        /// The pass under way; stays 1 where the number of passes is unbounded.
        pass: u8,
    },
    /// Suspended; the source sends or flushes what the freeze transfer demands.
    Freeze,
    /// The state without pages is on its way to the destination, the dirty map with it.
    Offered,
    /// The destination has the state and reconstructs the process.
    Rebuilding,
    /// The destination's *ready* is on its way to the source.
    Accepted,
    /// The source has committed: its *go* is on its way, and it never runs the process again.
    Committed,
    /// The process runs at the destination; the source only answers for what it owes.
    Running,
    /// The destination's *complete* is on its way: it needs the source no more.
    Completing,
    /// The source has destroyed its process; the word of it is on its way.
    Departing,
    /// The process has exited; the notice is on its way to the other host.
    Exiting,
    /// Nothing is left.
    Exited,
    /// The destination has forgotten the attempt, because it refused, gave the source up or crashed. Word of it is on
    /// its way, if there is any; the source goes on until it hears it or gives the destination up.
    Forgotten,
    /// The process died with a machine, and the other host has not been told.
    Doomed,
    /// The process is lost, and whoever survived it knows.
    Lost,
    /// One-shot: state and *go* are on their way in one message, and the source never runs the process again.
    Entrusted,
    /// One-shot: the destination has them, and reconstructs the process, which it resumes as soon as it can.
    Loading,
    /// The announcement of a migration is on its way to the destination.
    Announced,
    /// The destination's word that it expects the migration is on its way to the source.
    Expected,
}

impl Phase {
    /// Is the process, running or suspended, at the source? After the hand-over it is at the destination.
    pub fn at_source(self) -> bool {
        matches!(
            self,
            Phase::Rest
                | Phase::PreCopy { .. }
                | Phase::Freeze
                | Phase::Offered
                | Phase::Rebuilding
                | Phase::Accepted
                | Phase::Committed
                | Phase::Forgotten
                | Phase::Entrusted
                | Phase::Announced
                | Phase::Expected
        )
    }

    /// Is a migration under way that the source can still abort?
    pub fn can_abort(self) -> bool {
        self.at_source() && !matches!(self, Phase::Rest | Phase::Committed | Phase::Entrusted)
    }

    /// Has the source given the process up for good?
    pub fn committed(self) -> bool {
        let handed_over = matches!(self, Phase::Committed | Phase::Entrusted | Phase::Loading);
        handed_over || matches!(self, Phase::Running | Phase::Completing | Phase::Departing)
    }

    /// Is the process gone: exited, or dead with a machine?
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Exiting | Phase::Exited | Phase::Doomed | Phase::Lost)
    }

    /// Is a control message in flight?
    pub fn message_in_flight(self) -> bool {
        matches!(
            self,
            Phase::Offered
                | Phase::Accepted
                | Phase::Committed
                | Phase::Completing
                | Phase::Departing
                | Phase::Exiting
                | Phase::Forgotten
                | Phase::Entrusted
                | Phase::Announced
                | Phase::Expected
        )
    }

    /// Is a migration announced that has not begun?
    pub fn is_announced(self) -> bool {
        matches!(self, Phase::Announced | Phase::Expected)
    }
}

/// The control record of a state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Control {
    /// How far the migration is.
    pub phase: Phase,
    /// The state of the process.
    pub process: Process,
    /// The source's processor executes the process.
    pub source_runs: bool,
    /// The destination's processor executes the process.
    pub destination_runs: bool,
    /// The control message in flight was lost and will be sent again (lossy links, and after a reconnection).
    pub message_lost: bool,
    /// The code page under the instruction pointer went along with the state.
    pub code_page_sent: bool,
    /// The stack page under the stack pointer went along with the state.
    pub stack_page_sent: bool,
    /// The destination is the host that the process came from last: what moved is carried back to it.
    pub returning: bool,
    /// The operator has switched to post-copy: the freeze sends no page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub switched: bool,
    /// Acknowledged: the process runs at the destination, and the source has not heard so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
    /// What disruptions have left behind.
    #[serde(flatten)]
    pub aftermath: Aftermath,
}

impl Control {
    /// A process at rest in the given state.
    pub const fn at_rest(process: Process) -> Self {
        Control {
            phase: Phase::Rest,
            process,
            source_runs: true,
            destination_runs: false,
            message_lost: false,
            code_page_sent: false,
            stack_page_sent: false,
            returning: false,
            switched: false,
            unanswered: false,
            aftermath: Aftermath::NONE,
        }
    }

    /// The process has exited.
    pub const GONE: Control = Control {
        phase: Phase::Exited,
        process: Process::Exited,
        source_runs: false,
        destination_runs: false,
        message_lost: false,
        code_page_sent: false,
        stack_page_sent: false,
        returning: false,
        switched: false,
        unanswered: false,
        aftermath: Aftermath::NONE,
    };

    /// Does some host execute the process?
    pub fn runs(&self) -> bool {
        self.source_runs || self.destination_runs
    }
}

/// As derived, but for an aftermath without anything in it, and for what only real systems have.
impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut record = f.debug_struct("Control");
        record
            .field("phase", &self.phase)
            .field("process", &self.process)
            .field("source_runs", &self.source_runs)
            .field("destination_runs", &self.destination_runs)
            .field("message_lost", &self.message_lost)
            .field("code_page_sent", &self.code_page_sent)
            .field("stack_page_sent", &self.stack_page_sent)
            .field("returning", &self.returning);
        for (name, on) in [("switched", self.switched), ("unanswered", self.unanswered)] {
            if on {
                record.field(name, &on);
            }
        }
        if self.aftermath != Aftermath::NONE {
            record.field("aftermath", &self.aftermath);
        }
        record.finish()
    }
}
