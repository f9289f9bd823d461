//! Outcomes for spreadsheets: a header, then a line for each migration or cell.

use csv::Writer;
use steplog::place::Place;

use super::{Run, Swept};
use crate::bounds::Cost;
use crate::simulate::bounds::Bounded;
use crate::simulate::paper::{Paper, Time};
use crate::simulate::{DESTINATION, Outcome, SOURCE, Setup, Span};

/// The places between which something may be sent, and the names of these ways in the header.
const WAYS: [(&str, Place, Place); 6] = [
    ("source_to_destination", Place::Host(SOURCE), Place::Host(DESTINATION)),
    ("source_to_server", Place::Host(SOURCE), Place::FileServer),
    ("destination_to_source", Place::Host(DESTINATION), Place::Host(SOURCE)),
    ("destination_to_server", Place::Host(DESTINATION), Place::FileServer),
    ("server_to_source", Place::FileServer, Place::Host(SOURCE)),
    ("server_to_destination", Place::FileServer, Place::Host(DESTINATION)),
];

/// A line for each migration.
pub fn csv(runs: &[Run]) -> String {
    let header = [vec!["algorithm".to_owned()], header(), bounds_header()].concat();
    let line = |run: &Run| [vec![name(&run.setup)], fields(&run.outcome), bounds_fields(run)].concat();
    let lines = runs.iter().map(line);
    written(std::iter::once(header).chain(lines))
}

/// A line for each algorithm and value of the parameter.
pub fn sweep_csv(swept: &Swept) -> String {
    let header = [vec![swept.sweep.parameter.to_string(), "algorithm".to_owned()], header()].concat();
    let points = swept.curves.iter().flatten();
    let lines = points
        .map(|point| [vec![point.value.to_string(), name(&point.setup)], fields(&point.outcome)].concat());
    written(std::iter::once(header).chain(lines))
}

/// A line for each cell of the published tables.
pub fn paper_csv(paper: &Paper) -> String {
    let header = ["state", "algorithm", "case", "published_ms", "simulated_ms", "deviation_percent"];
    let time = |time| match time {
        Time::Ms(ms) => format!("{ms:.6}"),
        Time::Endless => "endless".to_owned(),
    };
    let lines = paper.cells.iter().map(|cell| {
        let deviation = cell.deviation_percent().map_or(String::new(), |percent| format!("{percent:.3}"));
        let (state, case) = (cell.state.name().to_owned(), cell.case.name().to_owned());
        vec![state, cell.algorithm.clone(), case, time(cell.published), time(cell.simulated), deviation]
    });
    written(std::iter::once(header.map(str::to_owned).to_vec()).chain(lines))
}

fn name(setup: &Setup) -> String {
    setup.policy.name.to_string()
}

fn header() -> Vec<String> {
    let own = [
        "pre_migration_ns",
        "copying_ns",
        "freeze_ns",
        "post_migration_ns",
        "total_ns",
        "run_time_ns",
        "accesses",
        "stall_ns",
        "faults_at_source",
        "faults_at_server",
        "faults_at_local_store",
        "passes",
        "pages_copied",
        "pages_transferred",
        "pages_flushed",
        "pages_served",
        "pages_pushed",
        "pages_written_back",
        "pages_fetched",
        "pages_sent_again",
    ];
    let ways = WAYS.iter().flat_map(|(way, ..)| [format!("pages_{way}"), format!("bytes_{way}")]);
    own.map(str::to_owned).into_iter().chain(ways).collect()
}

fn fields(outcome: &Outcome) -> Vec<String> {
    let times = [
        outcome.pre_migration,
        Span::Ns(outcome.copying_ns),
        outcome.freeze,
        outcome.post_migration,
        outcome.total(),
        outcome.run_time_ns.map_or(Span::NotReached, Span::Ns),
    ];
    let (faults, pages) = (outcome.faults, outcome.pages);
    let counts = [
        outcome.accesses,
        outcome.stall_ns,
        faults.at_source,
        faults.at_file_server,
        faults.at_local_store,
        outcome.passes.into(),
        pages.copied,
        pages.transferred,
        pages.flushed,
        pages.served,
        pages.pushed,
        pages.written_back,
        pages.fetched,
        pages.sent_again,
    ];
    let sent = WAYS.iter().flat_map(|&(_, from, to)| {
        let sent = outcome.sent.iter().find(|sent| (sent.from, sent.to) == (from, to));
        sent.map_or([0, 0], |sent| [sent.pages, sent.bytes])
    });
    let counts = counts.into_iter().chain(sent).map(|count| count.to_string());
    times.map(span).into_iter().chain(counts).collect()
}

fn bounds_header() -> Vec<String> {
    let names = Cost::ALL.map(|cost| cost.to_string().replace('-', "_"));
    names.iter().flat_map(|name| [format!("{name}_least"), format!("{name}_most")]).collect()
}

/// Empty where there is no bound to tell.
fn bounds_fields(run: &Run) -> Vec<String> {
    let fields = |cost| match run.bounds.iter().find(|bounded| bounded.cost == cost) {
        Some(Bounded { least, most, .. }) => {
            [least.to_string(), most.map_or("unbounded".to_owned(), |most| most.to_string())]
        }
        None => [String::new(), String::new()],
    };
    Cost::ALL.into_iter().flat_map(fields).collect()
}

/// In nanoseconds; what was not reached is empty.
fn span(span: Span) -> String {
    match span {
        Span::Ns(ns) => ns.to_string(),
        Span::Endless => "endless".to_owned(),
        Span::NotReached => String::new(),
    }
}

fn written(lines: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = Writer::from_writer(Vec::new());
    for line in lines {
        // Writing to memory cannot fail, and all lines of a document are equally long.
        let _ = writer.write_record(line);
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
