//! `sojourn measure`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgGroup, Args};

use super::output::say;
use super::{Ending, OutputFormat};
use crate::measure::simulated::Simulated;
use crate::measure::{self, Tools, bed, figure, goals, paper};

/// What is asked for.
#[derive(Args)]
#[command(group(ArgGroup::new("what").required(true).args(["paper", "goals"])))]
pub(super) struct Measure {
    /// The published experiment: 10 MiB, 100 Mbit/s, random access and modification, all nine algorithms, each of the kinds of page.
    #[arg(long)]
    paper: bool,
    /// What the project asks of itself, beside what is measured.
    #[arg(long)]
    goals: bool,
    /// What `checker simulate --paper --format json`, or another simulation of the same as JSON, has written: published and
    /// simulated figures stand beside those measured.
    #[arg(long, value_name = "FILE", requires = "paper")]
    simulated: Vec<PathBuf>,
    /// Only these rows: an algorithm, or `generic, private`, `generic, clean`, `generic, file-mapped`.
    #[arg(long, value_name = "ROW", requires = "paper")]
    only: Vec<String>,
    /// Where a figure of the durations goes, as SVG.
    #[arg(long, value_name = "FILE", requires = "paper")]
    plot: Option<PathBuf>,
    /// How often each figure is measured.
    #[arg(long, value_name = "TIMES", default_value_t = 5)]
    repeat: usize,
    /// How to say it.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl Measure {
    pub(super) fn run(&self) -> anyhow::Result<Ending> {
        let mut simulated = Simulated::default();
        for path in &self.simulated {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            simulated = simulated.and(Simulated::parse(&text).with_context(|| path.display().to_string())?);
        }
        if let Some(reason) = bed::missing() {
            anyhow::bail!("nothing can be measured here: {reason}");
        }
        let tools = Tools::here(self.repeat)?;
        let progress = |what: &str| anstream::eprintln!("{what}");
        ctrlc::set_handler(measure::interrupt).context("interrupts cannot be caught")?;
        let measured =
            if self.goals { self.goals(&tools, progress) } else { self.paper(&tools, &simulated, progress) };
        if measure::is_interrupted() { Ok(Ending::Interrupted) } else { measured }
    }

    fn goals(&self, tools: &Tools, progress: impl FnMut(&str)) -> anyhow::Result<Ending> {
        let goals = goals::goals(tools, progress)?;
        match self.format {
            OutputFormat::Text => say(goals::text(&goals))?,
            OutputFormat::Json => say(serde_json::json!({ "version": 1, "goals": goals }))?,
        }
        Ok(if goals.iter().all(goals::Goal::is_met) { Ending::AsExpected } else { Ending::Not })
    }

    fn paper(
        &self,
        tools: &Tools,
        simulated: &Simulated,
        progress: impl FnMut(&str),
    ) -> anyhow::Result<Ending> {
        let experiment = paper::experiment(tools, &self.only, progress)?;
        if let Some(path) = &self.plot {
            fs::write(path, figure::bars(&experiment)).with_context(|| path.display().to_string())?;
        }
        match self.format {
            OutputFormat::Text => say(paper::text(&experiment, simulated))?,
            OutputFormat::Json => say(serde_json::json!({ "version": 1, "experiment": experiment }))?,
        }
        Ok(if experiment.failed.is_empty() { Ending::AsExpected } else { Ending::Not })
    }
}
