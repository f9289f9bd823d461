//! What can be wrong with a line.

use std::fmt;

use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

/// What tells a message from all others of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageName {
    /// Who has sent it.
    pub from: Place,
    /// To whom.
    pub to: Place,
    /// In which migration.
    pub epoch: Epoch,
    /// What it is.
    pub kind: MessageKind,
    /// About which page.
    pub page: Option<PageNumber>,
    /// Its sequence number or version.
    pub number: Option<u64>,
}

/// The word for a kind of message.
pub(super) fn word(kind: MessageKind) -> String {
    serde_json::to_string(&kind).unwrap_or_default().trim_matches('"').to_owned()
}

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MessageName { from, to, epoch, kind, page, number } = self;
        write!(f, "*{}*", word(*kind))?;
        if let Some(page) = page {
            write!(f, " of {page}")?;
        }
        if let Some(number) = number {
            write!(f, ", number {number},")?;
        }
        write!(f, " from {from} to {to} in {epoch}")
    }
}

/// In what a line that no step of the model explains differs from what could be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences say what they are")]
pub enum Difference {
    #[error("the process does not run")]
    NotRunning,
    #[error("the page is not there: {0}")]
    Absent(&'static str),
    #[error("the page is there, and nothing has to be asked for")]
    Present,
    #[error("it has been sent, and nothing says that it has to go again")]
    SentAlready,
    #[error("it is not due now")]
    NotDue,
    #[error("nobody has asked for it")]
    NotAsked,
    #[error("another page has been asked for, and goes first")]
    DemandFirst,
    #[error("no content of it that counts is on its way")]
    NothingToInstall,
    #[error("it is on its way, and the host needs it")]
    Needed,
    #[error("the page is owed and has not been sent, so the request counts")]
    Owed,
    #[error("some page has not been sent, flushed or acknowledged")]
    FreezeNotDone,
    #[error("a page that was sent before has not arrived")]
    NotArrived,
    #[error("some page is still missing")]
    StillOwed,
    #[error("the pages that it gives up are not those that the state has declared outdated")]
    OtherDiscards,
    #[error("the model is in another phase: {0}")]
    Phase(&'static str),
}

/// What is wrong with a line, whatever else is right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences say what the fields are")]
pub enum Objection {
    /// No step of the model explains it.
    #[error("{0}")]
    Unexplained(Difference),
    /// It is not for this place to take, but for the one that is named, if any is.
    #[error("{}", misplaced(.0))]
    Misplaced(Option<Place>),
    /// It belongs to another migration.
    #[error("it belongs to {0}")]
    Epoch(Epoch),
    /// It is about another host.
    #[error("it can only be about {0}")]
    Peer(Place),
    /// The host has no part in which it could do that.
    #[error("{host} has no such part: {lacks}")]
    NoPart { host: Place, lacks: &'static str },
    /// The process cannot do that where it is.
    #[error("the process {0}")]
    Process(&'static str),
    /// A number that counts up is not the next one.
    #[error("the number must be {0}")]
    Number(u64),
    /// An older content is put in the place of a newer one.
    #[error("number {installed} of the page is there already, which is newer or the same")]
    Older { installed: u64 },
    /// The list of hosts that are told is another one.
    #[error("those to be told are {}", hosts(.0))]
    Told(Vec<HostId>),
    /// Nobody has sent the message that is handled.
    #[error("nobody has sent {0}")]
    NeverSent(MessageName),
    /// It has been handled before, and the link makes no duplicates.
    #[error("{0} has been handled already, and this link doubles nothing")]
    HandledBefore(MessageName),
    /// Another message was sent earlier in the same direction over a link that keeps order.
    #[error("{0} was sent before it, and this link keeps order")]
    Overtakes(MessageName),
    /// A message is ignored that is waited for.
    #[error("{0} is not to be ignored: {1}")]
    Ignored(MessageName, &'static str),
    /// What is read or written is no part of a page.
    #[error("offset and length reach beyond the {page_size} bytes of a page")]
    OutOfPage { page_size: usize },
    /// A page that is named beside the one that the line is about does not exist.
    #[error("there is no {0}")]
    NoSuchPage(PageNumber),
    /// A list of pages has one of them twice.
    #[error("{0} is in the list twice")]
    Twice(PageNumber),
    /// Write-backs that have not been acknowledged would be lost.
    #[error("the write-back of {0} has not been acknowledged")]
    Unacknowledged(PageNumber),
    /// A host is told of a death that has not happened, or that it has been told of.
    #[error("{0} has not died since it was last told so")]
    Alive(HostId),
    /// What the line says has become of the migration cannot come of this.
    #[error("that cannot be what becomes of the migration by this")]
    Fate,
}

fn misplaced(place: &Option<Place>) -> String {
    match place {
        Some(place) => format!("only {place} could have taken this step"),
        None => "such a place takes no such step".to_owned(),
    }
}

fn hosts(hosts: &[HostId]) -> String {
    match hosts {
        [] => "none".to_owned(),
        hosts => hosts.iter().map(HostId::to_string).collect::<Vec<_>>().join(", "),
    }
}
