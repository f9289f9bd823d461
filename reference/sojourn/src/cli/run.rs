//! `sojourn run`.

use anyhow::Context as _;

use super::{Ending, migrate};
use crate::control::{self, DeskAnswer, DeskQuestion};

/// The program is a child of this command, which waits for it and ends as it does.
pub(super) fn run(algorithm: &str, program: &[std::ffi::OsString]) -> anyhow::Result<Ending> {
    let policy = migrate::named(algorithm)?;
    let (name, arguments) = program.split_first().context("no program")?;
    let mut child = std::process::Command::new(name)
        .args(arguments)
        .spawn()
        .with_context(|| format!("cannot start {}", name.display()))?;
    anstream::eprintln!("process {}", child.id());
    let question = DeskQuestion::Adopt { pid: child.id(), policy: Box::new(policy) };
    // A host is whoever takes it.
    let mut refusals = Vec::new();
    let taken = control::desks()?.iter().any(|desk| match control::ask(desk, &question) {
        Ok(DeskAnswer::Done) => true,
        Ok(DeskAnswer::Refused(reason)) => {
            refusals.push(reason);
            false
        }
        // One that was killed has left its socket behind.
        Ok(DeskAnswer::Status(_)) | Err(_) => false,
    });
    if !taken {
        let why = refusals.into_iter().find(|reason| reason != "this is no host");
        anstream::eprintln!("no host has taken it: {}", why.as_deref().unwrap_or("there is none here"));
    }
    let status = child.wait()?;
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(9) {
        anstream::eprintln!("process {} is gone from here", child.id());
    }
    Ok(if status.success() { Ending::AsExpected } else { Ending::Not })
}
