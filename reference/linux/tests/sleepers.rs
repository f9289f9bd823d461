//! Programs that wait in the kernel, moved again as soon as they have come: each wait is as long as it would have been, and
//! answers the same.

mod common;
mod watched;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use linux::build::{BuildOptions, BuiltProcess, Running};
use linux::obstacle::StandardStreams;
use linux::plan::FileChoices;
use linux::source::TrackedProcess;

use common::{Program, compiled, lacks, missing, serve, wanted_pages};
use watched::Watched;

/// Moves a process by asking for its pages when they are missed, or by sending none before the freeze.
fn hop(mut source: TrackedProcess, watched: &Watched) -> Running {
    let (inventory, obstacles) = source.obstacles(StandardStreams::Replace).unwrap();
    assert!(obstacles.is_empty(), "{obstacles:?}");
    source.track().unwrap();
    let files = FileChoices::same_file_system();
    let options = BuildOptions { files: files.clone(), ..BuildOptions::default() };
    let destination = BuiltProcess::build(&inventory, options).unwrap();
    let frozen = source.freeze().map_err(|(_, error)| error).unwrap();
    let wanted: BTreeSet<u64> = wanted_pages(&frozen, &frozen.state().inventory, &files);
    let prepared = destination.prepare(frozen.state()).unwrap();
    let departed = frozen.hand_over().unwrap();
    let memory = prepared.memory();
    let stop = AtomicBool::new(false);
    let resumed = std::thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&memory, &departed, &wanted, &stop));
        let resumed = prepared.go();
        stop.store(true, Ordering::Relaxed);
        serving.join().unwrap();
        resumed.unwrap()
    });
    departed.kill().unwrap();
    watched.add(resumed.pid());
    resumed.complete().unwrap()
}

/// Moves a program again and again, some time after it has come, for as long as it surely waits; compares what it prints. How long it
/// took in all.
fn hops(command: &dyn Fn() -> Command, count: usize, pause: Duration, surely: Duration) -> Duration {
    let expected = Program::undisturbed(&mut command());
    let watched = Watched::for_at_most(Duration::from_secs(60));
    let began = Instant::now();
    let program = Program::start(&mut command());
    watched.add(program.pid);
    program.await_output();
    std::thread::sleep(Duration::from_millis(20));
    let mut come: Vec<Running> = Vec::new();
    while come.len() < count && began.elapsed() < surely {
        let source = come.last().map_or_else(|| TrackedProcess::open(program.pid), Running::source).unwrap();
        come.push(hop(source, &watched));
        std::thread::sleep(pause);
    }
    let hops = come.len();
    // On a machine that is too slow for more, this says little, and nothing at all with less.
    assert!(hops > 1, "{hops} hops in {:?}", began.elapsed());
    let code = come.pop().unwrap().wait().unwrap();
    let took = began.elapsed();
    let printed = program.printed();
    assert_eq!(
        (code, String::from_utf8_lossy(&printed)),
        (0, String::from_utf8_lossy(&expected)),
        "after {hops} hops"
    );
    took
}

#[test]
fn every_wait_is_as_long_as_it_would_have_been() {
    or_skip!(missing().or(lacks("gcc")));
    let waits = compiled("waits", &[]);
    for kind in 0..=18 {
        eprintln!("kind {kind}");
        let command = || {
            let mut command = Command::new(&waits);
            // Once, for two seconds, with less to add to it than a later hop would by beginning it anew.
            command.args([&kind.to_string(), "1", "2", "0.8"]);
            command
        };
        hops(&command, 5, Duration::from_millis(100), Duration::from_millis(1200));
    }
}

#[test]
fn sleep_sleeps_on() {
    or_skip!(missing());
    let command = || {
        let mut command = Command::new("sh");
        command.args(["-c", "echo begin; exec sleep 3"]);
        command
    };
    // Begun anew at any of the later ones, it would last until long after the bound.
    let took = hops(&command, 8, Duration::from_millis(150), Duration::from_millis(2200));
    assert!(took > Duration::from_millis(2900) && took < Duration::from_millis(3900), "{took:?}");
}
