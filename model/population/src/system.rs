//! The shape every model in this project has: **a population of interchangeable pages under one control**.
//!
//! A state is one control record and any number of page records. There are two kinds of move:
//!
//! * a *control move* reads the control record and, at most, asks that **all** pages meet some
//!   conditions; it may map one function over all pages;
//! * a *page move* reads the control record and one page's own record and, at most, asks that **all
//!   other** pages meet some conditions; it changes that record and possibly the control record.
//!
//! No move can name a page, count pages, or ask that *some* page be in a state. The traits below make it
//! impossible to write such a move, and three results rest on that: sorting the records is a sound
//! symmetry reduction, a state packs into one small number a page, and a proof about views of a few
//! pages holds for any number of pages (`proofs-notes/any-number.md`).
//!
//! The parts of the population are called pages here, since that is what they are in this project; they may as well be
//! caches, clients or sensors. What conditions and properties there are is the system's own choice.

use std::fmt::{Debug, Display};
use std::hash::Hash;

use enumset::{EnumSet, EnumSetType};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The universal conditions that a page record meets, or that a move asks of all (other) pages.
pub type Conditions<S> = EnumSet<<S as System>::Condition>;

/// A set of properties, mostly of violated ones.
pub type Properties<S> = EnumSet<<S as Judged>::Property>;

/// The name of something that a move may ask of all (other) pages.
pub trait ConditionName: EnumSetType + Ord + Hash + Debug + Send + Sync + 'static {}
impl<T: EnumSetType + Ord + Hash + Debug + Send + Sync + 'static> ConditionName for T {}

/// The name of something that is judged.
pub trait PropertyName:
    EnumSetType + Ord + Hash + Debug + Display + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// That a state without a successor is one in which the system [may end](Judged::may_end).
    const NO_DEADLOCK: Self;

    /// Is it judged on states and steps, rather than on infinite runs?
    fn is_safety(self) -> bool;
}

/// What a control record, a page record and a step have in common: small values without heap or order
/// of pages in them.
pub trait Record: Copy + Eq + Ord + Hash + Debug + Send + Sync + 'static {}
impl<T: Copy + Eq + Ord + Hash + Debug + Send + Sync + 'static> Record for T {}

/// What a control step leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlMove<C, K: EnumSetType> {
    /// The move is enabled when every page meets these conditions.
    pub requires: EnumSet<K>,
    /// The control record afterwards.
    pub control: C,
}

/// What a page step leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageMove<C, P, K: EnumSetType> {
    /// The move is enabled when every *other* page meets these conditions.
    pub requires: EnumSet<K>,
    /// The control record afterwards.
    pub control: C,
    /// The page's record afterwards.
    pub page: P,
}

/// May the scheduler ignore a step for ever?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fairness {
    /// Yes: what the process, the operator or a fault does.
    None,
    /// Not while it is enabled without interruption (justice).
    Weak,
    /// Not while it is enabled again and again (compassion).
    Strong,
}

/// A transition system in the shape above. All functions are pure.
pub trait System: Sync {
    /// Who runs, in which phase, which control message is in flight.
    type Control: Record;
    /// Everything about one page.
    type Page: Record;
    /// The names of the control moves.
    type ControlStep: Record;
    /// The names of the page moves.
    type PageStep: Record;
    /// The universal conditions.
    type Condition: ConditionName;

    /// The control record of every initial state.
    fn initial_control(&self) -> Self::Control;
    /// The records a page may start with; every combination over the population is an initial state.
    fn initial_pages(&self) -> Vec<Self::Page>;

    /// The universal conditions this record meets.
    fn conditions(&self, page: &Self::Page) -> Conditions<Self>;

    /// Every control step there is; the order is the order in which moves are listed.
    fn control_steps(&self) -> &[Self::ControlStep];
    /// The move, or `None` if the control record does not allow it.
    fn control_move(
        &self,
        step: Self::ControlStep,
        control: &Self::Control,
    ) -> Option<ControlMove<Self::Control, Self::Condition>>;
    /// What a control move does to each page; `control` is the record *before* the move.
    fn carry(&self, step: Self::ControlStep, control: &Self::Control, page: &Self::Page) -> Self::Page;

    /// Every page step there is; the order is the order in which moves are listed.
    fn page_steps(&self) -> &[Self::PageStep];
    /// The move, or `None` if the control and the page record do not allow it.
    fn page_move(
        &self,
        step: Self::PageStep,
        control: &Self::Control,
        page: &Self::Page,
    ) -> Option<PageMove<Self::Control, Self::Page, Self::Condition>>;
}

/// What a page move does to the properties about steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<K: EnumSetType, R: EnumSetType> {
    /// Violated by the move, whatever the other pages are.
    pub violated: EnumSet<R>,
    /// Violated by the move unless every other page meets [`Verdict::conditions`].
    pub violated_unless: EnumSet<R>,
    /// The conditions that excuse the move from [`Verdict::violated_unless`].
    pub conditions: EnumSet<K>,
}

impl<K: EnumSetType, R: EnumSetType> Default for Verdict<K, R> {
    /// Nothing is violated.
    fn default() -> Self {
        Verdict {
            violated: EnumSet::empty(),
            violated_unless: EnumSet::empty(),
            conditions: EnumSet::empty(),
        }
    }
}

impl<K: EnumSetType, R: EnumSetType> Verdict<K, R> {
    /// The properties violated when the other pages all meet `others` (and no condition beyond).
    pub fn given(&self, others: EnumSet<K>) -> EnumSet<R> {
        if others.is_superset(self.conditions) { self.violated } else { self.violated | self.violated_unless }
    }
}

/// A system whose states and steps can be judged: its safety properties.
pub trait Judged: System {
    /// The properties.
    type Property: PropertyName;

    /// Properties violated by the control record alone.
    fn judge_control(&self, control: &Self::Control) -> Properties<Self>;
    /// Properties violated by one page under this control record.
    fn judge_page(&self, control: &Self::Control, page: &Self::Page) -> Properties<Self>;
    /// Properties violated by a control step.
    fn judge_control_move(
        &self,
        step: Self::ControlStep,
        before: &Self::Control,
        after: &ControlMove<Self::Control, Self::Condition>,
    ) -> Properties<Self>;
    /// Properties violated by a page step.
    fn judge_page_move(
        &self,
        step: Self::PageStep,
        control: &Self::Control,
        page: &Self::Page,
        after: &PageMove<Self::Control, Self::Page, Self::Condition>,
    ) -> Verdict<Self::Condition, Self::Property>;
    /// May a state with this control record have no successor ([`PropertyName::NO_DEADLOCK`])?
    fn may_end(&self, control: &Self::Control) -> bool;
    /// The safety properties that say anything about the system.
    fn safety(&self) -> Properties<Self> {
        Properties::<Self>::all().iter().filter(|property| property.is_safety()).collect()
    }
}

/// What a liveness property says is pending, and about what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// About the control record: `pending` is called without a page.
    Control,
    /// About each page on its own: `pending` is called with that page's record.
    Page,
    /// `AG EF goal`: from every state that is not [excused](Live::excused), a goal remains reachable: a state
    /// in which nothing is pending, `pending` being called without a page, and in which all pages meet
    /// [`Live::goal_conditions`]. No fairness is involved.
    Possibility,
}

/// A system with liveness properties.
///
/// A response property is violated by a fair run on which, from some point on, it is pending in every
/// state and no step discharges it. A run may stutter for ever in a state where no fair step is enabled.
pub trait Live: Judged {
    /// Fairness of a control step.
    fn control_fairness(&self, step: Self::ControlStep) -> Fairness;
    /// Fairness of a page step; each page has a fairness condition of its own.
    fn page_fairness(&self, step: Self::PageStep) -> Fairness;
    /// What a liveness property is about; `None` for the safety properties.
    fn scope(&self, property: Self::Property) -> Option<Scope>;
    /// Does the property wait for something here? `page` is `Some` exactly for [`Scope::Page`].
    fn pending(&self, property: Self::Property, control: &Self::Control, page: Option<&Self::Page>) -> bool;
    /// Does this step of the page in question count as the awaited event, whatever it leads to?
    fn discharges(&self, property: Self::Property, step: Self::PageStep) -> bool;
    /// For a possibility: what all pages must meet in a goal.
    fn goal_conditions(&self, _property: Self::Property) -> Conditions<Self> {
        EnumSet::empty()
    }
    /// For a possibility: need no goal be reachable from states with this control record?
    fn excused(&self, _property: Self::Property, _control: &Self::Control) -> bool {
        false
    }
}
