//! What drivers say to each other beside the protocol: who they are, what is to be built, how much has arrived.
//!
//! Asides travel on the same connection as the frames of the protocol and in one order with them. A connection begins
//! with a greeting, which its maker opens:
//!
//! ```text
//! A ─ Hello, Build ──────────▶ B     who I am, which migration, what to build
//! A ◀────────────── Welcome ── B     or Rejected, with the reason
//! ```
//!
//! # Frame
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic, `SJAS` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | kind |
//! | 6 | 2 | reserved, 0 |
//! | 8 | 4 | length of the payload, at most what its kind allows |
//! | 12 | 4 | CRC-32 of bytes 0 to 11 and of the payload |
//! | 16 | … | payload: JSON, but for `Build` (bytes), `Credit` and `StepsSeen` (`u64`) |

use protocol::policy::Policy;
use serde::{Deserialize, Serialize};
use steplog::event::Step;
use steplog::place::{Epoch, HostId};

use crate::layout::AddressSpaceLayout;

/// Version of the asides.
pub const ASIDE_VERSION: u8 = 1;

/// Bytes before the payload.
pub const ASIDE_HEADER_LEN: usize = 16;

/// The first four bytes of an aside.
pub const ASIDE_MAGIC: [u8; 4] = *b"SJAS";

/// Longest greeting: a layout of a hundred thousand runs.
const GREETING_LEN_MAX: usize = 16 << 20;

/// Longest plan of what is to be built.
const BUILD_LEN_MAX: usize = 64 << 20;

/// Longest batch of steps.
const STEPS_LEN_MAX: usize = 16 << 20;

/// Longest reason for a rejection.
const REASON_LEN_MAX: usize = 64 << 10;

/// What a driver says beside the protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum DriverMessage {
    /// Whoever made the connection says who it is and what it wants.
    Hello(Box<Hello>),
    /// Follows a hello that begins a migration: what the subject needs to be built, opaque. Likewise question and answer.
    Build(Vec<u8>),
    /// What the process is in the middle of, where that is too much for the registers of the protocol: comes before
    /// the state of which it is a part.
    State(Vec<u8>),
    /// The answer to a greeting: come in.
    Welcome(Welcome),
    /// The answer to a greeting: no.
    Rejected(PeerRejection),
    /// So many bytes of this connection have arrived, counted from the end of the greeting.
    Credit(u64),
    /// Steps for the log of the run, the first of them with this number.
    Steps(StepBatch),
    /// So many steps have been taken into the log.
    StepsSeen(u64),
    /// Whoever says this needs nothing more of the other end, which may hang up if it does not either.
    Farewell,
}

/// Who makes a connection, and for what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Which run of the protocol this belongs to.
    pub session: SessionId,
    /// Who speaks.
    pub from: HostId,
    /// Where the speaker can be called, if it can.
    pub address: Option<String>,
    /// What for.
    pub purpose: Purpose,
}

/// What a connection is made for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Purpose {
    /// To bring a process: a `Build` follows.
    Migrate(Box<Proposal>),
    /// To go on after a connection was lost. So many steps of the other end are in the log here.
    Resume {
        /// Steps of the other end that are in the log.
        steps_seen: u64,
    },
    /// To ask a host what it has of what a process needs: a `Build` with the question follows, one with the answer comes.
    Inquire {
        /// What kind of thing is to move.
        subject: String,
    },
    /// To a file server.
    Store(StoreRequest),
}

/// What a host is asked to take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The algorithm.
    pub policy: Policy,
    /// The number that the migration will have.
    pub epoch: Epoch,
    /// What kind of thing moves: who builds it.
    pub subject: String,
    /// Its pages.
    pub layout: AddressSpaceLayout,
    /// Where the hosts of this session can be called, in the order of their numbers.
    pub roster: Vec<Option<String>>,
    /// The file server, where there is one.
    pub store: Option<String>,
    /// Whether steps are to be sent for the log.
    pub log: bool,
    /// Length of the plan that follows.
    pub build_len: u64,
}

/// What a file server is asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreRequest {
    /// The pages of the session.
    pub layout: AddressSpaceLayout,
    /// Whether steps are to be sent for the log.
    pub log: bool,
}

/// Come in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// Who answers; 0 for a file server.
    pub host: HostId,
    /// Runs of pages, first and number, whose content is not to be found here: they have to travel.
    pub lacking: Vec<(u64, u64)>,
    /// Steps of the other end that are in the log here.
    pub steps_seen: u64,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRejection {
    /// Nothing is known here of this session: this machine, or what is in its place, holds nothing of the process.
    #[error("nothing is known there of this process")]
    UnknownSession,
    /// The host is occupied, the process cannot be built, the migration cannot be.
    #[error("{0}")]
    Refused(String),
}

/// Steps for the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepBatch {
    /// The number of the first, counted from 0 for each place that sends.
    pub first: u64,
    /// The steps.
    pub steps: Vec<Step>,
}

/// A run of the protocol: one process, from one rest to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SessionId(pub u128);

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for SessionId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

impl SessionId {
    /// One that nobody else has.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        if filled < bytes.len() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self(u128::from_le_bytes(bytes)))
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Why bytes are not an aside. The connection is of no further use, but for [`Incomplete`](Self::Incomplete).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsideError {
    /// The frame goes on: at least so many bytes are needed from its start.
    #[error("the frame has at least {needed} bytes")]
    Incomplete {
        /// Bytes from the start of the frame.
        needed: usize,
    },
    /// It does not begin like an aside.
    #[error("not a frame of this protocol")]
    Magic,
    /// It is of another version.
    #[error("aside version {0}, this is version {ASIDE_VERSION}")]
    Version(u8),
    /// There is no such kind.
    #[error("aside kind {0}")]
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
    #[error("the checksum does not match")]
    Checksum,
    /// The payload is not what its kind says.
    #[error("malformed: {0}")]
    Malformed(String),
}

impl DriverMessage {
    fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => 1,
            Self::Build(_) => 2,
            Self::Welcome(_) => 3,
            Self::Rejected(_) => 4,
            Self::Credit(_) => 5,
            Self::Steps(_) => 6,
            Self::StepsSeen(_) => 7,
            Self::Farewell => 8,
            Self::State(_) => 9,
        }
    }

    /// Appends the frame.
    ///
    /// # Errors
    /// The payload is longer than its kind allows.
    pub fn encode(&self, frame: &mut Vec<u8>) -> Result<(), AsideError> {
        let payload = match self {
            Self::Hello(hello) => json(hello)?,
            Self::Build(bytes) | Self::State(bytes) => bytes.clone(),
            Self::Welcome(welcome) => json(welcome)?,
            Self::Rejected(rejection) => json(rejection)?,
            Self::Credit(bytes) => bytes.to_le_bytes().to_vec(),
            Self::Steps(batch) => json(batch)?,
            Self::StepsSeen(count) => count.to_le_bytes().to_vec(),
            Self::Farewell => Vec::new(),
        };
        let (len, max) = (payload.len(), payload_len_max(self.kind())?);
        if len > max {
            return Err(AsideError::Oversized { len, max });
        }
        let start = frame.len();
        frame.extend_from_slice(&ASIDE_MAGIC);
        frame.extend_from_slice(&[ASIDE_VERSION, self.kind(), 0, 0]);
        frame.extend_from_slice(&(len as u32).to_le_bytes());
        let checksum = checksum(&frame[start..], &payload);
        frame.extend_from_slice(&checksum.to_le_bytes());
        frame.extend_from_slice(&payload);
        Ok(())
    }

    /// The aside at the beginning of `bytes`, and how many bytes it takes.
    ///
    /// # Errors
    /// The bytes are not an aside, or not all of one.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), AsideError> {
        let (kind, len) = peek(bytes)?;
        let needed = ASIDE_HEADER_LEN + len;
        let payload = bytes.get(ASIDE_HEADER_LEN..needed).ok_or(AsideError::Incomplete { needed })?;
        let announced = bytes.get(12..ASIDE_HEADER_LEN).unwrap_or_default();
        if checksum(&bytes[..12], payload).to_le_bytes() != announced {
            return Err(AsideError::Checksum);
        }
        let aside = match kind {
            1 => Self::Hello(from_json(payload)?),
            2 => Self::Build(payload.to_vec()),
            3 => Self::Welcome(from_json(payload)?),
            4 => Self::Rejected(from_json(payload)?),
            5 => Self::Credit(number(payload)?),
            6 => Self::Steps(from_json(payload)?),
            7 => Self::StepsSeen(number(payload)?),
            8 => Self::Farewell,
            _ => Self::State(payload.to_vec()),
        };
        Ok((aside, needed))
    }
}

/// Kind and length of the payload of the aside at the beginning of `bytes`, as far as the header goes.
///
/// # Errors
/// It is not the header of an aside, or not all of it.
pub fn peek(bytes: &[u8]) -> Result<(u8, usize), AsideError> {
    let header = bytes.get(..ASIDE_HEADER_LEN);
    let header = header.ok_or(AsideError::Incomplete { needed: ASIDE_HEADER_LEN })?;
    if !header.starts_with(&ASIDE_MAGIC) {
        return Err(AsideError::Magic);
    }
    if header[4] != ASIDE_VERSION {
        return Err(AsideError::Version(header[4]));
    }
    if header[6..8] != [0, 0] {
        return Err(AsideError::Malformed("reserved bytes".to_owned()));
    }
    let len = header[8..12].iter().rev().fold(0usize, |len, &byte| len << 8 | usize::from(byte));
    let max = payload_len_max(header[5])?;
    if len > max { Err(AsideError::Oversized { len, max }) } else { Ok((header[5], len)) }
}

fn payload_len_max(kind: u8) -> Result<usize, AsideError> {
    match kind {
        1 | 3 => Ok(GREETING_LEN_MAX),
        2 | 9 => Ok(BUILD_LEN_MAX),
        4 => Ok(REASON_LEN_MAX),
        5 | 7 => Ok(8),
        8 => Ok(0),
        6 => Ok(STEPS_LEN_MAX),
        other => Err(AsideError::Kind(other)),
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, AsideError> {
    serde_json::to_vec(value).map_err(|error| AsideError::Malformed(error.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, AsideError> {
    serde_json::from_slice(payload).map_err(|error| AsideError::Malformed(error.to_string()))
}

fn number(payload: &[u8]) -> Result<u64, AsideError> {
    let bytes = payload.try_into().map_err(|_| AsideError::Malformed("not eight bytes".to_owned()))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(aside: &DriverMessage) -> Vec<u8> {
        let mut frame = Vec::new();
        aside.encode(&mut frame).unwrap();
        frame
    }

    #[test]
    fn what_is_written_is_read() {
        let hello = Hello {
            session: SessionId(u128::MAX - 3),
            from: HostId(3),
            address: Some("[::1]:7000".to_owned()),
            purpose: Purpose::Resume { steps_seen: 7 },
        };
        let welcome = Welcome { host: HostId(1), lacking: vec![(3, 4)], steps_seen: 0 };
        for aside in [
            DriverMessage::Hello(Box::new(hello)),
            DriverMessage::Build(vec![1, 2, 3]),
            DriverMessage::Welcome(welcome),
            DriverMessage::Rejected(PeerRejection::UnknownSession),
            DriverMessage::Credit(1 << 40),
            DriverMessage::Steps(StepBatch { first: 9, steps: Vec::new() }),
            DriverMessage::StepsSeen(4),
            DriverMessage::Farewell,
            DriverMessage::State(vec![4, 5]),
        ] {
            let bytes = frame(&aside);
            assert_eq!(DriverMessage::decode(&bytes), Ok((aside, bytes.len())));
            for cut in 0..bytes.len() {
                assert!(matches!(DriverMessage::decode(&bytes[..cut]), Err(AsideError::Incomplete { .. })));
            }
        }
    }

    #[test]
    fn what_is_not_an_aside_is_named() {
        let bytes = frame(&DriverMessage::Credit(5));
        let changed = |at: usize, to: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = to;
            DriverMessage::decode(&bytes).unwrap_err()
        };
        assert_eq!(changed(0, b'X'), AsideError::Magic);
        assert_eq!(changed(4, 9), AsideError::Version(9));
        assert_eq!(changed(5, 99), AsideError::Kind(99));
        assert_eq!(changed(6, 1), AsideError::Malformed("reserved bytes".to_owned()));
        assert_eq!(changed(9, 1), AsideError::Oversized { len: 264, max: 8 });
        assert_eq!(changed(17, 1), AsideError::Checksum);
        assert_eq!(changed(5, 7), AsideError::Checksum);
    }
}
