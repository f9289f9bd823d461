//! S7, demand first. Caught: `demand-behind-pushes`.
//!
//! Judged on every push: all other pages must meet
//! [`NoDemand`](crate::condition::Condition::NoDemand). A request that waits for the page's own write-back to be
//! acknowledged does not wait for the link, and holds up nothing.

pub(super) const TITLE: &str = "demand first";
pub(super) const MEANING: &str =
    "While a request that could be answered waits at the source, the source sends no unrequested page.";
