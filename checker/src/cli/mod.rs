//! The command line: results on standard output, progress and errors on standard error.

mod advise;
pub mod args;
mod bounds;
mod check;
mod claims;
mod conform;
mod explore;
mod faults;
mod list;
mod log;
mod observe;
mod output;
mod patience;
mod progress;
mod prove;
mod record;
mod simulate;
mod storm;
mod subject;
mod trace;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use checker::report::Conclusion;
use checker::setting::{Pages, Setting};
use clap::CommandFactory;
use model::{Disruptions, Hosts, Link, Strategy};

use args::{Cli, Command, World};
use output::{remark, say};
use subject::Subject;

/// How a command ended.
enum End {
    /// With a conclusion about verdicts.
    Concluded(Conclusion),
    /// Interrupted, after a partial report.
    Interrupted,
}

pub fn run(cli: Cli) -> ExitCode {
    cli.color.write_global();
    let end = match cli.command {
        None => check::run(&cli.check),
        Some(Command::Check(check)) => check::run(&check),
        Some(Command::List(list)) => list::run(&list),
        Some(Command::Trace(trace)) => trace::run(&trace),
        Some(Command::Bounds(bounds)) => bounds::run(&bounds),
        Some(Command::Claims(claims)) => claims::run(&claims),
        Some(Command::Explore(explore)) => explore::run(&explore),
        Some(Command::Faults(faults)) => faults::run(&faults),
        Some(Command::Log(log)) => log::run(&log),
        Some(Command::Conform(conform)) => conform::run(&conform),
        Some(Command::Observe(observe)) => observe::run(&observe),
        Some(Command::Record(record)) => record::run(&record),
        Some(Command::Storm(storm)) => storm::run(&storm),
        Some(Command::Simulate(args)) => simulate::run(&args),
        Some(Command::Advise(args)) => advise::run(&args),
        Some(Command::Invariant(invariant)) => prove::invariant(&invariant),
        Some(Command::Smt(smt)) => prove::smt(&smt),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "checker", &mut script);
            say(String::from_utf8_lossy(&script).trim_end()).map(|()| End::Concluded(Conclusion::AsExpected))
        }
        Some(Command::Help { command }) => help(command.as_deref()),
    };
    match end {
        Ok(End::Concluded(Conclusion::AsExpected)) => ExitCode::SUCCESS,
        Ok(End::Concluded(Conclusion::Surprise)) => ExitCode::from(1),
        Ok(End::Concluded(Conclusion::Inconclusive)) => ExitCode::from(3),
        Ok(End::Interrupted) => ExitCode::from(130),
        Err(error) => {
            remark(format_args!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// The algorithm in that strategy file, or on standard input.
fn strategy_file(path: &Path) -> Result<Strategy> {
    Ok(Subject::in_file(path)?.strategy)
}

/// The help of a command, or of all.
fn help(of: Option<&str>) -> Result<End> {
    let mut all = Cli::command();
    all.build();
    let command = match of {
        None => &mut all,
        Some(name) => all
            .find_subcommand_mut(name)
            .with_context(|| format!("there is no command '{name}': see `checker help`"))?,
    };
    say(command.render_help().ansi().to_string().trim_end())?;
    Ok(End::Concluded(Conclusion::AsExpected))
}

/// The setting of an algorithm; what is not said is what the defect needs to show, or else the most
/// orderly link and three hosts, two where something goes wrong.
fn setting(strategy: Strategy, world: &World) -> Result<Setting> {
    let needs = world.defect.map(|defect| defect.entry());
    let needed = needs.map_or(Disruptions::NONE, |needs| needs.disruptions());
    let disruptions = world.goes_wrong.disruptions().unwrap_or(needed);
    if !disruptions.is_none() && world.hosts == Some(Hosts::Three) {
        bail!(
            "--hosts 3 does not go with disruptions: they are modelled for two hosts, which show all of them"
        );
    }
    let hosts = if disruptions.is_none() { Hosts::Three } else { Hosts::Two };
    Ok(Setting {
        strategy,
        hosts: world.hosts.unwrap_or(hosts),
        link: world.link.or(needs.map(|needs| needs.link)).unwrap_or(Link::Fifo),
        defect: world.defect,
        disruptions,
    })
}

/// Refuses a defect that makes no difference in this world, with this many pages: a pass would say nothing.
fn refuse_idle_defect(setting: &Setting, pages: Pages) -> Result<()> {
    Ok(setting.defect_acts(pages)?)
}
