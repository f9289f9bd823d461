//! The protocol of page servers and of lazy pages: 32 bytes, and pages behind some of them. Little-endian.
//!
//! ```text
//! u32 command | flags << 16, u32 0, u64 pages, u64 address, u64 address space
//! dump ──► page server:   OPEN2, (ADD_F [pages] | PARENT)*, CLOSE
//! destination ──► source: GET*, CLOSE      source ──► destination: (ADD_F pages)*, in the order of the requests
//! ```

use std::io::Read;

use crate::input::{Input, InputError};
use crate::qemu::stream::digest;

/// Reads one direction of a connection.
#[derive(Debug)]
pub struct PageStream<R> {
    input: Input<R>,
    /// Pages that follow the last command.
    following: Option<(u64, u64, u64)>,
    over: bool,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A command; pages follow it if it carries them.
    Command {
        /// Which.
        command: PageServerCommand,
        /// How many pages.
        pages: u64,
        /// Number of the first.
        page: u64,
        /// Which address space.
        space: u64,
    },
    /// A page with its content.
    Page {
        /// Which.
        page: u64,
        /// Of which address space.
        space: u64,
        /// The digest of its content.
        digest: u64,
    },
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageServerCommand {
    /// Pages, with their contents.
    Add,
    /// Pages that are somewhere else: in a parent image, or to be had later.
    Promise {
        /// In the parent.
        parent: bool,
        /// Later.
        lazy: bool,
    },
    /// Pages that there are not.
    Hole,
    /// An address space begins.
    Open,
    /// Is there a parent?
    Parent,
    /// Pages are wanted.
    Get,
    /// All is said.
    Close,
}

/// Why it cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum PageStreamError {
    /// The bytes cannot be had.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A command that is not known.
    #[error("offset {offset:#x}: unknown command {number:#x} with flags {flags:#x}")]
    Unknown {
        /// Where.
        offset: u64,
        /// Its number.
        number: u32,
        /// Its flags.
        flags: u32,
    },
    /// Pages that cannot be.
    #[error("offset {offset:#x}: {pages} pages at {address:#x}")]
    NoPages {
        /// Where.
        offset: u64,
        /// How many.
        pages: u64,
        /// From where on.
        address: u64,
    },
}

impl PageStreamError {
    /// Where it was cut, if that is all that is wrong with it.
    pub fn cut(&self) -> Option<u64> {
        match self {
            Self::Input(InputError::Ended { offset, .. }) => Some(*offset),
            _ => None,
        }
    }
}

const PAGE_BYTES: u64 = 4096;
/// A whole address space.
const PAGES_MAX: u64 = 1 << 36;

mod flag {
    pub const PARENT: u32 = 1;
    pub const LAZY: u32 = 2;
    pub const PRESENT: u32 = 4;
}

impl<R: Read> PageStream<R> {
    /// One direction from its beginning.
    pub fn new(reader: R) -> Self {
        Self { input: Input::new(reader), following: None, over: false }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The next item and where it begins; `None` at the end.
    ///
    /// # Errors
    /// It cannot be read, ends within an item, or has something that is not known.
    pub fn next_item(&mut self) -> Result<Option<(u64, Item)>, PageStreamError> {
        if self.over || self.following.is_none() && self.input.at_end()? {
            return Ok(None);
        }
        let offset = self.input.offset();
        let item = match self.following.take() {
            Some((page, pages, space)) => self.page(page, pages, space),
            None => self.command(offset),
        };
        self.over = item.is_err();
        item.map(|item| Some((offset, item)))
    }

    fn page(&mut self, page: u64, pages: u64, space: u64) -> Result<Item, PageStreamError> {
        let mut content = [0; PAGE_BYTES as usize];
        self.input.exactly(&mut content)?;
        if pages > 1 {
            self.following = Some((page + 1, pages - 1, space));
        }
        Ok(Item::Page { page, space, digest: digest(&content) })
    }

    fn command(&mut self, offset: u64) -> Result<Item, PageStreamError> {
        let word = self.input.le32()?;
        self.input.le32()?;
        let (pages, address, space) = (self.input.le64()?, self.input.le64()?, self.input.le64()?);
        let (number, flags) = (word & 0xffff, word >> 16);
        let command = match number {
            1 => PageServerCommand::Add,
            2 => PageServerCommand::Hole,
            3 | 4 => PageServerCommand::Open,
            5 => PageServerCommand::Parent,
            6 if flags & flag::PRESENT != 0 => PageServerCommand::Add,
            6 if flags & (flag::PARENT | flag::LAZY) != 0 => PageServerCommand::Promise {
                parent: flags & flag::PARENT != 0,
                lazy: flags & flag::LAZY != 0,
            },
            7 => PageServerCommand::Get,
            0x1023 | 0x1024 => PageServerCommand::Close,
            _ => return Err(PageStreamError::Unknown { offset, number, flags }),
        };
        let of_pages = matches!(
            command,
            PageServerCommand::Add
                | PageServerCommand::Promise { .. }
                | PageServerCommand::Hole
                | PageServerCommand::Get
        );
        let page = address / PAGE_BYTES;
        let fits =
            pages <= PAGES_MAX && address.is_multiple_of(PAGE_BYTES) && page + pages <= PAGES_MAX << 16;
        if of_pages && !fits {
            return Err(PageStreamError::NoPages { offset, pages, address });
        }
        if command == PageServerCommand::Add && pages > 0 {
            self.following = Some((page, pages, space));
        }
        Ok(Item::Command { command, pages, page, space })
    }
}

/// Writes messages, for tests: the layout that [`PageStream`] reads.
pub fn encode(command: u32, pages: u64, address: u64, space: u64) -> Vec<u8> {
    let mut bytes = command.to_le_bytes().to_vec();
    bytes.extend(0_u32.to_le_bytes());
    [pages, address, space].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Item>, PageStreamError> {
        let (mut stream, mut items) = (PageStream::new(bytes), Vec::new());
        while let Some((_, item)) = stream.next_item()? {
            items.push(item);
        }
        Ok(items)
    }

    #[test]
    fn commands_and_pages_are_as_documented() {
        let mut bytes = encode(4, 0, 0, 7);
        bytes.extend(encode(6 | 4 << 16, 2, 0x3000, 7));
        bytes.extend([1; 4096]);
        bytes.extend([2; 4096]);
        bytes.extend(encode(6 | 2 << 16, 5, 0x9000, 7));
        bytes.extend(encode(7, 1, 0x9000, 7));
        bytes.extend(encode(0x1023, 0, 0, 0));
        let command = |command, pages, page, space| Item::Command { command, pages, page, space };
        let expected = [
            command(PageServerCommand::Open, 0, 0, 7),
            command(PageServerCommand::Add, 2, 3, 7),
            Item::Page { page: 3, space: 7, digest: digest(&[1; 4096]) },
            Item::Page { page: 4, space: 7, digest: digest(&[2; 4096]) },
            command(PageServerCommand::Promise { parent: false, lazy: true }, 5, 9, 7),
            command(PageServerCommand::Get, 1, 9, 7),
            command(PageServerCommand::Close, 0, 0, 0),
        ];
        assert_eq!(read(&bytes).unwrap(), expected);
        for length in 0..bytes.len() {
            if let Err(error) = read(&bytes[..length]) {
                assert_eq!(error.cut(), Some(length as u64));
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused_where_it_is() {
        let error = read(&encode(9 | 1 << 16, 1, 0, 0)).unwrap_err().to_string();
        assert_eq!(error, "offset 0x0: unknown command 0x9 with flags 0x1");
        let error = read(&encode(7, u64::MAX, 0x1000, 0)).unwrap_err();
        assert!(matches!(error, PageStreamError::NoPages { offset: 0, .. }), "{error}");
        let error = read(&encode(7, 1, 0x1001, 0)).unwrap_err();
        assert!(matches!(error, PageStreamError::NoPages { .. }), "{error}");
    }
}
