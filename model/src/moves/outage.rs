//! The file server is out of reach for a while.
//!
//! What is in flight to and from it is lost. It acknowledges only what is durable, so its content survives; hosts
//! keep what they wait for (one write-back and one fetch of a page at most) and send it again when it is back.

use super::{AfterControl, to};
use crate::control::Control;
use crate::disruption::Aftermath;
use crate::migration::Migration;
use crate::page::{Holding, Page, Transit, WriteBack};

impl Migration {
    /// Nobody is told.
    pub(crate) fn outage(&self, control: &Control) -> AfterControl {
        let aftermath = Aftermath { store_down: true, ..control.aftermath };
        let down = to(Control { aftermath, ..*control }).each(Migration::lose_store_traffic);
        (!control.aftermath.store_down).then_some(down)
    }

    /// A fetch whose answer is lost is a request to be sent again.
    fn lose_store_traffic(&self, control: &Control, page: &mut Page) {
        let fetched = !page.content.is_idle() && self.comes_from_store(control, page);
        let asked = page.request == Transit::Flying(()) && self.asks_store(control, page);
        if fetched {
            page.content = Transit::Idle;
        }
        if fetched || asked {
            page.request = if page.waiting { Transit::Lost(()) } else { Transit::Idle };
        }
        page.write_back_echo = Holding::Absent;
        page.write_back = match page.write_back {
            WriteBack::Sent(Transit::Flying(content)) => WriteBack::Sent(Transit::Lost(content)),
            WriteBack::Acknowledged(_) => WriteBack::Acknowledged(false),
            other => other,
        };
    }

    /// What waits for it is sent again.
    pub(crate) fn store_returns(&self, control: &Control) -> AfterControl {
        let aftermath = Aftermath { store_down: false, ..control.aftermath };
        control.aftermath.store_down.then_some(to(Control { aftermath, ..*control }))
    }
}
