//! Every process-migration algorithm as a pure state machine.

pub mod concrete;
pub mod condition;
pub mod property;
pub mod system;
