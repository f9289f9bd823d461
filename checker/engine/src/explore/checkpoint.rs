//! Saving an exploration at the end of a level, and going on with it.
//!
//! A directory holds one exploration:
//!
//! ```text
//! manifest            what is explored, the counts, how the records came about, the list of level files
//! levels-000000       the states of levels 0 to n, packed
//! levels-000012       the states of the levels after those
//! ```
//!
//! States are only ever added, so each is written once. Files appear under their name when they are
//! complete and on the disk, the manifest last of all: whenever the process dies, the directory holds the
//! checkpoint before or the one after. Each file is versioned and has a checksum.

mod levels;
mod manifest;
mod whole_file;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use population::system::Judged;

use super::layout::{Layout, Word};
use super::store::Store;
use super::successors::StepIndex;
use super::tally::Tally;
use crate::tabled::{ControlId, PageId, Tabled};
use levels::LevelFile;
use manifest::Manifest;

/// Where and how often an exploration is saved.
#[derive(Clone, Debug)]
pub struct Checkpoint<'a> {
    /// The directory; it is created if necessary, and must hold nothing else.
    pub directory: &'a Path,
    /// Whatever distinguishes the explored system from others: its name, its settings, its version. The
    /// number of pages and whether symmetry is used need not be part of it.
    pub system: &'a str,
    /// The least time between two checkpoints. The last one, when the exploration ends for whatever
    /// reason, is always written.
    pub every: Duration,
    /// Go on with the exploration that the directory holds, if it holds one. Otherwise it must not.
    pub resume: bool,
}

/// A checkpoint could not be written, or not be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system says no: disk full, no permission, no such file.
    #[error("cannot {action} '{}'", path.display())]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is an exploration already, which would be lost.
    #[error("'{}' is an exploration, which is not begun anew: resume it, or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error("checkpoint file '{}' is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The checkpoint was written by a version that has another format.
    #[error("checkpoint file '{}' has format version {found}, this program reads version {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The checkpoint belongs to another exploration.
    #[error("checkpoint file '{}' is of another exploration: it has {found}, this one {expected}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What the checkpoint was written for.
        found: String,
        /// What is explored now.
        expected: String,
    },
}

/// The version of the format of all files.
const VERSION: u32 = 1;

/// Is it time for a checkpoint?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// If the last one is long enough ago.
    Due,
    /// In any case.
    Now,
}

/// Writes the checkpoints of one exploration.
pub(super) struct Checkpointer {
    directory: PathBuf,
    identity: Identity,
    every: Duration,
    last: Instant,
    /// The time taken before this process, in seconds.
    seconds_before: f64,
    started: Instant,
    saved: Vec<LevelFile>,
}

/// What must agree for an exploration to be resumed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Identity {
    system: String,
    pages: usize,
    symmetry: bool,
}

/// An exploration read from a checkpoint.
pub(super) struct Resumed<'s, S: Judged> {
    pub(super) tabled: Tabled<'s, S>,
    pub(super) total: Tally<S::Property>,
    pub(super) expanded: usize,
    pub(super) seconds: f64,
}

impl Checkpointer {
    /// Is there an exploration to go on with?
    pub(super) fn exists(checkpoint: &Checkpoint<'_>) -> bool {
        manifest_in(checkpoint.directory).exists()
    }

    /// For an exploration from the start; there must not be a checkpoint in the directory.
    pub(super) fn create(
        checkpoint: &Checkpoint<'_>,
        pages: usize,
        symmetry: bool,
    ) -> Result<Self, CheckpointError> {
        let checkpointer = Self::new(checkpoint, pages, symmetry);
        let directory = &checkpointer.directory;
        std::fs::create_dir_all(directory).map_err(io_error("create", directory))?;
        let path = checkpointer.manifest_path();
        match path.exists() {
            true => Err(CheckpointError::Exists { path }),
            false => Ok(checkpointer),
        }
    }

    /// For the exploration that the directory holds.
    pub(super) fn resume<'s, S: Judged>(
        checkpoint: &Checkpoint<'_>,
        system: &'s S,
        pages: usize,
        symmetry: bool,
    ) -> Result<(Self, Resumed<'s, S>), CheckpointError> {
        let mut checkpointer = Self::new(checkpoint, pages, symmetry);
        let path = checkpointer.manifest_path();
        let manifest = Manifest::read(&path)?;
        if manifest.identity != checkpointer.identity {
            return Err(CheckpointError::Foreign {
                path,
                found: manifest.identity.to_string(),
                expected: checkpointer.identity.to_string(),
            });
        }
        let tabled = Tabled::restore(system, &manifest.controls, &manifest.pages)
            .map_err(|error| CheckpointError::Damaged { path: path.clone(), why: error.to_string() })?;
        check(&manifest, system, &tabled).map_err(|why| CheckpointError::Damaged { path, why })?;
        checkpointer.saved = manifest.levels;
        checkpointer.seconds_before = manifest.seconds;
        let expanded = checkpointer.saved_levels().saturating_sub(1);
        let resumed = Resumed { tabled, total: manifest.total, expanded, seconds: manifest.seconds };
        Ok((checkpointer, resumed))
    }

    fn new(checkpoint: &Checkpoint<'_>, pages: usize, symmetry: bool) -> Self {
        Checkpointer {
            directory: checkpoint.directory.to_owned(),
            identity: Identity { system: checkpoint.system.to_owned(), pages, symmetry },
            every: checkpoint.every,
            last: Instant::now(),
            seconds_before: 0.0,
            started: Instant::now(),
            saved: Vec::new(),
        }
    }

    /// Reads the saved levels.
    pub(super) fn load<S: Judged, W: Word>(
        &self,
        layout: Layout,
        tabled: &Tabled<'_, S>,
    ) -> Result<Store<W>, CheckpointError> {
        let exists = |control: ControlId, pages: &[PageId]| {
            control.index() < tabled.controls().len()
                && pages.iter().all(|page| page.index() < tabled.pages().len())
        };
        let mut store = Store::new(layout);
        for file in &self.saved {
            file.read(&self.directory, &mut store, exists)?;
        }
        Ok(store)
    }

    /// Writes the levels that have been closed since the last checkpoint, and the manifest.
    pub(super) fn save<S: Judged, W: Word>(
        &mut self,
        when: When,
        tabled: &Tabled<'_, S>,
        store: &Store<W>,
        total: &Tally<S::Property>,
    ) -> Result<(), CheckpointError> {
        if when == When::Due && self.last.elapsed() < self.every {
            return Ok(());
        }
        let from = self.saved_levels();
        if from < store.levels() {
            let file = LevelFile::write(&self.directory, store, from)?;
            self.saved.push(file);
        }
        let (controls, pages) = tabled.origins();
        let manifest = Manifest {
            identity: self.identity.clone(),
            seconds: self.seconds_before + self.started.elapsed().as_secs_f64(),
            total: total.clone(),
            controls: controls.to_vec(),
            pages: pages.to_vec(),
            levels: self.saved.clone(),
        };
        manifest.write(&self.manifest_path())?;
        self.last = Instant::now();
        Ok(())
    }

    /// Is there anything to load?
    pub(super) fn has_levels(&self) -> bool {
        !self.saved.is_empty()
    }

    fn saved_levels(&self) -> usize {
        self.saved.iter().map(LevelFile::levels).sum()
    }

    fn manifest_path(&self) -> PathBuf {
        manifest_in(&self.directory)
    }
}

fn manifest_in(directory: &Path) -> PathBuf {
    directory.join("manifest")
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let symmetry = if self.symmetry { "with" } else { "without" };
        write!(f, "'{}', {} pages, {symmetry} symmetry", self.system, self.pages)
    }
}

/// Is everything that the manifest refers to there? The checksum excludes accidents, but a program of
/// another build may have other steps.
fn check<S: Judged>(
    manifest: &Manifest<S::Property>,
    system: &S,
    tabled: &Tabled<'_, S>,
) -> Result<(), String> {
    let steps = (system.control_steps().len(), system.page_steps().len());
    if (manifest.total.control_steps.len(), manifest.total.page_steps.len()) != steps {
        return Err("it counts other steps than the system has".into());
    }
    if manifest.levels.is_empty() {
        return Err("it has no levels".into());
    }
    for finding in &manifest.total.found {
        let step_exists = match finding.step {
            None => true,
            Some(StepIndex::Control { step }) => usize::from(step) < steps.0,
            Some(StepIndex::Page { index, step }) => {
                usize::from(index) < finding.pages.len() && usize::from(step) < steps.1
            }
        };
        let records_exist = finding.control.index() < tabled.controls().len()
            && finding.pages.len() == manifest.identity.pages
            && finding.pages.iter().all(|page| page.index() < tabled.pages().len());
        if !step_exists || !records_exist {
            return Err(format!("its violation of {} is of no state", finding.property));
        }
    }
    Ok(())
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io { action, path, source }
}
