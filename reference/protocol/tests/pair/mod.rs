//! Two hosts and a file server, and nothing between them but the test.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use protocol::ensemble::Ensemble;
use protocol::error::{Error, Misbehaviour, Refusal};
use protocol::host::{Host, MessageOutcome, Role, Suspension, Work};
use protocol::memory::PageStore;
use protocol::page::{Image, PAGE_SIZE, PageKind};
use protocol::policy::Policy;
use protocol::source::Source;
use protocol::wire::{Envelope, Message, PageRuns, Resync};
use steplog::event::Event;
use steplog::fate::Fate;
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

pub const A: HostId = HostId(0);
pub const B: HostId = HostId(1);
pub const C: HostId = HostId(2);
pub const PAGES: u64 = 4;

/// A and B with a file server, and a driver that stops wherever it is told to. A host by its name: `pair[A]`.
pub struct Pair {
    pub ensemble: Ensemble<PageStore>,
    pub in_flight: Vec<Envelope>,
}

impl Index<HostId> for Pair {
    type Output = Host<PageStore>;

    fn index(&self, id: HostId) -> &Host<PageStore> {
        self.ensemble.host(id).unwrap()
    }
}

impl IndexMut<HostId> for Pair {
    fn index_mut(&mut self, id: HostId) -> &mut Host<PageStore> {
        self.ensemble.hosts_mut().find(|host| host.id() == id).unwrap()
    }
}

impl Pair {
    /// The process is on A; pages 0 and 1 are private, 2 and 3 file-mapped; 1 and 3 are modified.
    pub fn new(policy: Policy) -> Self {
        let image = Self::image();
        let mut ensemble = Ensemble::new(policy, Arc::clone(&image)).unwrap();
        ensemble.add_occupied(A, PageStore::loaded(&image)).unwrap();
        ensemble.add_vacant(B, PageStore::vacant(PAGES)).unwrap();
        let mut pair = Self { ensemble, in_flight: Vec::new() };
        for page in [1, 3] {
            pair[A].write(PageNumber(page), 0, b"modified").unwrap();
        }
        pair
    }

    /// The program image.
    pub fn image() -> Arc<Image> {
        let kinds = [PageKind::Private, PageKind::Private, PageKind::FileMapped, PageKind::FileMapped];
        Arc::new(Image::new((1..).zip(kinds).map(|(byte, kind)| (kind, [byte; PAGE_SIZE].into()))))
    }

    pub fn started(policy: Policy) -> Self {
        let mut pair = Self::new(policy);
        pair.ensemble.start(A, B).unwrap();
        pair
    }

    /// A and B, each for itself.
    pub fn apart(mut self) -> [Host<PageStore>; 2] {
        [A, B].map(|id| self.ensemble.crash(id).unwrap())
    }

    /// A and B at once.
    pub fn both(&mut self) -> [&mut Host<PageStore>; 2] {
        let both: Vec<_> = self.ensemble.hosts_mut().collect();
        both.try_into().unwrap()
    }

    /// Takes steps, in a fixed order, until the phase is reached.
    pub fn until(mut self, reached: impl Fn(&Self) -> bool) -> Self {
        for _ in 0..200 {
            if reached(&self) {
                return self;
            }
            self.step();
        }
        panic!("phase not reached: {:?}", self.ensemble);
    }

    pub fn step(&mut self) {
        self.send_all();
        if !self.in_flight.is_empty() {
            let first = self.in_flight.remove(0);
            self.ensemble.deliver(&first).unwrap();
            return;
        }
        let worked = self.ensemble.hosts_mut().any(|host| host.perform_next().unwrap().is_some());
        if !worked && self[A].check_suspension().is_ok() {
            self[A].suspend(Suspension::default()).unwrap();
        }
    }

    /// Does this work on a host, and puts what it has to say on the way.
    pub fn perform(&mut self, host: HostId, work: Work) {
        self[host].perform(work).unwrap();
        self.send_all();
    }

    /// Puts what everybody has to say on the way.
    pub fn send_all(&mut self) {
        self.ensemble.gather();
        self.in_flight.extend(self.ensemble.take().messages);
    }

    /// Delivers the first message of this kind that is on its way, and returns it.
    pub fn deliver(&mut self, kind: MessageKind) -> Message {
        self.send_all();
        let at = self.in_flight.iter().position(|envelope| envelope.message.kind() == kind);
        let at = at.unwrap_or_else(|| panic!("no {kind:?} message on its way: {:?}", self.in_flight));
        let envelope = self.in_flight.remove(at);
        self.ensemble.deliver(&envelope).unwrap();
        self.send_all();
        envelope.message
    }

    /// The content of a page on a host.
    pub fn content(&self, host: HostId, page: PageNumber) -> Option<Vec<u8>> {
        use protocol::memory::Memory;
        self[host].memory().copy_out(page).ok().map(|content| content.as_slice().to_vec())
    }
}

impl Pair {
    /// The connection between the hosts breaks: what is on its way is lost. One end may notice before the other.
    pub fn cut(&mut self, noticed_by: &[HostId]) {
        self.send_all();
        let between_hosts = |place: Place| matches!(place, Place::Host(_));
        self.in_flight.retain(|envelope| !between_hosts(envelope.from) || !between_hosts(envelope.to));
        for &by in noticed_by {
            self.ensemble.part(by, if by == A { B.into() } else { A.into() }).unwrap();
        }
    }

    pub fn reconnect(&mut self) {
        self.ensemble.join(A.into(), B.into()).unwrap();
        self.send_all();
    }

    /// Up to where the process runs on the destination.
    pub fn moved(policy: Policy) -> Self {
        let mut pair = Self::handed_over(policy);
        pair.deliver(MessageKind::Go);
        pair
    }

    /// Up to where the source has heard that nothing is needed any more, and has not destroyed the rest.
    pub fn draining() -> Self {
        let draining = |pair: &Self| matches!(pair[A].role(), Role::Source(Source::Draining(_)));
        Self::started(Policy::TOTAL_COPY).until(draining)
    }

    /// Up to the hand-over, *go* being on its way.
    pub fn handed_over(policy: Policy) -> Self {
        let mut pair = Self::offered(policy);
        pair.deliver(MessageKind::Ready);
        pair.perform(A, Work::HandOver);
        pair
    }

    /// Up to *ready*, which is on its way.
    pub fn offered(policy: Policy) -> Self {
        let mut pair = Self::started(policy);
        pair[A].suspend(Suspension::default()).unwrap();
        pair.perform(A, Work::SendState);
        pair.deliver(MessageKind::State);
        pair.perform(B, Work::DeclareReady);
        pair
    }

    pub fn fates(&self) -> [Option<Fate>; 2] {
        [self[A].fate(), self[B].fate()]
    }

    /// Runs on until nothing happens any more.
    pub fn settle(mut self) -> Self {
        for _ in 0..200 {
            self.step();
        }
        assert!(self.in_flight.is_empty());
        self
    }
}

/// Delivers everything that the one has to say to the other, and returns it.
pub fn exchange(from: &mut Host<PageStore>, to: &mut Host<PageStore>) -> Vec<Envelope> {
    let said: Vec<_> = std::iter::from_fn(|| from.poll_message()).collect();
    let id = to.id();
    for envelope in said.iter().filter(|envelope| envelope.to == id.into()) {
        to.handle_message(envelope.from, envelope.epoch, &envelope.message).unwrap();
    }
    said
}

/// The process moves, up to where the destination has said that it is ready.
pub fn offer(from: &mut Host<PageStore>, to: &mut Host<PageStore>, epoch: u64) {
    to.expect_migration(from.id(), Epoch(epoch)).unwrap();
    from.start_migration(to.id()).unwrap();
    from.suspend(Suspension::default()).unwrap();
    while from.perform_next().unwrap().is_some() {
        exchange(from, to);
    }
    to.perform(Work::DeclareReady).unwrap();
    exchange(to, from);
}

/// The process moves.
pub fn hop(from: &mut Host<PageStore>, to: &mut Host<PageStore>, epoch: u64) {
    offer(from, to, epoch);
    from.perform(Work::HandOver).unwrap();
    exchange(from, to);
}

/// The process asks for a page, and gets it.
pub fn fetch(page: u64, by: &mut Host<PageStore>, from: &mut Host<PageStore>) {
    by.fault(PageNumber(page)).unwrap();
    exchange(by, from);
    from.perform(Work::Serve(PageNumber(page))).unwrap();
    exchange(from, by);
}

/// Takes what the host has to say out of the way.
pub fn quiet(host: &mut Host<PageStore>) {
    while host.poll_event().is_some() || host.poll_message().is_some() {}
}

/// The misbehaviour that the peer is accused of.
pub fn misbehaviour(result: Result<MessageOutcome, Error>) -> Misbehaviour {
    match result {
        Err(Error::PeerMisbehaved { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

/// What is refused.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// What the host has done, taken out of the way.
pub fn events(host: &mut Host<PageStore>) -> Vec<Event> {
    std::iter::from_fn(|| host.poll_event()).map(|(_, event)| event).collect()
}

/// What the host has to say to whom, taken out of the way.
pub fn kinds(host: &mut Host<PageStore>) -> Vec<(Place, MessageKind)> {
    std::iter::from_fn(|| host.poll_message())
        .map(|envelope| (envelope.to, envelope.message.kind()))
        .collect()
}

/// A host without a process, as the pair has them.
pub fn another(id: HostId, policy: Policy) -> Host<PageStore> {
    Host::without_process(id, policy, Pair::image()).unwrap()
}

/// Lazy copy, once moved: B starts to move the process on to C, before or after suspending it.
pub fn moving_on(suspended: bool) -> (Pair, Host<PageStore>) {
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    let mut c = another(C, Policy::LAZY_COPY);
    c.expect_migration(B, Epoch(2)).unwrap();
    pair[B].start_migration(C).unwrap();
    if suspended {
        pair[B].suspend(Suspension::default()).unwrap();
    }
    (pair, c)
}

/// What a destination says over a new connection.
pub fn resync(progress: Progress, lacks: &[u64], waits: &[u64]) -> Message {
    let pages = |pages: &[u64]| -> PageRuns { pages.iter().copied().map(PageNumber).collect() };
    Message::Resync(Resync { progress, lacks: pages(lacks), waits: pages(waits) })
}
