//! What goes wrong between and under the hosts, and what they are told about it.
//!
//! Nobody is told of a cut, a crash or an outage: a host notices when the input says so. Who speaks meanwhile speaks in
//! vain. Only a fence, the word that a machine is dead, is certain; with it the machine is back, and vacant.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use protocol::ensemble::PlaceError;
use protocol::error::Error;
use protocol::host::{Host, Location, Resident, Role, Timeouts};
use protocol::source::Source;
use steplog::place::{Epoch, HostId, Place};
use tie::flaws::{Flaw, FlawedMemory};

use super::{Bench, HOSTS, finding};
use crate::FuzzFinding;

/// Something that goes wrong, or is in order again. Numbers pick one of those that there are; what is not possible does
/// not happen.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A connection breaks, with everything that is on its way over it.
    Cut(u8),
    /// All connections to the file server break. What it holds survives.
    Outage,
    /// A machine dies, with everything on it.
    Crash(u8),
    /// A host notices that a connection is gone.
    Notice(u8),
    /// A host has waited too long for whomever it waits for.
    Tick(u8),
    /// The operator asks a host to call the migration off.
    Cancel(u8),
    /// A host does not take the process after all.
    Refuse(u8),
    /// There is a new connection in place of a broken one.
    Join(u8),
    /// The others are told that a machine was dead.
    Fence(u8),
}

/// What is known to nobody in the world.
#[derive(Clone, Debug)]
pub(super) struct Troubles {
    /// Between whom there is no connection, the smaller place first.
    pub apart: BTreeSet<(Place, Place)>,
    /// The machines that are dead without anybody having been told, and whether the process died with them.
    pub dead: BTreeMap<HostId, bool>,
    /// The latest migration before the last death of a machine: what it kept until then is gone.
    pub died: BTreeMap<HostId, Epoch>,
    /// The attempts that their source has called off.
    pub called_off: BTreeSet<Epoch>,
    /// Where the process is or last was: from the hand-over until it resumes, two hosts without any of which it is lost.
    pub holders: Vec<HostId>,
    /// A machine has died that had pages which nobody else has.
    pub doomed: bool,
    /// The process is gone.
    pub lost: bool,
    /// The process has exited.
    pub exited: bool,
    /// Nothing of a process that has exited is needed any more.
    pub released: bool,
    /// A host as it was before it handed the process over, for the flaws that take the process back.
    pub before_hand_over: Option<Box<Host<FlawedMemory>>>,
    now_ns: u64,
}

/// So short that each silence is too long.
const TIMEOUT_NS: u64 = 1;

impl Troubles {
    /// All is well, with the process on this host.
    pub fn none(with_process: HostId) -> Self {
        Self {
            apart: BTreeSet::new(),
            dead: BTreeMap::new(),
            died: BTreeMap::new(),
            called_off: BTreeSet::new(),
            holders: vec![with_process],
            doomed: false,
            lost: false,
            exited: false,
            released: false,
            before_hand_over: None,
            now_ns: 0,
        }
    }

    /// Does nothing get from one to the other?
    pub fn are_apart(&self, a: Place, b: Place) -> bool {
        self.apart.contains(&connection(a, b))
    }

    /// Is this machine up?
    pub fn is_alive(&self, id: HostId) -> bool {
        !self.dead.contains_key(&id)
    }
}

/// How long the hosts wait.
pub(super) fn timeouts() -> Timeouts {
    let limit_ns = Some(TIMEOUT_NS);
    Timeouts { hand_over_ns: limit_ns, arrival_ns: limit_ns, answer_ns: limit_ns }
}

impl Bench {
    /// Lets something go wrong, or be in order again.
    pub fn suffer(&mut self, trouble: Trouble) -> Result<(), FuzzFinding> {
        let struck = match trouble {
            Trouble::Cut(which) => {
                let connections = connections();
                let (a, b) = connections[usize::from(which) % connections.len()];
                self.part(a, b);
                Ok(())
            }
            Trouble::Outage => {
                self.lose_file_server();
                Ok(())
            }
            Trouble::Crash(which) => {
                self.crash(host_id(which));
                Ok(())
            }
            Trouble::Notice(which) => self.notice_loss(which),
            Trouble::Tick(which) => self.wait_in_vain(host_id(which)),
            Trouble::Cancel(which) => self.cancel(host_id(which)),
            Trouble::Refuse(which) => allowed(self.ensemble.tell(host_id(which), Host::refuse)),
            Trouble::Join(which) => self.join_one(which),
            Trouble::Fence(which) => self.fence_one(which),
        };
        struck.map_err(|error| finding(&format!("{trouble:?}"), &error))?;
        self.collect()
    }

    /// Everything is in order again, and everybody has been told.
    pub fn mend(&mut self) -> Result<(), FuzzFinding> {
        while !self.joinable().is_empty() {
            self.suffer(Trouble::Join(0))?;
        }
        while !self.troubles.dead.is_empty() {
            self.suffer(Trouble::Fence(0))?;
        }
        Ok(())
    }

    /// The connection breaks, with everything that is on its way over it.
    pub(super) fn part(&mut self, a: Place, b: Place) {
        let broken = connection(a, b);
        self.troubles.apart.insert(broken);
        self.flights.retain(|envelope| connection(envelope.from, envelope.to) != broken);
    }

    fn lose_file_server(&mut self) {
        for host in 0..HOSTS {
            self.part(HostId(host).into(), Place::FileServer);
        }
        if self.flaw == Some(Flaw::StoredVolatile) {
            self.ensemble.forget_stored();
        }
    }

    fn crash(&mut self, id: HostId) {
        if !self.troubles.is_alive(id) {
            return;
        }
        let had_process = self.troubles.holders.contains(&id);
        self.troubles.lost |= had_process && !self.troubles.released;
        self.troubles.doomed |= self.process().is_some_and(|process| needs(process, id));
        let latest = self.hosts().map(Host::epoch).max().unwrap_or_default();
        self.troubles.dead.insert(id, had_process);
        self.troubles.died.insert(id, latest);
        for place in places().filter(|place| *place != id.into()) {
            self.part(id.into(), place);
        }
        self.ensemble.crash(id);
    }

    /// The records of the process, at the host that it depends on.
    fn process(&self) -> Option<&Resident> {
        let holder = self.troubles.holders.last()?;
        self.host(*holder)?.role().resident()
    }

    fn notice_loss(&mut self, which: u8) -> Result<(), PlaceError> {
        let unnoticed =
            |&(id, peer): &(HostId, Place)| self.host(id).is_some_and(|host| host.is_connected(peer));
        let ends = self.troubles.apart.iter().flat_map(|&(a, b)| [(a, b), (b, a)]);
        let of_hosts = ends.filter_map(|(end, other)| match end {
            Place::Host(id) => Some((id, other)),
            Place::FileServer => None,
        });
        let Some((id, peer)) = pick(which, of_hosts.filter(unnoticed).collect()) else { return Ok(()) };
        if peer != Place::FileServer {
            self.take_back(Flaw::ResumesOnSilence);
        }
        self.ensemble.part(id, peer)
    }

    /// The first tick winds the clock.
    fn wait_in_vain(&mut self, id: HostId) -> Result<(), PlaceError> {
        for _ in 0..2 {
            self.troubles.now_ns += TIMEOUT_NS;
            self.ensemble.tick(id, self.troubles.now_ns)?;
        }
        Ok(())
    }

    fn cancel(&mut self, id: HostId) -> Result<(), PlaceError> {
        self.take_back(Flaw::CancelsTooLate);
        allowed(self.ensemble.tell(id, Host::cancel))
    }

    /// With this flaw a source that has handed the process over goes back to before.
    fn take_back(&mut self, flaw: Flaw) {
        if self.flaw != Some(flaw) {
            return;
        }
        if let Some(before) = self.troubles.before_hand_over.take() {
            self.ensemble.restore(*before);
        }
    }

    /// The broken connections between places that are up.
    fn joinable(&self) -> Vec<(Place, Place)> {
        let is_up = |place: Place| match place {
            Place::Host(id) => self.troubles.is_alive(id),
            Place::FileServer => true,
        };
        self.troubles.apart.iter().copied().filter(|&(a, b)| is_up(a) && is_up(b)).collect()
    }

    fn join_one(&mut self, which: u8) -> Result<(), PlaceError> {
        let Some((a, b)) = pick(which, self.joinable()) else { return Ok(()) };
        self.troubles.apart.remove(&(a, b));
        self.ensemble.join(a, b)
    }

    /// A former host waits for the process, wherever that is: machines that the process was not on are not its concern,
    /// and it only sees a new connection.
    fn fence_one(&mut self, which: u8) -> Result<(), PlaceError> {
        let Some(id) = pick(which, self.troubles.dead.keys().copied().collect()) else { return Ok(()) };
        let had_process = self.troubles.dead.remove(&id).unwrap_or_default();
        let troubles = &mut self.troubles;
        let mut apart = std::mem::take(&mut troubles.apart);
        apart.retain(|&(a, b)| {
            let is_dead = |place| matches!(place, Place::Host(id) if !troubles.is_alive(id));
            let back = a == id.into() || b == id.into();
            !back || is_dead(a) || is_dead(b)
        });
        troubles.apart = apart;
        let is_told = |host: &&Host<FlawedMemory>| had_process || !is_former(host.role());
        let told: Vec<_> = self.hosts().filter(is_told).map(Host::id).collect();
        let joined: Vec<_> = self.hosts().map(Host::id).collect();
        let memory = FlawedMemory::vacant(self.page_count(), self.flaw);
        self.ensemble.replace(id, memory, &told, &joined)
    }
}

/// What the operator may ask for too late, or of the wrong host.
fn allowed(asked: Result<(), PlaceError>) -> Result<(), PlaceError> {
    match asked {
        Err(PlaceError { error: Error::Refused(_), .. }) => Ok(()),
        asked => asked,
    }
}

/// Does the process need pages that only this host has?
fn needs(process: &Resident, id: HostId) -> bool {
    process.pages.iter().any(|record| matches!(record.location, Location::At(former, _) if former.host == id))
}

/// Does the host keep something of a process that has left it?
fn is_former(role: &Role) -> bool {
    match role {
        Role::Source(Source::Shadow(_)) => true,
        Role::Destination(destination) => destination.former().is_some(),
        _ => false,
    }
}

fn pick<T: Copy>(which: u8, among: Vec<T>) -> Option<T> {
    among.get(usize::from(which) % among.len().max(1)).copied()
}

fn host_id(which: u8) -> HostId {
    HostId(u16::from(which) % HOSTS)
}

fn places() -> impl Iterator<Item = Place> {
    (0..HOSTS).map(|id| HostId(id).into()).chain([Place::FileServer])
}

fn connections() -> Vec<(Place, Place)> {
    places().flat_map(|a| places().filter(move |b| a < *b).map(move |b| (a, b))).collect()
}

fn connection(a: Place, b: Place) -> (Place, Place) {
    (a.min(b), a.max(b))
}
