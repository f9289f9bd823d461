//! The kill matrix: every defect, all properties that catch it, and the same error seeded into the reference, which
//! `seeded.rs` sees noticed. `proofs-notes/kill-matrix.md` has it.
//!
//! ```sh
//! cargo test -p conformance --test kill_matrix -- --nocapture
//! ```

mod common;

use std::collections::BTreeMap;
use std::fs;

use checker::judge::Engine;
use checker::report::Conclusion;
use checker::setting::Setting;
use common::{exactly, run};
use enumset::EnumSet;
use model::defects::{DEFECTS, Entry};
use model::{Link, algorithms};
use tie::flaws::Flaw;

const NOTE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proofs-notes/kill-matrix.md");

/// The computed cells of a row: the defect, where it shows, and what catches it there.
fn row(entry: &Entry) -> [String; 4] {
    let setting = Setting {
        strategy: algorithms::built_in(entry.algorithm).expect("a built-in algorithm"),
        hosts: entry.hosts,
        link: entry.link,
        defect: Some(entry.defect),
        disruptions: entry.disruptions(),
    };
    let pages = exactly(if entry.link == Link::Lossy { 1 } else { 2 });
    let run = run(&setting, pages, EnumSet::all(), Engine::Native);
    let caught = run.verdicts.iter().filter(|verdict| verdict.conclusion() == Conclusion::Surprise);
    let caught: Vec<String> = caught.map(|verdict| verdict.property.to_string()).collect();
    let mut place = entry.algorithm.to_owned();
    if entry.link != Link::Fifo {
        place += &format!(", {}", entry.link);
    }
    if let Some(disruption) = entry.disruption {
        place += &format!(", {disruption}");
    }
    let seeded = Flaw::ALL.into_iter().filter(|flaw| flaw.defect() == Some(entry.defect));
    let seeded: Vec<String> = seeded.map(|flaw| format!("`{flaw:?}`")).collect();
    let seeded = if seeded.is_empty() { "–".to_owned() } else { seeded.join(" ") };
    [format!("`{}`", entry.defect), place, caught.join(" "), seeded]
}

/// The note's rows by their first cell.
fn noted(note: &str) -> BTreeMap<String, Vec<String>> {
    let rows = note.lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).map(|cells: Vec<String>| (cells[0].clone(), cells)).collect()
}

#[test]
fn the_note_has_what_is_computed() {
    let note = fs::read_to_string(NOTE).expect("the note");
    let noted = noted(&note);
    let computed: Vec<[String; 4]> = DEFECTS.iter().map(row).collect();
    for (entry, [defect, _, caught, _]) in DEFECTS.iter().zip(&computed) {
        let by: Vec<&str> = caught.split(' ').collect();
        assert!(by.contains(&entry.caught_by.to_string().as_str()), "{defect} is caught by {caught} alone");
    }
    let lines = computed.iter().map(|cells| format!("| {} |", cells.join(" | ")));
    let table = lines.collect::<Vec<_>>().join("\n");
    println!("{table}");
    let same = computed.iter().all(|cells| noted.get(&cells[0]).is_some_and(|row| row[..] == cells[..]));
    assert!(same && noted.len() == computed.len(), "the note differs; its rows should be:\n{table}");
}
