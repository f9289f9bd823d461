//! Built-in algorithms that make one of the choices about pages, threads and connections: for each choice an algorithm or
//! two to see it in.

use std::borrow::Cow;

use super::assisted_post_copy::ASSISTED_POST_COPY;
use super::post_copy::POST_COPY;
use super::pre_copy::PRE_COPY;
use crate::paging::{Channels, Mappings, Paging, Waking};
use crate::strategy::{Push, Strategy};

/// Post-copy of a process with several threads, as `userfaultfd` shows it: a page is installed, then whoever waits for it is
/// woken.
pub const POST_COPY_THREADS: Strategy = Strategy {
    name: Cow::Borrowed("post-copy-threads"),
    paging: Paging { wake: Waking::Apart, ..Paging::PLAIN },
    ..POST_COPY
};

/// Pre-copy of a process that maps, unmaps and discards pages.
pub const PRE_COPY_MAPPINGS: Strategy =
    Strategy { name: Cow::Borrowed("pre-copy-mappings"), paging: COME_AND_GO, ..PRE_COPY };

/// Post-copy of such a process: what it discards while the source owes it is void.
pub const POST_COPY_MAPPINGS: Strategy =
    Strategy { name: Cow::Borrowed("post-copy-mappings"), paging: COME_AND_GO, ..POST_COPY };

/// Both: a pass of pre-copy, then post-copy.
pub const ASSISTED_MAPPINGS: Strategy =
    Strategy { name: Cow::Borrowed("assisted-mappings"), paging: COME_AND_GO, ..ASSISTED_POST_COPY };

/// Post-copy with requests and their answers on a connection of their own.
pub const POST_COPY_DEMAND_APART: Strategy = Strategy {
    name: Cow::Borrowed("post-copy-demand-apart"),
    paging: Paging { channels: Channels::DemandApart, ..Paging::PLAIN },
    ..POST_COPY
};

/// Pre-copy over several connections at once.
pub const PRE_COPY_STRIPED: Strategy = Strategy {
    name: Cow::Borrowed("pre-copy-striped"),
    paging: Paging { channels: Channels::Striped, ..Paging::PLAIN },
    ..PRE_COPY
};

/// Post-copy in which the destination asks for every page.
pub const POST_COPY_PULL: Strategy =
    Strategy { name: Cow::Borrowed("post-copy-pull"), push: Push::Pull, ..POST_COPY };

const COME_AND_GO: Paging = Paging { pages: Mappings::ComeAndGo, ..Paging::PLAIN };
