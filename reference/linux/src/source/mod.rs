//! A process at the machine that it leaves: looked at, tracked, frozen, and let go or handed over.
//!
//! ```text
//! Source ──track──► Source ──freeze──► FrozenSource ──hand_over──► DepartedSource ──kill
//!    ▲                                     │
//!    └──────────────── thaw ◄──────────────┘
//! ```
//!
//! A source that handed over has no `thaw`: it can only be read and killed, and the kernel kills it should this program end.

mod frozen;
mod gather;
pub(crate) mod interrupted;
mod tracking;
pub(crate) mod waiting;

pub use frozen::{DepartedSource, FrozenSource};
pub use tracking::TrackingStop;
pub(crate) use tracking::take_descriptor;

use std::fs::File;
use std::io::IoSliceMut;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use rustix::fd::OwnedFd;

use crate::error::{Doing, LinuxError, Result};
use crate::inventory::{Inventory, Mapping, MappingKind, mapping};
use crate::obstacle::{self, Obstacle, StandardStreams};
use crate::pagemap::{Pagemap, PagemapRun};
use crate::tracing::{Injector, Worker};
use interrupted::Circumstances;
use tracking::Tracking;
use waiting::{Waits, monotonic_ns};

/// A process that runs here and may leave.
///
/// All methods may be called from any thread. Nothing is attached to the process between calls, so it runs undisturbed;
/// this program must not wait for all of its children by one call (`waitpid(-1)`), which would take away stops.
#[derive(Debug)]
pub struct TrackedProcess {
    pid: i32,
    handle: OwnedFd,
    memory: File,
    pagemap: Pagemap,
    worker: Worker,
    injector: Injector,
    tracking: Option<Tracking>,
    waits: Mutex<Waits>,
}

impl TrackedProcess {
    /// Opens what is needed to look at process `pid`. It is neither stopped nor changed.
    ///
    /// # Errors
    ///
    /// [`Gone`](LinuxError::Gone), or what the kernel says (somebody else's process).
    pub fn open(pid: i32) -> Result<Self> {
        Self::open_knowing(pid, Waits::default())
    }

    /// The same of a process whose threads are known to wait.
    pub(crate) fn open_knowing(pid: i32, waits: Waits) -> Result<Self> {
        let number = rustix::process::Pid::from_raw(pid).ok_or(LinuxError::Gone { pid })?;
        let handle = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty())
            .map_err(|error| gone_or(pid, error, "open a handle of"))?;
        let path = format!("/proc/{pid}/mem");
        let memory = File::options().read(true).write(true).open(&path).doing(|| format!("open {path}"))?;
        let injector = Injector { instruction: find_instruction(pid, &memory)? };
        Ok(Self {
            pid,
            handle,
            memory,
            pagemap: Pagemap::open(&pid.to_string())?,
            worker: Worker::start("tracer")?,
            injector,
            tracking: None,
            waits: Mutex::new(waits),
        })
    }

    /// What is known of a thread that is stopped, beside its registers.
    fn circumstances(&self, tid: i32) -> Circumstances<impl Fn(u64, &mut [u8]) -> bool + '_> {
        Circumstances {
            signal_to_deliver: gather::has_signal_to_deliver(tid),
            seen: self.waits.lock().ok().and_then(|waits| waits.get(&tid).copied()),
            now_ns: monotonic_ns(),
            read: |address, bytes| self.read(address, bytes).is_ok(),
        }
    }

    /// As whoever opened it counts.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Everything that it consists of, without stopping it.
    ///
    /// # Errors
    ///
    /// As [`Inventory::take`].
    pub fn inventory(&self) -> Result<Inventory> {
        Inventory::take(self.pid)
    }

    /// Every reason why it cannot be moved from here, without stopping it; with the inventory that was judged.
    ///
    /// # Errors
    ///
    /// As [`Inventory::take`].
    pub fn obstacles(&self, streams: StandardStreams) -> Result<(Inventory, Vec<Obstacle>)> {
        let mut inventory = self.inventory()?;
        let found = obstacle::at_source(&mut inventory, streams)?;
        Ok((inventory, found))
    }

    /// Every page that is there, in order. Pages of memory that no run covers were never touched (or were discarded since): they are
    /// zero, or in their file.
    ///
    /// # Errors
    ///
    /// What the kernel says; [`Gone`](LinuxError::Gone).
    pub fn population(&self) -> Result<Vec<PagemapRun>> {
        let mut runs = Vec::new();
        for mapping in self.mappings()?.iter().filter(|mapping| mapping.memory_kind().is_some()) {
            self.pagemap.population(mapping.range, !mapping.shared, &mut runs)?;
        }
        Ok(runs)
    }

    /// The same of one mapping, or a part of it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn population_of(&self, mapping: &Mapping) -> Result<Vec<PagemapRun>> {
        let mut runs = Vec::new();
        self.pagemap.population(mapping.range, !mapping.shared, &mut runs)?;
        Ok(runs)
    }

    /// Reads from its memory at `address`, whatever the protection, while it runs or not.
    ///
    /// # Errors
    ///
    /// Where nothing is mapped, or the page lies behind the end of its file.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        self.memory
            .read_exact_at(bytes, address)
            .doing(|| format!("read memory of {} at {address:x}", self.pid))
    }

    /// Reads as much of its memory at `address` as there is in one piece, at most what fits: many pages at once cost little more
    /// than one. Nothing where the protection forbids it, whatever [`read`](Self::read) would say.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn read_much(&self, address: u64, bytes: &mut [u8]) -> Result<usize> {
        let remote = RemoteIoVec { base: address as usize, len: bytes.len() };
        process_vm_readv(Pid::from_raw(self.pid), &mut [IoSliceMut::new(bytes)], &[remote])
            .doing(|| format!("read memory of {} at {address:x}", self.pid))
    }

    /// Its mappings now, without flags.
    ///
    /// # Errors
    ///
    /// [`Gone`](LinuxError::Gone), or what the kernel says.
    pub fn mappings(&self) -> Result<Vec<Mapping>> {
        let entry = procfs::process::Process::new(self.pid)
            .map_err(|error| crate::error::from_procfs(self.pid, error))?;
        mapping::read_layout(&entry)
    }

    /// Whether it still runs (or is frozen), as opposed to having ended.
    pub fn is_alive(&self) -> bool {
        // The handle becomes readable when the process ends.
        let mut poll = [rustix::event::PollFd::new(&self.handle, rustix::event::PollFlags::IN)];
        let nothing = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(rustix::event::poll(&mut poll, Some(&nothing)), Ok(0))
    }
}

/// A `syscall` instruction in the vdso, which every process has, or else anywhere in code.
pub(crate) fn find_instruction(pid: i32, memory: &File) -> Result<u64> {
    let entry = procfs::process::Process::new(pid).map_err(|error| crate::error::from_procfs(pid, error))?;
    let mut mappings = mapping::read_layout(&entry)?;
    mappings.retain(|mapping| {
        mapping.protection & libc::PROT_EXEC as u32 != 0 && mapping.kind != MappingKind::Vsyscall
    });
    mappings.sort_by_key(|mapping| mapping.kind != MappingKind::Vdso);
    for mapping in mappings {
        let mut bytes = vec![0; mapping.range.len() as usize];
        if memory.read_exact_at(&mut bytes, mapping.range.start).is_err() {
            continue;
        }
        if let Some(at) = bytes.windows(2).position(|pair| pair == [0x0f, 0x05]) {
            return Ok(mapping.range.start + at as u64);
        }
    }
    Err(LinuxError::Unsupported(format!("no system call instruction in the code of process {pid}")))
}

fn gone_or(pid: i32, error: rustix::io::Errno, what: &str) -> LinuxError {
    match error {
        rustix::io::Errno::SRCH => LinuxError::Gone { pid },
        error => LinuxError::System { doing: format!("{what} process {pid}"), source: error.into() },
    }
}
