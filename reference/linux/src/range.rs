//! Ranges of addresses, always whole pages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes in a page; the only size this package knows.
pub const PAGE_SIZE: u64 = 4096;

/// `start..end` in bytes, both multiples of [`PAGE_SIZE`]; a page's number is its address divided by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AddressRange {
    /// The first byte.
    pub start: u64,
    /// The first byte behind.
    pub end: u64,
}

impl AddressRange {
    /// The range from `start` to `end`, in bytes.
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    /// The bytes of one page.
    pub const fn of_page(page: u64) -> Self {
        Self { start: page * PAGE_SIZE, end: (page + 1) * PAGE_SIZE }
    }

    /// Its length in bytes.
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it has no bytes.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The numbers of its pages.
    pub const fn pages(self) -> std::ops::Range<u64> {
        self.start / PAGE_SIZE..self.end / PAGE_SIZE
    }

    /// Whether the byte at `address` is in it.
    pub const fn contains(self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether all of `other` is in it.
    pub const fn covers(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What both have.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let both = Self { start: self.start.max(other.start), end: self.end.min(other.end) };
        (!both.is_empty()).then_some(both)
    }
}

impl fmt::Debug for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.start, self.end)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What of `whole` is in none of `parts`, which are sorted and do not overlap.
pub fn subtract(whole: AddressRange, parts: impl IntoIterator<Item = AddressRange>) -> Vec<AddressRange> {
    let mut rest = Vec::new();
    let mut at = whole.start;
    for part in parts {
        if part.end <= at || part.start >= whole.end {
            continue;
        }
        if part.start > at {
            rest.push(AddressRange::new(at, part.start));
        }
        at = at.max(part.end);
    }
    if at < whole.end {
        rest.push(AddressRange::new(at, whole.end));
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtracts_parts_at_both_ends_and_in_between() {
        let page = |a, b| AddressRange::new(a * PAGE_SIZE, b * PAGE_SIZE);
        assert_eq!(subtract(page(2, 10), [page(0, 3), page(5, 6), page(9, 12)]), [page(3, 5), page(6, 9)]);
        assert_eq!(subtract(page(2, 10), [page(2, 10)]), []);
        assert_eq!(subtract(page(2, 10), [page(10, 11)]), [page(2, 10)]);
    }
}
