//! The address space: emptied, filled, covered.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};

use super::target::{CLOSE, MMAP, MUNMAP, Target, free_range};
use crate::error::{Doing, LinuxError, Result};
use crate::inventory::mapping::name_in_memory;
use crate::inventory::{Inventory, Mapping, MappingKind};
use crate::plan::{Backing, FileChoices, backing, is_stored};
use crate::range::{AddressRange, PAGE_SIZE};
use crate::tracing::inject::Call;
use crate::userfault::{Cover, Userfault};

pub(super) const MREMAP: Call = Call("mremap", libc::SYS_mremap);
pub(super) const MPROTECT: Call = Call("mprotect", libc::SYS_mprotect);
const MADVISE: Call = Call("madvise", libc::SYS_madvise);
const PRCTL: Call = Call("prctl(PR_SET_MM_MAP)", libc::SYS_prctl);

/// Makes the address space that of `inventory`.
pub(super) fn build(
    target: &mut Target,
    inventory: &Inventory,
    files: &FileChoices,
    shared: &mut BTreeMap<u64, OwnedFd>,
) -> Result<()> {
    empty(target)?;
    move_kernel_mappings(target, inventory)?;
    let mappings: Vec<&Mapping> =
        inventory.mappings.iter().filter(|mapping| backing(mapping, files) != Backing::Kernel).collect();
    map_all(target, &mappings, files, shared)
}

/// Maps each of `mappings`, whose places are free.
pub(super) fn map_all(
    target: &Target,
    mappings: &[&Mapping],
    files: &FileChoices,
    shared: &mut BTreeMap<u64, OwnedFd>,
) -> Result<()> {
    let behind: Vec<Behind> = mappings.iter().map(|mapping| Behind::of(mapping, files)).collect();
    let mut opened: BTreeMap<Behind, OwnedFd> = BTreeMap::new();
    for (mapping, behind) in mappings.iter().zip(&behind) {
        match behind {
            Behind::Nothing => {}
            Behind::File { path, writable } => {
                if !opened.contains_key(behind) {
                    opened.insert(behind.clone(), open(path, *writable)?);
                }
            }
            Behind::Shared(inode) => {
                let end = object_offset(mapping) + mapping.range.len();
                grow_shared(shared, *inode, (mapping, is_stored(mapping, files)), end)?;
            }
        }
    }
    let wanted: Vec<&Behind> = {
        let mut wanted: Vec<&Behind> = behind.iter().filter(|behind| **behind != Behind::Nothing).collect();
        wanted.sort();
        wanted.dedup();
        wanted
    };
    let descriptors: Vec<BorrowedFd<'_>> = wanted
        .iter()
        .filter_map(|behind| match behind {
            Behind::Shared(inode) => shared.get(inode).map(|descriptor| descriptor.as_fd()),
            other => opened.get(*other).map(|descriptor| descriptor.as_fd()),
        })
        .collect();
    let numbers: BTreeMap<&Behind, i32> = wanted.iter().copied().zip(target.pass(&descriptors)?).collect();
    for (mapping, behind) in mappings.iter().zip(&behind) {
        map_one(target, mapping, numbers.get(behind).copied())?;
    }
    for number in numbers.values() {
        target.call(CLOSE, &[*number as u64])?;
    }
    Ok(())
}

/// Notes faults and writes in everything that pages are installed in.
pub(super) fn cover(userfault: &Userfault, inventory: &Inventory, files: &FileChoices) -> Result<()> {
    inventory
        .mappings
        .iter()
        .filter(|mapping| backing(mapping, files).is_installed())
        .try_for_each(|mapping| cover_one(userfault, mapping.range))
}

pub(super) fn cover_one(userfault: &Userfault, range: AddressRange) -> Result<()> {
    userfault.register(range, Cover::MissingAndWrites).doing(|| format!("cover {range}"))
}

/// Makes pages absent. Their mappings are uncovered meanwhile: the kernel would wait for somebody to read that they went.
pub(super) fn discard(
    target: &Target,
    userfault: &Userfault,
    inventory: &Inventory,
    files: &FileChoices,
    ranges: &[AddressRange],
) -> Result<()> {
    let concerned: Vec<&Mapping> = inventory
        .mappings
        .iter()
        .filter(|mapping| backing(mapping, files).is_installed())
        .filter(|mapping| ranges.iter().any(|range| range.intersection(mapping.range).is_some()))
        .collect();
    for mapping in &concerned {
        userfault.unregister(mapping.range).doing(|| format!("uncover {}", mapping.range))?;
    }
    let advice = |mapping: &Mapping| if mapping.shared { libc::MADV_REMOVE } else { libc::MADV_DONTNEED };
    for mapping in &concerned {
        let parts: Vec<AddressRange> =
            ranges.iter().filter_map(|range| range.intersection(mapping.range)).collect();
        advise_all(target, &parts, advice(mapping))?;
    }
    concerned.iter().try_for_each(|mapping| cover_one(userfault, mapping.range))
}

/// One piece of advice for many ranges: in one call where the kernel takes any advice from a process about itself.
fn advise_all(target: &Target, ranges: &[AddressRange], advice: i32) -> Result<()> {
    const PROCESS_MADVISE: Call = Call("process_madvise", libc::SYS_process_madvise);
    const PIDFD_SELF_THREAD_GROUP: u64 = -10_001i64 as u64;
    const BATCH: usize = 512;
    for batch in ranges.chunks(BATCH) {
        let words: Vec<u64> = batch.iter().flat_map(|range| [range.start, range.len()]).collect();
        let vector = target.write_words(0, &words)?;
        let total: u64 = batch.iter().map(|range| range.len()).sum();
        let arguments = [PIDFD_SELF_THREAD_GROUP, vector, batch.len() as u64, advice as u64, 0];
        if batch.len() > 1 && matches!(target.call(PROCESS_MADVISE, &arguments), Ok(done) if done == total) {
            continue;
        }
        for range in batch {
            target.call(MADVISE, &[range.start, range.len(), advice as u64])?;
        }
    }
    Ok(())
}

/// Tells the kernel where code, heap, stack, arguments and environment are, and which program this is.
pub(super) fn describe(target: &Target, inventory: &Inventory, files: &FileChoices) -> Result<()> {
    let layout = &inventory.process.layout;
    let heap_end = inventory
        .mappings
        .iter()
        .find(|mapping| mapping.kind == MappingKind::Heap)
        .map(|mapping| mapping.range.end);
    let break_end =
        if layout.break_end != 0 { layout.break_end } else { heap_end.unwrap_or(layout.break_start) };
    let program = open(&files.local_path(&inventory.process.executable), false).ok();
    let number = match &program {
        Some(program) => target.pass(&[program.as_fd()])?[0],
        None => -1,
    };
    let auxiliary = target.write_words(32, &inventory.process.auxiliary)?;
    let described = target.write_words(
        0,
        &[
            layout.code_start,
            layout.code_end,
            layout.data_start,
            layout.data_end,
            layout.break_start,
            break_end,
            layout.stack_start,
            layout.arguments_start,
            layout.arguments_end,
            layout.environment_start,
            layout.environment_end,
            auxiliary,
            (inventory.process.auxiliary.len() as u64 * 8) | ((number as u32 as u64) << 32),
        ],
    )?;
    const PR_SET_MM: u64 = 35;
    const PR_SET_MM_MAP: u64 = 14;
    target.call(PRCTL, &[PR_SET_MM, PR_SET_MM_MAP, described, 13 * 8, 0])?;
    if number >= 0 {
        target.call(CLOSE, &[number as u64])?;
    }
    Ok(())
}

/// What a mapping needs a descriptor of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Behind {
    Nothing,
    File { path: PathBuf, writable: bool },
    Shared(u64),
}

impl Behind {
    fn of(mapping: &Mapping, files: &FileChoices) -> Self {
        match backing(mapping, files) {
            Backing::Memory { .. } | Backing::Kernel => Self::Nothing,
            Backing::File(path) => Self::File { path, writable: false },
            Backing::SharedFile(path) => Self::File { path, writable: mapping.is_writable() },
            Backing::SharedMemory { .. } => Self::Shared(object_of(mapping)),
        }
    }
}

/// The number of the object that a shared mapping is of.
fn object_of(mapping: &Mapping) -> u64 {
    match &mapping.kind {
        MappingKind::File(file) => file.inode,
        MappingKind::SharedAnonymous { inode, .. } => *inode,
        _ => 0,
    }
}

fn object_offset(mapping: &Mapping) -> u64 {
    match &mapping.kind {
        MappingKind::File(file) => file.offset,
        MappingKind::SharedAnonymous { offset, .. } => *offset,
        _ => 0,
    }
}

fn open(path: &Path, writable: bool) -> Result<OwnedFd> {
    let access = if writable { OFlags::RDWR } else { OFlags::RDONLY };
    rustix::fs::open(path, access | OFlags::CLOEXEC, Mode::empty())
        .doing(|| format!("open {}", path.display()))
}

fn grow_shared(
    shared: &mut BTreeMap<u64, OwnedFd>,
    inode: u64,
    (mapping, stored): (&Mapping, bool),
    length: u64,
) -> Result<()> {
    let doing = || "make memory for a shared mapping".to_owned();
    let object = match shared.entry(inode) {
        Entry::Occupied(made) => made.into_mut(),
        Entry::Vacant(place) => {
            let name = name_in_memory(mapping, stored).ok_or_else(|| {
                LinuxError::Unsupported(format!("the name of the file at {} is too long", mapping.range))
            })?;
            place.insert(rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC).doing(doing)?)
        }
    };
    let now = rustix::fs::fstat(&*object).doing(doing)?.st_size as u64;
    if now < length {
        rustix::fs::ftruncate(&*object, length).doing(doing)?;
    }
    Ok(())
}

fn map_one(target: &Target, mapping: &Mapping, number: Option<i32>) -> Result<()> {
    let range = mapping.range;
    let mut flags = libc::MAP_FIXED_NOREPLACE;
    flags |= if mapping.shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
    if number.is_none() {
        flags |= libc::MAP_ANONYMOUS;
    }
    if mapping.flags.no_reserve {
        flags |= libc::MAP_NORESERVE;
    }
    if mapping.flags.grows_down || mapping.kind == MappingKind::Stack {
        flags |= libc::MAP_GROWSDOWN;
    }
    let (number, offset) = number.map_or((u64::MAX, 0), |number| (number as u64, object_offset(mapping)));
    // Memory that was ever writable is accounted for, and the kernel joins it with nothing that is not: so it begins as writable here too.
    let readable = mapping.protection & libc::PROT_READ as u32 != 0;
    let begins_writable = readable && !mapping.is_writable() && flags & libc::MAP_ANONYMOUS != 0;
    let first =
        if begins_writable { mapping.protection | libc::PROT_WRITE as u32 } else { mapping.protection };
    let at =
        target.call(MMAP, &[range.start, range.len(), u64::from(first), flags as u64, number, offset])?;
    if at != range.start {
        return Err(LinuxError::CannotFollow(format!("{range} is not free")));
    }
    if begins_writable {
        target.call(MPROTECT, &[range.start, range.len(), u64::from(mapping.protection)])?;
    }
    let advice = [
        (mapping.flags.huge_pages, libc::MADV_HUGEPAGE),
        (mapping.flags.no_huge_pages, libc::MADV_NOHUGEPAGE),
        (mapping.flags.not_for_children, libc::MADV_DONTFORK),
        (mapping.flags.wiped_for_children, libc::MADV_WIPEONFORK),
        (mapping.flags.not_dumped, libc::MADV_DONTDUMP),
        (mapping.flags.read_in_order, libc::MADV_SEQUENTIAL),
        (mapping.flags.read_at_random, libc::MADV_RANDOM),
    ];
    for (_, advice) in advice.into_iter().filter(|(wanted, _)| *wanted) {
        target.call(MADVISE, &[range.start, range.len(), advice as u64])?;
    }
    Ok(())
}

/// Locks what was locked, once its pages are there or may be waited for.
pub(super) fn lock_all(target: &Target, inventory: &Inventory) -> Result<()> {
    const MLOCK2: Call = Call("mlock2", libc::SYS_mlock2);
    const MLOCK_ONFAULT: u64 = 1;
    for mapping in inventory.mappings.iter().filter(|mapping| mapping.flags.locked) {
        target.call(MLOCK2, &[mapping.range.start, mapping.range.len(), MLOCK_ONFAULT])?;
    }
    Ok(())
}

/// Unmaps everything but the stage and the kernel's own.
fn empty(target: &Target) -> Result<()> {
    let stage = target.stage();
    let stays = |mapping: &Mapping| mapping.range == stage || is_kernels(mapping);
    let mut at = 0;
    let mut gone = Vec::new();
    let mappings = target.mappings()?;
    for mapping in mappings.iter().filter(|mapping| stays(mapping)) {
        if mapping.range.start > at {
            gone.push(AddressRange::new(at, mapping.range.start));
        }
        at = mapping.range.end;
    }
    gone.push(AddressRange::new(at, 0x7fff_ffff_f000));
    for range in gone.into_iter().filter(|range| !range.is_empty() && range.start < 0x7fff_ffff_f000) {
        let end = range.end.min(0x7fff_ffff_f000);
        target.call(MUNMAP, &[range.start, end - range.start])?;
    }
    Ok(())
}

fn is_kernels(mapping: &Mapping) -> bool {
    matches!(mapping.kind, MappingKind::Vdso | MappingKind::Vvar { .. } | MappingKind::Vsyscall)
}

/// Moves the kernel's own mappings to where the process has them: first aside, since new and old places may overlap.
fn move_kernel_mappings(target: &Target, inventory: &Inventory) -> Result<()> {
    let here = target.mappings()?;
    let movable = |mapping: &&Mapping| is_kernels(mapping) && mapping.kind != MappingKind::Vsyscall;
    let wanted: Vec<&Mapping> = inventory.mappings.iter().filter(movable).collect();
    let have: Vec<&Mapping> = here.iter().filter(movable).collect();
    if wanted.iter().zip(&have).all(|(wanted, have)| wanted.range == have.range) && wanted.len() == have.len()
    {
        return Ok(());
    }
    let total: u64 = have.iter().map(|mapping| mapping.range.len()).sum();
    let taken: Vec<AddressRange> =
        here.iter().chain(&inventory.mappings).map(|mapping| mapping.range).collect();
    let mut aside = free_range(&taken, total)?;
    for mapping in have {
        let length = mapping.range.len();
        move_to(target, mapping.range, aside)?;
        let place = wanted.iter().find(|wanted| wanted.kind == mapping.kind);
        match place {
            Some(place) if place.range.len() == length => {}
            Some(place) => {
                return Err(LinuxError::CannotFollow(format!(
                    "the kernel's mapping at {} has another length",
                    place.range
                )));
            }
            // The process had unmapped it.
            None => {
                target.call(MUNMAP, &[aside, length])?;
            }
        }
        aside += length;
    }
    let aside = target.mappings()?;
    for place in wanted {
        let found = aside.iter().find(|mapping| mapping.kind == place.kind);
        let found =
            found.ok_or_else(|| LinuxError::CannotFollow(format!("no mapping {:?} here", place.kind)))?;
        move_to(target, found.range, place.range.start)?;
    }
    Ok(())
}

fn move_to(target: &Target, from: AddressRange, to: u64) -> Result<()> {
    let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64;
    target.call(MREMAP, &[from.start, from.len(), from.len(), flags, to]).map(drop)
}

const _: () = assert!(PAGE_SIZE == 4096);
