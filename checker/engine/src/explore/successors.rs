//! From a packed state to its packed successors.

use enumset::{EnumSet, EnumSetType};
use population::system::Judged;
use serde::{Deserialize, Serialize};

use super::layout::{Layout, Pages, Word};
use crate::tabled::{ControlId, Expanded, PageId, Tabled, Taken};

/// What it takes to expand packed states.
pub(super) struct Expander<'t, 's, S: Judged> {
    pub(super) tabled: &'t Tabled<'s, S>,
    pub(super) layout: Layout,
    /// States that differ in the order of their pages alone are one state.
    pub(super) symmetry: bool,
}

/// The name of a move by the index of its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum StepIndex {
    /// A control step.
    Control { step: u16 },
    /// A page step of the page with this index.
    Page { index: u8, step: u16 },
}

/// An enabled move of a packed state.
pub(super) struct Successor<W, R: EnumSetType> {
    pub(super) step: StepIndex,
    pub(super) violated: EnumSet<R>,
    /// Where the move leads; `None` where that was said for a page with the same record already, and
    /// symmetry makes it the same state.
    pub(super) state: Option<W>,
}

impl<S: Judged> Expander<'_, '_, S> {
    /// Calls `visit` for every enabled move; `None` if the tables miss something for that.
    #[inline]
    pub(super) fn expand<W: Word>(
        &self,
        control: ControlId,
        pages: &Pages,
        mut visit: impl FnMut(Successor<W, S::Property>),
    ) -> Option<Expanded<S::Property>> {
        let state: W = self.layout.pack(control, pages);
        self.tabled.expand(control, pages, |taken| match taken {
            Taken::Control { edge, pages } => visit(Successor {
                step: StepIndex::Control { step: edge.step },
                violated: edge.violated,
                state: Some(self.pack(edge.control, pages)),
            }),
            Taken::Page { index, edge, others } => visit(Successor {
                step: StepIndex::Page { index: index as u8, step: edge.step },
                violated: self.tabled.violated(edge, others),
                state: if !self.symmetry {
                    Some(self.layout.replace(state, edge.control, index, edge.page))
                } else if index > 0 && pages[index - 1] == pages[index] {
                    None
                } else {
                    Some(self.layout.pack(edge.control, &replaced(pages, index, edge.page)))
                },
            }),
        })
    }

    /// The word for a state, or for the representative of its orbit.
    #[inline]
    pub(super) fn pack<W: Word>(&self, control: ControlId, pages: &[PageId]) -> W {
        if !self.symmetry {
            return self.layout.pack(control, pages);
        }
        let mut sorted: Pages = pages.iter().copied().collect();
        sorted.sort_unstable();
        self.layout.pack(control, &sorted)
    }

    /// How many states this one stands for.
    #[inline]
    pub(super) fn weight(&self, pages: &Pages) -> u64 {
        if self.symmetry { orbit(pages) } else { 1 }
    }
}

/// Sorted pages, one of which gets another record: sorted again.
#[inline]
fn replaced(sorted: &Pages, mut index: usize, page: PageId) -> Pages {
    let mut pages = sorted.clone();
    while index > 0 && pages[index - 1] > page {
        pages[index] = pages[index - 1];
        index -= 1;
    }
    while index + 1 < pages.len() && pages[index + 1] < page {
        pages[index] = pages[index + 1];
        index += 1;
    }
    pages[index] = page;
    pages
}

/// The number of different orders of sorted pages: n! over the factorial of the length of each run.
#[inline]
fn orbit(sorted: &Pages) -> u64 {
    let (mut all, mut same, mut run) = (1, 1, 1);
    for index in 1..sorted.len() {
        run = if sorted[index] == sorted[index - 1] { run + 1 } else { 1 };
        same *= run;
        all *= index as u64 + 1;
    }
    all / same
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn permutations(pages: &[PageId]) -> HashSet<Vec<PageId>> {
        if pages.is_empty() {
            return HashSet::from([Vec::new()]);
        }
        let mut all = HashSet::new();
        for index in 0..pages.len() {
            let mut rest = pages.to_vec();
            let first = rest.remove(index);
            all.extend(permutations(&rest).into_iter().map(|rest| [&[first], &rest[..]].concat()));
        }
        all
    }

    proptest! {
        #[test]
        fn an_orbit_is_counted_and_stays_sorted(ids in prop::collection::vec(0u16..4, 0..6), index in 0usize..6, page in 0u16..5) {
            let mut sorted: Pages = ids.into_iter().map(PageId).collect();
            sorted.sort_unstable();
            prop_assert_eq!(orbit(&sorted), permutations(&sorted).len() as u64);
            if index < sorted.len() {
                let mut expected = sorted.clone();
                expected[index] = PageId(page);
                expected.sort_unstable();
                prop_assert_eq!(replaced(&sorted, index, PageId(page)), expected);
            }
        }
    }
}
