//! A QEMU and its monitor. Also for tests of other packages.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The program to be run: what `SOJOURN_QEMU` names, or with `1` the one of the distribution.
pub fn program() -> OsString {
    match std::env::var_os("SOJOURN_QEMU") {
        Some(named) if named != "1" => named,
        _ => "qemu-system-x86_64".into(),
    }
}

/// Nothing here takes as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The version of QEMU, if there is one.
pub fn version() -> Option<String> {
    let output = Command::new(program()).arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// One QEMU and its monitor.
pub struct Qemu {
    child: Child,
    monitor: UnixStream,
    said: Arc<(Mutex<Vec<Value>>, Condvar)>,
}

impl Qemu {
    /// Starts one by this command, with the guest that is in `boot.img` of this folder.
    pub fn start(mut command: Command, folder: &Path, name: &str, more: &[&str]) -> Self {
        let path = |end: &str| folder.join(format!("{name}{end}")).display().to_string();
        let disk = folder.join("boot.img").display().to_string();
        let child = command
            .args(["-nodefaults", "-display", "none", "-accel", "tcg", "-boot", "a"])
            .args(["-drive", &format!("file={disk},format=raw,if=floppy,readonly=on")])
            .args(["-qmp", &format!("unix:{},server=on,wait=off", path(".qmp"))])
            .args(more)
            .stdin(Stdio::null())
            .stderr(fs::File::create(path(".stderr")).unwrap())
            .spawn()
            .unwrap();
        let monitor = connect(Path::new(&path(".qmp")));
        let said = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (reader, heard) = (BufReader::new(monitor.try_clone().unwrap()), said.clone());
        spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                let Ok(value) = serde_json::from_str(&line) else { continue };
                heard.0.lock().unwrap().push(value);
                heard.1.notify_all();
            }
        });
        let mut qemu = Self { child, monitor, said };
        qemu.ask("qmp_capabilities", json!({}));
        qemu
    }

    /// Gives a command and waits for the answer.
    pub fn ask(&mut self, command: &str, arguments: Value) -> Value {
        let from = self.said.0.lock().unwrap().len();
        writeln!(self.monitor, "{}", json!({ "execute": command, "arguments": arguments })).unwrap();
        self.wait(from, command, |value| value.get("return").is_some() || value.get("error").is_some())
    }

    /// Waits until the migration has been in one of these states.
    pub fn reaches(&self, states: &[&str]) -> String {
        self.hears_of(states)["data"]["status"].as_str().unwrap().to_owned()
    }

    /// The same, and what was said of it.
    pub fn hears_of(&self, states: &[&str]) -> Value {
        self.wait(0, &format!("{states:?}"), |value| {
            value["event"] == "MIGRATION" && states.iter().any(|state| value["data"]["status"] == *state)
        })
    }

    /// Waits for an event.
    pub fn hears(&self, event: &str) -> Value {
        self.wait(0, event, |value| value["event"] == event)
    }

    /// The last of these events so far.
    #[allow(dead_code, reason = "for tests of other packages")]
    pub fn heard_last(&self, event: &str) -> Option<Value> {
        let said = self.said.0.lock().unwrap();
        said.iter().rev().find(|value| value["event"] == event).cloned()
    }

    /// The events so far, as the monitor's socket gave them.
    pub fn events(&self) -> String {
        self.said.0.lock().unwrap().iter().map(|value| format!("{value}\n")).collect()
    }

    fn wait(&self, from: usize, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        let mut said = self.said.0.lock().unwrap();
        loop {
            if let Some(value) = said.iter().skip(from).find(|value| is_it(value)) {
                return value.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "no {what}; instead: {said:#?}");
            said = self.said.1.wait_timeout(said, Duration::from_millis(200)).unwrap().0;
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(path: &Path) -> UnixStream {
    let begun = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{}: {error}", path.display()),
        }
        sleep(Duration::from_millis(20));
    }
}
