//! One direction of a connection: from a socket to a socket and to a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice, tee};
use serde::Serialize;

use super::address::{Connection, is_ready};
use super::now_us;

/// How one direction ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Bytes that passed.
    pub passed: u64,
    /// Bytes that were recorded.
    pub recorded: u64,
    /// What ended it, if it was not the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// What ended the recording, if it was not the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// So many bytes may be under way in the proxy.
const PIPE_BYTES: usize = 1 << 20;
/// How often a direction in which nothing passes looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Passes everything, and records it as long as that is possible.
pub(super) fn run(from: &Connection, to: &Connection, files: (File, File), stop: &AtomicBool) -> Outcome {
    let mut outcome = Outcome::default();
    let mut tape = Tape { bytes: files.0, times: BufWriter::new(files.1) };
    if let Err(error) = pass(from, to, &mut tape, stop, &mut outcome) {
        outcome.broken = Some(error.to_string());
        // What the one side sees of a cut, the other side sees too.
        from.shut(Shutdown::Both);
        to.shut(Shutdown::Both);
    } else {
        to.shut(Shutdown::Write);
    }
    let end = serde_json::json!({ "at_us": now_us(), "offset": outcome.passed, "end": outcome.broken });
    let ended = writeln!(tape.times, "{end}").and_then(|()| tape.times.flush());
    if let Err(error) = ended {
        outcome.unrecorded.get_or_insert(error.to_string());
    }
    outcome
}

struct Tape {
    bytes: File,
    times: BufWriter<File>,
}

fn pass(
    from: &Connection,
    to: &Connection,
    tape: &mut Tape,
    stop: &AtomicBool,
    outcome: &mut Outcome,
) -> io::Result<()> {
    let (way, record) = (Pipe::new()?, Pipe::new()?);
    loop {
        while !is_ready(from.as_fd(), PollFlags::IN, LOOK_EVERY)? {
            if stop.load(Ordering::Relaxed) {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "the recorder was stopped"));
            }
        }
        let length = retry(|| splice(from.as_fd(), None, &way.write, None, PIPE_BYTES, SpliceFlags::MOVE))?;
        if length == 0 {
            return Ok(());
        }
        let at_us = now_us();
        let doubled = match outcome.unrecorded {
            None => retry(|| tee(&way.read, &record.write, length, SpliceFlags::empty())),
            Some(_) => Ok(0),
        };
        // First on its way, then onto the disk, so that a slow disk delays as little as may be.
        drain(&way, to, length)?;
        let offset = outcome.passed;
        outcome.passed += length as u64;
        if outcome.unrecorded.is_none()
            && let Err(error) = tape.keep(&record, doubled, length, offset, at_us)
        {
            outcome.unrecorded = Some(error.to_string());
        }
        if outcome.unrecorded.is_none() {
            outcome.recorded = outcome.passed;
        }
    }
}

impl Tape {
    /// Writes what was doubled. What cannot be written is not kept for later: the recording ends there.
    fn keep(
        &mut self,
        record: &Pipe,
        doubled: io::Result<usize>,
        length: usize,
        offset: u64,
        at_us: u64,
    ) -> io::Result<()> {
        // `tee` begins at the front each time, so what it left out cannot be had by calling it again.
        if doubled? < length {
            return Err(io::Error::other(
                "the pipe of the recording has less room than that of the connection",
            ));
        }
        drain(record, &self.bytes, length)?;
        writeln!(self.times, r#"{{"at_us":{at_us},"offset":{offset},"length":{length}}}"#)
    }
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // A smaller pipe is slower, and nothing else.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Ok(Self { read, write })
    }
}

fn drain(from: &Pipe, to: impl AsFd, length: usize) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        match retry(|| splice(&from.read, None, to.as_fd(), None, left, SpliceFlags::MOVE))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => left -= count,
        }
    }
    Ok(())
}

fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<usize> {
    loop {
        match call() {
            Ok(count) => return Ok(count),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
