//! Choices about pages, threads and connections that the plain algorithms leave out: each is off unless a strategy makes it.
//!
//! | field of a strategy file | plain | or |
//! |---|---|---|
//! | `wake` | `"with-page"` | `"apart"`: a page is installed, then whoever waits for it is woken; a fault may come in between |
//! | `pages` | `"fixed"` | `"come-and-go"`: the process maps, unmaps and discards pages, and says which it needs no more |
//! | `channels` | `"one"` | `"demand-apart"`: answers to requests on a connection of their own; `"striped"`: pages over several |
//!
//! The fourth, `push = "pull"`, is a [`Push`](crate::strategy::Push). The steps that a choice adds are in a file of its own
//! under `moves/`, and what they know of a page is its [`Aside`].

use serde::{Deserialize, Serialize};

/// The choices of a strategy about pages, threads and connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Paging {
    /// When the threads that wait for a page run on.
    pub wake: Waking,
    /// Whether there are always the same pages.
    pub pages: Mappings,
    /// The connections between source and destination.
    pub channels: Channels,
}

impl Paging {
    /// What the plain algorithms do.
    pub const PLAIN: Paging =
        Paging { wake: Waking::WithPage, pages: Mappings::Fixed, channels: Channels::One };

    /// Is it what the plain algorithms do?
    pub fn is_plain(self) -> bool {
        self == Paging::PLAIN
    }
}

/// When the threads that wait for a page run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waking {
    /// In the step that installs the page.
    #[default]
    WithPage,
    /// In a step of its own. Several threads may wait, and the fault of one may be heard when the page is there.
    Apart,
}

/// Whether there are always the same pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mappings {
    /// Those that the process was loaded with.
    #[default]
    Fixed,
    /// The process maps and unmaps private pages, discards their content, and says which it needs no more.
    ComeAndGo,
}

/// The connections between source and destination. Each keeps its order (over a link that keeps any).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// All messages go over one.
    #[default]
    One,
    /// Requests and the answers to them go over one of their own. *Complete* waits for both: the barrier.
    DemandApart,
    /// Pages go over several; a barrier ends each pass, and one comes before the state.
    Striped,
}

/// What the process's host knows of a page's use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// It is mapped, and its content matters.
    #[default]
    Used,
    /// It is mapped and all zero: its content need not travel.
    Zero,
    /// The process has said that it does not need the content: what it reads before it writes is of no concern.
    Exempt,
    /// It is not mapped.
    Gone,
}

/// The part of a page's record that only these choices change. Without them it has its default value for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Aside {
    /// A further thread has touched the page while it was missing, and its host has not heard that fault yet.
    #[serde(skip_serializing_if = "is_plain")]
    pub late: bool,
    /// What the process's host knows of its use.
    #[serde(skip_serializing_if = "is_plain")]
    pub life: Life,
    /// The process's host needs nothing more of what is owed or on its way, and whoever sends it does not know.
    #[serde(skip_serializing_if = "is_plain")]
    pub void: bool,
    /// The destination has asked for it although nobody waits for it.
    #[serde(skip_serializing_if = "is_plain")]
    pub pulled: bool,
    /// Its content is on its way on the connection for answers.
    #[serde(skip_serializing_if = "is_plain")]
    pub apart: bool,
}

impl Aside {
    /// Nothing that the plain algorithms do not have.
    pub const NONE: Aside = Aside { late: false, life: Life::Used, void: false, pulled: false, apart: false };
}

fn is_plain<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
