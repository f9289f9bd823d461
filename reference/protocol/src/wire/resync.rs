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

/// A set of pages as runs of (pages left out, pages in): as short in memory as it is on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRuns {
    runs: Vec<(u32, u32)>,
}

impl PageRuns {
    /// The set with these runs. `None` if a run is empty, two of them touch, or a page is beyond any address space.
    pub fn from_runs(runs: Vec<(u32, u32)>) -> Option<Self> {
        let mut end = 0u64;
        for (at, &(gap, length)) in runs.iter().enumerate() {
            end += u64::from(gap) + u64::from(length);
            if length == 0 || (gap == 0 && at > 0) || end > PAGE_COUNT_MAX {
                return None;
            }
        }
        Some(Self { runs })
    }

    /// The runs of (pages left out, pages in).
    pub fn runs(&self) -> &[(u32, u32)] {
        &self.runs
    }

    /// The pages in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = PageNumber> + '_ {
        let ranges = self.runs.iter().scan(0u64, |end, &(gap, length)| {
            let start = *end + u64::from(gap);
            *end = start + u64::from(length);
            Some(start..*end)
        });
        ranges.flatten().map(PageNumber)
    }
}

/// From pages in ascending order; others, and pages beyond any address space, are left out.
impl FromIterator<PageNumber> for PageRuns {
    fn from_iter<I: IntoIterator<Item = PageNumber>>(pages: I) -> Self {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        let mut end = 0u64;
        for page in pages.into_iter().filter(|page| page.0 < PAGE_COUNT_MAX) {
            match (page.0.checked_sub(end), runs.last_mut()) {
                (Some(0), Some((_, length))) => *length += 1,
                (Some(gap), _) => runs.push((gap as u32, 1)),
                (None, _) => continue,
            }
            end = page.0 + 1;
        }
        Self { runs }
    }
}
