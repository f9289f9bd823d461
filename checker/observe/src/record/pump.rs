//! One direction of a connection: from a socket to a socket, and by a thread of its own to a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice, tee};
use serde::Serialize;
use serde_json::json;

use super::address::SocketConnection;
use super::now_us;

/// How one direction ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PumpOutcome {
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

/// Passes everything, and records it as long as that is possible. Who stops it sets `stop` and shuts both connections.
pub(super) fn run(
    from: &SocketConnection,
    to: &SocketConnection,
    files: (File, File),
    stop: &AtomicBool,
) -> PumpOutcome {
    std::thread::scope(|scope| {
        let (pieces, kept) = mpsc::channel();
        let mut way = Way { pieces, passed: 0 };
        let passing = Pipe::new().and_then(|passing| Ok((passing, Pipe::new()?)));
        let (recording, ended) = match passing {
            Ok((passing, Pipe { read, write })) => {
                let recording = scope.spawn(move || Tape::new(files).keep_all(&read, &kept));
                (Some(recording), way.pass(from, to, &passing, write))
            }
            Err(error) => (None, Err(error)),
        };
        let ended = match stop.load(Ordering::Relaxed) {
            true => Err(io::Error::new(io::ErrorKind::Interrupted, "the recorder was stopped")),
            false => ended,
        };
        match &ended {
            Ok(()) => to.shut(Shutdown::Write),
            // What the one side sees of a cut, the other side sees too.
            Err(_) => {
                from.shut(Shutdown::Both);
                to.shut(Shutdown::Both);
            }
        }
        let broken = ended.err().map(|error| error.to_string());
        let end = json!({ "at_us": now_us(), "offset": way.passed, "end": broken });
        let Way { pieces, passed } = way;
        // Where this fails, the recording has ended before.
        let _ = pieces.send(Kept::End(end.to_string()));
        drop(pieces);
        let (recorded, unrecorded) = match recording.map(|recording| recording.join()) {
            Some(Ok(kept)) => kept,
            Some(Err(_)) => (0, Some("the thread that records has ended".to_owned())),
            None => (0, Some("there was no connection to record".to_owned())),
        };
        PumpOutcome { passed, recorded, broken, unrecorded }
    })
}

/// What goes onto the disk, besides the bytes in the pipe.
enum Kept {
    /// So many bytes that passed at this time, from this offset on.
    Piece { at_us: u64, offset: u64, length: usize },
    /// The last line of the times.
    End(String),
}

/// The connection's side: nothing waits for the disk here as long as the pipe of the recording has room.
struct Way {
    pieces: mpsc::Sender<Kept>,
    passed: u64,
}

impl Way {
    fn pass(
        &mut self,
        from: &SocketConnection,
        to: &SocketConnection,
        way: &Pipe,
        record: OwnedFd,
    ) -> io::Result<()> {
        // Without it, the recording has ended, and the connection goes on.
        let mut record = Some(record);
        loop {
            let mut left =
                retry(|| splice(from.as_fd(), None, &way.write, None, PIPE_BYTES, SpliceFlags::MOVE))?;
            if left == 0 {
                return Ok(());
            }
            let at_us = now_us();
            while left > 0 {
                // `tee` begins at the front each time, so what is doubled is sent on before more is.
                let doubled = record.as_ref().map(|record| {
                    let length = retry(|| tee(&way.read, record, left, SpliceFlags::empty()))?;
                    let piece = Kept::Piece { at_us, offset: self.passed, length };
                    self.pieces.send(piece).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
                    io::Result::Ok(length)
                });
                let length = match doubled {
                    Some(Ok(length)) => length,
                    // The one who records has said why, and closed its end.
                    Some(Err(_)) => {
                        record = None;
                        continue;
                    }
                    None => left,
                };
                drain(&way.read, to, length)?;
                self.passed += length as u64;
                left -= length;
            }
        }
    }
}

/// The disk's side.
struct Tape {
    bytes: File,
    times: BufWriter<File>,
    recorded: u64,
}

impl Tape {
    fn new((bytes, times): (File, File)) -> Self {
        Self { bytes, times: BufWriter::new(times), recorded: 0 }
    }

    /// How much was recorded, and what ended that before the end. What cannot be written is not kept for later.
    fn keep_all(mut self, record: &OwnedFd, pieces: &mpsc::Receiver<Kept>) -> (u64, Option<String>) {
        let result = pieces.iter().try_for_each(|piece| self.keep(record, piece));
        let result = result.and_then(|()| self.times.flush());
        (self.recorded, result.err().map(|error| error.to_string()))
    }

    fn keep(&mut self, record: &OwnedFd, piece: Kept) -> io::Result<()> {
        match piece {
            Kept::Piece { at_us, offset, length } => {
                drain(record, &self.bytes, length)?;
                self.recorded += length as u64;
                writeln!(self.times, r#"{{"at_us":{at_us},"offset":{offset},"length":{length}}}"#)
            }
            Kept::End(line) => writeln!(self.times, "{line}"),
        }
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

fn drain(from: &OwnedFd, to: impl AsFd, length: usize) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        match retry(|| splice(from, None, to.as_fd(), None, left, SpliceFlags::MOVE))? {
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
