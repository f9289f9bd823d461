//! Requests and responses, little-endian.
//!
//! ```text
//! request  := u16 command, 6 bytes (Start: u16 version), u64 length, length bytes; Memory: contents behind its table
//! response := u16 status, 6 bytes, u64 length; on the connection for faults: length bytes
//! table    := { u64 address, u64 bytes }*
//! ```
//! Further connections begin with a u16 role: 1 memory before the suspension, 2 faults.

use std::collections::VecDeque;
use std::io::Read;

use crate::input::{Input, InputError};
use crate::qemu::stream::digest;

/// Reads what one side asks.
#[derive(Debug)]
pub struct Requests<R> {
    input: Input<R>,
    /// Ranges whose contents follow.
    contents: VecDeque<MemoryRange>,
    role: ConnectionRole,
    opened: bool,
    over: bool,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRole {
    /// The main one.
    Main,
    /// One more for memory.
    Memory,
    /// Faults, from the destination.
    Faults,
}

/// Memory in a row, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Number of the first page.
    pub page: u64,
    /// How many.
    pub pages: u64,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VmmRequest {
    /// A migration begins.
    Start {
        /// Version of the protocol.
        version: u16,
    },
    /// The configuration of the machine, as JSON.
    Config(Vec<u8>),
    /// The state of the machine without its memory.
    State {
        /// Bytes of it.
        length: u64,
    },
    /// Memory follows: its table.
    Memory(Vec<MemoryRange>),
    /// A page of it.
    Page {
        /// Which.
        page: u64,
        /// The digest of its content.
        digest: u64,
    },
    /// Run.
    Complete,
    /// Forget it.
    Abandon,
    /// Memory is handed over as a descriptor.
    MemoryDescriptor,
    /// Stay stopped.
    CompletePaused,
    /// Memory is wanted.
    PageFault(MemoryRange),
}

/// Why it cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The bytes cannot be had.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A command that is not known.
    #[error("offset {offset:#x}: unknown command {number} with {length} bytes")]
    UnknownCommand {
        /// Where.
        offset: u64,
        /// Its number.
        number: u16,
        /// Bytes of its data.
        length: u64,
    },
    /// A status that is not known.
    #[error("offset {offset:#x}: unknown status {number}")]
    UnknownStatus {
        /// Where.
        offset: u64,
        /// Its number.
        number: u16,
    },
    /// A role that is not known.
    #[error("offset {offset:#x}: unknown role {number} of a connection")]
    UnknownRole {
        /// Where.
        offset: u64,
        /// Its number.
        number: u16,
    },
    /// Memory that cannot be.
    #[error("offset {offset:#x}: {length:#x} bytes of memory at {address:#x}")]
    NoMemory {
        /// Where.
        offset: u64,
        /// From where on.
        address: u64,
        /// How much.
        length: u64,
    },
    /// Data that the command cannot have.
    #[error("offset {offset:#x}: command {number} does not have {length} bytes")]
    Malformed {
        /// Where.
        offset: u64,
        /// Its number.
        number: u16,
        /// Bytes of its data.
        length: u64,
    },
}

impl ConnectionError {
    /// Where it was cut, if that is all that is wrong with it.
    pub fn cut(&self) -> Option<u64> {
        match self {
            Self::Input(InputError::Ended { offset, .. }) => Some(*offset),
            _ => None,
        }
    }
}

const PAGE_BYTES: u64 = 4096;
const MEMORY_MAX: u64 = 1 << 48;
const DATA_MAX: u64 = 256 << 20;
const RANGE_BYTES: u64 = 16;

impl<R: Read> Requests<R> {
    /// The requests of a connection from its beginning.
    pub fn new(reader: R, role: ConnectionRole) -> Self {
        let input = Input::new(reader);
        Self { input, contents: VecDeque::new(), role, opened: role == ConnectionRole::Main, over: false }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The next request, or page of one, and where it begins; `None` at the end.
    ///
    /// # Errors
    /// It cannot be read, ends within a request, or has something that is not known.
    pub fn next_request(&mut self) -> Result<Option<(u64, VmmRequest)>, ConnectionError> {
        if self.over {
            return Ok(None);
        }
        let request = self.request();
        self.over = request.is_err();
        request
    }

    fn request(&mut self) -> Result<Option<(u64, VmmRequest)>, ConnectionError> {
        if self.contents.is_empty() && self.input.at_end()? {
            return Ok(None);
        }
        if !self.opened {
            self.role()?;
            return self.request();
        }
        let offset = self.input.offset();
        let request = match self.contents.pop_front() {
            Some(range) => self.page(range)?,
            None => self.command(offset)?,
        };
        Ok(Some((offset, request)))
    }

    fn role(&mut self) -> Result<(), ConnectionError> {
        let number = self.input.le16()?;
        self.opened = true;
        match (number, self.role) {
            (1, ConnectionRole::Memory) | (2, ConnectionRole::Faults) => Ok(()),
            _ => Err(ConnectionError::UnknownRole { offset: 0, number }),
        }
    }

    fn page(&mut self, range: MemoryRange) -> Result<VmmRequest, ConnectionError> {
        let mut content = [0; PAGE_BYTES as usize];
        self.input.exactly(&mut content)?;
        if range.pages > 1 {
            self.contents.push_front(MemoryRange { page: range.page + 1, pages: range.pages - 1 });
        }
        Ok(VmmRequest::Page { page: range.page, digest: digest(&content) })
    }

    fn command(&mut self, offset: u64) -> Result<VmmRequest, ConnectionError> {
        let (number, version) = (self.input.le16()?, self.input.le16()?);
        self.input.le32()?;
        let length = self.input.le64()?;
        let malformed = ConnectionError::Malformed { offset, number, length };
        Ok(match (number, length) {
            (1, 0) => VmmRequest::Start { version },
            (2, _) => VmmRequest::Config(self.input.bytes(length, DATA_MAX, "configuration")?),
            (3, _) => {
                if length > DATA_MAX {
                    return Err(malformed);
                }
                self.input.skip(length)?;
                VmmRequest::State { length }
            }
            (4, _) => {
                let table = self.table(offset, length, malformed)?;
                self.contents = table.iter().copied().collect();
                VmmRequest::Memory(table)
            }
            (5, 0) => VmmRequest::Complete,
            (6, 0) => VmmRequest::Abandon,
            (7, _) if length <= DATA_MAX => {
                self.input.skip(length)?;
                VmmRequest::MemoryDescriptor
            }
            (8, 0) => VmmRequest::CompletePaused,
            (9, RANGE_BYTES) => match self.table(offset, length, malformed)?[..] {
                [range] => VmmRequest::PageFault(range),
                _ => return Err(ConnectionError::Malformed { offset, number, length }),
            },
            (1..=9, _) => return Err(malformed),
            _ => return Err(ConnectionError::UnknownCommand { offset, number, length }),
        })
    }

    fn table(
        &mut self,
        offset: u64,
        length: u64,
        malformed: ConnectionError,
    ) -> Result<Vec<MemoryRange>, ConnectionError> {
        if !length.is_multiple_of(RANGE_BYTES) || length > DATA_MAX {
            return Err(malformed);
        }
        let mut ranges = Vec::new();
        for _ in 0..length / RANGE_BYTES {
            let (address, length) = (self.input.le64()?, self.input.le64()?);
            let whole = address.is_multiple_of(PAGE_BYTES) && length.is_multiple_of(PAGE_BYTES) && length > 0;
            if !whole || address >= MEMORY_MAX || length >= MEMORY_MAX {
                return Err(ConnectionError::NoMemory { offset, address, length });
            }
            ranges.push(MemoryRange { page: address / PAGE_BYTES, pages: length / PAGE_BYTES });
        }
        Ok(ranges)
    }
}

/// Reads what the other side answers.
#[derive(Debug)]
pub struct Responses<R> {
    input: Input<R>,
    /// Bytes of the answer that is being read.
    left: u64,
    contents: bool,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmmResponse {
    /// Done; bytes follow on the connection for faults.
    Ok {
        /// How many.
        length: u64,
    },
    /// Not done.
    Error,
}

impl<R: Read> Responses<R> {
    /// The answers of a connection from its beginning; `contents` where memory follows them.
    pub fn new(reader: R, contents: bool) -> Self {
        Self { input: Input::new(reader), left: 0, contents }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The next answer and where it begins; `None` at the end. Pages of the last one that were not read are passed
    /// over.
    ///
    /// # Errors
    /// It cannot be read, ends within an answer, or has a status that is not known.
    pub fn next_response(&mut self) -> Result<Option<(u64, VmmResponse)>, ConnectionError> {
        self.input.skip(std::mem::take(&mut self.left))?;
        if self.input.at_end()? {
            return Ok(None);
        }
        let offset = self.input.offset();
        let status = self.input.le16()?;
        self.input.skip(6)?;
        let length = self.input.le64()?;
        let response = match status {
            1 => VmmResponse::Ok { length },
            2 => VmmResponse::Error,
            number => return Err(ConnectionError::UnknownStatus { offset, number }),
        };
        if self.contents {
            if length > DATA_MAX {
                return Err(ConnectionError::NoMemory { offset, address: 0, length });
            }
            self.left = length;
        }
        Ok(Some((offset, response)))
    }

    /// The digest of the next page of the last answer; `None` where there is no whole one left.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn next_page(&mut self) -> Result<Option<u64>, ConnectionError> {
        if self.left < PAGE_BYTES {
            return Ok(None);
        }
        let mut content = [0; PAGE_BYTES as usize];
        self.input.exactly(&mut content)?;
        self.left -= PAGE_BYTES;
        Ok(Some(digest(&content)))
    }
}

/// Writes a request, for tests: the layout that [`Requests`] reads.
pub fn encode_request(command: u16, version: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = [command.to_le_bytes(), version.to_le_bytes(), [0; 2], [0; 2]].concat();
    bytes.extend((data.len() as u64).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// Writes a request for memory or with it, for tests: ranges of pages, `(first, how many)`; and contents.
pub fn encode_memory(command: u16, ranges: &[(u64, u64)], contents: &[u8]) -> Vec<u8> {
    let table: Vec<u8> = ranges
        .iter()
        .flat_map(|(page, pages)| [page * PAGE_BYTES, pages * PAGE_BYTES])
        .flat_map(u64::to_le_bytes)
        .collect();
    let mut bytes = encode_request(command, 0, &table);
    bytes.extend(contents);
    bytes
}

/// Writes a response, for tests: the layout that [`Responses`] reads.
pub fn encode_response(status: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = encode_request(status, 0, &[]);
    bytes[8..].copy_from_slice(&(data.len() as u64).to_le_bytes());
    bytes.extend(data);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], role: ConnectionRole) -> Result<Vec<VmmRequest>, ConnectionError> {
        let (mut requests, mut read) = (Requests::new(bytes, role), Vec::new());
        while let Some((_, request)) = requests.next_request()? {
            read.push(request);
        }
        Ok(read)
    }

    #[test]
    fn requests_are_as_documented() {
        let contents = [[1; 4096], [2; 4096]].concat();
        let bytes = [
            encode_request(1, 3, &[]),
            encode_request(2, 0, b"{}"),
            encode_memory(4, &[(5, 1), (9, 1)], &contents),
            encode_request(3, 0, &[7; 100]),
            encode_request(5, 0, &[]),
        ]
        .concat();
        let expected = [
            VmmRequest::Start { version: 3 },
            VmmRequest::Config(b"{}".to_vec()),
            VmmRequest::Memory(vec![MemoryRange { page: 5, pages: 1 }, MemoryRange { page: 9, pages: 1 }]),
            VmmRequest::Page { page: 5, digest: digest(&[1; 4096]) },
            VmmRequest::Page { page: 9, digest: digest(&[2; 4096]) },
            VmmRequest::State { length: 100 },
            VmmRequest::Complete,
        ];
        assert_eq!(read(&bytes, ConnectionRole::Main).unwrap(), expected);
        for length in 0..bytes.len() {
            if let Err(error) = read(&bytes[..length], ConnectionRole::Main) {
                assert_eq!(error.cut(), Some(length as u64));
            }
        }
        let faults = [vec![2, 0], encode_memory(9, &[(5, 2)], &[])].concat();
        let expected = [VmmRequest::PageFault(MemoryRange { page: 5, pages: 2 })];
        assert_eq!(read(&faults, ConnectionRole::Faults).unwrap(), expected);
    }

    #[test]
    fn responses_are_as_documented() {
        let bytes = [encode_response(1, &[3; 8192]), encode_response(2, &[])].concat();
        let mut responses = Responses::new(&bytes[..], true);
        assert_eq!(responses.next_response().unwrap(), Some((0, VmmResponse::Ok { length: 8192 })));
        assert_eq!(responses.next_page().unwrap(), Some(digest(&[3; 4096])));
        assert_eq!(responses.next_response().unwrap(), Some((16 + 8192, VmmResponse::Error)));
        assert_eq!(responses.next_response().unwrap(), None);
    }

    #[test]
    fn what_is_not_known_is_refused_where_it_is() {
        let fails = |bytes: &[u8], role, text: &str| {
            let error = read(bytes, role).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        fails(
            &encode_request(10, 0, &[1]),
            ConnectionRole::Main,
            "offset 0x0: unknown command 10 with 1 bytes",
        );
        fails(&encode_request(1, 0, &[1]), ConnectionRole::Main, "command 1 does not have 1 bytes");
        fails(&encode_request(4, 0, &[1; 15]), ConnectionRole::Main, "command 4 does not have 15 bytes");
        fails(&encode_memory(4, &[(1 << 40, 1)], &[]), ConnectionRole::Main, "of memory at");
        fails(&[3, 0], ConnectionRole::Faults, "unknown role 3");
        let error = Responses::new(&encode_response(3, &[])[..], false).next_response().unwrap_err();
        assert!(matches!(error, ConnectionError::UnknownStatus { offset: 0, number: 3 }), "{error}");
    }
}
