//! Further connections of one migration: multifd channels, and the channel of urgent pages in post-copy.
//!
//! ```text
//! multifd := be32 magic, be32 version = 1, 16 bytes, u8 channel, 39 bytes; packet*
//! packet  := be32 magic, be32 1, be32 flags, be32 allocated, be32 normal, be32 bytes of the pages, be64 number,
//!            be32 zero (9.0 and later), 28 bytes, char block[256], be64 offset[allocated], pages
//! urgent  := records of memory, ending with that of the end of a part
//! ```
//!
//! All offsets that a packet has room for are sent, also those that are not used. Source: `migration/multifd.c`.

use std::io::Read;

use super::PAGE_BYTES;
use super::stream::{Item, Known, Located, Stream, StreamError, digest};
use crate::input::Input;

/// What a connection carries, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QemuChannel {
    /// The migration stream.
    Main,
    /// Packets of pages.
    Multifd,
    /// Urgent pages of post-copy.
    Urgent,
}

impl QemuChannel {
    /// Which kind begins so?
    pub fn of(begin: &[u8]) -> Self {
        match begin.first_chunk() {
            Some(b"QEVM") => Self::Main,
            Some([0x11, 0x22, 0x33, 0x44]) => Self::Multifd,
            _ => Self::Urgent,
        }
    }
}

/// Reads a multifd channel.
#[derive(Debug)]
pub struct Multifd<R> {
    input: Input<R>,
    channel: Option<u8>,
    over: bool,
}

/// A packet of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it begins.
    pub offset: u64,
    /// Its number among the packets of all channels.
    pub number: u64,
    /// Is it a mark that all channels have got this far?
    pub synchronises: bool,
    /// Which block.
    pub block: String,
    /// Pages whose contents it has, each with the digest of it unless they are compressed.
    pub pages: Vec<(u64, Option<u64>)>,
    /// Pages that are zero.
    pub zero: Vec<u64>,
}

const MAGIC: u32 = 0x1122_3344;
const VERSION: u32 = 1;
/// 512 KiB.
const PAGES_IN_A_PACKET: u32 = 128;
const PAGES_MAX: u32 = 4096;
const BLOCK_NAME: usize = 256;

mod flag {
    pub const SYNC: u32 = 1;
    /// How pages are compressed: 0 is not at all.
    pub const COMPRESSION: u32 = 0b1_1110;
    pub const KNOWN: u32 = SYNC | COMPRESSION;
}

impl<R: Read> Multifd<R> {
    /// A channel from its beginning.
    pub fn new(reader: R) -> Self {
        Self { input: Input::new(reader), channel: None, over: false }
    }

    /// Its number, once the first packet was asked for.
    pub fn channel(&self) -> Option<u8> {
        self.channel
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    /// The channel cannot be read, ends within a packet, or has something that is not known.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, StreamError> {
        let packet = self.packet();
        self.over |= packet.is_err();
        packet
    }

    fn packet(&mut self) -> Result<Option<Packet>, StreamError> {
        if self.channel.is_none() && !self.over {
            self.greeting()?;
        }
        if self.over || self.input.at_end()? {
            return Ok(None);
        }
        let offset = self.input.offset();
        self.magic()?;
        let flags = self.input.be32()?;
        if flags & !flag::KNOWN != 0 {
            return Err(StreamError::Unsupported { offset, what: format!("a packet with flags {flags:#x}") });
        }
        let (allocated, normal, length) = (self.input.be32()?, self.input.be32()?, self.input.be32()?);
        let number = self.input.be64()?;
        let zero = self.input.be32()?;
        self.input.skip(28)?;
        let block = c_string(&self.input.array::<BLOCK_NAME>()?);
        let wrong = |what: String| StreamError::Inconsistent { offset, what };
        if allocated > PAGES_MAX || u64::from(normal) + u64::from(zero) > u64::from(allocated) {
            let what = format!("{normal} pages and {zero} zero ones in a packet with room for {allocated}");
            return Err(wrong(what));
        }
        let mut numbers = Vec::new();
        // A mark has room for as many as any packet; newer versions do not say so.
        for _ in 0..if allocated == 0 { PAGES_IN_A_PACKET } else { allocated } {
            numbers.push(self.input.be64()? / PAGE_BYTES);
        }
        numbers.truncate((normal + zero) as usize);
        let zero = numbers.split_off(normal as usize);
        let pages = match flags & flag::COMPRESSION {
            // The length that is said then is that of the packet before, in versions up to 8.
            _ if normal == 0 => Vec::new(),
            0 if u64::from(length) != u64::from(normal) * PAGE_BYTES => {
                return Err(wrong(format!("{length} bytes for {normal} pages")));
            }
            0 => self.contents(numbers)?,
            // Compression may add to a page that has nothing to be compressed, though little.
            _ if u64::from(length) > (u64::from(normal) + 1) * 2 * PAGE_BYTES => {
                return Err(wrong(format!("{length} bytes for {normal} compressed pages")));
            }
            _ => {
                self.input.skip(length.into())?;
                numbers.into_iter().map(|page| (page, None)).collect()
            }
        };
        Ok(Some(Packet { offset, number, synchronises: flags & flag::SYNC != 0, block, pages, zero }))
    }

    fn contents(&mut self, numbers: Vec<u64>) -> Result<Vec<(u64, Option<u64>)>, StreamError> {
        let mut content = [0; PAGE_BYTES as usize];
        let mut pages = Vec::new();
        for page in numbers {
            self.input.exactly(&mut content)?;
            pages.push((page, Some(digest(&content))));
        }
        Ok(pages)
    }

    fn greeting(&mut self) -> Result<(), StreamError> {
        self.magic()?;
        self.input.skip(16)?;
        self.channel = Some(self.input.byte()?);
        Ok(self.input.skip(39)?)
    }

    fn magic(&mut self) -> Result<(), StreamError> {
        let offset = self.input.offset();
        let (magic, version) = (self.input.be32()?, self.input.be32()?);
        match (magic, version) {
            (MAGIC, VERSION) => Ok(()),
            _ => {
                let what = format!("{magic:#010x}, version {version}, where a packet of pages should begin");
                Err(StreamError::Inconsistent { offset, what })
            }
        }
    }
}

/// Reads the channel of urgent pages.
#[derive(Debug)]
pub struct Urgent<R>(Stream<R>);

impl<R: Read> Urgent<R> {
    /// A channel from its beginning, of a migration whose stream has told this.
    pub fn new(reader: R, known: Known) -> Self {
        Self(Stream::urgent(reader, known))
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.0.offset()
    }

    /// The next page, or the mark of the end; `None` after that.
    ///
    /// # Errors
    /// The channel cannot be read, ends within a record, or has something that is not known.
    pub fn next_item(&mut self) -> Result<Option<Located>, StreamError> {
        match self.0.next_item()? {
            Some(Located { offset, item: Item::BlocksAnnounced }) => {
                let what = "an announcement of blocks among urgent pages".to_owned();
                Err(StreamError::Inconsistent { offset, what })
            }
            item => Ok(item),
        }
    }
}

fn c_string(bytes: &[u8]) -> String {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
