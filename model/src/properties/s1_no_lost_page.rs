//! S1, no lost page. Caught: `mark-sent-unsent`, `literal-generic`, and others.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Currency, Page, Plan, Transit};

pub(super) const TITLE: &str = "no lost page";
pub(super) const MEANING: &str = "For each page, the place the protocol will fetch it from holds, or has in flight to the process, the current content.";

impl Migration {
    pub(super) fn is_lost(&self, control: &Control, page: &Page) -> bool {
        let kept = match control.phase {
            Phase::Exiting | Phase::Exited => true,
            _ => match page.plan {
                Plan::Undecided if page.source.is_held() => page.source.is_current(),
                Plan::Undecided if page.destination.is_held() => page.destination.is_current(),
                Plan::Undecided if page.third.is_held() => page.third.is_current(),
                Plan::Undecided => {
                    arrives(page, self.strategy.tracks_dirty() && page.store == Currency::Current)
                }
                Plan::Travelled | Plan::Settled => arrives(page, page.destination.is_current()),
                Plan::FromSource => arrives(page, !page.sent && page.source.is_current()),
                Plan::FromThird => arrives(page, !page.sent && page.third.is_current()),
                Plan::FromStore => arrives(page, page.store == Currency::Current),
            },
        };
        !kept
    }
}

/// The newest message on its way decides; without one, what is held where it will be fetched.
fn arrives(page: &Page, held: bool) -> bool {
    if page.content == Transit::Idle { held } else { page.content.is_current() }
}
