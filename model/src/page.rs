//! One page's record: where its content is, what the machines know about it, what is in flight for it.
//!
//! A record mixes two kinds of knowledge, and the difference matters:
//!
//! * **protocol variables**: what some machine really stores (presence, dirty bit, bitmaps) or what the
//!   network really carries. Guards read these alone.
//! * **ghosts**: whether a content is still the newest ([`Currency`]), how often it crossed the link
//!   ([`Page::crossings`]), and whether its owner has dropped a request for it ([`Page::neglect`]). No machine knows them; only properties read them.
//!   [`Page::without_ghosts`] erases them, and a test compares the moves before and after.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::paging::Aside;

/// What backs a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Stack, heap, data: nobody else sees it; modified content exists in the process alone.
    Private,
    /// A page of a file (code among them), shared through the file server.
    FileMapped,
}

/// Ghost: is a content the last one that the process wrote?
///
/// Two stale contents are equally wrong, so versions would add nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Currency {
    /// Overwritten since.
    Stale,
    /// The newest content.
    Current,
}

/// A host's copy of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holding {
    /// The host has no copy.
    Absent,
    /// The host has a copy.
    Held(Currency),
}

/// A message slot of the network. A lossy link loses, and so do a broken connection and an outage; what is lost will
/// be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transit<T> {
    /// No message.
    Idle,
    /// On its way.
    Flying(T),
    /// Dropped; its sender will send it again, by a timer or when the other side can be reached again.
    Lost(T),
}

/// The pre-copy dirty log: does the destination still need this page before the process can resume?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirtyLog {
    /// No: the last content was sent, or the page need not travel.
    InStep,
    /// To be sent in the current pass.
    Due,
    /// Modified after it was sent in this pass: due in the next one.
    Redirtied,
    /// A log read by pass: to be sent in the current pass once its mark has been cleared.
    Uncleared,
    /// A log read by pass: to be sent in the current pass, and modified since its mark was cleared: due in the next one too.
    DueAgain,
}

/// How the destination comes by the page: the dirty map that travels with the state without pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// No dirty map has been made yet in this migration.
    Undecided,
    /// It was sent before the map; the process must not resume before it has arrived.
    Travelled,
    /// The source owes it.
    FromSource,
    /// A host further back in the chain owes it (lazy copy with three hosts).
    FromThird,
    /// The file server or the local backing store has it.
    FromStore,
    /// The destination has it.
    Settled,
}

/// A write-back to the file server, from whichever host holds the page. One is outstanding at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteBack {
    /// Nothing outstanding.
    Idle,
    /// The content is on its way to the file server, or waits to be sent again.
    Sent(Transit<Currency>),
    /// The acknowledgement is on its way back (`true`), or was lost (`false`).
    Acknowledged(bool),
}

/// Ghost: what has become of a request that has reached the page's owner. A sound owner keeps it until it sends the page,
/// so without a defect nothing ever is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Neglect {
    /// It was kept, or answered.
    #[default]
    None,
    /// It was dropped, and the page has not been sent since.
    Unsent,
    /// It was dropped; the page has been sent since, by chance.
    Pushed,
}

/// Everything about one page. Roles, not host names: *source* and *destination* of the migration under
/// way, *third* for the remaining host; at rest the process's host is called the source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Page {
    /// What backs the page.
    pub kind: Kind,
    /// The source's copy.
    pub source: Holding,
    /// The destination's copy.
    pub destination: Holding,
    /// The third host's copy.
    pub third: Holding,
    /// Ghost: the content of the backing store: the file server's for file-mapped and flushed pages, the
    /// program image that every host has a replica of for the others.
    pub store: Currency,
    /// The process's host believes that the page differs from the backing store. The bit travels with
    /// the dirty map.
    pub dirty: bool,
    /// The source's pre-copy dirty log.
    pub log: DirtyLog,
    /// The destination's way to the page.
    pub plan: Plan,
    /// The owner's note that it has sent the page, in this freeze or after the hand-over.
    pub sent: bool,
    /// The process waits for the page: its fault has not been served.
    pub waiting: bool,
    /// The request that the fault sent to the page's owner or to the file server.
    pub request: Transit<()>,
    /// The request waits at the page's owner.
    pub asked: bool,
    /// The newest message with the page's content that was sent to the host that lacks it.
    pub content: Transit<Currency>,
    /// How many earlier messages with its content are still in flight. All are stale: a page is sent
    /// again only when it was modified.
    pub older: u8,
    /// A duplicate of a content message that has been delivered (lossy links).
    pub echo: Holding,
    /// The write-back of the page.
    pub write_back: WriteBack,
    /// A duplicate of a write-back that has been stored (lossy links).
    pub write_back_echo: Holding,
    /// Ghost: how often the content went from source to destination in this migration.
    pub crossings: u8,
    /// Messages with its content that an aborted attempt has left on the link: no connection broke, so they arrive,
    /// and are told by their epoch. One stands for all of them, the oldest content for theirs.
    #[serde(default = "absent", skip_serializing_if = "is_absent")]
    pub stray: Holding,
    /// Ghost: a request that has reached the page's owner, and was dropped there.
    #[serde(default, skip_serializing_if = "is_heeded")]
    pub neglect: Neglect,
    /// What only the choices about pages and threads change.
    #[serde(flatten)]
    pub aside: Aside,
}

impl Page {
    /// A page of a process that was just loaded: present, clean, and equal to its backing store.
    pub fn loaded(kind: Kind) -> Self {
        Page { kind, source: Holding::Held(Currency::Current), ..Page::GONE }
    }

    /// What remains of a page when the process has exited.
    pub const GONE: Page = Page {
        kind: Kind::Private,
        source: Holding::Absent,
        destination: Holding::Absent,
        third: Holding::Absent,
        store: Currency::Current,
        dirty: false,
        log: DirtyLog::InStep,
        plan: Plan::Undecided,
        sent: false,
        waiting: false,
        request: Transit::Idle,
        asked: false,
        content: Transit::Idle,
        older: 0,
        echo: Holding::Absent,
        write_back: WriteBack::Idle,
        write_back_echo: Holding::Absent,
        crossings: 0,
        stray: Holding::Absent,
        neglect: Neglect::None,
        aside: Aside::NONE,
    };

    /// The same record as the machines know it. Destructured, so that a new field must be classified.
    pub fn without_ghosts(self) -> Self {
        let Page {
            kind,
            source,
            destination,
            third,
            store: _,
            dirty,
            log,
            plan,
            sent,
            waiting,
            request,
            asked,
            content,
            older,
            echo,
            write_back,
            write_back_echo,
            crossings: _,
            stray,
            neglect: _,
            aside,
        } = self;
        let write_back = match write_back {
            WriteBack::Sent(content) => WriteBack::Sent(content.refreshed()),
            other => other,
        };
        Page {
            kind,
            source: source.refreshed(),
            destination: destination.refreshed(),
            third: third.refreshed(),
            store: Currency::Current,
            dirty,
            log,
            plan,
            sent,
            waiting,
            request,
            asked,
            content: content.refreshed(),
            older,
            echo: echo.refreshed(),
            write_back,
            write_back_echo: write_back_echo.refreshed(),
            crossings: 0,
            stray: stray.refreshed(),
            neglect: Neglect::None,
            aside,
        }
    }

    /// The effect of a write at one host on every other copy, message and image of the page.
    pub fn outdate(&mut self) {
        for copy in [
            &mut self.source,
            &mut self.destination,
            &mut self.third,
            &mut self.echo,
            &mut self.write_back_echo,
            &mut self.stray,
        ] {
            copy.outdate();
        }
        self.content.outdate();
        if let WriteBack::Sent(content) = &mut self.write_back {
            content.outdate();
        }
    }
}

fn absent() -> Holding {
    Holding::Absent
}

fn is_absent(copy: &Holding) -> bool {
    !copy.is_held()
}

fn is_heeded(neglect: &Neglect) -> bool {
    *neglect == Neglect::None
}

/// As derived, but for strays and neglect that are not there.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut record = f.debug_struct("Page");
        record
            .field("kind", &self.kind)
            .field("source", &self.source)
            .field("destination", &self.destination)
            .field("third", &self.third)
            .field("store", &self.store)
            .field("dirty", &self.dirty)
            .field("log", &self.log)
            .field("plan", &self.plan)
            .field("sent", &self.sent)
            .field("waiting", &self.waiting)
            .field("request", &self.request)
            .field("asked", &self.asked)
            .field("content", &self.content)
            .field("older", &self.older)
            .field("echo", &self.echo)
            .field("write_back", &self.write_back)
            .field("write_back_echo", &self.write_back_echo)
            .field("crossings", &self.crossings);
        if self.stray.is_held() {
            record.field("stray", &self.stray);
        }
        if self.neglect != Neglect::None {
            record.field("neglect", &self.neglect);
        }
        if self.aside != Aside::NONE {
            record.field("aside", &self.aside);
        }
        record.finish()
    }
}

impl DirtyLog {
    /// Has the current pass still to send the page?
    pub fn is_due(self) -> bool {
        matches!(self, DirtyLog::Due | DirtyLog::Uncleared | DirtyLog::DueAgain)
    }
}

impl Holding {
    /// Does the host have a copy?
    pub fn is_held(self) -> bool {
        self != Holding::Absent
    }

    /// Has the host a copy, and is it the newest content? (A ghost's question.)
    pub fn is_current(self) -> bool {
        self == Holding::Held(Currency::Current)
    }

    /// Of two messages the one with the older content, where there is one.
    pub fn oldest(self, other: Holding) -> Holding {
        match (self, other) {
            (Holding::Held(one), Holding::Held(other)) => Holding::Held(one.min(other)),
            (Holding::Absent, copy) | (copy, Holding::Absent) => copy,
        }
    }

    fn outdate(&mut self) {
        if self.is_held() {
            *self = Holding::Held(Currency::Stale);
        }
    }

    fn refreshed(self) -> Self {
        if self.is_held() { Holding::Held(Currency::Current) } else { self }
    }
}

impl<T> Transit<T> {
    /// No message in flight, none to be sent again.
    pub fn is_idle(&self) -> bool {
        matches!(self, Transit::Idle)
    }
}

impl Transit<Currency> {
    /// Is the newest content on its way? (A ghost's question.)
    pub fn is_current(self) -> bool {
        matches!(self, Transit::Flying(Currency::Current) | Transit::Lost(Currency::Current))
    }

    fn outdate(&mut self) {
        match self {
            Transit::Idle => {}
            Transit::Flying(content) | Transit::Lost(content) => *content = Currency::Stale,
        }
    }

    fn refreshed(self) -> Self {
        match self {
            Transit::Idle => Transit::Idle,
            Transit::Flying(_) => Transit::Flying(Currency::Current),
            Transit::Lost(_) => Transit::Lost(Currency::Current),
        }
    }
}
