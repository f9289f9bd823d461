//! One algorithm in one setting: the [`System`] that everything explores, proves and judges.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::defects::Defect;
use crate::disruption::{Disruption, Disruptions};
use crate::page::{Kind, Page};
use crate::property::Property;
use crate::step::{ControlStep, PageStep};
use crate::strategy::Strategy;
use crate::system::{
    Conditions, ControlMove, Fairness, Judged, Live, PageMove, Properties, Scope, System, Verdict,
};

/// How many hosts there are, beside the file server. Hosts that hold nothing are interchangeable, so a
/// fourth would add nothing but for lazy copy's chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Hosts {
    /// A source and a destination: every migration goes back.
    Two,
    /// A third one to migrate onward to.
    Three,
}

impl Hosts {
    /// How many.
    pub fn count(self) -> u8 {
        match self {
            Hosts::Two => 2,
            Hosts::Three => 3,
        }
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count().fmt(f)
    }
}

/// What every link between two places does to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Reliable, in order, as a TCP connection.
    Fifo,
    /// Reliable, in any order.
    Unordered,
    /// In any order, with loss, duplication, and retransmission.
    Lossy,
}

impl Link {
    /// All of them, the most orderly first.
    pub const ALL: [Link; 3] = [Link::Fifo, Link::Unordered, Link::Lossy];
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Link::Fifo => "fifo",
            Link::Unordered => "unordered",
            Link::Lossy => "lossy",
        })
    }
}

/// An algorithm in a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The algorithm.
    pub strategy: Strategy,
    /// How many hosts there are.
    pub hosts: Hosts,
    /// What links do.
    pub link: Link,
    /// The defect built in, if any.
    pub defect: Option<Defect>,
    /// What may go wrong.
    pub disruptions: Disruptions,
    safety: Properties,
    control_steps: Vec<ControlStep>,
    page_steps: Vec<PageStep>,
}

impl Migration {
    /// The algorithm in a setting, without defect.
    pub fn new(strategy: Strategy, hosts: Hosts, link: Link) -> Self {
        let migration = Migration {
            strategy,
            hosts,
            link,
            defect: None,
            disruptions: Disruptions::NONE,
            safety: Properties::empty(),
            control_steps: vec![],
            page_steps: vec![],
        };
        migration.with_steps()
    }

    /// The same with a defect.
    pub fn with_defect(self, defect: Defect) -> Self {
        Migration { defect: Some(defect), ..self }.with_steps()
    }

    /// The same where things go wrong.
    ///
    /// # Panics
    /// With three hosts: two show all disruptions, and the rules for a chain of hosts are not modelled.
    pub fn with_disruptions(self, disruptions: Disruptions) -> Self {
        let modelled = disruptions.is_none() || self.hosts == Hosts::Two;
        assert!(modelled, "disruptions are modelled for two hosts, not for three");
        Migration { disruptions, ..self }.with_steps()
    }

    fn with_steps(mut self) -> Self {
        let exists = |step: &ControlStep| step.row().exists(&self) || self.adds(*step);
        self.control_steps = ControlStep::ALL.into_iter().filter(exists).collect();
        self.page_steps = PageStep::ALL.into_iter().filter(|step| step.row().exists(&self)).collect();
        let safety = Properties::all().iter().filter(|property| property.is_safety());
        self.safety = safety.filter(|property| self.is_judged(*property)).collect();
        self
    }

    /// Does the property say anything in this world? Some speak of disruptions alone.
    pub fn is_judged(&self, property: Property) -> bool {
        !self.disruptions.is_none() || !property.is_about_disruptions()
    }

    pub(crate) fn is_lossy(&self) -> bool {
        self.link == Link::Lossy
    }

    /// Does the process ever ask another host or the file server for a page?
    pub(crate) fn requests(&self) -> bool {
        self.strategy.owes_pages() || self.strategy.fetches_from_store()
    }

    pub(crate) fn resends_requests(&self) -> bool {
        let outage = self.disruptions.include(Disruption::Outage);
        (self.is_lossy() && self.requests()) || (outage && self.strategy.fetches_from_store())
    }

    pub(crate) fn resends_write_backs(&self) -> bool {
        let loses = self.is_lossy() || self.disruptions.include(Disruption::Outage);
        loses && self.strategy.writes_to_store()
    }

    /// Can a host die that owes pages?
    pub(crate) fn can_lose_pages(&self) -> bool {
        let either = self.disruptions.include(Disruption::CrashSource) || self.strategy.is_lazy();
        either && self.strategy.owes_pages()
    }
}

impl System for Migration {
    type Control = Control;
    type Page = Page;
    type ControlStep = ControlStep;
    type PageStep = PageStep;
    type Condition = Condition;

    fn initial_control(&self) -> Control {
        Control::at_rest(self.strategy.resting())
    }

    fn initial_pages(&self) -> Vec<Page> {
        let kinds: &[Kind] = match self.strategy.tells_kinds_apart() {
            true => &[Kind::Private, Kind::FileMapped],
            false => &[Kind::Private],
        };
        kinds.iter().map(|kind| Page::loaded(*kind)).collect()
    }

    fn conditions(&self, page: &Page) -> Conditions {
        self.conditions_of(page)
    }

    fn control_steps(&self) -> &[ControlStep] {
        &self.control_steps
    }

    fn control_move(&self, step: ControlStep, control: &Control) -> Option<ControlMove<Control>> {
        self.control_step(step, control).map(|step| step.taken)
    }

    fn carry(&self, step: ControlStep, control: &Control, page: &Page) -> Page {
        self.carried(step, control, page)
    }

    fn page_steps(&self) -> &[PageStep] {
        &self.page_steps
    }

    fn page_move(&self, step: PageStep, control: &Control, page: &Page) -> Option<PageMove<Control, Page>> {
        self.page_step(step, control, page)
    }
}

impl Judged for Migration {
    type Property = Property;

    fn judge_control(&self, control: &Control) -> Properties {
        self.violated_by_control(control)
    }

    fn judge_page(&self, control: &Control, page: &Page) -> Properties {
        self.violated_by_page(control, page)
    }

    fn judge_control_move(
        &self,
        step: ControlStep,
        before: &Control,
        after: &ControlMove<Control>,
    ) -> Properties {
        self.violated_by_control_step(step, before, &after.control)
    }

    fn judge_page_move(
        &self,
        step: PageStep,
        control: &Control,
        page: &Page,
        after: &PageMove<Control, Page>,
    ) -> Verdict {
        self.violated_by_page_step(step, control, page, after)
    }

    fn may_end(&self, control: &Control) -> bool {
        matches!(control.phase, Phase::Exited | Phase::Lost)
    }

    fn safety(&self) -> Properties {
        self.safety
    }
}

impl Live for Migration {
    fn control_fairness(&self, step: ControlStep) -> Fairness {
        step.fairness(self.link == Link::Lossy)
    }

    fn page_fairness(&self, step: PageStep) -> Fairness {
        step.fairness(self.link == Link::Lossy)
    }

    fn scope(&self, property: Property) -> Option<Scope> {
        if self.is_judged(property) { self.liveness_scope(property) } else { None }
    }

    fn pending(&self, property: Property, control: &Control, page: Option<&Page>) -> bool {
        self.is_pending(property, control, page)
    }

    fn discharges(&self, property: Property, step: PageStep) -> bool {
        self.is_discharged_by(property, step)
    }

    fn goal_conditions(&self, property: Property) -> Conditions {
        if property == Property::L7 { Condition::Quiet.into() } else { Conditions::empty() }
    }

    fn excused(&self, property: Property, control: &Control) -> bool {
        property == Property::L7 && self.need_not_migrate_again(control)
    }
}
