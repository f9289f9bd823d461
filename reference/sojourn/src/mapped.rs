//! Memory of one's own process with whatever works in it, such as the processors of a virtual machine: what a monitor
//! embeds.
//!
//! Nothing that works there reports its accesses: writes are noted by the kernel, and whoever touches a page that has
//! not come waits in the kernel until it has. The package `guest` does this with KVM.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use linux::region::MappedRegion;
use linux::userfault::{Installed, MemoryEvent};
use linux::{AddressRange, LinuxError, PAGE_SIZE};
use protocol::memory::{Memory, MemoryError};
use protocol::page::{PAGE_SIZE as PAGE_LEN, PageBytes};
use protocol::page_set::PageSet;
use protocol::policy::Policy;
use steplog::header::Unseen;
use steplog::page::PageNumber;

use crate::layout::AddressSpaceLayout;
use crate::subject::{
    Alarm, Built, Occurrence, Plan, Stopped, Subject, SubjectBuilder, SubjectError, SubjectInventory,
};

/// The kind of subject that this is.
pub const MAPPED: &str = "mapped-region";

/// How often it is looked what was written, besides at the stop.
const SCAN_INTERVAL: Duration = Duration::from_millis(2);

/// What works in a region.
pub trait Occupant: Send {
    /// Stops it where it is, in an access to a page that is missing too, and says its state.
    ///
    /// # Errors
    /// It works on.
    fn stop(&mut self) -> Result<Vec<u8>, SubjectError>;

    /// The state from which it is to go on.
    ///
    /// # Errors
    /// It is no such state.
    fn load(&mut self, state: &[u8]) -> Result<(), SubjectError>;

    /// Lets it work, from where it was stopped or from what was loaded. Does not wait for it.
    ///
    /// # Errors
    /// It cannot.
    fn go(&mut self) -> Result<(), SubjectError>;

    /// It is never to work here again.
    fn end(&mut self);
}

/// A region of memory and what works in it. Page 0 is the first of the region.
pub struct MappedSubject {
    region: Arc<MappedRegion>,
    occupant: Box<dyn Occupant>,
    pages: u64,
    present: PageSet,
    written: PageSet,
    occurrences: VecDeque<Occurrence>,
    scanned: Instant,
    /// Whether it works here, and writes are noted.
    noted: bool,
    /// Whether whoever touches a missing page waits for it here.
    served: bool,
    /// Whether the occupant may be let go: it was never handed over, or its state has come since.
    may_go: bool,
}

fn system(error: impl std::fmt::Display) -> SubjectError {
    SubjectError::System(error.to_string())
}

impl MappedSubject {
    /// Of what works in a region of this program.
    pub fn new(region: Arc<MappedRegion>, occupant: Box<dyn Occupant>) -> Self {
        let pages = region.range().len() / PAGE_SIZE;
        Self {
            region,
            occupant,
            pages,
            present: PageSet::filled(pages, |_| true),
            written: PageSet::empty(pages),
            occurrences: VecDeque::new(),
            scanned: Instant::now(),
            noted: false,
            served: false,
            may_go: true,
        }
    }

    fn first(&self) -> u64 {
        self.region.range().pages().start
    }

    fn place(&self, page: PageNumber) -> u64 {
        self.first() + page.0
    }

    /// Takes over what the kernel has noted. A page counts as written from here on until its mark is taken, which is
    /// before it is copied.
    fn scan(&mut self) -> Result<(), LinuxError> {
        self.scanned = Instant::now();
        let first = self.first();
        for page in self.region.take_written()?.into_iter().flat_map(AddressRange::pages) {
            self.written.insert(PageNumber(page - first));
        }
        Ok(())
    }

    /// From here on whoever touches a missing page waits for it. What is here and was never touched is zero, not missing.
    fn serve(&mut self) -> Result<(), LinuxError> {
        if std::mem::replace(&mut self.served, true) {
            return Ok(());
        }
        self.region.serve()?;
        let populated = self.populated()?;
        let memory = self.region.memory();
        for page in self.present.iter().filter(|page| !populated.contains(*page)) {
            memory.install_zero(self.place(page))?;
        }
        Ok(())
    }

    /// Pages that the kernel has something for.
    fn populated(&self) -> Result<PageSet, LinuxError> {
        let (first, mut populated) = (self.first(), PageSet::empty(self.pages));
        for page in self.region.population()?.into_iter().flat_map(|run| run.range.pages()) {
            populated.insert(PageNumber(page - first));
        }
        Ok(populated)
    }

    fn read_faults(&mut self) -> Result<(), LinuxError> {
        let (memory, first) = (self.region.memory(), self.first());
        while let Some(event) = memory.next_event()? {
            let MemoryEvent::Fault { page: place, .. } = event else { continue };
            let page = PageNumber(place - first);
            if self.present.contains(page) {
                // It came while the fault was on its way here, which wakes whoever waits.
                memory.install_zero(place)?;
            } else {
                self.occurrences.push_back(Occurrence::Fault(page));
            }
        }
        Ok(())
    }
}

/// What the system refuses is told, and the page is as if it were not there.
fn refused(page: PageNumber, error: &LinuxError) -> MemoryError {
    tracing::error!(%error, %page, "a page of the region");
    MemoryError::Absent(page)
}

impl Memory for MappedSubject {
    fn page_count(&self) -> u64 {
        self.pages
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
        if !self.is_present(page) {
            return Err(MemoryError::Absent(page));
        }
        let mut bytes = [0; PAGE_LEN];
        self.region.read(self.place(page), &mut bytes).map_err(|error| refused(page, &error))?;
        Ok(PageBytes::from(bytes))
    }

    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        // A newer copy, before anything works here: the kernel does not replace a page.
        self.discard(page)?;
        let (memory, bytes) = (self.region.memory(), content.as_slice());
        let installed = match bytes.iter().all(|byte| *byte == 0) {
            true => memory.install_zero(self.place(page)),
            false => memory.install(self.place(page), bytes),
        };
        match installed {
            Ok(Installed::Done | Installed::AlreadyThere) => {
                self.written.remove(page);
                self.present.insert(page);
                Ok(())
            }
            Ok(other) => Err(refused(page, &LinuxError::CannotFollow(format!("{other:?}")))),
            Err(error) => Err(refused(page, &error)),
        }
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        self.written.remove(page);
        if self.present.remove(page) {
            let range = AddressRange::of_page(self.place(page));
            self.region.empty(range).map_err(|error| refused(page, &error))?;
        }
        Ok(())
    }

    /// It was stopped by [`Subject::stop`], which also said its state.
    fn freeze(&mut self) -> Result<(), MemoryError> {
        Ok(())
    }

    fn thaw(&mut self) -> Result<(), MemoryError> {
        if !self.may_go {
            return Err(MemoryError::ProcessGone);
        }
        self.occupant.go().map_err(|error| {
            tracing::error!(%error, "what works in the region could not be let go");
            MemoryError::ProcessGone
        })?;
        self.noted = true;
        Ok(())
    }
}

impl Subject for MappedSubject {
    fn inventory(&mut self, _: &Policy) -> Result<SubjectInventory, SubjectError> {
        self.region.track().map_err(system)?;
        self.scan().map_err(system)?;
        self.noted = true;
        // What has no page yet is zero, here as there.
        self.written = self.populated().map_err(system)?;
        let layout = AddressSpaceLayout::plain(self.pages, 0, "none");
        Ok(SubjectInventory { subject: MAPPED.to_owned(), layout, build: Vec::new() })
    }

    fn must_travel(&mut self, pages: &[(u64, u64)]) {
        for page in pages.iter().flat_map(|(first, count)| *first..first.saturating_add(*count)) {
            self.written.insert(PageNumber(page));
        }
    }

    fn poll_occurrence(&mut self) -> Option<Occurrence> {
        if self.occurrences.is_empty()
            && self.served
            && let Err(error) = self.read_faults()
        {
            tracing::error!(%error, "faults could not be read");
        }
        self.occurrences.pop_front()
    }

    fn occurrence_fd(&self) -> Option<RawFd> {
        Some(self.region.memory().as_fd().as_raw_fd())
    }

    fn set_alarm(&mut self, _: Alarm) {
        // All that occurs is told by the descriptor.
    }

    fn hold(&mut self) {
        if self.noted && self.scanned.elapsed() > SCAN_INTERVAL {
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
        let state = self.occupant.stop()?;
        if let Err(error) = self.scan() {
            self.occupant.go()?;
            return Err(system(error));
        }
        self.noted = false;
        Ok(Stopped { state, ..Stopped::default() })
    }

    fn prepare(&mut self, state: &[u8]) -> Result<(), SubjectError> {
        self.occupant.load(state)?;
        self.serve().map_err(system)?;
        self.may_go = true;
        Ok(())
    }

    fn wake(&mut self, page: PageNumber) {
        if self.present.contains(page) {
            // There is one already: whoever waits for it goes on.
            if let Err(error) = self.region.memory().install_zero(self.place(page)) {
                tracing::error!(%error, %page, "whoever waits for a page could not be woken");
            }
        }
    }

    /// It stays stopped: nothing lets it go but a state that comes back.
    fn part(&mut self) -> Result<(), SubjectError> {
        self.may_go = false;
        Ok(())
    }

    fn bury(&mut self) {
        self.occupant.end();
    }
}

/// Makes what is to work in a region: stopped, and with no state.
pub type Occupy<O> = dyn Fn(&Arc<MappedRegion>) -> Result<O, SubjectError> + Send + Sync;

/// Builds regions whose occupants `occupy` makes. What was built last can be looked at.
pub struct MappedBuilder<O> {
    occupy: Arc<Occupy<O>>,
    latest: Arc<Mutex<Option<O>>>,
}

impl<O> Clone for MappedBuilder<O> {
    fn clone(&self) -> Self {
        Self { occupy: Arc::clone(&self.occupy), latest: Arc::clone(&self.latest) }
    }
}

impl<O: Clone> MappedBuilder<O> {
    /// For occupants that this makes. A clone of an occupant is the same occupant.
    pub fn new(
        occupy: impl Fn(&Arc<MappedRegion>) -> Result<O, SubjectError> + Send + Sync + 'static,
    ) -> Self {
        Self { occupy: Arc::new(occupy), latest: Arc::default() }
    }

    /// What was made last.
    pub fn latest(&self) -> Option<O> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<O: Occupant + Clone + 'static> SubjectBuilder for MappedBuilder<O> {
    fn subject(&self) -> &str {
        MAPPED
    }

    fn build(&self, plan: &Plan<'_>) -> Result<Built, SubjectError> {
        let unbuildable = |error: LinuxError| SubjectError::Unbuildable(error.to_string());
        let bytes = plan.layout.page_count().checked_mul(PAGE_SIZE).and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or_else(|| SubjectError::Unbuildable("it is too large".to_owned()))?;
        let region = Arc::new(MappedRegion::new(bytes).map_err(unbuildable)?);
        region.expect().map_err(unbuildable)?;
        let occupant = (self.occupy)(&region)?;
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(occupant.clone());
        let mut subject = MappedSubject::new(region, Box::new(occupant));
        subject.present = PageSet::empty(plan.layout.page_count());
        (subject.served, subject.may_go) = (true, false);
        Ok(Built { subject: Box::new(subject), lacking: Vec::new(), pid: None, contents: Box::new(|_| None) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does nothing, and says what is asked of it.
    #[derive(Clone, Default)]
    struct Idle(Arc<Mutex<Vec<String>>>);

    impl Idle {
        fn said(&self, what: &str) -> Result<(), SubjectError> {
            self.0.lock().unwrap().push(what.to_owned());
            Ok(())
        }
    }

    impl Occupant for Idle {
        fn stop(&mut self) -> Result<Vec<u8>, SubjectError> {
            self.said("stop").map(|()| vec![7])
        }

        fn load(&mut self, state: &[u8]) -> Result<(), SubjectError> {
            self.said(&format!("load {state:?}"))
        }

        fn go(&mut self) -> Result<(), SubjectError> {
            self.said("go")
        }

        fn end(&mut self) {
            self.said("end").unwrap();
        }
    }

    const PAGES: u64 = 8;

    fn region() -> Option<Arc<MappedRegion>> {
        match MappedRegion::new((PAGES * PAGE_SIZE) as usize) {
            Ok(region) => Some(Arc::new(region)),
            Err(error) => {
                eprintln!("SKIPPED: mapped: {error}");
                None
            }
        }
    }

    fn built() -> (MappedBuilder<Idle>, Box<dyn Subject>) {
        let builder = MappedBuilder::new(|_| Ok(Idle::default()));
        let layout = AddressSpaceLayout::plain(PAGES, 0, "none");
        let plan = Plan { policy: &Policy::PRE_COPY, layout: &layout, build: &[] };
        let built = builder.build(&plan).unwrap();
        (builder, built.subject)
    }

    fn content(byte: u8) -> PageBytes {
        PageBytes::from([byte; PAGE_LEN])
    }

    #[test]
    fn a_newer_copy_takes_the_place_of_an_older_one() {
        if region().is_none() {
            return;
        }
        let (_, mut subject) = built();
        let page = PageNumber(3);
        assert_eq!(subject.copy_out(page), Err(MemoryError::Absent(page)));
        for byte in [1, 2, 0] {
            subject.install(page, &content(byte)).unwrap();
            assert_eq!(subject.copy_out(page), Ok(content(byte)));
        }
        subject.discard(page).unwrap();
        assert!(!subject.is_present(page) && subject.copy_out(page).is_err());
    }

    #[test]
    fn what_was_handed_over_goes_on_only_with_a_state_that_came_back() {
        let Some(region) = region() else { return };
        let idle = Idle::default();
        let mut subject = MappedSubject::new(region, Box::new(idle.clone()));
        subject.inventory(&Policy::LAZY_COPY).unwrap();
        assert_eq!(subject.stop().unwrap().state, [7]);
        subject.thaw().unwrap();
        subject.stop().unwrap();
        subject.part().unwrap();
        assert_eq!(subject.thaw(), Err(MemoryError::ProcessGone));
        subject.prepare(&[8]).unwrap();
        subject.thaw().unwrap();
        assert_eq!(*idle.0.lock().unwrap(), ["stop", "go", "stop", "load [8]", "go"]);
    }

    /// A page of zeroes that nobody has touched is here all the same when what was handed over comes back.
    #[test]
    fn what_was_never_touched_is_zero_and_not_missing() {
        let Some(region) = region() else { return };
        let mut subject = MappedSubject::new(region, Box::new(Idle::default()));
        subject.inventory(&Policy::LAZY_COPY).unwrap();
        assert_eq!(subject.written_pages().unwrap().len(), 0);
        subject.stop().unwrap();
        subject.part().unwrap();
        let sent = PageNumber(1);
        subject.discard(sent).unwrap();
        subject.prepare(&[]).unwrap();
        assert!(subject.copy_out(sent).is_err());
        assert_eq!(subject.copy_out(PageNumber(2)), Ok(content(0)));
        subject.install(sent, &content(9)).unwrap();
        assert_eq!(subject.copy_out(sent), Ok(content(9)));
    }
}
