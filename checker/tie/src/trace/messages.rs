//! What was sent, and what has arrived: a ledger of messages by their names.
//!
//! A line that handles a message names it, and a line that sends one says which: so a message must have been sent before
//! it is handled, by the place and to the place that it is said to come from and go to, in its migration; it is handled
//! once for each time that it was sent, unless the link makes duplicates; and over a link that keeps order, nothing is
//! handled before what was sent earlier. A connection that is lost takes along what was on it.
//!
//! Numbers count what was sent: of a page's contents in a migration, and of its write-backs in all.

use std::collections::VecDeque;

use model::strategy::HandOver;
use rustc_hash::FxHashMap;
use steplog::event::{Event, Step};
use steplog::header::{Header, LinkOrder, Unseen};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use super::objection::{MessageName, Objection};
use super::roster::{Roster, is_number};

/// What a ledger is to take for granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub link: LinkOrder,
    pub disrupted: bool,
    pub readiness_unseen: bool,
    pub connections_unseen: bool,
    /// Nobody says *go*.
    pub without_go: bool,
    /// *Go* comes in one message with the state.
    pub one_shot: bool,
    /// What a dead machine owed comes from a backing store.
    pub falls_back: bool,
    /// Requests and the pages that answer them go over a connection of their own.
    pub answers_apart: bool,
}

/// All messages of a run.
#[derive(Debug)]
pub(super) struct Ledger {
    rules: Rules,
    sent: u64,
    names: FxHashMap<MessageName, Count>,
    /// Where links keep order: what has been sent and has not arrived, by connection, none of them empty.
    queues: FxHashMap<(Place, Place, bool), VecDeque<Connection>>,
    /// How often a place's connection to another one was lost or made.
    connections: FxHashMap<(Place, Place), u32>,
    contents: FxHashMap<(Epoch, PageNumber), Contents>,
    versions: FxHashMap<PageNumber, Versions>,
    /// The write-backs that a host has sent and that have not been acknowledged to it.
    outstanding: FxHashMap<(HostId, PageNumber), (Epoch, u64)>,
    /// What resyncs of a name have said.
    progress: FxHashMap<MessageName, Vec<Progress>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    sent: u32,
    /// Of those, how many need not have been.
    perhaps: u32,
    handled: u32,
    /// How many of them are in a queue.
    queued: u32,
    /// How many messages had been sent when it was sent last.
    last: u64,
}

/// What was sent over one connection and has not arrived, in order.
#[derive(Clone, Debug)]
struct Connection {
    number: u32,
    queue: VecDeque<Queued>,
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    name: MessageName,
    perhaps: bool,
}

/// The contents of a page in one migration.
#[derive(Clone, Copy, Debug, Default)]
struct Contents {
    sent: u64,
    connection: u32,
    installed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Versions {
    sent: u64,
    stored: u64,
}

/// What the ledger knows of the message that a line handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Handling {
    /// It has been handled before.
    pub again: bool,
    /// It has a content of the page than which no newer was sent in its migration.
    pub newest: bool,
}

impl Rules {
    pub(super) fn of(header: &Header, hand_over: HandOver) -> Self {
        Rules {
            without_go: hand_over == HandOver::None,
            one_shot: hand_over == HandOver::OneShot,
            falls_back: false,
            answers_apart: false,
            link: header.link,
            disrupted: header.disrupted,
            readiness_unseen: header.unseen.contains(&Unseen::Readiness),
            connections_unseen: header.unseen.contains(&Unseen::Connections),
        }
    }
}

impl Ledger {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            sent: 0,
            names: FxHashMap::default(),
            queues: FxHashMap::default(),
            connections: FxHashMap::default(),
            contents: FxHashMap::default(),
            versions: FxHashMap::default(),
            outstanding: FxHashMap::default(),
            progress: FxHashMap::default(),
        }
    }

    /// Do requests go over a connection of their own?
    pub(super) fn answers_apart(&self) -> bool {
        self.rules.answers_apart
    }

    /// Takes note of what the line handles and sends. The roster is as it was before the line.
    pub(super) fn take(&mut self, step: &Step, roster: &Roster) -> Result<Handling, Objection> {
        let mut handling = Handling::default();
        let resumes = matches!(step.event, Event::ProcessResumed { .. });
        if let Some(name) = self.handled(step).filter(|_| !(resumes && self.rules.without_go)) {
            handling.again = self.handle(name)?;
            self.is_so_far(&step.event, name)?;
            if let (Some(page), Some(number)) = (name.page, name.number) {
                let newest = self.contents.get(&(name.epoch, page)).map_or(0, |contents| contents.sent);
                handling.newest = number >= newest;
            }
            if let (Event::MessageIgnored { .. }, Place::Host(host), false) =
                (&step.event, step.place, handling.again)
            {
                roster.may_ignore(host, &name)?;
                self.may_ignore(host, &name, roster)?;
            }
        }
        self.owes_again(step)?;
        self.count(step, roster)?;
        self.note_connections(step, roster);
        for name in sent(step, roster) {
            if let (Event::PeerConnected { resync: Some(progress), .. }, MessageKind::Resync) =
                (&step.event, name.kind)
            {
                self.progress.entry(name).or_default().push(*progress);
            }
            let answers = matches!(step.event, Event::PageServed { .. }) || name.kind == MessageKind::Request;
            self.send(name, answers && self.rules.answers_apart);
        }
        Ok(handling)
    }

    /// A message that has been sent and has not arrived, if the link would have delivered it: the first that anybody
    /// would miss.
    pub(super) fn undelivered(&self) -> Option<MessageName> {
        if self.rules.disrupted || self.rules.link == LinkOrder::Lossy {
            return None;
        }
        let missing = self.names.iter().filter(|(_, count)| count.handled + count.perhaps < count.sent);
        missing.map(|(name, _)| *name).min_by_key(|name| (name.epoch, name.page, name.number, name.to))
    }

    /// The message that a line handles. A *complete* that was lost is said again as a resync.
    fn handled(&self, step: &Step) -> Option<MessageName> {
        let name = handled(step)?;
        let again = MessageName { kind: MessageKind::Resync, ..name };
        let flying = |name| self.names.get(name).filter(|count| count.handled < count.sent);
        let resynced = matches!(step.event, Event::CompletionLearned { .. })
            && flying(&again).is_some_and(|again| flying(&name).is_none_or(|name| name.last < again.last));
        Some(if resynced { again } else { name })
    }

    /// Does the line handle a message that has not been sent, or not often enough?
    pub(super) fn is_missing(&self, step: &Step) -> Option<MessageName> {
        let name = self.handled(step)?;
        let doubles = self.rules.link == LinkOrder::Lossy;
        let is_there = self.names.get(&name).is_some_and(|count| doubles || count.handled < count.sent);
        (!is_there && self.is_judged(&name)).then_some(name)
    }

    /// Has a resync said what the line takes it to say?
    fn is_so_far(&self, event: &Event, name: MessageName) -> Result<(), Objection> {
        let heard = match *event {
            Event::ResyncAccepted { progress, .. } => progress,
            Event::CompletionLearned { .. } if name.kind == MessageKind::Resync => Progress::Complete,
            Event::DestructionRepeated { .. } => Progress::Complete,
            Event::CancellationRepeated { .. } => Progress::AwaitingGo,
            _ => return Ok(()),
        };
        let said = self.progress.get(&name).is_some_and(|said| said.contains(&heard));
        match said || !self.is_judged(&name) {
            true => Ok(()),
            false => Err(Objection::NoPart { host: name.from, lacks: "it has not said that it is that far" }),
        }
    }

    /// What is owed again by a resync has been sent.
    fn owes_again(&self, step: &Step) -> Result<(), Objection> {
        let Event::ResyncAccepted { from, owed_again, .. } = &step.event else { return Ok(()) };
        let Step { place, epoch, .. } = *step;
        let never = |page: &&PageNumber| {
            self.contents.get(&(epoch, **page)).is_none_or(|contents| contents.sent == 0)
        };
        owed_again.iter().find(never).map_or(Ok(()), |page| {
            let (to, page) = ((*from).into(), Some(*page));
            let name = MessageName { from: place, to, epoch, kind: MessageKind::Page, page, number: None };
            Err(Objection::NeverSent(name))
        })
    }

    fn is_judged(&self, name: &MessageName) -> bool {
        match name.kind {
            MessageKind::Ready => !self.rules.readiness_unseen,
            MessageKind::Resync => !self.rules.connections_unseen,
            _ => true,
        }
    }

    fn handle(&mut self, name: MessageName) -> Result<bool, Objection> {
        let judged = self.is_judged(&name);
        let doubles = self.rules.link == LinkOrder::Lossy;
        let count = match self.names.get_mut(&name) {
            Some(count) => count,
            None if judged => return Err(Objection::NeverSent(name)),
            None => return Ok(false),
        };
        let again = count.handled >= count.sent;
        // Over a new connection it is said again.
        let said_again = self.rules.connections_unseen && name.kind == MessageKind::Exit;
        if again && !doubles && !said_again {
            return Err(Objection::HandledBefore(name));
        }
        let is_only = count.handled + 1 == count.sent;
        count.handled = count.handled.saturating_add(1);
        let earlier = count.handled > 1;
        if self.rules.link == LinkOrder::Fifo {
            self.dequeue(name, is_only)?;
        }
        Ok(earlier)
    }

    /// What was sent before it on the same connection has arrived, and nothing of an earlier connection will.
    fn dequeue(&mut self, name: MessageName, is_only: bool) -> Result<(), Objection> {
        if !self.rules.answers_apart {
            return self.dequeue_of(name, is_only, false);
        }
        // A page may have gone over both: asked for, and sent again unasked.
        let is_on = |apart: &bool| {
            let connections = self.queues.get(&(name.from, name.to, *apart));
            connections.is_some_and(|connections| first(connections, name).is_some())
        };
        let on: Vec<_> = [true, false].into_iter().filter(is_on).collect();
        let mut arrived = Ok(());
        for apart in on {
            arrived = self.dequeue_of(name, is_only, apart);
            if arrived.is_ok() {
                break;
            }
        }
        arrived
    }

    fn dequeue_of(&mut self, name: MessageName, is_only: bool, apart: bool) -> Result<(), Objection> {
        // Found by looking at what goes with it, so that all lines together look at each message once.
        let Some(connections) = self.queues.get_mut(&(name.from, name.to, apart)) else { return Ok(()) };
        if self.names.get(&name).is_none_or(|count| count.queued == 0) {
            return Ok(());
        }
        let front = connections.front().and_then(|connection| connection.queue.front());
        let (of, at) = match is_only && front.is_some_and(|queued| queued.name == name) {
            // Mostly it is the first, and the only one of its name.
            true => (0, 0),
            // Of several of the same name the last one has arrived, if the connection of the others is gone.
            false => {
                let next = connections.iter().enumerate().rev();
                let next = next.filter_map(|(of, connection)| Some((of, connection.next(name)?))).next();
                match (next, first(connections, name)) {
                    (Some(next), _) => next,
                    (None, Some((_, _, Some(overtaken)))) if !self.rules.connections_unseen => {
                        return Err(Objection::Overtakes(overtaken));
                    }
                    (None, Some((of, at, _))) => (of, at),
                    (None, None) => return Ok(()),
                }
            }
        };
        let earlier = connections.drain(..of).flat_map(|connection| connection.queue);
        let mut gone: Vec<Queued> = earlier.collect();
        if let Some(connection) = connections.front_mut() {
            gone.extend(connection.queue.drain(..=at));
            if connection.queue.is_empty() {
                connections.pop_front();
            }
        }
        for queued in gone {
            self.names.entry(queued.name).and_modify(|count| count.queued -= 1);
        }
        Ok(())
    }

    fn send(&mut self, name: MessageName, apart: bool) {
        let count = self.names.entry(name).or_default();
        // A second thread that touches the same page need not ask again.
        let asks = matches!(name.kind, MessageKind::Request | MessageKind::Fetch | MessageKind::AskVersion);
        // The answer to *go* need not leave a line, and what came in one message with the state holds nothing up.
        let held_up = name.kind == MessageKind::Go && self.rules.one_shot;
        // That a migration is announced and expected need leave none, where that it begins does.
        let untold =
            matches!(name.kind, MessageKind::Resumed | MessageKind::Announce | MessageKind::Expected);
        // Nor is a page fetched that falls back before it is known that it can be.
        let orphaned = self.rules.falls_back && self.rules.disrupted && name.kind == MessageKind::Fetch;
        let perhaps = (asks && count.sent > 0) || held_up || untold || orphaned;
        count.sent += 1;
        self.sent += 1;
        count.last = self.sent;
        count.perhaps += u32::from(perhaps);
        count.queued += u32::from(self.rules.link == LinkOrder::Fifo);
        if self.rules.link == LinkOrder::Fifo {
            let number = self.connection(name.from, name.to);
            let connections = self.queues.entry((name.from, name.to, apart)).or_default();
            if connections.back().is_none_or(|last| last.number != number) {
                connections.push_back(Connection { number, queue: VecDeque::new() });
            }
            connections
                .back_mut()
                .into_iter()
                .for_each(|last| last.queue.push_back(Queued { name, perhaps }));
        }
    }

    fn connection(&self, from: Place, to: Place) -> u32 {
        self.connections.get(&(from, to)).copied().unwrap_or_default()
    }

    fn note_connections(&mut self, step: &Step, roster: &Roster) {
        let mut renew = |from: Place, to: Place| *self.connections.entry((from, to)).or_default() += 1;
        match (&step.event, step.place) {
            (
                Event::PeerDisconnected { peer, .. }
                | Event::PeerTimedOut { peer, .. }
                | Event::PeerConnected { peer, .. },
                place,
            ) => {
                renew(place, *peer);
                renew(*peer, place);
            }
            (Event::PeerFenced { peer, .. }, place) => renew(place, (*peer).into()),
            (Event::HostCrashed, place @ Place::Host(host)) => {
                let others = roster.members.keys().map(|host| Place::Host(*host)).chain([Place::FileServer]);
                for other in others {
                    renew(place, other);
                    renew(other, place);
                }
                self.outstanding.retain(|(of, _), _| *of != host);
            }
            _ => {}
        }
    }

    /// Do the numbers count up, and does what is stored or installed go forward?
    fn count(&mut self, step: &Step, roster: &Roster) -> Result<(), Objection> {
        let Step { place, epoch, ref event, .. } = *step;
        match (event, place) {
            (
                Event::PageCopied { page, sequence, to, .. }
                | Event::PageTransferred { page, sequence, to }
                | Event::PageServed { page, sequence, to }
                | Event::PagePushed { page, sequence, to },
                _,
            ) => {
                let connection = self.connection(place, (*to).into());
                let contents = self.contents.entry((epoch, *page)).or_default();
                // What was sent over a connection that is gone goes again under its number.
                let again = contents.sent > 0
                    && sequence.0 == contents.sent
                    && self.rules.disrupted
                    && (contents.connection < connection || self.rules.connections_unseen);
                if !again {
                    is_number(sequence.0, contents.sent + 1)?;
                }
                (contents.sent, contents.connection) = (sequence.0, connection);
            }
            (Event::PageInstalled { page, sequence, .. }, _) => {
                let contents = self.contents.entry((epoch, *page)).or_default();
                if sequence.0 <= contents.installed {
                    return Err(Objection::Older { installed: contents.installed });
                }
                contents.installed = sequence.0;
            }
            (
                Event::PageFlushed { page, version } | Event::PageWrittenBack { page, version },
                Place::Host(host),
            ) => {
                let versions = self.versions.entry(*page).or_default();
                is_number(version.0, versions.sent + 1)?;
                versions.sent = version.0;
                let flushes = matches!(event, Event::PageFlushed { .. });
                let epoch = if flushes { roster.process.epoch } else { epoch };
                if self.outstanding.insert((host, *page), (epoch, version.0)).is_some() {
                    return Err(Objection::Unacknowledged(*page));
                }
            }
            (Event::WriteBackRepeated { page, version }, Place::Host(host)) => {
                self.is_outstanding(host, *page, (epoch, version.0))?;
            }
            (Event::WriteBackAcknowledged { page, version }, Place::Host(host)) => {
                self.is_outstanding(host, *page, (epoch, version.0))?;
                self.outstanding.remove(&(host, *page));
            }
            (Event::WriteBackStored { page, version, .. }, _) => {
                let stored = &mut self.versions.entry(*page).or_default().stored;
                if version.0 <= *stored {
                    return Err(Objection::Older { installed: *stored });
                }
                *stored = version.0;
            }
            (Event::WriteBackSuperseded { page, version, held, .. }, _) => {
                let stored = self.versions.get(page).map_or(0, |versions| versions.stored);
                is_number(held.0, stored)?;
                if version.0 > stored {
                    return Err(Objection::Number(stored));
                }
            }
            (Event::FetchServed { page, version, .. } | Event::VersionTold { page, version, .. }, _) => {
                is_number(version.0, self.versions.get(page).map_or(0, |versions| versions.stored))?;
            }
            (Event::ImageDestroyed { .. }, Place::Host(host)) => {
                let of_host = self.outstanding.keys().filter(|(of, _)| *of == host);
                if let Some(page) = of_host.map(|(_, page)| *page).min() {
                    return Err(Objection::Unacknowledged(page));
                }
            }
            (Event::ProcessReleased { .. }, Place::Host(host)) => {
                self.outstanding.retain(|(of, _), _| *of != host);
            }
            _ => {}
        }
        Ok(())
    }

    fn is_outstanding(&self, host: HostId, page: PageNumber, which: (Epoch, u64)) -> Result<(), Objection> {
        match self.outstanding.get(&(host, page)) {
            Some((epoch, _)) if *epoch != which.0 => Err(Objection::Epoch(*epoch)),
            Some((_, version)) => is_number(which.1, *version),
            None => {
                Err(Objection::NoPart { host: host.into(), lacks: "no write-back of the page is under way" })
            }
        }
    }

    fn may_ignore(&self, host: HostId, name: &MessageName, roster: &Roster) -> Result<(), Objection> {
        let down = roster.members.get(&host).is_some_and(|member| member.down.contains(&name.from));
        let (MessageKind::WriteBackDone, Some(page), Some(version), false) =
            (name.kind, name.page, name.number, down)
        else {
            return Ok(());
        };
        match self.outstanding.get(&(host, page)) {
            Some(outstanding) if *outstanding == (name.epoch, version) => {
                Err(Objection::Ignored(*name, "the host waits for it"))
            }
            _ => Ok(()),
        }
    }
}

impl Connection {
    /// Where a message of this name is that can be the next to arrive: nothing is before it that must arrive.
    fn next(&self, name: MessageName) -> Option<usize> {
        let sure = self.queue.iter().position(|queued| !queued.perhaps);
        let can = self.queue.iter().take(sure.map_or(self.queue.len(), |sure| sure + 1));
        can.enumerate().filter(|(_, queued)| queued.name == name).map(|(at, _)| at).next_back()
    }
}

/// The first message of this name, on which connection and where, and the one that it would overtake.
fn first(
    connections: &VecDeque<Connection>,
    name: MessageName,
) -> Option<(usize, usize, Option<MessageName>)> {
    connections.iter().enumerate().find_map(|(of, Connection { queue, .. })| {
        let at = queue.iter().position(|queued| queued.name == name)?;
        let overtaken = queue.iter().take(at).find(|queued| !queued.perhaps);
        Some((of, at, overtaken.map(|queued| queued.name)))
    })
}

/// The message that a line handles.
pub(super) fn handled(step: &Step) -> Option<MessageName> {
    let Step { place: to, epoch, ref event, .. } = *step;
    let name = |from: Place, kind, page, number| Some(MessageName { from, to, epoch, kind, page, number });
    let plain = |from: HostId, kind| name(from.into(), kind, None, None);
    match *event {
        Event::PageInstalled { page, sequence, from } => {
            name(from.into(), MessageKind::Page, Some(page), Some(sequence.0))
        }
        Event::PageFetched { page, version } => {
            name(Place::FileServer, MessageKind::Fetched, Some(page), Some(version.0))
        }
        Event::RequestAccepted { page, from } => name(from.into(), MessageKind::Request, Some(page), None),
        Event::WriteBackStored { page, version, from }
        | Event::WriteBackSuperseded { page, version, from, .. } => {
            name(from.into(), MessageKind::WriteBack, Some(page), Some(version.0))
        }
        Event::FetchServed { page, to: from, .. } => name(from.into(), MessageKind::Fetch, Some(page), None),
        Event::VersionTold { page, to: from, .. } => {
            name(from.into(), MessageKind::AskVersion, Some(page), None)
        }
        Event::PageFellBack { page, version: Some(version) } | Event::PageLost { page, version } => {
            name(Place::FileServer, MessageKind::VersionTold, Some(page), Some(version.0))
        }
        Event::WriteBackAcknowledged { page, version } => {
            name(Place::FileServer, MessageKind::WriteBackDone, Some(page), Some(version.0))
        }
        Event::MessageIgnored { kind, page, number, from } => name(from, kind, page, number),
        Event::StateAccepted { from, .. } => plain(from, MessageKind::State),
        Event::ReadinessLearned { from } => plain(from, MessageKind::Ready),
        Event::ProcessResumed { from } => plain(from, MessageKind::Go),
        Event::ResumptionLearned { from } => plain(from, MessageKind::Resumed),
        Event::CompletionLearned { from } => plain(from, MessageKind::Complete),
        Event::DestructionLearned { from, .. } => plain(from, MessageKind::Destroyed),
        Event::ExitLearned { from } => plain(from, MessageKind::Exit),
        Event::CancellationLearned { from } => plain(from, MessageKind::Cancel),
        Event::RefusalLearned { from } => plain(from, MessageKind::Refuse),
        Event::ResyncAccepted { from, .. }
        | Event::CancellationRepeated { to: from }
        | Event::DestructionRepeated { to: from } => plain(from, MessageKind::Resync),
        _ => None,
    }
}

/// The messages that a line sends.
pub(super) fn sent(step: &Step, roster: &Roster) -> Vec<MessageName> {
    let Step { place: from, epoch, ref event, .. } = *step;
    let name =
        |to: Place, epoch, kind, page, number| vec![MessageName { from, to, epoch, kind, page, number }];
    let plain = |to: HostId, kind| name(to.into(), epoch, kind, None, None);
    let of_page =
        |to: HostId, page, number: u64| name(to.into(), epoch, MessageKind::Page, Some(page), Some(number));
    let to_store = |kind, page, number| name(Place::FileServer, epoch, kind, Some(page), number);
    let from_store =
        |to: HostId, kind, page, number: u64| name(to.into(), epoch, kind, Some(page), Some(number));
    let to_formers = |kind, of: &mut dyn Iterator<Item = (HostId, Epoch)>| {
        of.map(|(to, epoch)| {
            let (to, page, number) = (to.into(), None, None);
            MessageName { from, to, epoch, kind, page, number }
        })
        .collect()
    };
    let Roster { process, members, .. } = roster;
    match *event {
        Event::PageCopied { page, sequence, to, .. }
        | Event::PageTransferred { page, sequence, to }
        | Event::PageServed { page, sequence, to }
        | Event::PagePushed { page, sequence, to } => of_page(to, page, sequence.0),
        // Whatever a page is flushed for, what goes to the file server belongs to the stay that it ends.
        Event::PageFlushed { page, version } => {
            let (kind, number) = (MessageKind::WriteBack, Some(version.0));
            name(Place::FileServer, process.epoch, kind, Some(page), number)
        }
        Event::PageWrittenBack { page, version } | Event::WriteBackRepeated { page, version } => {
            to_store(MessageKind::WriteBack, page, Some(version.0))
        }
        Event::FetchRepeated { page } => to_store(MessageKind::Fetch, page, None),
        Event::VersionAsked { page } => to_store(MessageKind::AskVersion, page, None),
        // If the process waits for it.
        Event::PageFellBack { page, version: Some(_) } => to_store(MessageKind::Fetch, page, None),
        Event::PageFaulted { page, asked: Place::FileServer } => to_store(MessageKind::Fetch, page, None),
        Event::PageFaulted { page, asked: Place::Host(asked) } => {
            let epoch = roster.former(asked).unwrap_or(epoch);
            name(asked.into(), epoch, MessageKind::Request, Some(page), None)
        }
        Event::PagePulled { page, asked } => {
            let epoch = roster.former(asked).unwrap_or(epoch);
            name(asked.into(), epoch, MessageKind::Request, Some(page), None)
        }
        Event::StateSent { to } => plain(to, MessageKind::State),
        Event::ProcessHandedOver { to } => plain(to, MessageKind::Go),
        Event::ProcessResumed { from: to } if roster.answers_go => plain(to, MessageKind::Resumed),
        Event::ReadinessDeclared { to } => plain(to, MessageKind::Ready),
        Event::MigrationAnnounced { to } => plain(to, MessageKind::Announce),
        Event::MigrationExpected { from: to } if roster.announces => plain(to, MessageKind::Expected),
        Event::MigrationCancelled { to } => plain(to, MessageKind::Cancel),
        Event::MigrationRefused { to } => plain(to, MessageKind::Refuse),
        Event::CompletionDeclared { .. } => {
            to_formers(MessageKind::Complete, &mut process.formers.iter().copied())
        }
        Event::ProcessReleased { .. } => {
            let Place::Host(host) = from else { return vec![] };
            let leaving = members.get(&host).and_then(|member| member.leaving);
            let leaving = leaving.map(|leaving| (leaving.to, leaving.epoch));
            to_formers(MessageKind::Exit, &mut process.formers.iter().copied().chain(leaving))
        }
        // One-shot: it is lost, and whoever keeps pages of it is told.
        Event::RefusalLearned { .. } if roster.one_shot => {
            let Place::Host(host) = from else { return vec![] };
            let lost = members.get(&host).is_some_and(|member| member.left.is_some());
            to_formers(MessageKind::Exit, &mut process.formers.iter().copied().filter(|_| lost))
        }
        Event::ImageDestroyed { told: Some(told) } => plain(told, MessageKind::Destroyed),
        Event::ResyncAccepted { from: peer, progress: Progress::AwaitingGo, .. } => {
            plain(peer, MessageKind::Go)
        }
        Event::CancellationRepeated { to } => plain(to, MessageKind::Cancel),
        Event::DestructionRepeated { to } => plain(to, MessageKind::Destroyed),
        Event::WriteBackStored { page, version, from: to }
        | Event::WriteBackSuperseded { page, version, from: to, .. } => {
            from_store(to, MessageKind::WriteBackDone, page, version.0)
        }
        Event::FetchServed { page, version, to } => from_store(to, MessageKind::Fetched, page, version.0),
        Event::VersionTold { page, version, to } => from_store(to, MessageKind::VersionTold, page, version.0),
        // The process is lost; the former hosts that are left are told.
        Event::PageLost { .. } => to_formers(MessageKind::Exit, &mut process.formers.iter().copied()),
        Event::PeerConnected { peer: Place::Host(peer), resync } => {
            let Place::Host(host) = from else { return vec![] };
            let member = members.get(&host);
            let coming = member.and_then(|member| member.coming).filter(|coming| coming.from == peer);
            let resynced = match resync {
                Some(Progress::AwaitingGo) => coming.map(|coming| (peer, coming.epoch)),
                Some(Progress::Running | Progress::Complete) => {
                    roster.former(peer).map(|epoch| (peer, epoch))
                }
                None => None,
            };
            let exits = member.into_iter().flat_map(|member| &member.exit_told).copied();
            let mut all: Vec<_> = to_formers(MessageKind::Resync, &mut resynced.into_iter());
            all.extend(to_formers(MessageKind::Exit, &mut exits.filter(|(told, _)| *told == peer)));
            let given_up =
                member.and_then(|member| member.given_up).filter(|(given_up, _)| *given_up == peer);
            all.extend(to_formers(MessageKind::Refuse, &mut given_up.into_iter()));
            all
        }
        // The process is lost with what a former host owed it; the others are told.
        Event::PeerFenced { peer, fate: Some(steplog::fate::Fate::Lost(_)) } => {
            let Place::Host(host) = from else { return vec![] };
            let here = process.at == Some(host);
            let others = process.formers.iter().copied().filter(|(former, _)| here && *former != peer);
            let mut all: Vec<_> = to_formers(MessageKind::Exit, &mut others.into_iter());
            let leaving = members.get(&host).and_then(|member| member.leaving);
            let leaving = leaving.map(|leaving| (leaving.to, leaving.epoch));
            all.extend(to_formers(MessageKind::Cancel, &mut leaving.into_iter()));
            all
        }
        _ => vec![],
    }
}
