//! A real CRIU: a program that writes memory, its lazy migration to a namespace of its own, the recorder between them.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use observe::criu::CriuInputs;
use observe::record::ProxyRecorder;

/// Nothing here takes as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// The lazy-pages server makes a pipe of this size, and does not say so when it may not.
const PIPE_BYTES: u64 = 8 << 20;
const PIPE_LIMIT: &str = "/proc/sys/fs/pipe-max-size";

/// The program to be run: what `SOJOURN_CRIU` names, or with `1` the one of the distribution.
fn program() -> Option<OsString> {
    match std::env::var_os("SOJOURN_CRIU")? {
        named if named != "1" => Some(named),
        _ => Some("criu".into()),
    }
}

/// The version of CRIU, or why there cannot be a run of it.
pub fn version() -> Result<String, String> {
    let criu = program().ok_or("it is run where SOJOURN_CRIU is set, as root")?;
    let run = |argument: &str| Command::new(&criu).arg(argument).output();
    let version = run("--version").map_err(|error| format!("{}: {error}", criu.display()))?;
    let check = run("check").map_err(|error| format!("{}: {error}", criu.display()))?;
    if !check.status.success() {
        let said = String::from_utf8_lossy(&check.stderr);
        return Err(format!("'criu check' says: {}", said.lines().next_back().unwrap_or("nothing")));
    }
    let limit = fs::read_to_string(PIPE_LIMIT).map_err(|error| format!("{PIPE_LIMIT}: {error}"))?;
    if limit.trim().parse::<u64>().is_ok_and(|limit| limit < PIPE_BYTES) {
        return Err(format!("{PIPE_LIMIT} is below {PIPE_BYTES}"));
    }
    if !Command::new("cc").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Err("there is no C compiler".to_owned());
    }
    Ok(format!("CRIU {}", String::from_utf8_lossy(&version.stdout).trim()))
}

/// What is stopped when it is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn is_over(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(what: &str, mut is_it: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_it() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(1));
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Migrates a program of so many MiB, lazily; the connection is cut behind the first page if it is to be.
pub fn migrate(folder: &Path, mebibytes: u32, cut: bool) -> CriuInputs {
    let (images, writer, tape) = (folder.join("images"), folder.join("writer"), folder.join("recording"));
    fs::create_dir(&images).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/criu/writer.c");
    let compiled = Command::new("cc").args(["-O1", "-o"]).arg(&writer).arg(source).status().unwrap();
    assert!(compiled.success());
    let (served, recorded) = (free_port(), free_port());
    let criu = |action: &str, port: u16| {
        let mut command = Command::new(program().unwrap());
        command.arg(action).arg("--images-dir").arg(&images).arg("-v4");
        command.args(["--address", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["-o", &format!("{action}.log")]);
        command
    };
    // In a session of its own, it has nothing to do with a terminal.
    let mut process = Running::start(Command::new("setsid").arg(&writer).arg(mebibytes.to_string()));
    let pid = process.0.id();
    sleep(Duration::from_millis(500));
    let log_has = |action: &str, text: &str| {
        fs::read_to_string(images.join(format!("{action}.log"))).is_ok_and(|log| log.contains(text))
    };
    let mut dump = Running::start(criu("dump", served).args(["--lazy-pages", "-t", &pid.to_string()]));
    wait("the dump", || log_has("dump", "Starting lazy pages server") || dump.is_over());
    assert!(!dump.is_over(), "the dump failed: {}", folder.display());

    let at = |port: u16| format!("127.0.0.1:{port}").parse().unwrap();
    let recorder = ProxyRecorder::new(&at(recorded), at(served), &tape).unwrap();
    let stop = recorder.stop();
    let recorder = spawn(move || recorder.run(None, |_| {}).unwrap());
    let mut daemon = Running::start(criu("lazy-pages", recorded).arg("--page-server"));
    wait("the daemon", || images.join("lazy-pages.socket").exists());
    // The process keeps its number, so it goes where the number is free.
    let restore = criu("restore", recorded);
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--pid", "--mount", "--fork", "--mount-proc", "--kill-child", "--"]);
    elsewhere.arg(restore.get_program()).args(restore.get_args()).arg("--lazy-pages");
    let _restored = Running::start(&mut elsewhere);

    let answers = tape.join("connection-1.backward.bin");
    if cut {
        wait("a page", || log_has("lazy-pages", "uffd_copy"));
        stop.store(true, Ordering::Relaxed);
    }
    wait("the end of the daemon", || daemon.is_over());
    wait("the end of the dump", || dump.is_over());
    stop.store(true, Ordering::Relaxed);
    recorder.join().unwrap();
    assert!(process.is_over(), "the source keeps a process that it has given away");
    CriuInputs {
        page_server: None,
        lazy_requests: Some(tape.join("connection-1.forward.bin")),
        lazy_answers: Some(answers),
        lazy_log: Some(images.join("lazy-pages.log")),
        dump_log: Some(images.join("dump.log")),
        images: Some(images),
        alive_at_source: false,
    }
}

/// The log of steps of a run.
pub fn log(folder: &Path) -> PathBuf {
    folder.join("log.ndjson")
}
