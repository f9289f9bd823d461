//! The exploration itself, level by level.

use std::num::NonZeroUsize;

use population::concrete::Concrete;
use population::system::{Judged, Properties, PropertyName};

use super::checkpoint::{CheckpointError, Checkpointer, When};
use super::layout::{Layout, Pages, Word};
use super::limits::{LimitReason, Limits};
use super::progress::Reporter;
use super::store::Store;
use super::successors::Expander;
use super::tally::Tally;
use super::worker::{self, Level, Source, Worker};
use super::{Exploration, ExploreError, ExploreOptions, ExploreOutcome, trace};
use crate::tabled::{ControlId, Missing, PageId, Tabled};

/// Everything about an exploration but the set of states.
pub(super) struct Search<'a, 's, S: Judged> {
    tabled: Tabled<'s, S>,
    pages: usize,
    symmetry: bool,
    threads: NonZeroUsize,
    stop_at: Properties<S>,
    limits: Limits<'a>,
    progress: Option<Reporter<'a>>,
    checkpoint: Option<Checkpointer>,
    /// Why there are no checkpoints any more.
    unsaved: Option<CheckpointError>,
    /// Of all levels that have been expanded to their end.
    total: Tally<S::Property>,
    /// How many levels have been expanded to their end; one more has been closed.
    expanded: usize,
    /// The time that a resumed exploration took before, in seconds.
    seconds_before: f64,
}

/// How [`Search::run`] ended.
pub(super) enum End<W, R: PropertyName> {
    /// For one of the reasons that a caller may see.
    Outcome(Ended<W, R>),
    /// The states do not fit into the word any more; they go on in a wider one.
    Outgrown(Store<W>),
}

/// An exploration at its end.
pub(super) struct Ended<W, R: PropertyName> {
    outcome: ExploreOutcome,
    /// What to report.
    tally: Tally<R>,
    store: Store<W>,
}

/// How the expansion of a level ended.
enum LevelEnd {
    /// All states have been expanded.
    Closed,
    /// All states have been expanded, but there was no room for all successors.
    Full(LimitReason),
    /// Some states have not been expanded.
    Halted(LimitReason),
    /// New records have numbers that do not fit into the layout.
    Outgrown,
}

impl<'a, 's, S: Judged> Search<'a, 's, S> {
    /// A new exploration, or the one to resume.
    pub(super) fn new(
        system: &'s S,
        pages: usize,
        options: ExploreOptions<'a, S::Property>,
    ) -> Result<Self, ExploreError> {
        let ExploreOptions { symmetry, threads, stop_at, .. } = options;
        let mut search = Search {
            tabled: Tabled::new(system),
            pages,
            symmetry,
            threads,
            stop_at,
            limits: Limits::new(&options),
            progress: None,
            checkpoint: None,
            unsaved: None,
            total: Tally::new(system.control_steps().len(), system.page_steps().len()),
            expanded: 0,
            seconds_before: 0.0,
        };
        match &options.checkpoint {
            Some(checkpoint) if checkpoint.resume && Checkpointer::exists(checkpoint) => {
                let (checkpointer, resumed) = Checkpointer::resume(checkpoint, system, pages, symmetry)?;
                search.checkpoint = Some(checkpointer);
                search.tabled = resumed.tabled;
                search.total = resumed.total;
                search.expanded = resumed.expanded;
                search.seconds_before = resumed.seconds;
            }
            Some(checkpoint) => {
                search.checkpoint = Some(Checkpointer::create(checkpoint, pages, symmetry)?);
                search.tabled.initial()?;
            }
            None => {
                search.tabled.initial()?;
            }
        }
        search.progress = options.progress.map(Reporter::new);
        Ok(search)
    }

    /// The widest fields for the records met so far, if the word is wide enough for them.
    pub(super) fn layout<W: Word>(&self) -> Option<Layout> {
        Layout::fitting::<W>(self.pages, self.tabled.controls().len(), self.tabled.pages().len())
    }

    /// The layout in the widest word.
    pub(super) fn wide_layout(&self) -> Result<Layout, ExploreError> {
        self.layout::<u128>().ok_or_else(|| self.too_wide())
    }

    /// The error that there are too many records even for the widest word.
    pub(super) fn too_wide(&self) -> ExploreError {
        let (controls, records) = (self.tabled.controls().len(), self.tabled.pages().len());
        ExploreError::TooWide { pages: self.pages, controls, records }
    }

    /// The closed levels to start from: the initial states, or what was saved.
    pub(super) fn start<W: Word>(&mut self, layout: Layout) -> Result<Store<W>, ExploreError> {
        if let Some(checkpoint) = self.checkpoint.as_ref().filter(|checkpoint| checkpoint.has_levels()) {
            return Ok(checkpoint.load(layout, &self.tabled)?);
        }
        let (control, choices) = self.tabled.initial()?;
        let mut store = Store::new(layout);
        self.insert_populations(&mut store, control, &choices, &mut Pages::new());
        store.close_level();
        Ok(store)
    }

    /// Inserts every population that begins with the given pages; with symmetry, every sorted one.
    fn insert_populations<W: Word>(
        &self,
        store: &mut Store<W>,
        control: ControlId,
        choices: &[PageId],
        pages: &mut Pages,
    ) {
        if pages.len() == self.pages {
            store.insert(store.layout().pack(control, pages));
            return;
        }
        let least = if self.symmetry { pages.last().copied() } else { None };
        for choice in choices.iter().filter(|choice| Some(**choice) >= least) {
            pages.push(*choice);
            self.insert_populations(store, control, choices, pages);
            pages.pop();
        }
    }

    /// Explores from the last closed level of the store on.
    pub(super) fn run<W: Word>(&mut self, mut store: Store<W>) -> Result<End<W, S::Property>, ExploreError> {
        let empty = Tally::new(self.total.control_steps.len(), self.total.page_steps.len());
        let mut workers: Vec<_> = (0..self.threads.get()).map(|_| Worker::new(empty.clone())).collect();
        loop {
            self.limits.set_used(store.states(), self.memory_bytes(&store, &workers));
            if let Some(outcome) = self.outcome(&store) {
                self.save(&store, When::Now);
                let tally = self.total.clone();
                return Ok(End::Outcome(Ended { outcome, tally, store }));
            }
            self.save(&store, When::Due);

            let end = self.expand_level(&store, &mut workers)?;
            let mut level = empty.clone();
            for worker in &mut workers {
                level.merge(&std::mem::replace(&mut worker.tally, empty.clone()));
            }
            match end {
                LevelEnd::Closed => {
                    self.total.merge(&level);
                    self.expanded += 1;
                    store.close_level();
                }
                LevelEnd::Outgrown => match self.layout::<W>() {
                    Some(layout) => store = store.converted(layout),
                    None => return Ok(End::Outgrown(store)),
                },
                LevelEnd::Full(reason) => {
                    self.save(&store, When::Now);
                    level.merge(&self.total);
                    let outcome = ExploreOutcome::Inconclusive(reason);
                    return Ok(End::Outcome(Ended { outcome, tally: level, store }));
                }
                LevelEnd::Halted(reason) => {
                    self.save(&store, When::Now);
                    let mut tally = self.total.clone();
                    tally.merge_findings(&level);
                    tally.states_unreduced += self.weigh_frontier(&store);
                    let outcome = ExploreOutcome::Inconclusive(reason);
                    return Ok(End::Outcome(Ended { outcome, tally, store }));
                }
            }
        }
    }

    /// How the exploration ends, if it ends with the levels closed so far.
    fn outcome<W: Word>(&self, store: &Store<W>) -> Option<ExploreOutcome> {
        if store.level_sizes().last() == Some(&0) {
            return Some(ExploreOutcome::Complete);
        }
        let found_all = self.total.violated().is_superset(self.stop_at);
        (found_all && !self.stop_at.is_empty()).then_some(ExploreOutcome::Stopped)
    }

    /// Expands the last closed level into the one that is being filled.
    fn expand_level<W: Word>(
        &mut self,
        store: &Store<W>,
        workers: &mut [Worker<W, S::Property>],
    ) -> Result<LevelEnd, ExploreError> {
        let judged = !self.total.violated();
        let mut source = Source::Pieces(store.pieces(self.expanded));
        loop {
            let mut progress = self.progress.take();
            let level = Level {
                expander: Expander { tabled: &self.tabled, layout: store.layout(), symmetry: self.symmetry },
                store,
                limits: &self.limits,
                batch_states: worker::batch_states(store.states()),
                depth: self.expanded,
                judged,
            };
            worker::run(workers, &level, &source, || {
                if let Some(progress) = &mut progress {
                    progress.report(&self.limits, self.expanded, store.level_sizes());
                }
            });
            self.progress = progress;
            if self.limits.halted() {
                return Ok(self.limits.reason().map_or(LevelEnd::Closed, LevelEnd::Halted));
            }

            let mut missing: Vec<Missing> = Vec::new();
            let mut postponed = Vec::new();
            for worker in &mut *workers {
                missing.append(&mut worker.missing);
                postponed.append(&mut worker.postponed);
            }
            if postponed.is_empty() {
                return Ok(self.limits.reason().map_or(LevelEnd::Closed, LevelEnd::Full));
            }
            // In an order that does not depend on the threads, and so neither do the new numbers.
            missing.sort_unstable();
            missing.dedup();
            missing.into_iter().try_for_each(|missing| self.tabled.fill(missing))?;
            let fits = store.layout().fits(self.tabled.controls().len(), self.tabled.pages().len());
            if !fits && !self.limits.full() {
                return Ok(LevelEnd::Outgrown);
            }
            source = Source::States(postponed);
        }
    }

    /// How many states of the unreduced space the last closed level stands for.
    fn weigh_frontier<W: Word>(&self, store: &Store<W>) -> u64 {
        let expander = Expander { tabled: &self.tabled, layout: store.layout(), symmetry: self.symmetry };
        let mut states = Vec::new();
        let mut weight = 0;
        for piece in store.pieces(self.expanded) {
            store.read(piece, &mut states);
            let weights = states.iter().map(|state| expander.weight(&expander.layout.unpack(*state).1));
            weight += weights.sum::<u64>();
        }
        weight
    }

    fn memory_bytes<W: Word>(&self, store: &Store<W>, workers: &[Worker<W, S::Property>]) -> u64 {
        let workers: u64 = workers.iter().map(Worker::memory_bytes).sum();
        store.memory_bytes() + workers + self.tabled.memory_bytes()
    }

    /// A full disk ends the saving, not the exploration; what was saved before is still there.
    fn save<W: Word>(&mut self, store: &Store<W>, when: When) {
        if let Some(checkpoint) = &mut self.checkpoint
            && let Err(error) = checkpoint.save(when, &self.tabled, store, &self.total)
        {
            self.unsaved = Some(error);
            self.checkpoint = None;
        }
    }

    /// The result.
    pub(super) fn conclude<W: Word>(
        mut self,
        concrete: &Concrete<S>,
        ended: Ended<W, S::Property>,
    ) -> Result<Exploration<S>, ExploreError> {
        let Ended { outcome, tally, store } = ended;
        let violations =
            trace::traces(concrete, &mut self.tabled, &store, self.symmetry, self.threads, &tally.found)?;
        let system = &concrete.system;
        Ok(Exploration {
            outcome,
            states: store.states(),
            transitions: tally.transitions,
            states_unreduced: tally.states_unreduced,
            transitions_unreduced: tally.transitions_unreduced,
            depth: store.level_sizes().iter().rposition(|size| *size > 0).unwrap_or(0),
            control_steps: system.control_steps().iter().copied().zip(tally.control_steps).collect(),
            page_steps: system.page_steps().iter().copied().zip(tally.page_steps).collect(),
            violations,
            memory_bytes_peak: self.limits.memory_bytes_peak(),
            seconds: self.seconds_before + self.limits.elapsed().as_secs_f64(),
            unsaved: self.unsaved,
        })
    }
}
