//! Open descriptors, by `/proc/PID/fd` and `/proc/PID/fdinfo`.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::process::{FileLock, file_locks};
use crate::error::{Doing, LinuxError, Result};

/// One descriptor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its number.
    pub number: i32,
    /// Closed by `exec`.
    pub close_on_exec: bool,
    /// The lowest number with the same open file description (offset, flags): its own unless it was duplicated.
    pub description: i32,
    /// `O_…` as the kernel keeps them.
    pub flags: i32,
    /// Offset in bytes, where that means something.
    pub offset: u64,
    /// What it is.
    pub kind: DescriptorKind,
}

/// What a descriptor is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DescriptorKind {
    /// A regular file.
    File {
        /// In the process's own view of the file system.
        path: PathBuf,
        /// No name leads to it any more.
        deleted: bool,
        /// Device number.
        device: u64,
        /// Number on the device.
        inode: u64,
        /// Length in bytes.
        size: u64,
    },
    /// A directory.
    Directory {
        /// In the process's own view of the file system.
        path: PathBuf,
    },
    /// One end of a pipe, or both (opened for reading and writing).
    Pipe {
        /// The kernel's number of the pipe.
        inode: u64,
        /// Which end.
        end: PipeEnd,
        /// Bytes that it can hold.
        capacity: u32,
        /// Other processes that have it open, as far as the observer may look.
        others: Vec<i32>,
    },
    /// A counter.
    EventFd {
        /// Its value.
        count: u64,
        /// Read one at a time.
        semaphore: bool,
    },
    /// A set of descriptors to wait for.
    Epoll {
        /// What it waits for.
        entries: Vec<EpollEntry>,
    },
    /// A timer.
    TimerFd {
        /// `CLOCK_…`.
        clock: i32,
        /// Expirations not yet read.
        ticks: u64,
        /// Nanoseconds to the next expiration, 0 where it is not armed.
        value_ns: u64,
        /// Nanoseconds between expirations.
        interval_ns: u64,
    },
    /// Signals as a file.
    SignalFd {
        /// Which, one bit each from signal 1 on.
        mask: u64,
    },
    /// A character device.
    Device {
        /// Where it was opened.
        path: PathBuf,
        /// Major and minor number.
        number: (u32, u32),
    },
    /// A memory file (`memfd_create`).
    Memory {
        /// Its name.
        name: String,
    },
    /// A socket.
    Socket {
        /// The kernel's number of it.
        inode: u64,
        /// What `/proc/net` says about it, if anything.
        description: String,
    },
    /// A request queue shared with the kernel.
    IoUring,
    /// Notifications of a file system.
    Inotify,
    /// Something that nothing here knows.
    Other {
        /// As the kernel names it.
        name: String,
    },
}

/// Which end of a pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum PipeEnd {
    Read,
    Write,
    Both,
}

/// One entry of an epoll set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EpollEntry {
    /// The descriptor number that it was added with.
    pub number: i32,
    /// `EPOLL…`.
    pub events: u32,
    /// What the program wants back.
    pub data: u64,
}

impl Descriptor {
    /// Whether it is standard input, output or error.
    pub fn is_standard(&self) -> bool {
        (0..=2).contains(&self.number)
    }

    /// Whether it reads or writes a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(self.kind, DescriptorKind::Device { number: (4 | 5 | 136..=143, _), .. })
    }
}

/// The descriptors, and the locks of the files that they lead to.
pub(crate) fn read(pid: i32) -> Result<(Vec<Descriptor>, Vec<FileLock>)> {
    let directory = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&directory).doing(|| format!("list {directory}"))?;
    let mut numbers: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    let mut all: Vec<Descriptor> = Vec::with_capacity(numbers.len());
    let mut locks = Vec::new();
    for number in numbers {
        // One that was closed meanwhile is none.
        let Ok(target) = fs::read_link(format!("{directory}/{number}")) else { continue };
        let Ok(info) = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")) else { continue };
        locks.extend(file_locks(number, &info));
        let mut descriptor = understood(pid, number, &target, &info)?;
        let twin = all.iter().find(|other| {
            other.description == other.number
                && other.kind.may_equal(&descriptor.kind)
                && same_description(pid, other.number, number)
        });
        descriptor.description = twin.map_or(number, |twin| twin.number);
        all.push(descriptor);
    }
    Ok((all, locks))
}

/// Processes other than `pid` that have the pipes of `descriptors` open. Looks at every process, so not for the freeze.
pub(crate) fn find_other_holders(pid: i32, descriptors: &mut [Descriptor]) -> Result<()> {
    if !descriptors.iter().any(|descriptor| matches!(descriptor.kind, DescriptorKind::Pipe { .. })) {
        return Ok(());
    }
    for process in fs::read_dir("/proc").doing(|| "list /proc".to_owned())?.flatten() {
        let Some(other) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if other == pid {
            continue;
        }
        let Ok(entries) = fs::read_dir(process.path().join("fd")) else { continue };
        for target in entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()) {
            let Some(found) = number_in(&target.to_string_lossy(), "pipe:[") else { continue };
            for descriptor in descriptors.iter_mut() {
                if let DescriptorKind::Pipe { inode, others, .. } = &mut descriptor.kind
                    && *inode == found
                    && !others.contains(&other)
                {
                    others.push(other);
                }
            }
        }
    }
    Ok(())
}

impl DescriptorKind {
    fn may_equal(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

fn understood(pid: i32, number: i32, target: &Path, info: &str) -> Result<Descriptor> {
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let flags = field("flags").and_then(|flags| i32::from_str_radix(flags, 8).ok()).unwrap_or(0);
    let offset = field("pos").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let kind = kind(pid, number, target, info, flags)?;
    Ok(Descriptor {
        number,
        close_on_exec: flags & libc::O_CLOEXEC != 0,
        description: number,
        flags: flags & !libc::O_CLOEXEC,
        offset,
        kind,
    })
}

fn kind(pid: i32, number: i32, target: &Path, info: &str, flags: i32) -> Result<DescriptorKind> {
    let name = target.to_string_lossy();
    if let Some(anonymous) = name.strip_prefix("anon_inode:") {
        return anonymous_kind(anonymous.trim_matches(['[', ']']), info);
    }
    if let Some(inode) = number_in(&name, "socket:[") {
        return Ok(DescriptorKind::Socket { inode, description: socket_description(pid, inode) });
    }
    if number_in(&name, "pipe:[").is_some() || name.starts_with('/') {
        return file_kind(pid, number, target, flags);
    }
    Ok(DescriptorKind::Other { name: name.into_owned() })
}

fn file_kind(pid: i32, number: i32, target: &Path, flags: i32) -> Result<DescriptorKind> {
    let through = format!("/proc/{pid}/fd/{number}");
    let Ok(facts) = fs::metadata(&through) else {
        return Ok(DescriptorKind::Other { name: target.to_string_lossy().into_owned() });
    };
    let kind = facts.file_type();
    let name = target.to_string_lossy();
    if let Some(memory) = name.strip_prefix("/memfd:") {
        return Ok(DescriptorKind::Memory { name: memory.trim_end_matches(" (deleted)").to_owned() });
    }
    if kind.is_file() {
        let deleted = facts.nlink() == 0;
        let path =
            if deleted { PathBuf::from(name.trim_end_matches(" (deleted)")) } else { target.to_owned() };
        return Ok(DescriptorKind::File {
            path,
            deleted,
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
        });
    }
    if kind.is_dir() {
        return Ok(DescriptorKind::Directory { path: target.to_owned() });
    }
    if kind.is_char_device() {
        let device = facts.rdev();
        return Ok(DescriptorKind::Device {
            path: target.to_owned(),
            number: (libc::major(device), libc::minor(device)),
        });
    }
    if let Some(inode) = number_in(&name, "pipe:[") {
        let end = match flags & libc::O_ACCMODE {
            libc::O_RDONLY => PipeEnd::Read,
            libc::O_WRONLY => PipeEnd::Write,
            _ => PipeEnd::Both,
        };
        return Ok(DescriptorKind::Pipe {
            inode,
            end,
            capacity: pipe_capacity(&through),
            others: Vec::new(),
        });
    }
    Ok(DescriptorKind::Other { name: name.into_owned() })
}

fn pipe_capacity(through: &str) -> u32 {
    let open = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let pipe = rustix::fs::open(through, open, rustix::fs::Mode::empty());
    pipe.and_then(|pipe| rustix::pipe::fcntl_getpipe_size(&pipe)).map_or(65_536, |size| size as u32)
}

fn anonymous_kind(name: &str, info: &str) -> Result<DescriptorKind> {
    let lines = || info.lines().map(str::trim_start);
    let number = |key: &str, radix| {
        let text = lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or("0").trim();
        u64::from_str_radix(text.trim_start_matches("0x"), radix).map_err(|error| LinuxError::Malformed {
            from: format!("fdinfo, {key}"),
            reason: error.to_string(),
        })
    };
    Ok(match name {
        "eventfd" => DescriptorKind::EventFd {
            count: number("eventfd-count", 16)?,
            semaphore: number("eventfd-semaphore", 10)? != 0,
        },
        "eventpoll" => DescriptorKind::Epoll { entries: lines().filter_map(epoll_entry).collect() },
        "timerfd" => DescriptorKind::TimerFd {
            clock: number("clockid", 10)? as i32,
            ticks: number("ticks", 10)?,
            value_ns: time_pair(info, "it_value"),
            interval_ns: time_pair(info, "it_interval"),
        },
        "signalfd" => DescriptorKind::SignalFd { mask: number("sigmask", 16)? },
        "io_uring" => DescriptorKind::IoUring,
        "inotify" => DescriptorKind::Inotify,
        other => DescriptorKind::Other { name: format!("anon_inode:{other}") },
    })
}

/// `tfd:        5 events:       19 data:                5  pos:0 ino:… sdev:…`
fn epoll_entry(line: &str) -> Option<EpollEntry> {
    let line = line.strip_prefix("tfd:")?;
    let mut words = line.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let mut of = |key: &str, radix| {
        let word = words.next()?;
        let value = match word.strip_prefix(key)? {
            "" => words.next()?,
            attached => attached,
        };
        u64::from_str_radix(value, radix).ok()
    };
    let events = of("events:", 16)? as u32;
    let data = of("data:", 16)?;
    Some(EpollEntry { number, events, data })
}

/// `it_value: (0, 499999000)`
fn time_pair(info: &str, key: &str) -> u64 {
    let text =
        info.lines().find_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix(':')).unwrap_or("");
    let mut numbers =
        text.trim().trim_matches(['(', ')']).split(", ").map(|part| part.parse::<u64>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    next() * 1_000_000_000 + next()
}

fn number_in(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok()
}

fn socket_description(pid: i32, inode: u64) -> String {
    for (table, column) in [("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("unix", 6)] {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/net/{table}")) else { continue };
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.get(column).is_some_and(|word| word.parse() == Ok(inode)) {
                return match table {
                    "unix" => format!("unix {}", words.get(7).unwrap_or(&"")).trim_end().to_owned(),
                    _ => format!("{table} {} to {}", words[1], words[2]),
                };
            }
        }
    }
    "socket".to_owned()
}

/// Whether two descriptors of one process are one open file description.
fn same_description(pid: i32, one: i32, other: i32) -> bool {
    const KCMP_FILE: i32 = 0;
    // SAFETY: the call only compares, by numbers.
    unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, one, other) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_prints() {
        let info = "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1\ntfd:        5 events:       19 data: ffffffff00000005  pos:0 ino:c sdev:9\n";
        assert_eq!(
            anonymous_kind("eventpoll", info).unwrap(),
            DescriptorKind::Epoll {
                entries: vec![EpollEntry { number: 5, events: 0x19, data: 0xffff_ffff_0000_0005 }]
            }
        );
        let info = "clockid: 1\nticks: 2\nsettime flags: 00\nit_value: (1, 499)\nit_interval: (0, 7)\n";
        assert_eq!(
            anonymous_kind("timerfd", info).unwrap(),
            DescriptorKind::TimerFd { clock: 1, ticks: 2, value_ns: 1_000_000_499, interval_ns: 7 }
        );
    }
}
