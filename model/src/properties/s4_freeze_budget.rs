//! S4, freeze budget. Caught: `push-while-frozen`, `freeze-sends-all`, `swollen-working-set`.
//!
//! The freeze lasts from suspension to the source's commit: what is sent behind *go* holds nothing up.
//! Write-backs that go on in the background are not part of it either.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{DirtyLog, Kind, Page};
use crate::step::PageStep;
use crate::strategy::{Freeze, LogReading};

pub(super) const TITLE: &str = "freeze budget";
pub(super) const MEANING: &str =
    "Between suspension and commit the source sends only the page contents that the algorithm declares.";

impl Migration {
    pub(super) fn exceeds_freeze_budget(&self, step: PageStep, control: &Control, page: &Page) -> bool {
        let frozen =
            matches!(control.phase, Phase::Freeze | Phase::Offered | Phase::Rebuilding | Phase::Accepted);
        if !frozen || !step.sends_content() {
            return false;
        }
        let declared = match self.strategy.freeze {
            _ if control.returning => page.source.is_held(),
            Freeze::All => true,
            Freeze::Modified => page.dirty,
            // A log that is read by pass knows of pages that have been sent since what it has noted.
            Freeze::NotInStep if self.strategy.real.log == LogReading::Pass => page.log != DirtyLog::InStep,
            Freeze::NotInStep => !(page.destination.is_current() || page.content.is_current()),
            Freeze::FlushModified | Freeze::None => {
                self.strategy.working_set
                    && step == PageStep::SendWorkingSet
                    && match page.kind {
                        Kind::FileMapped => !control.code_page_sent,
                        Kind::Private => !control.stack_page_sent,
                    }
            }
        };
        !declared
    }
}
