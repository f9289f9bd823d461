//! What was observed, in one vocabulary for all systems.

use std::fmt;
use std::path::PathBuf;

/// Which of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostSide {
    /// Where the process was.
    Source,
    /// Where it goes.
    Destination,
}

impl HostSide {
    /// The other host.
    pub fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}

impl fmt::Display for HostSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

/// Something that a host did or that happened to it.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedFact {
    /// Which host.
    pub side: HostSide,
    /// When, in microseconds by the clock of that host, where it is known.
    pub at_us: Option<u64>,
    /// Where it is written.
    pub origin: FactOrigin,
    /// What.
    pub fact: Fact,
}

/// What a host did, or what happened to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    // The source.
    /// It was told to migrate.
    Started,
    /// Another pass over memory began.
    PassBegun,
    /// The process was stopped.
    Suspended,
    /// The process runs at the source, again.
    RunsAtSource,
    /// A page was sent.
    Sent {
        /// Which.
        page: u32,
        /// What of.
        content: SeenContent,
        /// On which connection of the migration.
        channel: u8,
        /// Bytes on the wire.
        bytes: u32,
    },
    /// The destination was told to forget pages.
    DiscardSent(Vec<PageRange>),
    /// The state without pages was sent.
    StateSent,
    /// The destination was told to run the process.
    HandedOver,
    /// A request arrived.
    RequestReceived(PageRange),
    /// A request is about to be answered.
    RequestTaken(u32),
    /// A request needs no answer: the page was sent before.
    RequestVoid(u32),
    /// The destination said what it has, of some of the pages.
    ProgressLearned(Vec<Received>),
    /// The destination has said what it has of all pages; the source goes on with what is not there.
    ResyncCompleted,
    /// The destination has said that the process could run there.
    ReadinessLearned,
    /// The destination has said that it is done.
    CompletionLearned,
    /// The source has freed what it had, or holds it for nobody.
    Destroyed,
    /// The operator called the migration off.
    Cancelled,

    // The destination.
    /// It was told to expect a migration.
    Expected,
    /// A page arrived. What was sent first on a connection arrives first.
    Arrived {
        /// On which connection of the migration.
        channel: u8,
        /// Which page, as far as it is said.
        page: PageArrival,
    },
    /// Pages that have arrived were put in place.
    Installed(PageRange),
    /// It was told to forget pages.
    DiscardReceived,
    /// Pages were forgotten.
    Discarded(PageRange),
    /// The state without pages has arrived.
    StateAccepted,
    /// The source was told that the process could run here.
    ReadinessDeclared,
    /// The process runs.
    Resumed,
    /// The process touched a page that is not there.
    Faulted(u32),
    /// The source was asked for a page, or for several at once.
    RequestSent,
    /// The source was told what is there.
    ProgressSent,
    /// Nothing is missing.
    CompletionDeclared,

    // Either.
    /// The connection was lost.
    Disconnected,
    /// There is a new connection.
    Connected,
    /// The migration failed.
    Failed,
}

/// Pages in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRange {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl PageRange {
    /// One by one.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        self.first..self.first.saturating_add(self.count)
    }
}

/// The content of a page, as far as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenContent {
    /// Its digest.
    Digest(u64),
    /// It was sent in a form that is not decoded.
    Encoded,
    /// It is not in the recording.
    Unseen,
}

/// Which page arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageArrival {
    /// This one.
    Page(u32),
    /// One with this number within its block, which is not said.
    WithinBlock(u64),
}

/// Pages in a row that have arrived, or that have not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub pages: PageRange,
    /// Have they arrived?
    pub arrived: bool,
}

/// Where something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FactOrigin {
    /// In which input.
    pub input: InputSource,
    /// The line, from 1, or the offset.
    pub position: u64,
}

/// What kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputSource {
    /// The connection from the source to the destination; after so many cuts.
    Stream(u8),
    /// What the destination says, after so many cuts.
    ReturnPath(u8),
    /// A further connection.
    Channel(u8),
    /// What the source wrote of itself.
    SourceTrace,
    /// What the destination wrote of itself.
    DestinationTrace,
    /// Events of the source's monitor.
    SourceEvents,
    /// Events of the destination's monitor.
    DestinationEvents,
}

impl fmt::Display for FactOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, position } = self;
        match input {
            InputSource::Stream(0) => write!(f, "stream, offset {position:#x}"),
            InputSource::Stream(cut) => write!(f, "stream after cut {cut}, offset {position:#x}"),
            InputSource::ReturnPath(0) => write!(f, "return path, offset {position:#x}"),
            InputSource::ReturnPath(cut) => write!(f, "return path after cut {cut}, offset {position:#x}"),
            InputSource::Channel(number) => write!(f, "channel {number}, offset {position:#x}"),
            InputSource::SourceTrace => write!(f, "source trace, line {position}"),
            InputSource::DestinationTrace => write!(f, "destination trace, line {position}"),
            InputSource::SourceEvents => write!(f, "source events, number {position}"),
            InputSource::DestinationEvents => write!(f, "destination events, number {position}"),
        }
    }
}

/// Why a run cannot be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// An input is not what it should be.
    #[error("{path}: {error}")]
    Input {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two inputs contradict each other.
    #[error("{at}: {what}\n{against}: {otherwise}")]
    Contradiction {
        /// Where the one is.
        at: FactOrigin,
        /// What it says.
        what: String,
        /// Where the other is.
        against: FactOrigin,
        /// What that says.
        otherwise: String,
    },
    /// Something that no other input accounts for.
    #[error("{at}: {what}")]
    Unaccounted {
        /// Where it is.
        at: FactOrigin,
        /// What is said there.
        what: String,
    },
    /// The run cannot be told without an input that was not given.
    #[error("{at}: {what}")]
    Lacking {
        /// What shows that something is missing.
        at: String,
        /// What is missing.
        what: String,
    },
    /// The guest is larger than is counted.
    #[error("{pages} pages; there can be {pages_max}")]
    TooLarge {
        /// Pages of it.
        pages: u64,
        /// The cap.
        pages_max: u64,
    },
    /// The log cannot be written.
    #[error("the log: {0}")]
    Log(#[from] std::io::Error),
    /// Nothing was given from which a run can be told.
    #[error("neither a stream nor a trace was given")]
    Nothing,
}

/// Observations of one host in the order in which it made them.
pub trait Observations {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// An input is not what it should be, or inputs contradict each other.
    fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError>;
}
