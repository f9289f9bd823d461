//! The committed inputs of every target again, without a fuzzer; and errors seeded into the hosts, which they reveal.

use std::fs;

use fuzz::corpus::{Inputs, committed, home, pack, unpack};
use fuzz::{FuzzFinding, TARGETS, refinement, siege, two_endpoints};
use steplog::place::HostId;
use tie::flaws::Flaw;

/// The inputs of a target, by name.
fn corpus(target: &str) -> Inputs {
    let inputs = committed(home(), target).unwrap_or_else(|error| panic!("{error}"));
    assert!(inputs.len() > 10, "{target} has a corpus of {} inputs", inputs.len());
    inputs
}

#[test]
fn nothing_is_found() {
    for (name, target) in TARGETS {
        for (file, input) in corpus(name) {
            target(&input).unwrap_or_else(|finding| panic!("{name}: {file}: {finding}"));
        }
    }
}

/// Each seeded flaw is found by inputs of the targets in which all hosts are honest.
#[test]
fn every_seeded_flaw_is_found() {
    type Flawed = fn(&[u8], Option<Flaw>) -> Result<(), FuzzFinding>;
    let source: Flawed = |input, flaw| siege::besiege_flawed(HostId(0), input, flaw);
    let destination: Flawed = |input, flaw| siege::besiege_flawed(HostId(1), input, flaw);
    let targets: [(&str, Flawed); 4] = [
        ("two_endpoints", two_endpoints::run_flawed),
        ("refinement", refinement::run_flawed),
        ("source_steps", source),
        ("destination_steps", destination),
    ];
    for flaw in Flaw::ALL {
        let finders: Vec<_> = targets
            .into_iter()
            .filter(|(name, run)| corpus(name).values().any(|input| run(input, Some(flaw)).is_err()))
            .map(|(name, _)| name)
            .collect();
        println!("{flaw:?}: found by {}", finders.join(", "));
        let expected: &[&str] = match flaw {
            // A process that runs on is nowhere asked to do anything in `two_endpoints`.
            Flaw::RunsOn => &["refinement"],
            // A host that does not hear what it is told takes no step that the model lacks.
            Flaw::CompletionUnheard => &["two_endpoints"],
            _ => &["two_endpoints", "refinement"],
        };
        assert!(
            expected.iter().all(|target| finders.contains(target)),
            "{flaw:?} is found by {finders:?} only"
        );
    }
}

/// Unpacking and packing loses nothing, adds nothing, leaves findings out, and gives the same file each time.
#[test]
fn an_archive_is_a_function_of_its_inputs() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let there = elsewhere.path();
    fs::create_dir(there.join("corpus")).expect("a folder");
    for (target, _) in TARGETS {
        let archive = format!("corpus/{target}.tar.gz");
        fs::copy(home().join(&archive), there.join(&archive)).expect("a copy");
        let findings = committed(home(), target).expect("a corpus");
        let findings =
            findings.iter().filter(|(name, _)| home().join("findings").join(target).join(name).exists());
        for (name, input) in findings {
            let folder = there.join("findings").join(target);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(name), input).expect("a file");
        }
    }
    let archives = || {
        let read = |(target, _)| fs::read(there.join(format!("corpus/{target}.tar.gz"))).expect("an archive");
        TARGETS.map(read)
    };
    let unpacked = unpack(there).expect("unpacked");
    assert_eq!(unpacked, TARGETS.iter().map(|(target, _)| corpus(target).len()).sum::<usize>());
    let packed = pack(there).expect("packed");
    assert!(packed < unpacked, "findings were packed");
    let first = archives();
    for (target, _) in TARGETS {
        assert!(committed(there, target).expect("a corpus") == corpus(target), "{target} has other inputs");
    }
    assert_eq!(pack(there).expect("packed"), packed);
    assert!(archives() == first, "packing again made other files");
}

#[test]
fn what_is_no_archive_is_refused_by_name() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    fs::create_dir(elsewhere.path().join("corpus")).expect("a folder");
    let refused = || unpack(elsewhere.path()).expect_err("refused").to_string();
    assert!(refused().contains("frame_decode.tar.gz"), "{}", refused());
    fs::write(elsewhere.path().join("corpus/frame_decode.tar.gz"), "no archive").expect("a file");
    assert!(refused().contains("frame_decode.tar.gz"), "{}", refused());
}
