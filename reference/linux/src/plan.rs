//! What stands behind each mapping of the process that is built: the same answer at both ends, from the same data.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::inventory::mapping::MappedFile;
use crate::inventory::{Inventory, Mapping, MappingKind, MemoryKind};

/// What the destination has of a file that the process maps or has open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChoice {
    /// The same content, checked ([`content_hash`]), under this name. Clean pages come from it; a shared mapping is of a copy in memory
    /// that is filled page by page, whose written pages the driver writes back to wherever the file lives.
    Local(PathBuf),
    /// The very same file (one machine, or a file system that both see and that keeps both views the same). A shared mapping is of the file itself:
    /// none of its pages travel.
    Same(PathBuf),
    /// It is the file server's. A shared mapping is of a file in memory that is filled page by page, whose written pages the driver writes
    /// back; a private mapping is memory.
    Stored,
    /// Nothing: every page comes from the source.
    Absent,
}

/// What the destination has, by the path that the process knows.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct FileChoices {
    /// By path; a path that is not listed is [`Absent`](FileChoice::Absent), unless all are the same.
    pub by_path: BTreeMap<PathBuf, FileChoice>,
    /// Every file is the [`Same`](FileChoice::Same), under its own name, unless it is listed.
    pub all_same: bool,
}

impl FileChoices {
    /// Both ends see the same file system.
    pub fn same_file_system() -> Self {
        Self { by_path: BTreeMap::new(), all_same: true }
    }

    /// What there is for `path`.
    pub fn of(&self, path: &Path) -> FileChoice {
        match self.by_path.get(path) {
            Some(choice) => choice.clone(),
            None if self.all_same => FileChoice::Same(path.to_owned()),
            None => FileChoice::Absent,
        }
    }

    /// The name under which the destination opens `path`: its own name where nothing else was chosen.
    pub fn local_path(&self, path: &Path) -> PathBuf {
        match self.of(path) {
            FileChoice::Local(local) | FileChoice::Same(local) => local,
            FileChoice::Absent | FileChoice::Stored => path.to_owned(),
        }
    }
}

/// What stands behind a mapping at the destination.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backing {
    /// Memory; every page that is not zero is installed. Where `clean` is given, pages of the file that the process did not write
    /// can be read from there, at the mapping's offset.
    Memory {
        /// A local file with the same content.
        clean: Option<PathBuf>,
    },
    /// The local file itself, mapped privately. Nothing is installed; nobody has written any of its pages.
    File(PathBuf),
    /// The very same file, shared. Nothing is installed.
    SharedFile(PathBuf),
    /// A file in memory that stands for the shared file, or for shared memory without a file; pages are installed.
    SharedMemory {
        /// A local file with the same content.
        clean: Option<PathBuf>,
    },
    /// The kernel's own; moved into place.
    Kernel,
}

impl Backing {
    /// Whether pages are installed.
    pub fn is_installed(&self) -> bool {
        matches!(self, Self::Memory { .. } | Self::SharedMemory { .. })
    }
}

/// The backing of `mapping` with these files. A private mapping of a file is the file itself only while no page of
/// it was written: what the kernel serves from a file cannot wait for the source. Otherwise it is memory, and so it stays:
/// `/proc/PID/maps` shows no file, and what the process discards (`MADV_DONTNEED`) reads as zero, not as the file.
pub fn backing(mapping: &Mapping, files: &FileChoices) -> Backing {
    let clean = || match mapping.file().map(|file| files.of(&file.path)) {
        Some(FileChoice::Local(path) | FileChoice::Same(path)) => Some(path),
        _ => None,
    };
    match mapping.memory_kind() {
        Some(MemoryKind::Private) => Backing::Memory { clean: None },
        Some(MemoryKind::SharedAnonymous) => Backing::SharedMemory { clean: None },
        Some(MemoryKind::PrivateFile) => match clean() {
            Some(path) if !mapping.is_writable() && mapping.own_pages == 0 => Backing::File(path),
            clean => Backing::Memory { clean },
        },
        Some(MemoryKind::SharedFile) => match mapping.file().map(|file| files.of(&file.path)) {
            Some(FileChoice::Same(path)) if !is_in_memory(mapping) => Backing::SharedFile(path),
            Some(FileChoice::Stored) => Backing::SharedMemory { clean: None },
            _ if is_in_memory(mapping) => Backing::SharedMemory { clean: None },
            _ => Backing::SharedMemory { clean: clean() },
        },
        None => Backing::Kernel,
    }
}

/// Whether a shared mapping is of a file of the file server: by this choice, or since an earlier move.
pub fn is_stored(mapping: &Mapping, files: &FileChoices) -> bool {
    let stored = |file: &MappedFile| file.stored || files.of(&file.path) == FileChoice::Stored;
    mapping.memory_kind() == Some(MemoryKind::SharedFile) && mapping.file().is_some_and(stored)
}

fn is_in_memory(mapping: &Mapping) -> bool {
    mapping.file().is_some_and(|file| file.in_memory)
}

/// Every mapping that pages may have to be installed in, with what stands behind it.
pub fn plan<'a>(
    inventory: &'a Inventory,
    files: &'a FileChoices,
) -> impl Iterator<Item = (&'a Mapping, Backing)> {
    inventory.mappings.iter().map(|mapping| (mapping, backing(mapping, files)))
}

/// Every file that mappings and descriptors name, for the question whether the destination has it.
pub fn files(inventory: &Inventory) -> Vec<PathBuf> {
    let mapped = inventory.mappings.iter().filter_map(|mapping| match &mapping.kind {
        MappingKind::File(file) if !file.in_memory => Some(file.path.clone()),
        _ => None,
    });
    let mut all: Vec<PathBuf> = mapped.chain([inventory.process.executable.clone()]).collect();
    all.sort();
    all.dedup();
    all
}

/// SHA-256 of a whole file.
///
/// # Errors
///
/// What reading it says.
pub fn content_hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}
