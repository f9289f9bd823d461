//! What a message is, without its content.

use serde::{Deserialize, Serialize};

/// The kind of a message, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// Content of a page, from a source to a destination.
    Page,
    /// Registers, dirty map and plan, from the source to the destination.
    State,
    /// The destination could run the process.
    Ready,
    /// The destination is to run the process.
    Go,
    /// The process at the destination waits for a page.
    Request,
    /// Nothing is missing at the destination.
    Complete,
    /// Nothing of the process is left at a former host.
    Destroyed,
    /// The process has exited.
    Exit,
    /// New content of a page, to the file server.
    WriteBack,
    /// The file server has what was written back.
    WriteBackDone,
    /// A page is wanted from the file server.
    Fetch,
    /// A page from the file server.
    Fetched,
    /// The file server's version of a page is asked for.
    AskVersion,
    /// That version.
    VersionTold,
    /// The process stays at the source.
    Cancel,
    /// The destination does not take the process.
    Refuse,
    /// Over a new connection: how far the destination is, and what it lacks.
    Resync,
    /// The process runs at the destination: the answer to *go*, where that is answered.
    Resumed,
    /// A migration is to begin.
    Announce,
    /// The destination expects it.
    Expected,
}

/// How far a destination is that talks to a former host again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It has said *ready* and does not know whether the process is to run there.
    AwaitingGo,
    /// The process runs there.
    Running,
    /// Nothing is missing there; it waits for *destroyed*.
    Complete,
}
