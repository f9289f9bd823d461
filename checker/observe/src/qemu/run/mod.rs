//! A run of QEMU: all that was recorded of one migration, in one order.

mod answers;
mod destination;
mod source;
mod survey;
mod transmitted;

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::account::{CostLimits, Dumps, Knowledge};
use crate::fact::{FactOrigin, Observations, ObserveError, ObservedFact};
use crate::layout::BlockLayout;
use crate::merge::{Merge, Watched};
use crate::observation::{ObserveTask, tell};
use crate::report::Report;

/// What was recorded of one migration. Everything may be missing but one of the stream and the traces.
#[derive(Clone, Debug, Default)]
pub struct QemuInputs {
    /// The migration stream.
    pub stream: Option<PathBuf>,
    /// Further connections of the same migration: multifd, or urgent pages of post-copy.
    pub channels: Vec<PathBuf>,
    /// The return path.
    pub return_path: Option<PathBuf>,
    /// Stream and return path of each new connection after a cut.
    pub recoveries: Vec<Recovery>,
    /// The source's trace.
    pub source_trace: Option<PathBuf>,
    /// The destination's trace.
    pub destination_trace: Option<PathBuf>,
    /// Events of both monitors, or of the source's.
    pub events: Option<PathBuf>,
    /// Events of the destination's monitor.
    pub destination_events: Option<PathBuf>,
}

impl QemuInputs {
    /// The connections in a folder that `checker record` has filled, told apart by how they begin.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of_recording(folder: &Path) -> Result<Self, ObserveError> {
        let mut inputs = Self::default();
        for number in 1.. {
            let forward = folder.join(format!("connection-{number}.forward.bin"));
            if !forward.exists() {
                break;
            }
            let backward = Some(folder.join(format!("connection-{number}.backward.bin")));
            let mut begin = Vec::new();
            let read = open(&forward)?.take(4).read_to_end(&mut begin);
            read.map_err(|error| wrong(&forward, error))?;
            match &begin[..] {
                [] => {}
                b"QEVM" if inputs.stream.is_none() => {
                    (inputs.stream, inputs.return_path) = (Some(forward), backward);
                }
                // Commands without a header: the connection after a cut asks first what has arrived.
                [8, 0, 10, _] => inputs.recoveries.push(Recovery { stream: forward, return_path: backward }),
                _ => inputs.channels.push(forward),
            }
        }
        Ok(inputs)
    }
}

/// What was recorded of a new connection after a cut.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// What the source sent.
    pub stream: PathBuf,
    /// What the destination said.
    pub return_path: Option<PathBuf>,
}

/// What is known of a run before it is told.
#[derive(Clone, Debug)]
pub struct QemuRun {
    inputs: QemuInputs,
    events: super::qmp::Events,
    /// The guest's memory.
    pub layout: BlockLayout,
}

impl QemuRun {
    /// Looks through the inputs for what must be known beforehand.
    ///
    /// # Errors
    /// There is nothing to look through, or an input is not what it should be.
    pub fn survey(inputs: QemuInputs) -> Result<Self, ObserveError> {
        survey::survey(inputs)
    }

    /// What was recorded.
    pub fn inputs(&self) -> &QemuInputs {
        &self.inputs
    }

    /// Events of the monitors.
    pub fn events(&self) -> &super::qmp::Events {
        &self.events
    }

    /// Of which hosts something was recorded.
    pub fn watched(&self) -> Watched {
        let QemuInputs { stream, source_trace, destination_trace, .. } = &self.inputs;
        let source = stream.is_some() || source_trace.is_some();
        let destination = destination_trace.is_some();
        Watched { source, records: stream.is_some(), destination, answers: destination }
    }

    /// What both hosts did, in one order.
    ///
    /// # Errors
    /// An input cannot be opened.
    pub fn observations(&self) -> Result<Merge<'_>, ObserveError> {
        let watched = self.watched();
        let source: Box<dyn Observations + '_> = match watched.source {
            true => Box::new(source::Source::new(self)?),
            false => Box::new(Nothing),
        };
        let destination: Box<dyn Observations + '_> = match &self.inputs.destination_trace {
            Some(path) => Box::new(destination::Destination::new(path, &self.inputs, &self.layout)?),
            None => Box::new(destination::of_events(&self.events.destination)),
        };
        Ok(Merge::new(source, destination, &self.layout, watched))
    }
}

impl QemuRun {
    /// What can be told from these inputs, and in words what cannot.
    pub fn knowledge(&self) -> (Knowledge, Vec<String>) {
        let QemuInputs { stream, source_trace, channels, .. } = &self.inputs;
        let watched = self.watched();
        let trace = source_trace.is_some();
        let known = Knowledge {
            watched,
            requests: trace && stream.is_some(),
            passes: trace,
            all_pages: stream.is_some(),
            arrivals: watched.destination && channels.is_empty(),
            placements: watched.destination && channels.is_empty(),
            freezes: false,
            runs: [
                trace || !self.events.source.is_empty(),
                watched.destination || !self.events.destination.is_empty(),
            ],
        };
        let mut unseen = vec![
            "what the guest reads and writes".to_owned(),
            "whether the destination says that it is ready (QEMU hands over in one message)".to_owned(),
        ];
        let mut lacks = |lacks: bool, what: &str| {
            if lacks {
                unseen.push(what.to_owned());
            }
        };
        lacks(stream.is_none(), "zero pages, contents, and what was discarded: no stream");
        lacks(!trace, "passes, requests at the source, and when pages were sent: no source trace");
        lacks(!watched.destination, "faults, arrivals and placements: no destination trace");
        lacks(!known.runs[0], "when the process was suspended: no source trace, no events");
        lacks(!known.runs[1], "when the process was resumed: no destination trace, no events");
        lacks(
            self.inputs.recoveries.iter().any(|recovery| recovery.return_path.is_none()),
            "what the destination had after a cut: no return path of the new connection",
        );
        lacks(!channels.is_empty(), "when pages of further channels arrive: QEMU does not trace it");
        (known, unseen)
    }

    /// Tells this run, see [`tell`].
    ///
    /// # Errors
    /// An input is not what it should be, inputs contradict each other, or the log cannot be written.
    pub fn tell(
        &self,
        limits: CostLimits,
        dumps: Dumps,
        log: impl Write + Seek,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Report, ObserveError> {
        let (known, unseen) = self.knowledge();
        let task = ObserveTask {
            limits,
            dumps,
            unseen,
            algorithms: ["qemu-pre-copy", "qemu-post-copy"],
            without_go: false,
        };
        tell(self.observations()?, &self.layout, known, task, log, progress)
    }
}

struct Nothing;

impl Observations for Nothing {
    fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError> {
        Ok(None)
    }
}

/// The trace says that the source goes on over a new connection, of which there is no stream.
fn lacks_recovery(at: FactOrigin) -> ObserveError {
    let what = "the migration goes on over a new connection after a cut, and its stream was not given";
    ObserveError::Lacking { at: at.to_string(), what: what.to_owned() }
}

/// Opens an input.
fn open(path: &Path) -> Result<File, ObserveError> {
    File::open(path).map_err(|error| wrong(path, error))
}

fn open_lines(path: &Path) -> Result<BufReader<File>, ObserveError> {
    Ok(BufReader::with_capacity(256 * 1024, open(path)?))
}

/// What is wrong with an input.
fn wrong(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> ObserveError {
    ObserveError::Input { path: path.to_owned(), error: Box::new(error) }
}
