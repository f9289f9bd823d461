//! What goes wrong between and under the hosts, and what the driver tells them about it.
//!
//! Nobody is told of a cut, a crash or an outage: a host notices when the driver says so. Who speaks meanwhile speaks
//! in vain. Only a fence, the word that a machine is dead, is certain; with it the machine is back, and vacant.

use std::collections::BTreeSet;

use model::Link;
use model::disruption::Disruption;
use model::strategy::{HandOver, Start};
use protocol::destination::Destination;
use protocol::error::{Error, Refusal};
use protocol::host::{Host, Location, Role, Work};
use protocol::source::{Draining, Offered, PreMigration, Shadow, Source};
use protocol::wire::{Envelope, Message};
use steplog::event::Event;
use steplog::fate;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use super::{Action, Happening, Rig, RigError};
use crate::flaws::{Flaw, FlawedMemory};
use crate::network::{Flight, FlightFate};

/// What is in order again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mending {
    /// The hosts have a new connection, and know of it.
    Connection,
    /// A dead machine is back, with nothing on it, and the others have been told that it was dead.
    Machine,
    /// The file server is in reach again, and the hosts know of it.
    FileServer,
}

/// What is known to the driver alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Trouble {
    /// The connection between the hosts is gone.
    pub cut: bool,
    /// The machines that are dead without anybody having been told.
    pub dead: BTreeSet<HostId>,
    /// The others have been told of their death, and what they owed has not all come from a backing store: until then the model
    /// counts them as dead.
    pub told: bool,
    /// The file server is out of reach.
    pub outage: bool,
    /// The process died with a machine.
    pub doomed: bool,
    /// The process is lost, and whoever survived it knows.
    pub lost: bool,
    /// The latest migration that the model counts as begun.
    pub begun: Epoch,
    /// The migrations in which something may have been copied, or the process was suspended.
    pub started: BTreeSet<Epoch>,
    /// The attempts that their source has called off.
    pub aborted: BTreeSet<Epoch>,
    /// The attempt that was called off before its destination had heard of it.
    pub unheard_of: Option<(HostId, Epoch)>,
    /// The aborted attempt whose state was ignored by a destination that knew better.
    pub ignored_state: Option<Epoch>,
    /// The migration whose state has arrived last.
    pub accepted: Epoch,
    /// The process has exited, and another host needs to hear of it.
    pub exit_untold: bool,
    /// What happened so far, as far as the model counts it. No endpoint does.
    pub history: History,
}

impl Trouble {
    fn begin(&mut self, epoch: Epoch) {
        self.begun = epoch;
        self.started.insert(epoch);
    }
}

/// What the model remembers of a run, and no endpoint. It follows the model's steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    /// Disruptions so far.
    pub struck: u8,
    /// Recoveries since the attempt began.
    pub recoveries: u8,
    /// Whether the attempt began in a Post-migration that had carried pages back.
    pub began_returned: bool,
}

impl Rig {
    /// Can things go wrong?
    pub(crate) fn is_disrupted(&self) -> bool {
        !self.migration.disruptions.is_none()
    }

    /// Does nothing get from one host to the other?
    pub(crate) fn is_parted(&self) -> bool {
        self.trouble.cut || !self.trouble.dead.is_empty()
    }

    /// The attempt under way that can still be called off, and the host that it goes to. To the model it begins with
    /// the suspension where nothing is copied ahead.
    pub(crate) fn attempt(&self) -> Option<(&Host<FlawedMemory>, HostId, Epoch)> {
        let unresumed = |shadow: &Shadow| {
            let role = self.host(shadow.route.to).map(Host::role);
            let runs =
                matches!(role, Some(Role::Destination(Destination::Post(_) | Destination::Completing(_))));
            self.is_without_hand_over() && shadow.withheld.is_some() && !runs && !self.trouble.exit_untold
        };
        self.hosts().find_map(|host| match host.role() {
            Role::Source(Source::Shadow(shadow)) if unresumed(shadow) => {
                let begun = shadow.route.epoch == self.trouble.begun;
                begun.then_some((host, shadow.route.to, shadow.route.epoch))
            }
            Role::Source(
                Source::Announced(_) | Source::PreMigration(_) | Source::Frozen(_) | Source::Offered(_),
            ) => {
                let Role::Source(source) = host.role() else { return None };
                let route = source.route().filter(|route| route.epoch == self.trouble.begun)?;
                Some((host, route.to, route.epoch))
            }
            _ => None,
        })
    }

    /// Are migrations announced?
    pub(crate) fn announces(&self) -> bool {
        self.migration.strategy.real.start == Start::Announced
    }

    /// Has an attempt been called off of which its destination has not even heard?
    pub(crate) fn has_unheard_of(&self) -> bool {
        let unheard = |(to, epoch)| self.host(to).is_some_and(|host| host.epoch() < epoch);
        self.trouble.unheard_of.is_some_and(unheard)
    }

    /// A migration that is announced to the host, which has not heard of it.
    fn announcement_to(&self, id: HostId) -> Option<(HostId, Epoch)> {
        let (source, to, epoch) = self.attempt()?;
        let arrives = |flight: &Flight| {
            let Envelope { epoch: of, message, .. } = &flight.envelope;
            *message == Message::Announce && *of == epoch && flight.fate == FlightFate::Flying
        };
        let unheard = to == id && self.host(id).is_some_and(|host| host.epoch() < epoch);
        (unheard && self.network.flights().iter().any(arrives)).then_some((source.id(), epoch))
    }

    fn is_without_hand_over(&self) -> bool {
        self.migration.strategy.real.hand_over == HandOver::None
    }

    pub(crate) fn is_one_shot(&self) -> bool {
        self.migration.strategy.real.hand_over == HandOver::OneShot
    }

    /// Do two hosts run the process? Some ways to hand over let it come to that, and the model goes no further.
    pub(crate) fn runs_twice(&self) -> bool {
        // One that has called *exit* and waits for its last write-back has not exited yet.
        let exits = |host: &Host<_>| host.role().resident().is_some_and(|resident| resident.exited);
        self.hosts().filter(|host| host.is_running() || exits(host)).count() > 1
    }

    /// May the process be taken back by a source that has not been told that it has exited, or has it been taken back from a
    /// machine that it had died with? The model goes no further.
    pub(crate) fn may_come_back(&self) -> bool {
        let withholds = |host: &Host<FlawedMemory>| matches!(host.role(), Role::Source(Source::Shadow(shadow)) if shadow.withheld.is_some());
        let hand_over = self.migration.strategy.real.hand_over;
        let revocable = matches!(hand_over, HandOver::Acknowledged | HandOver::None);
        let came_back = revocable && self.is_over() && self.running().is_some();
        came_back || (self.trouble.exit_untold && self.hosts().any(withholds))
    }

    /// Has the process died with a machine, or is it lost?
    pub(crate) fn is_over(&self) -> bool {
        self.trouble.doomed || self.trouble.lost
    }

    /// Has the source of a one-shot hand-over sent the state to a host that has not resumed the process?
    fn is_entrusted(&self, shadow: &Shadow) -> bool {
        let role = self.host(shadow.route.to).map(Host::role);
        let waits = matches!(role, Some(Role::Destination(destination)) if destination.epoch() == shadow.route.epoch
            && matches!(destination, Destination::Receiving(_) | Destination::Assembling(_)));
        self.is_one_shot() && waits
    }

    /// Has the destination of an attempt forgotten it although the source has given the process up?
    fn is_dropped(&self, epoch: Epoch) -> bool {
        let given_up = |host: &Host<FlawedMemory>| matches!(host.role(), Role::Source(Source::Shadow(shadow)) if shadow.route.epoch == epoch);
        self.is_one_shot() && (self.trouble.accepted == epoch || self.hosts().any(given_up))
    }

    /// Has the destination forgotten an attempt of which its source thinks that it goes on?
    pub(crate) fn is_forgotten(&self, to: HostId, epoch: Epoch) -> bool {
        let takes = |host: &Host<_>| matches!(host.role(), Role::Destination(destination) if destination.epoch() == epoch);
        // Nor has one that has yet to hear of it forgotten it.
        let alive = !self.trouble.dead.contains(&to);
        let unheard = self.announces() && alive && self.host(to).is_some_and(|host| host.epoch() < epoch);
        self.is_disrupted() && !unheard && !self.host(to).is_some_and(takes)
    }

    /// Is it a page message of an attempt that was called off or forgotten?
    pub(crate) fn is_stray(&self, flight: &Flight) -> bool {
        let Message::Page { .. } = flight.envelope.message else { return false };
        let epoch = flight.envelope.epoch;
        let forgotten = self.forgotten().is_some_and(|(_, forgotten)| forgotten == epoch);
        let left = forgotten || flight.fate == FlightFate::Outlived || self.trouble.aborted.contains(&epoch);
        self.is_disrupted() && !flight.is_forgotten() && left
    }

    /// The attempt that its destination has forgotten and its source has not, and that source.
    fn forgotten(&self) -> Option<(HostId, Epoch)> {
        let (source, to, epoch) = self.attempt()?;
        self.is_forgotten(to, epoch).then_some((source.id(), epoch))
    }

    /// Does it belong to an attempt that was called off or forgotten? What a lossy link does to such a message is to
    /// delay it: the model has neither its loss nor its duplicates.
    pub(super) fn is_of_aborted(&self, flight: &Flight) -> bool {
        let Envelope { from, to, epoch, .. } = flight.envelope;
        let between_hosts = from != Place::FileServer && to != Place::FileServer;
        let forgotten =
            || self.forgotten().is_some_and(|(source, own)| (from, epoch) == (source.into(), own));
        between_hosts && (self.trouble.aborted.contains(&epoch) || forgotten())
    }

    /// Is something of an attempt that was called off on its way, but for the word of that? Where links keep order, a
    /// destination takes up the next attempt when all of it has arrived.
    pub(super) fn is_behind_aborted(&self) -> bool {
        let of_it = |flight: &Flight| {
            let envelope = &flight.envelope;
            let state = matches!(envelope.message, Message::State(_));
            self.is_stray(flight) || (state && self.trouble.aborted.contains(&envelope.epoch))
        };
        self.migration.link == Link::Fifo && self.network.flights().iter().any(of_it)
    }

    /// What can go wrong, and what can be mended or noticed. The model says when a disruption may strike.
    pub(super) fn add_disruptions(&self, actions: &mut Vec<Action>) {
        // Also when the process is lost: what it has written back may still have to be stored.
        actions.extend(self.trouble.outage.then_some(Action::StoreReturns));
        if !self.is_disrupted() || self.trouble.lost {
            if self.is_one_shot() {
                self.add_mending(actions);
            }
            return;
        }
        let alive = || self.hosts().filter(|host| !self.trouble.dead.contains(&host.id()));
        let peers = |host: &Host<_>| self.hosts().map(Host::id).find(|id| *id != host.id());
        actions.extend(
            [Action::Cut, Action::Outage, Action::Cancel].into_iter().filter(|_| !self.is_answered()),
        );
        for host in alive() {
            let id = host.id();
            if !self.is_answered() {
                actions.extend([Action::Crash(id), Action::Suspect(id)]);
            }
            let announced = self.announcement_to(id).is_some();
            if announced || [Work::DeclareReady, Work::Resume].into_iter().any(|work| host.is_due(work)) {
                actions.push(Action::Refuse(id));
            }
            let cut_off = self.is_parted()
                && !self.trouble.told
                && peers(host).is_some_and(|peer| host.is_connected(peer));
            if cut_off {
                actions.push(Action::Notice(id));
            }
            if self.trouble.outage && host.is_connected(Place::FileServer) {
                actions.push(Action::NoticeOutage(id));
            }
        }
        self.add_mending(actions);
    }

    fn add_mending(&self, actions: &mut Vec<Action>) {
        actions
            .extend(self.trouble.cut.then_some(Action::Reconnect).filter(|_| self.trouble.dead.is_empty()));
        let untold = !self.trouble.dead.is_empty() && !self.trouble.told;
        actions.extend((untold && !self.is_released_soon()).then_some(Action::Fence));
    }

    /// Has the process exited, and needs nothing of a dead machine any more? To the model it exits when it is released;
    /// until then it would need all its pages.
    fn is_released_soon(&self) -> bool {
        let exited = self.hosts().filter_map(|host| host.role().resident()).find(|resident| resident.exited);
        let Some(resident) = exited else { return false };
        let needed = |page: PageNumber| {
            let owed = resident.pages.get(page.index()).map(|record| record.location);
            self.is_written_back(page) && matches!(owed, Some(Location::At(..)))
        };
        !self.image.page_numbers().into_iter().any(needed)
    }

    /// Has a host heard *ready* or *complete*, and not said what it says to that at once? The model has one step for
    /// both, so nothing strikes in between.
    fn is_answered(&self) -> bool {
        self.hosts().any(|host| match host.role() {
            Role::Source(Source::Offered(Offered { ready, .. })) => *ready,
            Role::Source(Source::Draining(Draining { tell, .. })) => tell.is_some(),
            _ => false,
        })
    }

    /// What the driver does for such an action; false if it is another one.
    pub(super) fn disrupt(
        &mut self,
        action: Action,
        happenings: &mut Vec<Happening>,
    ) -> Result<bool, RigError> {
        let disruption = match action {
            Action::Cut => {
                self.part();
                Disruption::Cut
            }
            Action::Crash(id) => {
                self.crash(id)?;
                Disruption::CrashSource
            }
            Action::Outage => {
                self.trouble.outage = true;
                if self.flaw == Some(Flaw::StoredVolatile) {
                    self.ensemble.forget_stored();
                }
                self.network.remove(|flight| {
                    let envelope = &flight.envelope;
                    envelope.from == Place::FileServer || envelope.to == Place::FileServer
                });
                Disruption::Outage
            }
            Action::Cancel => {
                self.cancel()?;
                Disruption::Cancel
            }
            Action::Refuse(id) => {
                match self.announcement_to(id) {
                    Some((from, epoch)) => self.tell(id, |host| host.decline_migration(from, epoch))?,
                    None => self.tell(id, Host::refuse)?,
                }
                Disruption::Refuse
            }
            Action::Suspect(id) => {
                self.suspect(id)?;
                Disruption::Suspect
            }
            Action::Notice(id) => {
                self.take_back(Flaw::ResumesOnSilence);
                self.ensemble.part(id, self.peer(id)?.into())?;
                return Ok(true);
            }
            Action::NoticeOutage(id) => {
                self.ensemble.part(id, Place::FileServer)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        happenings.push(Happening::Struck(disruption));
        Ok(true)
    }

    /// What the driver mends; `None` if the action is another one.
    pub(super) fn mend(&mut self, action: Action) -> Result<Option<Mending>, RigError> {
        let ids: Vec<HostId> = self.hosts().map(Host::id).collect();
        match action {
            Action::Reconnect => {
                self.trouble.cut = false;
                let id = *ids.first().ok_or(RigError::Nothing)?;
                self.ensemble.join(id.into(), self.peer(id)?.into())?;
                Ok(Some(Mending::Connection))
            }
            Action::Fence => {
                let dead = std::mem::take(&mut self.trouble.dead);
                self.network.remove_lost(|_| true);
                self.trouble.cut = false;
                self.trouble.exit_untold = false;
                self.trouble.lost |= std::mem::take(&mut self.trouble.doomed);
                for id in ids.into_iter().filter(|id| !dead.contains(id)) {
                    for dead in &dead {
                        self.ensemble.fence(id, *dead)?;
                    }
                }
                if self.is_falling_back() {
                    (self.trouble.dead, self.trouble.told) = (dead, true);
                    return Ok(None);
                }
                Ok(Some(Mending::Machine))
            }
            Action::StoreReturns => {
                self.trouble.outage = false;
                for id in ids {
                    self.ensemble.join(id.into(), Place::FileServer)?;
                }
                Ok(Some(Mending::FileServer))
            }
            _ => Ok(None),
        }
    }

    /// Is something still to come from a backing store that a dead machine owed?
    fn is_falling_back(&self) -> bool {
        let falls = |host: &Host<FlawedMemory>| {
            host.role().resident().is_some_and(|resident| !resident.dead.is_empty())
        };
        self.hosts().any(falls)
    }

    /// Has the last of it come, or is nobody left to wait for it?
    pub(super) fn has_fallen_back(&mut self) -> Option<Mending> {
        if !self.trouble.told || self.is_falling_back() {
            return None;
        }
        self.trouble.told = false;
        if self.trouble.doomed {
            return None;
        }
        self.trouble.dead.clear();
        self.trouble.exit_untold = false;
        (!self.trouble.lost).then_some(Mending::Machine)
    }

    /// What disruptions mean for what comes later.
    pub(super) fn note(&mut self, happenings: &[Happening]) {
        for happening in happenings {
            let Happening::Step { place, epoch, event } = happening else { continue };
            if matches!(
                event,
                Event::PeerDisconnected { peer: Place::Host(_), .. }
                    | Event::PeerConnected { peer: Place::Host(_), .. }
            ) {
                self.trouble.unheard_of =
                    self.trouble.unheard_of.filter(|(to, _)| *place != Place::Host(*to));
            }
            match event {
                Event::MigrationAnnounced { .. } => self.trouble.begun = *epoch,
                Event::MigrationStarted { .. } if self.copies() => self.trouble.begin(*epoch),
                Event::ProcessSuspended { .. } => self.trouble.begin(*epoch),
                Event::MigrationCancelled { .. }
                | Event::RefusalLearned { .. }
                | Event::PeerDisconnected { fate: Some(fate::Fate::CarriedOn(_)), .. }
                | Event::PeerTimedOut { fate: Some(fate::Fate::CarriedOn(_)), .. }
                | Event::PeerFenced { fate: Some(fate::Fate::CarriedOn(_)), .. } => self.forsake(*epoch),
                Event::StateAccepted { .. } => self.trouble.accepted = *epoch,
                Event::PeerFenced { fate: Some(fate::Fate::Lost(_)), .. } | Event::PageLost { .. } => {
                    self.trouble.lost = true;
                }
                Event::MigrationRefused { .. }
                | Event::PeerDisconnected { fate: Some(fate::Fate::Forgotten(_)), .. }
                | Event::PeerFenced { fate: Some(fate::Fate::Forgotten(_)), .. }
                    if self.is_dropped(*epoch) =>
                {
                    self.trouble.lost = true;
                }
                Event::ResyncAccepted { .. } => {
                    self.network.remove_lost(|envelope| matches!(envelope.message, Message::Page { .. }));
                }
                Event::MessageIgnored { kind: MessageKind::State, .. } => {
                    self.trouble.ignored_state = Some(*epoch);
                }
                Event::ExitLearned { .. } | Event::MessageIgnored { kind: MessageKind::Exit, .. } => {
                    self.trouble.exit_untold = false;
                }
                _ => {}
            }
        }
        // A machine that is dead does not hear of anything.
        let fenced = happenings
            .iter()
            .any(|happening| matches!(happening, Happening::Step { event: Event::PeerFenced { .. }, .. }));
        if fenced {
            self.trouble.unheard_of = None;
        }
        if let Some((source, epoch)) = self.forgotten() {
            self.network.remove_lost(|envelope| (envelope.from, envelope.epoch) == (source.into(), epoch));
            self.network.outlive();
            // The model has one message of the attempt on its way: the word that it is forgotten.
            let expected = |flight: &Flight| flight.envelope.message == Message::Expected;
            self.network.remove(|flight| expected(flight) && flight.envelope.epoch == epoch);
        }
    }

    /// The process is about to be released: does the model count on another host's hearing of it?
    pub(super) fn note_release(&mut self, id: HostId) {
        let told = match self.host(id).map(Host::role) {
            Some(Role::Source(Source::Announced(_))) => true,
            Some(Role::Source(Source::PreMigration(PreMigration { resident, pass, .. }))) => {
                self.announces() || pass.is_some() || resident.came_from().is_some()
            }
            Some(Role::Destination(_)) => true,
            _ => false,
        };
        self.trouble.exit_untold = told && self.is_disrupted();
    }

    /// An attempt was called off. What has not begun leaves nothing behind.
    fn forsake(&mut self, epoch: Epoch) {
        if self.trouble.begun == epoch {
            let unheard = self.hosts().find(|host| host.epoch() < epoch).map(Host::id);
            let unheard = unheard.filter(|id| self.announces() && !self.trouble.dead.contains(id));
            self.trouble.unheard_of = unheard.map(|to| (to, epoch)).or(self.trouble.unheard_of);
            self.crossings.fill(0);
            self.network.remove_lost(|envelope| envelope.epoch == epoch);
            self.network.outlive();
            self.trouble.aborted.insert(epoch);
        }
    }

    /// The connection between the hosts breaks, with everything in flight on it.
    fn part(&mut self) {
        self.trouble.cut = true;
        let aborted = self.trouble.aborted.clone();
        self.network.cut(|envelope| !aborted.contains(&envelope.epoch));
    }

    /// The machine dies, and is replaced by one that has nothing: nobody hears from it before the fence.
    fn crash(&mut self, id: HostId) -> Result<(), RigError> {
        self.trouble.doomed |= self.has_process(id);
        self.trouble.dead.insert(id);
        self.trouble.unheard_of = self.trouble.unheard_of.filter(|(to, _)| *to != id);
        let dead = Place::Host(id);
        let between_hosts = |place: Place| place != Place::FileServer;
        self.network.remove(|flight| {
            let (from, to) = (flight.envelope.from, flight.envelope.to);
            // A duplicate on its way to the file server does not die with its sender.
            let outlives = flight.fate == FlightFate::Echo && to == Place::FileServer;
            !outlives && (from == dead || to == dead || (between_hosts(from) && between_hosts(to)))
        });
        self.ensemble.crash(id).ok_or(RigError::Nothing)?;
        let memory = FlawedMemory::vacant(self.image.page_count(), self.flaw);
        self.ensemble.add_vacant(id, memory).map_err(|_| RigError::Nothing)
    }

    /// Would the process die with this machine? Once it has been handed over, it belongs to the destination, and to
    /// both until that has heard of it.
    fn has_process(&self, id: HostId) -> bool {
        let role = self.host(id).map(Host::role);
        let in_doubt = |awaiting: HostId| {
            self.hosts().find_map(|host| match host.role() {
            Role::Source(Source::Shadow(shadow)) if shadow.route.to == awaiting => {
                let destination = self.host(awaiting).map(Host::role);
                let waits = matches!(destination, Some(Role::Destination(destination @ Destination::AwaitingGo(_))) if destination.epoch() == shadow.route.epoch);
                waits.then_some(host.id())
            }
            _ => None,
        })
        };
        let entrusted = || {
            self.hosts().any(|host| matches!(host.role(), Role::Source(Source::Shadow(shadow)) if shadow.route.to == id && self.is_entrusted(shadow)))
        };
        match role {
            Some(Role::Source(Source::Shadow(shadow))) if self.is_entrusted(shadow) => {
                let role = self.host(shadow.route.to).map(Host::role);
                matches!(role, Some(Role::Destination(Destination::Receiving(_))))
            }
            Some(Role::Source(Source::Shadow(_)))
                if self.attempt().is_some_and(|(host, ..)| host.id() == id) =>
            {
                true
            }
            Some(Role::Source(Source::Shadow(shadow))) => in_doubt(shadow.route.to).is_some(),
            Some(Role::Source(Source::Draining(_))) | Some(Role::Vacant | Role::Failed(_)) | None => false,
            Some(Role::Source(_)) => true,
            Some(Role::Destination(Destination::Post(_) | Destination::Completing(_))) => true,
            Some(Role::Destination(Destination::Assembling(assembling)))
                if self.is_one_shot() && self.trouble.dead.contains(&assembling.from) =>
            {
                true
            }
            Some(Role::Destination(_)) => in_doubt(id).is_some() || entrusted(),
        }
    }

    /// The operator asks where the process is leaving from, or has left from. Too late is an answer.
    fn cancel(&mut self) -> Result<(), RigError> {
        self.take_back(Flaw::CancelsTooLate);
        let asked = self.attempt().map(|(host, ..)| host.id());
        let committed = asked.is_none();
        let has_say = |host: &&Host<FlawedMemory>| match host.role() {
            Role::Source(source) => !matches!(source, Source::Resting(_)),
            Role::Destination(destination) => {
                matches!(destination, Destination::Post(_) | Destination::Completing(_))
            }
            _ => false,
        };
        let withholds = |host: &&Host<FlawedMemory>| match host.role() {
            Role::Source(Source::Shadow(shadow)) => shadow.withheld.is_some() && self.is_without_hand_over(),
            _ => false,
        };
        let asked = asked.or_else(|| self.hosts().find(withholds).map(Host::id));
        let asked = asked.or_else(|| self.hosts().find(has_say).map(Host::id));
        match self.tell(asked.ok_or(RigError::Nothing)?, Host::cancel) {
            Err(RigError::Endpoint(Error::Refused(Refusal::TooLate))) if committed => Ok(()),
            done => done,
        }
    }

    /// With this flaw a source that has handed the process over goes back to before.
    fn take_back(&mut self, flaw: Flaw) {
        if self.flaw != Some(flaw) {
            return;
        }
        if let Some(before) = self.before_hand_over.take() {
            self.ensemble.restore(*before);
        }
    }

    /// A host takes the other one for dead. While it may decide alone it says that it will not go on; afterwards it
    /// gives the connection up.
    fn suspect(&mut self, id: HostId) -> Result<(), RigError> {
        if self.attempt().is_some_and(|(host, ..)| host.id() == id) {
            return self.tell(id, Host::cancel);
        }
        let undecided = |destination: &Destination| {
            let before_ready = matches!(destination, Destination::Receiving(_) | Destination::Assembling(_));
            before_ready && self.attempt().is_some_and(|(_, _, epoch)| destination.epoch() == epoch)
        };
        let role = self.host(id).map(Host::role);
        if matches!(role, Some(Role::Destination(destination)) if undecided(destination)) {
            return self.tell(id, Host::refuse);
        }
        self.ensemble.part(id, self.peer(id)?.into())?;
        self.part();
        Ok(())
    }

    fn peer(&self, id: HostId) -> Result<HostId, RigError> {
        self.hosts().map(Host::id).find(|other| *other != id).ok_or(RigError::Nothing)
    }
}
