//! What a migration costs: the endpoints of the reference under virtual time.
//!
//! [`run`] moves one process from one host to another, as a [`Setup`] says, and tells what it cost, as an [`Outcome`]:
//! time in each state of the process, faults and how long they stalled it, pages and bytes on the wire. The endpoints
//! are the ones that are held to the model step by step; here they get a clock, a network and a process:
//!
//! ```text
//!   process ── accesses ──▶ source ──▶ interface ─┐              ┌─ interface ◀── destination
//!                                                 ├── latency ───┤
//!                        file server ──▶ interface┘
//! ```
//!
//! * Endpoints take no time; messages do. What a place sends leaves through its one interface, in order, and arrives a
//!   latency later.
//! * What has to be sent anyway (copies ahead of the suspension, pages that travel in the freeze, requested pages) is
//!   queued, up to the size of the send buffer. What nobody waits for (pushes, write-backs) is sent when the interface
//!   is idle, so that a requested page never finds more than one page ahead of it.
//! * Contents are elided. Endpoints never look into a page, so they decide as they would with contents, and
//!   [`run_with_contents`] shows it. A page message is as long as one with a page that cannot be compressed.
//! * Chance comes from the seed: the same setup gives the same outcome.
//!
//! [`paper`] holds it against the published tables, [`bounds`] against what the model allows; [`sweep`] varies one
//! parameter, [`report`] and [`figure`] show it.

pub mod bounds;
mod costs;
pub mod figure;
mod interface;
mod outcome;
pub mod paper;
mod process;
pub mod report;
mod setup;
pub mod sweep;
pub mod units;
mod world;

pub use interface::{CONTENT_MESSAGE_OVERHEAD_BYTES, message_bytes};
pub use outcome::{Divergence, Faults, Outcome, Pages, Sent, Span};
pub use setup::{Setup, SetupError, Share, ShareError, Workload};

use std::sync::Arc;

use protocol::error::Error;
use protocol::host::Host;
use protocol::memory::{Accesses, Elided, Fault, Memory, PageStore};
use protocol::page::{Image, PAGE_SIZE};
use protocol::policy::Contradiction;
use steplog::place::{HostId, Place};

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
    Setup(#[from] SetupError),
    /// The choices of the algorithm contradict each other.
    #[error(transparent)]
    Unsupported(#[from] Contradiction),
    /// An endpoint refused what the protocol has it do: an error of the reference.
    #[error("{place}: {error}")]
    Endpoint {
        /// Which one.
        place: Place,
        /// What it said.
        error: Error,
    },
    /// The process accessed something that is not there: an error of this simulation.
    #[error("the process faulted: {0}")]
    Fault(#[from] Fault),
    /// Nothing happens any more, and the migration is not over: an error of the reference.
    #[error("nothing happens any more after {now_ns} ns, and the migration is not over")]
    Stuck {
        /// When.
        now_ns: u64,
    },
}

/// Simulates one migration.
///
/// # Errors
/// The setup makes no sense, or the endpoints do not do what they should.
pub fn run(setup: &Setup) -> Result<Outcome, SimulationError> {
    let pages = setup.page_count()?;
    simulate(setup, Elided::loaded(pages), Elided::vacant(pages))
}

/// The same with the contents of all pages, which takes their memory and time. The outcome is the same.
///
/// # Errors
/// As [`run`]; also if pages have another size than those of the reference.
pub fn run_with_contents(setup: &Setup) -> Result<Outcome, SimulationError> {
    let pages = setup.page_count()?;
    if setup.page_size_bytes != PAGE_SIZE as u64 {
        return Err(SetupError::ContentsOfOtherSize(setup.page_size_bytes).into());
    }
    simulate(setup, PageStore::loaded(&setup.image()?), PageStore::vacant(pages))
}

fn simulate<M: Memory + Accesses>(setup: &Setup, here: M, there: M) -> Result<Outcome, SimulationError> {
    let image: Arc<Image> = Arc::new(setup.image()?);
    let source = Host::occupied(SOURCE, setup.policy.clone(), Arc::clone(&image), here)?;
    let destination = Host::vacant(DESTINATION, setup.policy.clone(), Arc::clone(&image), there)?;
    World::new(setup, &image, [source, destination]).run()
}
