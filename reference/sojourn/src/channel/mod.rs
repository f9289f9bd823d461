//! A connection to a peer: frames of the protocol and asides, in one order.
//!
//! One connection for each pair of places, so the order between them is first in, first out, and that is what the
//! endpoints and the model are told. Requests go against the stream of pages and meet nobody. Answers to them go with
//! it, and would queue behind whatever has been written to the socket; so hardly anything is: see `pace`. A second
//! connection for answers would still share the queue of the network interface with the first, where the bytes of a send
//! buffer end up, and would give up the order.

mod pace;
mod stream;

pub use pace::{Overcredited, Pace};
pub use stream::{Arrived, Stream};

use std::io::{self, Read, Write};
use std::time::Instant;

use protocol::wire::{self, DecodeError, EncodeError, Frame, Message};
use steplog::place::Epoch;

use crate::aside::{ASIDE_MAGIC, AsideError, DriverMessage};

/// Bytes that are read at once.
const READ_LEN: usize = 256 * 1024;

/// Bytes that arrive before they are credited: less than a segment.
const CREDIT_AFTER: u64 = 1000;

/// How a credit begins.
const CREDIT_START: [u8; 6] = *b"SJAS\x01\x05";

/// Bytes that may wait for the socket before no more is said that can be said later.
const BACKLOG_MAX: usize = 1 << 20;

/// A connection to a peer, after the greeting.
pub struct PeerChannel {
    stream: Stream,
    clock: Instant,
    inbox: Vec<u8>,
    read_to: usize,
    outbox: Vec<u8>,
    written_to: usize,
    pace: Pace,
    scratch: Vec<u8>,
    /// Bytes heard, credits not counted.
    heard: u64,
    credited: u64,
}

/// Something that was heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A message of the protocol.
    Protocol(Frame),
    /// Something beside it.
    Aside(DriverMessage),
}

/// Why a connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other end closed it.
    #[error("the connection was closed")]
    Closed,
    /// It broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// Something that is not the protocol arrived.
    #[error("what arrived is not the protocol: {0}")]
    Decode(#[from] DecodeError),
    /// Something that is not an aside arrived.
    #[error("what arrived is not the protocol: {0}")]
    Aside(#[from] AsideError),
    /// A message is too large to be sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// More is credited than was sent.
    #[error("the peer miscounts: {0}")]
    Credit(#[from] Overcredited),
}

impl PeerChannel {
    /// The connection, greeting done. Times are counted from `clock`.
    pub fn new(stream: Stream, clock: Instant) -> Self {
        Self {
            stream,
            clock,
            inbox: Vec::new(),
            read_to: 0,
            outbox: Vec::new(),
            written_to: 0,
            pace: Pace::default(),
            scratch: vec![0; READ_LEN],
            heard: 0,
            credited: 0,
        }
    }

    /// Lets so many bytes be under way in any case, for somebody who does better with much at once.
    #[must_use]
    pub fn with_much_at_once(mut self, bytes: u64) -> Self {
        self.pace = Pace::at_least(bytes);
        self
    }

    /// The socket, to be polled.
    pub fn socket(&mut self) -> &mut mio::net::TcpStream {
        self.stream.socket()
    }

    /// Whether a page may be sent that nobody waits for, while somebody may come to wait for another.
    pub fn has_room(&self) -> bool {
        self.pace.has_room() && self.takes_more()
    }

    /// Whether a page may be sent while nobody can come to wait for another.
    pub fn takes_more(&self) -> bool {
        self.outbox.len() - self.written_to < BACKLOG_MAX
    }

    /// Bytes in a second, as last measured.
    pub fn rate(&self) -> u64 {
        self.pace.rate()
    }

    /// Says a message. Nothing is on its way before [`flush`](Self::flush).
    ///
    /// # Errors
    /// It is too large.
    pub fn say(&mut self, epoch: Epoch, message: &Message) -> Result<(), ChannelError> {
        let before = self.outbox.len();
        wire::encode_into(epoch, message, &mut self.outbox)?;
        self.pace.sent((self.outbox.len() - before) as u64, self.now_ns());
        Ok(())
    }

    /// Says something beside the protocol.
    ///
    /// # Errors
    /// It is too large.
    pub fn aside(&mut self, aside: &DriverMessage) -> Result<(), ChannelError> {
        let before = self.outbox.len();
        aside.encode(&mut self.outbox)?;
        self.pace.sent((self.outbox.len() - before) as u64, self.now_ns());
        Ok(())
    }

    /// Hands to the socket what it takes, and credits what has arrived. True when all of it was taken.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self) -> Result<bool, ChannelError> {
        let received = self.received();
        let all = self.read_to == self.inbox.len();
        if received - self.credited >= if all { 1 } else { CREDIT_AFTER } {
            self.credited = received;
            DriverMessage::Credit(received).encode(&mut self.outbox)?;
        }
        if self.written_to > BACKLOG_MAX {
            self.outbox.drain(..std::mem::take(&mut self.written_to));
        }
        while self.written_to < self.outbox.len() {
            match self.stream.write(&self.outbox[self.written_to..]) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(written) => self.written_to += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        self.outbox.clear();
        self.written_to = 0;
        match self.stream.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }

    /// Takes in what has arrived. False when there may be more, because so much has.
    ///
    /// # Errors
    /// The connection is broken or closed; what arrived before can still be taken with [`hear`](Self::hear).
    pub fn fill(&mut self) -> Result<bool, ChannelError> {
        if self.read_to > 0 {
            self.inbox.drain(..self.read_to);
            self.read_to = 0;
        }
        let mut taken = 0;
        while taken < READ_LEN {
            match self.stream.read(&mut self.scratch) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(count) => {
                    taken += count;
                    self.inbox.extend_from_slice(&self.scratch[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Whether everything that was said has arrived.
    pub fn all_has_arrived(&self) -> bool {
        self.outbox.is_empty() && !self.stream.wants_write() && self.pace.under_way() == 0
    }

    /// The next thing that was heard; credits are taken on the way.
    ///
    /// # Errors
    /// What arrived is not the protocol.
    pub fn hear(&mut self) -> Result<Option<Heard>, ChannelError> {
        loop {
            let bytes = &self.inbox[self.read_to..];
            if bytes.len() < ASIDE_MAGIC.len() {
                return Ok(None);
            }
            if !bytes.starts_with(&ASIDE_MAGIC) {
                return match wire::decode(bytes) {
                    Err(DecodeError::Incomplete { .. }) => Ok(None),
                    Err(error) => Err(error.into()),
                    Ok((frame, len)) => {
                        self.read_to += len;
                        self.heard += len as u64;
                        Ok(Some(Heard::Protocol(frame)))
                    }
                };
            }
            match DriverMessage::decode(bytes) {
                Err(AsideError::Incomplete { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
                Ok((DriverMessage::Credit(total), len)) => {
                    self.read_to += len;
                    self.pace.credited(total, self.now_ns())?;
                }
                Ok((aside, len)) => {
                    self.read_to += len;
                    self.heard += len as u64;
                    return Ok(Some(Heard::Aside(aside)));
                }
            }
        }
    }

    /// Bytes that have arrived, those of a frame included of which only a part has. Credits are not credited, or two ends
    /// would never stop.
    fn received(&self) -> u64 {
        let partial = &self.inbox[self.read_to..];
        let credit = partial.len() < CREDIT_START.len() || partial.starts_with(&CREDIT_START);
        self.heard + if credit { 0 } else { partial.len() as u64 }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
