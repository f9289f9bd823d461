//! `fallback = "store"`: the source dies while it owes pages, and those whose last content a backing store has come from there.
//!
//! ```text
//!   page owed     dirty map                          after word of the source's death
//!   unwritten     clean                              loaded from the replica of the program's file at the destination
//!   file-mapped   its write-back was under way       the file server has it, if that had come: fetched on demand
//!   any other     dirty                              existed at the source alone: the process is lost
//! ```
//!
//! The dirty map says which are clean, and the file server which version it has: whoever does not look loads what is old
//! (defect `fall-back-blindly`). What is on its way to the file server when the source dies dies with it.

use super::{AfterPage, alone};
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Holding, Page, Plan, Transit, WriteBack};
use crate::paging::Life;
use crate::strategy::Fallback;

impl Migration {
    pub(crate) fn falls_back(&self) -> bool {
        self.strategy.real.fallback == Fallback::Store
    }

    /// Does the page come from a backing store when its source is dead?
    pub fn can_fall_back(&self, page: &Page) -> bool {
        self.falls_back() && page.plan == Plan::FromSource && !page.dirty && page.aside.life == Life::Used
    }

    /// What is known of a page's write-back when the source that has sent it is dead.
    pub(super) fn settle_write_back(&self, page: &mut Page) {
        if self.falls_back() && page.plan == Plan::FromSource {
            page.dirty |= matches!(page.write_back, WriteBack::Sent(_));
        }
    }

    /// The destination has been told of the source's death, and what it owed is in a store.
    pub(crate) fn fall_back(&self, control: &Control, page: &Page) -> AfterPage {
        let told = control.aftermath.source_down && control.phase == Phase::Running;
        if !told || !self.can_fall_back(page) {
            return None;
        }
        let reachable = !control.aftermath.store_down;
        let next = if self.is_on_file_server(page) {
            let asked = if reachable { Transit::Flying(()) } else { Transit::Lost(()) };
            let request = if page.waiting { asked } else { Transit::Idle };
            Page { plan: Plan::FromStore, request, ..*page }
        } else {
            let waiting = page.waiting && self.wakes_apart();
            let destination = Holding::Held(page.store);
            Page { plan: Plan::Settled, destination, waiting, request: Transit::Idle, ..*page }
        };
        alone(control, next)
    }
}
