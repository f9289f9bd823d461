//! Which pages a process has, where their unmodified content is, which of them were written.

use std::fs::File;
use std::time::Instant;

use linux::AddressRange;
use linux::inventory::{Inventory as Stock, Mapping, MemoryKind};
use linux::pagemap::PageState;
use linux::plan::{Backing, is_stored, plan};
use linux::range::subtract;
use linux::source::TrackedProcess;
use protocol::page_set::PageSet;
use protocol::policy::{Missing, Policy};
use steplog::page::PageNumber;

use super::{Body, LiveProcess, system};
use crate::layout::ContentOrigin;
use crate::subject::SubjectError;

/// The whole address space.
pub(super) const EVERYWHERE: AddressRange = AddressRange::new(0, u64::MAX);

/// Larger mappings are taken into the table only as far as there are pages.
const MAPPING_WHOLE_MAX: u64 = 1 << 20;

impl LiveProcess {
    /// Notes what was written since this was last done.
    pub(super) fn scan(&mut self) -> Result<(), SubjectError> {
        self.scanned = Instant::now();
        if let Body::Came(resumed) = &self.body {
            let mut written = Vec::new();
            for run in self.stored.runs() {
                written.extend(resumed.take_written(run.range).map_err(system)?);
            }
            let pages: Vec<_> = written.into_iter().flat_map(|range| self.table.numbers_in(range)).collect();
            pages.into_iter().filter(|page| self.present.contains(*page)).for_each(|page| {
                self.written.insert(page);
            });
            return Ok(());
        }
        let Some(source) = self.source().filter(|source| source.is_tracked()) else { return Ok(()) };
        let ranges = source.take_written();
        let pages: Vec<_> = match &ranges {
            Ok(ranges) => ranges.iter().flat_map(|range| self.table.numbers_in(*range)).collect(),
            // It has ended; what it wrote last is looked for when that is noticed.
            Err(_) if !source.is_alive() => Vec::new(),
            // Some may have been taken, and nobody knows which.
            Err(_) => (0..self.table.page_count()).map(PageNumber).collect(),
        };
        pages.into_iter().for_each(|page| {
            self.written.insert(page);
            self.touched.insert(page);
        });
        ranges.map(drop).map_err(system)
    }

    /// Pages of stored files that are not as the file server has them count as written.
    pub(super) fn mark_differing(&mut self, range: AddressRange) {
        let present = |page: &PageNumber| self.present.contains(*page);
        let differing: Vec<_> = self.stored.differing(range).into_iter().filter(present).collect();
        differing.into_iter().for_each(|page| {
            self.written.insert(page);
        });
    }

    /// The same of those of which the process has no mapping any more.
    pub(super) fn mark_unmapped(&mut self) -> Result<(), SubjectError> {
        let Some(source) = self.source().filter(|_| !self.stored.is_empty()) else { return Ok(()) };
        let mappings = source.mappings().map_err(system)?;
        let mut gone = Vec::new();
        for run in self.stored.runs() {
            let same = |mapping: &&Mapping| mapping.file().is_some_and(|file| file.path == run.path);
            gone.extend(subtract(run.range, mappings.iter().filter(same).map(|mapping| mapping.range)));
        }
        gone.into_iter().for_each(|range| self.mark_differing(range));
        Ok(())
    }

    /// What makes a mapping of a file of the file server impossible to move: by this algorithm, or at all.
    pub(super) fn stored_obstacles(&self, stock: &Stock, policy: &Policy) -> Vec<String> {
        let stored: Vec<&Mapping> =
            stock.mappings.iter().filter(|mapping| is_stored(mapping, &self.files)).collect();
        let mut obstacles = Vec::new();
        for (at, mapping) in stored.iter().enumerate() {
            let Some(file) = mapping.file() else { continue };
            let name = file.path.display();
            if !policy.writes_back() {
                obstacles.push(format!(
                    "mapping {}: {name} is the file server's, and {} does not write back to it",
                    mapping.range, policy.name
                ));
            }
            if !file.path.is_absolute() || file.deleted {
                obstacles.push(format!(
                    "mapping {}: {name} is no file that the file server can have",
                    mapping.range
                ));
            }
            let end = |mapping: &Mapping, offset: u64| offset + mapping.range.len();
            let again = stored[..at].iter().filter_map(|other| Some((other, other.file()?))).any(
                |(other, before)| {
                    before.path == file.path
                        && before.offset < end(mapping, file.offset)
                        && file.offset < end(other, before.offset)
                },
            );
            if again {
                obstacles.push(format!("mapping {}: a part of {name} is mapped twice", mapping.range));
            }
        }
        obstacles
    }

    /// The ranges whose pages get numbers, with where their unmodified content is.
    pub(super) fn ranges(
        &self,
        source: &TrackedProcess,
        stock: &Stock,
    ) -> Result<Vec<(AddressRange, ContentOrigin)>, SubjectError> {
        let mut ranges = Vec::new();
        for (mapping, backing) in plan(stock, &self.files).filter(|(_, backing)| backing.is_installed()) {
            match clean_file(&backing) {
                None if is_stored(mapping, &self.files) => {
                    ranges.push((mapping.range, stored_origin(source.pid(), mapping)?));
                }
                Some(path) => {
                    let offset = mapping.file().map_or(0, |file| file.offset);
                    ranges.push((mapping.range, ContentOrigin::File { path, offset }));
                }
                None if mapping.file().is_some() || is_taken_whole(mapping) => {
                    ranges.push((mapping.range, ContentOrigin::Zero))
                }
                None => {
                    let runs = source.population_of(mapping).map_err(system)?;
                    ranges.extend(
                        joined(runs.iter().map(|run| run.range))
                            .into_iter()
                            .map(|range| (range, ContentOrigin::Zero)),
                    );
                }
            }
        }
        Ok(ranges)
    }

    /// Pages that differ from what their origin says.
    ///
    /// Where missing pages are fetched from the file server, which has none of the files of private mappings, that includes what is in
    /// those files.
    pub(super) fn mark_modified(&mut self, policy: &Policy) -> Result<(), SubjectError> {
        let Body::Here(source) = &self.body else { return Err(system("the process does not run here")) };
        let runs = source.population().map_err(system)?;
        let stock: Stock = source.inventory().map_err(system)?;
        let mut written = PageSet::empty(self.table.page_count());
        for run in runs.iter().filter(|run| run.state == PageState::Own) {
            self.table.numbers_in(run.range).for_each(|page| {
                written.insert(page);
            });
        }
        // What is in a file that is not where it will be looked for has to travel, and so has shared memory.
        let from_server = policy.missing == Missing::FileServer;
        for (mapping, backing) in plan(&stock, &self.files) {
            let lacks_file = mapping.file().is_some()
                && (clean_file(&backing).is_none() || from_server)
                && !is_stored(mapping, &self.files);
            if backing.is_installed()
                && (lacks_file || mapping.memory_kind() == Some(MemoryKind::SharedAnonymous))
            {
                self.table.numbers_in(mapping.range).for_each(|page| {
                    written.insert(page);
                });
            }
        }
        self.touched = written.clone();
        self.written = written;
        self.present = PageSet::filled(self.table.page_count(), |_| true);
        self.mark_differing(EVERYWHERE);
        Ok(())
    }

    /// Pages that the process has discarded or unmapped count as written: they are zero, whatever was sent of them.
    pub(super) fn mark_given_up(&mut self, stock: &Stock) -> Result<(), SubjectError> {
        let source = self.source().ok_or_else(|| system("the process is not here"))?;
        let mut there = PageSet::empty(self.table.page_count());
        for mapping in stock.mappings.iter().filter(|mapping| mapping.memory_kind().is_some()) {
            for run in source.population_of(mapping).map_err(system)? {
                self.table.numbers_in(run.range).for_each(|page| {
                    there.insert(page);
                });
            }
        }
        let gone = |page: &PageNumber| !there.contains(*page) && !self.stored.contains(*page);
        let given_up: Vec<_> = self.touched.iter().filter(gone).collect();
        given_up.into_iter().for_each(|page| {
            self.written.insert(page);
        });
        Ok(())
    }

    /// Pages that have come since the plan was made.
    pub(super) fn extra(
        &self,
        source: &TrackedProcess,
        stock: &Stock,
    ) -> Result<Vec<AddressRange>, SubjectError> {
        let mut extra = Vec::new();
        for (mapping, backing) in plan(stock, &self.files).filter(|(_, backing)| backing.is_installed()) {
            let wanted = match mapping.file().is_some() || clean_file(&backing).is_some() {
                true => vec![mapping.range],
                false => {
                    let runs = source.population_of(mapping).map_err(system)?;
                    joined(runs.iter().filter(|run| run.state != PageState::Zero).map(|run| run.range))
                }
            };
            let missing: Vec<_> = wanted.into_iter().flat_map(|range| self.table.missing(range)).collect();
            if !missing.is_empty() && is_stored(mapping, &self.files) {
                let reason = "it has mapped a file of the file server since it was looked at; it has to be looked at again";
                return Err(system(reason));
            }
            extra.extend(missing);
        }
        Ok(extra)
    }
}

/// Where the file server has a file: below its root, under the name that the process knows.
fn stored_origin(pid: i32, mapping: &Mapping) -> Result<ContentOrigin, SubjectError> {
    let file = mapping.file().ok_or_else(|| system("a mapping without a file"))?;
    let name = file.path.strip_prefix("/").ok().and_then(|path| path.to_str());
    let name =
        name.ok_or_else(|| system(format!("{} is no name for the file server", file.path.display())))?;
    let size = object_of(pid, mapping)?.metadata().map_err(system)?.len();
    let len = size.saturating_sub(file.offset).min(mapping.range.len());
    Ok(ContentOrigin::Stored { path: name.to_owned(), offset: file.offset, len })
}

/// What a mapping is of, whatever has become of its name.
pub(super) fn object_of(pid: i32, mapping: &Mapping) -> Result<File, SubjectError> {
    let path = format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.range.start, mapping.range.end);
    File::open(&path).map_err(|error| system(format!("{path}: {error}")))
}

/// The local file that has the unmodified pages.
fn clean_file(backing: &Backing) -> Option<String> {
    let (Backing::Memory { clean: Some(path) } | Backing::SharedMemory { clean: Some(path) }) = backing
    else {
        return None;
    };
    path.to_str().map(str::to_owned)
}

fn is_taken_whole(mapping: &Mapping) -> bool {
    mapping.range.len() <= MAPPING_WHOLE_MAX && mapping.is_writable()
}

pub(super) fn joined(ranges: impl Iterator<Item = AddressRange>) -> Vec<AddressRange> {
    let mut joined: Vec<AddressRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}
