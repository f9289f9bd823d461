//! The wire format, version 5: frames of bytes to typed messages and back, once, at the edge.
//!
//! # Frame
//!
//! A *short number* has seven bits in each byte, the lowest first, plus 128 but for the last byte, in as few bytes as it takes: there is
//! one way to write each. All other numbers are little-endian. A stream is frames one after the other. A message is one frame, but
//! for a State whose plan is too long for one: as many frames of kind 16 as it takes come right before it.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 5 |
//! | 1 | kind of the message, see below |
//! | 1 to 10 | epoch: number of the migration, a short number |
//! | 1 to 5 | length of the payload, a short number, at most what its kind allows |
//! | 4 | CRC-32 (IEEE) of the bytes before it and of the payload |
//! | … | payload |
//!
//! # Payloads
//!
//! | kind | message | payload |
//! |---|---|---|
//! | 1 | Page | page, sequence number, content |
//! | 2 | State | length of the registers `u32` (at most 65 536), the registers, number of former hosts `u8` (at most 64), each host `u16` and epoch `u64`, number of runs of the plan `u32`, the runs |
//! | 3 | Ready | – |
//! | 4 | Go | – |
//! | 5 | Request | page |
//! | 6 | Complete | – |
//! | 7 | Destroyed | – |
//! | 8 | Exit | – |
//! | 9 | WriteBack | page, version, content |
//! | 10 | WriteBackDone | page, version |
//! | 11 | Fetch | page |
//! | 12 | Fetched | page, version, content |
//! | 13 | Cancel | – |
//! | 14 | Refuse | – |
//! | 15 | Resync | progress `u8` (0 awaiting *go*, 1 running, 2 complete), the pages that are lacking, those of them that are waited for |
//! | 16 | – | number of runs of the plan `u32` (at least one), the runs: the beginning of the plan of the State that follows |
//! | 17 | Resumed | – |
//! | 18 | Announce | – |
//! | 19 | Expected | – |
//! | 20 | AskVersion | page |
//! | 21 | VersionTold | page, version |
//!
//! Pages, sequence numbers and versions are short numbers: a page is on the line for as long as its bytes are.
//!
//! *Content* is one byte of encoding, then: 0, nothing (all bytes are zero); 1, the 4096 bytes; 2, runs of length
//! `u16` and byte `u8` that together make 4096 bytes. The encoder takes the shortest.
//!
//! *A run of the plan* covers one or more pages in page order with equal entries: number of pages; `u8`
//! whereabouts (0 travelled, 1 at a host, 2 file server, 3 local backing store), plus 128 if the page is dirty;
//! version last written back; then for 0 the sequence number that must have arrived, for 1 the host, the epoch to ask with and the
//! last outdated sequence number. All but the whereabouts are short numbers: a process stands still while they travel. A plan covers
//! at most 2²⁴ pages and the memory that it takes once decoded is proportional to its length on the wire.
//!
//! *Pages* are a number of runs `u32`, then the runs in page order: pages left out since the last run `u32` (at least
//! one, but for the first run), pages that are in `u32` (at least one).
//!
//! Version 2 added the kinds 13 to 15, with which peers part or find together again, and version 3 kind 16; version 4 had the runs of
//! the plan in short numbers, and version 5 has the others and the header, whose magic number is gone: a stream is known by its
//! greeting. There is no other difference. Kind 17 came without a version: it is said only by those who answer
//! *go*, to those who wait for that; and so did 18 and 19, which are said only where migrations are announced, and 20 and 21, where a
//! process falls back to what the file server has.
//!
//! # Errors
//!
//! [`decode`] and [`Decoder`] take whatever bytes there are. They never panic; they check every length against its cap before it
//! making room; they report a hopeless frame as soon as the header shows it, before the payload has arrived.

mod bytes;
mod content;
mod message;
mod payload;
mod plan;
mod resync;
#[cfg(test)]
mod tests;

pub use message::{Channel, Envelope, FormerHost, Message, State};
pub use plan::{Plan, PlanEntry, Whereabouts};
pub use resync::{PageRuns, Resync};

use steplog::message::MessageKind;
use steplog::place::Epoch;

use crate::page::{PAGE_COUNT_MAX, PAGE_SIZE};
use bytes::{Reader, SHORT_LEN_MAX, put_short};

/// Version of the format that this crate writes and reads.
pub const WIRE_VERSION: u8 = 5;

/// Least bytes before the payload: of an epoch and a payload that are short numbers of one byte each.
pub const HEADER_LEN_MIN: usize = 2 + 1 + 1 + CHECKSUM_LEN;

/// Most bytes of registers: generous for any architecture's register file with vector state.
pub const REGISTERS_LEN_MAX: usize = 64 * 1024;

/// Most former hosts along which pages may be left behind.
pub const FORMER_HOSTS_MAX: usize = 64;

const CHECKSUM_LEN: usize = 4;
const HEADER_LEN_MAX: usize = 2 + 2 * SHORT_LEN_MAX + CHECKSUM_LEN;

/// Page, number, encoding, content.
const CONTENT_PAYLOAD_LEN_MAX: usize = 2 * SHORT_LEN_MAX + 1 + PAGE_SIZE;

/// Registers and former hosts at their largest, and a plan of at least 400 000 runs. What is longer comes in more frames.
const STATE_PAYLOAD_LEN_MAX: usize = 16 * 1024 * 1024;

/// Two sets of pages, every other page a run of its own.
const RESYNC_PAYLOAD_LEN_MAX: usize = 1 + 2 * (4 + (PAGE_COUNT_MAX as usize).div_ceil(2) * 8);

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The migration it belongs to.
    pub epoch: Epoch,
    /// The message.
    pub message: Message,
}

/// Why bytes are not a frame. After any of these but [`Incomplete`](Self::Incomplete) the stream is out of step
/// and of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame goes on: at least so many bytes are needed from its start.
    #[error("the frame has at least {needed} bytes")]
    Incomplete {
        /// Bytes from the start of the frame.
        needed: usize,
    },
    /// It is of another version of the format, or no frame.
    #[error("wire version {0}")]
    Version(u8),
    /// There is no such kind of message.
    #[error("message kind {0}")]
    Kind(u8),
    /// The payload is longer than any of its kind.
    #[error("payload of {len} bytes, at most {max} are allowed")]
    Oversized {
        /// Bytes announced.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The bytes were changed on the way.
    #[error("checksum {computed:08x}, the frame says {announced:08x}")]
    Checksum {
        /// Of the bytes that arrived.
        computed: u32,
        /// By the frame.
        announced: u32,
    },
    /// The payload ends within a field.
    #[error("the payload ends within a field")]
    PayloadTruncated,
    /// A field has a value that it cannot have.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}

/// Why a message has no frame: some part of it is larger than the format allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {kind:?} message with {what} of {len}, at most {max} are allowed")]
pub struct EncodeError {
    kind: MessageKind,
    what: &'static str,
    len: usize,
    max: usize,
}

/// The bytes of a message: a frame, or several where the plan of a State is too long for one.
pub fn encode(epoch: Epoch, message: &Message) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(HEADER_LEN_MAX + CONTENT_PAYLOAD_LEN_MAX);
    encode_into(epoch, message, &mut bytes)?;
    Ok(bytes)
}

/// The same, appended to `bytes`, which stay as they are on an error.
pub fn encode_into(epoch: Epoch, message: &Message, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    let kind = message.kind();
    let start = bytes.len();
    let within = |what, len, max| if len <= max { Ok(()) } else { Err(EncodeError { kind, what, len, max }) };
    if let Message::State(state) = message {
        within("registers", state.registers.len(), REGISTERS_LEN_MAX)?;
        within("former hosts", state.former_hosts.len(), FORMER_HOSTS_MAX)?;
        let (ahead, rest) = payload::parts(state, STATE_PAYLOAD_LEN_MAX);
        for part in ahead {
            seal(PLAN_AHEAD, epoch, bytes, |payload| payload::encode_runs(part, payload));
        }
        seal(kind_to_byte(kind), epoch, bytes, |payload| payload::encode_state(state, rest, payload));
        return Ok(());
    }
    let len = seal(kind_to_byte(kind), epoch, bytes, |payload| payload::encode(message, payload));
    within("payload", len, payload_len_max(kind)).inspect_err(|_| bytes.truncate(start))
}

/// Appends a frame, and returns the length of its payload.
fn seal(kind: u8, epoch: Epoch, bytes: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) -> usize {
    let start = bytes.len();
    payload(bytes);
    let len = bytes.len() - start;
    // The header is as long as its numbers, and comes before what it is about.
    let mut header = Vec::with_capacity(HEADER_LEN_MAX);
    header.extend_from_slice(&[WIRE_VERSION, kind]);
    put_short(&mut header, epoch.0);
    put_short(&mut header, len as u64);
    let checksum = checksum(&header, &bytes[start..]);
    header.extend_from_slice(&checksum.to_le_bytes());
    bytes.splice(start..start, header);
    len
}

/// The message at the beginning of `bytes`, and how many bytes it takes: all its frames.
pub fn decode(bytes: &[u8]) -> Result<(Frame, usize), DecodeError> {
    let (mut decoder, mut read) = (Decoder::default(), 0);
    loop {
        let (frame, len) =
            decoder.next(bytes.get(read..).unwrap_or_default()).map_err(|error| match error {
                DecodeError::Incomplete { needed } => DecodeError::Incomplete { needed: read + needed },
                other => other,
            })?;
        read += len;
        if let Some(frame) = frame {
            return Ok((frame, read));
        }
    }
}

/// Takes a stream apart, frame by frame. What it keeps between two of them is the beginning of a plan, which takes as much
/// memory as it took bytes on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoder {
    ahead: Option<(Epoch, Plan)>,
}

impl Decoder {
    /// The frame at the beginning of `bytes`, and how many bytes it takes; no message if it is one of several frames and
    /// others are to come.
    pub fn next(&mut self, bytes: &[u8]) -> Result<(Option<Frame>, usize), DecodeError> {
        let (header, payload, needed) = Header::with_payload(bytes)?;
        let epoch = header.epoch;
        let ahead = match self.ahead.take() {
            Some((of, _)) if of != epoch => return Err(DecodeError::Malformed("plan of another migration")),
            ahead => ahead.map(|(_, plan)| plan),
        };
        match (header.kind, ahead) {
            (FrameKind::PlanAhead, ahead) => {
                let mut plan = ahead.unwrap_or_default();
                payload::decode_ahead(payload, &mut plan)?;
                self.ahead = Some((epoch, plan));
                Ok((None, needed))
            }
            (FrameKind::Message(MessageKind::State), ahead) => {
                let state = payload::decode_state(payload, ahead.unwrap_or_default())?;
                Ok((Some(Frame { epoch, message: Message::State(state) }), needed))
            }
            (FrameKind::Message(_), Some(_)) => Err(DecodeError::Malformed("plan without its state")),
            (FrameKind::Message(kind), None) => {
                Ok((Some(Frame { epoch, message: payload::decode(kind, payload)? }), needed))
            }
        }
    }
}

enum FrameKind {
    Message(MessageKind),
    PlanAhead,
}

struct Header {
    kind: FrameKind,
    epoch: Epoch,
}

impl Header {
    /// Checks all that can be said about a frame without looking into its payload, and returns with the payload the length of the frame.
    fn with_payload(bytes: &[u8]) -> Result<(Self, &[u8], usize), DecodeError> {
        // What is missing is not malformed: more of it may come.
        let cut = |error| match error {
            DecodeError::PayloadTruncated => {
                DecodeError::Incomplete { needed: HEADER_LEN_MIN.max(bytes.len() + 1) }
            }
            other => other,
        };
        let mut reader = Reader::new(bytes);
        match reader.u8().map_err(cut)? {
            WIRE_VERSION => {}
            other => return Err(DecodeError::Version(other)),
        }
        let kind = match reader.u8().map_err(cut)? {
            PLAN_AHEAD => FrameKind::PlanAhead,
            byte => FrameKind::Message(kind_from_byte(byte).ok_or(DecodeError::Kind(byte))?),
        };
        let epoch = Epoch(reader.short().map_err(cut)?);
        let len = usize::try_from(reader.short().map_err(cut)?).unwrap_or(usize::MAX);
        let max = match kind {
            FrameKind::PlanAhead => STATE_PAYLOAD_LEN_MAX,
            FrameKind::Message(kind) => payload_len_max(kind),
        };
        if len > max {
            return Err(DecodeError::Oversized { len, max });
        }
        let checked_len = bytes.len() - reader.remaining();
        let needed = checked_len + CHECKSUM_LEN + len;
        let payload =
            bytes.get(checked_len + CHECKSUM_LEN..needed).ok_or(DecodeError::Incomplete { needed })?;
        let announced = reader.u32()?;
        let computed = checksum(&bytes[..checked_len], payload);
        if computed != announced {
            return Err(DecodeError::Checksum { computed, announced });
        }
        Ok((Self { kind, epoch }, payload, needed))
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

fn payload_len_max(kind: MessageKind) -> usize {
    match kind {
        MessageKind::Page | MessageKind::WriteBack | MessageKind::Fetched => CONTENT_PAYLOAD_LEN_MAX,
        MessageKind::State => STATE_PAYLOAD_LEN_MAX,
        MessageKind::Request | MessageKind::Fetch | MessageKind::AskVersion => SHORT_LEN_MAX,
        MessageKind::WriteBackDone | MessageKind::VersionTold => 2 * SHORT_LEN_MAX,
        MessageKind::Resync => RESYNC_PAYLOAD_LEN_MAX,
        MessageKind::Ready
        | MessageKind::Go
        | MessageKind::Complete
        | MessageKind::Destroyed
        | MessageKind::Exit
        | MessageKind::Cancel
        | MessageKind::Refuse
        | MessageKind::Resumed
        | MessageKind::Announce
        | MessageKind::Expected => 0,
    }
}

/// A frame with the beginning of a plan; what follows is another one, or the State.
const PLAN_AHEAD: u8 = 16;

/// Every kind of message.
const KINDS: [MessageKind; 20] = [
    MessageKind::Page,
    MessageKind::State,
    MessageKind::Ready,
    MessageKind::Go,
    MessageKind::Request,
    MessageKind::Complete,
    MessageKind::Destroyed,
    MessageKind::Exit,
    MessageKind::WriteBack,
    MessageKind::WriteBackDone,
    MessageKind::Fetch,
    MessageKind::Fetched,
    MessageKind::Cancel,
    MessageKind::Refuse,
    MessageKind::Resync,
    MessageKind::Resumed,
    MessageKind::Announce,
    MessageKind::Expected,
    MessageKind::AskVersion,
    MessageKind::VersionTold,
];

fn kind_from_byte(byte: u8) -> Option<MessageKind> {
    KINDS.into_iter().find(|kind| kind_to_byte(*kind) == byte)
}

fn kind_to_byte(kind: MessageKind) -> u8 {
    match kind {
        MessageKind::Page => 1,
        MessageKind::State => 2,
        MessageKind::Ready => 3,
        MessageKind::Go => 4,
        MessageKind::Request => 5,
        MessageKind::Complete => 6,
        MessageKind::Destroyed => 7,
        MessageKind::Exit => 8,
        MessageKind::WriteBack => 9,
        MessageKind::WriteBackDone => 10,
        MessageKind::Fetch => 11,
        MessageKind::Fetched => 12,
        MessageKind::Cancel => 13,
        MessageKind::Refuse => 14,
        MessageKind::Resync => 15,
        MessageKind::Resumed => 17,
        MessageKind::Announce => 18,
        MessageKind::Expected => 19,
        MessageKind::AskVersion => 20,
        MessageKind::VersionTold => 21,
    }
}
