//! `faults`: what survives what, computed for every algorithm, disruption and stage.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use anyhow::Result;
use checker::report::Conclusion;
use checker::survival::{Blow, Cell, cells, pairs_table, table};
use model::{Strategy, algorithms};
use serde_json::json;

use super::End;
use super::args::{Faults, Format};
use super::output::say;

pub(super) fn run(args: &Faults) -> Result<End> {
    let named = args.algorithms.iter().filter_map(|name| algorithms::built_in(name));
    let mut strategies: Vec<Strategy> = named.collect();
    if strategies.is_empty() {
        strategies.extend(algorithms::BUILT_IN);
    }
    let blows = if args.pairs { Blow::pairs() } else { Blow::singles() };
    let threads = args.threads.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let cells = cells(&strategies, &blows, threads);
    match args.format {
        Format::Json => say(serde_json::to_string_pretty(&json!({ "version": 1, "cells": cells }))?)?,
        Format::Text if args.pairs => {
            say(format_args!("{}\n\n{}", pairs_table(&cells), legend(args, &cells)))?
        }
        Format::Text => say(format_args!("{}\n\n{}", table(&cells), legend(args, &cells)))?,
    }
    Ok(End::Concluded(match cells.iter().any(Cell::is_avoidable) {
        true => Conclusion::Surprise,
        false => Conclusion::AsExpected,
    }))
}

/// What an entry means, and the command that shows a run; for a single algorithm, the command of each entry.
fn legend(args: &Faults, cells: &[Cell]) -> String {
    let meaning = match args.pairs {
        true => "The worst that can come of two disruptions in a row, whenever they strike.",
        false => "The worst that can come of it, in brackets the best; – where it cannot strike.",
    };
    let commands: Vec<&str> = match args.algorithms.len() {
        1 => cells.iter().filter_map(|cell| cell.witness.as_deref()).collect(),
        _ if args.pairs => {
            vec!["checker trace ALGORITHM OUTCOME --disruptions FIRST --then SECOND --pages 1"]
        }
        _ => vec!["checker trace ALGORITHM OUTCOME --disruptions DISRUPTION --stage STAGE --pages 1"],
    };
    format!("{meaning} A run that shows it:\n  {}", commands.join("\n  "))
}
