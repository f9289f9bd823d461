//! System calls that a stop interrupted, and how they go on.
//!
//! A stop wakes a thread out of its system call. Let go at the source, the kernel restarts most calls by itself. At the
//! destination nobody knows of the call, so the registers are wound back to the instruction that made it. Three kinds
//! need more: calls that wait for a *relative* time would begin that time anew; calls that the kernel never restarts
//! (`epoll_wait`, `semop`, …) would return an error that no signal handler explains; and calls that a signal ends are the
//! kernel's to judge, by the handler, wherever the thread goes on.

use super::waiting::{self, SeenWaiting};
use crate::state::{InterruptedWait, Registers};

const RESTART: [i64; 3] = [-512, -513, -514];
pub(crate) const RESTART_BLOCK: i64 = -516;
const INTERRUPTED: i64 = -(libc::EINTR as i64);
const RESTART_CALL: u64 = libc::SYS_restart_syscall as u64;

/// `syscall`.
const CALL_INSTRUCTION: [u8; 2] = [0x0f, 0x05];

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

/// Calls that go on as `restart_syscall`: the kernel knows no others.
const CONTINUED: [libc::c_long; 4] =
    [libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_poll, libc::SYS_futex];

/// What is known of a thread beside its registers.
pub(crate) struct Circumstances<R: Fn(u64, &mut [u8]) -> bool> {
    /// A signal waits that is not blocked, so that a handler or the default is due.
    pub(crate) signal_to_deliver: bool,
    /// What it was seen waiting for before it was stopped.
    pub(crate) seen: Option<SeenWaiting>,
    /// By the monotonic clock.
    pub(crate) now_ns: i64,
    /// Reads its memory.
    pub(crate) read: R,
}

/// The registers to let go with at the source: unchanged, but for a call that would answer an error that nothing explains.
pub(crate) fn for_going_on(
    registers: Registers,
    known: &Circumstances<impl Fn(u64, &mut [u8]) -> bool>,
) -> Registers {
    if is_spurious(&registers, known.signal_to_deliver) { made_again(registers, known) } else { registers }
}

/// The registers to begin with at the destination, and the rest of a wait.
pub(crate) fn for_travelling(
    registers: Registers,
    known: &Circumstances<impl Fn(u64, &mut [u8]) -> bool>,
) -> (Registers, Option<InterruptedWait>) {
    let registers = as_in_call(registers, &known.read);
    if !in_call(&registers) {
        return (registers, None);
    }
    match registers.rax as i64 {
        // Whether it is made again or ends is the handler's to say: the kernel reads that off these registers.
        code if RESTART.contains(&code) && known.signal_to_deliver => (registers, None),
        code if RESTART.contains(&code) => (wound_back(registers), None),
        RESTART_BLOCK => {
            let seen = known.seen.filter(|seen| seen.instruction == registers.rip);
            let call = match registers.orig_rax {
                RESTART_CALL => seen.map(|seen| seen.call).or_else(|| call_in_code(&registers, &known.read)),
                call => Some(call),
            };
            let again = Registers { orig_rax: call.unwrap_or(registers.orig_rax), ..registers };
            let wait = call.and_then(|call| {
                let remaining_ns = remaining_ns(call, &registers, seen, known)?;
                Some(InterruptedWait { call, arguments: arguments(&registers), remaining_ns })
            });
            (wound_back(again), wait)
        }
        _ if is_spurious(&registers, known.signal_to_deliver) => (made_again(registers, known), None),
        _ => (not_in_call(registers), None),
    }
}

/// What is left of an interrupted wait, where that is known. What was seen may have been another wait, made by the same instruction: what the
/// thread has in its registers and memory now that it is stopped is this one's.
fn remaining_ns(
    call: u64,
    registers: &Registers,
    seen: Option<SeenWaiting>,
    known: &Circumstances<impl Fn(u64, &mut [u8]) -> bool>,
) -> Option<u64> {
    let arguments = arguments(registers);
    let goes_on = registers.orig_rax == RESTART_CALL;
    let asked_ns = waiting::relative_wait_ns(call, &arguments, &known.read)?;
    let this = seen.filter(|seen| seen.call == call && (goes_on || !seen.stale));
    let expected_ns = this.and_then(|seen| seen.remaining_ns(known.now_ns)).map(|ns| ns.min(asked_ns));
    match waiting::noted_rest_ns(call, &arguments, &known.read) {
        // It may have been noted at an earlier stop.
        Some(noted_ns) if goes_on => Some(expected_ns.unwrap_or(noted_ns).min(noted_ns)),
        Some(noted_ns) => Some(noted_ns),
        None => expected_ns,
    }
}

pub(crate) fn arguments(registers: &Registers) -> [u64; 6] {
    [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9]
}

fn in_call(registers: &Registers) -> bool {
    registers.orig_rax as i64 >= 0
}

/// A thread that is about to go on with an interrupted wait, and has not come to the instruction yet (its page may be missing), is as
/// one that was interrupted in it: what it waits for is with the kernel that it leaves.
fn as_in_call(registers: Registers, read: impl Fn(u64, &mut [u8]) -> bool) -> Registers {
    let mut instruction = [0; 2];
    let is_about_to = !in_call(&registers)
        && registers.rax == RESTART_CALL
        && read(registers.rip, &mut instruction)
        && instruction == CALL_INSTRUCTION;
    if !is_about_to {
        return registers;
    }
    Registers { rip: registers.rip + 2, orig_rax: RESTART_CALL, rax: RESTART_BLOCK as u64, ..registers }
}

/// The call that goes on, where the number stands in the instruction in front (`mov $number, %eax`), as it does in C libraries.
fn call_in_code(registers: &Registers, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<u64> {
    let mut code = [0; 7];
    let readable = read(registers.rip.wrapping_sub(7), &mut code);
    let [0xb8, number @ .., 0x0f, 0x05] = code else { return None };
    let number = u32::from_le_bytes(number);
    (readable && CONTINUED.contains(&libc::c_long::from(number))).then_some(number.into())
}

fn is_spurious(registers: &Registers, signal_to_deliver: bool) -> bool {
    !signal_to_deliver
        && registers.rax as i64 == INTERRUPTED
        && NEVER_RESTARTED.contains(&(registers.orig_rax as i64))
}

/// Made again, for the rest of its time where that is in a register. That the register changes is seen by nobody who calls through
/// a library.
fn made_again(registers: Registers, known: &Circumstances<impl Fn(u64, &mut [u8]) -> bool>) -> Registers {
    let mut again = wound_back(registers);
    let seen = known.seen.filter(|seen| {
        let same = (seen.call, seen.instruction) == (registers.orig_rax, registers.rip);
        same && !seen.stale && is_wait_for_events(seen.call)
    });
    let asked_ns = waiting::relative_wait_ns(registers.orig_rax, &arguments(&registers), &known.read);
    if let (Some(seen), Some(asked_ns)) = (seen, asked_ns)
        && let Some(remaining_ns) = seen.remaining_ns(known.now_ns)
    {
        again.r10 = remaining_ns.min(asked_ns).div_ceil(1_000_000);
    }
    again
}

fn is_wait_for_events(call: u64) -> bool {
    [libc::SYS_epoll_wait, libc::SYS_epoll_pwait].contains(&(call as i64))
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

#[cfg(test)]
mod tests {
    use super::*;

    const IN_CODE: u64 = 0x1000;

    fn registers(orig_rax: i64, rax: i64) -> Registers {
        Registers { orig_rax: orig_rax as u64, rax: rax as u64, rip: IN_CODE + 2, ..ZERO }
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

    type NoMemory = fn(u64, &mut [u8]) -> bool;

    fn known(signal_to_deliver: bool, seen: Option<SeenWaiting>, now_ns: i64) -> Circumstances<NoMemory> {
        Circumstances { signal_to_deliver, seen, now_ns, read: |_, _| false }
    }

    /// Memory in which `clock_nanosleep` is called as the C library does.
    fn code(address: u64, bytes: &mut [u8]) -> bool {
        let code = [0xb8, 230, 0, 0, 0, 0x0f, 0x05];
        let Some(at) = (address + 5).checked_sub(IN_CODE).map(|at| at as usize) else { return false };
        code.get(at..at + bytes.len()).map(|found| bytes.copy_from_slice(found)).is_some()
    }

    /// Where there is the time that a sleep was asked for, ten milliseconds, and where the kernel notes what is left: seven.
    const ASKED: u64 = 0x8000;
    const NOTED: u64 = 0x9000;

    fn sleeping(orig_rax: i64, noted: u64) -> Registers {
        Registers { rdi: ASKED, rsi: noted, ..registers(orig_rax, -516) }
    }

    fn times(address: u64, bytes: &mut [u8]) -> bool {
        let nanoseconds: u64 = match address {
            ASKED => 10_000_000,
            NOTED => 7_000_000,
            _ => return false,
        };
        bytes.fill(0);
        bytes[8..].copy_from_slice(&nanoseconds.to_ne_bytes());
        true
    }

    fn seen(call: i64) -> Option<SeenWaiting> {
        let instruction = IN_CODE + 2;
        Some(SeenWaiting {
            call: call as u64,
            instruction,
            since_ns: Some(1_000),
            rest_ns: Some(10_000_000),
            stale: false,
        })
    }

    #[test]
    fn a_read_is_made_again_and_a_finished_one_is_not() {
        let (again, _) = for_travelling(registers(0, -512), &known(false, None, 0));
        assert_eq!((again.rip, again.rax), (IN_CODE, 0));
        let (finished, _) = for_travelling(registers(0, 17), &known(false, None, 0));
        assert_eq!((finished.rip, finished.rax, finished.orig_rax), (IN_CODE + 2, 17, u64::MAX));
    }

    #[test]
    fn a_call_that_a_signal_ends_is_left_to_the_kernel() {
        let stopped = registers(libc::SYS_pause, -514);
        assert_eq!(for_travelling(stopped, &known(true, None, 0)).0, stopped);
        assert_eq!(for_travelling(stopped, &known(false, None, 0)).0.rip, IN_CODE);
    }

    #[test]
    fn waiting_for_events_is_made_again_unless_a_signal_explains_its_end() {
        let stopped = registers(libc::SYS_epoll_wait, -4);
        assert_eq!(for_going_on(stopped, &known(false, None, 0)).rip, IN_CODE);
        assert_eq!(for_going_on(stopped, &known(true, None, 0)), stopped);
        assert_eq!(for_going_on(registers(0, -4), &known(false, None, 0)).rip, IN_CODE + 2);
    }

    #[test]
    fn events_are_waited_for_as_long_as_was_left() {
        let stopped = Registers { r10: 10, ..registers(libc::SYS_epoll_wait, -4) };
        let now = known(false, seen(libc::SYS_epoll_wait), 4_001_000);
        assert_eq!((for_going_on(stopped, &now).r10, for_travelling(stopped, &now).0.r10), (6, 6));
        // What was seen was another wait.
        assert_eq!(for_going_on(stopped, &known(false, seen(libc::SYS_epoll_pwait), 4_001_000)).r10, 10);
        assert_eq!(for_going_on(stopped, &known(false, None, 4_001_000)).r10, 10);
    }

    #[test]
    fn a_restarted_sleep_has_the_rest_of_its_time() {
        let seen = seen(libc::SYS_nanosleep);
        let known = Circumstances { signal_to_deliver: false, seen, now_ns: 4_000, read: times };
        let (again, wait) = for_travelling(sleeping(libc::SYS_restart_syscall, 0), &known);
        assert_eq!((again.rip, again.rax), (IN_CODE, 35));
        assert_eq!(wait.map(|wait| (wait.call, wait.remaining_ns)), Some((35, 9_997_000)));
    }

    #[test]
    fn a_sleep_is_no_longer_than_was_asked_for_whatever_was_seen_before_the_stop() {
        let rest_ns = |seen: Option<SeenWaiting>, noted| {
            let known = Circumstances { signal_to_deliver: false, seen, now_ns: 4_000, read: times };
            for_travelling(sleeping(libc::SYS_nanosleep, noted), &known).1.map(|wait| wait.remaining_ns)
        };
        let seen = seen(libc::SYS_nanosleep);
        assert_eq!(rest_ns(seen, 0), Some(9_997_000));
        // A longer one, or what was no time at all when it was read.
        let longer = seen.map(|seen| SeenWaiting { rest_ns: Some(u64::MAX), ..seen });
        assert_eq!(rest_ns(longer, 0), Some(10_000_000));
        assert_eq!(rest_ns(None, 0), None, "it is made again");
        // An earlier one that was about to end: the kernel has noted what is left of this one.
        let earlier = seen.map(|seen| SeenWaiting { since_ns: Some(-20_000_000), ..seen });
        assert_eq!((rest_ns(earlier, NOTED), rest_ns(None, NOTED)), (Some(7_000_000), Some(7_000_000)));
    }

    #[test]
    fn events_are_waited_for_no_longer_than_was_asked_for() {
        let longer =
            seen(libc::SYS_epoll_wait).map(|seen| SeenWaiting { rest_ns: Some(3_600_000_000_000), ..seen });
        let stopped = |milliseconds| Registers { r10: milliseconds, ..registers(libc::SYS_epoll_wait, -4) };
        let again = |milliseconds| for_going_on(stopped(milliseconds), &known(false, longer, 4_000)).r10;
        assert_eq!((again(5), again(0), again(u64::MAX)), (5, 0, u64::MAX));
    }

    #[test]
    fn a_sleep_that_nobody_saw_begin_is_known_by_its_code() {
        let known = Circumstances { signal_to_deliver: false, seen: None, now_ns: 0, read: code };
        let (again, wait) = for_travelling(registers(libc::SYS_restart_syscall, -516), &known);
        assert_eq!((again.rip, again.rax as i64, wait), (IN_CODE, libc::SYS_clock_nanosleep, None));
    }

    #[test]
    fn a_thread_about_to_go_on_with_a_sleep_has_not_forgotten_it() {
        let at_instruction =
            Registers { rip: IN_CODE, rdx: ASKED, ..registers(-1, libc::SYS_restart_syscall) };
        let seen = seen(libc::SYS_clock_nanosleep);
        let read = |address: u64, bytes: &mut [u8]| code(address, bytes) || times(address, bytes);
        let known = Circumstances { signal_to_deliver: false, seen, now_ns: 4_000, read };
        let (again, wait) = for_travelling(at_instruction, &known);
        assert_eq!((again.rip, again.rax as i64), (IN_CODE, libc::SYS_clock_nanosleep));
        assert_eq!(wait.map(|wait| wait.remaining_ns), Some(9_997_000));
        let stale = Circumstances { seen: seen.map(|seen| SeenWaiting { stale: true, ..seen }), ..known };
        assert!(
            for_travelling(at_instruction, &stale).1.is_some(),
            "it goes on with what it was seen in last"
        );
        let begun = Registers { rdx: ASKED, ..registers(libc::SYS_clock_nanosleep, -516) };
        assert!(for_travelling(begun, &stale).1.is_none(), "what has begun since is another one");
        // The same number elsewhere is a number.
        let computing = Registers { rip: IN_CODE + 1, ..at_instruction };
        assert_eq!(for_travelling(computing, &stale), (computing, None));
    }
}
