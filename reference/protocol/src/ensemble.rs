//! Hosts by number and their file server, with all that a driver does to more than one of them.
//!
//! A driver keeps a queue of messages, a clock and an oracle. Everything else is here, once: a migration is started by
//! telling the destination, the former hosts and the source; a message is handed to whom it is for; a machine dies, and its
//! successor is fenced; connections break and come back. Whatever is done, [`take`](Ensemble::take) gives what came of it,
//! in the order in which it happened.

use std::collections::VecDeque;
use std::sync::Arc;

use steplog::event::Event;
use steplog::place::{Epoch, HostId, Place};

use crate::error::{Error, Refusal};
use crate::file_server::FileServer;
use crate::host::{Host, HostLimits, MessageOutcome, Timeouts};
use crate::memory::Memory;
use crate::page::Image;
use crate::policy::{Contradiction, Policy, Start};
use crate::wire::Envelope;

/// Hosts of one process, and their file server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble<M> {
    policy: Policy,
    image: Arc<Image>,
    limits: HostLimits,
    timeouts: Timeouts,
    /// The machines that are up, by number: a few, of which a driver asks at every step.
    hosts: Vec<Host<M>>,
    file_server: FileServer,
    said: Said,
}

/// What came of something, in the order in which it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The messages to be carried.
    pub messages: VecDeque<Envelope>,
    /// The steps that were taken, by whom and in which migration.
    pub steps: VecDeque<(Place, Epoch, Event)>,
}

impl Said {
    fn hear<M: Memory>(&mut self, host: &mut Host<M>) {
        let place = host.id().into();
        while let Some(message) = host.poll_message() {
            self.messages.push_back(message);
        }
        while let Some((epoch, event)) = host.poll_event() {
            self.steps.push_back((place, epoch, event));
        }
    }
}

/// A place did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {error}")]
pub struct PlaceError {
    /// Which one.
    pub place: Place,
    /// Why not.
    pub error: Error,
}

impl<M: Memory> Ensemble<M> {
    /// A file server, and no host yet.
    pub fn new(policy: Policy, image: Arc<Image>) -> Result<Self, Contradiction> {
        policy.check()?;
        let file_server = FileServer::new(&image);
        let (limits, timeouts) = (HostLimits::default(), Timeouts::default());
        let hosts = Vec::new();
        Ok(Self { policy, image, limits, timeouts, hosts, file_server, said: Said::default() })
    }

    /// Sets how much each host takes on and how long it waits, also those that are still to come.
    pub fn configure(&mut self, limits: HostLimits, timeouts: Timeouts) {
        (self.limits, self.timeouts) = (limits, timeouts);
        self.hosts.iter_mut().for_each(|host| host.configure(limits, timeouts));
    }

    /// A machine on which the process has just been started.
    pub fn add_occupied(&mut self, id: HostId, memory: M) -> Result<(), Contradiction> {
        self.add(Host::occupied(id, self.policy.clone(), Arc::clone(&self.image), memory)?);
        Ok(())
    }

    /// A machine without a process.
    pub fn add_vacant(&mut self, id: HostId, memory: M) -> Result<(), Contradiction> {
        self.add(Host::vacant(id, self.policy.clone(), Arc::clone(&self.image), memory)?);
        Ok(())
    }

    fn add(&mut self, mut host: Host<M>) {
        host.configure(self.limits, self.timeouts);
        self.restore(host);
    }

    /// A machine that is up.
    pub fn host(&self, id: HostId) -> Option<&Host<M>> {
        self.hosts.iter().find(|host| host.id() == id)
    }

    /// The machines that are up, by number.
    pub fn hosts(&self) -> impl Iterator<Item = &Host<M>> + Clone {
        self.hosts.iter()
    }

    /// The machines that are up, to be acted on one by one: what comes of it is theirs until it is [gathered](Self::gather).
    pub fn hosts_mut(&mut self) -> impl Iterator<Item = &mut Host<M>> {
        self.hosts.iter_mut()
    }

    /// The file server.
    pub fn file_server(&self) -> &FileServer {
        &self.file_server
    }

    /// Has a host do something; nothing happens where the machine is down.
    pub fn act<T, E>(
        &mut self,
        id: HostId,
        what: impl FnOnce(&mut Host<M>) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let Some(host) = self.hosts.iter_mut().find(|host| host.id() == id) else { return Ok(None) };
        let done = what(host);
        self.said.hear(host);
        done.map(Some)
    }

    /// Takes up what came of acting on machines one by one.
    pub fn gather(&mut self) {
        self.hosts.iter_mut().for_each(|host| self.said.hear(host));
    }

    /// As [`act`](Self::act), where a refusal is to name the place.
    pub fn tell(
        &mut self,
        id: HostId,
        what: impl FnOnce(&mut Host<M>) -> Result<(), Error>,
    ) -> Result<(), PlaceError> {
        self.act(id, what).map(drop).map_err(|error| PlaceError { place: id.into(), error })
    }

    /// What was said and done since it was last taken.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// Takes what was said and done since this was last asked.
    pub fn take(&mut self) -> Said {
        std::mem::take(&mut self.said)
    }

    /// The next message of those that [`take`](Self::take) would give.
    pub fn poll_message(&mut self) -> Option<Envelope> {
        self.said.messages.pop_front()
    }

    /// The next step of those that [`take`](Self::take) would give.
    pub fn poll_step(&mut self) -> Option<(Place, Epoch, Event)> {
        self.said.steps.pop_front()
    }

    /// The operator moves the process: tells the destination, then the former hosts, then the source; or, where migrations are
    /// announced, the source alone. An error has changed nothing.
    pub fn start(&mut self, from: HostId, to: HostId) -> Result<Epoch, PlaceError> {
        let refused = |place: HostId, error| PlaceError { place: place.into(), error };
        let source = self.host(from).ok_or(refused(from, Refusal::OutOfReach(from).into()))?;
        let epoch = source.check_start(to).map_err(|refusal| refused(from, refusal.into()))?;
        if self.host(to).is_none() {
            return Err(refused(to, Refusal::OutOfReach(to).into()));
        }
        if self.policy.start == Start::Announced {
            self.tell(from, |host| host.announce_migration(to).map(drop))?;
            return Ok(epoch);
        }
        self.tell(to, |host| host.expect_migration(from, epoch))?;
        self.hosts.iter_mut().for_each(|host| host.process_moves_on(to, epoch));
        self.tell(from, |host| host.start_migration(to).map(drop))?;
        Ok(epoch)
    }

    /// A message arrives. `None` where nobody is there to hear it, and from the file server, which ignores nothing.
    pub fn deliver(&mut self, envelope: &Envelope) -> Result<Option<MessageOutcome>, PlaceError> {
        let Envelope { from, to, epoch, message, .. } = envelope;
        let handled = match *to {
            Place::Host(id) => self.act(id, |host| host.handle_message(*from, *epoch, message)),
            Place::FileServer => {
                let stored = self.file_server.handle_message(*from, *epoch, message);
                let Self { file_server, said, .. } = self;
                said.messages.extend(std::iter::from_fn(|| file_server.poll_message()));
                let steps = std::iter::from_fn(|| file_server.poll_event());
                said.steps.extend(steps.map(|(epoch, event)| (Place::FileServer, epoch, event)));
                stored.map(|()| None)
            }
        };
        handled.map_err(|error| PlaceError { place: *to, error })
    }

    /// A host notices that the connection to a place is gone.
    pub fn part(&mut self, by: HostId, of: Place) -> Result<(), PlaceError> {
        self.tell(by, |host| host.disconnected(of))
    }

    /// There is a new connection between two places. Both hear of it, the first in order first, before anything is said
    /// over it.
    pub fn join(&mut self, a: Place, b: Place) -> Result<(), PlaceError> {
        for (of, with) in [(a.min(b), a.max(b)), (a.max(b), a.min(b))] {
            if let Place::Host(id) = of {
                self.tell(id, |host| host.connected(with))?;
            }
        }
        Ok(())
    }

    /// A machine dies, with everything on it. What it was, for those who have to say what is lost.
    pub fn crash(&mut self, id: HostId) -> Option<Host<M>> {
        let at = self.hosts.iter().position(|host| host.id() == id)?;
        Some(self.hosts.remove(at))
    }

    /// A machine is again as it was: for drivers that want to see such an error noticed.
    pub fn restore(&mut self, host: Host<M>) {
        let at = self.hosts.partition_point(|other| other.id() < host.id());
        match self.hosts.get_mut(at) {
            Some(other) if other.id() == host.id() => *other = host,
            _ => self.hosts.insert(at, host),
        }
    }

    /// The file server has lost what it held: likewise.
    pub fn forget_stored(&mut self) {
        self.file_server = FileServer::new(&self.image);
    }

    /// The machine that died is replaced by one that has nothing. To those in `told` this is reliable word that it was dead;
    /// those in `joined` see nothing but a new connection.
    pub fn replace(
        &mut self,
        id: HostId,
        memory: M,
        told: &[HostId],
        joined: &[HostId],
    ) -> Result<(), PlaceError> {
        let others: Vec<HostId> = self.hosts.iter().map(Host::id).filter(|other| *other != id).collect();
        for other in others {
            if told.contains(&other) {
                self.fence(other, id)?;
            } else if joined.contains(&other) {
                self.tell(other, |host| host.connected(id))?;
            }
        }
        let unsupported =
            |contradiction: Contradiction| PlaceError { place: id.into(), error: contradiction.into() };
        self.add_vacant(id, memory).map_err(unsupported)
    }

    /// A host hears that a machine was dead.
    pub fn fence(&mut self, told: HostId, dead: HostId) -> Result<(), PlaceError> {
        self.tell(told, |host| host.fenced(dead))
    }

    /// Time goes on for a host.
    pub fn tick(&mut self, id: HostId, now_ns: u64) -> Result<(), PlaceError> {
        self.tell(id, |host| host.tick(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use steplog::fate::{Cause, Fate};
    use steplog::message::MessageKind;

    use super::*;
    use crate::host::{Role, Suspension, Work};
    use crate::memory::Elided;

    const A: HostId = HostId(0);
    const B: HostId = HostId(1);
    const C: HostId = HostId(2);
    const PAGES: u64 = 2;

    fn ensemble(policy: Policy) -> Ensemble<Elided> {
        let mut ensemble = Ensemble::new(policy, Arc::new(Image::blank(PAGES, 0))).unwrap();
        ensemble.add_occupied(A, Elided::loaded(PAGES)).unwrap();
        ensemble.add_vacant(B, Elided::vacant(PAGES)).unwrap();
        ensemble.add_vacant(C, Elided::vacant(PAGES)).unwrap();
        ensemble
    }

    /// Everybody does what is due, and hears what is said, until nothing is left.
    fn settle(ensemble: &mut Ensemble<Elided>) {
        loop {
            for message in ensemble.take().messages {
                ensemble.deliver(&message).unwrap();
            }
            let ids: Vec<_> = ensemble.hosts().map(Host::id).collect();
            let worked = |id| ensemble.act(id, Host::perform_next).unwrap().flatten().is_some();
            if !ids.into_iter().any(worked) && ensemble.said.messages.is_empty() {
                return;
            }
        }
    }

    fn move_to(ensemble: &mut Ensemble<Elided>, from: HostId, to: HostId) {
        ensemble.start(from, to).unwrap();
        ensemble.act(from, |host| host.suspend(Suspension::default())).unwrap();
        settle(ensemble);
    }

    #[test]
    fn the_destination_hears_first_that_a_migration_starts() {
        let mut ensemble = ensemble(Policy::POST_COPY);
        assert_eq!(ensemble.start(A, B), Ok(Epoch(1)));
        let steps = ensemble.take().steps;
        let expected = [
            (B.into(), Epoch(1), Event::MigrationExpected { from: A }),
            (A.into(), Epoch(1), Event::MigrationStarted { to: B }),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_migration_that_cannot_start_changes_nobody() {
        let mut ensemble = ensemble(Policy::POST_COPY);
        ensemble.crash(C).unwrap();
        let before = ensemble.clone();
        for (from, to, place) in [(B, A, B), (A, A, A), (A, C, C), (C, A, C)] {
            assert_eq!(ensemble.start(from, to).map_err(|error| error.place), Err(place.into()));
            assert_eq!(ensemble, before, "{from} to {to}");
        }
    }

    /// A page that was left behind at A is asked for by C, of which A has only been told.
    #[test]
    fn former_hosts_hear_where_the_process_goes() {
        let mut ensemble = ensemble(Policy::LAZY_COPY);
        move_to(&mut ensemble, A, B);
        move_to(&mut ensemble, B, C);
        ensemble.act(C, |host| host.fault(steplog::page::PageNumber(0))).unwrap();
        settle(&mut ensemble);
        let resident = ensemble.host(C).unwrap().role().resident().unwrap();
        assert!(resident.waits.is_empty());
        assert_eq!(resident.owed.len() as u64, PAGES - 1);
    }

    #[test]
    fn a_machine_is_replaced_by_one_that_has_nothing() {
        let mut ensemble = ensemble(Policy::POST_COPY);
        ensemble.start(A, B).unwrap();
        assert!(ensemble.crash(B).is_some() && ensemble.crash(B).is_none());
        assert_eq!(ensemble.act(B, |host| host.refuse()), Ok(None));
        ensemble.replace(B, Elided::vacant(PAGES), &[A], &[C]).unwrap();
        assert_eq!(*ensemble.host(B).unwrap().role(), Role::Vacant);
        assert_eq!(ensemble.host(A).unwrap().fate(), Some(Fate::CarriedOn(Cause::PeerDead)));
        let steps = ensemble.take().steps;
        let connected = Event::PeerConnected { peer: B.into(), resync: None };
        assert!(steps.contains(&(C.into(), Epoch(0), connected)), "{steps:?}");
    }

    #[test]
    fn a_connection_that_is_back_is_known_at_both_ends_and_the_destination_speaks() {
        let mut ensemble = ensemble(Policy::POST_COPY);
        ensemble.start(A, B).unwrap();
        ensemble.act(A, |host| host.suspend(Suspension::default())).unwrap();
        ensemble.act(A, |host| host.perform(Work::SendState)).unwrap();
        for message in ensemble.take().messages {
            ensemble.deliver(&message).unwrap();
        }
        ensemble.act(B, |host| host.perform(Work::DeclareReady)).unwrap();
        let ready = ensemble.poll_message().unwrap();
        ensemble.deliver(&ready).unwrap();
        ensemble.act(A, |host| host.perform(Work::HandOver)).unwrap();
        ensemble.take();
        ensemble.part(A, B.into()).unwrap();
        ensemble.part(B, A.into()).unwrap();
        assert!(ensemble.take().messages.is_empty());
        ensemble.join(B.into(), A.into()).unwrap();
        let kinds: Vec<_> = ensemble.take().messages.iter().map(|said| said.message.kind()).collect();
        assert_eq!(kinds, [MessageKind::Resync]);
    }
}
