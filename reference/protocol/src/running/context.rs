//! What a phase may look at, and what it may touch besides its own state.

use std::collections::VecDeque;
use std::iter::successors;

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use super::Resident;
use super::departure::Departure;
use super::links::Links;
use crate::error::{Error, LocalFault, Misbehaviour};
use crate::memory::Memory;
use crate::page::{Image, PageBytes, PageKind};
use crate::policy::Policy;
use crate::wire::FormerHost;
use crate::wire::{Channel, Envelope, Message};
use crate::work::Work;

/// Highest sequence number and version that a peer may name: no real count gets there, and counting on from it
/// cannot overflow.
pub(crate) const COUNTER_MAX: u64 = 1 << 62;

/// Read access: enough to say which work is due.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub policy: &'a Policy,
    pub image: &'a Image,
    pub memory: &'a dyn Memory,
}

impl<'a> View<'a> {
    /// The pages that were written since the memory was last asked.
    pub(crate) fn written(self) -> impl Iterator<Item = PageNumber> + 'a {
        successors(self.memory.first_written(PageNumber(0)), move |page| {
            self.memory.first_written(PageNumber(page.0 + 1))
        })
    }

    /// The write-backs that can be due at all: of file-mapped pages that were modified, in an algorithm that writes
    /// back.
    pub(crate) fn write_backs(self, resident: &'a Resident) -> impl Iterator<Item = Work> + 'a {
        let first_from = move |from| {
            let unsaved = self.first_file_mapped(from, |from| resident.unsaved.first_from(from));
            let written = self.first_file_mapped(from, |from| self.memory.first_written(from));
            unsaved.into_iter().chain(written).min()
        };
        let first = self.policy.writes_back().then(|| first_from(PageNumber(0))).flatten();
        successors(first, move |page| first_from(PageNumber(page.0 + 1))).map(Work::WriteBack)
    }

    /// The first file-mapped page from here on among those that `next` leads to.
    fn first_file_mapped(
        self,
        from: PageNumber,
        next: impl Fn(PageNumber) -> Option<PageNumber>,
    ) -> Option<PageNumber> {
        let mut page = self.image.file_mapped().first_from(from)?;
        loop {
            let found = next(page)?;
            if self.image.kind(found) == PageKind::FileMapped {
                return Some(found);
            }
            page = self.image.file_mapped().first_from(found)?;
        }
    }
}

/// Access for a step.
pub(crate) struct Context<'a> {
    pub me: HostId,
    pub policy: &'a Policy,
    pub image: &'a Image,
    pub memory: &'a mut dyn Memory,
    pub departure: Option<&'a Departure>,
    pub links: &'a Links,
    pub outbox: &'a mut VecDeque<Envelope>,
    pub outbox_messages_max: usize,
    pub exit_told: &'a mut Vec<FormerHost>,
}

impl Context<'_> {
    pub(crate) fn view(&self) -> View<'_> {
        View { policy: self.policy, image: self.image, memory: self.memory }
    }

    /// Refuses to hear a host about what is kept here of a process that has left, unless the process may be there.
    pub(crate) fn check_chain(&self, from: HostId, kind: MessageKind) -> Result<(), Error> {
        match self.departure {
            Some(departure) if departure.heard.contains(&from) => Ok(()),
            _ => Err(misbehaved(from, Misbehaviour::NotThePeer { kind })),
        }
    }

    /// Hands a message to the network. Cannot fail, so it comes after everything that can. To a place out of reach it
    /// is lost; what matters is said again over the next connection.
    pub(crate) fn send(&mut self, to: impl Into<Place>, epoch: Epoch, message: Message) {
        let asks = matches!(message, Message::Request { .. });
        let channel = if asks { self.demand() } else { Channel::Main };
        self.send_over(channel, to, epoch, message);
    }

    /// The same over this connection.
    pub(crate) fn send_over(
        &mut self,
        channel: Channel,
        to: impl Into<Place>,
        epoch: Epoch,
        message: Message,
    ) {
        let to = to.into();
        if self.links.are_up(to) {
            self.outbox.push_back(Envelope { from: self.me.into(), to, channel, epoch, message });
        }
    }

    /// The connection for what is asked for.
    pub(crate) fn demand(&self) -> Channel {
        self.policy.demand()
    }

    /// Tells a host that the process has exited, and remembers to say so again: nobody answers to it.
    pub(crate) fn say_exit(&mut self, former: FormerHost) {
        self.exit_told.push(former);
        self.send(former.host, former.epoch, Message::Exit);
    }

    /// Whether another message may wait for the driver.
    pub(crate) fn has_room(&self) -> bool {
        self.outbox.len() < self.outbox_messages_max
    }

    /// Stops the process's access to its memory.
    pub(crate) fn freeze(&mut self) -> Result<(), LocalFault> {
        Ok(self.memory.freeze()?)
    }

    /// Lets the process run.
    pub(crate) fn thaw(&mut self) -> Result<(), LocalFault> {
        Ok(self.memory.thaw()?)
    }

    /// Drops every page: nothing of the process is left on this host.
    pub(crate) fn discard_all(&mut self) -> Result<(), LocalFault> {
        self.memory.freeze()?;
        Ok(self.memory.discard_all()?)
    }
}

/// A page message without its envelope.
pub(crate) struct Arrival<'a> {
    pub from: HostId,
    pub epoch: Epoch,
    pub page: PageNumber,
    /// Sequence number or version.
    pub number: u64,
    pub content: &'a PageBytes,
}

impl Arrival<'_> {
    pub(crate) fn not_owed(&self, kind: MessageKind) -> Error {
        misbehaved(self.from, Misbehaviour::NotOwed { kind, page: self.page })
    }

    pub(crate) fn number_ahead(&self, kind: MessageKind, latest: u64) -> Error {
        misbehaved(
            self.from,
            Misbehaviour::NumberAhead { kind, page: self.page, number: self.number, latest },
        )
    }
}

pub(crate) fn misbehaved(peer: impl Into<Place>, what: Misbehaviour) -> Error {
    Error::PeerMisbehaved { peer: peer.into(), what }
}

/// What a step came to: the migration it belongs to and what happened.
pub(crate) type Stepped = Result<(Epoch, Event), Error>;

/// What came of a message: something happened, or it came too late to matter.
pub(crate) type Handled = Result<Option<(Epoch, Event)>, Error>;
