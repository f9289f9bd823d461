//! What the driver tells a host when something goes wrong, and what the host makes of it.
//!
//! The table in [`fate`](steplog::fate) says what comes of which disruption in which phase. A host whose connection to
//! its peer is lost says nothing to it and accepts nothing from it, until the driver has a new connection.

use steplog::event::Event;
use steplog::fate::{Cause, Fate};
use steplog::place::{Epoch, HostId, Place};

use super::limits::{Awaited, Wait};
use super::{Host, Role};
use crate::destination::{AwaitingGo, Completing, Destination, Post};
use crate::error::{Error, Refusal};
use crate::memory::Memory;
use crate::policy::{HandOver, Push};
use crate::source::{Offered, Source};
use crate::wire::{FormerHost, Message};
use crate::work::Work;

impl<M: Memory> Host<M> {
    /// The connection to this place is lost: what was on its way is lost, and nothing can be said until
    /// [`connected`](Self::connected).
    pub fn disconnected(&mut self, peer: impl Into<Place>) -> Result<(), Error> {
        self.check_failure()?;
        self.lose_contact(peer.into(), Cause::ConnectionLost)
    }

    /// There is a new connection to this place. Nothing of an old one may be handed in any more.
    ///
    /// The first word over it is this host's, where it is a destination that has something to resume: how far it is,
    /// and what it lacks.
    pub fn connected(&mut self, peer: impl Into<Place>) -> Result<(), Error> {
        self.check_failure()?;
        let peer = peer.into();
        // The first word over it is to be how far the process is.
        if self.runs_alone() {
            self.perform(Work::Resume)?;
        }
        // A new connection means that the old one is gone, whether anybody noticed or not.
        self.lose_contact(peer, Cause::ConnectionLost)?;
        self.links.restore(peer);
        let (role, mut cx) = self.parts();
        let resync = match peer {
            Place::FileServer => {
                role.say_again();
                None
            }
            Place::Host(peer) => role.resync(peer, &mut cx),
        };
        let exits: Vec<_> =
            cx.exit_told.iter().filter(|former| peer == former.host.into()).copied().collect();
        exits.into_iter().for_each(|former| cx.send(former.host, former.epoch, Message::Exit));
        if let Some(given_up) = self.given_up.take_if(|given_up| peer == given_up.host.into()) {
            let (_, mut cx) = self.parts();
            cx.send(given_up.host, given_up.epoch, Message::Refuse);
        }
        let epoch = self.role_epoch();
        self.conclude((epoch, Event::PeerConnected { peer, resync }));
        Ok(())
    }

    /// Reliable word that the machine of this host is dead, and all that it held with it.
    ///
    /// Where pages are left behind along a chain of hosts, a former host does not know where the process has gone
    /// since. To such a host, also while the process is to come back to it, say so only of the machine that the process
    /// was on, or was handed over to; of another one only that there is a new connection.
    pub fn fenced(&mut self, peer: HostId) -> Result<(), Error> {
        self.check_failure()?;
        // It would do so anyway, and is to know then what the dead machine owed.
        if self.runs_alone() {
            self.perform(Work::Resume)?;
        }
        self.forget_messages_to(peer.into());
        self.links.restore(peer.into());
        self.exit_told.retain(|former| former.host != peer);
        let epoch = self.role_epoch();
        let (role, mut cx) = self.parts();
        let fate = role.part_from_the_dead(peer, &mut cx);
        let fate = self.settle(fate)?;
        self.conclude((epoch, Event::PeerFenced { peer, fate }));
        Ok(())
    }

    /// The operator calls the migration off. Possible until the process is handed over; it runs on here.
    pub fn cancel(&mut self) -> Result<(), Error> {
        self.check_failure()?;
        let epoch = self.role_epoch();
        let to = match &self.role {
            Role::Source(source @ (Source::Shadow(_) | Source::Draining(_)))
                if !source.may_be_cancelled(&self.policy) =>
            {
                return Err(Refusal::TooLate.into());
            }
            Role::Source(source) => source.route().ok_or(Refusal::NoSuchMigration)?.to,
            Role::Destination(Destination::Post(_) | Destination::Completing(_)) => {
                return Err(Refusal::TooLate.into());
            }
            _ => return Err(Refusal::NotRunning.into()),
        };
        let (role, mut cx) = self.parts();
        let stays = role.carry_on(&mut cx).map_err(Error::from);
        self.settle(stays)?;
        let (_, mut cx) = self.parts();
        cx.send(to, epoch, Message::Cancel);
        self.conclude((epoch, Event::MigrationCancelled { to }));
        Ok(())
    }

    /// This host does not take the process after all. Possible until it has said that it is ready.
    pub fn refuse(&mut self) -> Result<(), Error> {
        self.check_failure()?;
        let Role::Destination(destination) = &self.role else { return Err(Refusal::NoSuchMigration.into()) };
        let Some(from) = destination.undecided() else { return Err(Refusal::TooLate.into()) };
        let epoch = destination.epoch();
        let (role, mut cx) = self.parts();
        let forgotten = role.forget(&mut cx);
        self.settle(forgotten)?;
        let (_, mut cx) = self.parts();
        cx.send(from, epoch, Message::Refuse);
        self.conclude((epoch, Event::MigrationRefused { to: from }));
        Ok(())
    }

    /// Time goes on. A peer that has been silent for too long counts as disconnected from here on: the driver is to
    /// close the connection to it, and may open a new one.
    pub fn tick(&mut self, now_ns: u64) -> Result<(), Error> {
        self.check_failure()?;
        let awaited = self.awaited();
        match self.timer.tick(now_ns, awaited) {
            Some(peer) => self.time_out(peer),
            None => Ok(()),
        }
    }

    /// When to [`tick`](Self::tick) at the latest; `None` while no time-out can come.
    pub fn next_timeout(&self) -> Option<u64> {
        self.timer.next_ns(self.awaited())
    }

    /// Nothing has been heard of the peer for too long.
    pub(crate) fn time_out(&mut self, peer: HostId) -> Result<(), Error> {
        self.lose_contact(peer.into(), Cause::TimedOut)
    }

    /// What became of the latest migration in which this host had a part, as far as it can say; `None` while all is
    /// well.
    pub fn fate(&self) -> Option<Fate> {
        self.pause().or(self.fate)
    }

    /// What the host waits for a new connection for, if it does.
    fn pause(&self) -> Option<Fate> {
        let paused = |peer: HostId| self.links.why_down(peer).map(Fate::Paused);
        match &self.role {
            Role::Source(Source::Shadow(shadow)) => paused(shadow.route.to),
            Role::Destination(Destination::AwaitingGo(awaiting)) => paused(awaiting.from),
            Role::Destination(Destination::Post(Post { resident })) => {
                resident.former_hosts.iter().find_map(|former| paused(former.host))
            }
            Role::Destination(Destination::Completing(Completing { awaited, .. })) => {
                awaited.iter().find_map(|former| paused(former.host))
            }
            _ => None,
        }
    }

    /// Whether the driver has a connection to this place, as far as the host was told.
    pub fn is_connected(&self, peer: impl Into<Place>) -> bool {
        self.links.are_up(peer)
    }

    fn lose_contact(&mut self, peer: Place, cause: Cause) -> Result<(), Error> {
        self.forget_messages_to(peer);
        if !self.links.are_up(peer) {
            return Ok(());
        }
        self.links.lose(peer, cause);
        let epoch = self.role_epoch();
        let fate = match peer {
            Place::Host(peer) => {
                let one_shot = self.policy.hand_over == HandOver::OneShot;
                let gives_up = matches!(&self.role, Role::Destination(destination) if destination.gives_up_without(peer, &self.policy));
                if one_shot && gives_up {
                    // Whether the source has sent the state it alone knows.
                    self.given_up = Some(FormerHost { host: peer, epoch });
                }
                let (role, mut cx) = self.parts();
                let done = role.part_from_the_silent(peer, cause, &mut cx);
                self.settle(done)?
            }
            Place::FileServer => None,
        };
        let fate = fate.or_else(|| self.pause());
        let event = match cause {
            Cause::TimedOut => Event::PeerTimedOut { peer, fate },
            _ => Event::PeerDisconnected { peer, fate },
        };
        self.conclude((epoch, event));
        Ok(())
    }

    fn forget_messages_to(&mut self, peer: Place) {
        self.outbox.retain(|envelope| envelope.to != peer);
    }

    /// The migration that the host is busy with, or was last.
    fn role_epoch(&self) -> Epoch {
        match &self.role {
            Role::Source(source) => source.epoch(),
            Role::Destination(destination) => destination.epoch(),
            Role::Vacant | Role::Failed(_) => self.known,
        }
    }

    /// Whom the host waits for, for what, and how long it may.
    fn awaited(&self) -> Option<(Wait, u64)> {
        let limits = &self.timeouts;
        let (peer, what, limit_ns) = match &self.role {
            Role::Source(Source::Announced(announced)) => {
                (announced.route.to, Awaited::Answer, limits.answer_ns)
            }
            Role::Source(Source::PreMigration(pre)) => {
                let to = Place::Host(pre.route.to);
                self.outbox.iter().any(|envelope| envelope.to == to).then_some(())?;
                (pre.route.to, Awaited::Room, limits.hand_over_ns)
            }
            Role::Source(Source::Frozen(frozen)) => {
                (frozen.route.to, Awaited::Readiness, limits.hand_over_ns)
            }
            Role::Source(Source::Offered(Offered { route, ready: false, .. })) => {
                (route.to, Awaited::Readiness, limits.hand_over_ns)
            }
            Role::Source(Source::Shadow(shadow)) => {
                // Where pages are left behind, silence is no sign of anything.
                let unanswered = self.policy.hand_over == HandOver::Acknowledged && shadow.withheld.is_some();
                let done = shadow.owed.is_empty() || shadow.awaits_resync || unanswered;
                (done && !self.policy.leaves_pages_behind()).then_some(())?;
                (shadow.route.to, Awaited::Answer, limits.answer_ns)
            }
            Role::Destination(Destination::Receiving(receiving)) => {
                (receiving.from, Awaited::Arrival, limits.arrival_ns)
            }
            Role::Destination(Destination::Assembling(assembling)) => {
                (!assembling.awaited.is_empty()).then_some(())?;
                (assembling.from, Awaited::Arrival, limits.arrival_ns)
            }
            Role::Destination(Destination::AwaitingGo(AwaitingGo { from, .. })) => {
                (*from, Awaited::Answer, limits.answer_ns)
            }
            Role::Destination(Destination::Post(Post { resident })) => {
                let pushed = self.policy.push != Push::None;
                let former = limits.answer_ns.and_then(|_| resident.awaited_host(pushed))?;
                (former, Awaited::Answer, limits.answer_ns)
            }
            Role::Destination(Destination::Completing(Completing { awaited, .. })) => {
                (awaited.first()?.host, Awaited::Answer, limits.answer_ns)
            }
            Role::Source(_) | Role::Vacant | Role::Failed(_) => return None,
        };
        let wait = Wait { peer, what, epoch: self.role_epoch() };
        self.links.are_up(peer).then_some((wait, limit_ns?))
    }
}
