//! The names of the steps: what a control record and what a page can do.

use std::fmt;

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
    /// Its sender's timer sends it again.
    ResendRequest,
    /// The link loses the newest content message.
    LosePage,
    /// Its sender's timer sends it again.
    ResendPage,
    /// The link loses the write-back, or its acknowledgement.
    LoseWriteBack,
    /// The sender's timer sends it again.
    ResendWriteBack,
}

impl ControlStep {
    /// All of them, in the order in which moves are listed.
    pub const ALL: [ControlStep; 16] = [
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
    ];

    /// The operator, the process and the link's faults are free; all else happens when it can.
    pub fn fairness(self, lossy: bool) -> Fairness {
        match self {
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
    pub const ALL: [PageStep; 26] = [
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
