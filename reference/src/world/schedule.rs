//! What is going to happen, in the order of virtual time.

use std::collections::{BTreeMap, BTreeSet};

use crate::place::Place;

/// Something that happens at a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Occurrence {
    /// The process does its next access.
    Access,
    /// There is room in a send buffer of this place.
    Room(Place),
    /// A frame arrives.
    Arrival { from: Place, to: Place, frame: Vec<u8> },
}

/// Occurrences by time; what is scheduled first comes first among those of the same time.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    now_ns: u64,
    count: u64,
    occurrences: BTreeMap<(u64, u64), Occurrence>,
    access_scheduled: bool,
    waiting_for_room: BTreeSet<Place>,
}

impl Schedule {
    pub fn starting_with(occurrence: Occurrence) -> Self {
        let (occurrences, waiting_for_room) = (BTreeMap::new(), BTreeSet::new());
        let mut schedule =
            Self { now_ns: 0, count: 0, occurrences, access_scheduled: false, waiting_for_room };
        schedule.after(0, occurrence);
        schedule
    }

    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    pub fn after(&mut self, delay_ns: u64, occurrence: Occurrence) {
        self.at(self.now_ns.saturating_add(delay_ns), occurrence);
    }

    /// The process does one thing at a time: a second access is not scheduled beside the first.
    pub fn at(&mut self, at_ns: u64, occurrence: Occurrence) {
        if occurrence == Occurrence::Access && std::mem::replace(&mut self.access_scheduled, true) {
            return;
        }
        self.count += 1;
        self.occurrences.insert((at_ns, self.count), occurrence);
    }

    pub fn when_room_comes(&mut self, place: Place, at_ns: u64) {
        if self.waiting_for_room.insert(place) {
            self.at(at_ns, Occurrence::Room(place));
        }
    }

    pub fn room_has_come(&mut self, place: Place) {
        self.waiting_for_room.remove(&place);
    }

    /// Moves time on to the next occurrence.
    pub fn next(&mut self) -> Option<Occurrence> {
        let ((at_ns, _), occurrence) = self.occurrences.pop_first()?;
        self.now_ns = at_ns;
        if occurrence == Occurrence::Access {
            self.access_scheduled = false;
        }
        Some(occurrence)
    }
}
