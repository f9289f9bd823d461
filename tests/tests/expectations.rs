//! Exit codes in both directions: what is expected of whom, and what it takes for a command to say that something is wrong.

mod common;

use std::fs;
use std::path::PathBuf;

use common::programs::{checker, code, refused, stderr, stdout};

/// A strategy file: a built-in algorithm under another name, with more lines.
fn own(directory: &tempfile::TempDir, algorithm: &str, more: &str) -> PathBuf {
    let path = directory.path().join("mine.toml");
    let printed = stdout(&checker(&["list", "--algorithm", algorithm, "--format", "toml"]));
    let choices: Vec<&str> = printed.lines().filter(|line| !line.starts_with("expect")).collect();
    let named = choices.join("\n").replace(&format!("\"{algorithm}\""), "\"mine\"");
    fs::write(&path, format!("{named}\n{more}\n")).expect("written");
    path
}

#[test]
fn of_an_algorithm_of_ones_own_everything_is_expected_unless_it_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let check = |more: &str, options: &[&str]| {
        let path = own(&directory, "lazy-copy", more);
        checker(&[&["check", "--pages", "1", path.to_str().expect("text")][..], options].concat())
    };
    let findings = check("", &[]);
    assert_eq!(code(&findings), 1, "{}", stdout(&findings));
    assert!(
        stdout(&findings).contains("✗!") && stdout(&findings).contains("mine · L1"),
        "{}",
        stdout(&findings)
    );
    assert_eq!(code(&check("expect = { L1 = \"fails\", L2 = \"fails\" }", &[])), 0);
    assert_eq!(code(&check("[expect]\nL1 = \"fails\"\nL2 = \"fails\"", &[])), 0);
    assert_eq!(code(&check("", &["--expect", "L1=fails,L2=fails"])), 0);
    assert_eq!(code(&check("", &["--expect", "L1=fails"])), 1, "L2 fails too");
    // What the command says counts for more than what the file says.
    let contradicted = check("expect = { L1 = \"fails\", L2 = \"fails\" }", &["--expect", "L2=holds"]);
    assert_eq!(code(&contradicted), 1, "{}", stdout(&contradicted));
    // A failure that was expected and does not come is as much a finding.
    let holds = check("expect = { L1 = \"fails\", L2 = \"fails\", S1 = \"fails\" }", &[]);
    assert_eq!(code(&holds), 1, "{}", stdout(&holds));
    assert!(stdout(&holds).contains("S1 holds, where a failure is expected"), "{}", stdout(&holds));
    for (more, message) in [
        ("expect = { L1 = \"perhaps\" }", "expect: say PROPERTY=holds or PROPERTY=fails"),
        ("expect = { L99 = \"fails\" }", "no property is called 'L99'"),
        ("expect = { L6 = \"fails\" }", "expect: L6 says nothing about mine"),
    ] {
        let output = check(more, &[]);
        assert_eq!(code(&output), 2, "{more}: {}", stdout(&output));
        assert!(stderr(&output).contains(message), "{more}: {}", stderr(&output));
    }
    refused(&["check", "total-copy", "--expect", "L1=fails"], 2, "--expect: L1 does not apply");
    refused(&["check", "total-copy", "--expect", "L1"], 2, "PROPERTY=fails");
}

#[test]
fn every_judging_command_says_no_where_no_is_due() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = own(&directory, "lazy-copy", "");
    let file = path.to_str().expect("text");
    let ends = |arguments: &[&str]| code(&checker(arguments));
    // The same question with two answers.
    assert_eq!(ends(&["trace", "lazy-copy", "L1", "--pages", "1"]), 0);
    assert_eq!(ends(&["trace", "lazy-copy", "L1", "--pages", "1", "--expect", "L1=holds"]), 1);
    assert_eq!(ends(&["trace", file, "L1", "--pages", "1"]), 1);
    assert_eq!(ends(&["trace", file, "L1", "--pages", "1", "--expect", "L1=fails"]), 0);
    assert_eq!(ends(&["check", "post-copy", "--pages", "1"]), 0);
    assert_eq!(ends(&["check", "post-copy", "--pages", "1", "--expect", "S1=fails"]), 1);
    assert_eq!(
        ends(&["check", "post-copy", "--pages", "any", "--property", "L1", "--expect", "L1=fails"]),
        1
    );
    assert_eq!(ends(&["check", "lazy-copy", "--pages", "1", "--expect", "L1=holds"]), 1);
    assert_eq!(ends(&["claims", "C15"]), 0);
    assert_eq!(ends(&["claims", "C15", "--defect", "demand-behind-pushes"]), 1);
    assert_eq!(ends(&["faults", "post-copy"]), 0);
    assert_eq!(ends(&["faults", "post-copy", "--defect", "lost-on-time-out"]), 1);
}

/// A pass with a defect that can do nothing would say nothing.
#[test]
fn a_defect_that_cannot_act_is_refused() {
    let idle = "the defect 'never-push' makes no difference to total-copy";
    for arguments in [&["check", "total-copy"][..], &["trace", "total-copy", "S1"], &["bounds", "total-copy"]]
    {
        refused(&[arguments, &["--defect", "never-push"]].concat(), 2, idle);
    }
    refused(&["invariant", "total-copy", "--defect", "never-push"], 2, idle);
    // One of the defects that act when something goes wrong, where nothing does.
    let undisturbed = ["check", "total-copy", "--defect", "resume-in-doubt", "--budget", "0"];
    refused(&undisturbed, 2, "makes no difference to total-copy unless something else goes wrong");
    // Among several algorithms, those on which it cannot act are named, and the others judged.
    let output = checker(&["check", "total-copy", "post-copy", "--defect", "never-push"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("never-push cannot act on total-copy: not judged"),
        "{}",
        stderr(&output)
    );
    assert!(!stdout(&output).contains("total-copy"), "{}", stdout(&output));
}

/// What is never asked of an algorithm is not kept by it.
#[test]
fn a_promise_of_which_nothing_is_asked_is_vacuous() {
    // Without a dirty map no page is ever owed, so there is no dependency to end.
    let check = |pages| {
        checker(&["check", "post-copy", "--defect", "drop-dirty-map", "--property", "L1", "--pages", pages])
    };
    let any = check("any");
    assert_eq!(code(&any), 1, "{}", stdout(&any));
    assert!(stdout(&any).contains("○!") && stdout(&any).contains("L1 is vacuous"), "{}", stdout(&any));
    let one = check("1");
    assert_eq!(code(&one), 3, "{}", stdout(&one));
    assert!(stdout(&one).contains("L1 is vacuous with 1 page: nothing is ever pending"), "{}", stdout(&one));
    // A world in which nothing is interrupted has no interruption that would have to end.
    let calm = checker(&["check", "total-copy", "--disruptions", "cancel", "--property", "L8"]);
    assert!(code(&calm) == 0 && stdout(&calm).contains("∀"), "{}", stdout(&calm));
    let outage = checker(&[
        "check",
        "total-copy",
        "--disruptions",
        "outage",
        "--stage",
        "pre-migration",
        "--property",
        "L8",
    ]);
    assert!(code(&outage) == 0 && stdout(&outage).contains('○'), "{}", stdout(&outage));
}
