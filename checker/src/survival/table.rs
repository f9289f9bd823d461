//! The tables of survival, for people.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use model::{Disruption, Stage};

use super::{Blow, SurvivalCell, SurvivalOutcome};

/// Algorithms and disruptions by stages: the worst that can come of it, and the best in brackets where it differs.
pub fn table(cells: &[SurvivalCell]) -> String {
    let has =
        |wanted| cells.iter().any(|cell| matches!(cell.blow, Blow::Single { stage, .. } if stage == wanted));
    let stages = Stage::ALL.into_iter().filter(|stage| has(*stage)).map(|stage| stage.to_string());
    let rows = algorithms(cells).into_iter().flat_map(|algorithm| {
        let of = cells.iter().filter(move |cell| cell.algorithm == algorithm);
        Disruption::ALL.into_iter().enumerate().map(move |(nth, row)| {
            let in_row =
                |cell: &&SurvivalCell| matches!(cell.blow, Blow::Single { disruption, .. } if disruption == row);
            let name = if nth == 0 { algorithm } else { "" };
            let entries = of.clone().filter(in_row).map(entry);
            [name.to_owned(), row.to_string()].into_iter().chain(entries).collect()
        })
    });
    let titles = ["algorithm".to_owned(), "disruption".to_owned()].into_iter().chain(stages);
    rendered(titles.collect(), rows.collect())
}

/// Algorithms and first disruptions by second ones.
pub fn pairs_table(cells: &[SurvivalCell]) -> String {
    let rows = algorithms(cells).into_iter().flat_map(|algorithm| {
        let of = cells.iter().filter(move |cell| cell.algorithm == algorithm);
        Disruption::ALL.into_iter().enumerate().map(move |(nth, row)| {
            let in_row =
                |cell: &&SurvivalCell| matches!(cell.blow, Blow::Pair { disruption, .. } if disruption == row);
            let name = if nth == 0 { algorithm } else { "" };
            let entries = of.clone().filter(in_row).map(|cell| title(cell.worst));
            [name.to_owned(), row.to_string()].into_iter().chain(entries).collect()
        })
    });
    let seconds = Disruption::ALL.map(|then| format!("… {then}"));
    let titles = ["algorithm".to_owned(), "first".to_owned()].into_iter().chain(seconds);
    rendered(titles.collect(), rows.collect())
}

fn algorithms(cells: &[SurvivalCell]) -> Vec<&str> {
    let mut names: Vec<&str> = cells.iter().map(|cell| cell.algorithm.as_str()).collect();
    names.dedup();
    names
}

fn entry(cell: &SurvivalCell) -> String {
    match cell.best.filter(|best| Some(*best) != cell.worst) {
        Some(best) => format!("{} ({})", title(cell.worst), best.title()),
        None => title(cell.worst),
    }
}

pub(super) fn title(outcome: Option<SurvivalOutcome>) -> String {
    outcome.map_or("–", SurvivalOutcome::title).to_owned()
}

pub(super) fn rendered(titles: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(titles);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}
