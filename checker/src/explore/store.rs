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

/// One part of the set.
pub(super) struct Shard<W> {
    log: Vec<W>,
    /// Positions in the log; [`EMPTY`] where there is none.
    slots: Vec<u32>,
    /// The position at which each level starts, including the one that is being filled.
    level_starts: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

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
        if self.log.len() >= self.slots.len() / LOAD_DENOMINATOR * LOAD_NUMERATOR {
            self.grow();
        }
        let mut slot = self.home(state);
        loop {
            match self.slots[slot] {
                EMPTY => break,
                position if self.log[position as usize] == state => return false,
                _ => slot = if slot + 1 == self.slots.len() { 0 } else { slot + 1 },
            }
        }
        self.slots[slot] = self.log.len() as u32;
        if self.log.len() == self.log.capacity() {
            self.log.reserve_exact((self.log.len() / LOG_GROWTH_DIVISOR).max(8));
        }
        self.log.push(state);
        true
    }

    /// The memory taken, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.log.capacity() * size_of::<W>() + (self.slots.capacity() + self.level_starts.capacity()) * 4)
            as u64
    }

    /// The slot at which the search for a state starts.
    #[inline]
    fn home(&self, state: W) -> usize {
        // The top bits chose the shard; the next 32 choose the slot, by multiplication rather than by a
        // mask, so that a table may have any size.
        let hash = (state.hash() << SHARD_BITS) >> 32;
        ((hash * self.slots.len() as u64) >> 32) as usize
    }

    #[cold]
    fn grow(&mut self) {
        let slots = (self.slots.len() / 2 * 3).max(16);
        self.slots = Vec::new();
        self.slots = vec![EMPTY; slots];
        for position in 0..self.log.len() {
            let mut slot = self.home(self.log[position]);
            while self.slots[slot] != EMPTY {
                slot = if slot + 1 == slots { 0 } else { slot + 1 };
            }
            self.slots[slot] = position as u32;
        }
    }
}

/// A table grows by a half when three quarters of it are taken.
const LOAD_NUMERATOR: usize = 3;
const LOAD_DENOMINATOR: usize = 4;
/// A log grows by an eighth: little slack, and large allocations mostly grow in place.
const LOG_GROWTH_DIVISOR: usize = 8;
