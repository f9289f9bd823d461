//! What cargo-fuzz feeds with bytes, as ordinary functions: the fuzzer, the tests and a person with a failing input
//! all call the same ones.
//!
//! ```sh
//! cargo run -p fuzz --bin corpus -- unpack           # the committed inputs, for the fuzzer to start from
//! cargo +nightly fuzz run source_steps               # look for findings, adding to fuzz/corpus/source_steps
//! cargo test -p fuzz                                 # the committed inputs again, on stable
//! cargo run -p fuzz --bin source_steps -- INPUT…     # a finding again, on stable
//! ```
//!
//! | target | the input is | what must hold |
//! |---|---|---|
//! | [`frame_decode`] | bytes from a peer | decoded or refused; what was decoded survives another round |
//! | [`source_steps`] | what a hostile destination says, between honest steps | [`siege`] |
//! | [`destination_steps`] | what a hostile source says | [`siege`] |
//! | [`file_server_steps`] | what hostile hosts say | the store goes forward only, and answers for itself |
//! | [`two_endpoints`] | a schedule of honest hosts, and what goes wrong | the process sees what it would without moving, or had to be lost |
//! | [`refinement`] | the same, for the checker's rig | every step is a step of the model |
//! | [`foreign`]: `qemu_stream`, `qemu_return_path`, `qemu_channels`, `qemu_text`, `criu`, `cloud_hypervisor` | what another system says | read or refused, and no more made of it than has arrived |
//!
//! Inputs are structured: bytes become setups, steps and forged messages by way of `arbitrary`, so that mutations stay
//! meaningful. Figures and findings are in `proofs-notes/fuzzing.md`.

#![forbid(unsafe_code)]

pub mod bench;
pub mod corpus;
pub mod destination_steps;
pub mod file_server_steps;
pub mod foreign;
pub mod forgery;
pub mod frame_decode;
pub mod refinement;
pub mod siege;
pub mod source_steps;
pub mod two_endpoints;

use std::process::ExitCode;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FuzzFinding(pub String);

/// A target: what is done with an input. Inputs that make no sense are skipped.
pub type Target = fn(&[u8]) -> Result<(), FuzzFinding>;

/// All targets, by the names of their corpora.
pub const TARGETS: [(&str, Target); 12] = [
    ("frame_decode", frame_decode::run),
    ("source_steps", source_steps::run),
    ("destination_steps", destination_steps::run),
    ("file_server_steps", file_server_steps::run),
    ("two_endpoints", two_endpoints::run),
    ("refinement", refinement::run),
    ("qemu_stream", foreign::qemu_stream),
    ("qemu_return_path", foreign::qemu_return_path),
    ("qemu_channels", foreign::qemu_channels),
    ("qemu_text", foreign::qemu_text),
    ("criu", foreign::criu),
    ("cloud_hypervisor", foreign::cloud_hypervisor),
];

/// Runs a target on the inputs in these files, as a person does with what the fuzzer has found.
pub fn replay(target: Target, files: impl Iterator<Item = String>) -> ExitCode {
    for file in files {
        let outcome = std::fs::read(&file).map_err(|error| error.to_string());
        let outcome = outcome.and_then(|input| target(&input).map_err(|finding| finding.to_string()));
        if let Err(error) = outcome {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The `main` of a target: the fuzzer's where cargo-fuzz builds it, otherwise one that replays files.
#[macro_export]
macro_rules! target {
    ($run:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| {
            $run(input).unwrap_or_else(|finding| panic!("{finding}"));
        });

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay($run, std::env::args().skip(1))
        }
    };
}
