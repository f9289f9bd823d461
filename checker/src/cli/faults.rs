//! `faults`: what survives what, computed for every algorithm, disruption and stage.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use anyhow::{Result, bail};
use checker::report::{Conclusion, counted};
use checker::sheet::{Sheet, SheetTable};
use checker::survival::{
    Blow, SurvivalCell, cells, hand_over_table, outcomes_table, pairs_table, shortest_losses, table,
    with_each_hand_over,
};
use model::{Strategy, algorithms};
use serde_json::json;

use super::End;
use super::args::FaultsArgs;
use super::output::{quoted, remark, say_sheet};
use super::patience::Patience;
use super::progress::Teller;
use super::subject::{Place, Subject};

pub(super) fn run(args: &FaultsArgs) -> Result<End> {
    let subjects = args.subjects.asked_or(algorithms::BUILT_IN)?;
    let mut strategies: Vec<Strategy> = subjects.iter().map(|subject| subject.strategy.clone()).collect();
    if args.hand_overs {
        if let Some(own) = subjects.iter().find(|subject| subject.place != Place::BuiltIn) {
            bail!("--hand-overs compares built-in algorithms: {} is not", own.strategy.name);
        }
        strategies = with_each_hand_over(&strategies);
    }
    let blows = if args.pairs { Blow::pairs() } else { Blow::singles_of(&strategies) };
    let threads = args.threads.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let patience = Patience::start(args.timeout.timeout)?;
    let teller = Teller::new();
    teller.begin(format!("{} of {}", counted(blows.len(), "blow"), counted(strategies.len(), "algorithm")));
    let mut cells = cells(&strategies, args.defect, &blows, threads, &|| !patience.is_out());
    teller.end();
    let complete = cells.len() == strategies.len() * blows.len();
    name_as_asked(&mut cells, &subjects, args);
    if args.hand_overs {
        return compare_hand_overs(args, &cells, |conclusion| patience.end(conclusion, complete));
    }
    if let Some(lost) = cells.iter().find(|cell| cell.is_avoidable()) {
        let witness = lost.witness.as_deref().unwrap_or_default();
        remark(format_args!("{} loses a process although nothing was killed: {witness}", lost.algorithm));
    }
    let sheet = || {
        let table = if args.pairs { pairs_table(&cells) } else { table(&cells) };
        let legend = legend(args, &table, &cells);
        Sheet::from(table).text(format!("\n{legend}"))
    };
    say_sheet(args.format, sheet, || outcomes_table(&cells), || json!({ "version": 1, "cells": cells }))?;
    Ok(patience.end(conclusion(&cells), complete))
}

/// What each way to hand over loses. That ready-go loses nothing is expected, and that the others do is the answer.
fn compare_hand_overs(
    args: &FaultsArgs,
    cells: &[SurvivalCell],
    end: impl FnOnce(Conclusion) -> End,
) -> Result<End> {
    let ready_go: Vec<SurvivalCell> =
        cells.iter().filter(|cell| cell.algorithm.ends_with("=ready-go")).cloned().collect();
    let sheet = || {
        let runs: Vec<&str> =
            shortest_losses(cells).into_iter().filter_map(|cell| cell.witness.as_deref()).collect();
        Sheet::from(hand_over_table(cells)).text(format!(
            "\nThe worst that can come of it, whenever it strikes. Where ready-go does not lose the process, a run that \
             does:\n  {}",
            runs.join("\n  ")
        ))
    };
    say_sheet(args.format, sheet, || outcomes_table(cells), || json!({ "version": 1, "cells": cells }))?;
    Ok(end(conclusion(&ready_go)))
}

/// A process that is lost although nothing was killed is a finding.
fn conclusion(cells: &[SurvivalCell]) -> Conclusion {
    match cells.iter().any(SurvivalCell::is_avoidable) {
        true => Conclusion::Surprise,
        false => Conclusion::AsExpected,
    }
}

/// Commands name an algorithm of one's own by its file.
fn name_as_asked(cells: &mut [SurvivalCell], subjects: &[Subject], args: &FaultsArgs) {
    let defect = args.defect.map(|defect| format!(" --defect {defect}")).unwrap_or_default();
    for cell in cells {
        let subject = subjects.iter().find(|subject| subject.strategy.name == cell.algorithm);
        if let (Some(subject), Some(worst)) = (subject, cell.worst) {
            cell.witness = Some(cell.blow.command(&quoted(&subject.argument()), worst) + &defect);
        }
    }
}

/// What an entry means, and the command that shows a run; for a single algorithm, the command of each entry.
fn legend(args: &FaultsArgs, table: &SheetTable, cells: &[SurvivalCell]) -> String {
    let mut meaning = match args.pairs {
        true => "The worst that can come of two disruptions in a row, whenever they strike".to_owned(),
        false => "The worst that can come of it".to_owned(),
    };
    if !args.pairs && cells.iter().any(|cell| cell.best != cell.worst) {
        meaning += ", in brackets the best";
    }
    if table.shows("–") {
        meaning += "; – where it cannot strike";
    }
    let commands: Vec<&str> = match args.subjects.algorithms.len() + args.subjects.strategy.len() {
        1 => cells.iter().filter_map(|cell| cell.witness.as_deref()).collect(),
        _ if args.pairs => {
            vec!["checker trace ALGORITHM OUTCOME --disruptions FIRST --then SECOND --pages 1"]
        }
        _ => vec!["checker trace ALGORITHM OUTCOME --disruptions DISRUPTION --stage STAGE --pages 1"],
    };
    match commands.is_empty() {
        true => format!("{meaning}."),
        false => format!("{meaning}. A run that shows it:\n  {}", commands.join("\n  ")),
    }
}
