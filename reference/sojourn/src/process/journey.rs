//! A process on its way: asked what it needs, taken stock of, stopped, prepared, handed over, settled.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use linux::PAGE_SIZE;
use linux::build::Running;
use linux::inventory::MemoryKind;
use linux::obstacle::StandardStreams;
use linux::plan::{FileChoice, files};
use linux::source::TrackedProcess;
use protocol::memory::Memory as _;
use protocol::page::PageKind;
use protocol::page_set::PageSet;
use protocol::policy::Policy;
use steplog::header::Unseen;
use steplog::page::PageNumber;

use super::parcel::{BuildPlan, FilesQuestion, FrozenParcel, pack, unpack};
use super::stock::{EVERYWHERE, object_of};
use super::stored::StoredRun;
use super::table::Table;
use super::{Body, LiveProcess, boot_id, builder, system};
use crate::layout::{AddressSpaceLayout, ContentOrigin, LayoutRun};
use crate::subject::{Alarm, Occurrence, PROCESS, Stopped, Subject, SubjectError, SubjectInventory};

/// Pages that may come between the inventory and the freeze.
const SPARES_MIN: u64 = 2048;

/// How often to look which pages were written.
const SCAN_INTERVAL: Duration = Duration::from_millis(10);

impl Subject for LiveProcess {
    fn inquiry(&mut self) -> Result<Option<Vec<u8>>, SubjectError> {
        if let (Body::Settled, Some(running)) = (&self.body, &self.running) {
            self.body = Body::Here(running.source().map_err(system)?);
        }
        let source = match &self.body {
            Body::Here(source) => source,
            Body::Gone => return Err(system("the process is not here any more")),
            // It has to settle first; then it is asked again.
            _ => return Ok(Some(Vec::new())),
        };
        let (stock, obstacles) = source.obstacles(StandardStreams::Replace).map_err(system)?;
        if !obstacles.is_empty() {
            return Err(SubjectError::Immovable(obstacles.iter().map(ToString::to_string).collect()));
        }
        let files = builder::facts(files(&stock))?;
        let boot = boot_id().unwrap_or_default();
        pack(&FilesQuestion { boot, files }, &[]).map(Some)
    }

    fn heed(&mut self, answer: &[u8]) -> Result<(), SubjectError> {
        self.files = unpack(answer, &[])?;
        // The program itself can be run from nowhere else.
        let absent: Vec<_> =
            self.files.by_path.iter().filter(|(_, choice)| **choice == FileChoice::Absent).collect();
        absent
            .iter()
            .for_each(|(path, _)| tracing::info!(path = %path.display(), "not there: its pages travel"));
        Ok(())
    }

    fn inventory(&mut self, policy: &Policy) -> Result<SubjectInventory, SubjectError> {
        let Body::Here(source) = &mut self.body else { return Err(system("the process does not run here")) };
        let stopped = source.track().map_err(system)?;
        tracing::info!(pid = source.pid(), stopped_for = ?stopped.stopped_for, "writes are noted");
        // From here on nothing that is written is missed; what was written before is looked up below.
        source.take_written().map_err(system)?;
        let stock = source.inventory().map_err(system)?;
        if policy.writes_back() {
            let shared = stock.mappings.iter().filter(|mapping| {
                mapping.memory_kind() == Some(MemoryKind::SharedFile) && mapping.is_writable()
            });
            let paths = shared.filter_map(|mapping| Some(mapping.file()?.path.clone()));
            self.files.by_path.extend(paths.map(|path| (path, FileChoice::Stored)));
        }
        let obstacles = self.stored_obstacles(&stock, policy);
        if !obstacles.is_empty() {
            return Err(SubjectError::Immovable(obstacles));
        }
        let Body::Here(source) = &self.body else { return Err(system("the process does not run here")) };
        let ranges = self.ranges(source, &stock)?;
        let places: Vec<_> = ranges.iter().map(|(range, _)| *range).collect();
        let count: u64 = places.iter().map(|range| range.len() / PAGE_SIZE).sum();
        let spares = SPARES_MIN + count / 4;
        self.table = Table::new(&places, spares);
        let mut stored = Vec::new();
        let mut first = 0;
        for (range, origin) in &ranges {
            let mapping = stock.mapping_at(range.start);
            if let ContentOrigin::Stored { offset, len, .. } = *origin
                && let Some((mapping, file)) = mapping.and_then(|mapping| Some((mapping, mapping.file()?)))
            {
                let (path, inode) = (file.path.clone(), file.inode);
                let run = StoredRun { first, range: *range, path, inode, offset, len };
                stored.push((run, object_of(source.pid(), mapping)?));
            }
            first += range.len() / PAGE_SIZE;
        }
        let runs = ranges.into_iter().map(|(range, origin)| {
            let kind = match origin {
                ContentOrigin::Stored { .. } => PageKind::FileMapped,
                _ => PageKind::Private,
            };
            LayoutRun { pages: range.len() / PAGE_SIZE, kind, origin }
        });
        let spare = LayoutRun { pages: spares, kind: PageKind::Private, origin: ContentOrigin::Zero };
        let layout = AddressSpaceLayout { runs: runs.chain([spare]).collect() };
        let none = PageSet::empty(self.table.page_count());
        (self.void, self.unplaced) = (none, BTreeMap::new());
        let stored_runs = stored.iter().map(|(run, _)| run.clone()).collect();
        self.stored.replace(stored);
        self.mark_modified(policy)?;
        let files = self.files.clone();
        let plan = BuildPlan { inventory: stock, files, ranges: places, spares, stored: stored_runs };
        self.build = pack(&plan, &[])?;
        Ok(SubjectInventory { subject: PROCESS.to_owned(), layout, build: self.build.clone() })
    }

    fn must_travel(&mut self, pages: &[(u64, u64)]) {
        for page in pages.iter().flat_map(|(first, count)| *first..first.saturating_add(*count)) {
            self.written.insert(PageNumber(page));
        }
    }

    fn poll_occurrence(&mut self) -> Option<Occurrence> {
        if self.occurrences.is_empty() {
            self.look_after_going();
            self.read_events();
            self.look_after_life();
        }
        self.occurrences.pop_front()
    }

    fn occurrence_fd(&self) -> Option<RawFd> {
        self.memory.as_ref().map(|memory| memory.as_fd().as_raw_fd())
    }

    fn set_alarm(&mut self, alarm: Alarm) {
        self.alarm = Some(alarm);
    }

    fn hold(&mut self) {
        let scanned = matches!(self.body, Body::Here(_))
            || matches!(self.body, Body::Came(_)) && !self.stored.is_empty();
        if scanned && !self.has_exited && self.scanned.elapsed() > SCAN_INTERVAL {
            // When it is stopped it is looked again, and that is when it matters.
            if let Err(error) = self.scan() {
                tracing::debug!(%error, "writes could not be seen");
            }
        }
    }

    fn unseen(&self) -> Vec<Unseen> {
        vec![Unseen::Writes, Unseen::Reads]
    }

    fn stop(&mut self) -> Result<Stopped, SubjectError> {
        let source = match std::mem::replace(&mut self.body, Body::Gone) {
            Body::Here(source) => source,
            other => {
                self.body = other;
                return Err(system("the process does not run here"));
            }
        };
        let frozen = match source.freeze() {
            Ok(frozen) => frozen,
            Err((source, error)) => {
                self.body = Body::Here(*source);
                return Err(system(error));
            }
        };
        let began = Instant::now();
        let (since, froze_for) = (Some(frozen.stopped_at()), frozen.froze_for());
        let state = frozen.state().clone();
        // From here on it is frozen, whatever goes wrong: the driver lets it go.
        self.body = Body::Frozen(frozen);
        self.ahead.take();
        let source = self.source().ok_or_else(|| system("the process is not frozen"))?;
        let extra = self.extra(source, &state.inventory)?;
        if self.table.extend(&extra).is_none() {
            return Err(system("the process has grown so fast that it has to be looked at again"));
        }
        self.scan()?;
        self.mark_unmapped()?;
        self.mark_given_up(&state.inventory)?;
        for page in extra.iter().flat_map(|range| self.table.numbers_in(*range).collect::<Vec<_>>()) {
            self.written.insert(page);
        }
        let stack = state.threads.first().map(|thread| thread.registers.rsp / PAGE_SIZE);
        let stack_page = stack.and_then(|place| self.table.number_of(place));
        let state = pack(&FrozenParcel { state, extra }, &self.build)?;
        tracing::info!(?froze_for, looked_for = ?began.elapsed(), state = state.len(), "process stopped");
        Ok(Stopped { state, code_page: None, stack_page, since })
    }

    fn prepare(&mut self, state: &[u8]) -> Result<(), SubjectError> {
        let FrozenParcel { state, extra } = unpack(state, &self.build)?;
        self.table
            .extend(&extra)
            .ok_or_else(|| SubjectError::Unfit("more pages than there are numbers".to_owned()))?;
        self.put_arrived().map_err(system)?;
        let destination = match std::mem::replace(&mut self.body, Body::Gone) {
            Body::Built(destination) => destination,
            other => {
                self.body = other;
                return Err(SubjectError::Unfit("nothing was built for it".to_owned()));
            }
        };
        let prepared = destination.prepare(&state).map_err(|error| SubjectError::Unfit(error.to_string()))?;
        tracing::info!(prepared_for = ?prepared.prepared_for(), "process prepared");
        self.body = Body::Prepared(Box::new(prepared));
        let unplaced = std::mem::take(&mut self.unplaced);
        for (page, content) in unplaced {
            self.install(page, &content).map_err(system)?;
        }
        Ok(())
    }

    fn gathers(&self) -> bool {
        true
    }

    fn has_come(&mut self) -> bool {
        self.look_after_going();
        !matches!(self.body, Body::Going(_))
    }

    fn settle(&mut self) -> Result<(), SubjectError> {
        match std::mem::replace(&mut self.body, Body::Gone) {
            Body::Came(resumed) => {
                self.body = Body::Came(resumed);
                self.scan()?;
                let Body::Came(resumed) = std::mem::replace(&mut self.body, Body::Gone) else {
                    return Ok(());
                };
                self.memory = None;
                match resumed.complete() {
                    Ok(running) => {
                        let watched = if self.stored.is_empty() { None } else { watch(&running) };
                        (self.running, self.body) =
                            (Some(running), watched.map_or(Body::Settled, Body::Here));
                        // What was written while nobody watched.
                        self.mark_differing(EVERYWHERE);
                        Ok(())
                    }
                    // Most likely it has just ended.
                    Err(error) => {
                        self.exited();
                        Err(system(error))
                    }
                }
            }
            other => {
                self.body = other;
                Err(system("the process has not come"))
            }
        }
    }

    fn note_fetched(&mut self, page: PageNumber) {
        self.stored.note_fetched(page);
    }

    fn wake(&mut self, page: PageNumber) {
        if let Some(place) = self.table.place_of(page) {
            // It is there, so this changes nothing but that whoever waits goes on.
            self.install_zero(place);
        }
    }

    fn part(&mut self) -> Result<(), SubjectError> {
        match std::mem::replace(&mut self.body, Body::Gone) {
            Body::Frozen(frozen) => {
                self.body = Body::Departed(frozen.hand_over().map_err(system)?);
                Ok(())
            }
            other => {
                self.body = other;
                Err(system("the process is not frozen"))
            }
        }
    }

    fn bury(&mut self) {
        self.memory = None;
        if let Body::Departed(departed) = std::mem::replace(&mut self.body, Body::Gone)
            && let Err(error) = departed.kill()
        {
            tracing::error!(%error, "what is left of the process could not be ended");
        }
    }
}

/// Notes what a process that has come writes, as far as somebody has to know. One that has just ended writes nothing.
fn watch(running: &Running) -> Option<TrackedProcess> {
    let watched = running.source().and_then(|mut source| source.track().map(|_| source));
    watched.inspect_err(|error| tracing::info!(%error, "the process that has come is not watched")).ok()
}
