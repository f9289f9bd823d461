//! What a host does of its own accord.

use serde::{Deserialize, Serialize};
use steplog::page::PageNumber;
use steplog::place::Place;

use crate::wire::Channel;

/// One step that a host can take without being told anything new. It sends at most one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Begin another pass of pre-copy.
    BeginPass,
    /// Clear the mark of a page in the dirty log, before it is copied.
    ClearMark(PageNumber),
    /// Copy a page to the destination while the process runs.
    Copy(PageNumber),
    /// Send a page to the destination while the process is suspended.
    Transfer(PageNumber),
    /// Send a modified page to the file server while the process is suspended.
    Flush(PageNumber),
    /// Send registers, dirty map and plan.
    SendState,
    /// Tell the destination to run the process.
    HandOver,
    /// Send a requested page.
    Serve(PageNumber),
    /// Send a page that was not requested.
    Push(PageNumber),
    /// Ask a former host for a page that nobody waits for.
    Pull(PageNumber),
    /// Send a modified file-mapped page to the file server.
    WriteBack(PageNumber),
    /// Say a write-back or a fetch to the file server again, after the connection to it was lost.
    Repeat(PageNumber),
    /// Look to a backing store for a page that a dead machine owed.
    FallBack(PageNumber),
    /// Wake whoever waits for a page that is there.
    Wake(PageNumber),
    /// Tell the source that everything that travels has arrived.
    DeclareReady,
    /// Run the process, where nobody is asked before.
    Resume,
    /// Tell the source that there is no room here for the process.
    Refuse,
    /// Tell the former hosts that nothing is missing any more.
    DeclareComplete,
    /// Free what is left of a process that has moved on or exited.
    Destroy,
    /// Free everything after the process has exited, and tell the other hosts.
    Release,
}

impl Work {
    /// The page that is sent, or asked for again, or waited for.
    pub fn page(self) -> Option<PageNumber> {
        match self {
            Self::ClearMark(page)
            | Self::Copy(page)
            | Self::Transfer(page)
            | Self::Flush(page)
            | Self::Serve(page)
            | Self::Push(page)
            | Self::Pull(page)
            | Self::WriteBack(page)
            | Self::Repeat(page)
            | Self::FallBack(page)
            | Self::Wake(page) => Some(page),
            Self::BeginPass
            | Self::SendState
            | Self::HandOver
            | Self::DeclareReady
            | Self::Resume
            | Self::Refuse
            | Self::DeclareComplete
            | Self::Destroy
            | Self::Release => None,
        }
    }
}

/// Work that is due, and where its page goes, so that a driver can hold it back while that link is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// What to do.
    pub work: Work,
    /// Where the page goes that it sends; `None` if it sends no page.
    pub page_to: Option<Place>,
    /// Over which connection.
    pub channel: Channel,
}
