//! Cloud Hypervisor's connections. See `fuzz::foreign`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::foreign::cloud_hypervisor);
