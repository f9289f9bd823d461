//! A set of views, indexed by what completes a part of one.

use arrayvec::ArrayVec;
use rustc_hash::FxHashMap;

use super::bits::Bits;
use super::steps::{ControlId, RecordId};

/// The most pages in a view; with the page that a step needs beside them, one more is looked at.
pub const VIEW_PAGES_MAX: usize = 3;

/// The page records of a view, or of a part of one, in ascending order.
pub(super) type View = ArrayVec<RecordId, VIEW_PAGES_MAX>;

/// Views that all have the same number of pages.
#[derive(Clone, Debug)]
pub(super) struct ViewSet {
    pages: usize,
    by_control: Vec<ControlViews>,
}

/// The views under one control record.
#[derive(Clone, Debug, Default)]
struct ControlViews {
    views: Vec<View>,
    /// For every part that is one page short of a view: the records that complete it.
    completions: FxHashMap<View, Bits>,
}

impl ViewSet {
    pub fn new(pages: usize) -> Self {
        assert!((1..=VIEW_PAGES_MAX).contains(&pages), "a view has 1 to {VIEW_PAGES_MAX} pages, not {pages}");
        ViewSet { pages, by_control: Vec::new() }
    }

    /// How many pages each view has.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// How many views there are.
    pub fn len(&self) -> usize {
        self.by_control.iter().map(|control| control.views.len()).sum()
    }

    /// The control records that have a view.
    pub fn controls(&self) -> impl Iterator<Item = ControlId> + '_ {
        self.by_control.iter().enumerate().filter(|(_, of)| !of.views.is_empty()).map(|(id, _)| id)
    }

    /// The views under a control record, in the order in which they were found.
    pub fn under(&self, control: ControlId) -> &[View] {
        self.by_control.get(control).map_or(&[], |of| &of.views)
    }

    /// The page records that occur under a control record.
    pub fn records(&self, control: ControlId) -> Bits {
        self.under(control).iter().flatten().copied().collect()
    }

    pub fn contains(&self, control: ControlId, view: &View) -> bool {
        let Some((last, part)) = view.split_last() else { return false };
        let part: View = part.iter().copied().collect();
        let completions = self.by_control.get(control).and_then(|of| of.completions.get(&part));
        completions.is_some_and(|records| records.contains(*last))
    }

    /// Adds a view; `true` if it was not there.
    pub fn insert(&mut self, control: ControlId, view: View) -> bool {
        debug_assert!(view.len() == self.pages && view.is_sorted());
        if self.contains(control, &view) {
            return false;
        }
        if self.by_control.len() <= control {
            self.by_control.resize_with(control + 1, ControlViews::default);
        }
        let of = &mut self.by_control[control];
        for index in 0..view.len() {
            of.completions.entry(without(&view, index)).or_default().insert(view[index]);
        }
        of.views.push(view);
        true
    }

    /// The records that may stand beside a view: with each of them, every part of the size of a view is
    /// in the set.
    pub fn extensions(&self, control: ControlId, view: &View) -> Bits {
        let mut parts = (0..view.len()).filter(|index| *index == 0 || view[*index] != view[index - 1]);
        let completions = |index| &self.by_control[control].completions[&without(view, index)];
        let mut extensions = parts.next().map(completions).cloned().unwrap_or_default();
        for index in parts {
            extensions.intersect(completions(index));
        }
        extensions
    }
}

/// The view without the page at `index`.
pub(super) fn without(view: &View, index: usize) -> View {
    let mut part = view.clone();
    part.remove(index);
    part
}

/// All views of the given size over these records.
pub(super) fn combinations(records: &[RecordId], pages: usize) -> Vec<View> {
    let mut views = vec![View::new()];
    for _ in 0..pages {
        let extended = views.iter().flat_map(|view| {
            let ascending = records.iter().filter(|record| view.last().is_none_or(|last| last <= record));
            ascending.map(|record| view.iter().chain([record]).copied().collect())
        });
        views = extended.collect();
    }
    views
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(records: &[RecordId]) -> View {
        records.iter().copied().collect()
    }

    #[test]
    fn a_record_extends_a_view_when_every_part_is_known() {
        let mut set = ViewSet::new(2);
        for pair in [[0, 1], [1, 2], [0, 2], [2, 2], [2, 3]] {
            assert!(set.insert(0, view(&pair)));
            assert!(!set.insert(0, view(&pair)));
        }
        assert_eq!(set.len(), 5);
        assert_eq!(set.extensions(0, &view(&[0, 1])).iter().collect::<Vec<_>>(), [2]);
        assert_eq!(set.extensions(0, &view(&[2, 2])).iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(set.contains(0, &view(&[2, 3])) && !set.contains(0, &view(&[0, 3])));
        assert!(!set.contains(1, &view(&[2, 3])));
    }

    #[test]
    fn combinations_are_multisets() {
        assert_eq!(combinations(&[4, 7], 2), [view(&[4, 4]), view(&[4, 7]), view(&[7, 7])]);
        assert_eq!(combinations(&[1, 2, 3], 3).len(), 10);
    }
}
