//! The process that is being built, and the calls put into it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::sys::ptrace::Options;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use super::channel;
use super::init::{ARGUMENTS, Init};
use crate::error::{Doing, LinuxError, Result};
use crate::inventory::{Clocks, Inventory, Mapping, MappingKind, mapping};
use crate::pagemap::Pagemap;
use crate::range::{AddressRange, PAGE_SIZE};
use crate::source::take_descriptor;
use crate::tracing::Together;
use crate::tracing::inject::{Call, Injector};
use crate::tracing::raw::{self, RestartableSequences};
use crate::tracing::tracee::{Stop, Tracee};
use crate::userfault::{MAKE_FOR_SERVING, Userfault};

const UNSHARE: Call = Call("unshare", libc::SYS_unshare);
pub(super) const CLONE3: Call = Call("clone3", libc::SYS_clone3);
const SETSID: Call = Call("setsid", libc::SYS_setsid);
pub(super) const MMAP: Call = Call("mmap", libc::SYS_mmap);
pub(super) const MUNMAP: Call = Call("munmap", libc::SYS_munmap);
const RECVMSG: Call = Call("recvmsg", libc::SYS_recvmsg);
pub(super) const DUP3: Call = Call("dup3", libc::SYS_dup3);
pub(super) const CLOSE: Call = Call("close", libc::SYS_close);
const CLOSE_RANGE: Call = Call("close_range", libc::SYS_close_range);
const FCNTL: Call = Call("fcntl", libc::SYS_fcntl);
pub(super) const RSEQ: Call = Call("rseq", libc::SYS_rseq);
const USERFAULTFD: Call = Call("userfaultfd", libc::SYS_userfaultfd);

/// Fields of `struct clone_args`, by index.
pub(super) const CLONE_WORDS: usize = 11;
pub(super) const CLONE_FLAGS: usize = 0;
pub(super) const CLONE_EXIT_SIGNAL: usize = 4;
pub(super) const CLONE_SET_TID: usize = 8;
pub(super) const CLONE_SET_TID_SIZE: usize = 9;

/// Pages of the stage: one of code, the rest for arguments.
const STAGE_PAGES: u64 = 8;

/// A process under construction: one or more stopped threads.
#[derive(Debug)]
pub(super) struct Target {
    init: Init,
    pid: i32,
    handle: OwnedFd,
    memory: File,
    socket: OwnedFd,
    /// The number of the other end in the process.
    socket_number: i32,
    injector: Injector,
    stage: AddressRange,
    /// Threads by the number that the process itself knows, the main thread first.
    pub(super) threads: Vec<(i32, Tracee)>,
    /// It may outlive this value.
    released: bool,
}

impl Target {
    /// A process with the right number, nothing open but a socket to here, and nothing mapped but the kernel's own and the stage.
    pub(super) fn make(inventory: &Inventory) -> Result<Self> {
        let (socket, theirs) = channel::pair()?;
        let their_number = std::os::fd::AsRawFd::as_raw_fd(&theirs);
        let init = Init::start(&theirs)?;
        drop(theirs);
        let own_pid = inventory.process.own_pid;
        let (pid, tracee) = make_child(&init, own_pid, &inventory.process.clocks)?;
        let number = rustix::process::Pid::from_raw(pid).ok_or(LinuxError::Gone { pid })?;
        let handle = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty())
            .doing(|| format!("open a handle of process {pid}"))?;
        let path = format!("/proc/{pid}/mem");
        let memory = File::options().read(true).write(true).open(&path).doing(|| format!("open {path}"))?;
        let injector = Injector { instruction: crate::source::find_instruction(pid, &memory)? };
        let mut target = Self {
            init,
            pid,
            handle,
            memory,
            socket,
            socket_number: their_number,
            injector,
            stage: AddressRange::new(0, 0),
            threads: vec![(own_pid, tracee)],
            released: false,
        };
        target.set_stage(inventory)?;
        target.close_all_but_socket(inventory)?;
        target.call(SETSID, &[])?;
        // The fork has this program's registration, in memory that is about to go; the kernel writes there at every switch.
        if let Some(sequences) = raw::restartable_sequences(pid)? {
            const UNREGISTER: u64 = 1;
            let RestartableSequences { address, length, signature } = sequences;
            target.call(RSEQ, &[address, u64::from(length), UNREGISTER, u64::from(signature)])?;
        }
        Ok(target)
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn memory(&self) -> &File {
        &self.memory
    }

    pub(super) fn stage(&self) -> AddressRange {
        self.stage
    }

    pub(super) fn pagemap(&self) -> Result<Pagemap> {
        Pagemap::open(&self.pid.to_string())
    }

    pub(super) fn main(&self) -> Tracee {
        self.threads[0].1
    }

    /// Has the process take turns with this thread.
    pub(super) fn together(&self) -> Together {
        Together::with(self.threads.iter().map(|(_, thread)| thread.0))
    }

    /// A call by the main thread.
    pub(super) fn call(&self, call: Call, arguments: &[u64]) -> Result<u64> {
        self.injector.call(self.main(), call, arguments)
    }

    /// A call by another thread.
    pub(super) fn call_by(&self, thread: Tracee, call: Call, arguments: &[u64]) -> Result<u64> {
        self.injector.call(thread, call, arguments)
    }

    pub(super) fn injector(&self) -> Injector {
        self.injector
    }

    /// Writes `words` where calls find arguments, `at` words from the beginning; its address in the process.
    pub(super) fn write_words(&self, at: u64, words: &[u64]) -> Result<u64> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.write_bytes(at, &bytes)
    }

    /// The same of bytes.
    pub(super) fn write_bytes(&self, at: u64, bytes: &[u8]) -> Result<u64> {
        let address = self.stage.start + PAGE_SIZE + at * 8;
        if address + bytes.len() as u64 > self.stage.end {
            let reason = format!("{} bytes of arguments", bytes.len());
            return Err(LinuxError::Unsupported(reason));
        }
        self.memory.write_all_at(bytes, address).doing(|| "write arguments".to_owned())?;
        Ok(address)
    }

    /// Words at the place that [`write_words`](Self::write_words) writes to.
    pub(super) fn read_words(&self, at: u64, count: usize) -> Result<Vec<u64>> {
        let mut bytes = vec![0; count * 8];
        let address = self.stage.start + PAGE_SIZE + at * 8;
        self.memory.read_exact_at(&mut bytes, address).doing(|| "read an answer".to_owned())?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect())
    }

    pub(super) fn mappings(&self) -> Result<Vec<Mapping>> {
        let entry = procfs::process::Process::new(self.pid)
            .map_err(|error| crate::error::from_procfs(self.pid, error))?;
        mapping::read_layout(&entry)
    }

    /// Passes descriptors; their numbers there, which are above all that the process had at the source.
    pub(super) fn pass(&self, descriptors: &[BorrowedFd<'_>]) -> Result<Vec<i32>> {
        let mut numbers = Vec::with_capacity(descriptors.len());
        for batch in descriptors.chunks(channel::BATCH) {
            channel::send(&self.socket, 0, batch)?;
            // msghdr, iovec, one byte, then room for the control message.
            let base = self.stage.start + PAGE_SIZE;
            let control_bytes = 16 + (batch.len() as u64 * 4).next_multiple_of(8);
            let header = [0, 0, base + 8 * 8, 1, base + 16 * 8, control_bytes, 0];
            self.write_words(0, &header)?;
            self.write_words(8, &[base + 12 * 8, 1])?;
            self.call(RECVMSG, &[self.socket_number as u64, base, libc::MSG_CMSG_CLOEXEC as u64])?;
            let words = self.read_words(18, batch.len().div_ceil(2))?;
            let received =
                words.iter().flat_map(|word| [*word as i32, (*word >> 32) as i32]).take(batch.len());
            for number in received {
                let above = (self.socket_number + 1) as u64;
                numbers.push(self.call(FCNTL, &[number as u64, libc::F_DUPFD_CLOEXEC as u64, above])? as i32);
                self.call(CLOSE, &[number as u64])?;
            }
        }
        Ok(numbers)
    }

    /// Closes what [`pass`](Self::pass) left.
    pub(super) fn close_passed(&self) -> Result<()> {
        self.call(CLOSE_RANGE, &[(self.socket_number + 1) as u64, u64::from(u32::MAX), 0]).map(drop)
    }

    /// The first number that the process may not use for itself while it is built.
    pub(super) fn socket_number(&self) -> i32 {
        self.socket_number
    }

    /// Closes the socket, where `number` is still it.
    pub(super) fn close_socket(&self) -> Result<()> {
        self.call(CLOSE, &[self.socket_number as u64]).map(drop)
    }

    /// A userfaultfd of the process's address space, also held by init.
    pub(super) fn make_userfault(&self) -> Result<Userfault> {
        let made =
            take_descriptor(self.main(), self.injector, &self.handle, USERFAULTFD, &[MAKE_FOR_SERVING]);
        let descriptor = match made {
            Err(LinuxError::Injected { source, .. }) if source.raw_os_error() == Some(libc::EPERM) => {
                self.made_by_device()?
            }
            other => other?,
        };
        let userfault = Userfault::for_serving(descriptor)?;
        self.init.keep(&userfault.duplicate()?)?;
        Ok(userfault)
    }

    /// Through `/dev/userfaultfd`, which whoever may open it may use.
    fn made_by_device(&self) -> Result<OwnedFd> {
        const IOCTL: Call = Call("ioctl(USERFAULTFD_IOC_NEW)", libc::SYS_ioctl);
        const USERFAULTFD_IOC_NEW: u64 = 0xaa00;
        let device = File::open("/dev/userfaultfd").doing(|| "open /dev/userfaultfd".to_owned())?;
        let number = self.pass(&[device.as_fd()])?[0];
        take_descriptor(
            self.main(),
            self.injector,
            &self.handle,
            IOCTL,
            &[number as u64, USERFAULTFD_IOC_NEW, MAKE_FOR_SERVING],
        )
    }

    /// Unmaps the stage, by way of the process's own vdso, through which calls go from now on: nothing is left of the building.
    pub(super) fn leave_stage(&self, inventory: &Inventory) -> Result<Injector> {
        let vdso = inventory.mappings.iter().find(|mapping| mapping.kind == MappingKind::Vdso);
        let vdso = vdso.ok_or_else(|| LinuxError::Unsupported("a process without a vdso".to_owned()))?;
        let mut bytes = vec![0; vdso.range.len() as usize];
        self.memory.read_exact_at(&mut bytes, vdso.range.start).doing(|| "read the vdso".to_owned())?;
        let at = bytes.windows(2).position(|pair| pair == [0x0f, 0x05]);
        let at = at.ok_or_else(|| LinuxError::Unsupported("a vdso that makes no system call".to_owned()))?;
        let injector = Injector { instruction: vdso.range.start + at as u64 };
        injector.call(self.main(), MUNMAP, &[self.stage.start, self.stage.len()])?;
        Ok(injector)
    }

    /// It runs; until it is complete it still ends with this program.
    pub(super) fn let_go(&mut self) -> Result<()> {
        for (_, thread) in self.threads.drain(..) {
            thread.detach()?;
        }
        Ok(())
    }

    /// It survives the end of this value, and of this program, from now on.
    pub(super) fn complete(&mut self) -> Result<()> {
        self.init.complete()?;
        self.released = true;
        Ok(())
    }

    pub(super) fn ended(&mut self, wait: bool) -> Result<Option<i32>> {
        self.init.ended(wait)
    }

    /// Maps the stage where neither this program nor the process at the source has anything.
    fn set_stage(&mut self, inventory: &Inventory) -> Result<()> {
        let here = self.mappings()?;
        let taken: Vec<AddressRange> =
            here.iter().chain(&inventory.mappings).map(|mapping| mapping.range).collect();
        let start = free_range(&taken, STAGE_PAGES * PAGE_SIZE)?;
        let protection = (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) as u64;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE) as u64;
        self.call(MMAP, &[start, STAGE_PAGES * PAGE_SIZE, protection, flags, u64::MAX, 0])?;
        self.stage = AddressRange::new(start, start + STAGE_PAGES * PAGE_SIZE);
        // `syscall`, then a trap for what must never be reached.
        self.memory.write_all_at(&[0x0f, 0x05, 0xcc, 0xcc], start).doing(|| "write the stage".to_owned())?;
        self.injector = Injector { instruction: start };
        Ok(())
    }

    /// Closes everything but the socket, which gets a number above all that the process has at the source.
    fn close_all_but_socket(&mut self, inventory: &Inventory) -> Result<()> {
        // Above what the process will have, with room for what it opens until the freeze.
        let last = inventory.descriptors.last().map_or(0, |descriptor| descriptor.number);
        let above = (last + 256).max(self.socket_number + 1);
        self.raise_limit(above as u64 + 2 * channel::BATCH as u64)?;
        self.call(DUP3, &[self.socket_number as u64, above as u64, libc::O_CLOEXEC as u64])?;
        self.call(CLOSE_RANGE, &[0, (above - 1) as u64, 0])?;
        self.socket_number = above;
        self.close_passed()
    }

    fn raise_limit(&self, needed: u64) -> Result<()> {
        use rustix::process::{Resource, Rlimit};
        let now = rustix::process::getrlimit(Resource::Nofile);
        if now.current.is_none_or(|soft| soft >= needed) {
            return Ok(());
        }
        let maximum = now.maximum;
        let raised = Rlimit { current: maximum, maximum };
        rustix::process::prlimit(rustix::process::Pid::from_raw(self.pid), Resource::Nofile, raised)
            .doing(|| "raise the number of descriptors".to_owned())?;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.released {
            let traced: Vec<Tracee> = self.threads.iter().map(|(_, thread)| *thread).collect();
            self.init.kill(&traced);
        }
    }
}

/// The lowest free place of `length` bytes beside `taken`.
pub(super) fn free_range(taken: &[AddressRange], length: u64) -> Result<u64> {
    let mut sorted = taken.to_vec();
    sorted.sort();
    let mut at = 0x1_0000;
    for range in sorted {
        if range.start >= at + length {
            return Ok(at);
        }
        at = at.max(range.end);
    }
    if at + length < 0x7fff_ffff_f000 {
        return Ok(at);
    }
    Err(LinuxError::Unsupported("no room in the address space".to_owned()))
}

/// Puts a `clone3` into init, whose child has `own_pid` in its namespace, and clocks that go on from the source's.
fn make_child(init: &Init, own_pid: i32, clocks: &Clocks) -> Result<(i32, Tracee)> {
    let (parent, _) = Tracee::stop_with_offspring(init.pid)?;
    let path = format!("/proc/{}/mem", init.pid);
    let memory = File::options().read(true).write(true).open(&path).doing(|| format!("open {path}"))?;
    let injector = Injector { instruction: crate::source::find_instruction(init.pid, &memory)? };
    let base = ARGUMENTS.as_ptr() as u64;
    let made = injector.borrow(parent, || {
        shift_clocks(init, injector, parent, clocks)?;
        let mut words = [0u64; CLONE_WORDS + 1];
        const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
        words[CLONE_FLAGS] = CLONE_CLEAR_SIGHAND;
        words[CLONE_EXIT_SIGNAL] = libc::SIGCHLD as u64;
        words[CLONE_SET_TID] = base + CLONE_WORDS as u64 * 8;
        words[CLONE_SET_TID_SIZE] = 1;
        words[CLONE_WORDS] = own_pid as u64;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        memory.write_all_at(&bytes, base).doing(|| "write arguments".to_owned())?;
        let (_, child) = injector.call_with_offspring(parent, CLONE3, &[base, CLONE_WORDS as u64 * 8])?;
        child.ok_or(LinuxError::UnexpectedStop {
            tid: init.pid,
            status: "no child".to_owned(),
            doing: "clone3",
        })
    })?;
    let child = Tracee(made);
    match child.wait()? {
        Stop::Requested { .. } => {}
        other => {
            return Err(LinuxError::UnexpectedStop {
                tid: made,
                status: format!("{other:?}"),
                doing: "its first stop",
            });
        }
    }
    child.set_options(Options::PTRACE_O_EXITKILL)?;
    parent.detach()?;
    Ok((made, child))
}

/// The monotonic clocks of the child go on from what the process saw, where that differs by more than reading them takes.
fn shift_clocks(init: &Init, injector: Injector, parent: Tracee, clocks: &Clocks) -> Result<()> {
    const NEGLIGIBLE_NS: i64 = 1_000_000;
    let here = Clocks::now();
    let elapsed_ns = here.realtime_ns - clocks.realtime_ns;
    let monotonic_ns = clocks.monotonic_ns + elapsed_ns - here.monotonic_ns;
    let boottime_ns = clocks.boottime_ns + elapsed_ns - here.boottime_ns;
    if monotonic_ns.abs() < NEGLIGIBLE_NS && boottime_ns.abs() < NEGLIGIBLE_NS {
        return Ok(());
    }
    injector.call(parent, UNSHARE, &[libc::CLONE_NEWTIME as u64])?;
    let line = |name: &str, offset: i64| {
        format!("{name} {} {}\n", offset.div_euclid(1_000_000_000), offset.rem_euclid(1_000_000_000))
    };
    let path = format!("/proc/{}/timens_offsets", init.pid);
    let text = line("monotonic", monotonic_ns) + &line("boottime", boottime_ns);
    std::fs::write(&path, text).doing(|| format!("write {path}"))
}
