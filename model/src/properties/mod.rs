//! The properties: one file each, with its meaning, how it is judged, and the defect that shows it can
//! fail. Guards never come here; properties may read ghosts.

pub mod l1_residual_dependency;
pub mod l2_back_to_rest;
pub mod l3_faults_served;
pub mod l4_runs_again;
pub mod l5_pre_migration_ends;
pub mod l6_writes_visible;
pub mod l7_migrate_again;
pub mod l8_pause_ends;
pub mod s10_no_deadlock;
pub mod s11_one_outcome;
pub mod s12_lost_only_if_lost;
pub mod s1_no_lost_page;
pub mod s2_reads_are_current;
pub mod s3_one_runner;
pub mod s4_freeze_budget;
pub mod s5_clean_departure;
pub mod s6_store_goes_forward;
pub mod s7_demand_first;
pub mod s8_traffic_bound;
pub mod s9_state_cycle;

use crate::condition::Condition;
use crate::control::Control;
use crate::migration::Migration;
use crate::page::Page;
use crate::property::Property;
use crate::step::{ControlStep, PageStep};
use crate::strategy::{Pre, Push, Strategy};
use crate::system::{Conditions, Judged, PageMove, Properties, Scope, Verdict};

/// What is known of a property before any check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It holds.
    Holds,
    /// It fails, and the failure is part of the specification.
    Fails,
    /// It says nothing about this algorithm.
    NotApplicable,
}

impl Property {
    /// A few words.
    pub fn title(self) -> &'static str {
        self.texts().0
    }

    /// One sentence.
    pub fn meaning(self) -> &'static str {
        self.texts().1
    }

    #[rustfmt::skip]
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Property::S1 => (s1_no_lost_page::TITLE, s1_no_lost_page::MEANING),
            Property::S2 => (s2_reads_are_current::TITLE, s2_reads_are_current::MEANING),
            Property::S3 => (s3_one_runner::TITLE, s3_one_runner::MEANING),
            Property::S4 => (s4_freeze_budget::TITLE, s4_freeze_budget::MEANING),
            Property::S5 => (s5_clean_departure::TITLE, s5_clean_departure::MEANING),
            Property::S6 => (s6_store_goes_forward::TITLE, s6_store_goes_forward::MEANING),
            Property::S7 => (s7_demand_first::TITLE, s7_demand_first::MEANING),
            Property::S8 => (s8_traffic_bound::TITLE, s8_traffic_bound::MEANING),
            Property::S9 => (s9_state_cycle::TITLE, s9_state_cycle::MEANING),
            Property::S10 => (s10_no_deadlock::TITLE, s10_no_deadlock::MEANING),
            Property::S11 => (s11_one_outcome::TITLE, s11_one_outcome::MEANING),
            Property::S12 => (s12_lost_only_if_lost::TITLE, s12_lost_only_if_lost::MEANING),
            Property::L1 => (l1_residual_dependency::TITLE, l1_residual_dependency::MEANING),
            Property::L2 => (l2_back_to_rest::TITLE, l2_back_to_rest::MEANING),
            Property::L3 => (l3_faults_served::TITLE, l3_faults_served::MEANING),
            Property::L4 => (l4_runs_again::TITLE, l4_runs_again::MEANING),
            Property::L5 => (l5_pre_migration_ends::TITLE, l5_pre_migration_ends::MEANING),
            Property::L6 => (l6_writes_visible::TITLE, l6_writes_visible::MEANING),
            Property::L7 => (l7_migrate_again::TITLE, l7_migrate_again::MEANING),
            Property::L8 => (l8_pause_ends::TITLE, l8_pause_ends::MEANING),
        }
    }
}

impl Strategy {
    /// What the taxonomy says of a property for such an algorithm. The few expected failures are part of
    /// the specification: a property that holds where a failure is expected is an error as well.
    pub fn expectation(&self, property: Property) -> Expectation {
        let endless = self.is_endless();
        let applies = match property {
            Property::S6 => self.writes_to_store(),
            Property::S7 => self.push != Push::None,
            Property::S8 => self.crossings_max().is_some(),
            Property::L1 => self.owes_pages(),
            Property::L3 => self.owes_pages() || self.writes_to_store(),
            Property::L5 => matches!(self.pre, Pre::Copy(_)),
            Property::L6 => self.pre == Pre::WriteBack,
            _ => true,
        };
        let fails = match property {
            Property::L1 => self.is_lazy(),
            Property::L2 => self.is_lazy() || endless,
            Property::L5 => endless,
            _ => false,
        };
        match (applies, fails) {
            (false, _) => Expectation::NotApplicable,
            (true, true) => Expectation::Fails,
            (true, false) => Expectation::Holds,
        }
    }
}

impl Migration {
    pub(crate) fn violated_by_control(&self, control: &Control) -> Properties {
        collect([(Property::S3, self.has_two_runners(control))])
    }

    pub(crate) fn violated_by_page(&self, control: &Control, page: &Page) -> Properties {
        collect([
            (Property::S1, self.is_lost(control, page)),
            (Property::S2, self.reads_stale(control, page)),
            (Property::S5, self.departs_indebted(control, page)),
        ])
    }

    pub(crate) fn violated_by_control_step(
        &self,
        step: ControlStep,
        before: &Control,
        after: &Control,
    ) -> Properties {
        collect([
            (Property::S9, self.leaves_cycle(step, before, after)),
            (Property::S11, self.has_two_outcomes(step, before, after)),
            (Property::S12, self.is_given_up(before, after)),
        ]) & self.safety()
    }

    pub(crate) fn violated_by_page_step(
        &self,
        step: PageStep,
        control: &Control,
        page: &Page,
        after: &PageMove<Control, Page>,
    ) -> Verdict {
        let (violated_unless, conditions) = match step {
            PageStep::Push => (Property::S7.into(), Condition::NoDemand | Condition::Heeded),
            PageStep::Pull => (Property::S7.into(), Condition::Unwaited.into()),
            _ => (Properties::empty(), Conditions::empty()),
        };
        Verdict {
            violated: collect([
                (Property::S4, self.exceeds_freeze_budget(step, control, page)),
                (Property::S6, self.store_goes_back(step, page, &after.page)),
                (
                    Property::S8,
                    self.exceeds_traffic_bound(control, &after.page) || self.is_sent_for_nothing(step, page),
                ),
                (Property::S12, self.is_given_up_for(step, control, page, after)),
            ]) & self.safety(),
            violated_unless,
            conditions,
        }
    }

    pub(crate) fn liveness_scope(&self, property: Property) -> Option<Scope> {
        match property {
            Property::L1 | Property::L3 | Property::L6 => Some(Scope::Page),
            Property::L2 | Property::L4 | Property::L5 | Property::L8 => Some(Scope::Control),
            Property::L7 => Some(Scope::Possibility),
            _ => None,
        }
    }

    pub(crate) fn is_pending(&self, property: Property, control: &Control, page: Option<&Page>) -> bool {
        match (property, page) {
            (Property::L1, Some(page)) => self.is_residual(control, page),
            (Property::L2, None) => self.is_migrating(control),
            (Property::L3, Some(page)) => self.is_waited_for(control, page),
            (Property::L4, None) => self.is_suspended(control),
            (Property::L5, None) => self.is_pre_copying(control),
            (Property::L6, Some(page)) => self.is_unseen(control, page),
            (Property::L7, None) => self.cannot_migrate(control),
            (Property::L8, None) => self.is_interrupted(control),
            _ => false,
        }
    }

    pub(crate) fn is_discharged_by(&self, property: Property, step: PageStep) -> bool {
        property == Property::L6 && step == PageStep::Write
    }
}

fn collect<const N: usize>(judged: [(Property, bool); N]) -> Properties {
    judged.into_iter().filter(|(_, violated)| *violated).map(|(property, _)| property).collect()
}
