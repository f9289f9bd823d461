//! The memory of the process on one host.
//!
//! It has two sides. The *endpoint* works on it through [`Memory`]: it copies pages out, installs and discards them,
//! freezes and thaws the process's access, and asks which pages were written since it last asked. A simulated *process*
//! works on it through [`Accesses`]: it reads and writes, and takes a [`Fault`] where it may not. A real process needs
//! no such side; it has its own processor.
//!
//! [`PageStore`] keeps everything in this process, [`Elided`] everything but the contents. An operating system's address
//! space fits behind the same trait: nothing in it needs to see each single write, a whole address space is scanned in one
//! call, and whatever the system is asked for it may refuse, with its reason.

mod elided;
mod page_store;

pub use elided::Elided;
pub use page_store::PageStore;

use std::borrow::Cow;
use std::io;
use std::iter::successors;

use steplog::page::PageNumber;

use crate::page::PageBytes;
use crate::page_set::PageSet;

/// Memory of one process on one host, as the endpoint sees it.
///
/// # Pages that the process gives up
///
/// A process may discard or unmap a page by itself. The page keeps its number, and its content is zero from then on: it
/// counts as written, [`copy_out`](Self::copy_out) yields zeroes, and what is installed later in place of a page that the
/// process gave up here while it was missing is void.
///
/// # What cannot be found out
///
/// The questions that take `&self` and return no error are asked often, to see what is due. A memory that cannot answer
/// one says that the page is present, and written; it gives the cause when it is next asked to do something.
pub trait Memory {
    /// Number of pages of the address space, present or not.
    fn page_count(&self) -> u64;

    /// Whether the page has content here.
    fn is_present(&self, page: PageNumber) -> bool;

    /// Whether the process wrote the page since it was installed or its mark was last taken.
    ///
    /// A mark may be there without a write: then the page is sent once too often. A write without a mark is a lost page.
    fn is_written(&self, page: PageNumber) -> bool;

    /// The first page from this one on that [`is_written`](Self::is_written): one scan, not a question for each page.
    fn first_written(&self, from: PageNumber) -> Option<PageNumber>;

    /// Every page that [`is_written`](Self::is_written).
    fn written_pages(&self) -> Result<PageSet, MemoryError> {
        let mut written = PageSet::empty(self.page_count());
        let first = self.first_written(PageNumber(0));
        for page in successors(first, |page| self.first_written(PageNumber(page.0 + 1))) {
            written.insert(page);
        }
        Ok(written)
    }

    /// Takes the mark of a page: as [`is_written`](Self::is_written), and the next write is noticed again. To copy a
    /// page without losing a write, call this *before* [`copy_out`](Self::copy_out).
    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError>;

    /// Takes the mark of every page that has one: all of them, or none if it fails.
    fn take_written_pages(&mut self) -> Result<PageSet, MemoryError> {
        let written = self.written_pages()?;
        written.iter().try_for_each(|page| self.take_written(page).map(drop))?;
        Ok(written)
    }

    /// The content of a present page.
    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError>;

    /// Makes the page present with this content, in place of what was there, and not written.
    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError>;

    /// Drops the page: the next access faults. Nothing happens to a page that is not present.
    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError>;

    /// Drops every page.
    fn discard_all(&mut self) -> Result<(), MemoryError> {
        (0..self.page_count()).map(PageNumber).try_for_each(|page| self.discard(page))
    }

    /// Stops the process's access to all pages. Holds until [`thaw`](Self::thaw). Nothing happens if it is stopped
    /// already, or if there is no process. If it fails, the process goes on as before.
    fn freeze(&mut self) -> Result<(), MemoryError>;

    /// Allows the process's access again. If it fails, the process stays stopped.
    fn thaw(&mut self) -> Result<(), MemoryError>;
}

/// What a simulated process does with its memory.
pub trait Accesses {
    /// The process reads `into.len()` bytes of a page from `offset` on.
    fn read(&self, page: PageNumber, offset: usize, into: &mut [u8]) -> Result<(), Fault>;

    /// The process writes these bytes into a page from `offset` on.
    fn write(&mut self, page: PageNumber, offset: usize, bytes: &[u8]) -> Result<(), Fault>;
}

/// Why an access by the process did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The page is not here: fetch it, then let the process try again.
    #[error("{0} is not present")]
    Missing(PageNumber),
    /// The process is suspended.
    #[error("the memory is frozen")]
    Frozen,
    /// There is no such page, or the access crosses its end.
    #[error("access outside of {0}")]
    OutOfRange(PageNumber),
}

/// Why the endpoint could not work on the memory: a fault of this host, not of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The page has no content here.
    #[error("{0} has no content on this host")]
    Absent(PageNumber),
    /// There is no such page.
    #[error("{0} is outside of the address space")]
    OutOfRange(PageNumber),
    /// There is no process any more: it was killed, or has crashed.
    #[error("the process is gone")]
    ProcessGone,
    /// The operating system did not do what it was asked for.
    #[error("{doing}: {cause}")]
    System {
        /// What was asked for, as an imperative without an object that changes from run to run: `stop a thread`.
        doing: Cow<'static, str>,
        /// The number of the system's error, where there is one.
        errno: Option<i32>,
        /// The system's words.
        cause: String,
    },
}

impl MemoryError {
    /// The operating system did not do what it was asked for.
    pub fn system(doing: impl Into<Cow<'static, str>>, cause: &io::Error) -> Self {
        Self::System { doing: doing.into(), errno: cause.raw_os_error(), cause: cause.to_string() }
    }
}
