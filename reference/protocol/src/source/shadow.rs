//! The process runs elsewhere; this host keeps the pages that it owes, and serves and pushes them.

use std::collections::BTreeMap;

use steplog::event::Event;
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Sequence};

use super::{Demands, Offered, Route, Sent};
use crate::error::{Error, LocalFault, Misbehaviour, Refusal};
use crate::page_set::PageSet;
use crate::policy::{HandOver, Policy, Push};
use crate::running::context::{Context, Handled, Stepped, misbehaved};
use crate::running::{Resident, WriteBacks};
use crate::wire::FormerHost;
use crate::wire::{Channel, Message, Resync};
use crate::work::Work;

/// What is left of a process that has moved on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Where the process went.
    pub route: Route,
    /// The pages that nobody else has.
    pub owed: PageSet,
    /// The pages that were owed and have been sent.
    pub served: PageSet,
    /// Those among them that were sent to another host than the process went to from here.
    pub served_elsewhere: BTreeMap<PageNumber, HostId>,
    /// The pages that were requested and not sent yet, and by whom, in order of arrival.
    pub demands: Demands,
    /// The page last requested.
    pub pivot: Option<PageNumber>,
    /// What was sent in the migration.
    pub sent: Sent,
    /// Write-backs that the file server has not acknowledged.
    pub write_backs: WriteBacks,
    /// The pages that were sent over connections that are gone. They may not have arrived.
    pub unconfirmed: PageSet,
    /// Whether there is a new connection to the destination, over which it has not said how far it is.
    pub awaits_resync: bool,
    /// The hosts that keep pages of earlier migrations, to be told should a one-shot hand-over lose the process.
    pub entrusted_with: Vec<FormerHost>,
    /// The process as it can be taken back, while it has not been given up for good.
    pub withheld: Option<Box<Resident>>,
}

/// Everything has moved on, or the process has exited; what is left waits for the file server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draining {
    /// The migration by which the process left.
    pub epoch: Epoch,
    /// Whom to tell that nothing is left; nobody when the process has exited.
    pub tell: Option<HostId>,
    /// Write-backs that the file server has not acknowledged.
    pub write_backs: WriteBacks,
}

impl Shadow {
    pub(super) fn of(offered: &mut Offered, hand_over: HandOver) -> Self {
        let write_backs = std::mem::take(&mut offered.resident.write_backs);
        let resident = std::mem::take(&mut offered.resident);
        let nothing = PageSet::empty(resident.pages.len() as u64);
        Self {
            route: offered.route,
            owed: std::mem::take(&mut offered.owed),
            served: nothing.clone(),
            served_elsewhere: BTreeMap::new(),
            demands: Demands::default(),
            pivot: None,
            sent: std::mem::take(&mut offered.sent),
            write_backs,
            unconfirmed: nothing,
            awaits_resync: false,
            entrusted_with: match hand_over {
                HandOver::OneShot => resident.former_hosts.clone(),
                _ => Vec::new(),
            },
            withheld: hand_over.is_revocable().then(|| Box::new(resident)),
        }
    }

    /// The destination runs the process: from here on it cannot be taken back.
    pub(super) fn answered(&mut self, from: HostId) -> Handled {
        if from != self.route.to {
            return Err(misbehaved(from, Misbehaviour::NotThePeer { kind: MessageKind::Resumed }));
        }
        let first = self.withheld.take().is_some();
        Ok(first.then_some((self.route.epoch, Event::ResumptionLearned { from })))
    }

    /// The process, if it has not been given up for good.
    pub(super) fn take_back(&mut self) -> Option<Resident> {
        let resident = *self.withheld.take()?;
        Some(Resident { write_backs: std::mem::take(&mut self.write_backs), ..resident })
    }

    /// The pages whose content is kept here until nobody can need it any more.
    pub(crate) fn kept(&self) -> PageSet {
        let mut kept = self.owed.clone();
        self.served.iter().for_each(|page| {
            kept.insert(page);
        });
        kept
    }

    /// How others name what is kept here.
    pub(crate) fn as_former(&self, me: HostId) -> FormerHost {
        FormerHost { host: me, epoch: self.route.epoch }
    }

    /// There is a new connection to this host. What was sent over the old one may not have arrived.
    pub(crate) fn reconnected(&mut self, peer: HostId) {
        let Self { route, served, served_elsewhere, unconfirmed, .. } = self;
        self.awaits_resync |= peer == route.to;
        let served_to = |page| served_elsewhere.get(&page).copied().unwrap_or(route.to);
        served.iter().filter(|&page| served_to(page) == peer).for_each(|page| {
            unconfirmed.insert(page);
        });
    }

    /// The destination says how far it is. What it lacks and was sent over an old connection is owed again, with the
    /// number that it had; what it waits for is requested.
    pub(crate) fn resynced(&mut self, from: HostId, resync: &Resync, cx: &mut Context<'_>) -> Handled {
        let kind = MessageKind::Resync;
        cx.check_chain(from, kind)?;
        let Resync { progress, lacks, waits } = resync;
        let unknown = |page: &PageNumber| !self.owed.contains(*page) && !self.served.contains(*page);
        let surplus = |page: &PageNumber| !lacks.contains(*page);
        if let Some(page) = lacks.iter().find(unknown).or_else(|| waits.iter().find(surplus)) {
            return Err(misbehaved(from, Misbehaviour::NotOwed { kind, page }));
        }
        let lost = |page: &PageNumber| self.unconfirmed.contains(*page);
        let missing = |page: &PageNumber| self.owed.contains(*page) || lost(page);
        let owed_again: Vec<_> = lacks.iter().filter(lost).collect();
        let requested: Vec<_> =
            waits.iter().filter(missing).filter(|page| !self.demands.contains(*page)).collect();
        let first = from != self.route.to || self.awaits_resync;
        if !first && owed_again.is_empty() && requested.is_empty() {
            return Ok(None);
        }
        self.awaits_resync &= from != self.route.to;
        owed_again.iter().for_each(|&page| self.owe_again(page));
        self.unconfirmed.clear();
        let arrived = |&(page, requester): &(PageNumber, HostId)| requester == from && !lacks.contains(page);
        let arrived: Vec<_> = self.demands.iter().filter(arrived).collect();
        arrived.into_iter().for_each(|(page, _)| self.demands.remove(page));
        requested.iter().for_each(|&page| self.demands.push(page, from));
        self.pivot = requested.last().copied().or(self.pivot);
        if *progress == Progress::AwaitingGo {
            cx.send(from, self.route.epoch, Message::Go);
        }
        let progress = *progress;
        Ok(Some((self.route.epoch, Event::ResyncAccepted { from, progress, owed_again, requested })))
    }

    /// A page that was sent has not arrived. It keeps its number.
    fn owe_again(&mut self, page: PageNumber) {
        self.unconfirmed.remove(page);
        self.served.remove(page);
        self.served_elsewhere.remove(&page);
        self.owed.insert(page);
        let Sequence(sequence) = &mut self.sent.sequences[page.index()];
        *sequence = sequence.saturating_sub(1);
    }

    pub(crate) fn requested(&mut self, from: HostId, page: PageNumber, cx: &Context<'_>) -> Handled {
        cx.check_chain(from, MessageKind::Request)?;
        let sent = self.served.contains(page) && !self.unconfirmed.contains(page);
        if sent || self.demands.contains(page) {
            return Ok(None);
        }
        if !self.owed.contains(page) && !self.served.contains(page) {
            return Err(misbehaved(from, Misbehaviour::NotOwed { kind: MessageKind::Request, page }));
        }
        // It would not ask if it had not said how far it is, or this is about to come.
        self.awaits_resync &= from != self.route.to;
        // It was sent over a connection that is gone. Over the next one the request may come before the resync.
        if self.unconfirmed.contains(page) {
            self.owe_again(page);
        }
        self.demands.push(page, from);
        self.pivot = Some(page);
        Ok(Some((self.route.epoch, Event::RequestAccepted { page, from })))
    }

    pub(crate) fn completed(
        &mut self,
        from: HostId,
        kind: MessageKind,
        cx: &Context<'_>,
    ) -> Result<(Draining, Event), Error> {
        cx.check_chain(from, kind)?;
        if !self.owed.is_empty() {
            return Err(misbehaved(from, Misbehaviour::StillOwed { owed: self.owed.len() }));
        }
        Ok((self.drain(Some(from)), Event::CompletionLearned { from }))
    }

    pub(super) fn exited(&mut self, from: HostId, cx: &Context<'_>) -> Result<(Draining, Event), Error> {
        cx.check_chain(from, MessageKind::Exit)?;
        Ok((self.drain(None), Event::ExitLearned { from }))
    }

    pub(crate) fn drain(&mut self, tell: Option<HostId>) -> Draining {
        Draining { epoch: self.route.epoch, tell, write_backs: std::mem::take(&mut self.write_backs) }
    }

    fn can_send(&self, page: PageNumber, to: HostId) -> bool {
        // Not before it is known what has arrived there.
        let unclear = self.awaits_resync && to == self.route.to;
        // Not while its write-back is on its way: the destination may write it back as well, and no two hosts
        // may do so at once.
        !unclear && self.owed.contains(page) && !self.write_backs.contains(page)
    }

    pub(crate) fn is_due(&self, work: Work, policy: &Policy) -> bool {
        match work {
            Work::Serve(page) => self.demands.requester(page).is_some_and(|to| self.can_send(page, to)),
            // Demand first, but a demand that waits for the file server does not hold up other pages.
            Work::Push(page) => {
                policy.pushes()
                    && self.withheld.is_none()
                    && self.can_send(page, self.route.to)
                    && !self.demands.iter().any(|(demanded, to)| self.can_send(demanded, to))
            }
            _ => false,
        }
    }

    pub(crate) fn perform(&mut self, work: Work, cx: &mut Context<'_>) -> Stepped {
        let epoch = self.route.epoch;
        match work {
            Work::Serve(page) => {
                let to = self.demands.requester(page).ok_or(Refusal::NotDue(work))?;
                let sequence = self.send(page, to, cx.demand(), cx)?;
                self.demands.remove(page);
                Ok((epoch, Event::PageServed { page, sequence, to }))
            }
            Work::Push(page) => {
                let to = self.route.to;
                let sequence = self.send(page, to, Channel::Main, cx)?;
                Ok((epoch, Event::PagePushed { page, sequence, to }))
            }
            _ => Err(Refusal::NotDue(work).into()),
        }
    }

    fn send(
        &mut self,
        page: PageNumber,
        to: HostId,
        channel: Channel,
        cx: &mut Context<'_>,
    ) -> Result<Sequence, LocalFault> {
        let host = FormerHost { host: to, epoch: self.route.epoch };
        let sequence = self.sent.send(page, host, channel, cx)?;
        self.owed.remove(page);
        self.served.insert(page);
        if to != self.route.to {
            self.served_elsewhere.insert(page, to);
        }
        Ok(sequence)
    }

    /// What could be due, most urgent first: what is requested, then what comes next.
    pub(crate) fn candidates<'a>(&'a self, policy: &Policy) -> Box<dyn Iterator<Item = Work> + 'a> {
        let demanded = self.demands.iter().map(|(page, _)| Work::Serve(page));
        match (policy.push, self.pivot) {
            (Push::None | Push::Pull, _) => Box::new(demanded),
            (Push::Pivot, Some(pivot)) => {
                Box::new(demanded.chain(self.owed.iter_from(pivot).map(Work::Push)))
            }
            (Push::Pivot | Push::NextMissing, _) => {
                Box::new(demanded.chain(self.owed.iter().map(Work::Push)))
            }
        }
    }
}

impl Draining {
    pub(super) fn is_due(&self, work: Work) -> bool {
        work == Work::Destroy && self.write_backs.is_empty()
    }

    pub(super) fn destroy(&self, cx: &mut Context<'_>) -> Stepped {
        cx.discard_all()?;
        if let Some(to) = self.tell {
            cx.send(to, self.epoch, Message::Destroyed);
        }
        Ok((self.epoch, Event::ImageDestroyed { told: self.tell }))
    }
}
