//! A migration is judged while it goes on: by the real judge where it is built, and by one that objects at the worst moment.

mod net;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use net::{Net, await_that, ends_in_time, lacks, missing};

const PROGRAM: &str = "
print('begin', flush=True)
value = 1
for turn in range(60):
    for i in range(60000):
        value = (value * 6364136223846793005 + 1442695040888963407) % 2**64
    print(turn, value, flush=True)
";

fn is_skipped() -> bool {
    let reason = missing().or_else(|| lacks("python3").then(|| "python3 is not installed".to_owned()));
    reason.inspect(|reason| eprintln!("SKIPPED: judged: {reason}")).is_some()
}

fn expected() -> Vec<u8> {
    Command::new("python3").args(["-c", PROGRAM]).stdin(Stdio::null()).output().unwrap().stdout
}

/// The command `checker`, where it was built beside this one or is named.
fn checker() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_sojourn")).with_file_name("checker");
    let named = std::env::var_os("SOJOURN_CHECKER").map(PathBuf::from);
    named.or(Some(beside)).filter(|path| path.is_file())
}

#[test]
fn the_model_has_what_happens() {
    if is_skipped() {
        return;
    }
    let Some(checker) = checker() else {
        eprintln!(
            "SKIPPED: judged: the command checker is not built (cargo build -p checker, or SOJOURN_CHECKER)"
        );
        return;
    };
    for algorithm in ["post-copy", "pre-copy", "total-copy"] {
        let net = Net::new("jdg");
        let (mut child, printed) = net.start("python3", &["-c", PROGRAM]);
        let further = ["--judge", "--checker", checker.to_str().unwrap()];
        let (success, said) = net.try_migrate(0, child.0.id(), algorithm, &further);
        assert!(success && said.contains("judged: accepted"), "{algorithm}: {said}\n{}", net.logs());
        assert!(ends_in_time(&mut child.0).is_some());
        let expected = expected();
        await_that("the output is complete", || (std::fs::read(&printed).unwrap() == expected).then_some(()));
    }
}

#[test]
fn what_leaves_the_model_is_called_off() {
    if is_skipped() {
        return;
    }
    let net = Net::new("jdo");
    let judge = net.path("objects");
    // It objects to the state's being sent, which is what comes before the hand-over.
    let script = r#"#!/bin/sh
n=0
while read -r line; do
    n=$((n + 1))
    case "$line" in
    *state-sent*)
        echo '{"verdict":"rejected","line":{"log":"-","line":'$n',"text":""},"because":["a step that the model has not"]}'
        exit 1 ;;
    esac
done
echo '{"verdict":"accepted"}'
"#;
    std::fs::write(&judge, script).unwrap();
    std::fs::set_permissions(&judge, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (mut child, printed) = net.start("python3", &["-c", PROGRAM]);
    let further = ["--judge", "--checker", judge.to_str().unwrap()];
    let (success, said) = net.try_migrate(0, child.0.id(), "post-copy", &further);
    assert!(!success && said.contains("it runs on here"), "{said}");
    assert!(
        said.contains("judged: rejected: line") && said.contains("a step that the model has not"),
        "{said}"
    );
    assert_eq!(net.arrived(1), None);
    let (success, said) =
        net.try_migrate(0, child.0.id(), "post-copy", &["--judge", "--checker", "/nowhere/checker"]);
    assert!(!success && said.contains("--judge needs the command '/nowhere/checker'"), "{said}");
    assert_eq!(ends_in_time(&mut child.0), Some(true));
    assert_eq!(std::fs::read(&printed).unwrap(), expected());
}
