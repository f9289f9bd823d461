//! The process runs elsewhere; this host keeps the pages that it owes, and serves and pushes them.

use std::collections::{BTreeMap, VecDeque};

use crate::error::{Misbehaviour, Refusal};
use crate::event::Event;
use crate::host::context::{Context, Handled, Stepped, misbehaved};
use crate::host::{Resident, Work};
use crate::page::PageNumber;
use crate::page_set::PageSet;
use crate::place::{Epoch, FormerHost, HostId, Version};
use crate::policy::{Policy, Push};
use crate::wire::{Message, MessageKind};

use super::{Offered, Route, Sent};

/// What is left of a process that has moved on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Where the process went.
    pub route: Route,
    /// The pages that nobody else has.
    pub owed: PageSet,
    /// The pages that were owed and have been sent.
    pub served: PageSet,
    /// The pages that were requested and not sent yet, and by whom, in order of arrival.
    pub demands: VecDeque<(PageNumber, HostId)>,
    /// The page last requested.
    pub pivot: Option<PageNumber>,
    /// What was sent in the migration.
    pub sent: Sent,
    /// Write-backs that the file server has not acknowledged.
    pub write_backs: WriteBacks,
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

/// Write-backs that the file server has not acknowledged: at most one a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBacks(pub BTreeMap<PageNumber, (Epoch, Version)>);

impl WriteBacks {
    fn of(resident: &Resident) -> Self {
        let outstanding = |(page, record): (PageNumber, &crate::host::PageRecord)| {
            record.write_back.map(|epoch| (page, (epoch, record.version)))
        };
        Self(resident.numbered().filter_map(outstanding).collect())
    }

    pub(super) fn done(&mut self, epoch: Epoch, page: PageNumber, version: Version) -> Handled {
        match self.0.get(&page) {
            Some(&(_, latest)) if version > latest => {
                let (number, latest) = (version.0, latest.0);
                let what =
                    Misbehaviour::NumberAhead { kind: MessageKind::WriteBackDone, page, number, latest };
                Err(misbehaved(crate::place::Place::FileServer, what))
            }
            Some(&outstanding) if outstanding == (epoch, version) => {
                self.0.remove(&page);
                Ok(Some((epoch, Event::WriteBackAcknowledged { page, version })))
            }
            _ => Ok(None),
        }
    }
}

impl Shadow {
    pub(super) fn of(offered: &mut Offered) -> Self {
        let write_backs = WriteBacks::of(&offered.resident);
        let owed = std::mem::take(&mut offered.owed);
        let served = PageSet::empty(offered.resident.pages.len() as u64);
        let sent = std::mem::take(&mut offered.sent);
        Self { route: offered.route, owed, served, demands: VecDeque::new(), pivot: None, sent, write_backs }
    }

    /// Whether messages about the pages kept here may come from this host. Only where pages are left behind along
    /// a chain can the process be somewhere else than where it went from here.
    fn check_peer(
        &self,
        from: HostId,
        kind: MessageKind,
        policy: &Policy,
    ) -> Result<(), crate::error::Error> {
        if from == self.route.to || policy.leaves_pages_behind() {
            return Ok(());
        }
        Err(misbehaved(from, Misbehaviour::NotThePeer { kind }))
    }

    pub(crate) fn requested(&mut self, from: HostId, page: PageNumber, policy: &Policy) -> Handled {
        self.check_peer(from, MessageKind::Request, policy)?;
        if self.served.contains(page) || self.demands.iter().any(|(demanded, _)| *demanded == page) {
            return Ok(None);
        }
        if !self.owed.contains(page) {
            return Err(misbehaved(from, Misbehaviour::NotOwed { kind: MessageKind::Request, page }));
        }
        self.demands.push_back((page, from));
        self.pivot = Some(page);
        Ok(Some((self.route.epoch, Event::RequestAccepted { page, from })))
    }

    pub(super) fn completed(
        &mut self,
        from: HostId,
        policy: &Policy,
    ) -> Result<(Draining, Event), crate::error::Error> {
        self.check_peer(from, MessageKind::Complete, policy)?;
        if !self.owed.is_empty() {
            return Err(misbehaved(from, Misbehaviour::StillOwed { owed: self.owed.len() }));
        }
        Ok((self.drain(Some(from)), Event::CompletionLearned { from }))
    }

    pub(super) fn exited(
        &mut self,
        from: HostId,
        policy: &Policy,
    ) -> Result<(Draining, Event), crate::error::Error> {
        self.check_peer(from, MessageKind::Exit, policy)?;
        Ok((self.drain(None), Event::ExitLearned { from }))
    }

    fn drain(&mut self, tell: Option<HostId>) -> Draining {
        Draining { epoch: self.route.epoch, tell, write_backs: std::mem::take(&mut self.write_backs) }
    }

    fn can_send(&self, page: PageNumber) -> bool {
        // Not while its write-back is on its way: the destination may write it back as well, and no two hosts
        // may do so at once.
        self.owed.contains(page) && !self.write_backs.0.contains_key(&page)
    }

    pub(crate) fn is_due(&self, work: Work, policy: &Policy) -> bool {
        match work {
            Work::Serve(page) => {
                self.can_send(page) && self.demands.iter().any(|(demanded, _)| *demanded == page)
            }
            Work::Push(page) => {
                // Demand first, but a demand that waits for the file server does not hold up other pages.
                let demanded = self.demands.iter().any(|(demanded, _)| self.can_send(*demanded));
                policy.push != Push::None && !demanded && self.can_send(page)
            }
            _ => false,
        }
    }

    pub(crate) fn perform(&mut self, work: Work, cx: &mut Context<'_>) -> Stepped {
        let epoch = self.route.epoch;
        match work {
            Work::Serve(page) => {
                let at = self.demands.iter().position(|(demanded, _)| *demanded == page);
                let at = at.ok_or(Refusal::NotDue(work))?;
                let to = self.demands[at].1;
                let sequence = self.send(page, to, cx)?;
                self.demands.remove(at);
                Ok((epoch, Event::PageServed { page, sequence, to }))
            }
            Work::Push(page) => {
                let to = self.route.to;
                let sequence = self.send(page, to, cx)?;
                Ok((epoch, Event::PagePushed { page, sequence, to }))
            }
            _ => Err(Refusal::NotDue(work).into()),
        }
    }

    fn send(
        &mut self,
        page: PageNumber,
        to: HostId,
        cx: &mut Context<'_>,
    ) -> Result<crate::place::Sequence, crate::error::LocalFault> {
        let sequence = self.sent.send(page, FormerHost { host: to, epoch: self.route.epoch }, cx)?;
        self.owed.remove(page);
        self.served.insert(page);
        Ok(sequence)
    }

    /// What could be due, most urgent first: what is requested, then what comes next.
    pub(crate) fn candidates<'a>(&'a self, policy: &Policy) -> Box<dyn Iterator<Item = Work> + 'a> {
        let demanded = self.demands.iter().map(|(page, _)| Work::Serve(*page));
        match (policy.push, self.pivot) {
            (Push::None, _) => Box::new(demanded),
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
        work == Work::Destroy && self.write_backs.0.is_empty()
    }

    pub(super) fn destroy(&self, cx: &mut Context<'_>) -> Stepped {
        cx.discard_all()?;
        if let Some(to) = self.tell {
            cx.send(to, self.epoch, Message::Destroyed);
        }
        Ok((self.epoch, Event::ImageDestroyed { told: self.tell }))
    }
}
