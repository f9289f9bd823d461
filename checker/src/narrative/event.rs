//! What a step means: at which place, or from where to where, and in which words.

use model::concrete::{State, Step};
use model::page::{Plan, WriteBack};
use model::{Control, ControlStep, Migration, Move, Page, PageStep, Phase};
use serde::Serialize;

use super::disruption;
use super::facts::{has_arrived, has_left, starts};
use super::hosts::{Hosts, StoryPlace};
use super::paging;
use super::real;

/// How a step involves its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// Something happens at one place.
    Local,
    /// A message leaves `from` for `to`.
    Sent,
    /// A message from `from` arrives at `to`.
    Arrived,
    /// A message from `from` to `to` is lost.
    Lost,
}

/// One step in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoryEvent {
    /// How the places are involved.
    pub manner: Manner,
    /// Where it happens, or where the message comes from.
    pub from: StoryPlace,
    /// Where the message goes; the same as `from` for what happens at one place.
    pub to: StoryPlace,
    /// What happens.
    pub text: String,
}

/// What has happened between two states. The step says who did it and what it was meant to do; what was done is in the
/// states.
pub(super) fn tell(
    hosts: &Hosts,
    before: &State<Migration>,
    step: Step<Migration>,
    after: &State<Migration>,
) -> StoryEvent {
    let meant = match step {
        Move::Control(step) => tell_control(hosts, &before.control, step, &after.control),
        Move::Page(step, index) => {
            tell_page(hosts, &before.control, (&before.pages[index], &after.pages[index]), step, index)
        }
    };
    let mut told = match meant.manner {
        Manner::Sent if !has_left(before, step, after) => {
            local(meant.from, format!("takes this for sent, and sends nothing: {}", meant.text))
        }
        Manner::Arrived if !has_arrived(before, step, after) => {
            local(meant.to, format!("acts as if this had come: {}", meant.text))
        }
        _ => meant,
    };
    // A process that an earlier error has left suspended can run again with a step that is about something else.
    let said = ["thaws", "resumes", "runs the process"].iter().any(|verb| told.text.contains(verb));
    if starts(&before.control, &after.control) && !said {
        told.text += "; runs the process again";
    }
    told
}

pub(super) fn local(place: StoryPlace, text: impl Into<String>) -> StoryEvent {
    StoryEvent { manner: Manner::Local, from: place, to: place, text: text.into() }
}

pub(super) fn message(
    manner: Manner,
    (from, to): (StoryPlace, StoryPlace),
    text: impl Into<String>,
) -> StoryEvent {
    StoryEvent { manner, from, to, text: text.into() }
}

fn tell_control(hosts: &Hosts, control: &Control, step: ControlStep, after: &Control) -> StoryEvent {
    use Manner::{Arrived, Lost, Sent};
    let forth = (hosts.source, hosts.destination);
    let back = (hosts.destination, hosts.source);
    if let Some(told) = disruption::tell_control(hosts, control, step, after) {
        return told;
    }
    if let Some(told) = real::tell_control(hosts, control, step, after) {
        return told;
    }
    match step {
        ControlStep::MigrateBack | ControlStep::MigrateOnward => {
            local(hosts.source, format!("operator: migrate to {}", hosts.destination))
        }
        ControlStep::NextPass => local(hosts.source, "next pre-copy pass"),
        ControlStep::Suspend if after.source_runs => {
            local(hosts.source, "takes the process for suspended, which runs on")
        }
        ControlStep::Suspend => local(hosts.source, "suspends the process"),
        ControlStep::SendState => message(Sent, forth, "state, dirty map"),
        ControlStep::DeliverState => message(Arrived, forth, "state, dirty map"),
        ControlStep::SendReady => message(Sent, back, "ready"),
        ControlStep::Commit if control.aftermath.old_ready && control.phase != Phase::Accepted => {
            local(hosts.source, "takes the ready of an aborted attempt for this one's; commits, go")
        }
        ControlStep::Commit => message(Arrived, back, "ready; commits, go"),
        ControlStep::Resume if control.phase != Phase::Committed => {
            local(hosts.destination, "resumes the process without go")
        }
        ControlStep::Resume => message(Arrived, forth, "go; resumes"),
        ControlStep::SendComplete => message(Sent, back, "complete"),
        ControlStep::Destroy => message(Arrived, back, "complete; destroys"),
        ControlStep::Finish => message(Arrived, forth, "destroyed; at rest"),
        ControlStep::Exit if control.phase.at_source() => local(hosts.source, "the process exits"),
        ControlStep::Exit => local(hosts.destination, "the process exits"),
        ControlStep::DeliverExit => local(hosts.source, "notice of exit; frees everything"),
        ControlStep::LoseMessage => message(Lost, in_flight(hosts, control), control_message(control)),
        ControlStep::ResendMessage => {
            message(Sent, in_flight(hosts, control), format!("{} again", control_message(control)))
        }
        other => local(hosts.source, other.to_string()),
    }
}

fn in_flight(hosts: &Hosts, control: &Control) -> (StoryPlace, StoryPlace) {
    match control.phase {
        Phase::Accepted | Phase::Completing | Phase::Forgotten | Phase::Expected => {
            (hosts.destination, hosts.source)
        }
        _ => (hosts.source, hosts.destination),
    }
}

fn control_message(control: &Control) -> &'static str {
    match control.phase {
        Phase::Announced => "announcement",
        Phase::Expected => "expected",
        Phase::Offered => "state",
        Phase::Entrusted => "state, go",
        Phase::Accepted => "ready",
        Phase::Committed => "go",
        Phase::Completing => "complete",
        Phase::Departing => "destroyed",
        Phase::Forgotten => "refuse",
        _ => "notice of exit",
    }
}

fn tell_page(
    hosts: &Hosts,
    control: &Control,
    (page, after): (&Page, &Page),
    step: PageStep,
    index: usize,
) -> StoryEvent {
    use Manner::{Arrived, Lost, Sent};
    let here = if control.phase.at_source() { hosts.source } else { hosts.destination };
    let owner = owner(hosts, control, page);
    let forth = (hosts.source, hosts.destination);
    // A broken source serves what it still has itself: to the other host.
    let answer = if owner == here { forth } else { (owner, here) };
    let request = (answer.1, answer.0);
    let content = if page.plan == Plan::Undecided && page.source.is_held() { forth } else { answer };
    let content = if matches!(page.plan, Plan::Travelled | Plan::Settled) { forth } else { content };
    let keeper = write_back_host(hosts, control, page);
    let name = format!("page {index}");
    let told = disruption::tell_page(hosts, control, (page, after), step, &name);
    if let Some(told) = told.or_else(|| real::tell_page(hosts, step, &name)) {
        return told;
    }
    let present = if control.phase.at_source() { page.source } else { page.destination }.is_held();
    if let Some(told) = paging::tell_page((here, owner, present), (page, after), step, &name) {
        return told;
    }
    match step {
        PageStep::Write => local(here, format!("writes {name}")),
        PageStep::LoadLocal => local(here, format!("loads {name} from local store")),
        PageStep::Fault => message(Sent, request, format!("fault: request {name}")),
        PageStep::Copy | PageStep::SendFrozen => message(Sent, forth, name),
        PageStep::SendWorkingSet => message(Sent, forth, format!("{name}, working set")),
        PageStep::Serve => message(Sent, answer, format!("{name}, requested")),
        PageStep::Push => message(Sent, forth, format!("{name}, pushed")),
        PageStep::DeliverRequest => message(Arrived, request, format!("request {name}")),
        PageStep::DuplicateRequest => message(Arrived, request, format!("request {name}, twice")),
        PageStep::DeliverPage if page.aside.void && after.destination == page.destination => {
            message(Arrived, content, format!("{name}, not needed any more: dropped"))
        }
        PageStep::DeliverPage => message(Arrived, content, name),
        PageStep::DuplicatePage => message(Arrived, content, format!("{name}, twice")),
        PageStep::DeliverOlder => message(Arrived, forth, format!("{name}, older copy")),
        PageStep::DeliverEcho => message(Arrived, content, format!("{name}, duplicate")),
        PageStep::ServeFromStore => message(Sent, (StoryPlace::FileServer, here), name),
        PageStep::WriteBack => message(Sent, (keeper, StoryPlace::FileServer), format!("write back {name}")),
        PageStep::Store | PageStep::DuplicateStore => {
            message(Arrived, (keeper, StoryPlace::FileServer), format!("write back {name}"))
        }
        PageStep::StoreEcho => {
            message(Arrived, (keeper, StoryPlace::FileServer), format!("{name}, duplicate"))
        }
        PageStep::DeliverAcknowledgement => {
            message(Arrived, (StoryPlace::FileServer, keeper), format!("{name} stored"))
        }
        PageStep::LoseRequest => message(Lost, request, format!("request {name}")),
        PageStep::ResendRequest => message(Sent, request, format!("request {name} again")),
        PageStep::LosePage => message(Lost, content, name),
        PageStep::ResendPage => message(Sent, content, format!("{name} again")),
        PageStep::LoseWriteBack => {
            message(Lost, (keeper, StoryPlace::FileServer), format!("write back {name}"))
        }
        PageStep::ResendWriteBack => {
            message(Sent, (keeper, StoryPlace::FileServer), format!("write back {name} again"))
        }
        other => local(here, format!("{other} {name}")),
    }
}

/// Whom the process's host asks for a missing page.
fn owner(hosts: &Hosts, control: &Control, page: &Page) -> StoryPlace {
    match page.plan {
        Plan::FromStore => StoryPlace::FileServer,
        Plan::FromThird => hosts.third,
        Plan::Undecided if control.phase.at_source() => StoryPlace::FileServer,
        _ => hosts.source,
    }
}

/// Whose write-back of a page is under way: the source's until the page has left it.
fn write_back_host(hosts: &Hosts, control: &Control, page: &Page) -> StoryPlace {
    let from_source = page.plan == Plan::FromSource && page.write_back != WriteBack::Idle;
    if control.phase.at_source() || from_source { hosts.source } else { hosts.destination }
}
