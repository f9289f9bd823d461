//! `checker storm`, end to end: what it prints, and the step log that it hands to `checker conform`.

use std::fs;
use std::path::Path;
use std::process::Output;

use world::storm;

fn checker(arguments: &[&str]) -> Output {
    let build = escargot::CargoBuild::new().package("checker").bin("checker");
    let mut command = build.run().expect("it builds").command();
    command.args(arguments).output().expect("the checker runs")
}

fn said(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr].concat()).expect("text")
}

/// The same seed prints the same, on however many threads; the notes show it.
#[test]
fn the_notes_show_a_real_storm() {
    let notes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proofs-notes/storms.md");
    let notes = fs::read_to_string(notes).expect("notes");
    let (_, block) = notes.split_once("```console\n$ checker ").expect("a block");
    let (command, shown) = block.split_once("```").expect("its end").0.split_once('\n').expect("output");
    let output = checker(&command.split(' ').collect::<Vec<_>>());
    let printed = String::from_utf8(output.stdout).expect("text");
    let printed: String = printed.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    assert!(output.status.success());
    assert_eq!(printed, shown);
}

/// A run between two hosts whose log is asked for: the model has it, until a line is missing.
#[test]
fn a_run_of_a_storm_is_a_trace() {
    let between_two = |at: &u64| storm::run(*at).scenario.route.iter().all(|host| host.0 < 2);
    let run = (0..).find(between_two).map(storm::run).expect("a run between two hosts");
    let json = serde_json::to_string(&run).expect("a run is JSON");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log.ndjson");
    let path = path.to_str().expect("text");
    let output = checker(&["storm", "--replay", &json, "--trace", path]);
    assert!(output.status.success() && said(&output).ends_with("no violation\n"), "{}", said(&output));
    let output = checker(&["conform", path]);
    assert!(output.status.success() && said(&output).contains("all consumed"), "{}", said(&output));
    let log = fs::read_to_string(path).expect("a log");
    let resumed = |line: &&str| !line.contains("process-suspended");
    fs::write(path, log.lines().filter(resumed).collect::<Vec<_>>().join("\n")).expect("it can be written");
    let output = checker(&["conform", path]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

/// Rare runs that a judge of logs was once too strict for.
#[test]
fn rare_runs_are_runs_of_the_model() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runs");
    let files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let json = fs::read_to_string(&file).expect("a run");
        let output = checker(&["storm", "--replay", json.trim()]);
        let said = said(&output);
        assert!(output.status.success() && said.ends_with("no violation\n"), "{}: {said}", file.display());
    }
}

#[test]
fn what_is_no_run_is_refused_by_name() {
    for (arguments, message) in [
        (&["storm", "--replay", "nonsense"][..], "--replay: not a run"),
        (&["storm", "--trace", "log.ndjson"], "--replay"),
        (&["storm", "--runs", "0"], "--runs"),
    ] {
        let output = checker(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(said(&output).contains(message), "{}", said(&output));
    }
    let json = serde_json::to_string(&storm::run(1)).expect("a run is JSON");
    let output = checker(&["storm", "--replay", &json, "--trace", "/nowhere/log.ndjson"]);
    assert!(output.status.code() == Some(2) && said(&output).contains("/nowhere/log.ndjson"));
}
