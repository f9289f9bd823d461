//! What a run cost that no property forbids.

use super::Place;

#[derive(Default)]
pub(super) struct Costs {
    /// Requests that waited although nothing else was sent.
    pub idle: Vec<Wait>,
    /// Requests of which it is known when they came and when they were answered.
    pub timed: u64,
    pub waited_us: Vec<u64>,
    /// Pages sent again without having changed.
    pub resent: u64,
    pub resent_bytes: u64,
    pub resent_first: Option<(u32, Place)>,
}

#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub page: u32,
    pub asked: Place,
    pub wait_us: u64,
}

impl Costs {
    /// A request was answered, and so many other pages were sent meanwhile.
    pub fn answered(&mut self, page: u32, asked: Place, answered: Place, others: u64) {
        let (Some(from), Some(to)) = (asked.at_us, answered.at_us) else { return };
        self.timed += 1;
        let wait_us = to.saturating_sub(from);
        self.waited_us.push(wait_us);
        if others == 0 {
            self.idle.push(Wait { page, asked, wait_us });
        }
    }

    pub fn resent(&mut self, page: u32, bytes: u32, place: Place) {
        self.resent += 1;
        self.resent_bytes += u64::from(bytes);
        self.resent_first.get_or_insert((page, place));
    }
}
