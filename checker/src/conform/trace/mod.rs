//! Is a recorded run one that the model has?
//!
//! A trace is NDJSON, one JSON object a line. The first line says what was run:
//!
//! ```json
//! {"trace":1,"algorithm":"post-copy","link":"fifo","pages":24,"file_mapped":[3,7]}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `trace` | version of the format: 1 |
//! | `algorithm` | name of a built-in algorithm; need not be there when a strategy file is given |
//! | `link` | `fifo`, `unordered` or `lossy`: what the links between any two places do |
//! | `pages` | number of pages of the address space, at most 2¹⁶; all are loaded and clean at first |
//! | `file_mapped` | numbers, from 0, of the pages that are file-mapped; the others are private |
//!
//! Every other line is a step of one endpoint, in an order in which causes come before effects:
//! [`reference::event::Step`] has the fields, [`reference::event::Event`] the events and theirs. The validator
//! reads `place`, `event`, the number of the page and which message was handled; `at_ns` is not looked at. Losses
//! and retransmissions leave no line: to the receiver they are a delay.
//!
//! The model runs along as a set of states, those that it can be in after the lines so far. Each line leaves the
//! states that one of the steps it stands for leads to (see [`explain`](super::explain)). A trace is accepted when
//! it is consumed to its last line, and rejected at the first line that leaves no state.

mod places;
mod population;
mod repeats;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufRead};

use model::{ControlStep, Hosts, Link, Migration, Move, PageStep, Strategy, algorithms};
use reference::event::{Event, Step};
use reference::place::Place;
use serde::{Deserialize, Serialize};

use super::explain::{Explanation, explanations};
use super::refine::name;
use super::rig::Happening;
use places::Places;
use population::Population;
use repeats::repeats;

/// The version of the format that is read.
const VERSION: u32 = 1;

/// Most pages of a trace: each line may look at all of them.
pub const PAGES_MAX: u64 = 1 << 16;

/// Most states that the model may be in at once. Only duplicates make it more than one.
const STATES_MAX: usize = 4096;

/// The first line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Version of the format.
    pub trace: u32,
    /// A built-in algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// What links do.
    pub link: Link,
    /// Number of pages.
    pub pages: u64,
    /// Which of them are file-mapped.
    pub file_mapped: BTreeSet<u64>,
}

/// An accepted trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The algorithm.
    pub algorithm: String,
    /// What it says of itself.
    pub header: Header,
    /// Steps of endpoints.
    pub steps: usize,
    /// Steps of the model that they stand for; the others change nothing that the model has.
    pub model_steps: usize,
    /// Migrations after which the process ran elsewhere.
    pub hops: usize,
}

/// Why a trace is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The first line is not a header, or asks for what there is not.
    #[error("line 1: {0}")]
    Header(String),
    /// A line is not a step.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The model does not have it.
    #[error("{0}")]
    Rejected(Box<Rejection>),
    /// The model could be in too many states to follow them all.
    #[error("line {line}: more than {STATES_MAX} states of the model are possible")]
    Ambiguous {
        /// Counted from 1.
        line: usize,
    },
}

/// What is wrong with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// No step of the model explains it.
    Unexplained,
    /// It is not for this place to take, but for the one that is named, if any is.
    Misplaced(Option<Place>),
}

/// A line that the model does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Counted from 1.
    pub line: usize,
    /// The step on that line.
    pub step: Step,
    /// What is wrong with it.
    pub objection: Objection,
    /// The states that the model could be in before it, in words, with the steps possible in each.
    pub possible: Vec<(String, Vec<String>)>,
}

/// Validates a trace; `strategy` takes the place of the algorithm in its header.
///
/// # Errors
/// The trace is not well-formed, or the model does not have it.
pub fn conform(from: impl BufRead, strategy: Option<Strategy>) -> Result<Accepted, TraceError> {
    let mut lines = from.lines();
    let first = lines.next().ok_or_else(|| TraceError::Header("the trace is empty".to_owned()))??;
    let header = header(&first)?;
    let strategy = algorithm(&header, strategy)?;
    let algorithm = strategy.name.to_string();
    let steps = lines.enumerate().map(|(index, text)| parse(index + 2, &text?, &header));
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    let migration = Migration::new(strategy, Hosts::Three, header.link);
    let (model_steps, hops) = simulate(&migration, &header, &steps)?;
    Ok(Accepted { algorithm, header, steps: steps.len(), model_steps, hops })
}

fn header(text: &str) -> Result<Header, TraceError> {
    let fails = |reason: String| TraceError::Header(reason);
    let header: Header = serde_json::from_str(text).map_err(|error| fails(error.to_string()))?;
    if header.trace != VERSION {
        return Err(fails(format!("version {} of the format; {VERSION} is read", header.trace)));
    }
    if header.pages == 0 || header.pages > PAGES_MAX {
        return Err(fails(format!("{} pages; there must be 1 to {PAGES_MAX}", header.pages)));
    }
    match header.file_mapped.last() {
        Some(page) if *page >= header.pages => Err(fails(format!("no page {page} of {}", header.pages))),
        _ => Ok(header),
    }
}

fn algorithm(header: &Header, strategy: Option<Strategy>) -> Result<Strategy, TraceError> {
    if let Some(strategy) = strategy {
        return Ok(strategy);
    }
    let missing = || TraceError::Header("no algorithm, and no strategy file".to_owned());
    let name = header.algorithm.as_ref().ok_or_else(missing)?;
    let unknown = || TraceError::Header(format!("no built-in algorithm is called '{name}'"));
    algorithms::built_in(name).ok_or_else(unknown)
}

fn parse(line: usize, text: &str, header: &Header) -> Result<Step, TraceError> {
    let fails = |reason: String| TraceError::Line { line, reason };
    let step: Step = serde_json::from_str(text).map_err(|error| fails(error.to_string()))?;
    match page_of(&step.event) {
        Some(page) if page >= header.pages => Err(fails(format!("no page {page} of {}", header.pages))),
        _ => Ok(step),
    }
}

fn page_of(event: &Event) -> Option<u64> {
    match event {
        Event::PageRead { page, .. }
        | Event::PageWritten { page, .. }
        | Event::PageFaulted { page, .. }
        | Event::PageLoaded { page }
        | Event::PageCopied { page, .. }
        | Event::PageTransferred { page, .. }
        | Event::PageFlushed { page, .. }
        | Event::PageWrittenBack { page, .. }
        | Event::PageServed { page, .. }
        | Event::PagePushed { page, .. }
        | Event::PageInstalled { page, .. }
        | Event::RequestAccepted { page, .. }
        | Event::WriteBackAcknowledged { page, .. }
        | Event::PageFetched { page, .. }
        | Event::WriteBackStored { page, .. }
        | Event::WriteBackSuperseded { page, .. }
        | Event::WriteBackRepeated { page, .. }
        | Event::FetchRepeated { page }
        | Event::FetchServed { page, .. } => Some(page.0),
        Event::MessageIgnored { page, .. } => page.map(|page| page.0),
        _ => None,
    }
}

/// Runs the model along. Returns the number of its steps, and of migrations after which the process ran elsewhere.
fn simulate(migration: &Migration, header: &Header, steps: &[Step]) -> Result<(usize, usize), TraceError> {
    let mut states = vec![Population::loaded(migration, header)];
    let (mut model_steps, mut hops) = (0, 0);
    let mut places = Places::default();
    let repeats = repeats(steps);
    for (index, step) in steps.iter().enumerate() {
        let line = index + 2;
        let Step { place, epoch, ref event, .. } = *step;
        let what = Happening::Step { place, epoch, event: event.clone() };
        let mut next: Vec<Population> = Vec::new();
        for state in &states {
            let found = explanations(migration, &state.control, state.pages.len(), &what);
            let possible = found.into_iter().filter_map(|explanation| {
                let reached = state.follow(migration, &explanation)?;
                Some((explanation, reached))
            });
            for (explanation, reached) in plausible(event, repeats[index], possible) {
                let counted = next.is_empty() && !explanation.is_empty();
                model_steps += if counted { explanation.len() } else { 0 };
                if !next.contains(&reached) {
                    next.push(reached);
                }
            }
        }
        let objection = match places.note(step) {
            Err(instead) => Some(Objection::Misplaced(instead)),
            Ok(()) => next.is_empty().then_some(Objection::Unexplained),
        };
        if let Some(objection) = objection {
            let possible = states.iter().map(|state| (state.to_string(), state.enabled(migration))).collect();
            let rejection = Rejection { line, step: step.clone(), objection, possible };
            return Err(TraceError::Rejected(Box::new(rejection)));
        }
        if next.len() > STATES_MAX {
            return Err(TraceError::Ambiguous { line });
        }
        hops += usize::from(matches!(event, Event::ProcessResumed { .. }));
        states = next;
    }
    Ok((model_steps, hops))
}

/// Leaves out explanations that can be spared without losing a run: what a link keeps is kept if, and only if, the
/// same message is handled once more later; what is ignored is the duplicate that the model waits for, if it does.
/// Which content of a page an ignored message carried stays open.
fn plausible(
    event: &Event,
    repeated: bool,
    possible: impl Iterator<Item = (Explanation, Population)>,
) -> Vec<(Explanation, Population)> {
    use PageStep::{DeliverOlder, DuplicatePage, DuplicateRequest, DuplicateStore};
    let is_older = |found: &Explanation| matches!(found[..], [Move::Page(DeliverOlder, _)]);
    let is_kept = |found: &Explanation| {
        matches!(found[..], [Move::Page(DuplicatePage | DuplicateRequest | DuplicateStore, _)])
    };
    let possible: Vec<_> = possible.filter(|(found, _)| repeated || !is_kept(found)).collect();
    let (older, mut rest): (Vec<_>, Vec<_>) = possible.into_iter().partition(|(found, _)| is_older(found));
    if rest.iter().any(|(found, _)| is_kept(found)) {
        rest.retain(|(found, _)| is_kept(found));
    }
    if matches!(event, Event::MessageIgnored { .. }) {
        rest.truncate(1);
    }
    older.into_iter().chain(rest).collect()
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rejection { line, step, objection, possible } = self;
        let event = serde_json::to_string(step).unwrap_or_else(|_| format!("{step:?}"));
        match objection {
            Objection::Unexplained => writeln!(f, "line {line}: no step of the model explains {event}")?,
            Objection::Misplaced(Some(place)) => {
                writeln!(f, "line {line}: only {place} could have taken this step: {event}")?;
            }
            Objection::Misplaced(None) => writeln!(f, "line {line}: no step of such a place: {event}")?,
        }
        for (state, steps) in possible {
            write!(f, "the model could be in {state}\nand go on with {}", steps.join(", "))?;
        }
        Ok(())
    }
}

/// The names of steps.
fn names(steps: impl Iterator<Item = Move<ControlStep, PageStep>>) -> Vec<String> {
    steps.map(name).collect()
}
