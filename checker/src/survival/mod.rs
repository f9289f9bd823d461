//! What survives what: for an algorithm, a disruption and the stage in which it strikes, how a migration can end.
//!
//! Each cell of the table is computed: the world allows this one disruption in this one stage, all interleavings are
//! explored from the start to the moment when nothing remains to be repaired, and each run is given the worst of what
//! happened on it. A cell names the worst end that a run can have and, where it differs, the best; the shortest run
//! with either is its witness. Two disruptions in a row are a cell of the second table, for any stage of both.
//!
//! The process is not obliged to do anything, and it may not end a run by exiting.

mod hand_over;
mod search;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Mutex;

use enumset::EnumSet;
use model::disruption::Strike;
use model::strategy::Start;
use model::{Defect, Disruption, Disruptions, Hosts, Link, Stage, Strategy};
use serde::Serialize;

use crate::narrative::Story;
use crate::setting::Setting;

pub use hand_over::{hand_over_table, shortest_losses, with_each_hand_over, worse_than_ready_go};
pub use search::{Search, SurvivalUnfinished};
pub use table::{outcomes_table, pairs_table, table};

/// How many pages the process has. One is enough: what becomes of the process is decided page by page, and a test
/// compares with two.
pub const PAGES: NonZeroUsize = NonZeroUsize::MIN;

/// How a migration ends after a disruption, the best end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SurvivalOutcome {
    /// As if nothing had happened.
    Unaffected,
    /// The attempt is aborted, and the process goes on at the source.
    CarriesOn,
    /// Something was interrupted, and is taken up again.
    Recovers,
    /// The process is lost.
    Lost,
    /// Two hosts run the process.
    Twice,
}

impl SurvivalOutcome {
    /// All of them, the best first.
    pub const ALL: [SurvivalOutcome; 5] = [
        SurvivalOutcome::Unaffected,
        SurvivalOutcome::CarriesOn,
        SurvivalOutcome::Recovers,
        SurvivalOutcome::Lost,
        SurvivalOutcome::Twice,
    ];

    /// As tables say it.
    pub fn title(self) -> &'static str {
        match self {
            SurvivalOutcome::Unaffected => "unaffected",
            SurvivalOutcome::CarriesOn => "carries on",
            SurvivalOutcome::Recovers => "recovers",
            SurvivalOutcome::Lost => "lost",
            SurvivalOutcome::Twice => "runs twice",
        }
    }
}

impl fmt::Display for SurvivalOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SurvivalOutcome::CarriesOn => "carries-on",
            SurvivalOutcome::Twice => "runs-twice",
            other => other.title(),
        })
    }
}

/// The text names no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no outcome is called '{0}'; there are unaffected, carries-on, recovers, lost and runs-twice")]
pub struct UnknownOutcome(pub String);

impl FromStr for SurvivalOutcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = SurvivalOutcome::ALL.into_iter().find(|outcome| outcome.to_string() == text);
        found.ok_or_else(|| UnknownOutcome(text.to_owned()))
    }
}

/// What strikes: the rows of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum Blow {
    /// One disruption in one stage.
    Single {
        /// Which.
        disruption: Disruption,
        /// When.
        stage: Stage,
    },
    /// Two disruptions in a row, in any stages.
    Pair {
        /// The first.
        disruption: Disruption,
        /// The second.
        then: Disruption,
    },
}

impl Blow {
    /// Every disruption in every stage that a migration has whether it is announced or not.
    pub fn singles() -> Vec<Blow> {
        Blow::in_stages(|stage| stage != Stage::Announced)
    }

    /// Every disruption in every stage that there is in a table of these algorithms.
    pub fn singles_of(strategies: &[Strategy]) -> Vec<Blow> {
        let announced = strategies.iter().any(|strategy| strategy.real.start == Start::Announced);
        if announced { Blow::in_stages(|_| true) } else { Blow::singles() }
    }

    fn in_stages(wanted: fn(Stage) -> bool) -> Vec<Blow> {
        let stages = move || Stage::ALL.into_iter().filter(move |stage| wanted(*stage));
        let of = |disruption| stages().map(move |stage| Blow::Single { disruption, stage });
        Disruption::ALL.into_iter().flat_map(of).collect()
    }

    /// Every ordered pair of disruptions.
    pub fn pairs() -> Vec<Blow> {
        let of = |disruption| Disruption::ALL.into_iter().map(move |then| Blow::Pair { disruption, then });
        Disruption::ALL.into_iter().flat_map(of).collect()
    }

    /// The world in which nothing else goes wrong.
    pub fn disruptions(self) -> Disruptions {
        match self {
            Blow::Single { disruption, stage } => {
                Disruptions::one(Strike { kinds: disruption.into(), stages: stage.into() })
            }
            Blow::Pair { disruption, then } => {
                let any = |kind: Disruption| Strike { kinds: kind.into(), stages: EnumSet::all() };
                Disruptions::two(any(disruption), any(then))
            }
        }
    }

    /// Does a machine die?
    fn kills(self) -> bool {
        self.disruptions().strikes().any(|strike| {
            strike.kinds.contains(Disruption::CrashSource)
                || strike.kinds.contains(Disruption::CrashDestination)
        })
    }

    /// The command that shows a shortest run with this outcome.
    pub fn command(self, algorithm: &str, outcome: SurvivalOutcome) -> String {
        match self {
            Blow::Single { disruption, stage } => {
                format!(
                    "checker trace {algorithm} {outcome} --disruptions {disruption} --stage {stage} --pages 1"
                )
            }
            Blow::Pair { disruption, then } => {
                format!(
                    "checker trace {algorithm} {outcome} --disruptions {disruption} --then {then} --pages 1"
                )
            }
        }
    }
}

/// One cell: what can come of a blow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SurvivalCell {
    /// The algorithm.
    pub algorithm: String,
    /// What strikes.
    #[serde(flatten)]
    pub blow: Blow,
    /// The worst that can come of it; `None` where it cannot strike.
    pub worst: Option<SurvivalOutcome>,
    /// The best that can come of it.
    pub best: Option<SurvivalOutcome>,
    /// The command that shows a shortest run with the worst outcome.
    pub witness: Option<String>,
    /// The number of steps of that run.
    pub steps: Option<usize>,
}

impl SurvivalCell {
    /// Is the process lost although no machine has died, or does it run twice? No built-in algorithm lets that happen.
    pub fn is_avoidable(&self) -> bool {
        self.worst == Some(SurvivalOutcome::Twice)
            || (self.worst == Some(SurvivalOutcome::Lost) && !self.blow.kills())
    }
}

/// The world of a blow: two hosts, links that keep their order and break only when they are cut.
pub fn setting(strategy: Strategy, disruptions: Disruptions) -> Setting {
    Setting { strategy, hosts: Hosts::Two, link: Link::Fifo, defect: None, disruptions }
}

/// What can come of one blow, with a deliberate defect if one is wanted, as long as it `goes_on`.
///
/// # Errors
/// Not everything that can come of it was seen.
pub fn cell(
    strategy: &Strategy,
    defect: Option<Defect>,
    blow: Blow,
    pages: NonZeroUsize,
    goes_on: &dyn Fn() -> bool,
) -> Result<SurvivalCell, SurvivalUnfinished> {
    let setting = Setting { defect, ..setting(strategy.clone(), blow.disruptions()) };
    let ends = Search::new(&setting.concrete(pages)).ends(None, goes_on)?;
    let worst = ends.keys().next_back().copied();
    let algorithm = strategy.name.clone().into_owned();
    Ok(SurvivalCell {
        worst,
        best: ends.keys().next().copied(),
        witness: worst.map(|outcome| blow.command(&algorithm, outcome)),
        steps: worst.and_then(|outcome| ends.get(&outcome)).map(Vec::len),
        algorithm,
        blow,
    })
}

/// A shortest run with an outcome, where there is one, looked for as long as it `goes_on`.
///
/// # Errors
/// The search was not finished.
pub fn witness(
    setting: &Setting,
    outcome: SurvivalOutcome,
    pages: NonZeroUsize,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<Story>, SurvivalUnfinished> {
    let concrete = setting.concrete(pages);
    let mut search = Search::new(&concrete);
    let Some(steps) = search.ends(Some(outcome), goes_on)?.remove(&outcome) else { return Ok(None) };
    let title = format!("{} · {}", setting.strategy.name, outcome.title());
    let run = search.run(steps);
    Ok(Some(Story { title, start: run.initial, steps: run.steps, loop_from: None }))
}

/// What can come of each of the blows, for each of the algorithms, in that order; computed on so many threads. Of what
/// was not finished there is no cell.
pub fn cells(
    strategies: &[Strategy],
    defect: Option<Defect>,
    blows: &[Blow],
    threads: NonZeroUsize,
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Vec<SurvivalCell> {
    let tasks = strategies.iter().flat_map(|strategy| blows.iter().map(move |blow| (strategy, *blow)));
    let tasks: Mutex<std::iter::Enumerate<_>> = Mutex::new(tasks.enumerate());
    let next = || tasks.lock().ok().and_then(|mut tasks| tasks.next());
    let work = || {
        let mut done = BTreeMap::new();
        while let Some((index, (strategy, blow))) = next() {
            done.extend(cell(strategy, defect, blow, PAGES, goes_on).ok().map(|cell| (index, cell)));
        }
        done
    };
    let done: BTreeMap<usize, SurvivalCell> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
    });
    done.into_values().collect()
}
