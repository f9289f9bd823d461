//! The first process of the namespace: parent of the process that is built, reaper of its orphans, and its end should this
//! program end too early.
//!
//! It is a fork of this program that never allocates, locks or returns: a fork of a program with several threads may only make system calls.

use std::io;

use rustix::fd::{AsRawFd, OwnedFd};

use super::channel;
use crate::error::{Doing, LinuxError, Result};
use crate::tracing::tracee::{Stop, Tracee};

/// What the host keeps of it.
#[derive(Debug)]
pub(super) struct Init {
    pub(super) pid: i32,
    control: OwnedFd,
    reaped: Option<i32>,
}

/// *The process arrived completely: it may outlive the host.*
const COMPLETE: u8 = b'c';
/// *Keep this descriptor open until then*: without it, absent pages would read as zero when the host ends.
const KEEP: u8 = b'k';
const READY: u8 = b'r';

/// Room for arguments of calls put into init; it has a copy at the same address.
pub(super) static ARGUMENTS: [std::sync::atomic::AtomicU64; 32] =
    [const { std::sync::atomic::AtomicU64::new(0) }; 32];

impl Init {
    /// Starts it; `passed` is a socket that it and its child have too.
    pub(super) fn start(passed: &OwnedFd) -> Result<Self> {
        let (control, theirs) = channel::pair()?;
        let mut namespaces = libc::CLONE_NEWPID as u64;
        if !rustix::process::geteuid().is_root() {
            namespaces |= libc::CLONE_NEWUSER as u64;
        }
        let numbers = [theirs.as_raw_fd(), passed.as_raw_fd()];
        let pid = fork_into(namespaces, numbers)?;
        drop(theirs);
        let mut init = Self { pid, control, reaped: None };
        init.await_ready()?;
        if namespaces & libc::CLONE_NEWUSER as u64 != 0 {
            map_users(pid)?;
        }
        Ok(init)
    }

    fn await_ready(&mut self) -> Result<()> {
        let mut byte = [0];
        match rustix::io::read(&self.control, &mut byte).doing(|| "wait for init".to_owned())? {
            1 if byte[0] == READY => Ok(()),
            _ => Err(LinuxError::Unsupported("init of the new process ended at once".to_owned())),
        }
    }

    pub(super) fn keep(&self, descriptor: &OwnedFd) -> Result<()> {
        use rustix::fd::AsFd;
        channel::send(&self.control, KEEP, &[descriptor.as_fd()])
    }

    /// Returns once it has closed what it kept. That it has ended, with the process, is no reason not to.
    pub(super) fn complete(&self) -> Result<()> {
        match channel::send(&self.control, COMPLETE, &[]) {
            Err(LinuxError::System { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(());
            }
            sent => sent?,
        }
        let mut byte = [0];
        loop {
            match rustix::io::read(&self.control, &mut byte) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(()),
                answer => return answer.map(drop).doing(|| "wait for init".to_owned()),
            }
        }
    }

    /// The exit code, if it has ended.
    pub(super) fn ended(&mut self, wait: bool) -> Result<Option<i32>> {
        if self.reaped.is_some() {
            return Ok(self.reaped);
        }
        let mut status = 0;
        loop {
            // SAFETY: the call writes one integer.
            let reaped = unsafe {
                libc::waitpid(self.pid, &raw mut status, if wait { 0 } else { libc::WNOHANG } | libc::__WALL)
            };
            match reaped {
                0 => return Ok(None),
                -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                -1 => {
                    return Err(io::Error::last_os_error())
                        .doing(|| format!("wait for process {}", self.pid));
                }
                _ => break,
            }
        }
        let code =
            if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) };
        self.reaped = Some(code);
        Ok(self.reaped)
    }

    /// Ends it, and with it everything in its namespace. It waits for all of that, so what is `traced` has to be reaped first.
    pub(super) fn kill(&mut self, traced: &[Tracee]) {
        if self.reaped.is_none() {
            // SAFETY: the number is that of a child that has not been reaped, so it is nobody else's.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            for thread in traced.iter().rev() {
                while !matches!(thread.wait(), Ok(Stop::Ended) | Err(_)) {}
            }
            let _ = self.ended(true);
        }
    }
}

fn map_users(pid: i32) -> Result<()> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let write = |file: &str, text: String| {
        std::fs::write(format!("/proc/{pid}/{file}"), text).doing(|| format!("write /proc/{pid}/{file}"))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{user} {user} 1"))?;
    write("gid_map", format!("{group} {group} 1"))
}

/// A child in new namespaces, which runs [`main`] with all signals blocked.
fn fork_into(namespaces: u64, descriptors: [i32; 2]) -> Result<i32> {
    #[repr(C)]
    #[derive(Default)]
    struct CloneArguments {
        flags: u64,
        rest: [u64; 3],
        exit_signal: u64,
        more: [u64; 6],
    }
    let arguments =
        CloneArguments { flags: namespaces, exit_signal: libc::SIGCHLD as u64, ..CloneArguments::default() };
    // SAFETY: `sigset_t` is plain data, and both calls read and write the sets given. The child of `clone3`, which has no stack of
    // its own and so a copy of this one, only makes system calls and never returns from `main`.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
        let pid = libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<CloneArguments>());
        if pid == 0 {
            main(descriptors);
        }
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        if pid < 0 {
            return Err(error).doing(|| "make a process in a PID namespace of its own".to_owned());
        }
        Ok(pid as i32)
    }
}

/// # Safety
///
/// Only in a process of one thread that nothing else of this program runs in.
unsafe fn main([control, passed]: [i32; 2]) -> ! {
    // SAFETY: every call takes numbers, or pointers to live locals of the type that it documents.
    unsafe {
        let (low, high) = if control < passed { (control, passed) } else { (passed, control) };
        close_from_to(0, low - 1);
        close_from_to(low + 1, high - 1);
        close_from_to(high + 1, i32::MAX);
        libc::prctl(libc::PR_SET_NAME, c"arrival-init".as_ptr());
        libc::setsid();
        let mut children: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut children);
        libc::sigaddset(&raw mut children, libc::SIGCHLD);
        let ended = libc::signalfd(-1, &raw const children, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        let ready = [READY];
        libc::write(control, ready.as_ptr().cast(), 1);
        let mut watched = [
            libc::pollfd { fd: control, events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: ended, events: libc::POLLIN, revents: 0 },
        ];
        let mut complete = false;
        let mut kept = -1;
        let mut last = 0;
        loop {
            libc::poll(watched.as_mut_ptr(), 2, -1);
            if watched[0].revents != 0 {
                match receive(control) {
                    Some((COMPLETE, _)) => {
                        complete = true;
                        if kept >= 0 {
                            libc::close(kept);
                            kept = -1;
                        }
                        libc::write(control, ready.as_ptr().cast(), 1);
                    }
                    Some((_, descriptor)) => kept = descriptor,
                    None => {
                        watched[0].fd = -1;
                        if !complete {
                            libc::kill(-1, libc::SIGKILL);
                        }
                    }
                }
            }
            if watched[1].revents != 0 || watched[0].fd == -1 {
                let mut information = [0u8; 128];
                while libc::read(ended, information.as_mut_ptr().cast(), 128) > 0 {}
                if reap(&mut last) {
                    libc::_exit(last);
                }
            }
        }
    }
}

/// Reaps whatever ended; whether there is no child any more.
///
/// # Safety
///
/// As [`main`].
unsafe fn reap(last: &mut i32) -> bool {
    let mut status = 0;
    loop {
        // SAFETY: the call writes one integer.
        match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) } {
            0 => return false,
            // No child: the process has ended, or was never made and never will be.
            -1 => return true,
            _ if libc::WIFEXITED(status) => *last = libc::WEXITSTATUS(status),
            _ => *last = 128 + libc::WTERMSIG(status),
        }
    }
}

/// # Safety
///
/// As [`main`].
unsafe fn receive(control: i32) -> Option<(u8, i32)> {
    // SAFETY: the message header points to live locals, whose lengths it says.
    unsafe {
        let mut byte = 0u8;
        let mut vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut space = [0u64; 8];
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = space.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&space);
        if libc::recvmsg(control, &raw mut header, libc::MSG_CMSG_CLOEXEC) != 1 {
            return None;
        }
        // The header of the one control message, then its descriptor.
        Some((byte, if header.msg_controllen >= 20 { space[2] as i32 } else { -1 }))
    }
}

/// # Safety
///
/// As [`main`].
unsafe fn close_from_to(first: i32, last: i32) {
    if first <= last {
        // SAFETY: closes numbers of a process that is not this program any more.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}
