//! What goes wrong, and what is made of it, in words.

use model::disruption::Connection;
use model::page::{Plan, Transit};
use model::{Control, ControlStep, Page, PageStep, Phase};

use super::event::{Manner, StoryEvent, local, message};
use super::facts::deeds;
use super::hosts::{Hosts, StoryPlace};

/// `None` for a step that has nothing to do with disruptions.
pub(super) fn tell_control(
    hosts: &Hosts,
    control: &Control,
    step: ControlStep,
    after: &Control,
) -> Option<StoryEvent> {
    use Manner::{Arrived, Lost, Sent};
    let (source, destination) = (hosts.source, hosts.destination);
    let (forth, back) = ((source, destination), (destination, source));
    let (here, other) = if control.phase.at_source() { forth } else { back };
    let deeds = deeds(control, after);
    let or = |otherwise: &'static str| if deeds.is_empty() { otherwise.to_owned() } else { deeds.join(", ") };
    let told = match step {
        ControlStep::CrashSource => local(source, "✗ crashes"),
        ControlStep::CrashDestination => local(destination, "✗ crashes"),
        ControlStep::Cut => message(Lost, forth, "✗ the link is cut"),
        ControlStep::Outage => local(StoryPlace::FileServer, "✗ out of reach"),
        ControlStep::Cancel => local(here, format!("✗ operator: cancel; {}", or("too late"))),
        ControlStep::Refuse if control.phase == Phase::Loading => {
            local(destination, "✗ cannot load what was handed over; the process is lost")
        }
        ControlStep::Refuse => message(Sent, back, format!("✗ refuse; {}", or("nothing comes of it"))),
        ControlStep::SuspectDestination => {
            local(source, format!("✗ takes {destination} for dead; {}", or("nothing comes of it")))
        }
        ControlStep::SuspectSource
            if after.phase == Phase::Forgotten && control.phase != Phase::Forgotten =>
        {
            let text = format!("✗ takes {source} for dead; {}", or("forgets the attempt"));
            match after.message_lost {
                true => local(destination, text),
                false => message(Sent, back, text),
            }
        }
        ControlStep::SuspectSource => {
            local(destination, format!("✗ takes {source} for dead; {}", or("nothing comes of it")))
        }
        ControlStep::Abort if control.aftermath.connection == Connection::Broken => {
            local(source, format!("connection lost; {}", or("nothing comes of it")))
        }
        ControlStep::Abort if control.phase != Phase::Forgotten || control.message_lost => {
            local(source, format!("gives up; {}", or("nothing comes of it")))
        }
        ControlStep::Abort => message(Arrived, back, format!("refused; {}", or("nothing comes of it"))),
        ControlStep::Forget => local(destination_of(hosts, control), "connection lost; forgets the attempt"),
        ControlStep::DeliverCancel => message(Arrived, (here, other), "cancel; forgets the attempt"),
        ControlStep::DeliverOldState => message(Arrived, (here, other), "state of an aborted attempt"),
        ControlStep::SendOldReady if !after.aftermath.old_ready => {
            local(other, "ready, in an aborted attempt; in vain")
        }
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
        ControlStep::Fence => fence(hosts, control, after),
        ControlStep::StoreReturns => local(StoryPlace::FileServer, "in reach again"),
        _ => return None,
    };
    Some(told)
}

/// The host that has part in the attempt, or has had, without having the process.
fn destination_of(hosts: &Hosts, control: &Control) -> StoryPlace {
    if control.phase.at_source() { hosts.destination } else { hosts.source }
}

fn reconnect(hosts: &Hosts, control: &Control, (here, other): (StoryPlace, StoryPlace)) -> StoryEvent {
    let back = (hosts.destination, hosts.source);
    match control.phase {
        Phase::Committed | Phase::Running => message(Manner::Sent, back, "reconnected; resync"),
        Phase::Completing | Phase::Departing => message(Manner::Sent, back, "reconnected; complete again"),
        _ => message(Manner::Sent, (here, other), "reconnected"),
    }
}

fn fence(hosts: &Hosts, control: &Control, after: &Control) -> StoryEvent {
    let (source, destination) = (hosts.source, hosts.destination);
    let lost = after.phase == Phase::Lost;
    let deeds = deeds(control, after).join(", ");
    match control.phase {
        Phase::Doomed if lost => local(destination, "told that the process's machine is dead: it is lost"),
        _ if lost && control.aftermath.source_down => {
            local(destination, format!("told that {source} is dead: declares the process lost"))
        }
        _ if lost => local(destination, "declares the process lost, without word of a death"),
        Phase::Rest | Phase::Exiting => {
            local(source, format!("told that {destination} was dead; it is back, vacant"))
        }
        _ if control.phase.at_source() => local(source, format!("told that {destination} is dead; {deeds}")),
        _ if after.phase == Phase::Rest => {
            local(destination, format!("told that {source} is dead; goes on without it, at rest"))
        }
        _ => local(destination, format!("told that {source} is dead; goes on without it")),
    }
}

/// `None` for a step that has nothing to do with disruptions.
pub(super) fn tell_page(
    hosts: &Hosts,
    control: &Control,
    (page, after): (&Page, &Page),
    step: PageStep,
    name: &str,
) -> Option<StoryEvent> {
    let forth = match control.phase.at_source() {
        true => (hosts.source, hosts.destination),
        false => (hosts.destination, hosts.source),
    };
    let told = match step {
        PageStep::SendInVain => message(Manner::Sent, forth, format!("{name}, in vain")),
        PageStep::DeliverStray => message(Manner::Arrived, forth, format!("{name} of an aborted attempt")),
        PageStep::FallBack if after.plan == Plan::FromStore && after.request != Transit::Idle => message(
            Manner::Sent,
            (hosts.destination, StoryPlace::FileServer),
            format!("told that {} is dead, which owed {name}: request {name}", hosts.source),
        ),
        PageStep::FallBack if after.plan == Plan::FromStore => local(
            hosts.destination,
            format!("told that {} is dead, which owed {name}: the file server has it", hosts.source),
        ),
        PageStep::FallBack => local(
            hosts.destination,
            format!("told that {} is dead, which owed {name}: loads it from local store", hosts.source),
        ),
        PageStep::DeclareLost if !matches!(page.plan, Plan::FromSource | Plan::FromThird) => local(
            hosts.destination,
            format!(
                "told that {} is dead, which did not owe {name}: declares the process lost",
                hosts.source
            ),
        ),
        PageStep::DeclareLost => {
            local(hosts.destination, format!("told that {} is dead, which owed {name}: lost", hosts.source))
        }
        _ => return None,
    };
    Some(told)
}
