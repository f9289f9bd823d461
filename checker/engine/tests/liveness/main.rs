//! The liveness checker against brute force, and against what other tools got wrong.

mod brute_force;
mod graphs;
mod replayed;
mod small_graph;
mod systems;
mod traps;
