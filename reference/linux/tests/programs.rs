//! Small programs, each of which uses what a move could lose.

mod common;

use std::process::Command;

use common::{compiled, missing, same_when_moved};

macro_rules! moves {
    ($($name:ident, $file:literal, $options:expr, $hops:literal;)*) => {$(
        #[test]
        fn $name() {
            or_skip!(missing().or(common::lacks("gcc")));
            let program = compiled($file, $options);
            same_when_moved(&|| Command::new(&program), $hops);
        }
    )*};
}

moves! {
    threads_futexes_and_data_of_their_own, "threads", &[], 2;
    the_same_without_shared_libraries, "threads", &["-static"], 1;
    layout_that_changes_all_the_time, "layout", &[], 3;
    signals_timers_and_an_alternate_stack, "signals", &[], 2;
    children_made_on_arrival, "forks", &[], 1;
    vector_registers, "vectors", &["-mavx2"], 2;
}

#[test]
fn files_pipes_and_shared_memory() {
    or_skip!(missing().or(common::lacks("gcc")));
    let program = compiled("files", &[]);
    let directory = tempfile::tempdir().unwrap();
    same_when_moved(
        &|| {
            let _ = std::fs::remove_file(directory.path().join("mapped"));
            let mut command = Command::new(&program);
            command.arg(directory.path());
            command
        },
        2,
    );
}

#[test]
fn waits_in_system_calls() {
    or_skip!(missing().or(common::lacks("gcc")));
    let program = compiled("waits", &[]);
    for kind in 0..=18 {
        eprintln!("kind {kind}");
        same_when_moved(
            &|| {
                let mut command = Command::new(&program);
                command.arg(kind.to_string());
                command
            },
            1,
        );
    }
}

/// A shared mapping of a file that the destination does not have: memory stands for it, whose pages are installed, whose writes
/// are noted, and which is there after the process has ended.
#[test]
fn a_shared_mapping_of_a_file_that_is_elsewhere() {
    use common::{Program, Way, move_with};
    use linux::plan::{FileChoice, FileChoices};
    or_skip!(missing().or(common::lacks("gcc")));
    let program = compiled("files", &[]);
    let directory = tempfile::tempdir().unwrap();
    let mapped = directory.path().join("mapped");
    let command = || {
        let _ = std::fs::remove_file(&mapped);
        let mut command = Command::new(&program);
        command.arg(directory.path());
        command
    };
    let expected = Program::undisturbed(&mut command());
    let content = std::fs::read(&mapped).unwrap();
    for way in [Way::Frozen, Way::Before, Way::Asked] {
        let running = Program::start(&mut command());
        running.await_output();
        let mut files = FileChoices::same_file_system();
        files.by_path.insert(mapped.clone(), FileChoice::Absent);
        let (resumed, _) = move_with(running.pid, way, &files);
        let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&mapped).unwrap());
        let stands_for = std::fs::File::from(resumed.shared_memory(inode).unwrap().try_clone().unwrap());
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", resumed.pid())).unwrap();
        let line = maps.lines().find(|line| line.contains("/memfd:moved:")).unwrap();
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let range = linux::AddressRange::new(
            u64::from_str_radix(start, 16).unwrap(),
            u64::from_str_radix(end, 16).unwrap(),
        );
        resumed.take_written(range).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(!resumed.take_written(range).unwrap().is_empty(), "{way:?}: writes are not noted");
        assert_eq!(resumed.complete().unwrap().wait().unwrap(), 0);
        assert!(running.printed() == expected, "{way:?}: {}", String::from_utf8_lossy(&running.printed()));
        let mut held = vec![0; content.len()];
        std::os::unix::fs::FileExt::read_exact_at(&stands_for, &mut held, 0).unwrap();
        assert!(
            held == content,
            "{way:?}: the memory that stands for the file is not what the file would be"
        );
        assert!(std::fs::read(&mapped).unwrap() != content, "{way:?}: the file itself was written");
    }
}
