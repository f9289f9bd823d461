//! A small world in which one thing happens at a time: three hosts, a file server, the messages between them, and one
//! process. Unlike the checker's rig it knows nothing of the model, and its links keep back nothing: any message may
//! overtake any other, and arrive any number of times. Anything may go wrong at any time, any number of times.

mod aftermath;
mod content;
mod setup;
mod trouble;

pub use setup::{BenchOrder, BenchSetup};
pub use trouble::Trouble;

use std::collections::BTreeMap;
use std::sync::Arc;

use arbitrary::Arbitrary;
use protocol::destination::Destination;
use protocol::error::{Error, Refusal};
use protocol::file_server::FileServer;
use protocol::host::{Host, HostLimits, MessageOutcome, Role, Suspension, Work};
use protocol::memory::Fault;
use protocol::page::{Image, PageBytes};
use protocol::policy::{Contradiction, Policy};
use protocol::source::Source;
use protocol::wire::{Envelope, Message};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};
use tie::flaws::{Flaw, FlawedMemory};

use crate::FuzzFinding;
use trouble::Troubles;

/// Hosts of the world.
pub const HOSTS: u16 = 3;

/// Where the process is started.
const FIRST: HostId = HostId(0);

/// Duplicates around at a time.
const DUPLICATES_MAX: usize = 8;

/// Something that happens. Numbers pick one of those that there are; what is not possible does not happen.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchStep {
    /// A message arrives, and perhaps once more later.
    Deliver {
        /// Which.
        which: u8,
        /// Does a duplicate stay on its way?
        twice: bool,
    },
    /// A host does something that is due.
    Work(u8),
    /// The process reads a page, or takes a fault on it.
    Read(u8),
    /// The process writes to a page, or takes a fault on it.
    Write(u8),
    /// The operator starts a migration to this host.
    Start(u8),
    /// The operator suspends the process, which executes and pushes on these pages.
    Suspend {
        /// Under the instruction pointer.
        code: u8,
        /// Under the stack pointer.
        stack: u8,
    },
    /// The process exits.
    Exit,
}

/// A world in progress.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The hosts, by number.
    pub hosts: Vec<Host<FlawedMemory>>,
    /// The file server.
    pub file_server: FileServer,
    /// The messages on their way, in the order in which they were sent.
    pub flights: Vec<Envelope>,
    /// How often each page went from host to host in each migration.
    pub crossings: BTreeMap<(Epoch, HostId, PageNumber), u64>,
    /// New connections over which it was said what is lacking: in which migration, and to whom.
    recoveries: Vec<(Epoch, HostId)>,
    policy: Policy,
    image: Arc<Image>,
    order: BenchOrder,
    flaw: Option<Flaw>,
    /// The memory of a process that never moved.
    newest: Vec<PageBytes>,
    writes: u64,
    duplicates: usize,
    /// Of the process that is suspended or was last, unless the attempt to move it was called off.
    registers: Option<Vec<u8>>,
    troubles: Troubles,
    /// What a host has said that cannot be.
    wrong: Option<FuzzFinding>,
}

impl Bench {
    /// The process at rest on the first host. A flaw shows that what it breaks is noticed.
    pub fn new(setup: BenchSetup, flaw: Option<Flaw>) -> Result<Self, FuzzFinding> {
        let (policy, image) = (setup.policy(), setup.image());
        let host = |id| {
            let (id, policy, image) = (HostId(id), policy.clone(), Arc::clone(&image));
            let page_count = image.page_count();
            let mut host = match id {
                FIRST => {
                    let memory = FlawedMemory::loaded(&image, flaw);
                    Host::occupied(id, policy, image, memory)
                }
                _ => Host::vacant(id, policy, image, FlawedMemory::vacant(page_count, flaw)),
            }?;
            host.configure(HostLimits::default(), trouble::timeouts());
            Ok(host)
        };
        let hosts = (0..HOSTS).map(host).collect::<Result<_, Contradiction>>();
        Ok(Self {
            hosts: hosts.map_err(|error| FuzzFinding(error.to_string()))?,
            file_server: FileServer::new(&image),
            flights: Vec::new(),
            crossings: BTreeMap::new(),
            recoveries: Vec::new(),
            order: setup.order,
            flaw,
            newest: image.page_numbers().filter_map(|page| image.content(page).cloned()).collect(),
            writes: 0,
            duplicates: 0,
            registers: None,
            troubles: Troubles::none(FIRST),
            wrong: None,
            policy,
            image,
        })
    }

    /// The algorithm.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Number of pages of the process.
    pub fn page_count(&self) -> u64 {
        self.image.page_count()
    }

    /// Lets something happen, other than the arrival of a message.
    pub fn take(&mut self, step: BenchStep) -> Result<(), FuzzFinding> {
        match step {
            BenchStep::Deliver { .. } => {}
            BenchStep::Work(which) => self.work(which)?,
            BenchStep::Read(page) => self.access(page, false)?,
            BenchStep::Write(page) => self.access(page, true)?,
            BenchStep::Start(to) => self.start(HostId(u16::from(to) % HOSTS))?,
            BenchStep::Suspend { code, stack } => self.suspend(code, stack)?,
            BenchStep::Exit => {
                let host = self.hosts.iter_mut().find(|host| host.is_running());
                host.map_or(Ok(()), |host| host.exit().map_err(|error| finding("exit", &error)))?;
            }
        }
        self.collect()
    }

    /// Takes a message out of the network, to be handled.
    pub fn arrival(&mut self, which: u8, twice: bool) -> Option<Envelope> {
        let deliverable: Vec<usize> = (0..self.flights.len()).filter(|at| self.is_in_turn(*at)).collect();
        let at = *deliverable.get(usize::from(which) % deliverable.len().max(1))?;
        let envelope = self.flights.remove(at);
        if twice && self.order == BenchOrder::Duplicating && self.duplicates < DUPLICATES_MAX {
            self.duplicates += 1;
            self.flights.push(envelope.clone());
        }
        Flaw::heard(self.flaw, self.taken_for_current(envelope))
    }

    /// With this flaw a page of an attempt that was called off counts for the next.
    fn taken_for_current(&self, mut envelope: Envelope) -> Envelope {
        let stray = matches!(envelope.message, Message::Page { .. })
            && self.troubles.called_off.contains(&envelope.epoch);
        if let (Some(Flaw::EpochUnchecked), true, Place::Host(to)) = (self.flaw, stray, envelope.to) {
            envelope.epoch = self.hosts.get(usize::from(to.0)).map_or(envelope.epoch, Host::epoch);
        }
        envelope
    }

    /// Has the receiver handle a message. `None` stands for the file server, which ignores nothing.
    pub fn handle(&mut self, envelope: &Envelope) -> Result<Option<MessageOutcome>, Error> {
        let Envelope { from, to, epoch, message } = envelope;
        match to {
            Place::FileServer => self.file_server.handle_message(*from, *epoch, message).map(|()| None),
            Place::Host(id) => match self.hosts.get_mut(usize::from(id.0)) {
                Some(host) => host.handle_message(*from, *epoch, message).map(Some),
                None => Ok(None),
            },
        }
    }

    /// Takes what the endpoints say to the network, unless it is said in vain, and what they did to account.
    pub fn collect(&mut self) -> Result<(), FuzzFinding> {
        let mut events = Vec::new();
        for host in &mut self.hosts {
            let id = host.id();
            events.extend(std::iter::from_fn(|| host.poll_event()).map(|(epoch, event)| (id, epoch, event)));
        }
        while self.file_server.poll_event().is_some() {}
        self.send();
        // Whoever is told of something in consequence takes a step as well.
        let done = events.is_empty();
        events.into_iter().try_for_each(|(id, epoch, event)| self.notice(id, epoch, event))?;
        if done { Ok(()) } else { self.collect() }
    }

    fn send(&mut self) {
        let Self { hosts, file_server, flights, flaw, troubles, .. } = self;
        let mut said: Vec<_> =
            hosts.iter_mut().flat_map(|host| std::iter::from_fn(|| host.poll_message())).collect();
        said.extend(std::iter::from_fn(|| file_server.poll_message()));
        said.retain(|envelope| !troubles.are_apart(envelope.from, envelope.to));
        for mut envelope in said {
            if !troubles.called_off.is_empty() {
                Flaw::retried(*flaw, &mut envelope);
            }
            flights.extend(Flaw::said(*flaw, envelope));
        }
    }

    fn is_in_turn(&self, at: usize) -> bool {
        let link = |envelope: &Envelope| (envelope.from, envelope.to);
        self.order != BenchOrder::Fifo
            || self.flights[..at].iter().all(|earlier| link(earlier) != link(&self.flights[at]))
    }

    /// What is due can be done.
    fn work(&mut self, which: u8) -> Result<(), FuzzFinding> {
        let due = |host: &Host<FlawedMemory>| host.tasks().map(|task| task.work).collect::<Vec<_>>();
        let tasks: Vec<_> = (0..)
            .zip(&self.hosts)
            .flat_map(|(at, host)| due(host).into_iter().map(move |work| (at, work)))
            .collect();
        let Some(&(at, work)) = tasks.get(usize::from(which) % tasks.len().max(1)) else { return Ok(()) };
        let host: &mut Host<_> = &mut self.hosts[at];
        if work == Work::HandOver && matches!(self.flaw, Some(Flaw::ResumesOnSilence | Flaw::CancelsTooLate))
        {
            self.troubles.before_hand_over = Some(Box::new(host.clone()));
        }
        host.perform(work).map_err(|error| finding(&format!("{work:?} is due"), &error))
    }

    fn access(&mut self, page: u8, write: bool) -> Result<(), FuzzFinding> {
        let page = PageNumber(u64::from(page) % self.page_count());
        let Some(host) = self.hosts.iter_mut().find(|host| host.is_running()) else { return Ok(()) };
        let done = match write {
            true => {
                self.writes += 1;
                host.write(page, 8, &self.writes.to_le_bytes())
            }
            false => host.read(page, 0, &mut [0]),
        };
        match done {
            Ok(()) if write => {
                let bytes = self.newest[page.index()].as_mut_slice();
                bytes[8..16].copy_from_slice(&self.writes.to_le_bytes());
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(Fault::Missing(_)) => {
                let waits = |resident: &protocol::host::Resident| resident.pages[page.index()].requested;
                match host.role().resident().is_some_and(waits) {
                    true => Ok(()),
                    false => host.fault(page).map_err(|error| finding(&format!("fault on {page}"), &error)),
                }
            }
            Err(fault) => Err(finding("access of a process that runs", &fault)),
        }
    }

    /// The operator never gives orders that contradict what the hosts say about themselves.
    fn start(&mut self, to: HostId) -> Result<(), FuzzFinding> {
        let lazy = self.policy.leaves_pages_behind();
        let may_leave = |host: &&Host<FlawedMemory>| match host.role() {
            Role::Source(Source::Resting(resident)) => !resident.exited,
            Role::Destination(Destination::Post(post)) => lazy && !post.resident.exited,
            _ => false,
        };
        let Some(from) = self.hosts.iter().find(may_leave).map(Host::id) else { return Ok(()) };
        let at = usize::from(from.0);
        let mut leaving = self.hosts[at].clone();
        let epoch = match leaving.start_migration(to) {
            Ok(epoch) => epoch,
            Err(Error::Refused(
                Refusal::NoSuchMigration | Refusal::TooManyFormerHosts | Refusal::OutOfReach(_),
            )) => return Ok(()),
            Err(error) => return Err(finding("start", &error)),
        };
        // Where the process is not expected, nothing has happened yet.
        if self.troubles.is_alive(to) && self.hosts[usize::from(to.0)].expect_migration(from, epoch).is_ok() {
            self.hosts[at] = leaving;
            self.hosts.iter_mut().for_each(|host| host.process_moves_on(to, epoch));
        }
        Ok(())
    }

    fn suspend(&mut self, code: u8, stack: u8) -> Result<(), FuzzFinding> {
        let page = |number: u8| Some(PageNumber(u64::from(number) % self.page_count()));
        let suspension = Suspension {
            registers: self.writes.to_le_bytes().to_vec(),
            code_page: page(code),
            stack_page: page(stack),
        };
        let host = self.hosts.iter_mut().find(|host| host.check_suspension().is_ok());
        host.map_or(Ok(()), |host| host.suspend(suspension).map_err(|error| finding("suspension", &error)))
    }
}

fn finding(what: &str, error: &dyn std::fmt::Display) -> FuzzFinding {
    FuzzFinding(format!("{what}: {error}"))
}
