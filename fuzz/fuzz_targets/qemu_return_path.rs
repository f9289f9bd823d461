//! QEMU's return path. See `fuzz::foreign`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::foreign::qemu_return_path);
