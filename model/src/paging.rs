//! Choices about pages and threads that the plain algorithms leave out: each is off unless a strategy makes it.
//!
//! | field of a strategy file | plain | or |
//! |---|---|---|
//! | `wake` | `"with-page"` | `"apart"`: a page is installed, then whoever waits for it is woken; a fault may come in between |
//!
//! The steps that a choice adds are in a file of its own under `moves/`, and what it makes of a page's record is the
//! [`Aside`].

use serde::{Deserialize, Serialize};

/// The choices of a strategy about pages and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Paging {
    /// When the threads that wait for a page run on.
    pub wake: Waking,
}

impl Paging {
    /// What the plain algorithms do.
    pub const PLAIN: Paging = Paging { wake: Waking::WithPage };
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

/// The part of a page's record that only the choices of [`Paging`] change. Without them it has its default value for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Aside {
    /// A further thread has touched the page while it was missing, and its host has not heard that fault yet.
    #[serde(skip_serializing_if = "is_plain")]
    pub late: bool,
}

impl Aside {
    /// Nothing that the plain algorithms do not have.
    pub const NONE: Aside = Aside { late: false };
}

fn is_plain<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
