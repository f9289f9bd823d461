//! What disruptions add to the undisturbed steps, all of it.
//!
//! Such a step may be *hindered* by what disruptions have left behind; it keeps the aftermath as it is, but for a few
//! that settle something; and what it sends to where nothing gets through is lost, to be sent again. Without
//! disruptions nothing of it applies.

use super::{AfterControl, AfterPage, Taken, to};
use crate::control::{Control, Phase, Process};
use crate::disruption::{Aftermath, Connection, Leftover};
use crate::migration::{Link, Migration};
use crate::page::{Page, Transit, WriteBack};
use crate::step::{ControlStep, PageStep, TakePage};
use crate::strategy::Pre;
use crate::system::ControlMove;

impl Migration {
    /// An undisturbed step among what disruptions have left behind.
    pub(super) fn control_step_amid(&self, step: ControlStep, control: &Control) -> AfterControl {
        if step == ControlStep::Suspend && control.phase == Phase::Forgotten {
            return self.suspend_in_vain(control);
        }
        let taken = self.announced_first(step, (step.row().take)(self, control)?);
        if self.hinders_control(step, control) { None } else { Some(self.disturbed(step, control, taken)) }
    }

    /// The same for a step of a page.
    pub(crate) fn page_step_amid(
        &self,
        step: PageStep,
        take: TakePage,
        control: &Control,
        page: &Page,
    ) -> AfterPage {
        // A source writes back until it hears that the destination has forgotten the attempt.
        let phase = match (step, control.phase) {
            (PageStep::WriteBack, Phase::Forgotten) if control.has_not_begun(&self.strategy) => Phase::Rest,
            (PageStep::WriteBack, Phase::Forgotten) => Phase::Freeze,
            (_, phase) => phase,
        };
        let mut next = take(self, &Control { phase, ..*control }, page)?;
        if self.hinders_page(step, control, page) {
            return None;
        }
        next.control.phase = control.phase;
        self.lose_what_is_sent_in_vain(control, &mut next.page);
        Some(next)
    }

    /// Must the step wait for what disruptions have left to be repaired or cleaned up?
    fn hinders_control(&self, step: ControlStep, control: &Control) -> bool {
        let Aftermath { connection, leftover, .. } = control.aftermath;
        match step {
            ControlStep::MigrateBack | ControlStep::MigrateOnward => connection != Connection::Up,
            ControlStep::Destroy | ControlStep::ResendMessage => connection != Connection::Up,
            // What is left of an aborted attempt is forgotten first.
            ControlStep::DeliverState | ControlStep::DeliverAnnouncement => leftover != Leftover::None,
            _ => false,
        }
    }

    /// The same for a step of a page.
    fn hinders_page(&self, step: PageStep, control: &Control, page: &Page) -> bool {
        let Aftermath { connection, leftover, store_down, .. } = control.aftermath;
        let asks_store = self.asks_store(control, page);
        match step {
            // A destination that has come back has not said yet what it needs.
            _ if step.sends_content() => connection == Connection::Resyncing,
            // After a reconnection requests wait behind the resync, and a host in doubt hears them before it is told
            // to forget.
            PageStep::DeliverRequest | PageStep::DuplicateRequest => {
                let told = matches!(leftover, Leftover::None | Leftover::InDoubt);
                connection != Connection::Up || (self.link == Link::Fifo && !told)
            }
            PageStep::DeliverPage
            | PageStep::DuplicatePage
            | PageStep::DeliverOlder
            | PageStep::DeliverEcho => self.is_behind_aborted(control, page),
            // While a connection is set up, nothing on it is lost.
            PageStep::LoseRequest => connection == Connection::Resyncing && !asks_store,
            PageStep::ResendRequest if asks_store => store_down,
            PageStep::ResendPage if self.comes_from_store(control, page) => store_down,
            PageStep::ResendRequest | PageStep::ResendPage => connection != Connection::Up,
            PageStep::ResendWriteBack => store_down,
            _ => false,
        }
    }

    /// Must a message of this attempt wait for what an aborted one has left? The destination forgets that attempt
    /// before it takes up this one; and a FIFO link delivers its messages first.
    fn is_behind_aborted(&self, control: &Control, page: &Page) -> bool {
        let left =
            control.aftermath.leftover != Leftover::None || (self.link == Link::Fifo && page.stray.is_held());
        left && control.phase.can_abort() && !self.fetched_home(control, page)
    }

    /// What the step leaves of the aftermath; and what it says where nothing gets through is lost.
    fn disturbed(&self, step: ControlStep, before: &Control, step_taken: Taken) -> Taken {
        let after = step_taken.taken.control;
        let was = before.aftermath;
        let aftermath = match step {
            ControlStep::MigrateBack | ControlStep::MigrateOnward => {
                let began_returned = after.returning && before.returning && !self.disruptions.is_none();
                Aftermath { began_returned, ..was.for_next_attempt() }
            }
            // What was left of an aborted attempt goes with the rest.
            ControlStep::Destroy => Aftermath { leftover: Leftover::None, ..was },
            ControlStep::Finish => was.at_rest_again(),
            ControlStep::Exit if after.phase == Phase::Exiting => was.at_exit(),
            ControlStep::Exit | ControlStep::DeliverExit => Aftermath::NONE,
            _ => was,
        };
        let in_vain = aftermath.connection == Connection::Broken && after.phase.message_in_flight();
        let message_lost = after.message_lost || in_vain;
        let control = Control { aftermath, message_lost, ..after };
        let taken = ControlMove { control, ..step_taken.taken };
        let effect = if step == ControlStep::Finish { Migration::leave_peer } else { step_taken.effect };
        Taken { taken, effect }
    }

    /// A source that has not heard that the destination has forgotten the attempt suspends the process in vain.
    fn suspend_in_vain(&self, control: &Control) -> AfterControl {
        let copies = matches!(self.strategy.pre, Pre::Copy(_)) && control.process == Process::PreMigration;
        copies.then_some(to(Control { process: Process::Migration, source_runs: false, ..*control }))
    }

    /// What was sent to where nothing gets through is lost.
    fn lose_what_is_sent_in_vain(&self, control: &Control, page: &mut Page) {
        let Aftermath { connection, store_down, .. } = control.aftermath;
        let broken = connection == Connection::Broken;
        if let Transit::Flying(content) = page.content
            && broken
            && !self.comes_from_store(control, page)
        {
            page.content = Transit::Lost(content);
        }
        let unheard = if self.asks_store(control, page) { store_down } else { broken };
        if page.request == Transit::Flying(()) && unheard {
            page.request = Transit::Lost(());
        }
        if let WriteBack::Sent(Transit::Flying(content)) = page.write_back
            && store_down
        {
            page.write_back = WriteBack::Sent(Transit::Lost(content));
        }
    }
}
