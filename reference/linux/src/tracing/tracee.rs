//! One traced thread: seize, interrupt, wait, look, let go.

use std::cell::Cell;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::raw::{self, Registers};
use crate::error::{LinuxError, Result};

thread_local! {
    /// This thread has seized others: all that it ever waits for are among them, or were made by them.
    static TRACES: Cell<bool> = const { Cell::new(false) };
}

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

const OFFSPRING: Options = Options::PTRACE_O_TRACECLONE.union(Options::PTRACE_O_TRACEFORK);

impl Tracee {
    /// Attaches without stopping. What the thread makes is not attached: nobody would let it go again.
    pub(crate) fn seize(tid: i32) -> Result<Self> {
        Self::seize_with(tid, Options::PTRACE_O_TRACEEXEC)
    }

    fn seize_with(tid: i32, options: Options) -> Result<Self> {
        ptrace::seize(Pid::from_raw(tid), options | Options::PTRACE_O_TRACESYSGOOD)
            .map_err(|error| failed(tid, "seize", error))?;
        TRACES.set(true);
        Ok(Self(tid))
    }

    /// Seizes, asks for a stop and waits for it.
    pub(crate) fn stop(tid: i32) -> Result<(Self, Stop)> {
        Self::seize(tid)?.stopped()
    }

    /// The same; threads and processes that it makes are attached from birth.
    pub(crate) fn stop_with_offspring(tid: i32) -> Result<(Self, Stop)> {
        Self::seize_with(tid, OFFSPRING)?.stopped()
    }

    fn stopped(self) -> Result<(Self, Stop)> {
        self.interrupt()?;
        let stop = self.wait_requested()?;
        Ok((self, stop))
    }

    pub(crate) fn set_options(self, options: Options) -> Result<()> {
        ptrace::setoptions(self.pid(), OFFSPRING | Options::PTRACE_O_TRACESYSGOOD | options)
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
        // A thread that does not trace, but has children of its own, would wait for those.
        let mut which = if TRACES.get() { Which::Any } else { Which::One(self) };
        loop {
            let seen = match peek(which) {
                Err(LinuxError::Gone { .. }) if which == Which::Any => None,
                seen => Some(seen?),
            };
            match seen {
                Some(seen) if seen.tracee == self => {
                    if let Some(stop) = take(seen)? {
                        return Ok(stop);
                    }
                }
                // The end of the thread that leads is reported after those of the others, and only once those are taken.
                Some(seen) if !seen.stopped && !seen.tracee.is_own_child() => drop(take(seen)?),
                _ => which = Which::One(self),
            }
        }
    }

    /// Waits until anything happens to any thread that this thread traces.
    pub(crate) fn wait_for_any() -> Result<(Self, Stop)> {
        loop {
            let seen = peek(Which::Any)?;
            if let Some(stop) = take(seen)? {
                return Ok((seen.tracee, stop));
            }
        }
    }

    fn understood(self, status: i32) -> Stop {
        let signal = status & 0xff;
        match status >> 8 {
            0 if signal == libc::SIGTRAP | 0x80 => Stop::Call,
            0 => Stop::Signal(signal),
            libc::PTRACE_EVENT_STOP => Stop::Requested { by_signal: signal != libc::SIGTRAP },
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => {
                Stop::Offspring(ptrace::getevent(self.pid()).unwrap_or(0) as i32)
            }
            event => Stop::Event(event),
        }
    }

    /// The process of this thread, which leads it, was started by this very program.
    fn is_own_child(self) -> bool {
        self.field("Tgid:") == Some(self.0) && self.field("PPid:") == Some(std::process::id() as i32)
    }

    fn field(self, name: &str) -> Option<i32> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
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

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    One(Tracee),
    /// Of those that this thread traces.
    Any,
}

/// What happened to a thread.
#[derive(Clone, Copy, Debug)]
struct Seen {
    tracee: Tracee,
    /// Otherwise it ended.
    stopped: bool,
    /// Of a stop: the signal, and the event in the second byte.
    status: i32,
}

/// Waits until something has happened, and leaves it there.
fn peek(which: Which) -> Result<Seen> {
    let options = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT;
    loop {
        let seen = match which {
            Which::One(tracee) => look(libc::P_PID, tracee.0, options)?,
            Which::Any => look(libc::P_ALL, 0, options | libc::__WNOTHREAD)?,
        };
        if let Some(seen) = seen {
            return Ok(seen);
        }
    }
}

/// Takes what was seen, unless it has changed since. How a child of this very program ended is left for whoever started it
/// here: one who traces and is the parent as well would take that away.
fn take(seen: Seen) -> Result<Option<Stop>> {
    if seen.stopped {
        let taken = look(libc::P_PID, seen.tracee.0, libc::WSTOPPED | libc::WNOHANG)?;
        return Ok(taken.map(|taken| taken.tracee.understood(taken.status)));
    }
    if !seen.tracee.is_own_child() {
        match look(libc::P_PID, seen.tracee.0, libc::WEXITED | libc::WNOHANG) {
            Ok(_) | Err(LinuxError::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(Stop::Ended))
}

fn look(which: libc::idtype_t, tid: i32, options: i32) -> Result<Option<Seen>> {
    // SAFETY: a siginfo_t is plain data, for which zeroes are a value: nothing happened.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: `info` is live, and all that waitid writes to.
        let waited = unsafe { libc::waitid(which, tid as libc::id_t, &raw mut info, options | libc::__WALL) };
        match Errno::result(waited) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Err(LinuxError::Gone { pid: tid }),
            Err(error) => return Err(failed(tid, "wait for", error)),
        }
    }
    // SAFETY: waitid fills in the fields of SIGCHLD, or leaves all of it zero.
    let (tid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let stopped = matches!(info.si_code, libc::CLD_TRAPPED | libc::CLD_STOPPED);
    Ok((tid != 0).then_some(Seen { tracee: Tracee(tid), stopped, status }))
}

fn failed(tid: i32, what: &str, error: Errno) -> LinuxError {
    match error {
        Errno::ESRCH => LinuxError::Gone { pid: tid },
        other => LinuxError::System { doing: format!("{what} thread {tid}"), source: other.into() },
    }
}
