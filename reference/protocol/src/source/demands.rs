//! The pages that were requested and not sent yet, and by whom, in order of arrival.

use std::collections::BTreeMap;

use steplog::page::PageNumber;
use steplog::place::HostId;

/// The requests that a host has accepted and not answered: at most one a page. Nothing in it takes time in proportion to
/// its length, however many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// In order of arrival.
    queue: BTreeMap<u64, (PageNumber, HostId)>,
    /// Where each page is in the queue.
    places: BTreeMap<PageNumber, u64>,
    /// How many there ever were.
    arrived: u64,
}

impl Demands {
    /// In order of arrival: which page, and who asked for it.
    pub fn iter(&self) -> impl Iterator<Item = (PageNumber, HostId)> + '_ {
        self.queue.values().copied()
    }

    /// Who asked for the page, if anybody did.
    pub fn requester(&self, page: PageNumber) -> Option<HostId> {
        self.queue.get(self.places.get(&page)?).map(|(_, requester)| *requester)
    }

    /// Whether somebody asked for the page.
    pub fn contains(&self, page: PageNumber) -> bool {
        self.places.contains_key(&page)
    }

    /// Somebody asks for a page; nothing happens if somebody already did.
    pub(crate) fn push(&mut self, page: PageNumber, requester: HostId) {
        if !self.contains(page) {
            self.queue.insert(self.arrived, (page, requester));
            self.places.insert(page, self.arrived);
            self.arrived += 1;
        }
    }

    /// The page is on its way, or nobody needs it any more.
    pub(crate) fn remove(&mut self, page: PageNumber) {
        if let Some(place) = self.places.remove(&page) {
            self.queue.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_arrival() {
        let (mut demands, [a, b]) = (Demands::default(), [HostId(0), HostId(1)]);
        for (page, requester) in [(7, a), (3, b), (5, a), (3, a)] {
            demands.push(PageNumber(page), requester);
        }
        demands.remove(PageNumber(7));
        demands.remove(PageNumber(9));
        demands.push(PageNumber(7), b);
        let expected = [(3, b), (5, a), (7, b)].map(|(page, requester)| (PageNumber(page), requester));
        assert!(demands.iter().eq(expected), "{demands:?}");
        assert_eq!((demands.requester(PageNumber(3)), demands.requester(PageNumber(9))), (Some(b), None));
    }
}
