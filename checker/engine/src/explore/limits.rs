//! When an exploration has to end early, and who notices.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use enumset::EnumSetType;

use super::ExploreOptions;

/// Why an exploration ended before all states had been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitReason {
    /// There are more states than this.
    States(u64),
    /// More than this many bytes of memory would be needed.
    Memory(u64),
    /// It took longer than this.
    Timeout(Duration),
    /// Somebody asked for it to end.
    Interrupted,
}

impl fmt::Display for LimitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitReason::States(states) => write!(f, "there are more than {states} states"),
            LimitReason::Memory(bytes) => write!(f, "it takes more than {bytes} bytes of memory"),
            LimitReason::Timeout(time) => write!(f, "it takes longer than {} s", time.as_secs_f64()),
            LimitReason::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// The limits, and how far they have been used up. Shared by all threads.
pub(super) struct Limits<'a> {
    started: Instant,
    states_max: Option<u64>,
    memory_bytes_max: Option<u64>,
    timeout: Option<Duration>,
    interrupted: Option<&'a AtomicBool>,
    states: AtomicU64,
    memory_bytes: AtomicU64,
    memory_bytes_peak: AtomicU64,
    full: AtomicBool,
    halted: AtomicBool,
    reason: OnceLock<LimitReason>,
}

impl<'a> Limits<'a> {
    pub(super) fn new<R: EnumSetType>(options: &ExploreOptions<'a, R>) -> Self {
        Limits {
            started: Instant::now(),
            states_max: options.states_max,
            memory_bytes_max: options.memory_bytes_max,
            timeout: options.timeout,
            interrupted: options.interrupted,
            states: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            memory_bytes_peak: AtomicU64::new(0),
            full: AtomicBool::new(false),
            halted: AtomicBool::new(false),
            reason: OnceLock::new(),
        }
    }

    /// The time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The distinct states found so far.
    pub(super) fn states(&self) -> u64 {
        self.states.load(Relaxed)
    }

    /// The memory in use, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Relaxed)
    }

    /// The most memory that was in use, in bytes.
    pub(super) fn memory_bytes_peak(&self) -> u64 {
        self.memory_bytes_peak.load(Relaxed)
    }

    /// Looks at the clock and at the interruption flag; `true` if everything has to stop at once.
    pub(super) fn must_halt(&self) -> bool {
        if self.interrupted.is_some_and(|flag| flag.load(Relaxed)) {
            self.halt(LimitReason::Interrupted);
        } else if let Some(timeout) = self.timeout.filter(|timeout| self.started.elapsed() >= *timeout) {
            self.halt(LimitReason::Timeout(timeout));
        }
        self.halted()
    }

    /// Counts new states and the memory that they took.
    pub(super) fn grew(&self, states: u64, memory_bytes: u64) {
        let states = self.states.fetch_add(states, Relaxed) + states;
        let bytes = self.memory_bytes.fetch_add(memory_bytes, Relaxed) + memory_bytes;
        self.memory_bytes_peak.fetch_max(bytes, Relaxed);
        if let Some(max) = self.states_max.filter(|max| states > *max) {
            self.fill_up(LimitReason::States(max));
        } else if let Some(max) = self.memory_bytes_max.filter(|max| bytes > *max) {
            self.fill_up(LimitReason::Memory(max));
        }
    }

    /// Sets what is used, after something else than new states changed it.
    pub(super) fn set_used(&self, states: u64, memory_bytes: u64) {
        self.states.store(0, Relaxed);
        self.memory_bytes.store(0, Relaxed);
        self.grew(states, memory_bytes);
    }

    /// Must no state be added any more? The level at hand is judged to its end all the same, which makes
    /// the result independent of the order in which its states are visited.
    #[inline]
    pub(super) fn full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Has everything to stop?
    pub(super) fn halted(&self) -> bool {
        self.halted.load(Relaxed)
    }

    /// Why the exploration cannot go on, if it cannot.
    pub(super) fn reason(&self) -> Option<LimitReason> {
        self.reason.get().copied()
    }

    /// Ends the exploration with the level at hand.
    pub(super) fn fill_up(&self, reason: LimitReason) {
        // The reason comes first: whoever sees a flag finds a reason.
        let _ = self.reason.set(reason);
        self.full.store(true, Relaxed);
    }

    fn halt(&self, reason: LimitReason) {
        let _ = self.reason.set(reason);
        self.halted.store(true, Relaxed);
    }
}
