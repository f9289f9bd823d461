//! Random changes of real logs: lines dropped, doubled, swapped, and any field of a line changed. What is accepted all
//! the same is harmless, and why is found in the log for each ([`excuse`]). Half of the changes are of any line, which is
//! mostly about a page; of the others there are as many for each kind of line. With `TAMPERED=10000` in the environment it
//! is as many changes of each half; `proofs-notes/refinement.md` has what came of them.
//!
//! ```sh
//! TAMPERED=10000 cargo test -p tie --test tampered -- --nocapture
//! ```

mod excuse;

use std::collections::{BTreeMap, BTreeSet};

use protocol::policy::Policy;
use serde_json::{Value, json};
use steplog::event::{Event, Step};
use steplog::header::Header;
use steplog::page::PageNumber;
use steplog::place::HostId;
use tie::policy::strategy;
use tie::trace::{Objection, Rejection, TraceError, conform_steps};
use world::net::{FrameOrder, LinkConfig};
use world::storm;
use world::workload::{PageLayout, Pattern, Workload};
use world::{Ending, Scenario, World};

/// Changes where nothing else is said.
const CHANGES_DEFAULT: u64 = 2_000;

/// Runs in which things go wrong, beside those in which nothing does.
const DISRUPTED_RUNS: usize = 100;

struct Log {
    policy: Policy,
    header: Header,
    steps: Vec<Step>,
}

/// What was done to a line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Dropped,
    /// It comes again, as this line.
    Doubled(usize),
    /// With this one, which came later.
    Swapped(usize),
    /// This field has another value.
    Field(String),
    /// The message that it handles is ignored.
    Ignored,
}

/// A log with one change.
struct Changed {
    /// The line, counted from 0.
    at: usize,
    change: Change,
    steps: Vec<Step>,
}

fn undisturbed() -> Vec<Log> {
    let (jitter_ns, retransmit_after_ns) = (2_000_000, 3_000_000);
    let lossy = FrameOrder::Lossy { jitter_ns, loss_percent: 20, duplicate_percent: 20, retransmit_after_ns };
    let routes = [[0, 1, 2], [0, 1, 0]].map(|route| route.map(HostId).to_vec());
    let mut logs = Vec::new();
    for policy in Policy::ALL {
        for order in [FrameOrder::Fifo, FrameOrder::Unordered { jitter_ns }, lossy] {
            for (route, (ending, seed)) in routes.iter().zip([(Ending::Idle, 1), (Ending::Exit, 2)]) {
                let (initially_dirty_percent, noise_percent) = (50, 0);
                let (pages, file_mapped_percent) = (8, 40);
                let layout =
                    PageLayout { pages, file_mapped_percent, initially_dirty_percent, noise_percent };
                let scenario = Scenario {
                    policy: policy.clone(),
                    layout,
                    workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 300_000 },
                    link: LinkConfig { order, ..LinkConfig::FAST_ETHERNET },
                    route: route.clone(),
                    accesses_per_stay: 20,
                    registers_len: 8,
                    ending,
                    seed,
                };
                let steps = World::run(&scenario).expect("a legal scenario").log;
                logs.push(Log { policy: policy.clone(), header: scenario.header(false), steps });
            }
        }
    }
    logs
}

fn disrupted() -> impl Iterator<Item = Log> {
    let runs = (0..).map(|at| storm::run(storm::number(7, at)));
    let runs = runs.filter(|run| run.scenario.route.iter().all(|host| host.0 < 2));
    runs.take(DISRUPTED_RUNS).map(|run| {
        let mut world = World::disrupted(&run).expect("a legal scenario");
        world.finish_within(storm::RUN_STEPS_MAX).expect("it comes to its end");
        let (policy, header) = (run.scenario.policy.clone(), run.scenario.header(true));
        Log { policy, header, steps: world.log().to_vec() }
    })
}

fn pick(at: u64, what: u64, of: usize) -> usize {
    (storm::number(at, what) % of.max(1) as u64) as usize
}

/// The log with change number `at`, of line `one`.
fn changed(log: &[Step], at: u64, one: usize, is_of_a_kind: bool) -> Option<Changed> {
    let mut steps = log.to_vec();
    let change = match at % 5 {
        0 => {
            steps.remove(one);
            Change::Dropped
        }
        1 => {
            let later = one + 1 + pick(at, 2, log.len() - one);
            steps.insert(later, log[one].clone());
            Change::Doubled(later)
        }
        2 => {
            let other = (one + 1 + pick(at, 2, 12)).min(log.len() - 1);
            steps.swap(one, other);
            Change::Swapped(other)
        }
        3 if at.is_multiple_of(3) && is_of_a_kind => {
            steps[one] = ignored(&log[one])?;
            Change::Ignored
        }
        _ => {
            let (field, step) = with_other_field(&log[one], at)?;
            steps[one] = step;
            Change::Field(field)
        }
    };
    (steps != log).then_some(Changed { at: one, change, steps })
}

/// The line that ignores what this one handles.
fn ignored(step: &Step) -> Option<Step> {
    let (kind, page, number) = match (excuse::handled(&step.event), excuse::heard(&step.event)) {
        (Some((kind, page, number)), _) => (kind, Some(page), number),
        (None, kind) => (kind?, None, None),
    };
    let event = serde_json::to_value(&step.event).ok()?;
    let from = event.get("from").or(event.get("to")).and_then(Value::as_u64);
    let from = from.map_or(json!("file-server"), |host| json!({ "host": host }));
    let from = serde_json::from_value(from).ok()?;
    let event = Event::MessageIgnored { kind, page, number, from };
    Some(Step { event, ..step.clone() })
}

fn with_other_field(step: &Step, at: u64) -> Option<(String, Step)> {
    let mut value = serde_json::to_value(step).ok()?;
    let fields: Vec<_> =
        value.as_object()?.keys().filter(|key| !["event", "at_ns"].contains(&&key[..])).cloned().collect();
    let field = fields.get(pick(at, 2, fields.len()))?.clone();
    let by = 1 + pick(at, 3, 3) as u64;
    let words = words(&field);
    let other = match &value[&field] {
        _ if !words.is_empty() => words[pick(at, 3, words.len())].clone(),
        Value::Number(number) => {
            let number = number.as_u64()?;
            Value::from(if pick(at, 4, 2) == 0 { number + by } else { number.saturating_sub(by) })
        }
        Value::Bool(is_so) => Value::from(!is_so),
        Value::Null => Value::from(by),
        Value::Array(list) if list.is_empty() || pick(at, 4, 2) == 0 => {
            let more = Value::from(pick(at, 3, 3));
            Value::from(list.iter().cloned().chain([more]).collect::<Vec<_>>())
        }
        Value::Array(list) => Value::from(list[1..].to_vec()),
        // A place, or what has become of the migration.
        Value::Object(_) if pick(at, 4, 4) == 0 => Value::from("file-server"),
        Value::Object(_) | Value::String(_) => json!({ "host": pick(at, 3, 3) }),
    };
    value[&field] = other;
    Some((field, serde_json::from_value(value).ok()?))
}

/// All that may stand in a field, where that is few things.
fn words(field: &str) -> Vec<Value> {
    let causes = ["connection-lost", "timed-out", "peer-dead"];
    match field {
        "fate" => {
            let ends = ["carried-on", "forgotten", "paused"];
            let ends = ends.iter().flat_map(|end| causes.map(|cause| json!({ *end: cause })));
            let losses = [json!("runner"), json!("in-doubt"), json!({ "pages": 1 }), json!({ "pages": 2 })];
            let losses = losses.map(|loss| json!({ "lost": loss }));
            ends.chain(losses).chain([Value::Null, json!("migrated")]).collect()
        }
        "resync" => [json!("awaiting-go"), json!("running"), json!("complete"), Value::Null].into(),
        "progress" => ["awaiting-go", "running", "complete"].map(Value::from).into(),
        "kind" => [
            "page",
            "state",
            "ready",
            "go",
            "request",
            "complete",
            "destroyed",
            "exit",
            "write-back",
            "write-back-done",
            "fetch",
            "fetched",
            "cancel",
            "refuse",
            "resync",
        ]
        .map(Value::from)
        .into(),
        _ => vec![],
    }
}

#[test]
fn what_is_accepted_is_harmless() {
    let changes = std::env::var("TAMPERED").ok().and_then(|number| number.parse().ok());
    let changes = changes.unwrap_or(CHANGES_DEFAULT);
    let logs: Vec<_> = undisturbed().into_iter().chain(disrupted()).collect();
    let mut accepted: BTreeMap<&str, u64> = BTreeMap::new();
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    let (mut all, mut elsewhere, mut harmful) = (0, 0, Vec::new());
    let kinds = kinds(&logs);
    let any = |at: u64| {
        let of = pick(at, 0, logs.len());
        (of, pick(at, 1, logs[of].steps.len()))
    };
    let of_a_kind = |at: u64| {
        let lines = &kinds[pick(at, 0, kinds.len())];
        lines[pick(at, 1, lines.len())]
    };
    for at in 0..2 * changes {
        let is_of_a_kind = at >= changes;
        let (of, line) = if is_of_a_kind { of_a_kind(at) } else { any(at) };
        let log = &logs[of];
        let Some(changed) = changed(&log.steps, at, line, is_of_a_kind) else { continue };
        let strategy = strategy(&log.policy).expect("a variant of a built-in algorithm");
        all += 1;
        let why = excuse::excuse(log, &changed);
        elsewhere += u64::from(why.is_none());
        if let Err(error) = conform_steps(log.header.clone(), strategy, &changed.steps) {
            let (sentence, instead) = match error {
                TraceError::Rejected(rejection) => {
                    assert_eq!(rejection.history, history(&changed.steps, rejection.line - 2), "{at}");
                    let unexplained = matches!(rejection.objection, Objection::Unexplained(_));
                    (sentence(&rejection), if unexplained { rejection.instead } else { vec![] })
                }
                TraceError::Unfinished(unfinished) => {
                    let waits: Vec<_> =
                        unfinished.waits.iter().map(|wait| without_digits(&wait.to_string())).collect();
                    (format!("unfinished: {}", waits.join("; ")), vec![])
                }
                other => (without_digits(&other.to_string()), vec![]),
            };
            let told = told.entry(sentence).or_default();
            told.times += 1;
            told.instead.extend(instead.iter().map(|event| name(event)));
            continue;
        }
        match why {
            Some(why) => *accepted.entry(why).or_default() += 1,
            None => {
                let (name, link) = (&log.policy.name, log.header.link);
                let (change, step) = (&changed.change, &log.steps[changed.at]);
                let with = match change {
                    Change::Swapped(other) => format!(" with {:?}", log.steps[*other]),
                    _ => String::new(),
                };
                harmful.push(format!("{at}: {name}, {link:?}: {change:?}: {step:?}{with}"));
            }
        }
    }
    let sum: u64 = accepted.values().sum();
    println!("{sum} of {all} changed logs accepted; of {elsewhere} without an excuse: {}", harmful.len());
    accepted.iter().for_each(|(why, number)| println!("{number:>6}  {why}"));
    assert!(harmful.is_empty(), "{harmful:#?}");
    assert!(elsewhere * 3 > all, "most changes are excused, so little is judged: {elsewhere} of {all}");
    assert!(sum * 2 < all, "{sum} of {all} are accepted");
    if changes == CHANGES_DEFAULT {
        told.insert("accepted".to_owned(), Told { times: sum, ..Told::default() });
        objections_are_those_pinned(&told);
    }
}

/// For each kind of line, where it is: in which log, and which line of it.
fn kinds(logs: &[Log]) -> Vec<Vec<(usize, usize)>> {
    let mut kinds: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (of, log) in logs.iter().enumerate() {
        for (line, step) in log.steps.iter().enumerate() {
            kinds.entry(event_name(step)).or_default().push((of, line));
        }
    }
    kinds.into_values().collect()
}

fn event_name(step: &Step) -> String {
    let event = serde_json::to_value(&step.event).expect("an event is JSON");
    event["event"].as_str().expect("it has a name").to_owned()
}

/// What was said of changes that are alike.
#[derive(Default)]
struct Told {
    times: u64,
    /// Events that the model has there.
    instead: BTreeSet<String>,
}

/// The lines that are shown: the last two about the same page, and the last two about none.
fn history(steps: &[Step], at: usize) -> Vec<usize> {
    let last = |page: Option<PageNumber>| {
        let such = (0..at).rev().filter(move |before| excuse::page(&steps[*before].event) == page);
        such.take(2).map(|before| before + 2)
    };
    let of_page = excuse::page(&steps[at].event).map(|page| last(Some(page)));
    let mut lines: Vec<_> = of_page.into_iter().flatten().chain(last(None)).collect();
    lines.sort_unstable();
    lines
}

/// The event and the objection, of whatever page, number, host and migration.
fn sentence(rejection: &Rejection) -> String {
    without_digits(&format!("{}: {}", event_name(&rejection.step), rejection.objection))
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// An event without the page that it is about.
fn name(event: &str) -> String {
    event.split(' ').next().unwrap_or_default().to_owned()
}

/// How often each thing is said, and which events the model has instead; a new list is written beside the old one.
fn objections_are_those_pinned(told: &BTreeMap<String, Told>) {
    let line = |(sentence, told): (&String, &Told)| {
        let instead: Vec<_> = told.instead.iter().map(String::as_str).collect();
        let instead =
            if instead.is_empty() { String::new() } else { format!("\n      {}", instead.join(", ")) };
        format!("{:>4}  {sentence}{instead}\n", told.times)
    };
    let text: String = told.iter().map(line).collect();
    let path = format!("{}/tests/tampered/objections.txt", env!("CARGO_MANIFEST_DIR"));
    if std::fs::read_to_string(&path).unwrap_or_default() != text {
        let new = format!("{path}.new");
        std::fs::write(&new, text).expect("the directory can be written to");
        panic!("what is said of changed logs is not what {path} has; see {new}");
    }
}
