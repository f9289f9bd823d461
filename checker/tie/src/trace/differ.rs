//! In what a line differs from what the model has, and what the model has instead, in the words of the log.

use std::collections::BTreeSet;

use model::page::{Plan, Transit};
use model::system::System;
use model::{ControlStep, Page, PageStep, Phase};
use rustc_hash::FxHashMap;
use steplog::event::{Event, Step};
use steplog::message::MessageKind;
use steplog::page::PageNumber;

use super::follow::Follower;
use super::objection::Difference;
use super::page_of;
use super::population::{Population, Stutters};

impl Follower<'_> {
    /// Why no step of the model explains the line.
    pub(super) fn difference(&self, line: &Step) -> Difference {
        let Some(state) = self.reached.first().map(|reached| &reached.state) else {
            return Difference::Phase("none");
        };
        let phase = Difference::Phase(phase_words(state.control.phase));
        let Some(number) = page_of(&line.event) else { return of_control(line, state).unwrap_or(phase) };
        let Some(record) = state.records(number.index()).first() else { return phase };
        of_page(line, state, &record.page).unwrap_or(phase)
    }

    /// The events that the model has here, of the line's page and of the migration.
    pub(super) fn instead(&self, line: &Step) -> Vec<String> {
        let Some(state) = self.reached.first().map(|reached| &reached.state) else { return vec![] };
        let control = self.model.control_steps().iter();
        let control = control.filter(|step| state.after_control(self.model, **step).is_some());
        let mut all: Vec<String> = Vec::new();
        if let Some(page) = page_of(&line.event) {
            let steps = self.model.page_steps().iter();
            let is_possible = |step: &&PageStep| {
                !state.effects(self.model, page.index(), (&[**step], Stutters::Never), |_| true).is_empty()
            };
            let of_page = |event: &str| format!("{event} {}", page.0);
            all.extend(steps.filter(is_possible).filter_map(|step| page_event(*step)).map(of_page));
        }
        all.extend(control.filter_map(|step| control_event(*step)).map(str::to_owned));
        let mut known = BTreeSet::new();
        all.retain(|event| known.insert(event.clone()));
        all
    }
}

fn of_control(line: &Step, state: &Population) -> Option<Difference> {
    let phase = state.control.phase;
    Some(match line.event {
        Event::StateSent { .. } if phase == Phase::Freeze => Difference::FreezeNotDone,
        Event::StateAccepted { .. } if matches!(phase, Phase::Offered | Phase::Entrusted) => {
            let landed = state.can_all(|page| page.content.is_idle() && page.older == 0);
            if landed { Difference::OtherDiscards } else { Difference::NotArrived }
        }
        Event::ReadinessDeclared { .. } if phase == Phase::Rebuilding => Difference::NotArrived,
        Event::CompletionDeclared { .. } if phase == Phase::Running => Difference::StillOwed,
        Event::PassBegun { .. } | Event::ProcessSuspended { .. }
            if matches!(phase, Phase::PreCopy { .. }) =>
        {
            Difference::NotDue
        }
        _ => return None,
    })
}

fn of_page(line: &Step, state: &Population, page: &Page) -> Option<Difference> {
    let control = &state.control;
    let here = if control.phase.at_source() { page.source } else { page.destination };
    Some(match line.event {
        Event::PageRead { .. } | Event::PageWritten { .. } if !control.runs() => Difference::NotRunning,
        Event::PageFaulted { .. } | Event::PageLoaded { .. } if !control.runs() => Difference::NotRunning,
        Event::PageRead { .. } | Event::PageWritten { .. } if !here.is_held() => {
            Difference::Absent(whereabouts(page))
        }
        Event::PageFaulted { .. } | Event::PageLoaded { .. } if here.is_held() => Difference::Present,
        Event::PageServed { .. } if !page.asked => Difference::NotAsked,
        Event::PagePushed { .. } | Event::PageTransferred { .. } if page.sent => Difference::SentAlready,
        Event::PagePushed { .. } if page.asked => Difference::DemandFirst,
        Event::PagePushed { .. } if page.plan == Plan::FromSource => Difference::DemandFirst,
        Event::PageCopied { .. }
        | Event::PageTransferred { .. }
        | Event::PageFlushed { .. }
        | Event::PageWrittenBack { .. }
        | Event::PagePushed { .. } => Difference::NotDue,
        Event::PageInstalled { .. } | Event::PageFetched { .. } => Difference::NothingToInstall,
        Event::MessageIgnored { kind: MessageKind::Request, .. }
            if page.plan == Plan::FromSource && !page.sent =>
        {
            Difference::Owed
        }
        Event::MessageIgnored { kind: MessageKind::Page | MessageKind::Fetched, .. }
            if page.content != Transit::Idle =>
        {
            Difference::Needed
        }
        _ => return None,
    })
}

fn whereabouts(page: &Page) -> &'static str {
    match page.plan {
        Plan::FromSource => "the host that the process came from owes it",
        Plan::FromThird => "a host that the process was on before owes it",
        Plan::FromStore => "it is to come from the backing store",
        Plan::Travelled => "it has been sent and has not arrived",
        Plan::Undecided | Plan::Settled => "it is to come from the backing store",
    }
}

fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Rest => "no migration is under way",
        Phase::PreCopy { .. } => "pages are copied while the process runs",
        Phase::Freeze => "the process is suspended, and its state has not been sent",
        Phase::Offered => "the state is on its way",
        Phase::Rebuilding => "the destination has the state and has not said *ready*",
        Phase::Accepted => "*ready* is on its way",
        Phase::Committed => "*go* is on its way",
        Phase::Running => "the process runs at its destination, which may lack pages",
        Phase::Completing => "*complete* is on its way",
        Phase::Departing => "*destroyed* is on its way",
        Phase::Exiting => "word that the process has exited is on its way",
        Phase::Exited => "the process has exited",
        Phase::Forgotten => "the destination has forgotten the attempt",
        Phase::Doomed | Phase::Lost => "the process is lost",
        Phase::Announced | Phase::Expected => "a migration is announced, and has not begun",
        Phase::Entrusted => "the state and *go* are on their way",
        Phase::Loading => "the destination has the state and *go*, and does not run the process yet",
    }
}

/// The event that a step of the model is in a log, if it leaves a line.
fn control_event(step: ControlStep) -> Option<&'static str> {
    Some(match step {
        ControlStep::MigrateBack | ControlStep::MigrateOnward => "migration-started",
        ControlStep::DeliverAnnouncement => "migration-expected",
        ControlStep::Begin => "migration-started",
        ControlStep::NextPass => "pass-begun",
        ControlStep::Suspend | ControlStep::Switch => "process-suspended",
        ControlStep::SendState => "state-sent",
        ControlStep::DeliverState | ControlStep::DeliverOldState => "state-accepted",
        ControlStep::SendReady | ControlStep::SendOldReady => "readiness-declared",
        ControlStep::Commit => "process-handed-over",
        ControlStep::Resume | ControlStep::ResumeAbandoned => "process-resumed",
        ControlStep::DeliverAnswer => "resumption-learned",
        ControlStep::SendComplete => "completion-declared",
        ControlStep::Destroy => "image-destroyed",
        ControlStep::Finish => "destruction-learned",
        ControlStep::Exit => "process-released",
        ControlStep::DeliverExit => "exit-learned",
        ControlStep::CrashSource | ControlStep::CrashDestination => "host-crashed",
        ControlStep::Cancel => "migration-cancelled",
        ControlStep::Refuse => "migration-refused",
        ControlStep::DeliverCancel => "cancellation-learned",
        ControlStep::DeliverResync => "resync-accepted",
        ControlStep::Fence => "peer-fenced",
        ControlStep::Reconnect | ControlStep::StoreReturns => "peer-connected",
        ControlStep::Abort
        | ControlStep::Forget
        | ControlStep::Cut
        | ControlStep::Outage
        | ControlStep::TakeBack
        | ControlStep::Perish => "peer-disconnected",
        ControlStep::SuspectDestination | ControlStep::SuspectSource => "peer-timed-out",
        ControlStep::LoseMessage | ControlStep::ResendMessage | ControlStep::DeliverOldReady => return None,
    })
}

fn page_event(step: PageStep) -> Option<&'static str> {
    Some(match step {
        PageStep::Write => "page-written",
        PageStep::LoadLocal | PageStep::FallBack => "page-loaded",
        PageStep::Fault => "page-faulted",
        PageStep::HearFault => "fault-heard",
        PageStep::Wake => "threads-woken",
        PageStep::ClearLog => "mark-cleared",
        PageStep::Copy => "page-copied",
        PageStep::SendFrozen | PageStep::SendWorkingSet | PageStep::SendInVain => "page-transferred",
        PageStep::Serve => "page-served",
        PageStep::Push => "page-pushed",
        PageStep::Pull => "page-pulled",
        PageStep::DeliverRequest | PageStep::DuplicateRequest => "request-accepted",
        PageStep::DeliverPage | PageStep::DuplicatePage => "page-installed",
        PageStep::DeliverOlder | PageStep::DeliverEcho | PageStep::DeliverStray => "message-ignored",
        PageStep::ServeFromStore => "fetch-served",
        PageStep::WriteBack => "page-written-back",
        PageStep::Store | PageStep::DuplicateStore | PageStep::StoreEcho => "write-back-stored",
        PageStep::DeliverAcknowledgement => "write-back-acknowledged",
        PageStep::ResendRequest => "fetch-repeated",
        PageStep::ResendWriteBack => "write-back-repeated",
        PageStep::FaultAgain
        | PageStep::Discard
        | PageStep::Unmap
        | PageStep::Map
        | PageStep::Exempt
        | PageStep::LoseRequest
        | PageStep::LosePage
        | PageStep::ResendPage
        | PageStep::LoseWriteBack
        | PageStep::WriteUnlogged
        | PageStep::PerishWithout
        | PageStep::DeclareLost => return None,
    })
}

/// Lines that show how it came to this: the last ones about each page, and the last ones of the migration.
#[derive(Debug, Default)]
pub(super) struct Recent {
    of_page: FxHashMap<PageNumber, [usize; RECENT_MAX]>,
    of_migration: [usize; RECENT_MAX],
}

/// Lines that are remembered about a page, and about the migration.
const RECENT_MAX: usize = 2;

impl Recent {
    pub(super) fn note(&mut self, line: usize, step: &Step) {
        let kept = match page_of(&step.event) {
            Some(page) => self.of_page.entry(page).or_default(),
            None => &mut self.of_migration,
        };
        kept.rotate_left(1);
        kept[RECENT_MAX - 1] = line;
    }

    /// Their numbers, in the order of the log.
    pub(super) fn before(&self, step: &Step) -> Vec<usize> {
        let of_page = page_of(&step.event).and_then(|page| self.of_page.get(&page));
        let all = of_page.into_iter().flatten().chain(&self.of_migration);
        let mut all: Vec<_> = all.copied().filter(|line| *line > 0).collect();
        all.sort_unstable();
        all
    }
}
