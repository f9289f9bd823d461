//! What can go wrong, naming the culprit.

use crate::obstacle::Obstacle;

/// Why an operation on a process failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinuxError {
    /// The process (or thread) does not exist any more.
    #[error("process {pid} is gone")]
    Gone {
        /// As the observer counts processes.
        pid: i32,
    },
    /// A system call of this process failed.
    #[error("{doing}: {source}")]
    System {
        /// What was being done, with its object.
        doing: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A system call put into the other process failed.
    #[error("{call} put into thread {tid}: {source}")]
    Injected {
        /// The name of the call.
        call: &'static str,
        /// The thread that made it.
        tid: i32,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A traced thread stopped in a way that was not expected here.
    #[error("thread {tid} stopped unexpectedly ({status}) during {doing}")]
    UnexpectedStop {
        /// The thread.
        tid: i32,
        /// The wait status, in words.
        status: String,
        /// What was being done.
        doing: &'static str,
    },
    /// Something read from `/proc` or from a peer does not parse.
    #[error("{from}: {reason}")]
    Malformed {
        /// The file or field.
        from: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process cannot be moved; every reason.
    #[error("the process cannot be moved: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Obstructed(Vec<Obstacle>),
    /// The process changed in a way that the process built for it cannot follow.
    #[error("the process changed and cannot be followed: {0}")]
    CannotFollow(String),
    /// The kernel, the machine or the privileges do not suffice.
    #[error("not supported here: {0}")]
    Unsupported(String),
    /// The thread that traces the process has ended, which it only does when it panicked.
    #[error("the tracing thread ended")]
    TracerEnded,
}

/// The result of everything here.
pub type Result<T> = std::result::Result<T, LinuxError>;

/// Attaches what was being done to an error of the kernel.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| LinuxError::System { doing: what(), source: error.into() })
    }
}

/// The same for errors of the `procfs` crate, where a missing file means that the process is gone.
pub(crate) fn from_procfs(pid: i32, error: procfs::ProcError) -> LinuxError {
    match error {
        procfs::ProcError::NotFound(_) => LinuxError::Gone { pid },
        procfs::ProcError::Io(source, path) => {
            LinuxError::System { doing: format!("read {}", path.unwrap_or_default().display()), source }
        }
        other => LinuxError::Malformed { from: format!("/proc/{pid}"), reason: other.to_string() },
    }
}
