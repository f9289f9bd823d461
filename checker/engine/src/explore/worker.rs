//! Expanding one level, on any number of threads.
//!
//! Each worker takes a piece of the level, expands its states and collects the successors by the shard
//! they belong to; a full batch is inserted under the lock of its shard. Besides sparing locks, a batch
//! touches one shard's part of the memory many times in a row.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use population::system::{Judged, Properties, PropertyName};

use super::layout::Word;
use super::limits::{LimitReason, Limits};
use super::store::{PIECE_STATES_MAX, Piece, SHARDS, STATES_MAX, Store, shard_of};
use super::successors::{Expander, StepIndex};
use super::tally::Tally;
use crate::tabled::Missing;

/// What one thread keeps from level to level.
pub(super) struct Worker<W, R: PropertyName> {
    pub(super) tally: Tally<R>,
    /// What the tables miss for the states in `postponed`.
    pub(super) missing: Vec<Missing>,
    /// States that could not be expanded for it, and have left no trace elsewhere.
    pub(super) postponed: Vec<W>,
    /// Successors that have not been inserted yet, by shard.
    batches: Vec<Vec<W>>,
    states: Vec<W>,
}

/// How many successors are collected for a shard before they are inserted: enough that many of them meet
/// in the same lines of the shard's memory, and few enough that all batches of a thread take no more than
/// an eighth of the states.
pub(super) fn batch_states(states: u64) -> usize {
    let share = states / (SHARDS as u64 * 8);
    1 << share.clamp(BATCH_STATES_MIN, BATCH_STATES_MAX).ilog2()
}

const BATCH_STATES_MIN: u64 = 1 << 8;
const BATCH_STATES_MAX: u64 = 1 << 14;

/// What all threads need to know about the level.
pub(super) struct Level<'l, 's, S: Judged, W> {
    pub(super) expander: Expander<'l, 's, S>,
    pub(super) store: &'l Store<W>,
    pub(super) limits: &'l Limits<'l>,
    /// The size of a batch; see [`batch_states`].
    pub(super) batch_states: usize,
    /// Distance from the initial states.
    pub(super) depth: usize,
    /// The properties of which no violation is known from an earlier level.
    pub(super) judged: Properties<S>,
}

/// The states to expand.
pub(super) enum Source<W> {
    /// Those of the store.
    Pieces(Vec<Piece>),
    /// Those that had to be postponed.
    States(Vec<W>),
}

impl<W: Word> Source<W> {
    /// Replaces the contents of `states` with the piece with this number; `false` if there is none.
    fn read(&self, nth: usize, store: &Store<W>, states: &mut Vec<W>) -> bool {
        match self {
            Source::Pieces(pieces) => pieces.get(nth).map(|piece| store.read(*piece, states)).is_some(),
            Source::States(postponed) => {
                let piece = postponed.chunks(PIECE_STATES_MAX).nth(nth);
                piece.map(|piece| states.splice(.., piece.iter().copied())).is_some()
            }
        }
    }

    fn states(&self) -> usize {
        match self {
            Source::Pieces(pieces) => pieces.iter().map(Piece::states).sum(),
            Source::States(postponed) => postponed.len(),
        }
    }
}

/// Runs the workers over the source; `tick` is called on the calling thread every now and then.
pub(super) fn run<S: Judged, W: Word>(
    workers: &mut [Worker<W, S::Property>],
    level: &Level<'_, '_, S, W>,
    source: &Source<W>,
    mut tick: impl FnMut(),
) {
    let next = AtomicUsize::new(0);
    let Some((first, others)) = workers.split_first_mut() else { return };
    let helpers = others.len().min(source.states() / STATES_FOR_A_THREAD);
    thread::scope(|scope| {
        for worker in &mut others[..helpers] {
            scope.spawn(|| worker.run(level, source, &next, || {}));
        }
        first.run(level, source, &next, &mut tick);
    });
}

/// Fewer states are expanded before another thread has started.
const STATES_FOR_A_THREAD: usize = 64;

impl<W: Word, R: PropertyName> Worker<W, R> {
    pub(super) fn new(tally: Tally<R>) -> Self {
        Worker {
            tally,
            missing: Vec::new(),
            postponed: Vec::new(),
            batches: std::iter::repeat_with(Vec::new).take(SHARDS).collect(),
            states: Vec::new(),
        }
    }

    /// The memory taken, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        let batches: usize = self.batches.iter().map(Vec::capacity).sum();
        (batches * size_of::<W>()) as u64
    }

    fn run<S: Judged<Property = R>>(
        &mut self,
        level: &Level<'_, '_, S, W>,
        source: &Source<W>,
        next: &AtomicUsize,
        mut tick: impl FnMut(),
    ) {
        let mut states = std::mem::take(&mut self.states);
        while !level.limits.must_halt() {
            if !source.read(next.fetch_add(1, Relaxed), level.store, &mut states) {
                break;
            }
            for state in &states {
                self.expand(level, *state);
            }
            tick();
        }
        self.states = states;
        for shard in 0..SHARDS {
            self.flush(level, shard);
        }
    }

    #[inline]
    fn expand<S: Judged<Property = R>>(&mut self, level: &Level<'_, '_, S, W>, state: W) {
        let expander = &level.expander;
        let (control, pages) = expander.layout.unpack(state);
        let weight = expander.weight(&pages);
        let full = level.limits.full();
        let expanded = expander.expand(control, &pages, |successor| {
            match successor.step {
                StepIndex::Control { step } => self.tally.control_steps[usize::from(step)] += weight,
                StepIndex::Page { step, .. } => self.tally.page_steps[usize::from(step)] += weight,
            }
            let violated = successor.violated & level.judged;
            if !violated.is_empty() {
                self.tally.note(violated, level.depth, control, &pages, Some(successor.step));
            }
            let Some(next) = successor.state else { return };
            self.tally.transitions += 1;
            if !full {
                let shard = shard_of(next);
                self.batches[shard].push(next);
                if self.batches[shard].len() >= level.batch_states {
                    self.flush(level, shard);
                }
            }
        });
        let Some(expanded) = expanded else {
            expander.tabled.missing(control, &pages, &mut self.missing);
            self.postponed.push(state);
            return;
        };
        self.tally.states_unreduced += weight;
        self.tally.transitions_unreduced += weight * expanded.moves as u64;
        let violated = expanded.violated & level.judged;
        if !violated.is_empty() {
            self.tally.note(violated, level.depth, control, &pages, None);
        }
    }

    /// Inserts the batch of one shard.
    fn flush<S: Judged<Property = R>>(&mut self, level: &Level<'_, '_, S, W>, shard: usize) {
        let batch = &mut self.batches[shard];
        if batch.is_empty() {
            return;
        }
        // A level that is not expanded to its end is dropped.
        if !level.limits.full() && !level.limits.halted() {
            let mut shard = level.store.lock(shard);
            if shard.has_room_for(batch.len()) {
                let bytes = shard.memory_bytes();
                let new = shard.insert_all(batch);
                level.limits.grew(new as u64, shard.memory_bytes() - bytes);
            } else {
                level.limits.fill_up(LimitReason::States(STATES_MAX));
            }
        }
        batch.clear();
    }
}
