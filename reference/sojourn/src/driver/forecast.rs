//! What is to be expected of a migration under way: the cost model, given what has been seen of this one.

use std::time::Instant;

use cost::{Copying, CostModel, Forecast, Situation};
use protocol::destination::Destination;
use protocol::host::Role;
use protocol::page::PAGE_SIZE;
use protocol::policy::{Freeze, Passes, Policy, Pre};
use protocol::source::{Pass, Source};

/// How fast a subject writes: what a pass had to send is what was written while the one before it lasted.
#[derive(Debug, Default)]
pub(super) struct PaceOfWrites {
    pass: u32,
    began: Option<Instant>,
    per_s: Option<f64>,
}

impl PaceOfWrites {
    /// A pass is under way, and has still to send so many pages.
    fn note(&mut self, number: u32, due: u64, now: Instant) {
        if number == self.pass {
            return;
        }
        let before = self.began.filter(|_| number == self.pass + 1 && self.pass > 0);
        let lasted = before.map(|began| now.saturating_duration_since(began).as_secs_f64());
        self.per_s = lasted.filter(|seconds| *seconds > 0.0).map(|seconds| due as f64 / seconds);
        (self.pass, self.began) = (number, Some(now));
    }

    /// Different pages in a second, and those written since the pass began; nothing is known of either in the first.
    fn so_far(&self, now: Instant) -> (f64, u64) {
        let per_s = self.per_s.unwrap_or(0.0);
        let seconds = self.began.map_or(0.0, |began| now.saturating_duration_since(began).as_secs_f64());
        (per_s, (per_s * seconds) as u64)
    }
}

/// What is to come, on a link that takes so many bytes in a second: nothing before that is known, and nothing once all is over.
/// Each page counts as a whole one; that some are all zero is seen when they are sent, so it may say too much, and less and
/// less so.
pub(super) fn forecast(
    role: &Role,
    policy: &Policy,
    pace: &mut PaceOfWrites,
    (pages, bytes_per_s): (u64, u64),
) -> Option<Forecast> {
    let situation = situation(role, policy, pace, pages, Instant::now())?;
    if bytes_per_s == 0 {
        return None;
    }
    // What was delivered is payload.
    let bandwidth_bits_per_s = bytes_per_s.saturating_mul(8);
    let costs = CostModel { bandwidth_bits_per_s, framing: None, ..CostModel::SOJOURN };
    // The map of pages has a bit for each.
    let state_bytes = costs.state_bytes + pages.div_ceil(8);
    Forecast::of(&costs, situation, PAGE_SIZE as u64, state_bytes)
}

fn situation(
    role: &Role,
    policy: &Policy,
    pace: &mut PaceOfWrites,
    pages: u64,
    now: Instant,
) -> Option<Situation> {
    let count = |pages: usize| pages as u64;
    let follows = || if policy.freeze == Freeze::None { pages } else { 0 };
    Some(match role {
        Role::Source(Source::PreMigration(pre)) => match &pre.pass {
            Some(pass) => copying(policy, pass, pace, pages, now),
            None => match policy.freeze {
                Freeze::All | Freeze::NotInStep => Situation::Freezing { pages, follow: 0 },
                // What is modified is not known before the process stands still.
                Freeze::Modified | Freeze::Flush => return None,
                Freeze::None => Situation::Freezing { pages: 0, follow: pages },
            },
        },
        Role::Source(Source::Frozen(frozen)) => {
            let waits = count(frozen.to_transfer.len()) + count(frozen.to_flush.len());
            Situation::Freezing { pages: waits, follow: follows() }
        }
        Role::Source(Source::Offered(offered)) => {
            Situation::Freezing { pages: 0, follow: count(offered.owed.len()) }
        }
        Role::Source(Source::Shadow(shadow)) => Situation::Following { pages: count(shadow.owed.len()) },
        Role::Destination(Destination::Post(post)) => {
            Situation::Following { pages: count(post.resident.owed.len()) }
        }
        _ => return None,
    })
}

fn copying(policy: &Policy, pass: &Pass, pace: &mut PaceOfWrites, pages: u64, now: Instant) -> Situation {
    let due = pass.due.len() as u64;
    pace.note(pass.number, due, now);
    let (written_per_s, written) = pace.so_far(now);
    let passes_left = match policy.pre {
        Pre::Copy(Passes::AtMost(passes)) => Some(passes.saturating_sub(pass.number)),
        _ => None,
    };
    let freezes_for_rest = policy.freeze == Freeze::NotInStep;
    Situation::Copying(Copying { pages, due, written, written_per_s, passes_left, freezes_for_rest })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_pass_has_to_send_was_written_during_the_one_before() {
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        let mut pace = PaceOfWrites::default();
        pace.note(1, 1000, began);
        assert_eq!(pace.so_far(after(100)), (0.0, 0), "nobody knows");
        pace.note(1, 600, after(200));
        pace.note(2, 250, after(500));
        assert_eq!(pace.so_far(after(700)), (500.0, 100));
        pace.note(2, 10, after(800));
        assert_eq!(pace.so_far(after(800)), (500.0, 150));
        // Another migration begins anew.
        pace.note(1, 1000, after(2000));
        assert_eq!(pace.so_far(after(2100)), (0.0, 0));
    }
}
