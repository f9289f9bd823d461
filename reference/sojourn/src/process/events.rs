//! What a process does by itself where it has come: faults, memory that goes and moves, its end.

use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use linux::LinuxError;
use linux::userfault::{Installed, MemoryEvent};

use steplog::page::PageNumber;

use super::stock::EVERYWHERE;
use super::{Body, LiveProcess};
use crate::subject::Occurrence;

/// How often to look whether the process has ended.
const LIFE_CHECK: Duration = Duration::from_millis(20);

/// While the process changes its address space, and until it has noted that its word of that was read, nothing can be put in. All
/// that it needs for that is a processor.
pub(super) const EVENTS_PATIENCE: Duration = Duration::from_secs(10);
pub(super) const EVENTS_PAUSE: Duration = Duration::from_micros(20);
pub(super) const CHANGES: &str = "it changes its address space and does not come to an end";

impl LiveProcess {
    /// What is read from the descriptor of the memory.
    pub(super) fn read_events(&mut self) {
        loop {
            self.take_events();
            let Some(event) = self.events.pop_front() else { return };
            self.note_event(event);
        }
    }

    /// Reads what there is, which lets the process go on that waits for that.
    fn take_events(&mut self) {
        let Some(memory) = &self.memory else { return };
        loop {
            match memory.next_event() {
                Ok(None) => return,
                Ok(Some(event)) => self.events.push_back(event),
                Err(error) => {
                    tracing::debug!(%error, "no more events of the memory");
                    return;
                }
            }
        }
    }

    fn note_event(&mut self, event: MemoryEvent) {
        match event {
            MemoryEvent::Fault { page: place, .. } => match self.table.number_of(place) {
                Some(page) if !self.void.contains(page) && !self.present.contains(page) => {
                    self.occurrences.push_back(Occurrence::Fault(page));
                }
                // It came while the fault was on its way here, which wakes whoever waits; or nobody has it, so it is zero.
                _ => self.install_zero(place),
            },
            MemoryEvent::Removed(range) | MemoryEvent::Unmapped(range) => {
                // Nothing is noted there any more; what was written there is in the file.
                self.mark_differing(range);
                let private = |page: &PageNumber| !self.stored.contains(*page);
                let pages: Vec<_> = self.table.numbers_in(range).filter(private).collect();
                pages.into_iter().for_each(|page| {
                    self.void.insert(page);
                });
            }
            MemoryEvent::Moved { from, to } => self.table.moved(from, to),
            MemoryEvent::Forked(_) => tracing::error!("the process has a child whose pages are not here"),
        }
    }

    /// Nothing but zeroes, unless there is something. Whoever waits for the place goes on.
    pub(super) fn install_zero(&mut self, place: u64) {
        let began = Instant::now();
        let error = loop {
            let Some(memory) = &self.memory else { return };
            match memory.install_zero(place) {
                // Noted in their order, after this.
                Ok(Installed::EventsFirst) if began.elapsed() < EVENTS_PATIENCE => self.take_events(),
                Ok(Installed::EventsFirst) => break LinuxError::CannotFollow(CHANGES.to_owned()),
                Ok(_) => return,
                Err(error) => break error,
            }
            std::thread::sleep(EVENTS_PAUSE);
        };
        tracing::error!(%error, place, "a page of zeroes could not be put in");
    }

    /// Whether letting it go has come to its end.
    pub(super) fn look_after_going(&mut self) {
        let Body::Going(going) = &self.body else { return };
        match going.try_recv() {
            Ok(Ok((resumed, since))) => {
                tracing::info!(pid = resumed.pid(), resumed_for = ?resumed.resumed_for(), "process runs");
                self.body = Body::Came(resumed);
                self.occurrences.push_back(Occurrence::Runs { since });
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the process could not be let go");
                self.body = Body::Gone;
                self.exited();
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => self.exited(),
        }
    }

    pub(super) fn look_after_life(&mut self) {
        if self.has_exited || self.life_checked.elapsed() < LIFE_CHECK {
            return;
        }
        self.life_checked = Instant::now();
        let alive = match (&mut self.body, &mut self.running) {
            (Body::Came(resumed), _) => resumed.ended().is_ok_and(|ended| ended.is_none()),
            (Body::Settled | Body::Here(_), Some(running)) => {
                running.ended().is_ok_and(|ended| ended.is_none())
            }
            (Body::Here(source), None) => source.is_alive(),
            _ => true,
        };
        if !alive {
            self.exited();
        }
    }

    pub(super) fn exited(&mut self) {
        if !std::mem::replace(&mut self.has_exited, true) {
            self.mark_differing(EVERYWHERE);
            self.occurrences.push_back(Occurrence::Exited);
        }
    }
}
