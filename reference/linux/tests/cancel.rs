//! A process that is looked at, tracked, frozen and let go again is as it was.

mod common;

use std::process::Command;
use std::time::Duration;

use linux::source::TrackedProcess;

use common::{Program, compiled, lacks, missing, within};

fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn ranges(pid: i32) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    maps.lines().map(str::to_owned).collect()
}

/// Bothers a program until it ends, and compares what it prints.
fn as_if_nothing_had_been(command: &dyn Fn() -> Command) {
    let expected = Program::undisturbed(&mut command());
    let mut program = Program::start(&mut command());
    program.await_output();
    let mut child = program.child();
    let pid = program.pid;
    let (status, times) = within(Duration::from_secs(60), pid, move || {
        let mut times = 0;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return (status, times);
            }
            // It may end at any moment.
            if bother(pid).is_some() {
                times += 1;
            }
            std::thread::sleep(Duration::from_millis(7));
        }
    });
    assert!(status.success());
    assert!(times > 3, "bothered {times} times only");
    assert_eq!(
        String::from_utf8_lossy(&program.printed()),
        String::from_utf8_lossy(&expected),
        "bothered {times} times"
    );
}

fn bother(pid: i32) -> Option<()> {
    let mut source = TrackedProcess::open(pid).ok()?;
    source.track().ok()?;
    source.take_written().ok()?;
    let frozen = source.freeze().ok()?;
    source = frozen.thaw().ok()?;
    source.take_written().ok()?;
    source.untrack();
    Some(())
}

#[test]
fn nothing_is_left_in_it() {
    or_skip!(missing().or(lacks("gcc")));
    let mut program = Program::start(&mut Command::new(compiled("vectors", &["-mavx2"])));
    program.await_output();
    let (open, maps) = (descriptors(program.pid), ranges(program.pid));
    let mut source = TrackedProcess::open(program.pid).unwrap();
    source.track().unwrap();
    assert_eq!(descriptors(program.pid), open, "while it is tracked");
    let frozen = source.freeze().map_err(|(_, error)| error).unwrap();
    assert_eq!((descriptors(program.pid), ranges(program.pid)), (open, maps.clone()), "while it is frozen");
    let mut source = frozen.thaw().unwrap();
    source.untrack();
    assert_eq!((descriptors(program.pid), ranges(program.pid)), (open, maps), "afterwards");
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid)).unwrap();
    assert!(status.contains("TracerPid:\t0\n"), "{status}");
    let smaps = std::fs::read_to_string(format!("/proc/{}/smaps", program.pid)).unwrap();
    assert!(!smaps.lines().any(|line| line.starts_with("VmFlags:") && line.contains(" uw")), "still tracked");
    let mut child = program.child();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn programs_print_the_same() {
    or_skip!(missing().or(lacks("gcc")));
    let vectors = compiled("vectors", &["-mavx2"]);
    as_if_nothing_had_been(&|| Command::new(&vectors));
    let threads = compiled("threads", &[]);
    as_if_nothing_had_been(&|| Command::new(&threads));
    let layout = compiled("layout", &[]);
    as_if_nothing_had_been(&|| Command::new(&layout));
    let signals = compiled("signals", &[]);
    as_if_nothing_had_been(&|| Command::new(&signals));
}

#[test]
fn waits_are_as_long_and_answer_the_same() {
    or_skip!(missing().or(lacks("gcc")));
    let waits = compiled("waits", &[]);
    for kind in 0..=10 {
        eprintln!("kind {kind}");
        as_if_nothing_had_been(&|| {
            let mut command = Command::new(&waits);
            command.arg(kind.to_string());
            command
        });
    }
}

#[test]
fn one_that_ends_meanwhile_ends_as_it_would() {
    or_skip!(missing().or(lacks("gcc")));
    let brief = compiled("brief", &[]);
    for n in 0..100 {
        let microseconds = 20_000 + n * 173;
        let mut program = Program::start(Command::new(&brief).arg(microseconds.to_string()));
        program.await_output();
        let mut child = program.child();
        let pid = program.pid;
        let status = within(Duration::from_secs(20), pid, move || {
            while bother(pid).is_some() {}
            child.wait().unwrap()
        });
        assert!(status.success(), "{microseconds}: {status}");
        assert_eq!(program.printed(), b"begun\nended\n");
    }
}

#[test]
fn one_that_is_killed_while_it_is_frozen_is_gone_for_its_parent_too() {
    or_skip!(missing().or(lacks("gcc")));
    let brief = compiled("brief", &[]);
    for _ in 0..20 {
        let mut program = Program::start(Command::new(&brief).arg("60000000"));
        program.await_output();
        let mut child = program.child();
        let pid = program.pid;
        let status = within(Duration::from_secs(20), pid, move || {
            let frozen = TrackedProcess::open(pid).unwrap().freeze().map_err(|(_, error)| error).unwrap();
            child.kill().unwrap();
            let thawed = frozen.thaw();
            assert!(matches!(thawed, Err(linux::LinuxError::Gone { .. })), "{thawed:?}");
            child.wait().unwrap()
        });
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }
}
