//! S8, traffic bound. Caught: `send-twice`.
//!
//! The bounds: total copy 1, pre-copy R + 1, lazy copy 1, flushing 0, post-copy 1, assisted 2, generic 1.
//! A retransmission by a lossy link does not count: it is the same message. Each time the source has heard, after a
//! reconnection, what is still needed, it may send a page once more.

use crate::control::Control;
use crate::migration::Migration;
use crate::page::Page;
use crate::paging::Life;
use crate::step::PageStep;

pub(super) const TITLE: &str = "traffic bound";
pub(super) const MEANING: &str = "In one migration the content of a page is sent from source to destination at most as often as the algorithm declares.";

impl Migration {
    pub(super) fn exceeds_traffic_bound(&self, control: &Control, after: &Page) -> bool {
        let recoveries = control.aftermath.recoveries;
        self.strategy.crossings_max().is_some_and(|bound| after.crossings > bound + recoveries)
    }

    /// Is the content sent of a page whose host knows that it is zero, not needed, or gone? What it has not heard is no
    /// offence.
    pub(super) fn is_sent_for_nothing(&self, step: PageStep, page: &Page) -> bool {
        step.sends_content() && page.aside.life != Life::Used && !page.aside.void
    }

    /// One crossing more. Saturates one above the bound, which is enough to judge it; counts nothing where none exists.
    pub(crate) fn count_crossing(&self, crossings: u8) -> u8 {
        let recoveries_max = self.disruptions.budget();
        self.strategy.crossings_max().map_or(0, |bound| (crossings + 1).min(bound + recoveries_max + 1))
    }
}
