//! The names of the steps: what a control record and what a page can do.

use std::fmt;

use crate::disruption::Disruption;
use crate::system::Fairness;

/// A step of the control record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlStep {
    /// The operator starts a migration to the host at the other end of the last one. Without pre-copy
    /// this suspends the process.
    MigrateBack,
    /// The operator starts a migration to the third host.
    MigrateOnward,
    /// Pre-copy begins its next pass.
    NextPass,
    /// Pre-copy ends, the process is suspended.
    Suspend,
    /// The freeze transfer is done: the source sends the state and the dirty map.
    SendState,
    /// The destination gets the state, and discards what the dirty map says is stale.
    DeliverState,
    /// The destination has reconstructed the process and says *ready*.
    SendReady,
    /// The source gets *ready*, commits, and says *go*.
    Commit,
    /// The destination gets *go* and resumes the process.
    Resume,
    /// The destination needs the source no more and says *complete*.
    SendComplete,
    /// The source gets *complete*, destroys its process, and says *destroyed*.
    Destroy,
    /// The destination gets *destroyed*: back at rest.
    Finish,
    /// The process exits.
    Exit,
    /// The other host gets the notice of exit and frees everything.
    DeliverExit,
    /// The link loses the control message in flight.
    LoseMessage,
    /// Its sender's timer sends it again.
    ResendMessage,
    /// Disruption: the source's machine dies. Before the hand-over is complete the process dies with it.
    CrashSource,
    /// Disruption: the destination's machine dies. After the commit the process dies with it.
    CrashDestination,
    /// Disruption: the link between the hosts breaks, and what is in flight on it is lost.
    Cut,
    /// Disruption: the file server gets out of reach, and what is in flight to and from it is lost.
    Outage,
    /// Disruption: the operator cancels. Before the commit that aborts the attempt; afterwards it is too late, and the
    /// answer says so.
    Cancel,
    /// Disruption: the destination refuses where it could say *ready*, and forgets the attempt.
    Refuse,
    /// Disruption: the source takes the destination for dead. Before the commit it aborts; afterwards it gives the
    /// connection up.
    SuspectDestination,
    /// Disruption: the destination takes the source for dead. Before *ready* it forgets the attempt; afterwards it
    /// gives the connection up.
    SuspectSource,
    /// The source has lost the connection, or hears that the destination has refused or forgotten: it aborts, and the
    /// process thaws.
    Abort,
    /// The destination has lost the connection before it said *ready*: it forgets the attempt.
    Forget,
    /// The destination hears that an attempt was aborted (from *cancel*, from a later attempt's first message, or in
    /// answer to its resync), and forgets it.
    DeliverCancel,
    /// The state of an aborted attempt arrives.
    DeliverOldState,
    /// The destination says *ready* in an aborted attempt.
    SendOldReady,
    /// *Ready* of an aborted attempt arrives, and is ignored.
    DeliverOldReady,
    /// The hosts have a new connection. After the commit the destination's *resync* is on its way, or its *complete*
    /// again.
    Reconnect,
    /// The source hears how far the destination is, what it holds and what it waits for. It says *go* or *destroyed*
    /// again if that is awaited; what is owed and not held is owed again; what is waited for is a demand.
    DeliverResync,
    /// Reliable word that a machine is dead reaches the other host. If that was the last host of the process, it is
    /// lost; if nothing is needed from there any more, the process goes on without it; if it was the destination of an
    /// attempt, the source aborts. The machine comes back vacant.
    Fence,
    /// The file server is in reach again.
    StoreReturns,
}

/// A step of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageStep {
    /// The process writes to the page. Where the state tells no difference, the step leads to the same
    /// state. (Reads never make one; `S2` judges every read that is possible.)
    Write,
    /// The process touches a missing page, and its host loads it from the local backing store.
    LoadLocal,
    /// The process touches a missing page, and its host requests it from its owner or the file server.
    Fault,
    /// Pre-copy sends the page.
    Copy,
    /// The freeze transfer sends the page to the destination.
    SendFrozen,
    /// The page under the instruction or the stack pointer goes along with the state.
    SendWorkingSet,
    /// The owner sends a requested page.
    Serve,
    /// The source sends a page unasked.
    Push,
    /// The owner gets a request; one for a page that it has sent is dropped.
    DeliverRequest,
    /// The same, and the link keeps a duplicate of the request.
    DuplicateRequest,
    /// The newest content message arrives.
    DeliverPage,
    /// The same, and the link keeps a duplicate of it.
    DuplicatePage,
    /// An earlier content message arrives.
    DeliverOlder,
    /// A duplicate of a content message arrives.
    DeliverEcho,
    /// The file server gets a request and sends the page.
    ServeFromStore,
    /// The process's host sends the page to the file server.
    WriteBack,
    /// The file server gets a write-back, stores it, and acknowledges.
    Store,
    /// The same, and the link keeps a duplicate of the write-back.
    DuplicateStore,
    /// A duplicate of a write-back arrives at the file server.
    StoreEcho,
    /// The acknowledgement of a write-back arrives.
    DeliverAcknowledgement,
    /// The link loses the request.
    LoseRequest,
    /// Its sender sends it again: by its timer, or when the file server is in reach again.
    ResendRequest,
    /// The link loses the newest content message.
    LosePage,
    /// Its sender's timer sends it again.
    ResendPage,
    /// The link loses the write-back, or its acknowledgement.
    LoseWriteBack,
    /// The sender sends it again: by its timer, or when the file server is in reach again.
    ResendWriteBack,
    /// The source, which has not heard that the destination has forgotten the attempt, sends the page.
    SendInVain,
    /// A message with the page's content from an aborted attempt arrives; its epoch tells, and it is dropped.
    DeliverStray,
    /// The destination has reliable word of the source's death and was still owed the page: the process is lost.
    DeclareLost,
}

impl ControlStep {
    /// All of them, in the order in which moves are listed.
    pub const ALL: [ControlStep; 34] = [
        ControlStep::MigrateBack,
        ControlStep::MigrateOnward,
        ControlStep::NextPass,
        ControlStep::Suspend,
        ControlStep::SendState,
        ControlStep::DeliverState,
        ControlStep::SendReady,
        ControlStep::Commit,
        ControlStep::Resume,
        ControlStep::SendComplete,
        ControlStep::Destroy,
        ControlStep::Finish,
        ControlStep::Exit,
        ControlStep::DeliverExit,
        ControlStep::LoseMessage,
        ControlStep::ResendMessage,
        ControlStep::CrashSource,
        ControlStep::CrashDestination,
        ControlStep::Cut,
        ControlStep::Outage,
        ControlStep::Cancel,
        ControlStep::Refuse,
        ControlStep::SuspectDestination,
        ControlStep::SuspectSource,
        ControlStep::Abort,
        ControlStep::Forget,
        ControlStep::DeliverCancel,
        ControlStep::DeliverOldState,
        ControlStep::SendOldReady,
        ControlStep::DeliverOldReady,
        ControlStep::Reconnect,
        ControlStep::DeliverResync,
        ControlStep::Fence,
        ControlStep::StoreReturns,
    ];

    /// The disruption that the step is, if it is one.
    pub fn disruption(self) -> Option<Disruption> {
        match self {
            ControlStep::CrashSource => Some(Disruption::CrashSource),
            ControlStep::CrashDestination => Some(Disruption::CrashDestination),
            ControlStep::Cut => Some(Disruption::Cut),
            ControlStep::Outage => Some(Disruption::Outage),
            ControlStep::Cancel => Some(Disruption::Cancel),
            ControlStep::Refuse => Some(Disruption::Refuse),
            ControlStep::SuspectDestination | ControlStep::SuspectSource => Some(Disruption::Suspect),
            _ => None,
        }
    }

    /// The operator, the process, disruptions and the link's faults are free; all else happens when it can.
    pub fn fairness(self, lossy: bool) -> Fairness {
        match self {
            _ if self.disruption().is_some() => Fairness::None,
            ControlStep::MigrateBack
            | ControlStep::MigrateOnward
            | ControlStep::Exit
            | ControlStep::LoseMessage => Fairness::None,
            ControlStep::DeliverState
            | ControlStep::Commit
            | ControlStep::Resume
            | ControlStep::Destroy
            | ControlStep::Finish
            | ControlStep::DeliverExit
            | ControlStep::Abort
                if lossy =>
            {
                Fairness::Strong
            }
            _ => Fairness::Weak,
        }
    }
}

impl PageStep {
    /// All of them, in the order in which moves are listed.
    pub const ALL: [PageStep; 29] = [
        PageStep::Write,
        PageStep::LoadLocal,
        PageStep::Fault,
        PageStep::Copy,
        PageStep::SendFrozen,
        PageStep::SendWorkingSet,
        PageStep::Serve,
        PageStep::Push,
        PageStep::DeliverRequest,
        PageStep::DuplicateRequest,
        PageStep::DeliverPage,
        PageStep::DuplicatePage,
        PageStep::DeliverOlder,
        PageStep::DeliverEcho,
        PageStep::ServeFromStore,
        PageStep::WriteBack,
        PageStep::Store,
        PageStep::DuplicateStore,
        PageStep::StoreEcho,
        PageStep::DeliverAcknowledgement,
        PageStep::LoseRequest,
        PageStep::ResendRequest,
        PageStep::LosePage,
        PageStep::ResendPage,
        PageStep::LoseWriteBack,
        PageStep::ResendWriteBack,
        PageStep::SendInVain,
        PageStep::DeliverStray,
        PageStep::DeclareLost,
    ];

    /// Does the step put a page's content on the link from source to destination?
    pub fn sends_content(self) -> bool {
        matches!(
            self,
            PageStep::Copy
                | PageStep::SendFrozen
                | PageStep::SendWorkingSet
                | PageStep::Serve
                | PageStep::Push
        )
    }

    /// The process and the link's faults are free; all else happens when it can. Writing back needs
    /// strong fairness, because each migration interrupts it; so does delivery over a lossy link.
    pub fn fairness(self, lossy: bool) -> Fairness {
        match self {
            PageStep::Write
            | PageStep::LoadLocal
            | PageStep::Fault
            | PageStep::SendWorkingSet
            | PageStep::SendInVain
            | PageStep::DuplicateRequest
            | PageStep::DuplicatePage
            | PageStep::DuplicateStore
            | PageStep::LoseRequest
            | PageStep::LosePage
            | PageStep::LoseWriteBack => Fairness::None,
            PageStep::WriteBack => Fairness::Strong,
            PageStep::DeliverRequest
            | PageStep::DeliverPage
            | PageStep::ServeFromStore
            | PageStep::Store
            | PageStep::DeliverAcknowledgement
                if lossy =>
            {
                Fairness::Strong
            }
            _ => Fairness::Weak,
        }
    }
}

impl fmt::Display for ControlStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        kebab(f, &format!("{self:?}"))
    }
}

impl fmt::Display for PageStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        kebab(f, &format!("{self:?}"))
    }
}

pub(crate) fn kebab(f: &mut fmt::Formatter<'_>, camel: &str) -> fmt::Result {
    for (at, letter) in camel.char_indices() {
        if letter.is_uppercase() && at > 0 {
            f.write_str("-")?;
        }
        write!(f, "{}", letter.to_ascii_lowercase())?;
    }
    Ok(())
}
