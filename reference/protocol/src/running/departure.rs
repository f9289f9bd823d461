//! Where a process is going, and how it left.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use steplog::place::{Epoch, HostId};

/// Where a process is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination.
    pub to: HostId,
    /// The number of the migration.
    pub epoch: Epoch,
}

/// How the process left a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    /// Where it went.
    pub route: Route,
    /// The hosts that may have it since, as far as the operator has said.
    pub heard: BTreeSet<HostId>,
    /// The one before, in case the process is taken back.
    pub earlier: Option<Box<Departure>>,
}

impl Departure {
    pub fn new(route: Route) -> Self {
        Self { route, heard: BTreeSet::from([route.to]), earlier: None }
    }

    /// As the one before another one.
    pub fn last(self) -> Box<Self> {
        Box::new(Self { earlier: None, ..self })
    }
}
