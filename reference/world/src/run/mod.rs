//! A run of the world: a driver for the endpoints.

mod disrupt;
mod disruption;
mod end;
mod operator;
mod oracle;
mod process;
mod scenario;
mod schedule;
#[cfg(test)]
mod seeded;
mod statistics;

pub use disruption::{Disrupted, Disruption, DisruptionKind, Injected, Moment, Scheduled};
pub use oracle::{Discrepancy, Oracle};
pub use scenario::{Ending, Scenario};
pub use statistics::{Migration, migrations};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use protocol::ensemble::{Ensemble, PlaceError, Said};
use protocol::host::{Host, Work};
use protocol::memory::{Fault, Memory, PageStore};
use protocol::page::Image;
use protocol::policy::Contradiction;
use protocol::wire::{self, Channel, DecodeError, EncodeError, Envelope, Frame, Message};
use steplog::event::{Event, Step};
use steplog::page::PageNumber;
use steplog::place::{HostId, Place};

use crate::net::SimulatedNetwork;
use crate::random::Random;
use crate::workload::ACCESS_LEN;
use disrupt::Trouble;
use process::Process;
use schedule::{Occurrence, Schedule};

/// Threads of a process whose threads are woken in a step of its own.
const THREADS: usize = 4;

/// Within what time the fault of a further thread is heard, and within what time whoever waits for a page is woken when that is
/// there.
const HEARD_WITHIN_NS: u64 = 1_000_000;

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When the last thing happened.
    pub elapsed_ns: u64,
    /// Every step of every endpoint.
    pub log: Vec<Step>,
    /// What each migration cost.
    pub migrations: Vec<Migration>,
    /// Bytes handed to each link, retransmissions of the link not counted.
    pub bytes_sent: BTreeMap<(Place, Place), u64>,
    /// Whether a crash has taken the process.
    pub lost: bool,
    /// How often each kind of disruption had an effect.
    pub injected: Injected,
}

/// Why a run did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// The process did not see what it should.
    #[error(transparent)]
    Discrepancy(#[from] Discrepancy),
    /// An endpoint refused what the protocol has it do.
    #[error(transparent)]
    Endpoint(#[from] PlaceError),
    /// The process accessed something that is not there.
    #[error("the process faulted: {0}")]
    Fault(#[from] Fault),
    /// A message cannot be put into a frame.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A frame arrived changed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Nothing happens any more, and the process has not got where it was going.
    #[error("nothing happens any more, with {hops_left} hops to go and {waits_for:?} awaited")]
    Stuck {
        /// Migrations not done.
        hops_left: usize,
        /// Page that the process waits for.
        waits_for: Option<PageNumber>,
    },
    /// It goes on and on.
    #[error("no end after {0} steps")]
    Endless(usize),
    /// The process has exited, but something of it is left on this host.
    #[error("something of the process is left on {0}")]
    NotCleanedUp(HostId),
    /// The algorithm is none.
    #[error(transparent)]
    Unsupported(#[from] Contradiction),
}

/// A run in progress.
pub struct World {
    scenario: Scenario,
    image: Arc<Image>,
    ensemble: Ensemble<PageStore>,
    network: SimulatedNetwork,
    schedule: Schedule,
    process: Process,
    oracle: Oracle,
    log: Vec<Step>,
    /// The hosts where the process is still to go.
    hops: VecDeque<HostId>,
    /// Where a migration has been started to, while the process has not resumed.
    underway: Option<HostId>,
    exited: bool,
    /// Every host of the route, those included that are down.
    all_hosts: Vec<HostId>,
    trouble: Trouble,
    steps_max: usize,
    occurrences: usize,
    /// When faults are heard and threads woken.
    delays: Random,
    /// The pages that are there, and of which nobody is woken yet who waits for them.
    asleep: BTreeSet<PageNumber>,
}

impl World {
    /// The world before anything has happened, in which nothing will go wrong.
    pub fn new(scenario: &Scenario) -> Result<Self, WorldError> {
        Self::disrupted(&Disrupted::from(scenario.clone()))
    }

    /// The world before anything has happened.
    pub fn disrupted(disrupted: &Disrupted) -> Result<Self, WorldError> {
        let Disrupted { scenario, disruptions, limits, timeouts } = disrupted;
        let Scenario { layout, workload, registers_len, seed, .. } = *scenario;
        let image = Arc::new(layout.image(seed));
        let mut hops: VecDeque<_> = scenario.route.iter().copied().collect();
        let first = hops.pop_front().unwrap_or(HostId(0));
        let mut ensemble = Ensemble::new(scenario.policy.clone(), Arc::clone(&image))?;
        ensemble.configure(*limits, *timeouts);
        ensemble.add_occupied(first, PageStore::loaded(&image))?;
        for &id in scenario.route.iter().filter(|id| **id != first) {
            ensemble.add_vacant(id, PageStore::vacant(image.page_count()))?;
        }
        let accesses = workload.accesses(image.page_count(), seed);
        let threads = if scenario.policy.wakes_apart() { THREADS } else { 1 };
        let mut process = Process::new(first, threads, layout.initial_writes(seed), accesses, registers_len);
        process.count_max = process.initial_len() + scenario.accesses_per_stay;
        let all_hosts = ensemble.hosts().map(Host::id).collect();
        let mut world = Self {
            scenario: scenario.clone(),
            ensemble,
            network: SimulatedNetwork::new(scenario.link, seed),
            schedule: Schedule::starting_with(Occurrence::Access),
            process,
            oracle: Oracle::new(&image),
            log: Vec::new(),
            hops,
            underway: None,
            exited: false,
            image,
            all_hosts,
            trouble: Trouble::default(),
            steps_max: usize::MAX,
            occurrences: 0,
            delays: Random::new(seed),
            asleep: BTreeSet::new(),
        };
        world.expect_trouble(disruptions);
        Ok(world)
    }

    /// Runs a scenario to its end, and checks what is left then.
    pub fn run(scenario: &Scenario) -> Result<Report, WorldError> {
        let mut world = Self::new(scenario)?;
        world.finish()?;
        Ok(world.report())
    }

    /// What has come of the run so far.
    pub fn report(self) -> Report {
        let Trouble { lost, injected, .. } = self.trouble;
        Report {
            elapsed_ns: self.schedule.now_ns(),
            migrations: migrations(&self.log),
            log: self.log,
            bytes_sent: self.network.bytes_sent().clone(),
            lost,
            injected,
        }
    }

    /// Lets everything happen until nothing is left to happen, and checks what is left then.
    pub fn finish(&mut self) -> Result<(), WorldError> {
        while self.step()? {}
        self.check_end()
    }

    /// As [`finish`](Self::finish), but a run that takes more steps than this has no end.
    pub fn finish_within(&mut self, steps_max: usize) -> Result<(), WorldError> {
        self.steps_max = steps_max;
        self.finish()
    }

    /// Lets the next thing happen, and what follows from it at once; false when nothing is left to happen.
    pub fn step(&mut self) -> Result<bool, WorldError> {
        self.occurrences += 1;
        if self.log.len().max(self.occurrences) > self.steps_max {
            return Err(WorldError::Endless(self.steps_max));
        }
        let Some(occurrence) = self.schedule.next() else { return Ok(false) };
        match occurrence {
            Occurrence::Access => self.access()?,
            Occurrence::Fault(page) => self.hear_fault(page)?,
            Occurrence::Wake(page) => _ = self.asleep.remove(&page),
            Occurrence::Room(place) => self.schedule.room_has_come(place),
            Occurrence::Arrival { from, to, connection, frame } => {
                if self.network.connection(from, to) == connection {
                    self.arrive(from, to, &frame)?;
                }
            }
            Occurrence::Disruption(disruption) => self.disrupt(disruption)?,
            Occurrence::Notice { by, of, connection } => self.notice_loss(by, of, connection)?,
            Occurrence::Join(a, b) => self.join(a, b)?,
            Occurrence::Return(id) => self.return_from_the_dead(id)?,
            Occurrence::Tick(id) => {
                self.schedule.ticks(id);
                self.ensemble.tick(id, self.schedule.now_ns())?;
            }
        }
        self.settle()?;
        self.check_one_runner()?;
        self.wind_clocks();
        Ok(true)
    }

    /// A host of the world.
    pub fn host(&self, id: HostId) -> Option<&Host<PageStore>> {
        self.ensemble.host(id)
    }

    /// Whether the process has exited.
    pub fn exited(&self) -> bool {
        self.exited
    }

    /// Everything that has happened.
    pub fn log(&self) -> &[Step] {
        &self.log
    }

    fn arrive(&mut self, from: Place, to: Place, frame: &[u8]) -> Result<(), WorldError> {
        let (frame, _) = wire::decode(frame)?;
        let Frame { epoch, message } = frame;
        // Whoever is told need not know over which connection it came.
        let channel = Channel::Main;
        self.ensemble.deliver(&Envelope { from, to, channel, epoch, message })?;
        Ok(())
    }

    /// The process does its next access, or faults and waits.
    fn access(&mut self) -> Result<(), WorldError> {
        let Self { process, oracle, ensemble, .. } = self;
        let at = process.at;
        if !ensemble.host(at).is_some_and(Host::is_running) {
            return Ok(());
        }
        let Some(access) = process.access() else { return Ok(()) };
        let (page, offset) = (access.page, access.offset);
        let mut read = [0; ACCESS_LEN];
        let done = ensemble.act(at, |host| match access.write {
            Some(bytes) => host.write(page, offset, &bytes),
            None => host.read(page, offset, &mut read),
        });
        let mut next_ns = 0;
        match done {
            Ok(_) => {
                match access.write {
                    Some(bytes) => oracle.write(page, offset, bytes),
                    None => oracle.check_read(&access, read)?,
                }
                process.done(page, &self.image);
                next_ns = self.scenario.workload.interval_ns;
            }
            Err(Fault::Missing(page)) => {
                let resident = ensemble.host(at).and_then(|host| host.role().resident());
                if resident.is_some_and(|resident| resident.waits.contains(page)) {
                    process.sleep(page, false);
                    let delay_ns = self.delays.below(HEARD_WITHIN_NS);
                    self.schedule.after(delay_ns, Occurrence::Fault(page));
                } else {
                    ensemble.tell(at, |host| host.fault(page))?;
                    if !ensemble.host(at).is_some_and(|host| host.memory().is_present(page)) {
                        process.sleep(page, true);
                    }
                }
            }
            Err(fault) => return Err(fault.into()),
        }
        self.schedule.after(next_ns, Occurrence::Access);
        Ok(())
    }

    /// The host hears a fault, if the process has not exited or died.
    fn hear_fault(&mut self, page: PageNumber) -> Result<(), WorldError> {
        let at = self.process.at;
        let runs = self.ensemble.host(at).is_some_and(Host::is_running);
        if runs && self.process.hear(page) {
            self.ensemble.tell(at, |host| host.fault(page))?;
        }
        Ok(())
    }

    /// Lets everybody do what is due and possible at this moment.
    fn settle(&mut self) -> Result<(), WorldError> {
        self.collect()?;
        self.disrupt_if_due()?;
        loop {
            let mut progress = self.operate()?;
            self.collect()?;
            self.disrupt_if_due()?;
            let ids: Vec<_> = self.ensemble.hosts().map(Host::id).collect();
            for id in ids {
                while self.work(id)? {
                    if self.log.len() > self.steps_max {
                        return Err(WorldError::Endless(self.steps_max));
                    }
                    progress = true;
                    self.collect()?;
                    self.disrupt_if_due()?;
                }
            }
            if !progress {
                return Ok(());
            }
        }
    }

    /// Does the most urgent work of a host whose page, if any, has room on its link.
    fn work(&mut self, id: HostId) -> Result<bool, WorldError> {
        let Self { ensemble, network, schedule, asleep, .. } = self;
        let Some(host) = ensemble.host(id) else { return Ok(false) };
        let now_ns = schedule.now_ns();
        let mut busy_until_ns = BTreeMap::new();
        let possible = host.tasks().find(|task| {
            if matches!(task.work, Work::Wake(page) if asleep.contains(&page)) {
                return false;
            }
            let Some(to) = task.page_to else { return true };
            let over = (to, task.channel);
            if busy_until_ns.contains_key(&over) {
                return false;
            }
            let room_at_ns = network.room_at_ns(id.into(), over, now_ns);
            if room_at_ns > now_ns {
                busy_until_ns.insert(over, room_at_ns);
            }
            room_at_ns <= now_ns
        });
        let Some(task) = possible else {
            if let Some(&at_ns) = busy_until_ns.values().min() {
                schedule.when_room_comes(id.into(), at_ns);
            }
            return Ok(false);
        };
        let refuses = matches!(task.work, Work::DeclareReady | Work::Resume) && self.takes_refusal();
        self.ensemble.tell(id, |host| if refuses { host.refuse() } else { host.perform(task.work) })?;
        Ok(true)
    }

    /// Sees to it that every host that waits for a peer looks at the clock in time.
    fn wind_clocks(&mut self) {
        for host in self.ensemble.hosts() {
            if let Some(at_ns) = host.next_timeout() {
                self.schedule.tick_at(host.id(), at_ns);
            }
        }
    }

    /// Takes what the endpoints have to say: messages to the network, events to the log and to the process.
    fn collect(&mut self) -> Result<(), WorldError> {
        let Self { ensemble, network, schedule, log, .. } = self;
        let at_ns = schedule.now_ns();
        let first_new = log.len();
        let Said { messages, steps } = ensemble.take();
        log.extend(steps.into_iter().map(|(place, epoch, event)| Step { at_ns, place, epoch, event }));
        for envelope in messages {
            let (from, to) = (envelope.from, envelope.to);
            let frame = wire::encode(envelope.epoch, &envelope.message)?;
            let waits = envelope.message == Message::Complete;
            for delivery in network.send(from, (to, envelope.channel), at_ns, frame, waits) {
                let connection = network.connection(from, to);
                schedule
                    .at(delivery.at_ns, Occurrence::Arrival { from, to, connection, frame: delivery.frame });
            }
        }
        for at in first_new..self.log.len() {
            self.notice(at)?;
        }
        Ok(())
    }

    /// What an event means for the process.
    fn notice(&mut self, at: usize) -> Result<(), WorldError> {
        let Step { place, event, .. } = &self.log[at];
        let Place::Host(id) = *place else { return Ok(()) };
        match event {
            Event::ProcessResumed { .. } => {
                let resident = self.ensemble.host(id).and_then(|host| host.role().resident());
                if !resident.is_some_and(|resident| self.process.can_resume_with(&resident.registers)) {
                    return Err(Discrepancy::Registers.into());
                }
                // Where nobody says *go* it may outlive the host that it came from.
                self.trouble.lost &= self.scenario.policy.hand_over.says_ready();
                self.process.at = id;
                self.process.count_max = self.process.count + self.scenario.accesses_per_stay;
                self.underway = None;
                let dead = self.dead_former_hosts(id);
                dead.into_iter().try_for_each(|dead| self.ensemble.fence(id, dead))?;
                self.schedule.after(0, Occurrence::Access);
            }
            Event::PageInstalled { page, .. }
            | Event::PageFetched { page, .. }
            | Event::PageFellBack { page, version: None }
                if self.process.at == id =>
            {
                let page = *page;
                if self.scenario.policy.wakes_apart() {
                    self.asleep.insert(page);
                    self.schedule.after(self.delays.below(HEARD_WITHIN_NS), Occurrence::Wake(page));
                } else {
                    self.wake(page);
                }
            }
            Event::ThreadsWoken { page } | Event::FaultHeard { page, woken: true } => self.wake(*page),
            _ => {
                let event = event.clone();
                self.notice_trouble(id, &event)?;
            }
        }
        Ok(())
    }

    /// Threads that wait for this page go on.
    fn wake(&mut self, page: PageNumber) {
        if self.process.wake(page) {
            self.schedule.after(0, Occurrence::Access);
        }
    }
}
