//! Which ways to hand over lose a process, or have it run twice, where ready-go does not.

use std::collections::BTreeMap;

use model::strategy::{HandOver, Real};
use model::{Disruption, Strategy};

use super::table::title;
use super::{Blow, SurvivalCell, SurvivalOutcome};
use crate::sheet::{Layout, SheetTable, Side};

/// The ways to hand over, as strategy files spell them; ready-go first.
const STYLES: [(HandOver, &str); 4] = [
    (HandOver::ReadyGo, "ready-go"),
    (HandOver::OneShot, "one-shot"),
    (HandOver::Acknowledged, "acknowledged"),
    (HandOver::None, "none"),
];

/// The algorithms with each way to hand over, under the names by which commands know them.
pub fn with_each_hand_over(strategies: &[Strategy]) -> Vec<Strategy> {
    let styled = |strategy: &Strategy, hand_over, style: &str| {
        let name = format!("{}+hand-over={style}", strategy.name).into();
        let real = Real { hand_over, ..strategy.real };
        Strategy { name, real, ..strategy.clone() }
    };
    let of_all = STYLES.into_iter().flat_map(|(hand_over, style)| {
        strategies.iter().map(move |strategy| styled(strategy, hand_over, style))
    });
    of_all.filter_map(|strategy| strategy.check().ok()).collect()
}

/// The algorithm's own name, and its way to hand over.
fn parts(cell: &SurvivalCell) -> (&str, &str) {
    cell.algorithm.split_once("+hand-over=").unwrap_or((&cell.algorithm, ""))
}

/// A cell in which a way to hand over loses the process, or has it run twice, where ready-go does not.
pub fn worse_than_ready_go(cells: &[SurvivalCell]) -> Vec<&SurvivalCell> {
    let ready_go: BTreeMap<(&str, Blow), Option<SurvivalOutcome>> = cells
        .iter()
        .filter(|cell| parts(cell).1 == "ready-go")
        .map(|cell| ((parts(cell).0, cell.blow), cell.worst))
        .collect();
    let is_worse = |cell: &&SurvivalCell| {
        let sound = ready_go.get(&(parts(cell).0, cell.blow)).copied().flatten();
        cell.worst >= Some(SurvivalOutcome::Lost) && sound < Some(SurvivalOutcome::Lost)
    };
    cells.iter().filter(is_worse).collect()
}

/// Ways to hand over by disruptions: the worst that can come of one in any stage, to any of the algorithms.
pub fn hand_over_table(cells: &[SurvivalCell]) -> SheetTable {
    let titles = ["hand-over".to_owned()].into_iter().chain(Disruption::ALL.map(|kind| kind.to_string()));
    let mut table = SheetTable::new(titles).aligned(|_| Side::Left).laid_out(Layout::Bare);
    for (_, style) in STYLES {
        let worst = |kind| {
            let of = cells.iter().filter(|cell| parts(cell).1 == style);
            let struck =
                of.filter(|cell| matches!(cell.blow, Blow::Single { disruption, .. } if disruption == kind));
            title(struck.filter_map(|cell| cell.worst).max())
        };
        table.add([style.to_owned()].into_iter().chain(Disruption::ALL.map(worst)));
    }
    table
}

/// For each way to hand over and each blow under which it loses more than ready-go: the shortest run of any algorithm.
pub fn shortest_losses(cells: &[SurvivalCell]) -> Vec<&SurvivalCell> {
    let mut shortest: Vec<&SurvivalCell> = Vec::new();
    for cell in worse_than_ready_go(cells) {
        let alike = |other: &&mut &SurvivalCell| {
            (parts(other).1, other.blow, other.worst) == (parts(cell).1, cell.blow, cell.worst)
        };
        match shortest.iter_mut().find(alike) {
            Some(other) if other.steps > cell.steps => *other = cell,
            Some(_) => {}
            None => shortest.push(cell),
        }
    }
    shortest
}
