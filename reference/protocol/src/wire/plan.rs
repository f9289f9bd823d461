//! Where each page is when the process changes hosts: the dirty map and the way to every page.

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
}

impl Plan {
    /// The plan with these runs of (length, entry). `None` if a run is empty, or they make more pages than
    /// [`PAGE_COUNT_MAX`].
    pub fn from_runs(runs: Vec<(u32, PlanEntry)>) -> Option<Self> {
        let total = runs.iter().try_fold(0u64, |total, (length, _)| {
            let total = total + u64::from(*length);
            (*length > 0 && total <= PAGE_COUNT_MAX).then_some(total)
        });
        total.map(|_| Self { runs })
    }

    /// The runs of (length, entry).
    pub fn runs(&self) -> &[(u32, PlanEntry)] {
        &self.runs
    }

    /// Number of pages it covers.
    pub fn page_count(&self) -> u64 {
        self.runs.iter().map(|(length, _)| u64::from(*length)).sum()
    }

    /// The entries, page by page.
    pub fn entries(&self) -> impl Iterator<Item = PlanEntry> + '_ {
        self.runs.iter().flat_map(|(length, entry)| std::iter::repeat_n(*entry, *length as usize))
    }
}

impl FromIterator<PlanEntry> for Plan {
    fn from_iter<I: IntoIterator<Item = PlanEntry>>(entries: I) -> Self {
        let mut runs: Vec<(u32, PlanEntry)> = Vec::new();
        for entry in entries {
            match runs.last_mut() {
                Some((length, last)) if *last == entry && *length < u32::MAX => *length += 1,
                _ => runs.push((1, entry)),
            }
        }
        Self { runs }
    }
}
