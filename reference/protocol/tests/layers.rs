//! Which module may know which: the ground floor knows no phase, and nothing goes round in a circle.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. Each module knows those before it, and those next to it in its own layer.
const LAYERS: [&[&str]; 12] = [
    &["page_set"],
    &["page"],
    &["memory", "wire"],
    // An algorithm and its written form.
    &["policy", "strategy_file"],
    &["work"],
    &["error"],
    &["running"],
    &["source"],
    &["destination"],
    &["host"],
    &["file_server"],
    &["ensemble", "replay", "transcript"],
];

/// Modules of one layer that know each other.
const TOGETHER: [[&str; 2]; 1] = [["policy", "strategy_file"]];

fn layer(module: &str) -> usize {
    let layer = LAYERS.iter().position(|layer| layer.contains(&module));
    layer.unwrap_or_else(|| panic!("{module} has no layer"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.flat_map(files).collect()
}

#[test]
fn every_module_knows_only_those_below_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for file in sources(&root) {
        let path = file.strip_prefix(&root).unwrap().with_extension("");
        let module = path.iter().next().unwrap().to_str().unwrap();
        if module == "lib" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for known in code.flat_map(|line| line.split("crate::").skip(1)) {
            let known =
                known.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap();
            let together = TOGETHER.iter().any(|pair| pair.contains(&module) && pair.contains(&known));
            let below = module == known || together || layer(known) < layer(module);
            assert!(below, "{} knows {known}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} imports were found");
}
