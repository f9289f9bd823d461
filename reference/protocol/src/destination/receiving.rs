//! Before the process runs here: pages that travel, the state, readiness.

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Sequence};

use crate::error::{Error, LocalFault, Misbehaviour};
use crate::host::context::{Arrival, COUNTER_MAX, Context, Handled, misbehaved};
use crate::host::{Location, PageRecord, Resident};
use crate::page_set::PageSet;
use crate::source::Shadow;
use crate::wire::FormerHost;
use crate::wire::{PlanEntry, State, Whereabouts};

/// Pages may arrive; the state has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiving {
    /// Where the process is.
    pub from: HostId,
    /// The number of the migration.
    pub epoch: Epoch,
    /// The latest content that arrived of each page; 0 if none did.
    pub arrived: Vec<Sequence>,
    /// What this host keeps of an earlier migration away from it, and still serves.
    pub former: Option<Shadow>,
}

/// The state is here; some of the pages that travel may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembling {
    /// Where the process is.
    pub from: HostId,
    /// The number of the migration.
    pub epoch: Epoch,
    /// The process as it will resume. Pages that have yet to arrive are at the source.
    pub resident: Resident,
    /// The pages that must arrive before the process can run.
    pub awaited: PageSet,
    /// What this host keeps of an earlier migration away from it, in case the process does not come after all.
    pub former: Option<Shadow>,
}

impl Receiving {
    pub(super) fn new(from: HostId, epoch: Epoch, page_count: u64, former: Option<Shadow>) -> Self {
        Self { from, epoch, arrived: vec![Sequence::default(); PageNumber(page_count).index()], former }
    }

    /// A page ahead of the state. The latest content wins.
    pub(super) fn page_arrived(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) -> Handled {
        let &Arrival { from, epoch, page, number, content } = arrival;
        if epoch < self.epoch {
            return Ok(None);
        }
        if from != self.from {
            return Err(misbehaved(from, Misbehaviour::NotThePeer { kind: MessageKind::Page }));
        }
        // A page that this host still owes to the process is not the source's to send.
        if self.keeps(page) {
            return Err(arrival.not_owed(MessageKind::Page));
        }
        if number > COUNTER_MAX {
            return Err(arrival.number_ahead(MessageKind::Page, COUNTER_MAX));
        }
        if number <= self.arrived[page.index()].0 {
            return Ok(None);
        }
        cx.memory.install(page, content).map_err(LocalFault::from)?;
        self.arrived[page.index()] = Sequence(number);
        Ok(Some((epoch, Event::PageInstalled { page, sequence: Sequence(number), from })))
    }

    fn keeps(&self, page: PageNumber) -> bool {
        self.former.as_ref().is_some_and(|former| former.owed.contains(page))
    }

    /// The state. Everything that arrived and is not what the process is to resume with is discarded.
    pub(super) fn state_arrived(
        &self,
        state: &State,
        cx: &mut Context<'_>,
    ) -> Result<(Assembling, Event), Error> {
        let resident = self.resident(state, cx)?;
        let mut awaited = PageSet::empty(cx.image.page_count());
        let mut discarded = Vec::new();
        for ((page, record), planned) in resident.numbered().zip(state.plan.entries()) {
            if matches!(planned.whereabouts, Whereabouts::Travelled(_)) && record.location != Location::Here {
                awaited.insert(page);
            }
            if record.location != Location::Here && cx.memory.is_present(page) {
                discarded.push(page);
            }
        }
        for &page in &discarded {
            cx.memory.discard(page).map_err(LocalFault::from)?;
        }
        let (from, epoch) = (self.from, self.epoch);
        let former = self.former.clone();
        Ok((Assembling { from, epoch, resident, awaited, former }, Event::StateAccepted { from, discarded }))
    }

    /// Whether the state has a page here that this host has sent away on request since: the process ran on at the
    /// source, so the return was called off, and word of that was overtaken.
    pub(super) fn is_outdated(&self, state: &State, me: HostId) -> bool {
        let Some(own) = &self.former else { return false };
        let here =
            |whereabouts| matches!(whereabouts, Whereabouts::At(former, _) if former == own.as_former(me));
        let mut planned = (0..).map(PageNumber).zip(state.plan.entries());
        planned.any(|(page, entry)| here(entry.whereabouts) && own.served.contains(page))
    }

    /// The process as the state describes it, if that can be.
    fn resident(&self, state: &State, cx: &Context<'_>) -> Result<Resident, Error> {
        let (planned, page_count) = (state.plan.page_count(), cx.image.page_count());
        if planned != page_count {
            return Err(misbehaved(self.from, Misbehaviour::PlanSize { planned, page_count }));
        }
        let numbered = cx.image.page_numbers().zip(state.plan.entries());
        let record = |(page, entry)| {
            self.record(page, entry, state, cx.me)
                .ok_or_else(|| misbehaved(self.from, Misbehaviour::PlanContradiction { page }))
        };
        let pages = numbered.map(record).collect::<Result<Vec<_>, _>>()?;
        let source = FormerHost { host: self.from, epoch: self.epoch };
        Ok(Resident {
            epoch: self.epoch,
            former_hosts: state.former_hosts.iter().copied().chain([source]).collect(),
            registers: state.registers.clone(),
            returned: self.returns(state),
            ..Resident::with_pages(pages)
        })
    }

    /// Whether the process comes straight back: it left no other host since it left this one.
    fn returns(&self, state: &State) -> bool {
        let left_later = |own: &Shadow| state.former_hosts.iter().all(|other| other.epoch < own.route.epoch);
        self.former.as_ref().is_some_and(left_later)
    }

    /// The record of a page as the plan has it; `None` if that contradicts itself or what is known here.
    fn record(&self, page: PageNumber, entry: PlanEntry, state: &State, me: HostId) -> Option<PageRecord> {
        let arrived = self.arrived[page.index()];
        let source = FormerHost { host: self.from, epoch: self.epoch };
        let kept = self.keeps(page);
        let location = match entry.whereabouts {
            Whereabouts::Travelled(sequence) => {
                let possible = (1..=COUNTER_MAX).contains(&sequence.0) && arrived <= sequence && !kept;
                possible.then_some(())?;
                // Until it is here it is at the source, and anything older than what travelled is outdated.
                let awaited = Location::At(source, Sequence(sequence.0 - 1));
                if arrived == sequence { Location::Here } else { awaited }
            }
            Whereabouts::At(former, _) if former.host == me => {
                let own = self.former.as_ref().is_some_and(|own| own.route.epoch == former.epoch);
                (own && kept).then_some(Location::Here)?
            }
            Whereabouts::At(former, outdated) => {
                let known = former == source && arrived <= outdated || state.former_hosts.contains(&former);
                (known && !kept && outdated.0 < COUNTER_MAX).then_some(Location::At(former, outdated))?
            }
            // Unmodified by definition: nothing may be lost by fetching it from there.
            Whereabouts::FileServer if !entry.dirty && !kept => Location::FileServer,
            Whereabouts::LocalStore if !entry.dirty && !kept => Location::LocalStore,
            Whereabouts::FileServer | Whereabouts::LocalStore => return None,
        };
        let PlanEntry { dirty, version, .. } = entry;
        let former_hosts_possible = state
            .former_hosts
            .iter()
            .all(|former| former.host != me && former.host != self.from && former.epoch < self.epoch);
        (version.0 < COUNTER_MAX && former_hosts_possible).then_some(())?;
        Some(PageRecord { location, dirty, version, requested: false })
    }
}

impl Assembling {
    /// A page that was on its way when the state overtook it.
    pub(super) fn page_arrived(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) -> Handled {
        let &Arrival { from, epoch, page, number, .. } = arrival;
        if epoch < self.epoch {
            return Ok(None);
        }
        if from != self.from {
            return Err(misbehaved(from, Misbehaviour::NotThePeer { kind: MessageKind::Page }));
        }
        if self.awaited.contains(page) {
            let handled = self.resident.page_arrived(arrival, cx)?;
            if handled.is_some() {
                self.awaited.remove(page);
            }
            return Ok(handled);
        }
        match self.resident.page(page).location {
            Location::At(_, outdated) if number <= outdated.0 => Ok(None),
            Location::Here => Ok(None),
            // The source owes it, but sends it only once the process runs here.
            _ => Err(misbehaved(from, Misbehaviour::Unexpected { kind: MessageKind::Page })),
        }
    }
}
