//! Dense numbers for records, and how each record came about.

use std::fmt;
use std::hash::Hash;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The number of a control record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ControlId(pub u16);

/// The number of a page record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PageId(pub u16);

impl ControlId {
    /// The number as an index.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl PageId {
    /// The number as an index.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Control records.
    Control,
    /// Page records.
    Page,
    /// What page moves violate.
    Verdict,
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordKind::Control => "control",
            RecordKind::Page => "page",
            RecordKind::Verdict => "verdict",
        })
    }
}

/// The model has more distinct records than there are numbers for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model reaches more than {RECORDS_MAX} distinct {kind} records, which is beyond what a state can hold"
)]
pub struct TooManyRecords {
    /// Which kind of record there are too many of.
    pub kind: RecordKind,
}

/// The most distinct records of one kind: what fits into a [`ControlId`] or a [`PageId`].
pub const RECORDS_MAX: usize = 1 << 16;

/// Where a record was first met. Replaying the origins in order gives the same records the same numbers,
/// so a checkpoint needs no encoding of the records themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordOrigin {
    /// The initial control record, or the initial page record with this index.
    Initial(usize),
    /// Result of the control step with the index `step`.
    ControlMove {
        /// The control record before the step.
        control: ControlId,
        /// Index into [`control_steps`](population::system::System::control_steps).
        step: u16,
    },
    /// Result of the page step with the index `step`.
    PageMove {
        /// The control record before the step.
        control: ControlId,
        /// The page record before the step.
        page: PageId,
        /// Index into [`page_steps`](population::system::System::page_steps).
        step: u16,
    },
    /// What the control step with the index `step` makes of a page.
    Carried {
        /// The control record before the step.
        control: ControlId,
        /// The page record before the step.
        page: PageId,
        /// Index into [`control_steps`](population::system::System::control_steps).
        step: u16,
    },
}

/// Numbers the records of one kind in the order in which they are met.
pub(super) struct Interner<T> {
    kind: RecordKind,
    ids: FxHashMap<T, u16>,
    records: Vec<T>,
    origins: Vec<RecordOrigin>,
}

impl<T: Copy + Eq + Hash> Interner<T> {
    pub(super) fn new(kind: RecordKind) -> Self {
        Interner { kind, ids: FxHashMap::default(), records: Vec::new(), origins: Vec::new() }
    }

    pub(super) fn intern(&mut self, record: T, origin: RecordOrigin) -> Result<u16, TooManyRecords> {
        if let Some(id) = self.ids.get(&record) {
            return Ok(*id);
        }
        let id = u16::try_from(self.records.len()).map_err(|_| TooManyRecords { kind: self.kind })?;
        self.ids.insert(record, id);
        self.records.push(record);
        self.origins.push(origin);
        Ok(id)
    }

    pub(super) fn find(&self, record: &T) -> Option<u16> {
        self.ids.get(record).copied()
    }

    pub(super) fn records(&self) -> &[T] {
        &self.records
    }

    pub(super) fn origins(&self) -> &[RecordOrigin] {
        &self.origins
    }
}
