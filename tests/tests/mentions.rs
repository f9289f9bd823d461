//! What comments, documents and notes mention is there: files, types, tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

/// What looks like a type of this workspace, or like a file, and is none.
const FOREIGN: &[&str] = &["KiB", "mine.toml"];

/// Stands for a name in a path.
const PLACEHOLDER: &str = "TARGET";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of the repository with these endings, and their texts, by path from the root.
fn texts(endings: &[&str]) -> BTreeMap<String, String> {
    fn add(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "corpus" {
                add(&path, endings, found);
            } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    add(&root(), endings, &mut found);
    let from_root = |path: &Path| path.strip_prefix(root()).expect("inside").display().to_string();
    found.iter().map(|path| (from_root(path), fs::read_to_string(path).expect("text"))).collect()
}

/// A line of source: what is code, and what is comment.
fn split(line: &str) -> (&str, &str) {
    // A slash in a string is preceded by an odd number of quotes.
    let is_comment = |at: &usize| line[..*at].matches('"').count().is_multiple_of(2);
    line.match_indices("//").map(|(at, _)| at).find(is_comment).map_or((line, ""), |at| line.split_at(at))
}

/// What stands in backticks in comments and prose, with the file.
fn mentions() -> Vec<(String, String)> {
    let mut mentions = Vec::new();
    for (path, text) in texts(&[".rs", ".md"]) {
        let is_source = path.ends_with(".rs");
        let mut fenced = false;
        for line in text.lines() {
            let prose = if is_source { split(line).1 } else { line };
            fenced ^= prose.trim_start_matches(['/', '!', ' ']).starts_with("```");
            let spans = prose.split('`').skip(1).step_by(2).filter(|_| !fenced);
            mentions.extend(spans.map(|span| (path.clone(), span.to_owned())));
        }
    }
    mentions
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Capitals in the middle of a word, and small letters.
fn is_name_of_type(word: &str) -> bool {
    let inner = word.chars().skip(1).filter(|c| c.is_uppercase()).count();
    word.starts_with(|c: char| c.is_uppercase()) && inner > 0 && word.contains(|c: char| c.is_lowercase())
}

#[test]
fn types_that_are_mentioned_exist() {
    let sources = texts(&[".rs", ".toml"]);
    let known: BTreeSet<&str> =
        sources.values().flat_map(|text| text.lines()).flat_map(|line| words(split(line).0)).collect();
    let mentions = mentions();
    let types = mentions.iter().flat_map(|(path, span)| words(span).map(move |word| (path, word)));
    let types: Vec<_> = types.filter(|(_, word)| is_name_of_type(word)).collect();
    assert!(types.len() > 60, "{} types are mentioned", types.len());
    let gone: Vec<_> =
        types.into_iter().filter(|(_, word)| !known.contains(word) && !FOREIGN.contains(word)).collect();
    assert!(gone.is_empty(), "there are no such types: {gone:#?}");
}

/// Wherever a file or a folder is named: from the root, or by the end of its path.
#[test]
fn files_that_are_mentioned_exist() {
    const ENDINGS: [&str; 3] = [".rs", ".md", ".toml"];
    let files: Vec<String> = texts(&ENDINGS).into_keys().collect();
    let is_there = |span: &str| {
        let below = format!("/{span}");
        let is_at = |file: &String| match span.ends_with('/') {
            true => file.starts_with(span) || file.contains(&below),
            false => file == span || file.ends_with(&below),
        };
        files.iter().any(is_at)
    };
    let is_path = |span: &str| {
        let stem = ENDINGS.iter().chain(&["/"]).find_map(|ending| span.strip_suffix(ending));
        stem.is_some_and(|stem| {
            !stem.is_empty() && stem.chars().all(|c| c.is_alphanumeric() || "_-/".contains(c))
        })
    };
    let mentions = mentions();
    let paths = mentions.iter().filter(|(_, span)| is_path(span) && !span.contains(PLACEHOLDER));
    let paths: Vec<_> = paths.filter(|(_, span)| !FOREIGN.contains(&span.as_str())).collect();
    assert!(paths.len() > 100, "{} files are mentioned", paths.len());
    let gone: Vec<_> = paths.into_iter().filter(|(_, span)| !is_there(span)).collect();
    assert!(gone.is_empty(), "there are no such files: {gone:#?}");
}

/// `package::module`, with or without something in it: the module is a file or a folder.
#[test]
fn modules_that_are_mentioned_exist() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata works");
    let sources = |package: &str| {
        let found = metadata.packages.iter().find(|found| found.name.as_str() == package)?;
        Some(found.manifest_path.parent().expect("a folder").join("src").into_std_path_buf())
    };
    let mut seen = 0;
    let mut gone = Vec::new();
    for (path, span) in mentions() {
        let mut parts = span.split("::");
        let (Some(package), Some(module)) = (parts.next(), parts.next()) else { continue };
        let Some(folder) = sources(package) else { continue };
        if !module.starts_with(|c: char| c.is_lowercase()) {
            continue;
        }
        let module: String = module.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !folder.join(format!("{module}.rs")).exists() && !folder.join(&module).exists() {
            gone.push((path, span));
        }
        seen += 1;
    }
    assert!(seen > 15, "{seen} modules are mentioned");
    assert!(gone.is_empty(), "there are no such modules: {gone:#?}");
}

/// A command that picks tests by a name that none has would pass.
#[test]
fn tests_that_are_mentioned_exist() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata works");
    let folder = |package: &str| {
        let found = metadata.packages.iter().find(|found| found.name.as_str() == package);
        let found = found.unwrap_or_else(|| panic!("there is no package {package}"));
        let folder = found.manifest_path.parent().expect("a folder").as_std_path();
        folder.strip_prefix(root().canonicalize().expect("a folder")).expect("inside").display().to_string()
    };
    let sources = texts(&[".rs"]);
    let mut seen = 0;
    for (path, text) in texts(&[".md"]) {
        for command in text.split("cargo test -p ").skip(1) {
            let command = command.split(['`', '\n', '#']).next().unwrap_or_default();
            let mut words = command.split(" -- ").next().unwrap_or_default().split_whitespace();
            let folder = folder(words.next().unwrap_or_default());
            let target = match words.next() {
                Some("--test") => format!("{folder}/tests/{}", words.next().unwrap_or_default()),
                Some("--lib") => format!("{folder}/src/"),
                None => format!("{folder}/"),
                Some(other) => panic!("{path}: {command}: what is {other}?"),
            };
            let in_target = |file: &&String| {
                let rest = file.strip_prefix(&target);
                rest.is_some_and(|rest| target.ends_with('/') || rest == ".rs" || rest.starts_with('/'))
            };
            let files: Vec<_> = sources.keys().filter(in_target).collect();
            assert!(!files.is_empty(), "{path}: {command}: there is no such target");
            let Some(filter) = words.next() else { continue };
            let has_test = |file: &&String| {
                let functions = sources[*file].split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
                file.contains(filter) || functions.into_iter().any(|name| name.contains(filter))
            };
            assert!(files.iter().any(has_test), "{path}: {command}: there is no such test");
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} commands");
}
