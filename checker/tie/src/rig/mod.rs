//! Real endpoints on a test rig: every step is taken when the driver says so, and can be taken in a copy.
//!
//! The rig holds hosts and a file server of the reference with real pages, the messages between them, and what a
//! process that never moved would have in its memory. It decides nothing: [`Rig::actions`] lists all that can
//! happen next, [`Rig::take`] lets one of it happen and says what the endpoints did.
//!
//! * `actions`: what can happen next;
//! * `upkeep`: what follows from a step at once, outside of the endpoints;
//! * `disruption`: what goes wrong, and what the driver tells the hosts about it;
//! * `content`: what the process sees is what it would see if it had never moved.

mod actions;
mod content;
mod disruption;
mod upkeep;

pub use actions::Action;
pub use disruption::Mending;
pub(super) use disruption::{History, Trouble};

use std::collections::BTreeSet;
use std::sync::Arc;

use model::disruption::Disruption;
use model::{Hosts, Migration};
use protocol::ensemble::{Ensemble, PlaceError};
use protocol::error::Error;
use protocol::file_server::FileServer;
use protocol::host::{Host, Suspension, Work};
use protocol::memory::Fault;
use protocol::page::{Image, PAGE_SIZE, PageBytes, PageKind};
use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use super::flaws::{Flaw, FlawedMemory};
use super::network::{RigNetwork, RigOrder};
use super::policy::{Unsupported, policy};

/// What one endpoint or link did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A further thread touched a page that is missing and waited for. Its host has not heard of it.
    Touched(PageNumber),
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
    /// Something went wrong. A crash is that of either host.
    Struck(Disruption),
    /// Something is in order again.
    Mended(Mending),
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
    ensemble: Ensemble<FlawedMemory>,
    pub(super) network: RigNetwork,
    /// The newest content of every page: the memory of a process that never moved.
    pub(super) newest: Vec<PageBytes>,
    /// How often each page went from host to host in the migration under way.
    pub(super) crossings: Vec<u64>,
    writes: u64,
    /// The pages that a further thread waits for of which its host has not heard.
    pub(super) late: BTreeSet<PageNumber>,
    pub(super) trouble: Trouble,
    /// The host that last handed the process over, as it was before: some flaws bring it back.
    before_hand_over: Option<Box<Host<FlawedMemory>>>,
    flaw: Option<Flaw>,
}

impl Rig {
    /// The process at rest on the first host, every page as loaded. `kinds` has a kind for every page.
    ///
    /// # Errors
    /// The reference does not have the algorithm.
    pub fn new(
        migration: Arc<Migration>,
        order: RigOrder,
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
        let mut ensemble = Ensemble::new(policy, Arc::clone(&image))?;
        ensemble.add_occupied(HostId(0), FlawedMemory::loaded(&image, flaw))?;
        for id in (1..count).map(HostId) {
            ensemble.add_vacant(id, FlawedMemory::vacant(kinds.len() as u64, flaw))?;
        }
        Ok(Rig {
            ensemble,
            network: RigNetwork::new(order),
            newest: image.page_numbers().filter_map(|page| image.content(page).cloned()).collect(),
            crossings: vec![0; kinds.len()],
            writes: 0,
            late: BTreeSet::new(),
            trouble: Trouble::default(),
            before_hand_over: None,
            migration,
            image,
            flaw,
        })
    }

    /// Lets an action happen, and says what the endpoints did, in order.
    ///
    /// # Errors
    /// The action is not possible, or an endpoint refuses to go on.
    pub fn take(&mut self, action: Action) -> Result<Vec<Happening>, RigError> {
        let (mut happenings, mut mended) = (Vec::new(), None);
        match action {
            Action::Start { to } => self.start(to)?,
            Action::Suspend { code: code_page, stack: stack_page } => {
                let suspension = Suspension { code_page, stack_page, ..Suspension::default() };
                self.tell(self.process_host()?, |host| host.suspend(suspension))?;
            }
            Action::Switch => {
                let suspension = Suspension { switched: true, ..Suspension::default() };
                self.tell(self.process_host()?, |host| host.suspend(suspension))?;
            }
            Action::Write(page) => self.write(page)?,
            Action::Touch(page) => self.tell(self.process_host()?, |host| host.fault(page))?,
            Action::TouchAgain(page) => {
                self.late.insert(page);
                happenings.push(Happening::Touched(page));
            }
            Action::Hear(page) => {
                self.late.remove(&page);
                self.tell(self.process_host()?, |host| host.fault(page))?;
            }
            Action::Exit => self.tell(self.process_host()?, Host::exit)?,
            Action::Work(host, work) => {
                let taken_back = matches!(self.flaw, Some(Flaw::ResumesOnSilence | Flaw::CancelsTooLate));
                if work == Work::HandOver && taken_back {
                    self.before_hand_over = self.host(host).cloned().map(Box::new);
                }
                if work == Work::Release {
                    self.note_release(host);
                }
                self.tell(host, |host| host.perform(work))?;
            }
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
            _ if self.disrupt(action, &mut happenings)? => {}
            _ => mended = self.mend(action)?,
        }
        self.collect(&mut happenings);
        self.note(&happenings);
        if mended == Some(Mending::Connection) {
            self.trouble.unheard_of = None;
        }
        let mended = mended.or_else(|| self.has_fallen_back());
        happenings.extend(mended.map(Happening::Mended));
        self.clear_up(&happenings);
        self.check_content()?;
        Ok(happenings)
    }

    /// The messages on their way.
    pub fn network(&self) -> &RigNetwork {
        &self.network
    }

    /// Removes messages of connections that the model counts as closed. They change nothing when they arrive,
    /// which random runs check; a systematic search need not carry them along.
    pub fn drop_forgotten(&mut self) {
        self.network.drop_forgotten();
    }

    /// The hosts, by number.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host<FlawedMemory>> + Clone {
        self.ensemble.hosts()
    }

    /// The file server.
    pub(super) fn file_server(&self) -> &FileServer {
        self.ensemble.file_server()
    }

    /// Host that runs the process, if one does.
    pub(super) fn running(&self) -> Option<&Host<FlawedMemory>> {
        self.hosts().find(|host| host.is_running())
    }

    pub(super) fn host(&self, id: HostId) -> Option<&Host<FlawedMemory>> {
        self.ensemble.host(id)
    }

    fn process_host(&self) -> Result<HostId, RigError> {
        self.running().map(Host::id).ok_or(RigError::Nothing)
    }

    /// Has a host do something.
    fn tell<E>(
        &mut self,
        id: HostId,
        what: impl FnOnce(&mut Host<FlawedMemory>) -> Result<(), E>,
    ) -> Result<(), RigError>
    where
        RigError: From<E>,
    {
        self.ensemble.act(id, what)?.ok_or(RigError::Nothing)
    }

    fn start(&mut self, to: HostId) -> Result<(), RigError> {
        self.ensemble.start(self.process_host()?, to)?;
        Ok(())
    }

    /// Every write makes content that was nowhere before.
    fn write(&mut self, page: PageNumber) -> Result<(), RigError> {
        self.writes += 1;
        let bytes = self.writes.to_le_bytes();
        let offset = (self.writes as usize * bytes.len()) % PAGE_SIZE;
        self.tell(self.process_host()?, |host| host.write(page, offset as u16, &bytes))?;
        let newest = self.newest.get_mut(page.index()).ok_or(RigError::Nothing)?;
        newest.as_mut_slice()[offset..offset + bytes.len()].copy_from_slice(&bytes);
        Ok(())
    }

    /// Of the pages that an aborted attempt has left on the link, one message of a page stands for all: they are
    /// ignored one like the other.
    fn deliver(&mut self, at: usize, kept: bool) -> Result<(), RigError> {
        let flight = self.network.flights().get(at).ok_or(RigError::Nothing)?;
        let stray = self.is_stray(flight).then(|| flight.envelope.message.page());
        self.hand_over(at, kept)?;
        while let Some(page) = stray {
            let mut flights = self.network.flights().iter();
            let next =
                flights.position(|other| self.is_stray(other) && other.envelope.message.page() == page);
            let Some(next) = next else { break };
            self.hand_over(next, false)?;
        }
        Ok(())
    }

    fn hand_over(&mut self, at: usize, kept: bool) -> Result<(), RigError> {
        let stray = self.network.flights().get(at).is_some_and(|flight| self.is_stray(flight));
        let mut envelope = self.network.take(at, kept).ok_or(RigError::Nothing)?;
        if let (Some(Flaw::EpochUnchecked), true, Place::Host(to)) = (self.flaw, stray, envelope.to) {
            envelope.epoch = self.host(to).map_or(envelope.epoch, Host::epoch);
        }
        if let Some(envelope) = Flaw::heard(self.flaw, envelope) {
            self.ensemble.deliver(&envelope)?;
        }
        Ok(())
    }
}

impl From<PlaceError> for RigError {
    fn from(PlaceError { error, .. }: PlaceError) -> Self {
        RigError::Endpoint(error)
    }
}
