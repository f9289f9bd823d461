//! Hostile hosts. See `fuzz::file_server_steps`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::file_server_steps::run);
