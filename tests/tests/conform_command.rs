//! `checker conform`, end to end: what it says of a log, and of several that are merged.

mod common;

use std::fs;
use std::path::Path;

use common::programs::{checker, code, stderr, stdout};
use serde_json::Value;

/// The lines of a log, its header first.
fn log(algorithm: &str) -> Vec<String> {
    stdout(&checker(&["log", algorithm])).lines().map(str::to_owned).collect()
}

fn find(lines: &[String], event: &str) -> usize {
    let is_event = |line: &String| line.contains(&format!("\"{event}\""));
    lines.iter().position(is_event).unwrap_or_else(|| panic!("no {event}"))
}

fn written<'a>(path: &'a Path, lines: &[String]) -> &'a str {
    fs::write(path, lines.join("\n")).expect("written");
    path.to_str().expect("text")
}

/// The report on these logs, in both forms.
fn reported(paths: &[&str], code_wanted: i32) -> (Value, String) {
    let json = checker(&[&["conform", "--format", "json"], paths].concat());
    let text = checker(&[&["conform"], paths].concat());
    assert_eq!((code(&json), code(&text)), (code_wanted, code_wanted), "{}", stderr(&json));
    (serde_json::from_str(&stdout(&json)).expect("a report"), stdout(&text))
}

/// A line that is wrong is shown whole, with its number; those before it are what they are in the log, or their beginning.
#[test]
fn a_rejection_quotes_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log.ndjson");
    let mut lines = log("post-copy");
    let write = find(&lines, "page-written");
    let with = |offset: u64| {
        let mut step: Value = serde_json::from_str(&lines[write]).expect("a step");
        (step["offset"], step["bytes"]) = (offset.into(), "00".repeat(100).into());
        step.to_string()
    };
    let (right, wrong) = (with(0), with(4090));
    lines.splice(write..=write, [right, wrong.clone()]);
    let name = written(&path, &lines);
    let (report, text) = reported(&[name], 1);
    assert_eq!(report["verdict"], "rejected");
    assert_eq!(report["line"]["line"], write + 2, "{report}");
    let shown = report["line"]["text"].as_str().expect("text");
    assert_eq!(serde_json::from_str::<Value>(shown).ok(), serde_json::from_str::<Value>(&wrong).ok());
    let history = report["history"].as_array().expect("lines");
    assert!(!history.is_empty());
    for quoted in history {
        let line = quoted["line"].as_u64().expect("a number") as usize;
        let shown = quoted["text"].as_str().expect("text");
        assert!(line <= write + 1);
        assert!(lines[line - 1].starts_with(shown.trim_end_matches('…')) && !shown.is_empty(), "{quoted}");
        assert!(text.contains(&format!("\n  before it, line {line}: {shown}")), "{text}");
    }
    let last = history.last().and_then(|quoted| quoted["text"].as_str()).expect("text");
    assert!(last.ends_with('…') && last.chars().count() == 161, "{last}");
    assert!(text.starts_with(&format!("{name}: rejected\nline {}: {shown}\n  ", write + 2)), "{text}");
    let instead = report["instead"].as_array().expect("events");
    let instead: Vec<_> = instead.iter().map(|event| event.as_str().expect("text")).collect();
    assert!(!instead.is_empty());
    assert!(text.contains(&format!("\n  the model has here: {}\n", instead.join(", "))), "{text}");
}

/// Where a log stops, and who waits for what, is said; how many steps were right is counted.
#[test]
fn an_unfinished_log_says_how_far_it_is_right() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log.ndjson");
    let lines = log("post-copy");
    let handed_over = find(&lines, "process-handed-over");
    let name = written(&path, &lines[..=handed_over]);
    let (report, text) = reported(&[name], 3);
    assert_eq!(
        (&report["verdict"], &report["lines"]),
        (&"unfinished".into(), &handed_over.into()),
        "{report}"
    );
    let because = report["because"].as_array().expect("reasons");
    let because: String =
        because.iter().map(|wait| format!("\n  {}", wait.as_str().expect("text"))).collect();
    assert!(!because.is_empty());
    assert_eq!(text, format!("{name}: unfinished{because}\n"));
}

/// Logs of one run are one log, and each line is named by the file that it is in.
#[test]
fn several_logs_are_judged_as_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let lines = log("post-copy");
    let places = [r#""place":{"host":0}"#, r#""place":{"host":1}"#, r#""place":"file-server""#];
    let split = |lines: &[String]| {
        let logs = places.iter().enumerate().map(|(at, place)| {
            let own = lines.iter().enumerate().filter(|(line, text)| *line == 0 || text.contains(place));
            let own: Vec<_> = own.map(|(_, text)| text.clone()).collect();
            let path = directory.path().join(format!("{at}.ndjson"));
            (written(&path, &own).to_owned(), own)
        });
        logs.collect::<Vec<_>>()
    };
    let judged = |lines: &[String], code_wanted| {
        let logs = split(lines);
        let names: Vec<_> = logs.iter().map(|(name, _)| &name[..]).collect();
        let (report, text) = reported(&names, code_wanted);
        assert_eq!(report["logs"], Value::from(names.clone()));
        (report, text, logs)
    };
    assert_eq!(split(&lines).iter().map(|(_, own)| own.len() - 1).sum::<usize>(), lines.len() - 1);
    let (report, text, _) = judged(&lines, 0);
    let steps = lines.len() - 1;
    assert_eq!((&report["verdict"], &report["lines"]), (&"accepted".into(), &steps.into()), "{report}");
    assert!(text.contains(&format!(": accepted: post-copy; {steps} steps, all consumed; ")), "{text}");

    // Of what is said of a line, the file and its number lead to it.
    let is_there = |quoted: &Value, logs: &[(String, Vec<String>)], text: &str| {
        let (name, own) = logs.iter().find(|(name, _)| *name == quoted["log"]).expect("one of them");
        let line = quoted["line"].as_u64().expect("a number") as usize;
        let shown = quoted["text"].as_str().expect("text");
        assert_eq!(shown, own[line - 1]);
        assert!(text.contains(&format!("{name}, line {line}: {shown}")), "{text}");
    };
    let installed = find(&lines, "page-installed");
    let mut twice = lines.clone();
    twice.insert(installed + 1, lines[installed].clone());
    let (report, text, logs) = judged(&twice, 1);
    assert_eq!(report["verdict"], "rejected");
    is_there(&report["line"], &logs, &text);
    let history = report["history"].as_array().expect("lines");
    assert!(!history.is_empty());
    history.iter().for_each(|quoted| is_there(quoted, &logs, &text));

    // A message that nobody sends, and one that is sent after what comes of it.
    let (sent, learned) = (find(&lines, "state-sent"), find(&lines, "readiness-learned"));
    let declared = find(&lines, "readiness-declared");
    let mut unsent = lines.clone();
    unsent.remove(declared);
    let (report, text, logs) = judged(&unsent, 1);
    assert_eq!(report["verdict"], "rejected");
    assert_eq!(report["because"], Value::from(vec!["a message is handled that nobody has sent"]));
    assert_eq!(report["history"], Value::Null);
    is_there(&report["line"], &logs, &text);
    let mut early = lines.clone();
    let learns = early.remove(learned);
    early.insert(sent, learns);
    let (report, text, logs) = judged(&early, 1);
    assert_eq!(report["because"], Value::from(vec!["a message is handled before it can have been sent"]));
    let history = report["history"].as_array().expect("a line");
    assert_eq!(history.len(), 1);
    is_there(&report["line"], &logs, &text);
    is_there(&history[0], &logs, &text);
}
