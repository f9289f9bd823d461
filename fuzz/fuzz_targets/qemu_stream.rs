//! QEMU's migration stream. See `fuzz::foreign`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::foreign::qemu_stream);
