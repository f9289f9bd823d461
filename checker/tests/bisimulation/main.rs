//! Branching bisimilarity: partition refinement against the definition, and plays against both systems.

mod algorithms;
mod random;
