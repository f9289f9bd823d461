//! Memory that a program of the measurements works on: of each kind that a page can have.

use std::fs::File;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

use crate::error::{Doing, LinuxError, Result};
use crate::range::PAGE_SIZE;

/// Words of a page.
pub const WORDS: u64 = PAGE_SIZE / 8;

/// What is mapped.
#[derive(Clone, Copy, Debug)]
pub enum AreaKind<'a> {
    /// Memory of the program alone.
    Private,
    /// A private mapping of a file: clean pages, until they are written.
    Clean(&'a File),
    /// A shared mapping of a file: file-mapped pages.
    Shared(&'a File),
}

/// Pages that are read and written a word at a time, each at its place in memory and nowhere else.
#[derive(Debug)]
pub struct MemoryArea {
    start: NonNull<u8>,
    pages: u64,
}

impl MemoryArea {
    /// Maps so many pages, those of a file from its beginning.
    ///
    /// # Errors
    ///
    /// What the kernel says; [`Unsupported`](LinuxError::Unsupported) for none or too many pages, or a file that is shorter.
    pub fn map(kind: AreaKind<'_>, pages: u64) -> Result<Self> {
        let length = pages.checked_mul(PAGE_SIZE).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length > 0);
        let length = length.ok_or_else(|| LinuxError::Unsupported(format!("an area of {pages} pages")))?;
        if let AreaKind::Clean(file) | AreaKind::Shared(file) = kind
            && file.metadata().doing(|| "look at a file".to_owned())?.len() < length as u64
        {
            return Err(LinuxError::Unsupported(format!("an area of {pages} pages of a shorter file")));
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let anywhere = std::ptr::null_mut();
        // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
        let start = unsafe {
            match kind {
                AreaKind::Private => {
                    rustix::mm::mmap_anonymous(anywhere, length, protection, MapFlags::PRIVATE)
                }
                AreaKind::Clean(file) => {
                    rustix::mm::mmap(anywhere, length, protection, MapFlags::PRIVATE, file, 0)
                }
                AreaKind::Shared(file) => {
                    rustix::mm::mmap(anywhere, length, protection, MapFlags::SHARED, file, 0)
                }
            }
        };
        let start = start.doing(|| format!("map {length} bytes"))?;
        let start = NonNull::new(start.cast())
            .ok_or_else(|| LinuxError::Unsupported("memory at address 0".to_owned()))?;
        Ok(Self { start, pages })
    }

    /// How many pages it has.
    pub fn page_count(&self) -> u64 {
        self.pages
    }

    /// A word of a page.
    ///
    /// # Panics
    ///
    /// There is no such page, or it has not so many words.
    pub fn read(&self, page: u64, word: u64) -> u64 {
        // SAFETY: the word is in the mapping, aligned, and any value is a number.
        unsafe { self.word(page, word).read_volatile() }
    }

    /// Writes a word of a page.
    ///
    /// # Panics
    ///
    /// There is no such page, or it has not so many words.
    pub fn write(&mut self, page: u64, word: u64, value: u64) {
        // SAFETY: the word is in the mapping and aligned; nothing refers to it.
        unsafe { self.word(page, word).write_volatile(value) };
    }

    fn word(&self, page: u64, word: u64) -> *mut u64 {
        assert!(page < self.pages && word < WORDS, "word {word} of page {page} of {}", self.pages);
        // SAFETY: within the mapping, whose length fits an address.
        unsafe { self.start.as_ptr().add((page * PAGE_SIZE + word * 8) as usize).cast() }
    }
}

impl Drop for MemoryArea {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and nothing refers to it any more.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), (self.pages * PAGE_SIZE) as usize) };
    }
}

/// How long this thread has been on a processor.
pub fn thread_cpu_time() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Closes what this program was started with beside its standard streams. For the beginning of a program, which has opened nothing yet.
pub fn close_inherited() {
    // SAFETY: closes numbers that nothing in this program has yet; none of them refers to memory.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_shared_area_is_the_file_and_a_clean_one_is_not() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 * PAGE_SIZE).unwrap();
        let mut shared = MemoryArea::map(AreaKind::Shared(&file), 3).unwrap();
        let mut clean = MemoryArea::map(AreaKind::Clean(&file), 3).unwrap();
        let mut private = MemoryArea::map(AreaKind::Private, 3).unwrap();
        shared.write(1, 0, 7);
        clean.write(2, 0, 8);
        private.write(0, WORDS - 1, 9);
        let mut word = [0; 8];
        let mut in_file = |page| {
            file.read_exact_at(&mut word, page * PAGE_SIZE).unwrap();
            u64::from_le_bytes(word)
        };
        assert_eq!((in_file(0), in_file(1), in_file(2)), (0, 7, 0));
        let words = (clean.read(1, 0), clean.read(2, 0), private.read(0, WORDS - 1), shared.read(2, 0));
        assert_eq!(words, (7, 8, 9, 0));
        for pages in [0, 4, u64::MAX] {
            assert!(MemoryArea::map(AreaKind::Shared(&file), pages).is_err(), "{pages}");
        }
        assert!(std::panic::catch_unwind(|| private.read(3, 0)).is_err());
        assert!(std::panic::catch_unwind(|| private.read(0, WORDS)).is_err());
    }
}
