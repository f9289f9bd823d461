//! Pages of a guest, numbered through all its blocks of memory.

use std::fmt;

use crate::fact::{ObserveError, PageRange};

/// Blocks of memory and where their pages are in the numbering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockLayout {
    blocks: Vec<Block>,
    pages: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    name: String,
    first: u32,
    pages: u32,
    /// Pages of the guest in a page of the host.
    together: u32,
}

/// 64 GiB of pages of 4 KiB: what a log of steps can be about, within the memory that the judge may take.
const PAGES_MAX: u64 = 1 << 24;

impl BlockLayout {
    /// Blocks of that many pages, in this order.
    ///
    /// # Errors
    /// There are more pages than are counted.
    pub fn new<'a>(blocks: impl IntoIterator<Item = (&'a str, u64)>) -> Result<Self, ObserveError> {
        let mut layout = Self::default();
        for (name, pages) in blocks {
            let total = u64::from(layout.pages).saturating_add(pages);
            if total > PAGES_MAX {
                return Err(ObserveError::TooLarge { pages: total, pages_max: PAGES_MAX });
            }
            let first = layout.pages;
            layout.blocks.push(Block { name: name.to_owned(), first, pages: pages as u32, together: 1 });
            layout.pages = total as u32;
        }
        Ok(layout)
    }

    /// So many pages of this block make one page of the host, and come into place together.
    pub fn join(&mut self, index: usize, together: u32) {
        if let Some(block) = self.blocks.get_mut(index) {
            block.together = together.max(1);
        }
    }

    /// The pages that come into place with this one.
    pub fn together(&self, page: u32) -> PageRange {
        match self.of(page) {
            Some(block) => {
                let first = page - (page - block.first) % block.together;
                PageRange { first, count: block.together.min(block.first + block.pages - first) }
            }
            None => PageRange { first: page, count: 1 },
        }
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// How many pages there are.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// The pages of a block.
    pub fn block(&self, name: &str) -> Option<PageRange> {
        self.blocks.iter().find(|block| block.name == name).map(Block::range)
    }

    /// The pages of the largest block, and its name.
    pub fn largest(&self) -> Option<(&str, PageRange)> {
        let block = self.blocks.iter().max_by_key(|block| block.pages)?;
        Some((&block.name, block.range()))
    }

    /// The pages of the block with this index.
    pub fn by_index(&self, index: usize) -> Option<PageRange> {
        self.blocks.get(index).map(Block::range)
    }

    /// A page of a block.
    pub fn page(&self, block: PageRange, within: u64) -> Option<u32> {
        (within < u64::from(block.count)).then(|| block.first + within as u32)
    }

    /// Number of a page within its block.
    pub fn within(&self, page: u32) -> u32 {
        self.of(page).map_or(page, |block| page - block.first)
    }

    /// The page in words.
    pub fn name(&self, page: u32) -> PageName<'_> {
        let block = self.of(page);
        PageName { block: block.map_or("?", |block| &block.name), within: self.within(page) }
    }

    fn of(&self, page: u32) -> Option<&Block> {
        let index = self.blocks.partition_point(|block| block.first + block.pages <= page);
        self.blocks.get(index).filter(|block| block.pages > 0)
    }
}

impl Block {
    fn range(&self) -> PageRange {
        PageRange { first: self.first, count: self.pages }
    }
}

/// A page in words: its block, and its address there.
#[derive(Clone, Copy, Debug)]
pub struct PageName<'a> {
    block: &'a str,
    within: u32,
}

impl fmt::Display for PageName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:#x}", self.block, u64::from(self.within) * 4096)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_numbered_through_all_blocks() {
        let layout = BlockLayout::new([("a", 3), ("empty", 0), ("b", 2)]).unwrap();
        let b = layout.block("b").unwrap();
        assert_eq!((layout.pages(), b), (5, PageRange { first: 3, count: 2 }));
        assert_eq!((layout.page(b, 1), layout.page(b, 2)), (Some(4), None));
        assert_eq!((layout.within(2), layout.within(4)), (2, 1));
        assert_eq!(layout.name(4).to_string(), "b at 0x1000");
        assert_eq!(layout.largest().unwrap().0, "a");
        let mut joined = layout.clone();
        joined.join(0, 2);
        assert_eq!(joined.together(1), PageRange { first: 0, count: 2 });
        assert_eq!(joined.together(2), PageRange { first: 2, count: 1 });
        assert_eq!(joined.together(4), PageRange { first: 4, count: 1 });
        assert!(BlockLayout::new([("a", 1 << 24), ("b", 1)]).is_err());
    }
}
