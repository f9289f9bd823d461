//! A result that cannot be written is an error, and no panic.

use std::fs::{File, OpenOptions};
use std::process::{Child, Command, Stdio};

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("a full device")
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let (key, root, pid) = (path("key"), path(""), std::process::id().to_string());
    for arguments in [
        &["--help"][..],
        &["migrate", "--help"],
        &["--version"],
        &["completions", "bash"],
        &["key", "--out", &key],
        &["check", &pid],
        &["check", &pid, "--format", "json"],
        &["status", "--format", "json"],
        &["cancel", "4294967295"],
        &["host", "--listen", "127.0.0.1:0"],
        &["store", "--listen", "127.0.0.1:0", "--root", &root],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sojourn"));
        let command = command.args(arguments).stdin(Stdio::null()).stdout(full()).stderr(Stdio::piped());
        let output = command.spawn().and_then(Child::wait_with_output).expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("error: cannot write to standard output"), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}
