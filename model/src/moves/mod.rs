//! What may happen, step by step: each function is one step, its guard first, its effect below.
//!
//! The files follow a migration: `memory` is the process at work, then `pre_migration`, `freeze`,
//! `hand_over`, `post_migration`; `file_server` and `link` go on all the time.
//!
//! A guard reads protocol variables only (see [`crate::page`]); where a step also depends on other pages,
//! it names the universal [`Condition`](crate::condition::Condition)s it asks of them.

mod file_server;
mod freeze;
mod hand_over;
mod link;
mod memory;
mod post_migration;
mod pre_migration;

use crate::condition::Condition;
use crate::control::Control;
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
            ControlStep::Resume => self.release_settled(&mut page),
            ControlStep::Finish => self.rotate(&mut page),
            ControlStep::Exit => page = Page::GONE,
            ControlStep::Suspend
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
