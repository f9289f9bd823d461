//! A set of pages as a bitset with summaries, so that the next page is found at once even among millions.

use std::iter::successors;
use std::ops::Range;

use steplog::page::PageNumber;

const WORD_BITS: usize = u64::BITS as usize;

/// A set of pages of an address space of fixed size; pages beyond that size are never in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSet {
    /// A bit for each page; above it a bit for each word that is not zero, and so on, up to a single word.
    levels: Vec<Vec<u64>>,
    page_count: u64,
    len: usize,
}

impl PageSet {
    /// The empty set over `page_count` pages.
    pub fn empty(page_count: u64) -> Self {
        let zeroes = |bits: usize| vec![0; bits.div_ceil(WORD_BITS)];
        let pages = zeroes(usize::try_from(page_count).unwrap_or(usize::MAX));
        let levels = successors(Some(pages), |below| (below.len() > 1).then(|| zeroes(below.len())));
        Self { levels: levels.collect(), page_count, len: 0 }
    }

    /// The set of those of `page_count` pages that satisfy `belongs`.
    pub fn filled(page_count: u64, mut belongs: impl FnMut(PageNumber) -> bool) -> Self {
        let mut set = Self::empty(page_count);
        (0..page_count).map(PageNumber).filter(|&page| belongs(page)).for_each(|page| {
            set.insert(page);
        });
        set
    }

    /// Adds a page; true when it was not there before. A page out of range is not added.
    pub fn insert(&mut self, page: PageNumber) -> bool {
        let added = page.0 < self.page_count && !self.contains(page);
        if added {
            self.len += 1;
            let mut bit = page.index();
            for level in &mut self.levels {
                let word = &mut level[bit / WORD_BITS];
                let was_empty = *word == 0;
                *word |= 1 << (bit % WORD_BITS);
                if !was_empty {
                    break;
                }
                bit /= WORD_BITS;
            }
        }
        added
    }

    /// Takes a page out; true when it was there.
    pub fn remove(&mut self, page: PageNumber) -> bool {
        let removed = self.contains(page);
        if removed {
            self.len -= 1;
            let mut bit = page.index();
            for level in &mut self.levels {
                let word = &mut level[bit / WORD_BITS];
                *word &= !(1 << (bit % WORD_BITS));
                if *word != 0 {
                    break;
                }
                bit /= WORD_BITS;
            }
        }
        removed
    }

    /// Takes every page out. Costs as much as there are pages in it.
    pub fn clear(&mut self) {
        while let Some(page) = self.first_from(PageNumber(0)) {
            self.remove(page);
        }
    }

    /// Whether the page is in the set.
    pub fn contains(&self, page: PageNumber) -> bool {
        let word = self.levels.first().and_then(|pages| pages.get(page.index() / WORD_BITS));
        word.is_some_and(|word| word >> (page.index() % WORD_BITS) & 1 == 1)
    }

    /// Number of pages in the set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no page is in the set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first page that is not before this one.
    pub fn first_from(&self, page: PageNumber) -> Option<PageNumber> {
        let mut bit = page.index();
        for (height, level) in self.levels.iter().enumerate() {
            let rest = level.get(bit / WORD_BITS)? >> (bit % WORD_BITS);
            if rest != 0 {
                return Some(self.first_below(height, bit + rest.trailing_zeros() as usize));
            }
            bit = bit / WORD_BITS + 1;
        }
        None
    }

    /// The pages of this range in ascending order.
    pub fn iter_within(&self, range: Range<u64>) -> impl Iterator<Item = PageNumber> + '_ {
        self.from(PageNumber(range.start)).take_while(move |page| page.0 < range.end)
    }

    /// The pages in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = PageNumber> + '_ {
        self.from(PageNumber(0))
    }

    /// The pages after `pivot` in ascending order, then those up to and including it: the order of a prefetch
    /// that expects a process to go on from where it last faulted.
    pub fn iter_from(&self, pivot: PageNumber) -> impl Iterator<Item = PageNumber> + '_ {
        let after = self.from(PageNumber(pivot.0.saturating_add(1)));
        after.chain(self.iter().take_while(move |&page| page <= pivot))
    }

    fn from(&self, page: PageNumber) -> impl Iterator<Item = PageNumber> + '_ {
        successors(self.first_from(page), |page| self.first_from(PageNumber(page.0 + 1)))
    }

    /// The first page below a bit of a level that is set.
    fn first_below(&self, height: usize, bit: usize) -> PageNumber {
        let below = self.levels[..height].iter().rev();
        let first = |bit: usize, level: &Vec<u64>| bit * WORD_BITS + level[bit].trailing_zeros() as usize;
        PageNumber(below.fold(bit, first) as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quickcheck::quickcheck;

    use super::*;

    /// Enough for two levels of summaries.
    const PAGES: u64 = 5000;

    quickcheck! {
        fn behaves_like_a_set(steps: Vec<(bool, u16)>) -> bool {
            let mut set = PageSet::empty(PAGES);
            let mut expected = BTreeSet::new();
            for (insert, page) in steps {
                let page = PageNumber(u64::from(page) % (PAGES + 3));
                let same = match insert {
                    true => set.insert(page) == (page.0 < PAGES && expected.insert(page)),
                    false => set.remove(page) == expected.remove(&page),
                };
                if !same {
                    return false;
                }
                expected.retain(|page| page.0 < PAGES);
            }
            set.len() == expected.len() && set.iter().eq(expected.iter().copied())
        }

        fn from_a_pivot_every_page_comes_once(pages: Vec<u16>, pivot: u16) -> bool {
            let mut set = PageSet::empty(PAGES);
            for page in pages {
                set.insert(PageNumber(u64::from(page) % PAGES));
            }
            let pivot = PageNumber(u64::from(pivot) % PAGES);
            let order: Vec<_> = set.iter_from(pivot).collect();
            let mut sorted = order.clone();
            sorted.sort();
            let turns = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
            sorted.into_iter().eq(set.iter()) && turns <= 1 && order.first().is_none_or(|first| {
                *first > pivot || set.iter().all(|page| page <= pivot)
            })
        }
    }

    quickcheck! {
        fn a_range_of_the_set_is_what_a_filter_leaves(pages: Vec<u16>, from: u16, len: u16) -> bool {
            let (from, len) = (u64::from(from) % PAGES, u64::from(len) % PAGES);
            let mut set = PageSet::empty(PAGES);
            for page in pages {
                set.insert(PageNumber(u64::from(page) % PAGES));
            }
            let filtered = set.iter().filter(|page| (from..from + len).contains(&page.0));
            let same = set.iter_within(from..from + len).eq(filtered);
            set.clear();
            same && set == PageSet::empty(PAGES)
        }
    }

    #[test]
    fn a_page_out_of_range_is_never_in_the_set() {
        let mut set = PageSet::empty(3);
        assert!(!set.insert(PageNumber(3)));
        assert!(!set.insert(PageNumber(u64::MAX)));
        assert!(set.is_empty() && !set.contains(PageNumber(u64::MAX)));
    }
}
