//! S1, no lost page. Caught: `mark-sent-unsent`, `literal-generic`, and others.
//!
//! Under disruptions: what is lost with a connection is still at its sender, which will be told; so it counts as held
//! there. A page whose only copy dies with a machine is excused; [S12](super::s12_lost_only_if_lost) sees to it that
//! nothing else is.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Currency, Page, Plan, Transit};
use crate::paging::Life;

pub(super) const TITLE: &str = "no lost page";
pub(super) const MEANING: &str = "For each page, the place the protocol will fetch it from holds, or has in flight to the process, the current content.";

impl Migration {
    pub(super) fn is_lost(&self, control: &Control, page: &Page) -> bool {
        let kept = match control.phase {
            Phase::Exiting | Phase::Exited | Phase::Doomed | Phase::Lost => true,
            _ if self.died_with_owner(control, page) || is_of_no_concern(control, page) => true,
            _ => match page.plan {
                Plan::Undecided if page.source.is_held() => page.source.is_current(),
                Plan::Undecided if page.destination.is_held() => page.destination.is_current(),
                Plan::Undecided if page.third.is_held() => page.third.is_current(),
                Plan::Undecided => {
                    arrives(page, self.strategy.tracks_dirty() && page.store == Currency::Current)
                }
                Plan::Settled if page.aside.void => page.destination.is_current(),
                Plan::Travelled | Plan::Settled => arrives(page, page.destination.is_current()),
                Plan::FromSource if !control.aftermath.is_connected() => page.source.is_current(),
                Plan::FromSource => arrives(page, !page.sent && page.source.is_current()),
                Plan::FromThird => arrives(page, !page.sent && page.third.is_current()),
                Plan::FromStore => arrives(page, page.store == Currency::Current),
            },
        };
        !kept
    }

    /// Was the host that owed the page alone when it crashed?
    pub(super) fn died_with_owner(&self, control: &Control, page: &Page) -> bool {
        let owed = match control.phase {
            // A return is under way, and the host returned to owed the page until then.
            Phase::Forgotten => control.returning && control.aftermath.destination_down,
            _ => page.plan == Plan::FromSource && control.aftermath.source_down,
        };
        owed && !page.source.is_held() && !page.destination.is_held()
    }
}

/// There is no such page, or nobody asks for its content; or it is zero, which the destination knows as soon as it has the
/// dirty map.
fn is_of_no_concern(control: &Control, page: &Page) -> bool {
    match page.aside.life {
        Life::Used => false,
        Life::Exempt | Life::Gone => true,
        Life::Zero => {
            matches!(control.phase, Phase::Offered | Phase::Entrusted) && page.plan == Plan::Settled
        }
    }
}

/// The newest message on its way decides; without one, what is held where it will be fetched.
fn arrives(page: &Page, held: bool) -> bool {
    if page.content == Transit::Idle { held } else { page.content.is_current() }
}
