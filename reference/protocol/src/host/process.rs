//! The process on a host: it reads, writes, faults, is suspended, exits.

use serde::{Deserialize, Serialize};
use steplog::event::{Bytes, Event};
use steplog::page::PageNumber;
use steplog::place::Epoch;

use super::{Host, Role, Suspension};
use crate::destination::{Completing, Destination, Post};
use crate::error::{Error, Refusal};
use crate::memory::{Accesses, Fault, Memory};
use crate::policy::{Policy, Pre, Rest, Stop};
use crate::source::Source;

/// The state of the process in the terms of the taxonomy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// It runs; no transfer goes on.
    Normal,
    /// It runs; pages are transferred ahead of a migration.
    PreMigration,
    /// It is suspended.
    Migration,
    /// It runs at the destination; pages or former hosts are still needed.
    PostMigration,
}

impl<M: Memory + Accesses> Host<M> {
    /// The process reads from a page.
    pub fn read(&mut self, page: PageNumber, offset: u16, into: &mut [u8]) -> Result<(), Fault> {
        let length = u16::try_from(into.len()).map_err(|_| Fault::OutOfRange(page))?;
        self.memory.read(page, offset.into(), into)?;
        self.events.push_back((self.resident_epoch(), Event::PageRead { page, offset, length }));
        Ok(())
    }

    /// The process writes to a page.
    pub fn write(&mut self, page: PageNumber, offset: u16, bytes: &[u8]) -> Result<(), Fault> {
        self.memory.write(page, offset.into(), bytes)?;
        let bytes = Bytes(bytes.to_vec());
        self.events.push_back((self.resident_epoch(), Event::PageWritten { page, offset, bytes }));
        Ok(())
    }
}

impl<M: Memory> Host<M> {
    /// The process cannot go on without this page: load it, or ask for it.
    ///
    /// Where waking is a step of its own, every fault is to be told, also that of a further thread, and that of a page which is
    /// there by then: if nobody else waits for it, the thread goes on at once. A driver tells all before it starts to move the
    /// process or suspends it. Who has been told of goes on with [`Work::Wake`](super::Work::Wake).
    pub fn fault(&mut self, page: PageNumber) -> Result<(), Error> {
        self.check_failure()?;
        let (role, mut cx) = self.parts();
        let resident = role.running_mut().ok_or(Refusal::NotRunning)?;
        let stepped = resident.fault(page, &mut cx);
        self.record(stepped)
    }

    /// The process ends. What it leaves behind is freed by [`Work::Release`](super::Work::Release).
    pub fn exit(&mut self) -> Result<(), Error> {
        self.check_failure()?;
        let (role, mut cx) = self.parts();
        let resident = role.running_mut().ok_or(Refusal::NotRunning)?;
        let stepped = resident.exit(&mut cx);
        self.record(stepped)
    }

    /// Suspends the process, which is then on its way. Where its memory cannot be frozen, it runs on and nothing has
    /// changed.
    pub fn suspend(&mut self, suspension: Suspension) -> Result<(), Error> {
        self.check_failure()?;
        let (role, mut cx) = self.parts();
        let Role::Source(source) = role else { return Err(Refusal::NotRunning.into()) };
        let stepped = source.suspend(suspension, &mut cx);
        self.record(stepped)
    }

    /// Whether the process may be suspended now, and if not, why not.
    pub fn check_suspension(&self) -> Result<(), Refusal> {
        match &self.role {
            Role::Source(source) => source.check_suspension(self.view()),
            _ => Err(Refusal::NotRunning),
        }
    }

    /// Whether the process runs here.
    pub fn is_running(&self) -> bool {
        let here = match &self.role {
            Role::Source(source) => {
                matches!(source, Source::Resting(_) | Source::Announced(_) | Source::PreMigration(_))
            }
            Role::Destination(destination) => {
                matches!(destination, Destination::Post(_) | Destination::Completing(_))
            }
            Role::Vacant | Role::Failed(_) => false,
        };
        here && self.role.resident().is_some_and(|resident| !resident.exited)
    }

    /// The state of the process, as far as this host is the one to say: where it runs or is suspended.
    pub fn process_state(&self) -> Option<ProcessState> {
        let policy = &self.policy;
        match &self.role {
            Role::Source(Source::Resting(_) | Source::Announced(_)) => Some(resting(policy)),
            Role::Source(Source::PreMigration(_)) if matches!(policy.pre, Pre::Copy(_)) => {
                Some(ProcessState::PreMigration)
            }
            Role::Source(Source::PreMigration(pre)) if !pre.resident.former_hosts.is_empty() => {
                Some(ProcessState::PostMigration)
            }
            Role::Source(Source::PreMigration(_)) => Some(resting(policy)),
            Role::Source(Source::Frozen(_) | Source::Offered(_)) => Some(ProcessState::Migration),
            // Where the driver may switch to it, only if he has.
            Role::Destination(
                Destination::Post(Post { resident }) | Destination::Completing(Completing { resident, .. }),
            ) if policy.has_post_migration() && (policy.stop != Stop::Switch || resident.was_owed) => {
                Some(ProcessState::PostMigration)
            }
            Role::Destination(Destination::Post(_) | Destination::Completing(_)) => Some(resting(policy)),
            Role::Source(Source::Shadow(_) | Source::Draining(_))
            | Role::Destination(_)
            | Role::Vacant
            | Role::Failed(_) => None,
        }
    }

    fn resident_epoch(&self) -> Epoch {
        self.role.resident().map_or(self.known, |resident| resident.epoch)
    }
}

fn resting(policy: &Policy) -> ProcessState {
    match policy.rest {
        Rest::Normal => ProcessState::Normal,
        Rest::PreMigration => ProcessState::PreMigration,
    }
}
