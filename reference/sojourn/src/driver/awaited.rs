//! What a source waits for before it suspends a process whose pages are written back: those that were modified when the migration
//! began. The rest of pre-migration has no end, since the process goes on modifying pages; this has.

use std::time::{Duration, Instant};

use protocol::page::PageKind;
use steplog::page::PageNumber;

use crate::layout::AddressSpaceLayout;

/// How long a file server that acknowledges nothing is waited for. What it does not have then travels from the source.
const PATIENCE: Duration = Duration::from_secs(5);

/// Write-backs that are waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Awaited {
    left: u64,
    heard: Option<Instant>,
}

impl Awaited {
    /// Every modified page of these that belongs to the file server.
    pub(super) fn of(layout: &AddressSpaceLayout, is_written: impl Fn(PageNumber) -> bool) -> Self {
        let stored = layout.numbered().filter(|(_, run)| run.kind == PageKind::FileMapped);
        let pages = stored.flat_map(|(first, run)| first..first + run.pages);
        let left = pages.filter(|page| is_written(PageNumber(*page))).count() as u64;
        Self { left, heard: Some(Instant::now()) }
    }

    /// The file server has one.
    pub(super) fn acknowledged(&mut self) {
        *self = Self { left: self.left.saturating_sub(1), heard: Some(Instant::now()) };
    }

    /// Whether there is anything to wait for yet.
    pub(super) fn is_over(&self) -> bool {
        self.left == 0 || self.heard.is_none_or(|heard| heard.elapsed() > PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_waited_for_as_were_modified() {
        let mut awaited = Awaited::of(&AddressSpaceLayout::plain(7, 3, "file"), |page| page.0 != 1);
        assert!(!awaited.is_over());
        awaited.acknowledged();
        assert!(!awaited.is_over());
        awaited.acknowledged();
        assert!(awaited.is_over());
        assert!(
            Awaited::of(&AddressSpaceLayout::plain(7, 3, "file"), |page| page.0 > 2).is_over(),
            "private pages are not"
        );
    }
}
