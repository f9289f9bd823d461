//! Engines that explore, prove and refute. They know no migration.
//!
//! What they work on is any system of the shape in [`population`]: a control record, and any number of interchangeable
//! parts that ask nothing of each other but conditions on *all* others. Whoever has such a system implements three traits
//! with condition and property types of its own. [`mod@example`] does: a directory that keeps caches coherent, proved for
//! any number of caches, and refuted where home grants a copy before it has heard all acknowledgements:
//!
//! ```
//! use engine::example::{Coherence, Directory};
//! use engine::views::{ProofBounds, ProofOutcome, prove};
//!
//! let sound = prove(&Directory::default(), ProofBounds::default());
//! assert!(matches!(sound.verdicts[&Coherence::OneWriter], ProofOutcome::HoldsForAny { .. }));
//!
//! let hasty = prove(&Directory { hasty: true, ..Directory::default() }, ProofBounds::default());
//! let ProofOutcome::Fails { pages, trace } = &hasty.verdicts[&Coherence::OneWriter] else { panic!("it holds") };
//! assert_eq!((*pages, trace.steps.len()), (2, 9), "caches, and steps of a shortest run to two writers");
//! ```
//!
//! * [`explore`]: every reachable state for a number of parts, in parallel, with shortest traces.
//! * [`views`]: proofs of safety and liveness for **any** number of parts, and their re-check.
//! * [`liveness`]: verdicts under fairness, with lassos that independent code replays.
//! * [`bisimulation`]: do two systems behave alike?
//! * [`tabled`], [`state_graph`]: what the engines stand on; records as numbers, whole graphs in memory.
//!
//! `cargo run -p engine --example cache_coherence` shows all of them at work on the directory.

#![forbid(unsafe_code)]

pub mod bisimulation;
pub mod example;
pub mod explore;
pub mod liveness;
pub mod state_graph;
pub mod tabled;
#[doc(hidden)]
pub mod testing;
pub mod views;
