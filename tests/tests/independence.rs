//! Model and reference are two independent readings of the same algorithms: neither knows the other.

use std::collections::{BTreeMap, BTreeSet};

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

#[test]
fn model_and_reference_do_not_know_each_other() {
    assert!(!dependencies("model").contains("reference"));
    assert!(!dependencies("reference").contains("model"));
}

#[test]
fn dependencies_point_one_way() {
    for package in ["model", "reference"] {
        assert!(!dependencies(package).contains("checker"));
    }
    assert!(dependencies("checker").contains("model"));
    for package in ["model", "reference", "checker"] {
        assert!(!dependencies(package).contains("conformance"));
    }
}
