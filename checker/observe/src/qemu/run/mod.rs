//! A run of QEMU: all that was recorded of one migration, in one order.

mod answers;
mod destination;
mod source;
mod survey;
mod transmitted;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::fact::{Observations, ObserveError, Observed};
use crate::layout::Layout;
use crate::merge::{Merge, Watched};

/// What was recorded of one migration. Everything may be missing but one of the stream and the traces.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
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
pub struct Run {
    inputs: Inputs,
    events: super::qmp::Events,
    /// The guest's memory.
    pub layout: Layout,
    /// Does post-copy announce itself in the stream, or the traces show it?
    pub postcopy: bool,
}

impl Run {
    /// Looks through the inputs for what must be known beforehand.
    ///
    /// # Errors
    /// There is nothing to look through, or an input is not what it should be.
    pub fn survey(inputs: Inputs) -> Result<Self, ObserveError> {
        survey::survey(inputs)
    }

    /// What was recorded.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Events of the monitors.
    pub fn events(&self) -> &super::qmp::Events {
        &self.events
    }

    /// Of which hosts something was recorded.
    pub fn watched(&self) -> Watched {
        let Inputs { stream, source_trace, destination_trace, .. } = &self.inputs;
        let source = stream.is_some() || source_trace.is_some();
        let destination = destination_trace.is_some();
        Watched { source, destination, answers: destination }
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
            Some(path) => Box::new(destination::Destination::new(path, &self.layout)?),
            None => Box::new(destination::of_events(&self.events.destination)),
        };
        Ok(Merge::new(source, destination, &self.layout, watched))
    }
}

struct Nothing;

impl Observations for Nothing {
    fn next(&mut self) -> Result<Option<Observed>, ObserveError> {
        Ok(None)
    }
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
