//! CRIU's pages, page maps and logs. See `fuzz::foreign`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::foreign::criu);
