//! The file server: files below a root directory, and the pages that processes write back to them or flush here.
//!
//! The endpoint decides what is newer; here it is made durable *before* it is acknowledged: what has arrived together is
//! written, forced to the disk once, noted in the journal of the session, and only then answered. After a restart the
//! journal says which version each page is in, so that the server never goes back.

mod session;

pub use session::{Opening, SessionError};

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mio::{Events, Interest, Poll, Token};
use steplog::place::{HostId, Place};

use crate::aside::{
    DriverMessage, Hello, PeerRejection, Purpose, SessionId, StepBatch, StoreRequest, Welcome,
};
use crate::channel::{ChannelError, Heard, PeerChannel};
use crate::dial::{DialError, GreetingConnection, answer};
use crate::key::Trust;
use crate::recorder::SharedLog;
use session::Session;

/// Strangers that are listened to at once.
const STRANGERS_MAX: usize = 64;

/// Sessions that are served at once.
const SESSIONS_MAX: usize = 1024;

/// A file server.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    root: PathBuf,
    trust: Trust,
    log: Option<SharedLog>,
    sessions: Mutex<BTreeMap<SessionId, Arc<Mutex<Session>>>>,
    strangers: AtomicUsize,
    closed: AtomicBool,
    /// The sockets of those who are being served, by a number of their own, to hang up on when the server closes.
    callers: Mutex<BTreeMap<u64, TcpStream>>,
    next_caller: AtomicU64,
}

impl Store {
    /// Begins to serve the files below `root`.
    ///
    /// # Errors
    /// There is no key although there should be, or no such directory.
    pub fn open(
        listener: TcpListener,
        root: PathBuf,
        trust: Trust,
        log: Option<SharedLog>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        trust.key_for(address.ip()).map_err(io::Error::other)?;
        if !root.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{}: no directory", root.display()),
            ));
        }
        let inner = Inner {
            address,
            root,
            trust,
            log,
            sessions: Mutex::default(),
            strangers: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            callers: Mutex::default(),
            next_caller: AtomicU64::new(0),
        };
        let store = Self(Arc::new(inner));
        let answering = store.clone();
        std::thread::spawn(move || answering.answer_calls(&listener));
        Ok(store)
    }

    /// Where it can be called.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// How many processes somebody is served for.
    pub fn session_count(&self) -> usize {
        lock(&self.0.sessions).len()
    }

    /// Ends: everybody is hung up on, what is in memory is dropped.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        for socket in std::mem::take(&mut *lock(&self.0.callers)).into_values() {
            // It may be closed already.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        // Whatever a session is in the middle of is over then, its steps included: a server that takes this one's place comes after it.
        let sessions = std::mem::take(&mut *lock(&self.0.sessions));
        sessions.values().for_each(|session| lock(session).close());
        drop(TcpStream::connect(self.0.address));
    }

    fn answer_calls(&self, listener: &TcpListener) {
        for socket in listener.incoming() {
            if self.0.closed.load(Ordering::SeqCst) {
                return;
            }
            match socket {
                Err(error) => tracing::warn!(%error, "a call could not be taken"),
                Ok(_) if self.0.strangers.load(Ordering::SeqCst) >= STRANGERS_MAX => {
                    tracing::warn!("too many strangers at once; one was turned away");
                }
                Ok(socket) => {
                    self.0.strangers.fetch_add(1, Ordering::SeqCst);
                    let store = self.clone();
                    std::thread::spawn(move || store.answer_call(socket));
                }
            }
        }
    }

    fn answer_call(&self, socket: TcpStream) {
        let caller = socket.peer_addr();
        let answered = answer(socket, &self.0.trust);
        self.0.strangers.fetch_sub(1, Ordering::SeqCst);
        if let Err(error) = answered.and_then(|(connection, hello, _)| self.receive(connection, &hello)) {
            tracing::warn!(?caller, %error, "a call came to nothing");
        }
    }

    fn receive(&self, mut connection: GreetingConnection, hello: &Hello) -> Result<(), DialError> {
        let Purpose::Store(request) = &hello.purpose else {
            connection.reject(PeerRejection::Refused("this is a file server, not a host".to_owned()));
            return Ok(());
        };
        let session = match self.session(hello.session, request) {
            Ok(session) => session,
            Err(error) => {
                connection.reject(PeerRejection::Refused(error.to_string()));
                return Ok(());
            }
        };
        let caller = self.0.next_caller.fetch_add(1, Ordering::SeqCst);
        let served = connection
            .welcome(Welcome { host: HostId(0), lacking: Vec::new(), steps_seen: 0 })
            .and_then(|()| Ok(lock(&self.0.callers).insert(caller, connection.socket()?)))
            .map(|_| self.serve(connection, &session, hello.from, request.log));
        lock(&self.0.callers).remove(&caller);
        self.put_away(hello.session, session);
        let served = served?;
        if !self.0.closed.load(Ordering::SeqCst) {
            tracing::debug!(session = %hello.session, host = %hello.from, ?served, "a host has hung up");
        }
        Ok(())
    }

    fn session(&self, id: SessionId, request: &StoreRequest) -> Result<Arc<Mutex<Session>>, SessionError> {
        let mut sessions = lock(&self.0.sessions);
        if let Some(session) = sessions.get(&id) {
            return lock(session).check(&request.layout).map(|()| Arc::clone(session));
        }
        if sessions.len() >= SESSIONS_MAX {
            return Err(SessionError::TooMany(SESSIONS_MAX));
        }
        let session = Session::open(&self.0.root, id, &request.layout)?;
        let session = Arc::new(Mutex::new(session));
        sessions.insert(id, Arc::clone(&session));
        Ok(session)
    }

    /// Nobody is served in this session by this thread any more. Without anybody it is closed: all that it has acknowledged is on the
    /// disk, from where it is opened again for whoever asks.
    fn put_away(&self, id: SessionId, session: Arc<Mutex<Session>>) {
        let mut sessions = lock(&self.0.sessions);
        drop(session);
        if sessions.get(&id).is_some_and(|session| Arc::strong_count(session) == 1) {
            sessions.remove(&id);
        }
    }

    /// Serves one host for as long as the connection lasts.
    fn serve(
        &self,
        connection: GreetingConnection,
        session: &Mutex<Session>,
        host: HostId,
        log: bool,
    ) -> Result<(), ChannelError> {
        let mut channel = PeerChannel::new(connection.into_stream()?, Instant::now());
        let mut poll = Poll::new()?;
        poll.registry().register(channel.socket(), Token(0), Interest::READABLE | Interest::WRITABLE)?;
        let mut events = Events::with_capacity(4);
        let mut steps_sent = 0;
        loop {
            let filled = channel.fill();
            let mut batch = Vec::new();
            while let Some(heard) = channel.hear()? {
                if let Heard::Protocol(frame) = heard {
                    batch.push(frame);
                }
            }
            if self.0.closed.load(Ordering::SeqCst) {
                return Err(ChannelError::Closed);
            }
            if !batch.is_empty() {
                let mut session = lock(session);
                let (steps, answers) = session.handle(Place::Host(host), &batch);
                // Steps before what comes of them, and of all hosts in one order.
                match &self.0.log {
                    Some(shared) => steps.into_iter().for_each(|step| shared.append(step)),
                    None if log && !steps.is_empty() => {
                        let first = steps_sent;
                        steps_sent += steps.len() as u64;
                        channel.aside(&DriverMessage::Steps(StepBatch { first, steps }))?;
                    }
                    None => {}
                }
                drop(session);
                for answer in answers {
                    channel.say(answer.epoch, &answer.message)?;
                }
            }
            channel.flush()?;
            if filled? {
                match poll.poll(&mut events, None) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    done => done?,
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
