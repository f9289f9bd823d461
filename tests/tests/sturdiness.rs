//! What a user may do to the commands that makes no sense, or takes too long: each says what it does not do, and why.

#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use world::storm;

use common::programs::{checker, code, command, refused, stderr, stdout};

#[test]
fn every_size_has_a_bound_that_is_named() {
    refused(&["check", "--threads", "99999999999999"], 2, "say a number from 1 to 1024");
    refused(&["faults", "--threads", "0"], 2, "say a number from 1 to 1024");
    refused(&["storm", "--threads", "1025"], 2, "say a number from 1 to 1024");
    refused(&["storm", "--minutes", "18446744073709551615"], 2, "not in 1..=527040");
    refused(&["check", "--pages", "3,13"], 2, "1 to 12 pages");
    refused(&["check", "--strategy", "/dev/zero"], 2, "/dev/zero: larger than 65536 bytes");
    refused(&["log", "--scenario", "/dev/zero"], 2, "/dev/zero: larger than 65536 bytes");
    refused(&["trace", "/dev/zero", "S1"], 2, "/dev/zero: larger than 65536 bytes");
    let mut run = serde_json::to_value(storm::run(1)).expect("a run");
    for (field, number) in [("registers-len", 1u64 << 63), ("accesses-per-stay", u64::MAX)] {
        let mut changed = run.clone();
        changed["scenario"][field] = number.into();
        refused(
            &["storm", "--replay", &changed.to_string()],
            2,
            &format!("scenario.{field} is {number}: say 0 to"),
        );
    }
    run["scenario"]["layout"]["pages"] = (1 << 24).into();
    refused(&["storm", "--replay", &run.to_string()], 2, "scenario.layout.pages is 16777216: say 1 to 256");
}

#[test]
fn help_and_version_are_there_in_every_form() {
    for arguments in
        [&["help"][..], &["help", "--help"], &["help", "trace"], &["trace", "--help"], &["--version"]]
    {
        let output = checker(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
        assert!(!stdout(&output).is_empty() && stderr(&output).is_empty(), "{arguments:?}");
    }
    let whole = stdout(&checker(&["help"]));
    assert!(whole.contains("Exit codes: 0 every verdict"), "{whole}");
    assert!(stdout(&checker(&["help", "check"])).contains("50000000 for liveness"));
    refused(&["help", "teleport"], 2, "there is no command 'teleport'");
}

/// A command that reads to its end before it is asked, and then does not want to know, is left in peace.
#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    for arguments in
        [&["list"][..], &["check", "total-copy", "--pages", "1"], &["--help"], &["invariant", "generic"]]
    {
        let mut child = command("checker")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        let ended = child.wait().expect("it ends");
        assert_eq!((ended.code(), ended.signal(), said.as_str()), (Some(0), None, ""), "{arguments:?}");
    }
}

/// Starts a command, interrupts it when it has said that it is under way, and waits for its end.
fn interrupted(arguments: &[&str]) -> Output {
    let child = command("checker")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // Long enough for the handler to be there; the commands below take minutes.
    std::thread::sleep(Duration::from_secs(3));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(kill.success(), "{arguments:?} ended by itself");
    child.wait_with_output().expect("it ends")
}

#[test]
fn what_takes_long_is_interrupted_once_with_what_there_is() {
    let check = interrupted(&["check", "generic", "--pages", "7", "--property", "S1"]);
    assert_eq!(code(&check), 130, "{}", stderr(&check));
    assert!(stdout(&check).contains("generic: inconclusive: interrupted"), "{}", stdout(&check));
    let stateright = interrupted(&["check", "generic", "--pages", "5", "--engine", "stateright"]);
    assert_eq!(code(&stateright), 130, "{}", stderr(&stateright));
    assert!(stdout(&stateright).contains("generic: inconclusive: interrupted"), "{}", stdout(&stateright));
    let bounds = interrupted(&["bounds", "--pages", "9"]);
    assert_eq!(code(&bounds), 130, "{}", stderr(&bounds));
    assert!(stdout(&bounds).contains("one migration of 9 pages"), "{}", stdout(&bounds));
    let trace = interrupted(&["trace", "generic", "S1", "--pages", "7"]);
    assert_eq!((code(&trace), stdout(&trace).as_str()), (130, ""), "{}", stderr(&trace));
    let storm = interrupted(&["storm", "--runs", "100000000"]);
    assert_eq!(code(&storm), 130, "{}", stderr(&storm));
    assert!(stdout(&storm).contains("no violation"), "{}", stdout(&storm));
    for output in [&check, &stateright, &bounds, &trace, &storm] {
        assert!(stderr(output).contains("interrupted"), "{}", stderr(output));
    }
}

#[test]
fn what_takes_too_long_is_inconclusive() {
    for arguments in [
        &["check", "generic", "--pages", "5", "--engine", "stateright", "--timeout", "1s"][..],
        &["faults", "--timeout", "0s"],
        &["bounds", "--timeout", "0s"],
        &["claims", "--timeout", "0s"],
        &["check", "generic", "--pages", "5", "--engine", "stateright", "--max-memory", "1MB"],
        &["check", "generic", "--pages", "5", "--engine", "native", "--max-memory", "1MB"],
        &["trace", "generic", "S1", "--timeout", "0s"],
        &["storm", "--timeout", "0s"],
    ] {
        let output = checker(arguments);
        assert_eq!(code(&output), 3, "{arguments:?}: {}", stderr(&output));
        assert!((stdout(&output) + &stderr(&output)).contains("inconclusive"), "{arguments:?}");
    }
}

/// With the program's text on standard input.
fn fed(arguments: &[&str], text: &str) -> Output {
    let mut child = command("checker")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    child.wait_with_output().expect("it ends")
}

/// Each command takes an algorithm by name, as a file, by `--strategy`, and on standard input, and does the same.
#[test]
fn every_command_takes_an_algorithm_in_every_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("own.toml");
    let text = stdout(&checker(&["list", "--algorithm", "post-copy", "--format", "toml"]));
    std::fs::write(&path, &text).expect("written");
    let file = path.to_str().expect("text");
    let output = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let (by_name, by_file) = (output("by-name"), output("by-file"));
    // What stands for the algorithm, and what comes before and after it.
    let commands: [(&[&str], Vec<&str>); 8] = [
        (&["check"], vec!["--pages", "1", "--format", "json"]),
        (&["trace"], vec!["S1", "--pages", "1", "--format", "json"]),
        (&["faults"], vec!["--format", "json"]),
        (&["bounds"], vec!["--pages", "1", "--format", "json"]),
        (&["invariant"], vec![]),
        (&["log"], vec![]),
        (&["storm"], vec!["--runs", "20"]),
        (&["simulate"], vec!["--format", "json"]),
    ];
    for (before, after) in &commands {
        let run = |algorithm: &[&str]| checker(&[before, algorithm, after.as_slice()].concat());
        let named = without_time(&run(&["post-copy"]));
        assert_eq!(code(&run(&["post-copy"])), 0, "{before:?}");
        let ways: &[&[&str]] = match before[0] {
            // It does not read standard input, nor take a file in another way, yet.
            "simulate" => &[&[file]],
            _ => &[&[file], &["--strategy", file]],
        };
        for way in ways {
            let other = run(way);
            assert_eq!(
                without_time(&other).replace(file, "post-copy"),
                named,
                "{before:?} {way:?}: {}",
                stderr(&other)
            );
        }
        if before[0] != "simulate" {
            for way in [&["-"][..], &["--strategy", "-"]] {
                let read = fed(&[before, way, after.as_slice()].concat(), &text);
                let said = without_time(&read).replace("checker trace - ", "checker trace post-copy ");
                assert_eq!(said, named, "{before:?} {way:?}: {}", stderr(&read));
            }
        }
    }
    assert_eq!(code(&checker(&["smt", "post-copy", "--output", &by_name])), 0);
    assert_eq!(code(&fed(&["smt", "--strategy", "-", "--output", &by_file], &text)), 0);
    let manifest =
        |path: &str| std::fs::read_to_string(Path::new(path).join("manifest.json")).expect("a manifest");
    assert_eq!(manifest(&by_name), manifest(&by_file));
    // A log names its algorithm, unless one is given; a claim is held to one that is called as the built-in one.
    let log = output("log.ndjson");
    std::fs::write(&log, stdout(&checker(&["log", "post-copy"]))).expect("written");
    for conform in [
        checker(&["conform", &log]),
        checker(&["conform", &log, "--strategy", file]),
        fed(&["conform", &log, "--strategy", "-"], &text),
    ] {
        assert_eq!(code(&conform), 0, "{}", stderr(&conform));
    }
    let other = stdout(&checker(&["list", "--algorithm", "total-copy", "--format", "toml"]));
    assert_eq!(code(&fed(&["conform", &log, "--strategy", "-"], &other)), 1, "it is held to another one");
    let claim = stdout(&checker(&["claims", "C15"]));
    assert_eq!(stdout(&checker(&["claims", "C15", "--strategy", file])), claim);
    assert_eq!(stdout(&fed(&["claims", "C15", "--strategy", "-"], &text)), claim);
    refused(&["trace", "S1"], 2, "required");
    refused(&["trace", "post-copy", "S1", "--strategy", file], 2, "one algorithm at a time");
    refused(&["claims", "C3", "--strategy", "absent.toml"], 2, "absent.toml");
    let output = fed(&["check", "-", "--strategy", "-"], &text);
    assert_eq!(code(&output), 2, "standard input is read once");
    // One's own stands in for the built-in one, and the claim is about it.
    let lazy = stdout(&checker(&["list", "--algorithm", "lazy-copy", "--format", "toml"]));
    let posing = lazy.replace("name = \"lazy-copy\"", "name = \"post-copy\"");
    std::fs::write(&path, posing).expect("written");
    let own = checker(&["claims", "C15", "--strategy", file]);
    assert_ne!(stdout(&own), stdout(&checker(&["claims", "C15"])));
    std::fs::write(&path, lazy.replace("name = \"lazy-copy\"", "name = \"mine\"")).expect("written");
    refused(&["claims", "C15", "--strategy", file], 2, "the source text says nothing about 'mine'");
}

/// Results without how long they took.
fn without_time(output: &Output) -> String {
    let text = stdout(output);
    let Ok(mut document) = serde_json::from_str::<Value>(&text) else { return text };
    if let Some(runs) = document.get_mut("runs").and_then(Value::as_array_mut) {
        for run in runs {
            run["seconds"] = Value::Null;
        }
    }
    document.to_string()
}
