//! S6, the store goes forward. Caught: `store-older`, `acknowledge-unstored`, `acknowledge-before-durable`.
//!
//! What a host is told to be stored must still be there when it hears it: an outage must not have taken it.

use crate::migration::Migration;
use crate::page::{Currency, Page, Transit, WriteBack};
use crate::step::PageStep;

pub(super) const TITLE: &str = "store goes forward";
pub(super) const MEANING: &str =
    "The file server never replaces newer content by older, and has what it acknowledges.";

impl Migration {
    pub(super) fn store_goes_back(&self, step: PageStep, before: &Page, after: &Page) -> bool {
        let receives = matches!(step, PageStep::Store | PageStep::DuplicateStore | PageStep::StoreEcho);
        let had = before.store == Currency::Current;
        let got = before.write_back == WriteBack::Sent(Transit::Flying(Currency::Current))
            && step != PageStep::StoreEcho;
        let told = step == PageStep::DeliverAcknowledgement && !before.dirty;
        ((receives && (had || got)) || told) && after.store == Currency::Stale
    }
}
