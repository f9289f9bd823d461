//! S10, no deadlock. Caught: `commit-forgotten`. The explorer judges it, since it alone knows all moves of
//! a state.

pub(super) const TITLE: &str = "no deadlock";
pub(super) const MEANING: &str = "A state without a successor is one in which the process has exited.";
