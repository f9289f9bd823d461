//! Stopping all of a process, and what may follow.

use std::ops::Deref;
use std::time::{Duration, Instant};

use nix::sys::ptrace::Options;

use super::{TrackedProcess, gather, interrupted};
use crate::error::{Doing, LinuxError, Result};
use crate::inventory::process;
use crate::obstacle::{self, Obstacle, StandardStreams};
use crate::state::FrozenProcess;
use crate::tracing::tracee::{Stop, Tracee};

/// A process whose threads are all stopped. Dropped, it runs on.
#[derive(Debug)]
pub struct FrozenSource {
    source: Option<TrackedProcess>,
    threads: Vec<Tracee>,
    state: FrozenProcess,
    stopped_at: Instant,
    froze_for: Duration,
}

/// A process that was handed over: it never runs again.
#[derive(Debug)]
pub struct DepartedSource {
    source: TrackedProcess,
    threads: Vec<Tracee>,
}

impl TrackedProcess {
    /// Stops all threads and collects what travels with them. On an error the process runs on.
    ///
    /// # Errors
    ///
    /// The source comes back along with the reason: [`Gone`](LinuxError::Gone), a process traced by somebody else, what the kernel says.
    pub fn freeze(self) -> std::result::Result<FrozenSource, (Box<TrackedProcess>, LinuxError)> {
        let numbers = process::thread_numbers(self.pid).unwrap_or_default();
        self.look_at_waits(&numbers);
        let stopped_at = Instant::now();
        let frozen = self.worker.run(|| stop_all(self.pid)).and_then(|threads| {
            let state = gather::gather(&self, &threads);
            if state.is_err() {
                let _ = self.worker.run(|| let_go(&self, &threads));
            }
            Ok((state?, threads))
        });
        match frozen {
            Ok((state, threads)) => {
                let froze_for = stopped_at.elapsed();
                Ok(FrozenSource { source: Some(self), threads, state, stopped_at, froze_for })
            }
            Err(error) => Err((Box::new(self), error)),
        }
    }
}

impl FrozenSource {
    /// What travels.
    pub fn state(&self) -> &FrozenProcess {
        &self.state
    }

    /// Every reason that has come up since [`TrackedProcess::obstacles`]: children, sockets, … With any, thaw.
    pub fn new_obstacles(&self, streams: StandardStreams) -> Vec<Obstacle> {
        let mut inventory = self.state.inventory.clone();
        // Its tracer is this program now.
        inventory.process.tracer = 0;
        obstacle::in_inventory(&inventory, streams)
    }

    /// When its threads began to be stopped.
    pub fn stopped_at(&self) -> Instant {
        self.stopped_at
    }

    /// How long stopping and collecting took.
    pub fn froze_for(&self) -> Duration {
        self.froze_for
    }

    /// The process runs on here as if nothing had been.
    ///
    /// # Errors
    ///
    /// [`Gone`](LinuxError::Gone) if it was killed meanwhile.
    pub fn thaw(mut self) -> Result<TrackedProcess> {
        let source = self.source.take().ok_or(LinuxError::TracerEnded)?;
        let threads = std::mem::take(&mut self.threads);
        source.worker.run(|| let_go(&source, &threads))?;
        Ok(source)
    }

    /// From here on the process can only be read and killed. Should this program end, the kernel kills the process.
    ///
    /// # Errors
    ///
    /// [`Gone`](LinuxError::Gone) if it was killed meanwhile; a process that could not be tied to this program stays frozen and is lost
    /// for both sides, so on any other error the caller has to kill it.
    pub fn hand_over(mut self) -> Result<DepartedSource> {
        let source = self.source.take().ok_or(LinuxError::TracerEnded)?;
        let threads = std::mem::take(&mut self.threads);
        source
            .worker
            .run(|| threads.iter().try_for_each(|thread| thread.set_options(Options::PTRACE_O_EXITKILL)))?;
        Ok(DepartedSource { source, threads })
    }
}

impl Deref for FrozenSource {
    type Target = TrackedProcess;

    fn deref(&self) -> &TrackedProcess {
        // `thaw` and `hand_over`, which take it out, consume the whole.
        match &self.source {
            Some(source) => source,
            None => unreachable!("a frozen source has its source until it is consumed"),
        }
    }
}

impl Drop for FrozenSource {
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            let _ = source.worker.run(|| let_go(source, &self.threads));
        }
    }
}

impl DepartedSource {
    /// Ends what is left of the process here, and waits until its memory is gone.
    ///
    /// # Errors
    ///
    /// What the kernel says other than that it has ended already.
    pub fn kill(self) -> Result<()> {
        match rustix::process::pidfd_send_signal(&self.source.handle, rustix::process::Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error).doing(|| format!("kill process {}", self.source.pid)),
        }
        self.source.worker.run(|| {
            // The thread that leads is reported last.
            for thread in self.threads.iter().rev() {
                while !matches!(thread.wait(), Ok(Stop::Ended) | Err(_)) {}
            }
            Ok(())
        })
    }
}

impl Deref for DepartedSource {
    type Target = TrackedProcess;

    fn deref(&self) -> &TrackedProcess {
        &self.source
    }
}

/// Stops every thread; again while new ones show up. On an error all are let go.
fn stop_all(pid: i32) -> Result<Vec<Tracee>> {
    let mut stopped = Vec::new();
    let result = stop_each(pid, &mut stopped);
    if result.is_err() {
        stopped.iter().for_each(|thread| drop(thread.detach()));
    }
    stopped.sort_by_key(|thread| (thread.0 != pid, thread.0));
    result.map(|()| stopped)
}

/// Fills `stopped`, which on an error has those that were seized and live.
fn stop_each(pid: i32, stopped: &mut Vec<Tracee>) -> Result<()> {
    loop {
        let mut asked = Vec::new();
        let seized = seize_others(pid, stopped, &mut asked);
        let anything = !asked.is_empty();
        while !asked.is_empty() {
            let (thread, stop) = Tracee::wait_for_any()?;
            // One that is killed in between is reported as ended next.
            let _ = match stop {
                Stop::Requested { .. } => {
                    asked.retain(|other| *other != thread);
                    stopped.push(thread);
                    Ok(())
                }
                Stop::Ended => {
                    asked.retain(|other| *other != thread);
                    stopped.retain(|other| *other != thread);
                    Ok(())
                }
                // The thread that runs another program takes the place of all.
                Stop::Event(libc::PTRACE_EVENT_EXEC) => {
                    stopped.clear();
                    asked = vec![thread];
                    thread.interrupt().and_then(|()| thread.go_on(0))
                }
                Stop::Signal(signal) => thread.go_on(signal),
                Stop::Call | Stop::Offspring(_) | Stop::Event(_) => thread.go_on(0),
            };
        }
        seized?;
        if !anything {
            break;
        }
    }
    if stopped.is_empty() { Err(LinuxError::Gone { pid }) } else { Ok(()) }
}

/// Seizes the threads that are not `stopped`, and asks them to stop.
fn seize_others(pid: i32, stopped: &[Tracee], asked: &mut Vec<Tracee>) -> Result<()> {
    for tid in process::thread_numbers(pid)? {
        if stopped.contains(&Tracee(tid)) {
            continue;
        }
        match Tracee::seize(tid) {
            Ok(tracee) => {
                asked.push(tracee);
                // Where this fails it has ended, which is reported as well.
                let _ = tracee.interrupt();
            }
            Err(LinuxError::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Lets every thread go on from where it was.
fn let_go(source: &TrackedProcess, threads: &[Tracee]) -> Result<()> {
    let mut result = Ok(());
    // The end of the thread that leads is reported after that of the others.
    for thread in threads.iter().rev() {
        let one = (|| {
            let registers = thread.registers()?;
            let adjusted = interrupted::for_going_on(registers, &source.circumstances(thread.0));
            if adjusted != registers {
                thread.set_registers(&adjusted)?;
            }
            thread.detach()
        })();
        if let Err(error) = one {
            if let LinuxError::Gone { .. } = error {
                // It was killed. As long as nobody takes note, its process cannot end.
                while !matches!(thread.wait(), Ok(Stop::Ended) | Err(_)) {}
            }
            // A thread that was killed has nowhere to go; the rest has.
            if thread.0 == source.pid {
                result = Err(error);
            }
        }
    }
    result
}
