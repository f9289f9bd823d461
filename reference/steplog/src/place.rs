//! Who takes part in a migration, and the counters that put their messages in order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A machine that can run the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub u16);

impl fmt::Display for HostId {
    /// A, B, … Z, then the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u8::try_from(self.0) {
            Ok(letter) if letter < 26 => write!(f, "{}", char::from(b'A' + letter)),
            _ => write!(f, "host {}", self.0),
        }
    }
}

/// Where a message comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A host.
    Host(HostId),
    /// The file server: the global backing store, one for all hosts.
    FileServer,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::FileServer => f.write_str("file server"),
        }
    }
}

impl From<HostId> for Place {
    fn from(host: HostId) -> Self {
        Self::Host(host)
    }
}

/// Number of a migration of the process: 0 before the first, then one more with each.
///
/// Every message carries it, so that a message that outlived its migration is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the next migration; `None` when the counter is exhausted.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}", self.0)
    }
}

/// How often the content of a page was sent to the destination in one migration: 0 never, 1 the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

/// How often a page was written back to the file server, over all migrations: 0 is the program image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);
