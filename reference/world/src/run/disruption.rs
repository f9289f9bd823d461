//! What goes wrong in a run, as data.

use std::collections::BTreeMap;
use std::fmt;

use protocol::host::{HostLimits, Timeouts};
use serde::{Deserialize, Serialize};
use steplog::place::HostId;

use super::Scenario;

/// A scenario in which things go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Disrupted {
    /// What is to be run.
    pub scenario: Scenario,
    /// What goes wrong, in any order.
    #[serde(default)]
    pub disruptions: Vec<Scheduled>,
    /// How much each host takes on.
    #[serde(default)]
    pub limits: HostLimits,
    /// How long each host waits.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// A disruption and when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scheduled {
    /// When.
    pub when: Moment,
    /// What.
    pub disruption: Disruption,
}

/// A point in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// As soon as the endpoints have taken so many steps.
    AfterSteps(usize),
    /// At this virtual time.
    AtNs(u64),
}

/// Something that goes wrong. Every disruption ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disruption {
    /// The connection between two hosts breaks, and comes back. Each may notice before that, or only then: a host that
    /// notices and one that does not are a false suspicion.
    Cut {
        /// Between whom.
        between: [HostId; 2],
        /// After what time each of them notices; 0 is at once.
        noticed_after_ns: [u64; 2],
        /// After what time there is a new connection.
        lasts_ns: u64,
    },
    /// The file server is out of reach of everybody. What it has acknowledged survives.
    Outage {
        /// After what time the hosts notice.
        noticed_after_ns: u64,
        /// After what time it is back.
        lasts_ns: u64,
    },
    /// A machine dies, with everything on it. It is back, empty, when all others have been told.
    Crash {
        /// Which.
        host: HostId,
        /// After what time the others notice that their connections to it are gone.
        noticed_after_ns: u64,
        /// After what time they are told that it was dead.
        lasts_ns: u64,
    },
    /// The operator calls off the migration under way, if it is not too late.
    Cancel,
    /// The next destination that could run the process refuses it.
    Refuse,
}

/// The kinds of disruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisruptionKind {
    /// [`Disruption::Cut`]
    Cut,
    /// [`Disruption::Outage`]
    Outage,
    /// [`Disruption::Crash`]
    Crash,
    /// [`Disruption::Cancel`]
    Cancel,
    /// [`Disruption::Refuse`]
    Refuse,
}

/// How often each kind of disruption had an effect in a run.
pub type Injected = BTreeMap<DisruptionKind, u64>;

impl Disruption {
    /// What kind of disruption this is.
    pub fn kind(&self) -> DisruptionKind {
        match self {
            Self::Cut { .. } => DisruptionKind::Cut,
            Self::Outage { .. } => DisruptionKind::Outage,
            Self::Crash { .. } => DisruptionKind::Crash,
            Self::Cancel => DisruptionKind::Cancel,
            Self::Refuse => DisruptionKind::Refuse,
        }
    }
}

impl DisruptionKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cut, Self::Outage, Self::Crash, Self::Cancel, Self::Refuse];
}

impl fmt::Display for DisruptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut",
            Self::Outage => "outage",
            Self::Crash => "crash",
            Self::Cancel => "cancel",
            Self::Refuse => "refuse",
        })
    }
}

impl From<Scenario> for Disrupted {
    fn from(scenario: Scenario) -> Self {
        let (limits, timeouts) = (HostLimits::default(), Timeouts::default());
        Self { scenario, disruptions: Vec::new(), limits, timeouts }
    }
}
