//! A state as one integer: the number of the control record in the low bits, then one field a page.

use arrayvec::ArrayVec;
use population::concrete::PAGES_MAX;

use crate::tabled::{ControlId, PageId};

/// The numbers of the records of all pages.
pub(super) type Pages = ArrayVec<PageId, PAGES_MAX>;

/// An integer that holds a state.
pub(super) trait Word: Copy + Eq + Ord + Send + Sync + 'static {
    /// Its width in bits.
    const BITS: u32;
    /// The bits of the word.
    fn bits(self) -> u128;
    /// `value`, shifted to the left.
    fn shifted(value: u16, by: u32) -> Self;
    /// The 16 bits from `at` on.
    fn low(self, at: u32) -> u16;
    /// Bitwise or.
    fn or(self, other: Self) -> Self;
    /// The word without the bits of `mask`.
    fn without(self, mask: Self) -> Self;
    /// A well-mixed 64-bit hash.
    fn hash(self) -> u64;
}

impl Word for u64 {
    const BITS: u32 = 64;

    fn bits(self) -> u128 {
        self.into()
    }

    #[inline]
    fn shifted(value: u16, by: u32) -> Self {
        u64::from(value) << by
    }

    #[inline]
    fn low(self, at: u32) -> u16 {
        (self >> at) as u16
    }

    #[inline]
    fn or(self, other: Self) -> Self {
        self | other
    }

    #[inline]
    fn without(self, mask: Self) -> Self {
        self & !mask
    }

    #[inline]
    fn hash(self) -> u64 {
        let mixed = self.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}

impl Word for u128 {
    const BITS: u32 = 128;

    fn bits(self) -> u128 {
        self
    }

    #[inline]
    fn shifted(value: u16, by: u32) -> Self {
        u128::from(value) << by
    }

    #[inline]
    fn low(self, at: u32) -> u16 {
        (self >> at) as u16
    }

    #[inline]
    fn or(self, other: Self) -> Self {
        self | other
    }

    #[inline]
    fn without(self, mask: Self) -> Self {
        self & !mask
    }

    #[inline]
    fn hash(self) -> u64 {
        let high = ((self >> 64) as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (self as u64 ^ high ^ (high >> 29)).hash()
    }
}

/// Where in a word the fields are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pages: usize,
    control_bits: u32,
    page_bits: u32,
}

/// No field needs to be wider: record numbers have 16 bits.
const FIELD_BITS_MAX: u32 = 16;

impl Layout {
    /// Fields that can tell so many records apart, as wide as the word allows, or `None` if it is too
    /// narrow.
    pub(super) fn fitting<W: Word>(pages: usize, controls: usize, records: usize) -> Option<Layout> {
        let fields = pages as u32;
        let (control_needs, page_needs) = (bits_for(controls), bits_for(records));
        let spare = W::BITS.checked_sub(control_needs + fields * page_needs)?;
        let page_bits = (page_needs + spare / (fields + 1)).min(FIELD_BITS_MAX);
        let control_bits = (W::BITS - fields * page_bits).min(FIELD_BITS_MAX);
        Some(Layout { pages, control_bits, page_bits })
    }

    /// Fields of given widths; `None` if no word is that wide.
    pub(super) fn with_bits(pages: usize, control_bits: u32, page_bits: u32) -> Option<Layout> {
        let layout = Layout { pages, control_bits, page_bits };
        let fields_fit = control_bits <= FIELD_BITS_MAX && page_bits <= FIELD_BITS_MAX;
        (fields_fit && pages <= PAGES_MAX && layout.bits() <= u128::BITS).then_some(layout)
    }

    /// Can so many records be told apart?
    pub(super) fn fits(&self, controls: usize, records: usize) -> bool {
        bits_for(controls) <= self.control_bits && (self.pages == 0 || bits_for(records) <= self.page_bits)
    }

    /// The number of page fields.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// The widths of the control field and of each page field, in bits.
    pub(super) fn widths(&self) -> (u32, u32) {
        (self.control_bits, self.page_bits)
    }

    /// How many bits of a word are used.
    pub(super) fn bits(&self) -> u32 {
        self.control_bits + self.pages as u32 * self.page_bits
    }

    #[inline]
    pub(super) fn pack<W: Word>(&self, control: ControlId, pages: &[PageId]) -> W {
        let mut word = W::shifted(control.0, 0);
        let mut at = self.control_bits;
        for page in pages {
            word = word.or(W::shifted(page.0, at));
            at += self.page_bits;
        }
        word
    }

    #[inline]
    pub(super) fn unpack<W: Word>(&self, word: W) -> (ControlId, Pages) {
        let mut pages = Pages::new();
        let mut at = self.control_bits;
        for _ in 0..self.pages {
            pages.push(PageId(word.low(at) & mask(self.page_bits)));
            at += self.page_bits;
        }
        (ControlId(word.low(0) & mask(self.control_bits)), pages)
    }

    /// The word with another control record and another record for one page.
    #[inline]
    pub(super) fn replace<W: Word>(&self, word: W, control: ControlId, index: usize, page: PageId) -> W {
        let at = self.control_bits + index as u32 * self.page_bits;
        let old = W::shifted(mask(self.control_bits), 0).or(W::shifted(mask(self.page_bits), at));
        word.without(old).or(W::shifted(control.0, 0)).or(W::shifted(page.0, at))
    }
}

#[inline]
fn mask(bits: u32) -> u16 {
    ((1u32 << bits) - 1) as u16
}

/// The width of a field with so many different values.
fn bits_for(values: usize) -> u32 {
    values.next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip<W: Word + std::fmt::Debug>(control: u16, pages: &[u16], index: usize) {
        let largest = pages.iter().max().map_or(1, |page| usize::from(*page) + 1);
        let layout = Layout::fitting::<W>(pages.len(), usize::from(control) + 1, largest);
        let Some(layout) = layout else { return assert!(W::BITS < 128 || pages.len() > 7) };
        assert!(layout.bits() <= W::BITS);
        let (control, mut ids) =
            (ControlId(control), pages.iter().map(|page| PageId(*page)).collect::<Pages>());
        let word: W = layout.pack(control, &ids);
        assert_eq!(layout.unpack(word), (control, ids.clone()));
        if let Some(page) = ids.get_mut(index) {
            *page = PageId(0);
            assert_eq!(layout.replace(word, ControlId(0), index, PageId(0)), layout.pack(ControlId(0), &ids));
        }
    }

    proptest! {
        #[test]
        fn unpacking_undoes_packing(control: u16, pages in prop::collection::vec(0u16.., 0..8), index in 0usize..8) {
            round_trip::<u64>(control, &pages, index);
            round_trip::<u128>(control, &pages, index);
            let small: Vec<_> = pages.iter().map(|page| page % 64).collect();
            round_trip::<u64>(control % 256, &small, index);
        }
    }
}
