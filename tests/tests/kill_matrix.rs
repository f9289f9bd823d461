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
use checker::setting::{Pages, Setting};
use enumset::EnumSet;
use model::defects::{DEFECTS, Entry};
use model::{Link, Strategy, algorithms};
use tie::flaws::Flaw;

use common::{exactly, run};

const NOTE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proofs-notes/kill-matrix.md");

/// The defect in an algorithm, in the world that it needs to show.
fn broken(entry: &Entry, strategy: Strategy) -> (Setting, Pages) {
    let (hosts, link, disruptions) = (entry.hosts, entry.link, entry.disruptions());
    let setting = Setting { strategy, hosts, link, defect: Some(entry.defect), disruptions };
    (setting, exactly(if entry.link == Link::Lossy { 1 } else { 2 }))
}

/// What a defect does to an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Caught,
    CannotAct,
    /// It changes steps, and no verdict.
    Harmless,
}

fn fate(entry: &Entry, strategy: Strategy) -> Fate {
    let (setting, pages) = broken(entry, strategy);
    if setting.defect_acts(pages).is_err() {
        return Fate::CannotAct;
    }
    // What must catch it comes first: most often it does.
    let surprise =
        |properties| run(&setting, pages, properties, Engine::Native).conclusion() == Conclusion::Surprise;
    let applies = setting.applies(entry.caught_by);
    match (applies && surprise(entry.caught_by.into())) || surprise(EnumSet::all()) {
        true => Fate::Caught,
        false => Fate::Harmless,
    }
}

/// Every defect on every algorithm: caught, or unable to act; there is no third kind.
#[test]
fn a_defect_is_caught_or_cannot_act() {
    let mut idle = 0;
    for entry in DEFECTS {
        for strategy in algorithms::BUILT_IN {
            let name = strategy.name.clone();
            let fate = fate(&entry, strategy);
            idle += usize::from(fate == Fate::CannotAct);
            assert_ne!(fate, Fate::Harmless, "{} on {name}", entry.defect);
        }
    }
    assert!(idle > 100, "{idle} pairs without effect");
}

/// The computed cells of a row: the defect, where it shows, what catches it there, and where it can do nothing.
fn row(entry: &Entry) -> [String; 5] {
    let (setting, pages) =
        broken(entry, algorithms::built_in(entry.algorithm).expect("a built-in algorithm"));
    let run = run(&setting, pages, EnumSet::all(), Engine::Native);
    let caught = run.verdicts.iter().filter(|verdict| run.conclusion_of(verdict) == Conclusion::Surprise);
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
    let cannot = |strategy: &Strategy| {
        let (setting, pages) = broken(entry, strategy.clone());
        setting.defect_acts(pages).is_err()
    };
    let idle: Vec<_> =
        algorithms::BUILT_IN.into_iter().filter(cannot).map(|strategy| strategy.name.into_owned()).collect();
    let idle = if idle.is_empty() { "–".to_owned() } else { idle.join(", ") };
    [format!("`{}`", entry.defect), place, caught.join(" "), seeded, idle]
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
    let computed: Vec<[String; 5]> = DEFECTS.iter().map(row).collect();
    for (entry, [defect, _, caught, ..]) in DEFECTS.iter().zip(&computed) {
        let by: Vec<&str> = caught.split(' ').collect();
        assert!(by.contains(&entry.caught_by.to_string().as_str()), "{defect} is caught by {caught} alone");
    }
    let lines = computed.iter().map(|cells| format!("| {} |", cells.join(" | ")));
    let table = lines.collect::<Vec<_>>().join("\n");
    println!("{table}");
    let same = computed.iter().all(|cells| noted.get(&cells[0]).is_some_and(|row| row[..] == cells[..]));
    assert!(same && noted.len() == computed.len(), "the note differs; its rows should be:\n{table}");
}
