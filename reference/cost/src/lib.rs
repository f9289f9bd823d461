//! What the network and the software of a system cost a migration, in one value: [`CostModel`], with a [`Preset`] for each kind of
//! system; and what that comes to where a formula can tell, as [`Forecast`].
//!
//! Whoever simulates a migration and whoever watches a real one ask the same model. Pure: no clock, no randomness, no I/O.

mod forecast;
mod fraction;
mod model;

pub use forecast::{Copying, Forecast, Situation};
pub use fraction::{Fraction, ShareError};
pub use model::{CONTENT_MESSAGE_OVERHEAD_BYTES, CostModel, Framing, MESSAGE_HEADER_BYTES, Preset};
