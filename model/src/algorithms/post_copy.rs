//! Post-copy: the process moves first, its pages follow (Richmond and Hitchens 1997; Hines and Gopalan
//! 2009 for virtual machines).
//!
//! ```text
//!  process   Normal ─▶ Migration ─▶ Post-migration ─────────────────────▶ Normal
//!  source    runs ─suspend─▶ state ─▶ go, page page … ─ requested page ─ page … ─▶ destroys its copy
//!  destination               reconstructs, resumes ─ fault ─┘            complete ─┘
//! ```
//!
//! As short a freeze as lazy copy, and the dependency ends because the source pushes what nobody asks
//! for. A requested page goes first.

use std::borrow::Cow;

use super::lazy_copy::LAZY_COPY;
use crate::strategy::{Push, Strategy};

/// Nothing but the state, then pages by push and on demand. Normal → Migration → Post-migration →
/// Normal.
pub const POST_COPY: Strategy = Strategy { name: Cow::Borrowed("post-copy"), push: Push::Next, ..LAZY_COPY };
