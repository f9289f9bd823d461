//! A userfaultfd: which memory it covers, pages put in, faults and events read.
//!
//! All requests act on the address space that the descriptor was *made* in, whoever makes them: so one call is put into the
//! process, the descriptor is taken out and closed there, and everything else happens from here without stopping anything.

use std::io;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use linux_raw_sys::general as raw;
use linux_raw_sys::ioctl as request;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl};

use crate::error::{Doing, LinuxError, Result};
use crate::range::{AddressRange, PAGE_SIZE};

const UFFDIO_API: u32 = request::UFFDIO_API;
const UFFDIO_REGISTER: u32 = request::UFFDIO_REGISTER;
const UFFDIO_UNREGISTER: u32 = request::UFFDIO_UNREGISTER;
const UFFDIO_COPY: u32 = request::UFFDIO_COPY;
const UFFDIO_ZEROPAGE: u32 = request::UFFDIO_ZEROPAGE;
const UFFDIO_WRITEPROTECT: u32 = request::UFFDIO_WRITEPROTECT;
const UFFDIO_WAKE: u32 = request::UFFDIO_WAKE;

/// How memory is covered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cover {
    /// Writes are noted by the kernel.
    Writes,
    /// The same, and accesses to absent pages wait for their content.
    MissingAndWrites,
}

/// What became of a page that was offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Installed {
    /// It is there now, and whoever waited for it goes on.
    Done,
    /// There was one already, which stays; whoever waited goes on.
    AlreadyThere,
    /// The process has unmapped the place; whoever waited there goes on.
    NoSuchPlace,
    /// The address space is being changed: read the events first, then try again.
    EventsFirst,
    /// The process has ended.
    ProcessEnded,
}

/// What is read from the descriptor.
///
/// Faults and events of different threads may be read in another order than they happened in: a fault on a page that was removed
/// afterwards may be read after the removal and the other way round. A page for which [`Removed`](Self::Removed) was read is
/// zero whenever it is asked for later.
#[derive(Debug)]
pub enum MemoryEvent {
    /// A thread waits for a page.
    Fault {
        /// Address divided by the page size.
        page: u64,
        /// It wants to write.
        write: bool,
        /// As the observer counts.
        tid: i32,
    },
    /// The process discarded what was there: the range reads as zero from now on.
    Removed(AddressRange),
    /// The process unmapped the range.
    Unmapped(AddressRange),
    /// The process moved the range to another address; what was not there yet is wanted there now.
    Moved {
        /// Where it was.
        from: AddressRange,
        /// Where it is.
        to: u64,
    },
    /// The process has a child now, with the same pages absent: its faults are read from this descriptor.
    Forked(Userfault),
}

/// An open userfaultfd.
#[derive(Debug)]
pub struct Userfault {
    descriptor: OwnedFd,
    notes_writes: bool,
    /// Held for writing while a page that is to be installed is not covered.
    uncovered: RwLock<()>,
}

/// Events that only the kernel's administrator may ask for.
const FORK: u64 = raw::UFFD_FEATURE_EVENT_FORK as u64;
const TRACKING: u64 = (raw::UFFD_FEATURE_PAGEFAULT_FLAG_WP
    | raw::UFFD_FEATURE_WP_HUGETLBFS_SHMEM
    | raw::UFFD_FEATURE_WP_UNPOPULATED
    | raw::UFFD_FEATURE_WP_ASYNC) as u64;
const SERVING: u64 = (raw::UFFD_FEATURE_MISSING_SHMEM
    | raw::UFFD_FEATURE_THREAD_ID
    | raw::UFFD_FEATURE_EVENT_REMOVE
    | raw::UFFD_FEATURE_EVENT_UNMAP
    | raw::UFFD_FEATURE_EVENT_REMAP) as u64;

impl Userfault {
    /// For noting writes only.
    pub(crate) fn for_tracking(descriptor: OwnedFd) -> Result<Self> {
        let this = Self { descriptor, notes_writes: true, uncovered: RwLock::default() };
        this.negotiate(TRACKING).doing(|| "asynchronous write protection (Linux 6.7)".to_owned())?;
        Ok(this)
    }

    /// For serving absent pages, and noting writes besides. A fresh descriptor is needed for each attempt, since a refused
    /// request leaves it as it was: the second attempt goes without the event that needs privileges.
    pub(crate) fn for_serving(descriptor: OwnedFd) -> Result<Self> {
        let this = Self { descriptor, notes_writes: true, uncovered: RwLock::default() };
        match this.negotiate(SERVING | TRACKING | FORK) {
            Err(Errno::PERM) => this.negotiate(SERVING | TRACKING),
            other => other,
        }
        .doing(|| "the features of userfaultfd".to_owned())?;
        Ok(this)
    }

    /// For both on this program's own memory. What it discards or unmaps itself is not told: it would have to read that by another thread.
    pub(crate) fn for_own_memory(descriptor: OwnedFd) -> Result<Self> {
        let this = Self { descriptor, notes_writes: true, uncovered: RwLock::default() };
        let features = TRACKING | (raw::UFFD_FEATURE_MISSING_SHMEM | raw::UFFD_FEATURE_THREAD_ID) as u64;
        this.negotiate(features).doing(|| "the features of userfaultfd".to_owned())?;
        Ok(this)
    }

    fn negotiate(&self, features: u64) -> std::result::Result<(), Errno> {
        let mut api = raw::uffdio_api { api: 0xaa, features, ioctls: 0 };
        // SAFETY: the kernel reads and fills one `uffdio_api`.
        unsafe { ioctl(&self.descriptor, Updater::<UFFDIO_API, _>::new(&mut api)) }
    }

    /// Covers `range`; parts covered already stay so.
    pub(crate) fn register(&self, range: AddressRange, cover: Cover) -> std::result::Result<(), Errno> {
        let mode = match cover {
            Cover::Writes => raw::UFFDIO_REGISTER_MODE_WP,
            Cover::MissingAndWrites => raw::UFFDIO_REGISTER_MODE_MISSING | raw::UFFDIO_REGISTER_MODE_WP,
        };
        let mut register = raw::uffdio_register { range: to_raw(range), mode: u64::from(mode), ioctls: 0 };
        // SAFETY: the kernel reads and fills one `uffdio_register`; what it changes is how faults in the address space of the
        // descriptor are answered, which its owner asked for.
        unsafe { ioctl(&self.descriptor, Updater::<UFFDIO_REGISTER, _>::new(&mut register)) }
    }

    /// Everything in `range` counts as not written from now on, absent pages too.
    pub(crate) fn protect(&self, range: AddressRange) -> std::result::Result<(), Errno> {
        // `UFFDIO_WRITEPROTECT_MODE_WP`
        let mode = 1;
        let mut protect = raw::uffdio_writeprotect { range: to_raw(range), mode };
        // SAFETY: the kernel reads one `uffdio_writeprotect`.
        unsafe { ioctl(&self.descriptor, Updater::<UFFDIO_WRITEPROTECT, _>::new(&mut protect)) }
    }

    /// Uncovers `range`; absent pages read as zero from then on.
    pub(crate) fn unregister(&self, range: AddressRange) -> std::result::Result<(), Errno> {
        let mut range = to_raw(range);
        // SAFETY: the kernel reads one `uffdio_range`.
        unsafe { ioctl(&self.descriptor, Updater::<UFFDIO_UNREGISTER, _>::new(&mut range)) }
    }

    /// Puts the content of one or more whole pages at `page`, unless there is something. What is put in counts as not written.
    ///
    /// # Errors
    ///
    /// What the kernel says beyond the cases of [`Installed`], such as no memory.
    pub fn install(&self, page: u64, bytes: &[u8]) -> Result<Installed> {
        if bytes.is_empty() || !(bytes.len() as u64).is_multiple_of(PAGE_SIZE) {
            let reason = format!("{} bytes are not whole pages", bytes.len());
            return Err(LinuxError::Malformed { from: format!("content of page {page:#x}"), reason });
        }
        let _covered = self.uncovered.read().unwrap_or_else(PoisonError::into_inner);
        let mode = if self.notes_writes { raw::UFFDIO_COPY_MODE_WP } else { 0 };
        let mut done = 0;
        while done < bytes.len() {
            let mut copy = raw::uffdio_copy {
                dst: page * PAGE_SIZE + done as u64,
                src: bytes[done..].as_ptr() as u64,
                len: (bytes.len() - done) as u64,
                mode: u64::from(mode),
                copy: 0,
            };
            // SAFETY: the kernel reads and fills one `uffdio_copy`, and reads `len` bytes at `src`, which `bytes` has.
            let answer = unsafe { ioctl(&self.descriptor, Updater::<UFFDIO_COPY, _>::new(&mut copy)) };
            match (answer, copy.copy) {
                (Ok(()), _) => break,
                (Err(_), copied @ 1..) => done += copied as usize,
                (Err(error), _) => return self.refused(error, page + done as u64 / PAGE_SIZE),
            }
        }
        Ok(Installed::Done)
    }

    /// The same with zeros, which takes no memory until it is written. The page counts as written once.
    ///
    /// # Errors
    ///
    /// As [`install`](Self::install).
    pub fn install_zero(&self, page: u64) -> Result<Installed> {
        let covered = self.uncovered.read().unwrap_or_else(PoisonError::into_inner);
        let range = to_raw(AddressRange::of_page(page));
        let mut zero = raw::uffdio_zeropage { range, mode: 0, zeropage: 0 };
        // SAFETY: the kernel reads and fills one `uffdio_zeropage`.
        match unsafe { ioctl(&self.descriptor, Updater::<UFFDIO_ZEROPAGE, _>::new(&mut zero)) } {
            Ok(()) => Ok(Installed::Done),
            // Shared memory of some kinds has no zero page to map.
            Err(Errno::INVAL) => {
                drop(covered);
                self.install(page, &[0; PAGE_SIZE as usize])
            }
            Err(error) => self.refused(error, page),
        }
    }

    fn refused(&self, error: Errno, page: u64) -> Result<Installed> {
        Ok(match error {
            Errno::EXIST => {
                let _ = self.wake(page);
                Installed::AlreadyThere
            }
            Errno::NOENT | Errno::FAULT => {
                // It waited for what it has no place for any more: it is to see that.
                let _ = self.wake(page);
                Installed::NoSuchPlace
            }
            Errno::AGAIN => Installed::EventsFirst,
            Errno::SRCH => Installed::ProcessEnded,
            error => return Err(error).doing(|| format!("install page {page:#x}")),
        })
    }

    /// Whoever waits for `page` tries again.
    pub(crate) fn wake(&self, page: u64) -> std::result::Result<(), Errno> {
        let mut range = to_raw(AddressRange::of_page(page));
        // SAFETY: the kernel reads one `uffdio_range`.
        unsafe { ioctl(&self.descriptor, Updater::<UFFDIO_WAKE, _>::new(&mut range)) }
    }

    /// The next fault or event; nothing if there is none now (poll [`as_fd`](AsFd::as_fd) for reading).
    ///
    /// # Errors
    ///
    /// What the kernel says, or an event that nobody asked for.
    pub fn next_event(&self) -> Result<Option<MemoryEvent>> {
        let mut message = [0u8; 32];
        match rustix::io::read(&self.descriptor, &mut message) {
            Ok(32) => self.understood(&message).map(Some),
            Ok(_) => Ok(None),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error).doing(|| "read from userfaultfd".to_owned()),
        }
    }

    fn understood(&self, message: &[u8; 32]) -> Result<MemoryEvent> {
        let word = |index: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&message[index * 8..index * 8 + 8]);
            u64::from_ne_bytes(bytes)
        };
        Ok(match u32::from(message[0]) {
            raw::UFFD_EVENT_PAGEFAULT => {
                MemoryEvent::Fault { write: word(1) & 1 != 0, page: word(2) / PAGE_SIZE, tid: word(3) as i32 }
            }
            raw::UFFD_EVENT_REMOVE => MemoryEvent::Removed(AddressRange::new(word(1), word(2))),
            raw::UFFD_EVENT_UNMAP => MemoryEvent::Unmapped(AddressRange::new(word(1), word(2))),
            raw::UFFD_EVENT_REMAP => {
                MemoryEvent::Moved { from: AddressRange::new(word(1), word(1) + word(3)), to: word(2) }
            }
            raw::UFFD_EVENT_FORK => {
                // SAFETY: with this event the kernel has just put a new descriptor of that number into this process.
                let descriptor = unsafe { OwnedFd::from_raw_fd(word(1) as i32) };
                MemoryEvent::Forked(Self {
                    descriptor,
                    notes_writes: self.notes_writes,
                    uncovered: RwLock::default(),
                })
            }
            other => {
                let reason = format!("event {other} that was not asked for");
                return Err(LinuxError::Malformed { from: "userfaultfd".to_owned(), reason });
            }
        })
    }

    /// Keeps others from installing until it is dropped.
    pub(crate) fn quiet(&self) -> RwLockWriteGuard<'_, ()> {
        self.uncovered.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another handle of the same.
    pub(crate) fn duplicate(&self) -> Result<OwnedFd> {
        self.descriptor.try_clone().doing(|| "duplicate userfaultfd".to_owned())
    }
}

impl AsFd for Userfault {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Flags of the call that makes one: no content of faults for code of the kernel where only writes are noted, which needs no privilege.
pub(crate) const MAKE_FOR_TRACKING: u64 =
    (libc::O_CLOEXEC | libc::O_NONBLOCK) as u64 | raw::UFFD_USER_MODE_ONLY as u64;
pub(crate) const MAKE_FOR_SERVING: u64 = (libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;

/// One for this process's own memory: by the call, by the device, or for code outside of the kernel only, whichever is permitted first.
pub(crate) fn of_this_process() -> Result<OwnedFd> {
    const USERFAULTFD_IOC_NEW: libc::c_ulong = 0xaa00;
    let make = |flags: u64| {
        // SAFETY: the call makes a descriptor and touches no memory.
        made(unsafe { libc::syscall(libc::SYS_userfaultfd, flags) })
    };
    let by_device = || {
        let device = std::fs::File::open("/dev/userfaultfd")?;
        // SAFETY: the request takes flags by value and makes a descriptor.
        made(i64::from(unsafe { libc::ioctl(device.as_raw_fd(), USERFAULTFD_IOC_NEW, MAKE_FOR_SERVING) }))
    };
    let first = make(MAKE_FOR_SERVING).or_else(|_| by_device());
    first.or_else(|_| make(MAKE_FOR_TRACKING)).doing(|| "make a userfaultfd".to_owned())
}

fn made(number: i64) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned it, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number as i32) })
}

fn to_raw(range: AddressRange) -> raw::uffdio_range {
    raw::uffdio_range { start: range.start, len: range.len() }
}
