//! Threads: made with their numbers, ended, and given what is theirs.

use super::target::{CLONE_FLAGS, CLONE_SET_TID, CLONE_SET_TID_SIZE, CLONE_WORDS, CLONE3, RSEQ, Target};
use super::waits::{self, Begun, Loan};
use crate::error::{LinuxError, Result};
use crate::inventory::{Inventory, ThreadFacts};
use crate::state::{RestartableSequences, ThreadState};
use crate::tracing::inject::{ALL_SIGNALS, Call};
use crate::tracing::raw;
use crate::tracing::tracee::{Stop, Tracee};

const PRCTL: Call = Call("prctl", libc::SYS_prctl);
const EXIT: Call = Call("exit", libc::SYS_exit);
const SIGALTSTACK: Call = Call("sigaltstack", libc::SYS_sigaltstack);
const SET_TID_ADDRESS: Call = Call("set_tid_address", libc::SYS_set_tid_address);
const SET_ROBUST_LIST: Call = Call("set_robust_list", libc::SYS_set_robust_list);
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

/// Registers restartable sequences.
///
/// The kernel looks into their area, now and whenever a thread returns from a call; so where it is absent, its page is lent.
pub(super) fn register_sequences(
    target: &Target,
    threads: &[ThreadState],
    loan: &mut Loan<'_>,
) -> Result<()> {
    // The main thread's comes last, as the loan wants it.
    for state in threads.iter().rev() {
        let Some(RestartableSequences { address, length, signature }) = state.sequences else { continue };
        loan.lend(address)?;
        target.call_by(
            find(target, state.own_tid)?,
            RSEQ,
            &[address, u64::from(length), 0, u64::from(signature)],
        )?;
    }
    Ok(())
}

/// Lets a thread begin from where it was: its signal mask, extended and general registers, in a stop from which waits are restarted.
pub(super) fn set_registers(target: &Target, state: &ThreadState, begun: Begun) -> Result<()> {
    let thread = find(target, state.own_tid)?;
    raw::set_extended_registers(thread.0, &state.extended)?;
    thread.set_registers(&waits::registers(state, begun))?;
    thread.set_signal_mask(state.signal_mask)
}
