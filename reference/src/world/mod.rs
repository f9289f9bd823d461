//! Hosts, a file server and a process over the simulated network: a driver for the endpoints.
//!
//! A [`Scenario`] says who moves where, by which algorithm, over which links, while the process does what. A
//! [`World`] runs it in virtual time, writes the step log, and has every read of the process and the final content
//! of every page checked against what a process that never moved would see.

mod oracle;
mod process;
mod schedule;
mod statistics;

pub use oracle::{Discrepancy, Oracle};
pub use statistics::{Migration, migrations};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::destination::Destination;
use crate::error::Error;
use crate::event::{Event, Step};
use crate::file_server::FileServer;
use crate::host::{Host, Location, Role};
use crate::memory::{Fault, Memory, PageStore};
use crate::net::{LinkConfig, Network};
use crate::page::{Image, PageBytes, PageNumber};
use crate::place::{Epoch, HostId, Place};
use crate::policy::{Contradiction, Passes, Policy, Pre};
use crate::source::Source;
use crate::wire::{self, DecodeError, EncodeError};
use crate::workload::{ACCESS_LEN, Layout, Workload};
use process::Process;
use schedule::{Occurrence, Schedule};

/// A run: who moves where, how, while doing what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// The algorithm.
    pub policy: Policy,
    /// The address space.
    pub layout: Layout,
    /// What the process does.
    pub workload: Workload,
    /// The links between all places.
    pub link: LinkConfig,
    /// The hosts in the order in which the process runs on them, the first included.
    pub route: Vec<HostId>,
    /// Accesses on each host before the process moves on. It may do as many again while the migration is on its way.
    pub accesses_per_stay: u64,
    /// Bytes of registers.
    pub registers_len: usize,
    /// How it ends.
    pub ending: Ending,
    /// Seed of everything that is left to chance.
    pub seed: u64,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// When nothing happens any more: the process idles on the last host.
    Idle,
    /// The process exits on the last host, as soon as its accesses there are done.
    Exit,
}

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
}

/// Why a run did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// The process did not see what it should.
    #[error(transparent)]
    Discrepancy(#[from] Discrepancy),
    /// An endpoint refused what the protocol has it do.
    #[error("{place}: {error}")]
    Endpoint {
        /// Which one.
        place: Place,
        /// What it said.
        error: Error,
    },
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
    hosts: BTreeMap<HostId, Host<PageStore>>,
    file_server: FileServer,
    network: Network,
    schedule: Schedule,
    process: Process,
    oracle: Oracle,
    log: Vec<Step>,
    /// The hosts where the process is still to go.
    hops: std::vec::IntoIter<HostId>,
    /// Whether a migration has been started and the process has not resumed.
    underway: bool,
    exited: bool,
}

impl World {
    /// The world before anything has happened.
    pub fn new(scenario: &Scenario) -> Result<Self, WorldError> {
        let Scenario { layout, workload, registers_len, seed, .. } = *scenario;
        let image = Arc::new(layout.image(seed));
        let mut hops = scenario.route.clone().into_iter();
        let first = hops.next().unwrap_or(HostId(0));
        let mut hosts = BTreeMap::new();
        for &id in scenario.route.iter().chain([&first]) {
            let (policy, image) = (scenario.policy.clone(), Arc::clone(&image));
            let host = match id == first {
                true => Host::with_process(id, policy, image)?,
                false => Host::without_process(id, policy, image)?,
            };
            hosts.insert(id, host);
        }
        let accesses = workload.accesses(image.page_count(), seed);
        let mut process = Process::new(first, layout.initial_writes(seed), accesses, registers_len);
        process.count_max = process.initial_len() + scenario.accesses_per_stay;
        Ok(Self {
            scenario: scenario.clone(),
            hosts,
            file_server: FileServer::new(&image),
            network: Network::new(scenario.link, seed),
            schedule: Schedule::starting_with(Occurrence::Access),
            process,
            oracle: Oracle::new(&image),
            log: Vec::new(),
            hops,
            underway: false,
            exited: false,
            image,
        })
    }

    /// Runs a scenario to its end, and checks what is left then.
    pub fn run(scenario: &Scenario) -> Result<Report, WorldError> {
        let mut world = Self::new(scenario)?;
        world.finish()?;
        let migrations = migrations(&world.log);
        let bytes_sent = world.network.bytes_sent().clone();
        Ok(Report { elapsed_ns: world.schedule.now_ns(), log: world.log, migrations, bytes_sent })
    }

    /// Lets everything happen until nothing is left to happen, and checks what is left then.
    pub fn finish(&mut self) -> Result<(), WorldError> {
        while self.step()? {}
        self.check_end()
    }

    /// Lets the next thing happen, and what follows from it at once; false when nothing is left to happen.
    pub fn step(&mut self) -> Result<bool, WorldError> {
        let Some(occurrence) = self.schedule.next() else { return Ok(false) };
        match occurrence {
            Occurrence::Access => self.access()?,
            Occurrence::Room(place) => self.schedule.room_has_come(place),
            Occurrence::Arrival { from, to, frame } => self.arrive(from, to, &frame)?,
        }
        self.settle()?;
        Ok(true)
    }

    /// A host of the world.
    pub fn host(&self, id: HostId) -> Option<&Host<PageStore>> {
        self.hosts.get(&id)
    }

    /// Everything that has happened.
    pub fn log(&self) -> &[Step] {
        &self.log
    }

    fn arrive(&mut self, from: Place, to: Place, frame: &[u8]) -> Result<(), WorldError> {
        let (frame, _) = wire::decode(frame)?;
        let handled = match to {
            Place::FileServer => self.file_server.handle_message(from, frame.epoch, &frame.message),
            Place::Host(id) => match self.hosts.get_mut(&id) {
                Some(host) => host.handle_message(from, frame.epoch, &frame.message).map(|_| ()),
                None => Ok(()),
            },
        };
        handled.map_err(|error| WorldError::Endpoint { place: to, error })
    }

    /// The process does its next access, or faults and waits.
    fn access(&mut self) -> Result<(), WorldError> {
        let Self { process, oracle, .. } = self;
        let Some(host) = self.hosts.get_mut(&process.at).filter(|host| host.is_running()) else {
            return Ok(());
        };
        let Some(access) = process.access().filter(|_| process.waits_for.is_none()) else { return Ok(()) };
        let (page, offset) = (access.page, access.offset);
        let mut read = [0; ACCESS_LEN];
        let done = match access.write {
            Some(bytes) => host.write(page, offset, &bytes),
            None => host.read(page, offset, &mut read),
        };
        let mut next_ns = 0;
        match done {
            Ok(()) => {
                match access.write {
                    Some(bytes) => oracle.write(page, offset, bytes),
                    None => oracle.check_read(&access, read)?,
                }
                process.done(page, &self.image);
                next_ns = self.scenario.workload.interval_ns;
            }
            Err(Fault::Missing(page)) => {
                let place = process.at.into();
                host.fault(page).map_err(|error| WorldError::Endpoint { place, error })?;
                process.waits_for = Some(page).filter(|&page| !host.memory().is_present(page));
            }
            Err(fault) => return Err(fault.into()),
        }
        self.schedule.after(next_ns, Occurrence::Access);
        Ok(())
    }

    /// Lets everybody do what is due and possible at this moment.
    fn settle(&mut self) -> Result<(), WorldError> {
        self.collect()?;
        loop {
            let mut progress = self.operate()?;
            self.collect()?;
            let ids: Vec<_> = self.hosts.keys().copied().collect();
            for id in ids {
                while self.work(id)? {
                    progress = true;
                    self.collect()?;
                }
            }
            if !progress {
                return Ok(());
            }
        }
    }

    /// The operator: tells the hosts to migrate and suspends the process as soon as that makes sense.
    fn operate(&mut self) -> Result<bool, WorldError> {
        let at = self.process.at;
        let Some(host) = self.hosts.get(&at).filter(|host| host.is_running()) else { return Ok(false) };
        if self.underway {
            return self.suspend(at);
        }
        let idle = self.process.count >= self.process.count_max;
        let at_rest = match host.role() {
            Role::Source(Source::Resting(_)) => true,
            Role::Destination(Destination::Post(_)) => {
                self.scenario.policy.leaves_pages_behind() && self.process.waits_for.is_none()
            }
            _ => false,
        };
        let fails = |error| WorldError::Endpoint { place: at.into(), error };
        if !idle || !at_rest && self.hops.len() > 0 {
            return Ok(false);
        }
        let Some(to) = self.hops.next() else {
            let exits = self.scenario.ending == Ending::Exit;
            if let (true, Some(host)) = (exits, self.hosts.get_mut(&at)) {
                host.exit().map_err(fails)?;
                self.exited = true;
            }
            return Ok(exits);
        };
        let epoch = host.epoch().next().unwrap_or(Epoch(u64::MAX));
        if let Some(destination) = self.hosts.get_mut(&to) {
            destination.expect_migration(at, epoch).map_err(fails)?;
        }
        // The log has the steps in the order in which they happen.
        self.collect()?;
        if let Some(source) = self.hosts.get_mut(&at) {
            source.start_migration(to).map_err(fails)?;
        }
        self.underway = true;
        self.process.count_max += self.scenario.accesses_per_stay;
        self.schedule.after(0, Occurrence::Access);
        Ok(true)
    }

    /// Suspends when the source allows it and another pass would not follow.
    fn suspend(&mut self, at: HostId) -> Result<bool, WorldError> {
        let Some(host) = self.hosts.get_mut(&at) else { return Ok(false) };
        let passes_left = match (self.scenario.policy.pre, host.role()) {
            (Pre::Copy(Passes::AtMost(passes)), Role::Source(Source::PreMigration(pre))) => {
                pre.pass.as_ref().is_some_and(|pass| pass.number < passes)
                    && host.tasks().any(|task| task.work == crate::host::Work::BeginPass)
            }
            _ => false,
        };
        if passes_left || host.check_suspension().is_err() {
            return Ok(false);
        }
        let suspension = self.process.suspension();
        host.suspend(suspension).map_err(|error| WorldError::Endpoint { place: at.into(), error })?;
        Ok(true)
    }

    /// Does the most urgent work of a host whose page, if any, has room on its link.
    fn work(&mut self, id: HostId) -> Result<bool, WorldError> {
        let Self { hosts, network, schedule, .. } = self;
        let Some(host) = hosts.get_mut(&id) else { return Ok(false) };
        let now_ns = schedule.now_ns();
        let mut busy_until_ns = BTreeMap::new();
        let possible = host.tasks().find(|task| {
            let Some(to) = task.page_to else { return true };
            if busy_until_ns.contains_key(&to) {
                return false;
            }
            let room_at_ns = network.room_at_ns(id.into(), to, now_ns);
            if room_at_ns > now_ns {
                busy_until_ns.insert(to, room_at_ns);
            }
            room_at_ns <= now_ns
        });
        let Some(task) = possible else {
            if let Some(&at_ns) = busy_until_ns.values().min() {
                schedule.when_room_comes(id.into(), at_ns);
            }
            return Ok(false);
        };
        host.perform(task.work).map_err(|error| WorldError::Endpoint { place: id.into(), error })?;
        Ok(true)
    }

    /// Takes what the endpoints have to say: messages to the network, events to the log and to the process.
    fn collect(&mut self) -> Result<(), WorldError> {
        let Self { hosts, file_server, network, schedule, log, .. } = self;
        let at_ns = schedule.now_ns();
        let first_new = log.len();
        let mut envelopes = Vec::new();
        for (&id, host) in hosts.iter_mut() {
            envelopes.extend(std::iter::from_fn(|| host.poll_message()));
            let steps = std::iter::from_fn(|| host.poll_event());
            log.extend(steps.map(|(epoch, event)| Step { at_ns, place: id.into(), epoch, event }));
        }
        envelopes.extend(std::iter::from_fn(|| file_server.poll_message()));
        let steps = std::iter::from_fn(|| file_server.poll_event());
        log.extend(steps.map(|(epoch, event)| Step { at_ns, place: Place::FileServer, epoch, event }));
        for envelope in envelopes {
            let (from, to) = (envelope.from, envelope.to);
            let frame = wire::encode(envelope.epoch, &envelope.message)?;
            for delivery in network.send(from, to, at_ns, frame) {
                schedule.at(delivery.at_ns, Occurrence::Arrival { from, to, frame: delivery.frame });
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
                let resident = self.hosts.get(&id).and_then(|host| host.role().resident());
                if !resident.is_some_and(|resident| self.process.can_resume_with(&resident.registers)) {
                    return Err(Discrepancy::Registers.into());
                }
                self.process.at = id;
                self.process.count_max = self.process.count + self.scenario.accesses_per_stay;
                self.underway = false;
                self.schedule.after(0, Occurrence::Access);
            }
            Event::PageInstalled { page, .. } | Event::PageFetched { page, .. }
                if self.process.at == id && self.process.waits_for == Some(*page) =>
            {
                self.process.waits_for = None;
                self.schedule.after(0, Occurrence::Access);
            }
            _ => {}
        }
        Ok(())
    }

    /// Nothing happens any more. Is everything where and what it should be?
    fn check_end(&self) -> Result<(), WorldError> {
        let (hops_left, waits_for) = (self.hops.len() + usize::from(self.underway), self.process.waits_for);
        if hops_left > 0 || waits_for.is_some() {
            return Err(WorldError::Stuck { hops_left, waits_for });
        }
        if self.exited { self.check_clean() } else { self.check_content() }
    }

    /// After exit: no host holds anything, and the file server has every write to a file-mapped page, if it is to.
    fn check_clean(&self) -> Result<(), WorldError> {
        for (&id, host) in &self.hosts {
            let page_left = self.image.page_numbers().any(|page| host.memory().is_present(page));
            if page_left || *host.role() != Role::Vacant {
                return Err(WorldError::NotCleanedUp(id));
            }
        }
        let mapped = |page: &PageNumber| self.image.kind(*page) == crate::page::PageKind::FileMapped;
        for page in self.image.page_numbers().filter(mapped).filter(|_| self.scenario.policy.writes_back()) {
            let stored = self.file_server.stored(page).ok_or(Discrepancy::Lost(page))?;
            self.oracle.check_content(page, &stored.content)?;
        }
        Ok(())
    }

    /// Without exit: every page has, where the protocol would look for it, the content it should have.
    fn check_content(&self) -> Result<(), WorldError> {
        for page in self.image.page_numbers() {
            let content = self.content(page).ok_or(Discrepancy::Lost(page))?;
            self.oracle.check_content(page, &content)?;
        }
        Ok(())
    }

    fn content(&self, page: PageNumber) -> Option<PageBytes> {
        let host = self.hosts.get(&self.process.at)?;
        match host.role().resident()?.pages.get(page.index())?.location {
            Location::Here => host.memory().copy_out(page).ok(),
            Location::FileServer => self.file_server.stored(page).map(|stored| stored.content.clone()),
            Location::LocalStore => self.image.content(page).cloned(),
            Location::At(former, _) => {
                let keeper = self.hosts.get(&former.host)?;
                let Role::Source(Source::Shadow(shadow)) = keeper.role() else { return None };
                shadow.owed.contains(page).then(|| keeper.memory().copy_out(page).ok())?
            }
        }
    }
}
