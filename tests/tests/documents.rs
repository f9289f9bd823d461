//! README, documents and examples: what they show is what the programs print, and what they link to is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The README is the door: longer, and it is a corridor.
const README_LINES_MAX: usize = 150;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The checker, built.
fn checker() -> Command {
    static CHECKER: OnceLock<escargot::CargoRun> = OnceLock::new();
    let run = CHECKER.get_or_init(|| {
        escargot::CargoBuild::new().package("checker").bin("checker").run().expect("it builds")
    });
    let mut command = run.command();
    command.env_remove("NO_COLOR");
    command
}

/// The README and what it has no room for, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let files =
        |folder: &Path| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = files(&root()).chain(files(&root().join("docs"))).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("text"))).collect()
}

/// A fenced block: what stands behind the fence, and what it holds.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap_or((block, "")))
}

/// Running times differ; everything else does not.
fn without_times(text: &str) -> String {
    let mut words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    for index in 1..words.len() {
        if words[index].starts_with("s;") || words[index].starts_with("s,") {
            words[index - 1] = "T ".to_owned();
        }
    }
    words.concat()
}

/// Runs a command of a document in a folder of its own; `> FILE` puts the output there.
fn run(command: &str, folder: &Path) -> Option<String> {
    let arguments = command
        .strip_prefix("$ cargo run -p checker")
        .or_else(|| command.strip_prefix("$ checker"))
        .map(|rest| rest.trim().trim_start_matches("-- "))?;
    let (arguments, file) =
        arguments.split_once(" > ").map_or((arguments, None), |(a, file)| (a, Some(file)));
    let output = checker().current_dir(folder).args(arguments.split_whitespace()).output().expect("it runs");
    match file {
        None => Some(everything(&output)),
        Some(file) => {
            fs::write(folder.join(file), &output.stdout).expect("written");
            Some(String::from_utf8(output.stderr).expect("text"))
        }
    }
}

/// What a person sees: the result, or where there is none the error.
fn everything(output: &Output) -> String {
    let text = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    String::from_utf8(text.clone()).expect("text")
}

/// Every `console` block whose command is the checker shows what the checker prints. A block with a file's name behind
/// its fence is that file, for the commands below it. Where an output ends in `…`, it goes on.
#[test]
fn documents_show_real_output() {
    for (path, text) in documents() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = scratch.path();
        let mut shown = 0;
        for (info, block) in blocks(&text) {
            if let Some((_, name)) = info.split_once(' ') {
                fs::write(folder.join(name), block).expect("written");
            }
            if info != "console" {
                continue;
            }
            let (command, expected) = block.split_once('\n').expect("a command and its output");
            let Some(output) = run(command, folder) else { continue };
            let (output, expected) = (without_times(&output), without_times(expected));
            match expected.trim().strip_suffix("\n…") {
                Some(begin) => assert!(output.starts_with(begin), "{}: {command}: {output}", path.display()),
                None => assert_eq!(output.trim(), expected.trim(), "{}: {command}", path.display()),
            }
            shown += 1;
        }
        let least = match path.file_name().and_then(|name| name.to_str()) {
            Some("README.md") => 2,
            Some("tutorial.md") => 8,
            Some("traces.md" | "cost.md") => 2,
            Some("faults.md") => 1,
            _ => 0,
        };
        assert!(shown >= least, "{} shows {shown} commands", path.display());
    }
}

#[test]
fn what_documents_link_to_is_there() {
    let mut seen = 0;
    for (path, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let there = path.parent().expect("a folder").join(target);
            assert!(there.exists(), "{}: {link} is not there", path.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} links");
}

/// Whatever the architecture, the recipes and the documents name in backticks as a path exists.
#[test]
fn paths_that_documents_name_exist() {
    let folders = [
        "model/",
        "reference/",
        "checker/",
        "tests/",
        "fuzz/",
        "proofs-notes/",
        "docs/",
        "examples/",
        ".ci/",
    ];
    let mut seen = 0;
    for (path, text) in documents() {
        for code in text.split('`').skip(1).step_by(2) {
            let is_path = folders.iter().any(|folder| code.starts_with(folder));
            if is_path
                && !code.contains(|c: char| {
                    c.is_whitespace() || c.is_uppercase() && c != 'R' || "*…<{".contains(c)
                })
            {
                assert!(root().join(code).exists(), "{}: {code} does not exist", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "{seen} paths");
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md")).expect("a README").lines().count();
    assert!(lines <= README_LINES_MAX, "{lines} lines");
}

/// The examples of strategies are checked as built-in algorithms are, and those of scenarios are runs of the model.
#[test]
fn examples_are_as_promised() {
    let examples = |folder: &str| {
        let entries = fs::read_dir(root().join("examples").join(folder)).expect("a folder");
        let paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        assert!(paths.len() >= 2, "{folder}: {paths:?}");
        paths
    };
    for strategy in examples("strategies") {
        let output =
            checker().args(["check", "--pages", "2", "--pages", "any", "--strategy"]).arg(&strategy).output();
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}: {}", strategy.display(), everything(&output));
    }
    let scratch = tempfile::tempdir().expect("a folder");
    for scenario in examples("scenarios") {
        let written = checker().args(["log", "--scenario"]).arg(&scenario).output().expect("it runs");
        assert_eq!(written.status.code(), Some(0), "{}: {}", scenario.display(), everything(&written));
        let log = scratch.path().join("log.ndjson");
        fs::write(&log, &written.stdout).expect("written");
        let judged = checker().arg("conform").arg(&log).output().expect("it runs");
        assert_eq!(judged.status.code(), Some(0), "{}: {}", scenario.display(), everything(&judged));
    }
}

/// Whoever writes an algorithm in a file gets its log too, and a log with a line missing is none of it.
#[test]
fn logs_are_written_and_refused() {
    let scratch = tempfile::tempdir().expect("a folder");
    let strategy = root().join("examples/strategies/warm-then-push.toml");
    for link in ["fifo", "unordered", "lossy"] {
        let written = checker().arg("log").arg(&strategy).args(["--link", link, "--moves", "3"]).output();
        let log = String::from_utf8(written.expect("it runs").stdout).expect("text");
        let conform = |lines: &[&str]| {
            let path = scratch.path().join("log.ndjson");
            fs::write(&path, lines.join("\n")).expect("written");
            let judged = checker().arg("conform").arg(&path).arg("--strategy").arg(&strategy).output();
            judged.expect("it runs").status.code()
        };
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(conform(&lines), Some(0), "{link}");
        let resumed = lines.iter().position(|line| line.contains("process-resumed")).expect("it moves");
        assert_eq!(conform(&[&lines[..resumed], &lines[resumed + 1..]].concat()), Some(1), "{link}");
    }
    for bad in [
        &["log"][..],
        &["log", "teleport"],
        &["log", "post-copy", "--pages", "0"],
        &["log", "--scenario", "absent"],
    ] {
        let output = checker().args(bad).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
        assert!(output.stdout.is_empty(), "{bad:?}");
    }
}

/// The story of the engines' example, and the processes over TCP.
#[test]
fn the_example_of_the_engines_says_what_it_proves() {
    let example =
        escargot::CargoBuild::new().package("engine").example("cache_coherence").run().expect("it builds");
    let output = example.command().output().expect("it runs");
    assert!(output.status.success());
    insta::assert_snapshot!(String::from_utf8(output.stdout).expect("text"));
}

#[test]
fn two_hosts_over_tcp_move_a_process() {
    let example =
        escargot::CargoBuild::new().package("protocol").example("over_tcp").run().expect("it builds");
    let output = example.command().output().expect("it runs");
    let text = everything(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("the process reads what it wrote"), "{text}");
    let source = fs::read_to_string(root().join("reference/protocol/examples/over_tcp.rs")).expect("text");
    assert!(source.lines().count() <= 120, "an embedding is no more than this");
}
