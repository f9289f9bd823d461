//! What can happen next.

use reference::destination::Destination;
use reference::host::{Host, Location, Role, Work};
use reference::page::{PageKind, PageNumber};
use reference::place::HostId;
use reference::source::Source;
use reference::wire::{Envelope, Message};

use super::Rig;
use crate::conform::flaws::FlawedMemory;
use crate::conform::network::Fate;

/// Something that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The operator tells a host to expect the process, and the process's host to move it there.
    Start {
        /// Where to.
        to: HostId,
    },
    /// The operator suspends the process.
    Suspend {
        /// The page under the instruction pointer.
        code: Option<PageNumber>,
        /// The page under the stack pointer.
        stack: Option<PageNumber>,
    },
    /// The process writes to a page.
    Write(PageNumber),
    /// The process touches a page that is not in memory.
    Touch(PageNumber),
    /// The process exits.
    Exit,
    /// A host does work that is due.
    Work(HostId, Work),
    /// The message at this position arrives.
    Deliver {
        /// Position among the messages on their way.
        at: usize,
        /// The link keeps a duplicate.
        kept: bool,
    },
    /// The link drops the message at this position.
    Lose(usize),
    /// The message at this position is sent again.
    Resend(usize),
}

impl Rig {
    /// Everything that can happen next.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for host in &self.hosts {
            self.add_operator_actions(host, &mut actions);
            self.add_process_actions(host, &mut actions);
            let tasks = host.tasks().filter(|task| !self.is_held_up(host.id(), task.work));
            actions.extend(tasks.map(|task| Action::Work(host.id(), task.work)));
        }
        self.add_network_actions(&mut actions);
        actions
    }

    fn add_operator_actions(&self, host: &Host<FlawedMemory>, actions: &mut Vec<Action>) {
        let lazy = host.policy().leaves_pages_behind();
        let may_start = match host.role() {
            Role::Source(Source::Resting(resident)) => !resident.exited,
            Role::Destination(Destination::Post(post)) => lazy && !post.resident.exited,
            _ => false,
        };
        let may_take = |other: &&Host<FlawedMemory>| match other.role() {
            Role::Vacant => true,
            Role::Source(Source::Shadow(_)) => lazy,
            _ => false,
        };
        if may_start {
            let others = self.hosts.iter().filter(|other| other.id() != host.id()).filter(may_take);
            actions.extend(others.map(|other| Action::Start { to: other.id() }));
        }
        if host.check_suspension().is_ok() {
            let pointers = |kind| {
                let pages = self.image.page_numbers().filter(move |&page| self.image.kind(page) == kind);
                let pages = pages.filter(|_| host.policy().working_set).map(Some);
                [None].into_iter().chain(pages).collect::<Vec<_>>()
            };
            for code in pointers(PageKind::FileMapped) {
                let stacks = pointers(PageKind::Private).into_iter();
                actions.extend(stacks.map(|stack| Action::Suspend { code, stack }));
            }
        }
    }

    fn add_process_actions(&self, host: &Host<FlawedMemory>, actions: &mut Vec<Action>) {
        let Some(resident) = host.role().resident().filter(|_| host.is_running()) else { return };
        for page in self.image.page_numbers() {
            let record = &resident.pages[page.index()];
            match record.location {
                Location::Here => actions.push(Action::Write(page)),
                _ if !record.requested => actions.push(Action::Touch(page)),
                _ => {}
            }
        }
        actions.push(Action::Exit);
    }

    fn add_network_actions(&self, actions: &mut Vec<Action>) {
        for (at, flight) in self.network.flights().iter().enumerate() {
            if self.network.is_deliverable(at) {
                actions.push(Action::Deliver { at, kept: false });
            }
            if self.network.is_duplicable(at) {
                actions.push(Action::Deliver { at, kept: true });
            }
            if self.network.is_losable(at) {
                actions.push(Action::Lose(at));
            }
            if flight.fate == Fate::Lost {
                actions.push(Action::Resend(at));
            }
        }
    }

    /// Back-pressure: where nothing bounds the passes, a link takes two contents of one page at a time.
    fn is_held_up(&self, host: HostId, work: Work) -> bool {
        let Work::Copy(page) = work else { return false };
        let unbounded = self.migration.strategy.crossings_max().is_none();
        let contents = self.network.flights().iter().filter(|flight| {
            let Envelope { from, message, .. } = &flight.envelope;
            *from == host.into()
                && flight.fate == Fate::Flying
                && matches!(message, Message::Page { page: other, .. } if *other == page)
        });
        unbounded && contents.count() > 1
    }
}
