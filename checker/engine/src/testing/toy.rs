//! A migration in miniature: the pages of a process that already runs elsewhere.
//!
//! ```text
//! page:     Missing ──fault──► Requested ──serve──► InFlight ──arrive──► Present
//!              └──────────────push (nobody waits)──────▲
//! control:  Post ──finish (all present)──► Normal ──depart──► Post, all pages Missing
//! ```

use std::fmt;

use enumset::{EnumSet, EnumSetType};
use population::system::{self, Fairness, Judged, Live, PropertyName, Scope, System};
use serde::{Deserialize, Serialize};

/// The choices and mistakes that there can be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Toy {
    /// Missing pages are not pushed.
    pub lazy: bool,
    /// A push does not wait for requested pages.
    pub rude: bool,
    /// The migration finishes without asking whether all pages are present.
    pub hasty: bool,
    /// Nobody delivers a page in flight.
    pub stalled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    Normal,
    Post,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Page {
    Missing,
    Requested,
    InFlight,
    Present,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlStep {
    Depart,
    Finish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageStep {
    Fault,
    Serve,
    Push,
    Arrive,
}

/// What a move may ask of all other pages.
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash)]
pub enum ToyCondition {
    /// It is not requested.
    Quiet,
    /// It is present.
    Settled,
}

use ToyCondition::{Quiet, Settled};

/// What is asked of the toy; named as the properties of a migration that they stand for.
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[enumset(serialize_repr = "list")]
pub enum ToyProperty {
    S5,
    S7,
    S10,
    L1,
    L3,
    L7,
}

impl fmt::Display for ToyProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl PropertyName for ToyProperty {
    const NO_DEADLOCK: Self = ToyProperty::S10;

    fn is_safety(self) -> bool {
        self <= ToyProperty::S10
    }
}

type Conditions = EnumSet<ToyCondition>;
type Properties = EnumSet<ToyProperty>;
type ControlMove = system::ControlMove<Phase, ToyCondition>;
type PageMove = system::PageMove<Phase, Page, ToyCondition>;
type Verdict = system::Verdict<ToyCondition, ToyProperty>;

impl System for Toy {
    type Control = Phase;
    type Page = Page;
    type ControlStep = ControlStep;
    type PageStep = PageStep;
    type Condition = ToyCondition;

    fn initial_control(&self) -> Phase {
        Phase::Normal
    }

    fn initial_pages(&self) -> Vec<Page> {
        vec![Page::Present]
    }

    fn conditions(&self, page: &Page) -> Conditions {
        let mut met = Conditions::empty();
        if *page != Page::Requested {
            met |= Quiet;
        }
        if *page == Page::Present {
            met |= Settled;
        }
        met
    }

    fn control_steps(&self) -> &[ControlStep] {
        &[ControlStep::Depart, ControlStep::Finish]
    }

    fn control_move(&self, step: ControlStep, control: &Phase) -> Option<ControlMove> {
        let (requires, control) = match (step, control) {
            (ControlStep::Depart, Phase::Normal) => (Conditions::empty(), Phase::Post),
            (ControlStep::Finish, Phase::Post) if self.hasty => (Conditions::empty(), Phase::Normal),
            (ControlStep::Finish, Phase::Post) => (Settled.into(), Phase::Normal),
            _ => return None,
        };
        Some(ControlMove { requires, control })
    }

    fn carry(&self, step: ControlStep, _: &Phase, page: &Page) -> Page {
        match step {
            ControlStep::Depart => Page::Missing,
            ControlStep::Finish => *page,
        }
    }

    fn page_steps(&self) -> &[PageStep] {
        &[PageStep::Fault, PageStep::Serve, PageStep::Push, PageStep::Arrive]
    }

    fn page_move(&self, step: PageStep, control: &Phase, page: &Page) -> Option<PageMove> {
        if *control != Phase::Post {
            return None;
        }
        let (requires, page) = match (step, page) {
            (PageStep::Fault, Page::Missing) => (Conditions::empty(), Page::Requested),
            (PageStep::Serve, Page::Requested) => (Conditions::empty(), Page::InFlight),
            (PageStep::Push, Page::Missing) if self.lazy => return None,
            (PageStep::Push, Page::Missing) if self.rude => (Conditions::empty(), Page::InFlight),
            (PageStep::Push, Page::Missing) => (Quiet.into(), Page::InFlight),
            (PageStep::Arrive, Page::InFlight) if !self.stalled => (Conditions::empty(), Page::Present),
            _ => return None,
        };
        Some(PageMove { requires, control: *control, page })
    }
}

impl Judged for Toy {
    type Property = ToyProperty;

    fn judge_control(&self, _: &Phase) -> Properties {
        Properties::empty()
    }

    fn judge_page(&self, control: &Phase, page: &Page) -> Properties {
        let left_behind = *control == Phase::Normal && *page != Page::Present;
        if left_behind { ToyProperty::S5.into() } else { Properties::empty() }
    }

    fn judge_control_move(&self, _: ControlStep, _: &Phase, _: &ControlMove) -> Properties {
        Properties::empty()
    }

    fn judge_page_move(&self, step: PageStep, _: &Phase, _: &Page, _: &PageMove) -> Verdict {
        match step {
            PageStep::Push => Verdict {
                violated_unless: ToyProperty::S7.into(),
                conditions: Quiet.into(),
                ..Verdict::default()
            },
            _ => Verdict::default(),
        }
    }

    fn may_end(&self, _: &Phase) -> bool {
        false
    }
}

impl Live for Toy {
    fn control_fairness(&self, step: ControlStep) -> Fairness {
        match step {
            ControlStep::Depart => Fairness::None,
            ControlStep::Finish => Fairness::Weak,
        }
    }

    fn page_fairness(&self, step: PageStep) -> Fairness {
        match step {
            PageStep::Fault => Fairness::None,
            PageStep::Serve | PageStep::Push | PageStep::Arrive => Fairness::Weak,
        }
    }

    fn scope(&self, property: ToyProperty) -> Option<Scope> {
        match property {
            ToyProperty::L1 => Some(Scope::Control),
            ToyProperty::L3 => Some(Scope::Page),
            ToyProperty::L7 => Some(Scope::Possibility),
            _ => None,
        }
    }

    fn pending(&self, property: ToyProperty, control: &Phase, page: Option<&Page>) -> bool {
        match property {
            ToyProperty::L1 => *control == Phase::Post,
            ToyProperty::L3 => matches!(page, Some(Page::Requested | Page::InFlight)),
            _ => false,
        }
    }

    fn discharges(&self, _: ToyProperty, _: PageStep) -> bool {
        false
    }
}
