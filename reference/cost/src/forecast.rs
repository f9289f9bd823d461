//! What is still to come of a migration under way, by a formula: pages one after the other on the line, passes that leave what
//! is written while they last.
//!
//! Faults cost nothing here, since whoever waits for a page gets it before others do, and all of them have to be sent; a
//! simulation knows how long the process waits.

use crate::CostModel;

/// Passes after which one is taken to make no headway.
const PASSES_MAX: u32 = 1000;

/// How far a migration is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Situation {
    /// Pages are copied ahead.
    Copying(Copying),
    /// The process is frozen, or about to be, until so many pages have been sent.
    Freezing {
        /// Pages that the freeze waits for.
        pages: u64,
        /// Pages that follow afterwards.
        follow: u64,
    },
    /// The process runs at the destination, and so many pages follow.
    Following {
        /// Pages.
        pages: u64,
    },
}

/// A pass that is under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copying {
    /// Pages of the address space.
    pub pages: u64,
    /// Pages that the pass has still to send.
    pub due: u64,
    /// Pages that were written since the pass began.
    pub written: u64,
    /// Different pages that the process writes in a second.
    pub written_per_s: f64,
    /// Passes after this one; `None`: until a pass leaves nothing.
    pub passes_left: Option<u32>,
    /// Whether the freeze waits for what the last pass leaves; otherwise it follows.
    pub freezes_for_rest: bool,
}

/// What is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// How long the process will be frozen from now on; nothing once it runs at the destination.
    pub freeze_ns: u64,
    /// How long it will take from now on, the freeze included.
    pub rest_ns: u64,
}

impl Forecast {
    /// By this model, with pages of so many bytes and a state of so many. `None` where copying makes no headway.
    pub fn of(
        costs: &CostModel,
        situation: Situation,
        page_size_bytes: u64,
        state_bytes: u64,
    ) -> Option<Self> {
        let time = |pages| costs.pages_ns(pages, page_size_bytes);
        let bare = costs.bare_freeze_ns(state_bytes);
        let frozen = |before_ns: u64, waits: u64, follow: u64| {
            let freeze_ns = bare.saturating_add(time(waits));
            let rest_ns = before_ns.saturating_add(freeze_ns).saturating_add(time(follow));
            Self { freeze_ns, rest_ns }
        };
        match situation {
            Situation::Following { pages } => {
                Some(Self { freeze_ns: 0, rest_ns: time(pages).saturating_add(costs.latency_ns) })
            }
            Situation::Freezing { pages, follow } => Some(frozen(0, pages, follow)),
            Situation::Copying(copying) => {
                let (before_ns, left) = copying.to_the_end(costs, time)?;
                Some(match copying.freezes_for_rest {
                    true => frozen(before_ns, left, 0),
                    false => frozen(before_ns, 0, left),
                })
            }
        }
    }
}

impl Copying {
    /// How long the passes take that are left, and how many pages the last one leaves.
    fn to_the_end(self, costs: &CostModel, time: impl Fn(u64) -> u64) -> Option<(u64, u64)> {
        let leaves = |written: u64, pass_ns: u64| {
            let more = self.written_per_s * pass_ns as f64 / 1e9;
            written.saturating_add(more as u64).min(self.pages)
        };
        let mut before_ns = time(self.due);
        let mut left = leaves(self.written, before_ns);
        let passes = self.passes_left.unwrap_or(PASSES_MAX);
        for _ in 0..passes {
            if left == 0 {
                break;
            }
            let pass_ns = costs.pass_ns.saturating_add(time(left));
            before_ns = before_ns.saturating_add(pass_ns);
            left = leaves(0, pass_ns);
        }
        (self.passes_left.is_some() || left == 0).then_some((before_ns, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page in a millisecond, and nothing else.
    fn costs() -> CostModel {
        let bytes = 4096 + CostModel::PAPER.page_overhead_bytes;
        let bandwidth_bits_per_s = bytes * 8 * 1000;
        CostModel { bandwidth_bits_per_s, latency_ns: 0, pass_ns: 0, ..CostModel::PAPER }
    }

    fn ms(forecast: Option<Forecast>) -> Option<(u64, u64)> {
        forecast.map(|forecast| (forecast.freeze_ns / 1_000_000, forecast.rest_ns / 1_000_000))
    }

    fn copying() -> Copying {
        Copying {
            pages: 1000,
            due: 600,
            written: 40,
            written_per_s: 100.0,
            passes_left: Some(1),
            freezes_for_rest: true,
        }
    }

    #[test]
    fn passes_leave_what_is_written_while_they_last() {
        let forecast = |copying| ms(Forecast::of(&costs(), Situation::Copying(copying), 4096, 0));
        // 600 ms leave 100, those leave 10, and the freeze waits for them.
        assert_eq!(forecast(copying()), Some((10, 710)));
        // Without another pass it waits for 100; or they follow.
        assert_eq!(forecast(Copying { passes_left: Some(0), ..copying() }), Some((100, 700)));
        let follow = Copying { passes_left: Some(0), freezes_for_rest: false, ..copying() };
        assert_eq!(forecast(follow), Some((0, 700)));
        // 600, 100, 10, 1: in step.
        assert_eq!(forecast(Copying { passes_left: None, ..copying() }), Some((0, 711)));
        assert_eq!(forecast(Copying { passes_left: None, written_per_s: 2000.0, ..copying() }), None);
        let much = Copying { written_per_s: 1e12, passes_left: Some(1), ..copying() };
        assert_eq!(forecast(much), Some((1000, 600 + 1000 + 1000)), "no more than there is");
    }

    #[test]
    fn what_a_freeze_waits_for_and_what_follows_take_their_time() {
        let costs = CostModel { freeze_ns: 3_000_000, latency_ns: 1_000_000, ..costs() };
        let forecast = |situation| ms(Forecast::of(&costs, situation, 4096, 0));
        assert_eq!(forecast(Situation::Freezing { pages: 5, follow: 20 }), Some((11, 31)));
        assert_eq!(forecast(Situation::Following { pages: 20 }), Some((0, 21)));
    }
}
