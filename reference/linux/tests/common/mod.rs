//! Programs that are moved while they run, and what they print.

#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use linux::build::{BuildOptions, BuiltProcess, Prepared, Resumed};
use linux::inventory::Inventory;
use linux::obstacle::StandardStreams;
use linux::pagemap::PageState;
use linux::plan::{FileChoices, plan};
use linux::source::{DepartedSource, TrackedProcess};
use linux::state::FrozenProcess;
use linux::userfault::{Installed, MemoryEvent, Userfault};
use linux::{AddressRange, PAGE_SIZE};

/// When pages travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// All while the process is frozen.
    Frozen,
    /// All before, those rewritten again while it is frozen.
    Before,
    /// When they are asked for, the rest at the end.
    Asked,
}

/// What moving cost.
#[derive(Clone, Copy, Default, Debug)]
pub struct Cost {
    pub track: Duration,
    pub build: Duration,
    pub freeze: Duration,
    pub prepare: Duration,
    pub go: Duration,
    pub faults: u64,
}

/// A running program and the file that it prints to.
pub struct Program {
    pub pid: i32,
    pub output: PathBuf,
    directory: tempfile::TempDir,
    child: Option<Child>,
}

/// Why nothing can be moved here; tests say it and end.
pub fn missing() -> Option<String> {
    if std::env::var_os("SOJOURN_PROCESSES").is_none() {
        return Some("no real process is moved unless SOJOURN_PROCESSES is set".to_owned());
    }
    if !nix_is_root() {
        return Some("not root".to_owned());
    }
    let facts = linux::inventory::HostFacts::here().ok()?;
    if facts.kernel_version < linux::inventory::host::KERNEL_VERSION_MIN {
        return Some(format!("kernel {} is too old", facts.kernel_release));
    }
    None
}

fn nix_is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t")
}

/// Says loudly that a test was not run.
#[macro_export]
macro_rules! or_skip {
    ($missing:expr) => {
        if let Some(reason) = $missing {
            eprintln!("SKIPPED: {}: {reason}", module_path!());
            return;
        }
    };
}

/// A program of the machine, or the reason why not.
pub fn lacks(program: &str) -> Option<String> {
    let found =
        Command::new("sh").arg("-c").arg(format!("command -v {program}")).output().unwrap().status.success();
    (!found).then(|| format!("{program} is not installed"))
}

/// Compiles a C program of the tests: once, since one that runs cannot be written.
pub fn compiled(name: &str, options: &[&str]) -> PathBuf {
    static COMPILED: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap();
    compiled.entry(format!("{name} {options:?}")).or_insert_with(|| compile(name, options)).clone()
}

fn compile(name: &str, options: &[&str]) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let target = directory.join(format!("{name}{}-{}", options.concat(), std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(format!("{name}.c"));
    let status = Command::new("gcc")
        .args(["-O1", "-pthread"])
        .args(options)
        .arg("-o")
        .arg(&target)
        .arg(source)
        .arg("-lm")
        .status();
    assert!(status.unwrap().success(), "{name}.c does not compile");
    target
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("output");
        let file = File::create(&output).unwrap();
        let errors = file.try_clone().unwrap();
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        // What this test was started with is none of the program's business.
        // SAFETY: only closes numbers, in the child.
        unsafe {
            command.pre_exec(|| {
                libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        Self { pid: child.id() as i32, output, directory, child: Some(child) }
    }

    /// The output of a run that never moved.
    pub fn undisturbed(command: &mut Command) -> Vec<u8> {
        let mut program = Self::start(command);
        assert!(program.child.take().unwrap().wait().unwrap().success());
        std::fs::read(&program.output).unwrap()
    }

    pub fn printed(&self) -> Vec<u8> {
        std::fs::read(&self.output).unwrap()
    }

    pub fn child(&mut self) -> Child {
        self.child.take().unwrap()
    }

    /// Waits until it has printed something.
    pub fn await_output(&self) {
        let began = Instant::now();
        while self.printed().is_empty() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What `work` answers, unless it takes too long: then `pid` is killed and the test has failed.
pub fn within<T: Send + 'static>(limit: Duration, pid: i32, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (answer, waiting) = std::sync::mpsc::channel();
    let working = std::thread::spawn(move || drop(answer.send(work())));
    match waiting.recv_timeout(limit) {
        Ok(answer) => answer,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
            let state = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            // SAFETY: a signal to a process of this test.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            panic!("nothing for {limit:?} from process {pid}:\n{state}");
        }
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(working.join().unwrap_err())
        }
    }
}

/// Moves the process `pid` within this machine; the files are the same ones.
pub fn move_once(pid: i32, way: Way) -> (Resumed, Cost) {
    move_with(pid, way, &FileChoices::same_file_system())
}

pub fn move_with(pid: i32, way: Way, files: &FileChoices) -> (Resumed, Cost) {
    let mut cost = Cost::default();
    let mut source = TrackedProcess::open(pid).unwrap();
    let (inventory, obstacles) = source.obstacles(StandardStreams::Replace).unwrap();
    assert!(obstacles.is_empty(), "{obstacles:?}");
    let inventory: Inventory = serde_json::from_str(&serde_json::to_string(&inventory).unwrap()).unwrap();
    cost.track = source.track().unwrap().stopped_for;
    let options = BuildOptions { files: files.clone(), ..BuildOptions::default() };
    let destination = BuiltProcess::build(&inventory, options).unwrap();
    cost.build = destination.built_for();
    let mut put = BTreeSet::new();
    if way == Way::Before {
        source.take_written().unwrap();
        for page in wanted_pages(&source, &inventory, files) {
            if put_one(&source, page, |bytes| destination.put(page, bytes).unwrap()) {
                put.insert(page);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let frozen = source.freeze().map_err(|(_, error)| error).unwrap();
    cost.freeze = frozen.froze_for();
    let obstacles = frozen.new_obstacles(StandardStreams::Replace);
    assert!(obstacles.is_empty(), "{obstacles:?}");
    let state: FrozenProcess = serde_json::from_str(&serde_json::to_string(frozen.state()).unwrap()).unwrap();
    let wanted = wanted_pages(&frozen, &state.inventory, files);
    let mut prepared = destination.prepare(&state).unwrap();
    cost.prepare = prepared.prepared_for();
    match way {
        Way::Frozen => {
            for page in wanted.iter().copied() {
                put_one(&frozen, page, |bytes| prepared.put(page, bytes).unwrap());
            }
        }
        Way::Before => {
            let written: BTreeSet<u64> =
                frozen.take_written().unwrap().into_iter().flat_map(AddressRange::pages).collect();
            let discarded: Vec<AddressRange> = put
                .iter()
                .filter(|page| !wanted.contains(page))
                .map(|page| AddressRange::of_page(*page))
                .collect();
            prepared.discard(&discarded).unwrap();
            for page in wanted.iter().copied().filter(|page| written.contains(page) || !put.contains(page)) {
                put_one(&frozen, page, |bytes| prepared.put(page, bytes).unwrap());
            }
        }
        Way::Asked => {}
    }
    if way != Way::Asked {
        same_contents(&frozen, &state.inventory, files, &prepared);
    }
    let departed = frozen.hand_over().unwrap();
    let memory = prepared.memory();
    let resumed = if way == Way::Asked {
        let stop = AtomicBool::new(false);
        let (resumed, faults) = std::thread::scope(|scope| {
            let serving = scope.spawn(|| serve(&memory, &departed, &wanted, &stop));
            let resumed = prepared.go();
            if resumed.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            // For a while pages are asked for; then the rest is pushed.
            std::thread::sleep(Duration::from_millis(30));
            stop.store(true, Ordering::Relaxed);
            (resumed, serving.join().unwrap())
        });
        cost.faults = faults;
        resumed.unwrap()
    } else {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| serve(&memory, &departed, &BTreeSet::new(), &stop));
            let resumed = prepared.go().unwrap();
            stop.store(true, Ordering::Relaxed);
            cost.faults = serving.join().unwrap();
            resumed
        })
    };
    cost.go = resumed.resumed_for();
    departed.kill().unwrap();
    (resumed, cost)
}

/// Pages that have to be installed: those there that are not in a local file.
pub fn wanted_pages(source: &TrackedProcess, inventory: &Inventory, files: &FileChoices) -> BTreeSet<u64> {
    let mut wanted = BTreeSet::new();
    for (mapping, backing) in plan(inventory, files) {
        if !backing.is_installed() {
            continue;
        }
        let from_file = mapping.file().is_some() || mapping.shared;
        if from_file {
            // Also pages that the process has not touched yet: its file is not mapped any more at the destination.
            wanted.extend(mapping.range.pages());
        } else {
            let runs = source.population_of(mapping).unwrap();
            wanted.extend(
                runs.iter().filter(|run| run.state != PageState::Zero).flat_map(|run| run.range.pages()),
            );
        }
    }
    wanted
}

/// Every page has come as it was at the freeze; what has not come is zero.
fn same_contents(source: &TrackedProcess, inventory: &Inventory, files: &FileChoices, built: &Prepared) {
    for (mapping, _) in plan(inventory, files).filter(|(_, backing)| backing.is_installed()) {
        let there: BTreeSet<u64> =
            built.population_of(mapping.range).unwrap().iter().flat_map(|run| run.range.pages()).collect();
        for page in mapping.range.pages() {
            let (mut sent, mut come) = ([0; PAGE_SIZE as usize], [0; PAGE_SIZE as usize]);
            if source.read(page * PAGE_SIZE, &mut sent).is_err() {
                continue;
            }
            if there.contains(&page) {
                built.read(page * PAGE_SIZE, &mut come).unwrap();
            }
            assert!(sent == come, "page {page:x} of {:?} at {} is another one", mapping.kind, mapping.range);
        }
    }
}

/// Whether there was such a page: behind the end of a file there is none.
fn put_one(source: &TrackedProcess, page: u64, put: impl Fn(&[u8]) -> Installed) -> bool {
    let mut bytes = [0; PAGE_SIZE as usize];
    if source.read(page * PAGE_SIZE, &mut bytes).is_err() {
        return false;
    }
    let installed = put(&bytes);
    assert!(matches!(installed, Installed::Done), "{installed:?} for page {page:x}");
    true
}

/// Serves faults until told to stop, then pushes what is left; answers how many faults there were.
pub fn serve(memory: &Userfault, source: &DepartedSource, wanted: &BTreeSet<u64>, stop: &AtomicBool) -> u64 {
    let mut spaces = vec![Space::new(None, wanted.iter().map(|page| (*page, *page)).collect())];
    while !stop.load(Ordering::Relaxed) {
        wait_readable(memory);
        take_events(&mut spaces, memory, source);
    }
    loop {
        take_events(&mut spaces, memory, source);
        let mut done = true;
        for space in &mut spaces {
            if let Some((&page, _)) = space.left.first_key_value() {
                space.install(page, memory, source);
                done = false;
            }
            done &= space.asked.is_empty();
        }
        if done {
            return spaces.iter().map(|space| space.faults).sum();
        }
    }
}

/// An address space that pages are served to: the process's, or that of a child that it made meanwhile.
struct Space {
    own: Option<Userfault>,
    /// Where each page that is not there yet has to go, and where it is at the source.
    left: BTreeMap<u64, u64>,
    asked: BTreeSet<u64>,
    faults: u64,
}

impl Space {
    fn new(own: Option<Userfault>, left: BTreeMap<u64, u64>) -> Self {
        Self { own, left, asked: BTreeSet::new(), faults: 0 }
    }

    fn install(&mut self, page: u64, memory: &Userfault, source: &DepartedSource) -> Installed {
        let memory = self.own.as_ref().unwrap_or(memory);
        let mut bytes = [0; PAGE_SIZE as usize];
        let from = self.left.remove(&page);
        let installed = match from {
            Some(from) if source.read(from * PAGE_SIZE, &mut bytes).is_ok() => {
                memory.install(page, &bytes).unwrap()
            }
            _ => memory.install_zero(page).unwrap(),
        };
        if let (Installed::EventsFirst, Some(from)) = (installed, from) {
            self.left.insert(page, from);
        }
        installed
    }

    /// Notes an event; a child that came of it.
    fn note(&mut self, event: MemoryEvent) -> Option<Space> {
        match event {
            MemoryEvent::Fault { page, .. } => {
                self.faults += 1;
                self.asked.insert(page);
            }
            MemoryEvent::Removed(range) | MemoryEvent::Unmapped(range) => {
                self.left.retain(|page, _| !range.pages().contains(page));
            }
            MemoryEvent::Moved { from, to } => {
                let there = |page: u64| page - from.start / PAGE_SIZE + to / PAGE_SIZE;
                let moving: Vec<(u64, u64)> =
                    self.left.range(from.pages()).map(|(page, source)| (there(*page), *source)).collect();
                self.left.retain(|page, _| !from.pages().contains(page));
                self.left.extend(moving);
            }
            MemoryEvent::Forked(child) => return Some(Space::new(Some(child), self.left.clone())),
        }
        None
    }
}

fn take_events(spaces: &mut Vec<Space>, memory: &Userfault, source: &DepartedSource) {
    let mut children = Vec::new();
    for space in spaces.iter_mut() {
        while let Some(event) = space.own.as_ref().unwrap_or(memory).next_event().unwrap() {
            children.extend(space.note(event));
        }
        // A page is asked for again after an event that was in the way.
        let asked: Vec<u64> = space.asked.iter().copied().collect();
        for page in asked {
            if space.install(page, memory, source) != Installed::EventsFirst {
                space.asked.remove(&page);
            }
        }
    }
    spaces.extend(children);
}

fn wait_readable(memory: &Userfault) {
    let mut poll = [rustix::event::PollFd::new(memory, rustix::event::PollFlags::IN)];
    let time = rustix::time::Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    let _ = rustix::event::poll(&mut poll, Some(&time));
}

/// Runs `command` undisturbed, then moved `hops` times in each way; all outputs are the same.
pub fn same_when_moved(command: &dyn Fn() -> Command, hops: usize) {
    let expected = Program::undisturbed(&mut command());
    assert!(!expected.is_empty());
    let only = std::env::var("MOVE_WAY").ok();
    for way in [Way::Frozen, Way::Before, Way::Asked] {
        if only.as_ref().is_some_and(|only| *only != format!("{way:?}")) {
            continue;
        }
        let program = Program::start(&mut command());
        program.await_output();
        std::thread::sleep(Duration::from_millis(50));
        let mut pid = program.pid;
        let mut earlier: Vec<linux::build::Running> = Vec::new();
        for hop in 0..hops {
            let (resumed, cost) = move_once(pid, way);
            eprintln!("{way:?}, hop {hop}: {cost:?}");
            pid = resumed.pid();
            earlier.push(resumed.complete().unwrap());
            std::thread::sleep(Duration::from_millis(30));
            let ended = earlier.last_mut().unwrap().ended().unwrap();
            assert!(
                ended.is_none_or(|code| code == 0),
                "{way:?}, hop {hop}: ended with {ended:?}, printed {}",
                String::from_utf8_lossy(&program.printed())
            );
        }
        let last = earlier.pop().unwrap();
        let code = last.wait().unwrap();
        let printed = program.printed();
        assert_eq!(code, 0, "{way:?}: {}", String::from_utf8_lossy(&printed));
        assert!(
            printed == expected,
            "{way:?}: printed\n{}\nexpected\n{}",
            String::from_utf8_lossy(&printed),
            String::from_utf8_lossy(&expected)
        );
    }
}
