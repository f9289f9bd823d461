//! Image files: which pages a process has, and where they are.
//!
//! `u32 magic [, u32 magic], { u32 size, protobuf message }*`, little-endian: `pagemap_head`, then `pagemap_entry`.

use std::io::Read;

use prost::Message;

use crate::input::{Input, InputError};

/// Pages in a row, as a page map has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Number of the first page.
    pub page: u64,
    /// How many.
    pub pages: u64,
    /// They are in the image of an earlier dump.
    pub parent: bool,
    /// They are to be had later.
    pub lazy: bool,
    /// They are in this image.
    pub present: bool,
}

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The bytes cannot be had.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is another image, or none.
    #[error("not a page map: it begins with {0:#010x}")]
    NotAPageMap(u32),
    /// A message in it is not what it should be.
    #[error("offset {offset:#x}: {error}")]
    Message {
        /// Where.
        offset: u64,
        /// What is wrong.
        error: prost::DecodeError,
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

#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(uint32, required, tag = "1")]
    pages_id: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(uint64, required, tag = "1")]
    vaddr: u64,
    #[prost(uint32, optional, tag = "2")]
    compat_nr_pages: Option<u32>,
    #[prost(bool, optional, tag = "3")]
    in_parent: Option<bool>,
    #[prost(uint32, optional, tag = "4")]
    flags: Option<u32>,
    #[prost(uint64, optional, tag = "5")]
    nr_pages: Option<u64>,
}

const COMMON_MAGIC: u32 = 0x5456_4319;
const PAGEMAP_MAGIC: u32 = 0x5608_4025;
const MESSAGE_MAX: u64 = 4096;
const PAGE_BYTES: u64 = 4096;
const PAGES_MAX: u64 = 1 << 52;

/// Reads a page map, and tells each of its entries.
///
/// # Errors
/// It is not one, or ends too early.
pub fn read_pagemap(reader: impl Read, mut tell: impl FnMut(Mapped)) -> Result<(), ImageError> {
    let mut input = Input::new(reader);
    let mut magic = input.le32()?;
    if magic == COMMON_MAGIC {
        magic = input.le32()?;
    }
    if magic != PAGEMAP_MAGIC {
        return Err(ImageError::NotAPageMap(magic));
    }
    message::<Head>(&mut input)?;
    while !input.at_end()? {
        let offset = input.offset();
        let Entry { vaddr, compat_nr_pages, in_parent, flags, nr_pages } = message(&mut input)?;
        let pages = nr_pages.or(compat_nr_pages.map(u64::from)).unwrap_or(0);
        let page = vaddr / PAGE_BYTES;
        if !vaddr.is_multiple_of(PAGE_BYTES) || pages > PAGES_MAX || page + pages > PAGES_MAX {
            return Err(ImageError::NoPages { offset, pages, address: vaddr });
        }
        // Before flags there were only pages of this image and of a parent's.
        let parent = in_parent == Some(true);
        let flags = flags.unwrap_or(if parent { 1 } else { 4 });
        tell(Mapped {
            page,
            pages,
            parent: parent || flags & 1 != 0,
            lazy: flags & 2 != 0,
            present: flags & 4 != 0,
        });
    }
    Ok(())
}

fn message<T: Message + Default>(input: &mut Input<impl Read>) -> Result<T, ImageError> {
    let length = input.le32()?;
    let offset = input.offset();
    let bytes = input.bytes(length.into(), MESSAGE_MAX, "a message of an image")?;
    T::decode(&bytes[..]).map_err(|error| ImageError::Message { offset, error })
}

/// Writes a page map, for tests: the layout that [`read_pagemap`] reads. Entries are (page, how many, flags).
pub fn encode_pagemap(entries: &[(u64, u64, u32)]) -> Vec<u8> {
    let mut bytes = [COMMON_MAGIC.to_le_bytes(), PAGEMAP_MAGIC.to_le_bytes()].concat();
    let mut put = |message: Vec<u8>| {
        bytes.extend((message.len() as u32).to_le_bytes());
        bytes.extend(message);
    };
    put(Head { pages_id: 1 }.encode_to_vec());
    for (page, pages, flags) in entries {
        let entry = Entry {
            vaddr: page * PAGE_BYTES,
            compat_nr_pages: Some(*pages as u32),
            in_parent: None,
            flags: Some(*flags),
            nr_pages: None,
        };
        put(entry.encode_to_vec());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Mapped>, ImageError> {
        let mut entries = Vec::new();
        read_pagemap(bytes, |entry| entries.push(entry)).map(|()| entries)
    }

    #[test]
    fn entries_are_as_documented() {
        let bytes = encode_pagemap(&[(5, 3, 4), (0x7000, 1, 2), (9, 2, 1)]);
        let entry = |page, pages, parent, lazy, present| Mapped { page, pages, parent, lazy, present };
        let expected = [
            entry(5, 3, false, false, true),
            entry(0x7000, 1, false, true, false),
            entry(9, 2, true, false, false),
        ];
        assert_eq!(read(&bytes).unwrap(), expected);
        assert_eq!(read(&bytes[4..]).unwrap(), expected, "an older file has one magic number");
    }

    #[test]
    fn what_is_no_page_map_is_refused() {
        assert!(matches!(read(&[1, 2, 3, 4]), Err(ImageError::NotAPageMap(0x0403_0201))));
        let whole = encode_pagemap(&[(5, 3, 4)]);
        assert!(matches!(read(&whole[..whole.len() - 1]), Err(ImageError::Input(InputError::Ended { .. }))));
        let mut long = whole.clone();
        long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(read(&long), Err(ImageError::Input(InputError::TooLong { .. }))));
        let mut wrong = whole;
        wrong[12] = 0xff;
        assert!(matches!(read(&wrong), Err(ImageError::Message { .. })));
    }
}
