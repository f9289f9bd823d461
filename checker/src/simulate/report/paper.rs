//! The published tables and their counterparts for people.

use steplog::message::MessageKind;

use super::ms;
use crate::sheet::{Sheet, SheetTable};
use crate::simulate::paper::{Case, Paper, PublishedState, TOLERANCE_PERCENT, Time};
use crate::simulate::sweep::Unit;
use crate::simulate::{CONTENT_MESSAGE_OVERHEAD_BYTES, CostModel, message_bytes};

/// The published tables, cell by cell.
pub fn paper_table(paper: &Paper) -> Sheet {
    let mut table = SheetTable::new(["ms", "normal", "", "", "best", "", "", "worst", "", ""]);
    table.add(["", "paper", "here", "%", "paper", "here", "%", "paper", "here", "%"]);
    for state in PublishedState::ALL {
        table.add([title(state)]);
        for row in paper.cells.chunk_by(|a, b| (a.state, &a.algorithm) == (b.state, &b.algorithm)) {
            if row.first().is_none_or(|cell| cell.state != state) {
                continue;
            }
            let name = row.first().map_or(String::new(), |cell| format!("  {}", cell.algorithm));
            let cells = Case::ALL.into_iter().filter_map(|case| row.iter().find(|cell| cell.case == case));
            let cells = cells.flat_map(|cell| {
                let deviation = match cell.deviation_percent() {
                    Some(percent) if cell.is_reproduced() => format!("{percent:+.1}"),
                    Some(percent) => format!("{percent:+.1} !"),
                    None if cell.is_reproduced() => String::new(),
                    None => "!".to_owned(),
                };
                [time(cell.published), time(cell.simulated), deviation]
            });
            table.add(std::iter::once(name).chain(cells));
        }
    }
    let marked = paper.cells.iter().any(|cell| !cell.is_reproduced());
    let constants = constants(paper);
    Sheet::from(table).text(if marked { format!("{constants}\n! it is not") } else { constants })
}

fn title(state: PublishedState) -> &'static str {
    match state {
        PublishedState::PreMigration => "Pre-migration",
        PublishedState::Migration => "Migration",
        PublishedState::PostMigration => "Post-migration",
    }
}

/// The constants, and what each of them explains.
fn constants(paper: &Paper) -> String {
    let setup = &paper.setup;
    let CostModel { latency_ns, request_pause_ns, bandwidth_bits_per_s, send_buffer_bytes, .. } = setup.costs;
    let page_ns = 1e9 / setup.pages_per_s();
    let pages = setup.memory_bytes.div_ceil(setup.page_size_bytes.max(1)) as f64;
    let state_ms = message_bytes(MessageKind::State, setup) as f64 * 8e3 / bandwidth_bits_per_s as f64;
    let buffered = send_buffer_bytes / (CONTENT_MESSAGE_OVERHEAD_BYTES + setup.page_size_bytes);
    format!(
        "One set of constants for all cells, none tuned on its own; {} runs a cell where chance has a part.\n\
         * {pages} pages of {} at {}: {:.0} ms for the address space\n\
         * {} of state and a latency of {}: {state_ms:.1} ms on the link, {:.1} ms with the three ways of the hand-over\n\
         * {} of send buffer: {:.0} ms of pages queued but not sent when pre-copy suspends the process\n\
         * a request keeps the source from sending for {}\n\
         * uniform accesses, one every {}, {} of them writes; pre-copy makes one pass\n\
         Pre-migration of pre-copy is the time until the last copied page has left the source. The process is\n\
         suspended {:.0} ms earlier: the published rows count what is in the send buffer twice.\n\
         Best: the process touches nothing. Worst: it modifies every page, at the worst moment. ∞: depends on the\n\
         source as long as a page is not touched. Every finite cell is to be within {TOLERANCE_PERCENT} %.",
        paper.runs,
        Unit::Bytes.show(setup.page_size_bytes as f64),
        Unit::BitsPerSecond.show(bandwidth_bits_per_s as f64),
        pages * page_ns / 1e6,
        Unit::Bytes.show(setup.costs.state_bytes as f64),
        Unit::Nanoseconds.show(latency_ns as f64),
        state_ms + 3.0 * latency_ns as f64 / 1e6,
        Unit::Bytes.show(send_buffer_bytes as f64),
        buffered as f64 * page_ns / 1e6,
        Unit::Nanoseconds.show(request_pause_ns as f64),
        Unit::Nanoseconds.show(setup.access_interval_ns as f64),
        setup.write_share,
        buffered as f64 * page_ns / 1e6,
    )
}

fn time(time: Time) -> String {
    match time {
        Time::Ms(time) => ms(time),
        Time::Endless => "∞".to_owned(),
    }
}
