//! Judges a [`Setting`]: one run for a number of pages, or one for any number.

mod any_number;
mod concrete;
mod oracle;

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use engine::explore;
use engine::liveness;
use model::system::Properties;
use model::{Migration, Property};

use crate::narrative::Story;
use crate::report::CheckRun;
use crate::setting::{Pages, Setting};

/// Which engine explores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Ours.
    #[default]
    Native,
    /// stateright's breadth-first checker; safety properties only.
    Stateright,
    /// Both; what they disagree about is an error.
    Both,
}

impl Engine {
    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Native => "native",
            Engine::Stateright => "stateright",
            Engine::Both => "both",
        }
    }
}

/// How to judge.
pub struct JudgeOptions<'a> {
    /// The properties asked for; those that do not apply to an algorithm are passed over.
    pub properties: Properties,
    /// Which engine explores.
    pub engine: Engine,
    /// How many threads to use.
    pub threads: NonZeroUsize,
    /// Treat states that differ in the order of their pages alone as one.
    pub symmetry: bool,
    /// Give up when there are more distinct states than this.
    pub states_max: Option<u64>,
    /// Give up when the exploration needs more memory than this, in bytes.
    pub memory_bytes_max: Option<u64>,
    /// Give up after this time.
    pub timeout: Option<Duration>,
    /// Give up as soon as this is true.
    pub interrupted: &'a AtomicBool,
    /// Is told what is going on.
    pub progress: &'a dyn Fn(&JudgeProgress),
    /// Where to save explorations at level boundaries, and whether to go on from there.
    pub checkpoint: Option<JudgeCheckpoint<'a>>,
}

/// Where explorations are saved.
#[derive(Clone, Copy, Debug)]
pub struct JudgeCheckpoint<'a> {
    /// A directory; each run has one of its own in it.
    pub directory: &'a std::path::Path,
    /// Go on from what is saved there.
    pub resume: bool,
}

/// What is going on.
#[derive(Clone, Copy, Debug)]
pub enum JudgeProgress {
    /// States are explored, for the safety properties.
    Exploring(explore::ExploreProgress),
    /// stateright explores.
    Stateright {
        /// Distinct states so far.
        states: u64,
        /// The distance of the farthest from an initial one.
        depth: u64,
    },
    /// The graph for the liveness properties is built.
    BuildingGraph(liveness::SpaceProgress),
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The exploration failed.
    #[error(transparent)]
    Explore(#[from] explore::ExploreError),
    /// A counterexample to a liveness property does not replay: an error in this program.
    #[error("internal error: {0}")]
    Liveness(#[from] liveness::LassoError<Property>),
    /// The engines disagree: an error in this program, or in stateright.
    #[error("the engines disagree about the {what}: native {native}, stateright {stateright}")]
    Disagreement {
        /// What about.
        what: &'static str,
        /// What ours says.
        native: String,
        /// What stateright says.
        stateright: String,
    },
}

/// Judges one setting.
///
/// # Errors
///
/// Internal errors and unusable checkpoints. A violated property is a verdict, and so is a bound that was
/// reached.
pub fn judge(setting: &Setting, pages: Pages, options: &JudgeOptions<'_>) -> Result<CheckRun, JudgeError> {
    match pages {
        Pages::Exactly(pages) => concrete::judge(setting, pages, options),
        Pages::Any => any_number::judge(setting, options),
    }
}

/// The properties on which [`judge`] says something, and be it that it does not know.
pub fn judged(setting: &Setting, pages: Pages, options: &JudgeOptions<'_>) -> Properties {
    let applicable = applicable(setting, options);
    match (pages, options.engine) {
        (Pages::Exactly(_), Engine::Stateright) => {
            applicable.iter().filter(|property| property.is_safety()).collect()
        }
        _ => applicable,
    }
}

/// The properties that were asked for and say something about the algorithm.
fn applicable(setting: &Setting, options: &JudgeOptions<'_>) -> Properties {
    options.properties.iter().filter(|property| setting.applies(*property)).collect()
}

/// A run that violates a safety property in its last state or step.
fn violation(setting: &Setting, property: Property, trace: explore::Trace<Migration>) -> Story {
    Story { title: title(setting, property), start: trace.initial, steps: trace.steps, loop_from: None }
}

/// A run that violates a liveness property.
fn lasso(setting: &Setting, property: Property, lasso: liveness::Counterexample<Migration>) -> Story {
    let loop_from = lasso.stem.len();
    let (repeated, doomed) = match lasso.tail {
        liveness::Tail::Cycle(cycle) => (cycle, false),
        liveness::Tail::Stutter => (vec![], false),
        liveness::Tail::Doomed => (vec![], true),
    };
    let mut steps = lasso.stem;
    steps.extend(repeated);
    let loop_from = (!doomed).then_some(loop_from);
    Story { title: title(setting, property), start: lasso.start, steps, loop_from }
}

fn title(setting: &Setting, property: Property) -> String {
    let defect = setting.defect.map(|defect| format!(" with defect {defect}")).unwrap_or_default();
    format!("{}{defect} · {property} {} fails", setting.strategy.name, property.title())
}
