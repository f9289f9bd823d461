//! S8, traffic bound. Caught: `send-twice`.
//!
//! The bounds: total copy 1, pre-copy R + 1, lazy copy 1, flushing 0, post-copy 1, assisted 2, generic 1.
//! A retransmission by a lossy link does not count: it is the same message.

use crate::migration::Migration;
use crate::page::Page;

pub(super) const TITLE: &str = "traffic bound";
pub(super) const MEANING: &str = "In one migration the content of a page is sent from source to destination at most as often as the algorithm declares.";

impl Migration {
    pub(super) fn exceeds_traffic_bound(&self, after: &Page) -> bool {
        self.strategy.crossings_max().is_some_and(|bound| after.crossings > bound)
    }
}
