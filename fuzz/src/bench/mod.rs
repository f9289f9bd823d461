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
use protocol::ensemble::{Ensemble, PlaceError, Said};
use protocol::error::{Error, Refusal};
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
    ensemble: Ensemble<FlawedMemory>,
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
        let ensemble = || {
            let mut ensemble = Ensemble::new(policy.clone(), Arc::clone(&image))?;
            ensemble.configure(HostLimits::default(), trouble::timeouts());
            ensemble.add_occupied(FIRST, FlawedMemory::loaded(&image, flaw))?;
            for id in (0..HOSTS).map(HostId).filter(|id| *id != FIRST) {
                ensemble.add_vacant(id, FlawedMemory::vacant(image.page_count(), flaw))?;
            }
            Ok(ensemble)
        };
        Ok(Self {
            ensemble: ensemble().map_err(|error: Contradiction| FuzzFinding(error.to_string()))?,
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

    /// The hosts that are up, by number.
    pub fn hosts(&self) -> impl Iterator<Item = &Host<FlawedMemory>> + Clone {
        self.ensemble.hosts()
    }

    /// A host that is up.
    pub fn host(&self, id: HostId) -> Option<&Host<FlawedMemory>> {
        self.ensemble.host(id)
    }

    /// How many messages are still to be [collected](Self::collect).
    pub fn uncollected(&self) -> usize {
        self.ensemble.said().messages.len()
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
                self.running().map_or(Ok(()), |id| self.tell(id, "exit", Host::exit))?;
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
            envelope.epoch = self.host(to).map_or(envelope.epoch, Host::epoch);
        }
        envelope
    }

    /// Has the receiver handle a message. `None` stands for the file server, which ignores nothing, and for nobody.
    pub fn handle(&mut self, envelope: &Envelope) -> Result<Option<MessageOutcome>, PlaceError> {
        self.ensemble.deliver(envelope)
    }

    /// Takes what the endpoints say to the network, unless it is said in vain, and what they did to account.
    pub fn collect(&mut self) -> Result<(), FuzzFinding> {
        let Said { messages, steps } = self.ensemble.take();
        self.send(messages);
        // Whoever is told of something in consequence takes a step as well.
        let done = steps.is_empty();
        for (place, epoch, event) in steps {
            if let Place::Host(id) = place {
                self.notice(id, epoch, event)?;
            }
        }
        if done { Ok(()) } else { self.collect() }
    }

    fn send(&mut self, said: impl IntoIterator<Item = Envelope>) {
        let Self { flights, flaw, troubles, .. } = self;
        for mut envelope in said {
            if troubles.are_apart(envelope.from, envelope.to) {
                continue;
            }
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
        let tasks = self.hosts().flat_map(|host| due(host).into_iter().map(|work| (host.id(), work)));
        let tasks: Vec<_> = tasks.collect();
        let Some(&(id, work)) = tasks.get(usize::from(which) % tasks.len().max(1)) else { return Ok(()) };
        if work == Work::HandOver && matches!(self.flaw, Some(Flaw::ResumesOnSilence | Flaw::CancelsTooLate))
        {
            self.troubles.before_hand_over = self.host(id).cloned().map(Box::new);
        }
        self.tell(id, &format!("{work:?} is due"), |host| host.perform(work))
    }

    fn access(&mut self, page: u8, write: bool) -> Result<(), FuzzFinding> {
        let page = PageNumber(u64::from(page) % self.page_count());
        let Some(id) = self.running() else { return Ok(()) };
        self.writes += u64::from(write);
        let written = self.writes.to_le_bytes();
        let done = self.ensemble.act(id, |host| match write {
            true => host.write(page, 8, &written),
            false => host.read(page, 0, &mut [0]),
        });
        match done {
            Ok(_) if write => {
                let bytes = self.newest[page.index()].as_mut_slice();
                bytes[8..16].copy_from_slice(&written);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(Fault::Missing(_)) => {
                let resident = self.host(id).and_then(|host| host.role().resident());
                match resident.is_some_and(|resident| resident.pages[page.index()].requested) {
                    true => Ok(()),
                    false => self.tell(id, &format!("fault on {page}"), |host| host.fault(page)),
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
        let Some(from) = self.hosts().find(may_leave).map(Host::id) else { return Ok(()) };
        match self.ensemble.start(from, to) {
            Ok(_) => Ok(()),
            // Where the process is not expected, nothing has happened yet.
            Err(PlaceError { place, .. }) if place == to.into() && to != from => Ok(()),
            Err(PlaceError {
                error:
                    Error::Refused(
                        Refusal::NoSuchMigration | Refusal::TooManyFormerHosts | Refusal::OutOfReach(_),
                    ),
                ..
            }) => Ok(()),
            Err(error) => Err(finding("start", &error)),
        }
    }

    fn suspend(&mut self, code: u8, stack: u8) -> Result<(), FuzzFinding> {
        let page = |number: u8| Some(PageNumber(u64::from(number) % self.page_count()));
        let suspension = Suspension {
            registers: self.writes.to_le_bytes().to_vec(),
            code_page: page(code),
            stack_page: page(stack),
            switched: false,
        };
        let host = self.hosts().find(|host| host.check_suspension().is_ok()).map(Host::id);
        host.map_or(Ok(()), |id| self.tell(id, "suspension", |host| host.suspend(suspension)))
    }

    /// Where the process runs, if anywhere.
    fn running(&self) -> Option<HostId> {
        self.hosts().find(|host| host.is_running()).map(Host::id)
    }

    /// Has a host do something that it must not refuse.
    fn tell(
        &mut self,
        id: HostId,
        what: &str,
        does: impl FnOnce(&mut Host<FlawedMemory>) -> Result<(), Error>,
    ) -> Result<(), FuzzFinding> {
        self.ensemble.tell(id, does).map_err(|error| finding(what, &error))
    }
}

fn finding(what: &str, error: &dyn std::fmt::Display) -> FuzzFinding {
    FuzzFinding(format!("{what}: {error}"))
}
