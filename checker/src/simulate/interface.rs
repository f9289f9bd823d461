//! The network interface of a place: everything that the place sends leaves through it, one message after the other.

use std::collections::VecDeque;

use protocol::wire::{Envelope, HEADER_LEN};
use steplog::message::MessageKind;

use super::Setup;

const BITS_PER_BYTE: u128 = 8;
const NS_PER_S: u128 = 1_000_000_000;

/// Bytes of a message with a page besides the page: the header, two numbers and the encoding.
pub const CONTENT_MESSAGE_OVERHEAD_BYTES: u64 = HEADER_LEN as u64 + 8 + 8 + 1;

/// Bits that the state takes for each page: where it is, and whether it is dirty.
const MAP_BITS_PER_PAGE: u64 = 2;

/// Length of a message on the wire. That of the state is modelled: so many bytes without the map, and a bitmap; the
/// runs of the wire format are shorter than that for an orderly map and longer for a random one.
pub fn message_bytes(kind: MessageKind, setup: &Setup) -> u64 {
    let header = HEADER_LEN as u64;
    match kind {
        MessageKind::Page | MessageKind::WriteBack | MessageKind::Fetched => {
            CONTENT_MESSAGE_OVERHEAD_BYTES + setup.page_size_bytes
        }
        MessageKind::State => {
            let pages = setup.memory_bytes.div_ceil(setup.page_size_bytes.max(1));
            header + setup.state_bytes + (MAP_BITS_PER_PAGE * pages).div_ceil(8)
        }
        MessageKind::Request | MessageKind::Fetch => header + 8,
        MessageKind::WriteBackDone => header + 16,
        _ => header,
    }
}

/// Sends messages in order, as fast as the bandwidth allows; each arrives a latency after it has left.
#[derive(Debug)]
pub(super) struct Interface {
    bandwidth_bits_per_s: u128,
    latency_ns: u64,
    send_buffer_bytes: u64,
    /// When each message in the send buffer has left, and its length. The one that is leaving counts.
    leaving: VecDeque<(u64, u64)>,
    leaving_bytes: u64,
    /// When the last one has left: nanoseconds, and what is left of one, in bits by nanoseconds.
    idle_at_ns: u64,
    remainder: u128,
    /// What has been sent, and when it arrives.
    under_way: VecDeque<(u64, Envelope)>,
}

impl Interface {
    pub fn new(setup: &Setup) -> Self {
        Self {
            bandwidth_bits_per_s: u128::from(setup.bandwidth_bits_per_s.max(1)),
            latency_ns: setup.latency_ns,
            send_buffer_bytes: setup.send_buffer_bytes,
            leaving: VecDeque::new(),
            leaving_bytes: 0,
            idle_at_ns: 0,
            remainder: 0,
            under_way: VecDeque::new(),
        }
    }

    /// Sends a message of this length, and says when it has left.
    pub fn send(&mut self, now_ns: u64, bytes: u64, envelope: Envelope) -> u64 {
        // Nothing is rounded away between messages: sixteen million pages would make milliseconds of it.
        if self.idle_at_ns < now_ns {
            (self.idle_at_ns, self.remainder) = (now_ns, 0);
        }
        let scaled = u128::from(bytes) * BITS_PER_BYTE * NS_PER_S + self.remainder;
        self.remainder = scaled % self.bandwidth_bits_per_s;
        let sending_ns = u64::try_from(scaled / self.bandwidth_bits_per_s).unwrap_or(u64::MAX);
        self.idle_at_ns = self.idle_at_ns.saturating_add(sending_ns);
        self.leaving.push_back((self.idle_at_ns, bytes));
        self.leaving_bytes += bytes;
        self.under_way.push_back((self.idle_at_ns.saturating_add(self.latency_ns), envelope));
        self.idle_at_ns
    }

    /// When there is room in the send buffer for so many bytes more; not later than `now_ns` if there is room now.
    /// A message larger than the buffer goes into an empty one.
    pub fn room_at_ns(&mut self, now_ns: u64, bytes: u64) -> u64 {
        while let Some((_, left_bytes)) = self.leaving.front().filter(|(left_ns, _)| *left_ns <= now_ns) {
            self.leaving_bytes -= left_bytes;
            self.leaving.pop_front();
        }
        let mut ahead_bytes = self.leaving_bytes;
        let mut room_at_ns = now_ns;
        for (left_ns, leaving_bytes) in &self.leaving {
            if ahead_bytes + bytes <= self.send_buffer_bytes {
                break;
            }
            ahead_bytes -= leaving_bytes;
            room_at_ns = *left_ns;
        }
        room_at_ns
    }

    /// When everything has left.
    pub fn idle_at_ns(&self) -> u64 {
        self.idle_at_ns
    }

    /// Sends nothing for so long, from when it is idle.
    pub fn pause(&mut self, now_ns: u64, pause_ns: u64) {
        self.idle_at_ns = self.idle_at_ns.max(now_ns).saturating_add(pause_ns);
    }

    /// When the next message arrives.
    pub fn arrival_ns(&self) -> Option<u64> {
        self.under_way.front().map(|(at_ns, _)| *at_ns)
    }

    /// The message that arrives next.
    pub fn arrive(&mut self) -> Option<Envelope> {
        self.under_way.pop_front().map(|(_, envelope)| envelope)
    }
}
