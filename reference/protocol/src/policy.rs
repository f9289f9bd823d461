//! An algorithm as a value: six choices, nine named combinations.
//!
//! Every migration algorithm suspends, transmits, reconstructs, resumes and removes; they differ in *which page
//! travels when*. A [`Policy`] says so, and the endpoints read nothing else about the algorithm. Written down it is a
//! [strategy file](crate::strategy_file).
//!
//! | name | pre | freeze | afterwards | push | process states |
//! |---|---|---|---|---|---|
//! | `total-copy` | – | all | – | – | Normal → Migration → Normal |
//! | `total-copy-dirty` | – | modified | local backing store | – | Normal → Migration → Normal |
//! | `pre-copy` | copy, ≤ R passes | not in step | – | – | Normal → Pre → Migration → Normal |
//! | `pre-copy-unbounded` | copy until clean | not in step | – | – | as `pre-copy` |
//! | `lazy-copy` | – | none | source on demand | – | Normal → Migration → Post |
//! | `flushing` | – | modified, to the file server | file server on demand | – | Normal → Migration → Normal |
//! | `post-copy` | – | none | source on demand | yes | Normal → Migration → Post → Normal |
//! | `assisted-post-copy` | copy, 1 pass | none | source on demand | yes | Normal → Pre → Migration → Post → Normal |
//! | `generic` | write back | none (+ working set) | by kind | yes, pivot | Pre → Migration → Post → Pre |

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::strategy_file::File;
use crate::wire::Channel;

/// Passes of pre-copy unless a policy says otherwise.
pub const PASSES_DEFAULT: u32 = 2;

/// One algorithm: a choice on each axis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "File", try_from = "File")]
pub struct Policy {
    /// Name in logs and transcripts.
    pub name: Cow<'static, str>,
    /// What is transferred while the process still runs at the source.
    pub pre: Pre,
    /// What is transferred while the process is suspended.
    pub freeze: Freeze,
    /// Whether the pages under the instruction pointer and the stack pointer travel in the freeze as well.
    pub working_set: bool,
    /// Where a page that did not travel comes from.
    pub missing: Missing,
    /// What the source sends unasked after the process has resumed.
    pub push: Push,
    /// How pages that were never modified reach the destination.
    pub clean: Clean,
    /// The process state between migrations.
    pub rest: Rest,
    /// When copying may end.
    pub stop: Stop,
    /// How the hosts agree on the hand-over.
    pub hand_over: HandOver,
    /// When copying looks at what was written.
    pub log: LogReading,
    /// Whether the destination is asked first.
    pub start: Start,
    /// Where pages come from that the source owed when its machine died.
    pub fallback: Fallback,
    /// The connections between source and destination.
    pub channels: Channels,
    /// When whoever waits for a page runs on.
    pub wake: Wake,
}

/// Transfer before suspension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pre {
    /// Nothing.
    None,
    /// Copy all pages, then what was written meanwhile, in passes.
    Copy(Passes),
    /// Write modified file-mapped pages back to the file server, always, not only before a migration.
    WriteBack,
}

/// How many passes a pre-copy makes before it suspends the process regardless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// At most this many; suspension is allowed at the end of any.
    AtMost(u32),
    /// As many as it takes: suspends only when every page is in step, which may be never.
    UntilInStep,
}

/// When copying may end, and the process be suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// At the end of a pass.
    #[default]
    Passes,
    /// Whenever the driver says so: what it aims at, time or downtime, is its business. What the pass has not sent is not in
    /// step.
    Target,
    /// The same; and the driver may have what is not in step stay at the source, to follow when the process has resumed.
    Switch,
}

/// When copying looks at what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogReading {
    /// A page's mark is taken when the page is sent.
    #[default]
    Page,
    /// All marks are read when a pass begins. Each is cleared after that, and the page sent after that: what is written in
    /// between is in the content and in the log.
    Pass,
}

/// Whether the destination is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The operator has told the destination: the migration begins when he tells the source.
    #[default]
    AtOnce,
    /// The source announces it, and it begins when the destination says that it expects it. Until then the process runs on as
    /// if there were none.
    Announced,
}

/// Where pages come from that the source owed when its machine died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// From nowhere: the process is lost.
    #[default]
    None,
    /// From the backing store, where that has their last content; otherwise the process is lost.
    Store,
}

/// The connections between source and destination. Each keeps the order that its link keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// One.
    #[default]
    One,
    /// Requests, and the pages that answer them, go over one of their own, so that no page waits that was asked for.
    DemandApart,
}

/// When the threads of the process that wait for a page run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wake {
    /// As soon as it is installed. Of several faults of one page the first is the only one that a host hears.
    #[default]
    WithPage,
    /// In a step of its own. Each fault is heard, also that of a page which is there by then.
    Apart,
}

/// How the hosts agree on the hand-over.
///
/// | | the destination runs the process when it | the source has given it up when it |
/// |---|---|---|
/// | ready-go | hears *go* | says *go* |
/// | one-shot | has what travels | has sent the state |
/// | acknowledged | hears *go* | hears the answer to *go* |
/// | none | has what travels | hears *complete* |
///
/// A source that has not given the process up runs it again when it loses the connection. A one-shot destination that cannot
/// run what came ends the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandOver {
    /// The destination says *ready*, the source says *go*.
    #[default]
    ReadyGo,
    /// State and *go* are one message.
    OneShot,
    /// *Ready* and *go*, and *go* is answered.
    Acknowledged,
    /// Nobody says anything.
    None,
}

impl HandOver {
    /// Whether the destination says *ready*, and waits for *go*.
    pub fn says_ready(self) -> bool {
        matches!(self, Self::ReadyGo | Self::Acknowledged)
    }

    /// Whether the source may run the process again although it has done all that the destination needs to run it.
    pub(crate) fn is_revocable(self) -> bool {
        matches!(self, Self::Acknowledged | Self::None)
    }
}

/// Transfer while the process is suspended, besides the working set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// All pages.
    All,
    /// Pages modified since they were loaded.
    Modified,
    /// Pages of which the destination has no copy, or an outdated one.
    NotInStep,
    /// Modified pages, to the file server, each acknowledged.
    Flush,
    /// No pages.
    None,
}

/// Where the destination finds a page that did not travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No page is missing (but see [`Clean::LocalStore`]).
    Never,
    /// At the source.
    Source,
    /// At the file server.
    FileServer,
    /// Modified private pages and file-mapped pages not yet safe on the file server: at the source. Other
    /// file-mapped pages: at the file server, if they are written back. All others: in the local backing store.
    ByKind,
}

/// What the source sends unasked after the process has resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// Nothing.
    None,
    /// The next missing page, in page order.
    NextMissing,
    /// The next missing page after the one last requested.
    Pivot,
    /// Nothing: the destination asks for every page that it misses.
    Pull,
}

/// How a page that was never modified reaches the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clean {
    /// Like any other page.
    Travel,
    /// From the destination's local backing store, an exact replica of the program image.
    LocalStore,
}

/// The process state between migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// Nothing goes on.
    Normal,
    /// Pre-migration transfer never stops.
    PreMigration,
}

/// Why a combination of choices is not an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// No page would be missing afterwards, though some neither travel nor are in the local store.
    #[error("pages that do not travel need a place to come from (missing = nothing)")]
    PagesLost,
    /// Pages come from the file server, which nothing brings up to date.
    #[error("pages come from the file server, so they must be flushed to it or written back")]
    StoreOutdated,
    /// Pages are flushed to the file server, but looked for elsewhere.
    #[error("flushed pages must be fetched from the file server (missing = store)")]
    FlushedInVain,
    /// The source pushes pages it does not owe.
    #[error("only pages missing at the source's side can be pushed")]
    NothingToPush,
    /// Unmodified pages come from the local store although written-back ones count as unmodified.
    #[error("written-back pages differ from the local store: missing = split tells them apart")]
    LocalStoreOutdated,
    /// File-mapped pages are written back where the process runs, but some stay where it was.
    #[error("a modified file-mapped page that is never pushed is never written back")]
    NeverWrittenBack,
    /// A pre-copy of no pass.
    #[error("a pre-copy makes at least one pass")]
    NoPass,
    /// Copying that may end at any moment, of something that copies nothing.
    #[error("without pre = copy there is nothing to stop")]
    NothingToStop,
    /// The source pushes, and nobody tells it from when on.
    #[error("without a hand-over the source does not hear when it may push: say \"pull\" or \"none\"")]
    PushesUntold,
    /// A log is read of what is never copied.
    #[error("without pre = copy nothing is logged")]
    NothingLogged,
    /// Nothing could stay behind that would have travelled otherwise, or what stays is looked for elsewhere.
    #[error(
        "a switch leaves what is not in step at the source: freeze = not-in-step, missing = source, clean = travel"
    )]
    SwitchInVain,
    /// While a migration is announced the process would go on asking former hosts for pages.
    #[error(
        "with push = \"none\" the process may move on with pages elsewhere, and goes on faulting while it is announced: say \"at-once\""
    )]
    AnnouncedWithPagesElsewhere,
    /// Requests have a connection of their own, and there are none.
    #[error("no page is asked of the source: say \"one\"")]
    NothingAsked,
    /// Who waits is woken in a step of its own, and nobody waits.
    #[error("no page is waited for that comes over a link: say \"with-page\"")]
    NothingAwaited,
    /// All that the source owes is there alone.
    #[error("no backing store has what the source owes: say \"none\"")]
    NothingToFallBackOn,
    /// Write-back goes on at rest, or the process is not at rest in Pre-migration.
    #[error("resting in pre-migration and writing back go together")]
    RestlessWriteBack,
}

impl Contradiction {
    /// The field of a strategy file to change first.
    pub fn field(self) -> &'static str {
        match self {
            Self::PagesLost | Self::StoreOutdated | Self::FlushedInVain | Self::LocalStoreOutdated => {
                "missing"
            }
            Self::NothingToPush | Self::NeverWrittenBack | Self::PushesUntold => "push",
            Self::NoPass => "passes",
            Self::NothingToStop | Self::SwitchInVain => "stop",
            Self::NothingLogged => "log",
            Self::AnnouncedWithPagesElsewhere => "start",
            Self::NothingToFallBackOn => "fallback",
            Self::NothingAsked => "channels",
            Self::NothingAwaited => "wake",
            Self::RestlessWriteBack => "rest",
        }
    }
}

impl Policy {
    /// Suspend, copy everything, resume (Charlotte, V's first version, most checkpointers).
    pub const TOTAL_COPY: Self =
        Self::new("total-copy", Pre::None, Freeze::All, Missing::Never, Push::None, Clean::Travel);
    /// As `total-copy`, but unmodified pages are loaded from the local replica of the program image.
    pub const TOTAL_COPY_DIRTY: Self = Self::new(
        "total-copy-dirty",
        Pre::None,
        Freeze::Modified,
        Missing::Never,
        Push::None,
        Clean::LocalStore,
    );
    /// Copy while the process runs, at most [`PASSES_DEFAULT`] passes, then suspend and copy the rest (V).
    pub const PRE_COPY: Self =
        Self::new("pre-copy", Self::COPY, Freeze::NotInStep, Missing::Never, Push::None, Clean::Travel);
    /// As `pre-copy`, until the destination is in step, however long that takes.
    pub const PRE_COPY_UNBOUNDED: Self = Self::new(
        "pre-copy-unbounded",
        Pre::Copy(Passes::UntilInStep),
        Freeze::NotInStep,
        Missing::Never,
        Push::None,
        Clean::Travel,
    );
    /// Move only the state; each page follows when it is first touched (Accent).
    pub const LAZY_COPY: Self =
        Self::new("lazy-copy", Pre::None, Freeze::None, Missing::Source, Push::None, Clean::Travel);
    /// Flush modified pages to the file server, fetch from there (Sprite).
    pub const FLUSHING: Self =
        Self::new("flushing", Pre::None, Freeze::Flush, Missing::FileServer, Push::None, Clean::Travel);
    /// As `lazy-copy`, and the source also pushes pages unasked.
    pub const POST_COPY: Self =
        Self::new("post-copy", Pre::None, Freeze::None, Missing::Source, Push::NextMissing, Clean::Travel);
    /// One pre-copy pass, then post-copy of what was written meanwhile.
    pub const ASSISTED_POST_COPY: Self = Self::new(
        "assisted-post-copy",
        Pre::Copy(Passes::AtMost(1)),
        Freeze::None,
        Missing::Source,
        Push::NextMissing,
        Clean::Travel,
    );
    /// Write back file-mapped pages all along; afterwards the source owes only what is nowhere else.
    pub const GENERIC: Self =
        Self::new("generic", Pre::WriteBack, Freeze::None, Missing::ByKind, Push::Pivot, Clean::LocalStore);

    /// The built-in algorithms, in the order of the table above.
    pub const ALL: [Self; 9] = [
        Self::TOTAL_COPY,
        Self::TOTAL_COPY_DIRTY,
        Self::PRE_COPY,
        Self::PRE_COPY_UNBOUNDED,
        Self::LAZY_COPY,
        Self::FLUSHING,
        Self::POST_COPY,
        Self::ASSISTED_POST_COPY,
        Self::GENERIC,
    ];

    const COPY: Pre = Pre::Copy(Passes::AtMost(PASSES_DEFAULT));

    /// An algorithm that writes back rests in Pre-migration, and has its working set travel.
    const fn new(
        name: &'static str,
        pre: Pre,
        freeze: Freeze,
        missing: Missing,
        push: Push,
        clean: Clean,
    ) -> Self {
        let writes_back = matches!(pre, Pre::WriteBack);
        let rest = if writes_back { Rest::PreMigration } else { Rest::Normal };
        let (name, working_set) = (Cow::Borrowed(name), writes_back);
        let (stop, hand_over, log, start) =
            (Stop::Passes, HandOver::ReadyGo, LogReading::Page, Start::AtOnce);
        let (fallback, channels, wake) = (Fallback::None, Channels::One, Wake::WithPage);
        Self {
            name,
            pre,
            freeze,
            working_set,
            missing,
            push,
            clean,
            rest,
            stop,
            hand_over,
            log,
            start,
            fallback,
            channels,
            wake,
        }
    }

    /// The built-in algorithm of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name == name)
    }

    /// Whether the choices fit together. Endpoints accept only policies for which they do.
    pub fn check(&self) -> Result<(), Contradiction> {
        let all_travel = matches!(self.freeze, Freeze::All | Freeze::NotInStep);
        let modified_travel = self.freeze == Freeze::Modified && self.clean == Clean::LocalStore;
        let written_back = self.pre == Pre::WriteBack;
        let contradictions = [
            (self.missing == Missing::Never && !all_travel && !modified_travel, Contradiction::PagesLost),
            (
                self.missing == Missing::FileServer && self.freeze != Freeze::Flush,
                Contradiction::StoreOutdated,
            ),
            (
                self.missing == Missing::ByKind && !written_back && self.clean == Clean::Travel,
                Contradiction::StoreOutdated,
            ),
            (
                self.freeze == Freeze::Flush && self.missing != Missing::FileServer,
                Contradiction::FlushedInVain,
            ),
            (self.push != Push::None && !self.has_post_migration(), Contradiction::NothingToPush),
            (written_back && self.missing != Missing::ByKind, Contradiction::LocalStoreOutdated),
            (written_back && self.push == Push::None, Contradiction::NeverWrittenBack),
            (self.pre == Pre::Copy(Passes::AtMost(0)), Contradiction::NoPass),
            (self.stop != Stop::Passes && !matches!(self.pre, Pre::Copy(_)), Contradiction::NothingToStop),
            (self.log == LogReading::Pass && !matches!(self.pre, Pre::Copy(_)), Contradiction::NothingLogged),
            (self.stop == Stop::Switch && !self.may_switch(), Contradiction::SwitchInVain),
            (self.hand_over == HandOver::None && self.pushes(), Contradiction::PushesUntold),
            (
                self.start == Start::Announced && self.leaves_pages_behind(),
                Contradiction::AnnouncedWithPagesElsewhere,
            ),
            (
                self.channels == Channels::DemandApart && !self.has_post_migration(),
                Contradiction::NothingAsked,
            ),
            (self.wakes_apart() && !self.awaits_pages(), Contradiction::NothingAwaited),
            (self.falls_back() && !self.owes_what_a_store_has(), Contradiction::NothingToFallBackOn),
            (written_back != (self.rest == Rest::PreMigration), Contradiction::RestlessWriteBack),
        ];
        contradictions.into_iter().find(|(found, _)| *found).map_or(Ok(()), |(_, which)| Err(which))
    }

    fn may_switch(&self) -> bool {
        let (frozen, left) = (self.freeze == Freeze::NotInStep, self.missing == Missing::Source);
        frozen && left && self.clean == Clean::Travel
    }

    /// Whether the source can owe pages after the process has resumed elsewhere.
    pub fn has_post_migration(&self) -> bool {
        matches!(self.missing, Missing::Source | Missing::ByKind)
    }

    /// Whether the source sends pages that nobody has asked for.
    pub fn pushes(&self) -> bool {
        matches!(self.push, Push::NextMissing | Push::Pivot)
    }

    /// Whether pages stay behind until they are touched, along a chain of former hosts (`lazy-copy`). Only such
    /// an algorithm may migrate again before it is back at rest.
    pub fn leaves_pages_behind(&self) -> bool {
        self.has_post_migration() && self.push == Push::None
    }

    /// The connection for requests and the pages that answer them.
    pub(crate) fn demand(&self) -> Channel {
        match self.channels {
            Channels::One => Channel::Main,
            Channels::DemandApart => Channel::Demand,
        }
    }

    /// Whether whoever waits for a page waits on when it is installed, until the host wakes him.
    pub fn wakes_apart(&self) -> bool {
        self.wake == Wake::Apart
    }

    /// Whether the process can wait for a page that comes from elsewhere.
    fn awaits_pages(&self) -> bool {
        self.has_post_migration() || self.missing == Missing::FileServer
    }

    /// Whether a backing store is looked to for what a dead machine owed.
    pub fn falls_back(&self) -> bool {
        self.fallback == Fallback::Store
    }

    /// Whether a backing store can have the last content of a page that the source owes: because it is written back, or because
    /// nobody has written to it and it is neither copied ahead nor left to the store.
    fn owes_what_a_store_has(&self) -> bool {
        let all_copied = matches!(self.pre, Pre::Copy(_)) && self.stop == Stop::Passes;
        let unwritten = self.clean == Clean::Travel && !all_copied;
        self.has_post_migration() && (self.writes_back() || unwritten)
    }

    /// Whether an unmodified page is left to the local backing store, and neither copied nor owed.
    pub(crate) fn leaves_to_store(&self) -> bool {
        self.clean == Clean::LocalStore
    }

    /// Whether modified file-mapped pages are written back all along.
    pub fn writes_back(&self) -> bool {
        self.pre == Pre::WriteBack
    }

    /// Most times the content of one page crosses the link between source and destination in one migration;
    /// `None` when there is no bound.
    pub fn crossings_per_page_max(&self) -> Option<u64> {
        let before = match self.pre {
            Pre::Copy(Passes::AtMost(passes)) => u64::from(passes),
            Pre::Copy(Passes::UntilInStep) => return None,
            Pre::None | Pre::WriteBack => 0,
        };
        Some(before + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_algorithms_are_consistent_and_have_distinct_names() {
        for policy in Policy::ALL {
            assert_eq!(policy.check(), Ok(()), "{}", policy.name);
            assert_eq!(Policy::named(&policy.name).as_ref(), Some(&policy));
        }
    }

    #[test]
    fn contradictory_choices_are_named() {
        let lost = Policy { freeze: Freeze::None, ..Policy::TOTAL_COPY };
        assert_eq!(lost.check(), Err(Contradiction::PagesLost));
        let outdated = Policy { missing: Missing::FileServer, ..Policy::POST_COPY };
        assert_eq!(outdated.check(), Err(Contradiction::StoreOutdated));
        let in_vain = Policy { missing: Missing::Source, ..Policy::FLUSHING };
        assert_eq!(in_vain.check(), Err(Contradiction::FlushedInVain));
        let nothing = Policy { push: Push::Pivot, ..Policy::TOTAL_COPY };
        assert_eq!(nothing.check(), Err(Contradiction::NothingToPush));
        let local = Policy { missing: Missing::Source, ..Policy::GENERIC };
        assert_eq!(local.check(), Err(Contradiction::LocalStoreOutdated));
        let left_behind = Policy { push: Push::None, ..Policy::GENERIC };
        assert_eq!(left_behind.check(), Err(Contradiction::NeverWrittenBack));
        let no_pass = Policy { pre: Pre::Copy(Passes::AtMost(0)), ..Policy::PRE_COPY };
        assert_eq!(no_pass.check(), Err(Contradiction::NoPass));
        let endless = Policy { stop: Stop::Target, ..Policy::POST_COPY };
        assert_eq!(endless.check(), Err(Contradiction::NothingToStop));
        let faulting = Policy { start: Start::Announced, ..Policy::LAZY_COPY };
        assert_eq!(faulting.check(), Err(Contradiction::AnnouncedWithPagesElsewhere));
        let unasked = Policy { channels: Channels::DemandApart, ..Policy::PRE_COPY };
        assert_eq!(unasked.check(), Err(Contradiction::NothingAsked));
        let unawaited = Policy { wake: Wake::Apart, ..Policy::PRE_COPY };
        assert_eq!(unawaited.check(), Err(Contradiction::NothingAwaited));
        let copied = Policy { fallback: Fallback::Store, ..Policy::ASSISTED_POST_COPY };
        assert_eq!(copied.check(), Err(Contradiction::NothingToFallBackOn));
        let restless = Policy { rest: Rest::Normal, ..Policy::GENERIC };
        assert_eq!(restless.check(), Err(Contradiction::RestlessWriteBack));
    }
}
