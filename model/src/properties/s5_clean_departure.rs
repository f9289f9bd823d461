//! S5, clean departure. Caught: `destroy-while-owed`, `write-back-after-sent`, `complete-before-answers`.
//!
//! When the connection to the former host is closed, duplicates and requests for pages that have arrived
//! die with it; nobody needs them.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Page, Plan, WriteBack};

pub(super) const TITLE: &str = "clean departure";
pub(super) const MEANING: &str = "Once the process is back at rest, or its source has destroyed its copy, nothing is needed from another host; no host has a write-back under way of a page that has left it.";

impl Migration {
    pub(super) fn departs_indebted(&self, control: &Control, page: &Page) -> bool {
        let owed = matches!(page.plan, Plan::FromSource | Plan::FromThird);
        let left = matches!(page.plan, Plan::Travelled | Plan::Settled | Plan::FromStore);
        match control.phase {
            Phase::Rebuilding | Phase::Accepted | Phase::Committed | Phase::Loading => {
                left && page.write_back != WriteBack::Idle
            }
            Phase::Rest | Phase::Announced | Phase::Expected => {
                page.third.is_held() || page.destination.is_held()
            }
            Phase::Departing => owed || page.third.is_held(),
            Phase::Running | Phase::Completing => self.is_at_rest(control) && owed,
            _ => false,
        }
    }
}
