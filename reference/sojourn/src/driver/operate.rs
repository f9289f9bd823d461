//! What the operator of a host does: begin a migration, suspend the process when that makes sense; and when there is
//! room for what the endpoint has to do.

use std::fs::File;
use std::sync::mpsc::Sender;
use std::time::Instant;

use protocol::host::{Role, Work};
use protocol::policy::{Passes, Policy, Pre};
use protocol::source::Source;
use steplog::place::Place;

use super::{Driver, Log};
use crate::aside::{Hello, Proposal, Purpose, Welcome};
use crate::dial::Connection;
use crate::recorder::LogFile;

/// Tasks that are looked at for one that has room. More of them wait for the same place.
const TASKS_LOOKED_AT: usize = 64;

/// Work done in one turn at most, so that what arrives is heard in between.
const WORK_MAX: usize = 64;

impl Driver {
    /// Asks a host to take the subject.
    pub(super) fn propose(
        &mut self,
        to: String,
        policy: Policy,
        log: Log,
        reply: Sender<Result<(), String>>,
    ) {
        let possible = self.may_start(&policy).and_then(|()| self.open_log(&policy, log));
        let wants_steps = match possible {
            Ok(wants_steps) => wants_steps,
            Err(reason) => {
                let _ = reply.send(Err(reason));
                return;
            }
        };
        let Some(epoch) = self.host.epoch().next() else {
            let _ = reply.send(Err("the counter of migrations is exhausted".to_owned()));
            return;
        };
        let mut roster = self.setup.roster.clone();
        let own = usize::from(self.setup.id.0);
        roster.resize(roster.len().max(own + 1), None);
        roster[own].clone_from(&self.setup.address);
        self.setup.roster.clone_from(&roster);
        let proposal = Proposal {
            policy,
            epoch,
            subject: self.subject_kind.clone(),
            layout: self.layout.clone(),
            roster,
            store: self.setup.store.clone(),
            log: wants_steps,
            build_len: self.build.len() as u64,
        };
        let purpose = Purpose::Migrate(Box::new(proposal));
        let (from, address) = (self.setup.id, self.setup.address.clone());
        let hello = Hello { session: self.session, from, address, purpose };
        self.setup.roster.push(Some(to.clone()));
        self.peers.propose(to, &self.setup, hello, self.build.clone());
        self.proposed = Some(reply);
    }

    fn may_start(&self, policy: &Policy) -> Result<(), String> {
        if self.proposed.is_some() {
            return Err("a migration is about to begin already".to_owned());
        }
        if policy != self.host.policy() {
            return Err(format!("this process moves by {}", self.host.policy().name));
        }
        if !self.host.is_running() {
            return Err("the process does not run here".to_owned());
        }
        Ok(())
    }

    /// True when other places are to send their steps here.
    fn open_log(&mut self, policy: &Policy, log: Log) -> Result<bool, String> {
        match log {
            Log::None => Ok(false),
            Log::Shared(log) => {
                self.recorder = Box::new(log);
                Ok(false)
            }
            Log::File(path) => {
                let unseen = self.subject.lock().unseen();
                let file =
                    File::create(&path).and_then(|file| LogFile::create(file, policy, &self.layout, &unseen));
                self.recorder = Box::new(file.map_err(|error| format!("{}: {error}", path.display()))?);
                Ok(true)
            }
        }
    }

    /// The host that was asked will take the subject.
    pub(super) fn begin(&mut self, connection: Connection, welcome: &Welcome) {
        let Some(reply) = self.proposed.take() else { return };
        let _ = reply.send(self.start(connection, welcome));
    }

    fn start(&mut self, connection: Connection, welcome: &Welcome) -> Result<(), String> {
        let to = welcome.host;
        let at = usize::from(to.0);
        let Some(address) = self.setup.roster.pop().flatten() else {
            return Err("nobody was called".to_owned());
        };
        if to == self.setup.id || at > self.setup.roster.len() {
            return Err("the other end is none of the hosts that it could be".to_owned());
        }
        if at == self.setup.roster.len() {
            self.setup.roster.push(Some(address.clone()));
        }
        let place = Place::Host(to);
        self.subject.lock().must_travel(&welcome.lacking);
        if !self.is_in_use(place) {
            if !self.concerns(place) {
                // Whatever was between the two before is over.
                self.peers.forget(place);
            }
            self.connected(place, connection);
        }
        self.collect();
        if let Err(error) = self.host.start_migration(to) {
            // The other end forgets when the connection is gone.
            self.peers.forget(place);
            return Err(error.to_string());
        }
        self.peers.keep_calling(place, &address, Purpose::Resume { steps_seen: 0 });
        self.collect();
        Ok(())
    }

    /// Suspends the process as soon as that makes sense.
    pub(super) fn operate(&mut self) {
        if self.unfit {
            self.unfit = false;
            let refused = self.host.refuse();
            self.note_error("a refusal", refused);
        }
        let Role::Source(Source::PreMigration(pre)) = self.host.role() else { return };
        if pre.pass.as_ref().is_some_and(|pass| !pass.due.is_empty()) || !self.host.is_connected(pre.route.to)
        {
            return;
        }
        let passes_left = match (self.host.policy().pre, &pre.pass) {
            (Pre::Copy(Passes::AtMost(passes)), Some(pass)) => {
                pass.number < passes && self.host.is_due(Work::BeginPass)
            }
            _ => false,
        };
        if passes_left || self.host.check_suspension().is_err() {
            return;
        }
        self.suspend();
    }

    fn suspend(&mut self) {
        self.stopped_at = Some(Instant::now());
        let stopped = self.subject.lock().stop();
        // What it did up to now comes before its suspension.
        self.observe();
        let suspended = match stopped {
            Ok(suspension) => self.host.suspend(suspension).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let Err(reason) = suspended else {
            self.collect();
            return;
        };
        tracing::error!(session = %self.session, reason, "the process cannot be suspended; it runs on here");
        self.handle.status.lock().error = Some(reason);
        let cancelled = self.host.cancel();
        self.note_error("a cancellation", cancelled);
        self.go_on();
        self.collect();
    }

    /// The process runs on here, if it was stopped.
    pub(super) fn go_on(&mut self) {
        if self.host.is_running() {
            protocol::memory::Memory::thaw(&mut self.subject.clone());
        }
    }

    /// Lets the endpoint do what is due and has room. True when it could do more at once.
    pub(super) fn work(&mut self) -> bool {
        for _ in 0..WORK_MAX {
            let room = |place: Option<Place>| place.is_none_or(|place| self.peers.has_room(place));
            // What is waited for does not wait for room.
            let task = self
                .host
                .tasks()
                .take(TASKS_LOOKED_AT)
                .find(|task| matches!(task.work, Work::Serve(_)) || room(task.page_to));
            let Some(task) = task else { return false };
            if task.work == Work::HandOver
                && let Err(error) = { self.subject.lock().part() }
            {
                tracing::error!(session = %self.session, %error, "the process cannot be handed over");
                let cancelled = self.host.cancel();
                self.note_error("a cancellation", cancelled);
                self.collect();
                continue;
            }
            let performed = self.host.perform(task.work);
            if !self.note_error("work", performed) {
                return false;
            }
            self.collect();
        }
        true
    }
}
