//! The specification of the log of steps says what the log is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use protocol::policy::Policy;
use serde_json::json;
use steplog::event::{Event, read_log};
use steplog::header::Header;
use steplog::place::HostId;
use world::net::LinkConfig;
use world::workload::{PageLayout, Pattern, Workload};
use world::{Ending, Scenario, World};

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/step-log.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands in the only block of this language.
fn block<'a>(document: &'a str, language: &str) -> &'a str {
    let (_, after) = document.split_once(&format!("```{language}\n")).expect("a block");
    after.split_once("```").expect("its end").0
}

/// The run of the example.
fn scenario() -> Scenario {
    Scenario {
        policy: Policy::POST_COPY,
        layout: PageLayout {
            pages: 2,
            file_mapped_percent: 0,
            initially_dirty_percent: 50,
            noise_percent: 0,
        },
        workload: Workload { pattern: Pattern::Sequential, write_percent: 50, interval_ns: 300_000 },
        link: LinkConfig::FAST_ETHERNET,
        route: vec![HostId(0), HostId(1)],
        accesses_per_stay: 1,
        registers_len: 2,
        ending: Ending::Idle,
        seed: 3,
    }
}

#[test]
fn the_example_is_the_log_of_a_run() {
    let document = document();
    let documented = block(&document, "json");
    let (scenario, mut log) = (scenario(), Vec::new());
    let report = World::run(&scenario).unwrap();
    scenario.header(false).write_with(&report.log, &mut log).unwrap();
    let log = String::from_utf8(log).unwrap();
    assert_eq!(documented, log, "the run is\n{log}");
    let (header, steps) = documented.split_once('\n').unwrap();
    let header: Header = serde_json::from_str(header).unwrap();
    assert_eq!(header, scenario.header(false));
    let steps: Vec<_> = read_log(steps.as_bytes()).collect::<Result<_, _>>().unwrap();
    assert_eq!(steps, report.log);
    let has = |wanted: fn(&Event) -> bool| steps.iter().any(|step| wanted(&step.event));
    assert!(has(|event| matches!(event, Event::DestructionLearned { at_rest: true, .. })), "it is complete");
}

/// The names of all events, as the reader of logs knows them: it lists them where it is given another one.
fn events() -> BTreeSet<String> {
    let error = serde_json::from_str::<Event>(r#"{"event":"?"}"#).unwrap_err().to_string();
    let (_, expected) = error.split_once("expected one of").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fields of an event, in brackets those without which it is read: the others are added one by one until it can be.
fn fields_of(event: &str) -> BTreeSet<String> {
    let mut line = json!({ "event": event });
    let read = loop {
        match serde_json::from_value::<Event>(line.clone()) {
            Ok(event) => break event,
            Err(error) => {
                let missing = error.to_string();
                let missing = missing.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
                let missing = missing.unwrap_or_else(|| panic!("{event}: {error}"));
                line[missing] = sample(event, missing);
            }
        }
    };
    let written = serde_json::to_value(read).unwrap();
    let fields = written.as_object().unwrap().keys().filter(|field| *field != "event");
    let bracketed = |field: &String| match line.get(field) {
        Some(_) => format!("`{field}`"),
        None => format!("[`{field}`]"),
    };
    // What is written only where it is so.
    let flag = (event == "process-suspended").then(|| "[`switched`]".to_owned());
    fields.map(bracketed).chain(flag).collect()
}

/// Something that the field of the event can be.
fn sample(event: &str, field: &str) -> serde_json::Value {
    match (event, field) {
        ("message-ignored", "from") | ("page-faulted", "asked") => json!({ "host": 1 }),
        ("peer-disconnected" | "peer-timed-out" | "peer-connected", "peer") => json!("file-server"),
        (_, "told" | "discarded" | "owed_again" | "requested") => json!([]),
        (_, "registers" | "bytes") => json!("00"),
        (_, "at_rest" | "woken") => json!(true),
        (_, "kind") => json!("page"),
        (_, "progress") => json!("running"),
        _ => json!(1),
    }
}

#[test]
fn every_event_has_its_row() {
    let document = document();
    let (_, table) = document.split_once("| event | its fields").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut named = BTreeSet::new();
    for row in rows {
        let [name, fields, duty, inferred] =
            row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("{row}");
        };
        let name = name.trim_matches('`').to_owned();
        // What may be missing is inferred from something, and what must be there is not.
        let may_be_missing = duty.starts_with("if seen");
        assert!(may_be_missing || duty == "must", "{row}");
        assert_eq!(inferred.is_empty(), !may_be_missing, "{row}");
        let documented = fields.split(", ").filter(|field| !field.is_empty()).map(str::to_owned);
        assert_eq!(documented.collect::<BTreeSet<_>>(), fields_of(&name), "{name}");
        assert!(named.insert(name), "{row}");
    }
    assert_eq!(named, events());
    assert!(named.len() > 40);
}
