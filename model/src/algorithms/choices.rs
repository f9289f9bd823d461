//! Built-in algorithms that make one of the choices about pages and threads: for each choice an algorithm to see it in.

use std::borrow::Cow;

use super::post_copy::POST_COPY;
use crate::paging::{Paging, Waking};
use crate::strategy::Strategy;

/// Post-copy of a process with several threads, as `userfaultfd` shows it: a page is installed, then whoever waits for it is
/// woken.
pub const POST_COPY_THREADS: Strategy = Strategy {
    name: Cow::Borrowed("post-copy-threads"),
    paging: Paging { wake: Waking::Apart, ..Paging::PLAIN },
    ..POST_COPY
};
