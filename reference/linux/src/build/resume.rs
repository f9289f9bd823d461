//! From what was built ahead to what was frozen: the difference, then everything that only the freeze knows.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};

use super::descriptors::{self, Descriptions};
use super::target::{MUNMAP, Target};
use super::waits::{self, Begun, Loan};
use super::{space, threads};
use crate::error::{Doing, LinuxError, Result};
use crate::inventory::{Inventory, Mapping, MappingKind};
use crate::plan::{Backing, FileChoices, backing};
use crate::range::{AddressRange, PAGE_SIZE, subtract};
use crate::source::waiting::Waits;
use crate::state::{FrozenProcess, PosixTimer};
use crate::tracing::inject::Call;
use crate::userfault::Userfault;

const FCHDIR: Call = Call("fchdir", libc::SYS_fchdir);
const UMASK: Call = Call("umask", libc::SYS_umask);
const PERSONALITY: Call = Call("personality", libc::SYS_personality);
const RT_SIGACTION: Call = Call("rt_sigaction", libc::SYS_rt_sigaction);
const RT_SIGQUEUEINFO: Call = Call("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo);
const SETITIMER: Call = Call("setitimer", libc::SYS_setitimer);
const TIMER_CREATE: Call = Call("timer_create", libc::SYS_timer_create);
const TIMER_DELETE: Call = Call("timer_delete", libc::SYS_timer_delete);
const TIMER_SETTIME: Call = Call("timer_settime", libc::SYS_timer_settime);
const SETPRIORITY: Call = Call("setpriority", libc::SYS_setpriority);
const PRCTL: Call = Call("prctl", libc::SYS_prctl);

/// What is brought up to date.
pub(super) struct Parts<'a> {
    pub(super) target: &'a mut Target,
    pub(super) built: &'a Inventory,
    pub(super) files: &'a FileChoices,
    pub(super) streams: &'a [Option<OwnedFd>; 3],
    pub(super) descriptions: &'a mut Descriptions,
    pub(super) shared: &'a mut BTreeMap<u64, OwnedFd>,
    pub(super) userfault: &'a Userfault,
}

/// Everything but letting go.
pub(super) fn prepare(parts: Parts<'_>, state: &FrozenProcess) -> Result<()> {
    let Parts { target, built, files, streams, descriptions, shared, userfault } = parts;
    let now = &state.inventory;
    let together = target.together();
    follow_layout(target, built, now, files, shared, userfault)?;
    descriptors::follow(target, built, state, files, streams, descriptions)?;
    descriptors::lock(target, now)?;
    // Where its threads may run is said here.
    drop(together);
    threads::follow(target, now)?;
    let _together = target.together();
    space::describe(target, now, files)?;
    once_in_a_process(target, now, files)?;
    actions(target, state)?;
    space::lock_all(target, now)?;
    for thread in &state.threads {
        threads::settle(target, thread, now.process.own_pid)?;
    }
    for signal in &state.pending {
        let address = target.write_bytes(0, signal)?;
        let number = i32::from_ne_bytes([signal[0], signal[1], signal[2], signal[3]]);
        target.call(RT_SIGQUEUEINFO, &[now.process.own_pid as u64, number as u64, address])?;
    }
    limits(target, now)
}

/// Timers, waits and registers, and off it goes. What its threads are known to wait for.
pub(super) fn go(
    target: &mut Target,
    state: &FrozenProcess,
    files: &FileChoices,
    userfault: &Userfault,
) -> Result<Waits> {
    let together = target.together();
    for (which, timer) in state.interval_timers.iter().enumerate() {
        let [interval @ .., _, _] = timer.words;
        let next = &timer.words[2..];
        // One that repeats has no next time only while its signal waits: the kernel sets it again when that is delivered.
        let next = if *next == [0, 0] { interval } else { [next[0], next[1]] };
        if next != [0, 0] {
            let address = target.write_words(0, &[interval[0], interval[1], next[0], next[1]])?;
            target.call(SETITIMER, &[which as u64, address, 0])?;
        }
    }
    posix_timers(target, &state.posix_timers)?;
    become_user(target, &state.inventory)?;
    // What begins a wait has to be the last thing that a thread does before it is let go.
    target.close_socket()?;
    // Nobody finds a page uncovered that is to be installed.
    let quiet = userfault.quiet();
    let mut loan = Loan::new(target, userfault, &state.inventory, files);
    let mut can_begin = Vec::with_capacity(state.threads.len());
    for thread in &state.threads {
        can_begin.push(thread.wait.as_ref().map_or(Ok(false), |wait| loan.lend_for(wait))?);
    }
    threads::register_sequences(target, &state.threads, &mut loan)?;
    let mut all_begun = Vec::with_capacity(state.threads.len());
    let mut known = Waits::new();
    for (thread, can_begin) in state.threads.iter().zip(can_begin) {
        let begun = match &thread.wait {
            Some(wait) if can_begin => {
                let (begun, seen) = waits::begin(target, thread, wait, &state.inventory.process.clocks)?;
                known.insert(threads::find(target, thread.own_tid)?.0, seen);
                begun
            }
            _ => Begun::Again,
        };
        all_begun.push(begun);
    }
    let injector = target.leave_stage(&state.inventory)?;
    loan.give_back(injector)?;
    drop(quiet);
    // These calls took the main thread out of the stop from which a wait is restarted.
    injector.park(target.main())?;
    for (thread, begun) in state.threads.iter().zip(all_begun) {
        threads::set_registers(target, thread, begun)?;
    }
    drop(together);
    target.let_go()?;
    Ok(known)
}

/// Unmaps, maps and protects until the layout is that of `now`.
fn follow_layout(
    target: &mut Target,
    built: &Inventory,
    now: &Inventory,
    files: &FileChoices,
    shared: &mut BTreeMap<u64, OwnedFd>,
    userfault: &Userfault,
) -> Result<()> {
    let stage = target.stage();
    if now.mappings.iter().any(|mapping| mapping.range.intersection(stage).is_some()) {
        return Err(LinuxError::CannotFollow(format!("it maps {stage} now, which building uses")));
    }
    let mut difference = Difference::between(&built.mappings, &now.mappings, files);
    let saved = difference.join(&built.mappings, &now.mappings, target)?;
    for range in &difference.gone {
        // Where it is covered, the kernel would wait for somebody to read that it went.
        let _ = userfault.unregister(*range);
        target.call(MUNMAP, &[range.start, range.len()])?;
    }
    let fresh: Vec<&Mapping> = difference.fresh.iter().collect();
    space::map_all(target, &fresh, files, shared)?;
    for mapping in fresh.iter().filter(|mapping| backing(mapping, files).is_installed()) {
        space::cover_one(userfault, mapping.range)?;
    }
    for (page, bytes) in &saved {
        userfault.install(*page, bytes)?;
    }
    for (range, protection) in &difference.protected {
        target.call(space::MPROTECT, &[range.start, range.len(), u64::from(*protection)])?;
    }
    Ok(())
}

/// What has to be done to get from one layout to another.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    gone: Vec<AddressRange>,
    fresh: Vec<Mapping>,
    protected: Vec<(AddressRange, u32)>,
}

impl Difference {
    fn between(before: &[Mapping], now: &[Mapping], files: &FileChoices) -> Self {
        let mut difference = Self::default();
        let follows = |mapping: &&Mapping| backing(mapping, files) != Backing::Kernel;
        let same = |one: &Mapping, other: &Mapping| is_same(one, other, files);
        for old in before.iter().filter(follows) {
            let kept = now.iter().filter(|new| same(old, new)).map(|new| new.range);
            difference.gone.extend(subtract(old.range, kept));
        }
        for new in now.iter().filter(follows) {
            let kept = before.iter().filter(|old| same(old, new));
            let fresh = subtract(new.range, kept.clone().map(|old| old.range));
            difference.fresh.extend(fresh.into_iter().map(|range| new.clipped(range)));
            for old in kept.filter(|old| old.protection != new.protection) {
                difference
                    .protected
                    .extend(old.range.intersection(new.range).map(|range| (range, new.protection)));
            }
        }
        difference
    }
}

impl Difference {
    /// One mapping that was built as several is built anew as one: the kernel may join what is new to either neighbour, and
    /// the process could not move or grow it. The pages that are there are answered, to be put back.
    fn join(&mut self, before: &[Mapping], now: &[Mapping], target: &Target) -> Result<Vec<(u64, Vec<u8>)>> {
        let mut saved = Vec::new();
        for new in now.iter().filter(|new| new.is_private_anonymous()) {
            let pieces: Vec<&Mapping> = before
                .iter()
                .filter(|old| old.is_private_anonymous() && old.range.intersection(new.range).is_some())
                .collect();
            let [first, ..] = pieces[..] else { continue };
            if pieces.len() == 1 && first.range.covers(new.range) {
                continue;
            }
            if pieces.len() == 1 && grow(target, first, new) {
                self.fresh.retain(|fresh| !new.range.covers(fresh.range));
                self.protected.push((new.range, new.protection));
                continue;
            }
            let mut runs = Vec::new();
            for piece in pieces.iter().filter_map(|piece| piece.range.intersection(new.range)) {
                target.pagemap()?.population(piece, true, &mut runs)?;
                self.gone.push(piece);
            }
            for page in runs.iter().flat_map(|run| run.range.pages()) {
                let mut bytes = vec![0; PAGE_SIZE as usize];
                target
                    .memory()
                    .read_exact_at(&mut bytes, page * PAGE_SIZE)
                    .doing(|| format!("save page {page:#x}"))?;
                saved.push((page, bytes));
            }
            self.fresh.retain(|fresh| !new.range.covers(fresh.range));
            self.protected.retain(|(range, _)| !new.range.covers(*range));
            self.fresh.push(new.clone());
        }
        Ok(saved)
    }
}

/// Grows what was built to the end of the mapping that it is now, which costs nothing where it begins at the same place and there is room.
fn grow(target: &Target, old: &Mapping, new: &Mapping) -> bool {
    if old.range.start != new.range.start || old.range.end >= new.range.end {
        return false;
    }
    target.call(space::MREMAP, &[old.range.start, old.range.len(), new.range.len(), 0]).is_ok()
}

/// Whether what was built for one mapping serves the other where they overlap.
fn is_same(old: &Mapping, new: &Mapping, files: &FileChoices) -> bool {
    if old.range.intersection(new.range).is_none() || old.shared != new.shared {
        return false;
    }
    if backing(old, files) != backing(new, files) {
        return false;
    }
    match (&old.kind, &new.kind) {
        (MappingKind::File(one), MappingKind::File(other)) => {
            one.path == other.path
                && one.inode == other.inode
                && old.range.start.wrapping_sub(one.offset) == new.range.start.wrapping_sub(other.offset)
        }
        (
            MappingKind::SharedAnonymous { inode: a, offset: i },
            MappingKind::SharedAnonymous { inode: b, offset: j },
        ) => a == b && old.range.start.wrapping_sub(*i) == new.range.start.wrapping_sub(*j),
        _ => old.is_private_anonymous() && new.is_private_anonymous(),
    }
}

fn once_in_a_process(target: &Target, now: &Inventory, files: &FileChoices) -> Result<()> {
    let process = &now.process;
    let directory = files.local_path(&process.working_directory);
    let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(&directory, open, Mode::empty())
        .doing(|| format!("open {}", directory.display()))?;
    let number = target.pass(&[handle.as_fd()])?[0];
    target.call(FCHDIR, &[number as u64])?;
    target.close_passed()?;
    target.call(UMASK, &[u64::from(process.umask)])?;
    target.call(PERSONALITY, &[u64::from(process.personality)])?;
    if process.no_new_privileges {
        target.call(PRCTL, &[libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0])?;
    }
    // A higher priority than may be had is not worth failing for.
    let _ = target.call(SETPRIORITY, &[libc::PRIO_PROCESS as u64, 0, process.nice as u64]);
    Ok(())
}

/// Handlers and ignored signals; what this program ignores and the process does not is reset.
fn actions(target: &Target, state: &FrozenProcess) -> Result<()> {
    let inherited = crate::inventory::process::ignored_by_this_program();
    for signal in 1..=64u64 {
        let wanted = state.actions.iter().find(|action| action.signal as u64 == signal);
        let words = match wanted {
            Some(action) => action.words,
            None if inherited & (1 << (signal - 1)) != 0 => [0; 4],
            None => continue,
        };
        let address = target.write_words(0, &words)?;
        target.call(RT_SIGACTION, &[signal, address, 0, 8])?;
    }
    Ok(())
}

fn limits(target: &Target, now: &Inventory) -> Result<()> {
    for limit in &now.process.limits {
        let wanted = libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
        // SAFETY: the call reads one `rlimit64`.
        let set =
            unsafe { libc::prlimit64(target.pid(), limit.resource, &raw const wanted, std::ptr::null_mut()) };
        if set != 0 {
            let mut have = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the call writes one `rlimit64`.
            unsafe { libc::prlimit64(target.pid(), limit.resource, std::ptr::null(), &raw mut have) };
            // What cannot be raised as far stays as near as may be.
            let nearest = libc::rlimit64 {
                rlim_cur: limit.soft.min(have.rlim_max),
                rlim_max: limit.hard.min(have.rlim_max),
            };
            // SAFETY: as above.
            unsafe {
                libc::prlimit64(target.pid(), limit.resource, &raw const nearest, std::ptr::null_mut())
            };
        }
    }
    Ok(())
}

/// Makes each timer with the number that the process knows: the kernel is told to take it, or numbers before it are used up.
fn posix_timers(target: &Target, timers: &[PosixTimer]) -> Result<()> {
    const PR_TIMER_CREATE_RESTORE_IDS: u64 = 77;
    const NUMBERS_TRIED_MAX: usize = 10_000;
    if timers.is_empty() {
        return Ok(());
    }
    let takes_numbers = target.call(PRCTL, &[PR_TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0]).is_ok();
    for timer in timers {
        let event =
            [timer.value, timer.signal as u32 as u64 | (timer.notify as u64) << 32, timer.own_tid as u64];
        let mut tried = 0;
        loop {
            let event = target.write_words(0, &event)?;
            let place = target.write_words(16, &[timer.id as u32 as u64])?;
            target.call(TIMER_CREATE, &[timer.clock as u64, event, place])?;
            let made = target.read_words(16, 1)?[0] as i32;
            if made == timer.id {
                break;
            }
            target.call(TIMER_DELETE, &[made as u64])?;
            tried += 1;
            if made > timer.id || tried > NUMBERS_TRIED_MAX {
                return Err(LinuxError::CannotFollow(format!(
                    "timer {} cannot be given its number",
                    timer.id
                )));
            }
        }
        if timer.setting.words[2..] != [0, 0] {
            let setting = target.write_words(0, &timer.setting.words)?;
            target.call(TIMER_SETTIME, &[timer.id as u64, 0, setting, 0])?;
        }
    }
    if takes_numbers {
        target.call(PRCTL, &[PR_TIMER_CREATE_RESTORE_IDS, 0, 0, 0, 0])?;
    }
    Ok(())
}

/// Gives up the privileges that the process did not have, in each thread.
fn become_user(target: &Target, now: &Inventory) -> Result<()> {
    const SETGROUPS: Call = Call("setgroups", libc::SYS_setgroups);
    const SETRESGID: Call = Call("setresgid", libc::SYS_setresgid);
    const SETRESUID: Call = Call("setresuid", libc::SYS_setresuid);
    let [user, effective, saved, _] = now.process.credentials.users;
    let [group, effective_group, saved_group, _] = now.process.credentials.groups;
    let here = rustix::process::geteuid().as_raw();
    if [user, effective, saved] == [here; 3] {
        return Ok(());
    }
    let groups = &now.process.credentials.supplementary;
    let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_ne_bytes()).collect();
    for (_, thread) in &target.threads {
        let list = target.write_bytes(0, &bytes)?;
        target.call_by(*thread, SETGROUPS, &[groups.len() as u64, list])?;
        target.call_by(*thread, SETRESGID, &[group, effective_group, saved_group].map(u64::from))?;
        target.call_by(*thread, SETRESUID, &[user, effective, saved].map(u64::from))?;
    }
    target.call(PRCTL, &[libc::PR_SET_DUMPABLE as u64, 1, 0, 0, 0]).map(drop)
}
