//! What follows from a step at once: messages are sent, pages counted, and the network forgets.

use protocol::ensemble::Said;
use protocol::host::{Host, Location, Role, WriteBack};
use protocol::source::{Draining, Shadow, Source};
use protocol::wire::Message;
use steplog::event::Event;
use steplog::page::PageNumber;
use steplog::place::{Place, Version};

use super::{Happening, Rig};
use crate::flaws::{Flaw, FlawedMemory};
use crate::network::FlightFate;

impl Rig {
    pub(super) fn collect(&mut self, happenings: &mut Vec<Happening>) {
        let Rig { ensemble, network, flaw, trouble, .. } = self;
        let Said { messages: mut said, steps } = ensemble.take();
        let step = |(place, epoch, event)| Happening::Step { place, epoch, event };
        happenings.extend(steps.into_iter().map(step));
        for envelope in &mut said {
            if !trouble.aborted.is_empty() {
                Flaw::retried(*flaw, envelope);
            }
        }
        for envelope in said.into_iter().flat_map(|envelope| Flaw::said(*flaw, envelope)) {
            let with_store = envelope.from == Place::FileServer || envelope.to == Place::FileServer;
            match (with_store, trouble.outage, trouble.cut || !trouble.dead.is_empty()) {
                (true, true, _) => {}
                (false, _, true) => network.send_in_vain(envelope),
                _ => network.send(envelope),
            }
        }
    }

    /// What is left to do after a step that is no endpoint's business: count, and let the network forget.
    pub(super) fn clear_up(&mut self, happenings: &[Happening]) {
        for happening in happenings {
            let Happening::Step { event, .. } = happening else { continue };
            match event {
                Event::ProcessReleased { .. } => self.late.clear(),
                Event::MigrationStarted { .. } if self.copies() => self.crossings.fill(0),
                Event::ProcessSuspended { .. } if !self.copies() => {
                    self.crossings.fill(0);
                    self.forget_idle_requests();
                }
                Event::PageCopied { page, .. }
                | Event::PageTransferred { page, .. }
                | Event::PageServed { page, .. }
                | Event::PagePushed { page, .. } => self.crossings[page.index()] += 1,
                Event::DestructionLearned { at_rest: true, .. } => {
                    self.crossings.fill(0);
                    self.network.close();
                }
                // The acknowledgement of a duplicate says nothing new, unless the first one was lost.
                Event::WriteBackSuperseded { page, version, .. } if !self.is_only_answer(*page, *version) => {
                    let (page, version) = (*page, *version);
                    let done = Message::WriteBackDone { page, version };
                    let last =
                        self.network.flights().iter().rposition(|flight| flight.envelope.message == done);
                    last.map(|at| self.network.take(at, false));
                }
                _ => {}
            }
        }
        self.drop_useless();
    }

    /// Has a host said this write-back again, because the answer to it was lost in an outage?
    fn is_only_answer(&self, page: PageNumber, version: Version) -> bool {
        let same = |message: &Message| match message {
            Message::WriteBack { page: other, version: of, .. }
            | Message::WriteBackDone { page: other, version: of } => (*other, *of) == (page, version),
            _ => false,
        };
        let mut flights = self.network.flights().iter().filter(|flight| flight.fate != FlightFate::Echo);
        let others = flights.by_ref().filter(|flight| same(&flight.envelope.message)).count();
        self.is_disrupted()
            && others == 1
            && self.outstanding(page).is_some_and(|noted| noted.version == version)
    }

    pub(super) fn copies(&self) -> bool {
        matches!(self.migration.strategy.pre, model::strategy::Pre::Copy(_))
    }

    /// The write-back of the page that a host has a note of.
    pub(crate) fn outstanding(&self, page: PageNumber) -> Option<&WriteBack> {
        self.hosts().find_map(|host| match host.role() {
            Role::Source(
                Source::Shadow(Shadow { write_backs, .. }) | Source::Draining(Draining { write_backs, .. }),
            ) => write_backs.0.get(&page),
            role => role.resident().and_then(|resident| resident.write_backs.0.get(&page)),
        })
    }

    /// A request that the process does not wait for any more: a duplicate.
    fn forget_idle_requests(&mut self) {
        self.network.forget(|flight| matches!(flight.envelope.message, Message::Request { .. }));
    }

    /// What was lost is sent again only while it is of use: the newest content, a request whose answer is
    /// waited for.
    fn drop_useless(&mut self) {
        let Rig { ensemble, network, .. } = self;
        let waits_for = |host: &Host<FlawedMemory>, page: PageNumber| {
            let resident = host.role().resident();
            resident.is_some_and(|resident| {
                let missing = resident.pages[page.index()].location != Location::Here;
                missing && resident.waits.contains(page) || resident.pulled.contains(page)
            })
        };
        network.drop_useless(|page| ensemble.hosts().any(|host| waits_for(host, page)));
    }
}
