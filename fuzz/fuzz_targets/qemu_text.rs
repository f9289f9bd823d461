//! QEMU's traces and events. See `fuzz::foreign`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::foreign::qemu_text);
