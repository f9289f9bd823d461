//! What goes wrong, and what is made of it, in words.

use model::disruption::Connection;
use model::{Control, ControlStep, PageStep, Phase};

use super::event::{Event, Manner, local, message};
use super::hosts::{Hosts, Place};

/// `None` for a step that has nothing to do with disruptions.
pub(super) fn tell_control(hosts: &Hosts, control: &Control, step: ControlStep) -> Option<Event> {
    use Manner::{Arrived, Lost, Sent};
    let (source, destination) = (hosts.source, hosts.destination);
    let (forth, back) = ((source, destination), (destination, source));
    let (here, other) = if control.phase.at_source() { forth } else { back };
    let in_time = control.phase.can_abort();
    let told = match step {
        ControlStep::CrashSource => local(source, "✗ crashes"),
        ControlStep::CrashDestination => local(destination, "✗ crashes"),
        ControlStep::Cut => message(Lost, forth, "✗ the link is cut"),
        ControlStep::Outage => local(Place::FileServer, "✗ out of reach"),
        ControlStep::Cancel if in_time => local(here, "✗ operator: cancel; aborts, thaws"),
        ControlStep::Cancel => local(here, "✗ operator: cancel; too late"),
        ControlStep::Refuse => message(Sent, back, "✗ refuse; forgets"),
        ControlStep::SuspectDestination if in_time => {
            local(source, format!("✗ takes {destination} for dead; aborts, thaws"))
        }
        ControlStep::SuspectDestination => {
            local(source, format!("✗ takes {destination} for dead; gives up the connection"))
        }
        ControlStep::SuspectSource
            if matches!(control.phase, Phase::Accepted | Phase::Forgotten) || !in_time =>
        {
            local(destination, format!("✗ takes {source} for dead; gives up the connection"))
        }
        ControlStep::SuspectSource => message(Sent, back, format!("✗ takes {source} for dead; forgets")),
        ControlStep::Abort if control.aftermath.connection == Connection::Broken => {
            local(source, "connection lost; aborts, thaws")
        }
        ControlStep::Abort => message(Arrived, back, "refused; aborts, thaws"),
        ControlStep::Forget => local(destination_of(hosts, control), "connection lost; forgets the attempt"),
        ControlStep::DeliverCancel => message(Arrived, (here, other), "cancel; forgets the attempt"),
        ControlStep::DeliverOldState => message(Arrived, (here, other), "state of an aborted attempt"),
        ControlStep::SendOldReady => message(Sent, (other, here), "ready, in an aborted attempt"),
        ControlStep::DeliverOldReady => message(Arrived, (other, here), "ready of an aborted attempt"),
        ControlStep::Reconnect => reconnect(hosts, control, (here, other)),
        ControlStep::DeliverResync if control.phase == Phase::Departing => {
            message(Arrived, back, "complete again; destroyed again")
        }
        ControlStep::DeliverResync if control.phase == Phase::Committed => {
            message(Arrived, back, "resync: awaits go; go again")
        }
        ControlStep::DeliverResync => message(Arrived, back, "resync: held, waited for"),
        ControlStep::Fence => fence(hosts, control),
        ControlStep::StoreReturns => local(Place::FileServer, "in reach again"),
        _ => return None,
    };
    Some(told)
}

/// The host that has part in the attempt, or has had, without having the process.
fn destination_of(hosts: &Hosts, control: &Control) -> Place {
    if control.phase.at_source() { hosts.destination } else { hosts.source }
}

fn reconnect(hosts: &Hosts, control: &Control, (here, other): (Place, Place)) -> Event {
    let back = (hosts.destination, hosts.source);
    match control.phase {
        Phase::Committed | Phase::Running => message(Manner::Sent, back, "reconnected; resync"),
        Phase::Completing | Phase::Departing => message(Manner::Sent, back, "reconnected; complete again"),
        _ => message(Manner::Sent, (here, other), "reconnected"),
    }
}

fn fence(hosts: &Hosts, control: &Control) -> Event {
    let (source, destination) = (hosts.source, hosts.destination);
    match control.phase {
        Phase::Doomed => local(destination, "told that the process's machine is dead: it is lost"),
        Phase::Forgotten => local(source, format!("told that {destination} is dead; aborts, thaws")),
        Phase::Rest | Phase::Exiting => {
            local(source, format!("told that {destination} was dead; it is back, vacant"))
        }
        _ if !control.aftermath.source_down => local(destination, "declares the process lost"),
        _ => local(destination, format!("told that {source} is dead; goes on without it, at rest")),
    }
}

/// `None` for a step that has nothing to do with disruptions.
pub(super) fn tell_page(hosts: &Hosts, control: &Control, step: PageStep, name: &str) -> Option<Event> {
    let forth = match control.phase.at_source() {
        true => (hosts.source, hosts.destination),
        false => (hosts.destination, hosts.source),
    };
    let told = match step {
        PageStep::SendInVain => message(Manner::Sent, forth, format!("{name}, in vain")),
        PageStep::DeliverStray => message(Manner::Arrived, forth, format!("{name} of an aborted attempt")),
        PageStep::DeclareLost => {
            local(hosts.destination, format!("told that {} is dead, which owed {name}: lost", hosts.source))
        }
        _ => return None,
    };
    Some(told)
}
