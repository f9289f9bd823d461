//! A simulated world in which the endpoints can be watched: hosts and a working process over a network in virtual time.
//!
//! A [`Scenario`] says who moves where, by which algorithm, over which links, while the process does what. A
//! [`World`] runs it, writes the log of steps, and has every read of the process and the final content of every page
//! checked against what a process that never moved would see.
//!
//! * [`net`]: links that delay, lose, double and reorder.
//! * [`workload`]: what the process does to its pages; [`random`]: the dice, from a seed.
//! * [`storm`]: random runs in which things go wrong.
//!
//! # Example
//!
//! A small memory moves from A to B under each algorithm, while the process works:
//!
//! ```
//! use protocol::policy::Policy;
//! use steplog::place::HostId;
//! use world::net::LinkConfig;
//! use world::workload::{PageLayout, Pattern, Workload};
//! use world::{Ending, Scenario, World};
//!
//! for policy in Policy::ALL {
//!     let scenario = Scenario {
//!         policy: policy.clone(),
//!         layout: PageLayout { pages: 16, file_mapped_percent: 25, initially_dirty_percent: 50, noise_percent: 30 },
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
//! # Ok::<(), world::WorldError>(())
//! ```

mod run;

pub mod net;
pub mod random;
pub mod storm;
pub mod workload;

pub use run::{
    Discrepancy, Disrupted, Disruption, DisruptionKind, Ending, Injected, Migration, Moment, Oracle, Report,
    Scenario, Scheduled, World, WorldError, migrations,
};
