//! One thread and one loop for each thing that moves, on each machine that it is on or has left.
//!
//! The driver gives a [`Host`] a queue, a clock and memory. A turn of the loop is always the same: hear what others say,
//! hear what the subject did, look at the clock, let the endpoint do what is due as far as there is room for it on the
//! way, write down what happened, say what is to be said, wait for the next of it. What the endpoint decides is never
//! decided here; what is, is when to suspend, and what to do about a connection that breaks.
//!
//! The order between two places is that of one connection, so the endpoints and the model are told: first in, first out.

mod awaited;
mod collect;
mod forecast;
mod hear;
mod operate;
mod peers;
mod request;
mod setup;

pub use setup::{DriverSetup, IncomingCall};

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Poll, Token, Waker};
use protocol::error::Error;
use protocol::host::{Host, Role};
use protocol::policy::Policy;
use protocol::source::Source;
use steplog::page::PageNumber;
use steplog::place::{HostId, Place};

use crate::aside::{Hello, SessionId, Welcome};
use crate::dial::{DialError, GreetingConnection};
use crate::judge::{Judge, JudgeFinding};
use crate::layout::AddressSpaceLayout;
use crate::recorder::{Outgoing, SharedLog, StepRecorder, Unrecorded};
use crate::status::SharedStatus;
use crate::subject::{Shared, Stopped};
use awaited::Awaited;
use forecast::PaceOfWrites;
use peers::Peers;

/// The token of the waker.
const WAKER: Token = Token(0);

/// The token of the descriptor of the subject.
const SUBJECT: Token = Token(1);

/// How long the loop waits at most, to look after what has no event of its own.
const IDLE_WAIT: Duration = Duration::from_millis(200);

/// How long a host from which the process has gone stays to say the last word again.
const LINGER: Duration = Duration::from_secs(60);

/// What others ask of a driver.
pub enum DriverCommand {
    /// Move the subject to this host.
    Migrate(MoveRequest),
    /// Call the migration off.
    Cancel {
        /// Told whether it was.
        reply: Sender<Result<(), String>>,
    },
    /// The machine of a host is dead for certain.
    Fence {
        /// Where it could be called; all to whom there is no connection, otherwise.
        address: Option<String>,
        /// Told whether it was one of the hosts of this process.
        reply: Sender<Result<(), String>>,
    },
    /// Somebody has called.
    Called(GreetingConnection, Box<Hello>),
    /// A call was answered, or was not.
    Dialled(Dialled),
    /// A host has said what it has of what the subject needs, or has not.
    Informed(MoveRequest, Result<Vec<u8>, DialError>),
    /// Break the connection to this place, as a network does. For tests of what comes of it.
    Cut(Place),
}

/// What is asked of a driver that is to move its subject.
pub struct MoveRequest {
    /// Where the host can be called that is to take it.
    pub to: String,
    /// By which algorithm.
    pub policy: Policy,
    /// Where the steps of the migration go.
    pub log: LogTarget,
    /// Told once the migration has begun, or why it has not.
    pub reply: Sender<Result<(), String>>,
}

impl MoveRequest {
    fn refuse(self, reason: impl ToString) {
        // Who does not wait for the answer does not need it.
        let _ = self.reply.send(Err(reason.to_string()));
    }
}

/// Where the steps of a migration go.
pub enum LogTarget {
    /// Nowhere.
    None,
    /// Into a log that every place writes to itself.
    Shared(SharedLog),
    /// Those of all places: into a file, to a judge, or both.
    Kept {
        /// The file.
        file: Option<std::path::PathBuf>,
        /// Who judges.
        judge: Option<JudgeChoice>,
    },
}

/// Who is to judge a migration while it goes on.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeChoice {
    /// The command.
    pub checker: std::path::PathBuf,
    /// The algorithm as a file, where it is none of the built-in ones.
    pub strategy: Option<std::path::PathBuf>,
}

/// What came of a call.
pub struct Dialled {
    /// Whom the call was to; `None` for a destination whose number is not known.
    place: Option<Place>,
    result: Result<(GreetingConnection, Welcome), DialError>,
}

/// A hold on a driver.
#[derive(Clone)]
pub struct Handle {
    /// How far it is.
    pub status: SharedStatus,
    commands: Sender<DriverCommand>,
    waker: Arc<Waker>,
}

impl Handle {
    /// Which run of the protocol.
    pub fn session(&self) -> SessionId {
        self.status.lock().session
    }

    /// Asks something of the driver. Nothing comes of it once the driver has ended.
    pub fn ask(&self, command: DriverCommand) -> bool {
        let asked = self.commands.send(command).is_ok();
        if let Err(error) = self.waker.wake() {
            tracing::warn!(%error, "a driver could not be woken");
        }
        asked
    }

    /// Moves the subject: returns once the migration has begun.
    ///
    /// # Errors
    /// Why it has not.
    pub fn migrate(&self, to: &str, policy: Policy, log: LogTarget) -> Result<(), String> {
        let (reply, answer) = std::sync::mpsc::channel();
        self.ask(DriverCommand::Migrate(MoveRequest { to: to.to_owned(), policy, log, reply }));
        answer.recv().unwrap_or_else(|_| Err("the process is not here any more".to_owned()))
    }

    /// Says that the machine of the host at this address is dead, or of all hosts that do not answer: what they had is lost.
    ///
    /// # Errors
    /// The process has nothing to do with it.
    pub fn fence(&self, address: Option<String>) -> Result<(), String> {
        let (reply, answer) = std::sync::mpsc::channel();
        self.ask(DriverCommand::Fence { address, reply });
        answer.recv().unwrap_or_else(|_| Err("the process is not here any more".to_owned()))
    }

    /// Calls the migration off.
    ///
    /// # Errors
    /// It cannot be called off any more.
    pub fn cancel(&self) -> Result<(), String> {
        let (reply, answer) = std::sync::mpsc::channel();
        self.ask(DriverCommand::Cancel { reply });
        answer.recv().unwrap_or_else(|_| Err("the process is not here any more".to_owned()))
    }
}

/// Drives the endpoint of one thing that moves.
pub struct Driver {
    session: SessionId,
    host: Host<Shared>,
    subject: Shared,
    layout: AddressSpaceLayout,
    /// What kind of thing it is, and what is needed to build it elsewhere.
    subject_kind: String,
    build: Vec<u8>,
    setup: DriverSetup,
    poll: Poll,
    peers: Peers,
    commands: Receiver<DriverCommand>,
    handle: Handle,
    clock: Instant,
    recorder: Box<dyn StepRecorder>,
    /// Where the steps go that another place wants, and how many of its steps are in the log here.
    outgoing: Option<(Place, Outgoing)>,
    /// Faults that could not be passed on yet.
    faults: VecDeque<PageNumber>,
    /// A migration that was asked for and has not begun.
    proposed: Option<Sender<Result<(), String>>>,
    /// A migration that was asked for before the subject had all its pages.
    deferred: Option<MoveRequest>,
    /// A migration is about to begin in a session of its own: no write-back starts, so that those under way come to an end.
    drains: bool,
    /// The first page that may be elsewhere while the subject is at rest; none once it has all its pages.
    gathering: Option<PageNumber>,
    /// What came of the state beside the registers.
    state: Option<Vec<u8>>,
    stopped_at: Option<Instant>,
    /// What a process that was stopped is in the middle of, while its last pages are brought into step.
    held: Option<Stopped>,
    /// How fast the subject has turned out to write, while its pages are copied ahead.
    pace_of_writes: PaceOfWrites,
    /// The state that came cannot be used.
    unfit: bool,
    vacant_since: Option<Instant>,
    awaited: Awaited,
    judge: Option<Judge>,
    /// Since when it has been waited for with the hand-over.
    judge_awaited: Option<Instant>,
}

impl Driver {
    /// Another hold on it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Works until nothing of the subject is here any more.
    pub fn run(mut self) {
        if let Err(error) = self.turns() {
            tracing::error!(%error, "a driver cannot go on");
            self.handle.status.lock().error = Some(error.to_string());
        }
        self.conclude();
    }

    /// There are no more steps: what the judge found is said.
    fn conclude(&mut self) {
        // What is held back is written down now.
        self.recorder = Box::new(Unrecorded);
        if let Some(judge) = self.judge.take() {
            self.handle.status.lock().judged = Some(match judge.conclude() {
                JudgeFinding::Accepted => "accepted".to_owned(),
                JudgeFinding::Rejected(reason) => format!("rejected: {reason}"),
                JudgeFinding::Unknown(reason) => format!("not judged: {reason}"),
            });
        }
    }

    fn turns(&mut self) -> std::io::Result<()> {
        let mut events = Events::with_capacity(64);
        loop {
            self.subject.lock().hold();
            let busy = self.turn();
            self.subject.lock().release();
            if self.is_over() {
                return Ok(());
            }
            let wait = if busy { Duration::ZERO } else { self.wait() };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                done => done?,
            }
            self.peers.note_ready(&events);
        }
    }

    /// One turn. True when there is more to do at once.
    fn turn(&mut self) -> bool {
        self.obey();
        let more = self.hear();
        self.observe();
        self.look_at_clock();
        self.heed_judge();
        self.reconsider();
        let gathers = self.gather();
        self.operate();
        let worked = self.work();
        self.collect();
        self.say_farewells();
        self.peers.call_again(&self.setup, self.session);
        self.flush();
        self.update_status();
        more || worked || gathers
    }

    fn look_at_clock(&mut self) {
        let now_ns = nanoseconds(self.clock.elapsed());
        if self.host.next_timeout().is_some_and(|at_ns| at_ns <= now_ns) {
            let ticked = self.host.tick(now_ns);
            self.note_error("the clock", ticked);
            // A peer that was silent for too long is hung up on.
            let silent: Vec<_> = self.peers.open().filter(|place| !self.host.is_connected(*place)).collect();
            silent.into_iter().for_each(|place| self.peers.hang_up(place));
        }
    }

    fn wait(&self) -> Duration {
        let now_ns = nanoseconds(self.clock.elapsed());
        let timeout =
            self.host.next_timeout().map(|at_ns| Duration::from_nanos(at_ns.saturating_sub(now_ns)));
        let call = self.peers.next_call().map(|at| at.saturating_duration_since(Instant::now()));
        timeout.unwrap_or(IDLE_WAIT).min(call.unwrap_or(IDLE_WAIT)).min(IDLE_WAIT)
    }

    /// Whether nothing of the subject is here, and everybody who is to know does.
    fn is_over(&mut self) -> bool {
        if *self.host.role() != Role::Vacant || self.proposed.is_some() {
            self.vacant_since = None;
            return false;
        }
        let since = *self.vacant_since.get_or_insert_with(Instant::now);
        let steps_seen = self.outgoing.as_ref().is_none_or(|(_, outgoing)| outgoing.is_empty());
        (steps_seen && self.peers.all_are_done()) || since.elapsed() > LINGER
    }

    /// What an endpoint refuses of its driver is written down; the endpoint is as it was.
    fn note_error(&self, what: &str, done: Result<(), Error>) -> bool {
        let Err(error) = done else { return true };
        match self.host.role() {
            Role::Failed(_) => {
                tracing::error!(session = %self.session, host = %self.host.id(), %error, what, "this end has failed");
            }
            _ => tracing::warn!(session = %self.session, host = %self.host.id(), %error, what, "refused"),
        }
        self.handle.status.lock().error = Some(error.to_string());
        false
    }

    /// Whether a connection to this place matters to the endpoint.
    fn concerns(&self, place: Place) -> bool {
        let Place::Host(peer) = place else { return *self.host.role() != Role::Vacant };
        let resident = self.host.role().resident();
        let former = |id: HostId| {
            resident.is_some_and(|resident| resident.former_hosts.iter().any(|former| former.host == id))
        };
        match self.host.role() {
            Role::Vacant | Role::Failed(_) => false,
            Role::Source(Source::Draining(draining)) => draining.tell == Some(peer),
            Role::Source(source) => source.route().is_some_and(|route| route.to == peer) || former(peer),
            Role::Destination(destination) => {
                destination.former().is_some_and(|shadow| shadow.route.to == peer)
                    || resident
                        .is_none_or(|resident| resident.former_hosts.iter().any(|other| other.host == peer))
            }
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since 1970, for the log.
fn wall_clock_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanoseconds)
}
