//! `sojourn host` and `sojourn store`.

use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::Context as _;

use super::Ending;
use super::output::say;
use crate::control::{Answer, Desk, Question};
use crate::driver::{Handle, Log, Setup};
use crate::host::Machine;
use crate::key::Trust;
use crate::process::ProcessBuilder;
use crate::store::Store;

pub(super) fn host(listen: &str, store: Option<String>, trust: &Trust) -> anyhow::Result<Ending> {
    let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let setup = Setup { store, trust: trust.clone(), ..Setup::default() };
    let machine = Machine::open(listener, setup, vec![Box::<ProcessBuilder>::default()])?;
    let asked = machine.clone();
    let desk = Desk::open(move |question| match question {
        Question::Status => Answer::Status(asked.statuses()),
        other => answer(&asked.sessions(), other),
    })?;
    say(machine.address())?;
    wait_for_interrupt()?;
    drop(desk);
    Ok(Ending::Interrupted)
}

pub(super) fn store(listen: &str, root: PathBuf, trust: &Trust) -> anyhow::Result<Ending> {
    let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let store = Store::open(listener, root, trust.clone(), None)?;
    say(store.address())?;
    wait_for_interrupt()?;
    Ok(Ending::Interrupted)
}

fn wait_for_interrupt() -> anyhow::Result<()> {
    let (sender, interrupted) = std::sync::mpsc::channel();
    ctrlc::set_handler(move || {
        // Who has stopped waiting is about to end.
        let _ = sender.send(());
    })?;
    Ok(interrupted.recv()?)
}

/// Answers what is asked about these.
pub(super) fn answer(handles: &[Handle], question: Question) -> Answer {
    let find = |pid: u32| handles.iter().find(|handle| handle.status.lock().pid == Some(pid));
    let done = |done: Result<(), String>| done.map_or_else(Answer::Refused, |()| Answer::Done);
    let unknown = |pid: u32| Answer::Refused(format!("process {pid} is not here"));
    match question {
        Question::Status => {
            Answer::Status(handles.iter().map(|handle| handle.status.lock().clone()).collect())
        }
        Question::Cancel { pid } => find(pid).map_or_else(|| unknown(pid), |handle| done(handle.cancel())),
        Question::Migrate { pid, to, policy, log } => find(pid).map_or_else(
            || unknown(pid),
            |handle| done(handle.migrate(&to, *policy, log.map_or(Log::None, Log::File))),
        ),
    }
}
