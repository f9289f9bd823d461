//! Any number of pages: views for safety, rankings for liveness.
//!
//! What views or rankings refute, or cannot show, is looked for in small populations: a failure there is
//! one, whatever the number of pages claimed.

use std::num::NonZeroUsize;
use std::time::Instant;

use engine::explore;
use engine::liveness::{self, Assumptions};
use engine::views::{AnyNumber, ProofBounds, ProofOutcome, prove, ranking};
use enumset::EnumSet;
use model::{Migration, Property};

use super::concrete::{empty, space, verdict};
use super::{JudgeError, JudgeOptions, applicable, violation};
use crate::report::{Actual, Basis, CheckRun, PropertyVerdict};
use crate::setting::{Pages, Setting};

/// The response properties that a ranking of page records can show.
const RANKED: [Property; 7] =
    [Property::L1, Property::L2, Property::L3, Property::L4, Property::L5, Property::L6, Property::L8];

/// The largest population searched for a run that refutes a property without a ranking.
const REFUTED_WITHIN: NonZeroUsize = NonZeroUsize::new(2).unwrap();

pub(super) fn judge(setting: &Setting, options: &JudgeOptions<'_>) -> Result<CheckRun, JudgeError> {
    let started = Instant::now();
    let migration = setting.migration();
    let wanted = applicable(setting, options);
    let proof = prove(&migration, ProofBounds::default());
    let mut verdicts = Vec::new();
    for property in wanted {
        if property.is_safety() {
            verdicts.push(safety(setting, &proof, property));
        } else if RANKED.contains(&property) {
            verdicts.push(liveness(setting, &migration, &proof, property, options, started)?);
        } else {
            let open = PropertyVerdict::new(setting, property, Actual::Inconclusive);
            verdicts.push(open.resting_on(Basis::Open("judged on concrete populations alone".to_owned())));
        }
    }
    Ok(CheckRun {
        engine: "views",
        states: proof.views as u64,
        depth: proof.rounds as u64,
        seconds: started.elapsed().as_secs_f64(),
        verdicts,
        ..empty(setting, Pages::Any)
    })
}

fn safety(setting: &Setting, proof: &AnyNumber<Migration>, property: Property) -> PropertyVerdict {
    match proof.verdicts.get(&property) {
        Some(ProofOutcome::HoldsForAny { view_pages }) => {
            PropertyVerdict::new(setting, property, Actual::Holds).resting_on(Basis::Views(*view_pages))
        }
        Some(ProofOutcome::Fails { trace, .. }) => {
            let trace =
                explore::Trace::<Migration> { initial: trace.initial.clone(), steps: trace.steps.clone() };
            PropertyVerdict::new(setting, property, Actual::Fails)
                .showing(violation(setting, property, trace))
        }
        Some(ProofOutcome::Inconclusive(reason)) => {
            PropertyVerdict::new(setting, property, Actual::Inconclusive)
                .resting_on(Basis::Open(reason.clone()))
        }
        None => PropertyVerdict::new(setting, property, Actual::Inconclusive)
            .resting_on(Basis::Open("not judged by views".to_owned())),
    }
}

fn liveness(
    setting: &Setting,
    migration: &Migration,
    proof: &AnyNumber<Migration>,
    property: Property,
    options: &JudgeOptions<'_>,
    started: Instant,
) -> Result<PropertyVerdict, JudgeError> {
    let pairs = proof.invariant.pairs();
    let ranked = ranking::find(migration, property, &pairs)
        .is_ok_and(|found| ranking::check(migration, &pairs, &found).is_ok());
    if ranked && ranking::is_vacuous(migration, property, &pairs) {
        return Ok(PropertyVerdict::new(setting, property, Actual::Vacuous).resting_on(Basis::Vacuous));
    }
    if ranked {
        return Ok(PropertyVerdict::new(setting, property, Actual::Holds).resting_on(Basis::Ranking));
    }
    let mut reason = "no ranking found".to_owned();
    for pages in 1..=REFUTED_WITHIN.get() {
        let Some(pages) = NonZeroUsize::new(pages) else { continue };
        let concrete = setting.concrete(pages);
        let space = space(&concrete, options, started);
        if let Some(truncation) = space.truncated() {
            reason = format!("no ranking found, and {truncation}");
        }
        for judged in liveness::judge(&space, EnumSet::only(property), &Assumptions::default(), 1)? {
            if judged.outcome.counterexample().is_some() {
                return Ok(verdict(setting, judged));
            }
        }
    }
    Ok(PropertyVerdict::new(setting, property, Actual::Inconclusive).resting_on(Basis::Open(reason)))
}
