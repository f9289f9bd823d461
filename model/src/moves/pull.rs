//! `push = "pull"`: the destination asks for what is missing, whether it is touched or not; the source sends what it is
//! asked for and nothing else.
//!
//! A page is asked for once: a fault of one that was asked for ahead waits for that answer. While a thread waits for a page,
//! no other is asked for that nobody waits for: the pulling side's way to put demand first.

use super::AfterPage;
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Page, Plan, Transit};
use crate::paging::Aside;
use crate::step::{ControlStep, PageStep};
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

    /// A fault asks for nothing that was asked for ahead.
    pub(super) fn asks_once(&self, step: PageStep, before: &Page, next: &mut Page) {
        if step == PageStep::Fault && before.aside.pulled {
            next.request = before.request;
        }
    }

    /// Over a new connection the destination asks again for what nobody waits for. What the source has heard of it before it
    /// does not forget.
    pub(super) fn pull_again(&self, step: ControlStep, before: &Page, next: &mut Page) {
        next.aside.pulled &= step != ControlStep::Reconnect;
        next.asked |= step == ControlStep::DeliverResync && before.asked && self.strategy.pulls();
    }

    /// Does somebody wait for the answer to a request for the page? Then one that is lost is sent again. Who has only to be woken
    /// waits for none.
    pub(crate) fn awaits_answer(&self, control: &Control, page: &Page) -> bool {
        (page.waiting && !self.copy_at_process(control, page).is_held()) || page.aside.pulled
    }
}
