//! Machines die, and the link between the hosts breaks. Either way all that is in flight between them is lost.
//!
//! Nobody is told: each side notices when it likes, and sends in vain until then. What it sends in vain is marked as
//! lost, as what a lossy link drops is.

use super::abort::forgets;
use super::{AfterControl, to};
use crate::control::{Control, Phase, Process};
use crate::disruption::{Aftermath, Connection, Disruption, Leftover};
use crate::migration::Migration;
use crate::page::{Holding, Page, Plan, Transit, WriteBack};

impl Migration {
    /// The record after one more disruption, or `None` where this one may not strike.
    pub(super) fn struck_by(&self, kind: Disruption, control: &Control) -> Option<Control> {
        let stage = control.stage(&self.strategy)?;
        let struck = control.aftermath.struck;
        let aftermath = Aftermath { struck: struck + 1, ..control.aftermath };
        self.disruptions.allow(struck, kind, stage).then_some(Control { aftermath, ..*control })
    }

    /// The link breaks. Who gives a connection up breaks it.
    pub(crate) fn cut(&self, control: &Control) -> AfterControl {
        let there = control.aftermath.connection != Connection::Broken;
        there.then(|| to(broken(control)).each(Migration::lose_in_flight))
    }

    /// The source's machine dies. Until the destination runs the process, the process dies with it: a destination
    /// in doubt cannot know whether the source ran on.
    pub(crate) fn crash_source(&self, control: &Control) -> AfterControl {
        if control.phase.at_source() {
            return Some(to(DOOMED).each(|_, _, page| *page = Page::GONE));
        }
        if control.aftermath.source_down {
            return None;
        }
        let after = broken(control);
        let aftermath = Aftermath { source_down: true, leftover: Leftover::None, ..after.aftermath };
        Some(to(Control { aftermath, ..after }).each(Migration::die_with_source))
    }

    fn die_with_source(&self, control: &Control, page: &mut Page) {
        self.lose_in_flight(control, page);
        self.settle_write_back(page);
        let write_back = if page.plan == Plan::FromSource { WriteBack::Idle } else { page.write_back };
        // Nobody is left who would send it again; a destination that cannot resume without it knows what it lacks.
        let lacked = control.phase == Phase::Loading && page.plan == Plan::Travelled;
        let missed = matches!(page.content, Transit::Lost(_)) && !lacked;
        let content =
            if missed && !self.comes_from_store(control, page) { Transit::Idle } else { page.content };
        *page = Page { source: Holding::Absent, sent: false, asked: false, content, write_back, ..*page };
    }

    /// The destination's machine dies. Before the commit that ends the attempt and nothing else.
    pub(crate) fn crash_destination(&self, control: &Control) -> AfterControl {
        if control.phase.committed() {
            return Some(to(DOOMED).each(|_, _, page| *page = Page::GONE));
        }
        if control.aftermath.destination_down {
            return None;
        }
        let after = broken(control);
        let aftermath = Aftermath { destination_down: true, leftover: Leftover::None, ..after.aftermath };
        let after = Control { aftermath, ..after };
        let died = if control.phase.can_abort() { forgets(&after) } else { to(after) };
        Some(died.each(Migration::die_with_destination))
    }

    fn die_with_destination(&self, control: &Control, page: &mut Page) {
        self.lose_in_flight(control, page);
        if control.phase.can_abort() {
            self.forsake(control, page);
        }
        page.destination = Holding::Absent;
    }

    /// What a broken connection does to a page's messages. Its traffic with the file server goes on.
    pub(super) fn lose_in_flight(&self, control: &Control, page: &mut Page) {
        page.older = 0;
        page.echo = Holding::Absent;
        page.stray = Holding::Absent;
        if let Transit::Flying(content) = page.content
            && !self.comes_from_store(control, page)
        {
            page.content = Transit::Lost(content);
        }
        if page.request == Transit::Flying(()) && !self.asks_store(control, page) {
            page.request = if self.awaits_answer(control, page) { Transit::Lost(()) } else { Transit::Idle };
        }
    }
}

/// The process has died, and the other host has not been told.
const DOOMED: Control = Control { phase: Phase::Doomed, process: Process::Lost, ..Control::GONE };

/// Without a connection: the control message in flight is lost, and so is what an aborted attempt has left on the
/// link.
fn broken(control: &Control) -> Control {
    let leftover = match control.aftermath.leftover {
        Leftover::Offered => Leftover::Receiving,
        leftover => leftover,
    };
    Control {
        message_lost: control.message_lost || control.phase.message_in_flight(),
        aftermath: Aftermath {
            connection: Connection::Broken,
            leftover,
            old_ready: false,
            ..control.aftermath
        },
        ..*control
    }
}
