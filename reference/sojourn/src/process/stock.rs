//! Which pages a process has, where their unmodified content is, which of them were written.

use std::time::Instant;

use linux::inventory::{Inventory as Stock, Mapping, MemoryKind};
use linux::pagemap::PageState;
use linux::plan::{Backing, plan};
use linux::source::Source;
use linux::{AddressRange, PAGE_SIZE};
use protocol::page_set::PageSet;
use steplog::page::PageNumber;

use super::{Body, Process, system};
use crate::layout::Origin;
use crate::subject::SubjectError;

/// Larger mappings are taken into the table only as far as there are pages.
const MAPPING_WHOLE_MAX: u64 = 1 << 20;

impl Process {
    /// Notes what was written since this was last done.
    pub(super) fn scan(&mut self) -> Result<(), SubjectError> {
        self.scanned = Instant::now();
        let Some(source) = self.source().filter(|source| source.is_tracked()) else { return Ok(()) };
        let ranges = source.take_written();
        let pages: Vec<_> = match &ranges {
            Ok(ranges) => ranges.iter().flat_map(|range| self.table.numbers_in(*range)).collect(),
            // Some may have been taken, and nobody knows which.
            Err(_) => (0..self.table.page_count()).map(PageNumber).collect(),
        };
        pages.into_iter().for_each(|page| {
            self.written.insert(page);
            self.touched.insert(page);
        });
        ranges.map(drop).map_err(system)
    }


    /// The ranges whose pages get numbers, with where their unmodified content is.
    pub(super) fn ranges(&self, source: &Source, stock: &Stock) -> Result<Vec<(AddressRange, Origin)>, SubjectError> {
        let mut ranges = Vec::new();
        for (mapping, backing) in plan(stock, &self.files).filter(|(_, backing)| backing.is_installed()) {
            match clean_file(&backing) {
                Some(path) => {
                    let offset = mapping.file().map_or(0, |file| file.offset);
                    ranges.push((mapping.range, Origin::File { path, offset }));
                }
                None if mapping.file().is_some() || is_taken_whole(mapping) => {
                    ranges.push((mapping.range, Origin::Zero))
                }
                None => {
                    let runs = source.population_of(mapping).map_err(system)?;
                    ranges.extend(
                        joined(runs.iter().map(|run| run.range))
                            .into_iter()
                            .map(|range| (range, Origin::Zero)),
                    );
                }
            }
        }
        Ok(ranges)
    }

    /// Pages that differ from what their origin says.
    pub(super) fn mark_modified(&mut self) -> Result<(), SubjectError> {
        let Body::Here(source) = &self.body else { return Err(system("the process does not run here")) };
        let runs = source.population().map_err(system)?;
        let stock: Stock = source.inventory().map_err(system)?;
        let mut written = PageSet::empty(self.table.page_count());
        for run in runs.iter().filter(|run| run.state == PageState::Own) {
            self.table.numbers_in(run.range).for_each(|page| {
                written.insert(page);
            });
        }
        // What is in a file that the destination does not have has to travel, and so has shared memory.
        for (mapping, backing) in plan(&stock, &self.files) {
            let lacks_file = mapping.file().is_some() && clean_file(&backing).is_none();
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
        Ok(())
    }

    /// Pages that the process has discarded or unmapped count as written: they are zero, whatever was sent of them.
    pub(super) fn mark_given_up(&mut self) -> Result<(), SubjectError> {
        let source = self.source().ok_or_else(|| system("the process is not here"))?;
        let mut there = PageSet::empty(self.table.page_count());
        for run in source.population().map_err(system)? {
            self.table.numbers_in(run.range).for_each(|page| {
                there.insert(page);
            });
        }
        let given_up: Vec<_> = self.touched.iter().filter(|page| !there.contains(*page)).collect();
        given_up.into_iter().for_each(|page| {
            self.written.insert(page);
        });
        Ok(())
    }

    /// Pages that have come since the plan was made.
    pub(super) fn extra(&self, source: &Source, stock: &Stock) -> Result<Vec<AddressRange>, SubjectError> {
        let mut extra = Vec::new();
        for (mapping, backing) in plan(stock, &self.files).filter(|(_, backing)| backing.is_installed()) {
            let wanted = match mapping.file().is_some() || clean_file(&backing).is_some() {
                true => vec![mapping.range],
                false => {
                    let runs = source.population_of(mapping).map_err(system)?;
                    joined(runs.iter().filter(|run| run.state != PageState::Zero).map(|run| run.range))
                }
            };
            extra.extend(wanted.into_iter().flat_map(|range| self.table.missing(range)));
        }
        Ok(extra)
    }
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
