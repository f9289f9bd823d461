//! What can go wrong in an endpoint, and whose fault it is.
//!
//! A step that returns an error has not happened: the endpoint is as it was. The one exception is a
//! [`LocalFault`](Error::LocalFault), after which it has failed for good and says so.

use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use crate::memory::MemoryError;
use crate::policy::Contradiction;
use crate::work::Work;

/// Why a step did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another place broke the protocol. Its message was not applied.
    #[error("{peer} misbehaved: {what}")]
    PeerMisbehaved {
        /// Which place.
        peer: Place,
        /// What it did.
        what: Misbehaviour,
    },
    /// This host cannot go on.
    #[error("fault on this host: {0}")]
    LocalFault(#[from] LocalFault),
    /// The process could not be stopped, and runs on. Nothing has changed.
    #[error("the process was not suspended: {0}")]
    NotSuspended(MemoryError),
    /// The operator, the process or the driver asked for something that is not possible now.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The policy asks for a combination that is not an algorithm.
    #[error("unsupported: {0}")]
    Unsupported(#[from] Contradiction),
}

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misbehaviour {
    /// The message belongs to a migration that this place knows nothing of.
    #[error("{kind:?} message of {epoch}, the latest known is {known}")]
    UnknownEpoch {
        /// What it sent.
        kind: MessageKind,
        /// Of which migration.
        epoch: Epoch,
        /// The latest migration known here.
        known: Epoch,
    },
    /// The message is not from whom it should be.
    #[error("{kind:?} message from a place that has no part in it")]
    NotThePeer {
        /// What it sent.
        kind: MessageKind,
    },
    /// The message comes before its time, or is never sent to such a place.
    #[error("{kind:?} message where none is due")]
    Unexpected {
        /// What it sent.
        kind: MessageKind,
    },
    /// There is no such page.
    #[error("{page} of {page_count}")]
    PageOutOfRange {
        /// Which page.
        page: PageNumber,
        /// Number of pages.
        page_count: u64,
    },
    /// The page is neither owed by the one who sent it nor by the one who is asked for it.
    #[error("{kind:?} message about {page}, which is not owed")]
    NotOwed {
        /// What it sent.
        kind: MessageKind,
        /// Which page.
        page: PageNumber,
    },
    /// A sequence number or version that was never given out.
    #[error("{kind:?} message about {page} with number {number}, the latest is {latest}")]
    NumberAhead {
        /// What it sent.
        kind: MessageKind,
        /// Which page.
        page: PageNumber,
        /// Sequence number or version.
        number: u64,
        /// The latest that can be.
        latest: u64,
    },
    /// The file server serves older content than it acknowledged.
    #[error("{page} in version {served} although {acknowledged} was acknowledged")]
    StoreWentBack {
        /// Which page.
        page: PageNumber,
        /// The version served.
        served: u64,
        /// The version acknowledged.
        acknowledged: u64,
    },
    /// The plan covers another number of pages.
    #[error("a plan for {planned} pages, there are {page_count}")]
    PlanSize {
        /// Pages in the plan.
        planned: u64,
        /// Pages there are.
        page_count: u64,
    },
    /// The plan contradicts itself or what is known here about a page.
    #[error("the plan for {page} cannot be")]
    PlanContradiction {
        /// Which page.
        page: PageNumber,
    },
    /// It calls off a migration that it has committed itself to.
    #[error("cancel after the process was handed over")]
    CancelAfterGo,
    /// It declared the migration complete while pages are owed.
    #[error("complete although {owed} pages are owed")]
    StillOwed {
        /// How many.
        owed: usize,
    },
}

/// What is wrong with this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalFault {
    /// Its memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A counter is exhausted.
    #[error("the counter of {0} is exhausted")]
    CounterExhausted(PageNumber),
    /// It failed earlier.
    #[error("the endpoint has failed")]
    Failed,
}

/// What is not possible now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The process does not run here.
    #[error("the process does not run here")]
    NotRunning,
    /// An earlier migration is not over.
    #[error("the process is not back at rest")]
    NotAtRest,
    /// A process is here, or what is left of one.
    #[error("this host is occupied")]
    Occupied,
    /// The process has been handed over, or taken: there is no way back.
    #[error("too late: the process has been handed over")]
    TooLate,
    /// This host has said that it could run the process, and does not know whether it is to.
    #[error("this host waits to hear whether it is to run the process")]
    InDoubt,
    /// There is no connection to this host.
    #[error("{0} is out of reach")]
    OutOfReach(HostId),
    /// So many messages wait for the driver that nothing can be added to them.
    #[error("the outbox is full")]
    OutboxFull,
    /// Not a destination for this process: itself, or an epoch that is not the next.
    #[error("not a migration that can be")]
    NoSuchMigration,
    /// The pre-copy pass is not over, or the destination not in step.
    #[error("pre-migration transfer is not at a point where the process may be suspended")]
    PassUnfinished,
    /// The algorithm sends everything before the process resumes.
    #[error("the algorithm does not switch to post-copy")]
    NoSwitch,
    /// A page that was asked for has not come, or who waits for it has not been woken.
    #[error("the process waits for {0}")]
    RequestOutstanding(PageNumber),
    /// The process accessed a page that it has; there is nothing to fetch.
    #[error("{0} is not missing")]
    NotMissing(PageNumber),
    /// The process has exited.
    #[error("the process has exited")]
    Exited,
    /// This work is not to be done now.
    #[error("{0:?} is not due")]
    NotDue(Work),
    /// The registers are larger than a State message can carry.
    #[error("registers of {0} bytes do not fit into a State message")]
    RegistersTooLarge(usize),
    /// More former hosts than a State message can name.
    #[error("too many former hosts")]
    TooManyFormerHosts,
}
