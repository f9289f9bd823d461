//! How much may be under way at once, so that the link stays busy and nothing queues.
//!
//! What is sent and not credited by the receiver is under way: on the link, or queued before it. An answer to a request
//! that is sent now comes after all of it. So the sender keeps no more under way than the link takes anyway, which is the
//! rate of delivery times the shortest time that a byte has taken, and one segment. It starts with little, and with
//! every round trip allows twice as much, until more under way no longer means faster delivery; later it tries more
//! every now and then, in case the link has become faster.
//!
//! Pure: time is an argument.

use std::collections::VecDeque;

/// Bytes of a full segment: credits come about as often.
const SEGMENT: u64 = 1448;

/// Allowed at first: with a page added, about as much as a small link takes.
const ALLOWANCE_FIRST: u64 = 8 * 1024;

/// Never allowed more.
const ALLOWANCE_MAX: u64 = 16 << 20;

/// Rounds in which the fastest counts.
const RATE_ROUNDS: usize = 10;

/// A rate is not measured over less than this.
const ROUND_BYTES_MIN: u64 = 8 * 4137;

/// Every so many rounds more is tried.
const PROBE_ROUNDS: u64 = 8;

/// Rounds without growth after which the start is over.
const PLATEAU_ROUNDS: u32 = 3;

/// For how long the shortest time counts.
const BASE_TTL_NS: u64 = 10_000_000_000;

/// How much may be under way.
#[derive(Clone, Debug)]
pub struct Pace {
    sent: u64,
    credited: u64,
    /// Where each piece ends that was sent, and when.
    marks: VecDeque<(u64, u64)>,
    base_ns: Option<(u64, u64)>,
    /// Bytes in a second, of the last rounds.
    rates: VecDeque<u64>,
    round: Round,
    rounds: u64,
    starting: bool,
    plateau: u32,
    allowance: u64,
    /// Never allowed less.
    floor: u64,
}

/// From one point to when all that had been sent by then is credited.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    ends_at: u64,
    credited: u64,
    began_ns: u64,
    /// Whether nothing was under way at some time, so that the rate says nothing.
    idle: bool,
}

/// The receiver credits more than was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{credited} bytes credited, {sent} were sent")]
pub struct Overcredited {
    credited: u64,
    sent: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            sent: 0,
            credited: 0,
            marks: VecDeque::new(),
            base_ns: None,
            rates: VecDeque::new(),
            round: Round { idle: true, ..Round::default() },
            rounds: 0,
            starting: true,
            plateau: 0,
            allowance: ALLOWANCE_FIRST,
            floor: 0,
        }
    }
}

impl Pace {
    /// For somebody who does better with much at once.
    pub fn at_least(floor: u64) -> Self {
        Self { floor, ..Self::default() }
    }

    /// Whether another page may be sent that nobody waits for.
    pub fn has_room(&self) -> bool {
        self.under_way() <= self.allowance.max(self.floor)
    }

    /// Bytes sent and not credited.
    pub fn under_way(&self) -> u64 {
        self.sent - self.credited
    }

    /// Bytes in a second, as last measured.
    pub fn rate(&self) -> u64 {
        self.rates.iter().copied().max().unwrap_or(0)
    }

    /// So many bytes are handed to the link.
    pub fn sent(&mut self, bytes: u64, now_ns: u64) {
        if self.under_way() == 0 {
            self.round =
                Round { ends_at: self.sent + bytes, credited: self.credited, began_ns: now_ns, idle: false };
        }
        self.sent += bytes;
        self.marks.push_back((self.sent, now_ns));
    }

    /// The receiver has so many bytes in all.
    ///
    /// # Errors
    /// That is more than was sent.
    pub fn credited(&mut self, total: u64, now_ns: u64) -> Result<(), Overcredited> {
        if total > self.sent {
            return Err(Overcredited { credited: total, sent: self.sent });
        }
        if total <= self.credited {
            return Ok(());
        }
        self.credited = total;
        while self.marks.front().is_some_and(|(end, _)| *end < total) {
            self.marks.pop_front();
        }
        if let Some(&(_, sent_ns)) = self.marks.front() {
            self.note_delay(now_ns.saturating_sub(sent_ns), now_ns);
        }
        self.round.idle |= self.under_way() == 0;
        if total >= self.round.ends_at && total - self.round.credited >= ROUND_BYTES_MIN {
            self.end_round(now_ns);
        }
        Ok(())
    }

    fn note_delay(&mut self, delay_ns: u64, now_ns: u64) {
        match self.base_ns {
            Some((base_ns, at_ns)) if base_ns < delay_ns && now_ns.saturating_sub(at_ns) < BASE_TTL_NS => {}
            _ => self.base_ns = Some((delay_ns, now_ns)),
        }
    }

    fn end_round(&mut self, now_ns: u64) {
        let Round { credited, began_ns, idle, .. } = self.round;
        let elapsed_ns = now_ns.saturating_sub(began_ns).max(1);
        let rate = u128::from(self.credited - credited) * 1_000_000_000 / u128::from(elapsed_ns);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        let before = self.rate();
        if !idle || rate > before {
            self.rates.push_back(rate);
            if self.rates.len() > RATE_ROUNDS {
                self.rates.pop_front();
            }
        }
        if !idle {
            self.rounds += 1;
            self.plateau = if rate > before + before / 4 { 0 } else { self.plateau + 1 };
            self.starting &= self.plateau < PLATEAU_ROUNDS;
        }
        self.allow();
        self.round = Round {
            ends_at: self.sent,
            credited: self.credited,
            began_ns: now_ns,
            idle: self.under_way() == 0,
        };
    }

    fn allow(&mut self) {
        let base_ns = self.base_ns.map_or(0, |(base_ns, _)| base_ns);
        let product = u128::from(self.rate()) * u128::from(base_ns) / 1_000_000_000;
        let product = u64::try_from(product).unwrap_or(u64::MAX).min(ALLOWANCE_MAX);
        self.allowance = if self.starting {
            (2 * product).max(self.allowance)
        } else if self.rounds.is_multiple_of(PROBE_ROUNDS) {
            product + product / 4 + 2 * SEGMENT
        } else {
            product + SEGMENT
        }
        .min(ALLOWANCE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4137;

    /// Sends pages over a link of so many bytes in a second and so much latency either way for some time. Says what
    /// share of the link was used in the second half, and how many bytes were queued at most then.
    fn share_and_queue(rate: u64, latency_ns: u64, for_ns: u64) -> (f64, u64) {
        let mut pace = Pace::default();
        let (mut now_ns, mut link_free_ns, mut sent) = (0, 0, 0);
        let mut credits: VecDeque<(u64, u64)> = VecDeque::new();
        let (mut delivered, mut queue_max) = (0, 0);
        while now_ns < for_ns {
            let late = now_ns > for_ns / 2;
            while pace.has_room() {
                pace.sent(PAGE, now_ns);
                if late {
                    let waits_ns = link_free_ns.max(now_ns) - now_ns;
                    queue_max = queue_max.max(waits_ns * rate / 1_000_000_000);
                    delivered += PAGE;
                }
                for part in [PAGE / 3, PAGE / 3, PAGE - 2 * (PAGE / 3)] {
                    sent += part;
                    link_free_ns = link_free_ns.max(now_ns) + part * 1_000_000_000 / rate;
                    credits.push_back((link_free_ns + 2 * latency_ns, sent));
                }
            }
            let (at_ns, total) = credits.pop_front().unwrap();
            now_ns = at_ns;
            pace.credited(total, now_ns).unwrap();
        }
        (delivered as f64 * 1e9 / (rate as f64 * (for_ns / 2) as f64), queue_max)
    }

    #[test]
    fn links_are_busy_and_little_is_queued() {
        for (rate, latency_ns) in [
            (12_500_000, 50_000),
            (12_500_000, 1_000_000),
            (125_000_000, 100_000),
            (1_250_000_000, 5_000_000),
        ] {
            let (share, queue) = share_and_queue(rate, latency_ns, 2_000_000_000);
            assert!(share > 0.97, "{rate} {latency_ns}: share {share}");
            let product = rate * latency_ns * 2 / 1_000_000_000;
            assert!(queue <= 2 * PAGE + product / 2, "{rate} {latency_ns}: queue {queue} of {product}");
        }
    }

    #[test]
    fn more_credit_than_was_sent_is_refused() {
        let mut pace = Pace::default();
        pace.sent(10, 0);
        assert!(pace.credited(11, 1).is_err());
        assert_eq!(pace.credited(10, 1), Ok(()));
        assert_eq!((pace.under_way(), pace.credited(4, 2)), (0, Ok(())));
    }
}
