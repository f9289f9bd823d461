//! An unmodified Linux process as a subject.
//!
//! ```text
//!   source:       Here ──stop──▶ Frozen ──part──▶ Departed ──bury──▶ Gone
//!                  ▲               │
//!                  └──── thaw ─────┘
//!   destination:  Built ──prepare──▶ Prepared ──thaw──▶ Going ──▶ Came ──settle──▶ Settled, and from there Here
//! ```

mod ahead;
mod builder;
mod events;
mod journey;
mod memory;
mod parcel;
mod stock;
mod stored;
mod table;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use linux::LinuxError;
use linux::build::{BuiltProcess, Prepared, Resumed, Running};
use linux::obstacle::{Obstacle, StandardStreams};
use linux::plan::FileChoices;
use linux::source::{DepartedSource, FrozenSource, TrackedProcess};
use linux::userfault::{MemoryEvent, Userfault};
use protocol::page::PageBytes;
use protocol::page_set::PageSet;
use steplog::page::PageNumber;

pub use builder::ProcessBuilder;

use crate::subject::{Alarm, Occurrence, SubjectError};
use ahead::{ArrivedPages, ReadAhead};
use parcel::BuildPlan;
use stored::StoredFiles;
use table::Table;

/// A process.
pub struct LiveProcess {
    body: Body,
    table: Table,
    files: FileChoices,
    /// The plan by which it was, or is to be, built: both ends have it.
    build: Vec<u8>,
    written: PageSet,
    /// Every page that has had content of its own since the inventory: without any now, it was given up, and is zero.
    touched: PageSet,
    present: PageSet,
    /// Pages that the process has discarded since it came: zero, whatever still comes.
    void: PageSet,
    /// Content of pages whose place is not known yet.
    unplaced: BTreeMap<PageNumber, PageBytes>,
    memory: Option<Arc<Userfault>>,
    /// Read, and not noted yet.
    events: VecDeque<MemoryEvent>,
    stored: StoredFiles,
    /// What was read of it while it stands still.
    ahead: RefCell<ReadAhead>,
    /// What has come and is still to be put in, before it runs.
    arrived: ArrivedPages,
    occurrences: VecDeque<Occurrence>,
    alarm: Option<Alarm>,
    /// Its end can be seen by this, where it came here.
    running: Option<Running>,
    life_checked: Instant,
    scanned: Instant,
    has_exited: bool,
}

enum Body {
    Here(TrackedProcess),
    Frozen(FrozenSource),
    Departed(DepartedSource),
    Built(BuiltProcess),
    Prepared(Box<Prepared>),
    Going(Receiver<Result<(Resumed, Instant), LinuxError>>),
    Came(Resumed),
    Settled,
    Gone,
}

fn system(error: impl std::fmt::Display) -> SubjectError {
    SubjectError::System(error.to_string())
}

/// Tells one start of this machine from all others.
fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()
}

/// Every reason why a process cannot be moved from here.
///
/// # Errors
/// There is no such process, or it is somebody else's.
pub fn obstacles(pid: u32) -> Result<Vec<Obstacle>, SubjectError> {
    let source = TrackedProcess::open(i32::try_from(pid).map_err(system)?).map_err(system)?;
    Ok(source.obstacles(StandardStreams::Replace).map_err(system)?.1)
}

impl LiveProcess {
    /// A process that runs here. Nothing is done to it.
    ///
    /// # Errors
    /// There is no such process, or it is somebody else's.
    pub fn open(pid: u32) -> Result<Self, SubjectError> {
        let source = TrackedProcess::open(i32::try_from(pid).map_err(system)?).map_err(system)?;
        Ok(Self::new(Body::Here(source), Table::default(), FileChoices::default(), Vec::new()))
    }

    /// A process that was built by this plan, which is packed in `build`.
    fn built(
        destination: BuiltProcess,
        table: Table,
        plan: BuildPlan,
        build: Vec<u8>,
    ) -> Result<Self, SubjectError> {
        let memory = destination.memory();
        let mut stored = Vec::new();
        for run in plan.stored {
            let missing = || SubjectError::Unfit(format!("no memory stands for {}", run.path.display()));
            let object = destination.shared_memory(run.inode).ok_or_else(missing)?;
            stored.push((run, File::from(object.try_clone().map_err(system)?)));
        }
        // The memory is whole pages long, and the file may not be.
        for (run, object) in &stored {
            let of_same = stored.iter().map(|(run, _)| run).filter(|other| other.inode == run.inode);
            let len = of_same.map(|run| run.offset + run.len).max().unwrap_or(0);
            object.set_len(len).map_err(system)?;
        }
        let mut process = Self::new(Body::Built(destination), table, plan.files, build);
        process.memory = Some(memory);
        process.stored.replace(stored);
        Ok(process)
    }

    fn new(body: Body, table: Table, files: FileChoices, build: Vec<u8>) -> Self {
        let none = PageSet::empty(table.page_count());
        Self {
            body,
            table,
            files,
            build,
            written: none.clone(),
            touched: none.clone(),
            present: none.clone(),
            void: none,
            unplaced: BTreeMap::new(),
            memory: None,
            events: VecDeque::new(),
            stored: StoredFiles::default(),
            ahead: RefCell::default(),
            arrived: ArrivedPages::default(),
            occurrences: VecDeque::new(),
            alarm: None,
            running: None,
            life_checked: Instant::now(),
            scanned: Instant::now(),
            has_exited: false,
        }
    }

    /// The process as a source, if it is one.
    fn source(&self) -> Option<&TrackedProcess> {
        match &self.body {
            Body::Here(source) => Some(source),
            Body::Frozen(frozen) => Some(frozen),
            Body::Departed(departed) => Some(departed),
            _ => None,
        }
    }
}
