//! The dirty log as a thing of its own: read as a whole when a pass begins, cleared page by page, and only then copied.
//!
//! ```text
//!            ┌───────────────── write ──────────────────┐
//!   in step ─┴─▶ redirtied ─ pass: read ─▶ uncleared ─ clear ─▶ due ─ copy ─▶ in step
//!                    ▲                                           └─ write ─▶ due again ─┐
//!                    └────────────────────────── copy ──────────────────────────────────┘
//! ```
//!
//! A write before the mark is cleared is in the content that is copied; one after it is in the log, even if the copy, which
//! comes later still, has it already: the page is sent once more, in vain. To copy first and clear then would lose a write
//! in between (defect `clear-after-copy`).

use super::{AfterPage, alone};
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Currency, DirtyLog, Holding, Page};
use crate::strategy::LogReading;

impl Migration {
    /// What is due when the log has been read.
    pub(super) fn due_in_pass(&self) -> DirtyLog {
        match self.strategy.real.log {
            LogReading::Page => DirtyLog::Due,
            LogReading::Pass => DirtyLog::Uncleared,
        }
    }

    /// What a write makes of the log.
    pub(super) fn logged(&self, log: DirtyLog) -> DirtyLog {
        match (self.strategy.real.log, log) {
            (_, DirtyLog::InStep) => DirtyLog::Redirtied,
            (LogReading::Pass, DirtyLog::Due) => DirtyLog::DueAgain,
            _ => log,
        }
    }

    /// The page's mark is cleared, so that what is written from now on shows.
    pub(crate) fn clear_log(&self, control: &Control, page: &Page) -> AfterPage {
        let copying = matches!(control.phase, Phase::PreCopy { .. });
        let next = Page { log: DirtyLog::Due, ..*page };
        if copying && page.log == DirtyLog::Uncleared { alone(control, next) } else { None }
    }

    /// Somebody whom the log does not see writes to the page at the source: a device, the kernel, a parasite that takes a
    /// checkpoint. Only defects let it happen.
    pub(crate) fn write_unlogged(&self, control: &Control, page: &Page) -> AfterPage {
        if !control.phase.at_source() || !page.source.is_held() {
            return None;
        }
        let mut next = *page;
        next.outdate();
        next.source = Holding::Held(Currency::Current);
        if self.strategy.tracks_dirty() {
            next.store = Currency::Stale;
            next.dirty = true;
        }
        alone(control, next)
    }
}
