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
//! | `pages` | number of pages of the address space, at most 2²⁴; all are loaded and clean at first |
//! | `file_mapped` | numbers, from 0, of the pages that are file-mapped; the others are private |
//! | `disrupted` | whether things go wrong; without it nothing does. Then there are two hosts |
//! | `unseen` | what happened without a line: any of `writes`, `reads`, `readiness`, `connections`, `departure`; every moment is tried |
//!
//! Every other line is a step of one endpoint, in an order in which causes come before effects:
//! [`steplog::event::Step`] has the fields, [`steplog::event::Event`] the events and theirs. The validator reads all of
//! them but `at_ns`, which is a hint where logs are merged, and the bytes. Losses and retransmissions leave no line: to the
//! receiver they are a delay.
//!
//! Nor does a connection that breaks, or a file server that is out of reach, when it happens. Hosts notice later, or
//! when there is a new connection, and that is what the lines `peer-disconnected`, `peer-timed-out` and
//! `peer-connected` say; the validator tries every moment since. A machine's death has a line where it happens,
//! `host-crashed`, and one where another host is told, `peer-fenced`. Any number of things may go wrong.
//!
//! Three judges look at each line: whether the place has the part for it, in that migration and with that peer; whether
//! the message that it handles was sent and not handled before; and whether the model, which runs along, has a step that
//! the line stands for (see [`explain`](super::explain)) and that has the effect that the line says. A trace is
//! accepted when it is consumed to its last line and nobody waits for anything then, *unfinished* when somebody does, and
//! rejected at the first line that a judge objects to.

mod differ;
mod disrupted;
mod ending;
mod follow;
mod lines;
mod merge;
mod messages;
mod numbered;
mod objection;
mod population;
mod roster;
mod run;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufRead};
use std::ops::ControlFlow;

use engine::views::transitions::Seen;
use model::system::System;
use model::{Link, Move, Strategy, algorithms};
use steplog::event::{Event, Step};
use steplog::header::{Header, LinkOrder, Unseen, VERSION};
use steplog::page::PageNumber;
use steplog::place::{HostId, Place};

use super::explain::Explanation;
use crate::uncounted::Uncounted;
use disrupted::Trouble;
pub use ending::Wait;
use follow::{Follower, STATES_MAX};
pub use merge::{LineOrigin, MergeError, MergedLog, merge};
pub use objection::{Difference, MessageName, Objection};
use population::{Population, Record};

/// Most hosts of a trace in which things go wrong: two show all that can, and rules for more are not modelled.
const HOSTS_MAX_DISRUPTED: usize = 2;

/// Most lines of a trace in which things go wrong: they are kept in memory.
pub const LINES_MAX_KEPT: usize = 1 << 24;

/// Most pages of a trace.
pub const PAGES_MAX: u64 = 1 << 24;

/// An accepted trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The algorithm.
    pub algorithm: String,
    /// What it says of itself.
    pub header: Header,
    /// Steps of endpoints.
    pub steps: usize,
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
    /// Its last line is not the end of anything.
    #[error("{0}")]
    Unfinished(UnfinishedLog),
    /// Whoever watched has stopped it.
    #[error("stopped after line {line}")]
    Stopped {
        /// The last line that was judged, counted from 1.
        line: usize,
    },
    /// The model could be in too many states to follow them all.
    #[error("line {line}: more than {STATES_MAX} states of the model are possible")]
    Ambiguous {
        /// Counted from 1.
        line: usize,
    },
}

/// A log of which every line is right, but that stops in the middle of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedLog {
    /// Its last line, counted from 1.
    pub line: usize,
    /// Who waits, and for what.
    pub waits: Vec<Wait>,
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
    /// The events that the model has there, about the page of the line and about the migration.
    pub instead: Vec<String>,
    /// Earlier lines that show how it came to this: the last ones about the page, and of the migration.
    pub history: Vec<usize>,
}

/// Validates a trace; `strategy` takes the place of the algorithm in its header.
///
/// Lines are judged as they are read. Only where things go wrong are they kept: what leaves no line is told by later
/// ones.
///
/// # Errors
/// The trace is not well-formed, or the model does not have it.
pub fn conform(from: impl BufRead, strategy: Option<Strategy>) -> Result<Accepted, TraceError> {
    conform_watched(from, strategy, &mut |_| ControlFlow::Continue(()))
}

/// The same; after every line that is judged `watch` is told its number, and may stop.
///
/// # Errors
/// As [`conform`], and [`TraceError::Stopped`].
pub fn conform_watched(
    from: impl BufRead,
    strategy: Option<Strategy>,
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Accepted, TraceError> {
    let mut lines = from.lines();
    let first = lines.next().ok_or_else(|| TraceError::Header("the trace is empty".to_owned()))??;
    let header = header(&first)?;
    let strategy = algorithm(&header, strategy)?;
    let steps = lines.enumerate().map(|(index, text)| parse(index + 2, &text?));
    if !header.disrupted {
        return judge(header, strategy, None, steps, false, watch).map(|(accepted, _)| accepted);
    }
    let steps: Vec<_> = steps.take(LINES_MAX_KEPT + 1).collect::<Result<_, _>>()?;
    if steps.len() > LINES_MAX_KEPT {
        let reason = format!("more than {LINES_MAX_KEPT} lines in which things go wrong");
        return Err(TraceError::Line { line: LINES_MAX_KEPT + 2, reason });
    }
    judge_kept(header, strategy, &steps, false, watch).map(|(accepted, _)| accepted)
}

/// The same for logs that were [merged](merge). Lines are those of the whole: line 2 is its first step.
///
/// # Errors
/// As [`conform_watched`].
pub fn conform_merged(
    merged: &MergedLog,
    strategy: Option<Strategy>,
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Accepted, TraceError> {
    let header = merged.header.clone();
    let strategy = algorithm(&header, strategy)?;
    judge_kept(header, strategy, &merged.steps, false, watch).map(|(accepted, _)| accepted)
}

/// Validates the steps of a trace. What its header says of the algorithm is not looked at.
///
/// # Errors
/// A step does not go with the header, or the model does not have it.
pub fn conform_steps(header: Header, strategy: Strategy, steps: &[Step]) -> Result<Accepted, TraceError> {
    let watch = &mut |_| ControlFlow::Continue(());
    judge_kept(header, strategy, steps, false, watch).map(|(accepted, _)| accepted)
}

/// The same, with a run of the model that the steps stand for; the other steps change nothing that the model has.
///
/// # Errors
/// As [`conform_steps`].
pub fn explain_steps(
    header: Header,
    strategy: Strategy,
    steps: &[Step],
) -> Result<(Accepted, Explanation), TraceError> {
    judge_kept(header, strategy, steps, true, &mut |_| ControlFlow::Continue(()))
}

fn judge_kept(
    header: Header,
    strategy: Strategy,
    steps: &[Step],
    keeps_run: bool,
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<(Accepted, Explanation), TraceError> {
    let connections_unseen = header.unseen.contains(&Unseen::Connections);
    let trouble = header.disrupted.then(|| Trouble::of(steps, connections_unseen));
    let steps = steps.iter().map(|step| Ok(step.clone()));
    judge(header, strategy, trouble, steps, keeps_run, watch)
}

fn judge(
    header: Header,
    strategy: Strategy,
    trouble: Option<Trouble>,
    steps: impl Iterator<Item = Result<Step, TraceError>>,
    keeps_run: bool,
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<(Accepted, Explanation), TraceError> {
    let algorithm = strategy.name.to_string();
    let model = match header.disrupted {
        true => Uncounted::disrupted(strategy, link(header.link)),
        false => Uncounted::undisrupted(strategy, link(header.link)),
    };
    let mut follower = Follower::new(&model, &header, trouble);
    if keeps_run {
        follower = follower.keeping_paths();
    }
    let (mut hosts, mut count, mut hops) = (BTreeSet::new(), 0, 0);
    for (index, step) in steps.enumerate() {
        let (step, line) = (step?, index + 2);
        check(&header, &mut hosts, line, &step)?;
        follower.take(index, &step)?;
        hops += usize::from(matches!(step.event, Event::ProcessResumed { .. }));
        count += 1;
        if watch(line).is_break() {
            return Err(TraceError::Stopped { line });
        }
    }
    let waits = follower.waits(count);
    if !waits.is_empty() {
        return Err(TraceError::Unfinished(UnfinishedLog { line: count + 1, waits }));
    }
    let run = follower.run();
    Ok((Accepted { algorithm, header, steps: count, hops }, run))
}

fn header(text: &str) -> Result<Header, TraceError> {
    let fails = |reason: String| TraceError::Header(reason);
    let header: Header = serde_json::from_str(text).map_err(|error| fails(reason(&error)))?;
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
    let missing = || TraceError::Header("no algorithm, and no strategy file was given".to_owned());
    let name = header.algorithm.as_ref().ok_or_else(missing)?;
    let unknown = || {
        TraceError::Header(format!(
            "no built-in algorithm is called '{name}', and no strategy file was given"
        ))
    };
    algorithms::built_in(name).ok_or_else(unknown)
}

fn parse(line: usize, text: &str) -> Result<Step, TraceError> {
    serde_json::from_str(text).map_err(|error| TraceError::Line { line, reason: reason(&error) })
}

/// Why a line cannot be read. To the parser it is the first; which it is of the log is said beside.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        _ if error.is_eof() && error.column() == 0 => "the line is empty".to_owned(),
        Some((what, _)) => format!("{what}, at column {}", error.column()),
        None => text,
    }
}

/// The transitions that the pages see in a run of the model, which is one that explains a trace with this header.
pub fn seen(model: &Uncounted, header: &Header, run: &Explanation) -> Vec<Seen<Uncounted>> {
    let pages = usize::try_from(header.pages).unwrap_or(usize::MAX);
    let mut control = model.initial_control();
    let mut records: Vec<Record> =
        (0..pages).map(|page| Population::loaded_record(model, header, page)).collect();
    let mut seen = Vec::new();
    for step in run {
        match *step {
            Move::Control(step) => {
                let Some(taken) = model.control_move(step, &control) else { break };
                for record in &mut records {
                    seen.push((control, record.page, Move::Control(step)));
                    *record = Record::carried(model, step, &control, record);
                }
                control = taken.control;
            }
            Move::Page(step, page) => {
                let Some(record) = records.get_mut(page) else { break };
                let Some((after, _, next)) = record.taken(model, step, &control) else { break };
                seen.push((control, record.page, Move::Page(step, 0)));
                (control, *record) = (after, next);
            }
        }
    }
    seen
}

/// Does the step go with the header, and with the hosts that there have been?
fn check(header: &Header, hosts: &mut BTreeSet<HostId>, line: usize, step: &Step) -> Result<(), TraceError> {
    let fails = |reason: String| Err(TraceError::Line { line, reason });
    if let Some(page) = page_of(&step.event).filter(|page| page.0 >= header.pages) {
        return fails(format!("no page {} of {}", page.0, header.pages));
    }
    if !header.disrupted && is_disruption(&step.event) {
        return fails("something goes wrong, which the header does not announce".to_owned());
    }
    hosts.extend(hosts_of(step));
    if header.disrupted && hosts.len() > HOSTS_MAX_DISRUPTED {
        return fails("a third host; where things go wrong there can be two".to_owned());
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

/// The hosts that take the step or that it is about.
fn hosts_of(step: &Step) -> impl Iterator<Item = HostId> {
    let host = |place: Place| match place {
        Place::Host(host) => Some(host),
        Place::FileServer => None,
    };
    let other = match step.event {
        Event::MigrationExpected { from: host }
        | Event::MigrationAnnounced { to: host }
        | Event::MigrationStarted { to: host } => Some(host),
        Event::PeerFenced { peer, .. } => Some(peer),
        Event::PeerDisconnected { peer, .. }
        | Event::PeerTimedOut { peer, .. }
        | Event::PeerConnected { peer, .. } => host(peer),
        _ => None,
    };
    [host(step.place), other].into_iter().flatten()
}

fn page_of(event: &Event) -> Option<PageNumber> {
    match event {
        Event::PageRead { page, .. }
        | Event::PageWritten { page, .. }
        | Event::PageFaulted { page, .. }
        | Event::PageLoaded { page }
        | Event::PagePulled { page, .. }
        | Event::FaultHeard { page, .. }
        | Event::ThreadsWoken { page }
        | Event::MarkCleared { page }
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
        | Event::VersionAsked { page }
        | Event::VersionTold { page, .. }
        | Event::PageFellBack { page, .. }
        | Event::PageLost { page, .. }
        | Event::FetchServed { page, .. } => Some(*page),
        Event::MessageIgnored { page, .. } => *page,
        _ => None,
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rejection { line, step, objection, instead, .. } = self;
        let event = serde_json::to_string(step).unwrap_or_else(|_| format!("{step:?}"));
        write!(f, "line {line}: {event}\n{objection}")?;
        match &instead[..] {
            [] => write!(f, "\nthe model has no step there"),
            instead => write!(f, "\nthe model could go on with {}", instead.join(", ")),
        }
    }
}

impl fmt::Display for UnfinishedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it ends after line {}, in the middle of something", self.line)?;
        self.waits.iter().try_for_each(|wait| write!(f, "\n{wait}"))
    }
}
