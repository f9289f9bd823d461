//! One parameter over a range: where algorithms overtake each other.

use std::fmt;

use protocol::policy::{Passes, Pre};
use serde::{Serialize, Serializer};

use super::summary::{self, Summary};
use super::{Fraction, Patience, SimulationError, SimulationOutcome, SimulationSetup, SimulationSetupError};

/// A parameter that can be swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Size of the address space, in bytes.
    Memory,
    /// Size of a page, in bytes.
    PageSize,
    /// Bits that leave an interface in a second.
    Bandwidth,
    /// Time between places, in nanoseconds.
    Latency,
    /// Bytes that may be queued at an interface.
    SendBuffer,
    /// Time between accesses, in nanoseconds.
    AccessInterval,
    /// Writes a second; decides the time between accesses.
    WriteRate,
    /// Different pages written in a second; decides the time between accesses.
    DirtyRate,
    /// Downtime target of copying ahead, in nanoseconds.
    Downtime,
    /// Share of pages that are all zero.
    ZeroShare,
    /// Connections that share the pages.
    Streams,
    /// Share of accesses that write.
    WriteShare,
    /// Share of file-mapped pages.
    MappedShare,
    /// Share of pages that are modified at the start.
    DirtyShare,
    /// Passes of copying ahead.
    Passes,
}

/// What the values of a parameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Bits a second.
    BitsPerSecond,
    /// Nanoseconds.
    Nanoseconds,
    /// How often in a second.
    PerSecond,
    /// A number from 0 to 1.
    Share,
    /// A whole number.
    Count,
}

/// A parameter over a range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// Which parameter.
    pub parameter: Parameter,
    /// The first value.
    pub from: f64,
    /// The last value.
    pub to: f64,
    /// Number of values, the first and the last included.
    pub points: usize,
}

/// What one algorithm costs at one value of the parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The value of the parameter.
    pub value: f64,
    /// The setting.
    pub setup: SimulationSetup,
    /// What the first run cost.
    pub outcome: SimulationOutcome,
    /// What all have come to.
    pub summary: Summary,
}

impl Parameter {
    /// All.
    pub const ALL: [Self; 15] = [
        Self::Memory,
        Self::PageSize,
        Self::Bandwidth,
        Self::Latency,
        Self::SendBuffer,
        Self::AccessInterval,
        Self::WriteRate,
        Self::DirtyRate,
        Self::Downtime,
        Self::ZeroShare,
        Self::Streams,
        Self::WriteShare,
        Self::MappedShare,
        Self::DirtyShare,
        Self::Passes,
    ];

    /// What its values are.
    pub fn unit(self) -> Unit {
        match self {
            Self::Memory | Self::PageSize | Self::SendBuffer => Unit::Bytes,
            Self::Bandwidth => Unit::BitsPerSecond,
            Self::Latency | Self::AccessInterval | Self::Downtime => Unit::Nanoseconds,
            Self::WriteRate | Self::DirtyRate => Unit::PerSecond,
            Self::WriteShare | Self::MappedShare | Self::DirtyShare | Self::ZeroShare => Unit::Share,
            Self::Passes | Self::Streams => Unit::Count,
        }
    }

    /// In words, for an axis.
    pub fn title(self) -> &'static str {
        match self {
            Self::Memory => "Size of the address space",
            Self::PageSize => "Size of a page",
            Self::Bandwidth => "Rate of the line",
            Self::Latency => "Time between places",
            Self::SendBuffer => "Send buffer",
            Self::AccessInterval => "Time between accesses",
            Self::WriteRate => "Writes a second",
            Self::DirtyRate => "Different pages written in a second",
            Self::Downtime => "Downtime target",
            Self::ZeroShare => "Share of zero pages",
            Self::Streams => "Connections",
            Self::WriteShare => "Share of accesses that write",
            Self::MappedShare => "Share of file-mapped pages",
            Self::DirtyShare => "Share of modified pages",
            Self::Passes => "Passes",
        }
    }

    /// The setting with another value of this parameter.
    ///
    /// # Errors
    /// The workload cannot have it.
    pub fn set(self, setup: &SimulationSetup, value: f64) -> Result<SimulationSetup, SimulationSetupError> {
        let mut setup = setup.clone();
        let share = Fraction::new(value).unwrap_or_default();
        match self {
            Self::Memory => setup.memory_bytes = value as u64,
            Self::PageSize => setup.page_size_bytes = value as u64,
            Self::Bandwidth => setup.costs.bandwidth_bits_per_s = value as u64,
            Self::Latency => setup.costs.latency_ns = value as u64,
            Self::SendBuffer => setup.costs.send_buffer_bytes = value as u64,
            Self::AccessInterval => setup.access_interval_ns = value as u64,
            Self::WriteRate => setup.access_interval_ns = (setup.write_share.as_f64() * 1e9 / value) as u64,
            Self::DirtyRate => setup.set_dirty_rate(value as u64)?,
            Self::Downtime => setup.aim_at_downtime(value as u64),
            Self::ZeroShare => setup.zero_share = share,
            Self::Streams => setup.costs.streams = value as u32,
            Self::WriteShare => setup.write_share = share,
            Self::MappedShare => setup.mapped_share = share,
            Self::DirtyShare => (setup.dirty_share, setup.unsaved_share) = (share, None),
            Self::Passes => setup.set_passes(Passes::AtMost(value as u32)),
        }
        Ok(setup)
    }
}

impl Sweep {
    /// The values, ascending or descending: by equal factors, for shares and counts by equal steps.
    pub fn values(&self) -> Vec<f64> {
        let last = self.points.saturating_sub(1).max(1) as f64;
        let at = |index: usize| index as f64 / last;
        let value = |index: usize| match self.is_logarithmic() {
            _ if index == 0 => self.from,
            _ if index + 1 == self.points => self.to,
            true => self.from * (self.to / self.from).powf(at(index)),
            false => self.from + (self.to - self.from) * at(index),
        };
        let rounded = |value: f64| if self.parameter.unit() == Unit::Share { value } else { value.round() };
        let mut values: Vec<f64> = (0..self.points).map(value).map(rounded).collect();
        values.dedup();
        values
    }

    /// Whether values grow by equal factors.
    pub fn is_logarithmic(&self) -> bool {
        !matches!(self.parameter.unit(), Unit::Share | Unit::Count) && self.from > 0.0 && self.to > 0.0
    }

    /// What so many migrations cost at each value.
    ///
    /// # Errors
    /// As [`summary::outcomes`].
    pub fn run(
        &self,
        setup: &SimulationSetup,
        runs: u64,
        patience: &dyn Patience,
    ) -> Result<Vec<Point>, SimulationError> {
        let point = |value| {
            let setup = self.parameter.set(setup, value)?;
            let outcomes = summary::outcomes(&setup, runs, patience)?;
            let (outcome, summary) = (outcomes[0].clone(), Summary::of(&outcomes));
            Ok(Point { value, setup, outcome, summary })
        };
        self.values().into_iter().map(point).collect()
    }
}

impl SimulationSetup {
    /// Changes the number of passes, in an algorithm that makes a bounded number of them.
    pub fn set_passes(&mut self, passes: Passes) {
        if let Pre::Copy(Passes::AtMost(_)) = self.policy.pre {
            self.policy.pre = Pre::Copy(passes);
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::PageSize => "page-size",
            Self::Bandwidth => "bandwidth",
            Self::Latency => "latency",
            Self::SendBuffer => "send-buffer",
            Self::AccessInterval => "access-interval",
            Self::WriteRate => "write-rate",
            Self::DirtyRate => "dirty-rate",
            Self::Downtime => "downtime",
            Self::ZeroShare => "zero-share",
            Self::Streams => "streams",
            Self::WriteShare => "write-share",
            Self::MappedShare => "mapped-share",
            Self::DirtyShare => "dirty-share",
            Self::Passes => "passes",
        })
    }
}

impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use protocol::policy::Policy;

    use super::*;

    fn sweep(parameter: Parameter, from: f64, to: f64, points: usize) -> Sweep {
        Sweep { parameter, from, to, points }
    }

    #[test]
    fn values_grow_by_equal_factors_or_steps_and_keep_their_ends() {
        assert_eq!(sweep(Parameter::Memory, 1000.0, 8000.0, 4).values(), [1000.0, 2000.0, 4000.0, 8000.0]);
        assert_eq!(sweep(Parameter::Memory, 8000.0, 1000.0, 4).values(), [8000.0, 4000.0, 2000.0, 1000.0]);
        assert_eq!(sweep(Parameter::MappedShare, 0.0, 1.0, 5).values(), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(sweep(Parameter::Passes, 1.0, 3.0, 9).values(), [1.0, 2.0, 3.0]);
        assert_eq!(sweep(Parameter::Latency, 0.0, 100.0, 3).values(), [0.0, 50.0, 100.0]);
    }

    #[test]
    fn each_parameter_changes_the_setting() {
        let setup = SimulationSetup::published(Policy::PRE_COPY);
        for parameter in Parameter::ALL {
            let value = if parameter.unit() == Unit::Share { 0.125 } else { 12_345.0 };
            let value = if parameter == Parameter::DirtyRate { 1_234.0 } else { value };
            assert_ne!(parameter.set(&setup, value), Ok(setup.clone()), "{parameter}");
        }
        let written = Parameter::WriteRate.set(&setup, 1000.0).expect("a setting");
        assert_eq!(written.writes_per_s(), Some(1000.0));
    }
}
