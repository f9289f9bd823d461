//! `channels`: more than one connection between source and destination, each in order.
//!
//! ```text
//!   demand-apart   requests, answers  ═══════════════════════╗
//!                  all else           ═══════════════════════╩═ complete, when both are read
//!   striped        pages ══ pass 1 ══╗══ pass 2 ══╗
//!                  pages ══ pass 1 ══╩══ pass 2 ══╩═ state
//! ```
//!
//! What one connection gives for nothing, a barrier has to: where messages on two of them could overtake each other, the
//! receiver waits until it has read both. Without a barrier the steps would be as over a link without order.

use super::Taken;
use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::Page;
use crate::paging::Channels;
use crate::step::{ControlStep, PageStep};

impl Migration {
    pub(crate) fn answers_apart(&self) -> bool {
        self.strategy.paging.channels == Channels::DemandApart
    }

    pub(crate) fn is_striped(&self) -> bool {
        self.strategy.paging.channels == Channels::Striped
    }

    /// Does *go*, over one connection, come before every page sent after it?
    pub(crate) fn is_behind_go(&self, control: &Control) -> bool {
        control.phase == Phase::Committed && !self.is_striped()
    }

    /// *Complete* may overtake a request, which goes over the other connection: it was answered already.
    pub(super) fn over_channels(&self, step: ControlStep, mut taken: Taken) -> Taken {
        if step == ControlStep::Destroy && self.answers_apart() {
            taken.taken.requires -= Condition::Unasked;
        }
        taken
    }

    /// Which connection the content goes over.
    pub(super) fn over_channel(&self, step: PageStep, page: &mut Page) {
        page.aside.apart |= step == PageStep::Serve && self.answers_apart();
        page.aside.apart &= !page.content.is_idle();
    }
}
