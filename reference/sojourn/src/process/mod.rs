//! An unmodified Linux process as a subject.
//!
//! ```text
//!   source:       Here ──stop──▶ Frozen ──part──▶ Departed ──bury──▶ Gone
//!                  ▲               │
//!                  └──── thaw ─────┘
//!   destination:  Built ──prepare──▶ Prepared ──thaw──▶ Going ──▶ Came ──settle──▶ Settled, and from there Here
//! ```

mod builder;
mod parcel;
mod table;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use linux::build::{Destination, Prepared, Resumed, Running};
use linux::inventory::{Inventory as Stock, Mapping, MemoryKind};
use linux::obstacle::{Obstacle, StandardStreams};
use linux::pagemap::PageState;
use linux::plan::{Backing, FileChoice, FileChoices, files, plan};
use linux::source::{DepartedSource, FrozenSource, Source};
use linux::userfault::{Installed, MemoryEvent, Userfault};
use linux::{AddressRange, LinuxError, PAGE_SIZE};
use protocol::memory::{Memory, MemoryError};
use protocol::page::{PAGE_SIZE as PAGE_LEN, PageBytes, PageKind};
use protocol::page_set::PageSet;
use protocol::policy::Policy;
use steplog::header::Unseen;
use steplog::page::PageNumber;

pub use builder::ProcessBuilder;

use crate::layout::{Layout, Origin, PageRun};
use crate::subject::{Alarm, Inventory, Occurrence, PROCESS, Stopped, Subject, SubjectError};
use parcel::{BuildPlan, Frozen, Question, pack, unpack};
use table::Table;

/// Pages that may come between the inventory and the freeze.
const SPARES_MIN: u64 = 2048;

/// Larger mappings are taken into the table only as far as there are pages.
const MAPPING_WHOLE_MAX: u64 = 1 << 20;

/// How often to look whether the process has ended.
const LIFE_CHECK: Duration = Duration::from_millis(20);

/// How often to look which pages were written.
const SCAN_INTERVAL: Duration = Duration::from_millis(10);

/// A process.
pub struct Process {
    body: Body,
    table: Table,
    files: FileChoices,
    /// The plan by which it was, or is to be, built: both ends have it.
    build: Vec<u8>,
    written: PageSet,
    /// Every page that has had content of its own since the inventory: without any now, it was given up, and is zero.
    touched: PageSet,
    present: PageSet,
    /// Pages that the process has discarded since it came: zero, whatever still comes.
    void: PageSet,
    /// Content of pages whose place is not known yet.
    unplaced: BTreeMap<PageNumber, PageBytes>,
    memory: Option<Arc<Userfault>>,
    occurrences: VecDeque<Occurrence>,
    alarm: Option<Alarm>,
    /// Its end can be seen by this, where it came here.
    running: Option<Running>,
    life_checked: Instant,
    scanned: Instant,
    has_exited: bool,
}

enum Body {
    Here(Source),
    Frozen(FrozenSource),
    Departed(DepartedSource),
    Built(Destination),
    Prepared(Box<Prepared>),
    Going(Receiver<Result<Resumed, LinuxError>>),
    Came(Resumed),
    Settled,
    Gone,
}

fn system(error: impl std::fmt::Display) -> SubjectError {
    SubjectError::System(error.to_string())
}

/// Tells one start of this machine from all others.
fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()
}

/// Every reason why a process cannot be moved from here.
///
/// # Errors
/// There is no such process, or it is somebody else's.
pub fn obstacles(pid: u32) -> Result<Vec<Obstacle>, SubjectError> {
    let source = Source::open(i32::try_from(pid).map_err(system)?).map_err(system)?;
    Ok(source.obstacles(StandardStreams::Replace).map_err(system)?.1)
}

impl Process {
    /// A process that runs here. Nothing is done to it.
    ///
    /// # Errors
    /// There is no such process, or it is somebody else's.
    pub fn open(pid: u32) -> Result<Self, SubjectError> {
        let source = Source::open(i32::try_from(pid).map_err(system)?).map_err(system)?;
        Ok(Self::new(Body::Here(source), Table::default(), FileChoices::default(), Vec::new()))
    }

    fn built(destination: Destination, table: Table, files: FileChoices, build: Vec<u8>) -> Self {
        let memory = destination.memory();
        let mut process = Self::new(Body::Built(destination), table, files, build);
        process.memory = Some(memory);
        process
    }

    fn new(body: Body, table: Table, files: FileChoices, build: Vec<u8>) -> Self {
        let none = PageSet::empty(table.page_count());
        Self {
            body,
            table,
            files,
            build,
            written: none.clone(),
            touched: none.clone(),
            present: none.clone(),
            void: none,
            unplaced: BTreeMap::new(),
            memory: None,
            occurrences: VecDeque::new(),
            alarm: None,
            running: None,
            life_checked: Instant::now(),
            scanned: Instant::now(),
            has_exited: false,
        }
    }

    /// The process as a source, if it is one.
    fn source(&self) -> Option<&Source> {
        match &self.body {
            Body::Here(source) => Some(source),
            Body::Frozen(frozen) => Some(frozen),
            Body::Departed(departed) => Some(departed),
            _ => None,
        }
    }

    /// Notes what was written since this was last done.
    fn scan(&mut self) -> Result<(), SubjectError> {
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

    /// What is read from the descriptor of the memory.
    fn read_events(&mut self) {
        let Some(memory) = self.memory.clone() else { return };
        loop {
            match memory.next_event() {
                Ok(None) => return,
                Ok(Some(event)) => self.note_event(&memory, event),
                Err(error) => {
                    tracing::debug!(%error, "no more events of the memory");
                    return;
                }
            }
        }
    }

    fn note_event(&mut self, memory: &Userfault, event: MemoryEvent) {
        match event {
            MemoryEvent::Fault { page: place, .. } => match self.table.number_of(place) {
                Some(page) if !self.void.contains(page) && !self.present.contains(page) => {
                    self.occurrences.push_back(Occurrence::Fault(page));
                }
                // It came while the fault was on its way here, which wakes whoever waits; or nobody has it, so it is zero.
                _ => self.install_zero(memory, place),
            },
            MemoryEvent::Removed(range) | MemoryEvent::Unmapped(range) => {
                let pages: Vec<_> = self.table.numbers_in(range).collect();
                pages.into_iter().for_each(|page| {
                    self.void.insert(page);
                });
            }
            MemoryEvent::Moved { from, to } => self.table.moved(from, to),
            MemoryEvent::Forked(_) => tracing::error!("the process has a child whose pages are not here"),
        }
    }

    fn install_zero(&self, memory: &Userfault, place: u64) {
        if let Err(error) = memory.install_zero(place) {
            tracing::error!(%error, place, "a page of zeroes could not be put in");
        }
    }

    /// Whether letting it go has come to its end.
    fn look_after_going(&mut self) {
        let Body::Going(going) = &self.body else { return };
        match going.try_recv() {
            Ok(Ok(resumed)) => {
                tracing::info!(pid = resumed.pid(), resumed_for = ?resumed.resumed_for(), "process runs");
                self.body = Body::Came(resumed);
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the process could not be let go");
                self.body = Body::Gone;
                self.exited();
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => self.exited(),
        }
    }

    fn look_after_life(&mut self) {
        if self.has_exited || self.life_checked.elapsed() < LIFE_CHECK {
            return;
        }
        self.life_checked = Instant::now();
        let alive = match (&mut self.body, &mut self.running) {
            (Body::Came(resumed), _) => resumed.ended().is_ok_and(|ended| ended.is_none()),
            (Body::Settled | Body::Here(_), Some(running)) => {
                running.ended().is_ok_and(|ended| ended.is_none())
            }
            (Body::Here(source), None) => source.is_alive(),
            _ => true,
        };
        if !alive {
            self.exited();
        }
    }

    fn exited(&mut self) {
        if !std::mem::replace(&mut self.has_exited, true) {
            self.occurrences.push_back(Occurrence::Exited);
        }
    }

    /// The ranges whose pages get numbers, with where their unmodified content is.
    fn ranges(&self, source: &Source, stock: &Stock) -> Result<Vec<(AddressRange, Origin)>, SubjectError> {
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
    fn mark_modified(&mut self) -> Result<(), SubjectError> {
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
    fn mark_given_up(&mut self) -> Result<(), SubjectError> {
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
    fn extra(&self, source: &Source, stock: &Stock) -> Result<Vec<AddressRange>, SubjectError> {
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

    fn put(&self, place: u64, content: &PageBytes) -> Result<(), LinuxError> {
        let bytes = content.as_slice();
        let zero = bytes.iter().all(|byte| *byte == 0);
        let installed = match (&self.body, &self.memory) {
            (Body::Built(destination), _) => destination.put(place, bytes)?,
            (Body::Prepared(prepared), _) => prepared.put(place, bytes)?,
            (_, Some(memory)) if zero => memory.install_zero(place)?,
            (_, Some(memory)) => memory.install(place, bytes)?,
            _ => Installed::ProcessEnded,
        };
        if matches!(installed, Installed::EventsFirst) {
            return Err(LinuxError::CannotFollow("events first".to_owned()));
        }
        Ok(())
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

fn joined(ranges: impl Iterator<Item = AddressRange>) -> Vec<AddressRange> {
    let mut joined: Vec<AddressRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

impl Memory for Process {
    fn page_count(&self) -> u64 {
        self.table.page_count()
    }

    fn is_present(&self, page: PageNumber) -> bool {
        self.present.contains(page)
    }

    fn is_written(&self, page: PageNumber) -> bool {
        self.written.contains(page)
    }

    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        self.written.first_from(from)
    }

    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        Ok(self.written.remove(page))
    }

    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        let mut bytes = [0; PAGE_LEN];
        let Some(place) = self.table.place_of(page) else { return Ok(PageBytes::zeroed()) };
        let read = match (&self.body, self.source()) {
            (_, Some(source)) => source.read(place * PAGE_SIZE, &mut bytes),
            (Body::Came(resumed), None) => resumed.read(place * PAGE_SIZE, &mut bytes),
            _ => return Err(MemoryError::Absent(page)),
        };
        // What is not mapped any more, or behind the end of its file, is nobody's content.
        if read.is_err() {
            bytes = [0; PAGE_LEN];
        }
        Ok(PageBytes::from(bytes))
    }

    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        self.written.remove(page);
        self.present.insert(page);
        if self.void.contains(page) {
            return Ok(());
        }
        let Some(place) = self.table.place_of(page) else {
            self.unplaced.insert(page, content.clone());
            return Ok(());
        };
        for _ in 0..100 {
            match self.put(place, content) {
                Ok(()) => return Ok(()),
                Err(LinuxError::CannotFollow(_)) => self.read_events(),
                Err(error) => {
                    tracing::error!(%error, %page, "a page could not be put in");
                    return Err(MemoryError::Absent(page));
                }
            }
        }
        Err(MemoryError::Absent(page))
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        let was_present = self.present.remove(page);
        self.written.remove(page);
        self.unplaced.remove(&page);
        let Some(place) = self.table.place_of(page).filter(|_| was_present) else { return Ok(()) };
        let range = AddressRange::of_page(place);
        let discarded = match &mut self.body {
            Body::Built(destination) => destination.discard(&[range]),
            Body::Prepared(prepared) => prepared.discard(&[range]),
            _ => Ok(()),
        };
        discarded.map_err(|error| {
            tracing::error!(%error, %page, "a page could not be taken out");
            MemoryError::Absent(page)
        })
    }

    fn written_pages(&self) -> Result<PageSet, MemoryError> {
        Ok(self.written.clone())
    }

    fn take_written_pages(&mut self) -> Result<PageSet, MemoryError> {
        let none = PageSet::empty(self.table.page_count());
        Ok(std::mem::replace(&mut self.written, none))
    }

    fn discard_all(&mut self) -> Result<(), MemoryError> {
        if !matches!(self.body, Body::Built(_) | Body::Prepared(_)) {
            // What holds them goes as a whole.
            self.present = PageSet::empty(self.table.page_count());
            return Ok(());
        }
        self.discard_all_but(&PageSet::empty(self.page_count()))
    }

    /// In one go: taking pages out uncovers their whole mapping for a moment, and covers it again.
    fn discard_all_but(&mut self, kept: &PageSet) -> Result<(), MemoryError> {
        let dropped: Vec<_> = self.present.iter().filter(|page| !kept.contains(*page)).collect();
        let mut places: Vec<_> = dropped.iter().filter_map(|page| self.table.place_of(*page)).collect();
        places.sort_unstable();
        let ranges = joined(places.into_iter().map(AddressRange::of_page));
        for page in &dropped {
            self.present.remove(*page);
            self.unplaced.remove(page);
        }
        for page in self.written.iter().filter(|page| !kept.contains(*page)).collect::<Vec<_>>() {
            self.written.remove(page);
        }
        let discarded = match &mut self.body {
            Body::Built(destination) => destination.discard(&ranges),
            Body::Prepared(prepared) => prepared.discard(&ranges),
            _ => Ok(()),
        };
        discarded.map_err(|error| {
            tracing::error!(%error, "pages could not be taken out");
            MemoryError::Absent(dropped.first().copied().unwrap_or(PageNumber(0)))
        })
    }

    /// It is frozen by [`stop`](Subject::stop), which also says its state.
    fn freeze(&mut self) -> Result<(), MemoryError> {
        Ok(())
    }

    fn thaw(&mut self) -> Result<(), MemoryError> {
        self.body = match std::mem::replace(&mut self.body, Body::Gone) {
            Body::Frozen(frozen) => match frozen.thaw() {
                Ok(source) => Body::Here(source),
                Err(error) => {
                    tracing::error!(%error, "the process could not be let go again");
                    self.exited();
                    Body::Gone
                }
            },
            Body::Prepared(prepared) => {
                let (sender, going) = channel();
                let alarm = self.alarm.clone();
                // It may need pages to get going, which only the driver can get.
                std::thread::spawn(move || {
                    let resumed = prepared.go();
                    if sender.send(resumed).is_ok() {
                        alarm.iter().for_each(Alarm::ring);
                    }
                });
                Body::Going(going)
            }
            other => other,
        };
        match self.body {
            Body::Gone => Err(MemoryError::ProcessGone),
            _ => Ok(()),
        }
    }
}

impl Subject for Process {
    fn inquiry(&mut self) -> Result<Option<Vec<u8>>, SubjectError> {
        if let (Body::Settled, Some(running)) = (&self.body, &self.running) {
            self.body = Body::Here(Source::open(running.pid()).map_err(system)?);
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
        pack(&Question { boot, files }, &[]).map(Some)
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

    fn inventory(&mut self, _: &Policy) -> Result<Inventory, SubjectError> {
        let Body::Here(source) = &mut self.body else { return Err(system("the process does not run here")) };
        let stopped = source.track().map_err(system)?;
        tracing::info!(pid = source.pid(), stopped_for = ?stopped.stopped_for, "writes are noted");
        // From here on nothing that is written is missed; what was written before is looked up below.
        source.take_written().map_err(system)?;
        let stock = source.inventory().map_err(system)?;
        let Body::Here(source) = &self.body else { return Err(system("the process does not run here")) };
        let ranges = self.ranges(source, &stock)?;
        let places: Vec<_> = ranges.iter().map(|(range, _)| *range).collect();
        let count: u64 = places.iter().map(|range| range.len() / PAGE_SIZE).sum();
        let spares = SPARES_MIN + count / 4;
        self.table = Table::new(&places, spares);
        let runs = ranges.into_iter().map(|(range, origin)| PageRun {
            pages: range.len() / PAGE_SIZE,
            kind: PageKind::Private,
            origin,
        });
        let spare = PageRun { pages: spares, kind: PageKind::Private, origin: Origin::Zero };
        let layout = Layout { runs: runs.chain([spare]).collect() };
        let none = PageSet::empty(self.table.page_count());
        (self.void, self.unplaced) = (none, BTreeMap::new());
        self.mark_modified()?;
        let plan = BuildPlan { inventory: stock, files: self.files.clone(), ranges: places, spares };
        self.build = pack(&plan, &[])?;
        Ok(Inventory { subject: PROCESS.to_owned(), layout, build: self.build.clone() })
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
        if matches!(self.body, Body::Here(_)) && self.scanned.elapsed() > SCAN_INTERVAL {
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
        let froze_for = frozen.froze_for();
        let state = frozen.state().clone();
        // From here on it is frozen, whatever goes wrong: the driver lets it go.
        self.body = Body::Frozen(frozen);
        let source = self.source().ok_or_else(|| system("the process is not frozen"))?;
        let extra = self.extra(source, &state.inventory)?;
        if self.table.extend(&extra).is_none() {
            return Err(system("the process has grown so fast that it has to be looked at again"));
        }
        self.scan()?;
        self.mark_given_up()?;
        for page in extra.iter().flat_map(|range| self.table.numbers_in(*range).collect::<Vec<_>>()) {
            self.written.insert(page);
        }
        let stack = state.threads.first().map(|thread| thread.registers.rsp / PAGE_SIZE);
        let stack_page = stack.and_then(|place| self.table.number_of(place));
        let state = pack(&Frozen { state, extra }, &self.build)?;
        tracing::info!(?froze_for, looked_for = ?began.elapsed(), state = state.len(), "process stopped");
        Ok(Stopped { state, code_page: None, stack_page })
    }

    fn prepare(&mut self, state: &[u8]) -> Result<(), SubjectError> {
        let Frozen { state, extra } = unpack(state, &self.build)?;
        self.table
            .extend(&extra)
            .ok_or_else(|| SubjectError::Unfit("more pages than there are numbers".to_owned()))?;
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
                self.memory = None;
                match resumed.complete() {
                    Ok(running) => {
                        (self.running, self.body) = (Some(running), Body::Settled);
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

    fn wake(&mut self, page: PageNumber) {
        if let (Some(memory), Some(place)) = (self.memory.clone(), self.table.place_of(page)) {
            // It is there, so this changes nothing but that whoever waits goes on.
            self.install_zero(&memory, place);
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
