//! A migration algorithm as data: the few choices in which all algorithms differ.
//!
//! A strategy file spells the same choices in TOML. This one is post-copy, whole:
//!
//! ```
//! let file = r#"
//!     name = "my-post-copy"
//!     pre = "none"
//!     freeze = "none"
//!     missing = "source"
//!     push = "next"
//!     clean = "travel"
//!     rest = "normal"
//! "#;
//! let strategy: model::Strategy = file.parse().expect("legal");
//! assert_eq!(strategy.name, "my-post-copy");
//! ```

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::control::Process;
use crate::paging::{Channels, Mappings, Paging, Waking};

/// The largest number of pre-copy passes a strategy may ask for: each pass more is another value of a
/// page's record, and nothing new happens after the third.
pub const PASSES_MAX: u8 = 6;

/// One migration algorithm. Make one with [`Strategy::check`] or by parsing a strategy file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Strategy {
    /// What reports call it.
    pub name: Cow<'static, str>,
    /// Transfer while the process still runs at the source.
    pub pre: Pre,
    /// Transfer while it is suspended.
    pub freeze: Freeze,
    /// The page under the instruction pointer and the one under the stack pointer go with the state.
    pub working_set: bool,
    /// Where a page that did not travel comes from afterwards.
    pub missing: Missing,
    /// Transfer that the source makes unasked after the hand-over.
    pub push: Push,
    /// What is done with pages that equal their backing store.
    pub clean: Clean,
    /// The state in which the process rests between migrations.
    pub rest: Rest,
    /// How real systems differ from the nine algorithms.
    pub real: Real,
    /// Choices about pages and threads that the plain algorithms leave out.
    pub paging: Paging,
}

/// How real systems differ from the nine algorithms, each in a choice that is made there as its default says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Real {
    /// How the hosts agree on the hand-over.
    pub hand_over: HandOver,
    /// When pre-copy looks at what was written.
    pub log: LogReading,
    /// What ends pre-copy.
    pub stop: Stop,
    /// Whether a migration is announced.
    pub start: Start,
    /// What becomes of pages that the source owed when it dies.
    pub fallback: Fallback,
}

impl HandOver {
    /// Does the destination say *ready*, and the source *go*?
    pub fn says_ready(self) -> bool {
        matches!(self, HandOver::ReadyGo | HandOver::Acknowledged)
    }
}

impl Real {
    /// As the nine algorithms have it.
    pub const NONE: Real = Real {
        hand_over: HandOver::ReadyGo,
        log: LogReading::Page,
        stop: Stop::Passes,
        start: Start::AtOnce,
        fallback: Fallback::None,
    };

    /// Every hand-over, log and stop with every other.
    pub fn all() -> impl Iterator<Item = Real> {
        let hand_overs = [HandOver::ReadyGo, HandOver::OneShot, HandOver::Acknowledged, HandOver::None];
        let logs = [LogReading::Page, LogReading::Pass];
        let stops = [Stop::Passes, Stop::Target, Stop::Switch];
        let with_log = move |hand_over| {
            logs.into_iter()
                .flat_map(move |log| stops.map(|stop| Real { hand_over, log, stop, ..Real::NONE }))
        };
        hand_overs.into_iter().flat_map(with_log)
    }
}

/// How the hosts agree on the hand-over; what each can lose is in `moves/hand_over.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandOver {
    /// The destination says *ready*, the source commits and says *go*.
    #[default]
    ReadyGo,
    /// State and *go* are one message: the source commits when it sends them (QEMU).
    OneShot,
    /// As ready-go, and *go* is answered: until it has heard that, the source may take the process back (Cloud Hypervisor).
    Acknowledged,
    /// There is none: the destination resumes when it can, and until it is told *complete* the source may take the process
    /// back (CRIU).
    None,
}

/// When pre-copy looks at what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogReading {
    /// A page's mark is taken when the page is sent.
    #[default]
    Page,
    /// All of it, when a pass begins: what is written after that is due in the next one, sent or not.
    Pass,
}

/// What ends pre-copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The end of a pass.
    #[default]
    Passes,
    /// A time-out, a downtime target or the operator: any moment.
    Target,
    /// The same; or the operator switches to post-copy at any moment, and what was not sent is owed.
    Switch,
}

/// Whether a migration is announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The first message to the destination is one of the migration.
    #[default]
    AtOnce,
    /// The destination is told of it ahead, and it begins when the source has heard that it is expected (libvirt's *prepare*,
    /// Cloud Hypervisor's *start*).
    Announced,
}

/// What becomes of pages that the source owed when it dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// They are lost, and the process with them.
    #[default]
    None,
    /// Those whose last content a backing store has come from there: from the file server, or from the local replica.
    Store,
}

/// Pre-migration transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pre {
    /// Nothing.
    None,
    /// All pages are copied to the destination, and copied again when modified.
    Copy(Passes),
    /// Dirty file-mapped pages are written back to the file server as they are modified, always.
    WriteBack,
}

/// When pre-copy stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Passes {
    /// At the end of a pass, and after this many (1 to [`PASSES_MAX`]) at the latest.
    AtMost(u8),
    /// Only when every page is in step.
    Unbounded,
}

/// Freeze transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freeze {
    /// Every page.
    All,
    /// Pages modified since they were loaded.
    Modified,
    /// Pages that pre-copy has not brought into step.
    NotInStep,
    /// Modified pages, to the file server instead of the destination.
    FlushModified,
    /// No page.
    None,
}

/// Where a missing page comes from after the hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// No page is missing.
    Nothing,
    /// From the source.
    Source,
    /// From the file server or the local backing store.
    Store,
    /// Private dirty pages, and file-mapped ones whose write-back is due, from the source; all others
    /// from the file server or the local backing store.
    Split,
}

/// Post-migration push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Push {
    /// The source sends only what it is asked for.
    None,
    /// The next page that is still missing.
    Next,
    /// The next missing page after the last one requested (prefetch). The model knows no page order, so
    /// it judges both kinds of push as "any missing page".
    Pivot,
    /// The source sends only what it is asked for, and the destination asks for every page.
    Pull,
}

/// Clean pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clean {
    /// They travel as the others do.
    Travel,
    /// They are loaded from the destination's backing store, an exact replica.
    LocalStore,
}

/// The resting state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// Normal.
    Normal,
    /// Pre-migration, for ever ready to migrate.
    PreMigration,
}

/// Two choices of a strategy that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Contradiction {
    /// The field to change first, as strategy files spell it.
    pub field: &'static str,
    /// Why the choice cannot work.
    pub reason: String,
}

impl Strategy {
    /// Passes the strategy on if its choices go together.
    ///
    /// # Errors
    /// The first [`Contradiction`] found.
    pub fn check(self) -> Result<Self, Contradiction> {
        let first = self.contradictions().next();
        match first {
            Some((field, reason)) => Err(Contradiction { field, reason: reason.to_owned() }),
            None => Ok(self),
        }
    }

    #[rustfmt::skip]
    fn contradictions(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let copies = matches!(self.pre, Pre::Copy(_));
        let passes_fit = !matches!(self.pre, Pre::Copy(Passes::AtMost(passes)) if passes == 0 || passes > PASSES_MAX);
        let writes_back = self.pre == Pre::WriteBack;
        let travels_whole = self.clean == Clean::Travel;
        let owes = self.owes_pages();
        let switches = self.real.stop == Stop::Switch;
        [
            ("name", "must not be empty", !self.name.trim().is_empty()),
            ("name", "must be printable, in one line", !self.name.chars().any(char::is_control)),
            ("passes", "must be 1 to 6, or \"unbounded\"", passes_fit),
            ("freeze", "\"not-in-step\" needs pre = \"copy\": without it no page is in step",
                self.freeze != Freeze::NotInStep || copies),
            ("freeze", "after pre = \"copy\" only \"not-in-step\" or \"none\" make use of what was copied",
                !copies || matches!(self.freeze, Freeze::NotInStep | Freeze::None)),
            ("missing", "no page is missing after freeze = \"all\": say \"nothing\"",
                self.freeze != Freeze::All || self.missing == Missing::Nothing),
            ("clean", "freeze = \"all\" sends clean pages too: say \"travel\"",
                self.freeze != Freeze::All || travels_whole),
            ("clean", "freeze = \"modified\" leaves clean pages behind: say \"local-store\"",
                self.freeze != Freeze::Modified || !travels_whole),
            ("missing", "freeze = \"modified\" leaves clean pages to the backing store: say \"store\"",
                self.freeze != Freeze::Modified || self.missing == Missing::Store),
            ("missing", "freeze = \"flush-modified\" puts every page into the store: say \"store\"",
                self.freeze != Freeze::FlushModified || self.missing == Missing::Store),
            ("clean", "freeze = \"flush-modified\" serves clean pages from the file server too: say \"travel\"",
                self.freeze != Freeze::FlushModified || travels_whole),
            ("missing", "freeze = \"not-in-step\" with clean = \"travel\" leaves no page behind: say \"nothing\"",
                self.freeze != Freeze::NotInStep || !travels_whole || switches || self.missing == Missing::Nothing),
            ("missing", "freeze = \"not-in-step\" with clean = \"local-store\" leaves clean pages to the store: say \"store\"",
                self.freeze != Freeze::NotInStep || travels_whole || self.missing == Missing::Store),
            ("missing", "freeze = \"none\" leaves pages at the source: say \"source\" or \"split\"",
                self.freeze != Freeze::None || owes),
            ("freeze", "unbounded passes end when no page is left to be owed: say \"not-in-step\"",
                self.freeze != Freeze::None || !self.is_endless()),
            ("clean", "missing = \"split\" loads clean pages from the store: say \"local-store\"",
                self.missing != Missing::Split || !travels_whole),
            ("push", "the source owes no page that it could push: say \"none\"",
                self.push == Push::None || owes),
            ("push", "without push the source would stay needed after all that was copied or written back: say \"next\" or \"pivot\"",
                self.push != Push::None || !owes || (self.pre == Pre::None && self.missing == Missing::Source)),
            ("working-set", "only freeze = \"none\" without pre = \"copy\" leaves a working set to send",
                !self.working_set || (self.freeze == Freeze::None && !copies)),
            ("rest", "\"pre-migration\" is where write-backs go on: it needs pre = \"write-back\"",
                self.rest == Rest::Normal || writes_back),
            // What real systems have.
            ("log", "without pre = \"copy\" nothing is logged: say \"page\"", self.real.log == LogReading::Page || copies),
            ("stop", "without pre = \"copy\" there is nothing to stop: say \"passes\"",
                self.real.stop == Stop::Passes || copies),
            ("stop", "\"switch\" leaves pages behind that the freeze would have sent: it needs freeze = \"not-in-step\"",
                !switches || self.freeze == Freeze::NotInStep),
            ("missing", "stop = \"switch\" leaves pages at the source: say \"source\"",
                !switches || self.missing == Missing::Source),
            ("clean", "stop = \"switch\" leaves only pages behind that were to be copied: say \"travel\"",
                !switches || travels_whole),
            ("fallback", "no backing store has what the source owes: say \"none\"",
                self.real.fallback == Fallback::None || self.owes_what_a_store_has()),
            ("start", "with push = \"none\" the process may move on with pages elsewhere, and goes on faulting while it is announced: say \"at-once\"",
                self.real.start == Start::AtOnce || !self.is_lazy()),
            ("rest", "pre = \"write-back\" never stops, so the process rests in \"pre-migration\"",
                !writes_back || self.rest == Rest::PreMigration),
            // Choices about pages and threads.
            ("wake", "no page is waited for that comes over a link: say \"with-page\"",
                self.paging.wake == Waking::WithPage || owes || self.fetches_from_store()),
            ("pages", "with push = \"none\" no former host hears that a page it owes has gone: say \"fixed\"",
                self.paging.pages == Mappings::Fixed || !self.is_lazy()),
            ("pages", "freeze = \"flush-modified\" puts private pages on the file server, which hears of no discard: say \"fixed\"",
                self.paging.pages == Mappings::Fixed || self.freeze != Freeze::FlushModified),
            ("channels", "no page is asked of the source: say \"one\" or \"striped\"",
                self.paging.channels != Channels::DemandApart || owes),
            ("channels", "no page goes to the destination: say \"one\"",
                self.paging.channels != Channels::Striped || owes || self.sends_before_commit()),
        ]
        .into_iter()
        .filter(|(_, _, legal)| !legal)
        .map(|(field, reason, _)| (field, reason))
    }

    /// Does the source owe pages after the hand-over, so that there is a Post-migration state?
    pub fn owes_pages(&self) -> bool {
        matches!(self.missing, Missing::Source | Missing::Split)
    }

    /// Can a backing store have the last content of a page that the source owes? One that is written back, or one that nobody
    /// has written to, where those are left to the source and not all copied.
    fn owes_what_a_store_has(&self) -> bool {
        let copied = self.copies() && self.real.stop == Stop::Passes;
        let unwritten = self.clean == Clean::Travel && !copied;
        self.owes_pages() && (unwritten || self.pre == Pre::WriteBack)
    }

    /// Does the source send pages unasked?
    pub fn pushes(&self) -> bool {
        matches!(self.push, Push::Next | Push::Pivot)
    }

    /// Does the destination ask for pages that nobody waits for?
    pub fn pulls(&self) -> bool {
        self.push == Push::Pull
    }

    /// Does the dependency on the source last until each page happens to be touched?
    pub fn is_lazy(&self) -> bool {
        self.owes_pages() && self.push == Push::None
    }

    /// Does anything depend on whether a page differs from its backing store?
    pub fn tracks_dirty(&self) -> bool {
        self.clean == Clean::LocalStore
            || self.pre == Pre::WriteBack
            || self.real.fallback == Fallback::Store
            || matches!(self.freeze, Freeze::Modified | Freeze::FlushModified)
    }

    /// Does anything depend on whether a page is private or file-mapped?
    pub fn tells_kinds_apart(&self) -> bool {
        self.pre == Pre::WriteBack || self.working_set || self.missing == Missing::Split
    }

    /// Does it ever write to the file server?
    pub fn writes_to_store(&self) -> bool {
        self.pre == Pre::WriteBack || self.freeze == Freeze::FlushModified
    }

    /// Does it copy pages while the process still runs?
    pub fn copies(&self) -> bool {
        matches!(self.pre, Pre::Copy(_))
    }

    /// Does it copy them until none is left that was written meanwhile, however long that takes?
    pub fn is_endless(&self) -> bool {
        self.pre == Pre::Copy(Passes::Unbounded) && self.real.stop == Stop::Passes
    }

    /// Does it copy them more than once?
    pub(crate) fn copies_in_passes(&self) -> bool {
        self.copies() && self.pre != Pre::Copy(Passes::AtMost(1))
    }

    /// Does the freeze transfer ever have a page to send to the destination?
    pub(crate) fn sends_frozen(&self) -> bool {
        let settled_before = self.is_endless();
        let sends = matches!(self.freeze, Freeze::All | Freeze::Modified | Freeze::NotInStep);
        (sends && !settled_before) || self.is_lazy()
    }

    /// Do pages travel to the destination before the commit?
    pub(crate) fn sends_before_commit(&self) -> bool {
        let in_freeze = matches!(self.freeze, Freeze::All | Freeze::Modified | Freeze::NotInStep);
        self.copies() || in_freeze || self.working_set || self.is_lazy()
    }

    /// Does the file server answer faults?
    pub(crate) fn fetches_from_store(&self) -> bool {
        self.freeze == Freeze::FlushModified
            || (self.pre == Pre::WriteBack && self.clean == Clean::LocalStore)
    }

    /// Does the destination say *ready*, and the source *go*?
    pub fn says_ready(&self) -> bool {
        self.real.hand_over.says_ready()
    }

    /// The state in which the process rests.
    pub fn resting(&self) -> Process {
        match self.rest {
            Rest::Normal => Process::Normal,
            Rest::PreMigration => Process::PreMigration,
        }
    }

    /// How often the content of one page may go from source to destination in one migration; `None`
    /// where nothing bounds it.
    pub fn crossings_max(&self) -> Option<u8> {
        match (self.pre, self.freeze) {
            (Pre::Copy(Passes::AtMost(passes)), _) => Some(passes + 1),
            (Pre::Copy(Passes::Unbounded), _) => None,
            (_, Freeze::FlushModified) => Some(0),
            _ => Some(1),
        }
    }
}
