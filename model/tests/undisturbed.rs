//! The undisturbed protocol reads as if nothing ever went wrong: what disruptions add to its steps, and what defects make
//! of them, is said elsewhere.

use std::path::{Path, PathBuf};

const UNDISTURBED: [&str; 14] = [
    "announcement.rs",
    "channels.rs",
    "come_and_go.rs",
    "file_server.rs",
    "freeze.rs",
    "hand_over.rs",
    "link.rs",
    "log.rs",
    "memory.rs",
    "post_migration.rs",
    "pre_migration.rs",
    "pull.rs",
    "stop.rs",
    "waking.rs",
];

/// The choices about pages, threads and connections.
const CHOICES: [&str; 4] = ["channels.rs", "come_and_go.rs", "pull.rs", "waking.rs"];

/// What disruptions leave behind, by any name; and defects.
const FOREIGN: [&str; 12] = [
    "Aftermath",
    "aftermath",
    "Connection",
    "connection",
    "Leftover",
    "leftover",
    "stray",
    "Disruption",
    "disruptions",
    "Forgotten",
    "Defect",
    "defect",
];

fn moves() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/moves")
}

/// The foreign words in a file's code, with their lines; its comments may say what they like.
fn foreign_words(file: &str) -> Vec<(usize, &'static str)> {
    let text = std::fs::read_to_string(moves().join(file)).expect("a source file");
    let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.flat_map(|(line, code)| {
        FOREIGN.into_iter().filter(|word| code.contains(word)).map(move |word| (line + 1, word))
    })
    .collect()
}

#[test]
fn the_undisturbed_steps_read_nothing_that_disruptions_leave() {
    for file in UNDISTURBED.into_iter().chain(CHOICES) {
        assert_eq!(foreign_words(file), [], "moves/{file}");
    }
}

/// The words are those that the other files of the folder use; and there is no file that is neither.
#[test]
fn the_other_steps_do() {
    let folder = std::fs::read_dir(moves()).expect("the folder of the steps");
    let files = folder.map(|file| file.expect("an entry").file_name().into_string().expect("a name"));
    let others: Vec<String> =
        files.filter(|file| !UNDISTURBED.contains(&&**file) && !CHOICES.contains(&&**file)).collect();
    assert_eq!(others.len(), 8, "{others:?}");
    for file in others.iter().filter(|file| *file != "mod.rs") {
        assert!(!foreign_words(file).is_empty(), "moves/{file} is about what disruptions leave");
    }
}
