//! Runs fresh endpoints through the steps of a log.
//!
//! A log names every input of the endpoints. A [`Replay`] gives the same inputs to hosts and a file server that start
//! from the same image, and requires each step to come out as recorded. Between two steps it can be looked at.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use steplog::event::{Event, Step};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use crate::error::Error;
use crate::file_server::FileServer;
use crate::host::{Host, Suspension, Work};
use crate::memory::{Fault, PageStore};
use crate::page::Image;
use crate::policy::{Contradiction, HandOver, Policy, Start};
use crate::wire::{Envelope, Message};

/// Endpoints in the middle of a log.
#[derive(Clone, Debug)]
pub struct Replay {
    policy: Policy,
    image: Arc<Image>,
    hosts: BTreeMap<HostId, Host<PageStore>>,
    file_server: FileServer,
    /// Every message that was sent. A link may deliver one twice, so none is ever taken out.
    sent: HashMap<Name, Message>,
}

/// Why a step could not be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// There is no such host.
    #[error("a step of {0}, which has no part in this")]
    NoSuchHost(HostId),
    /// A message was handled that nobody had sent.
    #[error("{kind:?} message from {from} handled by {to}, but never sent")]
    NeverSent {
        /// What was handled.
        kind: MessageKind,
        /// Who is said to have sent it.
        from: Place,
        /// Who handled it.
        to: Place,
    },
    /// The endpoint refuses to take the step.
    #[error(transparent)]
    Endpoint(#[from] Error),
    /// The process cannot do what it did.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A step that such a place never takes.
    #[error("not a step of {0}")]
    Misplaced(Place),
    /// The step comes out differently.
    #[error("the step came out as {came_out:?}")]
    Diverged {
        /// What happened instead.
        came_out: Option<Box<(Epoch, Event)>>,
    },
}

/// What tells a message from all others of a run: sender, receiver, epoch, kind, page, number.
type Name = (Place, Place, Epoch, MessageKind, Option<PageNumber>, Option<u64>);

/// What a host was given to take a step.
enum Input {
    Command(Command),
    Work(Work),
    Message(Place, MessageKind, Option<PageNumber>, Option<u64>),
}

enum Command {
    Cancel,
    Refuse,
    Decline(HostId),
    Disconnected(Place),
    TimedOut(Place),
    Fenced(HostId),
    Connected(Place),
    Expect(HostId),
    Announce(HostId),
    Start(HostId),
    Suspend(Suspension),
    Read(PageNumber, u16, u16),
    Write(PageNumber, u16, Vec<u8>),
    Fault(PageNumber),
    Exit,
}

impl Replay {
    /// Hosts with these names; the process has just been started on the first.
    pub fn new(policy: &Policy, image: &Arc<Image>, hosts: &[HostId]) -> Result<Self, Contradiction> {
        let mut made = BTreeMap::new();
        for &id in hosts.iter().rev() {
            let (policy, image) = (policy.clone(), Arc::clone(image));
            let first = hosts.first() == Some(&id);
            let host = if first { Host::with_process } else { Host::without_process };
            made.insert(id, host(id, policy, image)?);
        }
        let (policy, file_server) = (policy.clone(), FileServer::new(image));
        Ok(Self { policy, image: Arc::clone(image), hosts: made, file_server, sent: HashMap::new() })
    }

    /// Takes the next step of the log.
    pub fn step(&mut self, step: &Step) -> Result<(), ReplayError> {
        let came_out = match step.place {
            Place::FileServer => self.file_server_step(step)?,
            Place::Host(id) => self.host_step(id, step)?,
        };
        if came_out.as_ref() == Some(&(step.epoch, step.event.clone())) {
            return Ok(());
        }
        Err(ReplayError::Diverged { came_out: came_out.map(Box::new) })
    }

    /// A host, as it is after the steps so far.
    pub fn host(&self, id: HostId) -> Option<&Host<PageStore>> {
        self.hosts.get(&id)
    }

    /// The file server, as it is after the steps so far.
    pub fn file_server(&self) -> &FileServer {
        &self.file_server
    }

    fn host_step(&mut self, id: HostId, step: &Step) -> Result<Option<(Epoch, Event)>, ReplayError> {
        let Self { hosts, sent, policy, image, .. } = self;
        let host = hosts.get_mut(&id).ok_or(ReplayError::NoSuchHost(id))?;
        if step.event == Event::HostCrashed {
            *host = Host::without_process(id, policy.clone(), Arc::clone(image)).map_err(Error::from)?;
            return Ok(Some((step.epoch, Event::HostCrashed)));
        }
        if let Event::MigrationStarted { to } = step.event {
            hosts.values_mut().for_each(|host| host.process_moves_on(to, step.epoch));
        }
        let host = hosts.get_mut(&id).ok_or(ReplayError::NoSuchHost(id))?;
        let one_shot = policy.hand_over == HandOver::OneShot;
        let announced =
            (policy.start == Start::Announced).then(|| of_announced(step, host.epoch())).flatten();
        let input = announced.or_else(|| input(&step.event));
        match (&step.event, input.ok_or(ReplayError::Misplaced(step.place))?) {
            // It came with the state.
            (Event::ProcessHandedOver { .. }, _) if one_shot => {}
            // Nobody says *go*.
            (Event::ProcessResumed { .. }, _) if !policy.hand_over.says_ready() => {
                host.perform(Work::Resume)?
            }
            (_, Input::Command(command)) => command.carry_out(host, step.epoch)?,
            (_, Input::Work(work)) => host.perform(work)?,
            (_, Input::Message(from, kind, page, number)) => {
                let to = Place::Host(id);
                let name = (from, to, step.epoch, kind, page, number);
                let message = sent.get(&name).ok_or(ReplayError::NeverSent { kind, from, to })?;
                host.handle_message(from, step.epoch, message)?;
            }
        }
        sent.extend(std::iter::from_fn(|| host.poll_message()).map(named));
        Ok(host.poll_event())
    }

    fn file_server_step(&mut self, step: &Step) -> Result<Option<(Epoch, Event)>, ReplayError> {
        let Self { file_server, sent, .. } = self;
        let (from, kind, page, number) = match step.event {
            Event::WriteBackStored { page, version, from }
            | Event::WriteBackSuperseded { page, version, from, .. } => {
                (from, MessageKind::WriteBack, page, Some(version.0))
            }
            Event::FetchServed { page, to, .. } => (to, MessageKind::Fetch, page, None),
            Event::VersionTold { page, to, .. } => (to, MessageKind::AskVersion, page, None),
            _ => return Err(ReplayError::Misplaced(step.place)),
        };
        let (from, to) = (Place::Host(from), Place::FileServer);
        let name = (from, to, step.epoch, kind, Some(page), number);
        let message = sent.get(&name).ok_or(ReplayError::NeverSent { kind, from, to })?;
        file_server.handle_message(from, step.epoch, message)?;
        sent.extend(std::iter::from_fn(|| file_server.poll_message()).map(named));
        Ok(file_server.poll_event())
    }
}

fn named(envelope: Envelope) -> (Name, Message) {
    let Envelope { from, to, epoch, message, .. } = envelope;
    ((from, to, epoch, message.kind(), message.page(), message.number()), message)
}

impl Command {
    fn carry_out(self, host: &mut Host<PageStore>, epoch: Epoch) -> Result<(), ReplayError> {
        match self {
            Self::Cancel => host.cancel()?,
            Self::Refuse => host.refuse()?,
            Self::Decline(from) => host.decline_migration(from, epoch)?,
            Self::Disconnected(peer) => host.disconnected(peer)?,
            Self::TimedOut(Place::Host(peer)) => host.time_out(peer)?,
            Self::TimedOut(Place::FileServer) => return Err(ReplayError::Misplaced(Place::FileServer)),
            Self::Fenced(peer) => host.fenced(peer)?,
            Self::Connected(peer) => host.connected(peer)?,
            Self::Expect(from) => host.expect_migration(from, epoch)?,
            Self::Announce(to) => host.announce_migration(to).map(|_| ())?,
            Self::Start(to) => host.start_migration(to).map(|_| ())?,
            Self::Suspend(suspension) => host.suspend(suspension)?,
            Self::Read(page, offset, length) => host.read(page, offset, &mut vec![0; length.into()])?,
            Self::Write(page, offset, bytes) => host.write(page, offset, &bytes)?,
            Self::Fault(page) => host.fault(page)?,
            Self::Exit => host.exit()?,
        }
        Ok(())
    }
}

/// What led to this event where migrations are announced, if that is something else. `known` is the latest migration that the host
/// has heard of.
fn of_announced(step: &Step, known: Epoch) -> Option<Input> {
    let message = |from: HostId, kind| Some(Input::Message(Place::Host(from), kind, None, None));
    match step.event {
        Event::MigrationExpected { from } => message(from, MessageKind::Announce),
        Event::MigrationStarted { to } => message(to, MessageKind::Expected),
        Event::MigrationRefused { to } if step.epoch > known => Some(Input::Command(Command::Decline(to))),
        _ => None,
    }
}

/// What led to this event on a host; `None` for an event of the file server.
fn input(event: &Event) -> Option<Input> {
    let command = |command| Some(Input::Command(command));
    let work = |work| Some(Input::Work(work));
    let message = |from: &HostId, kind| Some(Input::Message(Place::Host(*from), kind, None, None));
    let stored = |kind, page: &PageNumber, version: u64| {
        Some(Input::Message(Place::FileServer, kind, Some(*page), Some(version)))
    };
    match event {
        Event::MigrationExpected { from } => command(Command::Expect(*from)),
        Event::MigrationAnnounced { to } => command(Command::Announce(*to)),
        Event::MigrationStarted { to } => command(Command::Start(*to)),
        Event::ProcessSuspended { registers, code_page, stack_page, switched } => {
            let (registers, code_page, stack_page) = (registers.0.clone(), *code_page, *stack_page);
            command(Command::Suspend(Suspension { registers, code_page, stack_page, switched: *switched }))
        }
        Event::MigrationCancelled { .. } => command(Command::Cancel),
        // By command or because there is no room: the same step.
        Event::MigrationRefused { .. } => command(Command::Refuse),
        Event::PeerDisconnected { peer, .. } => command(Command::Disconnected(*peer)),
        Event::PeerTimedOut { peer, .. } => command(Command::TimedOut(*peer)),
        Event::PeerFenced { peer, .. } => command(Command::Fenced(*peer)),
        Event::PeerConnected { peer, .. } => command(Command::Connected(*peer)),
        Event::PageRead { page, offset, length } => command(Command::Read(*page, *offset, *length)),
        Event::PageWritten { page, offset, bytes } => {
            command(Command::Write(*page, *offset, bytes.0.clone()))
        }
        Event::PageFaulted { page, .. } | Event::PageLoaded { page } | Event::FaultHeard { page, .. } => {
            command(Command::Fault(*page))
        }
        Event::ProcessExited => command(Command::Exit),

        Event::PassBegun { .. } => work(Work::BeginPass),
        Event::MarkCleared { page } => work(Work::ClearMark(*page)),
        Event::PageCopied { page, .. } => work(Work::Copy(*page)),
        Event::PageTransferred { page, .. } => work(Work::Transfer(*page)),
        Event::PageFlushed { page, .. } => work(Work::Flush(*page)),
        Event::PageWrittenBack { page, .. } => work(Work::WriteBack(*page)),
        Event::StateSent { .. } => work(Work::SendState),
        Event::ProcessHandedOver { .. } => work(Work::HandOver),
        Event::ProcessReleased { .. } => work(Work::Release),
        Event::PageServed { page, .. } => work(Work::Serve(*page)),
        Event::PagePushed { page, .. } => work(Work::Push(*page)),
        Event::PagePulled { page, .. } => work(Work::Pull(*page)),
        Event::ThreadsWoken { page } => work(Work::Wake(*page)),
        Event::ImageDestroyed { .. } => work(Work::Destroy),
        Event::WriteBackRepeated { page, .. } | Event::FetchRepeated { page } => work(Work::Repeat(*page)),
        Event::VersionAsked { page } | Event::PageFellBack { page, version: None } => {
            work(Work::FallBack(*page))
        }
        Event::PageFellBack { page, version: Some(version) } | Event::PageLost { page, version } => {
            stored(MessageKind::VersionTold, page, version.0)
        }
        Event::ReadinessDeclared { .. } => work(Work::DeclareReady),
        Event::CompletionDeclared { .. } => work(Work::DeclareComplete),

        Event::PageInstalled { page, sequence, from } => {
            Some(Input::Message(Place::Host(*from), MessageKind::Page, Some(*page), Some(sequence.0)))
        }
        Event::ResumptionLearned { from } => message(from, MessageKind::Resumed),
        Event::RequestAccepted { page, from } => {
            Some(Input::Message(Place::Host(*from), MessageKind::Request, Some(*page), None))
        }
        Event::MessageIgnored { kind, page, number, from } => {
            Some(Input::Message(*from, *kind, *page, *number))
        }
        Event::StateAccepted { from, .. } => message(from, MessageKind::State),
        Event::ReadinessLearned { from } => message(from, MessageKind::Ready),
        Event::ProcessResumed { from } => message(from, MessageKind::Go),
        Event::CompletionLearned { from } => message(from, MessageKind::Complete),
        Event::DestructionLearned { from, .. } => message(from, MessageKind::Destroyed),
        Event::ExitLearned { from } => message(from, MessageKind::Exit),
        Event::CancellationLearned { from } => message(from, MessageKind::Cancel),
        Event::RefusalLearned { from } => message(from, MessageKind::Refuse),
        Event::ResyncAccepted { from, .. }
        | Event::CancellationRepeated { to: from }
        | Event::DestructionRepeated { to: from } => message(from, MessageKind::Resync),
        Event::WriteBackAcknowledged { page, version } => stored(MessageKind::WriteBackDone, page, version.0),
        Event::PageFetched { page, version } => stored(MessageKind::Fetched, page, version.0),

        Event::HostCrashed
        | Event::WriteBackStored { .. }
        | Event::WriteBackSuperseded { .. }
        | Event::VersionTold { .. }
        | Event::FetchServed { .. } => None,
    }
}
