//! Outcomes for people and for programs.

mod csv;
mod paper;

pub use csv::{csv, paper_csv, sweep_csv};
pub use paper::paper_table;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table, TableComponent};
use serde::Serialize;
use steplog::place::Place;

use super::bounds::{Bounded, PAGES};
use super::sweep::{Point, Sweep, Unit};
use super::{DESTINATION, Divergence, Outcome, SOURCE, Setup, Span, Workload};
use crate::bounds::Cost;

/// Version of the JSON documents.
const VERSION: u32 = 1;

/// One migration, simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// The setting.
    pub setup: Setup,
    /// What it cost.
    pub outcome: Outcome,
    /// The same between what any run can cost at least and at most; empty where the model does not have the setting.
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
pub fn table(runs: &[Run]) -> String {
    let ways = WAYS.map(|(name, ..)| name);
    let titles =
        ["pre", "freeze", "post", "total", "stall", "faults"].into_iter().chain(ways).chain(["again", "MB"]);
    let mut table = plain(std::iter::once("algorithm").chain(titles));
    for Run { setup, outcome, .. } in runs {
        let times = [outcome.pre_migration, outcome.freeze, outcome.post_migration, outcome.total()];
        let counts = WAYS.map(|(_, from, to)| pages_sent(outcome, from, to).to_string());
        let row = std::iter::once(setup.policy.name.to_string())
            .chain(times.map(span))
            .chain([ms(outcome.stall_ns as f64 / 1e6), outcome.faults.remote().to_string()])
            .chain(counts)
            .chain([outcome.pages.sent_again.to_string(), format!("{:.1}", outcome.bytes() as f64 / 1e6)]);
        add(&mut table, row);
    }
    let divergences = runs.iter().filter_map(|run| Some((&run.setup, run.outcome.divergence?)));
    let remarks: String = divergences.map(|(setup, divergence)| never_ends(setup, divergence)).collect();
    let setup = runs.first().map_or(String::new(), |run| in_words(&run.setup));
    format!("{table}\n{LEGEND}\n{setup}\n{remarks}{}", bounds_table(runs))
}

/// For each algorithm and cost what any run costs at least, what this one cost, and what any costs at most.
fn bounds_table(runs: &[Run]) -> String {
    let titles = Cost::ALL.into_iter().filter(|cost| runs.iter().any(|run| of(run, *cost).is_some()));
    let titles: Vec<Cost> = titles.collect();
    if titles.is_empty() {
        return String::new();
    }
    let header =
        titles.iter().map(|cost| if *cost == Cost::Bytes { "MB".to_owned() } else { cost.to_string() });
    let mut table = plain(std::iter::once("least ≤ here ≤ most".to_owned()).chain(header));
    for run in runs {
        let cells = titles.iter().map(|cost| of(run, *cost).map_or("–".to_owned(), between));
        add(&mut table, std::iter::once(run.setup.policy.name.to_string()).chain(cells));
    }
    let [fewer, more] = PAGES;
    format!(
        "\n{table}\nleast, most: over all interleavings and workloads, continued from {fewer} and {more} pages; ∞ without \
         bound (checker bounds).\nMB: contents of pages alone"
    )
}

fn of(run: &Run, cost: Cost) -> Option<&Bounded> {
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
                      for which the running process\nwaited for pages. Then pages: faults that asked another place; \
                      sent from A, the source, to B, the destination, to and from\nthe file server S; sent to B again. \
                      MB: all messages. ∞: depends on the source as long as some page is not touched.";

/// The setting, but for the algorithm.
pub fn in_words(setup: &Setup) -> String {
    let bytes = |bytes: u64| Unit::Bytes.show(bytes as f64);
    let time = |ns: u64| Unit::Nanoseconds.show(ns as f64);
    let process = match setup.workload {
        Workload::None => "the process touches nothing".to_owned(),
        Workload::All => "every page modified and touched at the worst moment".to_owned(),
        _ => format!(
            "{} accesses, one every {}, {} of them writes, {} or more",
            name(setup.workload),
            time(setup.access_interval_ns),
            setup.write_share,
            setup.accesses_min
        ),
    };
    format!(
        "{} in pages of {}, {} of them file-mapped, {} modified; {process}; seed {}\n{} and {} between places, send \
         buffer {}, state {}, pause for a request {}",
        bytes(setup.memory_bytes),
        bytes(setup.page_size_bytes),
        setup.mapped_share,
        if setup.workload == Workload::All { super::Share::ALL } else { setup.dirty_share },
        setup.seed,
        Unit::BitsPerSecond.show(setup.bandwidth_bits_per_s as f64),
        time(setup.latency_ns),
        bytes(setup.send_buffer_bytes),
        bytes(setup.state_bytes),
        time(setup.request_pause_ns),
    )
}

fn name(workload: Workload) -> &'static str {
    match workload {
        Workload::Uniform => "uniform",
        Workload::Sequential => "sequential",
        Workload::Zipf => "zipf",
        Workload::WorkingSet => "working-set",
        Workload::None => "no",
        Workload::All => "all",
    }
}

fn never_ends(setup: &Setup, divergence: Divergence) -> String {
    let Divergence { passes, pages_left, writes_per_s, pages_per_s } = divergence;
    let writes = writes_per_s
        .map_or("pages as fast as they are sent".to_owned(), |rate| format!("{rate:.0} times a second"));
    format!(
        "{}: copying never ends: after {passes} passes {pages_left} pages are out of step again. The process writes \
         {writes}; the link carries {pages_per_s:.0} pages a second, and copying ends if fewer are written.\n",
        setup.policy.name
    )
}

fn pages_sent(outcome: &Outcome, from: Place, to: Place) -> u64 {
    outcome.sent.iter().filter(|sent| (sent.from, sent.to) == (from, to)).map(|sent| sent.pages).sum()
}

/// One number of an outcome, as text.
type Show = fn(&Outcome) -> String;

/// For each measure a row for each algorithm and a column for each value.
pub fn sweep_table(swept: &Swept) -> String {
    let Swept { sweep, curves } = swept;
    let unit = sweep.parameter.unit();
    let measures: [(&str, Show); 4] = [
        ("freeze in ms", |outcome| span(outcome.freeze)),
        ("total in ms", |outcome| span(outcome.total())),
        ("faults", |outcome| outcome.faults.remote().to_string()),
        ("MB", |outcome| format!("{:.1}", outcome.bytes() as f64 / 1e6)),
    ];
    let tables = measures.map(|(measure, show)| {
        let values = sweep.values().into_iter().map(|value| unit.show(value));
        let mut table = plain(std::iter::once(measure.to_owned()).chain(values));
        for curve in curves {
            let name = curve.first().map_or(String::new(), |point| point.setup.policy.name.to_string());
            add(&mut table, std::iter::once(name).chain(curve.iter().map(|point| show(&point.outcome))));
        }
        table.to_string()
    });
    let first = curves.first().and_then(|curve| curve.first());
    let setup = first.map_or(String::new(), |point| in_words(&point.setup));
    format!("{}\n\n{} is swept; at its first value:\n{setup}", tables.join("\n\n"), sweep.parameter)
}

fn plain<T: Into<Cell>>(titles: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_header(titles);
    for (at, column) in (0..).zip(table.column_iter_mut()) {
        column.set_padding((0, 1));
        if at > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn add(table: &mut Table, row: impl IntoIterator<Item = String>) {
    table.add_row(row);
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
pub struct Document<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

impl<T: Serialize> Document<T> {
    /// The document with this content.
    pub fn new(content: T) -> Self {
        Self { version: VERSION, content }
    }
}
