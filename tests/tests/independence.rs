//! Model and reference are two independent readings of the same algorithms: neither knows the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cargo_metadata::{MetadataCommand, PackageId};

/// Every package that `of` depends on, directly or not, by name.
fn dependencies(of: &str) -> BTreeSet<String> {
    let metadata = MetadataCommand::new().exec().expect("cargo metadata works");
    let names: BTreeMap<&PackageId, String> =
        metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    let nodes = &metadata.resolve.as_ref().expect("a resolved graph").nodes;
    let start = names.iter().find(|(_, name)| *name == of).expect("the package").0;
    let mut open: Vec<&PackageId> = vec![start];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        let node = nodes.iter().find(|node| node.id == *id).expect("a node");
        open.extend(node.dependencies.iter().filter(|dependency| seen.insert(names[dependency].clone())));
    }
    seen
}

/// The packages of `reference/`.
const REFERENCE: [&str; 4] = ["steplog", "protocol", "cost", "world"];

#[test]
fn model_and_reference_do_not_know_each_other() {
    for package in REFERENCE {
        assert!(!dependencies("model").contains(package), "model knows {package}");
        assert!(!dependencies(package).contains("model"), "{package} knows model");
    }
}

#[test]
fn the_log_of_steps_stands_alone_and_the_protocol_knows_no_world() {
    for package in ["protocol", "world"] {
        assert!(!dependencies("steplog").contains(package), "steplog knows {package}");
    }
    assert!(dependencies("protocol").contains("steplog"));
    assert!(!dependencies("protocol").contains("cost"));
    assert!(!dependencies("protocol").contains("world"));
}

/// Whoever brings processes or foreign systems in knows the contract and nothing that judges by it.
#[test]
fn the_operating_system_and_the_parsers_know_no_protocol() {
    let of_the_workspace = |of: &str| -> Vec<String> {
        let known = dependencies(of).into_iter();
        known
            .filter(|name| {
                ["population", "model", "engine", "tie", "checker", "observe", "linux", "sojourn"]
                    .iter()
                    .chain(&REFERENCE)
                    .any(|package| package == name)
            })
            .collect()
    };
    assert_eq!(of_the_workspace("linux"), [""; 0]);
    assert_eq!(of_the_workspace("observe"), ["steplog"]);
}

#[test]
fn the_engine_knows_no_migration() {
    for package in ["model", "tie"].iter().chain(&REFERENCE) {
        assert!(!dependencies("engine").contains(*package), "engine knows {package}");
    }
    // What model and engine share is the shape of a system, and nothing else.
    let shared = dependencies("population");
    assert!(!shared.contains("model") && !shared.contains("engine"), "the shape knows who uses it");
}

#[test]
fn dependencies_point_one_way() {
    for package in ["model", "engine"].iter().chain(&REFERENCE) {
        assert!(!dependencies(package).contains("checker"), "{package} knows checker");
    }
    assert!(dependencies("checker").contains("model"));
    for package in ["model", "engine", "tie", "checker"].iter().chain(&REFERENCE) {
        assert!(!dependencies(package).contains("conformance"), "{package} knows its tests");
    }
}

/// The steps of a migration in which nothing goes wrong read nothing that disruptions leave behind.
#[test]
fn undisturbed_steps_know_no_disruptions() {
    let moves = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/src/moves");
    let words = |file: &str| {
        let text = fs::read_to_string(moves.join(file).with_extension("rs")).expect("text").to_lowercase();
        let code = text.lines().filter_map(|line| line.split("//").next()).collect::<Vec<_>>().join("\n");
        ["aftermath", "leftover", "stray", "connection"].map(|word| code.contains(word))
    };
    let undisturbed =
        ["memory", "pre_migration", "freeze", "hand_over", "post_migration", "file_server", "link"];
    for file in undisturbed {
        assert_eq!(words(file), [false; 4], "{file}");
    }
    assert_eq!(words("hindrance"), [true; 4], "they are where they are looked for");
}
