//! A migration is announced before it begins, and the destination says whether it expects it.
//!
//! ```text
//!        A: Source                                B: Destination
//! announce├─▶ Announced                           (vacant)
//!        │    Announce ──────────────────────────▶├─▶ Receiving
//!        │◀──────────────────────────── Expected ─│
//!        ├─▶ PreMigration                         │
//! ```
//!
//! Nothing has happened to the process until it begins: a refusal, a cancel or a lost connection costs nothing.

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::place::{Epoch, HostId, Place};

use super::{Host, Role};
use crate::destination::{Assembling, AwaitingGo, Destination, Receiving};
use crate::error::{Error, Refusal};
use crate::memory::Memory;
use crate::policy::{HandOver, Start};
use crate::running::context::{Handled, Stepped};
use crate::source::{Announced, Route, Source};
use crate::wire::Message;

impl<M: Memory> Host<M> {
    /// Asks another host whether it expects the process; the migration begins when that says so. The process runs on. Returns
    /// the number of the migration.
    pub fn announce_migration(&mut self, to: HostId) -> Result<Epoch, Error> {
        self.check_failure()?;
        let epoch = self.check_start(to)?;
        let Role::Source(Source::Resting(resident)) = &mut self.role else {
            return Err(Refusal::NotRunning.into());
        };
        let (resident, route) = (std::mem::take(resident), Route { to, epoch });
        self.role = Role::Source(Source::Announced(Announced { resident, route }));
        self.known = epoch;
        let (_, mut cx) = self.parts();
        cx.send(to, epoch, Message::Announce);
        self.conclude((epoch, Event::MigrationAnnounced { to }));
        Ok(epoch)
    }

    /// The driver does not want the process that is announced, and says so instead of handing the announcement in.
    pub fn decline_migration(&mut self, from: HostId, epoch: Epoch) -> Result<(), Error> {
        self.check_failure()?;
        if epoch <= self.known {
            return Err(Refusal::NoSuchMigration.into());
        }
        let stepped = self.decline(from, epoch);
        self.record(stepped)
    }

    /// What is about an announcement, also one that this host has not heard yet; `None` if it is something else.
    pub(super) fn dispatch_announcement(
        &mut self,
        from: Place,
        epoch: Epoch,
        message: &Message,
    ) -> Option<Handled> {
        let Place::Host(from) = from else { return None };
        match message {
            Message::Announce if epoch <= self.known => Some(Ok(None)),
            Message::Announce => Some(self.announcement_arrived(from, epoch).map(Some)),
            // It has overtaken the announcement, or that has been lost.
            Message::Cancel if epoch > self.known => {
                Some(self.call_off(from, epoch).map(|()| Some((epoch, Event::CancellationLearned { from }))))
            }
            Message::Exit if epoch > self.known => {
                Some(self.call_off(from, epoch).map(|()| Some((epoch, Event::ExitLearned { from }))))
            }
            _ => None,
        }
    }

    fn announcement_arrived(&mut self, from: HostId, epoch: Epoch) -> Stepped {
        self.forget_called_off(from)?;
        if self.role != Role::Vacant {
            return self.decline(from, epoch);
        }
        self.role = Role::Destination(Destination::expect(from, epoch, self.image.page_count(), None));
        self.known = epoch;
        let (_, mut cx) = self.parts();
        cx.send(from, epoch, Message::Expected);
        Ok((epoch, Event::MigrationExpected { from }))
    }

    fn decline(&mut self, from: HostId, epoch: Epoch) -> Stepped {
        self.forget_called_off(from)?;
        self.known = epoch;
        let (_, mut cx) = self.parts();
        cx.send(from, epoch, Message::Refuse);
        Ok((epoch, Event::MigrationRefused { to: from }))
    }

    fn call_off(&mut self, from: HostId, epoch: Epoch) -> Result<(), Error> {
        self.forget_called_off(from)?;
        self.known = epoch;
        Ok(())
    }

    /// Who speaks of another migration has the process: what it has called off before does not come. So nobody who waits for
    /// its *go* is in doubt any more.
    fn forget_called_off(&mut self, by: HostId) -> Result<(), Error> {
        let Role::Destination(destination) = &self.role else { return Ok(()) };
        let entrusted = self.policy.hand_over == HandOver::OneShot;
        let called_off = match destination {
            Destination::Assembling(_) if entrusted => false,
            Destination::Receiving(Receiving { from, .. })
            | Destination::Assembling(Assembling { from, .. })
            | Destination::AwaitingGo(AwaitingGo { from, .. }) => *from == by,
            Destination::Post(_) | Destination::Completing(_) => false,
        };
        if called_off {
            let (role, mut cx) = self.parts();
            role.forget(&mut cx)?;
        }
        Ok(())
    }

    /// Whether such a message is said only where migrations are announced, and here they are not.
    pub(super) fn is_of_another_start(&self, kind: MessageKind) -> bool {
        let of_announcement = matches!(kind, MessageKind::Announce | MessageKind::Expected);
        of_announcement && self.policy.start != Start::Announced
    }

    /// Whether the message may be about a migration of which nothing has been heard here.
    pub(super) fn may_be_unheard_of(&self, message: &Message) -> bool {
        let first = matches!(message, Message::Announce | Message::Cancel | Message::Exit);
        first && self.policy.start == Start::Announced
    }
}
