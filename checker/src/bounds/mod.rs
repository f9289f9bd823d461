//! The least and the most that one migration can cost, over **all** interleavings.
//!
//! A simulation shows what a migration costs for one workload and one order of events. Here every order
//! counts that the model allows, and every workload: the answer is a pair of numbers for each [`Cost`], or
//! "unbounded", each with a run that shows it.
//!
//! ```text
//!   …──operator: migrate──▶ (freeze, pre-copy, …) ──▶ … ──▶ at rest ──▶ … ──operator: migrate──▶ …
//!      └─────────────────────── one migration ──────────────────────────┘
//! ```
//!
//! *One migration* reaches from the step with which the operator starts it to the next such step, which does
//! not belong to it. So the pages that are fetched when the process has long been at rest (flushing) count
//! for the migration that left them behind, and so do the write-backs of `generic`, which never end. The
//! minimum is over complete migrations, so not over those in which the process exits before; the maximum is over
//! all, complete or not. Every migration of a run counts, not only the
//! first. A return under lazy copy carries back what had moved, which makes it a [`Way`] of its own.

mod cost;
mod walks;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use enumset::EnumSet;
use model::concrete::{Concrete, Move, State};
use model::{ControlStep, Migration};
use serde::Serialize;

pub use cost::{Cost, PAGE_BYTES, UnknownCost};
pub use walks::{Edge, Heaviest, Node, Walk, WeightedGraph};

use engine::state_graph::{PageIdentity, StateGraph, TooLarge};

use crate::narrative::Story;
use crate::observed::{ObservedMigration, Past, Population, story};

/// The most states of a graph that is searched, unless another limit is given.
pub const STATES_MAX: usize = 4_000_000;

/// Which migrations are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// All but those that [`Way::Return`] stands for.
    Forth,
    /// Of a process under lazy copy, to the host that it came from last, while that still owes pages.
    Return,
}

/// Minimum and maximum of one cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// No migration costs less.
    pub minimum: u64,
    /// No migration costs more; `None` if for each number one does.
    pub maximum: Option<u64>,
}

/// The migrations of one algorithm and one population, ready to be asked for bounds.
pub struct Migrations<'a> {
    graph: StateGraph<'a, ObservedMigration>,
    network: WeightedGraph,
    /// For each source of the network: a step that starts a migration there, and the state it is taken in.
    starts: BTreeMap<Node, (Node, Edge)>,
}

/// A migration under observation, with what bounds need to be remembered.
pub fn observed(
    migration: Migration,
    population: Population,
    pages: NonZeroUsize,
) -> Concrete<ObservedMigration> {
    let remembered = EnumSet::only(Past::Sent);
    ObservedMigration { population, remembered, ..ObservedMigration::new(migration) }.with_pages(pages.get())
}

impl<'a> Migrations<'a> {
    /// Explores all migrations in this way that start in a state that is admitted.
    ///
    /// # Errors
    /// There are more states than asked for.
    pub fn explore(
        concrete: &'a Concrete<ObservedMigration>,
        way: Way,
        states_max: usize,
        admitted: impl Fn(&State<ObservedMigration>) -> bool,
    ) -> Result<Self, TooLarge> {
        Self::explore_while(concrete, way, states_max, &|_| true, admitted)
    }

    /// The same, as long as `goes_on`, which is told the number of states from time to time.
    ///
    /// # Errors
    /// There are more states than asked for, or it did not go on.
    pub fn explore_while(
        concrete: &'a Concrete<ObservedMigration>,
        way: Way,
        states_max: usize,
        goes_on: &dyn Fn(usize) -> bool,
        admitted: impl Fn(&State<ObservedMigration>) -> bool,
    ) -> Result<Self, TooLarge> {
        let graph = StateGraph::explore_while(concrete, PageIdentity::Interchangeable, states_max, goes_on)?;
        let starts = |edge| {
            matches!(graph.step(edge), Move::Control(ControlStep::MigrateBack | ControlStep::MigrateOnward))
        };
        let nodes = graph.states();
        let mut started = BTreeMap::new();
        let mut sinks = vec![false; nodes];
        for (node, edge) in graph.all_edges().filter(|(_, edge)| starts(*edge)) {
            sinks[node as usize] = true;
            let target = graph.target(edge);
            let returns = graph.control(target).control.returning;
            if returns == (way == Way::Return) && admitted(&graph.state(node)) {
                started.entry(target).or_insert((node, edge));
            }
        }
        let mut network = WeightedGraph::new(started.keys().copied().collect(), sinks);
        for node in 0..nodes as Node {
            for edge in graph.edges(node) {
                network.edge((!starts(edge)).then(|| graph.target(edge)), 0);
            }
            network.close();
        }
        Ok(Migrations { graph, network, starts: started })
    }

    /// Are there any?
    pub fn any(&self) -> bool {
        !self.network.sources.is_empty()
    }

    /// The bounds of one cost; `None` if no migration can be completed.
    pub fn bounds(&mut self, cost: Cost) -> Option<Bounds> {
        let (lightest, heaviest) = self.extremes(cost)?;
        let maximum = match heaviest {
            Heaviest::Finite(walk) => Some(walk.weight),
            Heaviest::Unbounded { .. } => None,
        };
        Some(Bounds { minimum: lightest.weight, maximum })
    }

    /// A run with a cheapest migration, and one with a dearest, or with a cycle that makes it ever dearer.
    pub fn witnesses(&mut self, cost: Cost) -> Option<(Story, Story)> {
        let (lightest, heaviest) = self.extremes(cost)?;
        let name = &self.graph.system().migration.strategy.name;
        let least = self.story(format!("{name} · {cost} at least {}", lightest.weight), &lightest, &[]);
        let most = match &heaviest {
            Heaviest::Finite(walk) => {
                self.story(format!("{name} · {cost} at most {}", walk.weight), walk, &[])
            }
            Heaviest::Unbounded { stem, cycle } => {
                self.story(format!("{name} · {cost} without bound"), stem, cycle)
            }
        };
        Some((least, most))
    }

    fn extremes(&mut self, cost: Cost) -> Option<(Walk, Heaviest)> {
        let strategy = &self.graph.system().migration.strategy;
        let weights = self.graph.all_edges().map(|(node, edge)| match self.graph.step(edge) {
            Move::Control(_) => 0,
            step => cost.of(strategy, step, &self.graph.state(node)),
        });
        let weights = weights.collect();
        self.network.weigh(weights);
        Some((self.network.lightest()?, self.network.heaviest()?))
    }

    /// The run from an initial state to the start of the migration, then along the walk.
    fn story(&self, title: String, walk: &Walk, cycle: &[Edge]) -> Story {
        let (before, start) = self.starts[&walk.start];
        let (from, mut path) = self.graph.path_to(before);
        path.push(start);
        path.extend(&walk.edges);
        let loop_from = (!cycle.is_empty()).then_some(path.len());
        path.extend(cycle);
        story(title, self.graph.run(from, &path), loop_from)
    }
}
