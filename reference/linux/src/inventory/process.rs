//! What there is once in a process, and once in each thread, as far as `/proc` tells.

use std::fs;
use std::path::PathBuf;

use procfs::FromRead as _;
use procfs::process::{LimitValue, Process, Status};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, LinuxError, Result, from_procfs};

/// What there is once in a process.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProcessFacts {
    /// As whoever observes it counts.
    pub pid: i32,
    /// As the process itself counts.
    pub own_pid: i32,
    /// Its name (`comm`).
    pub name: String,
    /// The program.
    pub executable: PathBuf,
    /// Where relative paths begin.
    pub working_directory: PathBuf,
    /// Where absolute paths begin.
    pub root_directory: PathBuf,
    /// The permission bits that new files do not get.
    pub umask: u32,
    /// The execution domain.
    pub personality: u32,
    /// Who it is.
    pub credentials: Credentials,
    /// Resource limits, by the kernel's numbers.
    pub limits: Vec<Limit>,
    /// Where the kernel believes code, data, heap, stack, arguments and environment to be.
    pub layout: MemoryLayout,
    /// The auxiliary vector, as the kernel keeps it.
    pub auxiliary: Vec<u64>,
    /// What its clocks showed when this was read.
    pub clocks: Clocks,
    /// Signals ignored, one bit each from signal 1 on.
    pub signals_ignored: u64,
    /// Signals with a handler.
    pub signals_caught: u64,
    /// 0 none, 1 strict, 2 filters.
    pub seccomp: u32,
    /// Who traces it, if anybody.
    pub tracer: i32,
    /// Its children, as the observer counts.
    pub children: Vec<i32>,
    /// No new privileges by `exec`.
    pub no_new_privileges: bool,
    /// Stopped by a signal.
    pub stopped: bool,
    /// It leads a session.
    pub leads_session: bool,
    /// Priority among ordinary processes, −20…19.
    pub nice: i32,
    /// A 32-bit program.
    pub is_32_bit: bool,
    /// Shadow stacks and the like in use (as the kernel names them).
    pub guarded_control_flow: Option<String>,
    /// Locks of files that it holds.
    pub file_locks: Vec<FileLock>,
}

/// One thread, as far as `/proc` tells.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ThreadFacts {
    /// As the observer counts.
    pub tid: i32,
    /// As the process itself counts.
    pub own_tid: i32,
    /// Its name.
    pub name: String,
    /// Processors that it may run on.
    pub processors: Vec<u32>,
    /// The scheduling policy: 0 the ordinary one.
    pub policy: u32,
}

/// Users and groups.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// Real, effective, saved, file system.
    pub users: [u32; 4],
    /// The same of groups.
    pub groups: [u32; 4],
    /// Further groups.
    pub supplementary: Vec<u32>,
    /// Permitted, effective, inheritable capabilities.
    pub capabilities: [u64; 3],
}

/// A lock of a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileLock {
    /// A descriptor of the file.
    pub number: i32,
    /// `POSIX`, `FLOCK`, `LEASE`, … as the kernel names it.
    pub kind: String,
    /// Nobody else may have one.
    pub exclusive: bool,
    /// The first byte.
    pub start: u64,
    /// The last byte; none for the end of the file wherever it is.
    pub end: Option<u64>,
}

/// One resource limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limit {
    /// `RLIMIT_…`.
    pub resource: u32,
    /// The limit in force, `u64::MAX` for none.
    pub soft: u64,
    /// What it may be raised to.
    pub hard: u64,
}

/// As `prctl(PR_SET_MM_MAP)` takes it; `break_end` only the process itself knows exactly.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MemoryLayout {
    pub code_start: u64,
    pub code_end: u64,
    pub data_start: u64,
    pub data_end: u64,
    pub break_start: u64,
    pub break_end: u64,
    pub stack_start: u64,
    pub arguments_start: u64,
    pub arguments_end: u64,
    pub environment_start: u64,
    pub environment_end: u64,
}

/// Nanoseconds of the clocks that a process can read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clocks {
    /// Since 1970.
    pub realtime_ns: i64,
    /// As the process sees it.
    pub monotonic_ns: i64,
    /// As the process sees it.
    pub boottime_ns: i64,
}

impl Clocks {
    /// The clocks of this process, less its own offsets.
    pub fn now() -> Self {
        let read = |clock| {
            let time = rustix::time::clock_gettime(clock);
            time.tv_sec * 1_000_000_000 + time.tv_nsec
        };
        // Somebody else may run between two readings; the set that was read fastest fits together best.
        const NEGLIGIBLE_NS: i64 = 20_000;
        const ATTEMPTS: usize = 20;
        let mut best: Option<(i64, Self)> = None;
        for _ in 0..ATTEMPTS {
            let began_ns = read(rustix::time::ClockId::Monotonic);
            let clocks = Self {
                realtime_ns: read(rustix::time::ClockId::Realtime),
                boottime_ns: read(rustix::time::ClockId::Boottime),
                monotonic_ns: read(rustix::time::ClockId::Monotonic),
            };
            let took_ns = clocks.monotonic_ns - began_ns;
            if best.as_ref().is_none_or(|(fastest_ns, _)| took_ns < *fastest_ns) {
                best = Some((took_ns, clocks));
            }
            if took_ns < NEGLIGIBLE_NS {
                break;
            }
        }
        best.map_or(Self { realtime_ns: 0, monotonic_ns: 0, boottime_ns: 0 }, |(_, clocks)| clocks)
    }
}

pub(crate) fn read(entry: &Process, file_locks: Vec<FileLock>) -> Result<ProcessFacts> {
    let pid = entry.pid;
    let because = |error| from_procfs(pid, error);
    let status_text = text(pid, "status")?;
    let status = Status::from_read(status_text.as_bytes()).map_err(because)?;
    let stat = entry.stat().map_err(because)?;
    let auxiliary = read_words(pid, "auxv")?;
    Ok(ProcessFacts {
        pid,
        own_pid: innermost(status.nstgid.as_deref(), pid),
        name: stat.comm.clone(),
        executable: link(pid, "exe")?,
        working_directory: link(pid, "cwd")?,
        root_directory: link(pid, "root")?,
        umask: status.umask.unwrap_or(0o022),
        personality: hexadecimal(pid, "personality")?,
        limits: read_limits(entry)?,
        layout: MemoryLayout {
            code_start: stat.startcode,
            code_end: stat.endcode,
            data_start: stat.start_data.unwrap_or(0),
            data_end: stat.end_data.unwrap_or(0),
            break_start: stat.start_brk.unwrap_or(0),
            break_end: 0,
            stack_start: stat.startstack,
            arguments_start: stat.arg_start.unwrap_or(0),
            arguments_end: stat.arg_end.unwrap_or(0),
            environment_start: stat.env_start.unwrap_or(0),
            environment_end: stat.env_end.unwrap_or(0),
        },
        auxiliary,
        clocks: clocks_of(pid)?,
        signals_ignored: status.sigign,
        signals_caught: status.sigcgt,
        seccomp: status.seccomp.unwrap_or(0),
        tracer: status.tracerpid,
        children: children(pid)?,
        no_new_privileges: status.nonewprivs.unwrap_or(0) != 0,
        stopped: stat.state == 'T',
        leads_session: stat.session == stat.pid,
        nice: stat.nice as i32,
        is_32_bit: is_32_bit(pid)?,
        guarded_control_flow: guarded_control_flow(&status_text),
        file_locks,
        credentials: credentials(&status),
    })
}

pub(crate) fn read_threads(entry: &Process) -> Result<Vec<ThreadFacts>> {
    let pid = entry.pid;
    let tasks = entry.tasks().map_err(|error| from_procfs(pid, error))?;
    let mut threads = Vec::new();
    for task in tasks {
        let Ok(task) = task else { continue };
        // A thread may end while it is looked at.
        let (Ok(status), Ok(stat)) = (task.status(), task.stat()) else { continue };
        let processors = status.cpus_allowed_list.clone().unwrap_or_default();
        threads.push(ThreadFacts {
            tid: task.tid,
            own_tid: innermost(status.nspid.as_deref(), task.tid),
            name: stat.comm,
            processors: processors.into_iter().flat_map(|(first, last)| first..=last).collect(),
            policy: stat.policy.unwrap_or(0),
        });
    }
    threads.sort_by_key(|thread| (thread.tid != pid, thread.tid));
    if threads.first().is_none_or(|thread| thread.tid != pid) {
        return Err(LinuxError::Gone { pid });
    }
    Ok(threads)
}

/// The thread numbers only, for the loop that stops them all.
pub(crate) fn thread_numbers(pid: i32) -> Result<Vec<i32>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).map_err(|_| LinuxError::Gone { pid })?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// Signals that this program itself ignores, and so do its children at first.
pub(crate) fn ignored_by_this_program() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn innermost(numbers: Option<&[i32]>, outer: i32) -> i32 {
    numbers.and_then(|numbers| numbers.last().copied()).unwrap_or(outer)
}

fn credentials(status: &Status) -> Credentials {
    Credentials {
        users: [status.ruid, status.euid, status.suid, status.fuid],
        groups: [status.rgid, status.egid, status.sgid, status.fgid],
        supplementary: status.groups.clone(),
        capabilities: [status.capprm, status.capeff, status.capinh],
    }
}

fn link(pid: i32, name: &str) -> Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/{name}")).doing(|| format!("read /proc/{pid}/{name}"))
}

fn text(pid: i32, name: &str) -> Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{name}")).doing(|| format!("read /proc/{pid}/{name}"))
}

fn hexadecimal(pid: i32, name: &str) -> Result<u32> {
    u32::from_str_radix(text(pid, name)?.trim(), 16).map_err(|error| LinuxError::Malformed {
        from: format!("/proc/{pid}/{name}"),
        reason: error.to_string(),
    })
}

fn read_words(pid: i32, name: &str) -> Result<Vec<u64>> {
    let bytes = fs::read(format!("/proc/{pid}/{name}")).doing(|| format!("read /proc/{pid}/{name}"))?;
    Ok(bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect())
}

fn children(pid: i32) -> Result<Vec<i32>> {
    let mut all = Vec::new();
    for tid in thread_numbers(pid)? {
        let listed = text(pid, &format!("task/{tid}/children")).unwrap_or_default();
        all.extend(listed.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
    }
    Ok(all)
}

fn is_32_bit(pid: i32) -> Result<bool> {
    use std::io::Read as _;
    let mut header = [0u8; 5];
    let mut file = fs::File::open(format!("/proc/{pid}/exe")).doing(|| format!("open /proc/{pid}/exe"))?;
    file.read_exact(&mut header).doing(|| format!("read /proc/{pid}/exe"))?;
    Ok(header[..4] == *b"\x7fELF" && header[4] == 1)
}

fn guarded_control_flow(status: &str) -> Option<String> {
    let features = status.lines().find_map(|line| line.strip_prefix("x86_Thread_features:"))?.trim();
    (!features.is_empty()).then(|| features.to_owned())
}

/// The locks that a descriptor's `/proc/PID/fdinfo` tells of.
pub(crate) fn file_locks(number: i32, info: &str) -> impl Iterator<Item = FileLock> + '_ {
    info.lines().filter_map(move |line| file_lock(number, line.strip_prefix("lock:")?))
}

/// `1: POSIX  ADVISORY  READ 14559 fe:00:10127633 1073741826 1073742335`
fn file_lock(number: i32, line: &str) -> Option<FileLock> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, kind, _, access, _, _, start, end] = words[..] else { return None };
    Some(FileLock {
        number,
        kind: kind.to_owned(),
        exclusive: access != "READ",
        start: start.parse().ok()?,
        end: end.parse().ok(),
    })
}

fn clocks_of(pid: i32) -> Result<Clocks> {
    let mut clocks = Clocks::now();
    for (file, sign) in [(pid.to_string(), 1), ("self".to_owned(), -1)] {
        let Ok(offsets) = fs::read_to_string(format!("/proc/{file}/timens_offsets")) else { continue };
        for line in offsets.lines() {
            let mut words = line.split_whitespace();
            let name = words.next();
            let mut number = || words.next().and_then(|word| word.parse::<i64>().ok()).unwrap_or(0);
            let offset_ns = sign * (number() * 1_000_000_000 + number());
            match name {
                Some("monotonic") => clocks.monotonic_ns += offset_ns,
                Some("boottime") => clocks.boottime_ns += offset_ns,
                _ => {}
            }
        }
    }
    Ok(clocks)
}

fn read_limits(entry: &Process) -> Result<Vec<Limit>> {
    let limits = entry.limits().map_err(|error| from_procfs(entry.pid, error))?;
    let all = [
        (libc::RLIMIT_CPU, limits.max_cpu_time),
        (libc::RLIMIT_FSIZE, limits.max_file_size),
        (libc::RLIMIT_DATA, limits.max_data_size),
        (libc::RLIMIT_STACK, limits.max_stack_size),
        (libc::RLIMIT_CORE, limits.max_core_file_size),
        (libc::RLIMIT_RSS, limits.max_resident_set),
        (libc::RLIMIT_NPROC, limits.max_processes),
        (libc::RLIMIT_NOFILE, limits.max_open_files),
        (libc::RLIMIT_MEMLOCK, limits.max_locked_memory),
        (libc::RLIMIT_AS, limits.max_address_space),
        (libc::RLIMIT_LOCKS, limits.max_file_locks),
        (libc::RLIMIT_SIGPENDING, limits.max_pending_signals),
        (libc::RLIMIT_MSGQUEUE, limits.max_msgqueue_size),
        (libc::RLIMIT_NICE, limits.max_nice_priority),
        (libc::RLIMIT_RTPRIO, limits.max_realtime_priority),
        (libc::RLIMIT_RTTIME, limits.max_realtime_timeout),
    ];
    let value = |value| match value {
        LimitValue::Unlimited => u64::MAX,
        LimitValue::Value(value) => value,
    };
    Ok(all
        .into_iter()
        .map(|(resource, limit)| Limit {
            resource,
            soft: value(limit.soft_limit),
            hard: value(limit.hard_limit),
        })
        .collect())
}
