//! Exhaustive exploration: every reachable state of a system with a given number of pages, every safety
//! property judged in it, and a shortest trace to each kind of violation.
//!
//! The exploration is breadth-first, level by level, on any number of threads. Its result is a function
//! of the system alone: sums and least elements, which depend neither on the number of threads nor on
//! their luck. Only a timeout, an interruption or a limit on memory ends it at a time of their own, and
//! then it says so.
//!
//! | module | |
//! |---|---|
//! | `layout` | a state as one integer |
//! | `store` | the set of states |
//! | `successors`, `worker`, `search` | from state to state, from level to level, from start to end |
//! | `tally`, `trace` | what is counted, and how one gets to what was found |
//! | `limits`, `progress`, `checkpoint` | ending early, saying how far it is, going on another day |
//! | `find` | a simple search for witnesses |

mod checkpoint;
mod find;
mod layout;
mod limits;
mod progress;
mod search;
mod store;
mod successors;
mod tally;
mod trace;
mod worker;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use enumset::{EnumSet, EnumSetType};
use population::concrete::{Concrete, PAGES_MAX, State, Step};
use population::system::Judged;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use find::{Found, find, find_while};
pub use limits::LimitReason;
pub use progress::{ExploreProgress, ProgressFn};

use crate::tabled::TooManyRecords;
use search::{End, Search};

/// How to explore.
pub struct ExploreOptions<'a, R: EnumSetType> {
    /// How many threads to use.
    pub threads: NonZeroUsize,
    /// Treat states that differ in the order of their pages alone as one.
    pub symmetry: bool,
    /// End after the level by which violations of all these are known; if empty, explore everything.
    pub stop_at: EnumSet<R>,
    /// Give up when there are more distinct states than this.
    pub states_max: Option<u64>,
    /// Give up when the exploration itself needs more memory than this, in bytes.
    pub memory_bytes_max: Option<u64>,
    /// Give up after this time.
    pub timeout: Option<Duration>,
    /// Give up as soon as this is true.
    pub interrupted: Option<&'a AtomicBool>,
    /// Is told how far the exploration is.
    pub progress: Option<&'a ProgressFn<'a>>,
    /// Where to save the exploration; `None` to save nothing.
    pub checkpoint: Option<Checkpoint<'a>>,
}

impl<R: EnumSetType> Default for ExploreOptions<'_, R> {
    /// One thread, symmetry, no limits.
    fn default() -> Self {
        ExploreOptions {
            threads: NonZeroUsize::MIN,
            symmetry: true,
            stop_at: EnumSet::empty(),
            states_max: None,
            memory_bytes_max: None,
            timeout: None,
            interrupted: None,
            progress: None,
            checkpoint: None,
        }
    }
}

/// What an exploration saw.
///
/// A *transition* is an enabled move of a state, whether or not it leads to another one. Unless the outcome
/// is [`ExploreOutcome::Complete`], states and counts are those of the levels that were completed.
pub struct Exploration<S: Judged> {
    /// Whether that is everything there is.
    pub outcome: ExploreOutcome,
    /// Distinct states; with symmetry, distinct up to the order of pages.
    pub states: u64,
    /// Transitions between those. With symmetry, pages with the same record move as one.
    pub transitions: u64,
    /// Distinct states as without symmetry.
    pub states_unreduced: u64,
    /// Transitions as without symmetry.
    pub transitions_unreduced: u64,
    /// The distance of the last state from the initial ones, in steps.
    pub depth: usize,
    /// How often each control step is taken, without symmetry; in the order of the system's list.
    pub control_steps: Vec<(S::ControlStep, u64)>,
    /// How often each page step is taken, without symmetry; in the order of the system's list.
    pub page_steps: Vec<(S::PageStep, u64)>,
    /// For each violated property a shortest run that violates it in its last state or step.
    pub violations: BTreeMap<S::Property, Trace<S>>,
    /// The most memory that the exploration took at a time, in bytes.
    pub memory_bytes_peak: u64,
    /// The time it took, in seconds, including the time before it was resumed.
    pub seconds: f64,
    /// Why it was no longer saved, if it was to be and at some point could not.
    pub unsaved: Option<CheckpointError>,
}

/// How an exploration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExploreOutcome {
    /// All reachable states have been explored.
    Complete,
    /// Violations of all properties in [`ExploreOptions::stop_at`] have been found.
    Stopped,
    /// There are states that have not been explored. That no violation was found means nothing.
    Inconclusive(LimitReason),
}

/// A run of a system with a given number of pages.
pub type Trace<S> = StateRun<State<S>, Step<S>>;

/// States with the steps between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRun<State, Step> {
    /// The first state.
    pub initial: State,
    /// Each step with the state that it leads to.
    pub steps: Vec<(Step, State)>,
}

impl<State, Step> StateRun<State, Step> {
    /// The last state.
    pub fn last(&self) -> &State {
        self.steps.last().map_or(&self.initial, |(_, state)| state)
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    /// The system is asked for with more pages than a state can have.
    #[error("{0} pages are too many; a state has at most {PAGES_MAX}")]
    TooManyPages(usize),
    /// There are too many distinct records.
    #[error(transparent)]
    TooManyRecords(#[from] TooManyRecords),
    /// The states have too many distinct records for so many pages.
    #[error(
        "states with {pages} pages out of {records} distinct records under {controls} distinct control records do not fit into 128 bits"
    )]
    TooWide {
        /// Pages in a state.
        pages: usize,
        /// Distinct control records so far.
        controls: usize,
        /// Distinct page records so far.
        records: usize,
    },
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The trace of a violation is not a run of the system: the model breaks its promises (its functions
    /// are not pure), or there is an error in this program.
    #[error("internal error: the violation of {0} cannot be replayed")]
    Replay(String),
}

/// Explores all reachable states of a system with a given number of pages.
///
/// ```
/// use engine::example::{Coherence, Directory};
/// use engine::explore::{ExploreOptions, ExploreOutcome, explore};
/// use population::concrete::Concrete;
///
/// let three = Concrete { system: Directory { hasty: true, ..Directory::default() }, pages: 3 };
/// let explored = explore(&three, ExploreOptions::default())?;
/// assert_eq!(explored.outcome, ExploreOutcome::Complete, "or else nothing that was not found means anything");
/// assert_eq!(explored.violations[&Coherence::OneWriter].steps.len(), 9);
/// # Ok::<(), engine::explore::ExploreError>(())
/// ```
///
/// # Errors
///
/// See [`ExploreError`]. Violated properties are no errors, and neither are limits: a limit makes the outcome
/// [`ExploreOutcome::Inconclusive`].
pub fn explore<S: Judged>(
    concrete: &Concrete<S>,
    options: ExploreOptions<'_, S::Property>,
) -> Result<Exploration<S>, ExploreError> {
    if concrete.pages > PAGES_MAX {
        return Err(ExploreError::TooManyPages(concrete.pages));
    }
    let mut search = Search::new(&concrete.system, concrete.pages, options)?;
    let wide = match search.layout::<u64>() {
        Some(layout) => {
            let store = search.start::<u64>(layout)?;
            match search.run(store)? {
                End::Outcome(ended) => return search.conclude(concrete, ended),
                End::Outgrown(store) => store.converted::<u128>(search.wide_layout()?),
            }
        }
        None => search.start::<u128>(search.wide_layout()?)?,
    };
    match search.run(wide)? {
        End::Outcome(ended) => search.conclude(concrete, ended),
        End::Outgrown(_) => Err(search.too_wide()),
    }
}
