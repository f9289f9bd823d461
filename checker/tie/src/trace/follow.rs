//! The model runs along.

use model::disruption::Connection;
use model::page::{Holding, Plan, Transit};
use model::paging::{Channels, Waking};
use model::strategy::{Fallback, Real, Start};
use model::system::System;
use model::{Control, ControlStep, Move, Page, PageStep, Phase};
use rustc_hash::FxHashSet;
use steplog::event::{Event, Step};
use steplog::fate::Fate;
use steplog::header::{Header, LinkOrder, Unseen};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::Place;

use super::differ::Recent;
use super::disrupted::Trouble;
use super::lines::{page_lists, pages_named};
use super::messages::{Handling, Ledger, Rules};
use super::objection::Objection;
use super::population::{Effect, Passage, Population, Stutters};
use super::roster::Roster;
use super::run::{Paths, Trodden};
use super::{Rejection, TraceError, page_of};
use crate::explain::{Explanation, explanations, is_over};
use crate::rig::Happening;
use crate::uncounted::Uncounted;

/// Most states that the model may be in at once, all that is possible for single pages counting as one. What makes it
/// more than one is what nobody sees when it goes wrong.
pub(super) const STATES_MAX: usize = 4096;

/// What a line that cannot be followed comes to.
enum Stop {
    Objection(Objection),
    Ambiguous,
}

/// The model, along a log.
pub(super) struct Follower<'m> {
    pub model: &'m Uncounted,
    header: &'m Header,
    /// What goes wrong, where anything does.
    trouble: Option<Trouble>,
    pub roster: Roster,
    pub ledger: Ledger,
    /// Where the model can be.
    pub reached: Vec<Reached>,
    recent: Recent,
    /// How it got there, where that is asked for.
    paths: Option<Paths>,
}

/// Where the model can be, and the last of what was taken to get there, if anything was.
pub(super) struct Reached {
    pub state: Population,
    by: Option<usize>,
}

/// What a line can lead to from a state.
struct Successor {
    trodden: Vec<Trodden>,
    /// Where the control steps lead, if there are any.
    state: Option<Population>,
    /// What happens to the page of the line there.
    effect: Option<Effect>,
}

impl<'m> Follower<'m> {
    pub(super) fn new(model: &'m Uncounted, header: &'m Header, trouble: Option<Trouble>) -> Self {
        let state = Population::loaded(model, header);
        let Real { hand_over, start, fallback, .. } = model.migration().strategy.real;
        let announces = start == Start::Announced;
        let falls_back = fallback == Fallback::Store;
        let answers_apart = model.migration().strategy.paging.channels == Channels::DemandApart;
        Self {
            model,
            header,
            trouble,
            roster: Roster { announces, falls_back, ..Roster::new(header, hand_over) },
            ledger: Ledger::new(Rules { falls_back, answers_apart, ..Rules::of(header, hand_over) }),
            reached: vec![Reached { state, by: None }],
            recent: Recent::default(),
            paths: None,
        }
    }

    /// The same, with an eye on the way.
    pub(super) fn keeping_paths(self) -> Self {
        Self { paths: Some(Paths::default()), ..self }
    }

    /// Follows one line; `index` counts steps from 0.
    pub(super) fn take(&mut self, index: usize, step: &Step) -> Result<(), TraceError> {
        let line = index + 2;
        self.take_step(index, step).map_err(|stop| match stop {
            Stop::Ambiguous => TraceError::Ambiguous { line },
            Stop::Objection(objection) => {
                let (instead, history) = (self.instead(step), self.recent.before(step));
                let step = step.clone();
                TraceError::Rejected(Box::new(Rejection { line, step, objection, instead, history }))
            }
        })?;
        self.recent.note(line, step);
        Ok(())
    }

    /// After an objection the states are those before the line.
    fn take_step(&mut self, index: usize, step: &Step) -> Result<(), Stop> {
        let named = pages_named(&step.event);
        if let Some(page) = named.iter().find(|page| page.0 >= self.header.pages) {
            return Err(Stop::Objection(Objection::NoSuchPage(*page)));
        }
        if let Some(page) = page_lists(&step.event).iter().find_map(|list| twice(list)) {
            return Err(Stop::Objection(Objection::Twice(page)));
        }
        let handling = self.ledger.take(step, &self.roster);
        let successors: Vec<Vec<Successor>> = match &handling {
            Ok(handling) => {
                let of_state = |reached: &Reached| self.successors(index, step, *handling, &reached.state);
                self.reached.iter().map(of_state).collect()
            }
            Err(_) => vec![],
        };
        self.roster.take(step).map_err(Stop::Objection)?;
        handling.map_err(Stop::Objection)?;
        if successors.iter().all(Vec::is_empty) {
            return Err(Stop::Objection(Objection::Unexplained(self.difference(step))));
        }
        self.advance(step, successors);
        if self.reached.len() > STATES_MAX {
            return Err(Stop::Ambiguous);
        }
        if let Some(trouble) = &mut self.trouble {
            trouble.note(step);
        }
        Ok(())
    }

    fn advance(&mut self, step: &Step, successors: Vec<Vec<Successor>>) {
        let many = successors.iter().map(Vec::len).sum::<usize>() > 1;
        let mut known = FxHashSet::default();
        let before = std::mem::take(&mut self.reached);
        for (Reached { state, by }, successors) in before.into_iter().zip(successors) {
            let (mut own, count) = (Some(state), successors.len());
            for (at, Successor { mut trodden, state, effect }) in successors.into_iter().enumerate() {
                let is_last = at + 1 == count;
                let from = state.or_else(|| if is_last { own.take() } else { own.clone() });
                let Some(mut state) = from else { continue };
                if let Some(effect) = effect {
                    state = state.after(self.model, &effect);
                    trodden.push(Trodden::Page(effect));
                }
                if self.trouble.is_some() {
                    state.note_connection(step);
                }
                if many && !known.insert(state.fingerprint()) {
                    continue;
                }
                let by = self.paths.as_mut().map_or(by, |paths| paths.add(trodden, by));
                self.reached.push(Reached { state, by });
            }
        }
    }

    /// What the step can have led to from this state.
    fn successors(
        &self,
        index: usize,
        step: &Step,
        handling: Handling,
        state: &Population,
    ) -> Vec<Successor> {
        if state.control.phase.is_over() && is_of_process(&step.event) {
            return vec![];
        }
        let unseen = match &self.trouble {
            Some(trouble) => trouble.unseen(index),
            None => vec![vec![]],
        };
        let mut all = Vec::new();
        for unseen in unseen {
            let Some(struck) = self.led(state, &unseen, step) else { continue };
            let state = struck.as_ref().unwrap_or(state);
            if self.trouble.as_ref().is_some_and(|trouble| !trouble.can_take(state, step)) {
                continue;
            }
            for mut next in self.of_line(step, handling, state) {
                next.trodden.splice(..0, unseen.iter().map(|step| Trodden::Control(*step)));
                next.state = next.state.or_else(|| struck.clone());
                all.push(next);
            }
        }
        all
    }

    /// The same, when nothing goes wrong unseen.
    fn of_line(&self, step: &Step, handling: Handling, state: &Population) -> Vec<Successor> {
        if let Some(trouble) = &self.trouble
            && trouble.ends_at_rest(self.model.migration(), state, &self.roster, step)
        {
            return vec![Successor { trodden: vec![], state: Some(state.lost()), effect: None }];
        }
        let mut all = Vec::new();
        for Group { lead, steps, stays } in grouped(self.found(step, handling, state)) {
            let Some(mut led) = self.led(state, &lead, step) else { continue };
            if let Event::ResyncAccepted { requested, .. } = &step.event
                && lead.is_empty()
                && self.may_wait_for_several()
            {
                led = Some(requests(state.clone(), requested));
            }
            let at = led.as_ref().unwrap_or(state);
            // What the model has heard already is true all the same: but of a process that has ended, and without order, where
            // what was asked for later may have been served before.
            if let Event::ResyncAccepted { owed_again, requested, .. } = &step.event
                && !is_over(state.control.phase)
                && lead.is_empty()
                && !handling.again
            {
                let waits_for_it = at.control.aftermath.connection != Connection::Up;
                let is_so = || resyncs(at.clone(), owed_again, requested, true).is_some();
                if waits_for_it || (self.keeps_order() && !is_so()) {
                    continue;
                }
            }
            let effects = match page_of(&step.event) {
                Some(page) => {
                    let steps: Vec<_> = steps.iter().map(|(_, step)| *step).collect();
                    self.of_page(step, handling, at, page, (steps, stays))
                }
                None => {
                    let of_one = |(page, step): &(usize, PageStep)| {
                        at.effects(self.model, *page, (&[*step], Stutters::Never), |_| true)
                    };
                    let plain = (stays && is_such_control(&step.event, &lead, at)).then_some(None);
                    plain.into_iter().chain(steps.iter().flat_map(of_one).map(Some)).collect()
                }
            };
            for effect in effects {
                let control = effect.as_ref().map_or(at.control, |effect| effect.control);
                if is_told(&step.event, state.control.phase, &control, self.roster.falls_back) {
                    let trodden = lead.iter().map(|step| Trodden::Control(*step)).collect();
                    all.push(Successor { trodden, state: led.clone(), effect });
                }
            }
        }
        all
    }

    /// What may explain the line.
    fn found(&self, step: &Step, handling: Handling, state: &Population) -> Vec<Explanation> {
        let migration = self.model.migration();
        let mut found = match &self.trouble {
            Some(trouble) => {
                let found = trouble.explanations(migration, state, &self.roster, step);
                let is_told =
                    |found: &Explanation| trouble.is_of_this_content(step, handling, is_older(found));
                found.into_iter().filter(is_told).collect()
            }
            None => {
                let Step { place, epoch, ref event, .. } = *step;
                let what = Happening::Step { place, epoch, event: event.clone() };
                explanations(migration, &state.control, &[], &what)
            }
        };
        let unseen = |what| self.header.unseen.contains(&what);
        if unseen(Unseen::Readiness) && matches!(step.event, Event::ProcessHandedOver { .. }) {
            use ControlStep::{Commit, SendReady};
            found.push(vec![Move::Control(SendReady), Move::Control(Commit)]);
        }
        if unseen(Unseen::Departure) && matches!(step.event, Event::ImageDestroyed { .. }) {
            use ControlStep::{Destroy, SendComplete};
            found.push(vec![Move::Control(SendComplete), Move::Control(Destroy)]);
        }
        found
    }

    /// Is whatever a host says heard in the order in which it was said?
    fn keeps_order(&self) -> bool {
        self.header.link == LinkOrder::Fifo && !self.ledger.answers_apart()
    }

    /// Can the process wait for several pages, and what it waits for be heard in any order?
    fn may_wait_for_several(&self) -> bool {
        let apart = self.model.migration().strategy.paging.wake == Waking::Apart;
        apart && self.trouble.is_some() && !self.keeps_order()
    }

    /// Where control steps lead: nowhere, or to the state itself where there are none.
    #[expect(clippy::option_option, reason = "the state itself is not copied")]
    fn led(&self, state: &Population, steps: &[ControlStep], line: &Step) -> Option<Option<Population>> {
        let keeps_order = self.keeps_order();
        let mut led: Option<Population> = None;
        for step in steps {
            let from = led.as_ref().unwrap_or(state);
            let told = match (step, &line.event) {
                (ControlStep::DeliverState, Event::StateAccepted { discarded, .. }) => {
                    let Place::Host(host) = line.place else { return None };
                    let member = self.roster.members.get(&host);
                    let was_here = member.is_some_and(|member| member.left.is_some());
                    Some(discards(from.clone(), discarded, was_here)?)
                }
                (ControlStep::DeliverResync, Event::ResyncAccepted { owed_again, requested, .. }) => {
                    let told = resyncs(from.clone(), owed_again, requested, keeps_order)?;
                    Some(told.all_only(|page| !is_lacking(page) && !is_waited_for(page))?)
                }
                _ => None,
            };
            let after = told.as_ref().unwrap_or(from).after_control(self.model, *step)?;
            // A request that comes before the resync says nothing of other pages that are waited for.
            let overtakes = *step == ControlStep::DeliverResync
                && matches!(line.event, Event::RequestAccepted { .. })
                && self.may_wait_for_several();
            let unasked = |page: &Page| page.asked.then_some(Page { asked: false, ..*page });
            led = Some(if overtakes { after.maybe_changed(unasked) } else { after });
        }
        Some(led)
    }

    /// What the line can do to its page.
    fn of_page(
        &self,
        line: &Step,
        handling: Handling,
        state: &Population,
        page: PageNumber,
        (mut steps, stays): (Vec<PageStep>, bool),
    ) -> Vec<Option<Effect>> {
        let waited_for = matches!(line.event, Event::PageFaulted { .. });
        let stutters = match &line.event {
            Event::MessageIgnored { .. } if handling.again && stays => Stutters::Always,
            Event::MessageIgnored { kind: MessageKind::Page, from, .. }
                if stays && !self.roster.expects_pages(line.place, line.epoch, *from) =>
            {
                Stutters::Always
            }
            // Another thread may have touched the page meanwhile.
            Event::FaultHeard { .. } => Stutters::Always,
            _ if stays || waited_for => Stutters::IfStuck,
            _ => Stutters::Never,
        };
        // What is not to be ignored keeps the line from being one that changes nothing.
        if let Event::MessageIgnored { kind: MessageKind::Page | MessageKind::Fetched, .. } = line.event
            && !handling.again
            && self.trouble.is_none()
        {
            let kind_is_page = matches!(line.event, Event::MessageIgnored { kind: MessageKind::Page, .. });
            if !kind_is_page || handling.newest {
                steps.push(PageStep::DeliverPage);
            }
        }
        let is_such = |passage: &Passage| self.is_such(line, state, passage);
        let effects = state.effects(self.model, page.index(), (&steps, stutters), is_such);
        effects.into_iter().map(Some).collect()
    }

    /// Is it this that the line says of its page?
    fn is_such(&self, line: &Step, state: &Population, (before, step, after): &Passage) -> bool {
        let (control, migration) = (&state.control, self.model.migration());
        let (before, after) = (&before.page, &after.page);
        let over = control.phase.is_over();
        let from_store = || migration.comes_from_store(control, before);
        let orphaned = || self.roster.process.orphaned_by.is_some() && before.plan == Plan::FromSource;
        match line.event {
            Event::PageRead { .. } => control.runs() && is_held_at_process(control.phase, before),
            Event::PageFaulted { asked, .. } => match (step, asked) {
                (None, _) => before.waiting && control.runs(),
                (Some(_), Place::FileServer) => {
                    from_store() || orphaned() && migration.is_on_file_server(before)
                }
                (Some(_), Place::Host(asked)) => {
                    let last = self.roster.process.formers.last().is_some_and(|(host, _)| *host == asked);
                    !from_store() && last == (before.plan == Plan::FromSource)
                }
            },
            Event::FaultHeard { woken, .. } => {
                let there = is_held_at_process(control.phase, before);
                before.aside.late && woken == (there && !before.waiting)
            }
            Event::PageLoaded { .. } => {
                *step != Some(PageStep::FallBack) || orphaned() && !migration.is_on_file_server(before)
            }
            Event::PageFellBack { version, .. } => version.is_some() == migration.is_on_file_server(before),
            Event::PageLost { .. } => migration.is_on_file_server(before),
            Event::PageInstalled { .. } => match step {
                Some(PageStep::DeliverOlder) => self.installs_older(state, before),
                Some(PageStep::DeliverPage | PageStep::DuplicatePage) => !from_store(),
                _ => true,
            },
            Event::PageFetched { .. } => step.is_none() || from_store(),
            Event::PageTransferred { page, .. } if *step == Some(PageStep::SendWorkingSet) => {
                self.roster.process.pointed_at.contains(&Some(page))
            }
            Event::RequestAccepted { .. } => over || step.is_none() || (after.asked && !before.asked),
            Event::MessageIgnored { kind: MessageKind::Page, .. } => match step {
                Some(PageStep::DeliverPage) => false,
                _ => over || before.destination == after.destination,
            },
            Event::MessageIgnored { kind: MessageKind::Fetched, .. } => *step != Some(PageStep::DeliverPage),
            Event::MessageIgnored { kind: MessageKind::Request, .. } => before.asked == after.asked,
            _ => true,
        }
    }

    /// Does an older content that arrives count? It does until a newer one is there, or the state has said that it is
    /// outdated.
    fn installs_older(&self, state: &Population, page: &Page) -> bool {
        let lacking = Page { destination: Holding::Absent, ..*page };
        let taken = self.model.page_move(PageStep::DeliverOlder, &state.control, &lacking);
        taken.is_some_and(|taken| taken.page.destination.is_held())
    }

    /// One of the runs that led to where the model is now, if an eye was kept on the way.
    pub(super) fn run(&self) -> Explanation {
        let by = self.reached.first().and_then(|reached| reached.by);
        self.paths.as_ref().map_or_else(Vec::new, |paths| paths.run(self.model, self.header, by))
    }
}

/// Explanations that begin with the same control steps.
struct Group {
    lead: Vec<ControlStep>,
    steps: Vec<(usize, PageStep)>,
    /// Can that be all?
    stays: bool,
}

fn grouped(found: Vec<Explanation>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for explanation in found {
        let control = |step: &Move<ControlStep, PageStep>| match step {
            Move::Control(step) => Some(*step),
            Move::Page(..) => None,
        };
        let lead: Vec<_> = explanation.iter().map_while(control).collect();
        let at = groups.iter().position(|group| group.lead == lead);
        let at = at.unwrap_or_else(|| {
            groups.push(Group { lead, steps: vec![], stays: false });
            groups.len() - 1
        });
        match explanation.last() {
            Some(Move::Page(step, page)) => groups[at].steps.push((*page, *step)),
            _ => groups[at].stays = true,
        }
    }
    groups
}

/// What the state says of pages that are there: those that are outdated are given up, and none that count. A host that
/// the process was on before may still have what it has served.
fn discards(mut state: Population, discarded: &[PageNumber], was_here: bool) -> Option<Population> {
    let is_outdated =
        |page: &Page| matches!(page.plan, Plan::FromSource | Plan::FromStore) && page.destination.is_held();
    let given_up = |page: &Page| {
        // An older content of a page that travels may be kept until the newest arrives.
        let on_its_way = page.plan == Plan::Travelled && !page.content.is_idle();
        let may_go = match page.destination.is_held() {
            true => is_outdated(page) || on_its_way,
            false => was_here,
        };
        may_go.then_some(Page { destination: Holding::Absent, ..*page })
    };
    for page in discarded {
        state = state.changed(page.index(), given_up)?;
    }
    state.all_only(|page| !is_outdated(page))
}

/// What the resync says of pages: those that are owed again were sent and are not there, those that are requested are
/// waited for. Without order the model may have heard an earlier one, which was lost after what was said later had come.
fn resyncs(
    mut state: Population,
    owed_again: &[PageNumber],
    requested: &[PageNumber],
    keeps_order: bool,
) -> Option<Population> {
    let is_owed = |page: &Page| is_lacking(page) || !keeps_order && page.plan == Plan::FromSource;
    let owed = |page: &Page| is_owed(page).then_some(Page { sent: false, ..*page });
    for page in owed_again {
        state = state.changed(page.index(), owed)?;
    }
    let waits = |page: &Page| page.plan == Plan::FromSource && page.waiting;
    for page in requested {
        state = state.changed(page.index(), |page| waits(page).then_some(Page { asked: true, ..*page }))?;
    }
    Some(state)
}

/// What the resync says when a request has overtaken it, to which the model had heard it: those are requested that are
/// waited for still.
fn requests(state: Population, requested: &[PageNumber]) -> Population {
    let asked = |page: &Page| {
        let waits = page.plan == Plan::FromSource && page.waiting;
        Some(Page { asked: page.asked || waits, ..*page })
    };
    requested.iter().fold(state, |state, page| {
        let next = state.clone().changed(page.index(), asked);
        next.unwrap_or(state)
    })
}

/// Does the source take it for sent, and it has not come?
fn is_lacking(page: &Page) -> bool {
    page.plan == Plan::FromSource && page.sent
}

/// Does the process wait for it, with no request of it on its way or heard?
fn is_waited_for(page: &Page) -> bool {
    page.plan == Plan::FromSource && page.waiting && !page.asked && page.request != Transit::Flying(())
}

/// A page that the list has more than once.
fn twice(list: &[PageNumber]) -> Option<PageNumber> {
    let mut seen = FxHashSet::default();
    list.iter().find(|page| !seen.insert(**page)).copied()
}

/// Is it this that the line says, when it is about no page?
fn is_such_control(event: &Event, lead: &[ControlStep], state: &Population) -> bool {
    match event {
        // A pass that the model has begins where it begins one.
        Event::PassBegun { .. } => !lead.is_empty() || !matches!(state.control.phase, Phase::PreCopy { .. }),
        _ => true,
    }
}

pub(super) fn is_held_at_process(phase: Phase, page: &Page) -> bool {
    if phase.at_source() { page.source.is_held() } else { page.destination.is_held() }
}

/// Is it a step of a process that is there, or of a host that has it?
fn is_of_process(event: &Event) -> bool {
    matches!(
        event,
        Event::PageRead { .. }
            | Event::PageWritten { .. }
            | Event::PageFaulted { .. }
            | Event::PageLoaded { .. }
            | Event::PagePulled { .. }
            | Event::FaultHeard { .. }
            | Event::ThreadsWoken { .. }
            | Event::MigrationAnnounced { .. }
            | Event::MigrationStarted { .. }
            | Event::ProcessSuspended { .. }
    )
}

/// A host that gives the process up for lost is right, and so is one that does not: it does without the dead machine, or falls back.
fn is_told(event: &Event, before: Phase, after: &Control, falls_back: bool) -> bool {
    let Event::PeerFenced { fate, .. } = event else { return true };
    match fate {
        Some(Fate::Lost(_)) => after.phase.is_over(),
        Some(Fate::Migrated | Fate::CarriedOn(_)) if !before.is_over() => {
            after.phase != Phase::Lost && (falls_back || !after.aftermath.awaits_fence())
        }
        _ => true,
    }
}

fn is_older(found: &Explanation) -> bool {
    matches!(found[..], [Move::Page(PageStep::DeliverOlder, _)])
}
