//! One traced thread: seize, interrupt, wait, look, let go.

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::raw::{self, Registers};
use crate::error::{LinuxError, Result};

/// A thread that this (tracing) thread has seized.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tracee(pub(crate) i32);

/// What a traced thread stopped for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// By request, or as a new thread, or because the whole process is stopped by a signal.
    Requested {
        /// The process is stopped by a signal (`SIGSTOP` and the like).
        by_signal: bool,
    },
    /// At the entry or the exit of a system call.
    Call,
    /// A thread or process was made; its number is in the event message.
    Offspring(i32),
    /// A signal is about to be delivered.
    Signal(i32),
    /// Another event (`exec`, …).
    Event(i32),
    /// The thread ended.
    Ended,
}

impl Tracee {
    /// Attaches without stopping.
    pub(crate) fn seize(tid: i32) -> Result<Self> {
        let options =
            Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEFORK;
        ptrace::seize(Pid::from_raw(tid), options).map_err(|error| failed(tid, "seize", error))?;
        Ok(Self(tid))
    }

    /// Seizes, asks for a stop and waits for it.
    pub(crate) fn stop(tid: i32) -> Result<(Self, Stop)> {
        let tracee = Self::seize(tid)?;
        tracee.interrupt()?;
        let stop = tracee.wait_requested()?;
        Ok((tracee, stop))
    }

    pub(crate) fn set_options(self, options: Options) -> Result<()> {
        let common =
            Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEFORK;
        ptrace::setoptions(self.pid(), common | options)
            .map_err(|error| failed(self.0, "set tracing options", error))
    }

    pub(crate) fn interrupt(self) -> Result<()> {
        ptrace::interrupt(self.pid()).map_err(|error| failed(self.0, "interrupt", error))
    }

    /// Waits for the stop that was asked for. A signal about to be delivered in between is delivered.
    pub(crate) fn wait_requested(self) -> Result<Stop> {
        loop {
            match self.wait()? {
                stop @ Stop::Requested { .. } => return Ok(stop),
                Stop::Signal(signal) => self.go_on(signal)?,
                Stop::Ended => return Err(LinuxError::Gone { pid: self.0 }),
                Stop::Call | Stop::Offspring(_) | Stop::Event(_) => self.go_on(0)?,
            }
        }
    }

    /// Waits for the next stop, whatever it is.
    pub(crate) fn wait(self) -> Result<Stop> {
        let mut status = 0;
        loop {
            // SAFETY: `status` is a live integer, which is all that waitpid writes to.
            let waited = unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL) };
            match Errno::result(waited) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return Err(LinuxError::Gone { pid: self.0 }),
                Err(error) => return Err(failed(self.0, "wait for", error)),
            }
        }
        Ok(self.understood(status))
    }

    fn understood(self, status: i32) -> Stop {
        if !libc::WIFSTOPPED(status) {
            return Stop::Ended;
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            0 if signal == libc::SIGTRAP | 0x80 => Stop::Call,
            0 => Stop::Signal(signal),
            libc::PTRACE_EVENT_STOP => Stop::Requested { by_signal: signal != libc::SIGTRAP },
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => {
                Stop::Offspring(ptrace::getevent(self.pid()).unwrap_or(0) as i32)
            }
            event => Stop::Event(event),
        }
    }

    /// Lets it run to the entry or exit of the next system call.
    pub(crate) fn go_to_call(self) -> Result<()> {
        ptrace::syscall(self.pid(), None).map_err(|error| failed(self.0, "continue", error))
    }

    /// Lets it run, with a signal to deliver unless 0.
    pub(crate) fn go_on(self, signal: i32) -> Result<()> {
        let signal = Signal::try_from(signal).ok();
        ptrace::cont(self.pid(), signal).map_err(|error| failed(self.0, "continue", error))
    }

    /// Lets go for good; the thread runs on from where its registers say.
    pub(crate) fn detach(self) -> Result<()> {
        ptrace::detach(self.pid(), None).map_err(|error| failed(self.0, "detach from", error))
    }

    pub(crate) fn registers(self) -> Result<Registers> {
        ptrace::getregs(self.pid())
            .map(Registers::from)
            .map_err(|error| failed(self.0, "read the registers of", error))
    }

    pub(crate) fn set_registers(self, registers: &Registers) -> Result<()> {
        ptrace::setregs(self.pid(), (*registers).into())
            .map_err(|error| failed(self.0, "set the registers of", error))
    }

    pub(crate) fn signal_mask(self) -> Result<u64> {
        raw::signal_mask(self.0)
    }

    pub(crate) fn set_signal_mask(self, mask: u64) -> Result<()> {
        raw::set_signal_mask(self.0, mask)
    }

    fn pid(self) -> Pid {
        Pid::from_raw(self.0)
    }
}

fn failed(tid: i32, what: &str, error: Errno) -> LinuxError {
    match error {
        Errno::ESRCH => LinuxError::Gone { pid: tid },
        other => LinuxError::System { doing: format!("{what} thread {tid}"), source: other.into() },
    }
}
