//! What is said of a run: each property held, violated or not judged, and what it cost.

use std::fmt;

use serde::Serialize;

/// A property of a migration, by the name it has everywhere here.
#[expect(missing_docs, reason = "the meanings are in `meaning`")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum ObservedProperty {
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    L1,
    L2,
    L3,
    L4,
}

impl ObservedProperty {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::S1,
        Self::S2,
        Self::S3,
        Self::S4,
        Self::S5,
        Self::S6,
        Self::S7,
        Self::S8,
        Self::S9,
        Self::S10,
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
    ];

    /// What it says, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::S1 => "no lost page",
            Self::S2 => "reads are current",
            Self::S3 => "one runner",
            Self::S4 => "freeze budget",
            Self::S5 => "clean departure",
            Self::S6 => "store goes forward",
            Self::S7 => "demand first",
            Self::S8 => "traffic bound",
            Self::S9 => "state cycle",
            Self::S10 => "no deadlock",
            Self::L1 => "residual dependency ends",
            Self::L2 => "back to rest",
            Self::L3 => "every fault is served",
            Self::L4 => "a suspended process runs again",
        }
    }
}

/// What is said of a property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict", content = "because")]
pub enum ObservedVerdict {
    /// It was kept; by what it was judged.
    Holds(String),
    /// It was broken; how often, see the findings.
    Violated(String),
    /// It cannot be told; why.
    NotJudged(String),
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObservedFault {
    /// Which property it breaks.
    pub property: ObservedProperty,
    /// Which page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// In which input and where.
    pub at: String,
    /// When, in microseconds by the clock of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// Which line of the log it is at.
    #[serde(rename = "log_line")]
    pub step: u64,
    /// What is wrong.
    pub text: String,
}

/// Something that no property forbids and that costs time or bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostNote {
    /// What kind.
    pub kind: CostKind,
    /// In words, with the figures.
    pub text: String,
    /// How often.
    pub count: u64,
    /// The figure of each occurrence, in microseconds or bytes; the first ones.
    pub figures: Vec<CostFigure>,
}

/// What kind of cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostKind {
    /// A request waits although nothing else is sent.
    IdleWait,
    /// A page is sent again without having changed.
    ResentUnchanged,
    /// The process stands still for longer than the limit.
    LongFreeze,
}

impl CostKind {
    /// A figure of this kind in words.
    pub fn figure(self, figure: u64) -> String {
        match self {
            Self::IdleWait | Self::LongFreeze => format!("{}.{} ms", figure / 1000, figure % 1000 / 100),
            Self::ResentUnchanged => format!("{figure} bytes"),
        }
    }
}

/// One occurrence of a cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostFigure {
    /// Which page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// In which input and where.
    pub at: String,
    /// Which line of the log it is at.
    pub log_line: u64,
    /// In microseconds or bytes.
    pub figure: u64,
}

/// What is said of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Version of this document.
    pub report: u32,
    /// What kind of migration it was, in words.
    pub kind: String,
    /// How it ended, in words.
    pub ending: String,
    /// Does the recording reach to the end of the migration?
    pub finished: bool,
    /// Pages of the guest.
    pub pages: u32,
    /// Pages sent, in all.
    pub sent: u64,
    /// Bytes of them on the wire.
    pub sent_bytes: u64,
    /// From the suspension to the resumption, in microseconds, where both are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_us: Option<u64>,
    /// Each property and what is said of it.
    pub verdicts: Vec<(ObservedProperty, ObservedVerdict)>,
    /// What is wrong, in order.
    pub findings: Vec<ObservedFault>,
    /// Findings beyond those that are listed.
    pub findings_unlisted: u64,
    /// What it cost.
    pub costs: Vec<CostNote>,
    /// What was not recorded.
    pub unseen: Vec<String>,
    /// Steps in the log.
    pub steps: u64,
}

impl Report {
    /// Is something wrong, be it only costly?
    pub fn has_findings(&self) -> bool {
        !self.findings.is_empty() || !self.costs.is_empty()
    }

    /// Does the recording reach to the end of the migration?
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// What is said of this property.
    pub fn verdict(&self, property: ObservedProperty) -> Option<&ObservedVerdict> {
        self.verdicts.iter().find(|(other, _)| *other == property).map(|(_, verdict)| verdict)
    }
}

impl fmt::Display for ObservedProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
