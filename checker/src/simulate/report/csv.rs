//! Outcomes for spreadsheets: titles, then a row for each migration or cell.

use steplog::place::Place;

use super::{SimulationRun, Swept};
use crate::bounds::Cost;
use crate::sheet::SheetTable;
use crate::simulate::advise::{Advice, DowntimeTable, Miss, Remedy};
use crate::simulate::bounds::Bounded;
use crate::simulate::paper::{Paper, Time};
use crate::simulate::published::{Figure, PublishedComparison};
use crate::simulate::summary::{Spread, Summary};
use crate::simulate::{DESTINATION, SOURCE, SimulationOutcome, SimulationSetup, Span};

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
pub fn rows(runs: &[SimulationRun]) -> SheetTable {
    let header = [vec!["algorithm".to_owned()], header(), summary_header(), bounds_header()].concat();
    let line = |run: &SimulationRun| {
        [vec![name(&run.setup)], fields(&run.outcome), summary_fields(&run.summary), bounds_fields(run)]
            .concat()
    };
    let lines = runs.iter().map(line);
    filled(header, lines)
}

/// A line for each algorithm and value of the parameter.
pub fn sweep_rows(swept: &Swept) -> SheetTable {
    let header =
        [vec![swept.sweep.parameter.to_string(), "algorithm".to_owned()], header(), summary_header()]
            .concat();
    let points = swept.curves.iter().flatten();
    let lines = points.map(|point| {
        let key = vec![point.value.to_string(), name(&point.setup)];
        [key, fields(&point.outcome), summary_fields(&point.summary)].concat()
    });
    filled(header, lines)
}

/// A line for each figure that others have published.
pub fn comparison_rows(comparisons: &[PublishedComparison]) -> SheetTable {
    let header =
        ["what", "of", "published", "simulated", "deviation_percent", "reason"].map(str::to_owned).to_vec();
    let figure = |figure| match figure {
        Figure::Ns(ns) => format!("{ns:.0}"),
        Figure::Share(share) => format!("{share:.4}"),
        Figure::Never => "never".to_owned(),
    };
    let line = |each: &PublishedComparison| {
        let deviation = each.deviation_percent().map_or(String::new(), |percent| format!("{percent:.3}"));
        let reason = each.reason.unwrap_or_default().to_owned();
        vec![
            each.what.to_owned(),
            each.source.to_owned(),
            figure(each.published),
            figure(each.simulated),
            deviation,
            reason,
        ]
    };
    filled(header, comparisons.iter().map(line))
}

/// A line for each cell of the published tables.
pub fn paper_rows(paper: &Paper) -> SheetTable {
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
    filled(header.map(str::to_owned).to_vec(), lines)
}

/// A line for each algorithm that was asked about.
pub fn advice_rows(advice: &[Advice]) -> SheetTable {
    let titles = [
        "algorithm",
        "meets_it",
        "misses",
        "margin",
        "runs",
        "freeze_ns_most",
        "freeze_ns_bound_least",
        "freeze_ns_bound_most",
        "slowdown_most",
        "total_ns_most",
        "bandwidth_bits_per_s",
        "access_interval_ns",
    ];
    let mut table = SheetTable::new(titles);
    for each in advice {
        let words = each.misses.iter().map(|miss| match miss {
            Miss::Freeze => "freeze",
            Miss::Slowdown => "slowdown",
            Miss::Total => "total",
        });
        let bound = |ns: Option<u64>| ns.map(|ns| ns.to_string()).unwrap_or_default();
        let time =
            |spread: Option<Spread>| spread.map_or("endless".to_owned(), |it| format!("{:.0}", it.most));
        let remedy = |of: fn(&Remedy) -> Option<u64>| bound(each.remedies.iter().find_map(of));
        table.add([
            name(&each.setup),
            each.misses.is_empty().to_string(),
            words.collect::<Vec<_>>().join(" "),
            each.margin.map(|margin| format!("{margin:.6}")).unwrap_or_default(),
            each.summary.runs.to_string(),
            time(each.summary.freeze_ns),
            bound(each.freeze_least_ns),
            bound(each.freeze_most_ns),
            format!("{:.6}", each.summary.slowdown.most),
            time(each.summary.total_ns),
            remedy(|remedy| if let Remedy::Bandwidth(rate) = remedy { Some(*rate) } else { None }),
            remedy(|remedy| if let Remedy::AccessIntervalNs(ns) = remedy { Some(*ns) } else { None }),
        ]);
    }
    table
}

/// A line for each rate and downtime target.
pub fn downtime_rows(table: &DowntimeTable) -> SheetTable {
    let mut rows = SheetTable::new(["bandwidth_bits_per_s", "downtime_ns", "total_ns"]);
    for (rate, totals) in &table.rows {
        for (downtime_ns, total) in table.downtimes_ns.iter().zip(totals) {
            let total = total.map_or("never".to_owned(), |ns| ns.to_string());
            rows.add([rate.to_string(), downtime_ns.to_string(), total]);
        }
    }
    rows
}

fn name(setup: &SimulationSetup) -> String {
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
        "stall_median_ns",
        "stall_p90_ns",
        "stall_p99_ns",
        "stall_longest_ns",
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

fn fields(outcome: &SimulationOutcome) -> Vec<String> {
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
        outcome.stalls.median_ns,
        outcome.stalls.p90_ns,
        outcome.stalls.p99_ns,
        outcome.stalls.longest_ns,
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

/// What several runs have come to: the first run's figures are in front of it.
fn summary_header() -> Vec<String> {
    let times = ["pre_migration_ns", "freeze_ns", "post_migration_ns", "total_ns", "stall_ns"];
    let spread = |name: &str| ["mean", "deviation", "least", "most"].map(|part| format!("{name}_{part}"));
    let spreads = times.into_iter().flat_map(spread);
    std::iter::once("runs".to_owned())
        .chain(spreads)
        .chain(["faults_mean", "slowdown_mean"].map(str::to_owned))
        .collect()
}

fn summary_fields(summary: &Summary) -> Vec<String> {
    let times = [
        summary.pre_migration_ns,
        summary.freeze_ns,
        summary.post_migration_ns,
        summary.total_ns,
        Some(summary.stall_ns),
    ];
    let spread = |spread: Option<Spread>| match spread {
        Some(Spread { mean, deviation, least, most }) => {
            [mean, deviation, least, most].map(|ns| format!("{ns:.0}"))
        }
        None => std::array::from_fn(|_| String::new()),
    };
    let rest = [format!("{:.1}", summary.faults.mean), format!("{:.6}", summary.slowdown.mean)];
    std::iter::once(summary.runs.to_string()).chain(times.into_iter().flat_map(spread)).chain(rest).collect()
}

fn bounds_header() -> Vec<String> {
    let names = Cost::ALL.map(|cost| cost.to_string().replace('-', "_"));
    names.iter().flat_map(|name| [format!("{name}_least"), format!("{name}_most")]).collect()
}

/// Empty where there is no bound to tell.
fn bounds_fields(run: &SimulationRun) -> Vec<String> {
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

fn filled(header: Vec<String>, lines: impl Iterator<Item = Vec<String>>) -> SheetTable {
    let mut table = SheetTable::new(header);
    lines.for_each(|line| table.add(line));
    table
}
