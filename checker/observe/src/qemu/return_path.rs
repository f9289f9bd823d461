//! The return path: what the destination says to the source.
//!
//! `be16 type, be16 length, data`, and behind a bitmap's announcement the bitmap itself, outside of that length.
//! Source: `migration/migration.c` of QEMU.

use std::io::Read;

use super::PAGE_BYTES;
use crate::input::{Input, InputError};

/// Reads a return path.
#[derive(Debug)]
pub struct ReturnPath<R> {
    input: Input<R>,
    last_block: Option<String>,
    over: bool,
}

/// What the destination says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnMessage {
    /// It is done, with this result: 0 where all went well.
    Shut(u32),
    /// The answer to a ping.
    Pong(u32),
    /// Pages are wanted.
    PagesRequested {
        /// Of which block.
        block: String,
        /// The first.
        page: u64,
        /// How many.
        count: u64,
    },
    /// What has arrived of a block.
    Received {
        /// Its name.
        block: String,
        /// One bit for each page, the least significant first; there may be more bits than pages.
        bitmap: Vec<u8>,
    },
    /// It is ready to go on after a cut.
    ResumeAcknowledged(u32),
    /// It is ready for the switch-over (8.1 and later).
    SwitchoverAcknowledged,
}

/// Why a return path cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReturnPathError {
    /// The bytes cannot be had.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A message of a type that is not known.
    #[error("offset {offset:#x}: unknown message {number} with {length} bytes")]
    Unknown {
        /// Where.
        offset: u64,
        /// Its type.
        number: u16,
        /// Bytes of its data.
        length: u16,
    },
    /// A known message with data that it cannot have.
    #[error("offset {offset:#x}: message {number} with {length} bytes: {what}")]
    Malformed {
        /// Where.
        offset: u64,
        /// Its type.
        number: u16,
        /// Bytes of its data.
        length: u16,
        /// What is wrong with them.
        what: String,
    },
}

impl ReturnPathError {
    /// Where it was cut, if that is all that is wrong with it.
    pub fn cut(&self) -> Option<u64> {
        match self {
            Self::Input(InputError::Ended { offset, .. }) => Some(*offset),
            _ => None,
        }
    }
}

mod number {
    pub const SHUT: u16 = 1;
    pub const PONG: u16 = 2;
    pub const REQ_PAGES_ID: u16 = 3;
    pub const REQ_PAGES: u16 = 4;
    pub const RECV_BITMAP: u16 = 5;
    pub const RESUME_ACK: u16 = 6;
    pub const SWITCHOVER_ACK: u16 = 7;
}

/// Stands behind a bitmap.
const BITMAP_END: u64 = 0x0123_4567_89ab_cdef;
/// Bits for 2 TiB of guest memory.
const BITMAP_MAX: u64 = 64 << 20;

impl<R: Read> ReturnPath<R> {
    /// A return path from its beginning.
    pub fn new(reader: R) -> Self {
        Self { input: Input::new(reader), last_block: None, over: false }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The next message and where it begins; `None` at the end.
    ///
    /// # Errors
    /// It cannot be read, ends within a message, or has one that is not known. There is nothing to be read after that.
    pub fn next_message(&mut self) -> Result<Option<(u64, ReturnMessage)>, ReturnPathError> {
        if self.over || self.input.at_end()? {
            return Ok(None);
        }
        let offset = self.input.offset();
        let message = self.message(offset);
        self.over = message.is_err();
        message.map(|message| Some((offset, message)))
    }

    fn message(&mut self, offset: u64) -> Result<ReturnMessage, ReturnPathError> {
        let (number, length) = (self.input.be16()?, self.input.be16()?);
        let malformed =
            |what: &str| ReturnPathError::Malformed { offset, number, length, what: what.to_owned() };
        match (number, length) {
            (number::SHUT, 4) => Ok(ReturnMessage::Shut(self.input.be32()?)),
            (number::PONG, 4) => Ok(ReturnMessage::Pong(self.input.be32()?)),
            (number::REQ_PAGES_ID, 13..) => {
                let (start, bytes) = (self.input.be64()?, self.input.be32()?);
                let block = self.name(length - 12).map_err(|error| error.or(malformed))?;
                self.last_block = Some(block.clone());
                request(block, start, bytes).ok_or_else(|| malformed("not whole pages"))
            }
            (number::REQ_PAGES, 12) => {
                let (start, bytes) = (self.input.be64()?, self.input.be32()?);
                let block = self.last_block.clone();
                let block =
                    block.ok_or_else(|| malformed("the block of the last request, but there was none"))?;
                request(block, start, bytes).ok_or_else(|| malformed("not whole pages"))
            }
            (number::RECV_BITMAP, 1..) => {
                let block = self.name(length).map_err(|error| error.or(malformed))?;
                let size = self.input.be64()?;
                let bitmap = self.input.bytes(size, BITMAP_MAX, "a bitmap")?;
                match self.input.be64()? {
                    BITMAP_END => Ok(ReturnMessage::Received { block, bitmap }),
                    _ => Err(malformed("no mark behind the bitmap")),
                }
            }
            (number::RESUME_ACK, 4) => Ok(ReturnMessage::ResumeAcknowledged(self.input.be32()?)),
            (number::SWITCHOVER_ACK, 0) => Ok(ReturnMessage::SwitchoverAcknowledged),
            (number::SHUT..=number::SWITCHOVER_ACK, _) => Err(malformed("it has another length")),
            _ => Err(ReturnPathError::Unknown { offset, number, length }),
        }
    }

    /// A name that fills so many bytes.
    fn name(&mut self, room: u16) -> Result<String, Name> {
        let length = self.input.byte()?;
        if u16::from(length) + 1 != room {
            return Err(Name::WrongLength);
        }
        let bytes = self.input.bytes(length.into(), u8::MAX.into(), "a name")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Why there is no name.
enum Name {
    WrongLength,
    Input(InputError),
}

impl From<InputError> for Name {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

impl Name {
    fn or(self, malformed: impl Fn(&str) -> ReturnPathError) -> ReturnPathError {
        match self {
            Self::Input(error) => error.into(),
            Self::WrongLength => malformed("the name has another length"),
        }
    }
}

fn request(block: String, start: u64, bytes: u32) -> Option<ReturnMessage> {
    let bytes = u64::from(bytes);
    let whole = start.is_multiple_of(PAGE_BYTES) && bytes.is_multiple_of(PAGE_BYTES) && bytes > 0;
    whole.then_some(ReturnMessage::PagesRequested {
        block,
        page: start / PAGE_BYTES,
        count: bytes / PAGE_BYTES,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<ReturnMessage>, ReturnPathError> {
        let (mut path, mut messages) = (ReturnPath::new(bytes), Vec::new());
        while let Some((_, message)) = path.next_message()? {
            messages.push(message);
        }
        Ok(messages)
    }

    const REQUEST: [u8; 19] = [0, 3, 0, 15, 0, 0, 0, 0, 0, 0x4a, 0xf0, 0, 0, 0, 0x20, 0, 2, b'p', b'c'];
    const BITMAP: [u8; 24] = [
        0, 5, 0, 2, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 2, 0xff, 0x01, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
        0xef,
    ];

    #[test]
    fn messages_are_as_documented() {
        let mut bytes = REQUEST.to_vec();
        bytes.extend([0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0]);
        bytes.extend(BITMAP);
        bytes.extend([0, 7, 0, 0, 0, 6, 0, 4, 0, 0, 0, 1, 0, 1, 0, 4, 0, 0, 0, 0]);
        let wanted = |page, count| ReturnMessage::PagesRequested { block: "pc".to_owned(), page, count };
        let expected = [
            wanted(0x4af, 2),
            wanted(1, 1),
            ReturnMessage::Received { block: "a".to_owned(), bitmap: vec![0xff, 1] },
            ReturnMessage::SwitchoverAcknowledged,
            ReturnMessage::ResumeAcknowledged(1),
            ReturnMessage::Shut(0),
        ];
        assert_eq!(read(&bytes).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_is_refused_where_it_is() {
        let fails = |bytes: &[u8], text: &str| {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        fails(&[0, 2, 0, 4, 0, 0, 0, 9, 0, 8, 0, 1], "offset 0x8: unknown message 8 with 1 bytes");
        fails(&[0, 1, 0, 5], "another length");
        fails(&[0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0], "there was none");
        let mut odd = REQUEST;
        odd[11] = 1;
        fails(&odd, "not whole pages");
        let mut name = REQUEST;
        name[16] = 1;
        fails(&name, "the name has another length");
        let mut unmarked = BITMAP;
        unmarked[23] = 0;
        fails(&unmarked, "no mark");
        fails(&[0, 5, 0, 2, 1, b'a', 0xff, 0, 0, 0, 0, 0, 0, 0], "are announced");
        assert_eq!(read(&BITMAP[..20]).unwrap_err().cut(), Some(20));
    }
}
