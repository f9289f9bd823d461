//! What a migration costs: the endpoints of the reference under virtual time.
//!
//! [`run`] moves one process from one host to another, as a [`SimulationSetup`] says, and tells what it cost, as an [`SimulationOutcome`]:
//! time in each state of the process, faults and how long they stalled it, pages and bytes on the wire. The endpoints
//! are the ones that are held to the model step by step; here they get a clock, a network and a process:
//!
//! ```text
//!   process ── accesses ──▶ source ──▶ buffers, line ─┐              ┌─ line, window ──▶ destination
//!                                                     ├── latency ───┤
//!                        file server ──▶ buffers, line┘              └─ line ──▶ file server
//! ```
//!
//! * What takes time is said by a [`CostModel`]: lines at both ends, connections with buffers and windows, and the
//!   software, which works beside the lines.
//! * What has to be sent anyway (copies ahead of the suspension, pages that travel in the freeze, requested pages) is
//!   queued, up to the size of the send buffer. What nobody waits for (pushes, write-backs) is sent as long as the
//!   backlog allows: with none, when the line is idle, so that a requested page never finds more than one page ahead.
//! * Times between accesses are drawn, so that they do not keep step with pages; [`summary`] has means over seeds.
//! * Contents are elided. Endpoints never look into a page, so they decide as they would with contents, and
//!   [`run_with_contents`] shows it. A page message is as long as one with a page that cannot be compressed.
//! * Chance comes from the seed: the same setup gives the same outcome.
//!
//! [`paper`] holds it against the published tables, [`bounds`] against what the model allows; [`sweep`] varies one
//! parameter, [`report`] and [`figure`] show it.

pub mod advise;
pub mod bounds;
mod costs;
mod dirty_log;
pub mod figure;
mod mix;
mod network;
mod outcome;
pub mod paper;
mod process;
pub mod published;
pub mod report;
mod setup;
pub mod summary;
pub mod sweep;
pub mod units;
pub mod workload_file;
mod world;

pub use cost::{
    CONTENT_MESSAGE_OVERHEAD_BYTES, CostModel, Fraction, Framing, MESSAGE_HEADER_BYTES, Preset, ShareError,
};
pub use dirty_log::DirtyMarks;
pub use network::message_bytes;
pub use outcome::{Divergence, FaultCounts, PageCounts, SentCounts, SimulationOutcome, Span, Stalls};
pub use setup::{Intervals, SimulatedWorkload, SimulationSetup, SimulationSetupError, StopRule, Throttling};

use std::sync::Arc;

use protocol::ensemble::PlaceError;
use protocol::memory::{Accesses, Elided, Fault, Memory, PageStore};
use protocol::page::{Image, PAGE_SIZE};
use protocol::policy::{Contradiction, Freeze, Missing, Passes, Policy, Pre, Push, Stop};
use steplog::place::HostId;

use world::World;

/// The host from which the process moves.
pub const SOURCE: HostId = HostId(0);

/// The host to which it moves.
pub const DESTINATION: HostId = HostId(1);

/// Why there is no outcome.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SimulationError {
    /// Nothing that can be simulated.
    #[error(transparent)]
    Setup(#[from] SimulationSetupError),
    /// The choices of the algorithm contradict each other.
    #[error(transparent)]
    Unsupported(#[from] Contradiction),
    /// An endpoint refused what the protocol has it do: an error of the reference.
    #[error(transparent)]
    Endpoint(#[from] PlaceError),
    /// The process accessed something that is not there: an error of this simulation.
    #[error("the process faulted: {0}")]
    Fault(#[from] Fault),
    /// Nothing happens any more, and the migration is not over: an error of the reference.
    #[error("nothing happens any more after {now_ns} ns, and the migration is not over")]
    Stuck {
        /// When.
        now_ns: u64,
    },
    /// Whoever waits for it has waited long enough.
    #[error("given up when the migration had gone on for {:.3} s", *now_ns as f64 / 1e9)]
    OutOfTime {
        /// How far it had come.
        now_ns: u64,
    },
}

/// Whoever waits for a run.
pub trait Patience {
    /// Is told how far the run is, in virtual time and in pages sent; whether to give it up.
    fn is_out(&self, now_ns: u64, pages_sent: u64) -> bool;
}

/// Who waits for ever.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

impl Patience for Endless {
    fn is_out(&self, _: u64, _: u64) -> bool {
        false
    }
}

/// Simulates one migration.
///
/// # Errors
/// The setup makes no sense, or the endpoints do not do what they should.
pub fn run(setup: &SimulationSetup) -> Result<SimulationOutcome, SimulationError> {
    run_while(setup, &Endless)
}

/// The same, as long as somebody waits for it.
///
/// # Errors
/// As [`run`]; also if it is given up.
pub fn run_while(
    setup: &SimulationSetup,
    patience: &dyn Patience,
) -> Result<SimulationOutcome, SimulationError> {
    let pages = setup.page_count()?;
    let once =
        |setup: &SimulationSetup| simulate(setup, [Elided::loaded(pages), Elided::vacant(pages)], patience);
    let outcome = once(setup)?;
    match switched(setup, &outcome) {
        Some(setup) => once(&setup).map(|outcome| SimulationOutcome { switched: true, ..outcome }),
        None => Ok(outcome),
    }
}

/// The same with the contents of all pages, which takes their memory and time. The outcome is the same.
///
/// # Errors
/// As [`run`]; also if pages have another size than those of the reference.
pub fn run_with_contents(setup: &SimulationSetup) -> Result<SimulationOutcome, SimulationError> {
    let pages = setup.page_count()?;
    if setup.page_size_bytes != PAGE_SIZE as u64 {
        return Err(SimulationSetupError::ContentsOfOtherSize(setup.page_size_bytes).into());
    }
    simulate(setup, [PageStore::loaded(&setup.image()?), PageStore::vacant(pages)], &Endless)
}

/// The setting in which the process is resumed before what is left is sent, if the rule says so and the target is missed.
/// Up to the suspension the run is the same.
fn switched(setup: &SimulationSetup, outcome: &SimulationOutcome) -> Option<SimulationSetup> {
    let StopRule { downtime_ns, switch_to_post_copy, .. } = setup.stop;
    let copies = matches!(setup.policy.pre, Pre::Copy(_)) && setup.policy.freeze == Freeze::NotInStep;
    let met = match (outcome.freeze, downtime_ns) {
        (Span::Ns(_), Some(target_ns)) => {
            outcome.left_after_pass.last().is_some_and(|left| setup.frozen_ns(*left) <= target_ns)
        }
        (Span::Ns(_), None) => outcome.left_after_pass.last().is_some_and(|left| *left == 0),
        _ => false,
    };
    (switch_to_post_copy && copies && !met).then(|| {
        let policy = Policy {
            pre: Pre::Copy(Passes::AtMost(outcome.passes)),
            freeze: Freeze::None,
            missing: Missing::Source,
            push: Push::NextMissing,
            stop: Stop::Passes,
            ..setup.policy.clone()
        };
        SimulationSetup {
            policy,
            stop: StopRule { timeout_ns: None, downtime_ns: None, ..setup.stop },
            ..setup.clone()
        }
    })
}

fn simulate<M: Memory + Accesses>(
    setup: &SimulationSetup,
    memories: [M; 2],
    patience: &dyn Patience,
) -> Result<SimulationOutcome, SimulationError> {
    let image: Arc<Image> = Arc::new(setup.image()?);
    World::new(setup, &image, memories)?.run(patience)
}
