//! The published experiment on real processes: 10 MiB, 100 Mbit/s, random access and modification, under all nine algorithms; and
//! *generic* with each of its kinds of page alone.
//!
//! The cases are those of the published tables: normal, pages are touched at random; best, none is; worst, all are modified at the worst
//! moment. As published, pre-copy makes one pass.
//!
//! Under *generic* half of the pages are file-mapped, and of the rest half are as in a file, as the simulation has it. Where unmodified
//! pages need not travel otherwise, half of the pages are as in a file; under all other algorithms they are the program's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use linux::pagemap::PageState;
use linux::source::TrackedProcess;
use protocol::policy::{Clean, Passes, Policy, Pre};
use serde::Serialize;

use super::bed::{Bed, Links};
use super::exercise::Load;
use super::run::{ExercisePages, ExercisePlan, Exercising, MeasuredRun, measure};
use super::statistics::{Better, MeasuredSpread, mean, percentile};
use super::table::{ms, table};
use super::{PAGES, RATE, Tools, scratch, simulated::Simulated};

/// One that waits for a moment at which everything is in step may wait for ever.
const SUSPEND_WITHIN: Duration = Duration::from_secs(8);

/// How well things go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperCase {
    /// Pages are touched at random.
    Normal,
    /// None is.
    Best,
    /// All are modified, at the worst moment.
    Worst,
}

impl PaperCase {
    /// All, in the order of the published columns.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Best, Self::Worst];

    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Best => "best",
            Self::Worst => "worst",
        }
    }

    fn load(self) -> Load {
        match self {
            Self::Normal => Load::Uniform,
            Self::Best => Load::Idle,
            Self::Worst => Load::Sweep,
        }
    }
}

/// What is measured: an algorithm, perhaps with pages of one kind only.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PaperRow {
    /// The algorithm, and the kind of its pages where it is one.
    pub name: String,
    /// The case.
    pub case: PaperCase,
    /// Every run.
    pub runs: Vec<MeasuredRun>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Experiment {
    /// Pages of the process that are not those it works on.
    pub own_pages: u64,
    /// What was measured.
    pub rows: Vec<PaperRow>,
    /// What went wrong in runs that have no figures.
    pub failed: Vec<String>,
}

/// State of the process, of which the published tables have the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaperState {
    /// It runs at the source, pages are transferred.
    PreMigration,
    /// It is suspended.
    Migration,
    /// It runs at the destination and depends on the source.
    PostMigration,
}

impl PaperState {
    /// All, in the order of the published tables.
    pub const ALL: [Self; 3] = [Self::PreMigration, Self::Migration, Self::PostMigration];

    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreMigration => "pre-migration",
            Self::Migration => "migration",
            Self::PostMigration => "post-migration",
        }
    }
}

impl PaperRow {
    /// The time in a state, in nanoseconds; nothing where it does not end.
    pub fn time(&self, state: PaperState) -> Option<MeasuredSpread> {
        let moved = self.runs.iter().filter(|run| run.moved);
        let times: Vec<Option<u64>> = moved
            .map(|run| match state {
                PaperState::PreMigration => Some(run.pre_ns),
                PaperState::Migration => Some(run.freeze_ns),
                PaperState::PostMigration => run.post_ns,
            })
            .collect();
        let times: Option<Vec<u64>> = times.into_iter().collect();
        MeasuredSpread::of(times?.into_iter().map(|time| time as f64), Better::Less)
    }

    fn middle(&self, of: impl Fn(&MeasuredRun) -> Option<f64>) -> Option<f64> {
        let moved = self.runs.iter().filter(|run| run.moved);
        MeasuredSpread::of(moved.filter_map(of), Better::Less).map(|spread| spread.median)
    }
}

/// Measures all of it, or those rows.
///
/// # Errors
/// Something cannot be moved.
pub fn experiment(tools: &Tools, only: &[String], mut said: impl FnMut(&str)) -> anyhow::Result<Experiment> {
    let directory = scratch()?;
    let bed = Bed::open(directory.path(), &tools.sojourn, Links::Shaped(RATE))?;
    let own_pages = own_pages(&bed, tools)?;
    let working = PAGES.checked_sub(own_pages).context("the program has more pages than it should have")?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for (name, policy, case, pages) in plans(working) {
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        let strategy = one_pass(directory.path(), &policy)?;
        let unbounded = policy == Policy::PRE_COPY_UNBOUNDED;
        let plan = ExercisePlan {
            algorithm: &policy.name,
            strategy: strategy.as_deref(),
            load: case.load(),
            pages,
            suspend_within: unbounded.then_some(SUSPEND_WITHIN),
        };
        let mut runs = Vec::new();
        for run in 1..=tools.repetitions {
            said(&format!("{name}, {} case: {run} of {}", case.name(), tools.repetitions));
            match measure(&bed, &tools.exercise, &plan) {
                Ok(measured) => runs.push(measured),
                Err(error) if super::is_interrupted() => return Err(error),
                Err(error) => failed.push(format!("{name}, {} case: {error:#}", case.name())),
            }
        }
        rows.push(PaperRow { name, case, runs });
    }
    Ok(Experiment { own_pages, rows, failed })
}

/// Pages of the program that are its own, beside those that it works on. What is in its files is at the destination too.
///
/// # Errors
/// It cannot be looked at.
pub fn own_pages(bed: &Bed, tools: &Tools) -> anyhow::Result<u64> {
    let program = Exercising::start(
        bed,
        &tools.exercise,
        Load::Idle,
        ExercisePages { private: 1, ..ExercisePages::default() },
    )?;
    let population = TrackedProcess::open(i32::try_from(program.pid())?)?.population()?;
    let own = population.iter().filter(|run| run.state == PageState::Own);
    Ok(own.map(|run| run.range.pages().count() as u64).sum::<u64>().saturating_sub(1))
}

fn plans(working: u64) -> Vec<(String, Policy, PaperCase, ExercisePages)> {
    let half = working / 2;
    let mut plans = Vec::new();
    for policy in Policy::ALL {
        let pages = match policy.clean {
            _ if policy.writes_back() => {
                ExercisePages { private: half / 2, clean: half - half / 2, shared: working - half }
            }
            Clean::Travel => ExercisePages { private: working, ..ExercisePages::default() },
            _ => ExercisePages { private: half, clean: working - half, shared: 0 },
        };
        plans.extend(PaperCase::ALL.map(|case| (policy.name.to_string(), policy.clone(), case, pages)));
    }
    let (none, rest) = (ExercisePages::default(), working - 1);
    for (kind, pages) in [
        ("private", ExercisePages { private: working, ..none }),
        ("clean", ExercisePages { private: 1, clean: rest, ..none }),
        ("file-mapped", ExercisePages { private: 1, shared: rest, ..none }),
    ] {
        plans.extend(PaperCase::ALL.map(|case| (format!("generic, {kind}"), Policy::GENERIC, case, pages)));
    }
    plans
}

/// The same algorithm with one pass, in a file, where it would make more.
fn one_pass(directory: &Path, policy: &Policy) -> anyhow::Result<Option<PathBuf>> {
    if policy.pre != Policy::PRE_COPY.pre {
        return Ok(None);
    }
    let policy = Policy { pre: Pre::Copy(Passes::AtMost(1)), ..policy.clone() };
    let path = directory.join(format!("{}.toml", policy.name));
    std::fs::write(&path, toml::to_string(&policy)?)?;
    Ok(Some(path))
}

/// Published, simulated and measured side by side.
pub fn text(experiment: &Experiment, simulated: &Simulated) -> String {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut rows = vec![
        words(&["ms", "normal", "", "", "", "best", "", "", "", "worst", "", "", ""]),
        std::iter::once(String::new())
            .chain(
                PaperCase::ALL.into_iter().flat_map(|_| words(&["paper", "simulated", "measured", "best"])),
            )
            .collect(),
    ];
    for state in PaperState::ALL {
        rows.push(vec![capital(state.name())]);
        for of_name in experiment.rows.chunk_by(|a, b| a.name == b.name) {
            let mut cells = vec![format!("  {}", of_name[0].name)];
            for case in PaperCase::ALL {
                let Some(row) = of_name.iter().find(|row| row.case == case) else { continue };
                let (published, model) = simulated.cell(&row.name, case, state);
                cells.extend([published, model].map(Option::unwrap_or_default));
                let time = row.time(state);
                let never = match state {
                    _ if row.runs.is_empty() => "–",
                    PaperState::PostMigration => "∞",
                    _ if row.runs.iter().all(|run| !run.moved) => "∞",
                    _ => "",
                };
                let show = |of: fn(&MeasuredSpread) -> f64| {
                    time.as_ref().map_or(never.to_owned(), |spread| ms(of(spread)))
                };
                cells.extend([show(|spread| spread.median), show(|spread| spread.best)]);
            }
            rows.push(cells);
        }
    }
    let times = table(2, &rows);
    let mut rows = vec![words(&[
        "normal",
        "faults",
        "wait ms",
        "p99 ms",
        "from A",
        "write-backs",
        "from S",
        "local",
        "work %",
    ])];
    for row in experiment.rows.iter().filter(|row| row.case == PaperCase::Normal) {
        let count = |names: &'static [&'static str]| {
            let all = row
                .middle(|run| Some(names.iter().filter_map(|name| run.steps.get(*name)).sum::<u64>() as f64));
            all.map_or("–".to_owned(), |count| format!("{count:.0}"))
        };
        let show = |value: Option<f64>, form: fn(f64) -> String| value.map_or("–".to_owned(), form);
        rows.push(vec![
            row.name.clone(),
            show(row.middle(|run| Some(run.faults as f64)), |faults| format!("{faults:.0}")),
            show(row.middle(|run| mean(&run.stalls_ns)), ms),
            show(row.middle(|run| percentile(&run.stalls_ns, 99).map(|ns| ns as f64)), ms),
            count(&["copied", "transferred", "served", "pushed"]),
            count(&["written-back", "flushed"]),
            count(&["fetched"]),
            count(&["loaded"]),
            show(row.middle(|run| run.work), |work| format!("{:.0}", work * 100.0)),
        ]);
    }
    format!("{times}\n\n{}\n{}", table(1, &rows), notes(experiment))
}

fn notes(experiment: &Experiment) -> String {
    let repetitions = experiment.rows.iter().map(|row| row.runs.len()).max().unwrap_or(0);
    let failed: String = experiment.failed.iter().map(|failed| format!("No figure of {failed}\n")).collect();
    format!(
        "{failed}Measured: the median of {repetitions} runs and the best of them. {PAGES} pages of 4 KiB, {} of them the program's own beside those\n\
         that it works on; links of {} Mbit/s, Ethernet's frames included, between each two of A, B and the file server S. Pre-migration: from the\n\
         start until the process is stopped; Migration: until it runs again; Post-migration: until all of it is there. Then pages, and waits of the\n\
         process for a page; work: in Post-migration, of what it does undisturbed. ∞: pages stay behind until they are touched, or the process was\n\
         not suspended within {}.",
        experiment.own_pages,
        RATE / 1_000_000,
        humantime::format_duration(SUSPEND_WITHIN),
    )
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(runs: &[(bool, Option<u64>)]) -> PaperRow {
        let runs = runs.iter().map(|(moved, post_ns)| MeasuredRun {
            moved: *moved,
            post_ns: *post_ns,
            ..MeasuredRun::default()
        });
        PaperRow { name: "post-copy".to_owned(), case: PaperCase::Normal, runs: runs.collect() }
    }

    #[test]
    fn what_does_not_end_has_no_time() {
        let median = |row: &PaperRow| row.time(PaperState::PostMigration).map(|spread| spread.median);
        assert_eq!(median(&row(&[(true, Some(3)), (true, Some(1))])), Some(2.0));
        assert_eq!(median(&row(&[(true, Some(3)), (true, None)])), None);
        assert_eq!(
            median(&row(&[(true, Some(3)), (false, None)])),
            Some(3.0),
            "one that was not suspended says nothing"
        );
        assert_eq!(median(&row(&[(false, None)])), None);
    }

    #[test]
    fn every_plan_has_all_pages() {
        for (name, _, _, ExercisePages { private, clean, shared }) in plans(2001) {
            assert_eq!(private + clean + shared, 2001, "{name}");
            assert!(private > 0, "{name}");
        }
        assert_eq!(plans(2001).len(), (9 + 3) * 3);
    }

    #[test]
    fn published_simulated_and_measured_stand_side_by_side() {
        let simulated = Simulated::parse(
            r#"{"version": 2, "cells": [{"state": "post-migration", "algorithm": "post-copy", "case": "normal", "published": {"ms": 900.0}, "simulated": {"ms": 888.8}}]}"#,
        )
        .unwrap();
        let text = text(
            &Experiment { own_pages: 100, failed: Vec::new(), rows: vec![row(&[(true, Some(950_000_000))])] },
            &simulated,
        );
        assert!(
            text.lines().any(|line| line.split_whitespace().eq(["post-copy", "900", "889", "950", "950"])),
            "{text}"
        );
    }
}
