//! `wake = "apart"`: fault, install and wake are three steps, and several threads may wait for one page.
//!
//! ```text
//!   one thread      touches ─ sleeps ─────────────────────────────── woken
//!   another         touches ──────────── sleeps ─────────────────────────────── woken, since the page is there
//!   their host          heard: request ─────────── installs ─ wakes ── heard ─┘
//! ```
//!
//! The first fault of a page is the request for it. Of all others the record knows whether one has not been heard. A thread
//! that falls asleep after the wake is woken when its fault is heard; nothing else would wake it.

use super::{AfterPage, alone};
use crate::control::Control;
use crate::migration::Migration;
use crate::page::Page;
use crate::paging::{Aside, Waking};

impl Migration {
    /// Does whoever waits for a page wait on when it is installed?
    pub(crate) fn wakes_apart(&self) -> bool {
        self.strategy.paging.wake == Waking::Apart
    }

    /// Another thread touches a page that is missing, and waited for. Its fault is heard later.
    pub(crate) fn fault_again(&self, control: &Control, page: &Page) -> AfterPage {
        let missing = control.runs() && !self.copy_at_process(control, page).is_held();
        if !missing || !page.waiting || page.aside.late {
            return None;
        }
        alone(control, Page { aside: Aside { late: true, ..page.aside }, ..*page })
    }

    /// The fault is heard. The thread waits with the others; where the page is there, it is woken at once.
    pub(crate) fn hear_fault(&self, control: &Control, page: &Page) -> AfterPage {
        let heard = Page { aside: Aside { late: false, ..page.aside }, ..*page };
        if page.aside.late { alone(control, heard) } else { None }
    }

    /// The page is there: whoever waits for it runs on.
    pub(crate) fn wake(&self, control: &Control, page: &Page) -> AfterPage {
        let there = page.waiting && self.copy_at_process(control, page).is_held();
        if there { alone(control, Page { waiting: false, ..*page }) } else { None }
    }
}
