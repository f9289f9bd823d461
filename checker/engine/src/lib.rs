//! Engines that explore, prove and refute. They know no migration.
//!
//! What they work on is any system of the shape in [`population`]: a control record, and any number of interchangeable
//! parts that ask nothing of each other but conditions on *all* others. Whoever has such a system, a cache-coherence
//! protocol say, gets:
//!
//! * [`explore`]: every reachable state for a number of parts, in parallel, with shortest traces.
//! * [`views`]: proofs of safety and liveness for **any** number of parts, and their re-check.
//! * [`liveness`]: verdicts under fairness, with lassos that independent code replays.
//! * [`bisimulation`]: do two systems behave alike?
//! * [`tabled`], [`state_graph`]: what the engines stand on; records as numbers, whole graphs in memory.

pub mod bisimulation;
pub mod explore;
pub mod liveness;
pub mod state_graph;
pub mod tabled;
#[doc(hidden)]
pub mod testing;
pub mod views;
