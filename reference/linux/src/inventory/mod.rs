//! Everything that a process consists of but the contents of its pages, as data that can be sent.
//!
//! Taken from `/proc` alone, so that the process is not stopped for it. What only the process itself can tell (handlers,
//! alternate stacks, timers, registers) is added at the freeze: see ProcessState.

pub mod descriptor;
pub mod host;
pub mod mapping;
pub mod process;

pub use descriptor::{Descriptor, DescriptorKind, EpollEntry, PipeEnd};
pub use host::HostFacts;
pub use mapping::{Mapping, MappingKind, MemoryKind};
pub use process::{Clocks, Credentials, FileLock, Limit, MemoryLayout, ProcessFacts, ThreadFacts};

use serde::{Deserialize, Serialize};

use crate::error::{Result, from_procfs};
use crate::range::AddressRange;

/// What a process consists of.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Inventory {
    /// The machine that it runs on.
    pub host: HostFacts,
    /// What there is once a process.
    pub process: ProcessFacts,
    /// Its threads, the main thread first.
    pub threads: Vec<ThreadFacts>,
    /// Its address space, sorted by address.
    pub mappings: Vec<Mapping>,
    /// Its open descriptors, sorted by number.
    pub descriptors: Vec<Descriptor>,
}

impl Inventory {
    /// Reads it, without stopping the process: what changes meanwhile may not fit together, which the freeze puts right.
    ///
    /// # Errors
    ///
    /// [`Gone`](crate::LinuxError::Gone), or what the kernel says (a process of somebody else).
    pub fn take(pid: i32) -> Result<Self> {
        let entry = procfs::process::Process::new(pid).map_err(|error| from_procfs(pid, error))?;
        Self::complete(&entry, mapping::read(&entry, true)?)
    }

    /// The same where the address space has been looked at.
    pub(crate) fn complete(entry: &procfs::process::Process, mappings: Vec<Mapping>) -> Result<Self> {
        let (descriptors, file_locks) = descriptor::read(entry.pid)?;
        Ok(Self {
            host: HostFacts::here()?,
            process: process::read(entry, file_locks)?,
            threads: process::read_threads(entry)?,
            mappings,
            descriptors,
        })
    }

    /// The mapping that holds `address`.
    pub fn mapping_at(&self, address: u64) -> Option<&Mapping> {
        let behind = self.mappings.partition_point(|mapping| mapping.range.end <= address);
        self.mappings.get(behind).filter(|mapping| mapping.range.contains(address))
    }

    /// What sort of page `page` (an address divided by the page size) is, by its mapping.
    pub fn memory_kind(&self, page: u64) -> Option<MemoryKind> {
        self.mapping_at(page * crate::PAGE_SIZE).and_then(Mapping::memory_kind)
    }

    /// The mappings whose pages may have to travel, with their sort.
    pub fn memory(&self) -> impl Iterator<Item = (AddressRange, MemoryKind)> + '_ {
        self.mappings.iter().filter_map(|mapping| Some((mapping.range, mapping.memory_kind()?)))
    }
}
