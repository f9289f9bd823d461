//! The committed inputs of every target again, without a fuzzer; and errors seeded into the hosts, which they reveal.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fuzz::{Finding, TARGETS, refinement, siege, two_endpoints};
use steplog::place::HostId;
use tie::flaws::Flaw;

/// The inputs of a target, by name.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = entries.map(|entry| entry.expect("a readable folder").path());
    let inputs: BTreeMap<_, _> =
        files.map(|file| (file.display().to_string(), fs::read(&file).expect("a readable file"))).collect();
    assert!(inputs.len() > 10, "{target} has a corpus of {} inputs", inputs.len());
    inputs
}

#[test]
fn nothing_is_found() {
    for (name, target) in TARGETS {
        for (file, input) in corpus(name) {
            target(&input).unwrap_or_else(|finding| panic!("{file}: {finding}"));
        }
    }
}

/// Each seeded flaw is found by inputs of the targets in which all hosts are honest.
#[test]
fn every_seeded_flaw_is_found() {
    type Flawed = fn(&[u8], Option<Flaw>) -> Result<(), Finding>;
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
