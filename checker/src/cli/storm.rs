//! `storm`: random runs of the reference in which machines, links and the file server fail.

mod replay;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::BufWriter;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{available_parallelism, scope};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use checker::report::Conclusion;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};
use model::{Link, Strategy};
use protocol::policy::Policy;
use protocol::transcript::transcript;
use steplog::event::Step;
use steplog::sink::{LogWriter, StepSink};
use tie::campaign::{self, CampaignCoverage, CampaignError, CoverageShare};
use tie::policy::policy;
use world::storm::{self, End as RunEnd, StormTally};
use world::{Disrupted, DisruptionKind, World};

use super::End;
use super::args::Storm;
use super::output::{quoted, say};
use super::patience::Patience;
use super::progress::Teller;

/// Runs where neither a number nor a time is given: about a million steps.
const RUNS_DEFAULT: u64 = 10_000;

/// Runs between two remarks on how far it is.
const RUNS_PER_REMARK: u64 = 500;

const SECONDS_PER_MINUTE: u64 = 60;
const NS_PER_S: f64 = 1e9;

/// A run that is not as it should be.
struct Failure {
    at: u64,
    run: Disrupted,
    error: CampaignError,
}

/// Runs it and says what is wrong with it.
type Weather = fn(&Disrupted, &mut CampaignCoverage) -> Result<StormTally, CampaignError>;

/// What several threads find out together.
struct Campaign {
    weather: Weather,
    /// Taken in turn; any where there are none.
    policies: Vec<Policy>,
    /// The same to the model.
    strategies: Vec<Strategy>,
    seed: u64,
    runs_max: u64,
    until: Option<Instant>,
    next: AtomicU64,
    patience: Patience,
    tally: Mutex<(StormTally, CampaignCoverage)>,
    failure: Mutex<Option<Failure>>,
}

pub(super) fn run(args: &Storm) -> Result<End> {
    run_with(campaign::weather, args)
}

fn run_with(weather: Weather, args: &Storm) -> Result<End> {
    if let Some(run) = &args.replay {
        return replay(run, args.trace.as_deref());
    }
    let subjects = args.subjects.asked()?;
    let policies =
        subjects.iter().map(|subject| policy(&subject.strategy).with_context(|| subject.place.to_string()));
    let time = args.minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(SECONDS_PER_MINUTE)));
    let runs_default = if time.is_some() { u64::MAX } else { RUNS_DEFAULT };
    let strategies: Vec<_> = subjects.iter().map(|subject| subject.strategy.clone()).collect();
    let campaign = Campaign {
        weather,
        policies: policies.collect::<Result<_>>()?,
        tally: Mutex::new((StormTally::default(), CampaignCoverage::of(strategies.clone()))),
        strategies,
        seed: args.seed,
        runs_max: args.runs.map_or(runs_default, std::num::NonZeroU64::get),
        until: time.and_then(|time| Instant::now().checked_add(time)),
        next: AtomicU64::new(0),
        patience: Patience::start(args.timeout.timeout)?,
        failure: Mutex::default(),
    };
    let threads = args.threads.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let teller = Teller::new();
    scope(|scope| {
        (1..threads).for_each(|_| _ = scope.spawn(|| campaign.work(&|_| ())));
        campaign.work(&|done| teller.begin(format!("storm: {done} runs")));
    });
    teller.end();
    let seed = campaign.seed;
    let (tally, coverage) = campaign.tally.into_inner().unwrap_or_default();
    let failure = campaign.failure.into_inner().unwrap_or_default();
    say(summary(seed, &tally, failure.is_none()))?;
    say(followed(&coverage))?;
    if let Some(failure) = failure {
        tell(weather, &failure)?;
        return Ok(End::Concluded(Conclusion::Surprise));
    }
    // A storm of so many minutes has as many runs as there was time for.
    let complete = tally.runs == campaign.runs_max || (time.is_some() && !campaign.patience.time_is_up());
    Ok(campaign.patience.end(Conclusion::AsExpected, complete))
}

impl Campaign {
    /// Takes one run after the other until all are taken, the time is up, or one has failed.
    fn work(&self, progress: &dyn Fn(u64)) {
        let (mut own, mut coverage) = (StormTally::default(), CampaignCoverage::of(self.strategies.clone()));
        loop {
            let at = self.next.fetch_add(1, Relaxed);
            let time_is_up = self.until.is_some_and(|until| Instant::now() >= until);
            let failed = self.failure.lock().is_ok_and(|failure| failure.is_some());
            if at >= self.runs_max || time_is_up || failed || self.patience.is_out() {
                break;
            }
            let run = self.run(at);
            match (self.weather)(&run, &mut coverage) {
                Ok(came) => own.add(&came),
                Err(error) => self.fail(Failure { at, run, error }),
            }
            if at.is_multiple_of(RUNS_PER_REMARK) {
                progress(at);
            }
        }
        if let Ok(mut tally) = self.tally.lock() {
            tally.0.add(&own);
            tally.1.add(coverage);
        }
    }

    fn run(&self, at: u64) -> Disrupted {
        let mut run = storm::run(storm::number(self.seed, at));
        let turn = usize::try_from(at % (self.policies.len().max(1)) as u64).unwrap_or_default();
        if let Some(policy) = self.policies.get(turn) {
            run.scenario.policy = policy.clone();
        }
        run
    }

    /// Of several failures the first counts, so that the same seed tells the same.
    fn fail(&self, failure: Failure) {
        if let Ok(mut first) = self.failure.lock()
            && first.as_ref().is_none_or(|first| failure.at < first.at)
        {
            *first = Some(failure);
        }
    }
}

fn summary(seed: u64, tally: &StormTally, passed: bool) -> String {
    let StormTally { runs, steps, virtual_ns, migrations, injected, ends } = tally;
    let verdict = if passed { "no violation" } else { "before the first violation" };
    let seconds = *virtual_ns as f64 / NS_PER_S;
    format!(
        "seed {seed}: {runs} runs, {steps} steps of endpoints, {seconds:.1} s of virtual time, \
         {migrations} migrations: {verdict}\n  disruptions: {}\n  ends: {}",
        counts(&DisruptionKind::ALL, injected),
        counts(&RunEnd::ALL, ends)
    )
}

fn counts<K: Ord + Display>(all: &[K], counts: &BTreeMap<K, u64>) -> String {
    let count = |kind: &K| format!("{kind} {}", counts.get(kind).copied().unwrap_or(0));
    all.iter().map(count).collect::<Vec<_>>().join(", ")
}

/// What came of running the model along.
fn followed(coverage: &CampaignCoverage) -> String {
    let mut table = Table::new();
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let head = Link::ALL.map(|link| right(link.to_string()));
    table.load_preset(NOTHING).set_header([Cell::new("")].into_iter().chain(head));
    let shares = coverage.shares();
    for of_algorithm in shares.chunk_by(|a, b| a.algorithm == b.algorithm) {
        let share = |share: &CoverageShare| {
            let CoverageShare { taken, possible, kinds_taken, kinds_possible, .. } = share;
            right(format!("{kinds_taken} of {kinds_possible} ({taken} of {possible})"))
        };
        let name = of_algorithm.iter().take(1).map(|share| Cell::new(&share.algorithm));
        table.add_row(name.chain(of_algorithm.iter().map(share)));
    }
    let runs = coverage.runs;
    format!(
        "  the model has all {runs} runs between two hosts; they took so many of its steps in so many phases \
         (of its transitions, as a page sees them):\n{table}"
    )
}

/// The run made as small as it gets, step by step, and the command that shows it again.
fn tell(weather: Weather, failure: &Failure) -> Result<()> {
    let Failure { at, run, error } = failure;
    let wrong = |run: &Disrupted| weather(run, &mut CampaignCoverage::default()).err();
    let smallest = storm::shrink(run, |run| wrong(run).is_some());
    let (log, smallest_error) = (log(&smallest), wrong(&smallest));
    let log = transcript(&log);
    let json = serde_json::to_string(&smallest)?;
    say(format_args!(
        "run {at}: {error}\nthe smallest run found that fails:\n{log}{}\nshow it again: checker storm --replay {}",
        smallest_error.map_or_else(String::new, |error| error.to_string()),
        quoted(&json)
    ))
}

fn replay(json: &str, trace: Option<&Path>) -> Result<End> {
    let run = replay::read(json).context("--replay")?;
    if let Some(path) = trace {
        write_trace(&run, path).with_context(|| format!("{}", path.display()))?;
    }
    say(transcript(&log(&run)).trim_end())?;
    match campaign::weather(&run, &mut CampaignCoverage::default()).err() {
        None => {
            say("no violation")?;
            Ok(End::Concluded(Conclusion::AsExpected))
        }
        Some(error) => {
            say(error)?;
            Ok(End::Concluded(Conclusion::Surprise))
        }
    }
}

/// Writes what `checker conform` reads.
fn write_trace(run: &Disrupted, path: &Path) -> Result<()> {
    let mut to = LogWriter::begin(&run.scenario.header(true), BufWriter::new(File::create(path)?))?;
    log(run).into_iter().try_for_each(|step| to.record(step))?;
    Ok(to.end()?)
}

/// What happens in the run, as far as it goes: what is wrong with it is said elsewhere.
fn log(run: &Disrupted) -> Vec<Step> {
    let log = World::disrupted(run).map(|mut world| {
        let _ = world.finish_within(storm::RUN_STEPS_MAX);
        world.log().to_vec()
    });
    log.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tie::trace::TraceError;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn args(arguments: &[&str]) -> Box<Storm> {
        let cli = Cli::try_parse_from([&["checker", "storm"], arguments].concat()).unwrap();
        match cli.command {
            Some(Command::Storm(storm)) => Box::new(storm),
            other => panic!("{other:?}"),
        }
    }

    /// The sixth run, by its seed, is one that the model does not have.
    fn rejecting(run: &Disrupted, coverage: &mut CampaignCoverage) -> Result<StormTally, CampaignError> {
        match run.scenario.seed == storm::run(storm::number(3, 5)).scenario.seed {
            true => Err(TraceError::Header("seeded".to_owned()).into()),
            false => campaign::weather(run, coverage),
        }
    }

    #[test]
    fn a_run_that_is_rejected_is_a_surprise() {
        let ended = |runs| run_with(rejecting, &args(&["--seed", "3", "--threads", "1", "--runs", runs]));
        // A second handler for Ctrl-C cannot be set, so both are one test.
        assert!(matches!(ended("8"), Ok(End::Concluded(Conclusion::Surprise))));
    }
}
