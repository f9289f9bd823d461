//! Pages: their size, number, kind and bytes, and the program image they are loaded from.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use steplog::page::PageNumber;

use crate::page_set::PageSet;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// Most pages an address space may have: 64 GiB of memory. Bounds what a peer can make a host allocate.
pub const PAGE_COUNT_MAX: u64 = 1 << 24;

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
    /// A page of zeroes. All of them share one until it is written to: a process may have many.
    pub fn zeroed() -> Self {
        static ZEROES: LazyLock<PageBytes> = LazyLock::new(|| PageBytes(Arc::new([0; PAGE_SIZE])));
        ZEROES.clone()
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
    page_count: u64,
    file_mapped: PageSet,
    contents: Contents,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Contents {
    Each(Vec<PageBytes>),
    Same(PageBytes),
}

impl Image {
    /// An image of these pages, in order; at most [`PAGE_COUNT_MAX`], what is beyond is dropped.
    pub fn new(pages: impl IntoIterator<Item = (PageKind, PageBytes)>) -> Self {
        let cap = usize::try_from(PAGE_COUNT_MAX).unwrap_or(usize::MAX);
        let (kinds, contents): (Vec<_>, Vec<_>) = pages.into_iter().take(cap).unzip();
        let page_count = contents.len() as u64;
        let file_mapped = PageSet::filled(page_count, |page| kinds[page.index()] == PageKind::FileMapped);
        Self { page_count, file_mapped, contents: Contents::Each(contents) }
    }

    /// An image of so many pages of zeroes, at most [`PAGE_COUNT_MAX`], of which the first are file-mapped and the
    /// others private. Takes next to no memory.
    pub fn blank(page_count: u64, file_mapped: u64) -> Self {
        let page_count = page_count.min(PAGE_COUNT_MAX);
        let file_mapped = PageSet::filled(page_count, |page| page.0 < file_mapped);
        Self { page_count, file_mapped, contents: Contents::Same(PageBytes::zeroed()) }
    }

    /// Number of pages.
    pub fn page_count(&self) -> u64 {
        self.page_count
    }

    /// Every page number, ascending.
    pub fn page_numbers(&self) -> impl DoubleEndedIterator<Item = PageNumber> + use<> {
        (0..self.page_count).map(PageNumber)
    }

    /// Whether the image has such a page.
    pub fn contains(&self, page: PageNumber) -> bool {
        page.0 < self.page_count
    }

    /// The kind of a page; a page outside the image counts as private.
    pub fn kind(&self, page: PageNumber) -> PageKind {
        if self.file_mapped.contains(page) { PageKind::FileMapped } else { PageKind::Private }
    }

    /// The file-mapped pages.
    pub fn file_mapped(&self) -> &PageSet {
        &self.file_mapped
    }

    /// The initial content of a page.
    pub fn content(&self, page: PageNumber) -> Option<&PageBytes> {
        match &self.contents {
            Contents::Each(contents) => contents.get(page.index()),
            Contents::Same(content) => self.contains(page).then_some(content),
        }
    }
}

/// Any content: zeroes or noise, and runs of one byte anywhere in it, up to both ends.
#[cfg(test)]
impl quickcheck::Arbitrary for PageBytes {
    fn arbitrary(g: &mut quickcheck::Gen) -> Self {
        let mut content = match bool::arbitrary(g) {
            true => Self::zeroed(),
            false => Self::from(std::array::from_fn(|_| u8::arbitrary(g))),
        };
        for _ in 0..u8::arbitrary(g) % 8 {
            let start = usize::arbitrary(g) % PAGE_SIZE;
            let length = 1 + usize::arbitrary(g) % (PAGE_SIZE - start);
            let byte = u8::arbitrary(g);
            content.as_mut_slice()[start..start + length].fill(byte);
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::{Arbitrary, Gen};

    use super::*;

    /// What is tried on contents must not depend on where in a page they begin and end.
    #[test]
    fn arbitrary_contents_fill_a_page_from_either_end() {
        // With a fixed seed: what a sample holds by chance alone would be red by chance alone.
        let mut g = Gen::from_size_and_seed(100, 1);
        let contents: Vec<_> = (0..200).map(|_| PageBytes::arbitrary(&mut g)).collect();
        let zero_at =
            |at: usize, zero: bool| move |content: &&PageBytes| (content.as_slice()[at] == 0) == zero;
        for (first, last) in [(true, false), (false, true), (false, false), (true, true)] {
            let some = contents.iter().filter(zero_at(0, first)).filter(zero_at(PAGE_SIZE - 1, last)).count();
            assert!(some > 3, "{some} of {} begin zero {first} and end zero {last}", contents.len());
        }
    }

    #[test]
    fn a_blank_image_is_one_of_zeroes() {
        let kinds = [PageKind::FileMapped, PageKind::FileMapped, PageKind::Private];
        let (blank, image) = (Image::blank(3, 2), Image::new(kinds.map(|kind| (kind, PageBytes::zeroed()))));
        for page in (0..5).map(PageNumber) {
            assert_eq!(blank.kind(page), image.kind(page));
            assert_eq!(blank.content(page), image.content(page));
        }
        assert_eq!((blank.page_count(), blank.file_mapped()), (image.page_count(), image.file_mapped()));
    }
}
