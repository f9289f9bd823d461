//! `sojourn measure`: it measures where it may, and says why where it may not.

mod net;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use net::missing;

/// Nobody on this machine.
const NOBODY: u32 = 65_534;

#[test]
fn who_may_not_measure_is_told_why() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Where it is built others need not be able to go.
    let command = directory.path().join("sojourn");
    std::fs::copy(env!("CARGO_BIN_EXE_sojourn"), &command).unwrap();
    let mut measure = Command::new(&command);
    measure.args(["measure", "--goals"]).current_dir(directory.path());
    if rustix::process::geteuid().is_root() {
        measure.uid(NOBODY).gid(NOBODY);
    }
    let output = measure.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: nothing can be measured here: it needs root"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn every_goal_has_a_figure() {
    if let Some(reason) = missing() {
        eprintln!("SKIPPED: measure: {reason}");
        return;
    }
    let mut measure = Command::new(env!("CARGO_BIN_EXE_sojourn"));
    let output = measure.args(["measure", "--goals", "--repeat", "1", "--format", "json"]).output().unwrap();
    // A machine that is busy with other things misses goals.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let goals = document["goals"].as_array().unwrap();
    assert_eq!(goals.len(), 12);
    for goal in goals {
        let values: Vec<f64> =
            goal["values"].as_array().unwrap().iter().filter_map(|value| value.as_f64()).collect();
        assert!(!values.is_empty(), "{goal}");
        let plausible = match goal["unit"].as_str() {
            // Nothing is faster than its link.
            Some("%") => values.iter().all(|value| (-50.0..=130.0).contains(value)),
            _ => values.iter().all(|value| *value > 0.01 && *value < 1000.0),
        };
        assert!(plausible, "{goal}");
    }
    let left = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let own = format!("sj{:x}", std::process::id());
    assert!(!String::from_utf8_lossy(&left.stdout).contains(&own), "{left:?}");
}
