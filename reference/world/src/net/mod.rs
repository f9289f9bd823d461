//! A deterministic network with virtual time.
//!
//! Between each ordered pair of places there is a [`Link`]: a [`Pipe`] with bandwidth, latency and a send
//! buffer, wrapped in the faults that it is to have. Faults are middleware: each takes the deliveries of what it
//! wraps and changes them. Time is a number of nanoseconds that the caller passes in; chance comes from a seed.
//! Same seed, same run, to the byte.

mod faults;
mod pipe;

pub use faults::{Duplicate, FrameLoss, Jitter};
pub use pipe::Pipe;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use steplog::place::Place;

use crate::random::Random;

/// A frame that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When, in nanoseconds.
    pub at_ns: u64,
    /// The bytes.
    pub frame: Vec<u8>,
}

/// One direction between two places.
pub trait Link {
    /// Takes a frame at this time and says when it arrives, and how often.
    fn send(&mut self, now_ns: u64, frame: Vec<u8>) -> Vec<Delivery>;

    /// When there is room for another frame in the send buffer: not later than `now_ns` if there is room now.
    fn room_at_ns(&mut self, now_ns: u64) -> u64;
}

/// What all links of a network are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LinkConfig {
    /// Bits that leave the sender in a second; at least 1.
    pub bandwidth_bits_per_s: u64,
    /// Time between leaving the sender and arriving.
    pub latency_ns: u64,
    /// Frames that may wait at the sender, the one that is leaving included; at least 1.
    pub send_buffer_frames: usize,
    /// In what order frames arrive, and whether all do at the first attempt.
    pub order: FrameOrder,
}

/// How a link treats the order of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameOrder {
    /// Each frame once, in order: a TCP connection.
    Fifo,
    /// Each frame once, in any order: up to so much later than on a FIFO link.
    Unordered {
        /// Most additional delay.
        jitter_ns: u64,
    },
    /// In any order; frames are lost and sent again until they arrive, and some arrive twice.
    Lossy {
        /// Most additional delay.
        jitter_ns: u64,
        /// Share of transmissions that are lost; at most 90 count.
        loss_percent: u8,
        /// Share of frames that arrive twice.
        duplicate_percent: u8,
        /// Time after which a lost frame is sent again.
        retransmit_after_ns: u64,
    },
}

impl LinkConfig {
    /// 100 Mbit/s Ethernet with 0.1 ms of latency, in order.
    pub const FAST_ETHERNET: Self = Self {
        bandwidth_bits_per_s: 100_000_000,
        latency_ns: 100_000,
        send_buffer_frames: 4,
        order: FrameOrder::Fifo,
    };

    fn build(&self, random: &mut Random) -> Box<dyn Link> {
        let pipe = Pipe::new(self.bandwidth_bits_per_s, self.latency_ns, self.send_buffer_frames);
        match self.order {
            FrameOrder::Fifo => Box::new(pipe),
            FrameOrder::Unordered { jitter_ns } => Box::new(Jitter::new(pipe, jitter_ns, random.split())),
            FrameOrder::Lossy { jitter_ns, loss_percent, duplicate_percent, retransmit_after_ns } => {
                let loss = FrameLoss::new(pipe, loss_percent, retransmit_after_ns, random.split());
                let duplicate = Duplicate::new(loss, duplicate_percent, random.split());
                Box::new(Jitter::new(duplicate, jitter_ns, random.split()))
            }
        }
    }
}

/// The links between all places, made when they are first used.
pub struct SimulatedNetwork {
    config: LinkConfig,
    seed: u64,
    links: BTreeMap<(Place, Place), Box<dyn Link>>,
    bytes_sent: BTreeMap<(Place, Place), u64>,
    connections: BTreeMap<(Place, Place), Connection>,
}

/// What two places have between them.
#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    /// Counted from 0.
    number: u64,
    /// How many things keep the two apart.
    obstacles: u32,
}

impl SimulatedNetwork {
    /// A network of such links.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Self {
            config,
            seed,
            links: BTreeMap::new(),
            bytes_sent: BTreeMap::new(),
            connections: BTreeMap::new(),
        }
    }

    /// Sends a frame and says when it arrives, and how often: never, while the two places are cut off.
    pub fn send(&mut self, from: Place, to: Place, now_ns: u64, frame: Vec<u8>) -> Vec<Delivery> {
        *self.bytes_sent.entry((from, to)).or_default() += frame.len() as u64;
        let deliveries = self.link(from, to).send(now_ns, frame);
        if self.is_cut(from, to) { Vec::new() } else { deliveries }
    }

    /// Breaks the connection between two places. What is on its way is lost: see
    /// [`connection`](Self::connection). Cut twice, they have to be joined twice.
    pub fn cut(&mut self, a: Place, b: Place) {
        let connection = self.connections.entry(pair(a, b)).or_default();
        connection.number += 1;
        connection.obstacles += 1;
    }

    /// Takes one obstacle between two places away. True when it was the last, so that there is a new connection.
    pub fn join(&mut self, a: Place, b: Place) -> bool {
        let connection = self.connections.entry(pair(a, b)).or_default();
        connection.obstacles = connection.obstacles.saturating_sub(1);
        let joined = connection.obstacles == 0;
        if joined {
            self.links.remove(&(a, b));
            self.links.remove(&(b, a));
        }
        joined
    }

    /// Whether two places are cut off from each other.
    pub fn is_cut(&self, a: Place, b: Place) -> bool {
        self.connections.get(&pair(a, b)).is_some_and(|connection| connection.obstacles > 0)
    }

    /// The number of the connection between two places. A frame that was sent over another one never arrives.
    pub fn connection(&self, a: Place, b: Place) -> u64 {
        self.connections.get(&pair(a, b)).map_or(0, |connection| connection.number)
    }

    /// When there is room in the send buffer between these places.
    pub fn room_at_ns(&mut self, from: Place, to: Place, now_ns: u64) -> u64 {
        self.link(from, to).room_at_ns(now_ns)
    }

    /// Bytes handed to each link, each frame counted once however often the link repeats it.
    pub fn bytes_sent(&self) -> &BTreeMap<(Place, Place), u64> {
        &self.bytes_sent
    }

    fn link(&mut self, from: Place, to: Place) -> &mut Box<dyn Link> {
        let Self { config, seed, links, .. } = self;
        links.entry((from, to)).or_insert_with(|| {
            // A link's chances depend on where it is, not on when it was first used.
            let number = |place| match place {
                Place::FileServer => u64::from(u16::MAX) + 1,
                Place::Host(host) => u64::from(host.0),
            };
            config.build(&mut Random::new(*seed ^ (number(from) << 32) ^ (number(to) + 1)))
        })
    }
}

fn pair(a: Place, b: Place) -> (Place, Place) {
    (a.min(b), a.max(b))
}
