//! The process is suspended: what has to travel now travels, then the state, then the hand-over.

use steplog::event::Event;
use steplog::page::PageNumber;

use super::{Route, Sent};
use crate::error::Refusal;
use crate::page::PageKind;
use crate::page_set::PageSet;
use crate::policy::{Clean, Freeze, Missing};
use crate::running::context::{Context, Stepped, View};
use crate::running::{Location, Resident};
use crate::wire::FormerHost;
use crate::wire::{Channel, Message, Plan, PlanEntry, State, Whereabouts};
use crate::work::Work;

/// The process is suspended; its state is not sent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The process.
    pub resident: Resident,
    /// Where it is going.
    pub route: Route,
    /// Its registers; opaque.
    pub registers: Vec<u8>,
    /// What the destination has been sent.
    pub sent: Sent,
    /// The pages still to be sent to the destination.
    pub to_transfer: PageSet,
    /// The pages still to be sent to the file server.
    pub to_flush: PageSet,
    /// Whether what pre-copy has not brought into step stays here.
    pub switched: bool,
}

/// The state is sent; the destination has not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The process.
    pub resident: Resident,
    /// Where it is going.
    pub route: Route,
    /// What the destination has been sent.
    pub sent: Sent,
    /// The pages that stay here until they are served or pushed.
    pub owed: PageSet,
    /// Whether the destination has everything that travels.
    pub ready: bool,
}

impl Frozen {
    pub(super) fn is_due(&self, work: Work, view: View<'_>) -> bool {
        let unacknowledged = |page: PageNumber| self.resident.write_backs.contains(page);
        match work {
            // Content must not be on its way to two places at once: the store could be overtaken.
            Work::Transfer(page) => self.to_transfer.contains(page) && !unacknowledged(page),
            Work::Flush(page) => self.to_flush.contains(page) && !unacknowledged(page),
            // The same the other way round: what travels is the destination's to write back.
            Work::WriteBack(page) => {
                let travels = self.to_transfer.contains(page) || self.sent.in_step.contains(page);
                !travels && self.resident.write_back_due(page, view)
            }
            Work::SendState => self.state_due(view),
            _ => false,
        }
    }

    fn state_due(&self, view: View<'_>) -> bool {
        let flushing = view.policy.freeze == Freeze::Flush;
        self.to_transfer.is_empty()
            && self.to_flush.is_empty()
            && (!flushing || self.resident.write_backs.is_empty())
    }

    pub(super) fn perform(&mut self, work: Work, cx: &mut Context<'_>) -> Stepped {
        let Route { to, epoch } = self.route;
        match work {
            Work::Transfer(page) => {
                let sequence = self.sent.send(page, FormerHost { host: to, epoch }, Channel::Main, cx)?;
                self.to_transfer.remove(page);
                Ok((epoch, Event::PageTransferred { page, sequence, to }))
            }
            Work::Flush(page) => {
                let version = self.resident.send_to_store(page, cx)?;
                self.to_flush.remove(page);
                Ok((epoch, Event::PageFlushed { page, version }))
            }
            Work::WriteBack(page) => self.resident.write_back(page, cx),
            _ => Err(Refusal::NotDue(work).into()),
        }
    }

    /// Sends registers, dirty map and plan.
    pub(super) fn send_state(&mut self, cx: &mut Context<'_>) -> (Offered, Event) {
        let Route { to, epoch } = self.route;
        let me = FormerHost { host: cx.me, epoch };
        let former_hosts: Vec<_> =
            self.resident.former_hosts.iter().copied().filter(|former| former.host != to).collect();
        let plan: Plan = cx.image.page_numbers().map(|page| self.plan_for(page, me, cx.view())).collect();
        let stays =
            |entry: PlanEntry| matches!(entry.whereabouts, Whereabouts::At(former, _) if former == me);
        let mut owed = PageSet::empty(cx.image.page_count());
        for (page, entry) in cx.image.page_numbers().zip(plan.entries()) {
            if stays(entry) {
                owed.insert(page);
            }
        }
        let registers = std::mem::take(&mut self.registers);
        cx.send(to, epoch, Message::State(State { registers, former_hosts, plan }));
        let resident = std::mem::take(&mut self.resident);
        let sent = std::mem::take(&mut self.sent);
        (Offered { resident, route: self.route, sent, owed, ready: false }, Event::StateSent { to })
    }

    fn plan_for(&self, page: PageNumber, me: FormerHost, view: View<'_>) -> PlanEntry {
        let record = self.resident.page(page);
        let sequence = self.sent.sequences[page.index()];
        let stays = Whereabouts::At(me, sequence);
        let unmodified_is_local = view.policy.clean == Clean::LocalStore && !record.dirty;
        let whereabouts = match record.location {
            Location::At(former, outdated) => Whereabouts::At(former, outdated),
            Location::FileServer => Whereabouts::FileServer,
            Location::LocalStore => Whereabouts::LocalStore,
            Location::Here if self.sent.in_step.contains(page) => Whereabouts::Travelled(sequence),
            Location::Here => match (view.policy.missing, view.image.kind(page)) {
                (Missing::Never | Missing::Source, _) if unmodified_is_local => Whereabouts::LocalStore,
                (Missing::Never | Missing::Source, _) => stays,
                (Missing::FileServer, _) => Whereabouts::FileServer,
                (Missing::ByKind, PageKind::Private) if record.dirty => stays,
                (Missing::ByKind, PageKind::FileMapped)
                    if unmodified_is_local && !view.policy.writes_back() =>
                {
                    Whereabouts::LocalStore
                }
                (Missing::ByKind, PageKind::Private) => Whereabouts::LocalStore,
                // What the file server has not acknowledged it may not have: fetched from there at once, the
                // page would be stale.
                (Missing::ByKind, PageKind::FileMapped)
                    if record.dirty || self.resident.write_backs.contains(page) =>
                {
                    stays
                }
                (Missing::ByKind, PageKind::FileMapped) => Whereabouts::FileServer,
            },
        };
        PlanEntry { whereabouts, dirty: record.dirty, version: record.version }
    }

    /// What could be due, most urgent first.
    pub(super) fn candidates<'a>(&'a self, view: View<'a>) -> Box<dyn Iterator<Item = Work> + 'a> {
        let transfers = self.to_transfer.iter().map(Work::Transfer);
        let flushes = self.to_flush.iter().map(Work::Flush);
        Box::new(transfers.chain(flushes).chain([Work::SendState]).chain(view.write_backs(&self.resident)))
    }
}
