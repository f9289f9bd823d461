//! The command line of the checker.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(cli::args::Cli::read())
}
