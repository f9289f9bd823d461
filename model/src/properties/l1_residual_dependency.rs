//! L1, residual dependency eventually zero. Caught: `never-push`, `pulls-taken-for-sent`. Fails for lazy copy: a page that is never
//! touched keeps its host needed. Under disruptions a process that is lost is excused.

use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::{Page, Plan};

pub(super) const TITLE: &str = "residual dependency ends";
pub(super) const MEANING: &str =
    "After the process has resumed, a page that another host owes is eventually owed no more.";

impl Migration {
    pub(super) fn is_residual(&self, control: &Control, page: &Page) -> bool {
        !control.phase.at_source()
            && control.phase != Phase::Lost
            && matches!(page.plan, Plan::FromSource | Plan::FromThird)
    }
}
