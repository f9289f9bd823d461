//! The first line of a log: what was run, and what of it the log cannot show.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::event::{Step, write_log};
use crate::sink::LogWriter;

/// The version of the format that is written and read.
pub const VERSION: u32 = 1;

/// What was run. As JSON:
///
/// ```json
/// {"trace":1,"algorithm":"post-copy","link":"fifo","pages":24,"file_mapped":[3,7]}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Version of the format.
    pub trace: u32,
    /// A built-in algorithm; need not be there where the reader is given a strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// What links do.
    pub link: LinkOrder,
    /// Number of pages of the address space; all are loaded and clean at first.
    pub pages: u64,
    /// Numbers, from 0, of the pages that are file-mapped; the others are private.
    #[serde(default)]
    pub file_mapped: BTreeSet<u64>,
    /// Whether things go wrong: connections, machines and the file server fail, operators and hosts change their minds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disrupted: bool,
    /// What happened without leaving a line, because whoever wrote the log cannot see it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unseen: BTreeSet<Unseen>,
}

impl Header {
    /// A log of the current version of a run in which nothing goes wrong, written by somebody who sees everything.
    pub fn new(algorithm: &str, link: LinkOrder, pages: u64) -> Self {
        Header {
            trace: VERSION,
            algorithm: Some(algorithm.to_owned()),
            link,
            pages,
            file_mapped: BTreeSet::new(),
            disrupted: false,
            unseen: BTreeSet::new(),
        }
    }

    /// Writes a whole log: this line, and one for each step.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn write_with<'a>(
        &self,
        steps: impl IntoIterator<Item = &'a Step>,
        mut to: impl Write,
    ) -> io::Result<()> {
        LogWriter::begin(self, &mut to)?;
        write_log(steps, to)
    }
}

/// What the links between any two places do to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkOrder {
    /// Nothing is lost, and everything arrives in the order in which it was sent.
    Fifo,
    /// Nothing is lost, and anything may overtake anything.
    Unordered,
    /// Messages are lost, doubled and sent again, and may overtake each other.
    Lossy,
}

/// A kind of thing that happens and that the writer of a log cannot see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unseen {
    /// The process writes a page. A judge tries a write of every page before every line.
    Writes,
    /// The process reads a page. Nothing follows from a read; what it asks for has a line of its own.
    Reads,
    /// The destination declares, and the source learns, that the process could run there. A judge takes it that both
    /// happen right before the hand-over, unless there are lines that say when.
    Readiness,
    /// Connections break and come back. Only where the header says that things go wrong; what a host makes of it still
    /// has a line.
    Connections,
    /// Hosts part without a word: *complete* need not have a line, and *destroyed* has none. A judge takes it that the process
    /// is at rest when the source frees what it had.
    Departure,
}
