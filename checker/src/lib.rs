//! The judge: explores the model and judges its properties.

pub mod bisimulation;
pub mod bounds;
pub mod claims;
pub mod conform;
pub mod explore;
pub mod judge;
pub mod liveness;
pub mod narrative;
pub mod observed;
pub mod report;
pub mod setting;
pub mod simulate;
pub mod smt;
pub mod state_graph;
pub mod survival;
pub mod tabled;
#[doc(hidden)]
pub mod testing;
pub mod uncounted;
pub mod views;
pub mod witness;
