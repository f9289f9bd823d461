//! How far a migration is, for a person to watch and for programs to read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use steplog::event::Event;
use steplog::fate::Fate;

use crate::aside::SessionId;

/// What is known of a thing that moves, on one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Which run of the protocol.
    pub session: SessionId,
    /// Its PID, where it is a process.
    pub pid: Option<u32>,
    /// The algorithm.
    pub algorithm: String,
    /// What this host does.
    pub phase: HostPhase,
    /// Number of pages.
    pub pages: u64,
    /// How many pages travelled which way, as the names of the steps have it.
    pub steps: BTreeMap<String, u64>,
    /// Pages that are still to come or to go.
    pub remaining: u64,
    /// Whether there is a connection to everybody who is needed.
    pub connected: bool,
    /// Bytes in a second to the peer, as last measured.
    pub bytes_per_s: u64,
    /// How long the process stood still for this migration, in nanoseconds; only the source knows.
    pub freeze_ns: Option<u64>,
    /// How long it is going to stand still from now on, by what has been seen of the link and of its writes, in nanoseconds;
    /// less where pages turn out to be all zero.
    pub freeze_expected_ns: Option<u64>,
    /// How long the migration is going to take in all, in nanoseconds; nobody can tell where copying makes no headway. Whether
    /// a page is all zero is known only when it is read to be sent, so one that is counts as a whole page until then.
    #[serde(default)]
    pub total_expected_ns: Option<u64>,
    /// What has become of the migration, once something has.
    pub fate: Option<Fate>,
    /// When what came of the migration last, in nanoseconds since 1970 by the clock of this host.
    #[serde(default)]
    pub moments: BTreeMap<String, u64>,
    /// What the judge found, where there is one and it has found something.
    pub judged: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// What a host does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostPhase {
    /// The process runs here and goes nowhere.
    #[default]
    Resting,
    /// It runs here and is about to leave.
    PreMigration,
    /// It stands still here.
    Frozen,
    /// It has left; pages are still here.
    Shadow,
    /// All has left; the file server has not acknowledged everything.
    Draining,
    /// It is coming.
    Receiving,
    /// It could run here, and waits to be told.
    AwaitingGo,
    /// It runs here; pages are elsewhere.
    Post,
    /// It runs here and all is here; former hosts are cleaning up.
    Completing,
    /// Nothing of it is here.
    Vacant,
    /// This host cannot go on.
    Failed,
}

impl Status {
    /// Nothing has happened yet.
    pub fn new(session: SessionId, pid: Option<u32>, algorithm: &str, pages: u64) -> Self {
        Self {
            session,
            pid,
            algorithm: algorithm.to_owned(),
            phase: HostPhase::default(),
            pages,
            steps: BTreeMap::new(),
            remaining: 0,
            connected: true,
            bytes_per_s: 0,
            freeze_ns: None,
            freeze_expected_ns: None,
            total_expected_ns: None,
            fate: None,
            moments: BTreeMap::new(),
            judged: None,
            error: None,
        }
    }

    /// Counts a step that was taken at this time.
    pub fn note(&mut self, event: &Event, at_ns: u64) {
        if let Some(name) = counted(event) {
            *self.steps.entry(name.to_owned()).or_default() += 1;
        }
        if let Some(moment) = MigrationMoment::of(event) {
            self.mark(moment, at_ns);
        }
    }

    /// This happened at this time.
    pub fn mark(&mut self, moment: MigrationMoment, at_ns: u64) {
        self.moments.insert(moment.name().to_owned(), at_ns);
    }

    /// When this happened last.
    pub fn moment(&self, moment: MigrationMoment) -> Option<u64> {
        self.moments.get(moment.name()).copied()
    }

    /// How often such a step was taken.
    pub fn count(&self, name: &str) -> u64 {
        self.steps.get(name).copied().unwrap_or(0)
    }
}

/// What divides a migration into its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationMoment {
    /// It has begun, at the source.
    Started,
    /// The source begins to stop the process.
    Stopped,
    /// The source has stopped it, and knows what it is in the middle of and what it has written.
    Suspended,
    /// That has come to the destination.
    Arrived,
    /// The destination could let it run: it has that and all pages that travel with it.
    Ready,
    /// The source has handed it over.
    HandedOver,
    /// The destination lets it go.
    Resumed,
    /// It runs at the destination.
    Runs,
    /// All of it is at the destination.
    Complete,
}

impl MigrationMoment {
    fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::MigrationStarted { .. } => Self::Started,
            Event::ProcessSuspended { .. } => Self::Suspended,
            Event::ReadinessDeclared { .. } => Self::Ready,
            Event::ProcessHandedOver { .. } => Self::HandedOver,
            Event::ProcessResumed { .. } => Self::Resumed,
            Event::CompletionDeclared { .. } => Self::Complete,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Suspended => "suspended",
            Self::Arrived => "arrived",
            Self::Ready => "ready",
            Self::HandedOver => "handed-over",
            Self::Resumed => "resumed",
            Self::Runs => "runs",
            Self::Complete => "complete",
        }
    }
}

/// The name of a step that is counted.
fn counted(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::PageCopied { .. } => "copied",
        Event::PageTransferred { .. } => "transferred",
        Event::PageFlushed { .. } => "flushed",
        Event::PageServed { .. } => "served",
        Event::PagePushed { .. } => "pushed",
        Event::PageWrittenBack { .. } => "written-back",
        Event::WriteBackAcknowledged { .. } => "acknowledged",
        Event::PageFaulted { .. } => "faulted",
        Event::PageLoaded { .. } => "loaded",
        Event::PageFellBack { .. } => "fell-back",
        Event::PageInstalled { .. } => "installed",
        Event::PageFetched { .. } => "fetched",
        Event::PassBegun { .. } => "passes",
        _ => return None,
    })
}

impl fmt::Display for HostPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resting => "at rest",
            Self::PreMigration => "pre-migration",
            Self::Frozen => "frozen",
            Self::Shadow => "gone, pages left",
            Self::Draining => "gone, write-backs left",
            Self::Receiving => "arriving",
            Self::AwaitingGo => "could run",
            Self::Post => "here, pages missing",
            Self::Completing => "here, completing",
            Self::Vacant => "gone",
            Self::Failed => "failed",
        })
    }
}

/// A status that the driver keeps up to date and others read.
#[derive(Clone)]
pub struct SharedStatus(Arc<Mutex<Status>>);

impl SharedStatus {
    /// Shares a status.
    pub fn new(status: Status) -> Self {
        Self(Arc::new(Mutex::new(status)))
    }

    /// The status.
    pub fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
