//! The set of the states met so far, numbered in the order in which they came.
//!
//! A state is a row of small numbers: that of its control record, then those of its page records. A slot of
//! the hash table is half of a hash value and the state's number, so that nearly every comparison with the
//! wrong state is avoided and the table grows without a look at the states.

use super::graph::Node;

const EMPTY: u64 = u64::MAX;
/// Slots of the smallest table, as a power of two.
const BITS_MIN: u32 = 10;

/// Numbered states.
#[derive(Debug)]
pub struct States {
    /// Numbers in a row.
    width: usize,
    rows: Vec<u16>,
    /// `hash << 32 | number`, open addressing with linear probing.
    slots: Vec<u64>,
    bits: u32,
    len: u32,
}

impl States {
    /// No states yet; each will be a row of `width` numbers.
    pub fn new(width: usize) -> Self {
        States { width, rows: Vec::new(), slots: vec![EMPTY; 1 << BITS_MIN], bits: BITS_MIN, len: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// The state with this number.
    pub fn get(&self, state: Node) -> &[u16] {
        let start = state as usize * self.width;
        &self.rows[start..start + self.width]
    }

    /// The number of a state, a new one if it was not met before.
    pub fn insert(&mut self, row: &[u16]) -> Node {
        let hash = hash(row);
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot == EMPTY {
                break;
            }
            if (slot >> 32) as u32 == hash && self.get(slot as u32) == row {
                return slot as u32;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        let number = self.len;
        self.slots[at] = u64::from(hash) << 32 | u64::from(number);
        self.rows.extend_from_slice(row);
        self.len += 1;
        if self.len as usize > self.slots.len() / 8 * 5 {
            self.grow();
        }
        number
    }

    /// The memory taken, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        (self.rows.capacity() * size_of::<u16>() + self.slots.capacity() * size_of::<u64>()) as u64
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

/// Folded multiplication, four numbers at a time.
fn hash(row: &[u16]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |four: &[u16]| four.iter().fold(0, |word, number| word << 16 | u64::from(*number));
    let folded = row.chunks(4).fold(FACTOR, |hash: u64, four| {
        let product = u128::from(hash ^ word(four)) * u128::from(FACTOR);
        (product >> 64) as u64 ^ product as u64
    });
    (folded >> 32) as u32
}
