//! What real systems did, as `checker observe` tells it, is given to the model: a recorded run of QEMU or CRIU is one of its
//! runs, and is no longer one when a line of it is taken out.

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use common::programs::{checker, code, stderr, stdout};
use tempfile::TempDir;

/// A recorded run in a folder, and what to say of it to `observe`.
fn recorded(run: &str) -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../checker/observe/tests/recordings").join(run);
    for entry in fs::read_dir(from).expect("recordings") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("text").to_owned();
        let (name, mut bytes) = (name.trim_end_matches(".gz").to_owned(), Vec::new());
        let mut file = File::open(&path).expect("a file");
        match path.extension().is_some_and(|extension| extension == "gz") {
            true => flate2::read::GzDecoder::new(file).read_to_end(&mut bytes),
            false => file.read_to_end(&mut bytes),
        }
        .expect("its bytes");
        fs::write(folder.path().join(name), bytes).expect("it can be written");
    }
    let options: &[(&str, &str)] = match run.starts_with("criu") {
        true => &[
            ("--lazy-requests", "requests.bin"),
            ("--lazy-answers", "answers.bin"),
            ("--images", ""),
            ("--lazy-log", "lazy-pages.log"),
            ("--dump-log", "dump.log"),
        ],
        false => &[
            ("--stream", "stream.bin"),
            ("--return-path", "return-path.bin"),
            ("--recovery-stream", "recovery-stream.bin"),
            ("--recovery-return-path", "recovery-return-path.bin"),
            ("--source-trace", "source.trace"),
            ("--destination-trace", "destination.trace"),
            ("--qmp", "qmp.json"),
        ],
    };
    let system = if run.starts_with("criu") { "criu" } else { "qemu" };
    let mut arguments = vec!["observe".to_owned(), system.to_owned()];
    for (option, name) in options {
        let path = folder.path().join(name);
        if path.exists() {
            arguments.extend([(*option).to_owned(), path.display().to_string()]);
        }
    }
    (folder, arguments)
}

/// The log of steps of a recorded run, and how `observe` ended.
fn observed(run: &str) -> (TempDir, String, i32) {
    let (folder, mut arguments) = recorded(run);
    let log = folder.path().join("log.ndjson").display().to_string();
    arguments.extend(["--log".to_owned(), log.clone()]);
    let output = checker(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(stderr(&output).lines().count(), 1, "{run}: {}", stderr(&output));
    (folder, log, code(&output))
}

#[test]
fn recorded_runs_are_runs_of_the_model() {
    // Of the others a request that waited is a cost, which is told with exit code 1.
    let runs = [
        ("pre-copy", 0, "qemu-pre-copy; 4421 steps"),
        ("post-copy", 1, "qemu-post-copy; 4394 steps"),
        ("post-copy-cut-recovered", 1, "qemu-post-copy; 4415 steps"),
        ("criu-lazy", 0, "criu-lazy+push=next; 1085 steps"),
    ];
    for (run, ended, accepted) in runs {
        let (_folder, log, observed) = observed(run);
        assert_eq!(observed, ended, "{run}");
        let judged = checker(&["conform", &log]);
        assert_eq!(code(&judged), 0, "{run}: {}", stdout(&judged));
        let expected = format!("{log}: accepted: {accepted}, all consumed; 1 migration\n");
        assert_eq!(stdout(&judged), expected);

        // Each kind of line that is about a page, and those that hand the process over, once.
        let text = fs::read_to_string(&log).expect("a log");
        let mut kinds = 0;
        for kind in ["page-served", "page-installed", "state-sent", "state-accepted", "process-resumed"] {
            let Some(line) = text.lines().position(|line| line.contains(&format!("\"event\":\"{kind}\"")))
            else {
                continue;
            };
            kinds += 1;
            let without = |(number, text)| (number != line).then_some(text);
            let tampered: Vec<&str> = text.lines().enumerate().filter_map(without).collect();
            fs::write(&log, tampered.join("\n") + "\n").expect("it can be written");
            let judged = checker(&["conform", &log]);
            assert_ne!(code(&judged), 0, "{run} without line {}: {}", line + 1, stdout(&judged));
        }
        assert!(kinds >= 4, "{run}");
    }
}

/// The source let go of what the process at the destination waits for, when the connection was lost.
#[test]
fn a_run_that_lost_pages_is_none() {
    let (_folder, log, observed) = observed("criu-lazy-cut");
    assert_eq!(observed, 1);
    let judged = checker(&["conform", &log]);
    assert_eq!(code(&judged), 3, "{}", stdout(&judged));
    assert!(stdout(&judged).contains("unfinished"), "{}", stdout(&judged));
}
