//! Two hosts, a file server and a process, in virtual time.

mod operator;

use std::sync::Arc;

use protocol::error::Error;
use protocol::file_server::FileServer;
use protocol::host::{Host, Work};
use protocol::memory::{Accesses, Fault, Memory};
use protocol::page::{Image, PageKind};
use protocol::wire::Envelope;
use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, Place};
use world::random::Random;

use super::costs::Costs;
use super::interface::{Interface, message_bytes};
use super::process::{Access, Process};
use super::{DESTINATION, Divergence, Outcome, SOURCE, Setup, SimulationError, Span, Workload};

/// The places, in the order of their interfaces.
const PLACES: [Place; 3] = [Place::Host(SOURCE), Place::Host(DESTINATION), Place::FileServer];

/// A byte for the process to write.
const BYTE: [u8; 1] = [1];

/// A run in progress.
pub(super) struct World<'a, M> {
    setup: &'a Setup,
    image: &'a Image,
    now_ns: u64,
    hosts: [Host<M>; 2],
    file_server: FileServer,
    interfaces: [Interface; 3],
    /// When a host can send what it has found no room for.
    room_ns: [Option<u64>; 2],
    access_ns: Option<u64>,
    process: Process,
    /// The last file-mapped and the last private page that the process touched: where its code and its stack are.
    code_and_stack: (Option<PageNumber>, Option<PageNumber>),
    /// File-mapped pages that have to be written back before the process is suspended.
    write_backs_ahead: u64,
    divergence: Option<Divergence>,
    costs: Costs,
}

/// Something that happens at a point in time. What stands first comes first among what happens at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Occurrence {
    Arrival(usize),
    Room(usize),
    Access,
}

impl<'a, M: Memory + Accesses> World<'a, M> {
    pub fn new(setup: &'a Setup, image: &'a Arc<Image>, hosts: [Host<M>; 2]) -> Self {
        let mut of_kind = image.page_numbers();
        let code = of_kind.find(|&page| image.kind(page) == PageKind::FileMapped);
        let stack = image.page_numbers().next_back().filter(|&page| image.kind(page) == PageKind::Private);
        Self {
            setup,
            image,
            now_ns: 0,
            hosts,
            file_server: FileServer::new(image),
            interfaces: PLACES.map(|_| Interface::new(setup)),
            room_ns: [None; 2],
            access_ns: None,
            process: Process::new(setup, image.page_count()),
            code_and_stack: (code, stack),
            write_backs_ahead: 0,
            divergence: None,
            costs: Costs::default(),
        }
    }

    /// Runs the migration to its end.
    pub fn run(mut self) -> Result<Outcome, SimulationError> {
        self.start()?;
        loop {
            self.settle()?;
            if self.is_over() {
                return Ok(self.outcome());
            }
            let (at_ns, occurrence) = self.next().ok_or(SimulationError::Stuck { now_ns: self.now_ns })?;
            self.now_ns = at_ns;
            match occurrence {
                Occurrence::Arrival(from) => self.arrive(from)?,
                Occurrence::Room(at) => self.room_ns[at] = None,
                Occurrence::Access => self.access()?,
            }
        }
    }

    /// The process has written what it has written; the operator starts the migration.
    fn start(&mut self) -> Result<(), SimulationError> {
        let mut random = Random::new(self.setup.seed);
        for page in self.image.page_numbers() {
            let dirty = self.setup.workload == Workload::All || self.setup.dirty_share.falls(&mut random);
            if dirty {
                self.hosts[0].write(page, 0, &BYTE)?;
                self.write_backs_ahead += u64::from(self.image.kind(page) == PageKind::FileMapped);
            }
            while self.hosts[0].poll_event().is_some() {}
        }
        self.hosts[1].expect_migration(SOURCE, Epoch(1)).map_err(at(1))?;
        self.hosts[0].start_migration(DESTINATION).map_err(at(0))?;
        self.access_ns = Some(0);
        self.collect(0)?;
        self.collect(1)
    }

    fn next(&self) -> Option<(u64, Occurrence)> {
        let mut next = self.access_ns.map(|at_ns| (at_ns, Occurrence::Access));
        let mut consider = |at_ns: Option<u64>, occurrence| {
            let Some(at_ns) = at_ns else { return };
            next = Some(next.map_or((at_ns, occurrence), |next| next.min((at_ns, occurrence))));
        };
        (0..)
            .zip(&self.interfaces)
            .for_each(|(from, each)| consider(each.arrival_ns(), Occurrence::Arrival(from)));
        (0..).zip(self.room_ns).for_each(|(at, room_ns)| consider(room_ns, Occurrence::Room(at)));
        next
    }

    /// Whether the migration and the process have come as far as they will.
    fn is_over(&self) -> bool {
        if self.divergence.is_some() {
            return true;
        }
        let settled = self.costs.at_rest_ns.is_some() || self.setup.policy.leaves_pages_behind();
        let through = self.process.waits_for.is_none() && self.process.is_through(self.setup.accesses_min);
        self.costs.resumed_ns.is_some() && settled && through
    }

    fn arrive(&mut self, from: usize) -> Result<(), SimulationError> {
        let Some(Envelope { from: sender, to, epoch, message }) = self.interfaces[from].arrive() else {
            return Ok(());
        };
        let to = index(to);
        let handled = match self.hosts.get_mut(to) {
            Some(host) => host.handle_message(sender, epoch, &message).map(|_| ()),
            None => self.file_server.handle_message(sender, epoch, &message),
        };
        handled.map_err(at(to))?;
        if matches!(message.kind(), MessageKind::Request | MessageKind::Fetch) {
            self.interfaces[to].pause(self.now_ns, self.setup.request_pause_ns);
        }
        self.collect(to)
    }

    /// The process does what it does next, until that takes time or it has to wait.
    fn access(&mut self) -> Result<(), SimulationError> {
        self.access_ns = None;
        let at = index(self.process.at.into());
        while self.hosts[at].is_running() && self.process.waits_for.is_none() {
            let Some(Access { page, writes }) = self.process.access() else { return Ok(()) };
            let done = match writes {
                true => self.hosts[at].write(page, 0, &BYTE),
                false => self.hosts[at].read(page, 0, &mut [0]),
            };
            match done {
                Ok(()) => self.accessed(page),
                Err(Fault::Missing(page)) => self.fault(at, page)?,
                Err(fault) => return Err(fault.into()),
            }
            self.collect(at)?;
            if self.access_ns.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn accessed(&mut self, page: PageNumber) {
        self.process.done();
        match self.image.kind(page) {
            PageKind::FileMapped => self.code_and_stack.0 = Some(page),
            PageKind::Private => self.code_and_stack.1 = Some(page),
        }
        if self.process.count == self.setup.accesses_min {
            self.costs.run_time_ns = Some(self.now_ns);
        }
        if self.setup.workload != Workload::All {
            self.access_ns = Some(self.now_ns.saturating_add(self.setup.access_interval_ns));
        }
    }

    fn fault(&mut self, at_host: usize, page: PageNumber) -> Result<(), SimulationError> {
        let host = &mut self.hosts[at_host];
        host.fault(page).map_err(at(at_host))?;
        self.process.waits_for = Some((page, self.now_ns)).filter(|_| !host.memory().is_present(page));
        Ok(())
    }

    /// Lets everybody do what is due and possible now.
    fn settle(&mut self) -> Result<(), SimulationError> {
        while self.operate()? || self.work(0)? || self.work(1)? {}
        Ok(())
    }

    /// A host does its most urgent work, if there is room for its page.
    fn work(&mut self, at_host: usize) -> Result<bool, SimulationError> {
        let Some(task) = self.hosts[at_host].tasks().next() else { return Ok(false) };
        if task.page_to.is_some() {
            let possible_ns = self.possible_ns(at_host, task.work);
            if possible_ns > self.now_ns {
                // What is less urgent goes through the same interface, and needs as much room or more.
                self.room_ns[at_host] = Some(possible_ns);
                return Ok(false);
            }
        }
        self.hosts[at_host].perform(task.work).map_err(at(at_host))?;
        self.collect(at_host)?;
        Ok(true)
    }

    /// When a host may send a page for this work.
    fn possible_ns(&mut self, at_host: usize, work: Work) -> u64 {
        let interface = &mut self.interfaces[at_host];
        match work {
            Work::Push(_) | Work::WriteBack(_) => interface.idle_at_ns(),
            _ => interface.room_at_ns(self.now_ns, message_bytes(MessageKind::Page, self.setup)),
        }
    }

    /// Takes what a place has to say: messages to its interface, events to the process and the accounts.
    fn collect(&mut self, place: usize) -> Result<(), SimulationError> {
        while let Some(envelope) = self.poll_message(place) {
            self.send(place, envelope);
        }
        while let Some((_, event)) = self.poll_event(place) {
            self.costs.count(self.now_ns, &event);
            self.notice(place, &event)?;
        }
        Ok(())
    }

    fn poll_message(&mut self, place: usize) -> Option<Envelope> {
        match self.hosts.get_mut(place) {
            Some(host) => host.poll_message(),
            None => self.file_server.poll_message(),
        }
    }

    fn poll_event(&mut self, place: usize) -> Option<(Epoch, Event)> {
        match self.hosts.get_mut(place) {
            Some(host) => host.poll_event(),
            None => self.file_server.poll_event(),
        }
    }

    fn send(&mut self, place: usize, envelope: Envelope) {
        let (from, to, kind) = (envelope.from, envelope.to, envelope.message.kind());
        let bytes = message_bytes(kind, self.setup);
        let has_page = matches!(kind, MessageKind::Page | MessageKind::WriteBack | MessageKind::Fetched);
        let left_ns = self.interfaces[place].send(self.now_ns, bytes, envelope);
        if kind == MessageKind::Page && self.costs.suspended_ns.is_none() {
            self.costs.copied_ns = left_ns;
        }
        self.costs.send(from, to, u64::from(has_page), bytes);
    }

    /// What an event means for the process.
    fn notice(&mut self, place: usize, event: &Event) -> Result<(), SimulationError> {
        match *event {
            Event::ProcessResumed { .. } => {
                self.process.at = DESTINATION;
                self.access_ns = Some(self.now_ns);
            }
            Event::PageInstalled { page, .. } | Event::PageFetched { page, .. } => {
                if let Some((_, since_ns)) = self.process.waits_for.take_if(|(awaited, _)| *awaited == page) {
                    self.costs.stall_ns += self.now_ns - since_ns;
                    self.access_ns = Some(self.now_ns);
                }
            }
            // The worst moment for a write is right after the page has been sent.
            Event::PageCopied { page, .. } | Event::PageWrittenBack { page, .. }
                if place == 0 && self.setup.workload == Workload::All && self.hosts[0].is_running() =>
            {
                self.hosts[0].write(page, 0, &BYTE)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn outcome(self) -> Outcome {
        let Self { setup, image, process, costs, divergence, .. } = self;
        let since = |from: Option<u64>, to: Option<u64>| match (from, to) {
            (Some(from_ns), Some(to_ns)) => Span::Ns(to_ns - from_ns),
            (Some(_), None) => Span::Endless,
            (None, _) => Span::NotReached,
        };
        let post_migration = match setup.policy.has_post_migration() {
            true => since(costs.resumed_ns, costs.at_rest_ns),
            false => since(costs.resumed_ns, costs.resumed_ns),
        };
        Outcome {
            page_count: image.page_count(),
            pre_migration: since(Some(0), costs.suspended_ns),
            copying_ns: costs.copied_ns,
            freeze: since(costs.suspended_ns, costs.resumed_ns),
            post_migration,
            accesses: process.count,
            run_time_ns: costs.run_time_ns,
            faults: costs.faults,
            stall_ns: costs.stall_ns,
            pages: costs.pages,
            passes: costs.passes,
            sent: costs.sent(),
            divergence,
        }
    }
}

fn index(place: Place) -> usize {
    match place {
        Place::Host(SOURCE) => 0,
        Place::Host(_) => 1,
        Place::FileServer => 2,
    }
}

fn at(place: usize) -> impl Fn(Error) -> SimulationError {
    move |error| SimulationError::Endpoint { place: PLACES[place], error }
}
