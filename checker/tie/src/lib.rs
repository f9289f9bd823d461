//! The tie between model and reference: what real endpoints do is what the model allows, and the other way round.
//!
//! * [`rig`]: real endpoints of the reference, with every step taken when the driver says so, over a [`network`] that
//!   can bring about every order of messages; [`policy`] says which algorithm is which.
//! * [`abstraction`]: the fixed mapping from there to a state of the model.
//! * [`explain`] and [`refine`]: each step of an endpoint is the step of the model that it is named for, or none.
//! * [`schedule`]: random runs of that kind, by numbers.
//! * [`drive`]: real endpoints go through every transition of the model's graph, but for those with an [`excuse`].
//! * [`trace`]: a recorded step log is validated, whoever recorded it.
//! * [`campaign`]: random runs in which things go wrong are validated so, and their transitions counted.
//! * [`uncounted`]: the model where things go wrong any number of times, which logs are held to.
//! * [`flaws`]: errors seeded around the endpoints, to show that all this notices them.
//!
//! The argument, and what is one state on one side and several on the other, is in `proofs-notes/refinement.md`.

pub mod abstraction;
pub mod campaign;
pub mod drive;
pub mod excuse;
pub mod explain;
pub mod flaws;
pub mod network;
pub mod policy;
pub mod refine;
pub mod rig;
pub mod schedule;
pub mod trace;
pub mod uncounted;
