//! What each kind of line says of hosts, migrations and numbers: one predicate a kind, with what it changes.
//!
//! A predicate holds if the place that takes the step has the part for it, in the migration and with the peer that the
//! line names. What the line says of pages is the model's to judge, what it says of messages that of the
//! [ledger](super::messages).

use protocol::page::PAGE_SIZE;
use steplog::event::{Event, Step};
use steplog::fate::{Cause, Fate, Loss};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use super::objection::{MessageName, Objection};
use super::roster::{Coming, Former, Leaving, Left, Member, Process, Roster, is_epoch, is_number, is_peer};

type Holds = Result<(), Objection>;

impl Roster {
    /// Does the line hold? Takes note of it if so; otherwise the roster is of no use any more.
    pub(super) fn take(&mut self, step: &Step) -> Holds {
        let Step { place, epoch, ref event, .. } = *step;
        match (place, is_of_file_server(event)) {
            (Place::FileServer, true) => Ok(()),
            (Place::FileServer, false) => Err(Objection::Misplaced(self.process.at.map(Place::Host))),
            (Place::Host(_), true) => Err(Objection::Misplaced(Some(Place::FileServer))),
            (Place::Host(host), false) => self.of_host(host, epoch, event),
        }
    }

    fn of_host(&mut self, host: HostId, epoch: Epoch, event: &Event) -> Holds {
        match *event {
            Event::MigrationExpected { from } => self.migration_expected(host, epoch, from),
            Event::MigrationAnnounced { to } => self.migration_announced(host, epoch, to),
            Event::MigrationStarted { to } => self.migration_started(host, epoch, to),
            Event::ProcessSuspended { code_page, stack_page, .. } => {
                self.process_suspended(host, epoch, [code_page, stack_page])
            }
            Event::MigrationCancelled { to } => self.migration_cancelled(host, epoch, to),
            Event::MigrationRefused { to } => self.migration_refused(host, epoch, to),

            Event::PeerDisconnected { peer, fate } => self.peer_disconnected(host, epoch, peer, fate),
            Event::PeerTimedOut { peer, fate } => self.peer_timed_out(host, epoch, peer, fate),
            Event::PeerFenced { peer, fate } => self.peer_fenced(host, epoch, peer, fate),
            Event::PeerConnected { peer, resync } => self.peer_connected(host, epoch, peer, resync),
            Event::HostCrashed => self.host_crashed(host, epoch),

            Event::PageRead { offset, length, .. } => self.page_accessed(host, epoch, offset, length.into()),
            Event::PageWritten { offset, ref bytes, .. } => {
                self.page_accessed(host, epoch, offset, bytes.0.len())
            }
            Event::PageFaulted { asked, .. } => self.page_faulted(host, epoch, asked),
            Event::PageLoaded { .. } | Event::FaultHeard { .. } | Event::ThreadsWoken { .. } => {
                self.runs(host, epoch)
            }
            Event::PagePulled { asked, .. } => self.page_faulted(host, epoch, asked.into()),
            Event::ProcessExited => self.process_exited(host, epoch),

            Event::PassBegun { pass } => self.pass_begun(host, epoch, pass),
            Event::MarkCleared { .. } => self.leaving(host, epoch).map(drop),
            Event::PageCopied { pass, to, .. } => self.page_copied(host, epoch, pass, to),
            Event::PageTransferred { to, .. } => self.page_transferred(host, epoch, to),
            Event::PageFlushed { .. } => self.page_flushed(host, epoch),
            Event::PageWrittenBack { .. } => self.page_written_back(host, epoch),
            Event::StateSent { to } => self.state_sent(host, epoch, to),
            Event::ProcessHandedOver { to } => self.process_handed_over(host, epoch, to),
            Event::ProcessReleased { ref told } => self.process_released(host, epoch, told),
            Event::FetchRepeated { .. } => self.fetch_repeated(host, epoch),
            Event::PageFellBack { .. } | Event::VersionAsked { .. } => self.falls_back(host, epoch).map(drop),
            Event::PageLost { .. } => self.page_lost(host, epoch),

            Event::PageServed { to, .. } => self.page_served(host, epoch, to),
            Event::PagePushed { to, .. } => self.page_pushed(host, epoch, to),
            Event::ImageDestroyed { told } => self.image_destroyed(host, epoch, told),

            Event::ReadinessDeclared { to } => self.readiness_declared(host, epoch, to),
            Event::CompletionDeclared { ref told } => self.completion_declared(host, epoch, told),

            Event::PageInstalled { from, .. } => self.page_installed(host, epoch, from),
            Event::StateAccepted { from, .. } => self.state_accepted(host, epoch, from),
            Event::ReadinessLearned { from } => self.readiness_learned(host, epoch, from),
            Event::ProcessResumed { from } => self.process_resumed(host, epoch, from),
            Event::ResumptionLearned { from } => self.resumption_learned(host, epoch, from),
            Event::RequestAccepted { from, .. } => self.request_accepted(host, epoch, from),
            Event::CompletionLearned { from } => self.completion_learned(host, epoch, from),
            Event::DestructionLearned { from, at_rest } => {
                self.destruction_learned(host, epoch, from, at_rest)
            }
            Event::ExitLearned { from } => self.exit_learned(host, epoch, from),
            Event::CancellationLearned { from } => self.cancellation_learned(host, epoch, from),
            Event::RefusalLearned { from } => self.refusal_learned(host, epoch, from),
            Event::ResyncAccepted { from, .. } => self.resync_accepted(host, epoch, from),
            Event::CancellationRepeated { .. } => self.cancellation_repeated(host, epoch),
            Event::DestructionRepeated { to } => self.destruction_repeated(host, epoch, to),
            Event::PageFetched { .. } => self.page_fetched(host, epoch),

            // The ledger knows what is outstanding, and the line names it.
            Event::WriteBackRepeated { .. }
            | Event::WriteBackAcknowledged { .. }
            | Event::MessageIgnored { .. } => Ok(()),

            Event::WriteBackStored { .. }
            | Event::WriteBackSuperseded { .. }
            | Event::VersionTold { .. }
            | Event::FetchServed { .. } => Err(Objection::Misplaced(Some(Place::FileServer))),
        }
    }

    // Commands of the operator.

    fn migration_expected(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        if from == host || self.process.at == Some(host) && self.member(host).left.is_none() {
            return Err(Objection::NoPart { host: host.into(), lacks: "the process is there" });
        }
        let known = self.member(host).known;
        if epoch <= known {
            return Err(Objection::Epoch(next(known)));
        }
        // It may have exited since it was announced.
        let gone = self.announces && self.process.gone;
        if !self.disrupted && !gone {
            self.has_process(from).map_err(|_| Objection::Peer(self.process.at.unwrap_or(from).into()))?;
            let known = self.member(from).known;
            let announced = self.member(from).leaving.filter(|leaving| leaving.announced);
            is_epoch(epoch, announced.map_or(next(known), |leaving| leaving.epoch))?;
        }
        let member = self.member(host);
        member.coming = Some(Coming { from, epoch, accepted: false, ready: false });
        member.known = epoch;
        Ok(())
    }

    fn migration_announced(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        self.has_process(host)?;
        if self.process.suspended || self.process.exited {
            return Err(Objection::Process("does not run"));
        }
        let announces = self.announces;
        let member = self.member(host);
        if to == host || !announces || member.leaving.is_some() {
            let lacks =
                if announces { "it is giving the process away already" } else { "nothing is announced" };
            return Err(Objection::NoPart { host: host.into(), lacks });
        }
        is_epoch(epoch, next(member.known))?;
        member.leaving = Some(Leaving { to, epoch, pass: 1, announced: true, offered: false, ready: false });
        member.known = epoch;
        Ok(())
    }

    fn migration_started(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        self.has_process(host)?;
        if let Some(leaving) = self.member(host).leaving.as_mut().filter(|leaving| leaving.announced) {
            is_epoch(epoch, leaving.epoch)?;
            is_peer(to, leaving.to)?;
            leaving.announced = false;
            return Ok(());
        }
        if self.process.suspended || self.process.exited {
            return Err(Objection::Process("does not run"));
        }
        if to == host {
            return Err(Objection::NoPart { host: host.into(), lacks: "it has the process" });
        }
        if !self.disrupted {
            self.coming(to, epoch, host)?;
        }
        let skips = self.announces && self.disrupted;
        let member = self.member(host);
        if member.leaving.is_some() {
            return Err(Objection::NoPart {
                host: host.into(),
                lacks: "it is giving the process away already",
            });
        }
        // The source need not know of one that was announced and forgotten.
        if !(skips && epoch > member.known) {
            is_epoch(epoch, next(member.known))?;
        }
        member.leaving = Some(Leaving { to, epoch, pass: 1, announced: false, offered: false, ready: false });
        member.known = epoch;
        Ok(())
    }

    fn process_suspended(
        &mut self,
        host: HostId,
        epoch: Epoch,
        pointed_at: [Option<PageNumber>; 2],
    ) -> Holds {
        self.leaving(host, epoch)?;
        if self.process.suspended || self.process.exited {
            return Err(Objection::Process("does not run"));
        }
        (self.process.suspended, self.process.pointed_at) = (true, pointed_at);
        Ok(())
    }

    fn migration_cancelled(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        if self.is_announced(host, epoch) {
            self.member(host).known = epoch;
            return self.coming(to, epoch, host).map(drop);
        }
        self.leaving_to(host, epoch, to)?;
        self.carry_on(host);
        Ok(())
    }

    fn migration_refused(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        if self.is_unheard_of(host, epoch) {
            return Ok(());
        }
        let coming = self.coming(host, epoch, to)?;
        if coming.ready {
            return Err(Objection::NoPart { host: host.into(), lacks: "it has said *ready*" });
        }
        self.member(host).coming = None;
        Ok(())
    }

    // Disruptions.

    fn peer_disconnected(&mut self, host: HostId, epoch: Epoch, peer: Place, fate: Option<Fate>) -> Holds {
        self.parted(host, epoch, peer, fate, Cause::ConnectionLost)
    }

    fn peer_timed_out(&mut self, host: HostId, epoch: Epoch, peer: Place, fate: Option<Fate>) -> Holds {
        self.parted(host, epoch, peer, fate, Cause::TimedOut)
    }

    fn parted(&mut self, host: HostId, epoch: Epoch, peer: Place, fate: Option<Fate>, cause: Cause) -> Holds {
        is_other(host, peer)?;
        is_epoch(epoch, self.role_epoch(host))?;
        let (unseen, one_shot) = (self.connections_unseen, self.one_shot);
        let member = self.member(host);
        if !member.down.insert(peer) && !unseen {
            return Err(Objection::NoPart { host: host.into(), lacks: "that connection is gone already" });
        }
        let leaves = member.leaving.is_some_and(|leaving| peer == leaving.to.into());
        let comes = member.coming.filter(|coming| !coming.ready && peer == coming.from.into()).is_some();
        match (leaves, comes) {
            (true, _) => {
                is_fate(fate, |fate| fate == Fate::CarriedOn(cause))?;
                self.carry_on(host);
                Ok(())
            }
            (false, true) => {
                if one_shot {
                    member.given_up = member.coming.map(|coming| (coming.from, coming.epoch));
                }
                member.coming = None;
                is_fate(fate, |fate| fate == Fate::Forgotten(cause))
            }
            // Whether it is paused, and for which of several connections, is for the host to say.
            _ if fate.is_none_or(|fate| matches!(fate, Fate::Paused(_))) => Ok(()),
            _ => Err(Objection::Fate),
        }
    }

    fn peer_fenced(&mut self, host: HostId, epoch: Epoch, peer: HostId, fate: Option<Fate>) -> Holds {
        is_other(host, peer.into())?;
        is_epoch(epoch, self.role_epoch(host))?;
        let deaths = self.deaths.get(&peer).copied().unwrap_or_default();
        if self.told.insert((host, peer), deaths).unwrap_or_default() == deaths {
            return Err(Objection::Alive(peer));
        }
        let member = self.member(host);
        member.down.remove(&peer.into());
        member.exit_told.retain(|(told, _)| *told != peer);
        let stays = member.leaving.is_none() && member.left.is_none();
        let in_doubt = member.coming.filter(|coming| coming.from == peer);
        let (leaving, left) = (member.leaving.filter(|leaving| leaving.to == peer), member.left);
        // It was the last that anything was to come from, or that was to be told.
        let without = |of: &[Former]| of.iter().all(|(former, _)| *former == peer);
        let Process { at, formers, awaited, gone, .. } = &self.process;
        let rests = stays && *at == Some(host) && !gone && self.former(peer).is_some();
        let rests = rests && awaited.as_ref().map_or(without(formers), |awaited| without(awaited));
        let is_over = rests || left.is_some_and(|left| left.done == Some(Some(peer)));
        // It waits for the process, has something of it, or has it.
        let has = *at == Some(host) && !self.process.gone;
        let waits = in_doubt.is_some_and(|coming| coming.ready);
        let needed = left.is_some_and(|left| left.done.is_none());
        let loses = |loss| match loss {
            Loss::Runner => needed,
            Loss::InDoubt => waits,
            Loss::Pages(lost) => has && lost > 0,
        };
        // What it has with the dead one ends in another way.
        let handed_over = needed && left.is_some_and(|left| left.to == peer);
        let is_concerned = leaving.is_some() || in_doubt.is_some() || handed_over;
        match fate {
            Some(Fate::CarriedOn(Cause::PeerDead)) if leaving.is_some() => {
                self.carry_on(host);
                self.process.orphaned_by = self.former(peer).filter(|_| self.falls_back).map(|_| peer);
            }
            Some(Fate::Forgotten(Cause::PeerDead)) if in_doubt.is_some_and(|coming| !coming.ready) => {}
            Some(Fate::Lost(loss)) if loses(loss) => {
                if let Some(left) = &mut self.member(host).left {
                    left.done = Some(None);
                } else if self.process.at == Some(host) {
                    self.lose_with(host, peer);
                }
                self.process.gone = true;
            }
            // What it owed comes from a backing store, if the model has it that that has all of it.
            None if self.falls_back && has && stays && self.former(peer).is_some() && !is_concerned => {
                self.process.orphaned_by = Some(peer);
            }
            Some(Fate::Migrated) | None if fate.is_some() == is_over && !is_concerned => {
                if let Some(left) = &mut self.member(host).left
                    && left.done == Some(Some(peer))
                {
                    left.done = Some(None);
                }
            }
            _ => return Err(Objection::Fate),
        }
        if in_doubt.is_some() {
            self.member(host).coming = None;
        }
        if self.process.at == Some(host) && self.member(host).left.is_none() {
            self.process.formers.retain(|(former, _)| *former != peer);
            if let Some(awaited) = &mut self.process.awaited {
                awaited.retain(|(former, _)| *former != peer);
            }
            if fate == Some(Fate::Migrated) {
                self.process.awaited = None;
            }
        }
        Ok(())
    }

    /// The process is lost on this host with what that one owed.
    fn lose_with(&mut self, host: HostId, dead: HostId) {
        let epoch = self.process.epoch;
        let others: Vec<_> =
            self.process.formers.iter().copied().filter(|(former, _)| *former != dead).collect();
        let member = self.member(host);
        member.exit_told.extend(others);
        member.leaving = None;
        member.left = Some(Left { to: dead, epoch, done: Some(None) });
    }

    /// The dead machine that has owed pages to the process on this host.
    fn falls_back(&mut self, host: HostId, epoch: Epoch) -> Result<HostId, Objection> {
        self.has_process(host)?;
        is_epoch(epoch, self.process.epoch)?;
        let lacks = "no machine is known to be dead that owed it pages";
        self.process.orphaned_by.ok_or(Objection::NoPart { host: host.into(), lacks })
    }

    fn page_lost(&mut self, host: HostId, epoch: Epoch) -> Holds {
        let dead = self.falls_back(host, epoch)?;
        self.lose_with(host, dead);
        self.process.gone = true;
        Ok(())
    }

    fn peer_connected(&mut self, host: HostId, epoch: Epoch, peer: Place, resync: Option<Progress>) -> Holds {
        is_other(host, peer)?;
        is_epoch(epoch, self.role_epoch(host))?;
        if !self.member(host).down.remove(&peer) && !self.connections_unseen {
            return Err(Objection::NoPart { host: host.into(), lacks: "it has that connection" });
        }
        self.member(host).given_up.take_if(|(given_up, _)| peer == (*given_up).into());
        let (progress, peer) = match (resync, peer) {
            (Some(progress), Place::Host(peer)) => (progress, peer),
            (None, _) => return Ok(()),
            (Some(_), Place::FileServer) => {
                return Err(Objection::NoPart { host: peer, lacks: "it has no part in a migration" });
            }
        };
        let in_doubt = self.member(host).coming.is_some_and(|coming| coming.ready && coming.from == peer);
        let here = self.process.at == Some(host) && self.former(peer).is_some();
        let is_so = match progress {
            Progress::AwaitingGo => in_doubt,
            Progress::Running => here && self.process.awaited.is_none(),
            Progress::Complete => here && self.process.awaited.is_some(),
        };
        if is_so { Ok(()) } else { Err(Objection::NoPart { host: host.into(), lacks: "it is not that far" }) }
    }

    fn host_crashed(&mut self, host: HostId, epoch: Epoch) -> Holds {
        is_epoch(epoch, self.member(host).known)?;
        let runs = self.member(host).left.is_none();
        *self.member(host) = Member::default();
        *self.deaths.entry(host).or_default() += 1;
        if self.process.at == Some(host) && runs {
            self.process.gone = true;
        }
        Ok(())
    }

    // The process.

    fn page_accessed(&mut self, host: HostId, epoch: Epoch, offset: u16, length: usize) -> Holds {
        if usize::from(offset) + length > PAGE_SIZE {
            return Err(Objection::OutOfPage { page_size: PAGE_SIZE });
        }
        self.runs(host, epoch)
    }

    fn page_faulted(&mut self, host: HostId, epoch: Epoch, asked: Place) -> Holds {
        self.runs(host, epoch)?;
        match asked {
            Place::Host(asked) if self.former(asked).is_none() => {
                let last = self.process.formers.last().map_or(Place::FileServer, |(host, _)| (*host).into());
                Err(Objection::Peer(last))
            }
            _ => Ok(()),
        }
    }

    fn process_exited(&mut self, host: HostId, epoch: Epoch) -> Holds {
        self.runs(host, epoch)?;
        self.process.exited = true;
        Ok(())
    }

    // A host that runs the process or is about to give it away.

    fn pass_begun(&mut self, host: HostId, epoch: Epoch, pass: u32) -> Holds {
        let leaving = self.leaving(host, epoch)?;
        is_number(pass.into(), u64::from(leaving.pass) + 1)?;
        leaving.pass = pass;
        Ok(())
    }

    fn page_copied(&mut self, host: HostId, epoch: Epoch, pass: u32, to: HostId) -> Holds {
        let leaving = self.leaving_to(host, epoch, to)?;
        is_number(pass.into(), leaving.pass.into())
    }

    fn page_transferred(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        self.leaving_to(host, epoch, to)?;
        self.is_suspended()
    }

    fn page_flushed(&mut self, host: HostId, epoch: Epoch) -> Holds {
        self.leaving(host, epoch)?;
        self.is_suspended()
    }

    fn page_written_back(&mut self, host: HostId, epoch: Epoch) -> Holds {
        self.has_process(host)?;
        is_epoch(epoch, self.process.epoch)
    }

    fn fetch_repeated(&mut self, host: HostId, epoch: Epoch) -> Holds {
        self.has_process(host)?;
        is_epoch(epoch, self.process.epoch)
    }

    fn state_sent(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        self.is_suspended()?;
        let leaving = self.leaving_to(host, epoch, to)?;
        if std::mem::replace(&mut leaving.offered, true) {
            return Err(Objection::NoPart { host: host.into(), lacks: "the state has been sent" });
        }
        Ok(())
    }

    fn process_handed_over(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        let unseen = self.readiness_unseen;
        let leaving = self.leaving_to(host, epoch, to)?;
        if !leaving.offered || !(leaving.ready || unseen) {
            return Err(Objection::NoPart { host: host.into(), lacks: "it has not heard *ready*" });
        }
        let member = self.member(host);
        member.leaving = None;
        member.left = Some(Left { to, epoch, done: None });
        member.committed = Some((to, epoch));
        Ok(())
    }

    fn process_released(&mut self, host: HostId, epoch: Epoch, told: &[HostId]) -> Holds {
        self.has_process(host)?;
        if !self.process.exited {
            return Err(Objection::Process("has not exited"));
        }
        is_epoch(epoch, self.process.epoch)?;
        let leaving = self.member(host).leaving.map(|leaving| (leaving.to, leaving.epoch));
        let formers: Vec<_> = self.process.formers.iter().copied().chain(leaving).collect();
        is_told(told, &formers)?;
        (self.process.gone, self.process.awaited) = (true, None);
        let member = self.member(host);
        member.leaving = None;
        member.exit_told.extend(formers);
        Ok(())
    }

    // A former host.

    fn page_served(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        is_other(host, to.into())?;
        let left = *self.left_and_needed(host, epoch)?;
        // Where there is a chain of former hosts, whoever has the process now may ask.
        if self.process.formers.len() > 1 || self.process.at == Some(to) {
            Ok(())
        } else {
            is_peer(to, left.to)
        }
    }

    fn page_pushed(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        let left = self.left_and_needed(host, epoch)?;
        is_peer(to, left.to)
    }

    fn image_destroyed(&mut self, host: HostId, epoch: Epoch, told: Option<HostId>) -> Holds {
        let left = *self.left(host, epoch)?;
        if self.departure_unseen && told.is_none() {
            self.member(host).left = None;
            (self.process.awaited, self.process.formers) = (None, Vec::new());
            return Ok(());
        }
        let Some(tell) = left.done else {
            return Err(Objection::NoPart { host: host.into(), lacks: "it may be needed still" });
        };
        if told != tell {
            return Err(Objection::Told(tell.into_iter().collect()));
        }
        self.member(host).left = None;
        Ok(())
    }

    // A destination.

    fn readiness_declared(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        let coming = self.coming(host, epoch, to)?;
        if !coming.accepted || std::mem::replace(&mut coming.ready, true) {
            return Err(Objection::NoPart { host: host.into(), lacks: "it is not that far" });
        }
        Ok(())
    }

    fn completion_declared(&mut self, host: HostId, epoch: Epoch, told: &[HostId]) -> Holds {
        self.has_process(host)?;
        is_epoch(epoch, self.process.epoch)?;
        is_told(told, &self.process.formers)?;
        if self.process.awaited.is_some() {
            return Err(Objection::NoPart { host: host.into(), lacks: "it has said so already" });
        }
        if told.is_empty() {
            self.falls_back(host, epoch)?;
            self.process.orphaned_by = None;
            return Ok(());
        }
        self.process.awaited = Some(self.process.formers.clone());
        Ok(())
    }

    // Messages handled by a host.

    fn page_installed(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        if self.member(host).coming.is_some_and(|coming| coming.epoch == epoch) {
            return self.coming(host, epoch, from).map(|_| ());
        }
        self.has_process(host)?;
        match self.former(from) {
            Some(former) => is_epoch(epoch, former),
            None => Err(Objection::NoPart { host: host.into(), lacks: "nothing is to come from there" }),
        }
    }

    fn state_accepted(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        let coming = self.coming(host, epoch, from)?;
        if std::mem::replace(&mut coming.accepted, true) {
            return Err(Objection::NoPart { host: host.into(), lacks: "it has the state already" });
        }
        Ok(())
    }

    fn readiness_learned(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        let leaving = self.leaving_to(host, epoch, from)?;
        if !leaving.offered || std::mem::replace(&mut leaving.ready, true) {
            return Err(Objection::NoPart { host: host.into(), lacks: "it awaits no *ready*" });
        }
        Ok(())
    }

    fn process_resumed(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        let unseen = self.readiness_unseen;
        let coming = self.coming(host, epoch, from)?;
        if !coming.accepted || !(coming.ready || unseen) {
            return Err(Objection::NoPart { host: host.into(), lacks: "it has not said *ready*" });
        }
        let member = self.member(host);
        (member.coming, member.left) = (None, None);
        if self.without_go {
            let left = self.member(from);
            (left.leaving, left.left) = (None, Some(Left { to: host, epoch, done: None }));
            left.committed = Some((host, epoch));
        }
        let mut formers = std::mem::take(&mut self.process.formers);
        formers.retain(|(former, _)| *former != host);
        formers.push((from, epoch));
        self.process = Process { at: Some(host), epoch, formers, ..Process::default() };
        Ok(())
    }

    fn resumption_learned(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        let left = self.left(host, epoch)?;
        is_peer(from, left.to)
    }

    fn request_accepted(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        is_other(host, from.into())?;
        let left = *self.left(host, epoch)?;
        if left.done.is_some() {
            return Err(Objection::NoPart { host: host.into(), lacks: "nothing is needed from it any more" });
        }
        Ok(())
    }

    fn completion_learned(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        is_other(host, from.into())?;
        // What it has of an attempt to come back was called off, also where it has not heard so.
        if self.disrupted {
            self.member(host).coming = None;
        }
        let left = self.left(host, epoch)?;
        if left.done.replace(Some(from)).is_some() {
            return Err(Objection::NoPart { host: host.into(), lacks: "it has heard so already" });
        }
        Ok(())
    }

    fn destruction_learned(&mut self, host: HostId, epoch: Epoch, from: HostId, at_rest: bool) -> Holds {
        self.has_process(host)?;
        let lacks = "it waits for no such word";
        let awaited = self.process.awaited.as_mut().ok_or(Objection::NoPart { host: host.into(), lacks })?;
        let at = awaited.iter().position(|former| *former == (from, epoch));
        let Some(at) = at else {
            return Err(Objection::NoPart { host: host.into(), lacks });
        };
        awaited.remove(at);
        if awaited.is_empty() != at_rest {
            return Err(Objection::NoPart {
                host: host.into(),
                lacks: "it is at rest when all have answered",
            });
        }
        if at_rest {
            (self.process.awaited, self.process.formers) = (None, Vec::new());
        }
        Ok(())
    }

    fn exit_learned(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        if self.is_unheard_of(host, epoch) {
            return Ok(());
        }
        is_other(host, from.into())?;
        let member = self.member(host);
        let comes = member.coming.is_some_and(|coming| (coming.from, coming.epoch) == (from, epoch));
        match &mut member.left {
            // What was to bring it back does not come any more, and nothing is needed from here.
            Some(left) if left.epoch == epoch && left.done.is_none() && member.coming.is_some() => {
                (member.left, member.coming) = (None, None);
            }
            Some(left) if left.epoch == epoch && left.done.is_none() => left.done = Some(None),
            _ if comes => member.coming = None,
            _ => {
                return Err(Objection::NoPart { host: host.into(), lacks: "it has nothing of the process" });
            }
        }
        Ok(())
    }

    fn cancellation_learned(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        if self.is_unheard_of(host, epoch) {
            return Ok(());
        }
        self.coming(host, epoch, from)?;
        self.member(host).coming = None;
        Ok(())
    }

    fn refusal_learned(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        if self.one_shot && self.member(host).left.is_some_and(|left| left.epoch == epoch) {
            let left = self.left(host, epoch)?;
            is_peer(from, left.to)?;
            left.done = Some(None);
            let formers = std::mem::take(&mut self.process.formers);
            self.member(host).exit_told.extend(formers);
            self.process.gone = true;
            return Ok(());
        }
        if self.is_announced(host, epoch) {
            self.member(host).known = epoch;
            return Ok(());
        }
        self.leaving_to(host, epoch, from)?;
        self.carry_on(host);
        Ok(())
    }

    fn resync_accepted(&mut self, host: HostId, epoch: Epoch, from: HostId) -> Holds {
        is_other(host, from.into())?;
        self.left(host, epoch).map(|_| ())
    }

    fn cancellation_repeated(&mut self, host: HostId, epoch: Epoch) -> Holds {
        match self.member(host).committed {
            Some((_, committed)) if committed == epoch => {
                Err(Objection::NoPart { host: host.into(), lacks: "it has handed the process over" })
            }
            _ => Ok(()),
        }
    }

    fn destruction_repeated(&mut self, host: HostId, epoch: Epoch, to: HostId) -> Holds {
        is_other(host, to.into())?;
        match self.member(host).committed {
            Some((_, committed)) if committed == epoch => Ok(()),
            _ => Err(Objection::NoPart { host: host.into(), lacks: "it has not handed the process over" }),
        }
    }

    fn page_fetched(&mut self, host: HostId, epoch: Epoch) -> Holds {
        self.has_process(host)?;
        is_epoch(epoch, self.process.epoch)
    }

    /// May a host ignore this message when it handles it for the first time? What is about a page is the model's to
    /// say.
    pub(super) fn may_ignore(&self, host: HostId, message: &MessageName) -> Holds {
        let member = self.members.get(&host).cloned().unwrap_or_default();
        let MessageName { from, epoch, kind, .. } = *message;
        if member.down.contains(&from) {
            return Ok(());
        }
        let comes = member.coming.filter(|coming| coming.epoch == epoch && from == coming.from.into());
        let leaves = member.leaving.filter(|leaving| leaving.epoch == epoch && from == leaving.to.into());
        let left = member.left.filter(|left| left.epoch == epoch && left.done.is_none());
        let awaited = self.process.at == Some(host)
            && self
                .process
                .awaited
                .iter()
                .flatten()
                .any(|former| (former.0.into(), former.1) == (from, epoch));
        let awaits = match kind {
            MessageKind::State => comes.filter(|coming| !coming.accepted).map(|_| "the host waits for it"),
            MessageKind::Go => comes.filter(|coming| coming.ready).map(|_| "the host waits for it"),
            MessageKind::Cancel => comes.map(|_| "the host takes part in that migration"),
            MessageKind::Ready => {
                leaves.filter(|leaving| leaving.offered && !leaving.ready).map(|_| "the host waits for it")
            }
            MessageKind::Refuse => leaves.map(|_| "the host takes part in that migration"),
            MessageKind::Complete => left.map(|_| "the host keeps what is not needed any more"),
            MessageKind::Exit => left
                .map(|_| "the host keeps what is not needed any more")
                .or(comes.map(|_| "the host waits for a process that is gone")),
            MessageKind::Destroyed => awaited.then_some("the host waits for it"),
            _ => None,
        };
        // With a chain of former hosts a state can be outdated before it arrives.
        let outdated = self.disrupted && kind == MessageKind::State && member.left.is_some();
        match awaits {
            Some(why) if !outdated => Err(Objection::Ignored(*message, why)),
            _ => Ok(()),
        }
    }

    fn is_suspended(&self) -> Holds {
        if self.process.suspended { Ok(()) } else { Err(Objection::Process("has not been suspended")) }
    }

    /// The process stays.
    fn carry_on(&mut self, host: HostId) {
        self.member(host).leaving = None;
        self.process.suspended = false;
    }
}

fn is_of_file_server(event: &Event) -> bool {
    matches!(
        event,
        Event::WriteBackStored { .. }
            | Event::WriteBackSuperseded { .. }
            | Event::VersionTold { .. }
            | Event::FetchServed { .. }
    )
}

fn next(epoch: Epoch) -> Epoch {
    epoch.next().unwrap_or(epoch)
}

fn is_other(host: HostId, peer: Place) -> Holds {
    match peer == host.into() {
        true => Err(Objection::NoPart { host: host.into(), lacks: "that is itself" }),
        false => Ok(()),
    }
}

fn is_fate(fate: Option<Fate>, is_such: impl Fn(Fate) -> bool) -> Holds {
    if fate.is_some_and(is_such) { Ok(()) } else { Err(Objection::Fate) }
}

/// Are these the hosts that are to be told, each once?
fn is_told(told: &[HostId], formers: &[Former]) -> Holds {
    let mut expected: Vec<_> = formers.iter().map(|(host, _)| *host).collect();
    let mut told = told.to_vec();
    told.sort_unstable();
    expected.sort_unstable();
    if told == expected { Ok(()) } else { Err(Objection::Told(expected)) }
}

/// The pages that a line names beside the one that it is about.
pub(super) fn pages_named(event: &Event) -> Vec<PageNumber> {
    match event {
        Event::ProcessSuspended { code_page, stack_page, .. } => {
            [*code_page, *stack_page].into_iter().flatten().collect()
        }
        _ => page_lists(event).concat(),
    }
}

/// The lists of pages that a line has.
pub(super) fn page_lists(event: &Event) -> [&[PageNumber]; 2] {
    match event {
        Event::StateAccepted { discarded, .. } => [discarded, &[]],
        Event::ResyncAccepted { owed_again, requested, .. } => [owed_again, requested],
        _ => [&[], &[]],
    }
}
