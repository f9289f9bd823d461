//! A link without faults: bandwidth, latency, a send buffer.

use std::collections::VecDeque;

use super::{Delivery, Link};

const BITS_PER_BYTE: u128 = 8;
const NS_PER_S: u128 = 1_000_000_000;

/// Frames leave one after the other, as fast as the bandwidth allows, and arrive a latency later, in order.
#[derive(Clone, Debug)]
pub struct Pipe {
    bandwidth_bits_per_s: u64,
    latency_ns: u64,
    send_buffer_frames: usize,
    /// When each frame in the send buffer has left.
    leaving_ns: VecDeque<u64>,
}

impl Pipe {
    /// An empty pipe. Bandwidth and send buffer are at least 1.
    pub fn new(bandwidth_bits_per_s: u64, latency_ns: u64, send_buffer_frames: usize) -> Self {
        let (bandwidth_bits_per_s, send_buffer_frames) =
            (bandwidth_bits_per_s.max(1), send_buffer_frames.max(1));
        Self { bandwidth_bits_per_s, latency_ns, send_buffer_frames, leaving_ns: VecDeque::new() }
    }

    fn sending_ns(&self, bytes: usize) -> u64 {
        let ns = bytes as u128 * BITS_PER_BYTE * NS_PER_S / u128::from(self.bandwidth_bits_per_s);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

impl Link for Pipe {
    fn send(&mut self, now_ns: u64, frame: Vec<u8>) -> Vec<Delivery> {
        self.room_at_ns(now_ns);
        let start_ns = self.leaving_ns.back().copied().unwrap_or(now_ns).max(now_ns);
        let left_ns = start_ns.saturating_add(self.sending_ns(frame.len()));
        self.leaving_ns.push_back(left_ns);
        vec![Delivery { at_ns: left_ns.saturating_add(self.latency_ns), frame }]
    }

    fn room_at_ns(&mut self, now_ns: u64) -> u64 {
        while self.leaving_ns.front().is_some_and(|&left_ns| left_ns <= now_ns) {
            self.leaving_ns.pop_front();
        }
        let ahead = self.leaving_ns.len().checked_sub(self.send_buffer_frames);
        ahead.and_then(|ahead| self.leaving_ns.get(ahead)).copied().unwrap_or(now_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 8 Mbit/s: a byte takes a microsecond.
    fn pipe() -> Pipe {
        Pipe::new(8_000_000, 500, 2)
    }

    fn arrivals(deliveries: Vec<Delivery>) -> Vec<u64> {
        deliveries.into_iter().map(|delivery| delivery.at_ns).collect()
    }

    #[test]
    fn frames_take_turns() {
        let mut pipe = pipe();
        assert_eq!(arrivals(pipe.send(0, vec![0; 10])), [10_500]);
        assert_eq!(arrivals(pipe.send(1_000, vec![0; 10])), [20_500]);
        assert_eq!(arrivals(pipe.send(50_000, vec![0; 10])), [60_500]);
    }

    #[test]
    fn the_send_buffer_empties_frame_by_frame() {
        let mut pipe = pipe();
        assert_eq!(pipe.room_at_ns(0), 0);
        pipe.send(0, vec![0; 10]);
        assert_eq!(pipe.room_at_ns(0), 0);
        pipe.send(0, vec![0; 10]);
        assert_eq!(pipe.room_at_ns(0), 10_000);
        pipe.send(0, vec![0; 10]);
        assert_eq!(pipe.room_at_ns(0), 20_000);
        assert_eq!(pipe.room_at_ns(20_000), 20_000);
    }
}
