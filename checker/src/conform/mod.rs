//! The tie between model and reference: what real endpoints do is what the model allows, and the other way round.

pub mod abstraction;
pub mod drive;
pub mod explain;
pub mod flaws;
pub mod network;
pub mod policy;
pub mod refine;
pub mod rig;
