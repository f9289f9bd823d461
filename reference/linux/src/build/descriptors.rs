//! Open descriptors: made here, passed over, put at their numbers.
//!
//! This program keeps a handle of each open file description until the process runs: offsets and flags belong to the description, so they are
//! set from here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};

use super::BuildOptions;
use super::target::{CLOSE, DUP3, Target};
use crate::error::{Doing, LinuxError, Result};
use crate::inventory::{Descriptor, DescriptorKind, EpollEntry, Inventory, PipeEnd};
use crate::obstacle::standard_stream_of;
use crate::plan::FileChoices;
use crate::state::FrozenProcess;
use crate::tracing::inject::Call;

const EPOLL_CTL: Call = Call("epoll_ctl", libc::SYS_epoll_ctl);
const FCNTL: Call = Call("fcntl", libc::SYS_fcntl);

/// What the process will have, by this program's handles.
#[derive(Debug, Default)]
pub(super) struct Descriptions {
    /// By the number that the inventory knows the description by.
    opened: BTreeMap<i32, OwnedFd>,
    /// Reading and writing end, by the kernel's number at the source.
    pipes: BTreeMap<u64, (OwnedFd, OwnedFd)>,
    /// Files without a name, for reading and writing, by the file's number at the source.
    nameless: BTreeMap<u64, OwnedFd>,
}

/// Flags that can be set after opening.
const SETTABLE: i32 = libc::O_APPEND | libc::O_NONBLOCK | libc::O_ASYNC | libc::O_DIRECT | libc::O_NOATIME;
/// Flags that matter in opening again: not those that make or empty a file.
const REOPENED: i32 = libc::O_ACCMODE
    | libc::O_APPEND
    | libc::O_NONBLOCK
    | libc::O_SYNC
    | libc::O_DSYNC
    | libc::O_DIRECT
    | libc::O_DIRECTORY
    | libc::O_PATH;

pub(super) fn build(
    target: &mut Target,
    inventory: &Inventory,
    options: &BuildOptions,
    descriptions: &mut Descriptions,
) -> Result<()> {
    let wanted: Vec<&Descriptor> = inventory.descriptors.iter().collect();
    place(target, inventory, &wanted, &options.files, &options.streams, descriptions)
}

/// Makes what is missing of `wanted` and puts it at its numbers.
fn place(
    target: &Target,
    inventory: &Inventory,
    wanted: &[&Descriptor],
    files: &FileChoices,
    streams: &[Option<OwnedFd>; 3],
    descriptions: &mut Descriptions,
) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    for descriptor in wanted {
        if descriptor.number >= target.socket_number() {
            let reason = format!("descriptor {} is far above those of before", descriptor.number);
            return Err(LinuxError::CannotFollow(reason));
        }
        if !descriptions.opened.contains_key(&descriptor.description) {
            let made = make(descriptor, inventory, files, streams, descriptions)
                .map_err(|source| LinuxError::System { doing: format!("make {descriptor:?}"), source })?;
            descriptions.opened.insert(descriptor.description, made);
        }
    }
    let mut leaders: Vec<i32> = wanted.iter().map(|descriptor| descriptor.description).collect();
    leaders.sort_unstable();
    leaders.dedup();
    let handles: Vec<BorrowedFd<'_>> =
        leaders.iter().filter_map(|leader| descriptions.opened.get(leader).map(AsFd::as_fd)).collect();
    let passed: BTreeMap<i32, i32> = leaders.iter().copied().zip(target.pass(&handles)?).collect();
    for descriptor in wanted {
        let Some(from) = passed.get(&descriptor.description) else { continue };
        let flags = if descriptor.close_on_exec { libc::O_CLOEXEC } else { 0 };
        target.call(DUP3, &[*from as u64, descriptor.number as u64, flags as u64])?;
    }
    target.close_passed()
}

fn make(
    descriptor: &Descriptor,
    inventory: &Inventory,
    files: &FileChoices,
    streams: &[Option<OwnedFd>; 3],
    descriptions: &mut Descriptions,
) -> io::Result<OwnedFd> {
    if let Some(stream) = standard_stream_of(descriptor, inventory) {
        return match &streams[stream as usize] {
            Some(offered) => offered.try_clone(),
            None => own_stream(stream),
        };
    }
    let flags =
        OFlags::from_bits_retain((descriptor.flags & REOPENED) as u32) | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(match &descriptor.kind {
        DescriptorKind::File { deleted: true, inode, path, .. } => {
            let file = nameless(descriptions, *inode, &files.local_path(path))?;
            let again = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::open(again, flags, Mode::empty())?
        }
        DescriptorKind::File { path, .. } | DescriptorKind::Directory { path } => {
            rustix::fs::open(files.local_path(path), flags, Mode::empty())?
        }
        DescriptorKind::Device { path, .. } => rustix::fs::open(path, flags, Mode::empty())?,
        DescriptorKind::Pipe { inode, end, capacity, .. } => pipe_end(descriptions, *inode, *end, *capacity)?,
        DescriptorKind::EventFd { semaphore, .. } => {
            use rustix::event::EventfdFlags;
            let kind = if *semaphore { EventfdFlags::SEMAPHORE } else { EventfdFlags::empty() };
            rustix::event::eventfd(0, kind | EventfdFlags::CLOEXEC)?
        }
        DescriptorKind::Epoll { .. } => {
            rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC)?
        }
        DescriptorKind::TimerFd { clock, .. } => {
            // SAFETY: the call makes a descriptor.
            owned(unsafe { libc::timerfd_create(*clock, libc::TFD_CLOEXEC) })?
        }
        DescriptorKind::SignalFd { mask } => {
            // SAFETY: the call reads eight bytes at the address and makes a descriptor.
            owned(unsafe { libc::syscall(libc::SYS_signalfd4, -1, mask, 8, libc::SFD_CLOEXEC) } as i32)?
        }
        other => return Err(io::Error::other(format!("{other:?} cannot be made anew"))),
    })
}

/// A file that has no name here either, where the other one had its name if that place exists.
fn nameless<'a>(
    descriptions: &'a mut Descriptions,
    inode: u64,
    path: &std::path::Path,
) -> io::Result<&'a OwnedFd> {
    match descriptions.nameless.entry(inode) {
        Entry::Occupied(made) => Ok(made.into_mut()),
        Entry::Vacant(place) => {
            let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
            let make =
                |directory: &std::path::Path| rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR);
            let beside = path.parent().map_or(Err(rustix::io::Errno::NOENT), make);
            Ok(place.insert(beside.or_else(|_| make(&std::env::temp_dir()))?))
        }
    }
}

fn own_stream(stream: i32) -> io::Result<OwnedFd> {
    match stream {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        1 => io::stdout().as_fd().try_clone_to_owned(),
        _ => io::stderr().as_fd().try_clone_to_owned(),
    }
}

fn pipe_end(descriptions: &mut Descriptions, inode: u64, end: PipeEnd, capacity: u32) -> io::Result<OwnedFd> {
    let (read, write) = match descriptions.pipes.entry(inode) {
        Entry::Occupied(made) => made.into_mut(),
        Entry::Vacant(place) => {
            let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
            rustix::pipe::fcntl_setpipe_size(&write, capacity as usize)?;
            place.insert((read, write))
        }
    };
    match end {
        PipeEnd::Read => read.try_clone(),
        PipeEnd::Write => write.try_clone(),
        PipeEnd::Both => {
            let path = format!("/proc/self/fd/{}", read.as_raw_fd());
            Ok(rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
        }
    }
}

fn owned(number: i32) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for this program.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Follows what was opened, closed, read and written since `built`.
pub(super) fn follow(
    target: &Target,
    built: &Inventory,
    state: &FrozenProcess,
    files: &FileChoices,
    streams: &[Option<OwnedFd>; 3],
    descriptions: &mut Descriptions,
) -> Result<()> {
    let now = &state.inventory;
    let find = |inventory: &Inventory, number: i32| {
        inventory.descriptors.iter().find(|other| other.number == number).cloned()
    };
    let stays = |descriptor: &Descriptor| {
        find(built, descriptor.number).is_some_and(|before| is_same(&before, descriptor))
    };
    for before in &built.descriptors {
        if !find(now, before.number).is_some_and(|descriptor| is_same(before, &descriptor)) {
            target.call(CLOSE, &[before.number as u64])?;
            if before.description == before.number {
                descriptions.opened.remove(&before.number);
            }
        }
    }
    let fresh: Vec<&Descriptor> = now.descriptors.iter().filter(|descriptor| !stays(descriptor)).collect();
    place(target, now, &fresh, files, streams, descriptions)?;
    for descriptor in now.descriptors.iter().filter(|descriptor| stays(descriptor)) {
        let before = find(built, descriptor.number);
        if before.is_some_and(|before| before.close_on_exec != descriptor.close_on_exec) {
            let flag = if descriptor.close_on_exec { libc::FD_CLOEXEC } else { 0 };
            target.call(FCNTL, &[descriptor.number as u64, libc::F_SETFD as u64, flag as u64])?;
        }
    }
    for descriptor in now.descriptors.iter().filter(|descriptor| descriptor.description == descriptor.number)
    {
        if standard_stream_of(descriptor, now).is_none() {
            bring_up(descriptor, descriptions)
                .map_err(|source| LinuxError::System { doing: format!("set {descriptor:?}"), source })?;
        }
        if let DescriptorKind::Epoll { entries } = &descriptor.kind {
            watch(target, descriptor.number, entries)?;
        }
    }
    for file in &state.nameless {
        let Some(handle) = descriptions.nameless.get(&file.inode) else { continue };
        rustix::fs::ftruncate(handle, file.bytes.len() as u64)
            .map_err(io::Error::from)
            .and_then(|()| {
                std::os::unix::fs::FileExt::write_all_at(
                    &std::fs::File::from(handle.try_clone()?),
                    &file.bytes,
                    0,
                )
            })
            .doing(|| format!("fill the file without a name {}", file.inode))?;
    }
    for pipe in &state.pipes {
        let Some((_, write)) = descriptions.pipes.get(&pipe.inode) else { continue };
        fill(write, &pipe.bytes).doing(|| format!("fill pipe {}", pipe.inode))?;
    }
    Ok(())
}

/// Takes the locks that the process holds. One that excludes others cannot be taken while the source has it in the very same file, which is
/// said before the process is handed over.
pub(super) fn lock(target: &Target, now: &Inventory) -> Result<()> {
    for lock in now.process.file_locks.iter().filter(|lock| lock.kind == "POSIX") {
        let kind = if lock.exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
        let length = lock.end.map_or(0, |end| end - lock.start + 1);
        let words = [kind as u64 | (libc::SEEK_SET as u64) << 16, lock.start, length, 0];
        let address = target.write_words(0, &words)?;
        target.call(FCNTL, &[lock.number as u64, libc::F_SETLK as u64, address]).map_err(
            |error| match error {
                LinuxError::Injected { source, .. } => LinuxError::CannotFollow(format!(
                    "bytes {} to {:?} of descriptor {} cannot be locked here: {source}",
                    lock.start, lock.end, lock.number
                )),
                other => other,
            },
        )?;
    }
    Ok(())
}

/// Whether the descriptor of before still is one of the same thing, offsets and the like aside.
fn is_same(before: &Descriptor, now: &Descriptor) -> bool {
    use DescriptorKind as Kind;
    let access = |descriptor: &Descriptor| descriptor.flags & (libc::O_ACCMODE | libc::O_PATH);
    before.description == now.description
        && access(before) == access(now)
        && match (&before.kind, &now.kind) {
            (Kind::File { path: a, inode: i, .. }, Kind::File { path: b, inode: j, .. }) => a == b && i == j,
            (Kind::Pipe { inode: a, end: i, .. }, Kind::Pipe { inode: b, end: j, .. }) => a == b && i == j,
            (Kind::EventFd { semaphore: a, .. }, Kind::EventFd { semaphore: b, .. }) => a == b,
            (Kind::TimerFd { clock: a, .. }, Kind::TimerFd { clock: b, .. }) => a == b,
            (Kind::Epoll { .. }, Kind::Epoll { .. }) => true,
            (a, b) => a == b,
        }
}

/// Sets what changes all the time.
fn bring_up(descriptor: &Descriptor, descriptions: &Descriptions) -> io::Result<()> {
    let Some(handle) = descriptions.opened.get(&descriptor.number) else { return Ok(()) };
    match &descriptor.kind {
        DescriptorKind::File { .. } | DescriptorKind::Directory { .. }
            if descriptor.flags & libc::O_PATH == 0 =>
        {
            rustix::fs::seek(handle, rustix::fs::SeekFrom::Start(descriptor.offset))?;
        }
        DescriptorKind::EventFd { count, .. } if *count > 0 => {
            rustix::io::write(handle, &count.to_ne_bytes())?;
        }
        DescriptorKind::TimerFd { ticks, value_ns, interval_ns, .. } => {
            set_timer(handle, *value_ns, *interval_ns, *ticks)?;
        }
        _ => {}
    }
    if descriptor.flags & libc::O_PATH == 0 {
        let flags = OFlags::from_bits_retain((descriptor.flags & SETTABLE) as u32);
        rustix::fs::fcntl_setfl(handle, flags)?;
    }
    Ok(())
}

fn set_timer(handle: &OwnedFd, value_ns: u64, interval_ns: u64, ticks: u64) -> io::Result<()> {
    let time = |ns: u64| libc::timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i64,
    };
    // A periodic timer that has expired says 0 until it is read; its next expiration is at most an interval away.
    let value_ns = if value_ns == 0 && ticks > 0 { interval_ns } else { value_ns };
    let setting = libc::itimerspec { it_interval: time(interval_ns), it_value: time(value_ns) };
    // SAFETY: the call reads one `itimerspec`.
    if unsafe { libc::timerfd_settime(handle.as_raw_fd(), 0, &raw const setting, std::ptr::null_mut()) } != 0
    {
        return Err(io::Error::last_os_error());
    }
    if ticks > 0 {
        const TFD_IOC_SET_TICKS: libc::c_ulong = 0x4008_5400;
        // SAFETY: the request reads eight bytes.
        if unsafe { libc::ioctl(handle.as_raw_fd(), TFD_IOC_SET_TICKS, &raw const ticks) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Makes an epoll set watch what it is to watch. The calls are the process's own, since the kernel keeps the numbers of whoever adds.
fn watch(target: &Target, set: i32, entries: &[EpollEntry]) -> Result<()> {
    for entry in entries {
        // The structure is packed: four bytes of events, eight of data.
        let mut bytes = entry.events.to_ne_bytes().to_vec();
        bytes.extend(entry.data.to_ne_bytes());
        let event = target.write_bytes(0, &bytes)?;
        target.call(EPOLL_CTL, &[set as u64, libc::EPOLL_CTL_ADD as u64, entry.number as u64, event])?;
    }
    Ok(())
}

fn fill(write: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        done += rustix::io::write(write, &bytes[done..])?;
    }
    Ok(())
}
