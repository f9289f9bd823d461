//! What is going to happen, in the order of virtual time.

use std::collections::{BTreeMap, BTreeSet};

use steplog::page::PageNumber;
use steplog::place::{HostId, Place};

use super::Disruption;

/// Something that happens at a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Occurrence {
    /// The process does its next access.
    Access,
    /// A host hears the fault of a further thread.
    Fault(PageNumber),
    /// Whoever waits for this page may be woken.
    Wake(PageNumber),
    /// There is room in a send buffer of this place.
    Room(Place),
    /// A frame arrives, if the connection over which it was sent is still there.
    Arrival { from: Place, to: Place, connection: u64, frame: Vec<u8> },
    /// Something goes wrong.
    Disruption(Disruption),
    /// A host notices that a connection is gone.
    Notice { by: HostId, of: Place, connection: u64 },
    /// An obstacle between two places is gone.
    Join(Place, Place),
    /// A machine that crashed is there again, with nothing on it; the others have been told that it was dead.
    Return(HostId),
    /// A host looks at the clock.
    Tick(HostId),
}

/// Occurrences by time; what is scheduled first comes first among those of the same time.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    now_ns: u64,
    count: u64,
    occurrences: BTreeMap<(u64, u64), Occurrence>,
    access_scheduled: bool,
    waiting_for_room: BTreeSet<Place>,
    /// When each host next looks at the clock.
    ticks: BTreeMap<HostId, u64>,
}

impl Schedule {
    pub fn starting_with(occurrence: Occurrence) -> Self {
        let (occurrences, waiting_for_room) = (BTreeMap::new(), BTreeSet::new());
        let mut schedule = Self {
            now_ns: 0,
            count: 0,
            occurrences,
            access_scheduled: false,
            waiting_for_room,
            ticks: BTreeMap::new(),
        };
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

    /// A host looks at the clock at this time, or earlier if it is to already.
    pub fn tick_at(&mut self, id: HostId, at_ns: u64) {
        let at_ns = at_ns.max(self.now_ns);
        if self.ticks.get(&id).is_none_or(|earlier_ns| *earlier_ns > at_ns) {
            self.ticks.insert(id, at_ns);
            self.at(at_ns, Occurrence::Tick(id));
        }
    }

    /// A host has looked at the clock.
    pub fn ticks(&mut self, id: HostId) {
        if self.ticks.get(&id).is_some_and(|at_ns| *at_ns <= self.now_ns) {
            self.ticks.remove(&id);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Or a link that keeps order would not, between frames that arrive at the same moment.
    #[test]
    fn what_happens_at_the_same_moment_happens_in_the_order_in_which_it_was_foreseen() {
        let arrival = |number: u8| Occurrence::Arrival {
            from: Place::FileServer,
            to: HostId(0).into(),
            connection: 0,
            frame: vec![number],
        };
        let mut schedule = Schedule::starting_with(Occurrence::Access);
        schedule.at(5, arrival(9));
        (0..4).for_each(|number| schedule.at(3, arrival(number)));
        let order: Vec<_> = std::iter::from_fn(|| schedule.next()).collect();
        let expected = [Occurrence::Access, arrival(0), arrival(1), arrival(2), arrival(3), arrival(9)];
        assert_eq!((order, schedule.now_ns()), (expected.to_vec(), 5));
    }
}
