//! The `ptrace` requests that no crate wraps, as functions that are safe to call.

use std::io;

use libc::{c_uint, c_void};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Result};

/// The general registers of a thread, in the order of `struct user_regs_struct` (27 words).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub eflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub ds: u64,
    pub es: u64,
    pub fs: u64,
    pub gs: u64,
}

impl From<libc::user_regs_struct> for Registers {
    fn from(r: libc::user_regs_struct) -> Self {
        Self {
            r15: r.r15,
            r14: r.r14,
            r13: r.r13,
            r12: r.r12,
            rbp: r.rbp,
            rbx: r.rbx,
            r11: r.r11,
            r10: r.r10,
            r9: r.r9,
            r8: r.r8,
            rax: r.rax,
            rcx: r.rcx,
            rdx: r.rdx,
            rsi: r.rsi,
            rdi: r.rdi,
            orig_rax: r.orig_rax,
            rip: r.rip,
            cs: r.cs,
            eflags: r.eflags,
            rsp: r.rsp,
            ss: r.ss,
            fs_base: r.fs_base,
            gs_base: r.gs_base,
            ds: r.ds,
            es: r.es,
            fs: r.fs,
            gs: r.gs,
        }
    }
}

impl From<Registers> for libc::user_regs_struct {
    fn from(r: Registers) -> Self {
        Self {
            r15: r.r15,
            r14: r.r14,
            r13: r.r13,
            r12: r.r12,
            rbp: r.rbp,
            rbx: r.rbx,
            r11: r.r11,
            r10: r.r10,
            r9: r.r9,
            r8: r.r8,
            rax: r.rax,
            rcx: r.rcx,
            rdx: r.rdx,
            rsi: r.rsi,
            rdi: r.rdi,
            orig_rax: r.orig_rax,
            rip: r.rip,
            cs: r.cs,
            eflags: r.eflags,
            rsp: r.rsp,
            ss: r.ss,
            fs_base: r.fs_base,
            gs_base: r.gs_base,
            ds: r.ds,
            es: r.es,
            fs: r.fs,
            gs: r.gs,
        }
    }
}

const NT_X86_XSTATE: usize = 0x202;
/// No processor has a larger one today (with tile registers it is 11 008 bytes).
const EXTENDED_BYTES_MAX: usize = 16 * 1024;

/// The extended registers (x87, SSE, AVX, …) in the processor's own layout.
pub(crate) fn extended_registers(tid: i32) -> Result<Vec<u8>> {
    let mut bytes = vec![0u8; EXTENDED_BYTES_MAX];
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    request(libc::PTRACE_GETREGSET, tid, NT_X86_XSTATE, (&raw mut vector).cast())
        .doing(|| format!("read the extended registers of thread {tid}"))?;
    bytes.truncate(vector.iov_len);
    Ok(bytes)
}

/// Puts back what [`extended_registers`] read; the kernel refuses what the processor lacks.
pub(crate) fn set_extended_registers(tid: i32, bytes: &[u8]) -> Result<()> {
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    request(libc::PTRACE_SETREGSET, tid, NT_X86_XSTATE, (&raw mut vector).cast())
        .doing(|| format!("set the extended registers of thread {tid}"))?;
    Ok(())
}

/// The blocked signals; inside `sigsuspend` and the like, those that will be blocked afterwards.
pub(crate) fn signal_mask(tid: i32) -> Result<u64> {
    let mut mask = 0u64;
    request(libc::PTRACE_GETSIGMASK, tid, size_of::<u64>(), (&raw mut mask).cast())
        .doing(|| format!("read the signal mask of thread {tid}"))?;
    Ok(mask)
}

/// Replaces the blocked signals.
pub(crate) fn set_signal_mask(tid: i32, mask: u64) -> Result<()> {
    let mut mask = mask;
    request(libc::PTRACE_SETSIGMASK, tid, size_of::<u64>(), (&raw mut mask).cast())
        .doing(|| format!("set the signal mask of thread {tid}"))?;
    Ok(())
}

/// Where a thread registered its restartable sequences.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RestartableSequences {
    /// Address of the area in the thread's memory.
    pub address: u64,
    /// Its length in bytes.
    pub length: u32,
    /// The word in front of every abort handler.
    pub signature: u32,
}

const PTRACE_GET_RSEQ_CONFIGURATION: c_uint = 0x420f;

/// The registration of restartable sequences, if there is one.
pub(crate) fn restartable_sequences(tid: i32) -> Result<Option<RestartableSequences>> {
    #[repr(C)]
    #[derive(Default)]
    struct Configuration {
        address: u64,
        length: u32,
        signature: u32,
        flags: u32,
        padding: u32,
    }
    let mut found = Configuration::default();
    match request(PTRACE_GET_RSEQ_CONFIGURATION, tid, size_of::<Configuration>(), (&raw mut found).cast()) {
        // A kernel without restartable sequences has no such request either.
        Err(error) if error.raw_os_error() == Some(libc::EIO) => return Ok(None),
        other => other.doing(|| format!("read the restartable sequences of thread {tid}"))?,
    };
    let Configuration { address, length, signature, .. } = found;
    Ok((address != 0).then_some(RestartableSequences { address, length, signature }))
}

/// A queued signal, `siginfo_t` as the kernel has it.
pub type QueuedSignal = Vec<u8>;

const SIGNAL_INFO_BYTES: usize = 128;

/// The signals that wait for the thread (`shared` = for the whole process), in order.
pub(crate) fn queued_signals(tid: i32, shared: bool) -> Result<Vec<QueuedSignal>> {
    #[repr(C)]
    struct PeekArguments {
        offset: u64,
        flags: u32,
        count: i32,
    }
    const BATCH: usize = 16;
    let mut all = Vec::new();
    loop {
        let arguments =
            PeekArguments { offset: all.len() as u64, flags: u32::from(shared), count: BATCH as i32 };
        let mut bytes = [0u8; BATCH * SIGNAL_INFO_BYTES];
        let address = (&raw const arguments) as usize;
        let count = request(libc::PTRACE_PEEKSIGINFO, tid, address, bytes.as_mut_ptr().cast())
            .doing(|| format!("read the pending signals of thread {tid}"))? as usize;
        all.extend(bytes.chunks(SIGNAL_INFO_BYTES).take(count).map(<[u8]>::to_vec));
        if count < BATCH {
            return Ok(all);
        }
    }
}

/// One request whose data, where it is a pointer, points to what that request reads or fills.
fn request(request: c_uint, tid: i32, address: usize, data: *mut c_void) -> io::Result<i64> {
    // SAFETY: private to this file; each caller passes a live buffer of the size that its request is documented to
    // read or fill (by an iovec, a length in `address`, or a count in the structure at `address`).
    let result = unsafe { libc::ptrace(request, tid, address, data) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
