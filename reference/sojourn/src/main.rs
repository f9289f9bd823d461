//! The command `sojourn`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sojourn::cli::main()
}
