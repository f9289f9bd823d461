//! Over a new connection: what a destination says, and what a former host makes of it.
//!
//! What was on its way when a connection broke is lost, and neither end knows how much of it arrived. The destination
//! does know what it holds, so it speaks first: [`Resync`]. The source then owes again what it had sent and the
//! destination lacks, takes what the process waits for as requested, and says *go* again if that is awaited. So
//! each page travels at most once more for each recovery.
//!
//! A source that is asked about a migration that is over for it answers from what it is *not*: it has not handed the
//! process over in that migration, so it was called off; or it has nothing left of it, so all is destroyed. So does a
//! machine in place of one that is dead, which knows nothing: had the process died with that one, nobody would ask.

use steplog::event::Event;
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use super::{Host, Location, Resident, Role, Work};
use crate::destination::{AwaitingGo, Completing, Destination};
use crate::error::{Error, Misbehaviour, Refusal};
use crate::memory::Memory;
use crate::page_set::PageSet;
use crate::running::context::{Context, Handled, View, misbehaved};
use crate::running::fallback::is_on_file_server;
use crate::running::links::Links;
use crate::source::{Shadow, Source};
use crate::wire::FormerHost;
use crate::wire::{Message, PageRuns, Resync};

impl<M: Memory> Host<M> {
    /// Whether the message is about a migration that cannot be known to anybody. Somebody who waits to hear whether the
    /// process is to run there may know of one that this machine does not, in place of one that is dead.
    pub(super) fn is_ahead(&self, epoch: Epoch, message: &Message) -> bool {
        let in_doubt = matches!(message, Message::Resync(Resync { progress: Progress::AwaitingGo, .. }));
        epoch > self.known && !in_doubt && !self.may_be_unheard_of(message)
    }

    /// The operator sends the process once more: whatever came of the last attempt of that source is forgotten. Not
    /// once this host has said *ready*: then only the source can say whether the process is to run here.
    pub(super) fn forget_undecided(&mut self, from: HostId) -> Result<(), Error> {
        match &self.role {
            Role::Destination(Destination::AwaitingGo(_)) => Err(Refusal::InDoubt.into()),
            Role::Destination(destination) if destination.undecided() == Some(from) => {
                let (role, mut cx) = self.parts();
                let forgotten = role.forget(&mut cx);
                self.settle(forgotten)
            }
            _ => Ok(()),
        }
    }
}

impl Role {
    /// First thing over a new connection to this host: how far the destination is. A former host waits to hear it.
    pub(super) fn resync(&mut self, peer: HostId, cx: &mut Context<'_>) -> Option<Progress> {
        if let Some(shadow) = self.shadow_mut() {
            shadow.reconnected(peer);
        }
        let (resident, former, progress) = match self {
            Self::Destination(Destination::AwaitingGo(AwaitingGo { from, resident, .. }))
                if *from == peer =>
            {
                let former = FormerHost { host: peer, epoch: resident.epoch };
                (&*resident, former, Progress::AwaitingGo)
            }
            Self::Destination(Destination::Completing(Completing { resident, awaited })) => {
                let former = *awaited.iter().find(|former| former.host == peer)?;
                (&*resident, former, Progress::Complete)
            }
            _ => {
                let resident = self.running_mut()?;
                resident.pull_again(peer);
                let former = *resident.former_hosts.iter().find(|former| former.host == peer)?;
                (&*resident, former, Progress::Running)
            }
        };
        cx.send(peer, former.epoch, Message::Resync(resync(resident, former, progress)));
        Some(progress)
    }

    /// A destination says over a new connection how far it is.
    pub(super) fn resynced(
        &mut self,
        from: HostId,
        epoch: Epoch,
        resync: &Resync,
        cx: &mut Context<'_>,
    ) -> Handled {
        let unexpected = Err(misbehaved(from, Misbehaviour::Unexpected { kind: MessageKind::Resync }));
        if resync.progress == Progress::Complete {
            self.forget_if_complete(from, epoch, MessageKind::Resync, cx)?;
        }
        if let (Progress::Complete, Self::Source(Source::Shadow(shadow))) = (resync.progress, &mut *self)
            && shadow.route.epoch == epoch
        {
            let (draining, event) = shadow.completed(from, MessageKind::Resync, cx)?;
            *self = Self::Source(Source::Draining(draining));
            return Ok(Some((epoch, event)));
        }
        if let Some(shadow) = self.shadow_mut().filter(|shadow| shadow.route.epoch == epoch) {
            return match resync.progress {
                Progress::Complete => unexpected,
                _ => shadow.resynced(from, resync, cx),
            };
        }
        match self {
            // The last word is still to come from here.
            Self::Source(Source::Draining(draining)) if draining.epoch == epoch => return Ok(None),
            Self::Source(source) if source.route().is_some_and(|route| route.epoch == epoch) => {
                return unexpected;
            }
            _ => {}
        }
        let handed_over = cx
            .departure
            .is_some_and(|departure| departure.route.epoch == epoch && departure.heard.contains(&from));
        match (resync.progress, handed_over) {
            (Progress::Complete, true) => {
                cx.send(from, epoch, Message::Destroyed);
                Ok(Some((epoch, Event::DestructionRepeated { to: from })))
            }
            // A duplicate of what was answered long ago.
            (Progress::AwaitingGo | Progress::Running, true) => Ok(None),
            (Progress::AwaitingGo, false) => {
                cx.send(from, epoch, Message::Cancel);
                Ok(Some((epoch, Event::CancellationRepeated { to: from })))
            }
            // It runs what was taken back here.
            (Progress::Running | Progress::Complete, false) if cx.policy.hand_over.is_revocable() => Ok(None),
            (Progress::Running | Progress::Complete, false) => unexpected,
        }
    }

    /// While the process is to come back, a host says that it needs nothing of what is kept here. It would not if the
    /// return had not been called off: word of that was overtaken, or the process has gone elsewhere since.
    pub(super) fn forget_if_complete(
        &mut self,
        from: HostId,
        epoch: Epoch,
        kind: MessageKind,
        cx: &mut Context<'_>,
    ) -> Result<(), Error> {
        let Self::Destination(destination) = self else { return Ok(()) };
        let complete = |former: &&Shadow| former.route.epoch == epoch && former.owed.is_empty();
        if destination.former().filter(complete).is_none() {
            return Ok(());
        }
        cx.check_chain(from, kind)?;
        self.forget(cx)
    }

    /// What this host keeps of a process that has left it, also while the process comes back.
    fn shadow_mut(&mut self) -> Option<&mut Shadow> {
        match self {
            Self::Source(Source::Shadow(shadow)) => Some(shadow),
            Self::Destination(destination) => destination.former_mut(),
            _ => None,
        }
    }

    /// Whether everybody can be reached to whom this work has something to say that would not be said again.
    pub(super) fn reaches(&self, work: Work, links: &Links, view: View<'_>) -> bool {
        let to: Option<Place> = match work {
            Work::WriteBack(_) | Work::Flush(_) | Work::Repeat(_) => Some(Place::FileServer),
            Work::FallBack(page) => is_on_file_server(page, view).then_some(Place::FileServer),
            Work::Serve(page) => self.requester(page).map(Place::from),
            Work::Pull(page) => match self.resident().map(|resident| resident.page(page).location) {
                Some(Location::At(former, _)) => Some(former.host.into()),
                _ => None,
            },
            Work::Copy(_) | Work::Transfer(_) | Work::Push(_) | Work::SendState | Work::HandOver => {
                match self {
                    Self::Source(source) => source.route().map(|route| route.to.into()),
                    _ => None,
                }
            }
            Work::DeclareReady | Work::Refuse => match self {
                Self::Destination(destination) => destination.undecided().map(Place::from),
                _ => None,
            },
            Work::DeclareComplete => {
                let Some(resident) = self.resident() else { return true };
                return resident.former_hosts.iter().all(|former| links.are_up(former.host));
            }
            Work::BeginPass
            | Work::ClearMark(_)
            | Work::Wake(_)
            | Work::Resume
            | Work::Destroy
            | Work::Release => None,
        };
        to.is_none_or(|to| links.are_up(to))
    }
}

fn resync(resident: &Resident, former: FormerHost, progress: Progress) -> Resync {
    let lacking =
        |page: &PageNumber| matches!(resident.page(*page).location, Location::At(at, _) if at == former);
    let of_former = |pages: &PageSet| pages.iter().filter(lacking).collect::<PageRuns>();
    Resync { progress, lacks: of_former(&resident.owed), waits: of_former(&resident.waits) }
}
