//! What cannot be moved is said, all of it, and left alone.

mod common;

use std::process::Command;

use linux::inventory::{HostFacts, Inventory};
use linux::obstacle::{self, Culprit, Obstacle, ObstacleReason, StandardStreams};
use linux::source::TrackedProcess;

use common::{Program, compiled, lacks, missing};

fn obstacles_of(what: &str) -> Option<Vec<Obstacle>> {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(compiled("children", &[]));
    let mut program = Program::start(command.arg(what).current_dir(directory.path()));
    program.await_output();
    let lacking = program.printed() == b"none\n";
    let (_, found) = TrackedProcess::open(program.pid).unwrap().obstacles(StandardStreams::Replace).unwrap();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", program.pid)).unwrap();
    for child in children.split_whitespace() {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(child.parse().unwrap()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
    }
    let mut child = program.child();
    child.kill().unwrap();
    child.wait().unwrap();
    (!lacking).then_some(found)
}

#[test]
fn each_is_named() {
    or_skip!(missing().or(lacks("gcc")));
    assert_eq!(obstacles_of("nothing").unwrap(), []);
    type Case = (&'static str, fn(&ObstacleReason) -> bool, &'static str);
    let cases: [Case; 12] = [
        ("socket", |reason| matches!(reason, ObstacleReason::Socket), "descriptor 3 (socket)"),
        (
            "child",
            |reason| matches!(reason, ObstacleReason::Children { processes } if processes.len() == 1),
            "the process",
        ),
        ("io_uring", |reason| matches!(reason, ObstacleReason::IoUring), "descriptor 3 (io_uring)"),
        ("device", |reason| matches!(reason, ObstacleReason::Device), "descriptor 3 (/dev/kmsg)"),
        ("deleted", |reason| matches!(reason, ObstacleReason::DeletedFile), "mapping"),
        ("inotify", |reason| matches!(reason, ObstacleReason::Inotify), "descriptor 3 (inotify)"),
        ("memfd", |reason| matches!(reason, ObstacleReason::MemoryFile), "descriptor 3 (memory file here)"),
        ("lock", |reason| matches!(reason, ObstacleReason::FileLock { .. }), "the process"),
        ("shared", |reason| matches!(reason, ObstacleReason::SharedWithOthers { .. }), "mapping"),
        (
            "pipe",
            |reason| matches!(reason, ObstacleReason::PipeToOthers { processes } if processes.len() == 1),
            "descriptor 3 (pipe",
        ),
        ("sysv", |reason| matches!(reason, ObstacleReason::SystemVMemory), "mapping"),
        ("seccomp", |reason| matches!(reason, ObstacleReason::SeccompFilter), "the process"),
    ];
    for (what, expected, culprit) in cases {
        let Some(found) = obstacles_of(what) else {
            eprintln!("SKIPPED: {what}: the kernel has none");
            continue;
        };
        let one = found.iter().find(|obstacle| expected(&obstacle.reason));
        let one = one.unwrap_or_else(|| panic!("{what}: {found:?}"));
        assert!(one.culprit.to_string().starts_with(culprit), "{what}: {one}");
        let json = serde_json::to_string(one).unwrap();
        assert_eq!(&serde_json::from_str::<Obstacle>(&json).unwrap(), one);
    }
}

#[test]
fn a_deleted_file_is_an_obstacle_where_it_is_mapped() {
    or_skip!(missing().or(lacks("gcc")));
    let found = obstacles_of("deleted").unwrap();
    let mappings =
        found.iter().filter(|obstacle| matches!(obstacle.culprit, Culprit::Mapping { .. })).count();
    let descriptors =
        found.iter().filter(|obstacle| matches!(obstacle.culprit, Culprit::Descriptor { .. })).count();
    assert_eq!((mappings, descriptors), (1, 0), "{found:?}");
}

#[test]
fn a_lesser_machine_is_named() {
    or_skip!(missing());
    let inventory = Inventory::take(std::process::id() as i32).unwrap();
    let here = HostFacts::here().unwrap();
    assert_eq!(obstacle::at_destination(&inventory, &here), []);
    let mut lesser = here.clone();
    lesser.processor_features.remove("sse4_2");
    lesser.extended_features &= !4;
    lesser.kernel_version = (6, 6);
    lesser.vdso[0] ^= 1;
    let found = obstacle::at_destination(&inventory, &lesser);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(
        found
            .iter()
            .any(|obstacle| obstacle.to_string() == "processor feature sse4_2: the destination lacks it")
    );
}
