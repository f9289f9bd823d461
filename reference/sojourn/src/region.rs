//! A region of memory of one's own process, and a program that works in it: the plainest subject.
//!
//! The program runs in a thread of its own and makes one access a step, so that a step that could not be made, because
//! the page is missing or the region is to stop, is made again later, here or elsewhere.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use protocol::memory::{Accesses as _, Fault, Memory, MemoryError, PageStore};
use protocol::page::{PageBytes, PageKind};
use protocol::page_set::PageSet;
use protocol::policy::Policy;
use steplog::page::PageNumber;

use crate::layout::{AddressSpaceLayout, ContentOrigin};
use crate::subject::{
    Alarm, Built, Occurrence, Plan, Stopped, Subject, SubjectBuilder, SubjectError, SubjectInventory,
};

/// The kind of subject that a region is.
pub const REGION: &str = "region";

/// What works in a region.
pub trait Program: Send + 'static {
    /// Makes one access, through what it is given.
    ///
    /// # Errors
    /// The access was not made; the step will be made again.
    fn step(&mut self, access: &mut ProgramAccess<'_>) -> Result<ProgramProgress, Fault>;

    /// What it needs to go on elsewhere: its registers.
    fn registers(&self) -> Vec<u8>;
}

/// How a program goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramProgress {
    /// With the next one.
    Goes,
    /// With the next one, after a while: it has nothing to do.
    Idles,
    /// It has ended.
    Ended,
}

/// How long a program that has nothing to do sleeps.
const IDLE_TIME: std::time::Duration = std::time::Duration::from_micros(200);

/// Makes a program go on from its registers; `None` if they are not of such a program.
pub type Load = fn(&[u8]) -> Option<Box<dyn Program>>;

/// The access that a program makes.
pub struct ProgramAccess<'a> {
    inner: &'a mut Inner,
}

impl ProgramAccess<'_> {
    /// Reads.
    ///
    /// # Errors
    /// The page is missing, or there is no such page.
    pub fn read(&mut self, page: PageNumber, offset: u16, into: &mut [u8]) -> Result<(), Fault> {
        self.inner.store.read(page, offset.into(), into)?;
        let length = u16::try_from(into.len()).map_err(|_| Fault::OutOfRange(page))?;
        self.inner.occurred(Occurrence::Read { page, offset, length });
        Ok(())
    }

    /// Writes.
    ///
    /// # Errors
    /// The page is missing, or there is no such page.
    pub fn write(&mut self, page: PageNumber, offset: u16, bytes: &[u8]) -> Result<(), Fault> {
        self.inner.store.write(page, offset.into(), bytes)?;
        self.inner.occurred(Occurrence::Written { page, offset, bytes: bytes.to_vec() });
        Ok(())
    }
}

/// A region and its program. Clones are the same region.
#[derive(Clone)]
pub struct ProgramRegion {
    shared: Arc<(Mutex<Inner>, Condvar)>,
}

struct Inner {
    store: PageStore,
    layout: AddressSpaceLayout,
    written_from_start: PageSet,
    load: Load,
    program: Option<Box<dyn Program>>,
    occurrences: VecDeque<Occurrence>,
    alarm: Option<Alarm>,
    journal: bool,
    /// The driver is at work.
    held: bool,
    /// The program may run.
    running: bool,
    /// The page that the program waits for.
    waits: Option<PageNumber>,
    exited: bool,
    /// Whether a thread runs the program, so that it must not be started twice.
    has_thread: bool,
    over: bool,
}

impl Inner {
    fn occurred(&mut self, occurrence: Occurrence) {
        let access = matches!(occurrence, Occurrence::Read { .. } | Occurrence::Written { .. });
        if access && !self.journal {
            return;
        }
        self.occurrences.push_back(occurrence);
        if let Some(alarm) = self.alarm.as_ref().filter(|_| !access) {
            alarm.ring();
        }
    }

    fn may_step(&self) -> bool {
        self.running && !self.held && self.waits.is_none() && !self.exited
    }
}

impl ProgramRegion {
    /// A region with this layout, and a program that begins to work in it at once.
    pub fn start(layout: AddressSpaceLayout, program: Box<dyn Program>, load: Load) -> Self {
        let store = PageStore::loaded(&layout.blank_image());
        let region = Self::new(layout, store, Some(program), load);
        region.lock().running = true;
        region.spawn();
        region
    }

    fn new(
        layout: AddressSpaceLayout,
        store: PageStore,
        program: Option<Box<dyn Program>>,
        load: Load,
    ) -> Self {
        let written_from_start = PageSet::empty(layout.page_count());
        let inner = Inner {
            store,
            layout,
            written_from_start,
            load,
            program,
            occurrences: VecDeque::new(),
            alarm: None,
            journal: true,
            held: false,
            running: false,
            waits: None,
            exited: false,
            has_thread: false,
            over: false,
        };
        Self { shared: Arc::new((Mutex::new(inner), Condvar::new())) }
    }

    /// Whether its program has ended here.
    pub fn has_exited(&self) -> bool {
        self.lock().exited
    }

    /// Whether its program runs here.
    pub fn is_running(&self) -> bool {
        let inner = self.lock();
        inner.running && !inner.exited
    }

    /// The content of a page, if it is here.
    pub fn content(&self, page: PageNumber) -> Option<PageBytes> {
        self.lock().store.copy_out(page).ok()
    }

    /// The registers of the program, if it is here.
    pub fn registers(&self) -> Option<Vec<u8>> {
        self.lock().program.as_ref().map(|program| program.registers())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self) {
        if std::mem::replace(&mut self.lock().has_thread, true) {
            return;
        }
        let region = self.clone();
        std::thread::spawn(move || region.run());
    }

    fn run(&self) {
        let (lock, changed) = &*self.shared;
        let mut inner = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while !inner.may_step() && !inner.over {
                inner = changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            }
            if inner.over {
                inner.has_thread = false;
                return;
            }
            let Some(mut program) = inner.program.take() else {
                inner.running = false;
                continue;
            };
            let stepped = program.step(&mut ProgramAccess { inner: &mut inner });
            inner.program = Some(program);
            match stepped {
                Ok(ProgramProgress::Goes | ProgramProgress::Idles) => {}
                Err(Fault::Missing(page)) => {
                    inner.waits = Some(page);
                    inner.occurred(Occurrence::Fault(page));
                }
                Ok(ProgramProgress::Ended) | Err(_) => {
                    inner.exited = true;
                    inner.occurred(Occurrence::Exited);
                }
            }
            // So that the driver gets its turn.
            drop(inner);
            match stepped {
                Ok(ProgramProgress::Idles) => std::thread::sleep(IDLE_TIME),
                _ => std::thread::yield_now(),
            }
            inner = lock.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let done = change(&mut self.lock());
        self.shared.1.notify_all();
        done
    }
}

impl Memory for ProgramRegion {
    fn page_count(&self) -> u64 {
        self.lock().store.page_count()
    }

    fn is_present(&self, page: PageNumber) -> bool {
        self.lock().store.is_present(page)
    }

    fn is_written(&self, page: PageNumber) -> bool {
        let inner = self.lock();
        inner.store.is_written(page) || inner.written_from_start.contains(page)
    }

    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        let inner = self.lock();
        let (seen, before) = (inner.store.first_written(from), inner.written_from_start.first_from(from));
        seen.into_iter().chain(before).min()
    }

    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        let mut inner = self.lock();
        let before = inner.written_from_start.remove(page);
        Ok(inner.store.take_written(page)? || before)
    }

    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        self.lock().store.copy_out(page)
    }

    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        let installed = self.lock().store.install(page, content);
        self.wake(page);
        installed
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        let mut inner = self.lock();
        inner.written_from_start.remove(page);
        inner.store.discard(page)
    }

    fn freeze(&mut self) -> Result<(), MemoryError> {
        self.change(|inner| {
            inner.running = false;
            inner.store.freeze()
        })
    }

    fn thaw(&mut self) -> Result<(), MemoryError> {
        self.change(|inner| {
            inner.running = true;
            inner.store.thaw()
        })?;
        self.spawn();
        Ok(())
    }
}

impl Subject for ProgramRegion {
    fn inventory(&mut self, _: &Policy) -> Result<SubjectInventory, SubjectError> {
        let mut inner = self.lock();
        let mut written = PageSet::empty(inner.layout.page_count());
        for (first, run) in inner.layout.numbered() {
            for page in (first..first + run.pages).map(PageNumber) {
                let content =
                    inner.store.copy_out(page).map_err(|error| SubjectError::System(error.to_string()))?;
                // A file that is made for the region holds zeroes at first.
                let unknown = matches!(run.origin, ContentOrigin::File { .. });
                if unknown || content != PageBytes::zeroed() {
                    written.insert(page);
                }
            }
        }
        inner.written_from_start = written;
        Ok(SubjectInventory { subject: REGION.to_owned(), layout: inner.layout.clone(), build: Vec::new() })
    }

    fn must_travel(&mut self, pages: &[(u64, u64)]) {
        let mut inner = self.lock();
        for page in pages.iter().flat_map(|(first, count)| *first..first.saturating_add(*count)) {
            inner.written_from_start.insert(PageNumber(page));
        }
    }

    fn poll_occurrence(&mut self) -> Option<Occurrence> {
        self.lock().occurrences.pop_front()
    }

    fn set_alarm(&mut self, alarm: Alarm) {
        self.lock().alarm = Some(alarm);
    }

    fn hold(&mut self) {
        self.lock().held = true;
    }

    fn release(&mut self) {
        self.change(|inner| inner.held = false);
    }

    fn stop(&mut self) -> Result<Stopped, SubjectError> {
        self.change(|inner| {
            inner.running = false;
            let program = inner.program.as_ref();
            let program = program.ok_or_else(|| SubjectError::System("no program runs here".to_owned()))?;
            let file_mapped = |run: &&crate::layout::LayoutRun| run.kind == PageKind::FileMapped;
            let has_code = inner.layout.runs.first().as_ref().is_some_and(file_mapped);
            let last = PageNumber(inner.layout.page_count() - 1);
            Ok(Stopped {
                state: program.registers(),
                code_page: has_code.then_some(PageNumber(0)),
                stack_page: Some(last),
                since: None,
            })
        })
    }

    fn prepare(&mut self, registers: &[u8]) -> Result<(), SubjectError> {
        self.change(|inner| {
            let program = (inner.load)(registers);
            let unfit = || SubjectError::Unfit("not the registers of such a program".to_owned());
            inner.program = Some(program.ok_or_else(unfit)?);
            Ok(())
        })
    }

    fn wake(&mut self, page: PageNumber) {
        self.change(|inner| inner.waits = inner.waits.filter(|waits| *waits != page));
    }

    fn part(&mut self) -> Result<(), SubjectError> {
        self.change(|inner| inner.program = None);
        Ok(())
    }

    fn bury(&mut self) {
        self.change(|inner| {
            inner.program = None;
            inner.over = true;
        });
    }
}

/// Builds regions whose program goes on with `load`. What is built can be looked at with [`RegionBuilder::latest`].
#[derive(Clone)]
pub struct RegionBuilder {
    load: Load,
    latest: Arc<Mutex<Option<ProgramRegion>>>,
}

impl RegionBuilder {
    /// For programs that this makes go on.
    pub fn new(load: Load) -> Self {
        Self { load, latest: Arc::default() }
    }

    /// What was built last.
    pub fn latest(&self) -> Option<ProgramRegion> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SubjectBuilder for RegionBuilder {
    fn subject(&self) -> &str {
        REGION
    }

    fn build(&self, plan: &Plan<'_>) -> Result<Built, SubjectError> {
        let store = PageStore::vacant(plan.layout.page_count());
        let region = ProgramRegion::new(plan.layout.clone(), store, None, self.load);
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(region.clone());
        Ok(Built { subject: Box::new(region), lacking: Vec::new(), pid: None, contents: Box::new(|_| None) })
    }
}
