//! Who is source, destination and third host, and in which phase they are.

use std::borrow::Cow;

use model::Phase;
use model::strategy::{Passes, Pre};
use protocol::destination::{Assembling, AwaitingGo, Completing, Destination, Post, Receiving};
use protocol::host::{Host, Location, PageRecord, Resident, Role};
use protocol::page_set::PageSet;
use protocol::source::{
    Announced, Draining, Frozen, Offered, Pass, PreMigration, Route, Sent, Shadow, Source,
};
use protocol::wire::FormerHost;
use protocol::wire::{Message, PlanEntry, State, Whereabouts};
use steplog::page::PageNumber;
use steplog::place::{HostId, Sequence};

use super::Unmapped;
use crate::flaws::FlawedMemory;
use crate::rig::Rig;

/// The cast of a moment.
pub(super) struct Scene<'a> {
    pub rig: &'a Rig,
    pub phase: Phase,
    /// The model's source; at rest, the process's host.
    pub source: HostId,
    /// The model's destination; at rest, any other host.
    pub destination: HostId,
    /// The record of the process that counts: the one of the host that runs it or will run it next.
    pub resident: Cow<'a, Resident>,
    /// What the source has sent in this migration, while it remembers.
    pub sent: Option<&'a Sent>,
    /// The pass of pre-copy.
    pub pass: Option<&'a Pass>,
    /// What has arrived at a destination that has not got the state.
    pub receiving: Option<&'a Receiving>,
    /// The pages that the destination must get before it can run the process.
    pub awaited: Option<&'a PageSet>,
    /// The state on its way.
    pub offer: Option<&'a State>,
    /// What the source keeps after the hand-over.
    pub shadow: Option<&'a Shadow>,
    /// The source has heard that it is expected.
    pub begun: bool,
    /// The source has heard *ready*.
    pub ready: bool,
    /// The source has heard *complete*.
    pub drains: bool,
}

impl<'a> Scene<'a> {
    /// `None` when the process is gone.
    pub fn of(rig: &'a Rig) -> Result<Option<Self>, Unmapped> {
        let scenes = rig.hosts().map(|host| Self::at(rig, host));
        let mut scenes = scenes.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        let scene = scenes.pop();
        match scenes.is_empty() {
            true => Ok(scene),
            false => Err(Unmapped("two hosts have the process".to_owned())),
        }
    }

    /// The scene as seen from the host that has the process: that runs it, or that will say *go*, or that has
    /// been told so.
    fn at(rig: &'a Rig, host: &'a Host<FlawedMemory>) -> Result<Option<Self>, Unmapped> {
        let me = host.id();
        match host.role() {
            Role::Source(Source::Resting(resident)) => Ok(Some(Self::at_rest(rig, me, resident))),
            Role::Source(Source::Announced(Announced { resident, route })) => {
                Ok(Some(Self::announced(rig, me, *route, resident)))
            }
            Role::Source(Source::PreMigration(pre)) => {
                let PreMigration { resident, route, sent, pass } = pre;
                match (pass, resident.came_from()) {
                    (Some(_), _) if rig.is_forgotten(route.to, route.epoch) => {
                        Ok(Some(Self::new(rig, Phase::Forgotten, me, route.to, resident)))
                    }
                    (Some(pass), _) => {
                        let phase = Phase::PreCopy { pass: pass_number(rig, pass) };
                        let scene = Self::new(rig, phase, me, route.to, resident);
                        let receiving = receiving(rig, *route);
                        Ok(Some(Scene { sent: Some(sent), pass: Some(pass), receiving, ..scene }))
                    }
                    (None, None) if rig.announces() => {
                        let scene = Self::announced(rig, me, *route, resident);
                        Ok(Some(Scene { begun: true, ..scene }))
                    }
                    // Where nothing is copied ahead, the migration begins with the suspension.
                    (None, None) => Ok(Some(Self::at_rest(rig, me, resident))),
                    (None, Some(former)) => Ok(Some(Self::after(rig, Phase::Running, former, me, resident))),
                }
            }
            Role::Source(Source::Frozen(frozen)) => {
                let Frozen { resident, route, registers: _, sent, to_transfer: _, to_flush: _, switched: _ } =
                    frozen;
                if rig.is_forgotten(route.to, route.epoch) {
                    return Ok(Some(Self::new(rig, Phase::Forgotten, me, route.to, resident)));
                }
                let scene = Self::new(rig, Phase::Freeze, me, route.to, resident);
                let receiving = receiving(rig, *route);
                Ok(Some(Scene { sent: Some(sent), receiving, ..scene }))
            }
            Role::Source(Source::Offered(offered)) => Self::offered(rig, me, offered).map(Some),
            Role::Source(Source::Shadow(shadow)) => Self::sent_off(rig, me, shadow),
            Role::Source(Source::Draining(_)) => Ok(None),
            Role::Destination(destination) => Self::at_destination(rig, me, destination),
            Role::Vacant => Ok(None),
            Role::Failed(fault) => Err(Unmapped(format!("{me} has failed: {fault}"))),
        }
    }

    /// The destination has been asked, or has said that it expects the process.
    fn announced(rig: &'a Rig, me: HostId, route: Route, resident: &'a Resident) -> Self {
        let expects = |host: &Host<_>| matches!(host.role(), Role::Destination(destination) if destination.epoch() == route.epoch);
        let phase = match rig.host(route.to).is_some_and(expects) {
            true => Phase::Expected,
            false if rig.is_forgotten(route.to, route.epoch) => Phase::Forgotten,
            false => Phase::Announced,
        };
        Self::new(rig, phase, me, route.to, resident)
    }

    fn offered(rig: &'a Rig, me: HostId, offered: &'a Offered) -> Result<Self, Unmapped> {
        // Until the *go* is sent, whether the *ready* has arrived makes no difference to anybody else.
        let Offered { resident, route, sent, owed: _, ready } = offered;
        if rig.is_forgotten(route.to, route.epoch) {
            return Ok(Self::new(rig, Phase::Forgotten, me, route.to, resident));
        }
        let Some(Role::Destination(destination)) = rig.host(route.to).map(Host::role) else {
            return Err(Unmapped(format!("{} does not take what {me} offers", route.to)));
        };
        let scene = Scene { sent: Some(sent), ..Self::new(rig, Phase::Offered, me, route.to, resident) };
        match destination {
            Destination::Receiving(receiving) => {
                let offer = state_to(rig, *route)?;
                Ok(Scene { offer: Some(offer), receiving: Some(receiving), ..scene })
            }
            Destination::Assembling(Assembling { from: _, epoch: _, resident, awaited, former: _ }) => {
                let resident = Cow::Borrowed(resident);
                Ok(Scene { phase: Phase::Rebuilding, resident, awaited: Some(awaited), ..scene })
            }
            Destination::AwaitingGo(AwaitingGo { from: _, resident, former: _ }) => Ok(Scene {
                phase: Phase::Accepted,
                resident: Cow::Borrowed(resident),
                ready: *ready,
                ..scene
            }),
            Destination::Post(_) | Destination::Completing(_) => {
                Err(Unmapped(format!("{} runs the process that {me} has not handed over", route.to)))
            }
        }
    }

    /// The source has sent the state, and has nothing more to say before the process runs.
    fn sent_off(rig: &'a Rig, me: HostId, shadow: &'a Shadow) -> Result<Option<Self>, Unmapped> {
        let route = shadow.route;
        let one_shot = rig.is_one_shot();
        let withheld = shadow.withheld.as_deref().filter(|_| !rig.migration.strategy.says_ready());
        let phase = |before, after, loading: bool| match (one_shot, loading) {
            (true, true) => Phase::Loading,
            (true, false) => Phase::Entrusted,
            (false, true) => after,
            (false, false) => before,
        };
        let destination = match rig.host(route.to).map(Host::role) {
            Some(Role::Destination(destination)) if destination.epoch() == route.epoch => destination,
            _ => {
                let forgotten = withheld.filter(|_| rig.is_forgotten(route.to, route.epoch));
                let forgotten = forgotten.filter(|_| !rig.trouble.exit_untold);
                return Ok(forgotten.map(|resident| Self::new(rig, Phase::Forgotten, me, route.to, resident)));
            }
        };
        let scene = |phase, resident: Cow<'a, Resident>| {
            let (sent, shadow) = (Some(&shadow.sent), Some(shadow));
            Scene { sent, shadow, ..Self::with(rig, phase, me, route.to, resident) }
        };
        match destination {
            Destination::Receiving(receiving) => {
                let offer = state_to(rig, route)?;
                let resident = match withheld {
                    Some(resident) => Cow::Borrowed(resident),
                    None => Cow::Owned(resident_of(offer)),
                };
                let scene = scene(phase(Phase::Offered, Phase::Rebuilding, false), resident);
                Ok(Some(Scene { offer: Some(offer), receiving: Some(receiving), ..scene }))
            }
            Destination::Assembling(Assembling { from: _, epoch: _, resident, awaited, former: _ }) => {
                let scene = scene(phase(Phase::Offered, Phase::Rebuilding, true), Cow::Borrowed(resident));
                Ok(Some(Scene { awaited: Some(awaited), ..scene }))
            }
            Destination::AwaitingGo(_) | Destination::Post(_) | Destination::Completing(_) => Ok(None),
        }
    }

    fn at_destination(
        rig: &'a Rig,
        me: HostId,
        destination: &'a Destination,
    ) -> Result<Option<Self>, Unmapped> {
        match destination {
            // One-shot: its source is dead, and it can run the process all the same.
            Destination::Assembling(Assembling { from, epoch: _, resident, awaited, former: _ })
                if rig.is_one_shot() && rig.trouble.dead.contains(from) =>
            {
                let scene = Self::new(rig, Phase::Loading, *from, me, resident);
                Ok(Some(Scene { awaited: Some(awaited), ..scene }))
            }
            Destination::Receiving(_) | Destination::Assembling(_) => Ok(None),
            Destination::AwaitingGo(AwaitingGo { from, resident, former: _ }) => {
                let committed = shadow(rig, *from).is_some_and(|shadow| shadow.route.epoch == resident.epoch);
                Ok(committed.then(|| Self::after(rig, Phase::Committed, *from, me, resident)))
            }
            Destination::Post(Post { resident }) => {
                // One that is dead is a former host as long as the model counts it as dead.
                let dead = || resident.dead.last().map(|dead| dead.host);
                let former = resident
                    .came_from()
                    .or_else(dead)
                    .ok_or_else(|| Unmapped("no former host".to_owned()))?;
                Ok(Some(Self::after(rig, Phase::Running, former, me, resident)))
            }
            Destination::Completing(Completing { resident, awaited }) => {
                let former = resident.came_from().ok_or_else(|| Unmapped("no former host".to_owned()))?;
                // Done when the last of the former hosts is.
                let holds = |host: &FormerHost| match rig.host(host.host).map(Host::role) {
                    Some(Role::Source(source)) => source.epoch() == host.epoch,
                    _ => shadow(rig, host.host).is_some_and(|shadow| shadow.route.epoch == host.epoch),
                };
                let phase = if awaited.iter().any(holds) { Phase::Completing } else { Phase::Departing };
                let drains = awaited.iter().any(|former| match rig.host(former.host).map(Host::role) {
                    Some(Role::Source(Source::Draining(draining))) => draining.epoch == former.epoch,
                    _ => false,
                });
                Ok(Some(Scene { drains, ..Self::after(rig, phase, former, me, resident) }))
            }
        }
    }

    fn at_rest(rig: &'a Rig, me: HostId, resident: &'a Resident) -> Self {
        let other = rig.hosts().map(Host::id).find(|id| *id != me);
        Self::new(rig, Phase::Rest, me, other.unwrap_or(me), resident)
    }

    fn after(rig: &'a Rig, phase: Phase, source: HostId, me: HostId, resident: &'a Resident) -> Self {
        let shadow = shadow(rig, source).filter(|shadow| shadow.route.epoch == resident.epoch);
        let sent = shadow.map(|shadow| &shadow.sent);
        Scene { shadow, sent, ..Self::new(rig, phase, source, me, resident) }
    }

    fn new(rig: &'a Rig, phase: Phase, source: HostId, destination: HostId, resident: &'a Resident) -> Self {
        Self::with(rig, phase, source, destination, Cow::Borrowed(resident))
    }

    fn with(
        rig: &'a Rig,
        phase: Phase,
        source: HostId,
        destination: HostId,
        resident: Cow<'a, Resident>,
    ) -> Self {
        let (sent, pass, receiving, awaited, offer, shadow) = (None, None, None, None, None, None);
        let (begun, ready, drains) = (false, false, false);
        Scene {
            rig,
            phase,
            source,
            destination,
            resident,
            sent,
            pass,
            receiving,
            awaited,
            offer,
            shadow,
            begun,
            ready,
            drains,
        }
    }

    /// Has a page that the source owes and has pushed arrived before the state that says so?
    pub fn has_overtaken(&self, page: PageNumber, former: FormerHost, outdated: Sequence) -> bool {
        let arrived = self.receiving.and_then(|receiving| receiving.arrived.get(page.index()));
        former.host == self.source && arrived.is_some_and(|arrived| *arrived > outdated)
    }

    /// Does the state on its way bring the process straight back to the host that it came from?
    pub fn returns(&self) -> bool {
        let (Some(offer), Some(receiving)) = (self.offer, self.receiving) else { return false };
        let later = |former: &Shadow| offer.former_hosts.iter().all(|other| other.epoch < former.route.epoch);
        receiving.former.as_ref().is_some_and(later)
    }

    /// How often the source sent a page's content in this migration.
    pub fn sequence(&self, page: usize) -> u64 {
        let Some(Sent { sequences, in_step: _ }) = self.sent else { return 0 };
        sequences.get(page).map_or(0, |Sequence(sequence)| *sequence)
    }
}

/// The state that is on its way there, or that was lost on it.
fn state_to(rig: &Rig, route: Route) -> Result<&State, Unmapped> {
    let offers = rig.network.flights().iter().filter(|flight| flight.envelope.epoch == route.epoch);
    let offer = offers.into_iter().find_map(|flight| match &flight.envelope.message {
        Message::State(state) if !flight.is_forgotten() => Some(state),
        _ => None,
    });
    offer.ok_or_else(|| Unmapped("the state is nowhere".to_owned()))
}

/// The process as the state has it, whose source keeps no record of it.
fn resident_of(state: &State) -> Resident {
    let record = |entry: PlanEntry| {
        let location = match entry.whereabouts {
            Whereabouts::Travelled(_) => Location::Here,
            Whereabouts::At(former, outdated) => Location::At(former, outdated),
            Whereabouts::FileServer => Location::FileServer,
            Whereabouts::LocalStore => Location::LocalStore,
        };
        PageRecord { location, dirty: entry.dirty, version: entry.version, requested: false }
    };
    let pages: Vec<_> = state.plan.entries().map(record).collect();
    let pulled = PageSet::empty(pages.len() as u64);
    Resident { pages, pulled, former_hosts: state.former_hosts.clone(), ..Resident::default() }
}

/// What a host still owes of an earlier migration away from it, also while it takes the process back.
pub(super) fn shadow(rig: &Rig, host: HostId) -> Option<&Shadow> {
    match rig.host(host)?.role() {
        Role::Source(Source::Shadow(shadow)) => Some(shadow),
        Role::Destination(
            Destination::Receiving(Receiving { from: _, epoch: _, arrived: _, pages_arrived: _, former })
            | Destination::Assembling(Assembling { from: _, epoch: _, resident: _, awaited: _, former })
            | Destination::AwaitingGo(AwaitingGo { from: _, resident: _, former }),
        ) => former.as_ref(),
        _ => None,
    }
}

/// Does the host keep something of a process that has left it?
pub(super) fn keeps_something(host: &Host<FlawedMemory>) -> bool {
    match host.role() {
        Role::Source(
            Source::Shadow(_) | Source::Draining(Draining { epoch: _, tell: _, write_backs: _ }),
        ) => true,
        Role::Destination(Destination::Receiving(receiving)) => receiving.former.is_some(),
        _ => false,
    }
}

fn receiving(rig: &Rig, route: Route) -> Option<&Receiving> {
    match rig.host(route.to)?.role() {
        Role::Destination(Destination::Receiving(receiving)) => Some(receiving),
        _ => None,
    }
}

/// The model counts passes only where their number is bounded.
fn pass_number(rig: &Rig, pass: &Pass) -> u8 {
    match rig.migration.strategy.pre {
        Pre::Copy(Passes::AtMost(_)) => u8::try_from(pass.number).unwrap_or(u8::MAX),
        _ => 1,
    }
}
