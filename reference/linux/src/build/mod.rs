//! A process built anew from an inventory, ahead of the freeze, and made to go on from a state.
//!
//! ```text
//! Destination::build ──install, put, discard──► resume ──► Resumed ──install, events──► complete
//! ```
//!
//! The process is the child of a small *init* of its own, in a PID namespace of its own, so that it and its threads have the numbers
//! that they had. Its address space is that of a fork of this program, emptied and filled again by calls put into it: the kernel's own
//! mappings are moved, files are opened here and passed over a socket, and everything that is to be installed is covered by a userfaultfd.
//! Until [`Resumed::complete`], init ends the process should this program end: absent pages would read as zero.

mod channel;
mod descriptors;
mod init;
mod resume;
mod space;
mod target;
mod threads;
mod waits;

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;

use crate::error::{Doing, LinuxError, Result};
use crate::inventory::Inventory;
use crate::obstacle;
use crate::pagemap::PagemapRun;
use crate::plan::FileChoices;
use crate::range::AddressRange;
use crate::source::TrackedProcess;
use crate::source::waiting::Waits;
use crate::state::FrozenProcess;
use crate::tracing::Worker;
use crate::userfault::{Installed, Userfault};
use descriptors::Descriptions;
use target::Target;

/// How a process is to be built.
#[derive(Debug, Default)]
pub struct BuildOptions {
    /// What the destination has of the files.
    pub files: FileChoices,
    /// What standard input, output and error (and other descriptors of the same terminal or pipe) are connected to where they led
    /// out of the process. Without one, what this program has.
    pub streams: [Option<OwnedFd>; 3],
}

/// A process that was built and has not run yet. Dropped, it is gone.
#[derive(Debug)]
pub struct BuiltProcess {
    worker: Worker,
    target: Target,
    files: FileChoices,
    streams: [Option<OwnedFd>; 3],
    inventory: Inventory,
    descriptions: Descriptions,
    shared: BTreeMap<u64, OwnedFd>,
    userfault: Arc<Userfault>,
    built_for: Duration,
}

/// A process that was built and runs.
#[derive(Debug)]
pub struct Resumed {
    target: Target,
    userfault: Arc<Userfault>,
    shared: BTreeMap<u64, OwnedFd>,
    waits: Waits,
    resumed_for: Duration,
}

impl BuiltProcess {
    /// Builds the process of `inventory`, as it was when that was taken.
    ///
    /// # Errors
    ///
    /// [`Obstructed`](LinuxError::Obstructed) where this machine lacks something; what the kernel says otherwise. Nothing is left behind.
    pub fn build(inventory: &Inventory, options: BuildOptions) -> Result<Self> {
        let began = Instant::now();
        let missing = obstacle::at_destination(inventory, &crate::inventory::HostFacts::here()?);
        if !missing.is_empty() {
            return Err(LinuxError::Obstructed(missing));
        }
        let worker = Worker::start("builder")?;
        let mut shared = BTreeMap::new();
        let mut descriptions = Descriptions::default();
        let (target, userfault) = worker.run(|| {
            let mut target = Target::make(inventory)?;
            space::build(&mut target, inventory, &options.files, &mut shared)?;
            descriptors::build(&mut target, inventory, &options, &mut descriptions)?;
            threads::build(&mut target, inventory)?;
            let userfault = target.make_userfault()?;
            space::cover(&userfault, inventory, &options.files)?;
            Ok((target, userfault))
        })?;
        let BuildOptions { files, streams } = options;
        Ok(Self {
            worker,
            target,
            files,
            streams,
            inventory: inventory.clone(),
            descriptions,
            shared,
            userfault: Arc::new(userfault),
            built_for: began.elapsed(),
        })
    }

    /// How long building took.
    pub fn built_for(&self) -> Duration {
        self.built_for
    }

    /// As this program counts.
    pub fn pid(&self) -> i32 {
        self.target.pid()
    }

    /// The memory that stands for a shared file, by the file's number at the source.
    pub fn shared_memory(&self, inode: u64) -> Option<&OwnedFd> {
        self.shared.get(&inode)
    }

    /// Where pages are installed and faults are read, for other threads.
    pub fn memory(&self) -> Arc<Userfault> {
        Arc::clone(&self.userfault)
    }

    /// Puts a page where there is none or, since the process does not run yet, in place of the one that is there. Several pages are put
    /// where there is none of them, or [`AlreadyThere`](Installed::AlreadyThere).
    ///
    /// # Errors
    ///
    /// As [`Userfault::install`].
    pub fn put(&self, page: u64, bytes: &[u8]) -> Result<Installed> {
        match self.userfault.install(page, bytes)? {
            // To write to a page that is not there would be to wait for it.
            Installed::AlreadyThere if bytes.len() as u64 == crate::PAGE_SIZE => {
                let at = page * crate::PAGE_SIZE;
                self.target.memory().write_all_at(bytes, at).doing(|| format!("replace page {page:#x}"))?;
                Ok(Installed::Done)
            }
            other => Ok(other),
        }
    }

    /// What is there of a range: pages that were put in and not taken out again.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn population_of(&self, range: AddressRange) -> Result<Vec<PagemapRun>> {
        let mut runs = Vec::new();
        self.target.pagemap()?.population(range, true, &mut runs)?;
        Ok(runs)
    }

    /// Reads from its memory where a page is there; elsewhere it would wait for one.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        self.target.memory().read_exact_at(bytes, address).doing(|| format!("read memory at {address:x}"))
    }

    /// Takes pages out again, sorted ranges: they are absent from then on.
    ///
    /// # Errors
    ///
    /// What the kernel says. Nothing may be installed at the same time.
    pub fn discard(&mut self, ranges: &[AddressRange]) -> Result<()> {
        let (target, userfault, inventory) = (&mut self.target, &self.userfault, &self.inventory);
        let files = &self.files;
        self.worker.run(|| space::discard(target, userfault, inventory, files, ranges))
    }

    /// Brings the process up to `state` and lets it run.
    ///
    /// # Errors
    ///
    /// [`CannotFollow`](LinuxError::CannotFollow) where the process changed too much, or what the kernel says. The process has not run then, and is gone.
    pub fn resume(self, state: &FrozenProcess) -> Result<Resumed> {
        self.prepare(state)?.go()
    }

    /// The first half of [`resume`](Self::resume): everything is in place, and the process could run. This is what *ready* means.
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume).
    pub fn prepare(mut self, state: &FrozenProcess) -> Result<Prepared> {
        let began = Instant::now();
        let worker = &self.worker;
        let parts = resume::Parts {
            target: &mut self.target,
            built: &self.inventory,
            files: &self.files,
            streams: &self.streams,
            descriptions: &mut self.descriptions,
            shared: &mut self.shared,
            userfault: &self.userfault,
        };
        worker.run(|| resume::prepare(parts, state))?;
        self.inventory = state.inventory.clone();
        Ok(Prepared { destination: self, state: state.clone(), prepared_for: began.elapsed() })
    }
}

/// A process that is complete but for its pages, and has not run.
#[derive(Debug)]
pub struct Prepared {
    destination: BuiltProcess,
    state: FrozenProcess,
    prepared_for: Duration,
}

impl Prepared {
    /// How long bringing it up to date took.
    pub fn prepared_for(&self) -> Duration {
        self.prepared_for
    }

    /// As [`BuiltProcess::put`].
    ///
    /// # Errors
    ///
    /// As [`BuiltProcess::put`].
    pub fn put(&self, page: u64, bytes: &[u8]) -> Result<Installed> {
        self.destination.put(page, bytes)
    }

    /// As [`BuiltProcess::discard`], for the layout as it is now.
    ///
    /// # Errors
    ///
    /// As [`BuiltProcess::discard`].
    pub fn discard(&mut self, ranges: &[AddressRange]) -> Result<()> {
        self.destination.discard(ranges)
    }

    /// As [`BuiltProcess::population_of`].
    ///
    /// # Errors
    ///
    /// As [`BuiltProcess::population_of`].
    pub fn population_of(&self, range: AddressRange) -> Result<Vec<PagemapRun>> {
        self.destination.population_of(range)
    }

    /// As [`BuiltProcess::read`].
    ///
    /// # Errors
    ///
    /// As [`BuiltProcess::read`].
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        self.destination.read(address, bytes)
    }

    /// Where pages are installed and faults are read, for other threads.
    pub fn memory(&self) -> Arc<Userfault> {
        self.destination.memory()
    }

    /// Lets it run.
    ///
    /// # Errors
    ///
    /// What the kernel says. The process has not run then, and is gone.
    pub fn go(self) -> Result<Resumed> {
        let began = Instant::now();
        let BuiltProcess { worker, mut target, userfault, shared, files, .. } = self.destination;
        let waits = worker.run(|| resume::go(&mut target, &self.state, &files, &userfault))?;
        Ok(Resumed { target, userfault, shared, waits, resumed_for: began.elapsed() })
    }
}

impl Resumed {
    /// As this program counts.
    pub fn pid(&self) -> i32 {
        self.target.pid()
    }

    /// How long letting it go took.
    pub fn resumed_for(&self) -> Duration {
        self.resumed_for
    }

    /// Where pages are installed and faults are read.
    pub fn memory(&self) -> Arc<Userfault> {
        Arc::clone(&self.userfault)
    }

    /// Pages of the memory that stands for shared files (and of all else that is covered) written since they were last taken.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn take_written(&self, range: AddressRange) -> Result<Vec<AddressRange>> {
        let mut written = Vec::new();
        self.target.pagemap()?.take_written(range, &mut written)?;
        Ok(written)
    }

    /// Reads its memory.
    ///
    /// # Errors
    ///
    /// What the kernel says: of a page that is absent too.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        self.target.memory().read_exact_at(bytes, address).doing(|| format!("read memory at {address:x}"))
    }

    /// The memory that stands for a shared file, by the file's number at the source: readable after the process has unmapped it or ended.
    pub fn shared_memory(&self, inode: u64) -> Option<&OwnedFd> {
        self.shared.get(&inode)
    }

    /// Every page is there: what is absent now reads as zero, the process survives the end of this program, and
    /// nothing of the move is left in it. Handles from [`memory`](Self::memory) have to be dropped by their owners.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn complete(mut self) -> Result<Running> {
        self.target.complete()?;
        Ok(Running { target: self.target, waits: self.waits })
    }

    /// Ends the process.
    pub fn kill(self) {
        drop(self.target);
    }

    /// Its exit code (128 + the signal that ended it), if it has ended; an end by itself while pages are absent is one.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        self.target.ended(false)
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn wait(mut self) -> Result<i32> {
        self.target.ended(true).map(|code| code.unwrap_or(0))
    }
}

/// A process that arrived completely. Dropped, it runs on.
#[derive(Debug)]
pub struct Running {
    target: Target,
    waits: Waits,
}

impl Running {
    /// It may leave again: as [`TrackedProcess::open`], but what its threads wait for since they came is known, so that they wait no longer
    /// than they have to after another move.
    ///
    /// # Errors
    ///
    /// As [`TrackedProcess::open`].
    pub fn source(&self) -> Result<TrackedProcess> {
        TrackedProcess::open_knowing(self.pid(), self.waits.clone())
    }

    /// As this program counts.
    pub fn pid(&self) -> i32 {
        self.target.pid()
    }

    /// Its exit code (128 + the signal that ended it), if it has ended.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        self.target.ended(false)
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn wait(mut self) -> Result<i32> {
        self.target.ended(true).map(|code| code.unwrap_or(0))
    }
}
