//! What the loop takes in: commands, connections, messages, what the subject did.

use std::sync::mpsc::TryRecvError;

use protocol::error::{Error, Refusal};
use protocol::host::Role;
use steplog::event::{Bytes, Event};
use steplog::page::PageNumber;
use steplog::place::{HostId, Place};

use super::{Dialled, Driver, DriverCommand, nanoseconds, wall_clock_ns};
use crate::aside::{DriverMessage, Hello, PeerRejection, Proposal, Purpose, StepBatch, Welcome};
use crate::channel::{ChannelError, Heard};
use crate::dial::{DialError, GreetingConnection};
use crate::status::MigrationMoment;
use crate::subject::Occurrence;

impl Driver {
    /// Does what others ask.
    pub(super) fn obey(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(DriverCommand::Migrate(request)) => self.consider(request),
                Ok(DriverCommand::Informed(request, answer)) => self.informed(request, answer),
                Ok(DriverCommand::Cancel { reply }) => {
                    let cancelled = self.host.cancel().map_err(|error| error.to_string());
                    if cancelled.is_ok() {
                        self.go_on();
                    }
                    // Who does not wait for the answer does not need it.
                    let _ = reply.send(cancelled);
                }
                Ok(DriverCommand::Fence { address, reply }) => {
                    // Who does not wait for the answer does not need it.
                    let _ = reply.send(self.fence(address.as_deref()));
                }
                Ok(DriverCommand::Called(connection, hello)) => self.called(connection, *hello),
                Ok(DriverCommand::Dialled(dialled)) => self.dialled(dialled),
                Ok(DriverCommand::Cut(place)) => self.lost(place, &ChannelError::Closed),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
            self.collect();
        }
    }

    fn fence(&mut self, address: Option<&str>) -> Result<(), String> {
        let own = self.setup.id;
        let named = |at: usize| HostId(u16::try_from(at).unwrap_or(u16::MAX));
        let dead: Vec<HostId> = match address {
            Some(address) => {
                let at = self.setup.roster.iter().position(|other| other.as_deref() == Some(address));
                at.map(named).into_iter().collect()
            }
            None => {
                let silent = |id: &HostId| self.concerns((*id).into()) && !self.host.is_connected(*id);
                (0..self.setup.roster.len()).map(named).filter(silent).collect()
            }
        };
        let dead: Vec<_> = dead.into_iter().filter(|id| *id != own).collect();
        if dead.is_empty() {
            return Err("this process waits for no such host".to_owned());
        }
        for id in dead {
            self.peers.forget(id.into());
            self.host.fenced(id).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Somebody calls who knows this session.
    fn called(&mut self, mut connection: GreetingConnection, hello: Hello) {
        let from = Place::Host(hello.from);
        // A process that comes back while this host is still needed comes over the connection that there is.
        let stays = matches!(hello.purpose, Purpose::Migrate(_)) && self.is_in_use(from);
        let welcome = match &hello.purpose {
            Purpose::Resume { steps_seen } => {
                let steps_seen = *steps_seen;
                if let Some((_, outgoing)) = self.outgoing.as_mut().filter(|(to, _)| *to == from) {
                    outgoing.reconnected(steps_seen);
                }
                Ok(())
            }
            Purpose::Migrate(proposal) => self.return_of_the_process(&hello, proposal),
            Purpose::Store(_) | Purpose::Inquire { .. } => Err("this is no file server".to_owned()),
        };
        let answered = welcome.map_err(PeerRejection::Refused).map(|()| Welcome {
            host: self.setup.id,
            lacking: Vec::new(),
            steps_seen: self.peers.steps_seen(from),
        });
        self.collect();
        match answered {
            Err(rejection) => connection.reject(rejection),
            Ok(welcome) => match connection.welcome(welcome) {
                Ok(()) if stays => {}
                Ok(()) => self.connected(from, connection),
                Err(error) => tracing::info!(%error, "somebody called and is gone"),
            },
        }
    }

    /// Whether there is a connection to this place that the endpoint needs.
    pub(super) fn is_in_use(&mut self, place: Place) -> bool {
        self.concerns(place) && self.peers.channel_mut(place).is_some()
    }

    /// The process comes back to where something of it was left.
    fn return_of_the_process(&mut self, hello: &Hello, proposal: &Proposal) -> Result<(), String> {
        let Proposal { policy, epoch, layout, roster, .. } = proposal;
        if policy != self.host.policy() || *layout != self.layout {
            return Err("this host is occupied: something of the process is left here".to_owned());
        }
        if !self.concerns(hello.from.into()) {
            // Whatever was between the two before is over.
            self.peers.forget(hello.from.into());
        }
        self.host.expect_migration(hello.from, *epoch).map_err(|error| error.to_string())?;
        self.setup.roster.clone_from(roster);
        (self.unfit, self.state) = (false, None);
        Ok(())
    }

    fn dialled(&mut self, Dialled { place, result }: Dialled) {
        match (place, result) {
            (Some(place), Ok((connection, welcome))) => {
                if let Some((_, outgoing)) = self.outgoing.as_mut().filter(|(to, _)| *to == place) {
                    outgoing.reconnected(welcome.steps_seen);
                }
                self.connected(place, connection);
            }
            (None, Ok((connection, welcome))) => self.begin(connection, &welcome),
            (Some(place), Err(DialError::Rejected(PeerRejection::UnknownSession))) => self.is_gone(place),
            (Some(place), Err(error)) => {
                tracing::debug!(%place, %error, "no connection");
                self.handle.status.lock().error = Some(format!("{place}: {error}"));
                self.peers.call_failed(place);
            }
            (None, Err(error)) => {
                if let Some(reply) = self.proposed.take() {
                    let _ = reply.send(Err(error.to_string()));
                }
            }
        }
    }

    /// The machine at this address holds nothing of the process, so what was there has died.
    fn is_gone(&mut self, place: Place) {
        self.peers.forget(place);
        if let Place::Host(id) = place
            && self.concerns(place)
        {
            let fenced = self.host.fenced(id);
            self.note_error("a host that knows nothing", fenced);
        }
    }

    /// There is a connection to this place.
    pub(super) fn connected(&mut self, place: Place, connection: GreetingConnection) {
        let connected =
            connection.into_stream().and_then(|stream| self.peers.connect(place, stream, self.clock));
        match connected {
            Err(error) => tracing::warn!(%place, %error, "a connection broke at once"),
            Ok(known) => {
                if known {
                    let done = self.host.connected(place);
                    self.note_error("a connection", done);
                }
                let waiting = std::mem::take(&mut self.peers.get_mut(place).waiting);
                waiting.into_iter().for_each(|envelope| self.say(&envelope));
            }
        }
    }

    /// The connection to this place is lost.
    pub(super) fn lost(&mut self, place: Place, why: &ChannelError) {
        tracing::info!(session = %self.session, host = %self.host.id(), %place, %why, "connection lost");
        if self.concerns(place) {
            self.peers.hang_up(place);
            let done = self.host.disconnected(place);
            self.note_error("a lost connection", done);
        } else if self.peers.farewell_heard(place) || place == Place::FileServer {
            self.peers.forget(place);
        } else {
            self.peers.hang_up(place);
        }
    }

    /// Takes in what has arrived. True when there may be more.
    pub(super) fn hear(&mut self) -> bool {
        let mut more = false;
        for place in self.peers.places() {
            let filled = self.peers.fill(place);
            let heard = self.take_in(place);
            match heard.and(filled) {
                Ok(again) => more |= again,
                Err(why) => self.lost(place, &why),
            }
            self.collect();
        }
        more
    }

    fn take_in(&mut self, place: Place) -> Result<(), ChannelError> {
        loop {
            let Some(channel) = self.peers.channel_mut(place) else { return Ok(()) };
            match channel.hear()? {
                None => return Ok(()),
                // Nothing can be done about what is said to one that has failed.
                Some(Heard::Protocol(_)) if matches!(self.host.role(), Role::Failed(_)) => {}
                Some(Heard::Protocol(frame)) => {
                    let handled = self.host.handle_message(place, frame.epoch, &frame.message);
                    self.note_error("a message", handled.map(|_| ()));
                    self.collect();
                }
                Some(Heard::Aside(aside)) => self.hear_aside(place, aside)?,
            }
        }
    }

    fn hear_aside(&mut self, place: Place, aside: DriverMessage) -> Result<(), ChannelError> {
        match aside {
            DriverMessage::Steps(StepBatch { first, steps }) => {
                let seen = self.peers.steps_seen(place);
                let known = usize::try_from(seen.saturating_sub(first)).unwrap_or(usize::MAX);
                let last = first.saturating_add(steps.len() as u64);
                steps.into_iter().skip(known).for_each(|step| self.record(step));
                let peer = self.peers.get_mut(place);
                peer.steps_seen = seen.max(last);
                let seen = peer.steps_seen;
                if let Some(channel) = self.peers.channel_mut(place) {
                    channel.aside(&DriverMessage::StepsSeen(seen))?;
                }
            }
            DriverMessage::StepsSeen(count) => {
                if let Some((_, outgoing)) = self.outgoing.as_mut().filter(|(to, _)| *to == place) {
                    outgoing.seen(count);
                }
            }
            DriverMessage::State(bytes) => self.state = Some(bytes),
            DriverMessage::Farewell => self.peers.get_mut(place).farewell.heard = true,
            _ => tracing::warn!(%place, "a greeting where none is due"),
        }
        Ok(())
    }

    /// Passes on what the subject did.
    pub(super) fn observe(&mut self) {
        loop {
            let occurrence = self.subject.lock().poll_occurrence();
            let epoch = self.host.role().resident().map_or(self.host.epoch(), |resident| resident.epoch);
            match occurrence {
                None => break,
                Some(Occurrence::Fault(page)) => self.faults.push_back(page),
                Some(Occurrence::Exited) => {
                    let exited = self.host.exit();
                    self.note_error("an exit", exited);
                }
                Some(Occurrence::Runs { since }) => {
                    let at_ns = wall_clock_ns().saturating_sub(nanoseconds(since.elapsed()));
                    self.handle.status.lock().mark(MigrationMoment::Runs, at_ns);
                }
                Some(Occurrence::Read { page, offset, length }) => {
                    self.note(epoch, Event::PageRead { page, offset, length });
                }
                Some(Occurrence::Written { page, offset, bytes }) => {
                    self.note(epoch, Event::PageWritten { page, offset, bytes: Bytes(bytes) });
                }
            }
            self.collect();
        }
        let faults = std::mem::take(&mut self.faults);
        faults.into_iter().for_each(|page| self.fault(page));
    }

    pub(super) fn fault(&mut self, page: PageNumber) {
        match self.host.fault(page) {
            Ok(()) | Err(Error::Refused(Refusal::RequestOutstanding(_))) => {}
            Err(Error::Refused(Refusal::NotMissing(_))) => self.subject.lock().wake(page),
            Err(Error::Refused(Refusal::OutboxFull | Refusal::NotRunning)) => self.faults.push_back(page),
            Err(error) => {
                self.note_error("a page fault", Err(error));
            }
        }
        self.collect();
    }
}
