//! `simulate`: what a migration costs.

pub mod args;

use std::fs;

use anyhow::{Context, Result};
use checker::report::Conclusion;
use checker::simulate::bounds::{Bounded, bounded};
use checker::simulate::figure;
use checker::simulate::paper;
use checker::simulate::report::{self, Document, Run, Swept};
use checker::simulate::sweep::Sweep;
use checker::simulate::{Setup, run as simulate};
use model::{Strategy, algorithms};
use serde::Serialize;
use tie::policy::policy;

use super::output::{remark, say};
use super::{End, algorithm};
use args::{Format, Simulate};

#[derive(Serialize)]
struct Runs<'a> {
    runs: &'a [Run],
}

pub(super) fn run(args: &Simulate) -> Result<End> {
    if args.paper {
        return published(args);
    }
    let setups = setups(args)?;
    match &args.sweep {
        Some(sweep) => swept(args, *sweep, &setups).map(|()| End::Concluded(Conclusion::AsExpected)),
        None => once(args, setups).map(End::Concluded),
    }
}

/// Each algorithm with its setting.
fn setups(args: &Simulate) -> Result<Vec<(Strategy, Setup)>> {
    let strategies = match args.algorithms.as_slice() {
        [] => algorithms::BUILT_IN.into_iter().collect(),
        names => names.iter().map(|name| algorithm(name)).collect::<Result<Vec<_>>>()?,
    };
    let setup = |strategy: Strategy| {
        let policy = policy(&strategy).with_context(|| strategy.name.to_string())?;
        Ok((strategy, args.setting.setup(policy)))
    };
    strategies.into_iter().map(setup).collect()
}

fn once(args: &Simulate, setups: Vec<(Strategy, Setup)>) -> Result<Conclusion> {
    let run = |(strategy, setup): (Strategy, Setup)| {
        let name = || setup.policy.name.to_string();
        let outcome = simulate(&setup).with_context(name)?;
        let bounds = bounded(&strategy, &setup, &outcome).with_context(name)?;
        Ok(Run { setup, outcome, bounds })
    };
    let runs = setups.into_iter().map(run).collect::<Result<Vec<_>>>()?;
    match args.format {
        Format::Text => say(report::table(&runs).trim_end())?,
        Format::Json => document(Runs { runs: &runs })?,
        Format::Csv => say(report::csv(&runs))?,
    }
    plot(args, || figure::durations(&runs))?;
    Ok(conclusion(&runs))
}

/// A figure that no run can have is an error of the simulation or of the model, and is named.
fn conclusion(runs: &[Run]) -> Conclusion {
    let mut conclusion = Conclusion::AsExpected;
    for run in runs {
        for Bounded { cost, simulated, .. } in run.bounds.iter().filter(|bounded| !bounded.is_within()) {
            remark(format_args!("{}: {cost} is {simulated}, which no run can have", run.setup.policy.name));
            conclusion = Conclusion::Surprise;
        }
    }
    conclusion
}

fn swept(args: &Simulate, sweep: Sweep, setups: &[(Strategy, Setup)]) -> Result<()> {
    let curve =
        |(_, setup): &(Strategy, Setup)| sweep.run(setup).with_context(|| setup.policy.name.to_string());
    let curves = setups.iter().map(curve).collect::<Result<_>>()?;
    let swept = Swept { sweep, curves };
    match args.format {
        Format::Text => say(report::sweep_table(&swept))?,
        Format::Json => document(&swept)?,
        Format::Csv => say(report::sweep_csv(&swept))?,
    }
    plot(args, || figure::curves(&swept))
}

fn published(args: &Simulate) -> Result<End> {
    let paper = paper::reproduce()?;
    match args.format {
        Format::Text => say(report::paper_table(&paper))?,
        Format::Json => document(&paper)?,
        Format::Csv => say(report::paper_csv(&paper))?,
    }
    plot(args, figure::cases)?;
    let reproduced = paper.cells.iter().all(paper::Cell::is_reproduced);
    Ok(End::Concluded(if reproduced { Conclusion::AsExpected } else { Conclusion::Surprise }))
}

fn document(content: impl Serialize) -> Result<()> {
    say(serde_json::to_string_pretty(&Document::new(content)).context("cannot write JSON")?)
}

fn plot(args: &Simulate, draw: impl FnOnce() -> Result<String, figure::FigureError>) -> Result<()> {
    let Some(path) = &args.plot else { return Ok(()) };
    fs::write(path, draw()?).with_context(|| format!("{}", path.display()))
}
