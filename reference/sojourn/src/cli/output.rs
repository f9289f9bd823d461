//! How results leave the program.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use anyhow::Context as _;

/// Writes a result to standard output, and a line end. A reader who has seen enough is no error.
pub(super) fn say(text: impl Display) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// What clap has to say instead of arguments: help and version are results like others.
pub(super) fn end(error: &clap::Error) -> anyhow::Result<()> {
    if !matches!(error.kind(), clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion) {
        error.exit();
    }
    say(error.render().ansi().to_string().trim_end())
}
