//! Response properties for any number of pages, by rankings.
//!
//! A run on which a property stays pending is shown to be unfair, in levels. What is known before a level
//! is a set of pairs (control record, page record), `every`, that all pages stay inside from some point
//! on, and for a property about one page a smaller set, `waiting`, that this page stays inside. A level
//! gives each pair, or each control record, a rank such that
//!
//! * no step inside the known pairs raises a rank, whoever takes it, so each page's rank settles;
//! * at some ranks a *helpful* step, to which the scheduler is obliged, lowers the rank wherever it can be
//!   taken. Under weak fairness it must also be enabled at every pair with this rank, whatever known pairs
//!   the other pages have: no page settles there. Under strong fairness it need not be: no page comes back
//!   for ever to where it is enabled whatever the others are.
//!
//! So these pairs are struck out, and the next level knows less of them, which is what meets the universal
//! requirements of its own helpful steps. When nothing is left for the page that waits, no fair run waits
//! for ever. Altogether this is a ranking by the number of pages at each rank, level by level,
//! lexicographically, and nowhere does the number of pages matter.
//!
//! [`find`] computes the levels from strongly connected components; [`check`] takes any ranking and
//! verifies the conditions above pair by pair, without components and without trust in [`find`]. [`judge`]
//! does both.

use std::collections::{BTreeMap, BTreeSet};

use population::system::{Judged, Live, Scope, System};

mod check;
mod components;
mod find;
mod graph;

pub use check::{RankingError, RankingErrorOf, check};
pub use find::{Unranked, find};

/// Every control record with every page record that occurs with it; see
/// [`Invariant::pairs`](super::Invariant::pairs).
pub type Pairs<S> = BTreeSet<Pair<S>>;

/// A control record and a page record.
pub type Pair<S> = (<S as System>::Control, <S as System>::Page);

/// What is known of a response property for any number of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RankingOutcome<Ranking> {
    /// It holds on every fair run of every population: a ranking was found, and passed the check.
    HoldsForAny {
        /// The ranking; without levels if the property is never pending.
        ranking: Ranking,
    },
    /// There is no such ranking, and why; the property may hold nevertheless.
    Inconclusive(String),
}

/// Judges a response property for every population whose states consist of `pairs`; `None` if it is not a
/// response property of the system.
///
/// ```
/// use engine::example::{Coherence, Directory};
/// use engine::views::{ProofBounds, prove, ranking};
///
/// let system = Directory::default();
/// let pairs = prove(&system, ProofBounds::default()).invariant.pairs();
/// let answered = ranking::judge(&system, Coherence::Answered, &pairs);
/// assert!(matches!(answered, Some(ranking::RankingOutcome::HoldsForAny { .. })));
/// ```
pub fn judge<S: Live>(
    system: &S,
    property: S::Property,
    pairs: &Pairs<S>,
) -> Option<RankingOutcome<RankingOf<S>>> {
    let ranking = match find(system, property, pairs) {
        Ok(ranking) => ranking,
        Err(Unranked::NotAResponse(_)) => return None,
        Err(Unranked::Left(left)) => {
            let (first, pairs) = (left.first(), left.len());
            let reason =
                format!("nothing obliges pages to leave {pairs} pairs of records, such as {first:?}");
            return Some(RankingOutcome::Inconclusive(reason));
        }
    };
    Some(match check(system, pairs, &ranking) {
        Ok(()) => RankingOutcome::HoldsForAny { ranking },
        Err(error) => RankingOutcome::Inconclusive(format!("the ranking that was found is wrong: {error}")),
    })
}

/// Is the property pending under none of the pairs, so that it says nothing of any population?
pub fn is_vacuous<S: Live>(system: &S, property: S::Property, pairs: &Pairs<S>) -> bool {
    !pairs.iter().any(|(control, page)| match system.scope(property) {
        Some(Scope::Page) => system.pending(property, control, Some(page)),
        Some(_) => system.pending(property, control, None),
        None => false,
    })
}

/// A proof that no fair run leaves the property pending for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking<C, P, X, Y, R> {
    /// What it proves.
    pub property: R,
    /// The levels, in the order in which they strike out pairs.
    pub levels: Vec<Level<C, P, X, Y>>,
}

/// A ranking for a system.
pub type RankingOf<S> = Ranking<
    <S as System>::Control,
    <S as System>::Page,
    <S as System>::ControlStep,
    <S as System>::PageStep,
    <S as Judged>::Property,
>;

/// What is ranked, and which step helps at a rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level<C, P, X, Y> {
    /// The control record is ranked.
    Control(Ranks<C, X>),
    /// Every page is ranked.
    EveryPage(Ranks<(C, P), Y>),
    /// Only the page that the property is about is ranked.
    WaitingPage(Ranks<(C, P), Y>),
}

/// A level of a system's ranking.
pub type LevelOf<S> =
    Level<<S as System>::Control, <S as System>::Page, <S as System>::ControlStep, <S as System>::PageStep>;

/// Ranks, and the helpful steps at some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranks<T, Step> {
    /// The rank of each thing that is ranked.
    pub ranks: BTreeMap<T, usize>,
    /// The helpful step at a rank.
    pub helpful: BTreeMap<usize, Step>,
}
