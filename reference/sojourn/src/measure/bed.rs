//! Machines to measure on, on one machine: network namespaces with links of their own, shaped or not, a host in each of two of them and
//! a file server in the third. Nothing of it stays.
//!
//! ```text
//!      a ───────────────── b        each a veth pair, shaped at both ends by tbf;
//!       ╲                 ╱         the file server has one address that both reach
//!        ╲─────── s ─────╱          over the link of their own
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take that a bed needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the file server is.
const STORE: &str = "10.77.9.9";

/// The links: two places each, and the third part of their addresses.
const LINKS: [(usize, usize, u8); 3] = [(0, 1, 1), (0, 2, 2), (1, 2, 3)];

const PLACES: [&str; 3] = ["a", "b", "s"];

/// Preamble, frame check sequence and gap of an Ethernet frame, which the kernel does not count.
const FRAME_OVERHEAD: u32 = 24;

/// Bytes that may leave at once: two frames. With less, a timer that is late leaves the link idle.
const BURST: u32 = 3100;

/// What the links are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// As fast as the machine.
    Unshaped,
    /// So many bits in a second on the line, all that Ethernet adds included.
    Shaped(u64),
}

/// Three places, their links and servers.
pub struct Bed {
    tag: String,
    directory: PathBuf,
    command: PathBuf,
    children: Vec<Child>,
    /// Where the host of the second place listens.
    pub destination: String,
    /// Where the file server listens.
    pub store: String,
}

/// Why there can be none here.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root: it makes network namespaces, and takes processes apart".to_owned());
    }
    for (program, arguments) in [("ip", ["netns", "list"]), ("tc", ["qdisc", "list"])] {
        let ran = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        match ran {
            Err(error) => return Some(format!("it needs {program} of iproute2: {error}")),
            Ok(status) if !status.success() => {
                return Some(format!("{program} {} fails", arguments.join(" ")));
            }
            Ok(_) => {}
        }
    }
    let facts = linux::inventory::HostFacts::here().ok()?;
    let too_old = facts.kernel_version < linux::inventory::host::KERNEL_VERSION_MIN;
    too_old.then(|| format!("kernel {} is too old: it has to be 6.7 or later", facts.kernel_release))
}

impl Bed {
    /// Makes the places and their links, and starts the servers: `command` is this command.
    ///
    /// # Errors
    /// Something cannot be made.
    pub fn open(directory: &Path, command: &Path, links: Links) -> anyhow::Result<Self> {
        let tag = format!("sj{:x}{:x}", std::process::id(), directory_number(directory));
        let mut bed = Self {
            tag,
            directory: directory.to_owned(),
            command: command.to_owned(),
            children: Vec::new(),
            destination: String::new(),
            store: String::new(),
        };
        bed.connect(links)?;
        bed.serve()?;
        Ok(bed)
    }

    fn namespace(&self, at: usize) -> String {
        format!("{}{}", self.tag, PLACES[at])
    }

    fn connect(&self, links: Links) -> anyhow::Result<()> {
        for at in 0..PLACES.len() {
            run("ip", &format!("netns add {}", self.namespace(at)))?;
            run("ip", &format!("-n {} link set lo up", self.namespace(at)))?;
        }
        for (one, other, net) in LINKS {
            let (first, second) = (self.namespace(one), self.namespace(other));
            run(
                "ip",
                &format!("link add to{other} netns {first} type veth peer name to{one} netns {second}"),
            )?;
            for (at, peer) in [(one, other), (other, one)] {
                let name = self.namespace(at);
                run("ip", &format!("-n {name} addr add 10.77.{net}.{}/24 dev to{peer}", at + 1))?;
                run("ip", &format!("-n {name} link set to{peer} up"))?;
                if let Links::Shaped(rate) = links {
                    let shape = format!("rate {rate}bit burst {BURST} limit 4mb overhead {FRAME_OVERHEAD}");
                    run("tc", &format!("-n {name} qdisc add dev to{peer} root tbf {shape}"))?;
                }
            }
        }
        run("ip", &format!("-n {} addr add {STORE}/32 dev lo", self.namespace(2)))?;
        for (at, net) in [(0, 2), (1, 3)] {
            run("ip", &format!("-n {} route add {STORE} via 10.77.{net}.3", self.namespace(at)))?;
        }
        Ok(())
    }

    fn serve(&mut self) -> anyhow::Result<()> {
        let (key, root) = (self.path("key"), self.path("root"));
        fs::create_dir_all(&root)?;
        let made =
            self.sojourn(0, &["key", "--out", &key.to_string_lossy()]).stdout(Stdio::null()).status()?;
        ensure!(made.success(), "there is no key");
        let listen = format!("{STORE}:0");
        self.store = self.start(2, &["store", "--listen", &listen, "--root", &root.to_string_lossy()])?;
        let store = self.store.clone();
        self.destination = self.start(1, &["host", "--listen", "10.77.1.2:0", "--store", &store])?;
        Ok(())
    }

    /// A file of the bed.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Where the one who is asked about this place has its socket.
    pub fn desks(&self, at: usize) -> PathBuf {
        self.path(&format!("run-{}", PLACES[at]))
    }

    /// A program in a place: 0 is left, 1 is reached, 2 has the file server.
    pub fn program(&self, at: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(at)]).arg(program).stdin(Stdio::null());
        command.env("SOJOURN_RUNTIME_DIR", self.desks(at));
        command
    }

    /// This command in a place; what it has to say beside its result goes to a file.
    pub fn sojourn(&self, at: usize, arguments: &[&str]) -> Command {
        let mut command = self.program(at, &self.command);
        command.arg("--key").arg(self.path("key")).args(["--logs", "info"]).args(arguments);
        match File::options().append(true).create(true).open(self.path("logs")) {
            Ok(logs) => command.stderr(logs),
            Err(_) => command.stderr(Stdio::null()),
        };
        command
    }

    /// The end of what the servers and commands had to say.
    pub fn logs(&self) -> String {
        let all = fs::read_to_string(self.path("logs")).unwrap_or_default();
        let lines: Vec<_> = all.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Starts a server; its address.
    fn start(&mut self, at: usize, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.path(&format!("address-{}", self.children.len()));
        self.children.push(self.sojourn(at, arguments).stdout(File::create(&output)?).spawn()?);
        first_line(&output, &format!("sojourn {}", arguments[0]))
    }

    /// Sends so many bytes over a plain TCP stream from the first place to the second, by this program; how long it took.
    ///
    /// # Errors
    /// They do not arrive.
    pub fn stream(&mut self, exercise: &Path, bytes: u64) -> anyhow::Result<Duration> {
        let (output, bytes) = (self.path("stream"), bytes.to_string());
        let mut receiver = self.program(1, exercise);
        receiver.args(["receive", "10.77.1.2:0", &bytes]).stdout(File::create(&output)?);
        self.children.push(receiver.spawn()?);
        let address = first_line(&output, "the receiver")?;
        let sent = self.program(0, exercise).args(["send", &address, &bytes]).status()?;
        ensure!(sent.success(), "the stream broke");
        let took = fs::read_to_string(&output)?.lines().nth(1).and_then(|line| line.parse().ok());
        took.map(Duration::from_nanos).context("the receiver does not say how long it took")
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // A process that has come completely outlives its host.
        for at in 0..PLACES.len() {
            let pids = Command::new("ip").args(["netns", "pids", &self.namespace(at)]).output();
            let pids = pids.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            for pid in pids.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()) {
                // One that has just ended is fine.
                let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
            }
        }
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        for at in 0..PLACES.len() {
            let _ =
                Command::new("ip").args(["netns", "del", &self.namespace(at)]).stderr(Stdio::null()).status();
        }
    }
}

/// Tells the beds of one program apart.
fn directory_number(directory: &Path) -> u32 {
    crc32fast::hash(directory.as_os_str().as_encoded_bytes()) & 0xffff
}

fn run(program: &str, arguments: &str) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments.split_whitespace()).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn first_line(path: &Path, whose: &str) -> anyhow::Result<String> {
    await_that(&format!("{whose} listens"), PATIENCE, || {
        let said = fs::read_to_string(path).unwrap_or_default();
        Ok(said.split_once('\n').map(|(line, _)| line.to_owned()))
    })
}

/// Waits until something is there.
///
/// # Errors
/// It is not in time, or cannot be looked at.
pub fn await_that<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> io::Result<Option<T>>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(!super::is_interrupted(), "interrupted");
        ensure!(began.elapsed() < patience, "not in {}: {what}", humantime::format_duration(patience));
        std::thread::sleep(Duration::from_millis(2));
    }
}
