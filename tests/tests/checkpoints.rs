//! Explorations that are saved: whose they are, who may go on with them, and what becomes of them.

mod common;

use std::fs::{self, File};
use std::path::Path;

use serde_json::Value;

use common::programs::{checker, code, refused, stderr, stdout};

const ALL: [&str; 3] = ["pre-copy", "generic", "post-copy"];

fn check<'a>(algorithms: &[&'a str], directory: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let options =
        ["--pages", "3", "--proof", "off", "--property", "S1", "--format", "json", "--checkpoint", directory];
    [&["check"][..], algorithms, &options, more].concat()
}

fn counts(document: &[u8]) -> Vec<(Value, Value)> {
    let document: Value = serde_json::from_slice(document).expect("a document");
    let runs = document["runs"].as_array().expect("runs").iter();
    runs.map(|run| (run["states"].clone(), run["transitions"].clone())).collect()
}

#[test]
fn several_are_resumed_and_those_not_begun_are_begun() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    let cut = checker(&check(&ALL[..2], path, &["--max-states", "100"]));
    assert_eq!(code(&cut), 3, "{}", stderr(&cut));
    let resumed = checker(&check(&ALL, path, &["--resume"]));
    assert_eq!(code(&resumed), 0, "{}", stderr(&resumed));
    let other = tempfile::tempdir().expect("a directory");
    let whole = checker(&check(&ALL, other.path().to_str().expect("text"), &[]));
    assert_eq!(counts(&resumed.stdout), counts(&whole.stdout));
}

#[test]
fn what_is_saved_is_not_lost_without_a_word() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    refused(&check(&ALL[..1], path, &["--resume"]), 2, "there is no exploration to resume");
    assert_eq!(code(&checker(&check(&ALL[..1], path, &[]))), 0);
    refused(&check(&ALL[..1], path, &[]), 2, "is an exploration, which is not begun anew");
    refused(&check(&ALL[1..2], path, &[]), 2, "is an exploration, which is not begun anew");
    assert_eq!(code(&checker(&check(&ALL[..1], path, &["--resume"]))), 0);
}

#[test]
fn a_folder_belongs_to_one_command_at_a_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    let lock = File::create(directory.path().join("lock")).expect("a file");
    fs4::fs_std::FileExt::lock_exclusive(&lock).expect("locked");
    refused(&check(&ALL[..1], path, &[]), 2, "another checker saves its explorations there");
    drop(lock);
    assert_eq!(code(&checker(&check(&ALL[..1], path, &[]))), 0);
}

/// The manifest with another text in it, and a checksum that fits.
fn forge(manifest: &Path, from: &str, to: &str) {
    let bytes = fs::read(manifest).expect("a manifest");
    let text = String::from_utf8(bytes[..bytes.len() - 4].to_vec()).expect("text");
    let forged = text.replacen(from, to, 1);
    assert_ne!(text, forged, "no {from} in the manifest");
    let sum = crc32fast::hash(forged.as_bytes()).to_le_bytes();
    fs::write(manifest, [forged.as_bytes(), &sum].concat()).expect("written");
}

#[test]
fn another_version_or_another_set_of_steps_is_another_exploration() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    assert_eq!(code(&checker(&check(&ALL[..1], path, &[]))), 0);
    let manifest = directory.path().join("pre-copy-3").join("manifest");
    let original = fs::read(&manifest).expect("a manifest");
    let text = String::from_utf8_lossy(&original).into_owned();
    let at = text.find("tables ").expect("a hash of the tables") + "tables ".len();
    let tables = &text[at..at + 16];
    let version = format!("by version {}", env!("CARGO_PKG_VERSION"));
    for (from, to) in [(tables, "0123456789abcdef"), (version.as_str(), "by version 0.0.9")] {
        forge(&manifest, from, to);
        refused(&check(&ALL[..1], path, &["--resume"]), 2, "is of another exploration");
        fs::write(&manifest, &original).expect("written");
    }
    assert_eq!(code(&checker(&check(&ALL[..1], path, &["--resume"]))), 0);
}

/// A small file system, where this machine lets us have one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_saving_and_not_the_check() {
    use std::process::Command;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs", path]).output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no small file system can be mounted here: {mounted:?}");
        return;
    }
    let output = checker(&check(&ALL[1..2], path, &[]));
    let unmounted = Command::new("umount").arg(path).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let why = document["runs"][0]["unsaved"].as_str().expect("why it is not saved");
    assert!(why.contains("cannot write") && why.contains("No space left"), "{why}");
    assert_eq!(document["runs"][0]["verdicts"][0]["actual"], "holds");
}
