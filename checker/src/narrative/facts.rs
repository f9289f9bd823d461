//! What a step has really done: read off the states before and after it, whatever the step is called.
//!
//! In a broken protocol a step does not do what its name says. A story tells what happened, so each arrow and each verb
//! in it is backed by a change that is found here.

use model::concrete::{State, Step};
use model::disruption::{Connection, Leftover};
use model::page::{Currency, Holding, Transit, WriteBack};
use model::{Control, ControlStep, Migration, Move, Page, PageStep, Phase};

/// Has a message left that was not on its way before, or not any more?
pub(super) fn has_left(before: &State<Migration>, step: Step<Migration>, after: &State<Migration>) -> bool {
    match step {
        Move::Control(step) => control_has_left(step, &before.control, &after.control),
        Move::Page(step, index) => page_has_left(step, &before.pages[index], &after.pages[index]),
    }
}

/// Was there a message that could arrive with this step, and has it?
pub(super) fn has_arrived(
    before: &State<Migration>,
    step: Step<Migration>,
    after: &State<Migration>,
) -> bool {
    match step {
        Move::Control(step) => control_has_arrived(step, &before.control),
        Move::Page(step, index) => page_has_arrived(step, &before.pages[index], &after.pages[index]),
    }
}

fn control_has_left(step: ControlStep, before: &Control, after: &Control) -> bool {
    match step {
        ControlStep::Reconnect => {
            before.aftermath.connection == Connection::Broken
                && after.aftermath.connection != Connection::Broken
        }
        ControlStep::SendOldReady => after.aftermath.old_ready && !before.aftermath.old_ready,
        _ => {
            let new = after.phase.message_in_flight() && after.phase != before.phase;
            let new = new || (after.unanswered && !before.unanswered);
            new || (before.message_lost && !after.message_lost)
        }
    }
}

fn control_has_arrived(step: ControlStep, before: &Control) -> bool {
    let awaited = match step {
        ControlStep::DeliverResync => return before.aftermath.connection == Connection::Resyncing,
        ControlStep::DeliverOldReady => return before.aftermath.old_ready,
        ControlStep::DeliverOldState => return before.aftermath.leftover == Leftover::Offered,
        ControlStep::DeliverCancel => return before.aftermath.leftover != Leftover::None,
        ControlStep::DeliverState if before.phase == Phase::Entrusted => Phase::Entrusted,
        ControlStep::DeliverAnnouncement => Phase::Announced,
        ControlStep::Begin if before.phase == Phase::Rest => {
            return before.aftermath.leftover == Leftover::Expecting;
        }
        ControlStep::Begin => Phase::Expected,
        ControlStep::DeliverState => Phase::Offered,
        ControlStep::DeliverAnswer => return before.unanswered,
        ControlStep::Commit => Phase::Accepted,
        ControlStep::Resume => Phase::Committed,
        ControlStep::Destroy => Phase::Completing,
        ControlStep::Finish => Phase::Departing,
        ControlStep::DeliverExit => Phase::Exiting,
        ControlStep::Abort => Phase::Forgotten,
        _ => return false,
    };
    before.phase == awaited && !before.message_lost
}

fn page_has_left(step: PageStep, before: &Page, after: &Page) -> bool {
    let contents = |page: &Page| page.older + u8::from(page.content != Transit::Idle);
    let again = matches!((before.content, after.content), (Transit::Lost(_), Transit::Flying(_)));
    match step {
        PageStep::Fault
        | PageStep::ResendRequest
        | PageStep::HearFault
        | PageStep::Pull
        | PageStep::FallBack => {
            after.request != Transit::Idle
                && (before.request == Transit::Idle || matches!(before.request, Transit::Lost(())))
        }
        PageStep::WriteBack | PageStep::ResendWriteBack => {
            let sent = matches!(after.write_back, WriteBack::Sent(_));
            // One step of the model: it is sent again because the answer was lost, and answered again.
            let answered = after.write_back == WriteBack::Acknowledged(true);
            (sent && !matches!(before.write_back, WriteBack::Sent(Transit::Flying(_))))
                || (answered && before.write_back == WriteBack::Acknowledged(false))
        }
        _ => contents(after) > contents(before) || again || after.crossings > before.crossings,
    }
}

fn page_has_arrived(step: PageStep, before: &Page, after: &Page) -> bool {
    let flying = matches!(before.content, Transit::Flying(_));
    match step {
        PageStep::DeliverRequest | PageStep::DuplicateRequest => before.request == Transit::Flying(()),
        PageStep::DeliverPage => flying && !matches!(after.content, Transit::Flying(_)),
        PageStep::DuplicatePage => flying,
        PageStep::DeliverOlder => after.older < before.older,
        PageStep::DeliverEcho => is_held(before.echo),
        PageStep::DeliverStray => is_held(before.stray),
        PageStep::Store | PageStep::DuplicateStore => {
            matches!(before.write_back, WriteBack::Sent(Transit::Flying(_)))
        }
        PageStep::StoreEcho => is_held(before.write_back_echo),
        PageStep::DeliverAcknowledgement => before.write_back == WriteBack::Acknowledged(true),
        _ => false,
    }
}

fn is_held(holding: Holding) -> bool {
    matches!(holding, Holding::Held(Currency::Stale | Currency::Current))
}

/// Does the process run, and did not before?
pub(super) fn starts(before: &Control, after: &Control) -> bool {
    let runs = |control: &Control| control.source_runs || control.destination_runs;
    !runs(before) && runs(after)
}

/// What has become of the attempt and of the process, as verbs of whoever does it; nothing where all is as before.
pub(super) fn deeds(before: &Control, after: &Control) -> Vec<&'static str> {
    let mut deeds = Vec::new();
    let runs = |control: &Control| control.source_runs || control.destination_runs;
    let at_rest = matches!(after.phase, Phase::Rest | Phase::Running);
    let resumed = after.destination_runs && !before.destination_runs && !before.returning;
    let back = before.phase == Phase::Committed && after.phase == Phase::Rest;
    let aborted = at_rest && (before.phase.can_abort() || back) && !resumed;
    let undone = after.phase.at_source()
        && before.phase.committed()
        && after.source_runs
        && !before.source_runs
        && !back;
    if aborted || undone {
        deeds.push(if undone { "aborts after its commit" } else { "aborts" });
    }
    if after.phase == Phase::Forgotten && before.phase != Phase::Forgotten {
        deeds.push("forgets the attempt");
    }
    if starts(before, after) {
        deeds.push("thaws");
    } else if undone {
        deeds.push("runs the process again");
    } else if aborted && !runs(after) {
        deeds.push("leaves the process suspended");
    }
    if after.phase == Phase::Lost && before.phase != Phase::Lost {
        deeds.push("declares the process lost");
    }
    if after.aftermath.connection == Connection::Broken && before.aftermath.connection != Connection::Broken {
        deeds.push("gives up the connection");
    }
    deeds
}
