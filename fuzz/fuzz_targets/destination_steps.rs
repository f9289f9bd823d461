//! A hostile source. See `fuzz::destination_steps`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::destination_steps::run);
