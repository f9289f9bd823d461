//! Which page.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Index of a page in the address space, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageNumber(pub u64);

impl PageNumber {
    /// The position of this page in a table of pages. Saturates where `usize` is narrower than 64 bits, so that
    /// a hostile number is out of range rather than some other page.
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for PageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}
