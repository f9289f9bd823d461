//! The messages of the protocol, as values.

use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Sequence, Version};

use super::{Plan, Resync};
use crate::page::PageBytes;

/// A message on its way: between whom, in which migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who sent it.
    pub from: Place,
    /// Who is to handle it.
    pub to: Place,
    /// The connection it goes over.
    pub channel: Channel,
    /// The migration it belongs to.
    pub epoch: Epoch,
    /// What it says.
    pub message: Message,
}

/// One of the connections between two places. A receiver need not know over which a message came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// The one that there always is.
    #[default]
    Main,
    /// That for requests and the pages that answer them, where they have one of their own.
    Demand,
}

/// Everything that one place can say to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Source to destination: content of a page, before, during or after the freeze.
    Page {
        /// Which page.
        page: PageNumber,
        /// How often its content was sent in this migration, this time included.
        sequence: Sequence,
        /// Its content when it was sent.
        content: PageBytes,
    },
    /// Source to destination: the process is suspended; its state, and where each page is.
    State(State),
    /// Destination to source: everything that travels has arrived; the process could run here.
    Ready,
    /// Source to destination: run it. From here on the source never runs the process again in this migration.
    Go,
    /// Destination to a former host: the process waits for this page.
    Request {
        /// Which page.
        page: PageNumber,
    },
    /// Destination to a former host: nothing is missing any more.
    Complete,
    /// Former host to destination: nothing of the process is left here.
    Destroyed,
    /// From where the process ran to the other hosts: it has exited; free everything.
    Exit,
    /// Source to destination: the process stays; forget it.
    Cancel,
    /// Destination to source: the process cannot come; keep it.
    Refuse,
    /// Destination to a former host, first thing over a new connection: how far it is, and what it lacks.
    Resync(Resync),
    /// Destination to source: the process runs here. Said only where *go* is answered.
    Resumed,
    /// Source to destination: the process is to move there. Said only where migrations are announced.
    Announce,
    /// Destination to source: the process may come. The answer to that.
    Expected,
    /// Host to file server: new content of a page.
    WriteBack {
        /// Which page.
        page: PageNumber,
        /// Which write-back of this page it is.
        version: Version,
        /// Its content when it was sent.
        content: PageBytes,
    },
    /// File server to host: this version of the page, or a newer one, is safe.
    WriteBackDone {
        /// Which page.
        page: PageNumber,
        /// The version that was written back.
        version: Version,
    },
    /// Host to file server: the process waits for this page.
    Fetch {
        /// Which page.
        page: PageNumber,
    },
    /// Host to file server: which version of this page it has, that a dead machine owed.
    AskVersion {
        /// Which page.
        page: PageNumber,
    },
    /// File server to host: the answer to that.
    VersionTold {
        /// Which page.
        page: PageNumber,
        /// The version the file server holds.
        version: Version,
    },
    /// File server to host: the answer to a fetch.
    Fetched {
        /// Which page.
        page: PageNumber,
        /// The version the file server holds.
        version: Version,
        /// Its content.
        content: PageBytes,
    },
}

/// What the destination needs besides pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Registers and whatever else the process is made of; opaque to the protocol.
    pub registers: Vec<u8>,
    /// The hosts that keep pages of earlier migrations; the sender of this message is not among them.
    pub former_hosts: Vec<FormerHost>,
    /// Where each page is, and the dirty map.
    pub plan: Plan,
}

/// A former host that still keeps what is left of the process, and the migration by which the process left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FormerHost {
    /// The host.
    pub host: HostId,
    /// The migration away from it; messages about its pages carry this epoch, whoever asks.
    pub epoch: Epoch,
}

impl Message {
    /// What kind of message this is.
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::Page { .. } => MessageKind::Page,
            Self::State(_) => MessageKind::State,
            Self::Ready => MessageKind::Ready,
            Self::Go => MessageKind::Go,
            Self::Request { .. } => MessageKind::Request,
            Self::Complete => MessageKind::Complete,
            Self::Destroyed => MessageKind::Destroyed,
            Self::Exit => MessageKind::Exit,
            Self::WriteBack { .. } => MessageKind::WriteBack,
            Self::WriteBackDone { .. } => MessageKind::WriteBackDone,
            Self::Fetch { .. } => MessageKind::Fetch,
            Self::Fetched { .. } => MessageKind::Fetched,
            Self::AskVersion { .. } => MessageKind::AskVersion,
            Self::VersionTold { .. } => MessageKind::VersionTold,
            Self::Cancel => MessageKind::Cancel,
            Self::Refuse => MessageKind::Refuse,
            Self::Resync(_) => MessageKind::Resync,
            Self::Resumed => MessageKind::Resumed,
            Self::Announce => MessageKind::Announce,
            Self::Expected => MessageKind::Expected,
        }
    }

    /// The page it is about, if it is about one.
    pub fn page(&self) -> Option<PageNumber> {
        match self {
            Self::Page { page, .. }
            | Self::Request { page }
            | Self::WriteBack { page, .. }
            | Self::WriteBackDone { page, .. }
            | Self::Fetch { page }
            | Self::AskVersion { page }
            | Self::VersionTold { page, .. }
            | Self::Fetched { page, .. } => Some(*page),
            Self::State(_)
            | Self::Ready
            | Self::Go
            | Self::Complete
            | Self::Destroyed
            | Self::Exit
            | Self::Cancel
            | Self::Refuse
            | Self::Resync(_)
            | Self::Resumed
            | Self::Announce
            | Self::Expected => None,
        }
    }

    /// The sequence number or version it carries, if it carries one: with sender, epoch, kind and page it tells
    /// every message of a run from every other.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Page { sequence, .. } => Some(sequence.0),
            Self::WriteBack { version, .. }
            | Self::WriteBackDone { version, .. }
            | Self::VersionTold { version, .. }
            | Self::Fetched { version, .. } => Some(version.0),
            _ => None,
        }
    }
}
