//! System calls that a stop interrupted, and how they go on.
//!
//! A stop wakes a thread out of its system call. Let go at the source, the kernel restarts most calls by itself. At the
//! destination nobody knows of the call, so the registers are wound back to the instruction that made it. Two kinds
//! need more: calls that wait for a *relative* time would begin that time anew, and calls that the kernel never restarts
//! (`epoll_wait`, `semop`, …) would return an error that no signal handler explains.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;

use crate::state::{InterruptedWait, Registers};

const RESTART: [i64; 3] = [-512, -513, -514];
const RESTART_BLOCK: i64 = -516;
const INTERRUPTED: i64 = -(libc::EINTR as i64);

/// Calls that answer `EINTR` to any stop, though no signal was delivered.
const NEVER_RESTARTED: &[i64] = &[
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
    libc::SYS_io_getevents,
    // `io_pgetevents`, which the C library's bindings lack here.
    333,
];

/// What a thread was seen waiting for before it was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SeenWaiting {
    pub(crate) call: u64,
    pub(crate) instruction: u64,
    /// When it had begun to wait, by the monotonic clock, in nanoseconds.
    pub(crate) since_ns: Option<i64>,
    /// Length of the wait in nanoseconds, where it is relative and could be read.
    pub(crate) rest_ns: Option<u64>,
}

/// What each thread (as the observer counts) was seen waiting for.
pub(crate) type Waits = HashMap<i32, SeenWaiting>;

/// The registers to let go with at the source: unchanged, but for a call that would answer an error that nothing explains.
pub(crate) fn for_going_on(registers: Registers, signal_to_deliver: bool) -> Registers {
    if is_spurious(&registers, signal_to_deliver) { wound_back(registers) } else { registers }
}

/// The registers to begin with at the destination, and the rest of a wait.
pub(crate) fn for_travelling(
    registers: Registers,
    signal_to_deliver: bool,
    seen: Option<SeenWaiting>,
    now_ns: i64,
) -> (Registers, Option<InterruptedWait>) {
    if !in_call(&registers) {
        return (registers, None);
    }
    match registers.rax as i64 {
        code if RESTART.contains(&code) => (wound_back(registers), None),
        RESTART_BLOCK => {
            let mut again = registers;
            let call = match seen {
                Some(seen) if registers.orig_rax == libc::SYS_restart_syscall as u64 => seen.call,
                _ => registers.orig_rax,
            };
            again.orig_rax = call;
            let wait = seen.and_then(|seen| {
                let waited_ns = u64::try_from(now_ns - seen.since_ns?).unwrap_or(0);
                Some(InterruptedWait {
                    call,
                    arguments: arguments(&registers),
                    remaining_ns: seen.rest_ns?.saturating_sub(waited_ns),
                })
            });
            (wound_back(again), wait)
        }
        _ if is_spurious(&registers, signal_to_deliver) => (wound_back(registers), None),
        _ => (not_in_call(registers), None),
    }
}

pub(crate) fn arguments(registers: &Registers) -> [u64; 6] {
    [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9]
}

fn in_call(registers: &Registers) -> bool {
    registers.orig_rax as i64 >= 0
}

fn is_spurious(registers: &Registers, signal_to_deliver: bool) -> bool {
    !signal_to_deliver
        && registers.rax as i64 == INTERRUPTED
        && NEVER_RESTARTED.contains(&(registers.orig_rax as i64))
}

/// Before the `syscall` instruction (two bytes), with the number in place.
fn wound_back(mut registers: Registers) -> Registers {
    registers.rax = registers.orig_rax;
    registers.rip -= 2;
    not_in_call(registers)
}

fn not_in_call(mut registers: Registers) -> Registers {
    registers.orig_rax = u64::MAX;
    registers
}

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
    let line = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
    let mut words = line.split_whitespace();
    let mut call: u64 = words.next()?.parse().ok()?;
    let mut values = words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(0));
    let mut arguments = [0; 6];
    arguments.fill_with(|| values.next().unwrap_or(0));
    let instruction = values.nth(1)?;
    if call == libc::SYS_restart_syscall as u64 {
        if let Some(same) = earlier.filter(|seen| seen.instruction == instruction) {
            return Some(same);
        }
        call = call_by_wait_channel(pid, tid, &arguments)?;
        return Some(SeenWaiting { call, instruction, since_ns: None, rest_ns: None });
    }
    let rest_ns = relative_wait_ns(call, &arguments, read);
    let since_ns = rest_ns.and_then(|_| clock.last_ran_ns(pid, tid));
    Some(SeenWaiting { call, instruction, since_ns, rest_ns })
}

/// How long the call waits, where it is for a relative time and the kernel keeps the end of it.
fn relative_wait_ns(call: u64, arguments: &[u64; 6], read: impl Fn(u64, &mut [u8]) -> bool) -> Option<u64> {
    let timespec = |address: u64| {
        let mut bytes = [0; 16];
        (address != 0 && read(address, &mut bytes)).then(|| {
            let (words, _) = bytes.as_chunks::<8>();
            u64::from_ne_bytes(words[0])
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::from_ne_bytes(words[1]))
        })
    };
    match call as i64 {
        libc::SYS_nanosleep => timespec(arguments[0]),
        libc::SYS_clock_nanosleep if arguments[1] & 1 == 0 => timespec(arguments[2]),
        libc::SYS_poll if (arguments[2] as i32) > 0 => Some(arguments[2] * 1_000_000),
        libc::SYS_futex if arguments[1] & 0x7f == libc::FUTEX_WAIT as u64 => timespec(arguments[3]),
        _ => None,
    }
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
    std::thread::sleep(std::time::Duration::from_micros(1));
    let now_ns = monotonic_ns();
    let tid = rustix::thread::gettid().as_raw_nonzero().get();
    let ran_ns = exec_start_ns(&format!("/proc/self/task/{tid}/sched"));
    if moved {
        // It was permitted before.
        let _ = sched_setaffinity(None, &before);
    }
    Some(now_ns - ran_ns?)
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

    fn registers(orig_rax: i64, rax: i64) -> Registers {
        let mut registers = Registers::from(libc::user_regs_struct::from(ZERO));
        (registers.orig_rax, registers.rax, registers.rip) = (orig_rax as u64, rax as u64, 0x1002);
        registers
    }

    const ZERO: Registers = Registers {
        r15: 0,
        r14: 0,
        r13: 0,
        r12: 0,
        rbp: 0,
        rbx: 0,
        r11: 0,
        r10: 0,
        r9: 0,
        r8: 0,
        rax: 0,
        rcx: 0,
        rdx: 0,
        rsi: 0,
        rdi: 0,
        orig_rax: 0,
        rip: 0,
        cs: 0,
        eflags: 0,
        rsp: 0,
        ss: 0,
        fs_base: 0,
        gs_base: 0,
        ds: 0,
        es: 0,
        fs: 0,
        gs: 0,
    };

    #[test]
    fn a_read_is_made_again_and_a_finished_one_is_not() {
        let (again, _) = for_travelling(registers(0, -512), false, None, 0);
        assert_eq!((again.rip, again.rax), (0x1000, 0));
        let (finished, _) = for_travelling(registers(0, 17), false, None, 0);
        assert_eq!((finished.rip, finished.rax, finished.orig_rax), (0x1002, 17, u64::MAX));
    }

    #[test]
    fn waiting_for_events_is_made_again_unless_a_signal_explains_its_end() {
        let stopped = registers(libc::SYS_epoll_wait, -4);
        assert_eq!(for_going_on(stopped, false).rip, 0x1000);
        assert_eq!(for_going_on(stopped, true), stopped);
        assert_eq!(for_going_on(registers(0, -4), false).rip, 0x1002);
    }

    #[test]
    fn the_two_ways_to_sleep_are_told_apart() {
        assert_eq!(sleep_with(libc::CLOCK_REALTIME as u64), libc::SYS_clock_nanosleep);
        assert_eq!(sleep_with(-6i64 as u64), libc::SYS_clock_nanosleep);
        assert_eq!(sleep_with(0x7ffd_0000_1000), libc::SYS_nanosleep);
    }

    #[test]
    fn a_restarted_sleep_has_the_rest_of_its_time() {
        let seen =
            SeenWaiting { call: 35, instruction: 0x1002, since_ns: Some(1_000), rest_ns: Some(10_000) };
        let (again, wait) =
            for_travelling(registers(libc::SYS_restart_syscall, -516), false, Some(seen), 4_000);
        assert_eq!((again.rip, again.rax), (0x1000, 35));
        assert_eq!(wait.map(|wait| (wait.call, wait.remaining_ns)), Some((35, 7_000)));
    }
}
