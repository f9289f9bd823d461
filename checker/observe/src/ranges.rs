//! Address spaces that are known by the ranges that are mentioned.

use std::collections::BTreeMap;

use crate::fact::{ObserveError, PageRange};
use crate::layout::BlockLayout;

/// Ranges of pages, by an address space's number and the number of the first page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    /// From the first page to the one behind the last.
    ranges: BTreeMap<(u64, u64), u64>,
}

/// So many ranges in a space, at most: more than maps that Linux lets a process have.
const RANGES_MAX: usize = 1 << 20;

impl Ranges {
    /// Adds pages, and joins what touches. Are there too many ranges?
    pub fn add(&mut self, space: u64, first: u64, count: u64) -> bool {
        let (mut first, mut end) = (first, first.saturating_add(count));
        if first == end {
            return false;
        }
        loop {
            let before = self.ranges.range((space, 0)..=(space, end)).next_back();
            match before.map(|(key, known_end)| (*key, *known_end)) {
                Some(((_, known_first), known_end)) if known_end >= first => {
                    self.ranges.remove(&(space, known_first));
                    (first, end) = (first.min(known_first), end.max(known_end));
                }
                _ => break,
            }
        }
        self.ranges.insert((space, first), end);
        self.ranges.len() > RANGES_MAX
    }

    /// Numbers the pages of all ranges.
    ///
    /// # Errors
    /// There are more pages than are counted.
    pub fn layout(&self, name: impl Fn(u64, u64) -> String) -> Result<(BlockLayout, Places), ObserveError> {
        let names: Vec<_> =
            self.ranges.iter().map(|((space, first), end)| (name(*space, *first), end - first)).collect();
        let layout = BlockLayout::new(names.iter().map(|(name, pages)| (name.as_str(), *pages)))?;
        let places = self.ranges.iter().enumerate().map(|(index, ((space, first), end))| {
            let pages = layout.by_index(index).unwrap_or(PageRange { first: 0, count: 0 });
            ((*space, *first), (*end, pages.first))
        });
        let places = Places { places: places.collect() };
        Ok((layout, places))
    }
}

/// Where pages are in the numbering.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    places: BTreeMap<(u64, u64), (u64, u32)>,
}

impl Places {
    /// The number of this page.
    pub fn page(&self, space: u64, page: u64) -> Option<u32> {
        let ((_, first), (end, number)) = self.places.range((space, 0)..=(space, page)).next_back()?;
        (page < *end).then(|| number + (page - first) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_and_numbered() {
        let mut ranges = Ranges::default();
        for (space, first, count) in [(1, 10, 5), (1, 15, 1), (2, 0, 3), (1, 30, 2), (1, 8, 4), (1, 0, 0)] {
            assert!(!ranges.add(space, first, count));
        }
        let (layout, places) = ranges.layout(|space, first| format!("{space} {first}")).unwrap();
        assert_eq!(layout.pages(), 8 + 2 + 3);
        let numbers = [(1, 8), (1, 15), (1, 16), (1, 31), (2, 0), (2, 3), (3, 0)]
            .map(|(space, page)| places.page(space, page));
        assert_eq!(numbers, [Some(0), Some(7), None, Some(9), Some(10), None, None]);
        assert_eq!(layout.name(1).to_string(), "1 8 at 0x1000");
    }
}
