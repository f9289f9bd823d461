//! Checks an invariant without the code that found it: the plain concrete semantics, one permitted
//! configuration at a time, no interning, no sharing of steps.
//!
//! An [`Invariant`](super::Invariant) is accepted when
//!
//! 1. it contains every initial configuration: populations of up to `k` pages as they are, larger ones by
//!    their views;
//! 2. every step of a population of up to `k` pages stays inside, and every step of a permitted
//!    configuration of `k + 1` pages leads to views inside;
//! 3. no such configuration and no such step violates a property that it claims;
//! 4. if it claims `S10`: under every control record that may not end, repeatedly striking out the page
//!    records that have a step whatever the others are strikes out all, or leaves records under which
//!    a control step is enabled.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use enumset::EnumSet;
use population::concrete::{Concrete, Configuration, State, Step};
use population::system::{Conditions, Judged, Properties, PropertyName};
use rustc_hash::FxHashSet;
use thiserror::Error;

use super::invariant::{Configurations, InvariantOf};
use super::{PAGES_MIN, VIEW_PAGES_MAX};

/// How much was looked at before an invariant was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rechecked {
    /// Configurations.
    pub configurations: usize,
    /// Enabled steps of them.
    pub steps: usize,
}

/// Why an invariant is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProofObjection<State: Debug, Step: Debug, R: PropertyName> {
    /// An initial configuration is not permitted.
    #[error("the initial configuration {0:?} is not in the invariant")]
    Initial(State),
    /// A step leads out of the invariant.
    #[error("{step:?} leads from {before:?} to {after:?}, of which {missing:?} is not in the invariant")]
    NotInductive {
        /// The permitted configuration.
        before: State,
        /// The step.
        step: Step,
        /// Where it leads.
        after: State,
        /// The part of it that is missing.
        missing: State,
    },
    /// A permitted configuration, or a step of one, violates a claimed property.
    #[error("{property} is claimed, and violated in {state:?} (by {step:?})")]
    Violated {
        /// The property.
        property: R,
        /// The permitted configuration.
        state: State,
        /// The step, if the property is violated by a step.
        step: Option<Step>,
    },
    /// A property is claimed that this check does not judge.
    #[error("{0} is claimed, which is not judged here")]
    NotJudged(R),
    /// Views have another number of pages than any that was read from a document.
    #[error("views of {0} pages: they have {PAGES_MIN} to {VIEW_PAGES_MAX}")]
    ViewPages(usize),
    /// It was not checked to its end.
    #[error("not finished after {0} configurations")]
    Unfinished(usize),
    /// `S10` is claimed, and not shown.
    #[error("S10 is claimed, and two pages of every record in {0:?} may be stuck")]
    Stuck(State),
}

/// Why the invariant of a system is not accepted.
pub type ObjectionTo<S> = Box<ProofObjection<State<S>, Step<S>, <S as Judged>::Property>>;

/// Checks an invariant.
///
/// ```
/// use engine::example::Directory;
/// use engine::views::{ProofBounds, Invariant, prove, recheck};
///
/// // The proof as a file, and the file judged by code that did not find it.
/// let text = prove(&Directory::default(), ProofBounds::default()).invariant.to_json()?;
/// assert!(recheck(&Directory::default(), &Invariant::from_json(&text)?).is_ok());
/// // It proves nothing of another protocol.
/// let hasty = Directory { hasty: true, ..Directory::default() };
/// assert!(recheck(&hasty, &Invariant::from_json(&text)?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The first objection found.
pub fn recheck<S: Judged + Clone>(
    system: &S,
    invariant: &InvariantOf<S>,
) -> Result<Rechecked, ObjectionTo<S>> {
    recheck_while(system, invariant, &|_| true)
}

/// The same, as long as it `goes_on`, which is told how far it is.
///
/// # Errors
///
/// The first objection found, or that it did not go on.
pub fn recheck_while<S: Judged + Clone>(
    system: &S,
    invariant: &InvariantOf<S>,
    goes_on: &dyn Fn(&Rechecked) -> bool,
) -> Result<Rechecked, ObjectionTo<S>> {
    if !(PAGES_MIN..=VIEW_PAGES_MAX).contains(&invariant.view_pages) {
        return Err(Box::new(ProofObjection::ViewPages(invariant.view_pages)));
    }
    if let Some(property) = (invariant.claims - system.safety()).iter().next() {
        return Err(Box::new(ProofObjection::NotJudged(property)));
    }
    let recheck = Recheck::new(system, invariant);
    let mut done = Rechecked::default();
    for pages in PAGES_MIN..=invariant.view_pages + 1 {
        let concrete = Concrete { system: system.clone(), pages };
        recheck.initial(&concrete)?;
        for state in recheck.permitted(pages) {
            if !goes_on(&done) {
                return Err(Box::new(ProofObjection::Unfinished(done.configurations)));
            }
            recheck.state(&concrete, &state, &mut done)?;
        }
    }
    if invariant.claims.contains(S::Property::NO_DEADLOCK) {
        recheck.progress()?;
    }
    Ok(done)
}

/// The configurations with one page more than a view that the invariant permits.
pub fn permitted<S: Judged>(system: &S, invariant: &InvariantOf<S>) -> Vec<State<S>> {
    Recheck::new(system, invariant).permitted(invariant.view_pages + 1)
}

struct Recheck<'s, S: Judged> {
    system: &'s S,
    claims: Properties<S>,
    small: FxHashSet<State<S>>,
    views: FxHashSet<State<S>>,
    view_pages: usize,
}

impl<'s, S: Judged> Recheck<'s, S> {
    fn new(system: &'s S, invariant: &InvariantOf<S>) -> Self {
        Recheck {
            system,
            claims: invariant.claims,
            small: listed::<S>(invariant, &invariant.small),
            views: listed::<S>(invariant, &invariant.views),
            view_pages: invariant.view_pages,
        }
    }

    fn initial(&self, concrete: &Concrete<S>) -> Result<(), ObjectionTo<S>> {
        match concrete.initial().into_iter().find(|state| self.outside(state).is_some()) {
            Some(state) => Err(Box::new(ProofObjection::Initial(state))),
            None => Ok(()),
        }
    }

    /// The configurations with this number of pages that the invariant permits.
    fn permitted(&self, pages: usize) -> Vec<State<S>> {
        if pages <= self.view_pages {
            return self.small.iter().filter(|state| state.pages.len() == pages).cloned().collect();
        }
        let mut records = BTreeMap::<_, BTreeSet<_>>::new();
        for view in &self.views {
            records.entry(view.control).or_default().extend(&view.pages);
        }
        let above = |view: &State<S>| {
            let last = view.pages.last().copied();
            records[&view.control].iter().copied().filter(move |record| Some(*record) >= last)
        };
        let extended = self.views.iter().flat_map(|view| above(view).map(move |record| (view, record)));
        let configurations = extended.map(|(view, record)| {
            let pages = view.pages.iter().chain([&record]).copied().collect();
            Configuration { control: view.control, pages }
        });
        configurations.filter(|state| self.outside(state).is_none()).collect()
    }

    fn state(
        &self,
        concrete: &Concrete<S>,
        state: &State<S>,
        done: &mut Rechecked,
    ) -> Result<(), ObjectionTo<S>> {
        let pages = state.pages.iter().map(|page| self.system.judge_page(&state.control, page));
        let violated = pages.fold(self.system.judge_control(&state.control), |all, page| all | page);
        self.judge(violated, state, None)?;
        let mut stuck = !self.system.may_end(&state.control);
        for (step, after) in concrete.successors(state) {
            stuck = false;
            done.steps += 1;
            self.judge(concrete.judge_step(state, step), state, Some(step))?;
            if let Some(missing) = self.outside(&after) {
                let before = state.clone();
                return Err(Box::new(ProofObjection::NotInductive { before, step, after, missing }));
            }
        }
        done.configurations += 1;
        if stuck && state.pages.len() <= self.view_pages {
            self.judge(EnumSet::only(S::Property::NO_DEADLOCK), state, None)?;
        }
        Ok(())
    }

    fn judge(
        &self,
        violated: Properties<S>,
        state: &State<S>,
        step: Option<Step<S>>,
    ) -> Result<(), ObjectionTo<S>> {
        match (violated & self.claims).iter().next() {
            Some(property) => {
                Err(Box::new(ProofObjection::Violated { property, state: state.clone(), step }))
            }
            None => Ok(()),
        }
    }

    /// A part of the configuration that is not in the invariant, if there is one.
    fn outside(&self, state: &State<S>) -> Option<State<S>> {
        let sorted = state.sorted();
        if state.pages.len() <= self.view_pages {
            return (!self.small.contains(&sorted)).then_some(sorted);
        }
        parts(&sorted, self.view_pages).into_iter().find(|part| !self.views.contains(part))
    }

    /// Populations larger than a view: does every state have a step?
    fn progress(&self) -> Result<(), ObjectionTo<S>> {
        let mut records = BTreeMap::<_, BTreeSet<S::Page>>::new();
        for view in &self.views {
            records.entry(view.control).or_default().extend(&view.pages);
        }
        for (control, mut stuck) in records {
            while !self.system.may_end(&control) && !stuck.is_empty() && !self.control_step(&control, &stuck)
            {
                let before = stuck.len();
                stuck =
                    stuck.iter().filter(|page| !self.page_step(&control, page, &stuck)).copied().collect();
                if stuck.len() == before {
                    let pages = stuck.into_iter().take(population::concrete::PAGES_MAX).collect();
                    return Err(Box::new(ProofObjection::Stuck(Configuration { control, pages })));
                }
            }
        }
        Ok(())
    }

    fn control_step(&self, control: &S::Control, pages: &BTreeSet<S::Page>) -> bool {
        let moves = self.system.control_steps().iter().map(|step| self.system.control_move(*step, control));
        moves.flatten().any(|taken| self.all_meet(pages, taken.requires))
    }

    fn page_step(&self, control: &S::Control, page: &S::Page, others: &BTreeSet<S::Page>) -> bool {
        let moves = self.system.page_steps().iter().map(|step| self.system.page_move(*step, control, page));
        moves.flatten().any(|taken| self.all_meet(others, taken.requires))
    }

    fn all_meet(&self, pages: &BTreeSet<S::Page>, required: Conditions<S>) -> bool {
        pages.iter().all(|page| self.system.conditions(page).is_superset(required))
    }
}

fn listed<S: Judged>(invariant: &InvariantOf<S>, listed: &[Configurations]) -> FxHashSet<State<S>> {
    let configurations = listed.iter().flat_map(|of| of.pages.iter().map(move |pages| (of.control, pages)));
    let state = |(control, pages): (usize, &Vec<usize>)| Configuration {
        control: invariant.controls[control],
        pages: pages.iter().map(|record| invariant.records[*record]).collect(),
    };
    configurations.map(|of| state(of).sorted()).collect()
}

/// The parts with this number of pages.
pub fn parts<C: Copy, P: Copy>(state: &Configuration<C, P>, pages: usize) -> Vec<Configuration<C, P>> {
    let mut parts = vec![Configuration { control: state.control, pages: Default::default() }];
    for (index, page) in state.pages.iter().enumerate() {
        let left = state.pages.len() - index;
        let mut next = Vec::new();
        for part in parts {
            if part.pages.len() < pages {
                let mut with = part.clone();
                with.pages.push(*page);
                next.push(with);
            }
            if part.pages.len() + left > pages {
                next.push(part);
            }
        }
        parts = next;
    }
    parts
}
