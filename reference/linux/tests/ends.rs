//! Whoever gives up before the hand-over leaves one process, and nothing besides.

mod common;

use std::path::Path;
use std::process::Command;

use linux::build::{BuildOptions, BuiltProcess};
use linux::obstacle::StandardStreams;
use linux::plan::FileChoices;
use linux::source::TrackedProcess;

use common::{Program, Way, compiled, lacks, missing, move_once};

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}

fn program() -> Program {
    let program = Program::start(&mut Command::new(compiled("threads", &[])));
    program.await_output();
    program
}

#[test]
fn at_every_step_before_the_hand_over_the_source_runs_on() {
    or_skip!(missing().or(lacks("gcc")));
    let expected = Program::undisturbed(&mut Command::new(compiled("threads", &[])));
    for step in 0..3 {
        let mut program = program();
        let source = TrackedProcess::open(program.pid).unwrap();
        let (inventory, _) = source.obstacles(StandardStreams::Replace).unwrap();
        let options = BuildOptions { files: FileChoices::same_file_system(), ..BuildOptions::default() };
        let destination = BuiltProcess::build(&inventory, options).unwrap();
        let built = destination.pid();
        assert!(is_alive(built));
        match step {
            0 => drop(destination),
            1 => {
                let frozen = source.freeze().map_err(|(_, error)| error).unwrap();
                drop(destination.prepare(frozen.state()).unwrap());
                drop(frozen.thaw().unwrap());
            }
            _ => {
                // Dropped without a word, as by an error elsewhere.
                let frozen = source.freeze().map_err(|(_, error)| error).unwrap();
                drop(destination.prepare(frozen.state()).unwrap());
                drop(frozen);
            }
        }
        assert!(!is_alive(built), "step {step}: what was built is still there");
        assert!(program.child().wait().unwrap().success(), "step {step}");
        assert_eq!(program.printed(), expected, "step {step}");
    }
}

#[test]
fn after_the_hand_over_only_the_other_one_can_run() {
    or_skip!(missing().or(lacks("gcc")));
    let mut program = program();
    let source = TrackedProcess::open(program.pid).unwrap();
    let frozen = source.freeze().map_err(|(_, error)| error).unwrap();
    let departed = frozen.hand_over().unwrap();
    let printed = program.printed();
    std::thread::sleep(std::time::Duration::from_millis(50));
    // The tracing thread ends with it, as it does with this whole program.
    drop(departed);
    assert!(!program.child().wait().unwrap().success(), "it ran on");
    assert_eq!(program.printed(), printed, "it ran on");
    assert!(!Path::new(&format!("/proc/{}/task", program.pid)).exists());
}

#[test]
fn a_process_that_has_come_can_be_tracked_at_once() {
    or_skip!(missing());
    let program = Program::start(Command::new("sh").args(["-c", "echo begin; while :; do :; done"]));
    program.await_output();
    let mut pid = program.pid;
    let mut come = Vec::new();
    for hop in 0..20 {
        let (resumed, _) = move_once(pid, Way::Before);
        pid = resumed.pid();
        come.push(resumed.complete().unwrap());
        let tracked = TrackedProcess::open(pid).and_then(|mut source| source.track());
        let ended = come.last_mut().map(linux::build::Running::ended);
        assert!(
            tracked.is_ok(),
            "hop {hop}: {tracked:?}, {ended:?}, {}",
            String::from_utf8_lossy(&program.printed())
        );
    }
    let killed = Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap();
    assert!(killed.success());
    assert_eq!(come.pop().unwrap().wait().unwrap(), 137);
}

/// While it is built it takes turns on one processor with whoever builds it.
#[test]
fn it_may_run_on_as_many_processors_as_before() {
    or_skip!(missing().or(lacks("taskset")));
    let processors = |pid: i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap().to_owned()
    };
    let computes = "echo begin; while :; do :; done";
    for words in [&["sh", "-c", computes][..], &["taskset", "-c", "0", "sh", "-c", computes]] {
        let program = Program::start(Command::new(words[0]).args(&words[1..]));
        program.await_output();
        let before = processors(program.pid);
        let (resumed, _) = move_once(program.pid, Way::Before);
        let pid = resumed.pid();
        let come = resumed.complete().unwrap();
        assert_eq!(processors(pid), before, "{words:?}");
        let killed = Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap();
        assert!(killed.success());
        assert_eq!(come.wait().unwrap(), 137);
    }
}

#[test]
fn a_process_that_is_gone_is_said_to_be() {
    or_skip!(missing());
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id() as i32;
    child.wait().unwrap();
    assert!(matches!(TrackedProcess::open(pid), Err(linux::LinuxError::Gone { .. })));
}
