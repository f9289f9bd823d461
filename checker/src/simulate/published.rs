//! What others have measured or predicted, next to what the simulation gives for the same setting.
//!
//! Nothing is fitted: memory, rate and workload are as they were published, the rate as that of the payload, and all else is
//! [`Preset::Qemu`]'s. Where a figure is off by more than [`TOLERANCE_PERCENT`], it is said why.

use std::sync::Arc;

use protocol::policy::{Passes, Policy, Pre};
use serde::Serialize;

use super::workload_file::{Measured, Profile};
use super::{
    CostModel, DirtyMarks, Fraction, Preset, SimulatedWorkload, SimulationError, SimulationOutcome,
    SimulationSetup, run,
};

/// Largest deviation that needs no reason.
pub const TOLERANCE_PERCENT: f64 = 10.0;

/// One page in so many of a large memory is simulated, on a line as much slower.
const SCALE: u64 = 256;

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// So many nanoseconds.
    Ns(f64),
    /// So much of a whole.
    Share(f64),
    /// It does not come to an end.
    Never,
}

/// A published figure, and how it is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What was measured.
    pub what: &'static str,
    /// By whom.
    pub source: &'static str,
    /// As published.
    pub published: Figure,
    /// Why the simulation says something else, if it does.
    pub reason: Option<&'static str>,
    simulate: fn() -> Result<Figure, SimulationError>,
}

/// A row with what was simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PublishedComparison {
    /// What was measured.
    pub what: &'static str,
    /// By whom.
    pub source: &'static str,
    /// As published.
    pub published: Figure,
    /// As simulated.
    pub simulated: Figure,
    /// Why it is something else.
    pub reason: Option<&'static str>,
}

const BLOCKED: &str = "the thread that answers is also the one that fills the other connection, and first ends the write \
                       that it is in; this is not simulated";

/// All rows.
pub const ROWS: [Row; 10] = [
    Row {
        what: "pre-copy of 5 GB, idle, at 256 Mbit/s: total",
        source: "QEMU",
        published: Figure::Ns(160.8e9),
        reason: None,
        simulate: || idle(5, 256_000_000, Fraction::NONE),
    },
    Row {
        what: "pre-copy of 8 GB, idle, at 9.5 Gbit/s: total",
        source: "QEMU",
        published: Figure::Ns(7.5e9),
        reason: None,
        simulate: || idle(8, 9_500_000_000, Fraction::NONE),
    },
    Row {
        what: "pre-copy of 54 GiB at 10.8 Gbit/s: total",
        source: "QEMU",
        published: Figure::Ns(46e9),
        reason: None,
        simulate: || idle(54, 10_800_000_000, Fraction::NONE),
    },
    Row {
        what: "pre-copy of 8 GiB, idle, all zero, at 10 Gbit/s: total",
        source: "QEMU",
        published: Figure::Ns(2.07e9),
        reason: None,
        simulate: || idle(8, 10_000_000_000, Fraction::ALL),
    },
    Row {
        what: "post-copy at 10 Gbit/s, a fault, one connection",
        source: "QEMU",
        published: Figure::Ns(10.7e6),
        reason: None,
        simulate: || fault(false),
    },
    Row {
        what: "post-copy at 10 Gbit/s, a fault, own connection",
        source: "QEMU, postcopy-preempt",
        published: Figure::Ns(0.57e6),
        reason: Some(BLOCKED),
        simulate: || fault(true),
    },
    Row {
        what: "pre-copy of 32 GiB, measured vector, 5 Gbit/s, 1 s frozen: total",
        source: "predictor for QEMU",
        published: Figure::Ns(28e9),
        reason: None,
        simulate: || vector(5 << 30, 1_000_000_000),
    },
    Row {
        what: "the same at 1 Gbit/s, 5 s frozen",
        source: "predictor for QEMU",
        published: Figure::Never,
        reason: None,
        simulate: || vector(1 << 30, 5_000_000_000),
    },
    Row {
        what: "pre-copy of 6 GiB, 88 % rewritten in each pass: left by a pass",
        source: "Cloud Hypervisor",
        published: Figure::Share(0.882),
        reason: None,
        simulate: || plateau(DirtyMarks::Pass),
    },
    Row {
        what: "the same with a mark taken when its page is sent",
        source: "Cloud Hypervisor",
        published: Figure::Share(0.882),
        reason: Some("hypervisors take all marks when a pass begins: this is what the other log would give"),
        simulate: || plateau(DirtyMarks::Page),
    },
];

/// QEMU on a line of which the rate of the payload is known, with so much memory.
fn machine(policy: Policy, memory_bytes: u64, bits_per_s: u64) -> SimulationSetup {
    let costs = CostModel { bandwidth_bits_per_s: bits_per_s, framing: None, ..CostModel::QEMU };
    let (mapped_share, dirty_share) = (Fraction::NONE, Fraction::ALL);
    SimulationSetup {
        memory_bytes,
        mapped_share,
        dirty_share,
        accesses_min: 0,
        costs,
        ..SimulationSetup::new(policy, Preset::Qemu)
    }
}

/// As many passes as it takes to freeze for so long.
fn until(target_ns: u64, setup: SimulationSetup) -> SimulationSetup {
    let mut setup = setup;
    setup.policy.pre = Pre::Copy(Passes::AtMost(u32::MAX));
    setup.aim_at_downtime(target_ns);
    setup
}

fn total(outcome: &SimulationOutcome) -> Figure {
    outcome.total().ns().map_or(Figure::Never, |ns| Figure::Ns(ns as f64))
}

fn idle(gib: u64, bits_per_s: u64, zero_share: Fraction) -> Result<Figure, SimulationError> {
    let setup = machine(Policy::PRE_COPY, gib << 30, bits_per_s);
    let setup =
        SimulationSetup { workload: SimulatedWorkload::None, zero_share, ..until(300_000_000, setup) };
    run(&setup.scaled(SCALE)).map(|outcome| total(&outcome))
}

/// The mean wait of a process that touches a page now and then.
fn fault(own_channel: bool) -> Result<Figure, SimulationError> {
    let setup = machine(Policy::POST_COPY, 1 << 30, 10_000_000_000);
    let costs = CostModel { own_channel, latency_ns: 50_000, ..setup.costs.clone() };
    let setup = SimulationSetup { access_interval_ns: 5_000_000, costs, ..setup };
    run(&setup).map(|outcome| Figure::Ns(outcome.stall_ns as f64 / outcome.stalls.count.max(1) as f64))
}

/// The vector of a virtual machine with 32 GiB that was published with the predictor: pages of a sample of 16392 that had
/// changed within so many milliseconds.
const VECTOR: [(u64, u64); 22] = [
    (125, 33),
    (250, 78),
    (375, 119),
    (500, 151),
    (750, 217),
    (1000, 236),
    (1500, 293),
    (2000, 336),
    (3000, 425),
    (4001, 505),
    (6000, 620),
    (8000, 756),
    (10_000, 898),
    (15_000, 1204),
    (20_000, 1457),
    (25_000, 1723),
    (30_000, 1934),
    (35_000, 2141),
    (40_000, 2328),
    (45_000, 2522),
    (50_000, 2675),
    (60_000, 2958),
];
const SAMPLED: u64 = 16_392;
const SAMPLED_ZERO: u64 = 10_060;
const PAGES: u64 = 8_392_704;

/// The predictor leaves out what the software costs, and its Gbit are binary: it says 20 s for one pass at 5 Gbit/s.
fn vector(bits_per_s: u64, target_ns: u64) -> Result<Figure, SimulationError> {
    let scaled = |count: u64| count * PAGES / SAMPLED;
    let point = |(ms, count): (u64, u64)| {
        let written = scaled(count);
        Measured { after_ns: ms * 1_000_000, written, touched: written, ..Measured::default() }
    };
    let curve = VECTOR.map(point).to_vec();
    let profile = Profile {
        pages: PAGES,
        page_size_bytes: 4096,
        zero_pages: scaled(SAMPLED_ZERO),
        curve,
        ..Profile::default()
    };
    let mut setup = until(target_ns, machine(Policy::PRE_COPY, 0, bits_per_s));
    setup.take_over(&profile);
    setup.workload = SimulatedWorkload::Measured(Arc::new(profile));
    setup.costs = CostModel { page_ns: 0, zero_page_ns: 0, install_ns: 0, ..setup.costs };
    run(&setup.scaled(SCALE)).map(|outcome| total(&outcome))
}

/// A process that writes to 88 % of its memory, once in less than a pass of 3 s at 2 GiB/s.
fn plateau(log: DirtyMarks) -> Result<Figure, SimulationError> {
    let setup =
        machine(Policy { pre: Pre::Copy(Passes::AtMost(4)), ..Policy::PRE_COPY }, 6 << 30, 16_666_000_000);
    let (workload, write_share) = (SimulatedWorkload::Sequential, Fraction::ALL);
    let touched_share = Fraction::new(0.882).unwrap_or_default();
    let mut setup = SimulationSetup { workload, write_share, touched_share, log, ..setup };
    setup.costs = CostModel { page_ns: 0, install_ns: 0, ..setup.costs };
    let pages = setup.page_count()?;
    // Once in two seconds.
    setup.access_interval_ns = 2_000_000_000 / touched_share.of(pages);
    let outcome = run(&setup.scaled(SCALE))?;
    let left = outcome.left_after_pass.iter().skip(1);
    let mean = left.clone().sum::<u64>() as f64 / left.count().max(1) as f64;
    Ok(Figure::Share(mean / outcome.page_count as f64))
}

impl Row {
    /// Simulates it.
    ///
    /// # Errors
    /// As [`run`].
    pub fn compare(&self) -> Result<PublishedComparison, SimulationError> {
        let &Self { what, source, published, reason, simulate } = self;
        simulate().map(|simulated| PublishedComparison { what, source, published, simulated, reason })
    }
}

impl PublishedComparison {
    /// How much more was simulated than published, in per cent of what was published; `None` where either does not end.
    pub fn deviation_percent(&self) -> Option<f64> {
        match (self.published, self.simulated) {
            (Figure::Ns(published), Figure::Ns(simulated))
            | (Figure::Share(published), Figure::Share(simulated)) => {
                Some((simulated - published) / published * 100.0)
            }
            _ => None,
        }
    }

    /// Whether it is as it should be: within the tolerance without a reason, or beyond it with one.
    pub fn is_as_said(&self) -> bool {
        let within = match self.deviation_percent() {
            Some(percent) => percent.abs() <= TOLERANCE_PERCENT,
            None => self.published == self.simulated,
        };
        within == self.reason.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_for_what_is_off_and_for_nothing_else() {
        let comparison = |simulated, reason| PublishedComparison {
            what: "",
            source: "",
            published: Figure::Ns(100.0),
            simulated,
            reason,
        };
        for (simulated, reason, as_said) in [
            (Figure::Ns(109.0), None, true),
            (Figure::Ns(91.0), None, true),
            (Figure::Ns(111.0), None, false),
            (Figure::Ns(89.0), None, false),
            (Figure::Ns(111.0), Some("so"), true),
            (Figure::Ns(100.0), Some("so"), false),
            (Figure::Never, None, false),
            (Figure::Never, Some("so"), true),
        ] {
            assert_eq!(comparison(simulated, reason).is_as_said(), as_said, "{simulated:?} {reason:?}");
        }
    }
}
