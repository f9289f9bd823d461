//! A machine that takes processes: answers calls, and has a driver for everything that is here or has been.
//!
//! Whoever calls is a stranger until it has shown that it has the key; strangers get little time, and there can be only
//! so many of them at once. Each call is answered in a thread of its own, so a slow one holds up nobody.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::aside::{Hello, PeerRejection, Purpose};
use crate::dial::{DialError, GreetingConnection, answer};
use crate::driver::{Driver, DriverCommand, DriverSetup, Handle, IncomingCall};
use crate::status::Status;
use crate::subject::{Plan, SubjectBuilder};

/// Strangers that are listened to at once.
const STRANGERS_MAX: usize = 64;

/// Ends that are remembered.
const ENDED_MAX: usize = 32;

/// Processes that a machine takes at once.
const SESSIONS_MAX: usize = 256;

/// A machine that takes processes.
#[derive(Clone)]
pub struct Machine(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    setup: DriverSetup,
    builders: Vec<Box<dyn SubjectBuilder>>,
    drivers: Mutex<BTreeMap<u64, Handle>>,
    next_driver: AtomicU64,
    /// What came of those that have ended, the latest last.
    ended: Mutex<VecDeque<Status>>,
    strangers: AtomicUsize,
    closed: AtomicBool,
}

impl Machine {
    /// Begins to answer calls. What is built comes from the first builder of the right kind.
    ///
    /// # Errors
    /// There is no key although there should be, or the address is not free.
    pub fn open(
        listener: TcpListener,
        mut setup: DriverSetup,
        builders: Vec<Box<dyn SubjectBuilder>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        setup.trust.key_for(address.ip()).map_err(io::Error::other)?;
        setup.address.get_or_insert_with(|| address.to_string());
        let inner = Inner {
            address,
            setup,
            builders,
            drivers: Mutex::default(),
            next_driver: AtomicU64::new(0),
            ended: Mutex::default(),
            strangers: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        };
        let machine = Self(Arc::new(inner));
        let answering = machine.clone();
        std::thread::spawn(move || answering.answer_calls(&listener));
        Ok(machine)
    }

    /// Where it can be called.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// What its drivers have to know.
    pub fn setup(&self) -> DriverSetup {
        self.0.setup.clone()
    }

    /// Everything that is here or has been.
    pub fn sessions(&self) -> Vec<Handle> {
        self.lock().values().cloned().collect()
    }

    /// How far everything is, and what came of what has gone lately.
    pub fn statuses(&self) -> Vec<Status> {
        let live = self.sessions().into_iter().map(|handle| handle.status.lock().clone()).collect::<Vec<_>>();
        let ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        live.into_iter().chain(ended.iter().cloned()).collect()
    }

    fn remember(&self, ended: Option<Handle>) {
        let mut all = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(ended.map(|handle| handle.status.lock().clone()));
        let surplus = all.len().saturating_sub(ENDED_MAX);
        all.drain(..surplus);
    }

    /// Lets a driver work here.
    pub fn take_on(&self, driver: Driver) -> Handle {
        let handle = driver.handle();
        let number = self.0.next_driver.fetch_add(1, Ordering::SeqCst);
        self.lock().insert(number, handle.clone());
        let machine = self.clone();
        std::thread::spawn(move || {
            driver.run();
            let ended = machine.lock().remove(&number);
            machine.remember(ended);
        });
        handle
    }

    /// Answers no more calls. What is here goes on.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        // So that whoever waits for a call sees it.
        drop(TcpStream::connect(self.0.address));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Handle>> {
        self.0.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer_calls(&self, listener: &TcpListener) {
        for socket in listener.incoming() {
            if self.0.closed.load(Ordering::SeqCst) {
                return;
            }
            match socket {
                Err(error) => tracing::warn!(%error, "a call could not be taken"),
                Ok(socket) if self.0.strangers.load(Ordering::SeqCst) >= STRANGERS_MAX => {
                    tracing::warn!("too many strangers at once; one was turned away");
                    drop(socket);
                }
                Ok(socket) => {
                    self.0.strangers.fetch_add(1, Ordering::SeqCst);
                    let machine = self.clone();
                    std::thread::spawn(move || machine.answer_call(socket));
                }
            }
        }
    }

    fn answer_call(&self, socket: TcpStream) {
        let caller = socket.peer_addr();
        let answered = answer(socket, &self.0.setup.trust);
        self.0.strangers.fetch_sub(1, Ordering::SeqCst);
        let done = answered.and_then(|(connection, hello, build)| self.receive(connection, hello, &build));
        if let Err(error) = done {
            tracing::warn!(?caller, %error, "a call came to nothing");
        }
    }

    fn receive(
        &self,
        mut connection: GreetingConnection,
        hello: Hello,
        build: &[u8],
    ) -> Result<(), DialError> {
        let known = self.lock().values().find(|handle| handle.session() == hello.session).cloned();
        let proposal = match (&hello.purpose, known) {
            (Purpose::Store(_), _) => {
                connection.reject(PeerRejection::Refused("this is a host, not a file server".to_owned()));
                return Ok(());
            }
            (Purpose::Inquire { subject }, _) => {
                match self
                    .builder(subject)
                    .and_then(|builder| builder.answer(build).map_err(|e| e.to_string()))
                {
                    Ok(answer) => return connection.inform(answer),
                    Err(reason) => connection.reject(PeerRejection::Refused(reason)),
                }
                return Ok(());
            }
            (_, Some(handle)) => {
                handle.ask(DriverCommand::Called(connection, Box::new(hello)));
                return Ok(());
            }
            (Purpose::Resume { .. }, None) => {
                connection.reject(PeerRejection::UnknownSession);
                return Ok(());
            }
            (Purpose::Migrate(proposal), None) => (**proposal).clone(),
        };
        match self.build(&proposal, build) {
            Err(reason) => {
                tracing::info!(reason, "a process was refused");
                connection.reject(PeerRejection::Refused(reason));
            }
            Ok(built) => {
                let arrival = IncomingCall { connection, hello, proposal };
                let setup = self.0.setup.clone();
                match Driver::at_destination(arrival, built, setup) {
                    Ok(driver) => drop(self.take_on(driver)),
                    Err((Some(connection), error)) => {
                        connection.reject(PeerRejection::Refused(error.to_string()))
                    }
                    Err((None, error)) => tracing::warn!(%error, "a process did not come"),
                }
            }
        }
        Ok(())
    }

    fn build(
        &self,
        proposal: &crate::aside::Proposal,
        build: &[u8],
    ) -> Result<crate::subject::Built, String> {
        proposal.policy.check().map_err(|error| error.to_string())?;
        proposal.layout.check().map_err(|error| error.to_string())?;
        if self.lock().len() >= SESSIONS_MAX {
            return Err(format!("there are {SESSIONS_MAX} processes here already"));
        }
        let plan = Plan { policy: &proposal.policy, layout: &proposal.layout, build };
        self.builder(&proposal.subject)?.build(&plan).map_err(|error| error.to_string())
    }

    fn builder(&self, subject: &str) -> Result<&dyn SubjectBuilder, String> {
        let builder = self.0.builders.iter().find(|builder| builder.subject() == subject);
        builder.map(|builder| &**builder).ok_or_else(|| format!("nobody here builds a {subject}"))
    }
}
