//! Adds up what the endpoints do.

use std::collections::BTreeMap;

use steplog::event::Event;
use steplog::place::{Place, Sequence};

use super::{FaultCounts, PageCounts, SentCounts};

/// What the migration has cost so far.
#[derive(Debug, Default)]
pub(super) struct Costs {
    pub suspended_ns: Option<u64>,
    pub resumed_ns: Option<u64>,
    pub at_rest_ns: Option<u64>,
    pub run_time_ns: Option<u64>,
    pub faults: FaultCounts,
    pub stall_ns: u64,
    pub stalls_ns: Vec<u64>,
    pub last_stall_ns: u64,
    pub throttled_ns: u64,
    pub left_after_pass: Vec<u64>,
    pub pages: PageCounts,
    pub passes: u32,
    sent: BTreeMap<(Place, Place), (u64, u64)>,
}

impl Costs {
    /// A message is sent: so many page contents, so many bytes.
    pub fn send(&mut self, from: Place, to: Place, pages: u64, bytes: u64) {
        let (all_pages, all_bytes) = self.sent.entry((from, to)).or_default();
        *all_pages += pages;
        *all_bytes += bytes;
    }

    /// What was sent, by origin and destination.
    pub fn sent(&self) -> Vec<SentCounts> {
        let sent = |(&(from, to), &(pages, bytes))| SentCounts { from, to, pages, bytes };
        self.sent.iter().map(sent).collect()
    }

    /// An endpoint did something.
    pub fn count(&mut self, now_ns: u64, event: &Event) {
        match *event {
            Event::ProcessSuspended { .. } => self.suspended_ns = Some(now_ns),
            Event::ProcessResumed { .. } => self.resumed_ns = Some(now_ns),
            Event::DestructionLearned { at_rest: true, .. } => self.at_rest_ns = Some(now_ns),
            Event::PageCopied { sequence, pass, .. } => {
                self.passes = pass;
                self.pages.copied += 1;
                self.count_again(sequence);
            }
            Event::PageTransferred { sequence, .. } => {
                self.pages.transferred += 1;
                self.count_again(sequence);
            }
            Event::PageServed { sequence, .. } => {
                self.pages.served += 1;
                self.count_again(sequence);
            }
            Event::PagePushed { sequence, .. } => {
                self.pages.pushed += 1;
                self.count_again(sequence);
            }
            Event::PageFlushed { .. } => self.pages.flushed += 1,
            Event::PageWrittenBack { .. } => self.pages.written_back += 1,
            Event::FetchServed { .. } => self.pages.fetched += 1,
            Event::PageFaulted { asked: Place::Host(_), .. } => self.faults.at_source += 1,
            Event::PageFaulted { asked: Place::FileServer, .. } => self.faults.at_file_server += 1,
            Event::PageLoaded { .. } => self.faults.at_local_store += 1,
            _ => {}
        }
    }

    fn count_again(&mut self, sequence: Sequence) {
        self.pages.sent_again += u64::from(sequence > Sequence(1));
    }
}
