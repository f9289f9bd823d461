//! Pages: their size, number, kind and bytes, and the program image they are loaded from.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// Most pages an address space may have: 4 GiB of memory. Bounds what a peer can make a host allocate.
pub const PAGE_COUNT_MAX: u64 = 1 << 20;

/// Index of a page in the address space, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageNumber(pub u64);

impl PageNumber {
    /// The position of this page in a table of pages. Saturates where `usize` is narrower than 64 bits, so that
    /// a hostile number is out of range rather than some other page.
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for PageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}

/// What a page is a part of, which decides where an unmodified copy of it can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageKind {
    /// Stack, heap, data: modifications belong to this process alone.
    Private,
    /// Backed by a file on the file server: modifications belong in that file.
    FileMapped,
}

/// The content of one page: [`PAGE_SIZE`] bytes on the heap. Clones share them until one is written to.
#[derive(Clone, PartialEq, Eq)]
pub struct PageBytes(Arc<[u8; PAGE_SIZE]>);

impl PageBytes {
    /// A page of zeroes.
    pub fn zeroed() -> Self {
        Self(Arc::new([0; PAGE_SIZE]))
    }

    /// The content as a slice of [`PAGE_SIZE`] bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0[..]
    }

    /// The content as a mutable slice of [`PAGE_SIZE`] bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut Arc::make_mut(&mut self.0)[..]
    }
}

impl From<[u8; PAGE_SIZE]> for PageBytes {
    fn from(bytes: [u8; PAGE_SIZE]) -> Self {
        Self(Arc::new(bytes))
    }
}

impl fmt::Debug for PageBytes {
    /// A checksum stands for the content: 4096 numbers help nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageBytes(crc32 {:08x})", crc32fast::hash(self.as_slice()))
    }
}

/// The program image: kind and initial content of every page.
///
/// Every host has an exact replica of it (its local backing store), and the file server starts with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pages: Vec<(PageKind, PageBytes)>,
}

impl Image {
    /// An image of these pages, in order; at most [`PAGE_COUNT_MAX`], what is beyond is dropped.
    pub fn new(pages: impl IntoIterator<Item = (PageKind, PageBytes)>) -> Self {
        let cap = usize::try_from(PAGE_COUNT_MAX).unwrap_or(usize::MAX);
        Self { pages: pages.into_iter().take(cap).collect() }
    }

    /// Number of pages.
    pub fn page_count(&self) -> u64 {
        self.pages.len() as u64
    }

    /// Every page number, ascending.
    pub fn page_numbers(&self) -> impl DoubleEndedIterator<Item = PageNumber> + use<> {
        (0..self.page_count()).map(PageNumber)
    }

    /// Whether the image has such a page.
    pub fn contains(&self, page: PageNumber) -> bool {
        page.0 < self.page_count()
    }

    /// The kind of a page; a page outside the image counts as private.
    pub fn kind(&self, page: PageNumber) -> PageKind {
        self.pages.get(page.index()).map_or(PageKind::Private, |(kind, _)| *kind)
    }

    /// The initial content of a page.
    pub fn content(&self, page: PageNumber) -> Option<&PageBytes> {
        self.pages.get(page.index()).map(|(_, content)| content)
    }
}
