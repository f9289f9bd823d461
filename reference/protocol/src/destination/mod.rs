//! The host that takes the process.
//!
//! ```text
//! Receiving ──State──▶ Assembling ──all that travels is here──▶ AwaitingGo ──Go──▶ Post ──nothing owed──▶ Completing ──▶ Source::Resting
//!   pages arrive         late pages arrive        Ready ▶          process runs here: faults, requests,    Destroyed
//!                                                                  pages arrive, write-back                awaited
//! ```
//!
//! Where the hand-over is one-shot or none, `Assembling` leads to `Post` as soon as all that travels is here.
//!
//! An algorithm without a post-migration phase goes through `Post` as well: its process is owed nothing there, so
//! it is complete as soon as it has resumed.

mod receiving;

pub use receiving::{Assembling, Receiving};

use steplog::event::Event;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Version};

use crate::error::{Error, LocalFault, Misbehaviour, Refusal};
use crate::policy::{HandOver, Policy};
use crate::running::Resident;
use crate::running::context::{Arrival, Context, Handled, Stepped, View, misbehaved};
use crate::source::Shadow;
use crate::wire::FormerHost;
use crate::wire::{FORMER_HOSTS_MAX, Message};
use crate::work::Work;

/// The phases of the host that takes the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Pages may arrive; the state has not.
    Receiving(Receiving),
    /// The state is here; pages that travel may be missing.
    Assembling(Assembling),
    /// The source knows that the process could run here.
    AwaitingGo(AwaitingGo),
    /// The process runs here; pages may be missing.
    Post(Post),
    /// Nothing is missing; the former hosts are cleaning up.
    Completing(Completing),
}

/// The source knows that the process could run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitingGo {
    /// Where the process is.
    pub from: HostId,
    /// The process as it will resume.
    pub resident: Resident,
    /// What this host keeps of an earlier migration away from it, in case the process does not come after all.
    pub former: Option<Shadow>,
}

/// The process runs here; pages may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The process.
    pub resident: Resident,
}

/// Nothing is missing; the former hosts are cleaning up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completing {
    /// The process.
    pub resident: Resident,
    /// The former hosts that have not confirmed.
    pub awaited: Vec<FormerHost>,
}

/// What the host is after a message.
pub(crate) enum Next {
    /// Still a destination.
    Same,
    /// Back at rest.
    Resting(Resident),
    /// The process exited before it came here; what is left is of an earlier migration, if anything.
    Dismissed(Option<Shadow>),
}

impl Destination {
    pub(crate) fn expect(from: HostId, epoch: Epoch, page_count: u64, former: Option<Shadow>) -> Self {
        Self::Receiving(Receiving::new(from, epoch, page_count, former))
    }

    /// The process, where its state is here.
    pub fn resident(&self) -> Option<&Resident> {
        match self {
            Self::Receiving(_) => None,
            Self::Assembling(Assembling { resident, .. })
            | Self::AwaitingGo(AwaitingGo { resident, .. })
            | Self::Post(Post { resident })
            | Self::Completing(Completing { resident, .. }) => Some(resident),
        }
    }

    /// Where the process comes from, while this host has not said *ready*: until then it may go back on its own.
    pub(crate) fn undecided(&self) -> Option<HostId> {
        match self {
            Self::Receiving(Receiving { from, .. }) | Self::Assembling(Assembling { from, .. }) => {
                Some(*from)
            }
            Self::AwaitingGo(_) | Self::Post(_) | Self::Completing(_) => None,
        }
    }

    /// Whether it gives the process up when it loses the connection to this host. One that is the last to have it, and has
    /// all that travels, runs it.
    pub(crate) fn gives_up_without(&self, peer: HostId, policy: &Policy) -> bool {
        self.undecided() == Some(peer) && !self.runs_alone(policy)
    }

    /// Whether nobody else can run the process any more, and it can run here.
    pub(crate) fn runs_alone(&self, policy: &Policy) -> bool {
        let assembled = matches!(self, Self::Assembling(assembling) if assembling.awaited.is_empty());
        policy.hand_over == HandOver::OneShot && assembled
    }

    /// What this host keeps of an earlier migration away from it, while the process does not run here.
    pub fn former(&self) -> Option<&Shadow> {
        match self {
            Self::Receiving(Receiving { former, .. })
            | Self::Assembling(Assembling { former, .. })
            | Self::AwaitingGo(AwaitingGo { former, .. }) => former.as_ref(),
            Self::Post(_) | Self::Completing(_) => None,
        }
    }

    pub(crate) fn former_mut(&mut self) -> Option<&mut Shadow> {
        match self {
            Self::Receiving(Receiving { former, .. })
            | Self::Assembling(Assembling { former, .. })
            | Self::AwaitingGo(AwaitingGo { former, .. }) => former.as_mut(),
            Self::Post(_) | Self::Completing(_) => None,
        }
    }

    /// The process does not come: drops what has arrived of it. What is left is of an earlier migration, if anything.
    pub(crate) fn forget(&mut self, cx: &mut Context<'_>) -> Result<Option<Shadow>, Error> {
        let former = match self {
            Self::Receiving(Receiving { former, .. })
            | Self::Assembling(Assembling { former, .. })
            | Self::AwaitingGo(AwaitingGo { former, .. }) => former.take(),
            Self::Post(_) | Self::Completing(_) => None,
        };
        let discarded = match &former {
            Some(former) => cx.memory.discard_all_but(&former.kept()),
            None => cx.memory.discard_all(),
        };
        discarded.map_err(LocalFault::from)?;
        Ok(former)
    }

    /// Goes on without a former host from which nothing is needed: the process, if it is at rest then.
    pub(crate) fn rest_without(&mut self, dead: HostId) -> Option<Resident> {
        let (resident, at_rest) = match self {
            Self::Post(Post { resident }) => {
                let at_rest = resident.former_hosts.is_empty() && resident.dead.is_empty();
                (resident, at_rest)
            }
            Self::Completing(Completing { resident, awaited }) => {
                awaited.retain(|former| former.host != dead);
                (resident, awaited.is_empty())
            }
            _ => return None,
        };
        at_rest.then(|| settle(resident))
    }

    /// The process, where it is complete and there was nobody to be told.
    pub(crate) fn rest_untold(&mut self) -> Option<Resident> {
        let Self::Completing(Completing { resident, awaited }) = self else { return None };
        awaited.is_empty().then(|| settle(resident))
    }

    /// The connection to the file server is there again.
    pub(crate) fn say_again(&mut self) {
        if let Some(resident) = self.running_mut() {
            resident.say_again();
        }
    }

    /// The process, if it runs here.
    pub(crate) fn running_mut(&mut self) -> Option<&mut Resident> {
        match self {
            Self::Receiving(_) | Self::Assembling(_) | Self::AwaitingGo(_) => None,
            Self::Post(Post { resident }) | Self::Completing(Completing { resident, .. }) => Some(resident),
        }
    }

    /// The number of the migration.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Receiving(Receiving { epoch, .. }) | Self::Assembling(Assembling { epoch, .. }) => *epoch,
            Self::AwaitingGo(AwaitingGo { resident, .. })
            | Self::Post(Post { resident })
            | Self::Completing(Completing { resident, .. }) => resident.epoch,
        }
    }

    pub(crate) fn page_arrived(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) -> Handled {
        match self {
            Self::Receiving(receiving) => receiving.page_arrived(arrival, cx),
            Self::Assembling(assembling) => assembling.page_arrived(arrival, cx),
            // On a link that does not keep order, a page can overtake the `Go` after which it was sent. It is not sent
            // again, so it counts.
            Self::AwaitingGo(AwaitingGo { resident, .. })
            | Self::Post(Post { resident })
            | Self::Completing(Completing { resident, .. }) => resident.page_arrived(arrival, cx),
        }
    }

    pub(crate) fn write_back_done(&mut self, epoch: Epoch, page: PageNumber, version: Version) -> Handled {
        match self.running_mut() {
            Some(resident) => resident.write_back_done(epoch, page, version),
            None => Ok(None),
        }
    }

    /// A message from another host, other than a page.
    pub(crate) fn handle(
        &mut self,
        from: HostId,
        epoch: Epoch,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<(Next, Option<(Epoch, Event)>), Error> {
        let kind = message.kind();
        let own = self.epoch();
        let late = Ok((Next::Same, None));
        match (&mut *self, message) {
            (
                Self::Receiving(Receiving { former: Some(former), .. })
                | Self::Assembling(Assembling { former: Some(former), .. })
                | Self::AwaitingGo(AwaitingGo { former: Some(former), .. }),
                Message::Request { page },
            ) if former.route.epoch == epoch => Ok((Next::Same, former.requested(from, *page, cx)?)),
            (
                Self::Receiving(Receiving { former, .. })
                | Self::Assembling(Assembling { former, .. })
                | Self::AwaitingGo(AwaitingGo { former, .. }),
                Message::Exit,
            ) if former.as_ref().is_some_and(|former| former.route.epoch == epoch) => {
                cx.check_chain(from, kind)?;
                // Whatever was to bring it here was called off: the process has exited elsewhere.
                *former = None;
                let former = self.forget(cx)?;
                Ok((Next::Dismissed(former), Some((epoch, Event::ExitLearned { from }))))
            }
            (Self::Completing(completing), Message::Destroyed) => {
                let Some(at) = completing.awaited.iter().position(|f| *f == FormerHost { host: from, epoch })
                else {
                    return late;
                };
                completing.awaited.remove(at);
                let at_rest = completing.awaited.is_empty();
                let event = Some((epoch, Event::DestructionLearned { from, at_rest }));
                let resident = &mut completing.resident;
                Ok((if at_rest { Next::Resting(settle(resident)) } else { Next::Same }, event))
            }
            _ if epoch < own => late,
            // What was said about an attempt to move the process on that has been called off.
            (Self::Post(_) | Self::Completing(_), Message::Ready | Message::Refuse | Message::Resumed)
                if epoch > own =>
            {
                late
            }
            // Where the source is told nothing it cannot know better.
            (Self::Post(_) | Self::Completing(_), Message::Cancel)
                if cx.policy.hand_over == HandOver::None =>
            {
                late
            }
            (Self::Post(_) | Self::Completing(_), Message::Cancel) => {
                Err(misbehaved(from, Misbehaviour::CancelAfterGo))
            }
            (Self::Receiving(receiving), _) if receiving.from != from => {
                Err(misbehaved(from, Misbehaviour::NotThePeer { kind }))
            }
            (
                Self::Receiving(Receiving { from: source, .. })
                | Self::Assembling(Assembling { from: source, .. })
                | Self::AwaitingGo(AwaitingGo { from: source, .. }),
                Message::Cancel,
            ) => {
                if *source != from {
                    return Err(misbehaved(from, Misbehaviour::NotThePeer { kind }));
                }
                let former = self.forget(cx)?;
                Ok((Next::Dismissed(former), Some((epoch, Event::CancellationLearned { from }))))
            }
            (Self::Receiving(receiving), Message::State(state)) if receiving.is_outdated(state, cx.me) => {
                late
            }
            (Self::Receiving(receiving), Message::State(state)) => {
                let (assembling, event) = receiving.state_arrived(state, cx)?;
                *self = Self::Assembling(assembling);
                Ok((Next::Same, Some((epoch, event))))
            }
            (Self::Receiving(_), Message::Exit) => {
                let former = self.forget(cx)?;
                Ok((Next::Dismissed(former), Some((epoch, Event::ExitLearned { from }))))
            }
            (Self::AwaitingGo(awaiting), Message::Go) if awaiting.from == from => {
                cx.thaw()?;
                *self = Self::Post(Post { resident: std::mem::take(&mut awaiting.resident) });
                if cx.policy.hand_over == HandOver::Acknowledged {
                    cx.send(from, epoch, Message::Resumed);
                }
                Ok((Next::Same, Some((epoch, Event::ProcessResumed { from }))))
            }
            (Self::AwaitingGo(_), Message::Go) => Err(misbehaved(from, Misbehaviour::NotThePeer { kind })),
            (_, Message::State(_)) => late,
            (Self::Post(_) | Self::Completing(_), Message::Go) => late,
            _ => Err(misbehaved(from, Misbehaviour::Unexpected { kind })),
        }
    }

    pub(crate) fn is_due(&self, work: Work, view: View<'_>) -> bool {
        match (self, work) {
            (Self::Receiving(Receiving { former: Some(former), .. }), _) => former.is_due(work, view.policy),
            (Self::Assembling(assembling), Work::DeclareReady) => {
                view.policy.hand_over.says_ready() && assembling.awaited.is_empty()
            }
            (Self::Assembling(assembling), Work::Resume) => {
                !view.policy.hand_over.says_ready() && assembling.awaited.is_empty()
            }
            (
                Self::Post(Post { resident }) | Self::Completing(Completing { resident, .. }),
                Work::Repeat(page),
            ) => resident.repeat_due(page),
            (Self::Post(Post { resident }), Work::DeclareComplete) => completion_due(resident, view.policy),
            (Self::Post(Post { resident }), Work::Pull(page)) => resident.pull_due(page, view.policy),
            (Self::Post(Post { resident }), Work::FallBack(page)) => resident.fall_back_due(page),
            (
                Self::Post(Post { resident }) | Self::Completing(Completing { resident, .. }),
                Work::WriteBack(page),
            ) => resident.write_back_due(page, view),
            (
                Self::Post(Post { resident }) | Self::Completing(Completing { resident, .. }),
                Work::Release,
            ) => resident.release_due(view),
            _ => false,
        }
    }

    /// What could be due, most urgent first.
    pub(crate) fn candidates<'a>(&'a self, view: View<'a>) -> Box<dyn Iterator<Item = Work> + 'a> {
        match self {
            Self::Receiving(Receiving { former: Some(former), .. }) => former.candidates(view.policy),
            Self::Receiving(_) | Self::AwaitingGo(_) => Box::new(std::iter::empty()),
            Self::Assembling(_) => Box::new([Work::Refuse, Work::DeclareReady, Work::Resume].into_iter()),
            Self::Post(Post { resident }) | Self::Completing(Completing { resident, .. }) => {
                let own =
                    [Work::Release, Work::DeclareComplete].into_iter().chain(view.write_backs(resident));
                let falls = resident.repeats().chain(resident.fallbacks());
                Box::new(falls.chain(own).chain(resident.pulls(view.policy)))
            }
        }
    }

    /// Does work that is due. `None` in place of the phase: the host is vacant afterwards.
    pub(crate) fn perform(mut self, work: Work, cx: &mut Context<'_>) -> (Option<Self>, Stepped) {
        let stepped = match (&mut self, work) {
            (Self::Receiving(Receiving { former: Some(former), .. }), _) => former.perform(work, cx),
            (Self::Assembling(assembling), Work::DeclareReady) => {
                let (from, epoch) = (assembling.from, assembling.epoch);
                let resident = std::mem::take(&mut assembling.resident);
                let former = assembling.former.take();
                self = Self::AwaitingGo(AwaitingGo { from, resident, former });
                cx.send(from, epoch, Message::Ready);
                Ok((epoch, Event::ReadinessDeclared { to: from }))
            }
            (Self::Assembling(assembling), Work::Resume) => match cx.thaw() {
                Ok(()) => {
                    let (from, epoch) = (assembling.from, assembling.epoch);
                    self = Self::Post(Post { resident: std::mem::take(&mut assembling.resident) });
                    Ok((epoch, Event::ProcessResumed { from }))
                }
                Err(fault) => Err(fault.into()),
            },
            (
                Self::Post(Post { resident }) | Self::Completing(Completing { resident, .. }),
                Work::Repeat(page),
            ) => resident.repeat(page, cx),
            (Self::Post(Post { resident }), Work::Pull(page)) => resident.pull(page, cx),
            (Self::Post(Post { resident }), Work::FallBack(page)) => resident.fall_back(page, cx),
            (Self::Post(post), Work::DeclareComplete) => {
                let resident = std::mem::take(&mut post.resident);
                let (completing, stepped) = Completing::declare(resident, cx);
                self = Self::Completing(completing);
                Ok(stepped)
            }
            (
                Self::Post(Post { resident }) | Self::Completing(Completing { resident, .. }),
                Work::WriteBack(page),
            ) => resident.write_back(page, cx),
            (
                Self::Post(Post { resident }) | Self::Completing(Completing { resident, .. }),
                Work::Release,
            ) => resident.release(None, cx),
            _ => Err(Error::from(Refusal::NotDue(work))),
        };
        let vacant = stepped.is_ok() && work == Work::Release;
        ((!vacant).then_some(self), stepped)
    }

    /// Whether the next migration may start from here before this one is complete: only where pages are left behind until
    /// they are touched.
    pub(crate) fn check_move_on(&self, to: HostId, policy: &Policy) -> Result<(), Refusal> {
        match self {
            Self::Post(Post { resident }) if policy.leaves_pages_behind() && !resident.falls_back() => {
                // The state has to name them, and where it arrives this host joins them.
                let kept = resident.former_hosts.iter().filter(|former| former.host != to).count();
                if kept >= FORMER_HOSTS_MAX {
                    return Err(Refusal::TooManyFormerHosts);
                }
                Ok(())
            }
            Self::Post(_) | Self::Completing(_) => Err(Refusal::NotAtRest),
            Self::Receiving(_) | Self::Assembling(_) | Self::AwaitingGo(_) => Err(Refusal::NotRunning),
        }
    }
}

/// Whether the destination is to end the migration: also where all former hosts are dead. Where pages are left behind until they are touched it does so
/// only after the process has come straight back to the host that it had left last.
fn completion_due(resident: &Resident, policy: &Policy) -> bool {
    let alone = resident.former_hosts.is_empty();
    let may_end = !policy.leaves_pages_behind() || resident.returned || alone;
    may_end && !resident.exited && resident.owed.is_empty()
}

/// The process at rest: it has no former hosts.
fn settle(resident: &mut Resident) -> Resident {
    let resident = std::mem::take(resident);
    Resident { former_hosts: Vec::new(), dead: Vec::new(), returned: false, was_owed: false, ..resident }
}

impl Completing {
    fn declare(resident: Resident, cx: &mut Context<'_>) -> (Self, (Epoch, Event)) {
        let awaited = resident.former_hosts.clone();
        for former in &awaited {
            cx.send(former.host, former.epoch, Message::Complete);
        }
        let told = awaited.iter().map(|former| former.host).collect();
        let epoch = resident.epoch;
        (Self { resident, awaited }, (epoch, Event::CompletionDeclared { told }))
    }
}
