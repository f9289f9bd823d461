//! The tables of survival.

use model::{Disruption, Stage};

use super::{Blow, SurvivalCell, SurvivalOutcome};
use crate::sheet::{Layout, SheetTable, Side};

/// Algorithms and disruptions by stages: the worst that can come of it, and the best in brackets where it differs.
pub fn table(cells: &[SurvivalCell]) -> SheetTable {
    let titles = ["algorithm".to_owned(), "disruption".to_owned()].into_iter();
    let has =
        |wanted| cells.iter().any(|cell| matches!(cell.blow, Blow::Single { stage, .. } if stage == wanted));
    let stages = Stage::ALL.into_iter().filter(|stage| has(*stage)).map(|stage| stage.to_string());
    let in_row =
        |cell: &SurvivalCell, row| matches!(cell.blow, Blow::Single { disruption, .. } if disruption == row);
    filled(titles.chain(stages), cells, in_row, entry)
}

/// Algorithms and first disruptions by second ones.
pub fn pairs_table(cells: &[SurvivalCell]) -> SheetTable {
    let titles = ["algorithm".to_owned(), "first".to_owned()].into_iter();
    let in_row =
        |cell: &SurvivalCell, row| matches!(cell.blow, Blow::Pair { disruption, .. } if disruption == row);
    let seconds = Disruption::ALL.map(|then| format!("… {then}"));
    filled(titles.chain(seconds), cells, in_row, |cell| title(cell.worst))
}

/// A row for each cell, for programs.
pub fn outcomes_table(cells: &[SurvivalCell]) -> SheetTable {
    let titles = ["algorithm", "disruption", "stage", "then", "worst", "best", "steps", "witness"];
    let mut table = SheetTable::new(titles);
    for cell in cells {
        let (disruption, stage, then) = match cell.blow {
            Blow::Single { disruption, stage } => (disruption, stage.to_string(), String::new()),
            Blow::Pair { disruption, then } => (disruption, String::new(), then.to_string()),
        };
        let outcome = |outcome: Option<SurvivalOutcome>| outcome.map(|it| it.to_string()).unwrap_or_default();
        table.add([
            cell.algorithm.clone(),
            disruption.to_string(),
            stage,
            then,
            outcome(cell.worst),
            outcome(cell.best),
            cell.steps.map(|steps| steps.to_string()).unwrap_or_default(),
            cell.witness.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// A row for each algorithm and disruption, with the cells that are in it.
fn filled(
    titles: impl Iterator<Item = String>,
    cells: &[SurvivalCell],
    in_row: impl Fn(&SurvivalCell, Disruption) -> bool,
    entry: fn(&SurvivalCell) -> String,
) -> SheetTable {
    let mut table = SheetTable::new(titles).aligned(|_| Side::Left).laid_out(Layout::Bare);
    for of in cells.chunk_by(|a, b| a.algorithm == b.algorithm) {
        for (nth, row) in Disruption::ALL.into_iter().enumerate() {
            let name = of.first().filter(|_| nth == 0).map_or(String::new(), |cell| cell.algorithm.clone());
            let entries = of.iter().filter(|cell| in_row(cell, row)).map(entry);
            table.add([name, row.to_string()].into_iter().chain(entries));
        }
    }
    table
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
