//! S7, demand first. Caught: `demand-behind-pushes`, `forget-demand`, `forget-demand-on-reconnect`.
//!
//! Judged on every push: all other pages must meet [`NoDemand`](crate::condition::Condition::NoDemand) and
//! [`Heeded`](crate::condition::Condition::Heeded). What counts is that the request has reached the source: that the
//! source has dropped it is no excuse. A request that waits for the page's own write-back to be acknowledged does not wait
//! for the link, and holds up nothing.
//!
//! Where the destination pulls, what it asks for of its own accord is judged likewise: not while a thread waits for another
//! page ([`Unwaited`](crate::condition::Condition::Unwaited)). Caught: `pull-before-demand`.

pub(super) const TITLE: &str = "demand first";
pub(super) const MEANING: &str = "After a request that could be answered has reached the source, and until its page is sent, the source sends no unrequested page; and while a thread waits for a page, no other is asked for ahead.";
