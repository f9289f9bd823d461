//! Liveness under fairness: what must happen sooner or later, whatever the scheduler does.
//!
//! ```text
//!   Concrete ──► Space ──► judge ──┬─► response      components of the waiting part, fairness ──► lasso
//!                (one graph for    │                                                                 │
//!                 all properties)  └─► possibility   backward reachability ───────────► path         ▼
//!                                                                                    replay, then shown
//! ```
//!
//! A run is infinite: it may stutter, for ever where no fair step is enabled. An *action instance* is a
//! control step, or a page step together with a page; each is fair on its own. `proofs-notes/liveness.md`
//! has the definitions and the argument why one page stands for all.

mod assumptions;
pub mod components;
mod cycle;
mod exploration;
pub mod graph;
mod judgement;
pub mod lasso;
mod pending;
pub mod possibility;
mod replay;
pub mod response;
mod space;
mod states;
mod verdict;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use population::concrete::{Concrete, Move, State, Step};
use population::system::{Fairness, Live, Properties};

pub use assumptions::Assumptions;
use judgement::Judgement;
pub use lasso::{Lasso, Tail};
pub use replay::{LassoError, replay};
pub use space::{Space, SpaceLimits, SpaceProgress, Truncation};
pub use verdict::{Liveness, LivenessOutcome};

/// A counterexample in terms of a system.
pub type Counterexample<S> = Lasso<State<S>, Step<S>>;

/// Judges liveness properties on one graph, several at a time; those that are no liveness properties of the
/// system are left out. The result does not depend on the number of threads.
///
/// # Errors
///
/// A counterexample was found that does not replay: a defect of this checker, and no verdict.
pub fn judge<S: Live>(
    space: &Space<'_, S>,
    properties: Properties<S>,
    assumptions: &Assumptions<S>,
    threads: usize,
) -> Result<Vec<Liveness<S>>, LassoError<S::Property>> {
    let system = &space.concrete.system;
    let scoped = properties.iter().filter_map(|property| Some((property, system.scope(property)?)));
    let scoped: Vec<_> = scoped.collect();
    let judgement = Judgement::new(space, assumptions);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut verdicts = Vec::new();
        while let Some((property, scope)) = scoped.get(next.fetch_add(1, Ordering::Relaxed)) {
            verdicts.push((*property, judgement.judge(*property, *scope)));
        }
        verdicts
    };
    let mut verdicts = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(scoped.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined =
            helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        [own].into_iter().chain(joined).flatten().collect::<Vec<_>>()
    });
    verdicts.sort_by_key(|(property, _)| *property);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

/// Which of the steps in [`Liveness::strong`] have to be strongly fair: a set of which none can be left out,
/// while weak fairness does for all others. Empty unless the property holds.
///
/// This judges the property once more for each of these steps.
pub fn strong_needed<S: Live>(
    space: &Space<'_, S>,
    verdict: &Liveness<S>,
    assumptions: &Assumptions<S>,
) -> Vec<Step<S>> {
    let scope = space.concrete.system.scope(verdict.property);
    let Some(scope) = scope.filter(|_| verdict.outcome.holds()) else { return Vec::new() };
    let strong = |assumptions: &Assumptions<S>, step: Step<S>| {
        assumptions.fairness(&space.concrete.system, step) == Fairness::Strong
    };
    // Steps that are not listed excluded nothing by being strongly fair.
    let mut weakened = assumptions.clone();
    for step in space.steps.iter().filter(|step| !matches!(step, Move::Page(_, 1..))) {
        if strong(assumptions, *step) && !verdict.strong.contains(step) {
            weakened = weakened.step(*step, Fairness::Weak);
        }
    }
    for step in &verdict.strong {
        let weaker = weakened.clone().step(*step, Fairness::Weak);
        if Judgement::new(space, &weaker).response_holds(verdict.property, scope) {
            weakened = weaker;
        }
    }
    verdict.strong.iter().copied().filter(|step| strong(&weakened, *step)).collect()
}

/// Explores a whole state space and judges liveness properties on it.
///
/// ```
/// use engine::example::{Coherence, Directory};
/// use engine::liveness::check;
/// use population::concrete::Concrete;
///
/// // Home may serve two caches in turn for ever, and overlook the third.
/// let partial = Concrete { system: Directory { partial: true, ..Directory::default() }, pages: 3 };
/// let verdicts = check(&partial, Coherence::Answered.into())?;
/// assert!(verdicts[0].outcome.counterexample().is_some());
/// # Ok::<(), engine::liveness::LassoError<Coherence>>(())
/// ```
///
/// # Errors
///
/// As [`judge`].
pub fn check<S: Live>(
    concrete: &Concrete<S>,
    properties: Properties<S>,
) -> Result<Vec<Liveness<S>>, LassoError<S::Property>> {
    judge(&Space::explore(concrete), properties, &Assumptions::default(), 1)
}
