//! The address space: one record for each line of `/proc/PID/maps`.

use std::path::PathBuf;

use procfs::process::{MMPermissions, MMapPath, MemoryMap, MemoryMaps, Process, VmFlags};
use serde::{Deserialize, Serialize};

use crate::error::{Result, from_procfs};
use crate::pagemap::{PageState, Pagemap};
use crate::range::{AddressRange, PAGE_SIZE};

/// One mapping.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mapping {
    /// Where.
    pub range: AddressRange,
    /// `PROT_READ` | `PROT_WRITE` | `PROT_EXEC`.
    pub protection: u32,
    /// Writes are seen by whoever else maps the same object.
    pub shared: bool,
    /// Of what.
    pub kind: MappingKind,
    /// Advice and properties that `mmap` and `madvise` set.
    pub flags: MappingFlags,
    /// Of a private mapping of a file: how many of its pages the process has written, so that they are its own.
    pub own_pages: u64,
}

/// What is mapped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MappingKind {
    /// Memory with nothing behind it.
    Anonymous,
    /// The same, grown by `brk`.
    Heap,
    /// The same, the main thread's stack.
    Stack,
    /// Memory with nothing behind it that children share (`MAP_SHARED | MAP_ANONYMOUS`); equal numbers are one object.
    SharedAnonymous {
        /// The kernel's number of the object.
        inode: u64,
        /// Where in the object the mapping begins, in bytes.
        offset: u64,
    },
    /// A file, or a device.
    File(MappedFile),
    /// A segment of System V shared memory.
    SystemV {
        /// Its key.
        key: i32,
    },
    /// The kernel's code for this process.
    Vdso,
    /// The kernel's data for that code; `name` as the kernel prints it, without brackets.
    Vvar {
        /// `vvar` or `vvar_vclock`.
        name: String,
    },
    /// At a fixed address in every process, and in none's page tables.
    Vsyscall,
    /// Anything else (`anon_inode:…`, rings of an asynchronous interface).
    Other {
        /// As the kernel prints it.
        name: String,
    },
}

/// A file as the kernel names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MappedFile {
    /// In the process's own view of the file system.
    pub path: PathBuf,
    /// It was deleted or replaced since.
    pub deleted: bool,
    /// Device number, major and minor.
    pub device: (i32, i32),
    /// Its number on the device.
    pub inode: u64,
    /// Where in the file the mapping begins, in bytes.
    pub offset: u64,
    /// The process arrived here by a move: what it maps is memory that stands for the file, which may lag behind. Device and number are
    /// those of the file where the process came from.
    pub in_memory: bool,
    /// The same where the file is the file server's, which whoever moves the process writes back to.
    pub stored: bool,
}

/// The names of the memory that stands for a shared file, by which the next move recognises it: one that is a file here and there,
/// one of the file server's.
const STANDS_FOR: &str = "moved";
const STANDS_FOR_STORED: &str = "stored";

/// A name for the memory that stands for what `mapping` maps; the kernel takes up to 249 bytes.
pub(crate) fn name_in_memory(mapping: &Mapping, stored: bool) -> Option<String> {
    let stands_for = if stored { STANDS_FOR_STORED } else { STANDS_FOR };
    let name = match &mapping.kind {
        MappingKind::File(file) => format!("{stands_for}:{}:{}", file.inode, file.path.display()),
        _ => STANDS_FOR.to_owned(),
    };
    (name.len() < 250).then_some(name)
}

fn memory_file(name: &str, object: u64, offset: u64) -> MappingKind {
    let parts = |stands_for: &str| {
        let (inode, path) = name.strip_prefix(stands_for)?.strip_prefix(':')?.split_once(':')?;
        Some((inode.parse().ok()?, PathBuf::from(path)))
    };
    let stored = parts(STANDS_FOR_STORED);
    match (stored.is_some(), stored.or_else(|| parts(STANDS_FOR))) {
        (stored, Some((inode, path))) => MappingKind::File(MappedFile {
            path,
            deleted: false,
            device: (0, 0),
            inode,
            offset,
            in_memory: true,
            stored,
        }),
        (_, None) => MappingKind::SharedAnonymous { inode: object, offset },
    }
}

/// The paper's sorts of pages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKind {
    /// Anonymous memory: travels from the source, unless untouched, when it is zero.
    Private,
    /// Private mapping of a file: what was written is private; the rest is clean and in the file.
    PrivateFile,
    /// Shared mapping of a file: file-mapped.
    SharedFile,
    /// Shared memory without a file that nobody else has: travels like private memory.
    SharedAnonymous,
}

/// What `mmap` and `madvise` were told beyond protection.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MappingFlags {
    /// They were read; otherwise every flag is unknown.
    pub known: bool,
    pub grows_down: bool,
    pub locked: bool,
    pub no_reserve: bool,
    pub huge_pages: bool,
    pub no_huge_pages: bool,
    pub not_for_children: bool,
    pub wiped_for_children: bool,
    pub not_dumped: bool,
    pub read_in_order: bool,
    pub read_at_random: bool,
    pub huge_tlb: bool,
    pub device_memory: bool,
}

impl Mapping {
    /// Which of the paper's sorts its pages are; nothing for the kernel's own mappings.
    pub fn memory_kind(&self) -> Option<MemoryKind> {
        match (&self.kind, self.shared) {
            (MappingKind::Anonymous | MappingKind::Heap | MappingKind::Stack, _) => Some(MemoryKind::Private),
            (MappingKind::SharedAnonymous { .. }, _) => Some(MemoryKind::SharedAnonymous),
            (MappingKind::File(_), false) => Some(MemoryKind::PrivateFile),
            (MappingKind::File(_), true) => Some(MemoryKind::SharedFile),
            _ => None,
        }
    }

    /// Whether it is memory with nothing behind it that only this process has.
    pub fn is_private_anonymous(&self) -> bool {
        self.memory_kind() == Some(MemoryKind::Private)
    }

    /// The file behind it.
    pub fn file(&self) -> Option<&MappedFile> {
        match &self.kind {
            MappingKind::File(file) => Some(file),
            _ => None,
        }
    }

    /// Writable by the process itself.
    pub fn is_writable(&self) -> bool {
        self.protection & libc::PROT_WRITE as u32 != 0
    }

    /// The same mapping where only the part in `range` is left of it.
    pub fn clipped(&self, range: AddressRange) -> Self {
        let mut part = self.clone();
        let further = range.start - self.range.start;
        match &mut part.kind {
            MappingKind::File(file) => file.offset += further,
            MappingKind::SharedAnonymous { offset, .. } => *offset += further,
            _ => {}
        }
        part.range = range;
        part
    }

    /// Whether both map the same thing in the same way, flags and protection aside.
    pub fn same_object(&self, other: &Self) -> bool {
        self.shared == other.shared
            && (self.kind == other.kind || self.is_private_anonymous() && other.is_private_anonymous())
    }
}

pub(crate) fn read(entry: &Process, flags_too: bool) -> Result<Vec<Mapping>> {
    let maps: MemoryMaps = if flags_too { entry.smaps() } else { entry.maps() }
        .map_err(|error| from_procfs(entry.pid, error))?;
    let mut mappings: Vec<Mapping> = maps.into_iter().map(|map| understood(map, flags_too)).collect();
    let pagemap = Pagemap::open(&entry.pid.to_string())?;
    for mapping in
        mappings.iter_mut().filter(|mapping| mapping.memory_kind() == Some(MemoryKind::PrivateFile))
    {
        let mut runs = Vec::new();
        // A layout that changed since is looked at again at the freeze.
        let _ = pagemap.population(mapping.range, true, &mut runs);
        let own = runs.iter().filter(|run| run.state == PageState::Own);
        mapping.own_pages = own.map(|run| run.range.len() / PAGE_SIZE).sum();
    }
    Ok(mappings)
}

/// The layout alone.
pub(crate) fn read_layout(entry: &Process) -> Result<Vec<Mapping>> {
    let maps = entry.maps().map_err(|error| from_procfs(entry.pid, error))?;
    Ok(maps.into_iter().map(|map| understood(map, false)).collect())
}

fn understood(map: MemoryMap, known: bool) -> Mapping {
    let permitted = |which, bit: i32| if map.perms.contains(which) { bit as u32 } else { 0 };
    let shared = map.perms.contains(MMPermissions::SHARED);
    let protection = permitted(MMPermissions::READ, libc::PROT_READ)
        | permitted(MMPermissions::WRITE, libc::PROT_WRITE)
        | permitted(MMPermissions::EXECUTE, libc::PROT_EXEC);
    Mapping {
        range: AddressRange::new(map.address.0, map.address.1),
        protection,
        shared,
        flags: flags(map.extension.vm_flags, known),
        kind: kind(map, shared),
        own_pages: 0,
    }
}

fn kind(map: MemoryMap, shared: bool) -> MappingKind {
    match map.pathname {
        MMapPath::Anonymous | MMapPath::TStack(_) => MappingKind::Anonymous,
        MMapPath::Heap => MappingKind::Heap,
        MMapPath::Stack => MappingKind::Stack,
        MMapPath::Vdso => MappingKind::Vdso,
        MMapPath::Vvar => MappingKind::Vvar { name: "vvar".to_owned() },
        MMapPath::Vsyscall => MappingKind::Vsyscall,
        MMapPath::Vsys(key) => MappingKind::SystemV { key },
        MMapPath::Rollup => MappingKind::Other { name: "rollup".to_owned() },
        MMapPath::Other(name) => {
            let name = name.trim_matches(['[', ']']).to_owned();
            if name.starts_with("vvar") {
                MappingKind::Vvar { name }
            } else if name.starts_with("anon:") {
                MappingKind::Anonymous
            } else if name.starts_with("anon_shmem:") {
                MappingKind::SharedAnonymous { inode: map.inode, offset: map.offset }
            } else {
                MappingKind::Other { name }
            }
        }
        MMapPath::Path(path) => {
            let text = path.to_string_lossy();
            if shared && text == "/dev/zero (deleted)" {
                return MappingKind::SharedAnonymous { inode: map.inode, offset: map.offset };
            }
            if text.starts_with("anon_inode:") || text.starts_with("/[aio]") {
                return MappingKind::Other { name: text.into_owned() };
            }
            let live = text.strip_suffix(" (deleted)");
            if shared && let Some(name) = text.strip_prefix("/memfd:") {
                return memory_file(name.strip_suffix(" (deleted)").unwrap_or(name), map.inode, map.offset);
            }
            MappingKind::File(MappedFile {
                deleted: live.is_some(),
                path: live.map_or_else(|| path.clone(), PathBuf::from),
                device: map.dev,
                inode: map.inode,
                offset: map.offset,
                in_memory: false,
                stored: false,
            })
        }
    }
}

fn flags(all: VmFlags, known: bool) -> MappingFlags {
    MappingFlags {
        known,
        grows_down: all.contains(VmFlags::GD),
        locked: all.contains(VmFlags::LO),
        no_reserve: all.contains(VmFlags::NR),
        huge_pages: all.contains(VmFlags::HG),
        no_huge_pages: all.contains(VmFlags::NH),
        not_for_children: all.contains(VmFlags::DC),
        wiped_for_children: all.contains(VmFlags::WF),
        not_dumped: all.contains(VmFlags::DD),
        read_in_order: all.contains(VmFlags::SR),
        read_at_random: all.contains(VmFlags::RR),
        huge_tlb: all.contains(VmFlags::HT),
        device_memory: all.contains(VmFlags::IO) || all.contains(VmFlags::PF),
    }
}
