//! What the process does: which pages it touches, in what order, and how.

use protocol::page::{Image, PAGE_SIZE, PageBytes, PageKind};
use serde::{Deserialize, Serialize};
use steplog::page::PageNumber;

use crate::random::Random;

/// Bytes that one access reads or writes.
pub const ACCESS_LEN: usize = 8;

/// The address space: how many pages of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PageLayout {
    /// Number of pages.
    pub pages: u64,
    /// Share of file-mapped pages; the others are private.
    pub file_mapped_percent: u8,
    /// Share of pages that the process writes to before anything else.
    pub initially_dirty_percent: u8,
    /// Share of pages that are noise to begin with, so that they travel in full. Of the others, half are all
    /// zeroes, half are one byte over and over.
    pub noise_percent: u8,
}

/// What the process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Workload {
    /// Which page comes next.
    pub pattern: Pattern,
    /// Share of accesses that write.
    pub write_percent: u8,
    /// Time from one access to the next, when the first did not fault.
    pub interval_ns: u64,
}

/// Which page an access touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Any page, each as likely as the others.
    Uniform,
    /// One after the other, and again from the first.
    Sequential,
    /// Few pages often, many rarely: the n-th most popular page with a probability in proportion to 1/n.
    Zipf,
    /// Pages of a window that moves on from time to time.
    WorkingSet {
        /// Size of the window.
        pages: u64,
        /// Accesses before it moves on by half its size.
        dwell: u64,
    },
}

/// One access of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Which page.
    pub page: PageNumber,
    /// Where in the page.
    pub offset: u16,
    /// The bytes to write; `None` to read.
    pub write: Option<[u8; ACCESS_LEN]>,
}

/// An endless sequence of accesses.
#[derive(Clone, Debug)]
pub struct AccessSequence {
    pattern: Pattern,
    write_percent: u8,
    pages: u64,
    count: u64,
    random: Random,
    /// For [`Pattern::Zipf`]: the pages from popular to unpopular, and the weight of each and all before it.
    popularity: Vec<(PageNumber, u64)>,
}

impl PageLayout {
    /// An image of this layout.
    pub fn image(&self, seed: u64) -> Image {
        let mut random = Random::new(seed);
        Image::new((0..self.pages).map(|_| {
            let file_mapped = random.percent(self.file_mapped_percent);
            let kind = if file_mapped { PageKind::FileMapped } else { PageKind::Private };
            (kind, some_content(self.noise_percent, &mut random))
        }))
    }

    /// What the process writes before anything else: one access a page.
    pub fn initial_writes(&self, seed: u64) -> Vec<Access> {
        let mut random = Random::new(seed);
        let dirty = (0..self.pages).map(PageNumber).filter(|_| random.percent(self.initially_dirty_percent));
        let pages: Vec<_> = dirty.collect();
        pages.into_iter().map(|page| access(page, true, &mut random)).collect()
    }
}

fn some_content(noise_percent: u8, random: &mut Random) -> PageBytes {
    let mut content = PageBytes::zeroed();
    if random.percent(noise_percent) {
        let (words, _) = content.as_mut_slice().as_chunks_mut::<8>();
        words.iter_mut().for_each(|word| *word = random.next().to_le_bytes());
    } else if random.percent(50) {
        content.as_mut_slice().fill(random.below(256) as u8);
    }
    content
}

fn access(page: PageNumber, write: bool, random: &mut Random) -> Access {
    let offset = random.below((PAGE_SIZE - ACCESS_LEN + 1) as u64) as u16;
    Access { page, offset, write: write.then(|| random.next().to_le_bytes()) }
}

impl Workload {
    /// The accesses of this workload to an address space of that many pages.
    pub fn accesses(&self, pages: u64, seed: u64) -> AccessSequence {
        let mut random = Random::new(seed);
        let popularity =
            if self.pattern == Pattern::Zipf { popularity(pages, &mut random) } else { Vec::new() };
        AccessSequence {
            pattern: self.pattern,
            write_percent: self.write_percent,
            pages,
            count: 0,
            random,
            popularity,
        }
    }
}

/// Integers only, so that the run is the same on every machine.
fn popularity(pages: u64, random: &mut Random) -> Vec<(PageNumber, u64)> {
    let mut order: Vec<_> = (0..pages).map(PageNumber).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    let mut total = 0;
    let weight = |rank: u64| (1 << 32) / rank;
    (1..)
        .zip(order)
        .map(|(rank, page)| {
            (page, {
                total += weight(rank);
                total
            })
        })
        .collect()
}

impl AccessSequence {
    fn page(&mut self) -> PageNumber {
        let count = self.count;
        match self.pattern {
            Pattern::Uniform => PageNumber(self.random.below(self.pages)),
            Pattern::Sequential => PageNumber(count % self.pages),
            Pattern::Zipf => {
                let total = self.popularity.last().map_or(0, |(_, total)| *total);
                let point = self.random.below(total);
                let rank = self.popularity.partition_point(|(_, cumulative)| *cumulative <= point);
                self.popularity.get(rank).map_or(PageNumber(0), |(page, _)| *page)
            }
            Pattern::WorkingSet { pages, dwell } => {
                let size = pages.clamp(1, self.pages);
                let start = count / dwell.max(1) * size.div_ceil(2);
                PageNumber((start + self.random.below(size)) % self.pages)
            }
        }
    }
}

impl Iterator for AccessSequence {
    type Item = Access;

    /// `None` only where there is no page to touch.
    fn next(&mut self) -> Option<Access> {
        if self.pages == 0 {
            return None;
        }
        let page = self.page();
        self.count += 1;
        let write = self.random.percent(self.write_percent);
        Some(access(page, write, &mut self.random))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PAGES: u64 = 16;

    fn touched(pattern: Pattern, count: usize) -> BTreeMap<u64, usize> {
        let workload = Workload { pattern, write_percent: 50, interval_ns: 1 };
        let mut touched = BTreeMap::new();
        workload
            .accesses(PAGES, 7)
            .take(count)
            .for_each(|access| *touched.entry(access.page.0).or_default() += 1);
        touched
    }

    #[test]
    fn uniform_touches_every_page_about_equally() {
        let touched = touched(Pattern::Uniform, 1600);
        assert!(
            touched.len() == 16 && touched.values().all(|count| (60..140).contains(count)),
            "{touched:?}"
        );
    }

    #[test]
    fn sequential_goes_round() {
        assert!(touched(Pattern::Sequential, 32).values().all(|&count| count == 2));
    }

    #[test]
    fn zipf_prefers_one_page_to_half_of_the_others() {
        let mut counts: Vec<_> = touched(Pattern::Zipf, 1600).into_values().collect();
        counts.sort_unstable();
        // The weights 1, 1/2, … 1/16 sum up to 3.38: the most popular page has a share of 0.3.
        assert!((400..560).contains(&counts[counts.len() - 1]), "{counts:?}");
    }

    #[test]
    fn a_working_set_is_small_and_moves_on() {
        let pattern = Pattern::WorkingSet { pages: 4, dwell: 50 };
        assert_eq!(touched(pattern, 50).into_keys().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(touched(pattern, 100).into_keys().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_address_space_without_pages_is_never_touched() {
        let workload = Workload { pattern: Pattern::Sequential, write_percent: 50, interval_ns: 1 };
        assert_eq!(workload.accesses(0, 1).next(), None);
    }

    #[test]
    fn the_layout_decides_kinds_and_initial_writes() {
        let layout = PageLayout {
            pages: 1000,
            file_mapped_percent: 30,
            initially_dirty_percent: 40,
            noise_percent: 0,
        };
        let image = layout.image(1);
        let mapped = image.page_numbers().filter(|&page| image.kind(page) == PageKind::FileMapped).count();
        let written = layout.initial_writes(1);
        assert!((250..350).contains(&mapped), "{mapped}");
        assert!((350..450).contains(&written.len()) && written.iter().all(|access| access.write.is_some()));
    }
}
