//! Who has which part: the model has roles and no hosts, one migration and no number of it, so both are followed here.
//!
//! [`lines`](super::lines) has what each kind of line asks of the roster, and what it changes in it.

use std::collections::{BTreeMap, BTreeSet};

use model::Phase;
use model::strategy::HandOver;
use steplog::header::{Header, Unseen};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use super::objection::Objection;

/// A former host, and the migration by which the process left it.
pub(super) type Former = (HostId, Epoch);

/// The process, and what each host has to do with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    /// Whether things go wrong, so that a host may know less than others have said.
    pub disrupted: bool,
    /// *Ready* leaves no line, or is not said.
    pub readiness_unseen: bool,
    /// Nobody says *go*: the process has left when it runs elsewhere.
    pub without_go: bool,
    /// *Go* comes in one message with the state: who forgets that has lost the process.
    pub one_shot: bool,
    /// The destination is told of a migration before it begins.
    pub announces: bool,
    /// *Go* is answered.
    pub answers_go: bool,
    /// What a dead machine owed comes from a backing store.
    pub falls_back: bool,
    pub connections_unseen: bool,
    /// Hosts part without a word.
    pub departure_unseen: bool,
    /// How often each machine has died.
    pub deaths: BTreeMap<HostId, u32>,
    /// Of how many of these deaths a host has been told: whom, and of whose.
    pub told: BTreeMap<(HostId, HostId), u32>,
    pub process: Process,
    pub members: BTreeMap<HostId, Member>,
}

/// Where the process is.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    /// The host that has it; until the next one resumes it, the one that has handed it over. `None` where no line has
    /// told yet, and when it is gone.
    pub at: Option<HostId>,
    /// It has died with its host, or was released.
    pub gone: bool,
    /// The migration that brought it there.
    pub epoch: Epoch,
    /// The hosts that may keep pages of it.
    pub formers: Vec<Former>,
    /// The former host that is known to be dead, while what it owed falls back.
    pub orphaned_by: Option<HostId>,
    /// The former hosts that have been told that nothing is missing, and have not answered.
    pub awaited: Option<Vec<Former>>,
    pub suspended: bool,
    /// The pages under the instruction and the stack pointer when it was suspended.
    pub pointed_at: [Option<PageNumber>; 2],
    pub exited: bool,
}

/// What a host has to do with the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// The latest migration in which it had a part.
    pub known: Epoch,
    pub leaving: Option<Leaving>,
    pub coming: Option<Coming>,
    pub left: Option<Left>,
    /// The latest migration in which it handed the process over.
    pub committed: Option<(HostId, Epoch)>,
    /// The attempt that it has forgotten without a connection, and says so over the next one.
    pub given_up: Option<Former>,
    /// Those whom it has told that the process has exited.
    pub exit_told: Vec<Former>,
    /// The places to which it knows that it has no connection.
    pub down: BTreeSet<Place>,
}

/// A migration from a host that has not handed the process over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub to: HostId,
    pub epoch: Epoch,
    pub pass: u32,
    /// It has not begun.
    pub announced: bool,
    pub offered: bool,
    pub ready: bool,
}

/// A migration to a host that does not run the process yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    pub from: HostId,
    pub epoch: Epoch,
    pub accepted: bool,
    pub ready: bool,
}

/// What a former host still has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub to: HostId,
    pub epoch: Epoch,
    /// It need not keep anything any more, and is to tell this host so, if any.
    pub done: Option<Option<HostId>>,
}

impl Roster {
    pub(super) fn new(header: &Header, hand_over: HandOver) -> Self {
        let unseen = |what| header.unseen.contains(&what);
        Roster {
            disrupted: header.disrupted,
            readiness_unseen: unseen(Unseen::Readiness) || !hand_over.says_ready(),
            without_go: hand_over == HandOver::None,
            one_shot: hand_over == HandOver::OneShot,
            answers_go: hand_over == HandOver::Acknowledged,
            connections_unseen: unseen(Unseen::Connections),
            departure_unseen: unseen(Unseen::Departure),
            ..Roster::default()
        }
    }

    pub(super) fn member(&mut self, host: HostId) -> &mut Member {
        self.members.entry(host).or_default()
    }

    /// The host that has the model's part of the source in this phase.
    pub(super) fn source(&self, phase: Phase) -> Option<HostId> {
        match phase.at_source() {
            true => self.process.at,
            false => self.process.formers.last().map(|(host, _)| *host),
        }
    }

    /// The process is on this host, which was its host before if any line has told.
    pub(super) fn has_process(&mut self, host: HostId) -> Result<(), Objection> {
        if self.process.gone {
            return Err(Objection::Process("is gone"));
        }
        match *self.process.at.get_or_insert(host) {
            at if at == host => Ok(()),
            at => Err(Objection::Misplaced(Some(at.into()))),
        }
    }

    /// The process runs on this host, in this migration.
    pub(super) fn runs(&mut self, host: HostId, epoch: Epoch) -> Result<(), Objection> {
        self.has_process(host)?;
        if self.process.suspended {
            return Err(Objection::Process("is suspended"));
        }
        if self.process.exited {
            return Err(Objection::Process("has exited"));
        }
        is_epoch(epoch, self.process.epoch)
    }

    /// The attempt to leave the host.
    pub(super) fn leaving(&mut self, host: HostId, epoch: Epoch) -> Result<&mut Leaving, Objection> {
        self.has_process(host)?;
        let lacks = "no migration from it is under way";
        let leaving = self.member(host).leaving.as_mut();
        let leaving = leaving.ok_or(Objection::NoPart { host: host.into(), lacks })?;
        is_epoch(epoch, leaving.epoch)?;
        Ok(leaving)
    }

    /// The same, to this host.
    pub(super) fn leaving_to(
        &mut self,
        host: HostId,
        epoch: Epoch,
        to: HostId,
    ) -> Result<&mut Leaving, Objection> {
        let leaving = self.leaving(host, epoch)?;
        is_peer(to, leaving.to)?;
        Ok(leaving)
    }

    /// The attempt that brings the process to the host from this one.
    pub(super) fn coming(
        &mut self,
        host: HostId,
        epoch: Epoch,
        from: HostId,
    ) -> Result<&mut Coming, Objection> {
        let lacks = "no migration to it is expected";
        let coming = self.member(host).coming.as_mut();
        let coming = coming.ok_or(Objection::NoPart { host: host.into(), lacks })?;
        is_epoch(epoch, coming.epoch)?;
        is_peer(from, coming.from)?;
        Ok(coming)
    }

    /// A migration from the host that has been announced and has not begun.
    pub(super) fn is_announced(&mut self, host: HostId, epoch: Epoch) -> bool {
        let here = self.announces && self.has_process(host).is_ok();
        let member = self.member(host);
        here && member.leaving.is_none() && epoch > member.known
    }

    /// Is it about a migration that the host has not been told of before, because the announcement was overtaken or declined?
    /// It is from then on; what the host has of an earlier one has been called off.
    pub(super) fn is_unheard_of(&mut self, host: HostId, epoch: Epoch) -> bool {
        let unheard = self.announces && epoch > self.member(host).known;
        if unheard {
            let member = self.member(host);
            (member.known, member.coming) = (epoch, None);
        }
        unheard
    }

    /// What the host has left of a process that it has handed over.
    pub(super) fn left(&mut self, host: HostId, epoch: Epoch) -> Result<&mut Left, Objection> {
        let lacks = "it keeps nothing of a process that has left";
        let left = self.member(host).left.as_mut();
        let left = left.ok_or(Objection::NoPart { host: host.into(), lacks })?;
        is_epoch(epoch, left.epoch)?;
        Ok(left)
    }

    /// The same, of which something is to come yet.
    pub(super) fn left_and_needed(&mut self, host: HostId, epoch: Epoch) -> Result<&mut Left, Objection> {
        let left = self.left(host, epoch)?;
        match left.done {
            None => Ok(left),
            Some(_) => {
                Err(Objection::NoPart { host: host.into(), lacks: "nothing is needed of it any more" })
            }
        }
    }

    /// The former host's migration, by which messages about its pages go.
    pub(super) fn former(&self, host: HostId) -> Option<Epoch> {
        self.process.formers.iter().rev().find(|(former, _)| *former == host).map(|(_, epoch)| *epoch)
    }

    /// May a page of this migration come from there? Otherwise that migration is over, and another one may be under way.
    pub(super) fn expects_pages(&self, place: Place, epoch: Epoch, from: Place) -> bool {
        let (Place::Host(host), Place::Host(from)) = (place, from) else { return true };
        let coming = self.members.get(&host).and_then(|member| member.coming);
        coming.is_some_and(|coming| coming.epoch == epoch)
            || self.process.at == Some(host) && self.former(from) == Some(epoch)
    }

    /// The migration that the host's latest part belongs to.
    pub(super) fn role_epoch(&self, host: HostId) -> Epoch {
        let Some(member) = self.members.get(&host) else { return Epoch(0) };
        // A machine that has come back knows nothing of what it had.
        let remembers = member.known >= self.process.epoch;
        let here = self.process.at == Some(host) && !self.process.gone && remembers;
        let coming = member.coming.map(|coming| coming.epoch);
        let leaving = member.leaving.map(|leaving| leaving.epoch);
        let left = member.left.map(|left| left.epoch);
        let running = (here && left.is_none()).then_some(self.process.epoch);
        coming.or(leaving).or(left).or(running).unwrap_or(member.known)
    }
}

pub(super) fn is_epoch(epoch: Epoch, expected: Epoch) -> Result<(), Objection> {
    if epoch == expected { Ok(()) } else { Err(Objection::Epoch(expected)) }
}

pub(super) fn is_peer(peer: HostId, expected: HostId) -> Result<(), Objection> {
    if peer == expected { Ok(()) } else { Err(Objection::Peer(expected.into())) }
}

pub(super) fn is_number(number: u64, expected: u64) -> Result<(), Objection> {
    if number == expected { Ok(()) } else { Err(Objection::Number(expected)) }
}
