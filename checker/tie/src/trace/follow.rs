//! The model runs along.

use model::{Move, PageStep};
use steplog::event::{Event, Step};
use steplog::fate::Fate;
use steplog::header::Header;

use super::disrupted::Trouble;
use super::places::Places;
use super::population::Population;
use super::repeats::{Repeated, repeats};
use super::{Objection, Rejection, TraceError};
use crate::explain::{Explanation, explanations};
use crate::rig::Happening;
use crate::uncounted::Uncounted;

/// Most states that the model may be in at once. What makes it more than one are duplicates, and what nobody sees
/// when it goes wrong.
pub(super) const STATES_MAX: usize = 4096;

/// States that are listed where a trace is rejected.
const LISTED_STATES_MAX: usize = 2;

/// Runs the model along a trace to its end. Returns a run of the model that explains it.
pub(super) fn follow(model: &Uncounted, header: &Header, steps: &[Step]) -> Result<Explanation, TraceError> {
    let mut follower = Follower {
        model,
        trouble: header.disrupted.then(|| Trouble::of(steps)),
        places: Places::default(),
        reached: vec![Reached { state: Population::loaded(model, header), by: None }],
        taken: Vec::new(),
    };
    for ((index, step), repeated) in steps.iter().enumerate().zip(repeats(steps)) {
        follower.take(index, step, repeated)?;
    }
    Ok(follower.run())
}

struct Follower<'m> {
    model: &'m Uncounted,
    /// What goes wrong, where anything does.
    trouble: Option<Trouble>,
    places: Places,
    /// Where the model can be.
    reached: Vec<Reached>,
    /// How it got there: steps, and what came before them.
    taken: Vec<(Explanation, Option<usize>)>,
}

/// A state, and the last of what was taken to get there, if anything was.
struct Reached {
    state: Population,
    by: Option<usize>,
}

impl Follower<'_> {
    fn take(&mut self, index: usize, step: &Step, repeated: Repeated) -> Result<(), TraceError> {
        let line = index + 2;
        let before = std::mem::take(&mut self.reached);
        for Reached { state, by } in &before {
            for (explanation, state) in self.successors(index, step, repeated, state) {
                self.reach(state, explanation, *by);
            }
        }
        let objection = match self.places.note(step) {
            Err(instead) => Some(Objection::Misplaced(instead)),
            Ok(()) => self.reached.is_empty().then_some(Objection::Unexplained),
        };
        if let Some(objection) = objection {
            let tell = |Reached { state, .. }: &Reached| (state.to_string(), state.enabled(self.model));
            let possible = before.iter().take(LISTED_STATES_MAX).map(tell).collect();
            let more = before.len().saturating_sub(LISTED_STATES_MAX);
            let rejection = Rejection { line, step: step.clone(), objection, possible, more };
            return Err(TraceError::Rejected(Box::new(rejection)));
        }
        if self.reached.len() > STATES_MAX {
            return Err(TraceError::Ambiguous { line });
        }
        if let Some(trouble) = &mut self.trouble {
            trouble.note(step);
        }
        Ok(())
    }

    fn reach(&mut self, state: Population, explanation: Explanation, by: Option<usize>) {
        if self.reached.iter().any(|other| other.state == state) {
            return;
        }
        let by = match explanation.is_empty() {
            true => by,
            false => {
                self.taken.push((explanation, by));
                Some(self.taken.len() - 1)
            }
        };
        self.reached.push(Reached { state, by });
    }

    /// The states that the step can have led to from this one.
    fn successors(
        &self,
        index: usize,
        step: &Step,
        repeated: Repeated,
        state: &Population,
    ) -> Vec<(Explanation, Population)> {
        if state.control.phase.is_over() && is_of_process(&step.event) {
            return vec![];
        }
        let migration = self.model.migration();
        let Some(trouble) = &self.trouble else {
            let Step { place, epoch, ref event, .. } = *step;
            let what = Happening::Step { place, epoch, event: event.clone() };
            let found = explanations(migration, &state.control, state.pages.len(), &what);
            return plausible(&step.event, repeated, self.possible(state, found));
        };
        if trouble.ends_at_rest(migration, state, &self.places, step) {
            return vec![(vec![], state.lost())];
        }
        let unseen = trouble.unseen(index).into_iter().filter_map(|unseen| {
            let state = state.follow(self.model, &unseen).filter(|state| trouble.can_take(state, step))?;
            let found = trouble.explanations(migration, &state, &self.places, step);
            let possible = self.possible(&state, found);
            let told = possible.into_iter().filter(|(found, reached)| {
                is_told(&step.event, reached) && trouble.is_of_this_content(step, repeated, is_older(found))
            });
            let told = told.map(|(found, mut reached)| {
                reached.note_connection(step);
                (found, reached)
            });
            let told = plausible_in_trouble(plausible_duplicates(repeated, told.collect()));
            Some(told.into_iter().map(move |(then, reached)| ([&unseen[..], &then].concat(), reached)))
        });
        unseen.flatten().collect()
    }

    fn possible(&self, state: &Population, found: Vec<Explanation>) -> Vec<(Explanation, Population)> {
        let reached = found.into_iter().map(|steps| (state.follow(self.model, &steps), steps));
        reached.filter_map(|(state, steps)| Some((steps, state?))).collect()
    }

    /// One of the runs that led to where the model is now.
    fn run(&self) -> Explanation {
        let mut by = self.reached.first().and_then(|reached| reached.by);
        let mut parts = Vec::new();
        while let Some((steps, before)) = by.and_then(|by| self.taken.get(by)) {
            parts.push(steps);
            by = *before;
        }
        parts.into_iter().rev().flatten().copied().collect()
    }
}

/// Is it a step of a process that is there, or of a host that has it?
fn is_of_process(event: &Event) -> bool {
    matches!(
        event,
        Event::PageRead { .. }
            | Event::PageWritten { .. }
            | Event::PageFaulted { .. }
            | Event::PageLoaded { .. }
            | Event::MigrationStarted { .. }
            | Event::ProcessSuspended { .. }
    )
}

/// A host that gives the process up for lost is right.
fn is_told(event: &Event, reached: &Population) -> bool {
    let given_up = matches!(event, Event::PeerFenced { fate: Some(Fate::Lost(_)), .. });
    !given_up || reached.control.phase.is_over()
}

/// Leaves out explanations that can be spared without losing a run: what is ignored is the duplicate that the model
/// waits for, if it does. Which content of a page an ignored message carried stays open.
fn plausible(
    event: &Event,
    repeated: Repeated,
    possible: Vec<(Explanation, Population)>,
) -> Vec<(Explanation, Population)> {
    let (older, mut rest): (Vec<_>, Vec<_>) =
        plausible_duplicates(repeated, possible).into_iter().partition(|(found, _)| is_older(found));
    if matches!(event, Event::MessageIgnored { .. }) {
        rest.truncate(1);
    }
    older.into_iter().chain(rest).collect()
}

/// What a link keeps is kept if, and only if, the same message is handled once more later.
fn plausible_duplicates(
    repeated: Repeated,
    possible: Vec<(Explanation, Population)>,
) -> Vec<(Explanation, Population)> {
    use PageStep::{DuplicatePage, DuplicateRequest, DuplicateStore};
    let is_kept = |found: &Explanation| {
        matches!(found[..], [Move::Page(DuplicatePage | DuplicateRequest | DuplicateStore, _)])
    };
    let mut possible = possible;
    possible.retain(|(found, _)| repeated.later || !is_kept(found));
    if possible.iter().any(|(found, _)| is_kept(found)) {
        possible.retain(|(found, _)| is_kept(found) || is_older(found));
    }
    possible
}

/// What a step of a page explains is that step.
fn plausible_in_trouble(mut possible: Vec<(Explanation, Population)>) -> Vec<(Explanation, Population)> {
    let is_of_page =
        |found: &Explanation| !found.is_empty() && found.iter().all(|step| matches!(step, Move::Page(..)));
    if possible.iter().any(|(found, _)| is_of_page(found)) {
        possible.retain(|(found, _)| !found.is_empty());
    }
    possible
}

fn is_older(found: &Explanation) -> bool {
    matches!(found[..], [Move::Page(PageStep::DeliverOlder, _)])
}
