//! System calls made by a stopped thread of another process.
//!
//! The thread's instruction pointer is put on a `syscall` instruction that its address space has anyway (the vdso's), or
//! that was put there (in a process that is being built), and it runs from the entry stop to the exit stop. All signals are
//! blocked meanwhile, so that no handler runs. [`Injector::park`] brings the thread from there back into the kind
//! of stop that `PTRACE_INTERRUPT` makes: only on its way out of that one does the kernel look whether a system call
//! has to be restarted, and so an interrupted call goes on as if nothing had happened once the registers are put back.

use std::io;

use super::raw::Registers;
use super::tracee::{Stop, Tracee};
use crate::error::{LinuxError, Result};

/// Where the `syscall` instruction (`0f 05`) is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injector {
    pub(crate) instruction: u64,
}

/// A system call by number, with a name for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call(pub(crate) &'static str, pub(crate) i64);

/// Every signal that can be blocked.
pub(crate) const ALL_SIGNALS: u64 = u64::MAX;

impl Injector {
    /// Makes `tracee` call the kernel; an answer of −4095…−1 is an error.
    pub(crate) fn call(self, tracee: Tracee, call: Call, arguments: &[u64]) -> Result<u64> {
        Ok(self.call_with_offspring(tracee, call, arguments)?.0)
    }

    /// The same where the call makes a thread or process: its number, as the tracer counts, comes along.
    pub(crate) fn call_with_offspring(
        self,
        tracee: Tracee,
        call: Call,
        arguments: &[u64],
    ) -> Result<(u64, Option<i32>)> {
        self.enter(tracee, call, arguments)?;
        tracee.go_to_call()?;
        let mut offspring = None;
        loop {
            match tracee.wait()? {
                Stop::Call => break,
                Stop::Offspring(child) => offspring = Some(child),
                other => return Err(unexpected(tracee, other, call.0)),
            }
            tracee.go_to_call()?;
        }
        let answer = tracee.registers()?.rax;
        if answer > -4096i64 as u64 {
            let source = io::Error::from_raw_os_error(-(answer as i64) as i32);
            return Err(LinuxError::Injected { call: call.0, tid: tracee.0, source });
        }
        Ok((answer, offspring))
    }

    /// Brings the thread to the entry stop of the call: the kernel has seen it and has not begun it.
    pub(crate) fn enter(self, tracee: Tracee, call: Call, arguments: &[u64]) -> Result<()> {
        let mut registers = tracee.registers()?;
        let mut six = [0; 6];
        six[..arguments.len()].copy_from_slice(arguments);
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = six;
        registers.rip = self.instruction;
        registers.rax = call.1 as u64;
        // Otherwise the kernel would take the call that was interrupted for one to restart, at this address.
        registers.orig_rax = u64::MAX;
        tracee.set_registers(&registers)?;
        tracee.go_to_call()?;
        match tracee.wait()? {
            Stop::Call => Ok(()),
            other => Err(unexpected(tracee, other, call.0)),
        }
    }

    /// From the exit stop of a call to a stop from which interrupted calls are restarted.
    pub(crate) fn park(self, tracee: Tracee) -> Result<()> {
        tracee.interrupt()?;
        tracee.go_on(0)?;
        match tracee.wait()? {
            Stop::Requested { .. } => Ok(()),
            other => Err(unexpected(tracee, other, "a stop")),
        }
    }

    /// Calls made on behalf of a thread that is stopped in the middle of its own work, which is left as it was.
    pub(crate) fn borrow<T>(self, tracee: Tracee, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let registers: Registers = tracee.registers()?;
        let mask = tracee.signal_mask()?;
        tracee.set_signal_mask(ALL_SIGNALS)?;
        let result = work();
        self.park(tracee)?;
        tracee.set_registers(&registers)?;
        tracee.set_signal_mask(mask)?;
        result
    }
}

fn unexpected(tracee: Tracee, stop: Stop, doing: &'static str) -> LinuxError {
    match stop {
        Stop::Ended => LinuxError::Gone { pid: tracee.0 },
        other => LinuxError::UnexpectedStop { tid: tracee.0, status: format!("{other:?}"), doing },
    }
}
