//! What checks are made of: verdicts for any number of pages, graphs, bounds.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use engine::explore::Trace;
use engine::liveness::{self, Assumptions, Space};
use engine::state_graph::{self, StateGraph, TooLarge};
use enumset::EnumSet;
use model::concrete::{Concrete, Move, State, Step};
use model::system::{Judged, Properties};
use model::{
    Defect, Disruption, Disruptions, Hosts, Link, Migration, Process, Property, Strategy, algorithms,
};
use protocol::policy::Policy;

use super::ClaimFinding;
use crate::bounds::{self, Bounds, Cost, Migrations, Way};
use crate::judge::{self, Engine, JudgeOptions, judge};
use crate::observed::{ObservedMigration, Past, Population};
use crate::report::Actual;
use crate::setting::{Pages, Setting};
use crate::simulate::{SimulationError, SimulationOutcome, SimulationSetup, run};

/// The world in which claims are checked: three hosts, FIFO links, no defect unless one is wanted.
#[derive(Clone, Debug)]
pub struct Lab {
    /// Pages of graphs that are explored whole; what views can prove is proved for any number.
    pub pages: NonZeroUsize,
    /// A defect, built into every algorithm, to see a check fail.
    pub defect: Option<Defect>,
    /// Algorithms that stand in for the built-in ones that they are called after.
    pub instead: Vec<Strategy>,
    /// An error built into every simulated setting, for the same; the settings as they are by default.
    pub altered: fn(SimulationSetup) -> SimulationSetup,
    /// Checks end, undecided, as soon as this is true.
    pub interrupted: Arc<AtomicBool>,
    /// They end then as well.
    pub until: Option<Instant>,
}

/// Why a claim was not decided.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A graph is too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// An engine failed.
    #[error(transparent)]
    Judge(#[from] judge::JudgeError),
    /// A counterexample does not replay: an error in this program.
    #[error("internal error: {0}")]
    Liveness(#[from] liveness::LassoError<Property>),
    /// A simulation failed.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// A property was neither shown nor refuted.
    #[error("{algorithm}: {property} is open")]
    Open {
        /// Of which algorithm.
        algorithm: String,
        /// Which property.
        property: Property,
    },
    /// No migration was completed.
    #[error("{0} completes no migration")]
    NoMigration(String),
    /// Somebody has had enough.
    #[error("interrupted")]
    Interrupted,
    /// There was not enough time.
    #[error("the time is up")]
    TimeIsUp,
}

impl LabError {
    /// Did a bound run out, rather than an engine fail?
    pub fn is_a_bound(&self) -> bool {
        matches!(self, LabError::TooLarge(_) | LabError::Open { .. }) || self.is_an_end()
    }

    /// Was it given up, whatever else could have been found?
    pub fn is_an_end(&self) -> bool {
        matches!(self, LabError::Interrupted | LabError::TimeIsUp)
    }
}

impl Default for Lab {
    fn default() -> Self {
        Lab {
            pages: NonZeroUsize::MIN.saturating_add(1),
            defect: None,
            instead: vec![],
            altered: |setup| setup,
            interrupted: Arc::default(),
            until: None,
        }
    }
}

/// The built-in algorithm of that name.
fn built_in(name: &str) -> Strategy {
    algorithms::built_in(name).unwrap_or_else(|| unreachable!("{name} is built in"))
}

/// All nine, by name.
pub(super) fn names() -> Vec<&'static str> {
    vec![
        "total-copy",
        "total-copy-dirty",
        "pre-copy",
        "pre-copy-unbounded",
        "lazy-copy",
        "flushing",
        "post-copy",
        "assisted-post-copy",
        "generic",
    ]
}

/// Some names, for a sentence.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// Bounds, for a sentence.
pub(super) fn range(bounds: Bounds) -> String {
    match bounds.maximum {
        Some(maximum) if maximum == bounds.minimum => maximum.to_string(),
        Some(maximum) => format!("{} to {maximum}", bounds.minimum),
        None => format!("{} to any number", bounds.minimum),
    }
}

impl Lab {
    /// Nobody has had enough, and there is time left.
    pub(super) fn goes_on(&self) -> Result<(), LabError> {
        match self.until {
            _ if self.interrupted.load(Relaxed) => Err(LabError::Interrupted),
            Some(until) if Instant::now() >= until => Err(LabError::TimeIsUp),
            _ => Ok(()),
        }
    }

    /// What was found, unless it was given up on the way: then that is why it was not found.
    fn unless_ended<T, E: Into<LabError>>(&self, found: Result<T, E>) -> Result<T, LabError> {
        found.or_else(|error| self.goes_on().and(Err(error.into())))
    }

    fn time_left(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// The algorithm of that name: a built-in one, or what stands in for it.
    pub(super) fn algorithm(&self, name: &str) -> Strategy {
        let instead = self.instead.iter().find(|strategy| strategy.name == name);
        instead.cloned().unwrap_or_else(|| built_in(name))
    }

    /// So many pages, as bounds have it.
    pub(super) fn n(&self) -> u64 {
        self.pages.get() as u64
    }

    fn setting(&self, strategy: Strategy, link: Link) -> Setting {
        let disruptions = Disruptions::NONE;
        Setting { strategy, hosts: Hosts::Three, link, defect: self.defect, disruptions }
    }

    pub(super) fn migration(&self, strategy: Strategy) -> Migration {
        self.setting(strategy, Link::Fifo).migration()
    }

    /// The whole graph of a system.
    pub(super) fn graph<'a, S: Judged>(
        &self,
        concrete: &'a Concrete<S>,
        pages: state_graph::PageIdentity,
    ) -> Result<StateGraph<'a, S>, LabError> {
        let goes_on = |_| self.goes_on().is_ok();
        self.unless_ended(StateGraph::explore_while(concrete, pages, bounds::STATES_MAX, &goes_on))
    }

    /// Under observation, with the lab's number of pages.
    pub(super) fn observed(
        &self,
        strategy: Strategy,
        population: Population,
        remembered: EnumSet<Past>,
    ) -> Concrete<ObservedMigration> {
        let migration = self.migration(strategy);
        ObservedMigration { population, remembered, ..ObservedMigration::new(migration) }
            .with_pages(self.pages.get())
    }

    /// Does an algorithm keep its properties, for any number of pages where `pages` is so?
    pub(super) fn keeps(
        &self,
        name: &str,
        pages: Pages,
        properties: impl Into<Properties>,
    ) -> Result<bool, LabError> {
        self.keeps_with(name, pages, properties, self.defect)
    }

    /// The same with a certain defect.
    pub(super) fn keeps_with(
        &self,
        name: &str,
        pages: Pages,
        properties: impl Into<Properties>,
        defect: Option<Defect>,
    ) -> Result<bool, LabError> {
        self.judged(
            &Setting { defect, ..self.setting(self.algorithm(name), Link::Fifo) },
            pages,
            properties.into(),
        )
    }

    /// Does it keep them between two hosts, with so many pages, when this goes wrong, once or twice?
    pub(super) fn keeps_through(
        &self,
        name: &str,
        disruption: Disruption,
        properties: impl Into<Properties>,
    ) -> Result<bool, LabError> {
        let disruptions = Disruptions::up_to(2, disruption.into());
        let setting =
            Setting { hosts: Hosts::Two, disruptions, ..self.setting(self.algorithm(name), Link::Fifo) };
        self.judged(&setting, Pages::Exactly(self.pages), properties.into())
    }

    fn judged(&self, setting: &Setting, pages: Pages, properties: Properties) -> Result<bool, LabError> {
        let options = JudgeOptions {
            properties,
            engine: Engine::Native,
            threads: NonZeroUsize::MIN,
            symmetry: true,
            states_max: None,
            memory_bytes_max: None,
            timeout: self.time_left(),
            interrupted: &self.interrupted,
            progress: &|_| {},
            checkpoint: None,
        };
        self.goes_on()?;
        let verdicts = judge(setting, pages, &options)?.verdicts;
        if let Some(open) = verdicts.iter().find(|verdict| verdict.actual == Actual::Inconclusive) {
            self.goes_on()?;
            let algorithm = setting.strategy.name.clone().into_owned();
            return Err(LabError::Open { algorithm, property: open.property });
        }
        Ok(!verdicts.is_empty() && verdicts.iter().all(|verdict| verdict.actual == Actual::Holds))
    }

    /// States in a finding that each algorithm keeps its properties for any number of pages.
    pub(super) fn claims_kept(
        &self,
        finding: ClaimFinding,
        names: &[&str],
        properties: impl Into<Properties>,
    ) -> Result<ClaimFinding, LabError> {
        let properties = properties.into();
        let mut broken = Vec::new();
        for name in names {
            if !self.keeps(name, Pages::Any, properties)? {
                broken.push(*name);
            }
        }
        let ids: Vec<String> = properties.iter().map(|property| property.to_string()).collect();
        let says = match broken.is_empty() {
            true => {
                format!("{} hold for {}, any number of pages", ids.join(", "), listed(names.iter().copied()))
            }
            false => format!("not all of {} hold for {}", ids.join(", "), listed(broken.iter().copied())),
        };
        Ok(finding.claims(says, broken.is_empty()))
    }

    /// Does a liveness property hold under further assumptions?
    pub(super) fn live(
        &self,
        name: &str,
        property: Property,
        assumptions: &Assumptions<Migration>,
    ) -> Result<bool, LabError> {
        let concrete = Concrete { system: self.migration(self.algorithm(name)), pages: self.pages.get() };
        let watch = |_| self.goes_on().map_err(|end| end.to_string());
        let space = Space::explore_while(&concrete, liveness::SpaceLimits::default(), watch);
        self.goes_on()?;
        let verdicts = liveness::judge(&space, property.into(), assumptions, 1)?;
        let open = || LabError::Open { algorithm: name.to_owned(), property };
        let verdict = verdicts.into_iter().next().ok_or_else(open)?;
        if let liveness::LivenessOutcome::Inconclusive(_) = verdict.outcome {
            return Err(open());
        }
        Ok(verdict.outcome.holds())
    }

    /// The shortest run of an algorithm that ends in such a step, over this link.
    pub(super) fn first(
        &self,
        name: &str,
        link: Link,
        remembered: EnumSet<Past>,
        wanted: impl Fn(&State<ObservedMigration>, Step<ObservedMigration>, &State<ObservedMigration>) -> bool,
    ) -> Result<Option<Trace<ObservedMigration>>, LabError> {
        let migration = self.setting(self.algorithm(name), link).migration();
        let pages = if link == Link::Lossy { 1 } else { self.pages.get() };
        let concrete =
            ObservedMigration { remembered, ..ObservedMigration::new(migration) }.with_pages(pages);
        let graph = self.graph(&concrete, state_graph::PageIdentity::Apart)?;
        let found = graph.all_edges().find(|(node, edge)| {
            wanted(&graph.state(*node), graph.step(*edge), &graph.state(graph.target(*edge)))
        });
        Ok(found.map(|(node, edge)| {
            let (from, mut path) = graph.path_to(node);
            path.push(edge);
            graph.run(from, &path)
        }))
    }

    /// Does no run of an algorithm take such a step?
    pub(super) fn never(
        &self,
        name: &str,
        remembered: impl Into<EnumSet<Past>>,
        wanted: impl Fn(&State<ObservedMigration>, Step<ObservedMigration>, &State<ObservedMigration>) -> bool,
    ) -> Result<bool, LabError> {
        Ok(self.first(name, Link::Fifo, remembered.into(), wanted)?.is_none())
    }

    /// The changes of the process's state that some run has, but for its exit.
    pub(super) fn changes(&self, name: &str) -> Result<BTreeSet<(Process, Process)>, LabError> {
        let concrete = self.observed(self.algorithm(name), Population::default(), EnumSet::empty());
        let graph = self.graph(&concrete, state_graph::PageIdentity::Interchangeable)?;
        let control_edges =
            graph.all_edges().filter(|(_, edge)| matches!(graph.step(*edge), Move::Control(_)));
        let changes = control_edges.map(|(node, edge)| {
            (graph.control(node).control.process, graph.control(graph.target(edge)).control.process)
        });
        Ok(changes.filter(|(from, to)| from != to && *to != Process::Exited).collect())
    }

    /// The bounds of a cost, of all migrations forth.
    pub(super) fn bounds(&self, name: &str, population: Population, cost: Cost) -> Result<Bounds, LabError> {
        self.bounds_where(name, population, cost, |_| true)
    }

    /// The bounds of a cost, of the migrations that start in such a state.
    pub(super) fn bounds_where(
        &self,
        name: &str,
        population: Population,
        cost: Cost,
        admitted: impl Fn(&State<ObservedMigration>) -> bool,
    ) -> Result<Bounds, LabError> {
        let concrete = bounds::observed(self.migration(self.algorithm(name)), population, self.pages);
        let goes_on = |_| self.goes_on().is_ok();
        let migrations =
            Migrations::explore_while(&concrete, Way::Forth, bounds::STATES_MAX, &goes_on, admitted);
        let mut migrations = self.unless_ended(migrations)?;
        migrations.bounds(cost).ok_or_else(|| LabError::NoMigration(name.to_owned()))
    }

    /// One migration of 10 MB over 100 Mbit/s, pages accessed at random.
    pub(super) fn simulated(&self, policy: Policy) -> Result<SimulationOutcome, LabError> {
        self.outcome(SimulationSetup::published(policy))
    }

    /// One migration in this setting.
    pub(super) fn outcome(&self, setup: SimulationSetup) -> Result<SimulationOutcome, LabError> {
        self.goes_on()?;
        Ok(run(&(self.altered)(setup))?)
    }

    /// The bounds for all kinds of page and all accesses.
    pub(super) fn bound(&self, name: &str, cost: Cost) -> Result<Bounds, LabError> {
        self.bounds(name, Population::default(), cost)
    }
}
