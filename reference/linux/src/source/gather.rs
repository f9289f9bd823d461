//! What a frozen process is asked, thread by thread: partly by `ptrace`, partly by calls put into it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt;

use procfs::process::Process;

use super::TrackedProcess;
use super::interrupted::{self, Circumstances};
use crate::error::{Doing, LinuxError, Result, from_procfs};
use crate::inventory::{DescriptorKind, Inventory, Mapping, MappingKind, mapping};
use crate::range::{AddressRange, PAGE_SIZE};
use crate::state::{
    FrozenProcess, NAMELESS_BYTES_MAX, NamelessFile, PipeContent, PosixTimer, SignalAction, ThreadState,
    TimerSetting,
};
use crate::tracing::inject::Call;
use crate::tracing::raw::{self, QueuedSignal};
use crate::tracing::tracee::Tracee;

const MMAP: Call = Call("mmap", libc::SYS_mmap);
const MUNMAP: Call = Call("munmap", libc::SYS_munmap);
const BRK: Call = Call("brk", libc::SYS_brk);
const RT_SIGACTION: Call = Call("rt_sigaction", libc::SYS_rt_sigaction);
const SIGALTSTACK: Call = Call("sigaltstack", libc::SYS_sigaltstack);
const PRCTL: Call = Call("prctl", libc::SYS_prctl);
const GETITIMER: Call = Call("getitimer", libc::SYS_getitimer);
const TIMER_GETTIME: Call = Call("timer_gettime", libc::SYS_timer_gettime);

/// Everything that travels. All threads are stopped, and are left as they were.
pub(super) fn gather(source: &TrackedProcess, threads: &[Tracee]) -> Result<FrozenProcess> {
    // What is left of a wait is reckoned from when the clocks are read below: the destination takes off what has passed since.
    let now_ns = super::waiting::monotonic_ns();
    let entry = Process::new(source.pid).map_err(|error| from_procfs(source.pid, error))?;
    // Without flags: to read them walks all page tables.
    let mappings = mapping::read(&entry, false)?;
    let scratch = free_page(&mappings)?;
    // What the kernel tells about the process it tells while the process is asked for the rest.
    let (answers, inventory) = source
        .worker
        .run_beside(|| ask(source, threads, scratch, now_ns), || Inventory::complete(&entry, mappings))?;
    let mut inventory = inventory?;
    let Answers { break_end, actions, interval_timers, posix_timers, pending, states } = answers;
    inventory.process.layout.break_end = break_end;
    let mut states: HashMap<i32, ThreadState> = states.into_iter().collect();
    let mut in_order = Vec::with_capacity(threads.len());
    for facts in &inventory.threads {
        let state = states.remove(&facts.tid).ok_or_else(|| {
            LinuxError::CannotFollow(format!("thread {} is not among those stopped", facts.tid))
        })?;
        in_order.push(ThreadState { own_tid: facts.own_tid, ..state });
    }
    Ok(FrozenProcess {
        threads: in_order,
        actions,
        pending,
        interval_timers,
        posix_timers,
        pipes: pipes(&inventory)?,
        nameless: nameless(&inventory)?,
        inventory,
    })
}

/// Whether a signal waits for `tid` (a thread that may be stopped) that is not blocked, so that a handler or the default is due.
pub(super) fn has_signal_to_deliver(tid: i32) -> bool {
    let [own, shared, blocked, ignored] = signal_sets(tid, ["SigPnd", "ShdPnd", "SigBlk", "SigIgn"]);
    (own | shared) & !blocked & !ignored != 0
}

/// Sets of signals of `tid` by the names that the kernel gives them, one bit each from signal 1 on.
fn signal_sets<const N: usize>(tid: i32, names: [&str; N]) -> [u64; N] {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    names.map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0)
    })
}

/// What only the process itself can tell, and what it is traced for.
struct Answers {
    break_end: u64,
    actions: Vec<SignalAction>,
    interval_timers: [TimerSetting; 3],
    posix_timers: Vec<PosixTimer>,
    pending: Vec<QueuedSignal>,
    /// By thread, which does not say its own number.
    states: Vec<(i32, ThreadState)>,
}

/// Puts a page into the process for answers, asks, and takes it out again.
fn ask(source: &TrackedProcess, threads: &[Tracee], scratch: u64, now_ns: i64) -> Result<Answers> {
    let main = *threads.first().ok_or(LinuxError::Gone { pid: source.pid })?;
    let injector = source.injector;
    let pending = raw::queued_signals(main.0, true)?;
    // As they were stopped: the main thread lends itself for the calls below.
    let stopped = threads
        .iter()
        .map(|thread| thread_state(source, *thread, now_ns))
        .collect::<Result<Vec<ThreadState>>>()?;
    injector.borrow(main, || {
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE) as u64;
        injector.call(main, MMAP, &[scratch, PAGE_SIZE, protection, flags, u64::MAX, 0])?;
        let answers = ask_with_page(source, threads, stopped, pending, scratch);
        injector.call(main, MUNMAP, &[scratch, PAGE_SIZE])?;
        answers
    })
}

/// The calls that answer into the page. The main thread is lent.
fn ask_with_page(
    source: &TrackedProcess,
    threads: &[Tracee],
    stopped: Vec<ThreadState>,
    pending: Vec<QueuedSignal>,
    scratch: u64,
) -> Result<Answers> {
    let (injector, main) = (source.injector, threads[0]);
    let break_end = injector.call(main, BRK, &[0])?;
    let [caught, ignored] = signal_sets(source.pid, ["SigCgt", "SigIgn"]);
    let mut actions = Vec::new();
    for signal in 1..=64 {
        let bit = 1 << (signal - 1);
        if caught & bit != 0 {
            injector.call(main, RT_SIGACTION, &[signal, 0, scratch, 8])?;
            actions.push(SignalAction { signal: signal as i32, words: words(source, scratch)? });
        } else if ignored & bit != 0 {
            actions.push(SignalAction { signal: signal as i32, words: [libc::SIG_IGN as u64, 0, 0, 0] });
        }
    }
    let mut interval_timers = [TimerSetting::default(); 3];
    for (which, timer) in interval_timers.iter_mut().enumerate() {
        injector.call(main, GETITIMER, &[which as u64, scratch])?;
        timer.words = words(source, scratch)?;
    }
    let mut posix_timers = listed_timers(source.pid)?;
    for timer in &mut posix_timers {
        injector.call(main, TIMER_GETTIME, &[timer.id as u64, scratch])?;
        timer.setting.words = words(source, scratch)?;
    }
    let mut states = Vec::with_capacity(threads.len());
    for (thread, stopped) in threads.iter().zip(stopped) {
        let own = || own_addresses(source, *thread, scratch);
        let (alternate_stack, tid_address) =
            if *thread == main { own() } else { injector.borrow(*thread, own) }?;
        states.push((thread.0, ThreadState { alternate_stack, tid_address, ..stopped }));
    }
    Ok(Answers { break_end, actions, interval_timers, posix_timers, pending, states })
}

/// The alternate stack of a thread that is lent, and where the kernel clears its number when it ends.
fn own_addresses(source: &TrackedProcess, thread: Tracee, scratch: u64) -> Result<([u64; 3], u64)> {
    let injector = source.injector;
    injector.call(thread, SIGALTSTACK, &[0, scratch])?;
    let [address, flags, length, _] = words(source, scratch)?;
    injector.call(thread, PRCTL, &[libc::PR_GET_TID_ADDRESS as u64, scratch])?;
    // The thread that happened to run on its alternate stack says so by a flag that cannot be set.
    let flags = flags & 0xffff_ffff & !(libc::SS_ONSTACK as u64);
    Ok(([address, flags, length], words::<4>(source, scratch)?[0]))
}

/// What is known of a thread without its help.
fn thread_state(source: &TrackedProcess, thread: Tracee, now_ns: i64) -> Result<ThreadState> {
    let known = Circumstances { now_ns, ..source.circumstances(thread.0) };
    let (registers, wait) = interrupted::for_travelling(thread.registers()?, &known);
    Ok(ThreadState {
        own_tid: 0,
        registers,
        extended: raw::extended_registers(thread.0)?,
        wait,
        signal_mask: thread.signal_mask()?,
        pending: raw::queued_signals(thread.0, false)?,
        alternate_stack: [0; 3],
        tid_address: 0,
        robust_list: robust_list(thread.0)?,
        sequences: raw::restartable_sequences(thread.0)?,
    })
}

fn words<const N: usize>(source: &TrackedProcess, address: u64) -> Result<[u64; N]> {
    let mut bytes = vec![0; N * 8];
    source
        .memory
        .read_exact_at(&mut bytes, address)
        .doing(|| "read an answer out of the process".to_owned())?;
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    Ok(words)
}

fn robust_list(tid: i32) -> Result<[u64; 2]> {
    let (mut head, mut length) = (0u64, 0u64);
    // SAFETY: the call writes one word to each of the two addresses.
    let answer = unsafe { libc::syscall(libc::SYS_get_robust_list, tid, &raw mut head, &raw mut length) };
    if answer != 0 {
        return Err(std::io::Error::last_os_error())
            .doing(|| format!("read the robust list of thread {tid}"));
    }
    Ok([head, length])
}

/// The lowest page of the address space that nothing uses, far from where the kernel places mappings by itself.
fn free_page(mappings: &[Mapping]) -> Result<u64> {
    let mut at = 0x1_0000;
    for mapping in mappings.iter().filter(|mapping| mapping.kind != MappingKind::Vsyscall) {
        if AddressRange::new(at, at + PAGE_SIZE).intersection(mapping.range).is_none()
            && mapping.range.start > at
        {
            return Ok(at);
        }
        at = at.max(mapping.range.end);
    }
    Err(LinuxError::Unsupported("no free page in the address space".to_owned()))
}

fn pipes(inventory: &Inventory) -> Result<Vec<PipeContent>> {
    let mut all: Vec<PipeContent> = Vec::new();
    for descriptor in &inventory.descriptors {
        let DescriptorKind::Pipe { inode, capacity, .. } = descriptor.kind else { continue };
        if crate::obstacle::standard_stream_of(descriptor, inventory).is_some()
            || all.iter().any(|pipe| pipe.inode == inode)
        {
            continue;
        }
        let path = format!("/proc/{}/fd/{}", inventory.process.pid, descriptor.number);
        all.push(PipeContent { inode, bytes: pipe_content(&path, capacity)? });
    }
    Ok(all)
}

/// The content of open files that have no name, each once.
fn nameless(inventory: &Inventory) -> Result<Vec<NamelessFile>> {
    let mut all: Vec<NamelessFile> = Vec::new();
    for descriptor in &inventory.descriptors {
        let DescriptorKind::File { deleted: true, inode, size, .. } = descriptor.kind else { continue };
        if all.iter().any(|file| file.inode == inode) {
            continue;
        }
        if size > NAMELESS_BYTES_MAX {
            let reason =
                format!("descriptor {} is of a file without a name of {size} bytes", descriptor.number);
            return Err(LinuxError::CannotFollow(reason));
        }
        let path = format!("/proc/{}/fd/{}", inventory.process.pid, descriptor.number);
        all.push(NamelessFile { inode, bytes: fs::read(&path).doing(|| format!("read {path}"))? });
    }
    Ok(all)
}

/// What a pipe holds, without taking it out.
fn pipe_content(path: &str, capacity: u32) -> Result<Vec<u8>> {
    use rustix::fs::{Mode, OFlags};
    let doing = || format!("look into {path}");
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = rustix::fs::open(path, flags, Mode::empty()).doing(doing)?;
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK | rustix::pipe::PipeFlags::CLOEXEC)
            .doing(doing)?;
    rustix::pipe::fcntl_setpipe_size(&write, capacity as usize).doing(doing)?;
    let copied =
        match rustix::pipe::tee(&source, &write, capacity as usize, rustix::pipe::SpliceFlags::NONBLOCK) {
            Ok(copied) => copied,
            Err(rustix::io::Errno::AGAIN) => 0,
            Err(error) => return Err(error).doing(doing),
        };
    let mut bytes = vec![0; copied];
    let mut done = 0;
    while done < copied {
        match rustix::io::read(&read, &mut bytes[done..]).doing(doing)? {
            0 => break,
            count => done += count,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// `/proc/PID/timers`: four or five lines for each timer.
fn listed_timers(pid: i32) -> Result<Vec<PosixTimer>> {
    let text = fs::read_to_string(format!("/proc/{pid}/timers")).unwrap_or_default();
    let malformed =
        |line: &str| LinuxError::Malformed { from: format!("/proc/{pid}/timers"), reason: line.to_owned() };
    let mut timers: Vec<PosixTimer> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(": ") else { continue };
        let value = value.trim();
        if key == "ID" {
            let id = value.parse().map_err(|_| malformed(line))?;
            let setting = TimerSetting::default();
            timers.push(PosixTimer { id, clock: 0, signal: 0, value: 0, notify: 0, own_tid: 0, setting });
            continue;
        }
        let timer = timers.last_mut().ok_or_else(|| malformed(line))?;
        match key {
            // `14/000000000000000a`: the signal, and the value as the kernel prints a pointer.
            "signal" => {
                let (signal, sent) = value.split_once('/').ok_or_else(|| malformed(line))?;
                timer.signal = signal.parse().map_err(|_| malformed(line))?;
                timer.value = u64::from_str_radix(sent.trim_start_matches("0x"), 16).unwrap_or(0);
            }
            // `signal/pid.1234`, `thread/tid.…`, `none/pid.…`
            "notify" => {
                let (how, whom) = value.split_once('/').ok_or_else(|| malformed(line))?;
                timer.notify = match how {
                    "none" => libc::SIGEV_NONE,
                    "thread" => libc::SIGEV_THREAD,
                    _ => libc::SIGEV_SIGNAL,
                };
                if let Some(tid) = whom.strip_prefix("tid.").and_then(|tid| tid.parse().ok()) {
                    timer.notify |= libc::SIGEV_THREAD_ID;
                    timer.own_tid = own_number(pid, tid);
                }
            }
            "ClockID" => timer.clock = value.parse().map_err(|_| malformed(line))?,
            _ => {}
        }
    }
    Ok(timers)
}

fn own_number(pid: i32, tid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.and_then(|numbers| numbers.split_whitespace().last()?.parse().ok()).unwrap_or(tid)
}
