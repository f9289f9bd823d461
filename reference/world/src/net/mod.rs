//! A deterministic network with virtual time.
//!
//! Between each ordered pair of places there is a [`Link`]: a [`Pipe`] with bandwidth, latency and a send
//! buffer, wrapped in the faults that it is to have. Faults are middleware: each takes the deliveries of what it
//! wraps and changes them. Time is a number of nanoseconds that the caller passes in; chance comes from a seed.
//! Same seed, same run, to the byte.
//!
//! Two places may have a second connection, on which nothing waits for what goes over the first. *Complete* then waits for what has
//! been sent over both, or does not: half of all networks have such a barrier.

mod faults;
mod pipe;

pub use faults::{Duplicate, FrameLoss, Jitter};
pub use pipe::Pipe;

use std::collections::BTreeMap;

use protocol::wire::Channel;
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
    links: BTreeMap<(Place, Place, Channel), Box<dyn Link>>,
    /// When the last of what was sent over the second connection arrives.
    answered_at_ns: BTreeMap<(Place, Place), u64>,
    /// Whether *complete* waits for that.
    barrier: bool,
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
            answered_at_ns: BTreeMap::new(),
            barrier: seed & 1 == 0,
            bytes_sent: BTreeMap::new(),
            connections: BTreeMap::new(),
        }
    }

    /// Sends a frame and says when it arrives, and how often: never, while the two places are cut off.
    /// What `waits` comes behind the barrier, if there is one.
    pub fn send(
        &mut self,
        from: Place,
        (to, channel): (Place, Channel),
        now_ns: u64,
        frame: Vec<u8>,
        waits: bool,
    ) -> Vec<Delivery> {
        *self.bytes_sent.entry((from, to)).or_default() += frame.len() as u64;
        let mut deliveries = self.link(from, to, channel).send(now_ns, frame);
        let answered_at_ns = self.answered_at_ns.entry((from, to)).or_default();
        if channel == Channel::Demand {
            let last = deliveries.iter().map(|delivery| delivery.at_ns).max();
            *answered_at_ns = last.unwrap_or_default().max(*answered_at_ns);
        } else if waits && self.barrier {
            deliveries.iter_mut().for_each(|delivery| delivery.at_ns = delivery.at_ns.max(*answered_at_ns));
        }
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
            for (from, to) in [(a, b), (b, a)] {
                self.answered_at_ns.remove(&(from, to));
                self.links.remove(&(from, to, Channel::Main));
                self.links.remove(&(from, to, Channel::Demand));
            }
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
    pub fn room_at_ns(&mut self, from: Place, (to, channel): (Place, Channel), now_ns: u64) -> u64 {
        self.link(from, to, channel).room_at_ns(now_ns)
    }

    /// Bytes handed to each link, each frame counted once however often the link repeats it.
    pub fn bytes_sent(&self) -> &BTreeMap<(Place, Place), u64> {
        &self.bytes_sent
    }

    fn link(&mut self, from: Place, to: Place, channel: Channel) -> &mut Box<dyn Link> {
        let Self { config, seed, links, .. } = self;
        links.entry((from, to, channel)).or_insert_with(|| {
            // A link's chances depend on where it is, not on when it was first used.
            let number = |place| match place {
                Place::FileServer => u64::from(u16::MAX) + 1,
                Place::Host(host) => u64::from(host.0),
            };
            let apart = u64::from(channel == Channel::Demand) << 63;
            config.build(&mut Random::new(*seed ^ (number(from) << 32) ^ (number(to) + 1) ^ apart))
        })
    }
}

fn pair(a: Place, b: Place) -> (Place, Place) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use steplog::place::HostId;

    use super::*;

    const A: Place = Place::Host(HostId(0));
    const B: Place = Place::Host(HostId(1));

    /// When a short frame arrives that is sent after long ones, which go over the other connection.
    fn arrival_ns(seed: u64, waits: bool) -> (u64, u64) {
        let config = LinkConfig { send_buffer_frames: 8, ..LinkConfig::FAST_ETHERNET };
        let mut network = SimulatedNetwork::new(config, seed);
        let mut send = |channel, len, waits| network.send(A, (B, channel), 0, vec![0; len], waits)[0].at_ns;
        send(Channel::Demand, 4_000, false);
        let last_ns = send(Channel::Demand, 4_000, false);
        (send(Channel::Main, 24, waits), last_ns)
    }

    #[test]
    fn nothing_waits_for_the_other_connection_but_what_is_behind_a_barrier() {
        for seed in 0..4 {
            let (at_ns, last_ns) = arrival_ns(seed, false);
            assert!(at_ns < last_ns);
            let (at_ns, last_ns) = arrival_ns(seed, true);
            assert_eq!(at_ns < last_ns, seed % 2 == 1, "half of all networks have it");
        }
    }
}
