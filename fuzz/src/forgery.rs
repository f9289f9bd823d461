//! Messages that somebody makes up: legal ones at the wrong time, and illegal ones of every kind.

use arbitrary::Arbitrary;
use protocol::page::{PAGE_SIZE, PageBytes};
use protocol::wire::FormerHost;
use protocol::wire::{FORMER_HOSTS_MAX, Message, Plan, PlanEntry, Resync, State, Whereabouts};
use steplog::message::Progress;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Sequence, Version};

/// A made-up message.
#[derive(Arbitrary, Clone, Debug)]
pub struct Forgery {
    sender: Sender,
    age: Age,
    word: Word,
    page: u8,
    number: Number,
    content: u8,
}

/// Who it claims to be from. A connection tells places apart, so a real peer can only be itself; the others show that
/// the receiver tells them apart as well.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Sender {
    Host(u8),
    FileServer,
}

/// The migration it claims to belong to.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Age {
    Current,
    Earlier(u8),
    Later(u8),
    Last,
}

/// A sequence number or version.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Small(u8),
    /// Around the largest that is accepted.
    Large(i8),
    Largest,
}

#[derive(Arbitrary, Clone, Debug)]
enum Word {
    Page,
    State { entries: Vec<Entry>, complete: bool, former_hosts: Vec<(u8, u8)>, crowded: bool },
    Ready,
    Go,
    Request,
    Complete,
    Destroyed,
    Exit,
    WriteBack,
    WriteBackDone,
    Fetch,
    Fetched,
    Cancel,
    Refuse,
    Resync { progress: u8, lacks: u8, waits: u8 },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Entry {
    whereabouts: Somewhere,
    dirty: bool,
    version: Number,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Somewhere {
    Travelled(Number),
    At { host: u8, age: Age, outdated: Number },
    FileServer,
    LocalStore,
}

impl Number {
    fn value(self) -> u64 {
        match self {
            Number::Small(number) => u64::from(number % 8),
            Number::Large(offset) => (1_u64 << 62).saturating_add_signed(offset.into()),
            Number::Largest => u64::MAX,
        }
    }
}

impl Age {
    fn epoch(self, current: Epoch) -> Epoch {
        match self {
            Age::Current => current,
            Age::Earlier(by) => Epoch(current.0.saturating_sub(u64::from(by % 4) + 1)),
            Age::Later(by) => Epoch(current.0.saturating_add(u64::from(by % 4) + 1)),
            Age::Last => Epoch(u64::MAX),
        }
    }
}

impl Forgery {
    /// Who the message is from.
    pub fn from(&self) -> Place {
        match self.sender {
            Sender::Host(host) => HostId(u16::from(host % 4)).into(),
            Sender::FileServer => Place::FileServer,
        }
    }

    /// The migration it belongs to, where `current` is the latest that the receiver knows.
    pub fn epoch(&self, current: Epoch) -> Epoch {
        self.age.epoch(current)
    }

    /// What it says, about a process of so many pages.
    pub fn message(&self, current: Epoch, page_count: u64) -> Message {
        let page = match u64::from(self.page % 8) {
            7 => PageNumber(u64::MAX),
            page if page > page_count => PageNumber(page % page_count),
            page => PageNumber(page),
        };
        let (number, content) = (self.number.value(), PageBytes::from([self.content; PAGE_SIZE]));
        let (sequence, version) = (Sequence(number), Version(number));
        match &self.word {
            Word::Page => Message::Page { page, sequence, content },
            Word::State { entries, complete, former_hosts, crowded } => {
                let entries = entries.iter().map(|entry| entry.plan(current));
                let plan = match complete {
                    true => entries.chain(std::iter::repeat(Entry::STAY)).take(page_count as usize).collect(),
                    false => entries.collect::<Plan>(),
                };
                let former = |(host, age): &(u8, u8)| FormerHost {
                    host: HostId(u16::from(host % 4)),
                    epoch: Age::Earlier(*age).epoch(current),
                };
                let crowd = (100..).take(if *crowded { FORMER_HOSTS_MAX } else { 0 });
                let crowd = crowd.map(|host| FormerHost { host: HostId(host), epoch: Epoch(0) });
                let former_hosts = former_hosts.iter().map(former).chain(crowd).collect();
                Message::State(State { registers: vec![self.content], former_hosts, plan })
            }
            Word::Ready => Message::Ready,
            Word::Go => Message::Go,
            Word::Request => Message::Request { page },
            Word::Complete => Message::Complete,
            Word::Destroyed => Message::Destroyed,
            Word::Exit => Message::Exit,
            Word::WriteBack => Message::WriteBack { page, version, content },
            Word::WriteBackDone => Message::WriteBackDone { page, version },
            Word::Fetch => Message::Fetch { page },
            Word::Fetched => Message::Fetched { page, version, content },
            Word::Cancel => Message::Cancel,
            Word::Refuse => Message::Refuse,
            Word::Resync { progress, lacks, waits } => {
                let pages =
                    |bits: u8| (0..8).filter(move |bit| bits >> bit & 1 == 1).map(PageNumber).collect();
                let progress = match progress % 3 {
                    0 => Progress::AwaitingGo,
                    1 => Progress::Running,
                    _ => Progress::Complete,
                };
                Message::Resync(Resync { progress, lacks: pages(*lacks), waits: pages(*waits) })
            }
        }
    }
}

impl Entry {
    /// An entry that contradicts little.
    const STAY: PlanEntry =
        PlanEntry { whereabouts: Whereabouts::LocalStore, dirty: false, version: Version(0) };

    fn plan(self, current: Epoch) -> PlanEntry {
        let whereabouts = match self.whereabouts {
            Somewhere::Travelled(sequence) => Whereabouts::Travelled(Sequence(sequence.value())),
            Somewhere::At { host, age, outdated } => {
                let former = FormerHost { host: HostId(u16::from(host % 4)), epoch: age.epoch(current) };
                Whereabouts::At(former, Sequence(outdated.value()))
            }
            Somewhere::FileServer => Whereabouts::FileServer,
            Somewhere::LocalStore => Whereabouts::LocalStore,
        };
        PlanEntry { whereabouts, dirty: self.dirty, version: Version(self.version.value()) }
    }
}
