//! Process migration with real pages: the endpoints, and what they say to each other.
//!
//! A process moves from one host to another. Its state is small, its pages are many, and the algorithms differ in
//! which page travels when. Here an algorithm is a value, a [`Policy`](policy::Policy), and one engine carries out
//! all of them with real bytes:
//!
//! * [`host`]: the engine. A [`Host`](host::Host) owns the memory of the process on one machine and is
//!   [`Source`](source::Source) or [`Destination`](destination::Destination) of its migration, one after the other. Start
//!   reading at its sequence diagram.
//! * [`policy`], [`strategy_file`]: an algorithm as a value, and as a file.
//! * `running`: the ground floor under the phases, which knows none of them; what is public of it is in [`host`].
//! * [`file_server`]: the global backing store.
//! * [`ensemble`]: hosts by number and their file server, for drivers of more than one.
//! * [`wire`]: what they say to each other, as messages and as bytes. Its documentation is the specification.
//! * [`memory`], [`page`], [`page_set`]: what is moved.
//! * [`transcript`], [`replay`]: what a log of steps says, for people, and once more.
//!
//! Endpoints do no I/O, start no threads, read no clock and throw no dice: a driver hands them messages and decides
//! when they do what is due. What arrives from a peer never makes them panic; it is applied, ignored because it comes
//! too late, or refused with a typed [`Error`](error::Error) that leaves everything as it was.

pub mod destination;
pub mod ensemble;
pub mod error;
pub mod file_server;
pub mod host;
pub mod memory;
pub mod page;
pub mod page_set;
pub mod policy;
pub mod replay;
mod running;
pub mod source;
pub mod strategy_file;
pub mod transcript;
pub mod wire;
mod work;
