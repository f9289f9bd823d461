//! What is counted and found while states are expanded.

use enumset::EnumSet;
use population::system::PropertyName;
use serde::{Deserialize, Serialize};

use super::layout::Pages;
use super::successors::StepIndex;
use crate::tabled::{ControlId, PageId};

/// Sums over expanded states. Sums do not depend on the order of the states, so neither does a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Tally<R: PropertyName> {
    pub(super) transitions: u64,
    pub(super) states_unreduced: u64,
    pub(super) transitions_unreduced: u64,
    /// Unreduced; by index of the step.
    pub(super) control_steps: Vec<u64>,
    /// Unreduced; by index of the step.
    pub(super) page_steps: Vec<u64>,
    pub(super) found: Vec<Finding<R>>,
}

/// A violation with a shortest trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Finding<R: PropertyName> {
    pub(super) property: R,
    /// The length of the trace, in steps.
    pub(super) length: u32,
    pub(super) control: ControlId,
    pub(super) pages: Vec<PageId>,
    /// The step from that state that violates the property; `None` if the state itself does.
    pub(super) step: Option<StepIndex>,
}

impl<R: PropertyName> Tally<R> {
    pub(super) fn new(control_steps: usize, page_steps: usize) -> Self {
        Tally {
            transitions: 0,
            states_unreduced: 0,
            transitions_unreduced: 0,
            control_steps: vec![0; control_steps],
            page_steps: vec![0; page_steps],
            found: Vec::new(),
        }
    }

    /// Adds another tally. For each property the least of the findings stays, in the order of length,
    /// control record, page records, and step.
    pub(super) fn merge(&mut self, other: &Self) {
        self.transitions += other.transitions;
        self.states_unreduced += other.states_unreduced;
        self.transitions_unreduced += other.transitions_unreduced;
        add(&mut self.control_steps, &other.control_steps);
        add(&mut self.page_steps, &other.page_steps);
        self.merge_findings(other);
    }

    /// Adds what another tally found, and not what it counted.
    pub(super) fn merge_findings(&mut self, other: &Self) {
        for finding in &other.found {
            self.keep_least(finding.clone());
        }
    }

    /// The properties that something violates.
    pub(super) fn violated(&self) -> EnumSet<R> {
        self.found.iter().map(|finding| finding.property).collect()
    }

    /// Notes a violation in or at a state `depth` steps from an initial one.
    #[cold]
    pub(super) fn note(
        &mut self,
        violated: EnumSet<R>,
        depth: usize,
        control: ControlId,
        pages: &Pages,
        step: Option<StepIndex>,
    ) {
        let length = depth as u32 + u32::from(step.is_some());
        for property in violated {
            self.keep_least(Finding { property, length, control, pages: pages.to_vec(), step });
        }
    }

    fn keep_least(&mut self, finding: Finding<R>) {
        match self.found.iter_mut().find(|known| known.property == finding.property) {
            Some(known) if *known <= finding => {}
            Some(known) => *known = finding,
            None => {
                self.found.push(finding);
                self.found.sort_unstable();
            }
        }
    }
}

fn add(sums: &mut [u64], summands: &[u64]) {
    for (sum, summand) in sums.iter_mut().zip(summands) {
        *sum += summand;
    }
}
