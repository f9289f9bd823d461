//! The file server is out of reach for a while.
//!
//! What is in flight to and from it is lost. It acknowledges only what is durable, so its content survives; hosts
//! keep what they wait for (one write-back and one fetch of a page at most) and send it again when it is back.

use super::{AfterControl, freely};
use crate::control::Control;
use crate::defects::Defect;
use crate::disruption::{Aftermath, Disruption};
use crate::migration::Migration;
use crate::page::{Currency, Holding, Page, Transit, WriteBack};

impl Migration {
    pub(super) fn outage(&self, control: &Control) -> AfterControl {
        let control = self.struck_by(Disruption::Outage, control)?;
        if control.aftermath.store_down {
            return None;
        }
        freely(Control { aftermath: Aftermath { store_down: true, ..control.aftermath }, ..control })
    }

    /// A fetch whose answer is lost is a request to be sent again.
    pub(super) fn lose_store_traffic(&self, control: &Control, page: &mut Page) {
        let fetched = !page.content.is_idle() && self.comes_from_store(control, page);
        let asked = page.request == Transit::Flying(()) && self.asks_store(control, page);
        if fetched {
            page.content = Transit::Idle;
        }
        if fetched || asked {
            page.request = if page.waiting { Transit::Lost(()) } else { Transit::Idle };
        }
        let volatile = self.is_broken(Defect::AcknowledgeBeforeDurable);
        if volatile && matches!(page.write_back, WriteBack::Acknowledged(_)) {
            page.store = Currency::Stale;
        }
        page.write_back_echo = Holding::Absent;
        page.write_back = match page.write_back {
            WriteBack::Sent(Transit::Flying(content)) => WriteBack::Sent(Transit::Lost(content)),
            WriteBack::Acknowledged(_) => WriteBack::Acknowledged(false),
            other => other,
        };
    }

    pub(super) fn store_returns(&self, control: &Control) -> AfterControl {
        let aftermath = Aftermath { store_down: false, ..control.aftermath };
        control.aftermath.store_down.then_some(Control { aftermath, ..*control }).and_then(freely)
    }
}
