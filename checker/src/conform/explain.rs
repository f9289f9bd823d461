//! Which steps of the model an event of an endpoint stands for.
//!
//! An event names its step: a page that was pushed is explained by *push* of that page and by nothing else. Where
//! the reference takes several steps to one of the model, one of them stands for it and the others are stutters.

use model::concrete::Step;
use model::strategy::Pre;
use model::{Control, ControlStep, Migration, Move, PageStep, Phase};
use reference::event::Event;
use reference::page::PageNumber;
use reference::wire::MessageKind;

use super::rig::Happening;

/// A sequence of steps of the model; the empty one is a stutter.
pub type Explanation = Vec<Step<Migration>>;

/// What may explain something that happened in a state of the model, most likely first.
pub fn explanations(migration: &Migration, control: &Control, what: &Happening) -> Vec<Explanation> {
    let steps = match what {
        Happening::Step { event, .. } => of_event(migration, event),
        Happening::Lost(kind, page) => of_link(*kind, *page, true),
        Happening::Resent(kind, page) => of_link(*kind, *page, false),
    };
    // What hosts still do before they learn that the process has exited is of no consequence.
    let over = matches!(control.phase, Phase::Exiting | Phase::Exited);
    if over { with_stutter(steps) } else { steps }
}

fn of_event(migration: &Migration, event: &Event) -> Vec<Explanation> {
    use PageStep::*;
    let copies = matches!(migration.strategy.pre, Pre::Copy(_));
    let migrate = || [control(ControlStep::MigrateBack), control(ControlStep::MigrateOnward)].concat();
    match event {
        Event::MigrationStarted { .. } if copies => migrate(),
        Event::ProcessSuspended { .. } if copies => control(ControlStep::Suspend),
        Event::ProcessSuspended { .. } => migrate(),
        Event::PageWritten { page, .. } => pages(*page, &[Write]),
        Event::PageFaulted { page, .. } => pages(*page, &[Fault]),
        Event::PageLoaded { page } => pages(*page, &[LoadLocal]),
        Event::ProcessReleased { .. } => control(ControlStep::Exit),
        Event::PassBegun { .. } => with_stutter(control(ControlStep::NextPass)),
        Event::PageCopied { page, .. } => pages(*page, &[Copy]),
        Event::PageTransferred { page, .. } => pages(*page, &[SendFrozen, SendWorkingSet]),
        Event::PageFlushed { page, .. } | Event::PageWrittenBack { page, .. } => pages(*page, &[WriteBack]),
        Event::StateSent { .. } => control(ControlStep::SendState),
        Event::ProcessHandedOver { .. } => control(ControlStep::Commit),
        Event::PageServed { page, .. } => pages(*page, &[Serve]),
        Event::PagePushed { page, .. } => pages(*page, &[Push]),
        // One of several former hosts is done, or the last, or the process has exited.
        Event::ImageDestroyed { .. } => with_stutter(vec![
            vec![Move::Control(ControlStep::Destroy)],
            vec![Move::Control(ControlStep::DeliverExit)],
            vec![Move::Control(ControlStep::Destroy), Move::Control(ControlStep::LoseMessage)],
        ]),
        Event::ReadinessDeclared { .. } => control(ControlStep::SendReady),
        Event::CompletionDeclared { .. } => control(ControlStep::SendComplete),
        Event::PageInstalled { page, .. } | Event::PageFetched { page, .. } => {
            pages(*page, &[DeliverPage, DuplicatePage, DeliverOlder])
        }
        Event::StateAccepted { .. } => control(ControlStep::DeliverState),
        Event::ProcessResumed { .. } => control(ControlStep::Resume),
        Event::RequestAccepted { page, .. } => pages(*page, &[DeliverRequest, DuplicateRequest]),
        Event::DestructionLearned { at_rest: true, .. } => control(ControlStep::Finish),
        Event::ExitLearned { .. } => with_stutter(control(ControlStep::DeliverExit)),
        Event::WriteBackAcknowledged { page, .. } => pages(*page, &[DeliverAcknowledgement]),
        Event::MessageIgnored { kind, page, .. } => of_ignored(*kind, *page),
        Event::WriteBackStored { page, .. } => pages(*page, &[Store, DuplicateStore]),
        Event::WriteBackSuperseded { page, .. } => with_stutter(pages(*page, &[StoreEcho])),
        Event::FetchServed { page, .. } => with_stutter(pages(*page, &[ServeFromStore])),
        // No step of the model without disruptions.
        Event::MigrationCancelled { .. }
        | Event::MigrationRefused { .. }
        | Event::PeerDisconnected { .. }
        | Event::PeerTimedOut { .. }
        | Event::PeerFenced { .. }
        | Event::PeerConnected { .. }
        | Event::HostCrashed
        | Event::WriteBackRepeated { .. }
        | Event::FetchRepeated { .. }
        | Event::CancellationLearned { .. }
        | Event::RefusalLearned { .. }
        | Event::ResyncAccepted { .. }
        | Event::CancellationRepeated { .. }
        | Event::DestructionRepeated { .. } => vec![],
        Event::MigrationExpected { .. }
        | Event::MigrationStarted { .. }
        | Event::PageRead { .. }
        | Event::ProcessExited
        | Event::ReadinessLearned { .. }
        | Event::CompletionLearned { .. }
        | Event::DestructionLearned { at_rest: false, .. } => vec![vec![]],
    }
}

/// What came too late to matter may still be a message that the model counts.
fn of_ignored(kind: MessageKind, page: Option<PageNumber>) -> Vec<Explanation> {
    use PageStep::{DeliverEcho, DeliverOlder, DeliverRequest, DuplicateRequest};
    let steps = match (kind, page) {
        (MessageKind::Page, Some(page)) => pages(page, &[DeliverOlder, DeliverEcho]),
        (MessageKind::Fetched, Some(page)) => pages(page, &[DeliverEcho]),
        (MessageKind::Request, Some(page)) => pages(page, &[DeliverRequest, DuplicateRequest]),
        (MessageKind::Exit, _) => control(ControlStep::DeliverExit),
        _ => vec![],
    };
    with_stutter(steps)
}

fn of_link(kind: MessageKind, page: Option<PageNumber>, lost: bool) -> Vec<Explanation> {
    use PageStep::*;
    let (step, control_step) = match (kind, lost) {
        (MessageKind::Request | MessageKind::Fetch, true) => (LoseRequest, None),
        (MessageKind::Request | MessageKind::Fetch, false) => (ResendRequest, None),
        (MessageKind::Page | MessageKind::Fetched, true) => (LosePage, None),
        (MessageKind::Page | MessageKind::Fetched, false) => (ResendPage, None),
        (MessageKind::WriteBack | MessageKind::WriteBackDone, true) => (LoseWriteBack, None),
        (MessageKind::WriteBack | MessageKind::WriteBackDone, false) => (ResendWriteBack, None),
        (_, true) => (LosePage, Some(ControlStep::LoseMessage)),
        (_, false) => (ResendPage, Some(ControlStep::ResendMessage)),
    };
    with_stutter(match (control_step, page) {
        (Some(step), _) => control(step),
        (None, Some(page)) => pages(page, &[step]),
        (None, None) => vec![],
    })
}

fn control(step: ControlStep) -> Vec<Explanation> {
    vec![vec![Move::Control(step)]]
}

fn pages(page: PageNumber, steps: &[PageStep]) -> Vec<Explanation> {
    steps.iter().map(|step| vec![Move::Page(*step, page.index())]).collect()
}

fn with_stutter(mut explanations: Vec<Explanation>) -> Vec<Explanation> {
    explanations.push(vec![]);
    explanations
}
