//! Which page of the protocol is where in the address space of the process.
//!
//! The protocol numbers pages from 0 and never adds any. A process maps memory as it goes, so some numbers are spare: they
//! count as pages of zeroes until the process is stopped, when pages that have come since get them.

use std::collections::BTreeMap;

use linux::range::subtract;
use linux::{AddressRange, PAGE_SIZE};
use steplog::page::PageNumber;

/// Numbers and places of pages.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// By number of the first page: the address divided by the size of a page, and how many.
    by_number: BTreeMap<u64, (u64, u64)>,
    /// By place of the first page: its number, and how many.
    by_place: BTreeMap<u64, (u64, u64)>,
    pages: u64,
    next_spare: u64,
}

impl Table {
    /// The pages of these ranges, in this order, and so many spare ones.
    pub fn new(ranges: &[AddressRange], spares: u64) -> Self {
        let mut table = Self::default();
        for range in ranges {
            let first = table.next_spare;
            table.place(first, *range);
            table.next_spare += range.len() / PAGE_SIZE;
        }
        table.pages = table.next_spare + spares;
        table
    }

    /// Number of pages, spare ones included.
    pub fn page_count(&self) -> u64 {
        self.pages
    }

    /// Gives spare numbers to the pages of these ranges. `None` when there are not so many.
    pub fn extend(&mut self, ranges: &[AddressRange]) -> Option<()> {
        for range in ranges {
            let (first, count) = (self.next_spare, range.len() / PAGE_SIZE);
            self.next_spare = first.checked_add(count).filter(|next| *next <= self.pages)?;
            self.place(first, *range);
        }
        Some(())
    }

    /// What of these ranges has no numbers yet.
    pub fn missing(&self, range: AddressRange) -> Vec<AddressRange> {
        let parts = self
            .by_place
            .iter()
            .map(|(&place, &(_, count))| AddressRange::new(place * PAGE_SIZE, (place + count) * PAGE_SIZE));
        subtract(range, parts)
    }

    /// The address of a page divided by the size of a page.
    pub fn place_of(&self, page: PageNumber) -> Option<u64> {
        let (&first, &(place, count)) = self.by_number.range(..=page.0).next_back()?;
        (page.0 - first < count).then(|| place + (page.0 - first))
    }

    /// The number of the page at this place.
    pub fn number_of(&self, place: u64) -> Option<PageNumber> {
        let (&first, &(number, count)) = self.by_place.range(..=place).next_back()?;
        (place - first < count).then(|| PageNumber(number + (place - first)))
    }

    /// The numbers of the pages in a range.
    pub fn numbers_in(&self, range: AddressRange) -> impl Iterator<Item = PageNumber> + '_ {
        range.pages().filter_map(|place| self.number_of(place))
    }

    /// The process has moved these pages.
    pub fn moved(&mut self, from: AddressRange, to: u64) {
        let pages: Vec<_> = from.pages().filter_map(|place| Some((place, self.number_of(place)?))).collect();
        for (place, number) in pages {
            let to = place - from.start / PAGE_SIZE + to / PAGE_SIZE;
            self.take_out(place, number.0);
            self.place(number.0, AddressRange::of_page(to));
        }
    }

    fn place(&mut self, first: u64, range: AddressRange) {
        let (place, count) = (range.start / PAGE_SIZE, range.len() / PAGE_SIZE);
        if count > 0 {
            self.by_number.insert(first, (place, count));
            self.by_place.insert(place, (first, count));
        }
    }

    /// Splits the run that holds a page into what is before and behind it.
    fn take_out(&mut self, place: u64, number: u64) {
        let Some((&start, &(first, count))) = self.by_place.range(..=place).next_back() else { return };
        self.by_place.remove(&start);
        self.by_number.remove(&first);
        let whole =
            |place: u64, count: u64| AddressRange::new(place * PAGE_SIZE, (place + count) * PAGE_SIZE);
        self.place(first, whole(start, place - start));
        let behind = place + 1 - start;
        self.place(number + 1, whole(place + 1, count - behind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, end: u64) -> AddressRange {
        AddressRange::new(first * PAGE_SIZE, end * PAGE_SIZE)
    }

    #[test]
    fn numbers_and_places_belong_together() {
        let mut table = Table::new(&[range(10, 13), range(20, 21)], 2);
        assert_eq!(table.page_count(), 6);
        assert_eq!((table.place_of(PageNumber(2)), table.place_of(PageNumber(3))), (Some(12), Some(20)));
        assert_eq!((table.place_of(PageNumber(4)), table.number_of(13)), (None, None));
        assert_eq!(table.missing(range(12, 22)), [range(13, 20), range(21, 22)]);
        assert_eq!(table.extend(&[range(13, 15)]), Some(()));
        assert_eq!(table.number_of(14), Some(PageNumber(5)));
        assert_eq!(table.extend(&[range(30, 31)]), None);
    }

    #[test]
    fn pages_that_were_moved_are_found() {
        let mut table = Table::new(&[range(10, 14)], 0);
        table.moved(range(11, 13), 40 * PAGE_SIZE);
        let places: Vec<_> = (0..4).map(|page| table.place_of(PageNumber(page)).unwrap()).collect();
        assert_eq!(places, [10, 40, 41, 13]);
        assert_eq!((table.number_of(11), table.number_of(41)), (None, Some(PageNumber(2))));
    }
}
