//! Memory: announcements of blocks and records of pages.

use std::hash::Hasher;
use std::io::Read;

use twox_hash::XxHash3_64;

use super::super::PAGE_BYTES;
use super::{Item, Stream, StreamError};

/// The version of the section that is read.
pub(super) const VERSION: u32 = 4;

/// A block of memory: what one memory device of the guest has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its name.
    pub name: String,
    /// Bytes of it that are in use.
    pub length: u64,
    /// Bytes of a page of the host behind it, where that is not the ordinary one.
    pub host_page: Option<u64>,
}

impl Block {
    /// Pages of it.
    pub fn pages(&self) -> u64 {
        self.length.div_ceil(PAGE_BYTES)
    }
}

/// A page on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RamRecord {
    /// Which block, as an index of the blocks announced.
    pub block: u16,
    /// Which page of it.
    pub page: u64,
    /// What it holds.
    pub content: RamContent,
}

/// The content of a page, as far as it is in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RamContent {
    /// One byte all over, nearly always zero.
    Filled(u8),
    /// All bytes; a digest of them, see [`digest`].
    Whole(u64),
    /// What has changed since the last time.
    Changed {
        /// Bytes of it.
        length: u16,
    },
    /// All bytes, compressed.
    Compressed {
        /// Bytes of it.
        length: u32,
    },
}

/// A digest of a page's content, equal for equal contents and, but for one in 2⁶⁴ pairs, different for others.
pub fn digest(content: &[u8]) -> u64 {
    let mut hasher = XxHash3_64::with_seed(0);
    hasher.write(content);
    hasher.finish()
}

/// The [`digest`] of a page that is one byte all over.
pub fn digest_filled(byte: u8) -> u64 {
    digest(&[byte; PAGE_BYTES as usize])
}

pub(super) mod flag {
    pub const ZERO: u16 = 0x002;
    pub const MEM_SIZE: u16 = 0x004;
    pub const PAGE: u16 = 0x008;
    pub const EOS: u16 = 0x010;
    pub const CONTINUE: u16 = 0x020;
    pub const XBZRLE: u16 = 0x040;
    pub const HOOK: u16 = 0x080;
    pub const COMPRESS_PAGE: u16 = 0x100;
    pub const MULTIFD_FLUSH: u16 = 0x200;
}

/// One block is announced with at least its name's length, and its size: more than this would be no real machine.
const BLOCKS_MAX: usize = 4096;
/// 2^36 pages: more than any machine has, and small enough that page numbers of all blocks add up.
const MEMORY_MAX: u64 = 1 << 48;

impl<R: Read> Stream<R> {
    pub(super) fn memory_record(&mut self, offset: u64) -> Result<Item, StreamError> {
        let word = self.input.be64()?;
        let (flags, address) = ((word & 0xfff) as u16, word & !0xfff);
        match flags & !flag::CONTINUE {
            flag::EOS if flags == flag::EOS && address == 0 => Ok(Item::PartEnded),
            flag::MEM_SIZE if flags == flag::MEM_SIZE => self.blocks(offset, address),
            flag::MULTIFD_FLUSH if flags == flag::MULTIFD_FLUSH => Ok(Item::MultifdFlushed),
            flag::HOOK => Err(StreamError::Unsupported { offset, what: "a hook of RDMA".to_owned() }),
            kind @ (flag::ZERO | flag::PAGE | flag::XBZRLE | flag::COMPRESS_PAGE) => {
                let block = self.block(offset, flags & flag::CONTINUE != 0)?;
                let page = self.page_of(offset, block, address)?;
                let content = self.content(offset, kind)?;
                Ok(Item::Record(RamRecord { block, page, content }))
            }
            _ => Err(StreamError::UnknownFlags { offset, flags }),
        }
    }

    fn block(&mut self, offset: u64, continued: bool) -> Result<u16, StreamError> {
        let wrong = |what| StreamError::Inconsistent { offset, what };
        if continued {
            return self
                .last_block
                .ok_or_else(|| wrong("the block of the last record, but there was none".to_owned()));
        }
        let name = self.name()?;
        let index =
            self.known.block(&name).ok_or_else(|| wrong(format!("block '{name}' was not announced")))?;
        self.last_block = Some(index);
        Ok(index)
    }

    fn page_of(&self, offset: u64, block: u16, address: u64) -> Result<u64, StreamError> {
        let page = address / PAGE_BYTES;
        let block = &self.known.blocks[usize::from(block)];
        if page < block.pages() {
            return Ok(page);
        }
        let Block { name, length, .. } = block;
        let what = format!("address {address:#x} of block '{name}', which has {length:#x} bytes");
        Err(StreamError::Inconsistent { offset, what })
    }

    fn content(&mut self, offset: u64, kind: u16) -> Result<RamContent, StreamError> {
        Ok(match kind {
            flag::ZERO => RamContent::Filled(self.input.byte()?),
            flag::PAGE => {
                let mut page = [0; PAGE_BYTES as usize];
                self.input.exactly(&mut page)?;
                RamContent::Whole(digest(&page))
            }
            flag::XBZRLE => {
                let encoding = self.input.byte()?;
                let length = self.input.be16()?;
                if encoding != 1 || u64::from(length) > PAGE_BYTES {
                    let what = format!("{length} bytes of a change in encoding {encoding}");
                    return Err(StreamError::Inconsistent { offset, what });
                }
                self.input.skip(length.into())?;
                RamContent::Changed { length }
            }
            _ => {
                let length = self.input.be32()?;
                // zlib's own bound for a page that cannot be compressed.
                if u64::from(length) > PAGE_BYTES + PAGE_BYTES / 1000 + 64 {
                    let what = format!("{length} bytes of a compressed page");
                    return Err(StreamError::Inconsistent { offset, what });
                }
                self.input.skip(length.into())?;
                RamContent::Compressed { length }
            }
        })
    }

    fn blocks(&mut self, offset: u64, total: u64) -> Result<Item, StreamError> {
        let wrong = |what: String| StreamError::Inconsistent { offset, what };
        if total > MEMORY_MAX {
            return Err(wrong(format!(
                "{total:#x} bytes of memory are announced; there can be {MEMORY_MAX:#x}"
            )));
        }
        let (mut blocks, mut left) = (Vec::new(), total);
        while left > 0 {
            let name = self.name()?;
            let length = self.input.be64()?;
            if length == 0 || length > left || blocks.len() == BLOCKS_MAX {
                return Err(wrong(format!(
                    "{length:#x} bytes of block '{name}', where {left:#x} are left to announce"
                )));
            }
            left -= length;
            let host_page = self.host_page()?;
            if self.known.capabilities.iter().any(|name| name == "x-ignore-shared") {
                self.input.be64()?;
            }
            blocks.push(Block { name, length, host_page });
        }
        self.known.blocks = blocks;
        Ok(Item::BlocksAnnounced)
    }

    /// Where post-copy was announced with several page sizes, a block says its own if it is not the common one. What
    /// else can follow, a name or a record, begins with a byte that is not 0 or has flags: so the two can be told apart.
    fn host_page(&mut self) -> Result<Option<u64>, StreamError> {
        let several = self.known.page_sizes.is_some_and(|mask| mask != PAGE_BYTES);
        let Some(word) = self.input.peek_be64()? else { return Ok(None) };
        let is_size = word.is_power_of_two() && word > PAGE_BYTES;
        if !several || !is_size {
            return Ok(None);
        }
        self.input.be64()?;
        Ok(Some(word))
    }
}

impl super::Known {
    /// The index of a block.
    pub fn block(&self, name: &str) -> Option<u16> {
        let index = self.blocks.iter().position(|block| block.name == name)?;
        u16::try_from(index).ok()
    }
}
