//! Lazy copy, or copy-on-reference: pages move when they are touched, or never (Zayas' Accent, 1987).
//!
//! ```text
//!  process   Normal ─▶ Migration ─▶ Post-migration ──────────────────────────────── …
//!  source    runs ─suspend─▶ state ─▶ go                 ┌─ page ─▶
//!  destination               reconstructs, resumes ─ fault ┘
//! ```
//!
//! The shortest freeze and the least traffic, paid for with a dependency that lasts: a page that is never
//! touched keeps the source needed. Migrating on leaves pages at every host passed (A → B → C with pages
//! still on A). Two things end it: the process exits, or it returns to the host that it came from last; the
//! freeze then carries back what had moved, and when no other host owes anything the process is Normal
//! again.

use std::borrow::Cow;

use super::total_copy::TOTAL_COPY;
use crate::strategy::{Freeze, Missing, Strategy};

/// Nothing but the state, then pages on demand. Normal → Migration → Post-migration, and Normal again
/// only after a return.
pub const LAZY_COPY: Strategy = Strategy {
    name: Cow::Borrowed("lazy-copy"),
    freeze: Freeze::None,
    missing: Missing::Source,
    ..TOTAL_COPY
};
