//! The ground floor: what every phase of a host stands on.
//!
//! * [`Resident`]: the process on the host where it runs, or last ran, a record for each page;
//! * [`WriteBacks`]: what the file server has not acknowledged;
//! * [`fallback`]: what becomes of pages that a dead machine owed;
//! * [`Departure`](departure::Departure): how the process left;
//! * [`Context`](context::Context): what a step may touch besides its own state, [`Links`](links::Links) among it.
//!
//! Nothing here knows of a source or a destination.

pub(crate) mod context;
pub(crate) mod departure;
pub(crate) mod fallback;
pub(crate) mod links;
mod resident;
mod suspension;
mod write_backs;

pub use resident::{Location, PageRecord, Resident};
pub use suspension::Suspension;
pub use write_backs::{WriteBack, WriteBacks};
