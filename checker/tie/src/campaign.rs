//! Storms of the reference, held to the model.
//!
//! A [storm] checks what a process and a user can see. Where it is between two hosts, the model is
//! run along its log as well ([`trace`](super::trace)), and the transitions that it takes are counted against all that
//! views of one page permit, however much goes wrong ([`transitions`]). What a lossy link loses leaves no line, so those
//! of its transitions that are losses or come after one are never seen.

use std::collections::BTreeMap;

use engine::views::transitions::{Seen, transitions};
use model::algorithms::BUILT_IN;
use model::{Link, Strategy};
use rustc_hash::FxHashSet;
use steplog::event::Step;
use world::Disrupted;
use world::storm::{self, StormError, StormTally};

use super::policy::strategy;
use super::trace::{TraceError, explain_steps, link, seen};
use crate::uncounted::Uncounted;

/// Why a run is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// The process, or a user, sees something wrong.
    #[error(transparent)]
    Storm(#[from] StormError),
    /// The model does not have it.
    #[error("the model does not have this run, whose header is line 1: {0}")]
    Trace(#[from] TraceError),
}

/// Which transitions of the model real runs have taken.
#[derive(Clone, Debug)]
pub struct CampaignCoverage {
    /// Runs that the model was run along.
    pub runs: u64,
    /// The algorithms of which it is counted.
    algorithms: Vec<Strategy>,
    /// For each of them, by its place above.
    taken: BTreeMap<(usize, Link), FxHashSet<Seen<Uncounted>>>,
}

/// How many of the transitions of an algorithm over a link were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageShare {
    /// Name of the algorithm.
    pub algorithm: String,
    /// What the links do.
    pub link: Link,
    /// Transitions that were taken.
    pub taken: usize,
    /// Transitions that there are.
    pub possible: usize,
    /// Of the kinds of transitions, which are a step in a phase: how many were taken.
    pub kinds_taken: usize,
    /// Kinds that there are.
    pub kinds_possible: usize,
}

/// Runs it to its end, checks it on the way, and has the model follow it if it has two hosts.
///
/// # Errors
/// Something is not as it should be.
pub fn weather(run: &Disrupted, coverage: &mut CampaignCoverage) -> Result<StormTally, CampaignError> {
    weathered(run, storm::record(run), coverage)
}

/// The same of a run that has come to its end: what was recorded of it.
///
/// # Errors
/// Something is not as it should be.
fn weathered(
    run: &Disrupted,
    recorded: Result<(StormTally, Vec<Step>), StormError>,
    coverage: &mut CampaignCoverage,
) -> Result<StormTally, CampaignError> {
    let (tally, log) = recorded?;
    if run.scenario.route.iter().all(|host| host.0 < 2)
        && let Some(strategy) = strategy(&run.scenario.policy)
    {
        coverage.follow(run, strategy, &log)?;
    }
    Ok(tally)
}

impl CampaignCoverage {
    /// Of these algorithms, or of the built-in ones if there are none.
    pub fn of(algorithms: Vec<Strategy>) -> Self {
        let algorithms = if algorithms.is_empty() { BUILT_IN.to_vec() } else { algorithms };
        Self { runs: 0, algorithms, taken: BTreeMap::new() }
    }

    fn follow(&mut self, run: &Disrupted, strategy: Strategy, log: &[Step]) -> Result<(), TraceError> {
        let header = run.scenario.header(true);
        let (accepted, run) = explain_steps(header, strategy.clone(), log)?;
        self.runs += 1;
        if let Some(at) = self.algorithms.iter().position(|counted| *counted == strategy) {
            let header = accepted.header;
            let model = Uncounted::disrupted(strategy, link(header.link));
            let taken = self.taken.entry((at, link(header.link))).or_default();
            taken.extend(seen(&model, &header, &run));
        }
        Ok(())
    }

    /// Counts what others have followed of the same algorithms as well.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        for (of, taken) in other.taken {
            self.taken.entry(of).or_default().extend(taken);
        }
    }

    /// The share of each algorithm over each link.
    pub fn shares(&self) -> Vec<CoverageShare> {
        let settings = self.algorithms.iter().enumerate().flat_map(|of| Link::ALL.map(|link| (of, link)));
        let share = |((at, strategy), link): ((usize, &Strategy), Link)| {
            let possible = transitions(&Uncounted::disrupted(strategy.clone(), link));
            let taken = self.taken.get(&(at, link)).into_iter().flatten();
            let taken: Vec<_> = taken.filter(|seen| possible.contains(*seen)).collect();
            CoverageShare {
                algorithm: strategy.name.to_string(),
                link,
                taken: taken.len(),
                possible: possible.len(),
                kinds_taken: kinds(taken),
                kinds_possible: kinds(&possible),
            }
        };
        settings.map(share).collect()
    }
}

impl Default for CampaignCoverage {
    fn default() -> Self {
        Self::of(vec![])
    }
}

fn kinds<'a>(seen: impl IntoIterator<Item = &'a Seen<Uncounted>>) -> usize {
    let kinds = seen.into_iter().map(|(control, _, step)| (control.phase, *step));
    kinds.collect::<FxHashSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use steplog::event::Event;

    use super::*;

    fn of_two_hosts() -> impl Iterator<Item = Disrupted> {
        let runs = (0..).map(|at| storm::run(storm::number(5, at)));
        runs.filter(|run| run.scenario.route.iter().all(|host| host.0 < 2)).take(20)
    }

    #[test]
    fn the_model_follows_every_run_between_two_hosts() {
        let mut coverage = CampaignCoverage::default();
        for run in of_two_hosts() {
            weather(&run, &mut coverage).unwrap();
        }
        assert_eq!(coverage.runs, 20);
    }

    /// Also of an algorithm that nobody has heard of.
    #[test]
    fn what_is_asked_for_is_counted() {
        let own: Strategy = Strategy { name: "own".into(), ..model::algorithms::ASSISTED_POST_COPY };
        let mut coverage = CampaignCoverage::of(vec![own.clone()]);
        for mut run in of_two_hosts() {
            run.scenario.policy = crate::policy::policy(&own).unwrap();
            weather(&run, &mut coverage).unwrap();
        }
        assert_eq!(coverage.runs, 20);
        let shares = coverage.shares();
        assert!(shares.iter().all(|share| share.algorithm == "own"));
        assert!(shares.iter().any(|share| share.taken > 10), "{shares:?}");
    }

    /// A run with which nothing is wrong but that the model does not have.
    #[test]
    fn a_run_that_the_model_rejects_is_no_success() {
        let mut rejected = 0;
        for run in of_two_hosts() {
            let (tally, mut log) = storm::record(&run).unwrap();
            let Some(at) = log.iter().position(|step| matches!(step.event, Event::StateSent { .. })) else {
                continue;
            };
            log.remove(at);
            let judged = weathered(&run, Ok((tally, log)), &mut CampaignCoverage::default());
            assert!(matches!(judged, Err(CampaignError::Trace(_))), "{judged:?}");
            rejected += 1;
        }
        assert!(rejected > 5, "{rejected} runs could be changed");
    }
}
