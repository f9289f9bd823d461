//! What real systems do otherwise, in words.

use model::{Control, ControlStep, PageStep, Phase};

use super::event::{Manner, StoryEvent, local, message};
use super::hosts::Hosts;

/// `None` for a step that is told as it always is.
pub(super) fn tell_control(
    hosts: &Hosts,
    control: &Control,
    step: ControlStep,
    after: &Control,
) -> Option<StoryEvent> {
    use Manner::{Arrived, Sent};
    let (source, destination) = (hosts.source, hosts.destination);
    let (forth, back) = ((source, destination), (destination, source));
    let told = match step {
        ControlStep::MigrateBack | ControlStep::MigrateOnward if after.phase == Phase::Announced => {
            message(Sent, forth, format!("operator: migrate to {destination}; announces it"))
        }
        ControlStep::DeliverAnnouncement => {
            message(Arrived, forth, "announcement; expects a migration, says so")
        }
        ControlStep::Begin if control.phase == Phase::Expected => {
            message(Arrived, back, format!("expected; {}", begins(after)))
        }
        ControlStep::Begin if control.phase == Phase::Rest => {
            message(Arrived, back, format!("expected, in a migration that was called off; {}", begins(after)))
        }
        ControlStep::Begin => local(source, format!("is not told whether it is expected; {}", begins(after))),
        ControlStep::SendState if after.phase == Phase::Entrusted => {
            message(Sent, forth, "state, dirty map, go; commits")
        }
        ControlStep::DeliverState if after.phase == Phase::Loading => {
            message(Arrived, forth, "state, dirty map, go")
        }
        ControlStep::Resume if control.phase == Phase::Loading => local(destination, "resumes"),
        // Whom nobody tells anything.
        ControlStep::Resume if control.phase == Phase::Rebuilding => {
            local(destination, "resumes; asks nobody")
        }
        ControlStep::Resume if after.unanswered => message(Arrived, forth, "go; resumes, answers"),
        ControlStep::DeliverAnswer => message(Arrived, back, "answer to go"),
        ControlStep::Switch => local(source, "operator: switch to post-copy; suspends the process"),
        ControlStep::TakeBack => {
            local(source, "connection lost, and not told otherwise; runs the process again")
        }
        ControlStep::ResumeAbandoned => {
            local(hosts.destination, "has the state, and resumes the process that was called off")
        }
        ControlStep::Perish => {
            local(destination, "connection lost before the state has come; the process is lost")
        }
        _ => return None,
    };
    Some(told)
}

fn begins(after: &Control) -> &'static str {
    if after.source_runs { "begins to copy" } else { "suspends the process" }
}

/// `None` for a step that is told as it always is.
pub(super) fn tell_page(hosts: &Hosts, step: PageStep, name: &str) -> Option<StoryEvent> {
    let told = match step {
        PageStep::ClearLog => local(hosts.source, format!("clears the mark of {name} in the dirty log")),
        PageStep::WriteUnlogged => {
            local(hosts.source, format!("a device writes {name}, unseen by the dirty log"))
        }
        PageStep::PerishWithout => {
            local(hosts.destination, format!("connection lost under {name}; the process is lost"))
        }
        _ => return None,
    };
    Some(told)
}
