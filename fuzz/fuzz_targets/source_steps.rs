//! A hostile destination. See `fuzz::source_steps`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::source_steps::run);
