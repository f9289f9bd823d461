//! What comes of a turn: steps for the log, messages for others, a status for whoever looks.

use protocol::destination::Destination;
use protocol::host::Role;
use protocol::source::Source;
use protocol::wire::Envelope;
use steplog::event::{Event, Step};
use steplog::page::PageNumber;
use steplog::place::{Epoch, Place};

use super::forecast::forecast;
use super::{Driver, wall_clock_ns};
use crate::aside::{DriverMessage, StepBatch};
use crate::status::{HostPhase, MigrationMoment};

impl Driver {
    /// Takes what the endpoint has to say: steps first, so that they are in the log before anything comes of them.
    pub(super) fn collect(&mut self) {
        while let Some((epoch, event)) = self.host.poll_event() {
            self.react(&event);
            self.note(epoch, event);
        }
        self.send_steps();
        while let Some(envelope) = self.host.poll_message() {
            self.say(&envelope);
        }
    }

    /// Notes a step of this host.
    pub(super) fn note(&mut self, epoch: Epoch, event: Event) {
        let at_ns = wall_clock_ns();
        self.handle.status.lock().note(&event, at_ns);
        tracing::trace!(session = %self.session, host = %self.host.id(), ?event);
        self.record(Step { at_ns, place: self.host.id().into(), epoch, event });
    }

    /// Writes a step down, or has it sent to where it is written down.
    pub(super) fn record(&mut self, step: Step) {
        match &mut self.outgoing {
            Some((_, outgoing)) => outgoing.push(step),
            None => self.recorder.record(step),
        }
    }

    fn send_steps(&mut self) {
        let Some((to, outgoing)) = &mut self.outgoing else { return };
        let Some(channel) = self.peers.channel_mut(*to) else { return };
        if let Some((first, steps)) = outgoing.take()
            && let Err(error) = channel.aside(&DriverMessage::Steps(StepBatch { first, steps }))
        {
            tracing::warn!(%error, "steps could not be sent for the log");
        }
    }

    /// What a step means for the subject.
    fn react(&mut self, event: &Event) {
        match event {
            Event::StateAccepted { .. } => {
                self.handle.status.lock().mark(MigrationMoment::Arrived, wall_clock_ns());
                let prepared = self.unpack().and_then(|state| self.subject.lock().prepare(&state));
                if let Err(error) = prepared {
                    tracing::error!(session = %self.session, %error, "the process that came cannot run here");
                    self.handle.status.lock().error = Some(error.to_string());
                    self.unfit = true;
                }
            }
            Event::DestructionLearned { at_rest: true, .. } if self.subject.lock().gathers() => {
                self.gathering = Some(PageNumber(0));
            }
            Event::PageFetched { page, .. } => self.subject.lock().note_fetched(*page),
            Event::WriteBackAcknowledged { .. } => self.awaited.acknowledged(),
            Event::ProcessHandedOver { .. } => {
                let elapsed = self.stopped_at.take().map(|at| super::nanoseconds(at.elapsed()));
                self.handle.status.lock().freeze_ns = elapsed;
            }
            _ => {}
        }
        if *self.host.role() == Role::Vacant {
            self.subject.lock().bury();
        }
    }

    /// Says a message, at once or when there is a connection for the first time.
    pub(super) fn say(&mut self, envelope: &Envelope) {
        let peer = self.peers.get_mut(envelope.to);
        match &mut peer.channel {
            Some(channel) => {
                if let Err(error) = channel.say(envelope.epoch, &envelope.message) {
                    tracing::error!(%error, "a message cannot be sent");
                    self.handle.status.lock().error = Some(error.to_string());
                }
            }
            None if !peer.known => peer.waiting.push_back(envelope.clone()),
            // It is lost with the connection; the endpoint will hear of that.
            None => {}
        }
    }

    /// Tells those of whom nothing is needed any more.
    pub(super) fn say_farewells(&mut self) {
        let steps_for =
            self.outgoing.as_ref().filter(|(_, outgoing)| !outgoing.is_empty()).map(|(to, _)| *to);
        for place in self.peers.places() {
            let needed = self.concerns(place) || place == Place::FileServer || steps_for == Some(place);
            if !needed
                && self.proposed.is_none()
                && let Err(error) = self.peers.say_farewell(place)
            {
                tracing::warn!(%error, "a farewell could not be said");
            }
        }
    }

    pub(super) fn flush(&mut self) {
        for place in self.peers.places() {
            if let Some(channel) = self.peers.channel_mut(place)
                && let Err(why) = channel.flush()
            {
                self.lost(place, &why);
                self.collect();
            }
        }
    }

    pub(super) fn update_status(&mut self) {
        let (phase, remaining) = phase_of(self.host.role());
        let (fate, rate) = (self.host.fate(), self.peers.rate());
        let connected = self.peers.places().into_iter().all(|place| self.host.is_connected(place));
        let mut status = self.handle.status.lock();
        (status.phase, status.remaining, status.fate, status.bytes_per_s) = (phase, remaining, fate, rate);
        status.connected = connected;
        let since =
            status.moment(MigrationMoment::Started).map(|at_ns| wall_clock_ns().saturating_sub(at_ns));
        let forecast = forecast(
            self.host.role(),
            self.host.policy(),
            &mut self.pace_of_writes,
            (self.layout.page_count(), rate),
        );
        // What has come to an end is known, and expected no more.
        status.freeze_expected_ns =
            forecast.map(|forecast| forecast.freeze_ns).filter(|_| status.freeze_ns.is_none());
        status.total_expected_ns =
            forecast.zip(since).map(|(forecast, since)| since.saturating_add(forecast.rest_ns));
    }
}

fn phase_of(role: &Role) -> (HostPhase, u64) {
    match role {
        Role::Vacant => (HostPhase::Vacant, 0),
        Role::Failed(_) => (HostPhase::Failed, 0),
        Role::Source(source) => match source {
            Source::Resting(_) | Source::Announced(_) => (HostPhase::Resting, 0),
            Source::PreMigration(pre) => {
                (HostPhase::PreMigration, pre.pass.as_ref().map_or(0, |pass| pass.due.len() as u64))
            }
            Source::Frozen(frozen) => {
                (HostPhase::Frozen, (frozen.to_transfer.len() + frozen.to_flush.len()) as u64)
            }
            Source::Offered(offered) => (HostPhase::Frozen, offered.owed.len() as u64),
            Source::Shadow(shadow) => (HostPhase::Shadow, shadow.owed.len() as u64),
            Source::Draining(draining) => (HostPhase::Draining, draining.write_backs.0.len() as u64),
        },
        Role::Destination(destination) => match destination {
            Destination::Receiving(_) => (HostPhase::Receiving, 0),
            Destination::Assembling(assembling) => (HostPhase::Receiving, assembling.awaited.len() as u64),
            Destination::AwaitingGo(awaiting) => (HostPhase::AwaitingGo, awaiting.resident.owed.len() as u64),
            Destination::Post(post) => (HostPhase::Post, post.resident.owed.len() as u64),
            Destination::Completing(_) => (HostPhase::Completing, 0),
        },
    }
}
