//! How things go wrong, and what the driver tells the hosts about it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::host::{Host, Location, Resident, Role};
use protocol::memory::PageStore;
use protocol::page::PageKind;
use protocol::source::Source;
use protocol::wire::FormerHost;
use steplog::event::{Event, Step};
use steplog::fate::{Fate, Loss};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use super::disruption::{Disruption, Injected, Moment, Scheduled};
use super::schedule::Occurrence;
use super::{Discrepancy, World, WorldError};

/// After what time a host learns that its peer has given the connection up.
const HANG_UP_NOTICED_AFTER_NS: u64 = 1_000_000;

/// After what time there is a new connection in place of one that was given up.
const HANG_UP_LASTS_NS: u64 = 5_000_000;

/// What goes wrong, has gone wrong, and came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble {
    /// What is still to come after a number of steps, the earliest first.
    pending: VecDeque<(usize, Disruption)>,
    /// Machines that are down, and whether the process was there or on its way there.
    dead: BTreeMap<HostId, bool>,
    /// Destinations that will refuse.
    refusals: u32,
    pub injected: Injected,
    /// Whether a crash has taken something that was nowhere else.
    doomed: bool,
    /// Whether the process is gone.
    pub lost: bool,
}

impl World {
    /// Schedules what is to go wrong.
    pub(super) fn expect_trouble(&mut self, disruptions: &[Scheduled]) {
        let mut after_steps = Vec::new();
        for &Scheduled { when, disruption } in disruptions {
            match when {
                Moment::AtNs(at_ns) => self.schedule.at(at_ns, Occurrence::Disruption(disruption)),
                Moment::AfterSteps(steps) => after_steps.push((steps, disruption)),
            }
        }
        after_steps.sort_by_key(|(steps, _)| *steps);
        self.trouble.pending = after_steps.into();
    }

    /// Lets go wrong what is due after so many steps.
    pub(super) fn disrupt_if_due(&mut self) -> Result<(), WorldError> {
        while let Some(&(steps, disruption)) = self.trouble.pending.front() {
            if steps > self.log.len() {
                break;
            }
            self.trouble.pending.pop_front();
            self.disrupt(disruption)?;
        }
        Ok(())
    }

    pub(super) fn disrupt(&mut self, disruption: Disruption) -> Result<(), WorldError> {
        let effective = match disruption {
            Disruption::Cut { between, noticed_after_ns, lasts_ns } => {
                self.cut(between, noticed_after_ns, lasts_ns)?
            }
            Disruption::Outage { noticed_after_ns, lasts_ns } => {
                self.outage(noticed_after_ns, lasts_ns)?;
                true
            }
            Disruption::Crash { host, noticed_after_ns, lasts_ns } => {
                self.crash(host, noticed_after_ns, lasts_ns)?
            }
            Disruption::Cancel => self.cancel()?,
            Disruption::Refuse => {
                self.trouble.refusals += 1;
                true
            }
        };
        if effective {
            *self.trouble.injected.entry(disruption.kind()).or_default() += 1;
        }
        self.collect()
    }

    fn cut(
        &mut self,
        between: [HostId; 2],
        noticed_after_ns: [u64; 2],
        lasts_ns: u64,
    ) -> Result<bool, WorldError> {
        let [a, b] = between;
        if a == b || between.iter().any(|id| self.ensemble.host(*id).is_none()) {
            return Ok(false);
        }
        self.network.cut(a.into(), b.into());
        for (by, of, after_ns) in [(a, b, noticed_after_ns[0]), (b, a, noticed_after_ns[1])] {
            self.notice_after(by, of.into(), after_ns)?;
        }
        self.schedule.after(lasts_ns, Occurrence::Join(a.into(), b.into()));
        Ok(true)
    }

    fn outage(&mut self, noticed_after_ns: u64, lasts_ns: u64) -> Result<(), WorldError> {
        for id in self.all_hosts.clone() {
            self.network.cut(id.into(), Place::FileServer);
            self.notice_after(id, Place::FileServer, noticed_after_ns)?;
            self.schedule.after(lasts_ns, Occurrence::Join(id.into(), Place::FileServer));
        }
        Ok(())
    }

    fn crash(&mut self, id: HostId, noticed_after_ns: u64, lasts_ns: u64) -> Result<bool, WorldError> {
        let Some(host) = self.ensemble.crash(id) else { return Ok(false) };
        let at_ns = self.schedule.now_ns();
        self.log.push(Step { at_ns, place: id.into(), epoch: host.epoch(), event: Event::HostCrashed });
        let had_process = self.assess(&host);
        self.trouble.dead.insert(id, had_process);
        for place in self.places_but(id) {
            self.network.cut(id.into(), place);
            if let Place::Host(other) = place {
                self.notice_after(other, id.into(), noticed_after_ns)?;
            }
        }
        self.schedule.after(lasts_ns, Occurrence::Return(id));
        Ok(true)
    }

    /// What does the loss of this machine mean for the process?
    /// True if it took the process itself.
    fn assess(&mut self, dead: &Host<PageStore>) -> bool {
        let handed_over = |host: &Host<_>| matches!(host.role(), Role::Source(Source::Shadow(shadow)) if shadow.route.to == dead.id());
        let had_process = match self.ensemble.host(self.process.at) {
            None => self.process.at == dead.id() && *dead.role() != Role::Vacant,
            Some(last) => handed_over(last),
        };
        let owes = |resident: &Resident| {
            let at_dead = |location| matches!(location, Location::At(former, _) if former.host == dead.id());
            let numbered = self.image.page_numbers().zip(&resident.pages);
            numbered.filter(|(_, record)| at_dead(record.location)).any(|(page, record)| {
                let survives = self.scenario.policy.falls_back() && !record.dirty && self.is_stored(page);
                !survives
            })
        };
        self.trouble.doomed |=
            had_process || self.ensemble.hosts().filter_map(|host| host.role().resident()).any(owes);
        if had_process {
            self.lose_process();
        }
        had_process
    }

    /// Whether a backing store has the newest content of the page: the file server of what is written back, and the program
    /// image of everything else.
    fn is_stored(&self, page: PageNumber) -> bool {
        let written_back =
            self.scenario.policy.writes_back() && self.image.kind(page) == PageKind::FileMapped;
        let stored = match written_back {
            true => self.ensemble.file_server().stored(page).map(|stored| &stored.content),
            false => self.image.content(page),
        };
        stored.is_some_and(|content| self.oracle.check_content(page, content).is_ok())
    }

    fn lose_process(&mut self) {
        self.trouble.lost = true;
        self.underway = None;
        self.hops.clear();
    }

    fn cancel(&mut self) -> Result<bool, WorldError> {
        let may = |host: &&Host<_>| matches!(host.role(), Role::Source(source) if source.can_carry_on());
        let Some(id) = self.ensemble.hosts().find(may).map(Host::id) else { return Ok(false) };
        self.ensemble.tell(id, Host::cancel)?;
        Ok(true)
    }

    /// Whether the destination is to refuse rather than to say that it is ready.
    pub(super) fn takes_refusal(&mut self) -> bool {
        let refuses = self.trouble.refusals > 0;
        self.trouble.refusals = self.trouble.refusals.saturating_sub(1);
        refuses
    }

    /// A host notices after this time that a connection is gone: at once, if that is no time.
    fn notice_after(&mut self, by: HostId, of: Place, after_ns: u64) -> Result<(), WorldError> {
        let connection = self.network.connection(by.into(), of);
        if after_ns == 0 {
            return self.notice_loss(by, of, connection);
        }
        self.schedule.after(after_ns, Occurrence::Notice { by, of, connection });
        Ok(())
    }

    /// A host notices that a connection is gone, unless there is a new one by now.
    pub(super) fn notice_loss(&mut self, by: HostId, of: Place, connection: u64) -> Result<(), WorldError> {
        let current =
            self.network.connection(by.into(), of) == connection && self.network.is_cut(by.into(), of);
        if !current {
            return Ok(());
        }
        Ok(self.ensemble.part(by, of)?)
    }

    /// An obstacle between two places is gone; both hear of the new connection before anything is said over it.
    pub(super) fn join(&mut self, a: Place, b: Place) -> Result<(), WorldError> {
        if self.network.join(a, b) {
            self.ensemble.join(a, b)?;
        }
        Ok(())
    }

    /// The others are told that the machine was dead; then it is there again, with nothing on it.
    pub(super) fn return_from_the_dead(&mut self, id: HostId) -> Result<(), WorldError> {
        let Some(had_process) = self.trouble.dead.remove(&id) else { return Ok(()) };
        // A former host waits for the process, wherever that is; other machines are not its concern.
        let process_gone = had_process || self.exited;
        let concerned = |other: &&Host<_>| process_gone || former_route(other.role()).is_none();
        let told: Vec<_> = self.ensemble.hosts().filter(concerned).map(Host::id).collect();
        let places = self.places_but(id);
        let joined = places.into_iter().filter(|place| self.network.join(id.into(), *place));
        let joined: Vec<_> = joined
            .filter_map(|place| match place {
                Place::Host(other) => Some(other),
                Place::FileServer => None,
            })
            .collect();
        // Those who are not told only see a new connection.
        self.ensemble.replace(id, PageStore::vacant(self.image.page_count()), &told, &joined)?;
        Ok(())
    }

    /// The former hosts of the process on this host that have lost what they kept.
    pub(super) fn dead_former_hosts(&self, id: HostId) -> Vec<HostId> {
        let keeps = |former: &FormerHost| {
            let kept = self.ensemble.host(former.host).and_then(|host| match host.role() {
                Role::Source(source) => Some(source.epoch()),
                role => former_route(role).map(|(_, epoch)| epoch),
            });
            self.trouble.dead.contains_key(&former.host) || kept == Some(former.epoch)
        };
        let resident = self.ensemble.host(id).and_then(|host| host.role().resident());
        let former_hosts = resident.into_iter().flat_map(|resident| &resident.former_hosts);
        former_hosts.filter(|former| !keeps(former)).map(|former| former.host).collect()
    }

    fn places_but(&self, id: HostId) -> Vec<Place> {
        let hosts = self.all_hosts.iter().filter(|other| **other != id).map(|other| Place::Host(*other));
        hosts.chain([Place::FileServer]).collect()
    }

    /// What an event of a disruption means for the process and the operator.
    pub(super) fn notice_trouble(&mut self, id: HostId, event: &Event) -> Result<(), WorldError> {
        let fate = match event {
            // One-shot: nobody else had it any more.
            Event::RefusalLearned { .. }
                if matches!(self.ensemble.host(id).and_then(Host::fate), Some(Fate::Lost(_))) =>
            {
                self.trouble.doomed = true;
                self.lose_process();
                None
            }
            Event::MigrationCancelled { .. } | Event::RefusalLearned { .. } => {
                self.try_again();
                None
            }
            Event::PeerTimedOut { peer, fate } => {
                self.hang_up(id, *peer)?;
                *fate
            }
            Event::PeerDisconnected { fate, .. } | Event::PeerFenced { fate, .. } => *fate,
            Event::PageLost { .. } => Some(Fate::Lost(Loss::Pages(1))),
            // Committed to a machine that was dead already, though nobody knew.
            Event::ProcessHandedOver { to } if self.ensemble.host(*to).is_none() => {
                self.trouble.dead.insert(*to, true);
                self.trouble.doomed = true;
                self.lose_process();
                None
            }
            _ => None,
        };
        match fate {
            Some(Fate::CarriedOn(_)) => self.try_again(),
            Some(Fate::Lost(_)) if self.trouble.doomed => self.lose_process(),
            // A former host cannot know that the process had exited before the machine died that it was on.
            Some(Fate::Lost(Loss::Runner)) if self.exited => {}
            Some(Fate::Lost(_)) => return Err(Discrepancy::LostWithoutNeed.into()),
            _ => {}
        }
        Ok(())
    }

    /// The process runs on where it is; the operator will try again.
    fn try_again(&mut self) {
        if let Some(to) = self.underway.take() {
            self.hops.push_front(to);
        }
        self.schedule.after(0, Occurrence::Access);
    }

    /// A host has given a connection up: the other end hears of it, and somebody makes a new one.
    fn hang_up(&mut self, by: HostId, of: Place) -> Result<(), WorldError> {
        self.network.cut(by.into(), of);
        if let Place::Host(other) = of {
            self.notice_after(other, by.into(), HANG_UP_NOTICED_AFTER_NS)?;
        }
        self.schedule.after(HANG_UP_LASTS_NS, Occurrence::Join(by.into(), of));
        Ok(())
    }

    /// At most one host runs the process.
    pub(super) fn check_one_runner(&self) -> Result<(), WorldError> {
        let running: BTreeSet<_> =
            self.ensemble.hosts().filter(|host| host.is_running()).map(Host::id).collect();
        if running.len() > 1 { Err(Discrepancy::RunsTwice.into()) } else { Ok(()) }
    }
}

fn former_route(role: &Role) -> Option<(HostId, Epoch)> {
    let shadow = match role {
        Role::Source(Source::Shadow(shadow)) => shadow,
        Role::Destination(destination) => destination.former()?,
        _ => return None,
    };
    Some((shadow.route.to, shadow.route.epoch))
}
