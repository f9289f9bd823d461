//! Book-keeping, page by page, and what is wrong with it: a judgement that needs no model.
//!
//! What a page's content is, where its last copy is, who asked for it and since when: enough to say, for each
//! property, whether the run kept it, with the page, the time and the place where it did not. What was not recorded is
//! not judged, and said so.

mod book;
mod contents;
mod costs;
mod verdicts;

use std::collections::HashMap;

use crate::fact::{Fact, FactOrigin, HostSide, ObservedFact, Received, SeenContent};
use crate::layout::BlockLayout;
use crate::merge::{MergedPage, Watched};
use crate::report::{ObservedFault, ObservedProperty, Report};
use book::Book;
use contents::Compared;
pub use contents::Dumps;
use costs::Costs;

/// What was, so far.
pub struct Account<'a> {
    layout: &'a BlockLayout,
    known: Knowledge,
    book: Book,
    costs: Costs,
    phase: Phase,
    last_role: SentRole,
    owed_again: Vec<u32>,
    /// Pages that were asked for at the source and have not been sent.
    requests: HashMap<u32, Request>,
    /// Pages that the process waits for.
    faults: HashMap<u32, Place>,
    fresh_fault: bool,
    findings: Vec<ObservedFault>,
    counts: Counts,
    compared: Compared,
    step: u64,
}

/// From when on something is called costly.
#[derive(Clone, Copy, Debug)]
pub struct CostLimits {
    /// A request that waits so long while nothing else is sent, in microseconds.
    pub wait_us_max: u64,
    /// A freeze, in microseconds.
    pub freeze_us_max: u64,
}

impl Default for CostLimits {
    /// 10 ms, many round trips of a network of machines, and QEMU's own limit of 300 ms.
    fn default() -> Self {
        Self { wait_us_max: 10_000, freeze_us_max: 300_000 }
    }
}

/// What can be known of a run from what was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge {
    /// Of which hosts something was recorded.
    pub watched: Watched,
    /// Can it be told when a request reached the source?
    pub requests: bool,
    /// Can passes be told apart?
    pub passes: bool,
    /// Are all pages that were sent in the recording?
    pub all_pages: bool,
    /// Can it be told which pages arrived?
    pub arrivals: bool,
    /// Can it be told when the destination put pages in place?
    pub placements: bool,
    /// May pages be sent while the process is suspended, also where others follow later?
    pub freezes: bool,
    /// Can it be told when the process runs, at the source and at the destination?
    pub runs: [bool; 2],
}

/// What a page was sent for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SentRole {
    /// In a pass of pre-copy.
    #[default]
    Copied,
    /// While the process was suspended.
    Transferred,
    /// Because it was asked for.
    Served,
    /// Unasked, after the hand-over.
    Pushed,
}

/// Where something was and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub origin: FactOrigin,
    pub at_us: Option<u64>,
    /// Number of the step in the log.
    pub step: u64,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    place: Place,
    /// Pages sent so far when it arrived.
    sent: u64,
    /// Pages that were not asked for, sent since.
    passed_over: u32,
    /// The first of them.
    first_passed: Option<u32>,
    taken: Option<Place>,
    /// The connection was lost meanwhile.
    cut: bool,
}

/// What has happened to the process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Phase {
    pub started: Option<Place>,
    pub expected: bool,
    pub suspended: Option<Place>,
    pub discards: bool,
    pub state_sent: Option<Place>,
    pub handed_over: Option<Place>,
    pub state_accepted: bool,
    pub resumed: Option<Place>,
    pub completion_declared: Option<Place>,
    pub completion_learned: bool,
    pub destroyed: Option<Place>,
    pub cancelled: Option<Place>,
    pub failed: bool,
    pub cuts: u32,
    pub paused: [bool; 2],
    pub resyncs: u32,
    /// Blocks of memory of which the destination has said since the cut what has arrived.
    pub blocks_heard: usize,
    /// The destination has said what has arrived, and what it said was not recorded: what is owed is a guess.
    pub answers_unseen: bool,
    /// The first page that was sent while the process was suspended.
    pub first_transferred: Option<(u32, Place)>,
    /// Passes before the suspension.
    pub passes: u32,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub sent: u64,
    pub bytes: u64,
    pub copied: u64,
    pub transferred: u64,
    pub after: u64,
    pub requests: u64,
    pub served: u64,
    pub void: u64,
    pub faults: u64,
    pub arrived: u64,
    pub installed: u64,
    /// Findings of each property that were not listed any more.
    pub unlisted: u64,
}

/// So many findings of one kind are listed; more are counted.
const FINDINGS_MAX: usize = 20;

impl<'a> Account<'a> {
    /// Nothing has happened.
    pub fn new(layout: &'a BlockLayout, known: Knowledge) -> Self {
        Self {
            layout,
            known,
            book: Book::new(layout.pages()),
            costs: Costs::default(),
            phase: Phase { passes: 1, ..Phase::default() },
            last_role: SentRole::default(),
            owed_again: Vec::new(),
            requests: HashMap::new(),
            faults: HashMap::new(),
            fresh_fault: false,
            findings: Vec::new(),
            counts: Counts::default(),
            compared: Compared::default(),
            step: 0,
        }
    }

    /// Takes in an observation. `step` is the number of the next step of the log.
    pub fn take(&mut self, merged: &MergedPage, step: u64) {
        let ObservedFact { side, at_us, origin, fact } = &merged.observed;
        self.step = step;
        let place = Place { origin: *origin, at_us: *at_us, step };
        match fact {
            Fact::Started => self.phase.started = Some(place),
            Fact::Expected => self.phase.expected = true,
            Fact::PassBegun => self.phase.passes += 1,
            Fact::Suspended => self.suspended(place),
            Fact::RunsAtSource => self.runs_at_source(place),
            Fact::Sent { page, content, bytes, .. } => self.sent(place, *page, *content, *bytes),
            Fact::DiscardSent(pages) => {
                self.phase.discards = true;
                pages.iter().for_each(|pages| self.book.outdate(*pages));
            }
            Fact::StateSent => self.phase.state_sent = Some(place),
            Fact::HandedOver => self.handed_over(place),
            Fact::RequestReceived(pages) => pages.iter().for_each(|page| self.requested(place, page)),
            Fact::RequestTaken(page) => {
                if let Some(request) = self.requests.get_mut(page) {
                    request.taken = Some(place);
                }
            }
            Fact::RequestVoid(page) => self.void(place, *page),
            Fact::ProgressLearned(received) => self.progress(received),
            Fact::ResyncCompleted => self.resynced(place),
            Fact::CompletionLearned => self.phase.completion_learned = true,
            Fact::Destroyed => self.destroyed(place),
            Fact::Cancelled => self.cancelled(place),
            Fact::Arrived { .. } => {
                self.counts.arrived += 1;
                if let Some(page) = merged.page {
                    self.book.arrive(page, merged.sequence);
                }
            }
            Fact::Installed(pages) => pages.iter().for_each(|page| self.installed(place, page)),
            Fact::DiscardReceived => {}
            Fact::Discarded(pages) => self.book.forget(*pages),
            Fact::StateAccepted => self.state_accepted(place),
            Fact::Resumed => self.resumed(place),
            Fact::Faulted(page) => self.faulted(place, *page),
            Fact::RequestSent | Fact::ProgressSent | Fact::ReadinessDeclared | Fact::ReadinessLearned => {}
            Fact::CompletionDeclared => self.completion_declared(place),
            Fact::Disconnected => {
                self.phase.paused[*side as usize] = true;
                if *side == HostSide::Source {
                    self.phase.cuts += 1;
                    // What waits now waits for the connection, not for the source.
                    self.requests.values_mut().for_each(|request| request.cut = true);
                }
            }
            Fact::Connected => self.phase.paused[*side as usize] = false,
            Fact::Failed => self.phase.failed = true,
        }
    }

    /// What a page that was just sent was sent for.
    pub fn last_role(&self) -> SentRole {
        self.last_role
    }

    /// Pages that are owed again as the last word of the destination says.
    pub fn owed_again(&self) -> &[u32] {
        &self.owed_again
    }

    /// Pages that were asked for and have not been sent, in order.
    pub fn requested_pages(&self) -> Vec<u32> {
        let mut pages: Vec<_> = self.requests.keys().copied().collect();
        pages.sort_unstable();
        pages
    }

    /// Has the source told the destination to run the process?
    pub fn is_handed_over(&self) -> bool {
        self.phase.handed_over.is_some()
    }

    /// Is the process stopped at the source?
    pub fn is_suspended(&self) -> bool {
        self.phase.suspended.is_some()
    }

    /// Must the page still be sent, as far as the source knows?
    pub fn is_owed(&self, page: u32) -> bool {
        self.book.is_owed(page)
    }

    /// Was the page sent while the process ran at the source?
    pub fn was_sent_before_suspension(&self, page: u32) -> bool {
        self.book.was_sent_before(page)
    }

    /// Does the process not wait for the page already?
    pub fn faults_for_the_first_time(&self, page: u32) -> bool {
        self.fresh_fault && self.faults.contains_key(&page)
    }

    /// Was the process handed over before all pages had been sent, as far as is known?
    pub fn is_post_copy(&self) -> bool {
        self.is_postcopy()
    }

    /// Did something go wrong: a lost connection, or a migration called off?
    pub fn is_disrupted(&self) -> bool {
        self.phase.cuts > 0 || self.phase.cancelled.is_some()
    }

    /// The judgement, at the end of everything that was recorded; `unseen` says what was not.
    pub fn finish(self, limits: CostLimits, unseen: Vec<String>) -> Report {
        verdicts::report(self, limits, unseen)
    }

    fn suspended(&mut self, place: Place) {
        if self.phase.suspended.is_none() {
            self.phase.suspended = Some(place);
            self.book.suspend();
        }
    }

    fn runs_at_source(&mut self, place: Place) {
        match self.phase.handed_over {
            Some(_) => self.find(
                ObservedProperty::S3,
                place,
                None,
                "the process runs at the source again after the destination was told to run it".to_owned(),
            ),
            None if self.phase.resumed.is_some() => {
                self.find(ObservedProperty::S3, place, None, "the process runs at both hosts".to_owned())
            }
            None => self.phase.suspended = None,
        }
    }

    fn sent(&mut self, place: Place, page: u32, content: SeenContent, bytes: u32) {
        self.counts.sent += 1;
        self.counts.bytes += u64::from(bytes);
        let request = self.requests.remove(&page);
        self.last_role = match (self.phase.suspended, self.phase.handed_over, request) {
            (None, ..) => SentRole::Copied,
            (Some(_), None, _) => SentRole::Transferred,
            (_, _, Some(_)) => SentRole::Served,
            (_, _, None) => SentRole::Pushed,
        };
        match self.last_role {
            SentRole::Copied => self.counts.copied += 1,
            SentRole::Transferred => {
                self.counts.transferred += 1;
                self.phase.first_transferred.get_or_insert((page, place));
            }
            SentRole::Served => {
                (self.counts.after, self.counts.served) = (self.counts.after + 1, self.counts.served + 1)
            }
            SentRole::Pushed => self.counts.after += 1,
        }
        if let Some(request) = request {
            self.answered(place, page, request);
        } else if self.last_role == SentRole::Pushed {
            for request in self.requests.values_mut().filter(|request| request.taken.is_none()) {
                request.passed_over += 1;
                request.first_passed.get_or_insert(page);
            }
        }
        let is_first_in_pass = self.book.is_first_in_pass(page, self.phase.passes);
        let again = match self.last_role {
            SentRole::Copied => self.known.passes && !is_first_in_pass,
            SentRole::Transferred => self.book.was_sent_since(page),
            SentRole::Served | SentRole::Pushed => {
                self.known.all_pages && !self.phase.answers_unseen && !self.book.is_owed(page)
            }
        };
        if again {
            self.sent_again(place, page);
        }
        let unchanged = self.book.send(page, content, place, self.phase.passes);
        if unchanged {
            self.costs.resent(page, bytes, place);
        }
    }

    fn sent_again(&mut self, place: Place, page: u32) {
        let before = self.book.last_sent(page);
        let before = before.map_or(String::new(), |origin| format!(", and before at {origin}"));
        let when = match self.last_role {
            SentRole::Copied => format!("twice in pass {}", self.phase.passes),
            SentRole::Transferred => "twice while the process was suspended".to_owned(),
            SentRole::Served | SentRole::Pushed => "although the source owed it no more".to_owned(),
        };
        self.find(ObservedProperty::S8, place, Some(page), format!("sent {when}{before}"));
    }

    fn answered(&mut self, place: Place, page: u32, request: Request) {
        // A page that was being sent when the request came is not to be blamed for it.
        if request.passed_over > 1 {
            let first = request
                .first_passed
                .map_or(String::new(), |page| format!(", the first {}", self.layout.name(page)));
            let text = format!(
                "asked for at {}, sent only after {} pages that nobody asked for{first}",
                request.place.origin, request.passed_over
            );
            self.find(ObservedProperty::S7, place, Some(page), text);
        }
        if request.cut {
            return;
        }
        let sent = request.taken.unwrap_or(place);
        let others = self.counts.sent - 1 - request.sent;
        self.costs.answered(page, request.place, sent, others);
    }

    fn handed_over(&mut self, place: Place) {
        if self.phase.suspended.is_none() {
            self.find(
                ObservedProperty::S3,
                place,
                None,
                "handed over while the process runs at the source".to_owned(),
            );
        }
        self.phase.handed_over = Some(place);
    }

    fn requested(&mut self, place: Place, page: u32) {
        self.counts.requests += 1;
        if !self.book.is_owed(page) && !self.phase.answers_unseen {
            self.counts.void += 1;
            return;
        }
        let request = Request {
            place,
            sent: self.counts.sent,
            passed_over: 0,
            first_passed: None,
            taken: None,
            cut: false,
        };
        self.requests.entry(page).or_insert(request);
    }

    /// The source says that it need not answer.
    fn void(&mut self, place: Place, page: u32) {
        if self.requests.remove(&page).is_some() {
            if self.book.is_owed(page) {
                let text = "a request for it is dropped although it was not sent".to_owned();
                self.find(ObservedProperty::L3, place, Some(page), text);
            } else {
                self.counts.void += 1;
            }
        }
    }

    fn state_accepted(&mut self, place: Place) {
        self.phase.state_accepted = true;
        if let Some((page, count)) = self.book.outdated().filter(|_| self.known.placements) {
            let text = format!(
                "{count} pages were written after they were copied, and are not forgotten when the state arrives; this is the first"
            );
            self.find(ObservedProperty::S2, place, Some(page), text);
        }
    }

    fn resynced(&mut self, place: Place) {
        self.phase.resyncs += 1;
        let heard = std::mem::take(&mut self.phase.blocks_heard);
        if heard < self.layout.blocks() {
            let text = format!(
                "the source goes on after the cut although it heard only of {heard} of {} blocks what has arrived",
                self.layout.blocks()
            );
            self.find(ObservedProperty::S1, place, None, text);
        }
    }

    fn progress(&mut self, received: &[Received]) {
        self.phase.blocks_heard += 1;
        self.phase.answers_unseen |= received.is_empty();
        self.owed_again.clear();
        for received in received {
            for page in received.pages.iter() {
                if self.book.settle(page, received.arrived) {
                    self.owed_again.push(page);
                }
            }
        }
    }

    fn destroyed(&mut self, place: Place) {
        self.phase.destroyed = Some(place);
        if self.phase.cancelled.is_some() || self.phase.handed_over.is_none() {
            let text = "the source has let go of the process without having handed it over".to_owned();
            return self.find(ObservedProperty::S5, place, None, text);
        }
        if let Some((page, count)) = self.book.owed().filter(|_| self.known.all_pages) {
            let text =
                format!("the source has let go of {count} pages that it had not sent; this is the first");
            self.find(ObservedProperty::S5, place, Some(page), text);
        }
    }

    fn cancelled(&mut self, place: Place) {
        self.phase.cancelled = Some(place);
        if self.phase.handed_over.is_some() && self.phase.resumed.is_some() {
            self.find(
                ObservedProperty::S3,
                place,
                None,
                "called off although the process runs at the destination".to_owned(),
            );
        }
    }

    fn installed(&mut self, place: Place, page: u32) {
        self.counts.installed += 1;
        if self.faults.remove(&page).is_some() {
            self.fresh_fault = false;
        }
        let runs = self.phase.resumed.is_some();
        if runs && self.book.is_installed(page) && self.phase.cuts == 0 {
            let text =
                "put in place a second time, over what the running process may have written".to_owned();
            self.find(ObservedProperty::S2, place, Some(page), text);
        }
        if !self.book.install(page) && self.known.arrivals && self.known.watched.records {
            self.find(
                ObservedProperty::S1,
                place,
                Some(page),
                "put in place without having arrived".to_owned(),
            );
        }
    }

    fn resumed(&mut self, place: Place) {
        if self.phase.suspended.is_none() && self.known.watched.source {
            self.find(ObservedProperty::S3, place, None, "the process runs at both hosts".to_owned());
        }
        if !self.phase.state_accepted {
            self.find(
                ObservedProperty::S9,
                place,
                None,
                "the process runs before its state has arrived".to_owned(),
            );
        }
        self.phase.resumed = Some(place);
    }

    fn faulted(&mut self, place: Place, page: u32) {
        self.fresh_fault = !self.faults.contains_key(&page) && !self.book.is_installed(page);
        if self.fresh_fault {
            self.counts.faults += 1;
            self.faults.insert(page, place);
        }
    }

    fn completion_declared(&mut self, place: Place) {
        self.phase.completion_declared = Some(place);
        let all_seen = self.known.arrivals && self.known.placements && self.known.watched.records;
        if let Some((page, count)) = self.book.missing().filter(|_| all_seen) {
            let text = format!(
                "{count} pages are not in place when the destination says that nothing is missing; this is the first"
            );
            self.find(ObservedProperty::S5, place, Some(page), text);
        }
    }

    fn find(&mut self, property: ObservedProperty, place: Place, page: Option<u32>, text: String) {
        let listed = self.findings.iter().filter(|finding| finding.property == property).count();
        if listed >= FINDINGS_MAX {
            self.counts.unlisted += 1;
            return;
        }
        let page = page.map(|page| self.layout.name(page).to_string());
        self.findings.push(ObservedFault {
            property,
            page,
            at: place.origin.to_string(),
            at_us: place.at_us,
            step: place.step,
            text,
        });
    }
}
