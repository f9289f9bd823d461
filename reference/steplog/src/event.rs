//! The step log: one event for each step of an endpoint, in the order in which they happened.
//!
//! A [`Step`] says when, where, in which migration and what. As NDJSON (one JSON object a line) it looks like
//!
//! ```json
//! {"at_ns":1200,"place":{"host":0},"epoch":1,"event":"page-pushed","page":4,"sequence":1,"to":1}
//! ```
//!
//! The log holds every input of the endpoints: the commands of the operator, the accesses of the process with the
//! bytes written, which message was handled when, and which work was done when. Messages are named, not quoted:
//! place of origin, epoch, kind, page and number identify a message of a run. So a log is enough to run the
//! same endpoints through the same steps again, as `replay` of the package `protocol` does.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::fate::Fate;
use crate::message::{MessageKind, Progress};
use crate::page::PageNumber;
use crate::place::{Epoch, HostId, Place, Sequence, Version};

/// One step of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When, in nanoseconds since the beginning of the run.
    pub at_ns: u64,
    /// Whose step it is.
    pub place: Place,
    /// The migration it belongs to; for steps of the running process, the one that brought it here.
    pub epoch: Epoch,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened in a step.
///
/// The fields have the same meaning everywhere: `page`, which page; `sequence`, `version`, its number on the wire;
/// `from`, whose message was handled; `to`, whom a message went to; `told`, whom all it went to.
#[expect(missing_docs, reason = "the fields are described once, above")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum Event {
    // Commands of the operator.
    /// The host was told to take the process from another one, by the operator or by that host.
    MigrationExpected { from: HostId },
    /// The host was told to move the process to another one, and has announced that to it.
    MigrationAnnounced { to: HostId },
    /// The host was told to move the process to another one, or that its destination expects it.
    MigrationStarted { to: HostId },
    /// The process was suspended.
    ProcessSuspended {
        registers: Bytes,
        code_page: Option<PageNumber>,
        stack_page: Option<PageNumber>,
        /// What pre-copy has not brought into step stays here.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        switched: bool,
    },

    /// The operator called the migration off.
    MigrationCancelled { to: HostId },
    /// The host does not take the process after all.
    MigrationRefused { to: HostId },

    // Disruptions, as the driver reports them. `fate` is what has become of the migration by them, if anything.
    /// The connection to this place was lost.
    PeerDisconnected { peer: Place, fate: Option<Fate> },
    /// Nothing was heard of this place for too long; its connection counts as lost.
    PeerTimedOut { peer: Place, fate: Option<Fate> },
    /// The machine of this host is dead.
    PeerFenced { peer: HostId, fate: Option<Fate> },
    /// There is a new connection to this place; it was told how far this host is.
    PeerConnected { peer: Place, resync: Option<Progress> },
    /// The machine died. What follows of this host is of another machine, on which there is nothing.
    HostCrashed,

    // The process.
    /// The process read.
    PageRead { page: PageNumber, offset: u16, length: u16 },
    /// The process wrote.
    PageWritten { page: PageNumber, offset: u16, bytes: Bytes },
    /// The process touched a page that is not here; it was asked for.
    PageFaulted { page: PageNumber, asked: Place },
    /// The process touched a page that was in the local backing store; now it is here.
    PageLoaded { page: PageNumber },
    /// The fault of a further thread was heard, of a page that is waited for, or by now is there: then the thread was `woken` at
    /// once, unless others wait still.
    FaultHeard { page: PageNumber, woken: bool },
    /// The threads that waited for a page run on, where that is no part of its being installed.
    ThreadsWoken { page: PageNumber },
    /// The process ended.
    ProcessExited,

    // Work of a host that runs the process or is about to give it away.
    /// Another pass of pre-copy began.
    PassBegun { pass: u32 },
    /// The page's mark in the dirty log was cleared, where that is no part of its being sent.
    MarkCleared { page: PageNumber },
    /// A page was sent in a pass of pre-copy.
    PageCopied { page: PageNumber, sequence: Sequence, pass: u32, to: HostId },
    /// A page was sent while the process is suspended.
    PageTransferred { page: PageNumber, sequence: Sequence, to: HostId },
    /// A page was sent to the file server while the process is suspended.
    PageFlushed { page: PageNumber, version: Version },
    /// A page was sent to the file server.
    PageWrittenBack { page: PageNumber, version: Version },
    /// Registers, dirty map and plan were sent.
    StateSent { to: HostId },
    /// The destination was told to run the process.
    ProcessHandedOver { to: HostId },
    /// What the host held was freed and the other hosts were told that the process has exited.
    ProcessReleased { told: Vec<HostId> },

    /// A page was sent to the file server again, which may not have got it.
    WriteBackRepeated { page: PageNumber, version: Version },
    /// The file server was asked for a page again.
    FetchRepeated { page: PageNumber },

    // Work of a former host.
    /// A requested page was sent.
    PageServed { page: PageNumber, sequence: Sequence, to: HostId },
    /// A page was sent unasked.
    PagePushed { page: PageNumber, sequence: Sequence, to: HostId },
    /// Nothing of the process is left here; `told` knows, unless the process has exited.
    ImageDestroyed { told: Option<HostId> },

    // Work of a destination.
    /// Everything that travels has arrived; the source was told.
    ReadinessDeclared { to: HostId },
    /// Nothing is missing; the former hosts were told. Where all are dead there is nobody to be told, and the process is at rest.
    CompletionDeclared { told: Vec<HostId> },

    /// A page that a dead machine owed is taken from a backing store: from the file server, which has the last `version`, or from
    /// the local one, of which none is known.
    PageFellBack { page: PageNumber, version: Option<Version> },
    /// The file server was asked for its version of a page that a dead machine owed.
    VersionAsked { page: PageNumber },
    /// The file server has only this version of a page that a dead machine owed: the process is lost.
    PageLost { page: PageNumber, version: Version },

    /// A former host was asked for a page that the process does not wait for.
    PagePulled { page: PageNumber, asked: HostId },

    // Messages handled by a host.
    /// A page arrived and was installed.
    PageInstalled { page: PageNumber, sequence: Sequence, from: HostId },
    /// The state arrived; pre-copied pages that are outdated were discarded.
    StateAccepted { from: HostId, discarded: Vec<PageNumber> },
    /// The destination could run the process.
    ReadinessLearned { from: HostId },
    /// The process runs here from now on.
    ProcessResumed { from: HostId },
    /// *Go* was answered: the process runs at the destination.
    ResumptionLearned { from: HostId },
    /// A page was requested.
    RequestAccepted { page: PageNumber, from: HostId },
    /// The destination misses nothing any more.
    CompletionLearned { from: HostId },
    /// A former host holds nothing any more.
    DestructionLearned { from: HostId, at_rest: bool },
    /// The process has exited elsewhere.
    ExitLearned { from: HostId },
    /// The source keeps the process; what had arrived was discarded.
    CancellationLearned { from: HostId },
    /// The destination does not take the process; it runs on.
    RefusalLearned { from: HostId },
    /// The destination said over a new connection how far it is. What it lacks although it was sent is owed again, and
    /// what it waits for is requested. If it awaits *go*, that was said again.
    ResyncAccepted {
        from: HostId,
        progress: Progress,
        owed_again: Vec<PageNumber>,
        requested: Vec<PageNumber>,
    },
    /// The peer waits for a decision that was taken long ago: it was told again that the process stays.
    CancellationRepeated { to: HostId },
    /// The peer waits for a host that holds nothing any more: it was told so again.
    DestructionRepeated { to: HostId },
    /// The file server has this version or a newer one.
    WriteBackAcknowledged { page: PageNumber, version: Version },
    /// A page arrived from the file server and was installed.
    PageFetched { page: PageNumber, version: Version },
    /// A message came too late to matter: a duplicate, or one overtaken by events.
    MessageIgnored { kind: MessageKind, page: Option<PageNumber>, number: Option<u64>, from: Place },

    // Messages handled by the file server.
    /// A page was stored.
    WriteBackStored { page: PageNumber, version: Version, from: HostId },
    /// Newer content, or the same, was there already; acknowledged all the same.
    WriteBackSuperseded { page: PageNumber, version: Version, held: Version, from: HostId },
    /// A host was told the version of a page.
    VersionTold { page: PageNumber, version: Version, to: HostId },
    /// A page was sent to a host.
    FetchServed { page: PageNumber, version: Version, to: HostId },
}

/// Bytes, in hexadecimal in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Bytes(pub Vec<u8>);

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for Bytes {
    type Error = NotHexadecimal;

    fn try_from(text: String) -> Result<Self, NotHexadecimal> {
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(NotHexadecimal);
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(NotHexadecimal) };
        let byte = |&[high, low]: &[u8; 2]| Ok((digit(high)? * 16 + digit(low)?) as u8);
        pairs.iter().map(byte).collect::<Result<_, _>>().map(Self)
    }
}

/// The text is not pairs of hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not pairs of hexadecimal digits")]
pub struct NotHexadecimal;

/// Writes a log as NDJSON.
pub fn write_log<'a>(steps: impl IntoIterator<Item = &'a Step>, mut to: impl Write) -> io::Result<()> {
    for step in steps {
        serde_json::to_writer(&mut to, step)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads a log line by line; a line that is not a step is an error of kind `InvalidData`.
pub fn read_log(from: impl BufRead) -> impl Iterator<Item = io::Result<Step>> {
    from.lines().map(|line| serde_json::from_str(&line?).map_err(io::Error::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(event: Event) -> Step {
        Step { at_ns: 1200, place: Place::Host(HostId(0)), epoch: Epoch(1), event }
    }

    #[test]
    fn a_line_is_as_documented() {
        let pushed = Event::PagePushed { page: PageNumber(4), sequence: Sequence(1), to: HostId(1) };
        let mut line = Vec::new();
        write_log([&step(pushed)], &mut line).unwrap();
        let documented = concat!(
            r#"{"at_ns":1200,"place":{"host":0},"epoch":1,"event":"page-pushed","page":4,"sequence":1,"to":1}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(line).unwrap(), documented);
    }

    #[test]
    fn a_log_survives_being_written_and_read() {
        let written =
            Event::PageWritten { page: PageNumber(1), offset: 7, bytes: Bytes(vec![0, 0xab, 0xff]) };
        let steps = [step(written), step(Event::ProcessExited)];
        let mut log = Vec::new();
        write_log(&steps, &mut log).unwrap();
        let read: Vec<_> = read_log(&log[..]).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, steps);
    }

    #[test]
    fn what_is_not_a_step_is_an_error() {
        for line in ["{}", "nonsense", r#"{"at_ns":1,"place":"file-server","epoch":1,"event":"unheard-of"}"#]
        {
            assert!(read_log(line.as_bytes()).any(|step| step.is_err()), "{line}");
        }
        assert_eq!(Bytes::try_from("0".to_owned()), Err(NotHexadecimal));
        assert_eq!(Bytes::try_from("0g".to_owned()), Err(NotHexadecimal));
    }
}
