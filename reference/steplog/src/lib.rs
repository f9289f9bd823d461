//! The log of steps: what any implementation of process migration can write, and a judge can read.
//!
//! A log is NDJSON. The first line is a [`Header`](header::Header), each other line a [`Step`](event::Step): when,
//! where, in which migration, and [what happened](event::Event).
//!
//! * [`place`]: who takes part, and the counters that put messages in order.
//! * [`page`], [`message`]: what is moved, and what is said, by name and without content.
//! * [`fate`]: what becomes of a migration when something disrupts it.
//! * [`event`], [`header`]: the steps themselves and what was run, in and out.
//! * [`sink`]: where a driver puts its steps, or does not.

#![forbid(unsafe_code)]

pub mod event;
pub mod fate;
pub mod header;
pub mod message;
pub mod page;
pub mod place;
pub mod sink;
