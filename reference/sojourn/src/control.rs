//! How the command talks to what is running: a Unix socket in a directory that only the user can enter, one line of JSON
//! each way.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::policy::Policy;
use serde::{Deserialize, Serialize};

use crate::driver::JudgeChoice;
use crate::status::Status;

/// Longest line.
const LINE_LEN_MAX: u64 = 1 << 20;

/// How long a line may take.
const LINE_TIME: Duration = Duration::from_secs(60);

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DeskQuestion {
    /// What is here?
    Status,
    /// Move this process.
    Migrate {
        /// Which.
        pid: u32,
        /// Where to.
        to: String,
        /// How.
        policy: Box<Policy>,
        /// Where the steps go.
        log: Option<PathBuf>,
        /// Who judges it.
        judge: Option<JudgeChoice>,
    },
    /// Take on this process, which was started here, to be moved later.
    Adopt {
        /// Which.
        pid: u32,
        /// How it will move.
        policy: Box<Policy>,
    },
    /// The machine of a host is dead.
    Fence {
        /// Where it could be called.
        address: Option<String>,
        /// All those that this process waits for, otherwise.
        pid: Option<u32>,
    },
    /// Call the migration of this process off.
    Cancel {
        /// Which.
        pid: u32,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DeskAnswer {
    /// This is here.
    Status(Vec<Status>),
    /// Done, or begun.
    Done,
    /// Not done.
    Refused(String),
}

/// What is running and can be asked.
pub struct Desk {
    path: PathBuf,
}

/// Where those are who can be asked: a directory of the user.
///
/// # Errors
/// There is none, or others can enter it.
pub fn directory() -> io::Result<PathBuf> {
    let chosen = std::env::var_os("SOJOURN_RUNTIME_DIR").map(PathBuf::from);
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|path| PathBuf::from(path).join("sojourn"));
    let user = rustix::process::geteuid().as_raw();
    let path = chosen.or(runtime).unwrap_or_else(|| std::env::temp_dir().join(format!("sojourn-{user}")));
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = fs::symlink_metadata(&path)?;
    let own = metadata.is_dir() && metadata.uid() == user && metadata.permissions().mode() & 0o077 == 0;
    let foreign = || {
        io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: others can enter it", path.display()))
    };
    if own { Ok(path) } else { Err(foreign()) }
}

impl Desk {
    /// Answers whoever asks, in threads of its own, until it is dropped.
    ///
    /// # Errors
    /// There is no place for it.
    pub fn open(answer: impl Fn(DeskQuestion) -> DeskAnswer + Send + Sync + 'static) -> io::Result<Self> {
        let path = directory()?.join(format!("{}.sock", std::process::id()));
        // Of a program that had the same number and was killed.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        let answer = std::sync::Arc::new(answer);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let answer = std::sync::Arc::clone(&answer);
                std::thread::spawn(move || {
                    if let Err(error) = serve(socket, &*answer) {
                        tracing::debug!(%error, "somebody asked and is gone");
                    }
                });
            }
        });
        Ok(Self { path })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_file(&self.path);
    }
}

fn serve(socket: UnixStream, answer: &dyn Fn(DeskQuestion) -> DeskAnswer) -> io::Result<()> {
    socket.set_read_timeout(Some(LINE_TIME))?;
    let mut line = String::new();
    BufReader::new((&socket).take(LINE_LEN_MAX)).read_line(&mut line)?;
    let answer = match serde_json::from_str(&line) {
        Ok(question) => answer(question),
        Err(error) => DeskAnswer::Refused(format!("not a question: {error}")),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    (&socket).write_all(&text)
}

/// Everybody who can be asked.
///
/// # Errors
/// The directory cannot be read.
pub fn desks() -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory()?)?.collect::<io::Result<Vec<_>>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "sock")).collect())
}

/// Asks one.
///
/// # Errors
/// It is not there, or does not answer.
pub fn ask(desk: &Path, question: &DeskQuestion) -> io::Result<DeskAnswer> {
    let mut socket = UnixStream::connect(desk)?;
    socket.set_read_timeout(Some(LINE_TIME))?;
    let mut text = serde_json::to_vec(question)?;
    text.push(b'\n');
    socket.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(socket.take(LINE_LEN_MAX)).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Asks everybody what is there.
///
/// # Errors
/// The directory cannot be read.
pub fn all_statuses() -> io::Result<Vec<(PathBuf, Status)>> {
    let mut all = Vec::new();
    for desk in desks()? {
        // One that was killed has left its socket behind.
        if let Ok(DeskAnswer::Status(statuses)) = ask(&desk, &DeskQuestion::Status) {
            all.extend(statuses.into_iter().map(|status| (desk.clone(), status)));
        }
    }
    Ok(all)
}
