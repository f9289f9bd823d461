//! Two machines, which are two network namespaces with a link of their own, with a host in each and a file server in the first.
//!
//! Needs root; says so loudly where it may not run. Nothing lasts longer than [`PATIENCE`], and nothing stays when a test fails.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use protocol::policy::Policy;

const SOJOURN: &str = env!("CARGO_BIN_EXE_sojourn");

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Two namespaces, a link, a host in each, a file server in the first.
pub struct Net {
    directory: tempfile::TempDir,
    tag: String,
    children: Vec<Child>,
    /// Of the two hosts, and of the file server.
    pub addresses: Vec<String>,
}

/// Why nothing can be moved here.
pub fn missing() -> Option<String> {
    if std::env::var_os("SOJOURN_PROCESSES").is_none() {
        return Some("no real process is moved unless SOJOURN_PROCESSES is set".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    let able =
        Command::new("ip").args(["netns", "list"]).output().is_ok_and(|output| output.status.success());
    if !able {
        return Some("no network namespaces (ip netns)".to_owned());
    }
    let facts = linux::inventory::HostFacts::here().ok()?;
    let too_old = facts.kernel_version < linux::inventory::host::KERNEL_VERSION_MIN;
    too_old.then(|| format!("kernel {} is too old", facts.kernel_release))
}

pub fn lacks(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

impl Net {
    pub fn new(tag: &str) -> Self {
        // Tests of one program run side by side, and a name of an interface has 15 characters at most.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed) % 1000;
        let tag = format!("sj{tag}{}-{number}", std::process::id() % 10_000);
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("root")).unwrap();
        let mut net = Self { directory, tag, children: Vec::new(), addresses: Vec::new() };
        let (a, b) = (net.namespace(0), net.namespace(1));
        ip(&format!("netns add {a}"));
        ip(&format!("netns add {b}"));
        ip(&format!("link add {a} netns {a} type veth peer name {b} netns {b}"));
        for (at, name) in [&a, &b].into_iter().enumerate() {
            ip(&format!("-n {name} addr add 10.77.0.{}/24 dev {name}", at + 1));
            ip(&format!("-n {name} link set {name} up"));
            ip(&format!("-n {name} link set lo up"));
        }
        assert!(
            net.sojourn(0, &["key", "--out", net.path("key").to_str().unwrap()]).status().unwrap().success()
        );
        let root = net.path("root");
        let store = net.serve(0, &["store", "--listen", "10.77.0.1:0", "--root", root.to_str().unwrap()]);
        for at in 0..2 {
            let listen = format!("10.77.0.{}:0", at + 1);
            let address = net.serve(at, &["host", "--listen", &listen, "--store", &store]);
            net.addresses.push(address);
        }
        net.addresses.push(store);
        net
    }

    fn namespace(&self, at: usize) -> String {
        format!("{}{}", self.tag, ["a", "b"][at])
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn in_namespace(&self, at: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(at)]).arg(program).stdin(Stdio::null());
        command.env("SOJOURN_RUNTIME_DIR", self.path(&format!("run-{at}")));
        command
    }

    pub fn sojourn(&self, at: usize, arguments: &[&str]) -> Command {
        let mut command = self.in_namespace(at, Path::new(SOJOURN));
        command.args(["--key", self.path("key").to_str().unwrap(), "--logs", "info"]).args(arguments);
        command.stderr(std::fs::File::options().append(true).create(true).open(self.path("logs")).unwrap());
        command
    }

    /// Starts a server; its address.
    fn serve(&mut self, at: usize, arguments: &[&str]) -> String {
        let output = self.path(&format!("address-{}", self.children.len()));
        let mut command = self.sojourn(at, arguments);
        command.stdout(std::fs::File::create(&output).unwrap());
        self.children.push(command.spawn().unwrap());
        await_that("a server listens", || {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            said.strip_suffix('\n').map(str::to_owned)
        })
    }

    /// Moves a process to the other machine, which has to succeed.
    pub fn migrate(&self, from: usize, pid: u32, policy: &Policy) {
        let (success, said) = self.try_migrate(from, pid, &policy.name, &[]);
        assert!(success, "{} {from}: {said}\n{}", policy.name, self.logs());
    }

    /// The same with further arguments. Whether it succeeded, and what was said.
    pub fn try_migrate(&self, from: usize, pid: u32, algorithm: &str, further: &[&str]) -> (bool, String) {
        let (pid, to) = (pid.to_string(), &self.addresses[1 - from]);
        let arguments =
            ["migrate", &pid, "--to", to, "--algorithm", algorithm, "--store", &self.addresses[2]];
        let said = self.path("said");
        let mut command = self.sojourn(from, &arguments);
        command.args(further);
        let file = std::fs::File::create(&said).unwrap();
        command.stderr(file.try_clone().unwrap());
        let mut child = command.stdout(file).spawn().unwrap();
        let success = ends_in_time(&mut child);
        let said = std::fs::read_to_string(&said).unwrap_or_default();
        assert!(success.is_some(), "{algorithm} {from} did not end: {said}\n{}", self.logs());
        (success == Some(true), said)
    }

    /// The PID of a process that is on its way here, or waits for what is elsewhere.
    pub fn arriving(&self, at: usize) -> Option<u32> {
        let status = self.statuses(at).into_iter().find(|status| status["phase"] != "vacant")?;
        u32::try_from(status["pid"].as_u64()?).ok()
    }

    /// Whether what is here waits for somebody who does not answer.
    pub fn waits(&self, at: usize) -> bool {
        self.statuses(at).iter().any(|status| status["phase"] != "vacant" && status["connected"] == false)
    }

    fn statuses(&self, at: usize) -> Vec<serde_json::Value> {
        let output = self.sojourn(at, &["status", "--format", "json"]).output().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        document["processes"].as_array().cloned().unwrap_or_default()
    }

    /// How long the host of a machine has kept processors busy so far.
    pub fn processor_time(&self, at: usize) -> Duration {
        const TICK: Duration = Duration::from_millis(10);
        let line = std::fs::read_to_string(format!("/proc/{}/stat", self.children[1 + at].id())).unwrap();
        let behind_name = line.rsplit_once(')').unwrap().1.split_whitespace();
        // Ticks in user mode and in the kernel.
        behind_name.skip(11).take(2).map(|ticks| TICK * ticks.parse::<u32>().unwrap()).sum()
    }

    /// Ends a server as a machine ends, without a word: 0 the file server, 1 and 2 the hosts.
    pub fn kill_server(&mut self, which: usize) {
        self.children[which].kill().unwrap();
        self.children[which].wait().unwrap();
    }

    /// The file server dies, and comes back where it was.
    pub fn restart_store(&mut self) {
        self.kill_server(0);
        let (root, address) = (self.path("root"), self.addresses[2].clone());
        let again = self.serve(0, &["store", "--listen", &address, "--root", root.to_str().unwrap()]);
        assert_eq!(again, address);
        let server = self.children.pop().unwrap();
        self.children[0] = server;
    }

    /// A host that was killed is started again where it was.
    pub fn restart_host(&mut self, at: usize) {
        let (address, store) = (self.addresses[at].clone(), self.addresses[2].clone());
        let again = self.serve(at, &["host", "--listen", &address, "--store", &store]);
        assert_eq!(again, address);
        let server = self.children.pop().unwrap();
        self.children[1 + at] = server;
    }

    /// What the hosts have logged.
    pub fn logs(&self) -> String {
        std::fs::read_to_string(self.path("logs")).unwrap_or_default()
    }

    /// Starts a program on the first machine; what it prints goes to the file.
    pub fn start(&self, program: &str, arguments: &[&str]) -> (Killed, PathBuf) {
        let printed = self.path("printed");
        let mut command = self.in_namespace(0, Path::new("bash"));
        // What this test was started with is none of the program's business.
        command.args(["-c", "for fd in /proc/self/fd/*; do n=${fd##*/}; [ $n -gt 2 ] && eval \"exec $n>&-\"; done; exec \"$@\"", "bash"]);
        command.arg(program).args(arguments).stdout(std::fs::File::create(&printed).unwrap());
        command.stderr(Stdio::null());
        let mut child = Killed(command.spawn().unwrap());
        await_that("the program has begun", || {
            let ended = child.0.try_wait().unwrap().is_some();
            (!std::fs::read(&printed).unwrap().is_empty() || ended).then_some(())
        });
        (child, printed)
    }

    /// The PID of the process that has come.
    pub fn arrived(&self, at: usize) -> Option<u32> {
        let all = self.statuses(at);
        let here = |status: &&serde_json::Value| {
            ["resting", "post", "completing"].contains(&status["phase"].as_str().unwrap_or_default())
        };
        u32::try_from(all.iter().find(here)?["pid"].as_u64()?).ok()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // A process that has come completely outlives its host.
        for at in 0..2 {
            let pids = Command::new("ip").args(["netns", "pids", &self.namespace(at)]).output();
            let pids =
                pids.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                let _ = rustix::process::Pid::from_raw(pid)
                    .map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
            }
        }
        for child in &mut self.children {
            // Those that have ended already are fine.
            let _ = child.kill();
            let _ = child.wait();
        }
        for at in 0..2 {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(at)]).status();
        }
    }
}

/// Whether it ended well; nothing if it did not end, and was killed.
pub fn ends_in_time(child: &mut Child) -> Option<bool> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.success());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

pub fn await_that<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends with the test, however that ends.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended already is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compiles a C program of the tests.
pub fn compiled(directory: &Path, name: &str, source: &str) -> PathBuf {
    let (file, program) = (directory.join(format!("{name}.c")), directory.join(name));
    std::fs::write(&file, source).unwrap();
    let status =
        Command::new("gcc").args(["-O1", "-pthread", "-o"]).args([&program, &file]).status().unwrap();
    assert!(status.success(), "{name}.c does not compile");
    program
}
