//! Any schedule of a whole world; the process sees what it would have seen without moving. See `fuzz::two_endpoints`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::two_endpoints::run);
