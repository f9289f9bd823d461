//! Builds processes at a destination, with what of their files is there.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use linux::build::{BuildOptions, BuiltProcess};
use linux::plan::{Backing, FileChoice, FileChoices, content_hash, plan};
use linux::{AddressRange, PAGE_SIZE};
use protocol::page::{PAGE_SIZE as PAGE_LEN, PageBytes};
use steplog::page::PageNumber;

use super::parcel::{BuildPlan, FileFacts, FilesQuestion, pack, unpack};
use super::table::Table;
use super::{LiveProcess, boot_id, system};
use crate::subject::{Built, PROCESS, Plan, SubjectBuilder, SubjectError};

/// Builds processes.
#[derive(Default)]
pub struct ProcessBuilder {
    /// Hashes of files here, while they stay as they are.
    hashes: Mutex<HashMap<Identity, [u8; 32]>>,
}

/// Path, inode, length, time of the last change.
type Identity = (PathBuf, u64, u64, i64, i64);

impl ProcessBuilder {
    fn choice(&self, facts: &FileFacts, same_machine: bool) -> FileChoice {
        let Ok(metadata) = std::fs::metadata(&facts.path) else { return FileChoice::Absent };
        if same_machine && facts.identity == (metadata.dev(), metadata.ino()) {
            return FileChoice::Same(facts.path.clone());
        }
        let identity =
            (facts.path.clone(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        let known = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).get(&identity).copied();
        let hash = known.or_else(|| content_hash(&facts.path).ok());
        if let Some(hash) = hash {
            self.hashes.lock().unwrap_or_else(PoisonError::into_inner).insert(identity, hash);
        }
        match hash {
            Some(hash) if hash == facts.hash => FileChoice::Local(facts.path.clone()),
            _ => FileChoice::Absent,
        }
    }
}

impl SubjectBuilder for ProcessBuilder {
    fn subject(&self) -> &str {
        PROCESS
    }

    fn answer(&self, question: &[u8]) -> Result<Vec<u8>, SubjectError> {
        let FilesQuestion { boot, files } = unpack(question, &[])?;
        let same_machine = boot_id().is_some_and(|here| here == boot);
        let by_path = files.iter().map(|facts| (facts.path.clone(), self.choice(facts, same_machine)));
        pack(&FileChoices { by_path: by_path.collect(), all_same: false }, &[])
    }

    fn build(&self, request: &Plan<'_>) -> Result<Built, SubjectError> {
        let plan: BuildPlan = unpack(request.build, &[])?;
        check(&plan.ranges, plan.spares, request.layout.page_count())?;
        let table = Table::new(&plan.ranges, plan.spares);
        let contents = contents(&plan.inventory, &plan.files, &table);
        let options = BuildOptions { files: plan.files.clone(), ..BuildOptions::default() };
        let destination = BuiltProcess::build(&plan.inventory, options)
            .map_err(|error| SubjectError::Unbuildable(error.to_string()))?;
        tracing::info!(pid = destination.pid(), built_for = ?destination.built_for(), "process built");
        let pid = u32::try_from(destination.pid()).ok();
        let process = LiveProcess::built(destination, table, plan, request.build.to_vec())?;
        Ok(Built { subject: Box::new(process), lacking: Vec::new(), pid, contents })
    }
}

/// Whether the ranges are such, and as many pages as the layout says.
fn check(ranges: &[AddressRange], spares: u64, pages: u64) -> Result<(), SubjectError> {
    let unfit = || SubjectError::Unfit("the ranges of its pages cannot be".to_owned());
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    let whole = |range: &AddressRange| {
        range.start < range.end
            && range.start.is_multiple_of(PAGE_SIZE)
            && range.end.is_multiple_of(PAGE_SIZE)
    };
    let apart = sorted.windows(2).all(|pair| pair[0].end <= pair[1].start);
    let count = ranges
        .iter()
        .try_fold(spares, |sum, range| sum.checked_add(range.end.checked_sub(range.start)? / PAGE_SIZE));
    if sorted.iter().all(whole) && apart && count == Some(pages) { Ok(()) } else { Err(unfit()) }
}

/// The pages that are in files here.
fn contents(
    inventory: &linux::inventory::Inventory,
    files: &FileChoices,
    table: &Table,
) -> Box<dyn Fn(PageNumber) -> Option<PageBytes> + Send> {
    let behind = plan(inventory, files).filter_map(|(mapping, backing)| {
        let (Backing::Memory { clean: Some(path) } | Backing::SharedMemory { clean: Some(path) }) = backing
        else {
            return None;
        };
        Some((mapping.range, mapping.file()?.offset, File::open(path).ok()?))
    });
    let behind: Vec<_> = behind.collect();
    let table = table.clone();
    Box::new(move |page| {
        let at = table.place_of(page)? * PAGE_SIZE;
        let (range, offset, file) = behind.iter().find(|(range, ..)| range.contains(at))?;
        let mut bytes = [0; PAGE_LEN];
        let mut read = 0;
        while let Ok(count @ 1..) = file.read_at(&mut bytes[read..], at - range.start + offset + read as u64)
        {
            read += count;
        }
        Some(PageBytes::from(bytes))
    })
}

/// What tells the files of a process from others.
pub(super) fn facts(paths: Vec<PathBuf>) -> Result<Vec<FileFacts>, SubjectError> {
    let facts = paths.into_iter().filter(|path| path.is_file()).map(|path| {
        let metadata = std::fs::metadata(&path).map_err(system)?;
        let hash = content_hash(&path).map_err(system)?;
        Ok(FileFacts { identity: (metadata.dev(), metadata.ino()), path, hash })
    });
    facts.collect()
}
