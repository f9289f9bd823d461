//! The negative controls: deliberate defects, each with the property that must catch it.
//!
//! A defect that nothing catches is a hole in the properties. Where a defect needs a particular link,
//! a third host or a second migration to show, its entry says so.

mod occasion;
mod overlay;
mod overlay_real;
mod paging;

pub use occasion::Idle;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::disruption::{Disruption, Disruptions};
use crate::migration::{Hosts, Link, Migration};
use crate::property::Property;

/// A named, deliberate defect of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // What each one is stands in the table below.
pub enum Defect {
    LiteralGeneric,
    ForgetWriteBackDuty,
    ClearDirtyOnArrival,
    MarkSentUnsent,
    DropDirtyMap,
    FlushUnacknowledged,
    MigrateWhileOwed,
    ForgetRedirtied,
    KeepStale,
    NoSequenceNumbers,
    ResumeBeforePages,
    DivergingReplica,
    RunOnAtSource,
    PushWhileFrozen,
    FreezeSendsAll,
    SwollenWorkingSet,
    DestroyWhileOwed,
    WriteBackAfterSent,
    ReturnEmptyHanded,
    AcknowledgeUnstored,
    StoreOlder,
    DemandBehindPushes,
    SendTwice,
    SkipPostMigration,
    ResumeBeforeState,
    CommitForgotten,
    NeverPush,
    ForgetDemand,
    NeverWriteBack,
    AnswerLost,
    ResumeAfterHandOver,
    CancelAfterCommit,
    AcceptOldReady,
    ConsumeDirtyBits,
    RetryTrustsLog,
    AcceptEarlierEpoch,
    LoseDiscardList,
    BelieveInFlight,
    ForgetDemandOnReconnect,
    ForgetInDoubt,
    AbortLeavesFrozen,
    ResyncUnanswered,
    DoubtUnanswered,
    HastyLost,
    LostOnTimeOut,
    AcknowledgeBeforeDurable,
    ResumeInDoubt,
    IgnoreLoss,
    // Of what real systems have: the dirty log, what ends pre-copy, the hand-over.
    ClearAfterCopy,
    ClearUnread,
    UntrackedWriter,
    WriterWhileFrozen,
    CutPassCountsAsSent,
    SwitchForgetsRedirtied,
    ForgetEntrusted,
    AnswerUnheard,
    BeginUnexpected,
    BeginCalledOff,
    CancelUnsaid,
    AwaitExpected,
    FallBackBlindly,
    NeverFallBack,
    TrustUnacknowledged,
    // Of the choices about pages, threads and connections.
    ForgetWake,
    DropLateFault,
    RequestHeldPage,
    MapBeforeFill,
    BornInStep,
    ZeroUnsaid,
    SendZeroes,
    InstallVoid,
    ServeDiscarded,
    HintInUse,
    RefuseExempt,
    CompleteBeforeAnswers,
    TwoSenders,
    NoPassBarrier,
    NoStateBarrier,
    PullBeforeDemand,
    PullsTakenForSent,
}

/// What there is to know about a defect.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The defect.
    pub defect: Defect,
    /// What the protocol does wrong, in one sentence.
    pub meaning: &'static str,
    /// The property that must catch it.
    pub caught_by: Property,
    /// A built-in algorithm that has the step in question.
    pub algorithm: &'static str,
    /// The most orderly link on which it shows.
    pub link: Link,
    /// The fewest hosts with which it shows.
    pub hosts: Hosts,
    /// The migration in which it shows: 1 or 2.
    pub hop: u8,
    /// The disruption without which it does not show, if there is one.
    pub disruption: Option<Disruption>,
}

const fn entry(defect: Defect, caught_by: Property, algorithm: &'static str, meaning: &'static str) -> Entry {
    Entry {
        defect,
        meaning,
        caught_by,
        algorithm,
        link: Link::Fifo,
        hosts: Hosts::Two,
        hop: 1,
        disruption: None,
    }
}

/// One that shows when something goes wrong.
const fn striking(
    disruption: Disruption,
    defect: Defect,
    caught_by: Property,
    algorithm: &'static str,
    meaning: &'static str,
) -> Entry {
    Entry { disruption: Some(disruption), ..entry(defect, caught_by, algorithm, meaning) }
}

/// Every defect, by the property that must catch it.
#[rustfmt::skip]
pub const DEFECTS: [Entry; 80] = {
    use Defect::*;
    use Disruption::{Cancel, CrashSource, Cut, Outage};
    use Property::*;
    [
        entry(LiteralGeneric, S1, "generic",
            "A dirty file-mapped page is fetched from the file server at once, as the description literally says."),
        Entry { hop: 2, ..entry(ForgetWriteBackDuty, S1, "generic",
            "A file-mapped page that arrives with its write-back due is taken for clean.") },
        Entry { hop: 2, ..entry(ClearDirtyOnArrival, S1, "total-copy-dirty",
            "The dirty bit is cleared when a page arrives.") },
        entry(MarkSentUnsent, S1, "post-copy",
            "A page is marked as sent before it is sent, and then is not."),
        entry(DropDirtyMap, S1, "generic",
            "The state arrives without the dirty map."),
        entry(FlushUnacknowledged, S1, "flushing",
            "The state is sent before the file server has acknowledged the flushed pages."),
        Entry { hop: 2, ..entry(MigrateWhileOwed, S1, "post-copy",
            "The next migration starts while the former source still owes pages.") },
        Entry { hop: 2, ..entry(ReturnEmptyHanded, S1, "lazy-copy",
            "A return leaves behind what had moved, and takes the host returned to for complete.") },
        entry(ForgetRedirtied, S2, "pre-copy",
            "A page that is modified after it was sent is not sent again."),
        entry(KeepStale, S2, "assisted-post-copy",
            "A pre-copied page that the dirty map declares stale is not discarded."),
        Entry { link: Link::Unordered, ..entry(NoSequenceNumbers, S2, "assisted-post-copy",
            "Page messages carry no sequence number: the last to arrive wins.") },
        Entry { link: Link::Unordered, ..entry(ResumeBeforePages, S2, "pre-copy",
            "The process resumes when the state has arrived, though pages sent before it have not.") },
        entry(DivergingReplica, S2, "total-copy-dirty",
            "The destination's backing store is no exact replica.") ,
        entry(RunOnAtSource, S3, "post-copy",
            "The source does not stop the process when it suspends it."),
        entry(PushWhileFrozen, S4, "post-copy",
            "The source starts to push before it has committed."),
        entry(FreezeSendsAll, S4, "pre-copy",
            "The freeze sends pages that are in step as well."),
        entry(SwollenWorkingSet, S4, "generic",
            "The working set is as large as the address space."),
        entry(DestroyWhileOwed, S5, "post-copy",
            "The source is told to destroy its process while it still owes pages."),
        entry(WriteBackAfterSent, S5, "generic",
            "The source writes a page back that it has sent along with the state."),
        entry(AcknowledgeUnstored, S6, "generic",
            "The file server acknowledges a write-back that it does not store."),
        Entry { link: Link::Lossy, ..entry(StoreOlder, S6, "generic",
            "The file server stores whatever arrives last.") },
        entry(DemandBehindPushes, S7, "post-copy",
            "The source pushes on while a requested page waits."),
        entry(SendTwice, S8, "post-copy",
            "A request for a page that is already on its way is answered again."),
        entry(SkipPostMigration, S9, "generic",
            "The process is taken to be back at rest as soon as it resumes."),
        entry(ResumeBeforeState, S9, "total-copy",
            "The destination resumes the process before its state has arrived."),
        entry(CommitForgotten, S10, "total-copy",
            "The source does not react to the destination's ready."),
        entry(NeverPush, L1, "post-copy",
            "The source sends nothing unasked."),
        entry(ForgetDemand, L3, "lazy-copy",
            "Requests are dropped at the source."),
        entry(NeverWriteBack, L6, "generic",
            "Dirty file-mapped pages stay where they are."),
        entry(AnswerLost, L7, "lazy-copy",
            "The owner of a page takes it for sent as soon as it is requested."),
        striking(Cut, ResumeAfterHandOver, S3, "total-copy",
            "The source, which has committed, takes a time-out for a reason to run the process again."),
        striking(Cut, ResumeInDoubt, S3, "total-copy",
            "A destination that is in doubt takes a time-out for go."),
        striking(CrashSource, IgnoreLoss, S1, "post-copy",
            "The process goes on without a source that has died, though it still owes pages."),
        striking(Cancel, CancelAfterCommit, S11, "post-copy",
            "The source accepts a cancel that comes after its commit."),
        striking(Cancel, AcceptOldReady, S11, "total-copy",
            "The source takes the ready of an attempt that it has aborted for that of the next."),
        striking(Cut, ConsumeDirtyBits, S1, "total-copy-dirty",
            "Sending a page clears its dirty bit, so that a retry takes it for clean."),
        striking(Cut, RetryTrustsLog, S1, "pre-copy",
            "A retry goes on with the dirty log of the attempt that the destination has forgotten."),
        Entry { link: Link::Unordered, ..striking(Cancel, AcceptEarlierEpoch, S2, "generic",
            "A page of an aborted attempt is taken for one of the next.") },
        striking(Cut, LoseDiscardList, S2, "assisted-post-copy",
            "After a reconnection the destination counts the stale copies that the dirty map discarded as held."),
        striking(Cut, BelieveInFlight, S1, "post-copy",
            "After a reconnection the source believes that what it had sent has arrived."),
        striking(Cut, ForgetDemandOnReconnect, L3, "lazy-copy",
            "After a reconnection the demands of before are forgotten."),
        striking(Cut, ForgetInDoubt, S1, "total-copy",
            "A destination that has said ready forgets on a time-out."),
        striking(Cancel, AbortLeavesFrozen, L4, "total-copy",
            "An aborted attempt leaves the process frozen."),
        striking(Cut, ResyncUnanswered, L8, "post-copy",
            "The source does not react to a resync."),
        striking(Cancel, DoubtUnanswered, L8, "total-copy",
            "A destination in doubt is never told that the attempt was aborted."),
        striking(CrashSource, HastyLost, S12, "post-copy",
            "The process is declared lost for a page that has arrived."),
        striking(Cut, LostOnTimeOut, S12, "post-copy",
            "The process is declared lost on a time-out, without word of a death."),
        striking(Outage, AcknowledgeBeforeDurable, S6, "generic",
            "The file server acknowledges a write-back that an outage can still take."),

        // Of what real systems have: the dirty log, what ends pre-copy, the hand-over.
        entry(ClearAfterCopy, S2, "qemu-pre-copy",
            "A page's mark in the dirty log is cleared after the page was copied."),
        entry(ClearUnread, S2, "qemu-pre-copy",
            "Clearing the log clears the marks of pages that were written after it was read."),
        entry(UntrackedWriter, S2, "qemu-pre-copy",
            "A device writes pages that have been copied, and the dirty log does not see it."),
        entry(WriterWhileFrozen, S2, "qemu-pre-copy",
            "A device goes on writing pages that have been sent while the process is frozen."),
        entry(CutPassCountsAsSent, S1, "qemu-pre-copy",
            "A pass that is cut short counts as done: what it has not sent is taken for sent."),
        entry(SwitchForgetsRedirtied, S2, "qemu-hybrid",
            "At a switch to post-copy what was modified after it was sent is not discarded."),
        striking(CrashSource, ForgetEntrusted, S12, "qemu-pre-copy",
            "A destination that has been handed everything in one message gives it up when the source dies."),
        entry(AnswerUnheard, L1, "post-copy+hand-over=acknowledged",
            "The source does not react to the answer to go."),
        entry(BeginUnexpected, S9, "pre-copy-announced",
            "The source begins a migration that it has announced before it has heard that it is expected."),
        striking(Cancel, BeginCalledOff, S9, "pre-copy-announced",
            "A migration that was cancelled when it had been announced begins when the destination says that it expects it."),
        striking(Cancel, CancelUnsaid, L2, "pre-copy-announced",
            "A cancel before the start is not sent, and the destination, which expects that migration, takes up no other."),
        striking(Cut, AwaitExpected, L2, "pre-copy-announced",
            "The source does not give up a migration that it has announced when the connection is lost."),
        striking(CrashSource, FallBackBlindly, S2, "post-copy-fallback",
            "Whatever a dead source owed is loaded from the backing store, modified since or not."),
        striking(CrashSource, NeverFallBack, S12, "post-copy-fallback",
            "The process is declared lost for a page that the backing store has."),
        striking(CrashSource, TrustUnacknowledged, S1, "generic-fallback",
            "A write-back that was on its way when the source died is taken for stored."),
        // Of the choices about pages, threads and connections.
        entry(ForgetWake, L3, "post-copy-threads",
            "A page is installed, and whoever waits for it is not woken."),
        entry(DropLateFault, L3, "post-copy-threads",
            "A fault that is heard when its page is there is taken for served, and its thread is not woken."),
        entry(RequestHeldPage, L3, "post-copy-threads",
            "A fault that is heard when its page is there becomes a request, which the source has answered already."),
        entry(MapBeforeFill, S2, "post-copy-threads",
            "A page is mapped for whoever waits for it before its content is in it."),
        entry(BornInStep, S1, "pre-copy-mappings",
            "A page that is mapped during pre-copy is not in the dirty log, and counts as in step."),
        entry(ZeroUnsaid, S2, "pre-copy-mappings",
            "A page that has become zero is counted as sent, and the destination is not told."),
        entry(SendZeroes, S8, "pre-copy-mappings",
            "A page that is known to be zero is sent all the same."),
        entry(InstallVoid, S2, "post-copy-mappings",
            "What was on its way for a page when it was discarded is installed."),
        entry(ServeDiscarded, S2, "post-copy-mappings",
            "A page that is discarded while it is owed stays owed, and a later fault is served its old content."),
        entry(HintInUse, S1, "pre-copy-mappings",
            "A hint that comes late clears the dirty bit of a page that is in use again."),
        entry(RefuseExempt, L3, "post-copy-mappings",
            "The source refuses to send a page that a hint has exempted, and the destination asks for it."),
        entry(CompleteBeforeAnswers, S5, "post-copy-demand-apart",
            "The destination says complete when the main connection is read, with an answer on the other one."),
        entry(TwoSenders, S8, "post-copy-demand-apart",
            "Whoever answers requests on the connection of their own does not tell whoever pushes."),
        entry(NoPassBarrier, S1, "pre-copy-striped",
            "No barrier ends a pass: an older copy on one connection comes after a newer one on another."),
        entry(NoStateBarrier, S2, "pre-copy-striped",
            "No barrier comes before the state: the process resumes with pages still on the other connections."),
        entry(PullBeforeDemand, S7, "post-copy-pull",
            "The destination asks for pages that nobody waits for while a thread waits for another."),
        striking(Cut, PullsTakenForSent, L1, "post-copy-pull",
            "After a reconnection the destination takes what it had asked for of its own accord for on its way."),
    ]
};

impl Entry {
    /// The property that must catch it there: the one that it names, but for three cases.
    pub fn caught_in(&self, world: &Migration) -> Property {
        let strategy = &world.strategy;
        match self.defect {
            // A link that loses messages and sends them again never comes to a halt.
            Defect::CommitForgotten if world.link == Link::Lossy => Property::L4,
            // The state is lost, and no page.
            Defect::ForgetInDoubt if !strategy.sends_before_commit() => Property::L4,
            // With two hosts the next migration goes to where the pages are. It pre-copies what it has not got.
            Defect::MigrateWhileOwed if strategy.copies() && world.hosts == Hosts::Two => Property::S9,
            _ => self.caught_by,
        }
    }

    /// The disruptions that it needs to show.
    pub fn disruptions(&self) -> Disruptions {
        self.disruption.map_or(Disruptions::NONE, |kind| Disruptions::up_to(1, kind.into()))
    }
}

impl Defect {
    /// The entry in [`DEFECTS`].
    pub fn entry(self) -> Entry {
        DEFECTS
            .into_iter()
            .find(|entry| entry.defect == self)
            .unwrap_or_else(|| unreachable!("a test finds every defect in the table"))
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::step::kebab(f, &format!("{self:?}"))
    }
}

/// The text names no defect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no defect is called '{0}'")]
pub struct UnknownDefect(pub String);

impl FromStr for Defect {
    type Err = UnknownDefect;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DEFECTS
            .iter()
            .map(|entry| entry.defect)
            .find(|defect| defect.to_string() == text)
            .ok_or_else(|| UnknownDefect(text.to_owned()))
    }
}
