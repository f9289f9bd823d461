//! Proofs for any number of pages, by view abstraction.
//!
//! (P. A. Abdulla, F. Haziza, L. Holík: *All for the Price of Few*, VMCAI 2013.)
//!
//! A *view* of a state is its control record together with `k` of its pages. A configuration is
//! *permitted* by a set of views when all its views are in the set. Starting from the views of initial
//! states, the set is closed under the steps of permitted configurations with `k + 1` pages:
//!
//! ```text
//!        permitted configurations          all steps             views of what they
//! V ───► with k + 1 pages        ───► guards on k others ───►  lead to, k pages each ───► V
//! ```
//!
//! A guard asks something of *all* other pages, so looking at `k` of them permits more than the real
//! system does, and never less. Hence the views of every reachable state of every population with more
//! than `k` pages are in the closed set, and what no permitted configuration violates, no such population
//! violates. Populations of up to `k` pages are explored one by one; a process has at least one page. The
//! argument in full is in `proofs-notes/any-number.md`.
//!
//! * [`prove`] finds the sets and gives a verdict for each safety property;
//! * [`Invariant`] is such a set for export, and [`recheck()`] judges one without the code that found it;
//! * [`ranking`] proves response properties for any number of pages, on the records in an invariant.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use enumset::EnumSet;
use population::concrete::Concrete;
use population::system::{Judged, Properties, PropertyName};

mod bits;
mod deadlock;
mod fingerprint;
mod fixpoint;
mod invariant;
mod judge;
pub mod ranking;
pub mod recheck;
mod set;
mod small_populations;
mod steps;
pub mod transitions;

pub use fingerprint::fingerprint;
pub use invariant::{Configurations, Invariant, InvariantError, InvariantOf};
pub use recheck::{recheck, recheck_while};
pub use set::VIEW_PAGES_MAX;

use crate::explore::Trace;
use set::ViewSet;
use steps::Steps;

/// The fewest pages a population has: a process without a page has no instruction to run.
pub const PAGES_MIN: usize = 1;

/// How far to go before a verdict is [`ProofOutcome::Inconclusive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofBounds {
    /// The most pages in a view, up to [`VIEW_PAGES_MAX`].
    pub view_pages_max: usize,
    /// The largest population that is searched for a violation that views suggest.
    pub population_max: usize,
    /// The most states visited in one such population, counted up to the order of pages.
    pub states_max: usize,
}

impl Default for ProofBounds {
    fn default() -> Self {
        ProofBounds { view_pages_max: 2, population_max: 4, states_max: 200_000 }
    }
}

/// The verdict on one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofOutcome<T> {
    /// No number of pages violates it.
    HoldsForAny {
        /// How many pages the views needed.
        view_pages: usize,
    },
    /// It is violated; no smaller population violates it.
    Fails {
        /// How many pages the population has.
        pages: usize,
        /// A shortest violating run of that population.
        trace: T,
    },
    /// Neither was shown, and why.
    Inconclusive(String),
}

/// What was found out about any number of pages.
#[derive(Clone, Debug)]
pub struct AnyNumber<S: Judged> {
    /// How many pages the views of the last closed set have.
    pub view_pages: usize,
    /// How many views are in that set.
    pub views: usize,
    /// How many control records occur in it.
    pub controls: usize,
    /// How many page records occur in it.
    pub records: usize,
    /// How many rounds it took to close.
    pub rounds: usize,
    /// A verdict for each safety property.
    pub verdicts: BTreeMap<S::Property, ProofOutcome<Trace<S>>>,
    /// The set, with the small populations: an inductive invariant that claims the properties that hold.
    pub invariant: InvariantOf<S>,
    /// The time it took.
    pub elapsed: Duration,
}

/// Judges the safety properties for any number of pages.
///
/// ```
/// use engine::example::{Coherence, Directory};
/// use engine::views::{ProofBounds, ProofOutcome, prove};
///
/// let proof = prove(&Directory::default(), ProofBounds::default());
/// assert_eq!(proof.verdicts[&Coherence::OneWriter], ProofOutcome::HoldsForAny { view_pages: 2 });
/// ```
///
/// Views get one page more, up to the bound, as long as they suggest a violation that no concrete
/// population up to the bound confirms.
pub fn prove<S: Judged + Clone>(system: &S, bounds: ProofBounds) -> AnyNumber<S> {
    let start = Instant::now();
    let mut undecided = Undecided::new(system, bounds);
    let mut pages = 1;
    loop {
        let mut steps = Steps::new(system);
        let closed = fixpoint::close(&mut steps, pages);
        undecided.judge(&mut steps, &closed.views);
        if undecided.properties.is_empty() || pages >= bounds.view_pages_max.min(VIEW_PAGES_MAX) {
            let verdicts = undecided.into_verdicts(pages);
            let held =
                verdicts.iter().filter(|(_, outcome)| matches!(outcome, ProofOutcome::HoldsForAny { .. }));
            let claims = held.map(|(property, _)| *property).collect();
            let invariant = invariant::export(&mut steps, &closed.views, claims, bounds.states_max);
            return AnyNumber {
                view_pages: pages,
                views: closed.views.len(),
                controls: closed.views.controls().count(),
                records: invariant.view_records(),
                rounds: closed.rounds,
                verdicts,
                invariant,
                elapsed: start.elapsed(),
            };
        }
        pages += 1;
    }
}

/// What is decided, what is not yet, and why not.
struct Undecided<'s, S: Judged> {
    system: &'s S,
    bounds: ProofBounds,
    properties: Properties<S>,
    verdicts: BTreeMap<S::Property, ProofOutcome<Trace<S>>>,
    /// The largest population that was explored completely, as were all smaller ones.
    explored: usize,
    /// Has the next larger one more states than the bound allows?
    too_large: bool,
    /// Where a deadlock was not excluded.
    stuck: Option<String>,
}

impl<'s, S: Judged + Clone> Undecided<'s, S> {
    fn new(system: &'s S, bounds: ProofBounds) -> Self {
        Undecided {
            system,
            bounds,
            properties: system.safety(),
            verdicts: BTreeMap::new(),
            explored: PAGES_MIN - 1,
            too_large: false,
            stuck: None,
        }
    }

    /// Decides what this set of views decides, small populations first.
    fn judge(&mut self, steps: &mut Steps<'_, S>, views: &ViewSet) {
        self.explore_up_to(views.pages(), EnumSet::empty());
        if self.explored < views.pages() {
            return;
        }
        let mut suspects = judge::suspects(steps, views);
        let deadlocks = deadlock::suspicions(steps, views);
        self.stuck = deadlocks.first().map(|suspicion| {
            let stuck: Vec<_> = suspicion.stuck.iter().map(|record| steps.record(*record)).collect();
            format!("{:?} with pages among {stuck:?}", steps.control(suspicion.control))
        });
        if !deadlocks.is_empty() {
            suspects |= S::Property::NO_DEADLOCK;
        }
        for property in self.properties - suspects {
            self.decide(property, ProofOutcome::HoldsForAny { view_pages: views.pages() });
        }
        self.explore_up_to(self.bounds.population_max, self.properties);
    }

    /// Explores populations not explored yet; their violations decide. With `wanted` properties, a
    /// population is left as soon as all of them are violated.
    fn explore_up_to(&mut self, pages_max: usize, wanted: Properties<S>) {
        while self.explored < pages_max && !self.properties.is_empty() && !self.too_large {
            let pages = self.explored + 1;
            let concrete = Concrete { system: self.system.clone(), pages };
            let explored =
                small_populations::explore(&concrete, wanted & self.properties, self.bounds.states_max);
            for (property, trace) in explored.violations {
                if self.properties.contains(property) {
                    self.decide(property, ProofOutcome::Fails { pages, trace });
                }
            }
            self.too_large = !explored.complete;
            self.explored = if explored.complete { pages } else { self.explored };
        }
    }

    fn decide(&mut self, property: S::Property, outcome: ProofOutcome<Trace<S>>) {
        self.properties -= property;
        self.verdicts.insert(property, outcome);
    }

    fn into_verdicts(mut self, view_pages: usize) -> BTreeMap<S::Property, ProofOutcome<Trace<S>>> {
        for property in self.properties {
            let reason = self.reason(property, view_pages);
            self.verdicts.insert(property, ProofOutcome::Inconclusive(reason));
        }
        self.verdicts
    }

    fn reason(&self, property: S::Property, view_pages: usize) -> String {
        let Undecided { explored, bounds, .. } = self;
        let suggested = match &self.stuck {
            _ if *explored < view_pages => "populations too small for views were not explored".to_owned(),
            Some(stuck) if property == S::Property::NO_DEADLOCK => {
                format!("views of {view_pages} pages do not exclude a deadlock in {stuck}")
            }
            _ => format!("views of {view_pages} pages permit a violation"),
        };
        let searched = format!("no population of up to {explored} pages shows one");
        let bound = match self.too_large {
            true => format!(", and that of {} pages has over {} states", explored + 1, bounds.states_max),
            false => String::new(),
        };
        format!("{suggested}; {searched}{bound}")
    }
}
