//! What may happen, step by step: each function is one step, its guard first, its effect below.
//!
//! The files follow a migration: `memory` is the process at work, then `pre_migration`, `freeze`,
//! `hand_over`, `post_migration`; `file_server` and `link` go on all the time. What goes wrong is in `cut` and
//! `outage`, what is made of it in `abort` and `recovery`.
//!
//! A guard reads protocol variables only (see [`crate::page`]); where a step also depends on other pages,
//! it names the universal [`Condition`](crate::condition::Condition)s it asks of them.

mod abort;
mod cut;
mod file_server;
mod freeze;
mod hand_over;
mod link;
mod memory;
mod outage;
mod post_migration;
mod pre_migration;
mod recovery;

use crate::condition::Condition;
use crate::control::{Control, Phase};
use crate::migration::Migration;
use crate::page::Page;
use crate::step::{ControlStep, PageStep};
use crate::system::{Conditions, ControlMove, PageMove};

type AfterControl = Option<ControlMove<Control>>;
type AfterPage = Option<PageMove<Control, Page>>;

impl Migration {
    pub(crate) fn control_step(&self, step: ControlStep, control: &Control) -> AfterControl {
        match step {
            ControlStep::MigrateBack => self.migrate_back(control),
            ControlStep::MigrateOnward => self.migrate_onward(control),
            ControlStep::NextPass => self.next_pass(control),
            ControlStep::Suspend => self.suspend(control),
            ControlStep::SendState => self.send_state(control),
            ControlStep::DeliverState => self.deliver_state(control),
            ControlStep::SendReady => self.send_ready(control),
            ControlStep::Commit => self.commit(control),
            ControlStep::Resume => self.resume(control),
            ControlStep::SendComplete => self.send_complete(control),
            ControlStep::Destroy => self.destroy(control),
            ControlStep::Finish => self.finish(control),
            ControlStep::Exit => self.exit(control),
            ControlStep::DeliverExit => self.deliver_exit(control),
            ControlStep::LoseMessage => self.lose_message(control),
            ControlStep::ResendMessage => self.resend_message(control),
            ControlStep::CrashSource => self.crash_source(control),
            ControlStep::CrashDestination => self.crash_destination(control),
            ControlStep::Cut => self.cut(control),
            ControlStep::Outage => self.outage(control),
            ControlStep::Cancel => self.cancel(control),
            ControlStep::Refuse => self.refuse(control),
            ControlStep::SuspectDestination => self.suspect_destination(control),
            ControlStep::SuspectSource => self.suspect_source(control),
            ControlStep::Abort => self.abort(control),
            ControlStep::Forget => self.forget(control),
            ControlStep::DeliverCancel => self.deliver_cancel(control),
            ControlStep::DeliverOldState => self.deliver_old_state(control),
            ControlStep::SendOldReady => self.send_old_ready(control),
            ControlStep::DeliverOldReady => self.deliver_old_ready(control),
            ControlStep::Reconnect => self.reconnect(control),
            ControlStep::DeliverResync => self.deliver_resync(control),
            ControlStep::Fence => self.fence(control),
            ControlStep::StoreReturns => self.store_returns(control),
        }
    }

    pub(crate) fn carried(&self, step: ControlStep, control: &Control, page: &Page) -> Page {
        let mut page = *page;
        match step {
            ControlStep::MigrateBack | ControlStep::MigrateOnward => {
                self.begin(step, control, &mut page);
            }
            ControlStep::NextPass => self.begin_pass(&mut page),
            ControlStep::SendState => self.map_page(control, &mut page),
            ControlStep::DeliverState => self.discard_stale(&mut page),
            ControlStep::SendReady => self.settle_travelled(&mut page),
            ControlStep::Resume if control.phase != Phase::Rest => self.release_settled(&mut page),
            ControlStep::Resume => {}
            ControlStep::Finish => self.rotate(&mut page),
            ControlStep::Exit => page = Page::GONE,
            ControlStep::CrashSource => self.die_with_source(control, &mut page),
            ControlStep::CrashDestination => self.die_with_destination(control, &mut page),
            ControlStep::Cut => self.lose_in_flight(control, &mut page),
            ControlStep::Outage => self.lose_store_traffic(control, &mut page),
            ControlStep::Refuse => self.forsake(control, &mut page),
            ControlStep::Cancel | ControlStep::Abort if control.phase.can_abort() => {
                self.thaw(control, &mut page);
            }
            ControlStep::SuspectDestination if control.phase.can_abort() => self.thaw(control, &mut page),
            ControlStep::SuspectSource if abort::is_before_ready(control.phase) => {
                self.forsake(control, &mut page);
            }
            ControlStep::SuspectDestination | ControlStep::SuspectSource => {
                self.lose_in_flight(control, &mut page);
            }
            ControlStep::Forget => self.forget_page(control, &mut page),
            ControlStep::DeliverResync => self.owe_again(&mut page),
            ControlStep::Fence => self.settle_without_peer(control, &mut page),
            ControlStep::Suspend
            | ControlStep::Cancel
            | ControlStep::Abort
            | ControlStep::DeliverCancel
            | ControlStep::DeliverOldState
            | ControlStep::SendOldReady
            | ControlStep::DeliverOldReady
            | ControlStep::Reconnect
            | ControlStep::StoreReturns
            | ControlStep::Commit
            | ControlStep::SendComplete
            | ControlStep::Destroy
            | ControlStep::DeliverExit
            | ControlStep::LoseMessage
            | ControlStep::ResendMessage => {}
        }
        page
    }

    pub(crate) fn page_step(&self, step: PageStep, control: &Control, page: &Page) -> AfterPage {
        if control.phase == Phase::Lost {
            return None;
        }
        match step {
            PageStep::Write => self.write(control, page),
            PageStep::LoadLocal => self.load_local(control, page),
            PageStep::Fault => self.fault(control, page),
            PageStep::Copy => self.copy(control, page),
            PageStep::SendFrozen => self.send_frozen(control, page),
            PageStep::SendWorkingSet => self.send_working_set(control, page),
            PageStep::Serve => self.serve(control, page),
            PageStep::Push => self.push(control, page),
            PageStep::DeliverRequest => self.deliver_request(control, page, false),
            PageStep::DuplicateRequest => self.deliver_request(control, page, true),
            PageStep::DeliverPage => self.deliver_page(control, page, false),
            PageStep::DuplicatePage => self.deliver_page(control, page, true),
            PageStep::DeliverOlder => self.deliver_older(control, page),
            PageStep::DeliverEcho => self.deliver_echo(control, page),
            PageStep::ServeFromStore => self.serve_from_store(control, page),
            PageStep::WriteBack => self.write_back(control, page),
            PageStep::Store => self.store(control, page, false),
            PageStep::DuplicateStore => self.store(control, page, true),
            PageStep::StoreEcho => self.store_echo(control, page),
            PageStep::DeliverAcknowledgement => self.deliver_acknowledgement(control, page),
            PageStep::LoseRequest => self.lose_request(control, page),
            PageStep::ResendRequest => self.resend_request(control, page),
            PageStep::LosePage => self.lose_page(control, page),
            PageStep::ResendPage => self.resend_page(control, page),
            PageStep::LoseWriteBack => self.lose_write_back(control, page),
            PageStep::ResendWriteBack => self.resend_write_back(control, page),
            PageStep::SendInVain => self.send_in_vain(control, page),
            PageStep::DeliverStray => self.deliver_stray(control, page),
            PageStep::DeclareLost => self.declare_lost(control, page),
        }
    }
}

/// A control move that asks nothing of the pages.
fn freely(control: Control) -> AfterControl {
    when([], control)
}

/// A control move that asks the given conditions of every page.
fn when<const N: usize>(conditions: [Condition; N], control: Control) -> AfterControl {
    Some(ControlMove { requires: Conditions::from_iter(conditions), control })
}

/// A page move that asks nothing of the other pages and leaves the control record alone.
fn alone(control: &Control, page: Page) -> AfterPage {
    Some(PageMove { requires: Conditions::empty(), control: *control, page })
}
