//! The set of states seen: exact, in breadth-first order, and shared by threads.
//!
//! The set is split by hash into shards, each behind a lock of its own. A shard is a *log* of its states in
//! the order in which they were found, so level by level, and an open-addressing table of positions in
//! the log. The log serves as set, frontier, checkpoint and trace: a trace is found by walking the levels
//! backwards, so no state needs to name its parent. With 64-bit states this takes 8 bytes for the log,
//! 4 bytes for each slot of the table, and the slack of both; nothing is copied twice over when either
//! grows, because shards grow one at a time and a table is rebuilt from the log alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::layout::{Layout, Word};

/// The number of shards: enough that threads seldom meet, and that a shard of a few million states in all
/// fits into a processor's cache while a batch is inserted.
pub(super) const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 8;

/// The most states that the set is sure to have room for, if they were spread evenly; they would take more
/// than 60 GB.
pub(super) const STATES_MAX: u64 = SHARDS as u64 * POSITION_MASK as u64;

/// One part of the set.
pub(super) struct Shard<W> {
    log: Vec<W>,
    /// Entries, or [`EMPTY`].
    slots: Vec<u32>,
    /// The position at which each level starts, including the one that is being filled.
    level_starts: Vec<u32>,
}

/// The set.
pub(super) struct Store<W> {
    layout: Layout,
    shards: Vec<Mutex<Shard<W>>>,
    /// The number of states in each closed level.
    level_sizes: Vec<u64>,
}

/// A range of states of one level in one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    shard: usize,
    start: usize,
    end: usize,
}

impl Piece {
    /// How many states there are.
    pub(super) fn states(&self) -> usize {
        self.end - self.start
    }
}

/// The shard that a state belongs to.
#[inline]
pub(super) fn shard_of<W: Word>(state: W) -> usize {
    (state.hash() >> (u64::BITS - SHARD_BITS)) as usize
}

impl<W: Word> Store<W> {
    /// An empty set.
    pub(super) fn new(layout: Layout) -> Self {
        let shard = || Mutex::new(Shard { log: Vec::new(), slots: Vec::new(), level_starts: vec![0] });
        Store {
            layout,
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            level_sizes: Vec::new(),
        }
    }

    /// The same closed levels with another layout; a level that is not closed is dropped.
    pub(super) fn converted<V: Word>(self, layout: Layout) -> Store<V> {
        let mut converted = Store::new(layout);
        for shard in &self.shards {
            lock(shard).slots = Vec::new();
        }
        for level in 0..self.levels() {
            let mut states = Vec::new();
            for piece in self.pieces(level) {
                self.read(piece, &mut states);
                for state in &states {
                    let (control, pages) = self.layout.unpack(*state);
                    converted.insert(layout.pack(control, &pages));
                }
            }
            converted.close_level();
        }
        converted
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Adds a state to the level that is being filled; `false` if it is in the set already.
    pub(super) fn insert(&mut self, state: W) -> bool {
        self.lock(shard_of(state)).insert(state)
    }

    /// Gives access to one shard.
    pub(super) fn lock(&self, shard: usize) -> MutexGuard<'_, Shard<W>> {
        lock(&self.shards[shard])
    }

    /// Ends the level that is being filled, and starts another.
    pub(super) fn close_level(&mut self) {
        let mut size = 0;
        for shard in &mut self.shards {
            let shard = shard.get_mut().unwrap_or_else(PoisonError::into_inner);
            let end = shard.log.len() as u32;
            size += u64::from(end - shard.level_starts.last().unwrap_or(&0));
            shard.level_starts.push(end);
        }
        self.level_sizes.push(size);
    }

    /// How many levels have been closed.
    pub(super) fn levels(&self) -> usize {
        self.level_sizes.len()
    }

    /// The number of states in each closed level.
    pub(super) fn level_sizes(&self) -> &[u64] {
        &self.level_sizes
    }

    /// The number of states in the closed levels.
    pub(super) fn states(&self) -> u64 {
        self.level_sizes.iter().sum()
    }

    /// A closed level, in pieces of at most [`PIECE_STATES_MAX`] states.
    pub(super) fn pieces(&self, level: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for shard in 0..SHARDS {
            let starts = &self.lock(shard).level_starts;
            let (mut start, end) = (starts[level] as usize, starts[level + 1] as usize);
            while start < end {
                let piece_end = end.min(start + PIECE_STATES_MAX);
                pieces.push(Piece { shard, start, end: piece_end });
                start = piece_end;
            }
        }
        pieces
    }

    /// Replaces the contents of `states` with the states of a piece.
    pub(super) fn read(&self, piece: Piece, states: &mut Vec<W>) {
        states.clear();
        states.extend_from_slice(&self.lock(piece.shard).log[piece.start..piece.end]);
    }

    /// The memory taken, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| lock(shard).memory_bytes()).sum()
    }
}

/// How many states are expanded between two looks at the limits.
pub(super) const PIECE_STATES_MAX: usize = 1024;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panics takes the whole exploration with it, so nobody sees what it left behind.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Word> Shard<W> {
    /// Adds a state to the level that is being filled; `false` if it is in the set already.
    #[inline]
    pub(super) fn insert(&mut self, state: W) -> bool {
        self.reserve(1);
        let hash = state.hash();
        let mut slot = self.home(hash);
        loop {
            match self.slots[slot] {
                EMPTY => break,
                entry if tag(entry) == tag_of(hash) && self.log[position(entry)] == state => return false,
                _ => slot = self.after(slot),
            }
        }
        self.slots[slot] = entry(hash, self.log.len());
        self.log.push(state);
        true
    }

    /// Adds states as [`Shard::insert`] does, and says how many were new.
    ///
    /// Almost every look into the table and into the log misses the caches. For a group of states, all
    /// looks of one kind are under way at the same time: none waits for the outcome of another.
    pub(super) fn insert_all(&mut self, states: &[W]) -> usize {
        let before = self.log.len();
        for group in states.chunks(GROUP_STATES) {
            self.reserve(group.len());
            let (mut homes, mut entries) = ([0; GROUP_STATES], [EMPTY; GROUP_STATES]);
            for (nth, state) in group.iter().enumerate() {
                homes[nth] = self.home(state.hash());
                entries[nth] = self.slots[homes[nth]];
            }
            for (nth, state) in group.iter().enumerate() {
                let (tag_wanted, mut slot) = (tag_of(state.hash()), homes[nth]);
                while entries[nth] != EMPTY && tag(entries[nth]) != tag_wanted {
                    slot = self.after(slot);
                    entries[nth] = self.slots[slot];
                }
            }
            let mut known = [None; GROUP_STATES];
            for nth in 0..group.len() {
                known[nth] = self.log.get(position(entries[nth])).copied();
            }
            for (nth, state) in group.iter().enumerate() {
                // A state that was not found may have come with an earlier one of the group, or be behind
                // another with the same tag.
                if known[nth] != Some(*state) {
                    self.insert(*state);
                }
            }
        }
        self.log.len() - before
    }

    /// Can so many more states be numbered?
    pub(super) fn has_room_for(&self, states: usize) -> bool {
        self.log.len() + states <= POSITION_MASK as usize
    }

    /// The memory taken, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        let numbers = self.slots.capacity() + self.level_starts.capacity();
        (self.log.capacity() * size_of::<W>() + numbers * size_of::<u32>()) as u64
    }

    /// The slot at which the search for a state starts.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        // By multiplication rather than by a mask, so that a table may have any size.
        let home_bits = (hash << SHARD_BITS) >> 32;
        ((home_bits * self.slots.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() { 0 } else { slot + 1 }
    }

    /// Makes room for so many more states.
    #[inline]
    fn reserve(&mut self, states: usize) {
        assert!(self.has_room_for(states), "no shard is asked for more than STATES_MAX");
        let needed = self.log.len() + states;
        if needed > self.slots.len() / LOAD_DENOMINATOR * LOAD_NUMERATOR {
            self.grow_table(needed);
        }
        if needed > self.log.capacity() {
            self.log.reserve_exact(states.max(self.log.len() / LOG_GROWTH_DIVISOR));
        }
    }

    #[cold]
    fn grow_table(&mut self, states: usize) {
        let mut slots = self.slots.len().max(16);
        while states > slots / LOAD_DENOMINATOR * LOAD_NUMERATOR {
            slots += slots / TABLE_GROWTH_DIVISOR;
        }
        // The log has all that is needed to fill the new table, so the old one goes first.
        self.slots = Vec::new();
        self.slots = vec![EMPTY; slots];
        for position in 0..self.log.len() {
            let hash = self.log[position].hash();
            let mut slot = self.home(hash);
            while self.slots[slot] != EMPTY {
                slot = self.after(slot);
            }
            self.slots[slot] = entry(hash, position);
        }
    }
}

/// How many states are looked up at a time.
const GROUP_STATES: usize = 32;

/// A table grows when it is this full.
const LOAD_NUMERATOR: usize = 3;
const LOAD_DENOMINATOR: usize = 4;
/// A table grows by this part of its size.
const TABLE_GROWTH_DIVISOR: usize = 2;
/// A log grows by this part of its size: little slack, and large allocations mostly grow in place.
const LOG_GROWTH_DIVISOR: usize = 8;

/// An entry is a position in the log, and above it a few more bits of the hash, which spare most looks at
/// states that merely share a neighbourhood.
const POSITION_BITS: u32 = 24;
const POSITION_MASK: u32 = (1 << POSITION_BITS) - 1;
const EMPTY: u32 = u32::MAX;

#[inline]
fn entry(hash: u64, position: usize) -> u32 {
    tag_of(hash) << POSITION_BITS | position as u32
}

#[inline]
fn tag_of(hash: u64) -> u32 {
    hash as u32 >> POSITION_BITS
}

#[inline]
fn tag(entry: u32) -> u32 {
    entry >> POSITION_BITS
}

#[inline]
fn position(entry: u32) -> usize {
    (entry & POSITION_MASK) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn shard() -> Shard<u64> {
        Shard { log: Vec::new(), slots: Vec::new(), level_starts: vec![0] }
    }

    /// With so many states the table grows often, and many share a neighbourhood and the bits that spare a look.
    #[test]
    fn a_shard_is_a_set_in_the_order_of_discovery() {
        let states: Vec<u64> = (0..60_000u64).map(|nth| nth * nth % 40_009).collect();
        let (mut grouped, mut single) = (shard(), shard());
        let (mut known, mut order) = (HashSet::new(), Vec::new());
        for group in states.chunks(1_000) {
            let new: Vec<u64> = group.iter().copied().filter(|state| known.insert(*state)).collect();
            assert_eq!(grouped.insert_all(group), new.len());
            let each: Vec<bool> = group.iter().map(|state| single.insert(*state)).collect();
            assert_eq!(each.iter().filter(|is_new| **is_new).count(), new.len());
            order.extend(new);
        }
        assert!(order.len() > 10_000 && grouped.log == order && single.log == order);
        assert_eq!(grouped.insert_all(&states), 0);
        let least = (order.len() * (size_of::<u64>() + size_of::<u32>())) as u64;
        assert!((least..3 * least).contains(&grouped.memory_bytes()), "{}", grouped.memory_bytes());
    }

    #[test]
    fn the_last_position_is_told_from_an_empty_slot() {
        let most = POSITION_MASK as usize;
        let mut one = shard();
        assert!(one.has_room_for(most) && !one.has_room_for(most + 1));
        one.insert(7);
        assert!(one.has_room_for(most - 1) && !one.has_room_for(most));
        for hash in [0, 0x1234_5678_9abc_def0, u64::MAX] {
            for at in [0, 1, most - 1] {
                let entry = entry(hash, at);
                assert_eq!((position(entry), tag(entry)), (at, tag_of(hash)));
                assert_ne!(entry, EMPTY);
            }
        }
    }
}
