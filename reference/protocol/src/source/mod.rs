//! The host that gives the process away.
//!
//! ```text
//! Resting ──start──▶ PreMigration ──suspend──▶ Frozen ──State──▶ Offered ──Go──▶ Shadow ──Complete──▶ Draining ──▶ (vacant)
//!    process runs here: reads, writes, faults,   │  suspended:      │ Ready          │ Request, serve, push    │ write-backs
//!    write-back; pre-copy in PreMigration        │  transfer, flush │ awaited        │ acknowledgements        │ acknowledged
//! ```
//!
//! Where a migration is announced, `Announced` comes between `Resting` and `PreMigration`: until the destination says that it
//! expects the process.
//!
//! Where the hand-over is one-shot or none, `State` leads from `Frozen` to `Shadow`; where it is none, or *go* is answered, the process
//! can be taken back from there until that is heard, or `Complete`.
//!
//! Up to `Go` the process can only run here, and any phase can go back to where it began; from `Go` on, never again
//! in this migration.

mod announced;
mod demands;
mod frozen;
mod pre_migration;
mod shadow;

pub use crate::running::departure::Route;
pub use announced::Announced;
pub use demands::Demands;
pub use frozen::{Frozen, Offered};
pub use pre_migration::{Pass, PreMigration, Sent};
pub use shadow::{Draining, Shadow};

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Version};

use crate::error::{Error, LocalFault, Misbehaviour, Refusal};
use crate::policy::{HandOver, Policy};
use crate::running::context::{Context, Handled, Stepped, View, misbehaved};
use crate::running::{Resident, Suspension};
use crate::wire::Message;
use crate::work::Work;

/// The phases of the host that gives the process away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The process runs here and goes nowhere.
    Resting(Resident),
    /// A destination is chosen, and asked; the process runs here as if it were not.
    Announced(Announced),
    /// A destination is chosen; the process still runs here.
    PreMigration(PreMigration),
    /// The process is suspended.
    Frozen(Frozen),
    /// The destination has been sent everything it needs to run the process.
    Offered(Offered),
    /// The process runs elsewhere and needs pages that are here.
    Shadow(Shadow),
    /// Nothing here is needed any more.
    Draining(Draining),
}

impl Source {
    pub(crate) fn start(resident: Resident, route: Route, view: View<'_>) -> Self {
        Self::PreMigration(PreMigration::new(resident, route, view))
    }

    /// The process, where it is here.
    pub fn resident(&self) -> Option<&Resident> {
        match self {
            Self::Resting(resident) => Some(resident),
            Self::Announced(Announced { resident, .. })
            | Self::PreMigration(PreMigration { resident, .. })
            | Self::Frozen(Frozen { resident, .. })
            | Self::Offered(Offered { resident, .. }) => Some(resident),
            Self::Shadow(_) | Self::Draining(_) => None,
        }
    }

    pub(crate) fn resident_mut(&mut self) -> Option<&mut Resident> {
        match self {
            Self::Resting(resident)
            | Self::Announced(Announced { resident, .. })
            | Self::PreMigration(PreMigration { resident, .. })
            | Self::Frozen(Frozen { resident, .. })
            | Self::Offered(Offered { resident, .. }) => Some(resident),
            Self::Shadow(_) | Self::Draining(_) => None,
        }
    }

    /// Whether a migration has begun that can still be called off.
    pub fn can_carry_on(&self) -> bool {
        match self {
            Self::Announced(_) | Self::PreMigration(_) | Self::Frozen(_) | Self::Offered(_) => true,
            Self::Shadow(shadow) => shadow.withheld.is_some(),
            Self::Resting(_) | Self::Draining(_) => false,
        }
    }

    /// Whether the operator may call it off: not when all that is missing is the answer to *go*.
    pub(crate) fn may_be_cancelled(&self, policy: &Policy) -> bool {
        let answered = policy.hand_over == HandOver::Acknowledged && matches!(self, Self::Shadow(_));
        self.can_carry_on() && !answered
    }

    /// Whether the destination may refuse the process now.
    pub(crate) fn may_be_refused(&self, by: HostId, epoch: Epoch) -> bool {
        self.can_carry_on() && self.route() == Some(Route { to: by, epoch })
    }

    /// The process stays and runs on, if it has not been handed over. What was sent counts for nothing: a page is
    /// modified as long as the file server has not acknowledged it, whoever else has been sent it.
    pub(crate) fn carry_on(&mut self, cx: &mut Context<'_>) -> Result<Option<Resident>, LocalFault> {
        match self {
            Self::Announced(Announced { resident, .. })
            | Self::PreMigration(PreMigration { resident, .. }) => Ok(Some(std::mem::take(resident))),
            Self::Frozen(Frozen { resident, .. }) | Self::Offered(Offered { resident, .. }) => {
                cx.thaw()?;
                Ok(Some(std::mem::take(resident)))
            }
            Self::Shadow(shadow) => match shadow.take_back() {
                Some(resident) => {
                    cx.thaw()?;
                    Ok(Some(resident))
                }
                None => Ok(None),
            },
            Self::Resting(_) | Self::Draining(_) => Ok(None),
        }
    }

    /// The connection to the file server is there again.
    pub(crate) fn say_again(&mut self) {
        match self {
            Self::Shadow(Shadow { write_backs, .. }) | Self::Draining(Draining { write_backs, .. }) => {
                write_backs.say_again();
            }
            _ => {
                if let Some(resident) = self.resident_mut() {
                    resident.say_again();
                }
            }
        }
    }

    fn repeat_due(&self, page: PageNumber) -> bool {
        match self {
            Self::Shadow(Shadow { write_backs, .. }) | Self::Draining(Draining { write_backs, .. }) => {
                write_backs.is_due(page)
            }
            _ => self.resident().is_some_and(|resident| resident.repeat_due(page)),
        }
    }

    fn repeats(&self) -> Box<dyn Iterator<Item = Work> + '_> {
        match self {
            Self::Shadow(Shadow { write_backs, .. }) | Self::Draining(Draining { write_backs, .. }) => {
                Box::new(write_backs.candidates())
            }
            _ => Box::new(self.resident().into_iter().flat_map(Resident::repeats)),
        }
    }

    fn repeat(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Stepped {
        match self {
            Self::Shadow(Shadow { write_backs, .. }) | Self::Draining(Draining { write_backs, .. }) => {
                write_backs.repeat(page, cx)
            }
            _ => match self.resident_mut() {
                Some(resident) => resident.repeat(page, cx),
                None => Err(Refusal::NotDue(Work::Repeat(page)).into()),
            },
        }
    }

    /// The process, if it runs here.
    pub(crate) fn running_mut(&mut self) -> Option<&mut Resident> {
        match self {
            Self::Resting(resident) => Some(resident),
            Self::Announced(Announced { resident, .. })
            | Self::PreMigration(PreMigration { resident, .. }) => Some(resident),
            Self::Frozen(_) | Self::Offered(_) | Self::Shadow(_) | Self::Draining(_) => None,
        }
    }

    pub(crate) fn check_suspension(&self, view: View<'_>) -> Result<(), Refusal> {
        match self {
            Self::PreMigration(pre) => pre.check_suspension(view),
            _ => Err(Refusal::NotRunning),
        }
    }

    pub(crate) fn suspend(&mut self, suspension: Suspension, cx: &mut Context<'_>) -> Stepped {
        let Self::PreMigration(pre) = self else { return Err(Refusal::NotRunning.into()) };
        let (frozen, event) = pre.suspend(suspension, cx)?;
        let epoch = frozen.route.epoch;
        *self = Self::Frozen(frozen);
        Ok((epoch, event))
    }

    pub(crate) fn write_back_done(&mut self, epoch: Epoch, page: PageNumber, version: Version) -> Handled {
        match self {
            Self::Resting(resident)
            | Self::Announced(Announced { resident, .. })
            | Self::PreMigration(PreMigration { resident, .. })
            | Self::Frozen(Frozen { resident, .. })
            | Self::Offered(Offered { resident, .. }) => resident.write_back_done(epoch, page, version),
            Self::Shadow(Shadow { write_backs, .. }) | Self::Draining(Draining { write_backs, .. }) => {
                write_backs.done(epoch, (page, version), None)
            }
        }
    }

    /// A message from another host, other than a page for the running process.
    pub(crate) fn handle(
        &mut self,
        from: HostId,
        epoch: Epoch,
        message: &Message,
        cx: &Context<'_>,
    ) -> Handled {
        let kind = message.kind();
        let unexpected = Err(misbehaved(from, Misbehaviour::Unexpected { kind }));
        let own = self.epoch();
        // Older messages cannot be about this migration; the host has ruled out newer ones.
        if epoch < own {
            return Ok(None);
        }
        match (self, message) {
            // What was said about an attempt to move the process back here that has been called off.
            (Self::Shadow(_) | Self::Draining(_), Message::State(_) | Message::Cancel | Message::Exit)
                if epoch > own =>
            {
                Ok(None)
            }
            // Or about one to move it on from here, before it was lost with what a former host owed it.
            (Self::Draining(_), Message::Ready | Message::Refuse | Message::Resumed) if epoch > own => {
                Ok(None)
            }
            (Self::Shadow(_) | Self::Draining(_), _) if epoch > own => unexpected,
            (source @ Self::Announced(_), Message::Expected) => source.begin(from, cx.view()),
            // Said once, or twice over links that double.
            (Self::PreMigration(_) | Self::Frozen(_) | Self::Offered(_), Message::Expected) => Ok(None),
            (Self::Shadow(_) | Self::Draining(_), Message::Expected) => Ok(None),
            (Self::Offered(offered), Message::Ready) if offered.route.to == from => {
                let first = !std::mem::replace(&mut offered.ready, true);
                Ok(first.then_some((own, Event::ReadinessLearned { from })))
            }
            (Self::Shadow(shadow), Message::Resumed) => shadow.answered(from),
            (Self::Shadow(shadow), Message::Request { page }) => shadow.requested(from, *page, cx),
            (source @ Self::Shadow(_), Message::Complete | Message::Exit) => {
                let Self::Shadow(shadow) = &mut *source else { return unexpected };
                let (draining, event) = match kind {
                    MessageKind::Complete => shadow.completed(from, kind, cx)?,
                    _ => shadow.exited(from, cx)?,
                };
                *source = Self::Draining(draining);
                Ok(Some((own, event)))
            }
            (Self::Shadow(_) | Self::Draining(_), Message::Ready) => Ok(None),
            (
                Self::Draining(_),
                Message::Request { .. } | Message::Complete | Message::Exit | Message::Resumed,
            ) => Ok(None),
            // What was said about an attempt that has been called off.
            (Self::Resting(_), Message::Ready | Message::Refuse | Message::Resumed | Message::Expected)
                if epoch > own =>
            {
                Ok(None)
            }
            // Or by a destination that runs what was taken back here.
            (Self::Resting(_), Message::Request { .. } | Message::Complete | Message::Exit)
                if epoch > own && cx.policy.hand_over.is_revocable() =>
            {
                Ok(None)
            }
            (Self::Resting(_), Message::Cancel) if epoch == own => {
                Err(misbehaved(from, Misbehaviour::CancelAfterGo))
            }
            // What the host was sent as the destination of the migration that brought the process here, to rest or to be
            // lost.
            (
                Self::Resting(_) | Self::Draining(Draining { tell: None, .. }),
                Message::State(_) | Message::Go | Message::Destroyed,
            ) => Ok(None),
            (Self::Offered(_), Message::Ready) => Err(misbehaved(from, Misbehaviour::NotThePeer { kind })),
            _ => unexpected,
        }
    }

    /// Where the process is going, or went.
    pub fn route(&self) -> Option<Route> {
        match self {
            Self::Announced(Announced { route, .. })
            | Self::PreMigration(PreMigration { route, .. })
            | Self::Frozen(Frozen { route, .. })
            | Self::Offered(Offered { route, .. })
            | Self::Shadow(Shadow { route, .. }) => Some(*route),
            Self::Resting(_) | Self::Draining(_) => None,
        }
    }

    /// The migration that this phase belongs to.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Resting(resident) => resident.epoch,
            Self::Announced(Announced { route, .. })
            | Self::PreMigration(PreMigration { route, .. })
            | Self::Frozen(Frozen { route, .. })
            | Self::Offered(Offered { route, .. })
            | Self::Shadow(Shadow { route, .. }) => route.epoch,
            Self::Draining(draining) => draining.epoch,
        }
    }

    pub(crate) fn is_due(&self, work: Work, view: View<'_>) -> bool {
        if let Work::Repeat(page) = work {
            return self.repeat_due(page);
        }
        match self {
            Self::Resting(resident) => match work {
                Work::WriteBack(page) => resident.write_back_due(page, view),
                Work::Release => resident.release_due(view),
                _ => false,
            },
            Self::Announced(announced) => announced.is_due(work, view),
            Self::PreMigration(pre) => pre.is_due(work, view),
            Self::Frozen(frozen) => frozen.is_due(work, view),
            Self::Offered(offered) => work == Work::HandOver && offered.ready,
            Self::Shadow(shadow) => shadow.is_due(work, view.policy),
            Self::Draining(draining) => draining.is_due(work),
        }
    }

    /// What could be due, most urgent first.
    pub(crate) fn candidates<'a>(&'a self, view: View<'a>) -> Box<dyn Iterator<Item = Work> + 'a> {
        let of_phase: Box<dyn Iterator<Item = Work> + 'a> = match self {
            Self::Resting(resident) | Self::Announced(Announced { resident, .. }) => {
                Box::new(std::iter::once(Work::Release).chain(view.write_backs(resident)))
            }
            Self::PreMigration(pre) => pre.candidates(view),
            Self::Frozen(frozen) => frozen.candidates(view),
            Self::Offered(_) => Box::new(std::iter::once(Work::HandOver)),
            Self::Shadow(shadow) => shadow.candidates(view.policy),
            Self::Draining(_) => Box::new(std::iter::once(Work::Destroy)),
        };
        Box::new(self.repeats().chain(of_phase))
    }

    /// Does work that is due. `None` in place of the phase: the host is vacant afterwards.
    pub(crate) fn perform(mut self, work: Work, cx: &mut Context<'_>) -> (Option<Self>, Stepped) {
        let stepped = match (&mut self, work) {
            (_, Work::Repeat(page)) => self.repeat(page, cx),
            (Self::Resting(resident), Work::Release) => resident.release(None, cx),
            (Self::Resting(resident), Work::WriteBack(page)) => resident.write_back(page, cx),
            (Self::Announced(announced), _) => announced.perform(work, cx),
            (Self::PreMigration(pre), _) => pre.perform(work, cx),
            (Self::Frozen(frozen), Work::SendState) => {
                let (mut offered, event) = frozen.send_state(cx);
                let epoch = offered.route.epoch;
                self = match cx.policy.hand_over {
                    HandOver::ReadyGo | HandOver::Acknowledged => Self::Offered(offered),
                    // There is nothing more to say before the process runs.
                    HandOver::OneShot | HandOver::None => {
                        Self::Shadow(Shadow::of(&mut offered, cx.policy.hand_over))
                    }
                };
                Ok((epoch, event))
            }
            (Self::Frozen(frozen), _) => frozen.perform(work, cx),
            (Self::Offered(offered), Work::HandOver) => {
                let Route { to, epoch } = offered.route;
                self = Self::Shadow(Shadow::of(offered, cx.policy.hand_over));
                cx.send(to, epoch, Message::Go);
                Ok((epoch, Event::ProcessHandedOver { to }))
            }
            (Self::Shadow(shadow), _) => shadow.perform(work, cx),
            (Self::Draining(draining), Work::Destroy) => draining.destroy(cx),
            _ => Err(Error::from(Refusal::NotDue(work))),
        };
        let vacant = stepped.is_ok() && matches!(work, Work::Release | Work::Destroy);
        ((!vacant).then_some(self), stepped)
    }
}
