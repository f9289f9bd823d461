//! Real endpoints on a test rig: every step is taken when the driver says so, and can be taken in a copy.
//!
//! The rig holds hosts and a file server of the reference with real pages, the messages between them, and what a
//! process that never moved would have in its memory. It decides nothing: [`Rig::actions`] lists all that can
//! happen next, [`Rig::take`] lets one of it happen and says what the endpoints did.

use std::sync::Arc;

use model::{Hosts, Migration};
use reference::destination::Destination;
use reference::error::Error;
use reference::event::Event;
use reference::file_server::FileServer;
use reference::host::{Host, Location, Resident, Role, Suspension, Work};
use reference::memory::{Fault, Memory};
use reference::page::{Image, PAGE_SIZE, PageBytes, PageKind, PageNumber};
use reference::place::{Epoch, HostId, Place};
use reference::source::Source;
use reference::wire::{Envelope, Message, MessageKind};

use super::flaws::{Flaw, FlawedMemory};
use super::network::{Fate, Network, Order};
use super::policy::{Unsupported, policy};

/// Something that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The operator tells a host to expect the process, and the process's host to move it there.
    Start {
        /// Where to.
        to: HostId,
    },
    /// The operator suspends the process.
    Suspend {
        /// The page under the instruction pointer.
        code: Option<PageNumber>,
        /// The page under the stack pointer.
        stack: Option<PageNumber>,
    },
    /// The process writes to a page.
    Write(PageNumber),
    /// The process touches a page that is not in memory.
    Touch(PageNumber),
    /// The process exits.
    Exit,
    /// A host does work that is due.
    Work(HostId, Work),
    /// The message at this position arrives.
    Deliver {
        /// Position among the messages on their way.
        at: usize,
        /// The link keeps a duplicate.
        kept: bool,
    },
    /// The link drops the message at this position.
    Lose(usize),
    /// The message at this position is sent again.
    Resend(usize),
}

/// What one endpoint or link did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A step of an endpoint.
    Step {
        /// Whose.
        place: Place,
        /// Of which migration.
        epoch: Epoch,
        /// What happened.
        event: Event,
    },
    /// The link dropped a message.
    Lost(MessageKind, Option<PageNumber>),
    /// A dropped message was sent again.
    Resent(MessageKind, Option<PageNumber>),
}

/// Why an action could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RigError {
    /// An endpoint refused it.
    #[error(transparent)]
    Endpoint(#[from] Error),
    /// The memory refused an access of the process.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There is nothing to act on.
    #[error("nothing there")]
    Nothing,
    /// The process sees other content than if it had never moved.
    #[error("{0} has other content than if the process had never moved")]
    Content(PageNumber),
    /// The process has exited, and a host still keeps something of it.
    #[error("a host still keeps something of a process that has exited")]
    LeftBehind,
}

/// Endpoints, messages, and the memory as it should be.
#[derive(Clone, Debug)]
pub struct Rig {
    pub(super) migration: Arc<Migration>,
    pub(super) image: Arc<Image>,
    pub(super) hosts: Vec<Host<FlawedMemory>>,
    pub(super) file_server: FileServer,
    pub(super) network: Network,
    /// The newest content of every page: the memory of a process that never moved.
    pub(super) newest: Vec<PageBytes>,
    /// How often each page went from host to host in the migration under way.
    pub(super) crossings: Vec<u64>,
    writes: u64,
    flaw: Option<Flaw>,
}

impl Rig {
    /// The process at rest on the first host, every page as loaded. `kinds` has a kind for every page.
    ///
    /// # Errors
    /// The reference does not have the algorithm.
    pub fn new(
        migration: Arc<Migration>,
        order: Order,
        kinds: &[PageKind],
        flaw: Option<Flaw>,
    ) -> Result<Self, Unsupported> {
        let policy = policy(&migration.strategy)?;
        let contents = (1..).map(|byte: u8| PageBytes::from([byte; PAGE_SIZE]));
        let image = Arc::new(Image::new(kinds.iter().copied().zip(contents)));
        let count = match migration.hosts {
            Hosts::Two => 2,
            Hosts::Three => 3,
        };
        let host = |id: u16| {
            let (policy, image) = (policy.clone(), Arc::clone(&image));
            match id {
                0 => {
                    Host::occupied(HostId(id), policy, Arc::clone(&image), FlawedMemory::loaded(&image, flaw))
                }
                _ => Host::vacant(HostId(id), policy, image, FlawedMemory::vacant(kinds.len() as u64, flaw)),
            }
        };
        Ok(Rig {
            hosts: (0..count).map(host).collect::<Result<_, _>>()?,
            file_server: FileServer::new(&image),
            network: Network::new(order),
            newest: image.page_numbers().filter_map(|page| image.content(page).cloned()).collect(),
            crossings: vec![0; kinds.len()],
            writes: 0,
            migration,
            image,
            flaw,
        })
    }

    /// Everything that can happen next.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for host in &self.hosts {
            self.add_operator_actions(host, &mut actions);
            self.add_process_actions(host, &mut actions);
            let tasks = host.tasks().filter(|task| !self.is_held_up(host.id(), task.work));
            actions.extend(tasks.map(|task| Action::Work(host.id(), task.work)));
        }
        self.add_network_actions(&mut actions);
        actions
    }

    /// Lets an action happen, and says what the endpoints did, in order.
    ///
    /// # Errors
    /// The action is not possible, or an endpoint refuses to go on.
    pub fn take(&mut self, action: Action) -> Result<Vec<Happening>, RigError> {
        let mut happenings = Vec::new();
        match action {
            Action::Start { to } => self.start(to)?,
            Action::Suspend { code: code_page, stack: stack_page } => {
                let suspension = Suspension { registers: vec![], code_page, stack_page };
                self.process_host()?.suspend(suspension)?;
            }
            Action::Write(page) => self.write(page)?,
            Action::Touch(page) => self.process_host()?.fault(page)?,
            Action::Exit => self.process_host()?.exit()?,
            Action::Work(host, work) => self.host_mut(host)?.perform(work)?,
            Action::Deliver { at, kept } => self.deliver(at, kept)?,
            Action::Lose(at) | Action::Resend(at) => {
                let lost = matches!(action, Action::Lose(_));
                let message = &self.network.flights().get(at).ok_or(RigError::Nothing)?.envelope.message;
                let (kind, page) = (message.kind(), message.page());
                happenings.push(if lost {
                    Happening::Lost(kind, page)
                } else {
                    Happening::Resent(kind, page)
                });
                self.network.set_lost(at, lost);
            }
        }
        self.collect(&mut happenings);
        self.clear_up(&happenings);
        self.check_content()?;
        Ok(happenings)
    }

    /// The messages on their way.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Removes messages of connections that the model counts as closed. They change nothing when they arrive,
    /// which random runs check; a systematic search need not carry them along.
    pub fn drop_forgotten(&mut self) {
        self.network.drop_forgotten();
    }

    /// Everything that goes on by itself is over: is every page where the protocol would look for it, with the
    /// content that it would have if the process had never moved?
    ///
    /// # Errors
    /// A page that is not.
    pub fn check_end(&self) -> Result<(), RigError> {
        let resident = self.running().and_then(|host| Some((host, host.role().resident()?)));
        for (page, newest) in self.image.page_numbers().zip(&self.newest) {
            let found = match resident {
                Some((host, resident)) => self.find(host, resident, page),
                // The process has exited; what is shared must be on the file server.
                None if self.is_written_back(page) => self.stored(page),
                None => continue,
            };
            if found.as_ref() != Some(newest) {
                return Err(RigError::Content(page));
            }
        }
        let vacant = |host: &Host<FlawedMemory>| *host.role() == Role::Vacant;
        if resident.is_none() && !self.hosts.iter().all(vacant) { Err(RigError::LeftBehind) } else { Ok(()) }
    }

    fn find(&self, host: &Host<FlawedMemory>, resident: &Resident, page: PageNumber) -> Option<PageBytes> {
        match resident.pages.get(page.index())?.location {
            Location::Here => host.memory().copy_out(page).ok(),
            Location::FileServer => self.stored(page),
            Location::LocalStore => self.image.content(page).cloned(),
            Location::At(former, _) => self.host(former.host)?.memory().copy_out(page).ok(),
        }
    }

    fn stored(&self, page: PageNumber) -> Option<PageBytes> {
        self.file_server.stored(page).map(|stored| stored.content.clone())
    }

    fn is_written_back(&self, page: PageNumber) -> bool {
        let writes_back = self.migration.strategy.pre == model::strategy::Pre::WriteBack;
        writes_back && self.image.kind(page) == PageKind::FileMapped
    }

    /// Host that runs the process, if one does.
    pub(super) fn running(&self) -> Option<&Host<FlawedMemory>> {
        self.hosts.iter().find(|host| host.is_running())
    }

    pub(super) fn host(&self, id: HostId) -> Option<&Host<FlawedMemory>> {
        self.hosts.get(usize::from(id.0))
    }

    fn host_mut(&mut self, id: HostId) -> Result<&mut Host<FlawedMemory>, RigError> {
        self.hosts.get_mut(usize::from(id.0)).ok_or(RigError::Nothing)
    }

    fn process_host(&mut self) -> Result<&mut Host<FlawedMemory>, RigError> {
        self.hosts.iter_mut().find(|host| host.is_running()).ok_or(RigError::Nothing)
    }

    fn add_operator_actions(&self, host: &Host<FlawedMemory>, actions: &mut Vec<Action>) {
        let lazy = host.policy().leaves_pages_behind();
        let may_start = match host.role() {
            Role::Source(Source::Resting(resident)) => !resident.exited,
            Role::Destination(Destination::Post(post)) => lazy && !post.resident.exited,
            _ => false,
        };
        // The model has no return to a host further back than the last one.
        let last = |epoch| host.role().resident().is_some_and(|resident| resident.epoch == epoch);
        let may_take = |other: &&Host<FlawedMemory>| match other.role() {
            Role::Vacant => true,
            Role::Source(Source::Shadow(shadow)) => lazy && last(shadow.route.epoch),
            _ => false,
        };
        if may_start {
            let others = self.hosts.iter().filter(|other| other.id() != host.id()).filter(may_take);
            actions.extend(others.map(|other| Action::Start { to: other.id() }));
        }
        if host.check_suspension().is_ok() {
            let pointers = |kind| {
                let pages = self.image.page_numbers().filter(move |&page| self.image.kind(page) == kind);
                let pages = pages.filter(|_| host.policy().working_set).map(Some);
                [None].into_iter().chain(pages).collect::<Vec<_>>()
            };
            for code in pointers(PageKind::FileMapped) {
                let stacks = pointers(PageKind::Private).into_iter();
                actions.extend(stacks.map(|stack| Action::Suspend { code, stack }));
            }
        }
    }

    fn add_process_actions(&self, host: &Host<FlawedMemory>, actions: &mut Vec<Action>) {
        let Some(resident) = host.role().resident().filter(|_| host.is_running()) else { return };
        for page in self.image.page_numbers() {
            let record = &resident.pages[page.index()];
            match record.location {
                Location::Here => actions.push(Action::Write(page)),
                _ if !record.requested => actions.push(Action::Touch(page)),
                _ => {}
            }
        }
        actions.push(Action::Exit);
    }

    fn add_network_actions(&self, actions: &mut Vec<Action>) {
        for (at, flight) in self.network.flights().iter().enumerate() {
            if self.network.is_deliverable(at) {
                actions.push(Action::Deliver { at, kept: false });
            }
            if self.network.is_duplicable(at) {
                actions.push(Action::Deliver { at, kept: true });
            }
            if self.network.is_losable(at) {
                actions.push(Action::Lose(at));
            }
            if flight.fate == Fate::Lost {
                actions.push(Action::Resend(at));
            }
        }
    }

    /// Back-pressure: where nothing bounds the passes, a link takes two contents of one page at a time.
    fn is_held_up(&self, host: HostId, work: Work) -> bool {
        let Work::Copy(page) = work else { return false };
        let unbounded = self.migration.strategy.crossings_max().is_none();
        let contents = self.network.flights().iter().filter(|flight| {
            let Envelope { from, message, .. } = &flight.envelope;
            *from == host.into()
                && flight.fate == Fate::Flying
                && matches!(message, Message::Page { page: other, .. } if *other == page)
        });
        unbounded && contents.count() > 1
    }

    fn start(&mut self, to: HostId) -> Result<(), RigError> {
        let from = self.process_host()?;
        let (id, epoch) = (from.id(), from.epoch().next().ok_or(RigError::Nothing)?);
        self.host_mut(to)?.expect_migration(id, epoch)?;
        self.process_host()?.start_migration(to)?;
        Ok(())
    }

    /// Every write makes content that was nowhere before.
    fn write(&mut self, page: PageNumber) -> Result<(), RigError> {
        self.writes += 1;
        let bytes = self.writes.to_le_bytes();
        let offset = (self.writes as usize * bytes.len()) % PAGE_SIZE;
        self.process_host()?.write(page, offset as u16, &bytes)?;
        let newest = self.newest.get_mut(page.index()).ok_or(RigError::Nothing)?;
        newest.as_mut_slice()[offset..offset + bytes.len()].copy_from_slice(&bytes);
        Ok(())
    }

    fn deliver(&mut self, at: usize, kept: bool) -> Result<(), RigError> {
        let envelope = self.network.take(at, kept).ok_or(RigError::Nothing)?;
        let Some(Envelope { from, to, epoch, message }) = Flaw::heard(self.flaw, envelope) else {
            return Ok(());
        };
        match to {
            Place::FileServer => self.file_server.handle_message(from, epoch, &message)?,
            Place::Host(id) => {
                self.host_mut(id)?.handle_message(from, epoch, &message)?;
            }
        }
        Ok(())
    }

    fn collect(&mut self, happenings: &mut Vec<Happening>) {
        let Rig { hosts, file_server, network, flaw, .. } = self;
        let mut said = Vec::new();
        for host in hosts {
            let place = host.id().into();
            said.extend(std::iter::from_fn(|| host.poll_message()));
            let events = std::iter::from_fn(|| host.poll_event());
            happenings.extend(events.map(|(epoch, event)| Happening::Step { place, epoch, event }));
        }
        said.extend(std::iter::from_fn(|| file_server.poll_message()));
        let events = std::iter::from_fn(|| file_server.poll_event());
        let place = Place::FileServer;
        happenings.extend(events.map(|(epoch, event)| Happening::Step { place, epoch, event }));
        for envelope in said {
            Flaw::said(*flaw, envelope).for_each(|envelope| network.send(envelope));
        }
    }

    /// What is left to do after a step that is no endpoint's business: count, and let the network forget.
    fn clear_up(&mut self, happenings: &[Happening]) {
        for happening in happenings {
            let Happening::Step { event, .. } = happening else { continue };
            match event {
                Event::MigrationStarted { .. } if self.copies() => self.crossings.fill(0),
                Event::ProcessSuspended { .. } if !self.copies() => {
                    self.crossings.fill(0);
                    self.forget_idle_requests();
                }
                Event::PageCopied { page, .. }
                | Event::PageTransferred { page, .. }
                | Event::PageServed { page, .. }
                | Event::PagePushed { page, .. } => self.crossings[page.index()] += 1,
                Event::DestructionLearned { at_rest: true, .. } => {
                    self.crossings.fill(0);
                    self.network.close();
                }
                // The acknowledgement of a duplicate says nothing new.
                Event::WriteBackSuperseded { page, version, .. } => {
                    let (page, version) = (*page, *version);
                    let done = Message::WriteBackDone { page, version };
                    let last =
                        self.network.flights().iter().rposition(|flight| flight.envelope.message == done);
                    last.map(|at| self.network.take(at, false));
                }
                _ => {}
            }
        }
        self.drop_useless();
    }

    fn copies(&self) -> bool {
        matches!(self.migration.strategy.pre, model::strategy::Pre::Copy(_))
    }

    /// A request that the process does not wait for any more: a duplicate.
    fn forget_idle_requests(&mut self) {
        self.network.forget(|flight| matches!(flight.envelope.message, Message::Request { .. }));
    }

    /// What was lost is sent again only while it is of use: the newest content, a request that is waited for.
    fn drop_useless(&mut self) {
        let Rig { hosts, network, .. } = self;
        let waits_for = |host: &Host<FlawedMemory>, page: PageNumber| {
            let record = host.role().resident().and_then(|resident| resident.pages.get(page.index()));
            record.is_some_and(|record| record.requested)
        };
        network.drop_useless(|page| hosts.iter().any(|host| waits_for(host, page)));
    }

    /// At every moment: every page that the process can read is as it should be.
    fn check_content(&self) -> Result<(), RigError> {
        let Some(host) = self.running() else { return Ok(()) };
        let mut read = [0; PAGE_SIZE];
        for (page, newest) in self.image.page_numbers().zip(&self.newest) {
            match host.memory().read(page, 0, &mut read) {
                Ok(()) if read[..] != *newest.as_slice() => return Err(RigError::Content(page)),
                Ok(()) | Err(Fault::Missing(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }
}
