//! A proxy that stores what passes: both directions of each connection, byte for byte, with times.
//!
//! ```text
//! source ──► listen ══ connection-N.forward.bin, .forward.times ══► to ──► destination
//!        ◄──        ══ connection-N.backward.bin, …              ══ ◄──
//! ```
//!
//! Bytes never come into the program's memory: they are spliced through pipes and doubled there by `tee`. A full disk
//! ends the recording of a connection and not the connection. A file of times has a line for each piece,
//! `{"at_us":…,"offset":…,"length":…}`, and a last one that says how the direction ended.

mod address;
mod pump;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

pub use address::{Address, AddressError, Listener, SocketConnection};
pub use pump::PumpOutcome;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From who connected to who was connected to: from the source to the destination.
    Forward,
    /// Back.
    Backward,
}

/// A connection that has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// Its number, from 1, in the order in which they were made.
    pub connection: u32,
    /// How the way there ended.
    pub forward: PumpOutcome,
    /// How the way back ended.
    pub backward: PumpOutcome,
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The folder cannot be written to.
    #[error("{path}: {error}")]
    Output {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Nobody can connect.
    #[error("{address}: {error}")]
    Listen {
        /// Where.
        address: Address,
        /// What the system says.
        error: io::Error,
    },
}

/// A proxy that listens.
#[derive(Debug)]
pub struct ProxyRecorder {
    listener: Listener,
    to: Address,
    output: PathBuf,
    stop: Arc<AtomicBool>,
}

/// How often a proxy looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl ProxyRecorder {
    /// Listens, and makes the folder for recordings, which must not have any yet.
    ///
    /// # Errors
    /// The address cannot be listened at, or the folder cannot be made or holds a recording.
    pub fn new(listen: &Address, to: Address, output: &Path) -> Result<Self, RecordError> {
        let wrong = |error| RecordError::Output { path: output.to_owned(), error };
        fs::create_dir_all(output).map_err(wrong)?;
        if output.join("connection-1.forward.bin").exists() {
            return Err(wrong(io::Error::new(io::ErrorKind::AlreadyExists, "it holds a recording already")));
        }
        let listener =
            Listener::new(listen).map_err(|error| RecordError::Listen { address: listen.clone(), error })?;
        Ok(Self { listener, to, output: output.to_owned(), stop: Arc::default() })
    }

    /// Where it listens; a port that was left to the system is filled in.
    ///
    /// # Errors
    /// The system does not know.
    pub fn address(&self) -> io::Result<Address> {
        self.listener.address()
    }

    /// Ends the recorder from elsewhere: no more connections are taken, and those that there are are ended.
    pub fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Takes connections until it is told to stop, or none is left of as many as there can be. `tell` hears of each
    /// that has passed.
    ///
    /// # Errors
    /// The folder cannot be written to, or no connection can be taken any more.
    pub fn run(
        self,
        connections_max: Option<u32>,
        tell: impl Fn(&Passed) + Send + Sync + 'static,
    ) -> Result<Vec<Passed>, RecordError> {
        let (tell, passed) = (Arc::new(tell), Arc::new(Mutex::new(Vec::new())));
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) && connections_max.is_none_or(|max| number < max) {
            let Some(from) = self.accept()? else { continue };
            number += 1;
            let Ok(to) = self.to.connect() else {
                // As the source would see it if there were no proxy: nobody is there.
                drop(from);
                number -= 1;
                continue;
            };
            let files = Files::create(&self.output, number)?;
            let (tell, passed, stop) = (tell.clone(), passed.clone(), self.stop.clone());
            threads.push(std::thread::spawn(move || {
                let one = pass(number, from, to, files, &stop);
                tell(&one);
                passed.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }));
        }
        for thread in threads {
            // A thread that panicked has said so, and leaves no connection behind.
            let _ = thread.join();
        }
        let mut passed = std::mem::take(&mut *passed.lock().unwrap_or_else(PoisonError::into_inner));
        passed.sort_by_key(|passed: &Passed| passed.connection);
        self.index(&passed)?;
        Ok(passed)
    }

    fn accept(&self) -> Result<Option<SocketConnection>, RecordError> {
        match self.listener.accept(LOOK_EVERY) {
            Ok(connection) => Ok(connection),
            Err(error) => {
                let address = self.listener.address().unwrap_or_else(|_| self.to.clone());
                Err(RecordError::Listen { address, error })
            }
        }
    }

    fn index(&self, passed: &[Passed]) -> Result<(), RecordError> {
        let path = self.output.join("connections.json");
        let write = || -> io::Result<()> {
            let mut file = BufWriter::new(File::create(&path)?);
            serde_json::to_writer_pretty(&mut file, passed)?;
            file.flush()
        };
        write().map_err(|error| RecordError::Output { path: path.clone(), error })
    }
}

/// Files of one connection: bytes and times of both directions.
struct Files {
    forward: (File, File),
    backward: (File, File),
}

impl Files {
    fn create(folder: &Path, number: u32) -> Result<Self, RecordError> {
        let create = |name: &str| {
            let path = folder.join(format!("connection-{number}.{name}"));
            File::create(&path).map_err(|error| RecordError::Output { path, error })
        };
        Ok(Self {
            forward: (create("forward.bin")?, create("forward.times")?),
            backward: (create("backward.bin")?, create("backward.times")?),
        })
    }
}

/// Passes both directions until both have ended, or until it is told to stop: then neither waits any more, whether for
/// something to pass or for a peer that takes nothing.
fn pass(
    number: u32,
    from: SocketConnection,
    to: SocketConnection,
    files: Files,
    stop: &AtomicBool,
) -> Passed {
    let (forward, backward) = std::thread::scope(|scope| {
        let back = scope.spawn(|| pump::run(&to, &from, files.backward, stop));
        let forward = scope.spawn(|| pump::run(&from, &to, files.forward, stop));
        while !(forward.is_finished() && back.is_finished()) {
            if stop.load(Ordering::Relaxed) {
                from.cut();
                to.cut();
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        (forward.join().unwrap_or_default(), back.join().unwrap_or_default())
    });
    Passed { connection: number, forward, backward }
}

/// Microseconds since 1970, as QEMU's traces have them.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
