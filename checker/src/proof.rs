//! A proof for any number of pages as a document, and its judge, who trusts nothing that the document says.
//!
//! The document is an inductive [`Invariant`](engine::views::Invariant) whose subject is a [`Setting`]. What it claims is
//! proved again: safety by going through every permitted configuration, liveness by a ranking that is found anew and
//! checked pair by pair. A claim that is not proved here, or that says nothing about the algorithm, is refused.

use std::fmt;

use engine::views::recheck::{ProofObjection, Rechecked};
use engine::views::{AnyNumber, InvariantError, InvariantOf, ProofBounds, prove, ranking, recheck_while};
use enumset::EnumSet;
use model::system::Properties;
use model::{Migration, Property, Strategy, algorithms};
use serde::Serialize;
use serde_json::Value;

use crate::report::counted;
use crate::setting::{FingerprintError, Setting};

/// The largest number in a record that is read. Those of real ones are far below it; from the largest that fits, a step
/// would lead to none.
const COUNT_MAX: u64 = 100;

/// The document that proves what can be proved of a setting.
pub fn document(setting: &Setting) -> InvariantOf<Migration> {
    let migration = setting.migration();
    let AnyNumber { mut invariant, .. } = prove(&migration, ProofBounds::default());
    let pairs = invariant.pairs();
    let live = EnumSet::<Property>::all().iter().filter(|property| !property.is_safety());
    invariant.claims |=
        live.filter(|property| is_ranked(&migration, *property, &pairs)).collect::<Properties>();
    invariant.claims = invariant.claims.iter().filter(|property| setting.applies(*property)).collect();
    invariant.subject = setting.fingerprint();
    invariant
}

/// Has it a ranking, and something to be ranked for?
fn is_ranked(migration: &Migration, property: Property, pairs: &ranking::Pairs<Migration>) -> bool {
    let ranked = ranking::judge(migration, property, pairs);
    matches!(ranked, Some(ranking::RankingOutcome::HoldsForAny { .. }))
        && !ranking::is_vacuous(migration, property, pairs)
}

/// What a document proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Of what.
    pub setting: Setting,
    /// That no permitted configuration, and no step of one, violates these.
    pub safety: Properties,
    /// That no fair run leaves these pending.
    pub liveness: Properties,
    /// What was gone through for that.
    pub checked: Rechecked,
}

/// Why a document proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofRefusal {
    /// It is no such document.
    #[error(transparent)]
    Document(#[from] InvariantError),
    /// A record has a number that no record has.
    #[error(
        "{part}: record {record}: {number} is larger than {COUNT_MAX}, which nothing in a record comes to"
    )]
    Count {
        /// Which list of records.
        part: &'static str,
        /// Which of them, counted from 0.
        record: usize,
        /// The number.
        number: u64,
    },
    /// It does not say what it is about.
    #[error("subject")]
    Subject(#[from] FingerprintError),
    /// It claims nothing.
    #[error("it claims nothing, so nothing is proved")]
    NothingClaimed,
    /// It claims something that is not said of the algorithm.
    #[error("{0} is claimed, which says nothing about this algorithm")]
    DoesNotApply(Property),
    /// A liveness property is claimed that has no ranking.
    #[error("{property} is claimed, and not proved: {why}")]
    NotRanked {
        /// Which.
        property: Property,
        /// Why not.
        why: String,
    },
    /// The invariant is none, or does not have a claimed safety property.
    #[error("{0}")]
    Objection(String),
    /// The check was given up.
    #[error("not finished after {0} configurations")]
    Unfinished(usize),
}

impl ProofRefusal {
    /// Is the document unreadable, rather than wrong?
    pub fn is_unreadable(&self) -> bool {
        matches!(self, ProofRefusal::Document(_) | ProofRefusal::Count { .. } | ProofRefusal::Subject(_))
    }
}

/// Judges a document, as long as it `goes_on`, which is told how far it is.
///
/// # Errors
/// Everything that keeps it from being a proof of all that it claims.
pub fn judge(text: &str, goes_on: &dyn Fn(&Rechecked) -> bool) -> Result<Proved, ProofRefusal> {
    let mut invariant = InvariantOf::<Migration>::from_json(text)?;
    check_counts("controls", &invariant.controls)?;
    check_counts("records", &invariant.records)?;
    let setting = Setting::from_fingerprint(&invariant.subject)?;
    let migration = setting.migration();
    if invariant.claims.is_empty() {
        return Err(ProofRefusal::NothingClaimed);
    }
    if let Some(property) = invariant.claims.iter().find(|property| !setting.applies(*property)) {
        return Err(ProofRefusal::DoesNotApply(property));
    }
    let safety: Properties = invariant.claims.iter().filter(|property| property.is_safety()).collect();
    let liveness = invariant.claims - safety;
    invariant.claims = safety;
    let checked = recheck_while(&migration, &invariant, goes_on).map_err(|objection| match *objection {
        ProofObjection::Unfinished(configurations) => ProofRefusal::Unfinished(configurations),
        objection => ProofRefusal::Objection(objection.to_string()),
    })?;
    // The invariant is one, so no other pairs of records occur.
    let pairs = invariant.pairs();
    for property in liveness {
        let why = match ranking::judge(&migration, property, &pairs) {
            Some(ranking::RankingOutcome::HoldsForAny { .. })
                if ranking::is_vacuous(&migration, property, &pairs) =>
            {
                "it is vacuous".to_owned()
            }
            Some(ranking::RankingOutcome::HoldsForAny { .. }) => continue,
            Some(ranking::RankingOutcome::Inconclusive(why)) => why,
            None => "it has no ranking, and is judged for given numbers of pages alone".to_owned(),
        };
        return Err(ProofRefusal::NotRanked { property, why });
    }
    Ok(Proved { setting, safety, liveness, checked })
}

/// Can every number in the records be counted up?
fn check_counts<T: Serialize>(part: &'static str, records: &[T]) -> Result<(), ProofRefusal> {
    for (record, value) in records.iter().enumerate() {
        let value = serde_json::to_value(value).map_err(InvariantError::Json)?;
        if let Some(number) = largest(&value).filter(|number| *number > COUNT_MAX) {
            return Err(ProofRefusal::Count { part, record, number });
        }
    }
    Ok(())
}

fn largest(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::Array(values) => values.iter().filter_map(largest).max(),
        Value::Object(fields) => fields.values().filter_map(largest).max(),
        _ => None,
    }
}

/// In sentences: what was proved, of which choices, in which world. What the document calls the algorithm proves nothing.
impl fmt::Display for Proved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proved { setting, safety, liveness, checked } = self;
        let ids =
            |of: &Properties| of.iter().map(|property| property.to_string()).collect::<Vec<_>>().join(" ");
        writeln!(f, "proved for any number of pages: {}", ids(&(*safety | *liveness)))?;
        let Setting { strategy, hosts, link, defect, disruptions } = setting;
        let alike = |other: &Strategy| Strategy { name: other.name.clone(), ..strategy.clone() } == *other;
        let known = algorithms::all().find(alike);
        match known {
            Some(known) => writeln!(f, "of the choices of {}:", known.name)?,
            None => writeln!(f, "of these choices, which no built-in algorithm makes:")?,
        }
        for line in strategy.to_toml().lines().filter(|line| !line.starts_with("name = ")) {
            writeln!(f, "  {line}")?;
        }
        write!(f, "with {hosts} hosts and a file server, {link} links, ")?;
        match defect {
            Some(defect) => write!(f, "the defect {defect}, ")?,
            None => f.write_str("no defect, ")?,
        }
        match disruptions.is_none() {
            true => writeln!(f, "no disruption")?,
            false => {
                writeln!(f, "up to {}", counted(disruptions.budget(), "disruption"))?;
                for (place, strike) in ["first", "then"].iter().zip(disruptions.strikes()) {
                    let kinds: Vec<String> = strike.kinds.iter().map(|kind| kind.to_string()).collect();
                    let stages: Vec<String> = strike.stages.iter().map(|stage| stage.to_string()).collect();
                    writeln!(f, "  {place}: {} in {}", kinds.join(", "), stages.join(", "))?;
                }
            }
        }
        write!(
            f,
            "{} and {} checked",
            counted(checked.configurations, "configuration"),
            counted(checked.steps, "step")
        )?;
        if !liveness.is_empty() {
            write!(f, "; a ranking found and checked for each of {}", ids(liveness))?;
        }
        Ok(())
    }
}
