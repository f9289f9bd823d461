//! A system that is no migration, to learn from and to copy: a directory that keeps caches coherent.
//!
//! It is the protocol that S. German proposed as a challenge for proofs about any number of parts. The *home* of a line of
//! memory lets many caches read it or one cache write it. It serves one request at a time, and before it grants what would
//! conflict it invalidates the copies that it has listed, and waits for their acknowledgements.
//!
//! ```text
//!  cache:   Invalid ── ask ──► waits for home ── grant ──► Shared or Exclusive ── invalidate ──► Invalid, acknowledges
//!  home:    Idle ── serve one request ──► Serving ── invalidate whom it must, hear all of them, grant ──► Idle
//! ```
//!
//! The control record is the home, and the interchangeable parts (called pages by [`population`]) are the caches, each with
//! what home has noted of it and with the messages between the two. Two things are worth seeing:
//!
//! * Home grants an exclusive copy when *all other* caches are [unlisted](CacheCondition::Unlisted). The engines know such
//!   universal conditions and no others, which is why a proof about a few caches holds for any number.
//! * "One writer" is about two caches, and no function sees two of them. It is judged on the step in which a copy arrives:
//!   violated *unless* all other caches are [without a copy](CacheCondition::WithoutCopy).
//! * A proof that sees two caches of many cannot know that *some* cache is being served while home is not idle. So home may
//!   [give up](HomeStep::GiveUp) when all caches are [unserved](CacheCondition::Unserved). The step is never taken, as any
//!   exploration shows; that it is there replaces the knowledge, and so no deadlock and both liveness properties are proved
//!   for any number of caches too.

use std::fmt;

use enumset::{EnumSet, EnumSetType};
use population::system::{self, Fairness, Judged, Live, PropertyName, Scope, System};
use serde::{Deserialize, Serialize};

/// The protocol, and the mistakes that can be made in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Directory {
    /// Home grants when the others have been *told* to invalidate, without waiting until they have.
    pub hasty: bool,
    /// Home may overlook a request for ever as long as it serves others in between.
    pub partial: bool,
}

/// A kind of copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CopyMode {
    /// Many caches may read.
    Shared,
    /// One cache may write.
    Exclusive,
}

/// The control record: what the home of the line is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Home {
    /// The request that is being served; `None` when idle.
    pub serving: Option<CopyMode>,
}

/// What home has noted of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Listing {
    /// It has no copy.
    Unlisted,
    /// It has been granted a copy.
    Listed(CopyMode),
    /// It has been told to invalidate its copy.
    Told,
}

/// A message from home to a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DirectoryWord {
    /// Here is a copy.
    Grant(CopyMode),
    /// Drop your copy.
    Invalidate,
}

/// The record of a part: a cache, what is on its way to and from it, and what home has noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cache {
    /// Its copy.
    pub copy: Option<CopyMode>,
    /// Its request, which home has not taken up.
    pub wish: Option<CopyMode>,
    /// Home is serving it.
    pub served: bool,
    /// On its way from home.
    pub word: Option<DirectoryWord>,
    /// Its acknowledgement is on its way to home.
    pub acknowledgement: bool,
    /// Home's note.
    pub listing: Listing,
}

/// The steps of a cache, and of home about one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheStep {
    /// The cache asks for a copy.
    Ask(CopyMode),
    /// Home takes the request up.
    Serve,
    /// Home tells the cache to invalidate its copy.
    Tell,
    /// The cache does what home says.
    Obey,
    /// Home hears the acknowledgement.
    Hear,
    /// Home grants what it was asked for.
    Grant,
}

const STEPS: [CacheStep; 7] = [
    CacheStep::Ask(CopyMode::Shared),
    CacheStep::Ask(CopyMode::Exclusive),
    CacheStep::Serve,
    CacheStep::Tell,
    CacheStep::Obey,
    CacheStep::Hear,
    CacheStep::Grant,
];

/// The steps of home about all caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HomeStep {
    /// Home is serving, and nobody is served: it is idle again.
    GiveUp,
}

/// What may be asked of all other caches.
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash)]
pub enum CacheCondition {
    /// Home has not listed it.
    Unlisted,
    /// Home has listed a shared copy of it at most.
    ListedShared,
    /// Home has told it to drop what conflicts with an exclusive copy, at least.
    Told,
    /// It has no copy.
    WithoutCopy,
    /// It has no exclusive copy.
    NotExclusive,
    /// Home is not serving it.
    Unserved,
}

/// What is asked of the protocol.
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[enumset(serialize_repr = "list")]
pub enum Coherence {
    /// An exclusive copy is the only one.
    OneWriter,
    /// Somebody can always do something, unless home is idle.
    NoDeadlock,
    /// Home is done with each request sooner or later.
    HomeFinishes,
    /// Each cache that asks gets its copy sooner or later.
    Answered,
}

impl fmt::Display for Coherence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl PropertyName for Coherence {
    const NO_DEADLOCK: Self = Coherence::NoDeadlock;

    fn is_safety(self) -> bool {
        matches!(self, Coherence::OneWriter | Coherence::NoDeadlock)
    }
}

type Move = system::PageMove<Home, Cache, CacheCondition>;

impl Directory {
    /// What home asks of all caches before it grants.
    fn before_grant(self, access: CopyMode) -> CacheCondition {
        match access {
            CopyMode::Shared => CacheCondition::ListedShared,
            CopyMode::Exclusive if self.hasty => CacheCondition::Told,
            CopyMode::Exclusive => CacheCondition::Unlisted,
        }
    }

    /// What a step makes of home and of the cache; `None` where it cannot be taken.
    fn step(self, step: CacheStep, mut home: Home, mut cache: Cache) -> Option<Move> {
        let mut requires = EnumSet::empty();
        match step {
            CacheStep::Ask(access) => {
                let enough = cache.copy == Some(CopyMode::Exclusive) || cache.copy == Some(access);
                let waits = cache.wish.is_some() || cache.served || cache.word.is_some();
                if enough || waits {
                    return None;
                }
                cache.wish = Some(access);
            }
            CacheStep::Serve => {
                if home.serving.is_some() {
                    return None;
                }
                home.serving = Some(cache.wish.take()?);
                cache.served = true;
            }
            CacheStep::Tell => {
                let conflict = match home.serving? {
                    CopyMode::Shared => cache.listing == Listing::Listed(CopyMode::Exclusive),
                    CopyMode::Exclusive => matches!(cache.listing, Listing::Listed(_)),
                };
                if !conflict || cache.word.is_some() {
                    return None;
                }
                cache.word = Some(DirectoryWord::Invalidate);
                cache.listing = Listing::Told;
            }
            CacheStep::Obey => match cache.word.take()? {
                DirectoryWord::Grant(access) => cache.copy = Some(access),
                DirectoryWord::Invalidate => {
                    cache.copy = None;
                    cache.acknowledgement = true;
                }
            },
            CacheStep::Hear => {
                if !cache.acknowledgement {
                    return None;
                }
                cache.acknowledgement = false;
                cache.listing = Listing::Unlisted;
            }
            CacheStep::Grant => {
                let access = home.serving?;
                requires |= self.before_grant(access);
                if !cache.served || cache.word.is_some() || !self.conditions(&cache).is_superset(requires) {
                    return None;
                }
                let (word, listing) = (Some(DirectoryWord::Grant(access)), Listing::Listed(access));
                cache = Cache { served: false, word, listing, ..cache };
                home.serving = None;
            }
        }
        Some(Move { requires, control: home, page: cache })
    }
}

impl System for Directory {
    type Control = Home;
    type Page = Cache;
    type ControlStep = HomeStep;
    type PageStep = CacheStep;
    type Condition = CacheCondition;

    fn initial_control(&self) -> Home {
        Home { serving: None }
    }

    fn initial_pages(&self) -> Vec<Cache> {
        let listing = Listing::Unlisted;
        vec![Cache { copy: None, wish: None, served: false, word: None, acknowledgement: false, listing }]
    }

    fn conditions(&self, cache: &Cache) -> EnumSet<CacheCondition> {
        let met = [
            (CacheCondition::Unlisted, cache.listing == Listing::Unlisted),
            (
                CacheCondition::ListedShared,
                matches!(cache.listing, Listing::Unlisted | Listing::Listed(CopyMode::Shared)),
            ),
            (CacheCondition::Told, matches!(cache.listing, Listing::Unlisted | Listing::Told)),
            (CacheCondition::WithoutCopy, cache.copy.is_none()),
            (CacheCondition::NotExclusive, cache.copy != Some(CopyMode::Exclusive)),
            (CacheCondition::Unserved, !cache.served),
        ];
        met.into_iter().filter(|(_, met)| *met).map(|(condition, _)| condition).collect()
    }

    fn control_steps(&self) -> &[HomeStep] {
        &[HomeStep::GiveUp]
    }

    fn control_move(&self, _: HomeStep, home: &Home) -> Option<system::ControlMove<Home, CacheCondition>> {
        home.serving?;
        let control = Home { serving: None };
        Some(system::ControlMove { requires: CacheCondition::Unserved.into(), control })
    }

    fn carry(&self, _: HomeStep, _: &Home, cache: &Cache) -> Cache {
        *cache
    }

    fn page_steps(&self) -> &[CacheStep] {
        &STEPS
    }

    fn page_move(&self, step: CacheStep, home: &Home, cache: &Cache) -> Option<Move> {
        self.step(step, *home, *cache)
    }
}

impl Judged for Directory {
    type Property = Coherence;

    fn judge_control(&self, _: &Home) -> EnumSet<Coherence> {
        EnumSet::empty()
    }

    fn judge_page(&self, _: &Home, _: &Cache) -> EnumSet<Coherence> {
        EnumSet::empty()
    }

    fn judge_control_move(
        &self,
        _: HomeStep,
        _: &Home,
        _: &system::ControlMove<Home, CacheCondition>,
    ) -> EnumSet<Coherence> {
        EnumSet::empty()
    }

    fn judge_page_move(
        &self,
        step: CacheStep,
        _: &Home,
        cache: &Cache,
        _: &Move,
    ) -> system::Verdict<CacheCondition, Coherence> {
        let (CacheStep::Obey, Some(DirectoryWord::Grant(access))) = (step, cache.word) else {
            return system::Verdict::default();
        };
        let others = match access {
            CopyMode::Shared => CacheCondition::NotExclusive,
            CopyMode::Exclusive => CacheCondition::WithoutCopy,
        };
        system::Verdict {
            violated_unless: Coherence::OneWriter.into(),
            conditions: others.into(),
            ..system::Verdict::default()
        }
    }

    fn may_end(&self, home: &Home) -> bool {
        home.serving.is_none()
    }
}

impl Live for Directory {
    fn control_fairness(&self, _: HomeStep) -> Fairness {
        Fairness::Weak
    }

    fn page_fairness(&self, step: CacheStep) -> Fairness {
        match step {
            CacheStep::Ask(_) => Fairness::None,
            CacheStep::Serve if !self.partial => Fairness::Strong,
            _ => Fairness::Weak,
        }
    }

    fn scope(&self, property: Coherence) -> Option<Scope> {
        match property {
            Coherence::OneWriter | Coherence::NoDeadlock => None,
            Coherence::HomeFinishes => Some(Scope::Control),
            Coherence::Answered => Some(Scope::Page),
        }
    }

    fn pending(&self, property: Coherence, home: &Home, cache: Option<&Cache>) -> bool {
        match property {
            Coherence::HomeFinishes => home.serving.is_some(),
            Coherence::Answered => cache.is_some_and(|cache| {
                cache.wish.is_some() || cache.served || matches!(cache.word, Some(DirectoryWord::Grant(_)))
            }),
            Coherence::OneWriter | Coherence::NoDeadlock => false,
        }
    }

    fn discharges(&self, _: Coherence, _: CacheStep) -> bool {
        false
    }
}
