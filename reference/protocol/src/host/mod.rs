//! A host: memory, and the part that it currently has in the migration of the process.
//!
//! One engine serves all algorithms; the [`Policy`] decides which pages take which way. A migration from A to B
//! with everything that can happen in it (no algorithm has all of it):
//!
//! ```text
//!        A: Source                                B: Destination                 file server
//!        Resting                                  (vacant)                            │
//!  start ├─▶ PreMigration                  expect ├─▶ Receiving                       │
//!        │    Page ─────── pre-copy passes ──────▶│    install                        │
//!        │    WriteBack ──────── generic ────────────────────────────────────────────▶│ store if newer
//!        │◀────────────────────────────────────────────────────────── WriteBackDone ──│
//! suspend├─▶ Frozen                               │                                   │
//!        │    Page ─────── freeze transfer ──────▶│    install                        │
//!        │    WriteBack ──────── flushing ───────────────────────────────────────────▶│
//!        │    State ─ registers, dirty map, plan ▶├─▶ Assembling: discard stale pages │
//!        ├─▶ Offered                              │    all that travels is here       │
//!        │◀───────────────────────────── Ready ───├─▶ AwaitingGo                      │
//!        │    Go ────────────────────────────────▶├─▶ Post: the process runs          │
//!        ├─▶ Shadow                               │    fault on page 7                │
//!        │◀───────────────────────── Request 7 ───│                                   │
//!        │    Page 7 ──────── demand first ──────▶│    install                        │
//!        │    Page 8 ──────── push ──────────────▶│    install                        │
//!        │                                        │    Fetch 3 ──────────────────────▶│
//!        │                                        │◀────────────────────── Fetched 3 ─│
//!        │                                        │    nothing is owed                │
//!        │◀────────────────────────── Complete ───├─▶ Completing                      │
//!        ├─▶ Draining: write-backs acknowledged   │                                   │
//!        │    Destroyed ─────────────────────────▶├─▶ Source::Resting                 │
//!        (vacant)                                                                     │
//! ```
//!
//! # Driving a host
//!
//! A [`Host`] does no I/O and knows no time. Input: [`handle_message`](Host::handle_message), the commands
//! [`expect_migration`](Host::expect_migration), [`start_migration`](Host::start_migration) (or
//! [`announce_migration`](Host::announce_migration) alone),
//! [`suspend`](Host::suspend), the process's [`read`](Host::read), [`write`](Host::write), [`fault`](Host::fault),
//! [`exit`](Host::exit). What the host does of its own accord is one [`Work`] at a time, when the driver says so:
//! [`tasks`](Host::tasks) lists what is due, most urgent first, [`perform`](Host::perform) does one. Output:
//! [`poll_message`](Host::poll_message) and [`poll_event`](Host::poll_event).
//!
//! When something goes wrong the driver says so: [`disconnected`](Host::disconnected), [`connected`](Host::connected),
//! [`fenced`](Host::fenced), [`tick`](Host::tick) for time-outs; the operator may [`cancel`](Host::cancel), a
//! destination [`refuse`](Host::refuse). [`fate`](Host::fate) tells what has become of the migration:
//!
//! ```text
//!        A: Source                                B: Destination
//!        PreMigration, Frozen, Offered            Receiving, Assembling
//!  cancel├─ Cancel ──────────────────────────────▶│ forgets: (vacant)
//!        │◀────────────────────────────── Refuse ─┤refuse: forgets
//!        ├─▶ Resting: the process runs on         │
//!        ┊                                        ┊
//!        Shadow                          ╳        AwaitingGo, Post, Completing
//!        │  keeps what it owes           ╳        │  Post runs with what is here
//!        │          a new connection              │
//!        │◀────────── Resync: how far, what lacks─┤
//!        │    Go, or Cancel, or Destroyed ───────▶│  what was never heard
//!        │    Page ──── owed and not there ──────▶│  once more
//! ```

mod announcement;
mod disruption;
mod limits;
mod parting;
mod process;
mod recovery;
mod role;

pub use crate::running::{Location, PageRecord, Resident, Suspension, WriteBack, WriteBacks};
pub use crate::work::{Task, Work};
pub use limits::{HostLimits, OUTBOX_MESSAGES_MAX_DEFAULT, Timeouts};
pub use process::ProcessState;

use std::collections::VecDeque;
use std::sync::Arc;

use steplog::event::Event;
use steplog::fate::{Cause, Fate, Loss};
use steplog::message::MessageKind;
use steplog::place::{Epoch, HostId, Place};

use crate::destination::{Destination, Post};
use crate::error::{Error, LocalFault, Misbehaviour, Refusal};
use crate::memory::{Memory, PageStore};
use crate::page::Image;
use crate::policy::{Contradiction, HandOver, Policy, Start};
use crate::running::context::{Arrival, Context, Handled, Stepped, View, misbehaved};
use crate::running::departure::Departure;
use crate::running::links::Links;
use crate::source::{Route, Shadow, Source};
use crate::wire::FormerHost;
use crate::wire::{Channel, Envelope, Message};
use limits::Timer;

/// A machine that can run the process. Two are equal if they are in the same state and have the same still to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<M> {
    id: HostId,
    policy: Policy,
    image: Arc<Image>,
    memory: M,
    role: Role,
    /// The latest migration in which this host had a part.
    known: Epoch,
    /// The latest migration in which this host handed the process over.
    departure: Option<Departure>,
    /// Whom the host told that the process has exited.
    exit_told: Vec<FormerHost>,
    /// The one-shot hand-over that this host has given up without a connection, of which the source is to hear.
    given_up: Option<FormerHost>,
    fate: Option<Fate>,
    links: Links,
    limits: HostLimits,
    timeouts: Timeouts,
    timer: Timer,
    outbox: VecDeque<Envelope>,
    events: VecDeque<(Epoch, Event)>,
}

/// The part that a host has in the migration of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a host has one of it")]
pub enum Role {
    /// None: no page of the process is here.
    #[default]
    Vacant,
    /// The process runs here and may leave, or it has left.
    Source(Source),
    /// The process is coming, or has come and is not at rest yet.
    Destination(Destination),
    /// The host cannot go on.
    Failed(LocalFault),
}

/// What came of a message that was not wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// It changed something.
    Applied,
    /// It came too late to matter: a duplicate, or one overtaken by events.
    Ignored,
    /// It is about a migration that is over for this host, and the peer was told so; nothing else changed.
    Answered,
}

impl Host<PageStore> {
    /// A host on which the process has just been started, with memory in this process.
    pub fn with_process(id: HostId, policy: Policy, image: Arc<Image>) -> Result<Self, Contradiction> {
        let memory = PageStore::loaded(&image);
        Self::occupied(id, policy, image, memory)
    }

    /// A host without a process, with memory in this process.
    pub fn without_process(id: HostId, policy: Policy, image: Arc<Image>) -> Result<Self, Contradiction> {
        let memory = PageStore::vacant(image.page_count());
        Self::vacant(id, policy, image, memory)
    }
}

impl<M: Memory> Host<M> {
    /// A host without a process. `memory` has room for the pages of the image; none is present, all are frozen.
    pub fn vacant(id: HostId, policy: Policy, image: Arc<Image>, memory: M) -> Result<Self, Contradiction> {
        policy.check()?;
        Ok(Self {
            id,
            policy,
            image,
            memory,
            role: Role::Vacant,
            known: Epoch(0),
            departure: None,
            exit_told: Vec::new(),
            given_up: None,
            fate: None,
            links: Links::default(),
            limits: HostLimits::default(),
            timeouts: Timeouts::default(),
            timer: Timer::default(),
            outbox: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// A host on which the process has just been started: every page of the image is present in `memory` and
    /// accessible.
    pub fn occupied(id: HostId, policy: Policy, image: Arc<Image>, memory: M) -> Result<Self, Contradiction> {
        let pages = image.page_numbers().map(|_| PageRecord::loaded()).collect();
        let role = Role::Source(Source::Resting(Resident::with_pages(pages)));
        Ok(Self { role, ..Self::vacant(id, policy, image, memory)? })
    }

    /// Sets how much the host takes on and how long it waits. Without this there are the default limits and no
    /// time-outs.
    pub fn configure(&mut self, limits: HostLimits, timeouts: Timeouts) {
        (self.limits, self.timeouts) = (limits, timeouts);
    }

    /// Tells the host to take the process from another one. The operator does this before it starts the migration
    /// there; `epoch` is the number that the migration will have.
    pub fn expect_migration(&mut self, from: HostId, epoch: Epoch) -> Result<(), Error> {
        self.check_failure()?;
        if from == self.id || epoch <= self.known {
            return Err(Refusal::NoSuchMigration.into());
        }
        if !self.links.are_up(from) {
            return Err(Refusal::OutOfReach(from).into());
        }
        self.forget_undecided(from)?;
        let former = match std::mem::take(&mut self.role) {
            Role::Vacant => None,
            // It comes back: so it has been there.
            Role::Source(Source::Shadow(shadow)) if self.policy.leaves_pages_behind() => {
                Some(Shadow { withheld: None, ..shadow })
            }
            other => {
                self.role = other;
                return Err(Refusal::Occupied.into());
            }
        };
        self.role = Role::Destination(Destination::expect(from, epoch, self.image.page_count(), former));
        self.known = epoch;
        self.conclude((epoch, Event::MigrationExpected { from }));
        Ok(())
    }

    /// Whether a migration to another host may be started now, and the number that it would have.
    pub fn check_start(&self, to: HostId) -> Result<Epoch, Refusal> {
        let epoch = self.known.next().filter(|_| to != self.id).ok_or(Refusal::NoSuchMigration)?;
        if !self.links.are_up(to) {
            return Err(Refusal::OutOfReach(to));
        }
        match &self.role {
            Role::Source(Source::Resting(resident)) if resident.exited => Err(Refusal::Exited),
            Role::Source(Source::Resting(resident)) if self.policy.start == Start::AtOnce => {
                resident.check_start(&self.policy).map(|()| epoch)
            }
            Role::Source(Source::Resting(_)) => Ok(epoch),
            Role::Source(Source::Announced(_) | Source::PreMigration(_)) => Err(Refusal::NotAtRest),
            Role::Destination(destination) => destination.check_move_on(to, &self.policy).map(|()| epoch),
            Role::Vacant | Role::Source(_) | Role::Failed(_) => Err(Refusal::NotRunning),
        }
    }

    /// Starts to move the process to another host, which has been told to expect it. The process goes on running.
    /// Returns the number of the migration.
    pub fn start_migration(&mut self, to: HostId) -> Result<Epoch, Error> {
        self.check_failure()?;
        let epoch = self.check_start(to)?;
        let resident = match &mut self.role {
            Role::Source(Source::Resting(resident))
            | Role::Destination(Destination::Post(Post { resident })) => std::mem::take(resident),
            _ => return Err(Refusal::NotRunning.into()),
        };
        self.role = Role::Source(Source::start(resident, Route { to, epoch }, self.view()));
        self.known = epoch;
        self.conclude((epoch, Event::MigrationStarted { to }));
        Ok(epoch)
    }

    /// The operator tells every host that keeps pages of the process that it is on its way to another one. From then on
    /// that one may ask for them as well. To be told before the migration starts; to all other hosts it means nothing.
    ///
    /// This is no step of the log: the start of the migration says the same.
    pub fn process_moves_on(&mut self, to: HostId, epoch: Epoch) {
        if self.policy.leaves_pages_behind()
            && let Some(departure) = self.departure.as_mut().filter(|departure| departure.route.epoch < epoch)
        {
            departure.heard.insert(to);
            if let Role::Source(Source::Shadow(shadow)) = &mut self.role {
                shadow.withheld = None;
            }
        }
    }

    /// Handles a message. An error leaves the host as it was. What is refused because the outbox is full may be handed in
    /// again once messages have been taken from it.
    pub fn handle_message(
        &mut self,
        from: Place,
        epoch: Epoch,
        message: &Message,
    ) -> Result<MessageOutcome, Error> {
        self.check_failure()?;
        self.check_message(from, epoch, message)?;
        // The only messages that are answered at once.
        if matches!(message, Message::Resync(_) | Message::VersionTold { .. }) && self.is_full() {
            return Err(Refusal::OutboxFull.into());
        }
        // What still comes from a place that counts as disconnected is of a connection that is gone.
        let reachable = self.links.are_up(from);
        let handled = if reachable { self.dispatch(from, epoch, message) } else { Ok(None) };
        let (kind, page, number) = (message.kind(), message.page(), message.number());
        match self.settle(handled)? {
            Some(happened) => {
                let answered = matches!(
                    happened.1,
                    Event::CancellationRepeated { .. } | Event::DestructionRepeated { .. }
                );
                if !answered {
                    self.timer.heard(from);
                }
                self.conclude(happened);
                Ok(if answered { MessageOutcome::Answered } else { MessageOutcome::Applied })
            }
            None => {
                self.events.push_back((epoch, Event::MessageIgnored { kind, page, number, from }));
                Ok(MessageOutcome::Ignored)
            }
        }
    }

    /// The work that is due, most urgent first. What is requested comes before what is not.
    pub fn tasks(&self) -> impl Iterator<Item = Task> + '_ {
        let view = self.view();
        let candidates: Box<dyn Iterator<Item = Work> + '_> = match &self.role {
            Role::Vacant | Role::Failed(_) => Box::new(std::iter::empty()),
            // Little else is due then, and there may be millions of candidates.
            _ if self.is_full() => Box::new(std::iter::once(Work::BeginPass)),
            Role::Source(source) => source.candidates(view),
            Role::Destination(destination) => destination.candidates(view),
        };
        let wakes = self.role.resident().into_iter().flat_map(|resident| resident.wakes(&self.policy));
        wakes.chain(candidates).filter(move |&work| self.is_due(work)).map(move |work| Task {
            work,
            page_to: self.page_to(work),
            channel: self.channel_of(work),
        })
    }

    fn channel_of(&self, work: Work) -> Channel {
        match work {
            Work::Serve(_) => self.policy.demand(),
            _ => Channel::Main,
        }
    }

    /// Whether this work is due.
    pub fn is_due(&self, work: Work) -> bool {
        if work.page().is_some_and(|page| !self.image.contains(page)) || self.is_held_back(work) {
            return false;
        }
        match (&self.role, work) {
            (role, Work::Wake(page)) => role.resident().is_some_and(|resident| resident.wake_due(page)),
            (Role::Source(source), _) => source.is_due(work, self.view()),
            // Instead of saying *ready* the host refuses what it has no room for.
            (Role::Destination(destination), Work::DeclareReady | Work::Resume | Work::Refuse) => {
                let ready = [Work::DeclareReady, Work::Resume]
                    .into_iter()
                    .find(|&ready| destination.is_due(ready, self.view()));
                ready.is_some_and(|ready| work == Work::Refuse || work == ready)
                    && (work == Work::Refuse) == self.lacks_room_for(destination)
            }
            (Role::Destination(destination), _) => destination.is_due(work, self.view()),
            (Role::Vacant | Role::Failed(_), _) => false,
        }
    }

    /// Does work that is due. An error leaves the host as it was.
    pub fn perform(&mut self, work: Work) -> Result<(), Error> {
        self.check_failure()?;
        if !self.is_due(work) {
            return Err(Refusal::NotDue(work).into());
        }
        if work == Work::Refuse {
            return self.refuse();
        }
        let (role, mut cx) = self.parts();
        if let (Work::Wake(page), Some(resident)) = (work, role.running_mut()) {
            let stepped = resident.wake(page);
            return self.record(stepped);
        }
        let stepped = match std::mem::take(role) {
            Role::Source(source) => {
                let (source, stepped) = source.perform(work, &mut cx);
                *role = source.map_or(Role::Vacant, Role::Source);
                stepped
            }
            Role::Destination(destination) => {
                let (destination, stepped) = destination.perform(work, &mut cx);
                *role = destination.map_or(Role::Vacant, Role::Destination);
                stepped
            }
            other => {
                *role = other;
                Err(Refusal::NotDue(work).into())
            }
        };
        let sent =
            stepped.as_ref().ok().filter(|(_, event)| matches!(event, Event::StateSent { .. })).cloned();
        self.record(stepped)?;
        if let (HandOver::OneShot, Some((epoch, Event::StateSent { to }))) = (self.policy.hand_over, sent) {
            self.conclude((epoch, Event::ProcessHandedOver { to }));
        }
        Ok(())
    }

    /// Whether the process can run here and nowhere else, and does not yet.
    fn runs_alone(&self) -> bool {
        matches!(&self.role, Role::Destination(destination) if destination.runs_alone(&self.policy))
    }

    /// Does the most urgent work that is due, if any, and says what it was.
    pub fn perform_next(&mut self) -> Result<Option<Work>, Error> {
        let next = self.tasks().next();
        next.map(|task| self.perform(task.work).map(|()| task.work)).transpose()
    }

    /// The next message to be sent, in the order in which they were decided upon.
    pub fn poll_message(&mut self) -> Option<Envelope> {
        self.outbox.pop_front()
    }

    /// The next event, with the migration it belongs to: one for each step.
    pub fn poll_event(&mut self) -> Option<(Epoch, Event)> {
        self.events.pop_front()
    }

    /// Which host this is.
    pub fn id(&self) -> HostId {
        self.id
    }

    /// The algorithm.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The part that the host has in the migration.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// The memory of the process on this host.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The memory of the process on this host, for the driver's side of it: a real process is attached here, and given
    /// its registers before it runs.
    pub fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// The latest migration in which this host had a part.
    pub fn epoch(&self) -> Epoch {
        self.known
    }

    fn check_failure(&self) -> Result<(), Error> {
        if matches!(self.role, Role::Failed(_)) { Err(LocalFault::Failed.into()) } else { Ok(()) }
    }

    /// What can be said about a message before looking at the phase.
    fn check_message(&self, from: Place, epoch: Epoch, message: &Message) -> Result<(), Error> {
        let kind = message.kind();
        let what = match (from, kind) {
            (_, MessageKind::WriteBack | MessageKind::Fetch | MessageKind::AskVersion) => {
                Misbehaviour::Unexpected { kind }
            }
            (Place::Host(_), kind) if is_of_file_server(kind) => Misbehaviour::NotThePeer { kind },
            (Place::Host(host), _) if host == self.id => Misbehaviour::NotThePeer { kind },
            (Place::FileServer, kind) if !is_of_file_server(kind) => Misbehaviour::NotThePeer { kind },
            (_, MessageKind::VersionTold) if !self.policy.falls_back() => Misbehaviour::Unexpected { kind },
            _ if self.is_of_another_start(kind) => Misbehaviour::Unexpected { kind },
            _ if self.is_ahead(epoch, message) => {
                Misbehaviour::UnknownEpoch { kind, epoch, known: self.known }
            }
            _ => match message.page() {
                Some(page) if !self.image.contains(page) => {
                    Misbehaviour::PageOutOfRange { page, page_count: self.image.page_count() }
                }
                _ => return Ok(()),
            },
        };
        Err(misbehaved(from, what))
    }

    fn dispatch(&mut self, from: Place, epoch: Epoch, message: &Message) -> Handled {
        if let Some(handled) = self.dispatch_announcement(from, epoch, message) {
            return handled;
        }
        let (role, mut cx) = self.parts();
        match (message, from) {
            (Message::WriteBackDone { page, version }, _) => match role {
                Role::Source(source) => source.write_back_done(epoch, *page, *version),
                Role::Destination(destination) => destination.write_back_done(epoch, *page, *version),
                Role::Vacant | Role::Failed(_) => Ok(None),
            },
            (Message::Resync(resync), Place::Host(from)) => role.resynced(from, epoch, resync, &mut cx),
            (Message::Fetched { page, version, content }, _) => match role.running_mut() {
                Some(resident) => resident.page_fetched(epoch, (*page, *version), content, &mut cx),
                None => Ok(None),
            },
            (Message::VersionTold { page, version }, _) => {
                role.version_told(epoch, (*page, *version), &mut cx)
            }
            (Message::Page { page, sequence, content }, Place::Host(from)) => {
                let arrival = Arrival { from, epoch, page: *page, number: sequence.0, content };
                role.page_arrived(&arrival, &mut cx)
            }
            (_, Place::Host(from)) => role.handle(from, epoch, message, &mut cx),
            (_, Place::FileServer) => Ok(None),
        }
    }

    /// The role, and everything else that a step may touch.
    fn parts(&mut self) -> (&mut Role, Context<'_>) {
        let Self { id, policy, image, memory, role, departure, links, limits, outbox, exit_told, .. } = self;
        let outbox_messages_max = limits.outbox_messages_max;
        let departure = departure.as_ref();
        let me = *id;
        (
            role,
            Context { me, policy, image, memory, departure, links, outbox, outbox_messages_max, exit_told },
        )
    }

    fn view(&self) -> View<'_> {
        View { policy: &self.policy, image: &self.image, memory: &self.memory }
    }

    fn page_to(&self, work: Work) -> Option<Place> {
        let to = match work {
            Work::WriteBack(_) | Work::Flush(_) | Work::Repeat(_) => return Some(Place::FileServer),
            Work::Copy(_) | Work::Transfer(_) | Work::Push(_) => match &self.role {
                Role::Source(source) => source.route()?.to,
                _ => return None,
            },
            Work::Serve(page) => self.role.requester(page)?,
            _ => return None,
        };
        Some(to.into())
    }

    /// A fault of this host ends its part, and the process goes no further; any other error has changed nothing.
    fn settle<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::LocalFault(fault)) = &result {
            // If the process cannot be stopped either, there is nothing left to do about it.
            let _ = self.memory.freeze();
            self.role = Role::Failed(fault.clone());
        }
        result
    }

    fn record(&mut self, stepped: Stepped) -> Result<(), Error> {
        let happened = self.settle(stepped)?;
        self.conclude(happened);
        Ok(())
    }

    /// Notes what happened, and what it means for the migration.
    fn conclude(&mut self, (epoch, event): (Epoch, Event)) {
        match event {
            Event::MigrationExpected { .. }
            | Event::MigrationAnnounced { .. }
            | Event::MigrationStarted { .. } => self.fate = None,
            Event::ProcessHandedOver { to } => self.depart(Route { to, epoch }),
            Event::StateSent { to } if self.policy.hand_over == HandOver::None => {
                self.depart(Route { to, epoch })
            }
            Event::MigrationCancelled { .. } => self.fate = Some(Fate::CarriedOn(Cause::Cancelled)),
            Event::RefusalLearned { .. } if matches!(self.role, Role::Source(Source::Draining(_))) => {
                self.fate = Some(Fate::Lost(Loss::Runner));
            }
            Event::RefusalLearned { .. } => self.fate = Some(Fate::CarriedOn(Cause::Refused)),
            Event::CancellationLearned { .. } => self.fate = Some(Fate::Forgotten(Cause::Cancelled)),
            Event::MigrationRefused { .. } => self.fate = Some(Fate::Forgotten(Cause::Refused)),
            Event::PeerDisconnected { fate, .. }
            | Event::PeerTimedOut { fate, .. }
            | Event::PeerFenced { fate, .. } => match fate {
                None | Some(Fate::Paused(_)) => {}
                Some(fate) => self.fate = Some(fate),
            },
            Event::DestructionLearned { at_rest: true, .. } => self.fate = Some(Fate::Migrated),
            Event::PageLost { .. } => self.fate = Some(Fate::Lost(Loss::Pages(1))),
            Event::ImageDestroyed { .. } if !matches!(self.fate, Some(Fate::Lost(_))) => {
                self.fate = Some(Fate::Migrated);
            }
            _ => {}
        }
        if matches!(self.fate, Some(Fate::CarriedOn(_))) {
            self.undo_departure(epoch);
        }
        if let Role::Destination(destination) = &mut self.role
            && let Some(resident) = destination.rest_untold()
        {
            self.role = Role::Source(Source::Resting(resident));
            self.fate = Some(Fate::Migrated);
        }
        self.events.push_back((epoch, event));
    }

    fn depart(&mut self, route: Route) {
        let earlier = self.departure.take();
        self.departure = Some(Departure { earlier: earlier.map(Departure::last), ..Departure::new(route) });
    }

    /// The process was taken back: it has not left in that migration.
    fn undo_departure(&mut self, epoch: Epoch) {
        if let Some(departure) = self.departure.take_if(|departure| departure.route.epoch == epoch) {
            self.departure = departure.earlier.map(|earlier| *earlier);
        }
    }

    /// Whether the work would say something that cannot be said now: to a place out of reach, or with no room for
    /// another message.
    fn is_held_back(&self, work: Work) -> bool {
        let says_nothing = matches!(work, Work::BeginPass | Work::Wake(_));
        (self.is_full() && !says_nothing) || !self.role.reaches(work, &self.links, self.view())
    }

    fn is_full(&self) -> bool {
        self.outbox.len() >= self.limits.outbox_messages_max
    }
}

/// Whether only the file server says such a thing.
fn is_of_file_server(kind: MessageKind) -> bool {
    matches!(kind, MessageKind::WriteBackDone | MessageKind::Fetched | MessageKind::VersionTold)
}
