//! What a destination tells a former host over a new connection.

use steplog::message::Progress;
use steplog::page::PageNumber;

use crate::page::PAGE_COUNT_MAX;

/// How far the destination is, and what it still needs from the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resync {
    /// How far it is.
    pub progress: Progress,
    /// The pages that it does not hold and that only the receiver can give it.
    pub lacks: PageRuns,
    /// Those among them that the process waits for.
    pub waits: PageRuns,
}

/// A set of pages as runs: as short in memory as it is on the wire, where a run is (pages left out, pages in).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRuns {
    /// First page and number of pages of each run, ascending.
    runs: Vec<(u32, u32)>,
}

impl PageRuns {
    /// The set with these runs of (pages left out, pages in). `None` if a run is empty, two of them touch, or a page is
    /// beyond any address space.
    pub fn from_runs(mut runs: Vec<(u32, u32)>) -> Option<Self> {
        let mut end = 0u64;
        for (at, run) in runs.iter_mut().enumerate() {
            let (gap, length) = *run;
            let start = end + u64::from(gap);
            end = start + u64::from(length);
            if length == 0 || (gap == 0 && at > 0) || end > PAGE_COUNT_MAX {
                return None;
            }
            run.0 = u32::try_from(start).ok()?;
        }
        Some(Self { runs })
    }

    /// The runs of (pages left out, pages in).
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (u32, u32)> + '_ {
        let mut end = 0;
        self.runs.iter().map(move |&(start, length)| {
            let gap = start - end;
            end = start + length;
            (gap, length)
        })
    }

    /// Whether the page is in the set.
    pub fn contains(&self, page: PageNumber) -> bool {
        let after = self.runs.partition_point(|&(start, _)| u64::from(start) <= page.0);
        let run = after.checked_sub(1).and_then(|at| self.runs.get(at));
        run.is_some_and(|&(start, length)| page.0 - u64::from(start) < u64::from(length))
    }

    /// The pages in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = PageNumber> + '_ {
        let pages = |&(start, length): &(u32, u32)| u64::from(start)..u64::from(start) + u64::from(length);
        self.runs.iter().flat_map(pages).map(PageNumber)
    }
}

/// From pages in ascending order; others, and pages beyond any address space, are left out.
impl FromIterator<PageNumber> for PageRuns {
    fn from_iter<I: IntoIterator<Item = PageNumber>>(pages: I) -> Self {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for page in pages.into_iter().filter(|page| page.0 < PAGE_COUNT_MAX) {
            let Ok(page) = u32::try_from(page.0) else { continue };
            match runs.last_mut() {
                Some((start, length)) if page < *start + *length => {}
                Some((start, length)) if page == *start + *length => *length += 1,
                _ => runs.push((page, 1)),
            }
        }
        Self { runs }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn runs_are_the_set_that_they_were_made_of(pages: BTreeSet<u8>) -> bool {
            let set: PageRuns = pages.iter().map(|&page| PageNumber(page.into())).collect();
            let again = PageRuns::from_runs(set.runs().collect());
            let contained = (0..300).filter(|&page| set.contains(PageNumber(page)));
            again.as_ref() == Some(&set)
                && set.iter().map(|page| page.0).eq(pages.iter().map(|&page| u64::from(page)))
                && contained.eq(pages.iter().map(|&page| u64::from(page)))
        }
    }
}
