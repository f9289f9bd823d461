//! Outcomes for people and for programs.

mod advice;
mod csv;
mod paper;

pub use advice::{advice_table, comparison_table, downtime_table};
pub use csv::{advice_rows, comparison_rows, downtime_rows, paper_rows, rows, sweep_rows};
pub use paper::paper_table;

use serde::Serialize;
use steplog::place::Place;

use super::bounds::{Bounded, PAGES};
use super::summary::{Spread, Summary};
use super::sweep::{Point, Sweep, Unit};
use super::{
    CostModel, DESTINATION, DirtyMarks, Divergence, Intervals, SOURCE, SimulatedWorkload, SimulationOutcome,
    SimulationSetup, Span,
};
use crate::bounds::Cost;
use crate::sheet::{Sheet, SheetTable};

/// Version of the JSON documents.
const VERSION: u32 = 2;

/// One migration, simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationRun {
    /// The setting.
    pub setup: SimulationSetup,
    /// What the first run cost.
    pub outcome: SimulationOutcome,
    /// What all runs have come to.
    pub summary: Summary,
    /// What the first run cost between what any run can cost at least and at most; empty where the model does not have
    /// the setting.
    pub bounds: Vec<Bounded>,
}

/// A parameter over a range, simulated for some algorithms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Swept {
    /// The parameter and its range.
    pub sweep: Sweep,
    /// For each algorithm the points of its curve.
    pub curves: Vec<Vec<Point>>,
}

/// What one way between places carries, in the order in which it is printed.
const WAYS: [(&str, Place, Place); 4] = [
    ("A→B", Place::Host(SOURCE), Place::Host(DESTINATION)),
    ("A→S", Place::Host(SOURCE), Place::FileServer),
    ("B→S", Place::Host(DESTINATION), Place::FileServer),
    ("S→B", Place::FileServer, Place::Host(DESTINATION)),
];

/// A row for each algorithm.
pub fn table(runs: &[SimulationRun]) -> Sheet {
    let ways = WAYS.map(|(name, ..)| name);
    let waits = ["stall", "p50", "p99", "faults"];
    let titles =
        ["pre", "freeze", "post", "total"].into_iter().chain(waits).chain(ways).chain(["again", "MB"]);
    let mut table = SheetTable::new(std::iter::once("algorithm").chain(titles));
    let mut has_spread = false;
    for SimulationRun { setup, outcome, summary, .. } in runs {
        let times = [
            (summary.pre_migration_ns, outcome.pre_migration),
            (summary.freeze_ns, outcome.freeze),
            (summary.post_migration_ns, outcome.post_migration),
            (summary.total_ns, outcome.total()),
        ];
        let counts = WAYS.map(|(_, from, to)| pages_sent(outcome, from, to).to_string());
        let percentiles = [outcome.stalls.median_ns, outcome.stalls.p99_ns].map(|ns| ms(ns as f64 / 1e6));
        let times =
            times.map(|(spread, first)| spread.map_or_else(|| span(first), |spread| spread_ms(&spread)));
        has_spread |= times.iter().any(|time| time.contains('±'));
        let row = std::iter::once(setup.policy.name.to_string())
            .chain(times)
            .chain(std::iter::once(ms(summary.stall_ns.mean / 1e6)))
            .chain(percentiles)
            .chain(std::iter::once(format!("{:.0}", summary.faults.mean)))
            .chain(counts)
            .chain([outcome.pages.sent_again.to_string(), format!("{:.1}", summary.bytes.mean / 1e6)]);
        table.add(row);
    }
    let Some(first) = runs.first() else { return Sheet::default() };
    let remarks = runs.iter().flat_map(|run| {
        let divergence = run.outcome.divergence.map(|divergence| never_ends(&run.setup, divergence));
        let switch = run.outcome.switched.then(|| {
            let (name, passes) = (&run.setup.policy.name, run.outcome.passes);
            format!(
                "{name}: the downtime target was missed: after {passes} passes the process was resumed, and what was left followed."
            )
        });
        divergence.into_iter().chain(switch)
    });
    let legend = [LEGEND.to_owned()].into_iter().chain(signs(&table, runs));
    let means = match (first.summary.runs, has_spread) {
        (1, _) => "One run.".to_owned(),
        (count, true) => {
            format!("Means of {count} runs, ± the standard deviation; p50, p99 and pages of the first.")
        }
        (count, false) => format!("Means of {count} runs; p50, p99 and pages of the first."),
    };
    let lines = legend.chain([means, in_words(&first.setup)]).chain(remarks);
    let sheet = Sheet::from(table).lines(lines);
    match bounds_table(runs) {
        Some((table, legend)) => sheet.text("").table(table).lines(legend),
        None => sheet,
    }
}

/// What the signs mean that stand in the table.
fn signs(table: &SheetTable, runs: &[SimulationRun]) -> Option<String> {
    let has = |endless: fn(&SimulationRun) -> bool| runs.iter().any(endless);
    let endless = [
        (
            has(|run| run.outcome.post_migration == Span::Endless),
            "depends on the source as long as some page is not touched",
        ),
        (has(|run| run.outcome.divergence.is_some()), "copying never ends"),
    ];
    let endless: Vec<&str> =
        endless.into_iter().filter(|(is_so, _)| *is_so).map(|(_, words)| words).collect();
    let mut signs = Vec::new();
    if table.shows("∞") {
        signs.push(format!("∞: {}", endless.join(", or ")));
    }
    if table.shows("–") {
        signs.push("–: it does not come to that".to_owned());
    }
    (!signs.is_empty()).then(|| format!("{}.", signs.join("; ")))
}

/// A mean, and how far single runs are from it.
fn spread_ms(spread: &Spread) -> String {
    let (mean, deviation) = (spread.mean / 1e6, spread.deviation / 1e6);
    if deviation < 0.05 { ms(mean) } else { format!("{mean:.1} ±{deviation:.1}") }
}

/// For each algorithm and cost what any run costs at least, what this one cost, and what any costs at most; and what that
/// means.
fn bounds_table(runs: &[SimulationRun]) -> Option<(SheetTable, Vec<String>)> {
    let titles = Cost::ALL.into_iter().filter(|cost| runs.iter().any(|run| of(run, *cost).is_some()));
    let titles: Vec<Cost> = titles.collect();
    if titles.is_empty() {
        return None;
    }
    let header =
        titles.iter().map(|cost| if *cost == Cost::Bytes { "MB".to_owned() } else { cost.to_string() });
    let mut table = SheetTable::new(std::iter::once("least ≤ here ≤ most".to_owned()).chain(header));
    for run in runs {
        let cells = titles.iter().map(|cost| of(run, *cost).map_or("–".to_owned(), between));
        table.add(std::iter::once(run.setup.policy.name.to_string()).chain(cells));
    }
    let [fewer, more] = PAGES;
    let mut signs = String::new();
    for (sign, meaning) in [("∞", "without bound"), ("–", "the model does not have this setting")] {
        if table.shows(sign) {
            signs += &format!("; {sign} {meaning}");
        }
    }
    if runs.iter().flat_map(|run| &run.bounds).any(|bounded| !bounded.is_within()) {
        signs += "; ! which no run can have";
    }
    let legend = vec![
        format!(
            "least, most: over all interleavings and workloads, continued from {fewer} and {more} pages{signs} (checker bounds)."
        ),
        "MB: contents of pages alone".to_owned(),
    ];
    Some((table, legend))
}

fn of(run: &SimulationRun, cost: Cost) -> Option<&Bounded> {
    run.bounds.iter().find(|bounded| bounded.cost == cost)
}

fn between(bounded: &Bounded) -> String {
    let Bounded { cost, simulated, least, most } = bounded;
    let number = |count: u64| match cost {
        Cost::Bytes => format!("{:.1}", count as f64 / 1e6),
        _ => count.to_string(),
    };
    let most = most.map_or("∞".to_owned(), number);
    let mark = if bounded.is_within() { "" } else { "!" };
    format!("{} ≤ {}{mark} ≤ {most}", number(*least), number(*simulated))
}

const LEGEND: &str = "pre, freeze, post, total: time in Pre-migration, Migration and Post-migration, in ms; stall: time \
                      for which the running process\nwaited for pages, in all; p50, p99: a single wait of fifty and of \
                      ninety-nine in a hundred. Then pages: faults that asked another\nplace; sent from A, the source, to \
                      B, the destination, to and from the file server S; sent to B again. MB: all messages.";

/// The setting, but for the algorithm.
pub fn in_words(setup: &SimulationSetup) -> String {
    let bytes = |bytes: u64| Unit::Bytes.show(bytes as f64);
    let time = |ns: u64| Unit::Nanoseconds.show(ns as f64);
    let dirty_share =
        if setup.workload == SimulatedWorkload::All { super::Fraction::ALL } else { setup.dirty_share };
    let (unsaved, of_whom) = match setup.unsaved_share {
        Some(share) => (format!(" ({share} of them unsaved)"), " of the others"),
        None => (String::new(), ""),
    };
    let zero = match setup.zero_share {
        super::Fraction::NONE => String::new(),
        share => format!(", {share} zero"),
    };
    let log = match setup.log {
        DirtyMarks::Page => setup
            .look_ns()
            .map_or("page".to_owned(), |every_ns| format!("page, looked at every {}", time(every_ns))),
        DirtyMarks::Pass => "pass".to_owned(),
    };
    format!(
        "{} in pages of {}, {} of them file-mapped{unsaved}, {dirty_share}{of_whom} modified{zero}; {}; dirty log by {log}; seed {}\n{}",
        bytes(setup.memory_bytes),
        bytes(setup.page_size_bytes),
        setup.mapped_share,
        process_in_words(setup, time),
        setup.seed,
        costs_in_words(&setup.costs, setup, bytes, time)
    )
}

fn process_in_words(setup: &SimulationSetup, time: impl Fn(u64) -> String) -> String {
    let least = setup.accesses_min;
    match &setup.workload {
        SimulatedWorkload::None => "the process touches nothing".to_owned(),
        SimulatedWorkload::All => "every page modified and touched at the worst moment".to_owned(),
        SimulatedWorkload::Measured(profile) => {
            let last = profile.curve.last().copied().unwrap_or_default();
            format!(
                "measured accesses: {} pages written and {} touched in {}",
                last.written,
                last.touched,
                time(last.after_ns)
            )
        }
        SimulatedWorkload::Listed(list) => {
            format!("{} listed accesses every {}, over and over", list.accesses.len(), time(list.period_ns))
        }
        workload => {
            let threads =
                if setup.threads > 1 { format!("{} threads, ", setup.threads) } else { String::new() };
            let drawn = if setup.intervals == Intervals::Drawn { "on average" } else { "exactly" };
            let window = match setup.touched_share {
                super::Fraction::ALL => String::new(),
                share => format!(" to {share} of the pages"),
            };
            format!(
                "{threads}{} accesses{window}, one every {} {drawn}, {} of them writes, {least} or more",
                name(workload),
                time(setup.access_interval_ns),
                setup.write_share
            )
        }
    }
}

fn costs_in_words(
    costs: &CostModel,
    setup: &SimulationSetup,
    bytes: impl Fn(u64) -> String,
    time: impl Fn(u64) -> String,
) -> String {
    let framing = match costs.framing {
        Some(_) => {
            format!(" on the line, {} of it payload", Unit::BitsPerSecond.show(costs.goodput_bits_per_s()))
        }
        None => " of payload".to_owned(),
    };
    let window = costs.window_bytes.map_or(String::new(), |window| format!(", window {}", bytes(window)));
    let mut software = Vec::new();
    for (what, ns) in [
        ("freeze", costs.freeze_ns),
        ("more with mapped files", costs.mapped_freeze_ns),
        ("with outdated pages", costs.drop_ns),
        ("pass", costs.pass_ns),
        ("page", costs.page_ns.max(costs.install_ns)),
        ("fault", costs.fault_ns),
        ("request", costs.serve_ns),
        ("pause of the line for a request", costs.request_pause_ns),
    ] {
        if ns > 0 {
            software.push(format!("{what} {}", time(ns)));
        }
    }
    let description = match costs.description_bytes {
        0 => String::new(),
        described => format!(" and {} that describe it", bytes(described)),
    };
    let downtime =
        setup.stop.downtime_ns.map_or(String::new(), |target| format!("; downtime target {}", time(target)));
    format!(
        "{}{framing} and {} between places, send buffer {}{window}, state {}{description}; {}{downtime}",
        Unit::BitsPerSecond.show(costs.bandwidth_bits_per_s as f64),
        time(costs.latency_ns),
        bytes(costs.buffer_bytes(setup.page_size_bytes)),
        bytes(costs.state_bytes),
        software.join(", ")
    )
}

fn name(workload: &SimulatedWorkload) -> &'static str {
    match workload {
        SimulatedWorkload::Uniform => "uniform",
        SimulatedWorkload::Sequential => "sequential",
        SimulatedWorkload::Zipf => "zipf",
        SimulatedWorkload::WorkingSet => "working-set",
        SimulatedWorkload::Local => "local",
        SimulatedWorkload::Measured(_) => "measured",
        SimulatedWorkload::Listed(_) => "listed",
        SimulatedWorkload::None => "no",
        SimulatedWorkload::All => "all",
    }
}

/// Why copying never ends, and what would end it: as the run has shown.
pub fn never_ends(setup: &SimulationSetup, divergence: Divergence) -> String {
    let Divergence {
        passes,
        passes_in_vain,
        fewest_left,
        most_left,
        freeze_ns,
        writes_per_s,
        pages_per_s,
        ..
    } = divergence;
    let writes = match (&setup.workload, writes_per_s) {
        (SimulatedWorkload::All, _) => "pages as fast as they are sent".to_owned(),
        (_, Some(rate)) => format!("{rate:.0} times a second"),
        (_, None) => "as measured".to_owned(),
    };
    let least_ms = freeze_ns.div_ceil(100_000) as f64 / 10.0;
    format!(
        "{}: copying never ends: each of the last {passes_in_vain} of {passes} passes left {fewest_left} to {most_left} \
         pages, and no fewer than before. The process writes {writes}; the link carries {pages_per_s:.0} pages a second. \
         It ends with a downtime target of {least_ms:.1}ms.",
        setup.policy.name
    )
}

fn pages_sent(outcome: &SimulationOutcome, from: Place, to: Place) -> u64 {
    outcome.sent.iter().filter(|sent| (sent.from, sent.to) == (from, to)).map(|sent| sent.pages).sum()
}

/// One number of a point, as text.
type Show = fn(&Point) -> String;

/// For each measure a row for each algorithm and a column for each value.
pub fn sweep_table(swept: &Swept) -> Sheet {
    let Swept { sweep, curves } = swept;
    let unit = sweep.parameter.unit();
    let measures: [(&str, Show); 4] = [
        ("freeze in ms", |point| mean_ms(point.summary.freeze_ns, point.outcome.freeze)),
        ("total in ms", |point| mean_ms(point.summary.total_ns, point.outcome.total())),
        ("faults", |point| format!("{:.0}", point.summary.faults.mean)),
        ("MB", |point| format!("{:.1}", point.summary.bytes.mean / 1e6)),
    ];
    let mut sheet = Sheet::default();
    let mut signs = String::new();
    for (measure, show) in measures {
        let values = sweep.values().into_iter().map(|value| unit.show(value));
        let mut table = SheetTable::new(std::iter::once(measure.to_owned()).chain(values));
        for curve in curves {
            let name = curve.first().map_or(String::new(), |point| point.setup.policy.name.to_string());
            table.add(std::iter::once(name).chain(curve.iter().map(show)));
        }
        for (sign, meaning) in [("∞", "it never ends"), ("–", "it does not come to that")] {
            if table.shows(sign) && !signs.contains(sign) {
                signs += &format!("{sign}: {meaning}; ");
            }
        }
        sheet = sheet.table(table).text("");
    }
    let first = curves.first().and_then(|curve| curve.first());
    let setup = first.map_or(String::new(), |point| in_words(&point.setup));
    sheet.text(format!("{signs}{} is swept; at its first value:\n{setup}", sweep.parameter))
}

fn mean_ms(spread: Option<Spread>, first: Span) -> String {
    spread.map_or_else(|| span(first), |spread| ms(spread.mean / 1e6))
}

fn span(span: Span) -> String {
    match span {
        Span::Ns(ns) => ms(ns as f64 / 1e6),
        Span::Endless => "∞".to_owned(),
        Span::NotReached => "–".to_owned(),
    }
}

fn ms(ms: f64) -> String {
    format!("{ms:.1}")
}

/// One JSON document.
#[derive(Serialize)]
pub struct SimulationDocument<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

impl<T: Serialize> SimulationDocument<T> {
    /// The document with this content.
    pub fn new(content: T) -> Self {
        Self { version: VERSION, content }
    }
}
