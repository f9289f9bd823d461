//! Assisted post-copy: one pre-copy pass, and post-copy for what was modified meanwhile (Sapuntzakis et
//! al. 2002; *hybrid* in today's hypervisors).
//!
//! ```text
//!  process   Normal ─▶ Pre-migration ─▶ Migration ─▶ Post-migration ─────────▶ Normal
//!  source    runs      all pages once ─suspend─▶ state + dirty map ─▶ go, modified pages …
//!  destination         installs              discards stale pages, resumes ─ fault …
//! ```
//!
//! A page that was copied and then modified must be thrown away at the destination before the process
//! resumes: the dirty map says which. On a link that reorders, a late pre-copied page must not be taken
//! for the answer to a request: sequence numbers tell them apart (defect `no-sequence-numbers`).

use std::borrow::Cow;

use super::post_copy::POST_COPY;
use crate::strategy::{Passes, Pre, Strategy};

/// One pass, then the state with the dirty map, then the modified pages. Normal → Pre-migration →
/// Migration → Post-migration → Normal.
pub const ASSISTED_POST_COPY: Strategy =
    Strategy { name: Cow::Borrowed("assisted-post-copy"), pre: Pre::Copy(Passes::AtMost(1)), ..POST_COPY };
