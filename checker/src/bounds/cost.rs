//! What a migration costs, counted step by step.

use std::fmt;
use std::str::FromStr;

use model::concrete::{Move, State, Step};
use model::strategy::Freeze;
use model::{PageStep, Phase, Process, Strategy};
use serde::Serialize;

use crate::observed::ObservedMigration;

/// The size of a page's content, in bytes.
pub const PAGE_BYTES: u64 = 4096;

/// A quantity that a migration has more or less of, according to how its steps interleave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// Page contents that hosts send to the process's next host. (A lossy link's retransmission is the same
    /// message and does not count.)
    Sent,
    /// Page contents for which the freeze waits: sent to the destination between suspension and commit, or
    /// flushed to the file server before the state goes.
    Frozen,
    /// Page contents that arrive while the process is suspended: those of the freeze, and what was still
    /// under way when it began.
    Awaited,
    /// Contents of pages that had been sent before in the same migration.
    Resent,
    /// Accesses of the process to a missing page, wherever it then comes from.
    Faults,
    /// Page contents that the file server sends.
    Fetched,
    /// Page contents sent to the file server.
    WrittenBack,
    /// Page contents on any link, in bytes.
    Bytes,
}

impl Cost {
    /// All of them, in the order of the table.
    pub const ALL: [Cost; 8] = [
        Cost::Sent,
        Cost::Frozen,
        Cost::Awaited,
        Cost::Resent,
        Cost::Faults,
        Cost::Fetched,
        Cost::WrittenBack,
        Cost::Bytes,
    ];

    /// What one step costs.
    pub fn of(
        self,
        strategy: &Strategy,
        step: Step<ObservedMigration>,
        before: &State<ObservedMigration>,
    ) -> u64 {
        let Move::Page(step, index) = step else { return 0 };
        let control = &before.control.control;
        let frozen =
            matches!(control.phase, Phase::Freeze | Phase::Offered | Phase::Rebuilding | Phase::Accepted);
        let sends = step.sends_content();
        let fetches = step == PageStep::ServeFromStore;
        let writes_back = step == PageStep::WriteBack;
        let flushes = writes_back && strategy.freeze == Freeze::FlushModified;
        match self {
            Cost::Sent => u64::from(sends),
            Cost::Frozen => u64::from(frozen && (sends || flushes)),
            Cost::Awaited => u64::from(control.process == Process::Migration && arrives(step)),
            Cost::Resent => u64::from(sends && before.pages[index].sent),
            Cost::Faults => u64::from(matches!(step, PageStep::Fault | PageStep::LoadLocal)),
            Cost::Fetched => u64::from(fetches),
            Cost::WrittenBack => u64::from(writes_back),
            Cost::Bytes => PAGE_BYTES * u64::from(sends || fetches || writes_back),
        }
    }

    /// One line about it.
    pub fn meaning(self) -> &'static str {
        match self {
            Cost::Sent => "page contents sent to the process's next host",
            Cost::Frozen => "page contents sent or flushed between suspension and commit",
            Cost::Awaited => "page contents that arrive while the process is suspended",
            Cost::Resent => "contents of pages that had been sent before in the same migration",
            Cost::Faults => "accesses to a missing page",
            Cost::Fetched => "page contents sent by the file server",
            Cost::WrittenBack => "page contents sent to the file server",
            Cost::Bytes => "page contents on any link, in bytes",
        }
    }
}

fn arrives(step: PageStep) -> bool {
    matches!(step, PageStep::DeliverPage | PageStep::DuplicatePage | PageStep::DeliverOlder)
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cost::Sent => "sent",
            Cost::Frozen => "frozen",
            Cost::Awaited => "awaited",
            Cost::Resent => "resent",
            Cost::Faults => "faults",
            Cost::Fetched => "fetched",
            Cost::WrittenBack => "written-back",
            Cost::Bytes => "bytes",
        })
    }
}

/// The text names no cost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no cost is called '{0}'")]
pub struct UnknownCost(pub String);

impl FromStr for Cost {
    type Err = UnknownCost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Cost::ALL
            .into_iter()
            .find(|cost| cost.to_string() == text)
            .ok_or_else(|| UnknownCost(text.to_owned()))
    }
}
