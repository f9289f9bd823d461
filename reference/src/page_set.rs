//! A set of pages as a bitset.

use crate::page::PageNumber;

const WORD_BITS: usize = u64::BITS as usize;

/// A set of pages of an address space of fixed size; pages beyond that size are never in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSet {
    words: Vec<u64>,
    page_count: u64,
    len: usize,
}

impl PageSet {
    /// The empty set over `page_count` pages.
    pub fn empty(page_count: u64) -> Self {
        let words = usize::try_from(page_count).unwrap_or(usize::MAX).div_ceil(WORD_BITS);
        Self { words: vec![0; words], page_count, len: 0 }
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
            self.words[page.index() / WORD_BITS] |= 1 << (page.index() % WORD_BITS);
            self.len += 1;
        }
        added
    }

    /// Takes a page out; true when it was there.
    pub fn remove(&mut self, page: PageNumber) -> bool {
        let removed = self.contains(page);
        if removed {
            self.words[page.index() / WORD_BITS] &= !(1 << (page.index() % WORD_BITS));
            self.len -= 1;
        }
        removed
    }

    /// Whether the page is in the set.
    pub fn contains(&self, page: PageNumber) -> bool {
        self.words
            .get(page.index() / WORD_BITS)
            .is_some_and(|word| word >> (page.index() % WORD_BITS) & 1 == 1)
    }

    /// Number of pages in the set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no page is in the set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pages in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = PageNumber> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| bits(word, index))
    }

    /// The pages after `pivot` in ascending order, then those up to and including it: the order of a prefetch
    /// that expects a process to go on from where it last faulted.
    pub fn iter_from(&self, pivot: PageNumber) -> impl Iterator<Item = PageNumber> + '_ {
        let after = self.iter().skip_while(move |&page| page <= pivot);
        after.chain(self.iter().take_while(move |&page| page <= pivot))
    }
}

fn bits(mut word: u64, index: usize) -> impl Iterator<Item = PageNumber> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros() as usize;
        (bit < WORD_BITS).then(|| {
            word &= word - 1;
            PageNumber((index * WORD_BITS + bit) as u64)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quickcheck::quickcheck;

    use super::*;

    const PAGES: u64 = 200;

    quickcheck! {
        fn behaves_like_a_set(steps: Vec<(bool, u8)>) -> bool {
            let mut set = PageSet::empty(PAGES);
            let mut expected = BTreeSet::new();
            for (insert, page) in steps {
                let page = PageNumber(page.into());
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

        fn from_a_pivot_every_page_comes_once(pages: Vec<u8>, pivot: u8) -> bool {
            let mut set = PageSet::empty(PAGES);
            for page in pages {
                set.insert(PageNumber(page.into()));
            }
            let pivot = PageNumber(pivot.into());
            let order: Vec<_> = set.iter_from(pivot).collect();
            let mut sorted = order.clone();
            sorted.sort();
            let turns = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
            sorted.into_iter().eq(set.iter()) && turns <= 1 && order.first().is_none_or(|first| {
                *first > pivot || set.iter().all(|page| page <= pivot)
            })
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
