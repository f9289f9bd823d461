//! Why a log with a change may be right as well. Each reason is looked for in the log itself, line by line, so that
//! nothing is excused by the mere kind of its change.

use std::collections::BTreeSet;

use steplog::event::{Event, Step};
use steplog::fate::Fate;
use steplog::header::LinkOrder;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{HostId, Place};

use crate::{Change, Changed, Log};

/// `None` if it must not be accepted.
pub fn excuse(log: &Log, changed: &Changed) -> Option<&'static str> {
    let (at, step) = (changed.at, &log.steps[changed.at]);
    match &changed.change {
        Change::Swapped(other) => swapped(log, at, *other),
        Change::Dropped => dropped(log, at, step),
        Change::Doubled(to) => doubled(log, step, *to),
        Change::Ignored => ignored(log, at),
        Change::Field(field) => with_other_field(log, field, at, &changed.steps[at]),
    }
}

/// Both lines pass each other and every line in between.
fn swapped(log: &Log, one: usize, other: usize) -> Option<&'static str> {
    let (first, last) = (&log.steps[one], &log.steps[other]);
    if (first.place, first.epoch, &first.event) == (last.place, last.epoch, &last.event) {
        return Some("two lines that say the same");
    }
    let between = &log.steps[one + 1..other];
    let passed = between.iter().flat_map(|step| [(first, step), (step, last)]).chain([(first, last)]);
    let reasons: Option<BTreeSet<&str>> =
        passed.map(|(first, second)| either_order(log, first, second)).collect();
    // The most particular one counts.
    let reasons = reasons?;
    EITHER_ORDER.into_iter().find(|reason| reasons.contains(reason))
}

const ACCESS: &str = "the process accesses a page earlier or later";
const NOTICED: &str = "it is noticed earlier or later that a connection was lost or made";
const COMMAND: &str = "the operator gives a command earlier or later";
const IGNORED: &str = "a message that changes nothing arrives earlier or later";
const ARRIVALS: &str = "messages arrive in another order over a link that keeps none";
const SENDERS: &str = "messages of two places arrive in another order";
const TWICE: &str = "what is handled was said by another line as well";
const WRITE_BACK: &str = "what goes to the file server and comes from there, beside what the hosts agree on";
const PLACES: &str = "steps of two places, of which neither sends the other a message there";
const PAGES: &str = "steps about two pages";

/// What allows two lines to come in either order, the most particular first.
const EITHER_ORDER: [&str; 10] =
    [TWICE, NOTICED, COMMAND, ACCESS, IGNORED, WRITE_BACK, ARRIVALS, SENDERS, PLACES, PAGES];

fn either_order(log: &Log, first: &Step, second: &Step) -> Option<&'static str> {
    let (one, other) = (page(&first.event), page(&second.event));
    let either = |is_such: fn(&Event) -> bool| is_such(&first.event) || is_such(&second.event);
    let arrive = is_arrival(&first.event) && is_arrival(&second.event);
    Some(match () {
        () if one.is_some() && other.is_some() && one != other => PAGES,
        () if first.place != second.place && !may_be_told(first, second) => PLACES,
        () if first.place != second.place && may_be_lost(log) && is_said_twice(log, second) => TWICE,
        () if first.place != second.place => return None,
        () if either(is_touch) => ACCESS,
        () if either(is_command) => COMMAND,
        () if log.header.disrupted && either(is_notice) => NOTICED,
        () if either(completes) && either(is_of_file_server) => WRITE_BACK,
        // What is acknowledged is of the stay that ends, and no migration waits for it.
        () if first.epoch != second.epoch && either(is_acknowledgement) && either(leaves) => WRITE_BACK,
        // Over a link that keeps order a message arrives in its turn, also if it changes nothing.
        () if arrive && sender(&first.event) != sender(&second.event) => SENDERS,
        () if arrive && log.header.link == LinkOrder::Fifo => return None,
        () if either(|event| matches!(event, Event::MessageIgnored { .. })) => IGNORED,
        () if may_be_lost(log) && either(is_answered_again) => IGNORED,
        () if arrive => ARRIVALS,
        () => return None,
    })
}

/// Can the second line be the handling of what is sent in the first?
fn may_be_told(first: &Step, second: &Step) -> bool {
    match (handled(&second.event), heard(&second.event)) {
        (Some(what), _) => sends(&first.event, what, second.place),
        (None, Some(kind)) => says(&first.event).contains(&kind),
        (None, None) => false,
    }
}

/// Do several lines send what this one handles?
fn is_said_twice(log: &Log, step: &Step) -> bool {
    let says = |other: &Step| match (handled(&step.event), heard(&step.event)) {
        (Some(what), _) => sends(&other.event, what, step.place),
        (None, kind) => {
            other.place != step.place && kind.is_some_and(|kind| says(&other.event).contains(&kind))
        }
    };
    log.steps.iter().filter(|other| says(other)).count() > 1
}

/// The message that a line about no page handles.
pub fn heard(event: &Event) -> Option<MessageKind> {
    Some(match event {
        Event::StateAccepted { .. } => MessageKind::State,
        Event::ReadinessLearned { .. } => MessageKind::Ready,
        Event::ProcessResumed { .. } => MessageKind::Go,
        Event::CompletionLearned { .. } => MessageKind::Complete,
        Event::DestructionLearned { .. } => MessageKind::Destroyed,
        Event::ExitLearned { .. } => MessageKind::Exit,
        Event::CancellationLearned { .. } => MessageKind::Cancel,
        Event::RefusalLearned { .. } => MessageKind::Refuse,
        Event::ResyncAccepted { .. }
        | Event::CancellationRepeated { .. }
        | Event::DestructionRepeated { .. } => MessageKind::Resync,
        Event::MessageIgnored { kind, .. } => *kind,
        _ => return None,
    })
}

/// Is what was said before said again, and nothing else done?
fn is_answered_again(event: &Event) -> bool {
    matches!(event, Event::CancellationRepeated { .. } | Event::DestructionRepeated { .. })
}

/// Who has sent the message that a line handles.
fn sender(event: &Event) -> Option<Place> {
    Some(match *event {
        Event::PageFetched { .. } | Event::WriteBackAcknowledged { .. } => Place::FileServer,
        Event::MessageIgnored { from, .. } => from,
        Event::FetchServed { to, .. }
        | Event::CancellationRepeated { to }
        | Event::DestructionRepeated { to } => to.into(),
        Event::PageInstalled { from, .. }
        | Event::RequestAccepted { from, .. }
        | Event::WriteBackStored { from, .. }
        | Event::WriteBackSuperseded { from, .. }
        | Event::StateAccepted { from, .. }
        | Event::ReadinessLearned { from }
        | Event::ProcessResumed { from }
        | Event::CompletionLearned { from }
        | Event::DestructionLearned { from, .. }
        | Event::ExitLearned { from }
        | Event::CancellationLearned { from }
        | Event::RefusalLearned { from }
        | Event::ResyncAccepted { from, .. } => from.into(),
        _ => return None,
    })
}

/// The messages that a line about no page may send.
fn says(event: &Event) -> &'static [MessageKind] {
    use MessageKind::{Cancel, Complete, Destroyed, Exit, Go, Ready, Refuse, Resync, State};
    match event {
        Event::StateSent { .. } => &[State],
        Event::ReadinessDeclared { .. } => &[Ready],
        Event::ProcessHandedOver { .. } | Event::ResyncAccepted { .. } => &[Go],
        Event::CompletionDeclared { .. } => &[Complete],
        Event::ImageDestroyed { .. } | Event::DestructionRepeated { .. } => &[Destroyed],
        Event::ProcessReleased { .. } => &[Exit],
        Event::MigrationCancelled { .. } | Event::CancellationRepeated { .. } => &[Cancel],
        Event::MigrationRefused { .. } => &[Refuse],
        // The resync says that nothing is missing, too.
        Event::PeerConnected { .. } => &[Resync, Complete, Exit],
        Event::PeerDisconnected { .. } | Event::PeerTimedOut { .. } | Event::PeerFenced { .. } => {
            &[Cancel, Refuse, Exit]
        }
        _ => &[],
    }
}

/// Does a host notice something of a connection that ends nothing?
fn is_notice(event: &Event) -> bool {
    is_of_connection(event) && fate(event).is_none_or(|fate| !is_an_end(fate))
}

/// Does the process touch a page, or end?
fn is_touch(event: &Event) -> bool {
    is_access(event)
        || matches!(event, Event::PageFaulted { .. } | Event::PageLoaded { .. } | Event::ProcessExited)
}

fn dropped(log: &Log, at: usize, step: &Step) -> Option<&'static str> {
    let disrupted = log.header.disrupted;
    Some(match &step.event {
        Event::PageRead { .. } | Event::PageWritten { .. } => "one access less",
        Event::MessageIgnored { .. } | Event::WriteBackSuperseded { .. } | Event::FetchServed { .. }
            if is_duplicate(log, at) || may_be_lost(log) =>
        {
            "a message that changed nothing, or was answered again, was lost"
        }
        Event::WriteBackRepeated { .. } | Event::FetchRepeated { .. } if may_be_lost(log) => {
            "what was said again was said often enough without it"
        }
        Event::PageCopied { .. }
        | Event::PageTransferred { .. }
        | Event::PageInstalled { .. }
        | Event::StateSent { .. }
        | Event::StateAccepted { .. }
            if disrupted && !comes_to_something(log, at) =>
        {
            NOTHING_CAME
        }
        Event::ReadinessLearned { .. } | Event::ProcessSuspended { .. }
            if disrupted && next_there(log, at).is_some_and(calls_off) =>
        {
            NOTHING_CAME
        }
        Event::ImageDestroyed { .. }
            if next_there(log, at).is_some_and(|next| matches!(next, Event::HostCrashed)) =>
        {
            "what was freed would have died with the machine"
        }
        Event::WriteBackAcknowledged { page, .. } if !is_written_back(&log.steps[at..], *page) => {
            "the log ends with a write-back that has not been acknowledged"
        }
        Event::CancellationLearned { .. } if disrupted && is_superseded(log, at) => {
            "the next attempt says as much"
        }
        Event::HostCrashed if disrupted && has_nothing(log, at) => "nothing was there to be lost",
        event if disrupted && hears_resync(event) => LOST_RESYNC,
        event if disrupted && is_notice(event) => {
            "it was not noticed that a connection was lost or made, and nothing was at stake"
        }
        _ => return None,
    })
}

fn doubled(log: &Log, step: &Step, to: usize) -> Option<&'static str> {
    let disrupted = log.header.disrupted;
    Some(match &step.event {
        Event::PageRead { .. } | Event::PageWritten { .. } => "one access more",
        Event::PageFaulted { .. } => "another thread touches the page",
        Event::MessageIgnored { .. } | Event::WriteBackSuperseded { .. } | Event::FetchServed { .. }
            if log.header.link == LinkOrder::Lossy =>
        {
            "the link has made a duplicate"
        }
        event if log.header.link == LinkOrder::Lossy && hears_resync(event) => {
            "the link has made a duplicate"
        }
        Event::RequestAccepted { .. }
            if log.header.link == LinkOrder::Lossy && has_exited(&log.steps[..to]) =>
        {
            "the link has made a duplicate"
        }
        Event::WriteBackRepeated { .. } | Event::FetchRepeated { .. } if may_be_lost(log) => {
            "it was said once more"
        }
        Event::HostCrashed if disrupted => "a machine on which there is nothing dies twice",
        event if disrupted && is_notice(event) => {
            "a connection was lost and made once more, with nothing at stake"
        }
        _ => return None,
    })
}

fn with_other_field(log: &Log, field: &str, at: usize, is: &Step) -> Option<&'static str> {
    let was = &log.steps[at];
    Some(match (&was.event, field) {
        (Event::PageRead { .. } | Event::PageWritten { .. }, "page" | "offset" | "length" | "bytes") => {
            "the process accesses another part, or another page that is there"
        }
        (Event::ProcessSuspended { .. }, "code_page" | "stack_page") => {
            "where its pointers are is for the process to say"
        }
        (Event::PeerDisconnected { .. } | Event::PeerTimedOut { .. }, "fate")
            if is_notice(&was.event) && is_notice(&is.event) =>
        {
            "whether it is paused is for the host to say"
        }
        (Event::PeerDisconnected { .. }, "peer") if is_notice(&was.event) && is_notice(&is.event) => {
            "another connection was lost, with nothing at stake"
        }
        (Event::PageInstalled { .. }, "page" | "sequence")
            if log.header.disrupted && was_sent(log, is) && !comes_to_something(log, at) =>
        {
            "another page that was sent arrives in an attempt that came to nothing"
        }
        (Event::StateAccepted { .. }, "discarded") if replaces_kept(log, at, is) => {
            "an older content is kept until the newest arrives"
        }
        (Event::MigrationExpected { .. }, "epoch")
            if log.header.disrupted && !comes_to_something(log, at) =>
        {
            "the number of an attempt that came to nothing"
        }
        (Event::ResyncAccepted { .. }, "progress") if may_be_lost(log) => {
            "another resync that was sent, and has arrived later"
        }
        (Event::ProcessSuspended { .. }, "registers") => "the registers are the process's",
        (Event::MessageIgnored { .. } | Event::WriteBackSuperseded { .. } | Event::FetchServed { .. }, _)
            if may_be_lost(log) && was_sent(log, is) =>
        {
            "another message that was sent, and changes nothing or was answered before"
        }
        _ => return None,
    })
}

/// A message that is ignored might as well have been lost, where any can be.
fn ignored(log: &Log, at: usize) -> Option<&'static str> {
    let event = &log.steps[at].event;
    let arrives = matches!(event, Event::PageInstalled { .. });
    let nothing_comes = log.header.disrupted && arrives && !comes_to_something(log, at);
    let lost_resync = may_be_lost(log) && hears_resync(event);
    lost_resync.then_some(LOST_RESYNC).or(nothing_comes.then_some(NOTHING_CAME))
}

/// Does the state give up less, and do the pages that are kept arrive?
fn replaces_kept(log: &Log, at: usize, is: &Step) -> bool {
    let (Event::StateAccepted { discarded: were, .. }, Event::StateAccepted { discarded: are, .. }) =
        (&log.steps[at].event, &is.event)
    else {
        return false;
    };
    let arrives = |kept: &PageNumber| {
        let installs = |step: &Step| matches!(step.event, Event::PageInstalled { page, .. } if page == *kept);
        log.steps[at..].iter().any(|step| step.place == is.place && step.epoch == is.epoch && installs(step))
    };
    are.iter().all(|page| were.contains(page)) && were.iter().filter(|page| !are.contains(page)).all(arrives)
}

const NOTHING_CAME: &str = "one step less in an attempt that came to nothing";
const LOST_RESYNC: &str = "word of a new connection was lost with it, and what it asks for came all the same";

/// Does the line handle word of a new connection, and change nothing but that it is answered?
fn hears_resync(event: &Event) -> bool {
    is_answered_again(event) || matches!(event, Event::ResyncAccepted { .. })
}

fn may_be_lost(log: &Log) -> bool {
    log.header.link == LinkOrder::Lossy || log.header.disrupted
}

/// Has an earlier line handled the same message?
fn is_duplicate(log: &Log, at: usize) -> bool {
    let step = &log.steps[at];
    log.steps[..at]
        .iter()
        .any(|earlier| earlier.place == step.place && handles_alike(&earlier.event, &step.event))
}

fn handles_alike(one: &Event, other: &Event) -> bool {
    let (one, other) = (handled(one), handled(other));
    one.is_some() && one == other
}

/// Is there a line that sends what this one handles?
fn was_sent(log: &Log, step: &Step) -> bool {
    // What is flushed belongs to the stay that ends, and its line to the migration.
    let same = |other: &Step| other.epoch == step.epoch || matches!(other.event, Event::PageFlushed { .. });
    let is_sent = |other: &Step| match (handled(&step.event), heard(&step.event)) {
        (Some(what), _) => sends(&other.event, what, step.place),
        (None, kind) => {
            other.place != step.place && kind.is_some_and(|kind| says(&other.event).contains(&kind))
        }
    };
    log.steps.iter().any(|other| same(other) && is_sent(other))
}

/// Kind, page and number of the message about a page that a line handles.
type Handled = (MessageKind, PageNumber, Option<u64>);

pub fn handled(event: &Event) -> Option<Handled> {
    Some(match *event {
        Event::PageInstalled { page, sequence, .. } => (MessageKind::Page, page, Some(sequence.0)),
        Event::PageFetched { page, version } => (MessageKind::Fetched, page, Some(version.0)),
        Event::RequestAccepted { page, .. } => (MessageKind::Request, page, None),
        Event::FetchServed { page, .. } => (MessageKind::Fetch, page, None),
        Event::WriteBackStored { page, version, .. } | Event::WriteBackSuperseded { page, version, .. } => {
            (MessageKind::WriteBack, page, Some(version.0))
        }
        Event::WriteBackAcknowledged { page, version } => (MessageKind::WriteBackDone, page, Some(version.0)),
        Event::MessageIgnored { kind, page: Some(page), number, .. } => (kind, page, number),
        _ => return None,
    })
}

fn sends(event: &Event, (kind, page, number): Handled, to: Place) -> bool {
    let content = |of: PageNumber, sequence: u64, host: HostId| {
        kind == MessageKind::Page && of == page && number == Some(sequence) && to == host.into()
    };
    match *event {
        Event::PageCopied { page, sequence, to, .. }
        | Event::PageTransferred { page, sequence, to }
        | Event::PageServed { page, sequence, to }
        | Event::PagePushed { page, sequence, to } => content(page, sequence.0, to),
        Event::PageFaulted { page: of, asked } => {
            matches!(kind, MessageKind::Request | MessageKind::Fetch) && of == page && asked == to
        }
        Event::FetchRepeated { page: of } => kind == MessageKind::Fetch && of == page,
        Event::FetchServed { page: of, version, .. } => {
            kind == MessageKind::Fetched && of == page && number == Some(version.0)
        }
        Event::PageFlushed { page: of, version }
        | Event::PageWrittenBack { page: of, version }
        | Event::WriteBackRepeated { page: of, version } => {
            kind == MessageKind::WriteBack && of == page && number == Some(version.0)
        }
        Event::WriteBackStored { page: of, version, .. }
        | Event::WriteBackSuperseded { page: of, version, .. } => {
            kind == MessageKind::WriteBackDone && of == page && number == Some(version.0)
        }
        _ => false,
    }
}

/// Does the process resume where the attempt of this line takes it?
fn comes_to_something(log: &Log, at: usize) -> bool {
    let epoch = log.steps[at].epoch;
    let resumes = |step: &Step| step.epoch == epoch && matches!(step.event, Event::ProcessResumed { .. });
    log.steps[at..].iter().any(resumes)
}

/// The next line of the same place.
fn next_there(log: &Log, at: usize) -> Option<&Event> {
    let place = log.steps[at].place;
    log.steps[at + 1..].iter().find(|step| step.place == place).map(|step| &step.event)
}

/// Does the source go on with the process?
fn calls_off(event: &Event) -> bool {
    matches!(event, Event::MigrationCancelled { .. } | Event::RefusalLearned { .. })
        || matches!(fate(event), Some(Fate::CarriedOn(_)))
}

/// Is the host told of another attempt later?
fn is_superseded(log: &Log, at: usize) -> bool {
    let place = log.steps[at].place;
    let next = |step: &Step| step.place == place && matches!(step.event, Event::MigrationExpected { .. });
    log.steps[at..].iter().any(next)
}

/// Did the machine have no part in a migration, and not the process?
fn has_nothing(log: &Log, at: usize) -> bool {
    let Place::Host(host) = log.steps[at].place else { return false };
    let mut has = log.steps.iter().find_map(|step| match step.event {
        Event::MigrationStarted { .. } | Event::PageWritten { .. } | Event::PageRead { .. } => {
            Some(step.place)
        }
        _ => None,
    }) == Some(Place::Host(host));
    for step in log.steps[..at].iter().filter(|step| step.place == Place::Host(host)) {
        match step.event {
            Event::MigrationExpected { .. } => has = true,
            Event::ImageDestroyed { .. }
            | Event::CancellationLearned { .. }
            | Event::MigrationRefused { .. }
            | Event::ExitLearned { .. }
            | Event::ProcessReleased { .. }
            | Event::HostCrashed => has = false,
            _ => has |= fate(&step.event).is_some_and(|fate| !matches!(fate, Fate::Forgotten(_))),
        }
    }
    !has
}

fn fate(event: &Event) -> Option<Fate> {
    match event {
        Event::PeerDisconnected { fate, .. }
        | Event::PeerTimedOut { fate, .. }
        | Event::PeerFenced { fate, .. } => *fate,
        _ => None,
    }
}

/// Does it end an attempt, or the process?
fn is_an_end(fate: Fate) -> bool {
    !matches!(fate, Fate::Paused(_))
}

fn is_of_connection(event: &Event) -> bool {
    matches!(
        event,
        Event::PeerConnected { .. }
            | Event::PeerDisconnected { .. }
            | Event::PeerTimedOut { .. }
            | Event::PeerFenced { .. }
    )
}

fn is_access(event: &Event) -> bool {
    matches!(event, Event::PageRead { .. } | Event::PageWritten { .. })
}

fn is_command(event: &Event) -> bool {
    matches!(
        event,
        Event::MigrationExpected { .. }
            | Event::MigrationStarted { .. }
            | Event::ProcessSuspended { .. }
            | Event::MigrationCancelled { .. }
    )
}

/// Does the process leave no page behind any more, or learn that nothing is left of it?
fn completes(event: &Event) -> bool {
    matches!(event, Event::CompletionDeclared { .. } | Event::DestructionLearned { .. })
}

fn is_of_file_server(event: &Event) -> bool {
    is_acknowledgement(event) || matches!(event, Event::PageWrittenBack { .. } | Event::PageFetched { .. })
}

fn is_acknowledgement(event: &Event) -> bool {
    matches!(event, Event::WriteBackAcknowledged { .. })
}

fn leaves(event: &Event) -> bool {
    matches!(event, Event::StateSent { .. } | Event::ProcessHandedOver { .. })
}

fn has_exited(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step.event, Event::ProcessExited))
}

fn is_written_back(steps: &[Step], of: PageNumber) -> bool {
    steps.iter().any(|step| matches!(step.event, Event::PageWrittenBack { page, .. } if page == of))
}

/// Does it handle a message?
fn is_arrival(event: &Event) -> bool {
    handled(event).is_some() || heard(event).is_some()
}

/// The page that the event is about.
pub fn page(event: &Event) -> Option<PageNumber> {
    match *event {
        Event::PageRead { page, .. }
        | Event::PageWritten { page, .. }
        | Event::PageFaulted { page, .. }
        | Event::PageLoaded { page }
        | Event::PageCopied { page, .. }
        | Event::PageTransferred { page, .. }
        | Event::PageFlushed { page, .. }
        | Event::PageWrittenBack { page, .. }
        | Event::WriteBackRepeated { page, .. }
        | Event::FetchRepeated { page }
        | Event::PageServed { page, .. }
        | Event::PagePushed { page, .. } => Some(page),
        _ => handled(event).map(|(_, page, _)| page),
    }
}
