//! What goes wrong, and what it leaves behind.
//!
//! A *disruption* is a crash of a host, an outage of the file server, a cut of the link between the hosts, a cancel by
//! the operator, a refusal by the destination, or a false suspicion. [`Disruptions`] says which of them a world
//! allows, how many, and when; a world without any is the one that all other modules describe. [`Aftermath`] is the
//! part of the control record that only disruptions change.
//!
//! ```text
//!   before the commit        cancel, refusal, lost connection, time-out, word of the destination's death
//!                            ──▶ abort: the process thaws at the source; the destination forgets when it hears of it
//!   the commit               the source's go; who has said ready and not heard go is in doubt, and decides nothing
//!   after the commit         lost connection, time-out ──▶ paused ──reconnect──▶ resync ──▶ the rest is sent
//!                            word of the death of a host that nothing is needed from ──▶ goes on without it
//!                            word of the death of a host that pages are needed from  ──▶ lost
//! ```
//!
//! A time-out cannot tell a dead peer from a cut link. A *fence* can: it is reliable word that the peer's machine is
//! dead. Only a fence ends in *lost*, or in going on without the peer; afterwards the machine is back, and vacant.
//!
//! Disruptions strike while a migration, or the repair of one, is under way; where write-back never stops
//! (`generic`), also at rest. Two hosts show all of them.

use std::fmt;
use std::str::FromStr;

use enumset::{EnumSet, EnumSetType};
use serde::{Deserialize, Serialize};

use crate::control::{Control, Phase, Process};
use crate::strategy::{Pre, Strategy};

/// Something that goes wrong.
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[enumset(serialize_repr = "list")]
pub enum Disruption {
    /// The source's machine dies, with everything in its memory.
    CrashSource,
    /// The destination's machine dies, with everything in its memory.
    CrashDestination,
    /// The file server is out of reach for a while; what it has stored survives.
    Outage,
    /// The link between the hosts breaks, with everything in flight on it.
    Cut,
    /// The operator cancels the migration.
    Cancel,
    /// The destination refuses when it could say *ready*.
    Refuse,
    /// A host takes the other one for dead, although both are alive and connected.
    Suspect,
}

impl Disruption {
    /// All of them, in the order of the tables.
    pub const ALL: [Disruption; 7] = [
        Disruption::Cancel,
        Disruption::Refuse,
        Disruption::Suspect,
        Disruption::Cut,
        Disruption::Outage,
        Disruption::CrashSource,
        Disruption::CrashDestination,
    ];
}

/// The part of a migration in which a disruption strikes.
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[enumset(serialize_repr = "list")]
pub enum Stage {
    /// A migration is announced, and has not begun.
    Announced,
    /// The process runs at the source, and pages travel or are written back already.
    PreMigration,
    /// The process is suspended, and the source has not committed.
    Freeze,
    /// The source's *go* is on its way.
    HandOver,
    /// The process runs at the destination, and the source may owe it pages.
    PostMigration,
    /// Nothing is owed any more, and the source is about to be freed.
    CleanUp,
}

impl Stage {
    /// All of them, in the order of a migration.
    pub const ALL: [Stage; 6] = [
        Stage::Announced,
        Stage::PreMigration,
        Stage::Freeze,
        Stage::HandOver,
        Stage::PostMigration,
        Stage::CleanUp,
    ];
}

/// What may strike next: one of some kinds, in one of some stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// Which disruptions.
    pub kinds: EnumSet<Disruption>,
    /// In which stages.
    pub stages: EnumSet<Stage>,
}

/// How many disruptions there can be.
pub const BUDGET_MAX: usize = 2;

/// The disruptions that a world allows: a budget, and for each that it has what it may be spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disruptions {
    first: Option<Strike>,
    second: Option<Strike>,
}

impl Disruptions {
    /// Nothing goes wrong.
    pub const NONE: Disruptions = Disruptions { first: None, second: None };

    /// Up to `budget` disruptions of these kinds, whenever they like.
    ///
    /// # Panics
    /// If the budget is above [`BUDGET_MAX`].
    pub fn up_to(budget: usize, kinds: EnumSet<Disruption>) -> Self {
        assert!(budget <= BUDGET_MAX, "a budget of {budget} disruptions; at most {BUDGET_MAX} are modelled");
        let strike = Strike { kinds, stages: EnumSet::all() };
        Disruptions { first: (budget > 0).then_some(strike), second: (budget > 1).then_some(strike) }
    }

    /// One disruption.
    pub fn one(strike: Strike) -> Self {
        Disruptions { first: Some(strike), second: None }
    }

    /// A disruption, and then another one.
    pub fn two(first: Strike, second: Strike) -> Self {
        Disruptions { first: Some(first), second: Some(second) }
    }

    /// How many disruptions there may be in a run.
    pub fn budget(&self) -> u8 {
        u8::from(self.first.is_some()) + u8::from(self.second.is_some())
    }

    /// Does nothing go wrong?
    pub fn is_none(&self) -> bool {
        self.budget() == 0
    }

    /// Is the disruption one of those that may strike at some time?
    pub fn include(&self, kind: Disruption) -> bool {
        self.strikes().any(|strike| strike.kinds.contains(kind))
    }

    /// May whatever strikes do so whenever it likes, and as often as there is a budget? Where it may not, some steps
    /// have no occasion.
    pub fn strike_freely(&self) -> bool {
        let free = |strike: &Strike| strike.stages == EnumSet::all();
        self.strikes().all(|strike| free(&strike)) && (self.budget() < 2 || self.first == self.second)
    }

    /// What may strike, in order.
    pub fn strikes(&self) -> impl Iterator<Item = Strike> + use<> {
        [self.first, self.second].into_iter().flatten()
    }

    /// After so many disruptions, may this one be next?
    pub(crate) fn allow(&self, struck: u8, kind: Disruption, stage: Stage) -> bool {
        let next = self.strikes().nth(usize::from(struck));
        next.is_some_and(|strike| strike.kinds.contains(kind) && strike.stages.contains(stage))
    }
}

/// The connection between the two hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// As good as ever.
    #[default]
    Up,
    /// Cut, given up, or at an end with one of the hosts. Who has not noticed yet sends in vain.
    Broken,
    /// A new one is there, and the destination's *resync* is on its way. The source sends nothing until it has heard
    /// what is still needed.
    Resyncing,
}

/// What the destination still has of an attempt that the source has aborted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leftover {
    /// Nothing.
    #[default]
    None,
    /// It expects a migration.
    Expecting,
    /// Pages at most.
    Receiving,
    /// The same, and the state is on its way.
    Offered,
    /// The state as well.
    Rebuilding,
    /// It has said *ready* and is in doubt: it must not decide alone, and waits to be told.
    InDoubt,
}

/// What disruptions have left behind. Without any it has its default value for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Aftermath {
    /// How many disruptions there have been.
    #[serde(skip_serializing_if = "is_default")]
    pub struck: u8,
    /// The connection between the two hosts.
    #[serde(skip_serializing_if = "is_default")]
    pub connection: Connection,
    /// The source's machine is dead, and the destination has not been told.
    #[serde(skip_serializing_if = "is_default")]
    pub source_down: bool,
    /// The destination's machine is dead, and the source has not been told.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_down: bool,
    /// The file server is out of reach.
    #[serde(skip_serializing_if = "is_default")]
    pub store_down: bool,
    /// What the other host still has of an aborted attempt.
    #[serde(skip_serializing_if = "is_default")]
    pub leftover: Leftover,
    /// The *ready* of an aborted attempt is on its way to the host that has aborted it.
    #[serde(skip_serializing_if = "is_default")]
    pub old_ready: bool,
    /// How often the source has heard, since this attempt began, what the destination still needs.
    #[serde(skip_serializing_if = "is_default")]
    pub recoveries: u8,
    /// Lazy copy: the attempt began in a Post-migration that had itself carried pages back.
    #[serde(skip_serializing_if = "is_default")]
    pub began_returned: bool,
}

impl Aftermath {
    /// Nothing has gone wrong.
    pub const NONE: Aftermath = Aftermath {
        struck: 0,
        connection: Connection::Up,
        source_down: false,
        destination_down: false,
        store_down: false,
        leftover: Leftover::None,
        old_ready: false,
        recoveries: 0,
        began_returned: false,
    };

    /// Does something remain to be repaired or cleaned up?
    pub fn is_unsettled(&self) -> bool {
        Aftermath { struck: 0, recoveries: 0, began_returned: false, ..*self } != Aftermath::NONE
    }

    /// Does a message between the hosts get through?
    pub fn is_connected(&self) -> bool {
        self.connection == Connection::Up
    }

    /// Is one of the hosts dead, and the other one has not been told?
    pub fn awaits_fence(&self) -> bool {
        self.source_down || self.destination_down
    }

    /// What still matters when the process has exited and the other host has to be told.
    #[must_use]
    pub(crate) fn at_exit(self) -> Self {
        let connection = match self.connection {
            Connection::Broken => Connection::Broken,
            Connection::Up | Connection::Resyncing => Connection::Up,
        };
        let Aftermath { source_down, destination_down, .. } = self;
        Aftermath { connection, source_down, destination_down, ..Aftermath::NONE }
    }

    /// What still matters when the process is at rest where it is.
    #[must_use]
    pub(crate) fn at_rest_again(self) -> Self {
        Aftermath { old_ready: false, ..self.for_next_attempt() }
    }

    /// What lasts from one attempt to the next.
    #[must_use]
    pub fn for_next_attempt(self) -> Self {
        Aftermath { recoveries: 0, began_returned: false, ..self }
    }
}

impl Control {
    /// The record with a control message on its way, whose name is the phase; it is lost where there is no connection.
    #[must_use]
    pub(crate) fn saying(self, phase: Phase) -> Self {
        Control { phase, message_lost: self.aftermath.connection == Connection::Broken, ..self }
    }

    /// The part of a migration under way, or `None` between migrations. A process whose write-back never stops
    /// rests in its Pre-migration; and what an aborted attempt has left behind remains to be cleaned up.
    pub fn stage(&self, strategy: &Strategy) -> Option<Stage> {
        match self.phase {
            Phase::Rest if strategy.pre == Pre::WriteBack => Some(Stage::PreMigration),
            Phase::Rest => (self.aftermath.for_next_attempt().is_unsettled()).then_some(Stage::CleanUp),
            Phase::Announced | Phase::Expected => Some(Stage::Announced),
            Phase::Forgotten if self.has_not_begun(strategy) => Some(Stage::Announced),
            Phase::Forgotten if self.process == Process::PreMigration => Some(Stage::PreMigration),
            Phase::PreCopy { .. } => Some(Stage::PreMigration),
            Phase::Freeze | Phase::Offered | Phase::Rebuilding | Phase::Accepted | Phase::Forgotten => {
                Some(Stage::Freeze)
            }
            Phase::Committed | Phase::Entrusted | Phase::Loading => Some(Stage::HandOver),
            Phase::Running if self.process == Process::PostMigration => Some(Stage::PostMigration),
            Phase::Running | Phase::Completing | Phase::Departing => Some(Stage::CleanUp),
            Phase::Exiting | Phase::Exited | Phase::Doomed | Phase::Lost => None,
        }
    }

    /// Is nothing of the attempt under way but its announcement, or has not been when the destination forgot it?
    pub(crate) fn has_not_begun(&self, strategy: &Strategy) -> bool {
        self.phase.can_abort() && self.process == strategy.resting()
    }

    /// Has a migration been interrupted after its commit, or a host been left in doubt about one, so that somebody
    /// waits for a connection, an answer or a fence?
    pub fn is_paused(&self) -> bool {
        let interrupted = self.phase.committed() && !self.aftermath.is_connected();
        interrupted || self.phase == Phase::Doomed || self.aftermath.leftover == Leftover::InDoubt
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl fmt::Display for Disruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::step::kebab(f, &format!("{self:?}"))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::step::kebab(f, &format!("{self:?}"))
    }
}

/// The text names nothing of the sort.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownDisruption {
    /// No such disruption.
    #[error("no disruption is called '{0}'; there are {all}", all = listed(&Disruption::ALL))]
    Kind(String),
    /// No such stage.
    #[error("no stage of a migration is called '{0}'; there are {all}", all = listed(&Stage::ALL))]
    Stage(String),
}

fn listed<T: fmt::Display>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

impl FromStr for Disruption {
    type Err = UnknownDisruption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Disruption::ALL.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| UnknownDisruption::Kind(text.to_owned()))
    }
}

impl FromStr for Stage {
    type Err = UnknownDisruption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Stage::ALL.into_iter().find(|stage| stage.to_string() == text);
        found.ok_or_else(|| UnknownDisruption::Stage(text.to_owned()))
    }
}
