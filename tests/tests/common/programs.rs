//! The checker's programs, run as a user runs them.

use std::process::{Command, Output};
use std::sync::OnceLock;

/// One of the checker's programs, built.
pub fn command(program: &str) -> Command {
    static CHECKER: OnceLock<escargot::CargoRun> = OnceLock::new();
    static RECHECK: OnceLock<escargot::CargoRun> = OnceLock::new();
    let run = if program == "recheck" { &RECHECK } else { &CHECKER }.get_or_init(|| {
        let build = escargot::CargoBuild::new().package("checker").bin(program);
        build.run().expect("it builds")
    });
    let mut command = run.command();
    command.env_remove("NO_COLOR");
    command
}

/// Runs the checker.
pub fn checker(arguments: &[&str]) -> Output {
    command("checker").args(arguments).output().expect("the checker runs")
}

/// What it said on standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What it said on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// How it ended.
pub fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

/// Fails with this code, says this on standard error, and prints no result.
pub fn refused(arguments: &[&str], code_wanted: i32, message: &str) {
    let output = checker(arguments);
    assert_eq!(code(&output), code_wanted, "{arguments:?}: {}", stderr(&output));
    assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    assert_eq!(stdout(&output), "", "{arguments:?}");
}
