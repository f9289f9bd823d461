//! `push = "pull"`: the destination asks for what is missing, whether it is touched or not; the source sends what it is
//! asked for and nothing else.
//!
//! A page is asked for once, and again by a fault, which does not wait for its turn. While a thread waits for a page, no other
//! page is asked for that nobody waits for: the pulling side's way to put demand first.

use super::AfterPage;
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Page, Plan, Transit};
use crate::paging::Aside;
use crate::step::ControlStep;
use crate::system::{Conditions, PageMove};

impl Migration {
    /// The destination asks for a page that nobody waits for.
    pub(crate) fn pull(&self, control: &Control, page: &Page) -> AfterPage {
        let missing = control.phase == Phase::Running && page.plan == Plan::FromSource;
        if !missing || page.waiting || page.aside.pulled {
            return None;
        }
        let aside = Aside { pulled: true, ..page.aside };
        let page = Page { request: Transit::Flying(()), aside, ..*page };
        Some(PageMove { requires: Conditions::only(Condition::Unwaited), control: *control, page })
    }

    /// Over a new connection nothing comes that was asked for on the old one.
    pub(super) fn pull_again(&self, step: ControlStep, page: &mut Page) {
        page.aside.pulled &= step != ControlStep::Reconnect;
    }

    /// Does somebody wait for the answer to a request for the page? Then one that is lost is sent again.
    pub(crate) fn awaits_answer(&self, page: &Page) -> bool {
        page.waiting || page.aside.pulled
    }
}
