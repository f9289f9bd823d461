//! The judge: explores the model and judges its properties.

pub mod bounds;
pub mod claims;
pub mod console;
pub mod expectations;
pub mod judge;
pub mod narrative;
pub mod observed;
pub mod proof;
pub mod report;
pub mod setting;
pub mod sheet;
pub mod simulate;
pub mod smt;
pub mod survival;
pub mod witness;
