//! A region of this program's own memory with the same operations: what a virtual machine monitor embeds, whose guest's memory is such a region.
//!
//! At the machine left: [`track`](MappedRegion::track), [`population`](MappedRegion::population), [`take_written`](MappedRegion::take_written), [`read`](MappedRegion::read). At
//! the machine reached: [`expect`](MappedRegion::expect) makes absent what is not there yet; [`memory`](MappedRegion::memory) serves faults of whoever
//! touches it, a guest's processor too, from another thread.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::error::{Doing, LinuxError, Result};
use crate::pagemap::{Pagemap, PagemapRun};
use crate::range::{AddressRange, PAGE_SIZE};
use crate::userfault::{Cover, Userfault, of_this_process};

/// Private anonymous memory of this program.
#[derive(Debug)]
pub struct MappedRegion {
    start: NonNull<u8>,
    length: usize,
    userfault: Arc<Userfault>,
    pagemap: Pagemap,
    memory: File,
}

// SAFETY: the pointer is only handed out; every access in here goes through the kernel by address.
unsafe impl Send for MappedRegion {}
// SAFETY: as above.
unsafe impl Sync for MappedRegion {}

impl MappedRegion {
    /// Maps `length` bytes, rounded up to whole pages.
    ///
    /// # Errors
    ///
    /// What the kernel says; [`Unsupported`](LinuxError::Unsupported) for none or too many bytes.
    pub fn new(length: usize) -> Result<Self> {
        let length = length.checked_next_multiple_of(PAGE_SIZE as usize).filter(|length| *length > 0);
        let length = length.ok_or_else(|| LinuxError::Unsupported("a region of that length".to_owned()))?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
        let start = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), length, protection, MapFlags::PRIVATE)
        }
        .doing(|| format!("map {length} bytes"))?;
        let start = NonNull::new(start.cast::<u8>())
            .ok_or_else(|| LinuxError::Unsupported("memory at address 0".to_owned()))?;
        let unmap = |error| {
            // SAFETY: just mapped, and nobody else knows of it.
            let _ = unsafe { rustix::mm::munmap(start.as_ptr().cast(), length) };
            error
        };
        let userfault = of_this_process().and_then(Userfault::for_own_memory).map_err(unmap)?;
        let pagemap = Pagemap::open("self").map_err(unmap)?;
        let memory =
            File::options().read(true).open("/proc/self/mem").doing(|| "open /proc/self/mem".to_owned());
        Ok(Self { start, length, userfault: Arc::new(userfault), pagemap, memory: memory.map_err(unmap)? })
    }

    /// Where it begins. Whoever reads or writes through this does so at their own risk, beside whoever else does; valid
    /// until the region is dropped.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Its addresses; the number of a page is its address divided by [`PAGE_SIZE`].
    pub fn range(&self) -> AddressRange {
        let start = self.start.as_ptr() as u64;
        AddressRange::new(start, start + self.length as u64)
    }

    /// Begins to note which pages are written.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn track(&self) -> Result<()> {
        self.cover(Cover::Writes)
    }

    /// Ends it, and the serving of faults: absent pages are zero from now on.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn uncover(&self) -> Result<()> {
        self.userfault.unregister(self.range()).doing(|| format!("uncover {}", self.range()))
    }

    /// Makes all of it absent: whoever touches a page waits until it is installed. Writes are noted as well.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn expect(&self) -> Result<()> {
        self.empty(self.range())?;
        self.serve()
    }

    /// Makes whoever touches a page that is absent, or is [emptied](Self::empty) later, wait until it is installed. Writes are
    /// noted as well.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn serve(&self) -> Result<()> {
        self.cover(Cover::MissingAndWrites)
    }

    /// Takes the content of a part out: absent from now on where absent pages are [expected](Self::expect), otherwise zero.
    ///
    /// # Errors
    ///
    /// For what is not in the region, and what the kernel says.
    pub fn empty(&self, part: AddressRange) -> Result<()> {
        if !self.range().covers(part) {
            let reason = format!("not in {}", self.range());
            return Err(LinuxError::Malformed { from: part.to_string(), reason });
        }
        let offset = (part.start - self.range().start) as usize;
        // SAFETY: within the region, as just seen; whoever holds `as_ptr` was told that others write there.
        unsafe {
            rustix::mm::madvise(self.as_ptr().add(offset).cast(), part.len() as usize, Advice::LinuxDontNeed)
        }
        .doing(|| format!("empty {part}"))
    }

    /// Where pages are installed and faults are read, from another thread than those that touch the memory.
    pub fn memory(&self) -> Arc<Userfault> {
        Arc::clone(&self.userfault)
    }

    /// Pages that are there.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn population(&self) -> Result<Vec<PagemapRun>> {
        let mut runs = Vec::new();
        self.pagemap.population(self.range(), true, &mut runs)?;
        Ok(runs)
    }

    /// Pages written since they were last taken; they count as not written from then on.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn take_written(&self) -> Result<Vec<AddressRange>> {
        let mut written = Vec::new();
        self.pagemap.take_written(self.range(), &mut written)?;
        Ok(written)
    }

    /// The same without taking.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn written(&self) -> Result<Vec<AddressRange>> {
        let mut written = Vec::new();
        self.pagemap.written(self.range(), &mut written)?;
        Ok(written)
    }

    /// Copies a page out while others may write to it.
    ///
    /// # Errors
    ///
    /// For a page that is not in the region, or absent.
    pub fn read(&self, page: u64, bytes: &mut [u8; PAGE_SIZE as usize]) -> Result<()> {
        if !self.range().covers(AddressRange::of_page(page)) {
            let reason = format!("not in {}", self.range());
            return Err(LinuxError::Malformed { from: format!("page {page:#x}"), reason });
        }
        self.memory.read_exact_at(bytes, page * PAGE_SIZE).doing(|| format!("read page {page:#x}"))
    }

    fn cover(&self, cover: Cover) -> Result<()> {
        self.userfault.register(self.range(), cover).doing(|| format!("cover {}", self.range()))
    }
}

impl Drop for MappedRegion {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; `as_ptr` says until when it is valid.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userfault::{Installed, MemoryEvent};

    fn region() -> Option<MappedRegion> {
        match MappedRegion::new(16 * PAGE_SIZE as usize) {
            Ok(region) => Some(region),
            Err(error) => {
                eprintln!("SKIPPED: {error}");
                None
            }
        }
    }

    fn write(region: &MappedRegion, page: u64, value: u8) {
        // SAFETY: within the region, which lives; nobody else writes there now.
        unsafe { region.as_ptr().add((page * PAGE_SIZE) as usize).write_volatile(value) };
    }

    fn pages(region: &MappedRegion, ranges: &[AddressRange]) -> Vec<u64> {
        let first = region.range().pages().start;
        ranges.iter().flat_map(|range| range.pages()).map(|page| page - first).collect()
    }

    #[test]
    fn what_was_written_is_taken_once() {
        let Some(region) = region() else { return };
        (0..8).for_each(|page| write(&region, page, 1));
        region.track().unwrap();
        assert_eq!(pages(&region, &region.take_written().unwrap()), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(pages(&region, &region.take_written().unwrap()), []);
        write(&region, 3, 2);
        write(&region, 12, 2);
        assert_eq!(pages(&region, &region.written().unwrap()), [3, 12]);
        assert_eq!(pages(&region, &region.take_written().unwrap()), [3, 12]);
        assert_eq!(pages(&region, &region.written().unwrap()), []);
    }

    #[test]
    fn whoever_touches_an_absent_page_waits_for_it() {
        let Some(region) = region() else { return };
        region.expect().unwrap();
        let mut bytes = [0; PAGE_SIZE as usize];
        assert!(region.read(region.range().pages().start, &mut bytes).is_err());
        let memory = region.memory();
        let first = region.range().pages().start;
        std::thread::scope(|scope| {
            let touching = scope.spawn(|| {
                // SAFETY: within the region, which lives.
                unsafe { region.as_ptr().add(5 * PAGE_SIZE as usize + 17).read_volatile() }
            });
            let mut poll = [rustix::event::PollFd::new(&*memory, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut poll, None).unwrap();
            let Some(MemoryEvent::Fault { page, .. }) = memory.next_event().unwrap() else {
                panic!("no fault")
            };
            assert_eq!(page, first + 5);
            assert_eq!(memory.install(page, &[42; PAGE_SIZE as usize]).unwrap(), Installed::Done);
            assert_eq!(touching.join().unwrap(), 42);
        });
        assert_eq!(memory.install(first + 5, &[1; PAGE_SIZE as usize]).unwrap(), Installed::AlreadyThere);
        assert_eq!(memory.install_zero(first + 6).unwrap(), Installed::Done);
        assert!(memory.install(first, &[0; 100]).is_err());
        assert_eq!(memory.install(first + 1000, &[0; PAGE_SIZE as usize]).unwrap(), Installed::NoSuchPlace);
        // What was installed was not written (of zeros the kernel does not keep that); what is written afterwards is.
        assert_eq!(pages(&region, &region.take_written().unwrap()), [6]);
        write(&region, 5, 3);
        assert_eq!(pages(&region, &region.take_written().unwrap()), [5]);
    }
}
