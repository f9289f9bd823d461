//! QEMU, from 7.2 on: the migration stream, the return path, the log trace backend and QMP events.

pub mod channel;
pub mod elide;
pub mod encode;
pub mod qmp;
pub mod return_path;
pub mod run;
pub mod stream;
pub mod trace;

/// Bytes of a page of the guest, as far as it is migrated.
pub const PAGE_BYTES: u64 = 4096;
