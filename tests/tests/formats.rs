//! The formats in which results are printed: tables, documents, diagrams, graphs, and their legends.

mod common;

use serde_json::Value;

use common::programs::{checker, code, refused, stderr, stdout};

#[test]
fn bounds_are_a_document_or_two_runs() {
    let output = checker(&["bounds", "pre-copy", "generic", "--pages", "2", "--format", "json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    let rows = document["migrations"].as_array().expect("rows");
    // Generic has a row for each kind of page as well.
    assert_eq!((&document["version"], &document["pages"], rows.len()), (&1.into(), &2.into(), 4));
    assert_eq!(rows[0]["bounds"]["sent"], serde_json::json!({ "minimum": 2, "maximum": 6 }));
    assert_eq!(rows[1]["bounds"]["written-back"]["maximum"], Value::Null);
    let told = stdout(&checker(&["bounds", "pre-copy", "--pages", "1", "--show", "resent"]));
    assert!(told.contains("resent at least 0") && told.contains("resent at most 2"), "{told}");
    let told = stdout(&checker(&["bounds", "generic", "--pages", "1", "--show", "written-back"]));
    assert!(told.contains("written-back without bound") && told.contains("└─ and again"), "{told}");
    refused(&["bounds", "generic", "--max-states", "100"], 3, "more than 100 states");
    // A defect shows in the figures.
    let swollen = checker(&["bounds", "generic", "--defect", "swollen-working-set", "--format", "json"]);
    let document: Value = serde_json::from_slice(&swollen.stdout).expect("one document");
    assert_eq!(document["migrations"][0]["bounds"]["frozen"]["maximum"], 3);
}

#[test]
fn claims_are_lines_details_or_a_document() {
    let output = checker(&["claims"]);
    let told = stdout(&output);
    assert_eq!(code(&output), 0, "{told}{}", stderr(&output));
    let answered = checker::claims::all().count();
    assert!(told.contains(&format!("\n{answered} answers as expected, 0 not, 0 inconclusive")), "{told}");
    assert!(told.lines().any(|line| line.starts_with("C30 not checkable")), "{told}");
    let told = stdout(&checker(&["claims", "c29"]));
    assert!(told.contains("instead:") && told.contains("working set"), "{told}");
    let output = checker(&["claims", "C15", "C22", "--defect", "demand-behind-pushes", "--format", "json"]);
    assert_eq!(code(&output), 1);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    let found = |row: usize| (&document["claims"][row]["actual"], &document["claims"][row]["as_expected"]);
    assert_eq!(found(0), (&"fails".into(), &false.into()));
    assert_eq!(found(1), (&"holds".into(), &true.into()));
}

#[test]
fn stories_come_as_text_diagram_and_document() {
    let text = stdout(&checker(&["trace", "lazy-copy", "L1", "--pages", "1"]));
    assert!(text.contains("from here on nothing more happens, for ever"), "{text}");
    let mermaid =
        stdout(&checker(&["trace", "pre-copy-unbounded", "L5", "--pages", "1", "--format", "mermaid"]));
    assert!(mermaid.contains("sequenceDiagram") && mermaid.contains("loop for ever"), "{mermaid}");
    let json = checker(&["trace", "generic", "S9", "--hosts", "3", "--format", "json"]);
    let story: Value = serde_json::from_slice(&json.stdout).expect("a document");
    assert_eq!(story["actual"], "holds");
    let hops: Vec<&str> = story["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter(|line| line["step"] == "finish")
        .map(|line| line["to"].as_str().expect("a host"))
        .collect();
    assert_eq!(hops, ["B", "C"]);
}

#[test]
fn the_legend_explains_what_is_there() {
    let legend = |arguments: &[&str]| {
        let told = stdout(&checker(arguments));
        told.lines().find(|line| line.contains(" holds for ") || line.starts_with('✗')).map(str::to_owned)
    };
    let surprise =
        legend(&["check", "generic", "--defect", "literal-generic", "--pages", "1", "--property", "S1,S2"]);
    let surprise = surprise.expect("a legend");
    assert!(
        surprise.contains("! not the expected") && !surprise.contains('?') && !surprise.contains('–'),
        "{surprise}"
    );
    let holds = legend(&["check", "post-copy", "--pages", "1", "--pages", "any", "--property", "S1"]);
    assert_eq!(holds.as_deref(), Some("∀ holds for any number of pages"));
}

/// What is judged goes into papers and spreadsheets.
#[test]
fn tables_have_other_formats() {
    let commands: [(&[&str], &str, usize); 4] = [
        (&["check", "post-copy", "--pages", "1"], "algorithm,pages,", 24),
        (&["faults", "post-copy"], "algorithm,disruption,stage,then,worst,best,steps,witness", 36),
        (&["bounds", "post-copy", "generic", "--pages", "2"], "algorithm,pages,sent_least,sent_most,", 5),
        (&["claims", "C15", "C29"], "claim,section,says,expected,actual,as_expected,because,command", 3),
    ];
    for (arguments, titles, lines) in commands {
        let written = |format: &str| stdout(&checker(&[arguments, &["--format", format]].concat()));
        let csv = written("csv");
        assert!(csv.starts_with(titles), "{csv}");
        assert_eq!(csv.lines().count(), lines, "{csv}");
        let latex = written("latex");
        assert!(latex.starts_with("\\begin{tabular}{l") && latex.is_ascii(), "{latex}");
        let markdown = written("markdown");
        let columns: Vec<usize> = markdown
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.replace("\\|", "").matches('|').count())
            .collect();
        assert!(columns.len() >= 3 && columns.iter().all(|count| *count == columns[0]), "{markdown}");
    }
    // A comma in what is said does not make a column.
    assert!(stdout(&checker(&["claims", "C29", "--format", "csv"])).contains("\nC29,\"7, 9\","));
    let runs = checker(&["bounds", "pre-copy", "--show", "resent", "--format", "latex"]);
    assert_eq!(runs.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&runs.stderr).contains("which are no table"));
}

/// Legends have the signs that stand in the table.
#[test]
fn legends_say_what_occurs() {
    let text = |arguments: &[&str]| stdout(&checker(arguments));
    assert!(!text(&["bounds", "post-copy", "--pages", "1"]).contains('∞'));
    assert!(text(&["bounds", "pre-copy-unbounded", "--pages", "1"]).contains("∞ without bound"));
    let faults = text(&["faults", "post-copy"]);
    assert!(faults.contains("in brackets the best; – where it cannot strike"), "{faults}");
    let pairs = text(&["faults", "post-copy", "--pairs"]);
    assert_eq!(pairs.contains("– where"), pairs.lines().any(|line| line.contains("  –")), "{pairs}");
}

#[test]
fn states_are_drawn_as_a_graph() {
    let dot = stdout(&checker(&["explore", "total-copy", "--pages", "1", "--dot"]));
    assert!(dot.starts_with("digraph {\n    0 [ label = \"initial\\l"), "{dot}");
    let nodes = dot.lines().filter(|line| line.contains("label = ") && !line.contains("->")).count();
    let document =
        stdout(&checker(&["check", "total-copy", "--pages", "1", "--proof", "off", "--format", "json"]));
    let document: Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(
        Some(nodes as u64),
        document["runs"][0]["orbits"].as_u64().or(document["runs"][0]["states"].as_u64())
    );
    let large = checker(&["explore", "total-copy", "--dot", "--max-states", "3"]);
    assert_eq!((large.status.code(), large.stdout.len()), (Some(3), 0));
    let run = stdout(&checker(&["trace", "lazy-copy", "L1", "--pages", "1", "--format", "dot"]));
    assert!(run.contains("0 -> 1 [ label = \"1 migrate-") && run.contains("for ever"), "{run}");
}
