//! A migration that is asked for: what has to be known first, the proposal to the host that is to take the subject, the
//! beginning.

use std::fs::File;

use protocol::host::{Location, Role};
use protocol::policy::Policy;
use protocol::source::Source;
use steplog::page::PageNumber;
use steplog::place::Place;

use super::awaited::Awaited;
use super::{Driver, JudgeChoice, LogTarget, MoveRequest};
use crate::aside::{Hello, Proposal, Purpose, Welcome};
use crate::dial::{DialError, GreetingConnection};
use crate::judge::Judge;
use crate::recorder::{All, ExpectedFirst, LogFile, StepRecorder, Untangled, header};
use crate::subject::PROCESS;

/// Pages that are asked for in one turn although nobody waits for them.
const GATHERED_MAX: usize = 64;

impl Driver {
    /// Somebody wants the subject moved. One that has to ask a host first asks now.
    pub(super) fn consider(&mut self, request: MoveRequest) {
        let inquiry = self.subject.lock().inquiry();
        match inquiry {
            Err(error) => request.refuse(error),
            Ok(None) => self.propose(request),
            Ok(Some(_)) if self.proposed.is_some() || self.deferred.is_some() => {
                request.refuse("a migration is about to begin already");
            }
            Ok(Some(_)) if self.host.policy().leaves_pages_behind() && !self.is_complete() => {
                let name = &self.host.policy().name;
                request.refuse(format!(
                    "it came by {name}, and pages of it are at its former host until it touches them"
                ));
            }
            Ok(Some(_)) if !self.is_complete() => (self.deferred, self.drains) = (Some(request), true),
            Ok(Some(question)) => {
                self.drains = true;
                let purpose = Purpose::Inquire { subject: PROCESS.to_owned() };
                let (from, address) = (self.setup.id, self.setup.address.clone());
                let hello = Hello { session: self.session, from, address, purpose };
                self.peers.inquire(request, &self.setup, hello, question);
            }
        }
    }

    /// A host has said what it has of what the subject needs.
    pub(super) fn informed(&mut self, request: MoveRequest, answer: Result<Vec<u8>, DialError>) {
        let heeded = answer.map_err(|error| error.to_string()).and_then(|answer| {
            self.subject.lock().heed(&answer).map_err(|error| error.to_string())?;
            if !self.is_complete() {
                return Err("the process has begun to move meanwhile".to_owned());
            }
            self.renew(&request.policy).map_err(|error| error.to_string())
        });
        self.drains = false;
        match heeded {
            Ok(()) => self.propose(request),
            Err(reason) => request.refuse(reason),
        }
    }

    /// What was asked for too early is looked at again.
    pub(super) fn reconsider(&mut self) {
        if self.is_complete()
            && let Some(request) = self.deferred.take()
        {
            self.consider(request);
        }
    }

    /// Whether the subject is at rest and nothing of it is elsewhere.
    fn is_complete(&self) -> bool {
        let Role::Source(Source::Resting(resident)) = self.host.role() else { return false };
        self.gathering.is_none() && resident.write_backs.is_empty()
    }

    /// Gets what the subject has elsewhere, although it has not asked for it. True when there is more to ask for that waits for nobody.
    pub(super) fn gather(&mut self) -> bool {
        let Some(mut page) = self.gathering else { return false };
        for _ in 0..GATHERED_MAX {
            let Role::Source(Source::Resting(resident)) = self.host.role() else { return false };
            if resident.exited {
                self.gathering = None;
                return false;
            }
            let Some(record) = resident.pages.get(page.index()) else {
                let missing = resident.pages.iter().position(|record| record.location != Location::Here);
                if missing.is_none() && self.subject.lock().has_come() {
                    self.settle();
                } else {
                    // Some that were asked for may have to be asked for again.
                    self.gathering = Some(PageNumber(missing.map_or(page.0, |at| at as u64)));
                }
                return false;
            };
            if record.location != Location::Here && !record.requested {
                if record.location == Location::FileServer && !self.peers.has_room(Place::FileServer) {
                    self.gathering = Some(page);
                    return false;
                }
                self.fault(page);
            }
            page = PageNumber(page.0 + 1);
        }
        self.gathering = Some(page);
        true
    }

    fn settle(&mut self) {
        self.gathering = None;
        let settled = self.subject.lock().settle();
        if let Err(error) = settled {
            tracing::error!(session = %self.session, %error, "the process cannot be settled here");
            self.handle.status.lock().error = Some(error.to_string());
        }
    }

    /// Asks a host to take the subject.
    fn propose(&mut self, request: MoveRequest) {
        let MoveRequest { to, policy, log, reply } = request;
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
    fn open_log(&mut self, policy: &Policy, log: LogTarget) -> Result<bool, String> {
        match log {
            LogTarget::None => Ok(false),
            LogTarget::Shared(log) => {
                self.recorder = Box::new(log);
                Ok(false)
            }
            LogTarget::Kept { file, judge } => {
                self.conclude();
                let unseen = self.subject.lock().unseen();
                let mut kept: Vec<Box<dyn StepRecorder>> = Vec::new();
                if let Some(path) = file {
                    let file = File::create(&path)
                        .and_then(|file| LogFile::create(file, policy, &self.layout, &unseen));
                    kept.push(Box::new(file.map_err(|error| format!("{}: {error}", path.display()))?));
                }
                if let Some(JudgeChoice { checker, strategy }) = judge {
                    // Nothing that was said can be taken back, so what may go wrong is allowed from the beginning.
                    let header = header(policy, &self.layout, true, &unseen);
                    let header = serde_json::to_string(&header).map_err(|error| error.to_string())?;
                    let judge = Judge::begin(&checker, &header, strategy.as_deref());
                    let judge = judge.map_err(|error| error.to_string())?;
                    kept.push(Box::new(judge.clone()));
                    (self.judge, self.judge_awaited) = (Some(judge), None);
                    self.handle.status.lock().judged = None;
                }
                self.recorder = Box::new(Untangled::new(ExpectedFirst::new(All(kept))));
                Ok(true)
            }
        }
    }

    /// The host that was asked will take the subject.
    pub(super) fn begin(&mut self, connection: GreetingConnection, welcome: &Welcome) {
        let Some(reply) = self.proposed.take() else { return };
        let _ = reply.send(self.start(connection, welcome));
    }

    fn start(&mut self, connection: GreetingConnection, welcome: &Welcome) -> Result<(), String> {
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
        self.awaited = Awaited::of(&self.layout, |page| self.subject.lock().is_written(page));
        self.collect();
        Ok(())
    }
}
