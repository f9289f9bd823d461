//! Noting which pages are written, while the process runs.

use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::TrackedProcess;
use super::interrupted;
use super::waiting::{self, SchedulerClock};
use crate::error::{Doing, LinuxError, Result};
use crate::inventory::{Mapping, MemoryKind};
use crate::range::AddressRange;
use crate::tracing::inject::{Call, Injector};
use crate::tracing::tracee::Tracee;
use crate::userfault::{Cover, MAKE_FOR_TRACKING, Userfault};

const USERFAULTFD: Call = Call("userfaultfd", libc::SYS_userfaultfd);
const CLOSE: Call = Call("close", libc::SYS_close);

/// What beginning to track cost the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrackingStop {
    /// How long one of its threads was stopped.
    pub stopped_for: Duration,
}

/// The descriptor that notes writes; the process has none of it.
#[derive(Debug)]
pub(super) struct Tracking {
    userfault: Userfault,
}

impl TrackedProcess {
    /// Begins to note which pages are written. One thread is stopped for a moment; the others run on.
    ///
    /// Every page counts as written until it is taken for the first time, but for pages of shared mappings of files: those count as
    /// written when they are written (or mapped) after this. So look at [`population`](super::TrackedProcess::population) after
    /// this for the first pass.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](LinuxError::Unsupported) kernels, a process that is gone or traced by somebody else.
    pub fn track(&mut self) -> Result<TrackingStop> {
        if self.tracking.is_some() {
            return Ok(TrackingStop { stopped_for: Duration::ZERO });
        }
        self.look_at_waits(&[self.pid]);
        let (descriptor, stopped_for) = self.worker.run(|| {
            let began = Instant::now();
            let descriptor = self.with_thread_stopped(self.pid, |tracee| {
                take_descriptor(tracee, self.injector, &self.handle, USERFAULTFD, &[MAKE_FOR_TRACKING])
            })?;
            Ok((descriptor, began.elapsed()))
        })?;
        let tracking = Tracking { userfault: Userfault::for_tracking(descriptor)? };
        for mapping in self.cover_all(&tracking)? {
            if mapping.memory_kind() == Some(MemoryKind::SharedFile) {
                // Pages that are only read later on would count as written otherwise; not all file systems can.
                let _ = tracking.userfault.protect(mapping.range);
            }
        }
        self.tracking = Some(tracking);
        Ok(TrackingStop { stopped_for })
    }

    /// Whether writes are being noted.
    pub fn is_tracked(&self) -> bool {
        self.tracking.is_some()
    }

    /// Ends the noting of writes. The process is not stopped and nothing is left in it.
    pub fn untrack(&mut self) {
        self.tracking = None;
    }

    /// Pages written since they were last taken, in order; they count as not written from then on. Mappings that
    /// came since are covered first, and all of their pages count as written.
    ///
    /// # Errors
    ///
    /// What the kernel says; [`Gone`](LinuxError::Gone).
    pub fn take_written(&self) -> Result<Vec<AddressRange>> {
        let tracking = self.tracking()?;
        let mut written = Vec::new();
        for mapping in self.cover_all(tracking)? {
            self.pagemap.take_written(mapping.range, &mut written)?;
        }
        Ok(written)
    }

    /// The same without taking: what would be taken now.
    ///
    /// # Errors
    ///
    /// As [`take_written`](Self::take_written).
    pub fn written(&self) -> Result<Vec<AddressRange>> {
        self.tracking()?;
        let mut written = Vec::new();
        for mapping in self.mappings()?.iter().filter(|mapping| is_tracked(mapping)) {
            self.pagemap.written(mapping.range, &mut written)?;
        }
        Ok(written)
    }

    /// Covers everything that can be, and answers the mappings whose pages are tracked.
    ///
    /// Not mapping by mapping: the layout may change between looking and covering, and the kernel splits a mapping at the ends of what is
    /// covered, so that the process could not move or grow it as one. What is between two mappings that cannot be covered is covered at once.
    fn cover_all(&self, tracking: &Tracking) -> Result<Vec<Mapping>> {
        const ATTEMPTS: usize = 5;
        let mut attempt = 0;
        loop {
            let mut mappings = self.mappings()?;
            let mut refused = Vec::new();
            for span in spans(&mappings) {
                if !tracking.cover(span)? {
                    refused.extend(tracking.cover_each(span, &mappings)?);
                }
            }
            attempt += 1;
            mappings.retain(is_tracked);
            match refused.first() {
                None => return Ok(mappings),
                // It may have gone away meanwhile. What stays uncovered must not pass for never written.
                Some(range) if attempt == ATTEMPTS => {
                    return Err(LinuxError::Unsupported(format!("writes to {range} cannot be noted")));
                }
                Some(_) => {}
            }
        }
    }

    fn tracking(&self) -> Result<&Tracking> {
        let missing = || LinuxError::Unsupported("writes are not being noted: track first".to_owned());
        self.tracking.as_ref().ok_or_else(missing)
    }

    /// Stops one thread, lets `work` put calls into it, and lets it go as if nothing had been.
    fn with_thread_stopped<T>(&self, tid: i32, work: impl FnOnce(Tracee) -> Result<T>) -> Result<T> {
        // A process stopped by a signal stays so: the kernel stops it again when it is let go.
        let (tracee, _) = Tracee::stop(tid)?;
        let result = self.injector.borrow(tracee, || work(tracee));
        let registers = tracee.registers()?;
        let adjusted = interrupted::for_going_on(registers, &self.circumstances(tid));
        if adjusted != registers {
            tracee.set_registers(&adjusted)?;
        }
        tracee.detach()?;
        result
    }

    /// Remembers what threads wait for, since a stop makes them forget.
    pub(super) fn look_at_waits(&self, threads: &[i32]) {
        let clock = SchedulerClock::default();
        let Ok(mut waits) = self.waits.lock() else { return };
        for tid in threads {
            let earlier = waits.get(tid).copied();
            let read = |address, bytes: &mut [u8]| self.read(address, bytes).is_ok();
            match waiting::look(self.pid, *tid, earlier, &clock, read) {
                Some(seen) => waits.insert(*tid, seen),
                None => waits.remove(tid),
            };
        }
    }
}

impl Tracking {
    /// Whether the range could be covered: not if it went away meanwhile.
    fn cover(&self, range: AddressRange) -> Result<bool> {
        match self.userfault.register(range, Cover::Writes) {
            Ok(()) => Ok(true),
            // The last one: a shared mapping that nobody may ever write through.
            Err(Errno::INVAL | Errno::NOENT | Errno::NOMEM | Errno::FAULT | Errno::PERM) => Ok(false),
            Err(Errno::SRCH) => {
                Err(LinuxError::CannotFollow("it ended, or runs another program now".to_owned()))
            }
            Err(error) => Err(error).doing(|| format!("note writes to {range}")),
        }
    }
}

impl Tracking {
    /// Covers what is tracked in a stretch that could not be covered at once, mapping by mapping; what could not be.
    fn cover_each(&self, span: AddressRange, mappings: &[Mapping]) -> Result<Vec<AddressRange>> {
        let mut refused = Vec::new();
        for mapping in mappings.iter().filter(|mapping| is_tracked(mapping) && span.covers(mapping.range)) {
            if !self.cover(mapping.range)? {
                refused.push(mapping.range);
            }
        }
        Ok(refused)
    }
}

fn is_tracked(mapping: &Mapping) -> bool {
    mapping.memory_kind().is_some() && can_be_covered(mapping)
}

/// A shared mapping without the right to write may be of a file opened for reading, through which nobody can ever write.
fn can_be_covered(mapping: &Mapping) -> bool {
    match mapping.memory_kind() {
        Some(MemoryKind::SharedFile | MemoryKind::SharedAnonymous) => mapping.is_writable(),
        Some(MemoryKind::Private | MemoryKind::PrivateFile) => true,
        // None of the kernel's own: a stretch with one in it is refused as a whole.
        None => false,
    }
}

/// The stretches of the address space between mappings that cannot be covered, where there is anything to cover. They reach over gaps
/// up to those mappings, so that nothing that grows meanwhile is cut.
fn spans(mappings: &[Mapping]) -> Vec<AddressRange> {
    const LOWEST: u64 = 0x1_0000;
    const HIGHEST: u64 = 0x7fff_ffff_f000;
    let mut spans = Vec::new();
    let (mut start, mut anything) = (LOWEST, false);
    for mapping in mappings.iter().filter(|mapping| mapping.range.start < HIGHEST) {
        if can_be_covered(mapping) {
            anything = true;
            continue;
        }
        if anything {
            spans.push(AddressRange::new(start, mapping.range.start));
        }
        (start, anything) = (mapping.range.end, false);
    }
    if anything {
        spans.push(AddressRange::new(start, HIGHEST));
    }
    spans
}

/// Makes a descriptor in the process, takes it out, and closes it there.
pub(crate) fn take_descriptor(
    tracee: Tracee,
    injector: Injector,
    handle: &OwnedFd,
    call: Call,
    arguments: &[u64],
) -> Result<OwnedFd> {
    let number = injector.call(tracee, call, arguments)?;
    let taken =
        rustix::process::pidfd_getfd(handle, number as i32, rustix::process::PidfdGetfdFlags::empty())
            .doing(|| format!("take descriptor {number} out of the process"));
    injector.call(tracee, CLOSE, &[number])?;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::MappingKind;
    use crate::inventory::mapping::MappingFlags;

    #[test]
    fn what_is_covered_reaches_from_barrier_to_barrier() {
        let mapping = |start: u64, end: u64, kind: MappingKind| Mapping {
            range: AddressRange::new(start << 12, end << 12),
            protection: 1,
            shared: false,
            kind,
            flags: MappingFlags::default(),
            own_pages: 0,
        };
        let barrier = || MappingKind::Vvar { name: "vvar".to_owned() };
        let layout = [
            mapping(0x20, 0x30, MappingKind::Anonymous),
            mapping(0x40, 0x41, barrier()),
            mapping(0x41, 0x42, MappingKind::Vdso),
            mapping(0x50, 0x60, MappingKind::Heap),
        ];
        let expected = [AddressRange::new(0x1_0000, 0x4_0000), AddressRange::new(0x4_2000, 0x7fff_ffff_f000)];
        assert_eq!(spans(&layout), expected);
        assert_eq!(spans(&layout[1..3]), []);
    }
}
