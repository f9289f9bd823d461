//! The connections of a driver: who can be spoken to, who is to be called again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Registry, Token, Waker};
use protocol::wire::Envelope;
use steplog::place::Place;

use super::{Dialled, DriverCommand, DriverSetup, MoveRequest};
use crate::aside::{DriverMessage, Hello, Purpose, SessionId};
use crate::channel::{ChannelError, PeerChannel, Stream};
use crate::dial::{DialError, dial, inquire};

/// How soon a place is called again after a connection was lost.
const CALL_AFTER: Duration = Duration::from_millis(20);

/// How long to wait at most between two calls.
const CALL_AFTER_MAX: Duration = Duration::from_secs(1);

/// Bytes that may be on their way to the file server, which forces to the disk at once what arrives together.
const STORE_BATCH: u64 = 2 << 20;

/// Tokens of connections start here.
const TOKEN_FIRST: usize = 16;

/// Everybody that a driver speaks with.
pub(super) struct Peers {
    registry: Registry,
    waker: Arc<Waker>,
    commands: Sender<DriverCommand>,
    peers: BTreeMap<Place, Peer>,
    next_token: usize,
}

/// Somebody that a driver speaks with.
#[derive(Default)]
pub(super) struct Peer {
    pub channel: Option<PeerChannel>,
    token: usize,
    readable: bool,
    /// What is to be said once there is a first connection.
    pub waiting: VecDeque<Envelope>,
    /// Whether there has been a connection that mattered, so that another one is a new one.
    pub known: bool,
    /// Whom to call when the connection is lost, and with what.
    call: Option<(String, Purpose)>,
    calling: bool,
    call_at: Option<Instant>,
    call_after: Duration,
    /// Steps of this place that are in the log here.
    pub steps_seen: u64,
    /// Whether this place needs nothing more, and whether it was told that nothing more is needed of it.
    pub farewell: Farewell,
}

/// Who has said over a connection that it needs nothing more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Farewell {
    pub heard: bool,
    said: bool,
}

impl Peers {
    pub fn new(registry: Registry, waker: Arc<Waker>, commands: Sender<DriverCommand>) -> Self {
        Self { registry, waker, commands, peers: BTreeMap::new(), next_token: TOKEN_FIRST }
    }

    pub fn get_mut(&mut self, place: Place) -> &mut Peer {
        self.peers.entry(place).or_default()
    }

    pub fn channel_mut(&mut self, place: Place) -> Option<&mut PeerChannel> {
        self.peers.get_mut(&place)?.channel.as_mut()
    }

    pub fn places(&self) -> Vec<Place> {
        self.peers.keys().copied().collect()
    }

    /// The places to which there is a connection.
    pub fn open(&self) -> impl Iterator<Item = Place> + '_ {
        self.peers.iter().filter(|(_, peer)| peer.channel.is_some()).map(|(place, _)| *place)
    }

    pub fn has_room(&self, place: Place) -> bool {
        self.channel(place).is_some_and(PeerChannel::has_room)
    }

    pub fn takes_more(&self, place: Place) -> bool {
        self.channel(place).is_some_and(PeerChannel::takes_more)
    }

    fn channel(&self, place: Place) -> Option<&PeerChannel> {
        self.peers.get(&place)?.channel.as_ref()
    }

    pub fn rate(&self) -> u64 {
        let rates = self.peers.iter().filter(|(place, _)| **place != Place::FileServer);
        rates.filter_map(|(_, peer)| peer.channel.as_ref()).map(PeerChannel::rate).max().unwrap_or(0)
    }

    /// There is a connection to this place. True when there was one before that mattered.
    pub fn connect(&mut self, place: Place, stream: Stream, clock: Instant) -> std::io::Result<bool> {
        self.hang_up(place);
        let token = self.next_token;
        self.next_token += 1;
        let mut channel = PeerChannel::new(stream, clock);
        if place == Place::FileServer {
            channel = channel.with_much_at_once(STORE_BATCH);
        }
        self.registry.register(channel.socket(), Token(token), Interest::READABLE | Interest::WRITABLE)?;
        let peer = self.get_mut(place);
        // What came in behind the greeting may have been read with it.
        (peer.channel, peer.token, peer.readable) = (Some(channel), token, true);
        (peer.calling, peer.call_at, peer.call_after) = (false, None, CALL_AFTER);
        peer.farewell = Farewell::default();
        Ok(std::mem::replace(&mut peer.known, true))
    }

    /// Closes the connection to this place, if there is one.
    pub fn hang_up(&mut self, place: Place) {
        let Some(peer) = self.peers.get_mut(&place) else { return };
        if let Some(mut channel) = peer.channel.take() {
            // Closing it does the same.
            let _ = self.registry.deregister(channel.socket());
            let _ = channel.socket().shutdown(std::net::Shutdown::Both);
        }
        if peer.call.is_some() && !peer.calling && peer.call_at.is_none() {
            peer.call_at = Some(Instant::now() + CALL_AFTER);
        }
    }

    /// This place matters no more.
    pub fn forget(&mut self, place: Place) {
        self.hang_up(place);
        self.peers.remove(&place);
    }

    /// From now on this place is called whenever there is no connection.
    pub fn keep_calling(&mut self, place: Place, address: &str, purpose: Purpose) {
        let peer = self.get_mut(place);
        peer.call = Some((address.to_owned(), purpose));
        if peer.channel.is_none() && !peer.calling {
            peer.call_at = Some(Instant::now());
        }
    }

    /// Calls those who are due.
    pub fn call_again(&mut self, setup: &DriverSetup, session: SessionId) {
        let now = Instant::now();
        let Self { peers, commands, waker, .. } = self;
        for (&place, peer) in peers.iter_mut() {
            if peer.calling || peer.channel.is_some() || peer.call_at.is_none_or(|at| at > now) {
                continue;
            }
            let Some((address, purpose)) = peer.call.clone() else { continue };
            (peer.calling, peer.call_at) = (true, None);
            let purpose = match purpose {
                Purpose::Resume { .. } => Purpose::Resume { steps_seen: peer.steps_seen },
                other => other,
            };
            let hello = Hello { session, from: setup.id, address: setup.address.clone(), purpose };
            call(Some(place), address, setup, hello, None, commands.clone(), Arc::clone(waker));
        }
    }

    /// Calls a host that is to take the process.
    pub fn propose(&self, to: String, setup: &DriverSetup, hello: Hello, build: Vec<u8>) {
        call(None, to, setup, hello, Some(build), self.commands.clone(), Arc::clone(&self.waker));
    }

    /// Asks a host what it has of what the subject needs.
    pub fn inquire(&self, request: MoveRequest, setup: &DriverSetup, hello: Hello, question: Vec<u8>) {
        let (trust, commands, waker) = (setup.trust.clone(), self.commands.clone(), Arc::clone(&self.waker));
        std::thread::spawn(move || {
            let answer = inquire(&request.to, &trust, hello, question);
            // A driver that has ended wants no answer.
            if commands.send(DriverCommand::Informed(request, answer)).is_ok() {
                let _ = waker.wake();
            }
        });
    }

    /// Nobody answered.
    pub fn call_failed(&mut self, place: Place) {
        let peer = self.get_mut(place);
        peer.call_after = (peer.call_after * 2).clamp(CALL_AFTER, CALL_AFTER_MAX);
        (peer.calling, peer.call_at) = (false, Some(Instant::now() + peer.call_after));
    }

    /// When somebody is to be called next.
    pub fn next_call(&self) -> Option<Instant> {
        self.peers.values().filter(|peer| !peer.calling).filter_map(|peer| peer.call_at).min()
    }

    /// How many steps of this place are in the log.
    pub fn steps_seen(&self, place: Place) -> u64 {
        self.peers.get(&place).map_or(0, |peer| peer.steps_seen)
    }

    pub fn note_ready(&mut self, events: &Events) {
        for event in events.iter().filter(|event| event.token().0 >= TOKEN_FIRST) {
            if let Some(peer) = self.peers.values_mut().find(|peer| peer.token == event.token().0) {
                peer.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            }
        }
    }

    /// Takes in what this place has sent. True when there may be more.
    pub fn fill(&mut self, place: Place) -> Result<bool, ChannelError> {
        let Some(peer) = self.peers.get_mut(&place) else { return Ok(false) };
        let Some(channel) = peer.channel.as_mut().filter(|_| peer.readable) else { return Ok(false) };
        peer.readable = !channel.fill()?;
        Ok(peer.readable)
    }

    /// Says to this place, once, that nothing more is needed of it.
    pub fn say_farewell(&mut self, place: Place) -> Result<(), ChannelError> {
        let Some(peer) = self.peers.get_mut(&place) else { return Ok(()) };
        match &mut peer.channel {
            Some(channel) if !std::mem::replace(&mut peer.farewell.said, true) => {
                channel.aside(&DriverMessage::Farewell)
            }
            _ => Ok(()),
        }
    }

    /// Whether this place needs nothing more.
    pub fn farewell_heard(&self, place: Place) -> bool {
        self.peers.get(&place).is_some_and(|peer| peer.farewell.heard)
    }

    /// Whether nobody needs anything more, and everybody has got all that was said to them.
    pub fn all_are_done(&self) -> bool {
        let hosts = self.peers.iter().filter(|(place, _)| **place != Place::FileServer);
        let mut hosts = hosts.map(|(_, peer)| peer);
        hosts.all(|peer| match &peer.channel {
            Some(channel) => peer.farewell.heard && channel.all_has_arrived() && peer.waiting.is_empty(),
            None => !peer.known && peer.waiting.is_empty(),
        })
    }
}

/// Calls in a thread of its own; the answer comes as a command.
fn call(
    place: Option<Place>,
    address: String,
    setup: &DriverSetup,
    hello: Hello,
    build: Option<Vec<u8>>,
    commands: Sender<DriverCommand>,
    waker: Arc<Waker>,
) {
    let trust = setup.trust.clone();
    std::thread::spawn(move || {
        let result: Result<_, DialError> = dial(&address, &trust, hello, build);
        // A driver that has ended wants no answer.
        if commands.send(DriverCommand::Dialled(Dialled { place, result })).is_ok() {
            let _ = waker.wake();
        }
    });
}
