//! Waits that go on at the destination for the rest of their time, as the kernel itself would have them go on.
//!
//! A thread begins such a wait and is stopped in it, which leaves the end of it with the kernel. With the registers saying
//! *interrupted*, the kernel makes it wait for the rest when it is let go. The kernel remembers the addresses that the call was made
//! with, so they are the process's own. What is there may be absent, and nobody would bring it before the process runs: such pages
//! are [lent](Loan) for as long as it takes.

use std::os::unix::fs::FileExt;

use super::target::Target;
use super::threads::find;
use crate::error::{Doing, LinuxError, Result};
use crate::inventory::{Clocks, Inventory};
use crate::plan::{FileChoices, backing};
use crate::range::{AddressRange, PAGE_SIZE};
use crate::source::interrupted::RESTART_BLOCK;
use crate::source::waiting::{SeenWaiting, monotonic_ns};
use crate::state::{InterruptedWait, Registers, ThreadState};
use crate::tracing::inject::{Call, Injector};
use crate::tracing::tracee::Stop;
use crate::userfault::{Cover, Userfault};

const MADVISE: Call = Call("madvise", libc::SYS_madvise);

/// A wait that would end sooner might be over before its thread is stopped in it.
const REMAINING_NS_MIN: u64 = 1_000_000;

/// More descriptors than a process may have by default are not lent pages for.
const POLLED_BYTES_MAX: u64 = 1 << 20;

/// Pages that were absent, are uncovered, and hold something for now.
///
/// They are made absent again in the order in which they were last lent. The main thread does that, by calls after each of which the kernel
/// may look into its restartable sequences: so the page of those has to be lent last.
pub(super) struct Loan<'a> {
    target: &'a Target,
    userfault: &'a Userfault,
    inventory: &'a Inventory,
    files: &'a FileChoices,
    pages: Vec<AddressRange>,
}

impl<'a> Loan<'a> {
    pub(super) fn new(
        target: &'a Target,
        userfault: &'a Userfault,
        inventory: &'a Inventory,
        files: &'a FileChoices,
    ) -> Self {
        Self { target, userfault, inventory, files, pages: Vec::new() }
    }

    /// The page at `address`, if it is absent. Whether it is lent, and so holds what was written to it since.
    pub(super) fn lend(&mut self, address: u64) -> Result<bool> {
        let start = address & !(PAGE_SIZE - 1);
        let page = AddressRange::new(start, start + PAGE_SIZE);
        if let Some(at) = self.pages.iter().position(|lent| *lent == page) {
            self.pages.remove(at);
            self.pages.push(page);
            return Ok(true);
        }
        let mapping = self.inventory.mapping_at(address);
        let Some(mapping) = mapping.filter(|mapping| backing(mapping, self.files).is_installed()) else {
            return Ok(false);
        };
        let mut there = Vec::new();
        self.target.pagemap()?.population(page, !mapping.shared, &mut there)?;
        if !there.is_empty() {
            return Ok(false);
        }
        self.userfault.unregister(page).doing(|| format!("uncover {page}"))?;
        self.pages.push(page);
        Ok(true)
    }

    /// Makes all of it absent. No thread may make a call after this.
    pub(super) fn give_back(self, injector: Injector) -> Result<()> {
        for page in &self.pages {
            let shared = self.inventory.mapping_at(page.start).is_some_and(|mapping| mapping.shared);
            let advice = if shared { libc::MADV_REMOVE } else { libc::MADV_DONTNEED };
            injector.call(self.target.main(), MADVISE, &[page.start, page.len(), advice as u64])?;
        }
        for page in &self.pages {
            self.userfault.register(*page, Cover::MissingAndWrites).doing(|| format!("cover {page}"))?;
        }
        Ok(())
    }

    /// Lends what the kernel looks at when this wait begins. False where it cannot begin here.
    pub(super) fn lend_for(&mut self, wait: &InterruptedWait) -> Result<bool> {
        let arguments = &wait.arguments;
        match wait.call as i64 {
            libc::SYS_nanosleep => self.lend_all(arguments[1], 16).map(|()| true),
            libc::SYS_clock_nanosleep => self.lend_all(arguments[3], 16).map(|()| true),
            // It only waits where the word is as it was.
            libc::SYS_futex => {
                if self.lend(arguments[0])? {
                    self.write(arguments[0], &(arguments[2] as u32).to_ne_bytes())?;
                }
                Ok(true)
            }
            libc::SYS_poll => self.lend_descriptors(arguments[0], arguments[1].saturating_mul(8)),
            _ => Ok(false),
        }
    }

    fn lend_all(&mut self, address: u64, length: u64) -> Result<()> {
        if address != 0 {
            self.lend(address)?;
            self.lend(address + length - 1)?;
        }
        Ok(())
    }

    /// An absent part of the list has the descriptor −1, of which nothing ever happens.
    fn lend_descriptors(&mut self, list: u64, length: u64) -> Result<bool> {
        if length > POLLED_BYTES_MAX {
            return Ok(false);
        }
        let whole = AddressRange::new(list, list + length);
        let mut at = list;
        while at < whole.end {
            let end = ((at & !(PAGE_SIZE - 1)) + PAGE_SIZE).min(whole.end);
            if self.lend(at)? {
                let nobody = |address: u64| if (address - list) % 8 < 4 { 0xff } else { 0 };
                let bytes: Vec<u8> = (at..end).map(nobody).collect();
                self.write(at, &bytes)?;
            }
            at = end;
        }
        Ok(true)
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        self.target.memory().write_all_at(bytes, address).doing(|| format!("write at {address:x}"))
    }
}

/// How a thread that was interrupted in a wait goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Begun {
    /// It waits for the rest.
    Waits,
    /// The rest is over, and this is the answer.
    Over(u64),
    /// It makes the call again.
    Again,
}

/// Begins the wait of a thread, and what is known of it from now on.
pub(super) fn begin(
    target: &Target,
    state: &ThreadState,
    wait: &InterruptedWait,
    clocks: &Clocks,
) -> Result<(Begun, SeenWaiting)> {
    let thread = find(target, state.own_tid)?;
    let frozen_ns = u64::try_from(Clocks::now().realtime_ns - clocks.realtime_ns).unwrap_or(0);
    let remaining_ns = wait.remaining_ns.saturating_sub(frozen_ns).max(REMAINING_NS_MIN);
    let seen = SeenWaiting {
        call: wait.call,
        instruction: state.registers.rip + 2,
        since_ns: Some(monotonic_ns()),
        rest_ns: Some(remaining_ns),
        stale: false,
    };
    let time = target.write_words(0, &[remaining_ns / 1_000_000_000, remaining_ns % 1_000_000_000])?;
    let [first, second, third, fourth, fifth, sixth] = wait.arguments;
    let (call, arguments) = match wait.call as i64 {
        libc::SYS_nanosleep => (Call("nanosleep", libc::SYS_nanosleep), vec![time, second]),
        libc::SYS_clock_nanosleep => {
            (Call("clock_nanosleep", libc::SYS_clock_nanosleep), vec![first, second, time, fourth])
        }
        libc::SYS_poll => {
            (Call("poll", libc::SYS_poll), vec![first, second, remaining_ns.div_ceil(1_000_000)])
        }
        libc::SYS_futex => (Call("futex", libc::SYS_futex), vec![first, second, third, time, fifth, sixth]),
        _ => return Ok((Begun::Again, seen)),
    };
    target.injector().enter(thread, call, &arguments)?;
    thread.interrupt()?;
    thread.go_to_call()?;
    // At its exit, interrupted: that stop took the place of the one asked for.
    match thread.wait()? {
        Stop::Call => {}
        other => {
            let status = format!("{other:?}");
            return Err(LinuxError::UnexpectedStop { tid: thread.0, status, doing: "a wait" });
        }
    }
    let answer = thread.registers()?.rax;
    let timed_out = match wait.call as i64 {
        libc::SYS_futex => -(libc::ETIMEDOUT as i64),
        _ => 0,
    };
    let begun = match answer as i64 {
        RESTART_BLOCK => Begun::Waits,
        answer if answer == timed_out && wait.call != libc::SYS_poll as u64 => Begun::Over(answer as u64),
        _ => Begun::Again,
    };
    target.injector().park(thread)?;
    Ok((begun, seen))
}

/// The registers of a thread whose wait has begun so.
pub(super) fn registers(state: &ThreadState, begun: Begun) -> Registers {
    // Wound back, so behind the call is two bytes further.
    let behind = Registers { rip: state.registers.rip.wrapping_add(2), ..state.registers };
    match begun {
        // Interrupted in the call, which the kernel then restarts by itself.
        Begun::Waits => Registers { rax: RESTART_BLOCK as u64, orig_rax: state.registers.rax, ..behind },
        Begun::Over(answer) => Registers { rax: answer, ..behind },
        Begun::Again => state.registers,
    }
}
