//! Verifies a ranking, condition by condition.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use population::system::{Conditions, Fairness, Judged, Live, PropertyName, Scope, System};
use thiserror::Error;

use super::{Level, LevelOf, Pair, Pairs, RankingOf, Ranks};

/// Why a ranking proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RankingError<Pair: Debug, R: PropertyName> {
    /// It is not about a response property.
    #[error("{0} is not a response property")]
    NotAResponse(R),
    /// A pair that is not struck out yet has no rank.
    #[error("level {level}: {pair:?} has no rank")]
    NoRank {
        /// Which level, from 1.
        level: usize,
        /// The pair.
        pair: Pair,
    },
    /// A step raises a rank.
    #[error("level {level}: the rank rises from {before:?} to {after:?}")]
    Rises {
        /// Which level, from 1.
        level: usize,
        /// Before the step.
        before: Pair,
        /// After it.
        after: Pair,
    },
    /// A step is called helpful and is not.
    #[error("level {level}: the helpful step is {why} at {pair:?}")]
    NotHelpful {
        /// Which level, from 1.
        level: usize,
        /// What is wrong with it.
        why: &'static str,
        /// Where.
        pair: Pair,
    },
    /// After all levels a pair remains.
    #[error("nothing strikes out {0:?}")]
    Left(Pair),
}

/// Why a ranking of a system proves nothing.
pub type RankingErrorOf<S> = RankingError<Pair<S>, <S as Judged>::Property>;

/// For each control record, the records that may follow it, with what the step requires of other pages.
type Changes<S> = BTreeMap<<S as System>::Control, BTreeSet<(Conditions<S>, <S as System>::Control)>>;

/// Verifies that the ranking proves its property for every population whose states consist of `pairs`.
///
/// # Errors
///
/// The first condition that is not met.
pub fn check<S: Live>(system: &S, pairs: &Pairs<S>, ranking: &RankingOf<S>) -> Result<(), RankingErrorOf<S>> {
    let property = ranking.property;
    let pending = |control: &S::Control, page| system.pending(property, control, page);
    let waiting: Pairs<S> = match system.scope(property) {
        Some(Scope::Control) => pairs.iter().filter(|(control, _)| pending(control, None)).copied().collect(),
        Some(Scope::Page) => {
            pairs.iter().filter(|(control, page)| pending(control, Some(page))).copied().collect()
        }
        _ => return Err(RankingError::NotAResponse(property)),
    };
    let mut known = Known { system, property, level: 0, every: pairs.clone(), waiting, met: BTreeMap::new() };
    known.restrict();
    for level in &ranking.levels {
        known.level += 1;
        known.strike_out(level)?;
        known.restrict();
    }
    match known.waiting.first() {
        Some(pair) => Err(RankingError::Left(*pair)),
        None => Ok(()),
    }
}

/// Where all pages, and the page that waits, stay from some point on.
struct Known<'s, S: Live> {
    system: &'s S,
    property: S::Property,
    level: usize,
    every: Pairs<S>,
    waiting: Pairs<S>,
    /// The conditions that every page meets, for each control record left.
    met: BTreeMap<S::Control, Conditions<S>>,
}

impl<S: Live> Known<'_, S> {
    /// The page that waits is one of the pages, and all pages share its control record.
    fn restrict(&mut self) {
        self.waiting = self.waiting.intersection(&self.every).copied().collect();
        let controls: BTreeSet<_> = self.waiting.iter().map(|(control, _)| *control).collect();
        self.every.retain(|(control, _)| controls.contains(control));
        self.met.clear();
        for (control, page) in &self.every {
            *self.met.entry(*control).or_insert(Conditions::<S>::all()) &= self.system.conditions(page);
        }
    }

    fn strike_out(&mut self, level: &LevelOf<S>) -> Result<(), RankingErrorOf<S>> {
        match level {
            Level::Control(ranks) => {
                self.control_ranks_never_rise(ranks)?;
                let struck = self.helped_controls(ranks)?;
                self.every.retain(|(control, _)| !struck.contains(control));
            }
            Level::EveryPage(ranks) => {
                self.ranks_never_rise(ranks, &self.every, false)?;
                let struck = self.helped_pairs(ranks, &self.every, false)?;
                self.every.retain(|pair| !struck.contains(pair));
            }
            Level::WaitingPage(ranks) => {
                self.ranks_never_rise(ranks, &self.waiting, true)?;
                let struck = self.helped_pairs(ranks, &self.waiting, true)?;
                self.waiting.retain(|pair| !struck.contains(pair));
            }
        }
        Ok(())
    }

    fn control_ranks_never_rise(
        &self,
        ranks: &Ranks<S::Control, S::ControlStep>,
    ) -> Result<(), RankingErrorOf<S>> {
        let rank = |pair: &Pair<S>| {
            ranks.ranks.get(&pair.0).ok_or(RankingError::NoRank { level: self.level, pair: *pair })
        };
        for before in &self.every {
            let own = self.own_steps(before, false).into_iter();
            for after in own.chain(self.control_steps(before)).filter(|after| self.every.contains(after)) {
                if rank(&after)? > rank(before)? {
                    return Err(RankingError::Rises { level: self.level, before: *before, after });
                }
            }
        }
        Ok(())
    }

    fn helped_controls(
        &self,
        ranks: &Ranks<S::Control, S::ControlStep>,
    ) -> Result<BTreeSet<S::Control>, RankingErrorOf<S>> {
        let mut struck = BTreeSet::new();
        for pair in &self.every {
            let control = pair.0;
            let rank =
                ranks.ranks.get(&control).ok_or(RankingError::NoRank { level: self.level, pair: *pair })?;
            let Some(step) = ranks.helpful.get(rank) else { continue };
            let taken = self.system.control_move(*step, &control);
            let enabled = taken.is_some_and(|taken| self.all_meet(&control, taken.requires));
            let lower = taken.is_none_or(|taken| {
                let after = taken.control;
                !self.met.contains_key(&after) || ranks.ranks.get(&after) < Some(rank)
            });
            let fairness = self.system.control_fairness(*step);
            if self.helps(pair, fairness, enabled, lower)? {
                struck.insert(control);
            }
        }
        Ok(struck)
    }

    fn ranks_never_rise(
        &self,
        ranks: &Ranks<Pair<S>, S::PageStep>,
        ranked: &Pairs<S>,
        waiting: bool,
    ) -> Result<(), RankingErrorOf<S>> {
        let rank = |pair: &Pair<S>| {
            ranks.ranks.get(pair).ok_or(RankingError::NoRank { level: self.level, pair: *pair })
        };
        let changes = self.changes_of_control();
        for before in ranked {
            let own = self.own_steps(before, waiting).into_iter();
            let met = self.system.conditions(&before.1);
            let shown = changes.get(&before.0).into_iter().flatten();
            let others = shown.filter(|(requires, _)| met.is_superset(*requires));
            let others = others.map(|(_, control)| (*control, before.1));
            let all = own.chain(self.control_steps(before)).chain(others);
            for after in all.filter(|after| ranked.contains(after)) {
                if rank(&after)? > rank(before)? {
                    return Err(RankingError::Rises { level: self.level, before: *before, after });
                }
            }
        }
        Ok(())
    }

    fn helped_pairs(
        &self,
        ranks: &Ranks<Pair<S>, S::PageStep>,
        ranked: &Pairs<S>,
        waiting: bool,
    ) -> Result<Pairs<S>, RankingErrorOf<S>> {
        let mut struck = Pairs::<S>::new();
        for pair in ranked {
            let rank =
                ranks.ranks.get(pair).ok_or(RankingError::NoRank { level: self.level, pair: *pair })?;
            let Some(step) = ranks.helpful.get(rank) else { continue };
            let taken = self.system.page_move(*step, &pair.0, &pair.1);
            let enabled = taken.is_some_and(|taken| self.all_meet(&pair.0, taken.requires));
            let awaited = waiting && self.discharges(*step);
            let lower = taken.is_none_or(|taken| {
                let after = (taken.control, taken.page);
                awaited || !ranked.contains(&after) || ranks.ranks.get(&after) < Some(rank)
            });
            let fairness = self.system.page_fairness(*step);
            if self.helps(pair, fairness, enabled, lower)? {
                struck.insert(*pair);
            }
        }
        Ok(struck)
    }

    /// Does a step that is called helpful strike out this pair? It must lower the rank wherever it may be
    /// taken, also where it is only enabled when the other pages allow it: a scheduler that has to take it
    /// infinitely often could take it there.
    fn helps(
        &self,
        pair: &Pair<S>,
        fairness: Fairness,
        enabled: bool,
        lower: bool,
    ) -> Result<bool, RankingErrorOf<S>> {
        let not_helpful = |why| Err(RankingError::NotHelpful { level: self.level, why, pair: *pair });
        match fairness {
            Fairness::None => not_helpful("one that may be ignored for ever"),
            Fairness::Weak if !enabled => not_helpful("not enabled whatever the other pages are"),
            _ if !lower => not_helpful("not lowering the rank"),
            _ => Ok(enabled),
        }
    }

    /// Where a page's own steps lead; those of the page that waits end the wait if they discharge it.
    fn own_steps(&self, pair: &Pair<S>, waiting: bool) -> Vec<Pair<S>> {
        let steps = self.system.page_steps().iter();
        let steps = steps.filter(|step| !(waiting && self.discharges(**step)));
        let moves = steps.filter_map(|step| self.system.page_move(*step, &pair.0, &pair.1));
        moves.map(|taken| (taken.control, taken.page)).collect()
    }

    /// Does the step end the wait of a page that takes it? Only pages that a property is about wait so.
    fn discharges(&self, step: S::PageStep) -> bool {
        let about_a_page = self.system.scope(self.property) == Some(Scope::Page);
        about_a_page && self.system.discharges(self.property, step)
    }

    /// Where control steps that this page does not forbid take it.
    fn control_steps(&self, (control, page): &Pair<S>) -> Vec<Pair<S>> {
        let met = self.system.conditions(page);
        let step = |step: &S::ControlStep| {
            let taken = self.system.control_move(*step, control)?;
            let after = (taken.control, self.system.carry(*step, control, page));
            met.is_superset(taken.requires).then_some(after)
        };
        self.system.control_steps().iter().filter_map(step).collect()
    }

    /// What a page sees of the steps of other pages: for each control record, the records that may follow
    /// it, with what the step requires of others.
    fn changes_of_control(&self) -> Changes<S> {
        let mut changes = BTreeMap::<_, BTreeSet<_>>::new();
        for (control, page) in &self.every {
            for step in self.system.page_steps() {
                if let Some(taken) = self.system.page_move(*step, control, page)
                    && self.every.contains(&(taken.control, taken.page))
                {
                    changes.entry(*control).or_default().insert((taken.requires, taken.control));
                }
            }
        }
        changes
    }

    /// Do all records that pages may have under this control record meet the conditions?
    fn all_meet(&self, control: &S::Control, required: Conditions<S>) -> bool {
        self.met.get(control).is_none_or(|met| met.is_superset(required))
    }
}
