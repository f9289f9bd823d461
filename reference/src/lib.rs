//! Process migration with real pages: endpoints that do it, and a world in which to watch them.
//!
//! A process moves from one host to another. Its state is small, its pages are many, and the algorithms differ in
//! which page travels when. Here an algorithm is a value, a [`Policy`](policy::Policy), and one engine carries out
//! all of them with real bytes:
//!
//! * [`host`]: the engine. A [`Host`](host::Host) owns the memory of the process on one machine and is
//!   [`Source`](source::Source) or [`Destination`](destination::Destination) of its migration, one after the other. Start
//!   reading at its sequence diagram.
//! * [`fate`]: what becomes of a migration when a machine, a connection or the file server fails.
//! * [`file_server`]: the global backing store.
//! * [`wire`]: what they say to each other, as messages and as bytes. Its documentation is the specification.
//! * [`memory`], [`page`], [`page_set`]: what is moved.
//! * [`event`], [`transcript`], [`replay`]: what happened, for machines and for people, and once more.
//! * [`storm`]: random runs in which things go wrong.
//! * [`world`], [`net`], [`workload`], [`random`]: hosts and a process over a simulated network in virtual time.
//!
//! Endpoints do no I/O, start no threads, read no clock and throw no dice: a driver hands them messages and decides
//! when they do what is due. What arrives from a peer never makes them panic; it is applied, ignored because it comes
//! too late, or refused with a typed [`Error`](error::Error) that leaves everything as it was.
//!
//! # Example
//!
//! A small memory moves from A to B under each algorithm, while the process works:
//!
//! ```
//! use reference::net::LinkConfig;
//! use reference::place::HostId;
//! use reference::policy::Policy;
//! use reference::workload::{Layout, Pattern, Workload};
//! use reference::world::{Ending, Scenario, World};
//!
//! for policy in Policy::ALL {
//!     let scenario = Scenario {
//!         policy: policy.clone(),
//!         layout: Layout { pages: 16, file_mapped_percent: 25, initially_dirty_percent: 50, noise_percent: 30 },
//!         workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 350_000 },
//!         link: LinkConfig::FAST_ETHERNET,
//!         route: vec![HostId(0), HostId(1)],
//!         accesses_per_stay: 50,
//!         registers_len: 256,
//!         ending: Ending::Idle,
//!         seed: 1,
//!     };
//!     // Compares every read, and all bytes in the end, with a process that never moved.
//!     let report = World::run(&scenario)?;
//!     let migration = &report.migrations[0];
//!     println!("{:20} {:3} pages, frozen for {:?} ns", policy.name, migration.pages_sent(), migration.freeze_ns());
//!     if let Some(max) = policy.crossings_per_page_max() {
//!         assert!(migration.crossings_of_a_page_max <= max);
//!     }
//! }
//! # Ok::<(), reference::world::WorldError>(())
//! ```

pub mod destination;
pub mod error;
pub mod event;
pub mod fate;
pub mod file_server;
pub mod host;
pub mod memory;
pub mod net;
pub mod page;
pub mod page_set;
pub mod place;
pub mod policy;
pub mod random;
pub mod replay;
pub mod source;
pub mod storm;
pub mod transcript;
pub mod wire;
pub mod workload;
pub mod world;
