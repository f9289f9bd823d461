//! Where each page is when the process changes hosts: the dirty map and the way to every page.

use std::ops::Range;

use steplog::place::{Sequence, Version};

use crate::page::PAGE_COUNT_MAX;
use crate::wire::FormerHost;

/// Where the destination finds a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whereabouts {
    /// It travelled: the page message with this sequence number holds the content to resume with.
    Travelled(Sequence),
    /// A host keeps it. Content that came in this migration with a sequence number up to `outdated` is stale.
    At(FormerHost, Sequence),
    /// At the file server, in the version of the entry or a newer one.
    FileServer,
    /// In the local backing store.
    LocalStore,
}

/// What the destination has to know about one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanEntry {
    /// Where it is.
    pub whereabouts: Whereabouts,
    /// Whether it differs from its backing store. For a page that is written back, this is the duty to do so.
    pub dirty: bool,
    /// The last version written back.
    pub version: Version,
}

/// An entry for every page, kept as runs of equal entries: as short in memory as it is on the wire, so that a
/// short message cannot ask for much memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    runs: Vec<(u32, PlanEntry)>,
    page_count: u64,
}

impl Plan {
    /// The plan with these runs of (length, entry). `None` if a run is empty, or they make more pages than
    /// [`PAGE_COUNT_MAX`].
    pub fn from_runs(runs: Vec<(u32, PlanEntry)>) -> Option<Self> {
        let mut plan = Self::default();
        plan.reserve(runs.len());
        runs.into_iter().try_for_each(|(length, entry)| plan.push(length, entry))?;
        Some(plan)
    }

    /// Makes room for so many more runs.
    pub(super) fn reserve(&mut self, runs: usize) {
        self.runs.reserve_exact(runs);
    }

    /// Appends a run. `None` if it is empty, or makes more pages than [`PAGE_COUNT_MAX`].
    pub(super) fn push(&mut self, length: u32, entry: PlanEntry) -> Option<()> {
        let page_count = self.page_count + u64::from(length);
        (length > 0 && page_count <= PAGE_COUNT_MAX).then_some(())?;
        self.runs.push((length, entry));
        self.page_count = page_count;
        Some(())
    }

    /// The runs of (length, entry).
    pub fn runs(&self) -> &[(u32, PlanEntry)] {
        &self.runs
    }

    /// Number of pages it covers.
    pub fn page_count(&self) -> u64 {
        self.page_count
    }

    /// The runs as the pages that they cover, and their entry.
    pub fn ranges(&self) -> impl Iterator<Item = (Range<u64>, PlanEntry)> + '_ {
        self.runs.iter().scan(0, |end, &(length, entry)| {
            let start = *end;
            *end = start + u64::from(length);
            Some((start..*end, entry))
        })
    }

    /// The entries, page by page.
    pub fn entries(&self) -> impl Iterator<Item = PlanEntry> + '_ {
        self.runs.iter().flat_map(|(length, entry)| std::iter::repeat_n(*entry, *length as usize))
    }
}

impl FromIterator<PlanEntry> for Plan {
    fn from_iter<I: IntoIterator<Item = PlanEntry>>(entries: I) -> Self {
        let (mut runs, mut page_count): (Vec<(u32, PlanEntry)>, u64) = (Vec::new(), 0);
        for entry in entries {
            page_count += 1;
            match runs.last_mut() {
                Some((length, last)) if *last == entry && *length < u32::MAX => *length += 1,
                _ => runs.push((1, entry)),
            }
        }
        Self { runs, page_count }
    }
}
