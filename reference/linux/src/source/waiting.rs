//! What a thread waits for, seen before it is stopped: which call, since when, for how long.
//!
//! A wait that was interrupted and goes on is called `restart_syscall` from then on, whatever it was, and its end is known to the
//! kernel alone. So what was seen is remembered, by whoever stopped the thread and by whoever began the wait anew at a destination.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;

/// What a thread was seen waiting for before it was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SeenWaiting {
    pub(crate) call: u64,
    /// Behind the instruction that made the call.
    pub(crate) instruction: u64,
    /// When it had begun to wait, by the monotonic clock, in nanoseconds.
    pub(crate) since_ns: Option<i64>,
    /// Length of the wait in nanoseconds, where it is relative and could be read.
    pub(crate) rest_ns: Option<u64>,
    /// It was not seen waiting when last looked at: says something only of a wait that goes on.
    pub(crate) stale: bool,
}

impl SeenWaiting {
    /// What is left of the wait, where that is known.
    pub(crate) fn remaining_ns(&self, now_ns: i64) -> Option<u64> {
        let waited_ns = u64::try_from(now_ns - self.since_ns?).unwrap_or(0);
        Some(self.rest_ns?.saturating_sub(waited_ns))
    }
}

/// What each thread (as the observer counts) was seen waiting for.
pub(crate) type Waits = HashMap<i32, SeenWaiting>;

/// Looks at what a thread waits for, before it is stopped: `/proc` tells the call, and the scheduler when it last ran.
///
/// `earlier` is what was seen at an earlier stop: a wait that the kernel restarted after that one is still the same wait.
pub(crate) fn look(
    pid: i32,
    tid: i32,
    earlier: Option<SeenWaiting>,
    clock: &SchedulerClock,
    read: impl Fn(u64, &mut [u8]) -> bool,
) -> Option<SeenWaiting> {
    // It may be on its way back into a wait.
    look_now(pid, tid, earlier, clock, read).or(earlier.map(|seen| SeenWaiting { stale: true, ..seen }))
}

fn look_now(
    pid: i32,
    tid: i32,
    earlier: Option<SeenWaiting>,
    clock: &SchedulerClock,
    read: impl Fn(u64, &mut [u8]) -> bool,
) -> Option<SeenWaiting> {
    let line = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
    let mut words = line.split_whitespace();
    let mut call: u64 = words.next()?.parse().ok()?;
    let mut values = words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(0));
    let mut arguments = [0; 6];
    arguments.fill_with(|| values.next().unwrap_or(0));
    let instruction = values.nth(1)?;
    if call == libc::SYS_restart_syscall as u64 {
        if let Some(same) = earlier.filter(|seen| seen.instruction == instruction) {
            return Some(SeenWaiting { stale: false, ..same });
        }
        call = call_by_wait_channel(pid, tid, &arguments)?;
        return Some(SeenWaiting { call, instruction, since_ns: None, rest_ns: None, stale: false });
    }
    let rest_ns = relative_wait_ns(call, &arguments, read);
    let since_ns = rest_ns.and_then(|_| clock.last_ran_ns(pid, tid));
    Some(SeenWaiting { call, instruction, since_ns, rest_ns, stale: false })
}

/// What the kernel has noted to be left of a sleep that was interrupted, where the call told it a place for that.
pub(crate) fn noted_rest_ns(
    call: u64,
    arguments: &[u64; 6],
    read: impl Fn(u64, &mut [u8]) -> bool,
) -> Option<u64> {
    relative_wait_ns(call, arguments, &read)?;
    match call as i64 {
        libc::SYS_nanosleep => time_at(arguments[1], read),
        libc::SYS_clock_nanosleep => time_at(arguments[3], read),
        _ => None,
    }
}

/// A `struct timespec`, in nanoseconds.
fn time_at(address: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<u64> {
    let mut bytes = [0; 16];
    (address != 0 && read(address, &mut bytes)).then(|| {
        let (words, _) = bytes.as_chunks::<8>();
        u64::from_ne_bytes(words[0])
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from_ne_bytes(words[1]))
    })
}

/// How long the call waits, where it is for a relative time and the kernel keeps the end of it.
pub(crate) fn relative_wait_ns(
    call: u64,
    arguments: &[u64; 6],
    read: impl Fn(u64, &mut [u8]) -> bool,
) -> Option<u64> {
    let timespec = |address: u64| time_at(address, &read);
    let milliseconds = |argument: u64| {
        let milliseconds = u64::try_from(argument as i32).ok()?;
        (milliseconds > 0).then_some(milliseconds * 1_000_000)
    };
    match call as i64 {
        libc::SYS_nanosleep => timespec(arguments[0]),
        // A clock of processor time does not say when the wait ends.
        libc::SYS_clock_nanosleep if arguments[1] & 1 == 0 && counts_time(arguments[0]) => {
            timespec(arguments[2])
        }
        libc::SYS_poll => milliseconds(arguments[2]),
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait => milliseconds(arguments[3]),
        libc::SYS_futex if arguments[1] & 0x7f == libc::FUTEX_WAIT as u64 => timespec(arguments[3]),
        _ => None,
    }
}

fn counts_time(clock: u64) -> bool {
    let clocks = [
        libc::CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_BOOTTIME,
        libc::CLOCK_TAI,
        libc::CLOCK_REALTIME_ALARM,
        libc::CLOCK_BOOTTIME_ALARM,
    ];
    clocks.contains(&(clock as i32))
}

fn call_by_wait_channel(pid: i32, tid: i32, arguments: &[u64; 6]) -> Option<u64> {
    let channel = fs::read_to_string(format!("/proc/{pid}/task/{tid}/wchan")).ok()?;
    let call = match channel.as_str() {
        name if name.contains("nanosleep") => sleep_with(arguments[0]),
        name if name.contains("poll") => libc::SYS_poll,
        name if name.contains("futex") => libc::SYS_futex,
        _ => return None,
    };
    Some(call as u64)
}

/// The two ways to sleep wait at the same place; one begins with the address of a time, the other with the number of a clock.
fn sleep_with(first: u64) -> libc::c_long {
    const LOWEST_ADDRESS: u64 = 0x1_0000;
    let is_clock = first < LOWEST_ADDRESS || (first as i64) < 0;
    if is_clock { libc::SYS_clock_nanosleep } else { libc::SYS_nanosleep }
}

/// Relates the scheduler's clock, in which `/proc/…/sched` tells when a thread last ran, to the monotonic one. Each CPU has its
/// own: it stands still while the CPU serves interrupts, or another machine.
#[derive(Debug, Default)]
pub(crate) struct SchedulerClock {
    offsets_ns: RefCell<HashMap<usize, Option<i64>>>,
}

impl SchedulerClock {
    fn last_ran_ns(&self, pid: i32, tid: i32) -> Option<i64> {
        let ran_ns = exec_start_ns(&format!("/proc/{pid}/task/{tid}/sched"))?;
        let cpu = last_cpu(pid, tid)?;
        let offset_ns = *self.offsets_ns.borrow_mut().entry(cpu).or_insert_with(|| offset_on(cpu));
        Some(ran_ns + offset_ns?)
    }
}

/// The CPU that a thread last ran on.
fn last_cpu(pid: i32, tid: i32) -> Option<usize> {
    const FIELD_BEHIND_NAME: usize = 36;
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    let (_, behind_name) = text.rsplit_once(')')?;
    behind_name.split_whitespace().nth(FIELD_BEHIND_NAME)?.parse().ok()
}

/// Measured there: a thread that has just slept has just begun to run. Where this thread may not run on that CPU, its own one has to do.
fn offset_on(cpu: usize) -> Option<i64> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let before = sched_getaffinity(None).ok()?;
    let mut only = CpuSet::new();
    if cpu < CpuSet::MAX_CPU {
        only.set(cpu);
    }
    let moved = sched_setaffinity(None, &only).is_ok();
    let tid = rustix::thread::gettid().as_raw_nonzero().get();
    let path = format!("/proc/self/task/{tid}/sched");
    // Somebody else may run between two readings; those that were read fastest fit together best.
    const ATTEMPTS: usize = 5;
    let mut best: Option<(i64, i64)> = None;
    for _ in 0..ATTEMPTS {
        std::thread::sleep(std::time::Duration::from_micros(1));
        let now_ns = monotonic_ns();
        let ran_ns = exec_start_ns(&path);
        let took_ns = monotonic_ns() - now_ns;
        if let Some(ran_ns) = ran_ns.filter(|_| best.is_none_or(|(fastest_ns, _)| took_ns < fastest_ns)) {
            best = Some((took_ns, now_ns - ran_ns));
        }
    }
    if moved {
        // It was permitted before.
        let _ = sched_setaffinity(None, &before);
    }
    best.map(|(_, offset_ns)| offset_ns)
}

pub(crate) fn monotonic_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn exec_start_ns(path: &str) -> Option<i64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with("se.exec_start"))?;
    let (milliseconds, rest) = line.rsplit(':').next()?.trim().split_once('.')?;
    Some(milliseconds.parse::<i64>().ok()? * 1_000_000 + rest.parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_ways_to_sleep_are_told_apart() {
        assert_eq!(sleep_with(libc::CLOCK_REALTIME as u64), libc::SYS_clock_nanosleep);
        assert_eq!(sleep_with(-6i64 as u64), libc::SYS_clock_nanosleep);
        assert_eq!(sleep_with(0x7ffd_0000_1000), libc::SYS_nanosleep);
    }

    #[test]
    fn only_waits_for_a_relative_time_have_one() {
        let wait = |call: i64, arguments: [u64; 6]| {
            let second = |_: u64, bytes: &mut [u8]| {
                bytes[..8].copy_from_slice(&1u64.to_ne_bytes());
                true
            };
            relative_wait_ns(call as u64, &arguments, second)
        };
        assert_eq!(wait(libc::SYS_nanosleep, [8, 0, 0, 0, 0, 0]), Some(1_000_000_000));
        assert_eq!(wait(libc::SYS_clock_nanosleep, [1, 0, 8, 0, 0, 0]), Some(1_000_000_000));
        assert_eq!(wait(libc::SYS_clock_nanosleep, [1, 1, 8, 0, 0, 0]), None);
        assert_eq!(wait(libc::SYS_clock_nanosleep, [2, 0, 8, 0, 0, 0]), None);
        assert_eq!(wait(libc::SYS_poll, [0, 0, 70, 0, 0, 0]), Some(70_000_000));
        assert_eq!(wait(libc::SYS_poll, [0, 0, u64::MAX, 0, 0, 0]), None);
        assert_eq!(wait(libc::SYS_epoll_wait, [0, 0, 0, 70, 0, 0]), Some(70_000_000));
        assert_eq!(wait(libc::SYS_futex, [8, 128, 0, 8, 0, 0]), Some(1_000_000_000));
        assert_eq!(wait(libc::SYS_futex, [8, 137, 0, 8, 0, 0]), None);
    }
}
