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
    /// A request is served only while no other page is requested, so that two of them wait for ever.
    pub jealous: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ToyPhase {
    Normal,
    Post,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ToyPage {
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
type ControlMove = system::ControlMove<ToyPhase, ToyCondition>;
type PageMove = system::PageMove<ToyPhase, ToyPage, ToyCondition>;
type Verdict = system::Verdict<ToyCondition, ToyProperty>;

impl System for Toy {
    type Control = ToyPhase;
    type Page = ToyPage;
    type ControlStep = ControlStep;
    type PageStep = PageStep;
    type Condition = ToyCondition;

    fn initial_control(&self) -> ToyPhase {
        ToyPhase::Normal
    }

    fn initial_pages(&self) -> Vec<ToyPage> {
        vec![ToyPage::Present]
    }

    fn conditions(&self, page: &ToyPage) -> Conditions {
        let mut met = Conditions::empty();
        if *page != ToyPage::Requested {
            met |= Quiet;
        }
        if *page == ToyPage::Present {
            met |= Settled;
        }
        met
    }

    fn control_steps(&self) -> &[ControlStep] {
        &[ControlStep::Depart, ControlStep::Finish]
    }

    fn control_move(&self, step: ControlStep, control: &ToyPhase) -> Option<ControlMove> {
        let (requires, control) = match (step, control) {
            (ControlStep::Depart, ToyPhase::Normal) => (Conditions::empty(), ToyPhase::Post),
            (ControlStep::Finish, ToyPhase::Post) if self.hasty => (Conditions::empty(), ToyPhase::Normal),
            (ControlStep::Finish, ToyPhase::Post) => (Settled.into(), ToyPhase::Normal),
            _ => return None,
        };
        Some(ControlMove { requires, control })
    }

    fn carry(&self, step: ControlStep, _: &ToyPhase, page: &ToyPage) -> ToyPage {
        match step {
            ControlStep::Depart => ToyPage::Missing,
            ControlStep::Finish => *page,
        }
    }

    fn page_steps(&self) -> &[PageStep] {
        &[PageStep::Fault, PageStep::Serve, PageStep::Push, PageStep::Arrive]
    }

    fn page_move(&self, step: PageStep, control: &ToyPhase, page: &ToyPage) -> Option<PageMove> {
        if *control != ToyPhase::Post {
            return None;
        }
        let (requires, page) = match (step, page) {
            (PageStep::Fault, ToyPage::Missing) => (Conditions::empty(), ToyPage::Requested),
            (PageStep::Serve, ToyPage::Requested) if self.jealous => (Quiet.into(), ToyPage::InFlight),
            (PageStep::Serve, ToyPage::Requested) => (Conditions::empty(), ToyPage::InFlight),
            (PageStep::Push, ToyPage::Missing) if self.lazy => return None,
            (PageStep::Push, ToyPage::Missing) if self.rude => (Conditions::empty(), ToyPage::InFlight),
            (PageStep::Push, ToyPage::Missing) => (Quiet.into(), ToyPage::InFlight),
            (PageStep::Arrive, ToyPage::InFlight) if !self.stalled => (Conditions::empty(), ToyPage::Present),
            _ => return None,
        };
        Some(PageMove { requires, control: *control, page })
    }
}

impl Judged for Toy {
    type Property = ToyProperty;

    fn judge_control(&self, _: &ToyPhase) -> Properties {
        Properties::empty()
    }

    fn judge_page(&self, control: &ToyPhase, page: &ToyPage) -> Properties {
        let left_behind = *control == ToyPhase::Normal && *page != ToyPage::Present;
        if left_behind { ToyProperty::S5.into() } else { Properties::empty() }
    }

    fn judge_control_move(&self, _: ControlStep, _: &ToyPhase, _: &ControlMove) -> Properties {
        Properties::empty()
    }

    fn judge_page_move(&self, step: PageStep, _: &ToyPhase, _: &ToyPage, _: &PageMove) -> Verdict {
        match step {
            PageStep::Push => Verdict {
                violated_unless: ToyProperty::S7.into(),
                conditions: Quiet.into(),
                ..Verdict::default()
            },
            _ => Verdict::default(),
        }
    }

    fn may_end(&self, _: &ToyPhase) -> bool {
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

    fn pending(&self, property: ToyProperty, control: &ToyPhase, page: Option<&ToyPage>) -> bool {
        match property {
            ToyProperty::L1 => *control == ToyPhase::Post,
            ToyProperty::L3 => matches!(page, Some(ToyPage::Requested | ToyPage::InFlight)),
            _ => false,
        }
    }

    fn discharges(&self, _: ToyProperty, _: PageStep) -> bool {
        false
    }
}
