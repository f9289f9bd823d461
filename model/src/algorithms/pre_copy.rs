//! Pre-copy: pages move while the process still runs (Theimer's V-System; today's live migration of
//! virtual machines, Clark et al. 2005).
//!
//! ```text
//!  process   Normal ─▶ Pre-migration ───────────────▶ Migration ────────────▶ Normal
//!  source    runs      pass 1: all pages
//!                      pass 2: what was modified
//!                      … at most R passes      ─suspend─▶ the rest, state ─▶ go
//!  destination         installs, overwrites                 reconstructs, resumes
//! ```
//!
//! A page that is modified after it was sent is sent again, so a page crosses the link up to R + 1 times.
//! The *unbounded* variant stops only when every page is in step. A process that keeps writing keeps it
//! from ever stopping: it is here to show that.

use std::borrow::Cow;

use super::total_copy::TOTAL_COPY;
use crate::strategy::{Freeze, Passes, Pre, Strategy};

/// Two passes at most, then the freeze. Normal → Pre-migration → Migration → Normal.
pub const PRE_COPY: Strategy = Strategy {
    name: Cow::Borrowed("pre-copy"),
    pre: Pre::Copy(Passes::AtMost(2)),
    freeze: Freeze::NotInStep,
    ..TOTAL_COPY
};

/// Passes until nothing is left to send. Normal → Pre-migration → Migration → Normal.
pub const PRE_COPY_UNBOUNDED: Strategy =
    Strategy { name: Cow::Borrowed("pre-copy-unbounded"), pre: Pre::Copy(Passes::Unbounded), ..PRE_COPY };
