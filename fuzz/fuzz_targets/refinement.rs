//! Any schedule of a whole world; every step is a step of the model. See `fuzz::refinement`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::refinement::run);
