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
//! | `disrupted` | whether things go wrong; without it nothing does. Then there are two hosts |
//!
//! Every other line is a step of one endpoint, in an order in which causes come before effects:
//! [`steplog::event::Step`] has the fields, [`steplog::event::Event`] the events and theirs. The validator
//! reads `place`, `event`, the number of the page and which message was handled; `at_ns` is not looked at. Losses
//! and retransmissions leave no line: to the receiver they are a delay.
//!
//! Nor does a connection that breaks, or a file server that is out of reach, when it happens. Hosts notice later, or
//! when there is a new connection, and that is what the lines `peer-disconnected`, `peer-timed-out` and
//! `peer-connected` say; the validator tries every moment since. A machine's death has a line where it happens,
//! `host-crashed`, and one where another host is told, `peer-fenced`. Any number of things may go wrong.
//!
//! The model runs along as a set of states, those that it can be in after the lines so far. Each line leaves the
//! states that one of the steps it stands for leads to (see [`explain`](super::explain)). A trace is accepted when
//! it is consumed to its last line, and rejected at the first line that leaves no state.

mod disrupted;
mod follow;
mod places;
mod population;
mod repeats;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufRead};

use engine::views::transitions::Seen;
use model::{ControlStep, Link, Move, PageStep, Strategy, algorithms};
use steplog::event::{Event, Step};
use steplog::header::{Header, LinkOrder, VERSION};
use steplog::place::{HostId, Place};

use super::explain::Explanation;
use super::refine::name;
use crate::uncounted::Uncounted;
use follow::{STATES_MAX, follow};
use population::Population;

/// Most hosts of a trace in which things go wrong: two show all that can, and rules for more are not modelled.
const HOSTS_MAX_DISRUPTED: usize = 2;

/// Most pages of a trace: each line may look at all of them.
pub const PAGES_MAX: u64 = 1 << 16;

/// An accepted trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The algorithm.
    pub algorithm: String,
    /// What it says of itself.
    pub header: Header,
    /// Steps of endpoints.
    pub steps: usize,
    /// A run of the model that they stand for; the other steps change nothing that the model has.
    pub run: Explanation,
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
    /// Some states that the model could be in before it, in words, with the steps possible in each.
    pub possible: Vec<(String, Vec<String>)>,
    /// How many more there are.
    pub more: usize,
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
    let steps = lines.enumerate().map(|(index, text)| parse(index + 2, &text?));
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    conform_steps(header, strategy, &steps)
}

/// Validates the steps of a trace. What its header says of the algorithm is not looked at.
///
/// # Errors
/// A step does not go with the header, or the model does not have it.
pub fn conform_steps(header: Header, strategy: Strategy, steps: &[Step]) -> Result<Accepted, TraceError> {
    check(&header, steps)?;
    let algorithm = strategy.name.to_string();
    let model = match header.disrupted {
        true => Uncounted::disrupted(strategy, link(header.link)),
        false => Uncounted::undisrupted(strategy, link(header.link)),
    };
    let run = follow(&model, &header, steps)?;
    let hops = steps.iter().filter(|step| matches!(step.event, Event::ProcessResumed { .. })).count();
    Ok(Accepted { algorithm, header, steps: steps.len(), run, hops })
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
    if let Some(unseen) = header.unseen.first() {
        return Err(fails(format!("{unseen:?} are unseen; such logs are not judged yet")));
    }
    match header.file_mapped.last() {
        Some(page) if *page >= header.pages => Err(fails(format!("no page {page} of {}", header.pages))),
        _ => Ok(header),
    }
}

/// The model's word for what links do.
pub(crate) fn link(order: LinkOrder) -> Link {
    match order {
        LinkOrder::Fifo => Link::Fifo,
        LinkOrder::Unordered => Link::Unordered,
        LinkOrder::Lossy => Link::Lossy,
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

fn parse(line: usize, text: &str) -> Result<Step, TraceError> {
    serde_json::from_str(text).map_err(|error| TraceError::Line { line, reason: error.to_string() })
}

/// The transitions that the pages see in a run of the model, which is one that explains a trace with this header.
pub fn seen(model: &Uncounted, header: &Header, run: &Explanation) -> Vec<Seen<Uncounted>> {
    let mut state = Population::loaded(model, header);
    let mut seen = Vec::new();
    for step in run {
        let own = |page: &usize| match step {
            Move::Control(_) => true,
            Move::Page(_, other) => page == other,
        };
        let step_seen = match *step {
            Move::Control(step) => Move::Control(step),
            Move::Page(step, _) => Move::Page(step, 0),
        };
        let pages = (0..state.pages.len()).filter(own);
        seen.extend(pages.map(|page| (state.control, state.pages[page], step_seen)));
        let Some(next) = state.follow(model, &vec![*step]) else { break };
        state = next;
    }
    seen
}

/// Do the steps go with the header?
fn check(header: &Header, steps: &[Step]) -> Result<(), TraceError> {
    let mut hosts = BTreeSet::new();
    for (index, step) in steps.iter().enumerate() {
        let fails = |reason: String| Err(TraceError::Line { line: index + 2, reason });
        if let Some(page) = page_of(&step.event).filter(|page| *page >= header.pages) {
            return fails(format!("no page {page} of {}", header.pages));
        }
        if !header.disrupted && is_disruption(&step.event) {
            return fails("something goes wrong, which the header does not announce".to_owned());
        }
        hosts.extend(hosts_of(step));
        if header.disrupted && hosts.len() > HOSTS_MAX_DISRUPTED {
            return fails("a third host; where things go wrong there can be two".to_owned());
        }
    }
    Ok(())
}

fn is_disruption(event: &Event) -> bool {
    matches!(
        event,
        Event::MigrationCancelled { .. }
            | Event::MigrationRefused { .. }
            | Event::PeerDisconnected { .. }
            | Event::PeerTimedOut { .. }
            | Event::PeerFenced { .. }
            | Event::PeerConnected { .. }
            | Event::HostCrashed
    )
}

/// The hosts that take the step or that it is about, as far as they can be new.
fn hosts_of(step: &Step) -> impl Iterator<Item = HostId> {
    let place = match step.place {
        Place::Host(host) => Some(host),
        Place::FileServer => None,
    };
    let other = match step.event {
        Event::MigrationExpected { from: host } | Event::MigrationStarted { to: host } => Some(host),
        _ => None,
    };
    [place, other].into_iter().flatten()
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

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rejection { line, step, objection, possible, more } = self;
        let event = serde_json::to_string(step).unwrap_or_else(|_| format!("{step:?}"));
        match objection {
            Objection::Unexplained => write!(f, "line {line}: no step of the model explains {event}")?,
            Objection::Misplaced(Some(place)) => {
                write!(f, "line {line}: only {place} could have taken this step: {event}")?;
            }
            Objection::Misplaced(None) => write!(f, "line {line}: no step of such a place: {event}")?,
        }
        for (state, steps) in possible {
            write!(f, "\nthe model could be in {state}\nand go on with {}", steps.join(", "))?;
        }
        if *more > 0 { write!(f, "\nor be in {more} other states") } else { Ok(()) }
    }
}

/// The names of steps.
fn names(steps: impl Iterator<Item = Move<ControlStep, PageStep>>) -> Vec<String> {
    steps.map(name).collect()
}
