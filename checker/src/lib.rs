//! The judge: explores the model and judges its properties.

pub mod explore;
pub mod liveness;
pub mod smt;
pub mod tabled;
#[doc(hidden)]
pub mod testing;
pub mod views;
