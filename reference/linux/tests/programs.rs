//! Small programs, each of which uses what a move could lose.

mod common;

use common::{compiled, missing, same_when_moved};
use std::process::Command;

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
    for kind in 0..=10 {
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
