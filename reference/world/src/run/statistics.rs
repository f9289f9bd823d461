//! What a run cost, read off its step log.

use std::collections::BTreeMap;

use steplog::event::{Event, Step};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

/// What one migration cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub epoch: Epoch,
    /// Where the process was.
    pub from: HostId,
    /// Where it went.
    pub to: HostId,
    /// When it was started.
    pub started_ns: u64,
    /// When the process was suspended.
    pub suspended_ns: Option<u64>,
    /// When the process resumed.
    pub resumed_ns: Option<u64>,
    /// When the last former host had cleaned up.
    pub at_rest_ns: Option<u64>,
    /// Passes of pre-copy, 0 if none.
    pub passes: u32,
    /// Pages sent to the destination while the process ran at the source, each time counted.
    pub pages_copied: u64,
    /// Pages sent to the destination while the process was suspended.
    pub pages_transferred: u64,
    /// Pages sent to the file server while the process was suspended.
    pub pages_flushed: u64,
    /// Pages sent on request. Where pages are left behind, also on request of a later host.
    pub pages_served: u64,
    /// Pages sent unasked.
    pub pages_pushed: u64,
    /// Pages written back to the file server by the process's host since it resumed there.
    pub pages_written_back: u64,
    /// Faults that asked a former host.
    pub faults_at_hosts: u64,
    /// Faults that asked the file server.
    pub faults_at_file_server: u64,
    /// Faults that the local backing store satisfied.
    pub faults_at_local_store: u64,
    /// Pages sent to the destination that had been sent before in this migration, each time counted.
    pub pages_sent_again: u64,
    /// How often the page that was sent most was sent to the destination.
    pub crossings_of_a_page_max: u64,
}

impl Migration {
    /// Time that the process stood still.
    pub fn freeze_ns(&self) -> Option<u64> {
        Some(self.resumed_ns?.saturating_sub(self.suspended_ns?))
    }

    /// Time from the start until the process was back at rest.
    pub fn total_ns(&self) -> Option<u64> {
        Some(self.at_rest_ns?.saturating_sub(self.started_ns))
    }

    /// Page contents sent to the destination, by whatever way.
    pub fn pages_sent(&self) -> u64 {
        self.pages_copied + self.pages_transferred + self.pages_served + self.pages_pushed
    }
}

/// The migrations of a log, in order.
pub fn migrations(log: &[Step]) -> Vec<Migration> {
    let mut migrations = BTreeMap::<Epoch, Migration>::new();
    let mut crossings = BTreeMap::<(Epoch, PageNumber), u64>::new();
    for Step { at_ns, place, epoch, event } in log {
        if let (Event::MigrationStarted { to }, &Place::Host(from)) = (event, place) {
            let started =
                Migration { epoch: *epoch, from, to: *to, started_ns: *at_ns, ..Migration::default() };
            migrations.insert(*epoch, started);
        }
        // The last former host to confirm may have been left in an earlier migration than the one that ends.
        if let (Event::DestructionLearned { at_rest: true, .. }, Some(mut latest)) =
            (event, migrations.last_entry())
        {
            latest.get_mut().at_rest_ns = Some(*at_ns);
        }
        // What happens before the first migration belongs to none.
        let Some(migration) = migrations.get_mut(epoch) else { continue };
        migration.count(*at_ns, event);
        if let Event::PageCopied { page, .. }
        | Event::PageTransferred { page, .. }
        | Event::PageServed { page, .. }
        | Event::PagePushed { page, .. } = event
        {
            let crossed = crossings.entry((*epoch, *page)).or_default();
            *crossed += 1;
            migration.pages_sent_again += u64::from(*crossed > 1);
            migration.crossings_of_a_page_max = migration.crossings_of_a_page_max.max(*crossed);
        }
    }
    migrations.into_values().collect()
}

impl Migration {
    fn count(&mut self, at_ns: u64, event: &Event) {
        match event {
            Event::ProcessSuspended { .. } => self.suspended_ns = Some(at_ns),
            Event::ProcessResumed { .. } => self.resumed_ns = Some(at_ns),
            Event::PageCopied { pass, .. } => {
                self.pages_copied += 1;
                self.passes = self.passes.max(*pass);
            }
            Event::PageTransferred { .. } => self.pages_transferred += 1,
            Event::PageFlushed { .. } => self.pages_flushed += 1,
            Event::PageServed { .. } => self.pages_served += 1,
            Event::PagePushed { .. } => self.pages_pushed += 1,
            Event::PageWrittenBack { .. } => self.pages_written_back += 1,
            Event::PageFaulted { asked: Place::Host(_), .. } => self.faults_at_hosts += 1,
            Event::PageFaulted { asked: Place::FileServer, .. } => self.faults_at_file_server += 1,
            Event::PageLoaded { .. } => self.faults_at_local_store += 1,
            _ => {}
        }
    }
}
