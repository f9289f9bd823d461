//! How a driver comes to be: where the subject is, or where it is to come.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Poll, Registry, Waker};
use protocol::error::Error;
use protocol::host::{Host, HostLimits, Timeouts};
use protocol::policy::{Channels, HandOver, Policy, Start};
use steplog::place::{HostId, Place};

use super::peers::Peers;
use super::{Driver, Handle, SUBJECT, WAKER};
use crate::aside::{Hello, Proposal, Purpose, SessionId, StoreRequest, Welcome};
use crate::dial::{DialError, GreetingConnection};
use crate::key::Trust;
use crate::layout::AddressSpaceLayout;
use crate::recorder::{Outgoing, SharedLog, StepRecorder, Unrecorded};
use crate::status::{SharedStatus, Status};
use crate::subject::{Alarm, Built, Shared, Subject, SubjectError, SubjectInventory};

/// What a driver has to know of the place where it works.
#[derive(Clone, Default)]
pub struct DriverSetup {
    /// The number of this host in the session.
    pub id: HostId,
    /// Where the hosts of the session can be called, in the order of their numbers.
    pub roster: Vec<Option<String>>,
    /// Where this host can be called, if it can.
    pub address: Option<String>,
    /// The PID of the subject, if it is a process.
    pub pid: Option<u32>,
    /// Where the file server can be called, if there is one.
    pub store: Option<String>,
    /// Who may speak with whom.
    pub trust: Trust,
    /// How much the endpoint takes on.
    pub limits: HostLimits,
    /// How long the endpoint waits.
    pub timeouts: Timeouts,
    /// Whether what the algorithm does between migrations is done before the first one too.
    pub at_rest: bool,
    /// A log that all places write to, for tests in one process.
    pub log: Option<SharedLog>,
}

/// Why a driver did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum DriverSetupError {
    /// The system has no room.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The subject cannot be moved or built.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The pages cannot be.
    #[error(transparent)]
    Layout(#[from] crate::layout::LayoutError),
    /// The endpoint refuses.
    #[error(transparent)]
    Endpoint(#[from] Error),
    /// The algorithm is none.
    #[error(transparent)]
    Policy(#[from] protocol::policy::Contradiction),
    /// The process of a real system is given up once, and not taken back.
    #[error("{0}: this driver hands processes over by \"ready-go\" alone")]
    HandOver(String),
    /// Whoever asks for a process to be moved has the destination called at once.
    #[error("{0}: this driver starts migrations \"at-once\" alone")]
    Start(String),
    /// What a real process has written to is known only as long as its source lives.
    #[error("{0}: this driver has fallback = \"none\" alone")]
    Fallback(String),
    /// Two hosts have one connection.
    #[error("{0}: this driver has channels = \"one\" alone")]
    Channels(String),
    /// The kernel wakes whoever waits for a page in the call that installs it.
    #[error("{0}: this driver has wake = \"with-page\" alone")]
    Wake(String),
    /// The file server is needed.
    #[error("{0} needs a file server (--store), and none is known")]
    NoStore(String),
    /// Whoever called is gone.
    #[error(transparent)]
    Dial(#[from] DialError),
}

/// Somebody who calls to bring a process.
pub struct IncomingCall {
    /// Its connection, unanswered.
    pub connection: GreetingConnection,
    /// Who it is.
    pub hello: Hello,
    /// What it brings.
    pub proposal: Proposal,
}

struct Wiring {
    poll: Poll,
    peers: Peers,
    commands: std::sync::mpsc::Receiver<super::DriverCommand>,
    handle: Handle,
}

impl Driver {
    /// Drives a subject that runs here and can be moved from now on.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn at_source(
        session: SessionId,
        mut subject: Box<dyn Subject>,
        policy: Policy,
        setup: DriverSetup,
    ) -> Result<Self, DriverSetupError> {
        let SubjectInventory { subject: kind, layout, build } = match subject.inquiry()? {
            Some(_) if !(setup.at_rest && policy.writes_back()) => SubjectInventory::unknown(),
            _ => subject.inventory(&policy)?,
        };
        if kind != SubjectInventory::unknown().subject {
            layout.check()?;
            check_choices(&policy, &layout, &setup)?;
        }
        let subject = Shared::new(subject);
        let mut host = Host::occupied(setup.id, policy.clone(), layout.blank_image(), subject.clone())?;
        host.configure(setup.limits, setup.timeouts);
        let wiring = wire(session, &subject, &policy, &layout, setup.pid)?;
        Ok(Self::new(session, host, subject, (kind, layout, build), setup, wiring))
    }

    /// Drives a subject that is to come, and lets it come: the caller is answered.
    ///
    /// # Errors
    /// It cannot come here; the connection, if the caller has not been answered.
    pub fn at_destination(
        arrival: IncomingCall,
        built: Built,
        setup: DriverSetup,
    ) -> Result<Self, (Option<GreetingConnection>, DriverSetupError)> {
        let IncomingCall { mut connection, hello, proposal } = arrival;
        let lacking = built.lacking.clone();
        let mut driver = match Self::expecting(&hello, proposal, built, setup) {
            Ok(driver) => driver,
            Err(error) => return Err((Some(connection), error)),
        };
        let welcome = Welcome { host: driver.setup.id, lacking, steps_seen: 0 };
        let connected = connection.welcome(welcome).map_err(DriverSetupError::from).and_then(|()| {
            let stream = connection.into_stream()?;
            Ok(driver.peers.connect(hello.from.into(), stream, driver.clock)?)
        });
        match connected {
            Ok(_) => Ok(driver),
            Err(error) => Err((None, error)),
        }
    }

    fn expecting(
        hello: &Hello,
        proposal: Proposal,
        built: Built,
        mut setup: DriverSetup,
    ) -> Result<Self, DriverSetupError> {
        let Proposal { policy, epoch, subject: kind, layout, mut roster, store, log, .. } = proposal;
        let Built { subject, contents, pid, .. } = built;
        let known = roster.iter().position(|other| other.is_some() && *other == setup.address);
        let id = known.unwrap_or(roster.len());
        if known.is_none() {
            roster.push(setup.address.clone());
        }
        setup.id = HostId(u16::try_from(id).unwrap_or(u16::MAX));
        setup.store = setup.store.or(store);
        setup.roster = roster;
        check_choices(&policy, &layout, &setup)?;
        let subject = Shared::new(subject);
        let image = layout.image(|page, _, _| contents(page));
        let mut host = Host::vacant(setup.id, policy.clone(), image, subject.clone())?;
        host.configure(setup.limits, setup.timeouts);
        host.expect_migration(hello.from, epoch)?;
        setup.pid = pid;
        let wiring = wire(hello.session, &subject, &policy, &layout, setup.pid)?;
        let mut driver = Self::new(hello.session, host, subject, (kind, layout, Vec::new()), setup, wiring);
        let from = Place::Host(hello.from);
        if log && driver.setup.log.is_none() {
            driver.outgoing = Some((from, Outgoing::default()));
        }
        driver.collect();
        driver.call_former_hosts(hello.from);
        Ok(driver)
    }

    fn new(
        session: SessionId,
        host: Host<Shared>,
        subject: Shared,
        (subject_kind, layout, build): (String, AddressSpaceLayout, Vec<u8>),
        setup: DriverSetup,
        wiring: Wiring,
    ) -> Self {
        let Wiring { poll, peers, commands, handle } = wiring;
        let recorder: Box<dyn StepRecorder> = match &setup.log {
            Some(log) => Box::new(log.clone()),
            None => Box::new(Unrecorded),
        };
        let mut driver = Self {
            session,
            host,
            subject,
            layout,
            subject_kind,
            build,
            setup,
            poll,
            peers,
            commands,
            handle,
            clock: Instant::now(),
            recorder,
            outgoing: None,
            faults: VecDeque::new(),
            proposed: None,
            deferred: None,
            drains: false,
            gathering: None,
            state: None,
            stopped_at: None,
            held: None,
            pace_of_writes: super::forecast::PaceOfWrites::default(),
            unfit: false,
            vacant_since: None,
            awaited: Default::default(),
            judge: None,
            judge_awaited: None,
        };
        driver.call_store();
        driver
    }

    /// Calls the file server, where the algorithm needs it.
    pub(super) fn call_store(&mut self) {
        let Some(store) = self.setup.store.clone() else { return };
        if needs_store(self.host.policy(), &self.layout) {
            let request = StoreRequest { layout: self.layout.clone(), log: self.setup.log.is_none() };
            self.peers.keep_calling(Place::FileServer, &store, Purpose::Store(request));
        }
    }

    /// Calls the hosts where pages may have been left behind.
    fn call_former_hosts(&mut self, but: HostId) {
        if !self.host.policy().leaves_pages_behind() {
            return;
        }
        for (at, address) in self.setup.roster.clone().into_iter().enumerate() {
            let id = HostId(u16::try_from(at).unwrap_or(u16::MAX));
            if let Some(address) = address.filter(|_| id != self.setup.id && id != but) {
                self.peers.keep_calling(id.into(), &address, Purpose::Resume { steps_seen: 0 });
            }
        }
    }
}

impl Driver {
    /// Takes stock of the subject anew, as if it had just been started here.
    pub(super) fn renew(&mut self, policy: &Policy) -> Result<(), DriverSetupError> {
        let inventory = self.subject.lock().inventory(policy)?;
        let SubjectInventory { subject, layout, build } = inventory;
        layout.check()?;
        check_choices(policy, &layout, &self.setup)?;
        self.setup.id = HostId(0);
        self.setup.roster.clear();
        let mut host = Host::occupied(HostId(0), policy.clone(), layout.blank_image(), self.subject.clone())?;
        host.configure(self.setup.limits, self.setup.timeouts);
        self.session = SessionId::random()?;
        *self.handle.status.lock() =
            Status::new(self.session, self.setup.pid, &policy.name, layout.page_count());
        (self.host, self.layout, self.subject_kind, self.build) = (host, layout, subject, build);
        (self.outgoing, self.state, self.gathering) = (None, None, None);
        self.peers.places().into_iter().for_each(|place| self.peers.forget(place));
        self.call_store();
        Ok(())
    }
}

fn check_choices(
    policy: &Policy,
    layout: &AddressSpaceLayout,
    setup: &DriverSetup,
) -> Result<(), DriverSetupError> {
    if policy.hand_over != HandOver::ReadyGo {
        return Err(DriverSetupError::HandOver(policy.name.to_string()));
    }
    if policy.start != Start::AtOnce {
        return Err(DriverSetupError::Start(policy.name.to_string()));
    }
    if policy.falls_back() {
        return Err(DriverSetupError::Fallback(policy.name.to_string()));
    }
    if policy.channels != Channels::One {
        return Err(DriverSetupError::Channels(policy.name.to_string()));
    }
    if policy.wakes_apart() {
        return Err(DriverSetupError::Wake(policy.name.to_string()));
    }
    if needs_store(policy, layout) && setup.store.is_none() {
        return Err(DriverSetupError::NoStore(policy.name.to_string()));
    }
    Ok(())
}

fn needs_store(policy: &Policy, layout: &AddressSpaceLayout) -> bool {
    use protocol::policy::{Freeze, Missing};
    policy.freeze == Freeze::Flush
        || policy.missing == Missing::FileServer
        || policy.writes_back() && layout.has_stored_pages()
}

fn wire(
    session: SessionId,
    subject: &Shared,
    policy: &Policy,
    layout: &AddressSpaceLayout,
    pid: Option<u32>,
) -> io::Result<Wiring> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let (sender, commands) = std::sync::mpsc::channel();
    let status = Status::new(session, pid, &policy.name, layout.page_count());
    let handle =
        Handle { status: SharedStatus::new(status), commands: sender.clone(), waker: Arc::clone(&waker) };
    watch(subject, poll.registry(), &waker)?;
    let peers = Peers::new(poll.registry().try_clone()?, waker, sender);
    Ok(Wiring { poll, peers, commands, handle })
}

/// Sees to it that the loop wakes up when the subject has done something.
fn watch(subject: &Shared, registry: &Registry, waker: &Arc<Waker>) -> io::Result<()> {
    let mut subject = subject.lock();
    if let Some(fd) = subject.occurrence_fd() {
        register(registry, fd)?;
    }
    let waker = Arc::clone(waker);
    subject.set_alarm(Alarm::new(move || {
        // A driver that has ended need not wake up.
        let _ = waker.wake();
    }));
    Ok(())
}

fn register(registry: &Registry, fd: RawFd) -> io::Result<()> {
    registry.register(&mut SourceFd(&fd), SUBJECT, Interest::READABLE)
}
