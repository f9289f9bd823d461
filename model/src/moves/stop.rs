//! What ends pre-copy beside the end of a pass: a switch to post-copy at any moment. What was not sent by then is owed, as in
//! assisted post-copy, and what was is discarded where it has been modified since.
//!
//! Either may find a pass unfinished, and so may the next pass: hypervisors look at the log again when little seems to be
//! left. What the pass has not sent stays due.
//!
//! A target (a time-out, a downtime that is within reach, the operator) needs no step of its own: *suspend* asks nothing
//! then, and the freeze sends what the pass has not.

use super::pre_migration::FROZEN;
use super::{AfterControl, to};
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{DirtyLog, Page};
use crate::strategy::Stop;

impl Migration {
    /// The operator has had enough of pre-copy.
    pub(crate) fn switch(&self, control: &Control) -> AfterControl {
        let copying = matches!(control.phase, Phase::PreCopy { .. });
        copying.then_some(to(Control { switched: true, ..FROZEN }))
    }

    /// Does the page stay at the source because of a switch?
    pub(super) fn is_left_by_switch(&self, page: &Page) -> bool {
        self.strategy.real.stop == Stop::Switch && page.log != DirtyLog::InStep
    }

    /// Will the source owe pages when the process resumes? Where the operator may switch, only if he has.
    pub(crate) fn owes_after(&self, control: &Control) -> bool {
        self.strategy.owes_pages() && (self.strategy.real.stop != Stop::Switch || control.switched)
    }
}
