//! What travels at the freeze: everything about a process but the contents of its pages.

use crate::inventory::Inventory;
pub use crate::tracing::raw::{QueuedSignal, Registers, RestartableSequences};
use serde::{Deserialize, Serialize};

/// A frozen process without the contents of its pages.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FrozenProcess {
    /// As it is now: layout, descriptors, offsets, threads.
    pub inventory: Inventory,
    /// The threads in the order of the inventory's.
    pub threads: Vec<ThreadState>,
    /// What is done about each signal that is not left to its default.
    pub actions: Vec<SignalAction>,
    /// Signals that wait for any thread of the process.
    pub pending: Vec<QueuedSignal>,
    /// `ITIMER_REAL`, `ITIMER_VIRTUAL`, `ITIMER_PROF`.
    pub interval_timers: [TimerSetting; 3],
    /// Timers made by `timer_create`.
    pub posix_timers: Vec<PosixTimer>,
    /// What pipes hold, by the kernel's number of the pipe.
    pub pipes: Vec<PipeContent>,
    /// Open files that no name leads to any more.
    pub nameless: Vec<NamelessFile>,
}

/// The content of a file that no name leads to any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NamelessFile {
    /// The file's number at the source.
    pub inode: u64,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// More bytes than this in one nameless file are an obstacle: they travel while the process is frozen.
pub const NAMELESS_BYTES_MAX: u64 = 16 << 20;

/// One frozen thread.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ThreadState {
    /// As the process counts.
    pub own_tid: i32,
    /// General registers; an interrupted system call is wound back, so that the thread makes it again.
    pub registers: Registers,
    /// The extended registers, in the processor's layout.
    pub extended: Vec<u8>,
    /// A wait that goes on for the rest of its time instead of being made again.
    pub wait: Option<InterruptedWait>,
    /// Blocked signals.
    pub signal_mask: u64,
    /// Signals that wait for this thread.
    pub pending: Vec<QueuedSignal>,
    /// `sigaltstack`: address, flags, length.
    pub alternate_stack: [u64; 3],
    /// Cleared, and woken by, when the thread ends.
    pub tid_address: u64,
    /// Head and length of the list of robust futexes.
    pub robust_list: [u64; 2],
    /// Restartable sequences.
    pub sequences: Option<RestartableSequences>,
}

/// A system call that waits for a relative time and was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InterruptedWait {
    /// Its number.
    pub call: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// How long it still has to wait, in nanoseconds.
    pub remaining_ns: u64,
}

/// What the kernel knows about a signal: handler, flags, restorer, mask.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignalAction {
    /// Its number.
    pub signal: i32,
    /// `struct sigaction` as the kernel has it.
    pub words: [u64; 4],
}

/// A timer's interval and next expiration: seconds and the rest of each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct TimerSetting {
    /// `it_interval` and `it_value`, two words each.
    pub words: [u64; 4],
}

/// A timer made by `timer_create`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PosixTimer {
    /// The number that the process knows it by.
    pub id: i32,
    /// `CLOCK_…`.
    pub clock: i32,
    /// The signal that it sends.
    pub signal: i32,
    /// What it sends along.
    pub value: u64,
    /// `SIGEV_…`.
    pub notify: i32,
    /// The thread told, as the process counts, where one is.
    pub own_tid: i32,
    /// Interval and next expiration (nanoseconds in the second words).
    pub setting: TimerSetting,
}

/// The bytes in a pipe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PipeContent {
    /// The kernel's number of the pipe at the source.
    pub inode: u64,
    /// In order.
    pub bytes: Vec<u8>,
}
