//! Which steps of the model an event of an endpoint stands for.
//!
//! An event names its step: a page that was pushed is explained by *push* of that page and by nothing else. Where
//! the reference takes several steps to one of the model, one of them stands for it and the others are stutters.

use model::concrete::Step;
use model::disruption::{Disruption, Leftover};
use model::strategy::{Fallback, HandOver, Pre, Start};
use model::{Control, ControlStep, Migration, Move, PageStep, Phase};
use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;

use super::rig::{Happening, Mending};

/// A sequence of steps of the model; the empty one is a stutter.
pub type Explanation = Vec<Step<Migration>>;

/// What may explain something that happened in a state of the model, most likely first. Any of the `owed` pages may be
/// the one that shows that the process is lost with a machine or a connection.
pub fn explanations(
    migration: &Migration,
    control: &Control,
    owed: &[usize],
    what: &Happening,
) -> Vec<Explanation> {
    let steps = match what {
        Happening::Step {
            event: event @ (Event::PeerDisconnected { .. } | Event::PeerFenced { .. }),
            ..
        } => {
            let perishes = owed.iter().map(|page| vec![Move::Page(PageStep::PerishWithout, *page)]);
            of_event(migration, control, event).into_iter().chain(perishes).collect()
        }
        Happening::Step { event, .. } => of_event(migration, control, event),
        Happening::Touched(page) => pages(*page, &[PageStep::FaultAgain]),
        Happening::Lost(kind, page) => of_link(*kind, *page, true),
        Happening::Resent(kind, page) => of_link(*kind, *page, false),
        Happening::Struck(disruption) => of_disruption(*disruption),
        // What is owed comes from a backing store first.
        Happening::Mended(Mending::Machine) if migration.strategy.real.fallback == Fallback::Store => {
            with_stutter(of_mending(Mending::Machine, owed))
        }
        Happening::Mended(mending) => of_mending(*mending, owed),
    };
    if is_over(control.phase) { with_stutter(steps) } else { steps }
}

/// What hosts still do before they learn that the process has exited is of no consequence. And a source whose attempt is forgotten goes on
/// in vain.
pub(crate) fn is_over(phase: Phase) -> bool {
    matches!(phase, Phase::Exiting | Phase::Exited | Phase::Doomed | Phase::Lost | Phase::Forgotten)
}

fn of_event(migration: &Migration, state: &Control, event: &Event) -> Vec<Explanation> {
    use PageStep::*;
    let copies = matches!(migration.strategy.pre, Pre::Copy(_));
    let migrate = || [control(ControlStep::MigrateBack), control(ControlStep::MigrateOnward)].concat();
    let announces = migration.strategy.real.start == Start::Announced;
    match event {
        Event::MigrationAnnounced { .. } => migrate(),
        Event::MigrationExpected { .. } if announces => announced(state),
        Event::MigrationStarted { .. } if announces && copies => begun(),
        Event::ProcessSuspended { .. } if announces && !copies => begun(),
        Event::MigrationStarted { .. } if copies => migrate(),
        Event::ProcessSuspended { switched: true, .. } => {
            // In vain, where the destination has forgotten the attempt.
            [control(ControlStep::Switch), control(ControlStep::Suspend)].concat()
        }
        Event::ProcessSuspended { .. } if copies => {
            [control(ControlStep::Suspend), control(ControlStep::Switch)].concat()
        }
        Event::ProcessSuspended { .. } => migrate(),
        Event::PageWritten { page, .. } => pages(*page, &[Write]),
        Event::PageFaulted { page, .. } => pages(*page, &[Fault]),
        Event::FaultHeard { page, .. } => pages(*page, &[HearFault]),
        Event::ThreadsWoken { page } => pages(*page, &[Wake]),
        Event::PageLoaded { page } => pages(*page, &[LoadLocal, FallBack]),
        Event::PageFellBack { page, .. } => pages(*page, &[FallBack]),
        Event::PageLost { page, .. } => pages(*page, &[DeclareLost]),
        Event::PagePulled { page, .. } => pages(*page, &[Pull]),
        Event::ProcessReleased { .. } => control(ControlStep::Exit),
        Event::PassBegun { .. } => with_stutter(control(ControlStep::NextPass)),
        Event::MarkCleared { page } => pages(*page, &[ClearLog]),
        Event::PageCopied { page, .. } => pages(*page, &[Copy, SendInVain]),
        Event::PageTransferred { page, .. } => pages(*page, &[SendFrozen, SendWorkingSet, SendInVain]),
        Event::PageFlushed { page, .. } | Event::PageWrittenBack { page, .. } => pages(*page, &[WriteBack]),
        Event::StateSent { .. } => control(ControlStep::SendState),
        // One-shot: with the state.
        Event::ProcessHandedOver { .. } if !migration.strategy.says_ready() => vec![vec![]],
        Event::ProcessHandedOver { .. } => control(ControlStep::Commit),
        Event::PageServed { page, .. } => pages(*page, &[Serve]),
        Event::PagePushed { page, .. } => {
            // That *go* was answered leaves no line.
            let answered = [Move::Control(ControlStep::DeliverAnswer), Move::Page(Push, page.index())];
            let acknowledged = migration.strategy.real.hand_over == HandOver::Acknowledged;
            pages(*page, &[Push]).into_iter().chain(acknowledged.then(|| answered.to_vec())).collect()
        }
        // One of several former hosts is done, or the last, or the process has exited.
        Event::ImageDestroyed { .. } => with_stutter(vec![
            vec![Move::Control(ControlStep::Destroy)],
            vec![Move::Control(ControlStep::DeliverExit)],
            vec![Move::Control(ControlStep::Destroy), Move::Control(ControlStep::LoseMessage)],
        ]),
        Event::ReadinessDeclared { .. } => {
            [control(ControlStep::SendReady), control(ControlStep::SendOldReady)].concat()
        }
        // With its former host dead the process is at rest when all has fallen back.
        Event::CompletionDeclared { told } if told.is_empty() => control(ControlStep::Fence),
        Event::CompletionDeclared { .. } => control(ControlStep::SendComplete),
        Event::PageInstalled { page, .. } | Event::PageFetched { page, .. } => {
            of_arrival(migration, *page, &[DeliverPage, DuplicatePage, DeliverOlder])
        }
        Event::StateAccepted { .. } => {
            [control(ControlStep::DeliverState), control(ControlStep::DeliverOldState)].concat()
        }
        Event::ProcessResumed { .. } => {
            [control(ControlStep::Resume), control(ControlStep::ResumeAbandoned)].concat()
        }
        Event::ResumptionLearned { .. } => control(ControlStep::DeliverAnswer),
        Event::RequestAccepted { page, .. } => pages(*page, &[DeliverRequest, DuplicateRequest]),
        Event::DestructionLearned { at_rest: true, .. } => control(ControlStep::Finish),
        Event::ExitLearned { .. } => with_stutter(control(ControlStep::DeliverExit)),
        Event::WriteBackAcknowledged { page, .. } => pages(*page, &[DeliverAcknowledgement]),
        Event::MessageIgnored { kind, page, .. } => of_ignored(migration, *kind, *page),
        Event::WriteBackStored { page, .. } => pages(*page, &[Store, DuplicateStore]),
        Event::WriteBackSuperseded { page, .. } => with_stutter(pages(*page, &[StoreEcho])),
        Event::FetchServed { page, .. } => with_stutter(pages(*page, &[ServeFromStore])),
        // What is noticed, and what the host makes of it. In a reconnection or a fence the model has it as well.
        Event::PeerDisconnected { .. } | Event::PeerTimedOut { .. } | Event::PeerFenced { .. } => {
            let steps = [ControlStep::Abort, ControlStep::Forget, ControlStep::Perish, ControlStep::TakeBack];
            [vec![vec![]], steps.into_iter().flat_map(control).collect()].concat()
        }
        Event::RefusalLearned { .. } => control(ControlStep::Abort),
        // Where the word of it is on its way still, or was overtaken by the next attempt, it is as good.
        // The operator says so: the process has come to where it is to leave from.
        Event::MigrationExpected { .. } => {
            with_stutter([control(ControlStep::DeliverCancel), control(ControlStep::DeliverAnswer)].concat())
        }
        Event::CancellationLearned { .. } | Event::CompletionLearned { .. } => {
            with_stutter(control(ControlStep::DeliverCancel))
        }
        Event::ResyncAccepted { .. } => with_stutter(control(ControlStep::DeliverResync)),
        Event::DestructionRepeated { .. } => with_stutter(control(ControlStep::DeliverResync)),
        Event::WriteBackRepeated { page, .. } => with_stutter(pages(*page, &[ResendWriteBack])),
        Event::FetchRepeated { page } => with_stutter(pages(*page, &[ResendRequest])),
        // The driver's action says what it was.
        Event::MigrationCancelled { .. }
        | Event::MigrationRefused { .. }
        | Event::PeerConnected { .. }
        | Event::HostCrashed
        // The answer to a destination in doubt is on its way.
        | Event::CancellationRepeated { .. }
        | Event::MigrationStarted { .. }
        | Event::VersionAsked { .. }
        | Event::VersionTold { .. }
        | Event::PageRead { .. }
        | Event::ProcessExited
        | Event::ReadinessLearned { .. }
        | Event::DestructionLearned { at_rest: false, .. } => vec![vec![]],
    }
}

/// Where the destination is told ahead, that is the announcement; word of an earlier attempt's end may come with it.
fn announced(control: &Control) -> Vec<Explanation> {
    use ControlStep::{DeliverAnnouncement, DeliverCancel, MigrateBack, MigrateOnward};
    let steps: [&[ControlStep]; 7] = [
        // The line of the announcement itself has begun it.
        &[DeliverAnnouncement],
        &[DeliverCancel, DeliverAnnouncement],
        // To the model it may have yet to arrive: one that is refused has not been expected.
        &[MigrateBack],
        &[MigrateOnward],
        &[MigrateBack, DeliverAnnouncement],
        &[MigrateOnward, DeliverAnnouncement],
        &[MigrateBack, DeliverCancel, DeliverAnnouncement],
    ];
    // So it may where the announcement has a line. And one that was called off is only left.
    let nothing = control.phase == Phase::Announced || control.aftermath.leftover != Leftover::None;
    let steps = steps.map(|steps| steps.iter().copied().map(Move::Control).collect());
    steps.into_iter().chain(nothing.then(Vec::new)).collect()
}

/// The migration begins, which the destination expects, or does from here on.
fn begun() -> Vec<Explanation> {
    let announced = vec![ControlStep::DeliverAnnouncement, ControlStep::Begin];
    let announced = announced.into_iter().map(Move::Control).collect();
    [control(ControlStep::Begin), vec![announced]].concat()
}

/// What came too late to matter may still be a message that the model counts.
fn of_ignored(migration: &Migration, kind: MessageKind, page: Option<PageNumber>) -> Vec<Explanation> {
    use PageStep::{DeliverEcho, DeliverOlder, DeliverRequest, DuplicateRequest};
    let steps = match (kind, page) {
        (MessageKind::Page, Some(page)) => of_arrival(migration, page, &[DeliverOlder, DeliverEcho]),
        (MessageKind::Fetched, Some(page)) => pages(page, &[DeliverEcho]),
        (MessageKind::Request, Some(page)) => pages(page, &[DeliverRequest, DuplicateRequest]),
        (MessageKind::Exit, _) => control(ControlStep::DeliverExit),
        (MessageKind::Ready, _) => control(ControlStep::DeliverOldReady),
        (MessageKind::Cancel, _) => control(ControlStep::DeliverCancel),
        (MessageKind::State, _) => control(ControlStep::DeliverOldState),
        (MessageKind::Resync, _) => control(ControlStep::DeliverResync),
        (MessageKind::Resumed, _) => control(ControlStep::DeliverAnswer),
        _ => vec![],
    };
    with_stutter(steps)
}

/// A page message. Where something can go wrong it may be one of an attempt that was called off; one of them stands
/// for all.
fn of_arrival(migration: &Migration, page: PageNumber, steps: &[PageStep]) -> Vec<Explanation> {
    if migration.disruptions.is_none() {
        return pages(page, steps);
    }
    with_stutter([pages(page, steps), pages(page, &[PageStep::DeliverStray])].concat())
}

/// Where *ready* has been heard already when the attempt is called off, it counts as delivered.
fn of_disruption(disruption: Disruption) -> Vec<Explanation> {
    use ControlStep::*;
    let steps: &[&[ControlStep]] = match disruption {
        Disruption::CrashSource | Disruption::CrashDestination => &[&[CrashSource], &[CrashDestination]],
        Disruption::Outage => &[&[Outage]],
        Disruption::Cut => &[&[Cut]],
        Disruption::Cancel => &[&[Cancel], &[Cancel, DeliverOldReady]],
        Disruption::Refuse => &[&[Refuse]],
        Disruption::Suspect => {
            &[&[SuspectDestination], &[SuspectSource], &[SuspectDestination, DeliverOldReady]]
        }
    };
    steps.iter().map(|steps| steps.iter().copied().map(Move::Control).collect()).collect()
}

/// Of all the pages that a dead machine owed, any one stands for the loss.
fn of_mending(mending: Mending, owed: &[usize]) -> Vec<Explanation> {
    match mending {
        Mending::Connection => with_stutter(control(ControlStep::Reconnect)),
        Mending::FileServer => control(ControlStep::StoreReturns),
        Mending::Machine => {
            let lost = owed.iter().map(|page| vec![Move::Page(PageStep::DeclareLost, *page)]);
            control(ControlStep::Fence).into_iter().chain(lost).collect()
        }
    }
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
