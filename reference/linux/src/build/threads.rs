//! Threads: made with their numbers, ended, and given what is theirs.

use super::target::{CLONE_FLAGS, CLONE_SET_TID, CLONE_SET_TID_SIZE, CLONE_WORDS, CLONE3, RSEQ, Target};
use crate::error::{Doing, LinuxError, Result};
use crate::inventory::{Inventory, ThreadFacts};
use crate::range::{AddressRange, PAGE_SIZE};
use crate::state::{InterruptedWait, RestartableSequences, ThreadState};
use crate::tracing::inject::{ALL_SIGNALS, Call};
use crate::tracing::raw;
use crate::tracing::tracee::{Stop, Tracee};
use crate::userfault::{Cover, Userfault};

const PRCTL: Call = Call("prctl", libc::SYS_prctl);
const EXIT: Call = Call("exit", libc::SYS_exit);
const SIGALTSTACK: Call = Call("sigaltstack", libc::SYS_sigaltstack);
const SET_TID_ADDRESS: Call = Call("set_tid_address", libc::SYS_set_tid_address);
const SET_ROBUST_LIST: Call = Call("set_robust_list", libc::SYS_set_robust_list);
const MADVISE: Call = Call("madvise", libc::SYS_madvise);
const RT_TGSIGQUEUEINFO: Call = Call("rt_tgsigqueueinfo", libc::SYS_rt_tgsigqueueinfo);
const SCHED_SETAFFINITY: Call = Call("sched_setaffinity", libc::SYS_sched_setaffinity);

/// Makes all threads but the first one.
pub(super) fn build(target: &mut Target, inventory: &Inventory) -> Result<()> {
    target.main().set_signal_mask(ALL_SIGNALS)?;
    for facts in &inventory.threads {
        if !target.threads.iter().any(|(own_tid, _)| *own_tid == facts.own_tid) {
            make(target, facts.own_tid)?;
        }
        dress(target, facts)?;
    }
    Ok(())
}

/// Follows threads that ended or began since.
pub(super) fn follow(target: &mut Target, inventory: &Inventory) -> Result<()> {
    let lives = |own_tid: i32| inventory.threads.iter().any(|facts| facts.own_tid == own_tid);
    let gone: Vec<(i32, Tracee)> =
        target.threads.iter().copied().filter(|(own_tid, _)| !lives(*own_tid)).collect();
    for (own_tid, thread) in gone {
        target.injector().enter(thread, EXIT, &[0])?;
        thread.go_on(0)?;
        while thread.wait()? != Stop::Ended {
            thread.go_on(0)?;
        }
        target.threads.retain(|(other, _)| *other != own_tid);
    }
    for facts in &inventory.threads {
        if !target.threads.iter().any(|(own_tid, _)| *own_tid == facts.own_tid) {
            make(target, facts.own_tid)?;
            dress(target, facts)?;
        }
    }
    Ok(())
}

fn make(target: &mut Target, own_tid: i32) -> Result<()> {
    const FLAGS: i32 = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM;
    let mut words = [0; CLONE_WORDS + 1];
    words[CLONE_FLAGS] = FLAGS as u64;
    words[CLONE_SET_TID_SIZE] = 1;
    words[CLONE_WORDS] = own_tid as u64;
    let base = target.write_words(0, &words)?;
    target.write_words(CLONE_SET_TID as u64, &[base + CLONE_WORDS as u64 * 8])?;
    let main = target.main();
    let (_, made) = target.injector().call_with_offspring(main, CLONE3, &[base, CLONE_WORDS as u64 * 8])?;
    let thread =
        Tracee(made.ok_or_else(|| LinuxError::CannotFollow(format!("thread {own_tid} was not made")))?);
    match thread.wait()? {
        Stop::Requested { .. } => {}
        other => {
            return Err(LinuxError::UnexpectedStop {
                tid: thread.0,
                status: format!("{other:?}"),
                doing: "its first stop",
            });
        }
    }
    thread.set_options(nix::sys::ptrace::Options::PTRACE_O_EXITKILL)?;
    thread.set_signal_mask(ALL_SIGNALS)?;
    target.threads.push((own_tid, thread));
    Ok(())
}

/// What a thread has from `/proc`: its name, and where it may run if that was narrowed.
fn dress(target: &Target, facts: &ThreadFacts) -> Result<()> {
    let thread = find(target, facts.own_tid)?;
    let mut name = facts.name.clone().into_bytes();
    name.truncate(15);
    name.push(0);
    let address = target.write_bytes(0, &name)?;
    target.call_by(thread, PRCTL, &[libc::PR_SET_NAME as u64, address])?;
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    if facts.processors.len() < processors && !facts.processors.is_empty() {
        let mut mask = [0u64; 16];
        for processor in facts.processors.iter().filter(|processor| **processor < 1024) {
            mask[*processor as usize / 64] |= 1 << (processor % 64);
        }
        let address = target.write_words(0, &mask)?;
        // Where the destination has none of these processors, the thread may run anywhere.
        let _ = target.call_by(thread, SCHED_SETAFFINITY, &[0, size_of_val(&mask) as u64, address]);
    }
    Ok(())
}

pub(super) fn find(target: &Target, own_tid: i32) -> Result<Tracee> {
    let found = target.threads.iter().find(|(other, _)| *other == own_tid);
    found
        .map(|(_, thread)| *thread)
        .ok_or_else(|| LinuxError::CannotFollow(format!("thread {own_tid} was not built")))
}

/// Gives a thread what the kernel keeps for it, registers aside.
pub(super) fn settle(target: &Target, state: &ThreadState, own_pid: i32) -> Result<()> {
    let thread = find(target, state.own_tid)?;
    const SS_DISABLE: u64 = libc::SS_DISABLE as u64;
    if state.alternate_stack[1] & SS_DISABLE == 0 {
        let address = target.write_words(0, &state.alternate_stack)?;
        target.call_by(thread, SIGALTSTACK, &[address, 0])?;
    }
    if state.tid_address != 0 {
        target.call_by(thread, SET_TID_ADDRESS, &[state.tid_address])?;
    }
    if state.robust_list[0] != 0 {
        target.call_by(thread, SET_ROBUST_LIST, &state.robust_list)?;
    }
    for signal in &state.pending {
        let address = target.write_bytes(0, signal)?;
        let number = i32::from_ne_bytes([signal[0], signal[1], signal[2], signal[3]]);
        target.call_by(
            thread,
            RT_TGSIGQUEUEINFO,
            &[own_pid as u64, state.own_tid as u64, number as u64, address],
        )?;
    }
    Ok(())
}

/// Registers restartable sequences; answers the pages that were absent and hold zeros now.
///
/// The kernel looks into their area, now and whenever a thread returns from a call. It may be absent, and nobody would bring it
/// before the process runs. So absent pages are uncovered, and [`make_absent`] is the last thing that happens.
pub(super) fn register_sequences(
    target: &Target,
    threads: &[ThreadState],
    userfault: &Userfault,
    covered: impl Fn(u64) -> bool,
) -> Result<Vec<AddressRange>> {
    let mut absent: Vec<AddressRange> = Vec::new();
    // The main thread's comes last, and so it does in `make_absent`.
    for state in threads.iter().rev() {
        let Some(RestartableSequences { address, length, signature }) = state.sequences else { continue };
        let start = address & !(PAGE_SIZE - 1);
        let page = AddressRange::new(start, start + PAGE_SIZE);
        let mut there = Vec::new();
        target.pagemap()?.population(page, true, &mut there)?;
        if covered(address) && there.is_empty() {
            userfault.unregister(page).doing(|| format!("uncover {page}"))?;
            absent.push(page);
        } else if let Some(at) = absent.iter().position(|other| *other == page) {
            let shared = absent.remove(at);
            absent.push(shared);
        }
        target.call_by(
            find(target, state.own_tid)?,
            RSEQ,
            &[address, u64::from(length), 0, u64::from(signature)],
        )?;
    }
    Ok(absent)
}

/// Takes the zeros out again. No thread may make a call after this.
pub(super) fn make_absent(target: &Target, pages: &[AddressRange], userfault: &Userfault) -> Result<()> {
    for page in pages {
        target.call(MADVISE, &[page.start, page.len(), libc::MADV_DONTNEED as u64])?;
    }
    for page in pages {
        userfault.register(*page, Cover::MissingAndWrites).doing(|| format!("cover {page}"))?;
    }
    Ok(())
}

/// Lets a thread begin from where it was: its signal mask, extended and general registers, in a stop from which waits are restarted.
pub(super) fn set_registers(target: &Target, state: &ThreadState, waits: bool) -> Result<()> {
    let thread = find(target, state.own_tid)?;
    raw::set_extended_registers(thread.0, &state.extended)?;
    let mut registers = state.registers;
    if let Some(wait) = &state.wait {
        if waits {
            // Interrupted in the call, which the kernel then restarts by itself.
            const RESTART_BLOCK: i64 = -516;
            registers.rip += 2;
            registers.rax = RESTART_BLOCK as u64;
            registers.orig_rax = wait.call;
        } else if wait.call == libc::SYS_poll as u64 {
            // Made again, with the time that is left. That the register changes is seen by nobody who calls through a library.
            registers.rdx = wait.remaining_ns.div_ceil(1_000_000);
        }
    }
    thread.set_registers(&registers)?;
    thread.set_signal_mask(state.signal_mask)
}

/// Makes the kernel believe that the thread was interrupted in a wait with `remaining_ns` to go, so that it restarts that by itself.
///
/// The thread begins such a wait and is stopped in it, which leaves the end of it with the kernel. With the registers
/// saying *interrupted*, the kernel makes it wait for the rest when it is let go. Addresses for results are the process's own.
pub(super) fn begin_wait(target: &Target, state: &ThreadState, wait: &InterruptedWait) -> Result<bool> {
    let thread = find(target, state.own_tid)?;
    let time = [wait.remaining_ns / 1_000_000_000, wait.remaining_ns % 1_000_000_000];
    let address = target.write_words(0, &time)?;
    let (call, arguments): (Call, Vec<u64>) = match wait.call as i64 {
        // The rest is not written to the process's memory, which may be absent: what was written at the source stays.
        libc::SYS_nanosleep => (Call("nanosleep", libc::SYS_nanosleep), vec![address, 0]),
        libc::SYS_clock_nanosleep => (
            Call("clock_nanosleep", libc::SYS_clock_nanosleep),
            vec![wait.arguments[0], wait.arguments[1], address, 0],
        ),
        libc::SYS_poll if wait.arguments[1] == 0 => {
            let milliseconds = wait.remaining_ns.div_ceil(1_000_000);
            (Call("poll", libc::SYS_poll), vec![0, 0, milliseconds])
        }
        _ => return Ok(false),
    };
    target.injector().enter(thread, call, &arguments)?;
    thread.interrupt()?;
    thread.go_to_call()?;
    // At its exit, interrupted: that stop took the place of the one asked for.
    match thread.wait()? {
        Stop::Call => target.injector().park(thread)?,
        other => {
            return Err(LinuxError::UnexpectedStop {
                tid: thread.0,
                status: format!("{other:?}"),
                doing: "a wait",
            });
        }
    }
    Ok(true)
}
