//! A judge of a run while it goes on: the command `checker conform` as a child, which is told each step as it is written down.
//!
//! This package knows no model, and the one that judges is asked as anybody would ask it. It says nothing until it objects, or until
//! there are no more steps; that it has heard everything so far shows in that it waits for more.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde::Deserialize;
use steplog::event::Step;

use crate::recorder::StepRecorder;

/// What the command is called.
const CHECKER: &str = "checker";

/// A judge, to be told steps and asked what it found.
#[derive(Clone)]
pub struct Judge(Arc<Mutex<Bench>>);

struct Bench {
    child: Child,
    /// Lines on their way; none once there will be no more.
    lines: Option<Sender<Vec<u8>>>,
    told: u64,
    written: Arc<AtomicU64>,
    /// The other end of what the child reads.
    pipe: Option<std::process::ChildStdin>,
    writing: Option<JoinHandle<()>>,
    reading: Option<JoinHandle<Vec<u8>>>,
    finding: Option<JudgeFinding>,
}

/// What a judge found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JudgeFinding {
    /// The model has the run.
    Accepted,
    /// The model has no such run.
    Rejected(String),
    /// It could not say.
    Unknown(String),
}

/// What is read of the judge's report.
#[derive(Deserialize)]
struct Report {
    verdict: String,
    #[serde(default)]
    because: Vec<String>,
    line: Option<Quoted>,
}

#[derive(Deserialize)]
struct Quoted {
    line: usize,
}

/// The command that judges: beside this one, or wherever commands are.
pub fn usual_command() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|this| this.with_file_name(CHECKER));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(CHECKER))
}

impl Judge {
    /// Begins to judge a run whose log has this first line, by a strategy of one's own if there is one.
    ///
    /// # Errors
    /// There is no such command.
    pub fn begin(command: &Path, header: &str, strategy: Option<&Path>) -> io::Result<Self> {
        let mut checker = Command::new(command);
        checker.args(["conform", "--format", "json", "/dev/stdin"]);
        if let Some(strategy) = strategy {
            checker.arg("--strategy").arg(strategy);
        }
        checker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let missing = |error: io::Error| {
            let reason = format!("--judge needs the command '{}': {error}", command.display());
            io::Error::new(error.kind(), reason)
        };
        let mut child = checker.spawn().map_err(missing)?;
        let (pipe, output) = (child.stdin.take(), child.stdout.take());
        let (sender, receiver) = channel::<Vec<u8>>();
        let written = Arc::new(AtomicU64::new(0));
        let mut to = pipe.as_ref().map(|pipe| pipe.as_fd_owned()).transpose()?;
        let count = Arc::clone(&written);
        let writing = std::thread::spawn(move || {
            for line in receiver {
                // One that has found something reads no further.
                if let Some(pipe) = &mut to
                    && pipe.write_all(&line).is_err()
                {
                    to = None;
                }
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let reading = std::thread::spawn(move || {
            let mut said = Vec::new();
            if let Some(mut output) = output {
                // What could be read is what there is to say.
                let _ = output.read_to_end(&mut said);
            }
            said
        });
        let mut bench = Bench {
            child,
            lines: Some(sender),
            told: 0,
            written,
            pipe,
            writing: Some(writing),
            reading: Some(reading),
            finding: None,
        };
        bench.tell(format!("{header}\n").into_bytes());
        Ok(Self(Arc::new(Mutex::new(bench))))
    }

    /// What it objects to, if it does so already.
    pub fn objection(&self) -> Option<String> {
        match self.lock().look()? {
            JudgeFinding::Rejected(reason) | JudgeFinding::Unknown(reason) => Some(reason),
            JudgeFinding::Accepted => None,
        }
    }

    /// Whether it has judged everything that it was told, and waits for more.
    pub fn has_caught_up(&self) -> bool {
        let bench = self.lock();
        let Some(pipe) = &bench.pipe else { return true };
        bench.written.load(Ordering::SeqCst) == bench.told
            && rustix::io::ioctl_fionread(pipe).is_ok_and(|bytes| bytes == 0)
            && is_reading(bench.child.id())
    }

    /// There are no more steps: what it found.
    pub fn conclude(&self) -> JudgeFinding {
        let mut bench = self.lock();
        bench.lines = None;
        bench.writing.take().map(JoinHandle::join);
        bench.pipe = None;
        bench.end(None)
    }

    fn lock(&self) -> MutexGuard<'_, Bench> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StepRecorder for Judge {
    fn record(&mut self, step: Step) {
        match serde_json::to_vec(&step) {
            Ok(mut line) => {
                line.push(b'\n');
                self.lock().tell(line);
            }
            Err(error) => tracing::error!(%error, "a step that cannot be written down was not judged"),
        }
    }
}

impl Bench {
    fn tell(&mut self, line: Vec<u8>) {
        if let Some(lines) = &self.lines
            && lines.send(line).is_ok()
        {
            self.told += 1;
        }
    }

    /// What it found, if it has ended.
    fn look(&mut self) -> Option<JudgeFinding> {
        if self.finding.is_none() {
            let status = self.child.try_wait().ok().flatten()?;
            self.end(Some(status));
        }
        self.finding.clone()
    }

    fn end(&mut self, status: Option<std::process::ExitStatus>) -> JudgeFinding {
        if let Some(finding) = &self.finding {
            return finding.clone();
        }
        let status = status.map_or_else(|| self.child.wait(), Ok);
        let said = self.reading.take().and_then(|reading| reading.join().ok()).unwrap_or_default();
        let finding = understood(status.ok().and_then(|status| status.code()), &said);
        self.finding = Some(finding.clone());
        finding
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // It may have ended; one that nobody asks any more is not to stay.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn understood(code: Option<i32>, said: &[u8]) -> JudgeFinding {
    let Ok(report) = serde_json::from_slice::<Report>(said) else {
        let code = code.map_or("by a signal".to_owned(), |code| format!("with {code}"));
        return JudgeFinding::Unknown(format!("the judge ended {code} and said nothing"));
    };
    let line = report.line.map(|quoted| format!("line {}: ", quoted.line)).unwrap_or_default();
    let reason = format!("{line}{}", report.because.join("; "));
    match report.verdict.as_str() {
        "accepted" => JudgeFinding::Accepted,
        "rejected" => JudgeFinding::Rejected(reason),
        other => JudgeFinding::Unknown(format!("{other}: {reason}")),
    }
}

/// Whether the process is in `read`, by what the kernel says of it.
fn is_reading(pid: u32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    call.starts_with("0 ")
}

/// Another handle of the same end of a pipe.
trait Duplicate {
    fn as_fd_owned(&self) -> io::Result<std::fs::File>;
}

impl Duplicate for std::process::ChildStdin {
    fn as_fd_owned(&self) -> io::Result<std::fs::File> {
        use std::os::fd::AsFd;
        Ok(self.as_fd().try_clone_to_owned()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use steplog::event::Event;
    use steplog::place::{Epoch, HostId, Place};

    fn script(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("checker");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn step() -> Step {
        let place = Place::Host(HostId(0));
        Step { at_ns: 1, place, epoch: Epoch(1), event: Event::ProcessExited }
    }

    fn wait_until(what: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !what() {
            assert!(began.elapsed() < std::time::Duration::from_secs(20));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    #[test]
    fn one_that_has_heard_everything_waits_for_more() {
        let directory = tempfile::tempdir().unwrap();
        let text =
            r#"n=0; while read line; do n=$((n + 1)); done; echo '{"verdict":"accepted","lines":'$n'}'"#;
        let mut judge = Judge::begin(&script(directory.path(), text), "{}", None).unwrap();
        (0..50).for_each(|_| judge.record(step()));
        wait_until(|| judge.has_caught_up());
        assert_eq!(judge.objection(), None);
        assert_eq!(judge.conclude(), JudgeFinding::Accepted);
    }

    #[test]
    fn one_that_has_not_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let judge = Judge::begin(&script(directory.path(), "sleep 2"), "{}", None).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!judge.has_caught_up());
    }

    #[test]
    fn what_is_objected_to_is_said_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let text = r#"read a; read b; echo '{"verdict":"rejected","line":{"log":"x","line":2,"text":"t"},"because":["no"]}'; exit 1"#;
        let mut judge = Judge::begin(&script(directory.path(), text), "{}", None).unwrap();
        (0..50).for_each(|_| judge.record(step()));
        wait_until(|| judge.objection().is_some());
        assert_eq!(judge.objection(), Some("line 2: no".to_owned()));
        assert_eq!(judge.conclude(), JudgeFinding::Rejected("line 2: no".to_owned()));
    }

    #[test]
    fn one_that_is_not_there_is_named() {
        let missing = Judge::begin(Path::new("/nowhere/checker"), "{}", None);
        let reason = missing.err().unwrap().to_string();
        assert!(reason.contains("--judge needs the command '/nowhere/checker'"), "{reason}");
    }

    #[test]
    fn one_that_says_nothing_has_not_accepted() {
        assert_eq!(
            understood(Some(2), b"error: no"),
            JudgeFinding::Unknown("the judge ended with 2 and said nothing".to_owned())
        );
        assert!(matches!(understood(Some(3), br#"{"verdict":"unfinished"}"#), JudgeFinding::Unknown(_)));
    }
}
