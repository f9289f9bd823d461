//! Before the process runs here: pages that travel, the state, readiness.

use std::collections::BTreeSet;
use std::iter::repeat;
use std::ops::Range;

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Sequence};

use crate::error::{Error, LocalFault, Misbehaviour};
use crate::page_set::PageSet;
use crate::policy::HandOver;
use crate::running::context::{Arrival, COUNTER_MAX, Context, Handled, misbehaved};
use crate::running::{Location, PageRecord, Resident};
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
    /// The pages of which some content arrived, so that none has to look at all of them.
    pub pages_arrived: PageSet,
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
        let arrived = vec![Sequence::default(); PageNumber(page_count).index()];
        Self { from, epoch, arrived, pages_arrived: PageSet::empty(page_count), former }
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
        self.pages_arrived.insert(page);
        Ok(Some((epoch, Event::PageInstalled { page, sequence: Sequence(number), from })))
    }

    fn keeps(&self, page: PageNumber) -> bool {
        self.former.as_ref().is_some_and(|former| former.owed.contains(page))
    }

    /// The state. Everything that arrived and is not what the process is to resume with is discarded.
    pub(super) fn state_arrived(
        &mut self,
        state: &State,
        cx: &mut Context<'_>,
    ) -> Result<(Assembling, Event), Error> {
        self.check(state, cx)?;
        let resident = self.resident(state, cx);
        let mut awaited = PageSet::empty(cx.image.page_count());
        let (mut discarded, mut kept) = (Vec::new(), PageSet::empty(cx.image.page_count()));
        for ((page, record), planned) in resident.numbered().zip(state.plan.entries()) {
            if matches!(planned.whereabouts, Whereabouts::Travelled(_)) && record.location != Location::Here {
                awaited.insert(page);
            }
            if record.location == Location::Here {
                kept.insert(page);
            } else if cx.memory.is_present(page) {
                discarded.push(page);
            }
        }
        if !discarded.is_empty() {
            // In one go: the process stands still meanwhile.
            cx.memory.discard_all_but(&kept).map_err(LocalFault::from)?;
        }
        let (from, epoch) = (self.from, self.epoch);
        let former = self.former.take();
        Ok((Assembling { from, epoch, resident, awaited, former }, Event::StateAccepted { from, discarded }))
    }

    /// Whether the state has a page here that this host has sent away on request since: the process ran on at the
    /// source, so the return was called off, and word of that was overtaken.
    pub(super) fn is_outdated(&self, state: &State, me: HostId) -> bool {
        let Some(own) = &self.former else { return false };
        let here =
            |whereabouts| matches!(whereabouts, Whereabouts::At(former, _) if former == own.as_former(me));
        state
            .plan
            .ranges()
            .any(|(pages, entry)| here(entry.whereabouts) && own.served.iter_within(pages).next().is_some())
    }

    /// Whether the state can be. Looks at the runs of the plan and at what has arrived or is kept here, not at each page:
    /// what is refused must not cost more than that.
    fn check(&self, state: &State, cx: &Context<'_>) -> Result<(), Error> {
        let (planned, page_count) = (state.plan.page_count(), cx.image.page_count());
        if planned != page_count {
            return Err(misbehaved(self.from, Misbehaviour::PlanSize { planned, page_count }));
        }
        let known: BTreeSet<_> = state.former_hosts.iter().copied().collect();
        let impossible =
            |former: &FormerHost| [cx.me, self.from].contains(&former.host) || former.epoch >= self.epoch;
        let contradiction = match known.iter().any(impossible) {
            true => Some(PageNumber(0)),
            false => {
                state.plan.ranges().find_map(|(pages, entry)| self.contradiction(pages, entry, &known, cx))
            }
        };
        match contradiction {
            Some(page) => Err(misbehaved(self.from, Misbehaviour::PlanContradiction { page })),
            None => Ok(()),
        }
    }

    /// The first page of a run whose entry contradicts itself or what is known here.
    fn contradiction(
        &self,
        pages: Range<u64>,
        entry: PlanEntry,
        known: &BTreeSet<FormerHost>,
        cx: &Context<'_>,
    ) -> Option<PageNumber> {
        let first = PageNumber(pages.start);
        let kept = || self.former.iter().flat_map(|former| former.owed.iter_within(pages.clone()));
        let arrived_after = |latest: Sequence| {
            let mut arrived = self.pages_arrived.iter_within(pages.clone());
            arrived.find(|page| self.arrived[page.index()] > latest)
        };
        if entry.version.0 >= COUNTER_MAX {
            return Some(first);
        }
        match entry.whereabouts {
            Whereabouts::Travelled(sequence) => {
                let possible = (1..=COUNTER_MAX).contains(&sequence.0);
                (!possible).then_some(first).or_else(|| kept().next()).or_else(|| arrived_after(sequence))
            }
            // Here already: of all of them, or it cannot be.
            Whereabouts::At(former, _) if former.host == cx.me => {
                let own = self.former.as_ref().is_some_and(|own| own.route.epoch == former.epoch);
                let missing = pages.clone().map(PageNumber).zip(kept().map(Some).chain(repeat(None)));
                let mut missing = missing.filter(|(page, kept)| Some(*page) != *kept).map(|(page, _)| page);
                if own { missing.next() } else { Some(first) }
            }
            Whereabouts::At(former, outdated) => {
                let source = FormerHost { host: self.from, epoch: self.epoch };
                let arrived = match former == source {
                    true => arrived_after(Sequence(outdated.0.saturating_add(u64::from(overtakes(cx))))),
                    false => (!known.contains(&former)).then_some(first),
                };
                let impossible = outdated.0 >= COUNTER_MAX;
                impossible.then_some(first).or(arrived).or_else(|| kept().next())
            }
            // Unmodified by definition: nothing may be lost by fetching it from there.
            Whereabouts::FileServer | Whereabouts::LocalStore => {
                entry.dirty.then_some(first).or_else(|| kept().next())
            }
        }
    }

    /// The process as the state describes it, which has been checked.
    fn resident(&self, state: &State, cx: &Context<'_>) -> Resident {
        let numbered = (0..).map(PageNumber).zip(state.plan.entries());
        let pages = numbered.map(|(page, entry)| self.record(page, entry, cx)).collect();
        let source = FormerHost { host: self.from, epoch: self.epoch };
        Resident {
            epoch: self.epoch,
            former_hosts: state.former_hosts.iter().copied().chain([source]).collect(),
            registers: state.registers.clone(),
            returned: self.returns(state),
            was_owed: state.plan.ranges().any(|(_, entry)| matches!(entry.whereabouts, Whereabouts::At(..))),
            ..Resident::with_pages(pages)
        }
    }

    /// Whether the process comes straight back: it left no other host since it left this one.
    fn returns(&self, state: &State) -> bool {
        let left_later = |own: &Shadow| state.former_hosts.iter().all(|other| other.epoch < own.route.epoch);
        self.former.as_ref().is_some_and(left_later)
    }

    fn record(&self, page: PageNumber, entry: PlanEntry, cx: &Context<'_>) -> PageRecord {
        let pushed = |former: FormerHost, outdated| {
            former.host == self.from && overtakes(cx) && self.arrived[page.index()] > outdated
        };
        let PlanEntry { whereabouts, dirty, version } = entry;
        let location = match whereabouts {
            Whereabouts::Travelled(sequence) if self.arrived[page.index()] == sequence => Location::Here,
            // Until it is here it is at the source, and anything older than what travelled is outdated.
            Whereabouts::Travelled(sequence) => {
                let source = FormerHost { host: self.from, epoch: self.epoch };
                Location::At(source, Sequence(sequence.0 - 1))
            }
            Whereabouts::At(former, _) if former.host == cx.me => Location::Here,
            Whereabouts::At(former, outdated) if pushed(former, outdated) => Location::Here,
            Whereabouts::At(former, outdated) => Location::At(former, outdated),
            Whereabouts::FileServer => Location::FileServer,
            Whereabouts::LocalStore => Location::LocalStore,
        };
        PageRecord { location, dirty, version, requested: false }
    }
}

/// Whether the source may send a page that it owes before the destination has said anything. On a link that does not keep order
/// it may come before the state.
fn overtakes(cx: &Context<'_>) -> bool {
    cx.policy.hand_over == HandOver::OneShot
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
            Location::At(..) if overtakes(cx) => self.resident.page_arrived(arrival, cx),
            // The source owes it, but sends it only once the process runs here.
            _ => Err(misbehaved(from, Misbehaviour::Unexpected { kind: MessageKind::Page })),
        }
    }
}
