//! `checker advise`, end to end: who meets what is asked for, the exit code, the table, bad input.

use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

fn advise(arguments: &[&str]) -> Output {
    static CHECKER: OnceLock<escargot::CargoRun> = OnceLock::new();
    let checker = CHECKER.get_or_init(|| {
        let build = escargot::CargoBuild::new().package("checker").bin("checker");
        build.run().expect("it builds")
    });
    let mut command: Command = checker.command();
    command.arg("advise").args(arguments).output().expect("the checker runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn who_meets_it_is_said_and_the_exit_code_says_whether_anybody_does() {
    let met = advise(&["total-copy", "post-copy", "--freeze", "50ms", "--format", "json"]);
    assert_eq!(met.status.code(), Some(0));
    let document: Value = serde_json::from_slice(&met.stdout).expect("JSON");
    let [total, post] = [0, 1].map(|at| &document["advice"][at]);
    assert_eq!((&total["misses"], &post["misses"]), (&serde_json::json!(["freeze"]), &serde_json::json!([])));
    assert!(post["margin"].as_f64().is_some_and(|margin| margin > 0.5), "{post}");
    assert!(total["remedies"][0]["bandwidth"].as_u64().is_some_and(|rate| rate > 1_000_000_000), "{total}");
    let none = advise(&["total-copy", "lazy-copy", "--freeze", "1ms", "--runs", "1"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none).contains("nothing that was tried"), "{}", text(&none));
}

/// What is said to help does.
#[test]
fn a_remedy_helps() {
    let missed = advise(&["total-copy", "--freeze", "50ms", "--runs", "1", "--format", "json"]);
    let document: Value = serde_json::from_slice(&missed.stdout).expect("JSON");
    let rate = document["advice"][0]["remedies"][0]["bandwidth"].as_u64().expect("a rate");
    let at = |rate: u64| {
        let rate = format!("{rate}bit/s");
        advise(&["total-copy", "--freeze", "50ms", "--runs", "1", "--bandwidth", &rate]).status.code()
    };
    assert_eq!((at(rate), at(rate * 9 / 10)), (Some(0), Some(1)));
}

#[test]
fn rates_and_downtimes_make_a_table() {
    let arguments = ["--table", "--bandwidths", "100Mbit/s,1Gbit/s", "--downtimes", "10ms,500ms"];
    let output = advise(&[&arguments[..], &["--access-interval", "100us", "--write-share", "1"]].concat());
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output);
    let rows: Vec<&str> = table.lines().filter(|line| line.contains("bit/s")).collect();
    assert!(rows.len() == 2 && rows[0].contains('–') && !rows[1].contains('–'), "{table}");
}

#[test]
fn advice_is_a_table_elsewhere_too() {
    let arguments = ["post-copy", "total-copy", "--freeze", "50ms", "--runs", "1", "--format"];
    let csv = text(&advise(&[&arguments[..], &["csv"]].concat()));
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((rows.len(), rows[1][..3].to_vec()), (3, vec!["post-copy", "true", ""]), "{csv}");
    assert_eq!(rows[2][..3], ["total-copy", "false", "freeze"], "{csv}");
    let table = ["--table", "--bandwidths", "100Mbit/s", "--downtimes", "10ms,500ms", "--format", "csv"];
    assert_eq!(text(&advise(&table)).lines().count(), 3);
    let latex = text(&advise(&[&arguments[..], &["latex"]].concat()));
    assert!(latex.is_ascii() && latex.contains("total-copy & no"), "{latex}");
}

/// Every preset is one for every command that has presets.
#[test]
fn every_preset_can_be_asked_about() {
    for preset in ["paper", "qemu", "criu", "sojourn"] {
        let output = advise(&["lazy-copy", "--freeze", "500ms", "--runs", "1", "--preset", preset]);
        assert_eq!(output.status.code(), Some(0), "{preset}: {}", text(&output));
        let table = ["--table", "--bandwidths", "1Gbit/s", "--downtimes", "500ms", "--preset", preset];
        assert_eq!(advise(&table).status.code(), Some(0), "{preset}");
    }
}

#[test]
fn bad_input_is_refused_by_name() {
    for (arguments, culprit) in [
        (&[][..], "--freeze"),
        (&["--freeze", "soon"], "--freeze"),
        (&["--slowdown", "150%"], "not a share"),
        (&["no-such-algorithm", "--freeze", "1s"], "no-such-algorithm"),
        (&["--freeze", "1s", "--bandwidths", "1Gbit/s"], "cannot be used with"),
    ] {
        let output = advise(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(culprit), "{arguments:?}: {error}");
    }
}
