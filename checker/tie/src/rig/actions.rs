//! What can happen next.

use protocol::destination::Destination;
use protocol::host::{Host, Location, Resident, Role, Work};
use protocol::memory::Memory;
use protocol::page::PageKind;
use protocol::policy::Stop;
use protocol::source::Source;
use protocol::wire::{Envelope, Message};
use steplog::page::PageNumber;
use steplog::place::{HostId, Place};

use super::Rig;
use crate::flaws::FlawedMemory;
use crate::network::{Flight, FlightFate, RigOrder};

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
    /// The operator switches to post-copy.
    Switch,
    /// The process writes to a page.
    Write(PageNumber),
    /// The process touches a page that is not in memory.
    Touch(PageNumber),
    /// A further thread touches a page that is missing and waited for.
    TouchAgain(PageNumber),
    /// Its host hears of that.
    Hear(PageNumber),
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
    /// The connection between the hosts breaks.
    Cut,
    /// A host's machine dies.
    Crash(HostId),
    /// The file server gets out of reach.
    Outage,
    /// The operator cancels.
    Cancel,
    /// A destination that could say *ready* refuses.
    Refuse(HostId),
    /// A host takes the other one for dead, and is wrong.
    Suspect(HostId),
    /// A host notices that it has no connection to the other one.
    Notice(HostId),
    /// A host notices that it has no connection to the file server.
    NoticeOutage(HostId),
    /// The hosts have a new connection.
    Reconnect,
    /// Word of a machine's death reaches the other one; it is back, and vacant.
    Fence,
    /// The file server is in reach again.
    StoreReturns,
}

impl Rig {
    /// Everything that can happen next.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for host in self.hosts().filter(|host| !self.trouble.dead.contains(&host.id())) {
            self.add_operator_actions(host, &mut actions);
            self.add_process_actions(host, &mut actions);
            // To the model a process that nobody runs has died with its source.
            let died = |work| work == Work::Resume && self.is_over();
            // Nor does it entrust a process to a host of which it is about to hear that it has forgotten the attempt: that would
            // be lost.
            let forgotten = self.attempt().is_some_and(|(_, to, epoch)| self.is_forgotten(to, epoch));
            let in_vain = |work| work == Work::SendState && self.is_one_shot() && forgotten;
            let tasks = host.tasks().filter(|task| !self.is_held_up(host.id(), task.work));
            let tasks = tasks.filter(|task| !died(task.work) && !in_vain(task.work));
            actions.extend(tasks.map(|task| Action::Work(host.id(), task.work)));
        }
        self.add_network_actions(&mut actions);
        self.add_disruptions(&mut actions);
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
            // The model has one attempt that was called off, and so has the rig: it waits until that is forgotten.
            _ if self.announces() => *other.role() == Role::Vacant && !self.has_unheard_of(),
            Role::Vacant => true,
            Role::Source(Source::Shadow(_)) => lazy,
            // The next attempt makes it forget the last one, unless it has said *ready*.
            Role::Destination(Destination::Receiving(_) | Destination::Assembling(_)) => {
                self.is_disrupted() && !self.is_behind_aborted()
            }
            _ => false,
        };
        // Every fault is heard before pages are copied.
        let waits = self.copies() && !self.announces() && !self.is_quiet(host);
        if may_start && !self.is_apart() && !waits {
            let others = self.hosts().filter(|other| other.id() != host.id()).filter(may_take);
            actions.extend(others.map(|other| Action::Start { to: other.id() }));
        }
        // Without pre-copy the suspension is what starts a migration: over a connection.
        let begins = !self.copies();
        // To the model a source whose destination has forgotten what it expected does not begin before it hears of that.
        let in_vain = self.announces()
            && !self.copies()
            && self.attempt().is_some_and(|(_, to, epoch)| self.is_forgotten(to, epoch));
        if host.check_suspension().is_ok() && self.late.is_empty() && !(begins && self.is_apart()) && !in_vain
        {
            let pointers = |kind| {
                let pages = self.image.page_numbers().filter(move |&page| self.image.kind(page) == kind);
                let pages = pages.filter(|_| host.policy().working_set).map(Some);
                [None].into_iter().chain(pages).collect::<Vec<_>>()
            };
            for code in pointers(PageKind::FileMapped) {
                let stacks = pointers(PageKind::Private).into_iter();
                actions.extend(stacks.map(|stack| Action::Suspend { code, stack }));
            }
            actions.extend(self.may_switch(host).then_some(Action::Switch));
        }
    }

    /// Is there anything that would stay behind?
    fn may_switch(&self, host: &Host<FlawedMemory>) -> bool {
        let Role::Source(Source::PreMigration(pre)) = host.role() else { return false };
        let out_of_step = |page| !pre.sent.in_step.contains(page) || host.memory().is_written(page);
        host.policy().stop == Stop::Switch && self.image.page_numbers().into_iter().any(out_of_step)
    }

    fn add_process_actions(&self, host: &Host<FlawedMemory>, actions: &mut Vec<Action>) {
        let Some(resident) = host.role().resident().filter(|_| host.is_running()) else { return };
        for page in self.image.page_numbers() {
            let record = &resident.pages[page.index()];
            match record.location {
                Location::Here => actions.push(Action::Write(page)),
                _ if !record.requested => actions.push(Action::Touch(page)),
                _ if host.policy().wakes_apart() && !self.late.contains(&page) => {
                    actions.push(Action::TouchAgain(page));
                }
                _ => {}
            }
        }
        actions.extend(self.late.iter().copied().map(Action::Hear));
        actions.push(Action::Exit);
    }

    fn add_network_actions(&self, actions: &mut Vec<Action>) {
        for (at, flight) in self.network.flights().iter().enumerate() {
            if self.network.is_deliverable(at) && !self.begins_too_soon(flight) {
                actions.push(Action::Deliver { at, kept: false });
            }
            let fickle = !self.is_of_aborted(flight);
            let duplicable = self.network.is_deliverable(at) && self.network.is_duplicable(at);
            if fickle && duplicable && !self.is_sent_once(flight) {
                actions.push(Action::Deliver { at, kept: true });
            }
            if fickle && self.network.is_losable(at) {
                actions.push(Action::Lose(at));
            }
            if flight.fate == FlightFate::Lost && self.may_be_sent_again(flight) {
                actions.push(Action::Resend(at));
            }
        }
    }

    /// Does the process wait for nothing, and no thread that its host has not heard of?
    fn is_quiet(&self, host: &Host<FlawedMemory>) -> bool {
        let waits = |resident: &Resident| resident.waits.iter().next().is_some();
        self.late.is_empty() && !host.role().resident().is_some_and(waits)
    }

    /// Is it the word on which copying begins, and the process waits for a page? Then the driver holds it back; also from one that
    /// is to be released, which to the model has not exited.
    fn begins_too_soon(&self, flight: &Flight) -> bool {
        let begins = self.copies() && flight.envelope.message == Message::Expected;
        let announced = |host: &Host<_>| matches!(host.role(), Role::Source(Source::Announced(_)));
        begins && self.hosts().any(|host| announced(host) && !self.is_quiet(host))
    }

    /// Its sender's timer sends it again while there is a connection, and the other side has said what it needs.
    fn may_be_sent_again(&self, flight: &Flight) -> bool {
        let Envelope { from, to, .. } = &flight.envelope;
        let with_store = *from == Place::FileServer || *to == Place::FileServer;
        let resync = |other: &Flight| matches!(other.envelope.message, Message::Resync(_));
        let reached = with_store || !(self.is_parted() || self.network.flights().iter().any(resync));
        self.network.order() == RigOrder::Lossy && reached
    }

    /// Where something can go wrong, the model has no duplicates of what is said again about a write-back that the file
    /// server has: to the model the answer is on its way. Nor does it tell duplicates from the file server, which an
    /// outage ends, from those of a host, which a cut ends; so only the latter are brought about.
    fn is_sent_once(&self, flight: &Flight) -> bool {
        let sent_once = match flight.envelope.message {
            Message::WriteBack { page, version, .. } => {
                self.file_server().stored(page).is_some_and(|stored| version <= stored.version)
            }
            Message::Fetched { .. } => true,
            _ => false,
        };
        self.is_disrupted() && sent_once
    }

    /// Is there no connection between the hosts, or one that they are still about to take up?
    fn is_apart(&self) -> bool {
        let resync = |flight: &Flight| matches!(flight.envelope.message, Message::Resync(_));
        let unnoticed = |host: &Host<_>| self.hosts().all(|other| host.is_connected(other.id()));
        self.is_parted() || !self.hosts().all(unnoticed) || self.network.flights().iter().any(resync)
    }

    /// Back-pressure: where nothing bounds the passes, a link takes two contents of one page at a time in an attempt.
    fn is_held_up(&self, host: HostId, work: Work) -> bool {
        let (Work::Copy(page) | Work::Transfer(page)) = work else { return false };
        let unbounded = self.migration.strategy.crossings_max().is_none();
        let contents = self.network.flights().iter().filter(|flight| {
            let Envelope { from, message, .. } = &flight.envelope;
            *from == host.into()
                && flight.fate == FlightFate::Flying
                && !self.trouble.aborted.contains(&flight.envelope.epoch)
                && matches!(message, Message::Page { page: other, .. } if *other == page)
        });
        unbounded && contents.count() > 1
    }
}
