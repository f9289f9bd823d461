//! Built-in algorithms that take a precaution which the nine leave out: for each an algorithm or two to see it in.

use std::borrow::Cow;

use super::assisted_post_copy::ASSISTED_POST_COPY;
use super::generic::GENERIC;
use super::post_copy::POST_COPY;
use super::pre_copy::PRE_COPY;
use crate::strategy::{Clean, Fallback, Missing, Real, Start, Strategy};

/// Pre-copy that is announced: the destination is told ahead, and may refuse before anything is copied.
pub const PRE_COPY_ANNOUNCED: Strategy = Strategy {
    name: Cow::Borrowed("pre-copy-announced"),
    real: Real { start: Start::Announced, ..Real::NONE },
    ..PRE_COPY
};

/// The generic algorithm, announced: it writes back while it waits, as ever.
pub const GENERIC_ANNOUNCED: Strategy = Strategy {
    name: Cow::Borrowed("generic-announced"),
    real: Real { start: Start::Announced, ..Real::NONE },
    ..GENERIC
};

/// Post-copy from a source that may die: pages that nobody has written to are then loaded from the program's file.
pub const POST_COPY_FALLBACK: Strategy = Strategy {
    name: Cow::Borrowed("post-copy-fallback"),
    real: Real { fallback: Fallback::Store, ..Real::NONE },
    ..POST_COPY
};

/// The generic algorithm from such a source: the file server is asked for what had been written back.
pub const GENERIC_FALLBACK: Strategy = Strategy {
    name: Cow::Borrowed("generic-fallback"),
    real: Real { fallback: Fallback::Store, ..Real::NONE },
    ..GENERIC
};

/// A pass of pre-copy over the pages that were modified, then post-copy: the source owes nothing that a backing store has.
pub const ASSISTED_SPLIT: Strategy = Strategy {
    name: Cow::Borrowed("assisted-split"),
    missing: Missing::Split,
    clean: Clean::LocalStore,
    ..ASSISTED_POST_COPY
};
