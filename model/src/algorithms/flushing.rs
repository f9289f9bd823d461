//! Flushing: modified pages go to a file server that both hosts reach, and are fetched from there
//! (Douglis' Sprite).
//!
//! ```text
//!  process      Normal ─▶ Migration ───────────────────────────────▶ Normal
//!  source       runs ─suspend─▶ modified pages ─┐ (acknowledged) state ─▶ go
//!  file server                                  └▶ stores      serves ─┐
//!  destination                        reconstructs, resumes ─ fault ─▶ ┘
//! ```
//!
//! The source is free of the process as soon as it resumes; the file server must stay reachable.

use std::borrow::Cow;

use super::total_copy::TOTAL_COPY;
use crate::strategy::{Freeze, Missing, Strategy};

/// Modified pages to the file server during the freeze, then every page from it on demand. Normal →
/// Migration → Normal.
pub const FLUSHING: Strategy = Strategy {
    name: Cow::Borrowed("flushing"),
    freeze: Freeze::FlushModified,
    missing: Missing::Store,
    ..TOTAL_COPY
};
