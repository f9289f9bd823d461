//! Seeded flaws: deliberate errors of an implementation, to show that the tie notices them.
//!
//! A flaw sits around an endpoint, in its memory or in what it says and hears, so that the endpoints
//! themselves stay free of test code.

use model::Defect;
use protocol::memory::{Accesses, Fault, Memory, MemoryError, PageStore};
use protocol::page::PageBytes;
use protocol::wire::{Envelope, Message, PageRuns, Plan, PlanEntry, Resync, State, Whereabouts};
use steplog::page::PageNumber;

/// A deliberate error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Suspending the process does not stop it.
    RunsOn,
    /// Writes go unnoticed.
    WritesUnnoticed,
    /// Asking whether a page was written forgets to reset the bit.
    WrittenBitStuck,
    /// Stale pages are not discarded.
    StaleKept,
    /// A page is installed with the content of a page of zeroes.
    ZeroesInstalled,
    /// A page is copied out before its last write.
    CopyTorn,
    /// The dirty map arrives empty.
    DirtyMapDropped,
    /// The duty to write a page back is left behind.
    DutyForgotten,
    /// Page messages carry the highest sequence number there is room for.
    SequenceUnset,
    /// The file server acknowledges what it does not store.
    StoredNothing,
    /// The destination says *ready* when it has nothing yet.
    ReadyUnasked,
    /// Pages left at the source are said to be at the file server.
    SourceForgotten,
    /// Requests never arrive at the former host's protocol.
    DemandsDropped,
    /// The source does not hear *complete*.
    CompletionUnheard,
    /// A source that has handed the process over takes it back when the connection is lost.
    ResumesOnSilence,
    /// A source that has handed the process over takes it back when the operator cancels.
    CancelsTooLate,
    /// The dirty map of a retry calls clean what was modified before the attempt that was called off.
    DirtyBitsConsumed,
    /// A page of an attempt that was called off is taken for one of the next.
    EpochUnchecked,
    /// What the destination lacks is not said over a new connection.
    LacksUnsaid,
    /// The file server acknowledges what an outage takes from it.
    StoredVolatile,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Flaw; 20] = [
        Flaw::RunsOn,
        Flaw::WritesUnnoticed,
        Flaw::WrittenBitStuck,
        Flaw::StaleKept,
        Flaw::ZeroesInstalled,
        Flaw::CopyTorn,
        Flaw::DirtyMapDropped,
        Flaw::DutyForgotten,
        Flaw::SequenceUnset,
        Flaw::StoredNothing,
        Flaw::ReadyUnasked,
        Flaw::SourceForgotten,
        Flaw::DemandsDropped,
        Flaw::CompletionUnheard,
        Flaw::ResumesOnSilence,
        Flaw::CancelsTooLate,
        Flaw::DirtyBitsConsumed,
        Flaw::EpochUnchecked,
        Flaw::LacksUnsaid,
        Flaw::StoredVolatile,
    ];

    /// The defect of the model that is the same error, if there is one.
    pub fn defect(self) -> Option<Defect> {
        Some(match self {
            Flaw::RunsOn => Defect::RunOnAtSource,
            Flaw::WritesUnnoticed => Defect::ForgetRedirtied,
            Flaw::StaleKept => Defect::KeepStale,
            Flaw::DirtyMapDropped => Defect::DropDirtyMap,
            Flaw::DutyForgotten => Defect::ForgetWriteBackDuty,
            Flaw::SequenceUnset => Defect::NoSequenceNumbers,
            Flaw::StoredNothing => Defect::AcknowledgeUnstored,
            Flaw::ReadyUnasked => Defect::ResumeBeforePages,
            Flaw::SourceForgotten => Defect::LiteralGeneric,
            Flaw::DemandsDropped => Defect::ForgetDemand,
            Flaw::ResumesOnSilence => Defect::ResumeAfterHandOver,
            Flaw::CancelsTooLate => Defect::CancelAfterCommit,
            Flaw::DirtyBitsConsumed => Defect::ConsumeDirtyBits,
            Flaw::EpochUnchecked => Defect::AcceptEarlierEpoch,
            Flaw::LacksUnsaid => Defect::BelieveInFlight,
            Flaw::StoredVolatile => Defect::AcknowledgeBeforeDurable,
            // Errors of memory, and a deaf endpoint: the model takes for granted that there are none.
            Flaw::WrittenBitStuck | Flaw::ZeroesInstalled | Flaw::CopyTorn | Flaw::CompletionUnheard => {
                return None;
            }
        })
    }
}

/// Pages on the heap, with a flaw if need be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlawedMemory {
    store: PageStore,
    flaw: Option<Flaw>,
}

impl FlawedMemory {
    /// Room for pages, none present.
    pub fn vacant(pages: u64, flaw: Option<Flaw>) -> Self {
        FlawedMemory { store: PageStore::vacant(pages), flaw }
    }

    /// Every page of the image.
    pub fn loaded(image: &protocol::page::Image, flaw: Option<Flaw>) -> Self {
        FlawedMemory { store: PageStore::loaded(image), flaw }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl Memory for FlawedMemory {
    fn page_count(&self) -> u64 {
        self.store.page_count()
    }

    fn is_present(&self, page: PageNumber) -> bool {
        self.store.is_present(page)
    }

    fn is_written(&self, page: PageNumber) -> bool {
        self.store.is_written(page) && !self.has(Flaw::WritesUnnoticed)
    }

    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        if self.has(Flaw::WritesUnnoticed) { None } else { self.store.first_written(from) }
    }

    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        match self.flaw {
            Some(Flaw::WritesUnnoticed) => self.store.take_written(page).map(|_| false),
            Some(Flaw::WrittenBitStuck) => Ok(self.store.is_written(page)),
            _ => self.store.take_written(page),
        }
    }

    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        let mut content = self.store.copy_out(page)?;
        if self.has(Flaw::CopyTorn) {
            // The second half is from before the last write.
            let half = content.as_slice().len() / 2;
            content.as_mut_slice()[..half].fill(0);
        }
        Ok(content)
    }

    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        match self.flaw {
            Some(Flaw::ZeroesInstalled) => self.store.install(page, &PageBytes::zeroed()),
            _ => self.store.install(page, content),
        }
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        if self.has(Flaw::StaleKept) { Ok(()) } else { self.store.discard(page) }
    }

    fn freeze(&mut self) -> Result<(), MemoryError> {
        if self.has(Flaw::RunsOn) { Ok(()) } else { self.store.freeze() }
    }

    fn thaw(&mut self) -> Result<(), MemoryError> {
        self.store.thaw()
    }
}

impl Accesses for FlawedMemory {
    fn read(&self, page: PageNumber, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        self.store.read(page, offset, into)
    }

    fn write(&mut self, page: PageNumber, offset: usize, bytes: &[u8]) -> Result<(), Fault> {
        self.store.write(page, offset, bytes)
    }
}

impl Flaw {
    /// What becomes of a message that an endpoint hears.
    pub fn heard(flaw: Option<Flaw>, mut envelope: Envelope) -> Option<Envelope> {
        match (flaw, &mut envelope.message) {
            (Some(Flaw::DemandsDropped), Message::Request { .. })
            | (Some(Flaw::CompletionUnheard), Message::Complete) => return None,
            (Some(Flaw::LacksUnsaid), Message::Resync(resync)) => {
                *resync = Resync { lacks: PageRuns::default(), waits: PageRuns::default(), ..*resync };
            }
            (Some(Flaw::StoredNothing), Message::WriteBack { content, .. }) => *content = PageBytes::zeroed(),
            _ => {}
        }
        Some(envelope)
    }

    /// What becomes of a message that an endpoint says after an attempt that was called off.
    pub fn retried(flaw: Option<Flaw>, envelope: &mut Envelope) {
        if let (Some(Flaw::DirtyBitsConsumed), Message::State(state)) = (flaw, &mut envelope.message) {
            replan(state, |entry| PlanEntry { dirty: false, ..entry });
        }
    }

    /// What becomes of a message that an endpoint says.
    pub fn said(flaw: Option<Flaw>, mut envelope: Envelope) -> impl Iterator<Item = Envelope> {
        let mut early = None;
        match (flaw, &mut envelope.message) {
            (Some(Flaw::DirtyMapDropped), Message::State(state)) => {
                replan(state, |entry| PlanEntry { dirty: false, ..entry });
            }
            (Some(Flaw::DutyForgotten), Message::State(state)) => {
                let travels = |entry: PlanEntry| matches!(entry.whereabouts, Whereabouts::Travelled(_));
                replan(state, |entry| PlanEntry { dirty: entry.dirty && !travels(entry), ..entry });
            }
            (Some(Flaw::SourceForgotten), Message::State(state)) => {
                replan(state, |entry| match entry.whereabouts {
                    Whereabouts::At(..) => {
                        PlanEntry { whereabouts: Whereabouts::FileServer, dirty: false, ..entry }
                    }
                    _ => entry,
                })
            }
            (Some(Flaw::SequenceUnset), Message::Page { sequence, .. }) => sequence.0 = 1,
            (Some(Flaw::ReadyUnasked), Message::State(_)) => {
                let Envelope { from, to, channel, epoch, .. } = envelope;
                early = Some(Envelope { from: to, to: from, channel, epoch, message: Message::Ready });
            }
            _ => {}
        }
        [envelope].into_iter().chain(early)
    }
}

fn replan(state: &mut State, change: impl Fn(PlanEntry) -> PlanEntry) {
    state.plan = state.plan.entries().map(change).collect::<Plan>();
}
