//! The control record.

use model::strategy::{HandOver, Stop};
use model::{Control, Phase, Process};
use protocol::destination::Destination;
use protocol::host::{Host, ProcessState, Role};
use protocol::memory::{Accesses, Fault};
use protocol::page::PageKind;
use protocol::page_set::PageSet;
use protocol::source::Source;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::HostId;

use super::scene::{Scene, keeps_something, shadow};
use super::{Unmapped, aftermath};
use crate::network::{Flight, FlightFate};
use crate::rig::Rig;

pub(super) fn control(scene: &Scene<'_>) -> Result<Control, Unmapped> {
    let &Scene { rig, phase, source, destination, .. } = scene;
    let unresumed = phase.at_source() || phase == Phase::Loading;
    let lost = match phase {
        _ if rig.is_disrupted() => aftermath::message_lost(scene),
        Phase::Announced => is_lost(rig, MessageKind::Announce),
        Phase::Expected => is_lost(rig, MessageKind::Expected),
        Phase::Offered | Phase::Entrusted => is_lost(rig, MessageKind::State),
        Phase::Accepted => is_lost(rig, MessageKind::Ready),
        Phase::Committed => is_lost(rig, MessageKind::Go),
        Phase::Completing => is_lost(rig, MessageKind::Complete),
        Phase::Departing => is_lost(rig, MessageKind::Destroyed),
        _ => false,
    };
    let working_set = rig.migration.strategy.working_set
        && !matches!(
            phase,
            Phase::Rest | Phase::Announced | Phase::Expected | Phase::Running | Phase::Forgotten
        );
    Ok(Control {
        phase,
        process: process(scene)?,
        source_runs: runs(rig, source),
        destination_runs: runs(rig, destination) && phase != Phase::Rest,
        message_lost: lost,
        code_page_sent: working_set && unresumed && sent_in_freeze(scene, PageKind::FileMapped),
        stack_page_sent: working_set && unresumed && sent_in_freeze(scene, PageKind::Private),
        returning: returning(scene),
        switched: is_switched(scene),
        unanswered: is_unanswered(scene),
        aftermath: aftermath::aftermath(scene),
    })
}

/// Has the operator switched to post-copy? Until the process resumes, what stays behind shows it.
fn is_switched(scene: &Scene<'_>) -> bool {
    let Scene { rig, phase, source, .. } = *scene;
    let unresumed = phase.at_source() || phase == Phase::Loading;
    let owes = |owed: &PageSet, served: &PageSet| !owed.is_empty() || !served.is_empty();
    let left = match rig.host(source).map(Host::role) {
        Some(Role::Source(Source::Frozen(frozen))) => frozen.switched,
        Some(Role::Source(Source::Offered(offered))) => !offered.owed.is_empty(),
        Some(Role::Source(Source::Shadow(shadow))) => owes(&shadow.owed, &shadow.served),
        // It is dead.
        _ => phase == Phase::Loading && scene.resident.was_owed,
    };
    rig.migration.strategy.real.stop == Stop::Switch && unresumed && left
}

/// Does the source wait for the answer to *go*?
fn is_unanswered(scene: &Scene<'_>) -> bool {
    let answered = scene.rig.migration.strategy.real.hand_over == HandOver::Acknowledged;
    let runs = matches!(scene.phase, Phase::Running | Phase::Completing);
    let withheld = || shadow(scene.rig, scene.source).is_some_and(|shadow| shadow.withheld.is_some());
    // *Complete* may have come before it.
    let overtaken = || scene.phase == Phase::Completing && is_on_its_way(scene, MessageKind::Resumed);
    answered && runs && (withheld() || overtaken())
}

/// The process has exited: is the word of it still on its way to a host that needs it?
pub(super) fn gone(rig: &Rig) -> Control {
    if rig.is_disrupted() {
        return aftermath::gone(rig);
    }
    let copies = matches!(rig.migration.strategy.pre, model::strategy::Pre::Copy(_));
    let unaware = |host: &Host<_>| match host.role() {
        // To the model a host has no part in a migration that has not begun.
        Role::Destination(Destination::Receiving(receiving)) => {
            copies || rig.announces() || receiving.former.is_some()
        }
        _ => keeps_something(host),
    };
    let to_former = |flight: &Flight| {
        flight.envelope.message.kind() == MessageKind::Exit
            && matches!(flight.fate, FlightFate::Flying | FlightFate::Lost)
            && (copies || flight.envelope.epoch <= rig.trouble.begun)
    };
    let notices: Vec<_> = rig.network.flights().iter().filter(|flight| to_former(flight)).collect();
    let message_lost = notices.iter().any(|notice| notice.fate == FlightFate::Lost);
    match rig.hosts().any(unaware) || !notices.is_empty() {
        true => Control { phase: Phase::Exiting, message_lost, ..Control::GONE },
        false => Control::GONE,
    }
}

/// The state of the process, from the host that has a say in it. Nobody has while it changes hands.
fn process(scene: &Scene<'_>) -> Result<Process, Unmapped> {
    let states = scene.rig.hosts().filter_map(Host::process_state);
    let states: Vec<ProcessState> = states.collect();
    match states[..] {
        [] => Ok(Process::Migration),
        [ProcessState::Normal] => Ok(Process::Normal),
        [ProcessState::PreMigration] => Ok(Process::PreMigration),
        [ProcessState::Migration] => Ok(Process::Migration),
        [ProcessState::PostMigration] => Ok(Process::PostMigration),
        _ => Err(Unmapped(format!("hosts disagree about the process: {states:?}"))),
    }
}

/// Does the host's processor execute the process? Its memory says so. A process that has called `exit` and waits
/// for its last write-back counts as running: to the model it has not exited yet.
fn runs(rig: &Rig, host: HostId) -> bool {
    let Some(host) = rig.host(host) else { return false };
    let frozen = host.memory().read(PageNumber(0), 0, &mut []) == Err(Fault::Frozen);
    let exiting = host.role().resident().is_some_and(|resident| resident.exited);
    !frozen || exiting
}

/// Is a message of this kind on its way, of the migration that brought the process where it is?
fn is_on_its_way(scene: &Scene<'_>, kind: MessageKind) -> bool {
    let mut flights = scene.rig.network.flights().iter();
    let counts = |flight: &Flight| {
        let of_it = flight.envelope.epoch == scene.resident.epoch;
        of_it && matches!(flight.fate, FlightFate::Flying | FlightFate::Lost)
    };
    flights.any(|flight| counts(flight) && flight.envelope.message.kind() == kind)
}

fn is_lost(rig: &Rig, kind: MessageKind) -> bool {
    let mut flights = rig.network.flights().iter();
    flights.any(|flight| flight.fate == FlightFate::Lost && flight.envelope.message.kind() == kind)
}

/// Has a page of this kind been sent between suspension and hand-over?
fn sent_in_freeze(scene: &Scene<'_>, kind: PageKind) -> bool {
    let pages = scene.rig.image.page_numbers().filter(|&page| scene.rig.image.kind(page) == kind);
    let sent_later = |page| scene.shadow.is_some_and(|shadow| shadow.served.contains(page));
    pages.into_iter().any(|page| scene.sequence(page.index()) > 0 && !sent_later(page))
}

/// Does the process go, or has it come, straight back to the host that it came from?
fn returning(scene: &Scene<'_>) -> bool {
    match scene.phase {
        Phase::Rest | Phase::Announced | Phase::Expected | Phase::PreCopy { .. } => false,
        Phase::Entrusted => scene.returns(),
        Phase::Freeze | Phase::Offered | Phase::Forgotten => {
            scene.resident.came_from() == Some(scene.destination)
        }
        _ => scene.resident.returned,
    }
}
