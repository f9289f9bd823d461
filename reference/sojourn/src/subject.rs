//! What moves, as the driver sees it: memory, and the thing that uses it.
//!
//! ```text
//!   source                                           destination
//!   inquiry: what have you of these files?     ────▶ Builder::answer
//!   heed                                       ◀────
//!   inventory: pages, and what is to be built  ────▶ Builder::build: everything but running
//!   stop: registers and whatever changed       ────▶ prepare: could run
//!   part: will never run again                 ────▶ Memory::thaw: runs
//!                                              ◀──── occurrences: missing pages, exit
//! ```
//!
//! [`ProgramRegion`](crate::region::ProgramRegion) implements this for memory of one's own process, the `linux` package for processes.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use protocol::memory::{Memory, MemoryError};
use protocol::page::PageBytes;
use protocol::page_set::PageSet;
use protocol::policy::Policy;
use steplog::header::Unseen;
use steplog::page::PageNumber;

use crate::layout::AddressSpaceLayout;

/// The kind of subject that a process is.
pub const PROCESS: &str = "linux-process";

/// Something that can be moved.
pub trait Subject: Memory + Send {
    /// What a destination has to be asked before there can be an inventory. A subject that asks is taken stock of anew
    /// for each migration from rest; one that does not, once.
    ///
    /// # Errors
    /// It cannot be moved.
    fn inquiry(&mut self) -> Result<Option<Vec<u8>>, SubjectError> {
        Ok(None)
    }

    /// What the destination answered.
    ///
    /// # Errors
    /// It is no answer.
    fn heed(&mut self, _answer: &[u8]) -> Result<(), SubjectError> {
        Ok(())
    }

    /// What it consists of now. From here on [`Memory::is_written`] is true of every page whose content is not what its
    /// origin says.
    ///
    /// # Errors
    /// It cannot be moved.
    fn inventory(&mut self, policy: &Policy) -> Result<SubjectInventory, SubjectError>;

    /// These pages cannot be found at the destination: they count as written.
    fn must_travel(&mut self, pages: &[(u64, u64)]);

    /// The next thing that it did, if any.
    fn poll_occurrence(&mut self) -> Option<Occurrence>;

    /// A descriptor that is readable when there may be an occurrence.
    fn occurrence_fd(&self) -> Option<RawFd> {
        None
    }

    /// To be called whenever there may be an occurrence that no descriptor tells of.
    fn set_alarm(&mut self, alarm: Alarm);

    /// Until [`release`](Self::release) nothing happens unless the driver does it, and all that has is an occurrence.
    /// Only for something that reports each access.
    fn hold(&mut self) {}

    /// See [`hold`](Self::hold).
    fn release(&mut self) {}

    /// What it does without an occurrence.
    fn unseen(&self) -> Vec<Unseen> {
        Vec::new()
    }

    /// Stops it where it is and says what it is in the middle of. [`Memory::thaw`] lets it go on.
    ///
    /// # Errors
    /// It runs on.
    fn stop(&mut self) -> Result<Stopped, SubjectError>;

    /// It has come, but for pages: all that can be done for it to run on from here is done now.
    ///
    /// # Errors
    /// It cannot run here.
    fn prepare(&mut self, state: &[u8]) -> Result<(), SubjectError>;

    /// Whether it is to have all its pages in the end, wherever they are.
    fn gathers(&self) -> bool {
        false
    }

    /// Whether it runs, after [`Memory::thaw`] here: letting it go may take a while, and pages.
    fn has_come(&mut self) -> bool {
        true
    }

    /// It is at rest and has all its pages: nothing of the move has to stay.
    ///
    /// # Errors
    /// What the system says.
    fn settle(&mut self) -> Result<(), SubjectError> {
        Ok(())
    }

    /// A page that has come was the file server's.
    fn note_fetched(&mut self, _page: PageNumber) {}

    /// A page that it waited for is here, or was all along.
    fn wake(&mut self, page: PageNumber);

    /// It is handed over: whatever happens to this machine or this program, it never runs here again. What it holds is
    /// kept until all pages are discarded.
    ///
    /// # Errors
    /// That cannot be guaranteed; it is not handed over.
    fn part(&mut self) -> Result<(), SubjectError>;

    /// Nothing of it is needed any more.
    fn bury(&mut self);
}

/// What a subject that was stopped is in the middle of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// What it needs to go on elsewhere, opaque to the driver.
    pub state: Vec<u8>,
    /// The page under the instruction pointer.
    pub code_page: Option<PageNumber>,
    /// The page under the stack pointer.
    pub stack_page: Option<PageNumber>,
    /// When it began to stand still, if that was later than when it was told to.
    pub since: Option<Instant>,
}

/// What there is to move.
#[derive(Clone, Debug)]
pub struct SubjectInventory {
    /// Who builds it at the destination.
    pub subject: String,
    /// Its pages.
    pub layout: AddressSpaceLayout,
    /// What is needed to build it, opaque to the driver.
    pub build: Vec<u8>,
}

impl SubjectInventory {
    /// What is known of a subject that has to ask first.
    pub fn unknown() -> Self {
        Self { subject: String::new(), layout: AddressSpaceLayout::default(), build: Vec::new() }
    }
}

/// Builds at a destination what is to run there.
pub trait SubjectBuilder: Send + Sync {
    /// The kind of subject that it builds.
    fn subject(&self) -> &str;

    /// What there is here of what a subject needs.
    ///
    /// # Errors
    /// It is no question.
    fn answer(&self, _question: &[u8]) -> Result<Vec<u8>, SubjectError> {
        Ok(Vec::new())
    }

    /// Builds it, all but running, with no page present.
    ///
    /// # Errors
    /// It cannot be built here.
    fn build(&self, plan: &Plan<'_>) -> Result<Built, SubjectError>;
}

/// What is to be built.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The algorithm.
    pub policy: &'a Policy,
    /// Its pages.
    pub layout: &'a AddressSpaceLayout,
    /// What else is needed, opaque to the driver.
    pub build: &'a [u8],
}

/// What was built.
pub struct Built {
    /// The thing.
    pub subject: Box<dyn Subject>,
    /// Runs of pages, first and number, whose content is not to be found here.
    pub lacking: Vec<(u64, u64)>,
    /// Its PID, where it is a process.
    pub pid: Option<u32>,
    /// The contents of the pages that are to be found here; zero where it says nothing.
    pub contents: Box<dyn Fn(PageNumber) -> Option<PageBytes> + Send>,
}

/// Something that the subject did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// It cannot go on without this page.
    Fault(PageNumber),
    /// It ended.
    Exited,
    /// It runs here, where it was let go.
    Runs {
        /// Since when.
        since: Instant,
    },
    /// It read.
    Read {
        /// Which page.
        page: PageNumber,
        /// From where on, in bytes.
        offset: u16,
        /// How many bytes.
        length: u16,
    },
    /// It wrote.
    Written {
        /// Which page.
        page: PageNumber,
        /// From where on, in bytes.
        offset: u16,
        /// What.
        bytes: Vec<u8>,
    },
}

/// What is wrong with a subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// It cannot be moved, for all these reasons.
    #[error("it cannot be moved: {}", .0.join("; "))]
    Immovable(Vec<String>),
    /// It cannot be built here.
    #[error("it cannot be built here: {0}")]
    Unbuildable(String),
    /// What came to be prepared is not what was built.
    #[error("its state does not fit what was built: {0}")]
    Unfit(String),
    /// The system refused.
    #[error("{0}")]
    System(String),
}

/// Wakes the driver.
#[derive(Clone)]
pub struct Alarm(Arc<dyn Fn() + Send + Sync>);

impl Alarm {
    /// Calls this when it rings.
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(ring))
    }

    /// There may be an occurrence.
    pub fn ring(&self) {
        (self.0)();
    }
}

/// A subject as memory of a host, while the driver keeps it as well.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Box<dyn Subject>>>);

impl Shared {
    /// Shares a subject between an endpoint and the driver.
    pub fn new(subject: Box<dyn Subject>) -> Self {
        Self(Arc::new(Mutex::new(subject)))
    }

    /// The subject. Not to be kept while the endpoint works.
    pub fn lock(&self) -> MutexGuard<'_, Box<dyn Subject>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Memory for Shared {
    fn page_count(&self) -> u64 {
        self.lock().page_count()
    }

    fn is_present(&self, page: PageNumber) -> bool {
        self.lock().is_present(page)
    }

    fn is_written(&self, page: PageNumber) -> bool {
        self.lock().is_written(page)
    }

    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        self.lock().first_written(from)
    }

    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        self.lock().take_written(page)
    }

    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        self.lock().copy_out(page)
    }

    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        self.lock().install(page, content)
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        self.lock().discard(page)
    }

    fn written_pages(&self) -> Result<PageSet, MemoryError> {
        self.lock().written_pages()
    }

    fn take_written_pages(&mut self) -> Result<PageSet, MemoryError> {
        self.lock().take_written_pages()
    }

    fn discard_all(&mut self) -> Result<(), MemoryError> {
        self.lock().discard_all()
    }

    fn discard_all_but(&mut self, kept: &PageSet) -> Result<(), MemoryError> {
        self.lock().discard_all_but(kept)
    }

    fn freeze(&mut self) -> Result<(), MemoryError> {
        self.lock().freeze()
    }

    fn thaw(&mut self) -> Result<(), MemoryError> {
        self.lock().thaw()
    }
}
