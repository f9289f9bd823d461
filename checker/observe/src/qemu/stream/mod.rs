//! The migration stream, item by item.
//!
//! ```text
//! stream     := 'QEVM', version, [CONFIG], item*, EOF, [description of the device state]
//! item       := section START/FULL/PART/END (ram records up to EOS), its footer | COMMAND
//! PACKAGED   := a stream of its own without header: LISTEN, device state, PING, RUN
//! ```
//!
//! The state of devices is not decoded, as only their own code can: in a package its length is known, behind the last
//! section of memory it reaches to the end. Source: `migration/savevm.c` and `migration/ram.c` of QEMU.

mod command;
mod ram;
#[cfg(test)]
mod tests;

use std::io::Read;

pub use command::{Discard, DiscardRange, Package, StreamCommand};
pub use ram::{Block, RamContent, RamRecord, digest, digest_filled};

use crate::input::{Input, InputError};

/// Reads a stream from beginning to end, or to where it was cut.
#[derive(Debug)]
pub struct Stream<R> {
    input: Input<R>,
    known: Known,
    state: State,
    /// The block of the last record, which a record may leave out.
    last_block: Option<u16>,
}

/// What a stream has told, which a later connection of the same migration takes for granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Blocks of memory, in the order in which they were announced.
    pub blocks: Vec<Block>,
    /// Number of the section that carries memory.
    pub ram_section: Option<u32>,
    /// Capabilities that the destination must have as well.
    pub capabilities: Vec<String>,
    /// Page sizes that the source announced for post-copy, as a mask.
    pub page_sizes: Option<u64>,
}

/// An item and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Offset of its first byte.
    pub offset: u64,
    /// What it is.
    pub item: Item,
}

/// What a stream consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Its beginning.
    Header,
    /// The machine type, and capabilities that both sides must have.
    Configuration {
        /// The machine type.
        machine: String,
    },
    /// A section of memory begins.
    SectionBegun(Section),
    /// The blocks of memory were announced; they are in [`Known::blocks`].
    BlocksAnnounced,
    /// A page.
    Record(RamRecord),
    /// Everything on multifd channels so far is to be taken before what follows.
    MultifdFlushed,
    /// This part of the memory has ended.
    PartEnded,
    /// A section of memory has ended.
    SectionEnded(Section),
    /// A command to the destination.
    Command(StreamCommand),
    /// The state of the devices, and with it of the processors, up to the end of the stream.
    DeviceState {
        /// Bytes of it.
        length: u64,
        /// Names of the devices, where the stream describes them.
        devices: Vec<String>,
    },
    /// The stream has ended as it should.
    Ended,
}

/// How often a section of memory comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The first.
    Start,
    /// One of many.
    Part,
    /// The last.
    End,
    /// The only one.
    Full,
}

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The bytes cannot be had.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It does not begin as a migration stream does.
    #[error(
        "not a migration stream: it begins with {magic:#010x}, version {version}; 0x5145564d, version 3, is read"
    )]
    NotAStream {
        /// The first four bytes.
        magic: u32,
        /// The next four.
        version: u32,
    },
    /// An item of a kind that is not known.
    #[error("offset {offset:#x}: unknown kind of item {kind:#04x}")]
    UnknownItem {
        /// Where.
        offset: u64,
        /// Its number.
        kind: u8,
    },
    /// A command that is not known.
    #[error("offset {offset:#x}: unknown command {number} with {length} bytes")]
    UnknownCommand {
        /// Where.
        offset: u64,
        /// Its number.
        number: u16,
        /// Bytes of its data.
        length: u16,
    },
    /// A known command with data that it cannot have.
    #[error("offset {offset:#x}: command {number} does not have these {length} bytes")]
    MalformedCommand {
        /// Where.
        offset: u64,
        /// Its number.
        number: u16,
        /// Bytes of its data.
        length: u32,
    },
    /// A record of memory with flags that are not known.
    #[error("offset {offset:#x}: unknown flags {flags:#05x} of a memory record")]
    UnknownFlags {
        /// Where.
        offset: u64,
        /// All its flags.
        flags: u16,
    },
    /// Something known that is not read.
    #[error("offset {offset:#x}: {what} is not read")]
    Unsupported {
        /// Where.
        offset: u64,
        /// What it is.
        what: String,
    },
    /// Something that contradicts what was said before.
    #[error("offset {offset:#x}: {what}")]
    Inconsistent {
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}

impl StreamError {
    /// Where the stream was cut, if that is all that is wrong with it.
    pub fn cut(&self) -> Option<u64> {
        match self {
            Self::Input(InputError::Ended { offset, .. }) => Some(*offset),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Configuration,
    Top,
    Memory(Section),
    Footer(Section),
    /// Records of memory without a section around them.
    Urgent,
    Over,
}

const MAGIC: u32 = 0x5145_564d;
const VERSION: u32 = 3;
const NAME_MAX: u64 = 4096;
/// More than any machine has; what is longer was not written by QEMU.
const DEVICE_STATE_MAX: u64 = 256 << 20;

mod kind {
    pub const EOF: u8 = 0;
    pub const START: u8 = 1;
    pub const PART: u8 = 2;
    pub const END: u8 = 3;
    pub const FULL: u8 = 4;
    pub const SUBSECTION: u8 = 5;
    pub const DESCRIPTION: u8 = 6;
    pub const CONFIGURATION: u8 = 7;
    pub const COMMAND: u8 = 8;
    pub const FOOTER: u8 = 0x7e;
}

impl<R: Read> Stream<R> {
    /// A stream from its beginning.
    pub fn new(reader: R) -> Self {
        Self { input: Input::new(reader), known: Known::default(), state: State::Header, last_block: None }
    }

    /// What goes on over a new connection after a cut: without header, with what is known already.
    pub fn resumed(reader: R, known: Known) -> Self {
        Self { input: Input::new(reader), known, state: State::Top, last_block: None }
    }

    /// Records of memory alone, up to the end of a part.
    pub(super) fn urgent(reader: R, known: Known) -> Self {
        Self { input: Input::new(reader), known, state: State::Urgent, last_block: None }
    }

    /// What it has told so far.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The next item; `None` at the end, also of one that was cut between two items.
    ///
    /// # Errors
    /// The stream cannot be read, ends within an item, or has something that is not known. There is nothing to be read
    /// after that.
    pub fn next_item(&mut self) -> Result<Option<Located>, StreamError> {
        if self.state == State::Over || self.input.at_end()? {
            return Ok(None);
        }
        let offset = self.input.offset();
        let item = match self.state {
            State::Header => self.header(),
            State::Configuration if self.input.peek()? == Some(kind::CONFIGURATION) => self.configuration(),
            State::Configuration | State::Top => self.top(offset),
            State::Memory(section) => self.memory(section, offset),
            State::Footer(section) => self.footer(section, offset),
            State::Urgent => self.urgent_record(offset),
            State::Over => return Ok(None),
        };
        if item.is_err() {
            self.state = State::Over;
        }
        item.map(|item| Some(Located { offset, item }))
    }

    fn header(&mut self) -> Result<Item, StreamError> {
        let (magic, version) = (self.input.be32()?, self.input.be32()?);
        if (magic, version) != (MAGIC, VERSION) {
            return Err(StreamError::NotAStream { magic, version });
        }
        self.state = State::Configuration;
        Ok(Item::Header)
    }

    fn configuration(&mut self) -> Result<Item, StreamError> {
        self.input.byte()?;
        let length = self.input.be32()?;
        let machine = text(self.input.bytes(length.into(), NAME_MAX, "machine type")?);
        while self.input.peek()? == Some(kind::SUBSECTION) {
            self.configuration_subsection()?;
        }
        self.state = State::Top;
        Ok(Item::Configuration { machine })
    }

    fn configuration_subsection(&mut self) -> Result<(), StreamError> {
        let offset = self.input.offset();
        self.input.byte()?;
        let name = self.name()?;
        self.input.be32()?;
        match name.as_str() {
            "configuration/target-page-bits" => {
                let bits = self.input.be32()?;
                if bits != super::PAGE_BYTES.ilog2() {
                    return Err(StreamError::Unsupported {
                        offset,
                        what: format!("a page of 2^{bits} bytes"),
                    });
                }
            }
            "configuration/uuid" => self.input.skip(16)?,
            "configuration/capabilities" => {
                for _ in 0..self.input.be32()? {
                    let capability = self.name()?;
                    self.known.capabilities.push(capability);
                }
            }
            _ => return Err(StreamError::Unsupported { offset, what: format!("subsection '{name}'") }),
        }
        Ok(())
    }

    fn top(&mut self, offset: u64) -> Result<Item, StreamError> {
        match self.input.byte()? {
            kind::COMMAND => self.command(offset).map(Item::Command),
            kind::START => self.first_section(offset, Section::Start),
            kind::FULL => self.first_section(offset, Section::Full),
            kind::PART => self.later_section(offset, Section::Part),
            kind::END => self.later_section(offset, Section::End),
            kind::EOF => self.end(),
            kind => Err(StreamError::UnknownItem { offset, kind }),
        }
    }

    fn first_section(&mut self, offset: u64, section: Section) -> Result<Item, StreamError> {
        let id = self.input.be32()?;
        let name = self.name()?;
        if name != "ram" && section == Section::Full {
            return self.device_state();
        }
        let (_instance, version) = (self.input.be32()?, self.input.be32()?);
        if name != "ram" {
            return Err(StreamError::Unsupported { offset, what: format!("section '{name}'") });
        }
        if version != ram::VERSION {
            let what = format!("version {version} of the section of memory");
            return Err(StreamError::Unsupported { offset, what });
        }
        self.known.ram_section = Some(id);
        self.state = State::Memory(section);
        Ok(Item::SectionBegun(section))
    }

    fn later_section(&mut self, offset: u64, section: Section) -> Result<Item, StreamError> {
        let id = self.input.be32()?;
        if self.known.ram_section != Some(id) {
            return Err(StreamError::Inconsistent { offset, what: format!("section {id} was not begun") });
        }
        self.state = State::Memory(section);
        Ok(Item::SectionBegun(section))
    }

    fn memory(&mut self, section: Section, offset: u64) -> Result<Item, StreamError> {
        let item = self.memory_record(offset)?;
        if item == Item::PartEnded {
            self.state = State::Footer(section);
        }
        Ok(item)
    }

    fn urgent_record(&mut self, offset: u64) -> Result<Item, StreamError> {
        let item = self.memory_record(offset)?;
        if item == Item::PartEnded {
            self.over()?;
        }
        Ok(item)
    }

    fn footer(&mut self, section: Section, offset: u64) -> Result<Item, StreamError> {
        let mark = self.input.byte()?;
        if mark != kind::FOOTER {
            return Err(StreamError::UnknownItem { offset, kind: mark });
        }
        let id = self.input.be32()?;
        if self.known.ram_section != Some(id) {
            let what = format!("the end of section {id}, which was not begun");
            return Err(StreamError::Inconsistent { offset, what });
        }
        self.state = State::Top;
        Ok(Item::SectionEnded(section))
    }

    fn end(&mut self) -> Result<Item, StreamError> {
        if self.input.peek()? == Some(kind::DESCRIPTION) {
            self.input.byte()?;
            let length = self.input.be32()?;
            self.input.bytes(length.into(), DEVICE_STATE_MAX, "description")?;
        }
        self.over()?;
        Ok(Item::Ended)
    }

    /// Device state up to the end, with the description of it there if the machine has one.
    fn device_state(&mut self) -> Result<Item, StreamError> {
        let bytes = self.input.rest(DEVICE_STATE_MAX, "device state")?;
        self.state = State::Over;
        let (length, devices) = match described(&bytes) {
            Some((at, description)) => (at, names(description)),
            None if ends_with_footer(&bytes) => (bytes.len(), Vec::new()),
            None => {
                return Err(InputError::Ended { offset: self.input.offset(), missing: 1 }.into());
            }
        };
        Ok(Item::DeviceState { length: length as u64, devices })
    }

    fn over(&mut self) -> Result<(), StreamError> {
        self.state = State::Over;
        let offset = self.input.offset();
        match self.input.at_end()? {
            true => Ok(()),
            false => {
                let what = "bytes after the end of the stream".to_owned();
                Err(StreamError::Inconsistent { offset, what })
            }
        }
    }

    fn name(&mut self) -> Result<String, StreamError> {
        let length = self.input.byte()?;
        Ok(text(self.input.bytes(length.into(), NAME_MAX, "name")?))
    }
}

/// Where the state of devices ends with a footer, the mark of the end, and a description that fills the rest.
fn described(bytes: &[u8]) -> Option<(usize, &[u8])> {
    const MARK: usize = 11; // footer, its section, EOF, DESCRIPTION, length
    bytes.windows(MARK).enumerate().find_map(|(at, window)| {
        let &[kind::FOOTER, _, _, _, _, kind::EOF, kind::DESCRIPTION, a, b, c, d] = window else {
            return None;
        };
        let description = &bytes[at + MARK..];
        (description.len() == u32::from_be_bytes([a, b, c, d]) as usize).then_some((at + 6, description))
    })
}

fn ends_with_footer(bytes: &[u8]) -> bool {
    matches!(bytes, [.., kind::FOOTER, _, _, _, _, kind::EOF])
}

/// The names of devices in a description; what is not understood has none.
fn names(description: &[u8]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Description {
        devices: Vec<Device>,
    }
    #[derive(serde::Deserialize)]
    struct Device {
        name: String,
    }
    serde_json::from_slice::<Description>(description)
        .map(|description| description.devices.into_iter().map(|device| device.name).collect())
        .unwrap_or_default()
}

/// Names are ASCII; what is not is shown as far as it can be.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
