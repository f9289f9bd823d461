//! What disruptions have left behind.

use model::disruption::{Aftermath, Connection, Leftover};
use model::{Control, Phase, Process};
use protocol::destination::Destination;
use protocol::host::{Host, Role};
use protocol::wire::Message;
use steplog::message::{MessageKind, Progress};
use steplog::place::Epoch;

use super::scene::{Scene, shadow};
use crate::network::{Flight, FlightFate};
use crate::rig::{History, Rig};

/// The process died with a machine.
pub(super) fn end(rig: &Rig) -> Option<Control> {
    let lost = Control { process: Process::Lost, ..Control::GONE };
    match (rig.trouble.lost, rig.trouble.doomed) {
        (true, _) => Some(Control { phase: Phase::Lost, ..lost }),
        (false, true) => Some(Control { phase: Phase::Doomed, ..lost }),
        (false, false) => None,
    }
}

pub(super) fn aftermath(scene: &Scene<'_>) -> Aftermath {
    let rig = scene.rig;
    if !rig.is_disrupted() {
        return Aftermath::NONE;
    }
    let trouble = &rig.trouble;
    let History { struck, recoveries, began_returned } = trouble.history;
    Aftermath {
        struck,
        connection: connection(scene),
        source_down: trouble.dead.contains(&scene.source),
        destination_down: trouble.dead.contains(&scene.destination),
        store_down: trouble.outage,
        leftover: leftover(rig),
        old_ready: says(rig, MessageKind::Ready, |epoch| trouble.aborted.contains(&epoch)),
        recoveries,
        began_returned,
    }
}

/// The process has exited, and the other host has to be told, or not.
pub(super) fn gone(rig: &Rig) -> Control {
    if !rig.trouble.exit_untold {
        return Control::GONE;
    }
    let connection = if rig.is_parted() { Connection::Broken } else { Connection::Up };
    let down = |host: &Host<_>| rig.trouble.dead.contains(&host.id());
    let source_down = rig.hosts().any(down);
    Control {
        phase: Phase::Exiting,
        message_lost: !says(rig, MessageKind::Exit, |_| true),
        aftermath: Aftermath { connection, source_down, ..Aftermath::NONE },
        ..Control::GONE
    }
}

/// Is the control message of this phase lost? It is if it is not on its way, unless it has been heard already.
pub(super) fn message_lost(scene: &Scene<'_>) -> bool {
    let rig = scene.rig;
    let own = |epoch: Epoch| !rig.trouble.aborted.contains(&epoch);
    let kind = match scene.phase {
        Phase::Announced => MessageKind::Announce,
        // It has been heard where nothing is copied ahead, and the process waits for its suspension.
        Phase::Expected if scene.begun => return rig.is_parted(),
        Phase::Expected => MessageKind::Expected,
        Phase::Offered | Phase::Entrusted => MessageKind::State,
        Phase::Accepted if scene.ready => return false,
        Phase::Accepted => MessageKind::Ready,
        Phase::Forgotten => MessageKind::Refuse,
        Phase::Committed => MessageKind::Go,
        Phase::Completing if scene.drains || resyncs(scene, true) => return false,
        Phase::Completing => MessageKind::Complete,
        Phase::Departing => MessageKind::Destroyed,
        _ => return false,
    };
    !says(rig, kind, own)
}

fn connection(scene: &Scene<'_>) -> Connection {
    let rig = scene.rig;
    let awaits_resync = || shadow(rig, scene.source).is_some_and(|shadow| shadow.awaits_resync);
    let unheard = match scene.phase {
        Phase::Committed | Phase::Running => awaits_resync(),
        Phase::Completing => awaits_resync() && resyncs(scene, false),
        Phase::Departing => message_lost(scene) && resyncs(scene, true),
        _ => false,
    };
    match (rig.is_parted(), unheard) {
        (true, _) => Connection::Broken,
        (false, true) => Connection::Resyncing,
        (false, false) => Connection::Up,
    }
}

/// What a destination still has of an attempt that its source has called off.
fn leftover(rig: &Rig) -> Leftover {
    let destinations = rig.hosts().filter_map(|host| match host.role() {
        Role::Destination(destination) => Some(destination),
        _ => None,
    });
    let aborted = |epoch: Epoch| rig.trouble.aborted.contains(&epoch);
    let mut left = destinations.clone().filter(|destination| aborted(destination.epoch()));
    let state = |epoch: Epoch| says(rig, MessageKind::State, |other| other == epoch);
    match left.next() {
        Some(Destination::Receiving(receiving)) if state(receiving.epoch) => Leftover::Offered,
        Some(Destination::Receiving(receiving)) if rig.trouble.ignored_state == Some(receiving.epoch) => {
            Leftover::Rebuilding
        }
        Some(Destination::Receiving(receiving)) if !rig.trouble.started.contains(&receiving.epoch) => {
            Leftover::Expecting
        }
        Some(Destination::Receiving(_)) => Leftover::Receiving,
        Some(Destination::Assembling(_)) => Leftover::Rebuilding,
        Some(Destination::AwaitingGo(_)) => Leftover::InDoubt,
        // The announcement of it is on its way, or the word that it has been called off, or it has yet to notice that both are lost.
        None if rig.has_unheard_of() => Leftover::Expecting,
        _ => Leftover::None,
    }
}

/// Is a resync of the process's host on its way that says *complete*, or another one?
fn resyncs(scene: &Scene<'_>, complete: bool) -> bool {
    let own = |flight: &&Flight| flight.envelope.from == scene.destination.into();
    scene.rig.network.flights().iter().filter(own).any(|flight| match &flight.envelope.message {
        Message::Resync(resync) => (resync.progress == Progress::Complete) == complete,
        _ => false,
    })
}

/// Is a message of this kind on its way, in such an attempt?
fn says(rig: &Rig, kind: MessageKind, epoch: impl Fn(Epoch) -> bool) -> bool {
    rig.network.flights().iter().any(|flight| {
        let envelope = &flight.envelope;
        flight.fate == FlightFate::Flying && envelope.message.kind() == kind && epoch(envelope.epoch)
    })
}
