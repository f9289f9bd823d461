//! Stopping threads of another process and making them call the kernel.

pub(crate) mod inject;
pub(crate) mod raw;
pub(crate) mod together;
pub(crate) mod tracee;
pub(crate) mod worker;

pub(crate) use inject::Injector;
pub(crate) use together::Together;
pub(crate) use worker::Worker;
