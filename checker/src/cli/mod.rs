//! The command line: results on standard output, progress and errors on standard error.

pub mod args;
mod bounds;
mod check;
mod claims;
mod conform;
mod explore;
mod faults;
mod list;
mod output;
mod patience;
mod progress;
mod prove;
mod simulate;
mod storm;
mod subject;
mod trace;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use checker::effect::{Effect, effect};
use checker::report::{Conclusion, counted};
use checker::setting::{Pages, Setting};
use clap::CommandFactory;
use model::{Disruptions, Hosts, Link, Strategy};

use args::{Cli, Command, World};
use output::{remark, say};
use patience::Patience;
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
        Some(Command::Conform(conform)) => conform::run(&conform),
        Some(Command::Storm(storm)) => storm::run(&storm),
        Some(Command::Simulate(args)) => simulate::run(&args),
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

/// The algorithm of that name, in that strategy file, or on standard input.
fn algorithm(name: &str) -> Result<Strategy> {
    Ok(Subject::named(name)?.strategy)
}

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

/// Can the defect, if there is one, change anything in this world, with this many pages? Where that is not known, it may.
fn can_act(setting: &Setting, pages: Pages, patience: &Patience) -> bool {
    setting.defect.is_none() || effect(setting, pages, &|| !patience.is_out()) != Effect::None
}

/// Refuses a defect that changes nothing in this world, with this many pages: a pass would say nothing.
fn refuse_idle_defect(setting: &Setting, pages: Pages, patience: &Patience) -> Result<()> {
    match can_act(setting, pages, patience) {
        true => Ok(()),
        false => Err(idle_defect(&setting.strategy.name, setting, pages)),
    }
}

/// The error that the defect of this setting cannot act on these algorithms.
fn idle_defect(algorithms: &str, setting: &Setting, pages: Pages) -> anyhow::Error {
    let defect = setting.defect.map(|defect| defect.to_string()).unwrap_or_default();
    let circumstances = circumstances(setting, pages);
    anyhow!(
        "the defect {defect} cannot act on {algorithms}, {circumstances}: no reachable state has a step that it changes"
    )
}

/// Where a defect cannot act.
fn circumstances(setting: &Setting, pages: Pages) -> String {
    let pages = match pages {
        Pages::Exactly(pages) => counted(pages.get(), "page"),
        Pages::Any => "any number of pages".to_owned(),
    };
    let disruptions = match setting.disruptions.budget() {
        0 => "no disruption".to_owned(),
        budget => format!("up to {} of those allowed", counted(budget, "disruption")),
    };
    format!("with {pages}, {} hosts, {} links and {disruptions}", setting.hosts, setting.link)
}
