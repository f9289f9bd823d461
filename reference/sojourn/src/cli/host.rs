//! `sojourn host` and `sojourn store`.

use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::Context as _;
use protocol::policy::Policy;

use super::Ending;
use super::output::say;
use crate::aside::SessionId;
use crate::control::{Desk, DeskAnswer, DeskQuestion};
use crate::driver::{Driver, DriverSetup, Handle, LogTarget};
use crate::host::Machine;
use crate::key::Trust;
use crate::process::{LiveProcess, ProcessBuilder};
use crate::store::Store;

pub(super) fn host(listen: &str, store: Option<String>, trust: &Trust) -> anyhow::Result<Ending> {
    let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let setup = DriverSetup { store, trust: trust.clone(), ..DriverSetup::default() };
    let machine = Machine::open(listener, setup, vec![Box::<ProcessBuilder>::default()])?;
    let asked = machine.clone();
    let desk = Desk::open(move |question| match question {
        DeskQuestion::Status => DeskAnswer::Status(asked.statuses()),
        DeskQuestion::Adopt { pid, policy } => match adopt(&asked, pid, *policy) {
            Ok(()) => DeskAnswer::Done,
            Err(error) => DeskAnswer::Refused(format!("{error:#}")),
        },
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

/// A process that was started here is this host's from now on: what its algorithm does at rest is done.
fn adopt(machine: &Machine, pid: u32, policy: Policy) -> anyhow::Result<()> {
    let setup = DriverSetup { pid: Some(pid), at_rest: true, ..machine.setup() };
    let process = Box::new(LiveProcess::open(pid)?);
    machine.take_on(Driver::at_source(SessionId::random()?, process, policy, setup)?);
    Ok(())
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
pub(super) fn answer(handles: &[Handle], question: DeskQuestion) -> DeskAnswer {
    let find = |pid: u32| handles.iter().find(|handle| handle.status.lock().pid == Some(pid));
    let done = |done: Result<(), String>| done.map_or_else(DeskAnswer::Refused, |()| DeskAnswer::Done);
    let unknown = |pid: u32| DeskAnswer::Refused(format!("process {pid} is not here"));
    match question {
        DeskQuestion::Status => {
            DeskAnswer::Status(handles.iter().map(|handle| handle.status.lock().clone()).collect())
        }
        DeskQuestion::Adopt { .. } => DeskAnswer::Refused("this is no host".to_owned()),
        DeskQuestion::Fence { address, pid } => {
            let meant = |handle: &&Handle| pid.is_none() || handle.status.lock().pid == pid;
            let all: Vec<_> =
                handles.iter().filter(meant).map(|handle| handle.fence(address.clone())).collect();
            // One that has to do with it is enough.
            let concerned = all.iter().any(Result::is_ok);
            let nobody = || "there is no such process here".to_owned();
            let why = all.into_iter().find_map(Result::err).unwrap_or_else(nobody);
            if concerned { DeskAnswer::Done } else { DeskAnswer::Refused(why) }
        }
        DeskQuestion::Cancel { pid } => {
            find(pid).map_or_else(|| unknown(pid), |handle| done(handle.cancel()))
        }
        DeskQuestion::Migrate { pid, to, policy, log, judge } => {
            let log = match (log, judge) {
                (None, None) => LogTarget::None,
                (file, judge) => LogTarget::Kept { file, judge },
            };
            find(pid).map_or_else(|| unknown(pid), |handle| done(handle.migrate(&to, *policy, log)))
        }
    }
}
