//! Messages on their way, each delivered, lost or duplicated when the driver says so.
//!
//! The reference's simulated network decides by virtual time and chance; here every order that the kind of
//! link allows can be brought about.

use std::collections::BTreeMap;

use model::Link;
use protocol::wire::{Channel, Envelope, Message, PlanEntry, Whereabouts};
use steplog::page::PageNumber;
use steplog::place::{Epoch, Place, Sequence};

/// What the links keep of the order of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RigOrder {
    /// All of it, as a TCP connection.
    Fifo,
    /// The order of one page's messages, and of control messages and everything else: the model's FIFO.
    FifoByPage,
    /// None.
    Unordered,
    /// None, and messages are lost, sent again, and duplicated.
    Lossy,
}

impl RigOrder {
    /// The model's kind of link that has all runs of this one.
    pub fn link(self) -> Link {
        match self {
            RigOrder::Fifo | RigOrder::FifoByPage => Link::Fifo,
            RigOrder::Unordered => Link::Unordered,
            RigOrder::Lossy => Link::Lossy,
        }
    }
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// The message, and between whom it is.
    pub envelope: Envelope,
    /// What has become of it so far.
    pub fate: FlightFate,
}

/// What has become of a message so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlightFate {
    /// It is on its way.
    Flying,
    /// The link dropped it; it will be sent again.
    Lost,
    /// It has been delivered, and this is a duplicate.
    Echo,
    /// A duplicate that has outlived an attempt that was called off: to the model it is something that this has left.
    Outlived,
    /// It is on its way, and belongs to a connection that the model counts as closed.
    Forgotten,
}

/// All messages on their way, in the order in which they were sent.
#[derive(Clone, Debug)]
pub struct RigNetwork {
    order: RigOrder,
    flights: Vec<Flight>,
    /// The newest content that a host sent of a page in a migration; `None` once it has sent the word that this is
    /// outdated.
    newest: BTreeMap<(Place, Epoch, PageNumber), Option<Sequence>>,
}

impl RigNetwork {
    /// A network without messages.
    pub fn new(order: RigOrder) -> Self {
        RigNetwork { order, flights: Vec::new(), newest: BTreeMap::new() }
    }

    /// What the links keep of the order of messages.
    pub fn order(&self) -> RigOrder {
        self.order
    }

    /// The messages on their way, in the order in which they were sent.
    pub fn flights(&self) -> &[Flight] {
        &self.flights
    }

    /// Sends a message.
    pub fn send(&mut self, envelope: Envelope) {
        let Envelope { from, epoch, ref message, .. } = envelope;
        match message {
            Message::Page { page, sequence, .. } => {
                self.newest.insert((from, epoch, *page), Some(*sequence));
            }
            Message::State(state) => {
                let stays = |entry: PlanEntry| matches!(entry.whereabouts, Whereabouts::At(former, _) if Place::Host(former.host) == from);
                let entries = (0..).map(PageNumber).zip(state.plan.entries());
                let left = entries.filter(|(_, entry)| stays(*entry));
                self.newest.extend(left.map(|(page, _)| ((from, epoch, page), None)));
            }
            _ => {}
        }
        self.flights.push(Flight { envelope, fate: FlightFate::Flying });
    }

    /// May the message at this position arrive next?
    pub fn is_deliverable(&self, at: usize) -> bool {
        let Some(flight) = self.flights.get(at) else { return false };
        let same_link = |earlier: &&Flight| {
            (earlier.envelope.from, earlier.envelope.to) == (flight.envelope.from, flight.envelope.to)
        };
        // Each connection has its own order.
        let same_channel = |earlier: &&Flight| earlier.envelope.channel == flight.envelope.channel;
        let page = flight.envelope.message.page();
        let mut on_link = self.flights[..at].iter().filter(same_link);
        let mut earlier = self.flights[..at].iter().filter(same_link).filter(same_channel);
        let resync = |earlier: &Flight| matches!(earlier.envelope.message, Message::Resync(_));
        let in_turn = match self.order {
            // The first word over a new connection is part of setting it up.
            _ if flight.envelope.channel == Channel::Demand && on_link.any(resync) => false,
            RigOrder::Unordered | RigOrder::Lossy
                if !matches!(flight.envelope.message, Message::Resync(_)) =>
            {
                !earlier.any(resync)
            }
            RigOrder::Fifo => earlier.next().is_none(),
            RigOrder::FifoByPage => !earlier.any(|earlier| {
                let other = earlier.envelope.message.page();
                page.is_none() || other.is_none() || page == other
            }),
            RigOrder::Unordered | RigOrder::Lossy => true,
        };
        in_turn && flight.fate != FlightFate::Lost
    }

    /// May the link duplicate the message at this position when it arrives? One duplicate of a page's contents
    /// and write-backs can be around, and any number of a request.
    pub fn is_duplicable(&self, at: usize) -> bool {
        let Some(flight) = self.flights.get(at) else { return false };
        let free = match flight.envelope.message {
            Message::Page { .. } if self.is_overtaken(flight) => false,
            Message::Page { page, .. } | Message::Fetched { page, .. } | Message::WriteBack { page, .. } => {
                let mut echoes = self.flights.iter().filter(|other| other.fate == FlightFate::Echo);
                !echoes.any(|echo| echo.envelope.message.page() == Some(page))
            }
            Message::Request { .. } => true,
            _ => false,
        };
        self.order == RigOrder::Lossy && flight.fate == FlightFate::Flying && free
    }

    /// May the link drop the message at this position? While a connection is set up, nothing on it is lost.
    pub fn is_losable(&self, at: usize) -> bool {
        let Some(flight) = self.flights.get(at) else { return false };
        self.order == RigOrder::Lossy
            && flight.fate == FlightFate::Flying
            && !self.is_overtaken(flight)
            && !self.sets_up(at)
    }

    /// Is it the first word over a new connection, or does it wait for that?
    fn sets_up(&self, at: usize) -> bool {
        let link = |flight: &Flight| (flight.envelope.from, flight.envelope.to);
        let resync = |flight: &Flight| matches!(flight.envelope.message, Message::Resync(_));
        self.flights[..=at].iter().any(|earlier| link(earlier) == link(&self.flights[at]) && resync(earlier))
    }

    /// Is it content of a page of which there is newer content, or has been word that there is? The model has
    /// neither duplicates of such a message nor its loss.
    fn is_overtaken(&self, flight: &Flight) -> bool {
        let Envelope { from, epoch, ref message, .. } = flight.envelope;
        let Message::Page { page, sequence, .. } = *message else { return false };
        self.newest.get(&(from, epoch, page)) != Some(&Some(sequence))
    }

    /// Takes the message at this position out, for delivery; a duplicate stays if `kept`.
    pub fn take(&mut self, at: usize, kept: bool) -> Option<Envelope> {
        let flight = self.flights.get_mut(at)?;
        if !kept {
            return Some(self.flights.remove(at).envelope);
        }
        if !matches!(flight.envelope.message, Message::Request { .. }) {
            flight.fate = FlightFate::Echo;
        }
        Some(flight.envelope.clone())
    }

    /// Drops the message at this position, until it is sent again.
    pub fn set_lost(&mut self, at: usize, lost: bool) {
        if let Some(flight) = self.flights.get_mut(at) {
            flight.fate = if lost { FlightFate::Lost } else { FlightFate::Flying };
        }
    }

    /// The connections between hosts are closed: what is still in them is forgotten, and so are duplicates of
    /// what the file server sent.
    pub fn close(&mut self) {
        self.forget(|flight| {
            let Envelope { from, to, .. } = flight.envelope;
            let between_hosts = from != Place::FileServer && to != Place::FileServer;
            between_hosts || (flight.fate == FlightFate::Echo && from == Place::FileServer)
        });
    }

    /// Removes messages for good.
    pub fn remove(&mut self, which: impl Fn(&Flight) -> bool) {
        self.flights.retain(|flight| !which(flight));
    }

    /// Removes those among the lost messages between hosts that are never sent again.
    pub fn remove_lost(&mut self, which: impl Fn(&Envelope) -> bool) {
        self.remove(|flight| {
            flight.fate == FlightFate::Lost && is_between_hosts(&flight.envelope) && which(&flight.envelope)
        });
    }

    /// The connection between the hosts breaks. What was on it is lost; of what still matters to its sender it is
    /// remembered that it was sent.
    pub fn cut(&mut self, matters: impl Fn(&Envelope) -> bool) {
        let between_hosts: Vec<_> =
            self.flights.iter().map(|flight| is_between_hosts(&flight.envelope)).collect();
        let remembered: Vec<_> = self.flights.iter().map(|flight| self.is_remembered(flight)).collect();
        let mut at = 0;
        self.flights.retain_mut(|flight| {
            let (between_hosts, remembered) =
                (between_hosts[at], remembered[at] && matters(&flight.envelope));
            at += 1;
            if between_hosts && remembered {
                flight.fate = FlightFate::Lost;
            }
            !between_hosts || remembered
        });
    }

    /// Sends a message where there is no connection.
    pub fn send_in_vain(&mut self, envelope: Envelope) {
        if let Message::Page { page, .. } = envelope.message {
            let from = envelope.from;
            let again = |other: &Envelope| other.from == from && other.message.page() == Some(page);
            self.remove_lost(again);
        }
        self.send(envelope);
        let Some(mut flight) = self.flights.pop() else { return };
        flight.fate = FlightFate::Lost;
        if self.is_remembered(&flight) {
            self.flights.push(flight);
        }
    }

    fn is_remembered(&self, flight: &Flight) -> bool {
        let counts = matches!(flight.fate, FlightFate::Flying | FlightFate::Lost);
        match flight.envelope.message {
            Message::Page { .. } => counts && !self.is_overtaken(flight),
            Message::State(_) => counts,
            _ => false,
        }
    }

    /// An attempt was called off: duplicates of contents that went from host to host count as what it has left.
    pub fn outlive(&mut self) {
        let content = |flight: &Flight| matches!(flight.envelope.message, Message::Page { .. });
        for flight in
            self.flights.iter_mut().filter(|flight| flight.fate == FlightFate::Echo && content(flight))
        {
            flight.fate = FlightFate::Outlived;
        }
    }

    /// Forgets the messages that meet a condition; those that were lost are never sent again.
    pub fn forget(&mut self, which: impl Fn(&Flight) -> bool) {
        self.flights.retain(|flight| flight.fate != FlightFate::Lost || !which(flight));
        for flight in self.flights.iter_mut().filter(|flight| which(flight)) {
            flight.fate = FlightFate::Forgotten;
        }
    }

    /// Removes the messages that are forgotten.
    pub fn drop_forgotten(&mut self) {
        self.flights.retain(|flight| flight.fate != FlightFate::Forgotten);
    }

    /// Removes the messages that were lost and are not sent again: overtaken contents, and requests for other pages
    /// than those that the process waits for.
    pub fn drop_useless(&mut self, waits_for: impl Fn(PageNumber) -> bool) {
        let RigNetwork { flights, newest, .. } = self;
        flights.retain(|flight| {
            let Envelope { from, epoch, ref message, .. } = flight.envelope;
            let of_use = match *message {
                Message::Request { page } | Message::Fetch { page } => waits_for(page),
                Message::Page { page, sequence, .. } => {
                    newest.get(&(from, epoch, page)) == Some(&Some(sequence))
                }
                _ => true,
            };
            flight.fate != FlightFate::Lost || of_use
        });
    }
}

fn is_between_hosts(envelope: &Envelope) -> bool {
    envelope.from != Place::FileServer && envelope.to != Place::FileServer
}

impl Flight {
    /// Does the model count the message's connection as closed?
    pub fn is_forgotten(&self) -> bool {
        self.fate == FlightFate::Forgotten
    }
}
