//! One word, one thing: public types whose name is taken elsewhere in the workspace, counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// As many names may be defined more than once.
const DOUBLED_MAX: usize = 20;

/// Names that two packages, or two modules, share knowingly.
const SHARED: &[&str] = &[
    // The model and the reference are two readings of the same choices and of the same things.
    "Channels",
    "Clean",
    "Contradiction",
    "Disruption",
    "Fallback",
    "Freeze",
    "HandOver",
    "Link",
    "LogReading",
    "Migration",
    "Missing",
    "Passes",
    "Plan",
    "Pre",
    "Push",
    "Rest",
    "Start",
    "Stop",
    "WriteBack",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != "tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The public types that a file defines outside of its tests.
fn types(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter_map(|line| {
        let rest = line.strip_prefix("pub ")?;
        let rest = ["struct ", "enum ", "trait "].into_iter().find_map(|kind| rest.strip_prefix(kind))?;
        rest.split(|c: char| !c.is_alphanumeric()).next()
    })
}

/// Every name with the files that define it.
fn names() -> BTreeMap<String, Vec<PathBuf>> {
    let mut files = Vec::new();
    ["model", "reference", "checker", "fuzz"]
        .iter()
        .for_each(|folder| sources(&root().join(folder), &mut files));
    let mut names = BTreeMap::<_, Vec<_>>::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("text");
        types(&text).for_each(|name| names.entry(name.to_owned()).or_default().push(file.clone()));
    }
    names
}

#[test]
fn no_name_is_taken_twice_unknowingly() {
    let names = names();
    assert!(names.len() > 250, "{} types", names.len());
    let doubled: Vec<_> = names.iter().filter(|(_, files)| files.len() > 1).collect();
    println!("{} of {} names are defined more than once", doubled.len(), names.len());
    for (name, files) in &doubled {
        println!(
            "  {name}: {}",
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
        );
    }
    assert!(doubled.len() < DOUBLED_MAX, "{} names are defined more than once", doubled.len());
    let new: Vec<_> = doubled.iter().filter(|(name, _)| !SHARED.contains(&name.as_str())).collect();
    assert!(new.is_empty(), "say whose they are: {new:?}");
}

/// The search sees what it is to see.
#[test]
fn types_are_found_and_those_of_tests_are_not() {
    let text =
        "pub struct Owned;\nstruct Private;\npub enum Choice<T> {}\n#[cfg(test)]\npub struct Tested;\n";
    assert_eq!(types(text).collect::<Vec<_>>(), ["Owned", "Choice"]);
}
