//! The memory of the process on one host, as the endpoints see it.
//!
//! [`Memory`] has two sides. The *process* reads and writes, and takes a [`Fault`] where it may not. The
//! *endpoint* copies pages out, installs and discards them, freezes and thaws the process's access, and asks which
//! pages were written since it last asked. [`PageStore`] keeps everything in this process, [`Elided`] everything but
//! the contents; an operating system's address space fits behind the same trait, since nothing in it needs to see each
//! single write.

mod elided;
mod page_store;

pub use elided::Elided;
pub use page_store::PageStore;

use steplog::page::PageNumber;

use crate::page::PageBytes;

/// Memory of one process on one host.
pub trait Memory {
    /// Number of pages of the address space, present or not.
    fn page_count(&self) -> u64;

    /// Whether the page has content here.
    fn is_present(&self, page: PageNumber) -> bool;

    /// Whether the process wrote the page since it was installed or [`take_written`](Self::take_written) was last
    /// called for it.
    fn is_written(&self, page: PageNumber) -> bool;

    /// The first page from this one on that [`is_written`](Self::is_written).
    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        (from.0..self.page_count()).map(PageNumber).find(|&page| self.is_written(page))
    }

    /// As [`is_written`](Self::is_written), and starts anew: the next write is noticed again. To copy a page
    /// without losing a write, call this *before* [`copy_out`](Self::copy_out).
    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError>;

    /// The content of a present page.
    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError>;

    /// Makes the page present with this content, in place of what was there, and not written.
    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError>;

    /// Drops the page: the next access faults. Nothing happens to a page that is not present.
    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError>;

    /// Stops the process's access to all pages. Holds until [`thaw`](Self::thaw).
    fn freeze(&mut self);

    /// Allows the process's access again.
    fn thaw(&mut self);

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The page has no content here.
    #[error("{0} has no content on this host")]
    Absent(PageNumber),
    /// There is no such page.
    #[error("{0} is outside of the address space")]
    OutOfRange(PageNumber),
}
