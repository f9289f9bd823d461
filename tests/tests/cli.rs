//! The command line, end to end: the README's commands, exit codes, streams, documents, bad input.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// Runs the checker.
fn checker(arguments: &[&str]) -> Output {
    static RUN: OnceLock<escargot::CargoRun> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let build = escargot::CargoBuild::new().package("checker").bin("checker");
        build.run().expect("the checker builds")
    });
    let mut command: Command = run.command();
    command.args(arguments).env_remove("NO_COLOR").output().expect("the checker runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

/// Running times differ; everything else does not.
fn without_times(text: &str) -> String {
    let mut words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    for index in 1..words.len() {
        if words[index].starts_with("s;") || words[index].starts_with("s,") {
            words[index - 1] = "T ".to_owned();
        }
    }
    words.concat()
}

/// Every `console` block of the README whose command is the checker shows what the checker prints.
#[test]
fn the_readme_shows_real_output() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(readme).expect("a README");
    let mut shown = 0;
    for block in text.split("```console\n").skip(1) {
        let block = block.split("```").next().expect("a block ends");
        let (command, expected) = block.split_once('\n').expect("a command and its output");
        let Some(arguments) = command
            .strip_prefix("$ cargo run -p checker")
            .or_else(|| command.strip_prefix("$ checker"))
            .map(|rest| rest.trim().trim_start_matches("-- "))
        else {
            continue;
        };
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let output = checker(&arguments);
        assert_eq!(without_times(&stdout(&output)).trim(), without_times(expected).trim(), "{command}");
        shown += 1;
    }
    assert!(shown >= 3, "the README shows {shown} commands");
}

#[test]
fn results_and_nothing_else_are_on_standard_output() {
    let output = checker(&["check", "total-copy", "--format", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(code(&output), 0);
    assert_eq!(document["version"], 1);
    let runs = document["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2);
    for field in [
        "algorithm",
        "strategy",
        "pages",
        "hosts",
        "link",
        "defect",
        "engine",
        "states",
        "transitions",
        "depth",
        "seconds",
        "actions",
        "verdicts",
    ] {
        assert!(runs.iter().all(|run| run.get(field).is_some()), "no field {field}");
    }
    assert_eq!(runs[0]["pages"], 3);
    assert_eq!(runs[1]["pages"], "any");
    let verdict = &runs[0]["verdicts"][0];
    assert_eq!(
        (&verdict["property"], &verdict["expected"], &verdict["actual"]),
        (&"S1".into(), &"holds".into(), &"holds".into())
    );
    assert!(runs[0]["actions"]["commit"].as_u64() > Some(0));
}

#[test]
fn every_defect_makes_the_default_run_fail_with_a_trace() {
    for entry in model::defects::DEFECTS {
        let name = entry.defect.to_string();
        let output = checker(&["--defect", &name]);
        assert_eq!(code(&output), 1, "{name}: {}", stderr(&output));
        let again =
            format!("show it again: checker trace {} {} --defect {name}", entry.algorithm, entry.caught_by);
        let text = stdout(&output);
        let line = text.lines().find(|line| line.starts_with(&again));
        let line = line.unwrap_or_else(|| panic!("{name}: no line {again}"));
        let arguments: Vec<&str> = line.split_whitespace().skip(4).collect();
        let output = checker(&arguments);
        assert_eq!(code(&output), 1, "{line}");
        assert!(stdout(&output).contains("fails"), "{line}");
    }
}

#[test]
fn bad_strategy_files_are_refused_by_file_line_field_and_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("mine.toml");
    let good = stdout(&checker(&["list", "--algorithm", "post-copy", "--format", "toml"]));
    let refuse = |text: &str, message: &str| {
        fs::write(&path, text).expect("written");
        let output = checker(&["check", "--strategy", path.to_str().expect("text")]);
        assert_eq!(code(&output), 2);
        assert_eq!(stdout(&output), "");
        let error = stderr(&output);
        assert!(error.contains("mine.toml: line ") && error.contains(message), "{error}");
    };
    refuse(&good.replace("push = \"next\"", "push = \"hard\""), "line 5: push: unknown variant `hard`");
    refuse(&good.replace("clean = \"travel\"", "clean ="), "line 6: clean:");
    refuse(
        &good.replace("freeze = \"none\"", "freeze = \"all\""),
        "line 4: missing: no page is missing after freeze = \"all\"",
    );
    let output = checker(&["check", "--strategy", "absent.toml"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("absent.toml"), "{}", stderr(&output));
}

/// A printed algorithm is a strategy file that checks as the built-in one does.
#[test]
fn printed_algorithms_check_identically() {
    let directory = tempfile::tempdir().expect("a directory");
    let document = |arguments: &[&str]| -> Value {
        let output = checker(&[arguments, &["--pages", "2", "--pages", "any", "--format", "json"]].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let mut document: Value = serde_json::from_slice(&output.stdout).expect("a document");
        for run in document["runs"].as_array_mut().expect("runs") {
            run["seconds"] = Value::Null;
        }
        document
    };
    for strategy in model::algorithms::BUILT_IN {
        let path = directory.path().join("printed.toml");
        let printed = checker(&["list", "--algorithm", &strategy.name, "--format", "toml"]);
        fs::write(&path, &printed.stdout).expect("written");
        let file = document(&["check", "--strategy", path.to_str().expect("text")]);
        assert_eq!(file, document(&["check", &strategy.name]), "{}", strategy.name);
    }
}

#[test]
fn a_bound_that_runs_out_is_no_pass() {
    for bound in [["--max-states", "100"], ["--max-memory", "1kB"], ["--timeout", "0s"]] {
        let output = checker(&[&["check", "generic", "--pages", "3"][..], &bound].concat());
        assert_eq!(code(&output), 3, "{bound:?}: {}", stderr(&output));
        assert!(stdout(&output).contains("inconclusive"), "{bound:?}");
        assert!(!stdout(&output).contains("∀"), "{bound:?}");
    }
    let output =
        checker(&["check", "generic", "--pages", "2", "--engine", "stateright", "--max-states", "100"]);
    assert_eq!(code(&output), 3, "stateright's silence is not a pass");
}

#[test]
fn usage_errors_exit_with_two() {
    for arguments in [
        &["check", "teleport"][..],
        &["check", "--pages", "0"],
        &["check", "--pages", "99"],
        &["check", "--hosts", "4"],
        &["check", "--property", "S11"],
        &["check", "--resume"],
        &["--defect", "none-such"],
        &["trace", "total-copy", "L1"],
        &["trace", "teleport", "S1"],
        &["explore", "generic", "--address", "0.0.0.0:3000"],
        &["list", "--format", "toml"],
    ] {
        let output = checker(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("error"), "{arguments:?}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn colour_is_a_matter_of_choice() {
    let run = |choice: &str| stdout(&checker(&["check", "total-copy", "--pages", "1", "--color", choice]));
    assert!(run("always").contains('\u{1b}'));
    assert!(!run("auto").contains('\u{1b}'), "no terminal, no colour");
    assert!(!run("never").contains('\u{1b}'));
}

#[test]
fn both_engines_agree_from_the_command_line() {
    let output = checker(&["check", "--engine", "both", "--pages", "2"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn a_checkpoint_resumes_to_the_same_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    let base = ["check", "pre-copy", "--pages", "4", "--property", "S1", "--format", "json"];
    let counts = |output: &Output| -> (Value, Value) {
        let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
        (document["runs"][0]["states"].clone(), document["runs"][0]["transitions"].clone())
    };
    let whole = checker(&base);
    let cut = checker(&[&base[..], &["--checkpoint", path, "--max-states", "500"]].concat());
    assert_eq!(code(&cut), 3);
    let resumed = checker(&[&base[..], &["--checkpoint", path, "--resume"]].concat());
    assert_eq!(code(&resumed), 0, "{}", stderr(&resumed));
    assert_eq!(counts(&resumed), counts(&whole));
    assert_ne!(counts(&cut), counts(&whole));
}

#[test]
fn stories_come_as_text_diagram_and_document() {
    let text = stdout(&checker(&["trace", "lazy-copy", "L1", "--pages", "1"]));
    assert!(text.contains("from here on nothing more happens, for ever"), "{text}");
    let mermaid =
        stdout(&checker(&["trace", "pre-copy-unbounded", "L5", "--pages", "1", "--format", "mermaid"]));
    assert!(mermaid.contains("sequenceDiagram") && mermaid.contains("loop for ever"), "{mermaid}");
    let json = checker(&["trace", "generic", "S9", "--hosts", "3", "--format", "json"]);
    let story: Value = serde_json::from_slice(&json.stdout).expect("a document");
    assert_eq!(story["actual"], "holds");
    let hops: Vec<&str> = story["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter(|line| line["step"] == "finish")
        .map(|line| line["to"].as_str().expect("a host"))
        .collect();
    assert_eq!(hops, ["B", "C"]);
}
