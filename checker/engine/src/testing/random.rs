//! Small random systems, for tests that compare an engine with a naive one.

use std::fmt;

use enumset::{EnumSet, EnumSetType};
use population::system::{self, ControlMove, Fairness, Judged, Live, PageMove, PropertyName, Scope, System};
use serde::{Deserialize, Serialize};

/// A condition of a [`RandomSystem`].
#[allow(missing_docs)]
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash)]
pub enum RandomCondition {
    C1,
    C2,
    C3,
    C4,
    C5,
    C6,
    C7,
    C8,
    C9,
    C10,
    C11,
    C12,
}

/// A property of a [`RandomSystem`]: `S` for safety, `L` for liveness.
#[allow(missing_docs)]
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[enumset(serialize_repr = "list")]
pub enum RandomProperty {
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    S11,
    S12,
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    L7,
    L8,
}

impl fmt::Display for RandomProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl PropertyName for RandomProperty {
    const NO_DEADLOCK: Self = RandomProperty::S10;

    fn is_safety(self) -> bool {
        self <= RandomProperty::S12
    }
}

type Conditions = EnumSet<RandomCondition>;
type Properties = EnumSet<RandomProperty>;
type Verdict = system::Verdict<RandomCondition, RandomProperty>;
type Property = RandomProperty;

/// How large a [`RandomSystem`] is and how often things happen in it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Control records; at least 1.
    pub controls: u8,
    /// Page records; at least 1.
    pub pages: u8,
    /// Records a page may start with; at least 1.
    pub initial_pages: u8,
    /// Control steps.
    pub control_steps: u8,
    /// Page steps.
    pub page_steps: u8,
    /// Percentage of (step, record) combinations that have a move.
    pub moves: u8,
    /// Percentage of moves that ask for a condition, for each of [`CONDITIONS`] conditions.
    pub guarded: u8,
    /// Percentage of records and moves that violate something.
    pub violating: u8,
}

/// How many different conditions the moves of a [`RandomSystem`] ask for.
pub const CONDITIONS: usize = 3;

impl Default for Shape {
    fn default() -> Self {
        Shape {
            controls: 3,
            pages: 4,
            initial_pages: 2,
            control_steps: 2,
            page_steps: 3,
            moves: 40,
            guarded: 20,
            violating: 3,
        }
    }
}

/// What a system is spared, so that more holds of it than of the one with the same seed.
#[allow(missing_docs)]
#[derive(Debug, EnumSetType)]
pub enum Kindness {
    NothingRequired,
    AllFair,
    NoControlSteps,
    NothingCarried,
    PagesKeepControl,
    MoreDischarges,
}

/// A system made of random tables; the same seed and shape give the same system.
///
/// Every liveness property has a random scope, and is pending in about half of the records.
#[derive(Clone, Debug)]
pub struct RandomSystem {
    /// What to print when a test fails.
    pub seed: u64,
    shape: Shape,
    kindness: EnumSet<Kindness>,
    control_steps: Vec<u8>,
    page_steps: Vec<u8>,
}

/// What a random number is drawn for. Each draw is a function of the seed and of these, so the system
/// needs no tables and has no order in which it must be asked.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Topic {
    Conditions,
    Move,
    Requires,
    Target,
    Carry,
    Violated,
    ViolatedUnless,
    Excuse,
    MayEnd,
    Fairness,
    Scope,
    Pending,
    Discharges,
    GoalConditions,
    Excused,
}

impl RandomSystem {
    /// The system that belongs to a seed.
    pub fn new(seed: u64, shape: Shape) -> Self {
        RandomSystem {
            seed,
            shape,
            kindness: EnumSet::empty(),
            control_steps: (0..shape.control_steps).collect(),
            page_steps: (0..shape.page_steps).collect(),
        }
    }

    /// The same system, but for what it is spared.
    pub fn kinder(&self, kindness: EnumSet<Kindness>) -> Self {
        RandomSystem { kindness, ..self.clone() }
    }

    /// A uniformly distributed number for a topic and what it depends on.
    fn draw(&self, topic: Topic, about: &[u8]) -> u64 {
        about.iter().fold(mix(self.seed ^ mix(topic as u64 + 1)), |hash, byte| {
            mix(hash ^ (u64::from(*byte) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        })
    }

    fn chance(&self, percentage: u8, topic: Topic, about: &[u8]) -> bool {
        self.draw(topic, about) % 100 < u64::from(percentage)
    }

    fn below(&self, bound: u8, topic: Topic, about: &[u8]) -> u8 {
        (self.draw(topic, about) % u64::from(bound.max(1))) as u8
    }

    /// Each element with the given probability.
    fn subset<T: EnumSetType>(
        &self,
        of: impl Iterator<Item = T>,
        percentage: u8,
        topic: Topic,
        about: &[u8],
    ) -> enumset::EnumSet<T> {
        let draws = (0u8..).zip(of);
        let chosen = draws.filter(|(nth, _)| self.chance(percentage, topic, &[about, &[100 + nth]].concat()));
        chosen.map(|(_, element)| element).collect()
    }

    fn requires(&self, about: &[u8]) -> Conditions {
        if self.kindness.contains(Kindness::NothingRequired) {
            return Conditions::empty();
        }
        self.subset(Conditions::all().iter().take(CONDITIONS), self.shape.guarded, Topic::Requires, about)
    }

    /// At most one safety property other than `S10`, which is not for a system to judge.
    fn violated(&self, topic: Topic, about: &[u8]) -> Properties {
        if !self.chance(self.shape.violating, topic, about) {
            return Properties::empty();
        }
        let candidates: Vec<_> = safety().collect();
        let nth = self.draw(topic, &[about, &[200]].concat()) as usize % candidates.len();
        candidates[nth].into()
    }
}

fn safety() -> impl Iterator<Item = Property> {
    Properties::all().iter().filter(|property| property.is_safety() && *property != Property::S10)
}

/// The finalizer of splitmix64.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

impl System for RandomSystem {
    type Control = u8;
    type Page = u8;
    type ControlStep = u8;
    type PageStep = u8;
    type Condition = RandomCondition;

    fn initial_control(&self) -> u8 {
        0
    }

    fn initial_pages(&self) -> Vec<u8> {
        (0..self.shape.initial_pages.min(self.shape.pages)).collect()
    }

    fn conditions(&self, page: &u8) -> Conditions {
        self.subset(Conditions::all().iter(), 50, Topic::Conditions, &[*page])
    }

    fn control_steps(&self) -> &[u8] {
        &self.control_steps
    }

    fn control_move(&self, step: u8, control: &u8) -> Option<ControlMove<u8, RandomCondition>> {
        let about = [0, step, *control];
        let is_move = self.chance(self.shape.moves, Topic::Move, &about);
        (is_move && !self.kindness.contains(Kindness::NoControlSteps)).then(|| ControlMove {
            requires: self.requires(&about),
            control: self.below(self.shape.controls, Topic::Target, &about),
        })
    }

    fn carry(&self, step: u8, control: &u8, page: &u8) -> u8 {
        let about = [step, *control, *page];
        // Half of the time nothing, as in a protocol.
        if self.chance(50, Topic::Carry, &about) || self.kindness.contains(Kindness::NothingCarried) {
            *page
        } else {
            self.below(self.shape.pages, Topic::Carry, &[&about[..], &[0]].concat())
        }
    }

    fn page_steps(&self) -> &[u8] {
        &self.page_steps
    }

    fn page_move(&self, step: u8, control: &u8, page: &u8) -> Option<PageMove<u8, u8, RandomCondition>> {
        let about = [1, step, *control, *page];
        if !self.chance(self.shape.moves, Topic::Move, &about) {
            return None;
        }
        let moves_control = self.chance(40, Topic::Target, &[&about[..], &[0]].concat())
            && !self.kindness.contains(Kindness::PagesKeepControl);
        let after = PageMove {
            requires: self.requires(&about),
            control: if moves_control {
                self.below(self.shape.controls, Topic::Target, &about)
            } else {
                *control
            },
            page: self.below(self.shape.pages, Topic::Target, &[&about[..], &[1]].concat()),
        };
        ((after.control, after.page) != (*control, *page)).then_some(after)
    }
}

impl Judged for RandomSystem {
    type Property = RandomProperty;

    fn judge_control(&self, control: &u8) -> Properties {
        self.violated(Topic::Violated, &[0, *control])
    }

    fn judge_page(&self, control: &u8, page: &u8) -> Properties {
        self.violated(Topic::Violated, &[1, *control, *page])
    }

    fn judge_control_move(
        &self,
        step: u8,
        before: &u8,
        _after: &ControlMove<u8, RandomCondition>,
    ) -> Properties {
        self.violated(Topic::Violated, &[2, step, *before])
    }

    fn judge_page_move(
        &self,
        step: u8,
        control: &u8,
        page: &u8,
        _after: &PageMove<u8, u8, RandomCondition>,
    ) -> Verdict {
        let about = [3, step, *control, *page];
        Verdict {
            violated: self.violated(Topic::Violated, &about),
            violated_unless: self.violated(Topic::ViolatedUnless, &about),
            conditions: self.subset(Conditions::all().iter().take(CONDITIONS), 50, Topic::Excuse, &about),
        }
    }

    fn may_end(&self, control: &u8) -> bool {
        self.chance(50, Topic::MayEnd, &[*control])
    }
}

impl Live for RandomSystem {
    fn control_fairness(&self, step: u8) -> Fairness {
        self.fairness(&[0, step])
    }

    fn page_fairness(&self, step: u8) -> Fairness {
        self.fairness(&[1, step])
    }

    fn scope(&self, property: Property) -> Option<Scope> {
        if property.is_safety() {
            return None;
        }
        Some(match self.below(3, Topic::Scope, &[property as u8]) {
            0 => Scope::Control,
            1 => Scope::Page,
            _ => Scope::Possibility,
        })
    }

    fn pending(&self, property: Property, control: &u8, page: Option<&u8>) -> bool {
        let page = page.map_or(u8::MAX, |page| *page);
        self.chance(50, Topic::Pending, &[property as u8, *control, page])
    }

    fn discharges(&self, property: Property, step: u8) -> bool {
        let percentage = if self.kindness.contains(Kindness::MoreDischarges) { 60 } else { 20 };
        self.chance(percentage, Topic::Discharges, &[property as u8, step])
    }

    fn goal_conditions(&self, property: Property) -> Conditions {
        let some = Conditions::all().iter().take(CONDITIONS);
        self.subset(some, 20, Topic::GoalConditions, &[property as u8])
    }

    fn excused(&self, property: Property, control: &u8) -> bool {
        self.chance(20, Topic::Excused, &[property as u8, *control])
    }
}

impl RandomSystem {
    fn fairness(&self, about: &[u8]) -> Fairness {
        if self.kindness.contains(Kindness::AllFair) {
            return Fairness::Strong;
        }
        match self.below(4, Topic::Fairness, about) {
            0 => Fairness::None,
            1 => Fairness::Strong,
            _ => Fairness::Weak,
        }
    }
}
