//! The command line, end to end: the README's commands, exit codes, streams, documents, bad input.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use common::programs::{checker, code, command, refused, stderr, stdout};

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
        // What only another choice has can only go wrong there.
        let mut arguments = vec!["check", "--defect", &name];
        if !model::algorithms::BUILT_IN.iter().any(|strategy| strategy.name == entry.algorithm) {
            arguments.push(entry.algorithm);
        }
        let output = checker(&arguments);
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

/// Every command that is about algorithms takes a file of one in the same ways.
#[test]
fn a_strategy_file_is_taken_wherever_an_algorithm_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("own.toml");
    let printed = checker(&["list", "--algorithm", "total-copy", "--format", "toml"]);
    fs::write(&path, &printed.stdout).expect("written");
    let file = path.to_str().expect("text");
    let help = stdout(&checker(&["--help"]));
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<&str> = commands.map_while(|line| line.split_whitespace().next()).collect();
    let is_about_one = |name: &&str| stdout(&checker(&[name, "--help"])).contains("[ALGORITHM]");
    let about_one: Vec<&str> = names.into_iter().filter(is_about_one).collect();
    assert!(about_one.len() >= 11, "{about_one:?}");
    for name in about_one {
        // What it would take besides is not given, so that most end at once; none is to object to the file.
        for taken in [&["--strategy", file][..], &[file]] {
            let output = checker(&[&[name, "--no-such-option"], taken].concat());
            assert!(stderr(&output).contains("'--no-such-option'"), "{name}: {}", stderr(&output));
            let output = checker(&[&[name], taken, &["--no-such-option"]].concat());
            assert!(stderr(&output).contains("'--no-such-option'"), "{name}: {}", stderr(&output));
        }
    }
    for name in ["simulate", "bounds", "check", "storm"] {
        let output = checker(&[name, "--strategy", file]);
        assert!(code(&output) == 0 && stdout(&output).contains("total-copy"), "{name}: {}", stderr(&output));
    }
    let output = checker(&["advise", "--freeze", "10s", "--strategy", file]);
    assert!(code(&output) == 0 && stdout(&output).contains("total-copy"), "{}", stderr(&output));
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
        let alone = checker(&[&["check", "generic", "--pages", "3", "--proof", "off"][..], &bound].concat());
        assert_eq!((code(&alone), stdout(&alone).contains("∀")), (3, false), "{bound:?}");
        assert_eq!(code(&output), 3, "{bound:?}: {}", stderr(&output));
        assert!(stdout(&output).contains("inconclusive"), "{bound:?}");
        // Safety does not need the exploration: it is proved. Liveness does.
        let told = stdout(&output);
        let row = told.lines().find(|line| line.starts_with("generic")).expect("a row");
        let marks: Vec<&str> = row.split_whitespace().skip_while(|word| *word != "∀").collect();
        assert_eq!(marks.iter().filter(|mark| **mark == "∀").count(), 10, "{row}");
        assert_eq!(marks.iter().filter(|mark| **mark == "?").count(), 6, "{row}");
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
        &["check", "total-copy", "--defect", "literal-generic"],
        &["check", "generic", "--defect", "store-older", "--link", "fifo"],
        &["check", "generic", "--defect", "demand-behind-pushes", "--pages", "1"],
        &["check", "post-copy", "--defect", "resume-in-doubt", "--disruptions", "outage"],
        &["trace", "total-copy", "S1", "--defect", "literal-generic"],
        &["trace", "total-copy", "L1"],
        &["trace", "teleport", "S1"],
        &["explore", "generic", "--address", "0.0.0.0:3000"],
        &["list", "--format", "toml"],
        &["bounds", "teleport"],
        &["bounds", "--pages", "0"],
        &["bounds", "post-copy", "--show", "money"],
        &["bounds", "--show", "sent"],
        &["claims", "C31"],
        &["claims", "--defect", "none-such"],
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
    let base =
        ["check", "pre-copy", "--pages", "4", "--proof", "off", "--property", "S1", "--format", "json"];
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
fn what_cannot_be_judged_is_no_pass() {
    let engine = |engine| ["check", "generic", "--engine", engine, "--pages", "any"];
    refused(&["check", "post-copy", "--property", "L6"], 2, "L6 does not apply");
    refused(
        &["check", "generic", "--engine", "stateright", "--property", "L1"],
        2,
        "safety properties alone",
    );
    refused(&["check", "generic", "--engine", "both", "--property", "L1,L2"], 2, "safety properties alone");
    refused(&engine("both"), 2, "--pages any");
    refused(&engine("stateright"), 2, "--pages any");
    let stateright = ["check", "generic", "--pages", "1", "--engine", "stateright"];
    refused(&[&stateright[..], &["--checkpoint", "absent"]].concat(), 2, "--checkpoint");
    let alone = checker(&["check", "post-copy", "--pages", "any", "--property", "L7"]);
    assert_eq!(code(&alone), 3);
    assert!(stdout(&alone).contains("judged on concrete populations alone"), "{}", stdout(&alone));
    let beside = checker(&["check", "post-copy", "--property", "L7"]);
    assert_eq!((code(&beside), stdout(&beside).contains('?')), (0, false));
}

#[test]
fn engines_that_were_not_compared_do_not_agree() {
    // More than the states, less than the transitions.
    let bounds = ["--pages", "3", "--max-states", "600"];
    let output =
        checker(&[&["check", "post-copy", "--property", "S1", "--engine", "both"][..], &bounds].concat());
    assert_eq!(code(&output), 3);
    assert!(stdout(&output).contains("inconclusive: stateright: "), "{}", stdout(&output));
}

#[test]
fn liveness_minds_the_limits() {
    let generic = &["check", "generic", "--pages", "3", "--property", "L1"][..];
    let any = &["check", "lazy-copy", "--pages", "any", "--property", "L1"][..];
    for (base, limit) in [
        (generic, ["--max-memory", "8MB"]),
        (any, ["--max-memory", "1kB"]),
        (any, ["--timeout", "0s"]),
        (any, ["--max-states", "1"]),
    ] {
        let output = checker(&[base, &limit].concat());
        assert_eq!(code(&output), 3, "{limit:?}");
        assert!(stdout(&output).contains(": L1 inconclusive: "), "{limit:?}: {}", stdout(&output));
    }
}

#[test]
fn an_open_verdict_has_no_trace() {
    refused(&["trace", "generic", "S1", "--timeout", "0s"], 3, "S1 inconclusive: it takes longer than 0 s");
}

#[test]
fn a_strategy_file_is_shown_again_by_its_path() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("it's mine.toml");
    let printed = stdout(&checker(&["list", "--algorithm", "generic", "--format", "toml"]));
    fs::write(&path, printed.replace("\"generic\"", "\"mine\"")).expect("written");
    let file = path.to_str().expect("text");
    let quoted = format!("'{}'", file.replace('\'', r"'\''"));
    let output = checker(&["check", "--strategy", file, "--defect", "literal-generic", "--pages", "1"]);
    let told = stdout(&output);
    let again = format!("show it again: checker trace {quoted} S1 --defect literal-generic --pages 1");
    assert!(told.contains(&again), "{told}");
    let told = stdout(&checker(&["trace", file, "S1", "--defect", "literal-generic", "--pages", "1"]));
    assert!(told.contains(&again), "{told}");
}

#[test]
fn no_two_algorithms_have_one_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("twin.toml");
    fs::write(&path, checker(&["list", "--algorithm", "generic", "--format", "toml"]).stdout)
        .expect("written");
    let file = path.to_str().expect("text");
    refused(
        &["check", "generic", "--strategy", file],
        2,
        "called 'generic': the built-in one and the one in",
    );
    let output = checker(&["check", "total-copy", "--pages", "1", "--pages", "1", "--format", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let pages: Vec<&Value> =
        document["runs"].as_array().expect("runs").iter().map(|run| &run["pages"]).collect();
    assert_eq!(pages, [&Value::from(1), &Value::from("any")]);
}

#[test]
fn options_before_a_subcommand_are_refused() {
    refused(&["--defect", "literal-generic", "trace", "generic", "S1"], 2, "before 'trace'");
    refused(&["--pages", "2", "list"], 2, "before 'list'");
    for arguments in [["--color", "never", "list"], ["list", "--color", "never"]] {
        assert_eq!(code(&checker(&arguments)), 0, "{arguments:?}");
    }
}

#[test]
fn one_flag_takes_properties_with_commas() {
    let output =
        checker(&["--property", "S1,L1", "--property", "S2", "--pages", "1", "--proof", "off", "post-copy"]);
    let told = stdout(&output);
    assert_eq!(code(&output), 0);
    assert!(
        told.contains("S1  S2  L1") && told.contains("3 verdicts") && !told.contains("generic"),
        "{told}"
    );
    // Safety is proved beside it, unless it is not wanted.
    let told = stdout(&checker(&["--property", "S1,L1", "--pages", "1", "post-copy"]));
    assert!(told.contains("3 verdicts") && told.contains("∀   1"), "{told}");
    let told = stdout(&checker(&["--property", "S1", "--pages", "1", "--proof", "off", "post-copy"]));
    assert!(told.contains("\n1 verdict as expected") && told.contains("1 holds for 1 page\n"), "{told}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let of_checker = [
        &["list"][..],
        &["check", "total-copy", "--pages", "1"],
        &["trace", "lazy-copy", "L1"],
        &["faults", "total-copy"],
        &["bounds", "total-copy"],
        &["claims", "C3"],
        &["storm", "--runs", "3"],
        &["simulate", "total-copy"],
        &["simulate", "total-copy", "--runs", "1", "--format", "latex"],
        &["advise", "total-copy", "--freeze", "10s", "--runs", "1"],
        &["faults", "total-copy", "--format", "csv"],
        &["bounds", "total-copy", "--format", "markdown"],
        &["claims", "C1", "--format", "csv"],
        &["explore", "total-copy", "--pages", "1", "--dot"],
        &["log", "total-copy"],
        &["invariant", "total-copy"],
        &["completions", "bash"],
        &["help"],
        &["--help"],
        &["--version"],
    ];
    let of_recheck = [&["--help"][..], &["--version"]];
    let all = of_checker.map(|arguments| ("checker", arguments)).into_iter();
    for (program, arguments) in all.chain(of_recheck.map(|arguments| ("recheck", arguments))) {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
        let mut command = command(program);
        let output = command.args(arguments).stdout(full).stderr(Stdio::piped());
        let output = output.spawn().and_then(std::process::Child::wait_with_output).expect("it runs");
        assert_eq!(code(&output), 2, "{program} {arguments:?}");
        assert!(
            stderr(&output).starts_with("error: cannot write to standard output"),
            "{program} {arguments:?}"
        );
    }
}

#[test]
fn causes_are_named_once() {
    let output = checker(&["check", "total-copy", "--pages", "1", "--checkpoint", "/dev/null/x"]);
    assert_eq!(code(&output), 2);
    assert_eq!(stderr(&output).matches("os error").count(), 1, "{}", stderr(&output));
}

#[test]
fn an_invariant_is_judged_by_the_second_program() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("invariant.json");
    let judge = |text: &str| {
        fs::write(&path, text).expect("written");
        command("recheck").arg(&path).output().expect("it runs")
    };
    let text = stdout(&checker(&["invariant", "post-copy"]));
    let accepted = judge(&text);
    assert_eq!(code(&accepted), 0, "{}", stderr(&accepted));
    assert!(stdout(&accepted).contains("for any number of pages"));
    // The same states for an algorithm that takes other steps.
    let mutant = judge(&text.replace(r#"\"defect\":null"#, r#"\"defect\":\"resume-before-state\""#));
    assert_eq!(code(&mutant), 1, "{}{}", stdout(&mutant), stderr(&mutant));
    assert_eq!(code(&judge("{}")), 2);
    // From a number that no record has, a step would lead beyond what can be counted.
    for (field, number) in [("crossings", 1), ("older", 0)] {
        let counted = format!(r#""{field}":{number}"#);
        assert!(text.contains(&counted), "{field}");
        let forged = judge(&text.replacen(&counted, &format!(r#""{field}":255"#), 1));
        assert_eq!(code(&forged), 2, "{field}: {}", stdout(&forged));
        assert!(stderr(&forged).contains("255 is larger than 100"), "{}", stderr(&forged));
    }
    // What was proved is said, from the choices; what the file calls it is not.
    let told = stdout(&accepted);
    assert!(told.contains("S10 L1 L2 L3 L4\nof the choices of post-copy:"), "{told}");
    assert!(told.contains("with 3 hosts and a file server, fifo links, no defect, no disruption"), "{told}");
    let renamed =
        stdout(&judge(&text.replace(r#"name = \\\"post-copy\\\""#, r#"name = \\\"total-copy\\\""#)));
    assert!(renamed.contains("of the choices of post-copy:") && !renamed.contains("total-copy"), "{renamed}");
    let disrupted =
        stdout(&checker(&["invariant", "post-copy", "--disruptions", "cut", "--stage", "freeze"]));
    let told = stdout(&judge(&disrupted));
    assert!(told.contains("up to 1 disruption\n  first: cut in freeze"), "{told}");
}

/// Claims are proved one by one, or refused.
#[test]
fn an_invariant_proves_what_it_claims_and_no_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("invariant.json");
    let text = stdout(&checker(&["invariant", "lazy-copy"]));
    let claims = text.lines().find(|line| line.contains("\"claims\"")).expect("claims");
    let claiming = |list: &str, code_wanted: i32, message: &str| {
        fs::write(&path, text.replace(claims, &format!("\"claims\": {list},"))).expect("written");
        let output = command("recheck").arg(&path).output().expect("it runs");
        assert_eq!(code(&output), code_wanted, "{list}: {}", stderr(&output));
        assert!((stdout(&output) + &stderr(&output)).contains(message), "{list}: {}", stdout(&output));
    };
    claiming(r#"["S1","L4"]"#, 0, "proved for any number of pages: S1 L4");
    claiming(r#"["L1","L2"]"#, 1, "L1 is claimed, and not proved");
    claiming(r#"["S1","L7"]"#, 1, "L7 is claimed, and not proved");
    claiming("[]", 1, "it claims nothing");
    claiming(r#"["L6"]"#, 1, "L6 is claimed, which says nothing about this algorithm");
    claiming(r#"["S11"]"#, 1, "S11 is claimed, which says nothing about this algorithm");
    claiming(r#"["S99"]"#, 2, "not an invariant");
    for pages in ["0", "4", "12", "13", "18446744073709551615", "18446744073709551616"] {
        fs::write(&path, text.replace("\"view_pages\": 1", &format!("\"view_pages\": {pages}")))
            .expect("written");
        let output = command("recheck").arg(&path).output().expect("it runs");
        assert_eq!(code(&output), 2, "{pages}: {}", stdout(&output));
        assert!(stderr(&output).starts_with("error: "), "{pages}: {}", stderr(&output));
    }
    let empty = r#"{"format":"sojourn-invariant","version":1,"subject":SUBJECT,"view_pages":1,"claims":["S1"],"controls":[],"records":[],"small":[],"views":[]}"#;
    let subject = text.lines().find_map(|line| line.trim().strip_prefix("\"subject\": ")).expect("a subject");
    fs::write(&path, empty.replace("SUBJECT", subject.trim_end_matches(','))).expect("written");
    let output = command("recheck").arg(&path).output().expect("it runs");
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stdout(&output).contains("is not in the invariant"), "{}", stdout(&output));
    let output = command("recheck").arg(&path).args(["--timeout", "0s"]).output().expect("it runs");
    assert_eq!(code(&output), 1, "nothing to be done takes no time");
    fs::write(&path, &text).expect("written");
    let output = command("recheck").arg(&path).args(["--timeout", "0s"]).output().expect("it runs");
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    let output = command("recheck").arg(&path).args(["--timeout", "1h"]).output().expect("it runs");
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert_eq!(code(&command("recheck").arg("--version").output().expect("it runs")), 0);
    assert_eq!(code(&command("recheck").arg("/dev/zero").output().expect("it runs")), 2);
}

#[test]
fn conditions_and_completions_are_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("new");
    let output = checker(&["smt", "post-copy", "--output", path.to_str().expect("text")]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    // And one that says what there is.
    let files = fs::read_dir(&path).expect("a directory").count() - 1;
    assert!(files > 3 && stdout(&output).starts_with(&format!("{files} verification conditions")), "{files}");
    let script = fs::read_to_string(path.join("initiation.smt2")).expect("a script");
    assert!(script.starts_with("; {") && script.contains(r#"name = \"post-copy\""#), "{script}");
    refused(&["smt", "generic", "--output", path.to_str().expect("text")], 2, "is not empty");
    let judged = |change: &dyn Fn(&Path)| {
        let other = tempfile::tempdir().expect("a directory");
        for file in fs::read_dir(&path).expect("a directory").map(|file| file.expect("a file").path()) {
            fs::copy(&file, other.path().join(file.file_name().expect("a name"))).expect("copied");
        }
        change(other.path());
        let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/smt");
        // Without a solver on the path, what is there is judged, and nothing is solved.
        let output = std::process::Command::new("/usr/bin/env")
            .args(["-S", "PATH=/usr/bin:/bin", "python3", "-I"])
            .arg(judge)
            .arg(other.path())
            .output()
            .expect("python runs");
        (code(&output), stdout(&output) + &stderr(&output))
    };
    let consecution = "consecution.page.push.smt2";
    assert_eq!(judged(&|_| ()).0, 0, "{}", judged(&|_| ()).1);
    let (ended, told) = judged(&|there| fs::remove_file(there.join(consecution)).expect("removed"));
    assert!(ended == 1 && told.contains("required, and not there"), "{ended} {told}");
    let (ended, told) = judged(&|there| {
        let text = fs::read_to_string(there.join(consecution)).expect("a script");
        let taker = text.match_indices("(= (record stepper) r").next().expect("a taker").0;
        fs::write(there.join(consecution), text[..taker].to_owned() + &text[taker + 21..]).expect("written");
    });
    assert!(ended == 1 && told.contains("takers of the step, and there are"), "{ended} {told}");
    let (ended, told) = judged(&|there| {
        fs::write(there.join("stray.smt2"), "(set-info :status unsat)").expect("written");
    });
    assert!(ended == 1 && told.contains("stray.smt2: not named in the manifest"), "{ended} {told}");
    let (ended, told) = judged(&|there| {
        let text = fs::read_to_string(there.join(consecution)).expect("a script");
        fs::write(there.join(consecution), text.replacen("post-copy", "generic", 1)).expect("written");
    });
    assert!(ended == 1 && told.contains("of another system"), "{ended} {told}");
    assert_eq!(judged(&|there| fs::remove_file(there.join("manifest.json")).expect("removed")).0, 2);
    assert!(stdout(&checker(&["completions", "bash"])).contains("_checker()"));
}

#[test]
fn the_explorer_serves_on_loopback() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    refused(&["explore", "post-copy", "--address", &address], 2, "cannot listen on");
    drop(taken);
    let mut command = command("checker");
    let server = command.args(["explore", "post-copy", "--pages", "1", "--address", &address]);
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let page = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        Some(page)
    });
    server.kill().and_then(|()| server.wait()).expect("it ends");
    let page = page.expect("an answer");
    assert!(page.contains("200 OK") && page.contains("<html"), "{page}");
}

/// Ctrl-C cannot stop stateright, but what comes of it then is no verdict.
#[test]
fn an_interrupted_stateright_run_is_open() {
    use checker::judge::{Engine, JudgeOptions, judge};
    use checker::setting::{Pages, Setting};
    let one = std::num::NonZeroUsize::MIN;
    let setting = Setting {
        strategy: model::algorithms::BUILT_IN[0].clone(),
        hosts: model::Hosts::Two,
        link: model::Link::Fifo,
        defect: None,
        disruptions: model::Disruptions::NONE,
    };
    let options = JudgeOptions {
        properties: model::Property::S1.into(),
        engine: Engine::Stateright,
        threads: one,
        symmetry: true,
        states_max: None,
        memory_bytes_max: None,
        timeout: None,
        interrupted: &std::sync::atomic::AtomicBool::new(true),
        progress: &|_| {},
        checkpoint: None,
    };
    let run = judge(&setting, Pages::Exactly(one), &options).expect("a run");
    assert_eq!(run.inconclusive.as_deref(), Some("interrupted"));
}

#[test]
fn disruptions_are_chosen_by_name_and_number() {
    let checked = checker(&["check", "post-copy", "--budget", "1", "--pages", "1"]);
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    let text = stdout(&checked);
    assert!(text.contains("S12") && text.contains("L8") && text.contains("up to 1 disruption"), "{text}");
    let plain = stdout(&checker(&["check", "post-copy", "--pages", "1"]));
    assert!(!plain.contains("S12") && !plain.contains("disruption"), "{plain}");
    let document = stdout(&checker(&["check", "post-copy", "--disruptions", "cut", "--format", "json"]));
    let document: Value = serde_json::from_str(&document).expect("a document");
    assert_eq!(document["runs"][0]["disruptions"]["first"]["kinds"][0], "cut");
}

#[test]
fn bad_disruptions_are_refused_by_name() {
    refused(&["check", "--disruptions", "flood"], 2, "no disruption is called 'flood'");
    refused(&["check", "--budget", "3"], 2, "3 is not in 0..=2");
    let stage = ["check", "--disruptions", "cut", "--stage", "dawn"];
    refused(&stage, 2, "no stage of a migration is called 'dawn'");
    refused(&["check", "--budget", "1", "--hosts", "3"], 2, "--hosts 3 does not go with disruptions");
    refused(&["trace", "post-copy", "lost"], 2, "'lost' is what comes of a disruption");
    refused(&["trace", "post-copy", "L8"], 2, "L8 speaks of disruptions");
    refused(&["trace", "total-copy", "lost", "--disruptions", "cut"], 2, "no run of total-copy");
    refused(&["trace", "post-copy", "S99"], 2, "no property is called 'S99'");
}

/// The command in a cell shows what the cell says.
#[test]
fn a_cell_of_the_survival_table_has_its_run() {
    let document = stdout(&checker(&["faults", "post-copy", "--format", "json"]));
    let document: Value = serde_json::from_str(&document).expect("a document");
    let cells = document["cells"].as_array().expect("cells");
    let wanted = |cell: &&Value| cell["disruption"] == "crash-source" && cell["stage"] == "post-migration";
    let cell = cells.iter().find(wanted).expect("the cell");
    assert_eq!((&cell["worst"], &cell["best"]), (&Value::from("lost"), &Value::from("recovers")));
    let witness = cell["witness"].as_str().expect("a command");
    let arguments: Vec<&str> = witness.split_whitespace().skip(1).collect();
    let output = checker(&arguments);
    assert_eq!(code(&output), 0);
    let text = stdout(&output);
    assert!(text.contains("✗ crashes") && text.contains("which owed page 0: lost"), "{text}");
    assert!(text.trim_end().ends_with(&format!("show it again: {witness}")), "{text}");
}
