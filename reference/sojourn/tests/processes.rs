//! Unmodified programs move between two machines, which are two network namespaces with a link of their own, there and back
//! under every algorithm, and print what they print when they never move. Needs root; says so loudly where it may not run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::policy::Policy;

const SOJOURN: &str = env!("CARGO_BIN_EXE_sojourn");

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two namespaces, a link, a host in each, a file server in the first.
struct Net {
    directory: tempfile::TempDir,
    tag: String,
    children: Vec<Child>,
    addresses: Vec<String>,
}

/// Why nothing can be moved here.
fn missing() -> Option<String> {
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

fn lacks(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

impl Net {
    fn new(tag: &str) -> Self {
        let tag = format!("sj{tag}{}", std::process::id() % 10_000);
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

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn in_namespace(&self, at: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(at)]).arg(program).stdin(Stdio::null());
        command.env("SOJOURN_RUNTIME_DIR", self.path("run"));
        command
    }

    fn sojourn(&self, at: usize, arguments: &[&str]) -> Command {
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

    fn migrate(&self, from: usize, pid: u32, policy: &Policy) {
        let (pid, to) = (pid.to_string(), &self.addresses[1 - from]);
        let arguments =
            ["migrate", &pid, "--to", to, "--algorithm", &policy.name, "--store", &self.addresses[2]];
        let said = self.path("said");
        let mut command = self.sojourn(from, &arguments);
        let mut child = command.stdout(std::fs::File::create(&said).unwrap()).spawn().unwrap();
        let success = ends_in_time(&mut child);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let (said, logs) = (read(&said), self.path("logs"));
        assert!(success == Some(true), "{} {from}: {success:?} {said}\n{}", policy.name, read(&logs));
    }

    /// The PID of the process that has come.
    fn arrived(&self, at: usize) -> Option<u32> {
        let output = self.sojourn(at, &["status", "--format", "json"]).output().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let all = document["processes"].as_array()?;
        let here = |status: &&serde_json::Value| {
            ["resting", "post", "completing"].contains(&status["phase"].as_str().unwrap_or_default())
        };
        u32::try_from(all.iter().find(here)?["pid"].as_u64()?).ok()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
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
fn ends_in_time(child: &mut Child) -> Option<bool> {
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

fn await_that<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
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
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended already is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Moves a program there and back under each of these and compares what it prints.
fn same_when_moved(tag: &str, program: &str, arguments: &[&str], policies: &[Policy]) {
    let lacking = [program, "bash"].into_iter().find(|program| lacks(program));
    if let Some(reason) = missing().or_else(|| lacking.map(|program| format!("{program} is not installed"))) {
        eprintln!("SKIPPED: {tag}: {reason}");
        return;
    }
    let mut plain = Command::new(program);
    let expected = plain.args(arguments).stdin(Stdio::null()).output().unwrap().stdout;
    assert!(!expected.is_empty());
    for policy in policies {
        let net = Net::new(tag);
        let printed = net.path("printed");
        let mut command = net.in_namespace(0, Path::new("bash"));
        // What this test was started with is none of the program's business.
        command.args(["-c", "for fd in /proc/self/fd/*; do n=${fd##*/}; [ $n -gt 2 ] && eval \"exec $n>&-\"; done; exec \"$@\"", "bash"]);
        command.arg(program).args(arguments).stdout(std::fs::File::create(&printed).unwrap());
        command.stderr(Stdio::null());
        let mut child = Killed(command.spawn().unwrap());
        let child = &mut child.0;
        await_that("the program has begun", || {
            (!std::fs::read(&printed).unwrap().is_empty() || child.try_wait().unwrap().is_some())
                .then_some(())
        });
        // Where pages stay behind until they are touched, the migration is over when the process is.
        net.migrate(0, child.id(), policy);
        if !policy.leaves_pages_behind() {
            let there = await_that("the process has come", || net.arrived(1));
            net.migrate(1, there, policy);
        }
        assert!(ends_in_time(child).is_some(), "{}: what was left of the program did not end", policy.name);
        await_that(&format!("{} {}: the output is complete", policy.name, printed.display()), || {
            (std::fs::read(&printed).unwrap() == expected).then_some(())
        });
        println!("{tag}: {}", policy.name);
    }
}

/// All but `pre-copy-unbounded`, which sends again what was written for as long as a program writes: it never suspends one that
/// computes without a pause, and so never moves it.
fn ending() -> Vec<Policy> {
    Policy::ALL.into_iter().filter(|policy| *policy != Policy::PRE_COPY_UNBOUNDED).collect()
}

#[test]
fn an_interpreter_that_computes() {
    let program = "
import hashlib
print('begin', flush=True)
table, value = {}, 1
for turn in range(150):
    for i in range(20000):
        value = (value * 6364136223846793005 + 1442695040888963407) % 2**64
        table[value % 50021] = hashlib.sha256(str(value).encode()).hexdigest()[:8]
    print(turn, len(table), value, flush=True)
print(hashlib.sha256(repr(sorted(table.items())).encode()).hexdigest())
";
    same_when_moved("py", "python3", &["-c", program], &ending());
}

/// Works on an array, on memory that it gets and gives back all the time, and on its stack.
const COMPUTES: &str = r#"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
enum { WORDS = 1 << 20 };
static uint64_t array[WORDS];
static uint64_t depths(int n, uint64_t x) { volatile uint64_t y[64]; y[n % 64] = x * 31 + n; return n ? depths(n - 1, y[n % 64]) : y[0]; }
int main(void) {
    uint64_t x = 88172645463325252ull;
    printf("begin\n"); fflush(stdout);
    for (int turn = 0; turn < 500; turn++) {
        size_t length = 1000 + x % 300000;
        uint64_t *block = calloc(length, 8);
        for (int i = 0; i < 1000000; i++) {
            x ^= x << 13; x ^= x >> 7; x ^= x << 17;
            array[x % WORDS] += x; block[x % length] ^= array[x / 3 % WORDS];
        }
        x ^= block[length / 2] ^ depths(turn, x);
        free(block);
        printf("%d %016llx\n", turn, (unsigned long long)x); fflush(stdout);
    }
}
"#;

#[test]
fn a_compiled_program_that_computes() {
    if lacks("gcc") {
        eprintln!("SKIPPED: c: gcc is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("computes.c"), directory.path().join("computes"));
    std::fs::write(&source, COMPUTES).unwrap();
    let compiled = Command::new("gcc").args(["-O1", "-o"]).args([&program, &source]).status().unwrap();
    assert!(compiled.success());
    same_when_moved("c", program.to_str().unwrap(), &[], &ending());
}

#[test]
fn an_interpreter_with_threads() {
    let program = "
import threading
print('begin', flush=True)
sums = [0] * 4
def work(n):
    for i in range(4000000):
        sums[n] = (sums[n] * 31 + i) % 1000003
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sums)
";
    same_when_moved(
        "th",
        "python3",
        &["-c", program],
        &[Policy::POST_COPY, Policy::GENERIC, Policy::PRE_COPY],
    );
}

#[test]
fn a_text_processor() {
    let program = "BEGIN { print \"begin\"; fflush(); for (i = 0; i < 6000000; i++) { n[i % 70001] += i % 97; s = (s * 31 + i) % 1000003 } \
                   for (i = 0; i < 70001; i++) t = (t * 7 + n[i]) % 1000003; print s, t }";
    same_when_moved("awk", "awk", &[program], &[Policy::POST_COPY, Policy::TOTAL_COPY_DIRTY]);
}
