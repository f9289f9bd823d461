//! How a host goes on without its peer: the process stays, or it is forgotten, or it is lost.

use steplog::event::Event;
use steplog::fate::{Cause, Fate, Loss};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Version};

use super::{Resident, Role};
use crate::destination::{Destination, Post};
use crate::error::{Error, LocalFault};
use crate::running::context::{Context, Handled};
use crate::source::{Draining, Route, Source};
use crate::wire::Message;

impl Role {
    /// The process stays: whatever the attempt to move it has sent counts for nothing. Only before the hand-over.
    pub(super) fn carry_on(&mut self, cx: &mut Context<'_>) -> Result<(), LocalFault> {
        let Self::Source(source) = self else { return Ok(()) };
        if let Some(resident) = source.carry_on(cx)? {
            // Where pages were left behind before, they still are.
            *self = match resident.former_hosts.is_empty() {
                true => Self::Source(Source::Resting(resident)),
                false => Self::Destination(Destination::Post(Post { resident })),
            };
        }
        Ok(())
    }

    /// The process does not come: nothing of it stays but what was here before.
    pub(super) fn forget(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        match std::mem::take(self) {
            Self::Destination(mut destination) => {
                let former = destination.forget(cx)?;
                *self = former.map_or(Self::Vacant, |former| Self::Source(Source::Shadow(former)));
            }
            other => *self = other,
        }
        Ok(())
    }

    /// The peer may be dead, or only out of reach.
    pub(super) fn part_from_the_silent(
        &mut self,
        peer: HostId,
        cause: Cause,
        cx: &mut Context<'_>,
    ) -> Result<Option<Fate>, Error> {
        match self {
            Self::Source(source)
                if source.can_carry_on() && source.route().is_some_and(|route| route.to == peer) =>
            {
                self.carry_on(cx)?;
                Ok(Some(Fate::CarriedOn(cause)))
            }
            Self::Destination(destination) if destination.gives_up_without(peer, cx.policy) => {
                self.forget(cx)?;
                Ok(Some(Fate::Forgotten(cause)))
            }
            _ => Ok(None),
        }
    }

    /// The peer is dead for certain.
    pub(super) fn part_from_the_dead(
        &mut self,
        peer: HostId,
        cx: &mut Context<'_>,
    ) -> Result<Option<Fate>, Error> {
        let parted = self.part_from_the_silent(peer, Cause::PeerDead, cx)?;
        // What is left then may have depended on the peer as well: pages of an earlier migration.
        let certain = match self {
            Self::Source(Source::Shadow(shadow))
                if shadow.route.to == peer || cx.policy.leaves_pages_behind() =>
            {
                *self = Self::Source(Source::Draining(shadow.drain(None)));
                Some(Fate::Lost(Loss::Runner))
            }
            Self::Source(Source::Draining(draining)) if draining.tell == Some(peer) => {
                draining.tell = None;
                Some(Fate::Migrated)
            }
            Self::Destination(Destination::AwaitingGo(awaiting)) if awaiting.from == peer => {
                self.forget(cx)?;
                self.part_from_the_dead(peer, cx)?;
                Some(Fate::Lost(Loss::InDoubt))
            }
            // The process was to come back, and was lost elsewhere: it had been called off.
            Self::Destination(destination) if destination.former().is_some() => {
                self.forget(cx)?;
                self.part_from_the_dead(peer, cx)?
            }
            _ => self.part_from_a_dead_former_host(peer, cx)?,
        };
        Ok(match certain {
            Some(Fate::Lost(_)) => certain,
            _ => parted.or(certain),
        })
    }

    /// The process goes on without it, unless it had pages that nobody else has.
    ///
    /// Where it falls back, what has to come from a backing store does so step by step afterwards.
    fn part_from_a_dead_former_host(
        &mut self,
        peer: HostId,
        cx: &mut Context<'_>,
    ) -> Result<Option<Fate>, LocalFault> {
        let Some(resident) = self.held_mut() else { return Ok(None) };
        if !resident.former_hosts.iter().any(|former| former.host == peer) {
            return Ok(None);
        }
        let owed = resident.owed_by(peer, cx.view());
        let falls_back = cx.policy.falls_back();
        let lost = if falls_back { resident.owed_by_alone(peer, cx.view()) } else { owed };
        if lost > 0 {
            resident.former_hosts.retain(|former| former.host != peer);
            self.perish(cx)?;
            return Ok(Some(Fate::Lost(Loss::Pages(lost))));
        }
        if owed > 0 {
            return self.fall_back(peer, cx);
        }
        resident.former_hosts.retain(|former| former.host != peer);
        let Self::Destination(destination) = self else { return Ok(None) };
        let Some(resident) = destination.rest_without(peer) else { return Ok(None) };
        *self = Self::Source(Source::Resting(resident));
        Ok(Some(Fate::Migrated))
    }

    /// The process goes on, and what the dead host owed comes from a backing store. It moves on when all of it is there.
    fn fall_back(&mut self, dead: HostId, cx: &mut Context<'_>) -> Result<Option<Fate>, LocalFault> {
        let route = self.route();
        self.carry_on(cx)?;
        if let Some(Route { to, epoch }) = route {
            cx.send(to, epoch, Message::Cancel);
        }
        if let Some(resident) = self.held_mut() {
            resident.outlive(dead);
        }
        Ok(route.map(|_| Fate::CarriedOn(Cause::PeerDead)))
    }

    /// The process is lost with what nobody else has.
    fn perish(&mut self, cx: &mut Context<'_>) -> Result<(), LocalFault> {
        let route = self.route();
        let Some(resident) = self.held_mut() else { return Ok(()) };
        cx.freeze()?;
        let epoch = resident.epoch;
        let (write_backs, told) = resident.perish();
        told.into_iter().for_each(|former| cx.say_exit(former));
        if let Some(Route { to, epoch }) = route {
            cx.send(to, epoch, Message::Cancel);
        }
        *self = Self::Source(Source::Draining(Draining { epoch, tell: None, write_backs }));
        Ok(())
    }

    /// The file server says which version it has of a page that a dead machine owed.
    pub(super) fn version_told(
        &mut self,
        epoch: Epoch,
        told: (PageNumber, Version),
        cx: &mut Context<'_>,
    ) -> Handled {
        let Some(resident) = self.running_mut() else { return Ok(None) };
        let handled = resident.version_told(epoch, told, cx)?;
        if let Some((_, Event::PageLost { .. })) = handled {
            self.perish(cx)?;
        }
        Ok(handled)
    }

    /// Where the process is going from here.
    fn route(&self) -> Option<Route> {
        match self {
            Self::Source(source) => source.route(),
            _ => None,
        }
    }

    /// The process, where this host is the one to decide about it.
    fn held_mut(&mut self) -> Option<&mut Resident> {
        match self {
            Self::Source(source) => source.resident_mut(),
            Self::Destination(destination) => destination.running_mut(),
            Self::Vacant | Self::Failed(_) => None,
        }
    }

    /// The connection to the file server is there again.
    pub(super) fn say_again(&mut self) {
        match self {
            Self::Source(source) => source.say_again(),
            Self::Destination(destination) => destination.say_again(),
            Self::Vacant | Self::Failed(_) => {}
        }
    }
}
