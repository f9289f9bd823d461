//! Systems for tests of engines: random ones, one in miniature, and the naive way to explore them.

pub mod naive;
mod random;
pub mod toy;

pub use random::{CONDITIONS, Kindness, RandomCondition, RandomProperty, RandomSystem, Shape};
