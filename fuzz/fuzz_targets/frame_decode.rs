//! Whatever bytes arrive. See `fuzz::frame_decode`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::frame_decode::run);
