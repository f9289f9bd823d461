//! What a migration cost.

use serde::{Serialize, Serializer};
use steplog::place::Place;

/// What one migration cost. Times count from its start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationOutcome {
    /// Number of pages of the address space.
    pub page_count: u64,
    /// The process still runs at the source: from the start to the suspension.
    #[serde(rename = "pre_migration_ns")]
    pub pre_migration: Span,
    /// From the start until the last page that was copied ahead has left the source. Longer than the Pre-migration
    /// state by what is still in the send buffer at the suspension.
    pub copying_ns: u64,
    /// The process does not run: from the suspension to the resume.
    #[serde(rename = "freeze_ns")]
    pub freeze: Span,
    /// The process runs at the destination and needs the source: from the resume until the source's last word. Nothing
    /// for an algorithm without this state.
    #[serde(rename = "post_migration_ns")]
    pub post_migration: Span,
    /// Accesses that the process has done.
    pub accesses: u64,
    /// When the process had done the accesses that were asked for.
    pub run_time_ns: Option<u64>,
    /// Accesses that found no page.
    pub faults: FaultCounts,
    /// Time for which threads of the running process waited for pages.
    pub stall_ns: u64,
    /// How long single waits were.
    pub stalls: Stalls,
    /// Processor time that the process was denied before the suspension, so that copying makes headway.
    pub throttled_ns: u64,
    /// Threads of the process.
    pub threads: u32,
    /// When everything had come as far as it would.
    pub end_ns: u64,
    /// When the last wait for a page was over.
    pub last_stall_ns: u64,
    /// Pages sent, by what for.
    pub pages: PageCounts,
    /// Passes of copying ahead.
    pub passes: u32,
    /// Pages that each of them left to send.
    pub left_after_pass: Vec<u64>,
    /// Whether the process was resumed before what was left had been sent, because the downtime target was missed.
    pub switched: bool,
    /// What was sent, by origin and destination.
    pub sent: Vec<SentCounts>,
    /// Why copying ahead never ends, if so.
    pub divergence: Option<Divergence>,
}

/// How long something took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// So many nanoseconds.
    Ns(u64),
    /// It does not end.
    Endless,
    /// It was not begun.
    NotReached,
}

/// Accesses that found no page, by who had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultCounts {
    /// The source.
    pub at_source: u64,
    /// The file server.
    pub at_file_server: u64,
    /// The local backing store of the destination; the process did not wait for it.
    pub at_local_store: u64,
}

/// Pages sent, each time counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PageCounts {
    /// To the destination, before the suspension.
    pub copied: u64,
    /// To the destination, during the freeze.
    pub transferred: u64,
    /// To the file server, during the freeze.
    pub flushed: u64,
    /// To the destination, on request.
    pub served: u64,
    /// To the destination, unasked.
    pub pushed: u64,
    /// To the file server, by the host where the process runs or ran.
    pub written_back: u64,
    /// From the file server, on request.
    pub fetched: u64,
    /// To the destination, although they had been sent there before.
    pub sent_again: u64,
}

/// What one place sent to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SentCounts {
    /// Which place.
    pub from: Place,
    /// To which place.
    pub to: Place,
    /// Page contents.
    pub pages: u64,
    /// Bytes of all messages.
    pub bytes: u64,
}

/// How long waits for pages were, in nanoseconds: of a hundred, so many were no longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stalls {
    /// How many there were.
    pub count: u64,
    /// Of half of them.
    pub median_ns: u64,
    /// Of ninety.
    pub p90_ns: u64,
    /// Of ninety-nine.
    pub p99_ns: u64,
    /// The longest.
    pub longest_ns: u64,
}

/// Copying ahead does not come to an end: in the last passes of the run, what was left did not become less.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Divergence {
    /// Passes after which this was concluded.
    pub passes: u32,
    /// Of these, the last, in which nothing was gained.
    pub passes_in_vain: u32,
    /// Pages that the next pass would have to send.
    pub pages_left: u64,
    /// The fewest and the most that the last passes left.
    pub fewest_left: u64,
    /// The most.
    pub most_left: u64,
    /// For how long the fewest would freeze the process: a downtime target of so much is met.
    pub freeze_ns: u64,
    /// How often the process writes, per second; `None` where it writes as fast as pages are sent, or as was measured.
    pub writes_per_s: Option<f64>,
    /// How many pages the link carries per second.
    pub pages_per_s: f64,
}

impl Stalls {
    /// Of waits of these lengths.
    pub(super) fn of(mut lengths_ns: Vec<u64>) -> Self {
        lengths_ns.sort_unstable();
        let count = lengths_ns.len();
        let at = |percent: usize| {
            let rank = (count * percent).div_ceil(100).max(1) - 1;
            lengths_ns.get(rank).copied().unwrap_or_default()
        };
        Self { count: count as u64, median_ns: at(50), p90_ns: at(90), p99_ns: at(99), longest_ns: at(100) }
    }
}

impl SimulationOutcome {
    /// From the start of the migration until the process is back at rest.
    pub fn total(&self) -> Span {
        self.pre_migration.then(self.freeze).then(self.post_migration)
    }

    /// Which share of its time the process lost, apart from the freeze, from the start until it is back at rest and has
    /// waited for its last page: it waited for pages, or was slowed down.
    pub fn slowdown(&self) -> f64 {
        let before_ns = self.pre_migration.ns().unwrap_or(self.end_ns);
        let resumed_ns = before_ns + self.freeze.ns().unwrap_or(0);
        let at_rest_ns = resumed_ns + self.post_migration.ns().unwrap_or(0);
        let wanted_ns = (before_ns + at_rest_ns.max(self.last_stall_ns).saturating_sub(resumed_ns)) as f64;
        let lost_ns = self.stall_ns as f64 / f64::from(self.threads.max(1)) + self.throttled_ns as f64;
        if wanted_ns > 0.0 { (lost_ns / wanted_ns).min(1.0) } else { 0.0 }
    }

    /// Pages sent to the destination by the source.
    pub fn pages_from_source(&self) -> u64 {
        self.pages.copied + self.pages.transferred + self.pages.served + self.pages.pushed
    }

    /// Bytes of all messages between all places.
    pub fn bytes(&self) -> u64 {
        self.sent.iter().map(|sent| sent.bytes).sum()
    }
}

impl PageCounts {
    /// All that have been sent so far.
    pub(super) fn all_sent(&self) -> u64 {
        self.copied
            + self.transferred
            + self.flushed
            + self.served
            + self.pushed
            + self.written_back
            + self.fetched
    }
}

impl FaultCounts {
    /// Those for which the process had to wait.
    pub fn remote(&self) -> u64 {
        self.at_source + self.at_file_server
    }
}

impl Span {
    /// In nanoseconds, if it ended.
    pub fn ns(self) -> Option<u64> {
        match self {
            Self::Ns(ns) => Some(ns),
            Self::Endless | Self::NotReached => None,
        }
    }

    /// One after the other.
    fn then(self, next: Self) -> Self {
        match (self, next) {
            (Self::Ns(first), Self::Ns(second)) => Self::Ns(first + second),
            (Self::Endless, _) | (_, Self::Endless) => Self::Endless,
            _ => Self::NotReached,
        }
    }
}

impl Serialize for Span {
    /// A number of nanoseconds, `"endless"`, or null if it was not begun.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ns(ns) => serializer.serialize_u64(*ns),
            Self::Endless => serializer.serialize_str("endless"),
            Self::NotReached => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_lengths() {
        let stalls = Stalls::of((1..=200).rev().collect());
        let expected = Stalls { count: 200, median_ns: 100, p90_ns: 180, p99_ns: 198, longest_ns: 200 };
        assert_eq!(stalls, expected);
        assert_eq!(Stalls::of(vec![7]).p99_ns, 7);
        assert_eq!(Stalls::of(vec![]), Stalls::default());
    }
}
