//! `simulate`: what a migration costs.

pub mod args;

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use checker::report::Conclusion;
use checker::simulate::bounds::{Bounded, bounded_all};
use checker::simulate::figure::{self, FigureStyle};
use checker::simulate::paper;
use checker::simulate::published::{self, PublishedComparison, Row};
use checker::simulate::report::{self, SimulationDocument, SimulationRun, Swept};
use checker::simulate::summary::{Summary, outcomes, runs_by_default};
use checker::simulate::sweep::Sweep;
use checker::simulate::{Patience as Waits, SimulationError, SimulationSetup};
use model::{Strategy, algorithms};
use protocol::policy::Channels;
use serde::Serialize;
use tie::policy::policy;

use super::End;
use super::output::{remark, say_sheet};
use super::patience::Patience;
use super::progress::Teller;
use super::subject::Subject;
use args::{Simulate, SimulateSetting};

#[derive(Serialize)]
struct Runs<'a> {
    runs: &'a [SimulationRun],
}

#[derive(Serialize)]
struct Compared<'a> {
    comparisons: &'a [PublishedComparison],
}

pub(super) fn run(args: &Simulate) -> Result<End> {
    if args.paper {
        return reproduced(args);
    }
    if args.published {
        return compared(args);
    }
    let setups = setups(args.subjects.asked_or(algorithms::BUILT_IN)?, &args.setting)?;
    let waiter = Waiter::start(args.timeout.timeout)?;
    let (conclusion, complete) = match &args.sweep {
        Some(sweep) => swept(args, *sweep, &setups, &waiter)?,
        None => once(args, setups, &waiter)?,
    };
    waiter.teller.end();
    Ok(waiter.patience.end(conclusion, complete))
}

/// Whoever waits for a simulation at the command line: sees how far it is, and may give it up.
pub(super) struct Waiter {
    pub patience: Patience,
    pub teller: Teller,
    pages: Cell<u64>,
}

impl Waiter {
    pub fn start(timeout: Option<Duration>) -> Result<Self> {
        Ok(Self { patience: Patience::start(timeout)?, teller: Teller::new(), pages: Cell::new(0) })
    }

    /// The simulation of so many pages under this name begins.
    pub fn begin(&self, setup: &SimulationSetup) {
        self.pages.set(setup.page_count().unwrap_or(0));
        self.teller.begin(setup.policy.name.to_string());
    }
}

impl Waits for Waiter {
    fn is_out(&self, now_ns: u64, pages_sent: u64) -> bool {
        let seconds = now_ns as f64 / 1e9;
        self.teller.go_on(format!(
            "{seconds:.1} s of virtual time, {pages_sent} pages sent of {}",
            self.pages.get()
        ));
        self.patience.is_out()
    }
}

/// What was found, or `None` if it was given up.
fn unless_given_up<T>(result: Result<T, SimulationError>, name: &str) -> Result<Option<T>> {
    match result {
        Err(given_up @ SimulationError::OutOfTime { .. }) => {
            remark(format_args!("{name}: {given_up}"));
            Ok(None)
        }
        result => result.map(Some).with_context(|| name.to_owned()),
    }
}

/// Each algorithm with its setting.
pub(super) fn setups(
    subjects: Vec<Subject>,
    setting: &SimulateSetting,
) -> Result<Vec<(Strategy, SimulationSetup)>> {
    let setup = |Subject { strategy, .. }: Subject| {
        let policy = policy(&strategy).with_context(|| strategy.name.to_string())?;
        ensure!(
            policy.channels == Channels::One,
            "{}: channels: what is simulated has \"one\" alone",
            strategy.name
        );
        let setup = setting.setup(policy)?;
        setup.page_count()?;
        Ok((strategy, setup))
    };
    subjects.into_iter().map(setup).collect()
}

fn once(
    args: &Simulate,
    setups: Vec<(Strategy, SimulationSetup)>,
    waiter: &Waiter,
) -> Result<(Conclusion, bool)> {
    let count = setups.len();
    let mut runs = Vec::new();
    let mut conclusion = Conclusion::AsExpected;
    for (strategy, setup) in setups {
        let name = setup.policy.name.to_string();
        waiter.begin(&setup);
        let number = args.runs.map_or_else(|| runs_by_default(&setup), Into::into);
        let Some(outcomes) = unless_given_up(outcomes(&setup, number, waiter), &name)? else { break };
        let mut bounds = bounded_all(&strategy, &setup, &outcomes).with_context(|| name.clone())?;
        for rows in &bounds {
            conclusion = conclusion.max(outside(&name, rows));
        }
        let (summary, bounds) = (Summary::of(&outcomes), bounds.swap_remove(0));
        let outcome = outcomes.into_iter().next().context("at least one run")?;
        runs.push(SimulationRun { setup, outcome, summary, bounds });
    }
    waiter.teller.end();
    let complete = runs.len() == count;
    let document = || SimulationDocument::new(Runs { runs: &runs });
    say_sheet(args.format, || report::table(&runs), || report::rows(&runs), document)?;
    plot(args, |style| figure::durations(&runs, style))?;
    Ok((conclusion, complete))
}

/// A figure that no run can have is an error of the simulation or of the model, and is named.
fn outside(name: &str, rows: &[Bounded]) -> Conclusion {
    let mut conclusion = Conclusion::AsExpected;
    for Bounded { cost, simulated, .. } in rows.iter().filter(|bounded| !bounded.is_within()) {
        remark(format_args!("{name}: {cost} is {simulated}, which no run can have"));
        conclusion = Conclusion::Surprise;
    }
    conclusion
}

fn swept(
    args: &Simulate,
    sweep: Sweep,
    setups: &[(Strategy, SimulationSetup)],
    waiter: &Waiter,
) -> Result<(Conclusion, bool)> {
    let mut curves = Vec::new();
    for (_, setup) in setups {
        waiter.begin(setup);
        let runs = args.runs.map_or(1, Into::into);
        match unless_given_up(sweep.run(setup, runs, waiter), &setup.policy.name)? {
            Some(curve) => curves.push(curve),
            None => break,
        }
    }
    waiter.teller.end();
    let complete = curves.len() == setups.len();
    let swept = Swept { sweep, curves };
    let document = || SimulationDocument::new(&swept);
    say_sheet(args.format, || report::sweep_table(&swept), || report::sweep_rows(&swept), document)?;
    plot(args, |style| figure::curves(&swept, style))?;
    Ok((Conclusion::AsExpected, complete))
}

fn reproduced(args: &Simulate) -> Result<End> {
    let paper = paper::reproduce()?;
    let document = || SimulationDocument::new(&paper);
    say_sheet(args.format, || report::paper_table(&paper), || report::paper_rows(&paper), document)?;
    plot(args, figure::cases)?;
    let reproduced = paper.cells.iter().all(paper::PublishedCell::is_reproduced);
    Ok(End::Concluded(if reproduced { Conclusion::AsExpected } else { Conclusion::Surprise }))
}

/// What others have measured, next to the simulation.
fn compared(args: &Simulate) -> Result<End> {
    let comparisons: Vec<PublishedComparison> =
        published::ROWS.iter().map(Row::compare).collect::<Result<_, _>>()?;
    let document = || SimulationDocument::new(Compared { comparisons: &comparisons });
    let rows = || report::comparison_rows(&comparisons);
    say_sheet(args.format, || report::comparison_table(&comparisons), rows, document)?;
    let as_said = comparisons.iter().all(PublishedComparison::is_as_said);
    Ok(End::Concluded(if as_said { Conclusion::AsExpected } else { Conclusion::Surprise }))
}

fn plot(
    args: &Simulate,
    draw: impl FnOnce(&FigureStyle) -> Result<String, figure::FigureError>,
) -> Result<()> {
    let Some((path, style)) = args.figure.asked() else { return Ok(()) };
    fs::write(path, draw(&style)?).with_context(|| format!("{}", path.display()))
}
