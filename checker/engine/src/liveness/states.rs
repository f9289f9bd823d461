//! The set of the states met so far, numbered in the order in which they came.
//!
//! A slot of the hash table is half of a hash value and the state's number, so that nearly every comparison
//! with the wrong state is avoided and the table grows without a look at the states.

use arrayvec::ArrayVec;
use population::concrete::PAGES_MAX;

use super::graph::Node;
use crate::tabled::{ControlId, PageId};

/// The numbers of the records of all pages.
pub(super) type Pages = ArrayVec<PageId, PAGES_MAX>;

/// A state as the number of its control record and those of its page records, four numbers a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<const WORDS: usize>([u64; WORDS]);

/// How many words a key needs for a population.
pub(super) const fn words(pages: usize) -> usize {
    (1 + pages).div_ceil(4)
}

impl<const WORDS: usize> Key<WORDS> {
    pub(super) fn new(control: ControlId, pages: &[PageId]) -> Self {
        let mut key = Key([0; WORDS]);
        key.0[0] = u64::from(control.0);
        for (at, page) in (1..).zip(pages) {
            key.0[at / 4] |= u64::from(page.0) << (at % 4 * 16);
        }
        key
    }

    /// The key with other numbers for the control and one page.
    pub(super) fn replaced(mut self, control: ControlId, index: usize, page: PageId) -> Self {
        self.set(0, control.0);
        self.set(1 + index, page.0);
        self
    }

    pub(super) fn control(&self) -> ControlId {
        ControlId(self.get(0))
    }

    pub(super) fn pages(&self, pages: usize) -> Pages {
        (1..=pages).map(|at| PageId(self.get(at))).collect()
    }

    fn get(&self, at: usize) -> u16 {
        (self.0[at / 4] >> (at % 4 * 16)) as u16
    }

    fn set(&mut self, at: usize, number: u16) {
        let shift = at % 4 * 16;
        self.0[at / 4] = self.0[at / 4] & !(0xffff << shift) | u64::from(number) << shift;
    }

    /// Folded multiplication.
    fn hash(&self) -> u32 {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let folded = self.0.iter().fold(FACTOR, |hash, word| {
            let product = u128::from(hash ^ word) * u128::from(FACTOR);
            (product >> 64) as u64 ^ product as u64
        });
        (folded >> 32) as u32
    }
}

const EMPTY: u64 = u64::MAX;
/// Slots of the smallest table, as a power of two.
const BITS_MIN: u32 = 10;

/// Numbered states.
#[derive(Debug)]
pub(super) struct States<const WORDS: usize> {
    keys: Vec<Key<WORDS>>,
    /// `hash << 32 | number`, open addressing with linear probing.
    slots: Vec<u64>,
    bits: u32,
}

impl<const WORDS: usize> States<WORDS> {
    /// No states yet.
    pub(super) fn new() -> Self {
        States { keys: Vec::new(), slots: vec![EMPTY; 1 << BITS_MIN], bits: BITS_MIN }
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.keys.len() as u32
    }

    /// All of them, in the order of their numbers.
    pub(super) fn keys(&self) -> &[Key<WORDS>] {
        &self.keys
    }

    /// All of them, without the means to look one up.
    pub(super) fn into_keys(self) -> Vec<Key<WORDS>> {
        self.keys
    }

    /// The numbers of the keys that are known, and [`Node::MAX`] for the others.
    ///
    /// The loads of a round do not depend on each other, so that the processor waits for many at a time.
    pub(super) fn find_all(&self, keys: &[Key<WORDS>], numbers: &mut Vec<Node>) {
        const ROUND: usize = 16;
        for keys in keys.chunks(ROUND) {
            let mut hashes = [0; ROUND];
            let mut slots = [EMPTY; ROUND];
            for (nth, key) in keys.iter().enumerate() {
                hashes[nth] = key.hash();
                slots[nth] = self.slots[self.home(hashes[nth])];
            }
            let mut first = [false; ROUND];
            for (nth, key) in keys.iter().enumerate() {
                first[nth] = (slots[nth] >> 32) as u32 == hashes[nth]
                    && self.keys.get(slots[nth] as u32 as usize) == Some(key);
            }
            for (nth, key) in keys.iter().enumerate() {
                numbers.push(match first[nth] {
                    true => slots[nth] as u32,
                    false if slots[nth] == EMPTY => Node::MAX,
                    false => self.find(key, hashes[nth]).unwrap_or(Node::MAX),
                });
            }
        }
    }

    /// The number of a state, a new one if it was not met before.
    pub(super) fn insert(&mut self, key: Key<WORDS>) -> Node {
        let hash = key.hash();
        let slot = match self.locate(&key, hash) {
            Ok(number) => return number,
            Err(slot) => slot,
        };
        let number = self.len();
        self.slots[slot] = u64::from(hash) << 32 | u64::from(number);
        self.keys.push(key);
        if self.keys.len() > self.slots.len() / 8 * 5 {
            self.grow();
        }
        number
    }

    /// The memory taken, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.keys.capacity() * size_of::<Key<WORDS>>() + self.slots.capacity() * size_of::<u64>()) as u64
    }

    fn find(&self, key: &Key<WORDS>, hash: u32) -> Option<Node> {
        self.locate(key, hash).ok()
    }

    /// The number of the state, or the slot where it belongs.
    fn locate(&self, key: &Key<WORDS>, hash: u32) -> Result<Node, usize> {
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot == EMPTY {
                return Err(at);
            }
            if (slot >> 32) as u32 == hash && self.keys[slot as u32 as usize] == *key {
                return Ok(slot as u32);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn home(&self, hash: u32) -> usize {
        (u64::from(hash) << self.bits >> 32) as usize
    }

    fn grow(&mut self) {
        self.bits += 1;
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; 1 << self.bits]);
        for slot in old.into_iter().filter(|slot| *slot != EMPTY) {
            let mut at = self.home((slot >> 32) as u32);
            while self.slots[at] != EMPTY {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn key(nth: u16) -> (ControlId, Pages) {
        (ControlId(nth % 7), [nth / 7, nth % 3, 0, nth / 900, nth % 5].into_iter().map(PageId).collect())
    }

    /// So many that the table grows several times and most slots are wanted by several.
    #[test]
    fn they_behave_like_a_map() {
        const KEYS: u16 = 20_000;
        let mut states = States::<2>::new();
        let mut numbers = HashMap::new();
        for nth in (0..KEYS).chain((0..KEYS).step_by(3)) {
            let (control, pages) = key(nth);
            let next = numbers.len() as Node;
            let expected = *numbers.entry((control.0, pages.clone())).or_insert(next);
            assert_eq!(states.insert(Key::new(control, &pages)), expected);
        }
        assert_eq!((states.len() as usize, states.keys().len()), (numbers.len(), numbers.len()));
        let (asked, expected): (Vec<Key<2>>, Vec<_>) = (0..2 * KEYS)
            .map(key)
            .map(|(control, pages)| {
                let number = numbers.get(&(control.0, pages.clone())).copied();
                (Key::new(control, &pages), number.unwrap_or(Node::MAX))
            })
            .unzip();
        let mut found = Vec::new();
        states.find_all(&asked, &mut found);
        assert!(expected.contains(&Node::MAX) && found == expected);
    }

    #[test]
    fn a_key_is_its_numbers() {
        let pages: Pages = (0..PAGES_MAX as u16).map(|at| PageId(0x0101 * (at + 1))).collect();
        let key = Key::<4>::new(ControlId(u16::MAX), &pages);
        assert_eq!((key.control(), key.pages(PAGES_MAX)), (ControlId(u16::MAX), pages.clone()));
        for at in 0..PAGES_MAX {
            let mut replaced = pages.clone();
            replaced[at] = PageId(0x00ff);
            assert_eq!(key.replaced(ControlId(1), at, PageId(0x00ff)), Key::new(ControlId(1), &replaced));
        }
        assert_eq!([1, 3, 4, 7, 8, 14].map(words), [1, 1, 2, 2, 3, 4]);
    }
}
