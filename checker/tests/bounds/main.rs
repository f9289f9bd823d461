//! The least and the most that a migration costs: the search against brute force, the figures against closed
//! forms, and every figure against a run.

mod closed_forms;
mod networks;
mod simulated;
