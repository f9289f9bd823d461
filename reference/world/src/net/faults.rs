//! What can go wrong on a link, as middleware around one.

use super::{Delivery, Link};
use crate::random::Random;

/// Loss beyond this share would keep frames away for longer than any run.
const LOSS_PERCENT_MAX: u8 = 90;

/// Delays each frame by a random time, so that frames overtake each other.
#[derive(Clone, Debug)]
pub struct Jitter<L> {
    inner: L,
    jitter_ns: u64,
    random: Random,
}

/// Loses transmissions; each is repeated after a while until one arrives. A repetition takes no bandwidth.
#[derive(Clone, Debug)]
pub struct FrameLoss<L> {
    inner: L,
    loss_percent: u8,
    retransmit_after_ns: u64,
    random: Random,
}

/// Delivers some frames twice.
#[derive(Clone, Debug)]
pub struct Duplicate<L> {
    inner: L,
    duplicate_percent: u8,
    random: Random,
}

impl<L> Jitter<L> {
    /// Adds up to so much delay.
    pub fn new(inner: L, jitter_ns: u64, random: Random) -> Self {
        Self { inner, jitter_ns, random }
    }
}

impl<L> FrameLoss<L> {
    /// Loses this share of transmissions.
    pub fn new(inner: L, loss_percent: u8, retransmit_after_ns: u64, random: Random) -> Self {
        Self { inner, loss_percent: loss_percent.min(LOSS_PERCENT_MAX), retransmit_after_ns, random }
    }
}

impl<L> Duplicate<L> {
    /// Delivers this share of frames twice.
    pub fn new(inner: L, duplicate_percent: u8, random: Random) -> Self {
        Self { inner, duplicate_percent, random }
    }
}

impl<L: Link> Link for Jitter<L> {
    fn send(&mut self, now_ns: u64, frame: Vec<u8>) -> Vec<Delivery> {
        let mut deliveries = self.inner.send(now_ns, frame);
        for delivery in &mut deliveries {
            delivery.at_ns =
                delivery.at_ns.saturating_add(self.random.below(self.jitter_ns.saturating_add(1)));
        }
        deliveries
    }

    fn room_at_ns(&mut self, now_ns: u64) -> u64 {
        self.inner.room_at_ns(now_ns)
    }
}

impl<L: Link> Link for FrameLoss<L> {
    fn send(&mut self, now_ns: u64, frame: Vec<u8>) -> Vec<Delivery> {
        let mut deliveries = self.inner.send(now_ns, frame);
        for delivery in &mut deliveries {
            while self.random.percent(self.loss_percent) {
                delivery.at_ns = delivery.at_ns.saturating_add(self.retransmit_after_ns);
            }
        }
        deliveries
    }

    fn room_at_ns(&mut self, now_ns: u64) -> u64 {
        self.inner.room_at_ns(now_ns)
    }
}

impl<L: Link> Link for Duplicate<L> {
    fn send(&mut self, now_ns: u64, frame: Vec<u8>) -> Vec<Delivery> {
        let mut deliveries = self.inner.send(now_ns, frame);
        if self.random.percent(self.duplicate_percent) {
            deliveries.extend_from_within(..);
        }
        deliveries
    }

    fn room_at_ns(&mut self, now_ns: u64) -> u64 {
        self.inner.room_at_ns(now_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Pipe;

    const FRAMES: usize = 1000;

    fn pipe() -> Pipe {
        Pipe::new(u64::MAX, 0, FRAMES)
    }

    fn send_all(mut link: impl Link) -> Vec<Delivery> {
        (0..FRAMES).flat_map(|at| link.send(at as u64 * 1000, vec![0])).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let run = |seed| send_all(Jitter::new(pipe(), 10_000, Random::new(seed)));
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn jitter_lets_frames_overtake_each_other_and_is_bounded() {
        let deliveries = send_all(Jitter::new(pipe(), 10_000, Random::new(1)));
        assert!(deliveries.windows(2).any(|pair| pair[0].at_ns > pair[1].at_ns));
        assert!(deliveries.iter().zip(0..).all(|(delivery, at)| delivery.at_ns <= at * 1000 + 10_000));
    }

    #[test]
    fn a_lost_frame_comes_later_and_every_frame_comes() {
        let deliveries = send_all(FrameLoss::new(pipe(), 30, 1_000_000, Random::new(1)));
        assert_eq!(deliveries.len(), FRAMES);
        let lost = deliveries.iter().filter(|delivery| delivery.at_ns >= 1_000_000).count();
        assert!((200..400).contains(&lost), "{lost} of {FRAMES}");
    }

    #[test]
    fn some_frames_come_twice() {
        let deliveries = send_all(Duplicate::new(pipe(), 10, Random::new(1)));
        assert!((FRAMES + 50..FRAMES + 150).contains(&deliveries.len()), "{}", deliveries.len());
    }
}
