//! What was published and what the simulation gives for the same, read from what `checker simulate` writes: the reference knows nothing
//! of the checker.

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::paper::{PaperCase, PaperState};
use super::table::ms;

/// Cells of the published tables, and simulated ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Simulated {
    cells: Vec<Cell>,
}

#[derive(Clone, Debug, PartialEq)]
struct Cell {
    state: String,
    algorithm: String,
    case: String,
    published: Option<String>,
    simulated: String,
}

/// `checker simulate --paper --format json`, or `checker simulate … --workload … --format json`.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    cells: Vec<PublishedCell>,
    #[serde(default)]
    runs: serde_json::Value,
}

#[derive(Deserialize)]
struct PublishedCell {
    state: String,
    algorithm: String,
    case: String,
    published: Time,
    simulated: Time,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Time {
    Ms(f64),
    Endless,
}

impl Simulated {
    /// Reads a document.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let document: Document = serde_json::from_str(text).context("no result of `checker simulate`")?;
        let published = document.cells.into_iter().map(|cell| Cell {
            state: cell.state,
            algorithm: cell.algorithm,
            case: cell.case,
            published: Some(time(&cell.published)),
            simulated: time(&cell.simulated),
        });
        let runs = document.runs.as_array().into_iter().flatten();
        let cells: Vec<_> = published.chain(runs.flat_map(of_run)).collect();
        ensure!(!cells.is_empty(), "there is nothing in it that `checker simulate` has simulated");
        Ok(Self { cells })
    }

    /// What is in `other` too; where both have a cell, that of the first.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.cells.extend(other.cells);
        self
    }

    /// Published and simulated.
    pub fn cell(
        &self,
        algorithm: &str,
        case: PaperCase,
        state: PaperState,
    ) -> (Option<String>, Option<String>) {
        let same = |cell: &&Cell| {
            cell.algorithm == algorithm && cell.case == case.name() && cell.state == state.name()
        };
        self.cells
            .iter()
            .find(same)
            .map_or((None, None), |cell| (cell.published.clone(), Some(cell.simulated.clone())))
    }
}

/// The three times of a simulated run; its case is its workload.
fn of_run(run: &serde_json::Value) -> Vec<Cell> {
    let algorithm = run["setup"]["policy"]["name"].as_str().unwrap_or_default();
    let case = match run["setup"]["workload"].as_str() {
        Some("none") => PaperCase::Best,
        Some("all") => PaperCase::Worst,
        _ => PaperCase::Normal,
    };
    let fields = ["pre_migration_ns", "freeze_ns", "post_migration_ns"];
    let cell = |(state, field): (PaperState, &str)| {
        let (mean, one) = (&run["summary"][field]["mean"], &run["outcome"][field]);
        let simulated = match (mean.as_f64().or_else(|| one.as_f64()), one.is_string()) {
            (Some(time), _) => ms(time),
            (None, true) => "∞".to_owned(),
            // It was not reached.
            (None, false) => String::new(),
        };
        Cell {
            state: state.name().to_owned(),
            algorithm: algorithm.to_owned(),
            case: case.name().to_owned(),
            published: None,
            simulated,
        }
    };
    PaperState::ALL.into_iter().zip(fields).map(cell).collect()
}

fn time(time: &Time) -> String {
    match time {
        Time::Ms(time) => ms(time * 1e6),
        Time::Endless => "∞".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_documents_are_read() {
        let published = r#"{"version": 2, "cells": [{"state": "migration", "algorithm": "lazy-copy", "case": "best", "published": {"ms": 4.5}, "simulated": "endless"}]}"#;
        let run = r#"{"version": 2, "runs": [{"setup": {"policy": {"name": "generic"}, "workload": "none"}, "outcome": {"post_migration_ns": "endless"},
            "summary": {"pre_migration_ns": null, "freeze_ns": {"mean": 2500000.0}, "post_migration_ns": null}}]}"#;
        let both = Simulated::parse(published).unwrap().and(Simulated::parse(run).unwrap());
        let cell = |algorithm, state| both.cell(algorithm, PaperCase::Best, state);
        let words = |published: Option<&str>, simulated: &str| {
            (published.map(str::to_owned), Some(simulated.to_owned()))
        };
        assert_eq!(cell("lazy-copy", PaperState::Migration), words(Some("4.50"), "∞"));
        assert_eq!(cell("generic", PaperState::PreMigration), words(None, ""));
        assert_eq!(cell("generic", PaperState::Migration), words(None, "2.50"));
        assert_eq!(cell("generic", PaperState::PostMigration), words(None, "∞"));
        assert_eq!(both.cell("generic", PaperCase::Normal, PaperState::Migration), (None, None));
        assert!(Simulated::parse("[]").is_err());
    }
}
