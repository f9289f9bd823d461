//! Which places can be reached.

use std::collections::BTreeMap;

use steplog::fate::Cause;
use steplog::place::Place;

/// The connections of a host. Every place counts as reachable until the driver says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    down: BTreeMap<Place, Cause>,
}

impl Links {
    pub(crate) fn are_up(&self, to: impl Into<Place>) -> bool {
        self.down.is_empty() || !self.down.contains_key(&to.into())
    }

    /// Why the connection to a place is lost, if it is.
    pub(crate) fn why_down(&self, to: impl Into<Place>) -> Option<Cause> {
        self.down.get(&to.into()).copied()
    }

    pub(crate) fn lose(&mut self, to: Place, cause: Cause) {
        self.down.insert(to, cause);
    }

    pub(crate) fn restore(&mut self, to: Place) {
        self.down.remove(&to);
    }
}
