//! What becomes of a migration when something disrupts it, for the program that embeds a host.
//!
//! The source's *go* is the one commit point. Before it the process runs on where it was; after it there is no way
//! back, so a host that has lost its peer waits for it. A lost connection cannot tell a dead peer from a cut. Only a
//! *fence*, reliable word that the peer's machine is dead, ends in going on without it, or in a loss.
//!
//! | phase | lost connection, time-out | fence of the peer | cancel, refusal |
//! |---|---|---|---|
//! | source before *go* | carries on | carries on | carries on |
//! | source after *go* | paused | lost | too late |
//! | destination before *ready* | forgets | forgets | forgets |
//! | destination between *ready* and *go* | paused | lost | forgets |
//! | destination after *go*, pages owed | paused | lost | too late |
//! | destination after *go*, nothing owed | paused | goes on without it | too late |
//!
//! Where a process falls back to a backing store, one that is owed pages which that has goes on without the peer as well.
//!
//! That is so where *ready* and *go* are said. A one-shot source is after *go* when it has sent the state; its destination, which has
//! the last say, is lost with the process where it forgets, and runs it where it has all that it needs. A source that waits for the
//! answer to *go*, or without a hand-over for *complete*, carries on where it loses the connection.

use serde::{Deserialize, Serialize};

/// What became of the latest migration in which a host had a part, as far as that host can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is over: the process is at rest where it went, or nothing of it is left where it was.
    Migrated,
    /// The process runs on at the source.
    CarriedOn(Cause),
    /// The destination has forgotten a process that it never ran.
    Forgotten(Cause),
    /// The migration can neither go on nor be undone until the connection is back, or a fence says that it will
    /// not be.
    Paused(Cause),
    /// The process is gone.
    Lost(Loss),
}

/// Why a host went on without another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The operator cancelled the migration.
    Cancelled,
    /// The destination would not take the process.
    Refused,
    /// The connection was lost.
    ConnectionLost,
    /// Nothing was heard for too long.
    TimedOut,
    /// The peer's machine is dead.
    PeerDead,
}

/// Why a process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The host that it was handed over to is dead, and what it did there with it.
    Runner,
    /// A former host is dead that had so many pages which nobody else has.
    Pages(u64),
    /// The source is dead before it said *go*. It may have run on before it died, so the copy that waits for *go* may
    /// be old.
    InDoubt,
}
