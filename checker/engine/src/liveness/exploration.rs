//! Breadth-first exploration, batch by batch: threads expand the states of a batch and look up where their
//! transitions lead; then what is new is numbered, in order. So the numbers do not depend on the threads.

use std::ops::Range;
use std::thread;

use population::concrete::{Concrete, PAGES_MAX};
use population::system::{Live, Properties};

use super::graph::{GraphBuilder, Label, Node, TRANSITIONS_MAX};
use super::pending::Pending;
use super::space::{SpaceLimits, SpaceProgress, Truncation};
use super::states::{Key, States};
use crate::tabled::{Tabled, Taken};

/// States of a batch for each thread: enough to be worth the start of a thread, few enough that what they
/// lead to stays in the cache.
const BATCH_STATES: u32 = 1 << 11;
/// Fewer states are expanded before another thread has started.
const SHARE_STATES_MIN: u32 = 64;

/// An exploration under way.
pub(super) struct Exploration<'a, S: Live, const WORDS: usize> {
    concrete: &'a Concrete<S>,
    pub(super) tabled: Tabled<'a, S>,
    pub(super) states: States<WORDS>,
    pub(super) graph: GraphBuilder,
    /// By state that was expanded: what is pending in it.
    pub(super) marks: Vec<Properties<S>>,
    pending: Pending<'a, S>,
}

/// The transitions of some consecutive states.
struct Rows<const WORDS: usize> {
    /// By state: how many there are up to and including its own.
    ends: Vec<u32>,
    labels: Vec<Label>,
    keys: Vec<Key<WORDS>>,
    /// The number of the key's state; [`Node::MAX`] if it was not known yet.
    targets: Vec<Node>,
}

impl<'a, S: Live, const WORDS: usize> Exploration<'a, S, WORDS> {
    pub(super) fn new(concrete: &'a Concrete<S>) -> Self {
        Exploration {
            concrete,
            tabled: Tabled::new(&concrete.system),
            states: States::new(),
            graph: GraphBuilder::new(0),
            marks: Vec::new(),
            pending: Pending::new(&concrete.system),
        }
    }

    /// Explores until all states have their row, or a limit is reached.
    pub(super) fn run(
        &mut self,
        limits: SpaceLimits,
        watch: &mut impl FnMut(SpaceProgress) -> Result<(), String>,
    ) -> Result<(), Truncation> {
        if self.concrete.pages > PAGES_MAX {
            return Err(Truncation::TooManyPages(self.concrete.pages));
        }
        if self.concrete.steps().count() > usize::from(Label::MAX) {
            return Err(Truncation::TooManySteps);
        }
        self.initial()?;
        self.graph = GraphBuilder::new(self.states.len());
        let threads = limits.threads.max(1) as u32;
        while self.graph.next() < self.states.len() {
            watch(self.progress()).map_err(Truncation::Stopped)?;
            let first = self.graph.next();
            let end = self.states.len().min(first.saturating_add(BATCH_STATES * threads));
            let share = (end - first).div_ceil(threads).max(SHARE_STATES_MIN);
            let shares = (first..end).step_by(share as usize);
            let shares: Vec<_> = shares.map(|start| start..end.min(start + share)).collect();
            for (share, rows) in shares.iter().zip(self.expand_all(&shares)) {
                self.append(share.clone(), rows, limits.states_max)?;
            }
        }
        Ok(())
    }

    fn initial(&mut self) -> Result<(), Truncation> {
        let (control, choices) = self.tabled.initial()?;
        let mut populations = vec![Vec::new()];
        for _ in 0..self.concrete.pages {
            let longer = populations.iter().flat_map(|pages: &Vec<_>| {
                choices.iter().map(move |page| pages.iter().chain([page]).copied().collect::<Vec<_>>())
            });
            populations = longer.collect();
        }
        for pages in populations {
            self.states.insert(Key::new(control, &pages));
        }
        Ok(())
    }

    fn progress(&self) -> SpaceProgress {
        SpaceProgress {
            states: self.states.len(),
            expanded: self.graph.next(),
            transitions: self.graph.transitions(),
            memory_bytes: self.graph.memory_bytes()
                + self.states.memory_bytes()
                + (self.marks.capacity() * size_of::<Properties<S>>()) as u64
                + self.tabled.memory_bytes(),
        }
    }

    /// Expands each share, on a thread of its own if there are several.
    fn expand_all(&self, shares: &[Range<Node>]) -> Vec<Rows<WORDS>> {
        let Some((own, others)) = shares.split_first() else { return Vec::new() };
        thread::scope(|scope| {
            let helpers: Vec<_> =
                others.iter().map(|share| scope.spawn(|| self.expand(share.clone()))).collect();
            let own = self.expand(own.clone());
            let joined = helpers
                .into_iter()
                .map(|helper| helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            std::iter::once(own).chain(joined).collect()
        })
    }

    /// Expands states until the tables lack something.
    fn expand(&self, share: Range<Node>) -> Rows<WORDS> {
        let mut rows = Rows { ends: Vec::new(), labels: Vec::new(), keys: Vec::new(), targets: Vec::new() };
        let controls = self.concrete.system.control_steps().len();
        let page_steps = self.concrete.system.page_steps().len();
        for key in &self.states.keys()[share.start as usize..share.end as usize] {
            let (control, pages) = (key.control(), key.pages(self.concrete.pages));
            let expanded = self.tabled.expand(control, &pages, |taken| {
                let (label, next) = match taken {
                    Taken::Control { edge, pages } => (usize::from(edge.step), Key::new(edge.control, pages)),
                    Taken::Page { index, edge, .. } => (
                        controls + index * page_steps + usize::from(edge.step),
                        key.replaced(edge.control, index, edge.page),
                    ),
                };
                rows.labels.push(label as Label);
                rows.keys.push(next);
            });
            if expanded.is_none() {
                break;
            }
            rows.ends.push(rows.keys.len() as u32);
        }
        self.states.find_all(&rows.keys, &mut rows.targets);
        rows
    }

    /// Adds the rows of a share to the graph, numbers the states that are new, and expands what was left
    /// out for want of table entries.
    fn append(
        &mut self,
        mut share: Range<Node>,
        mut rows: Rows<WORDS>,
        states_max: u32,
    ) -> Result<(), Truncation> {
        loop {
            let mut start = 0;
            for end in &rows.ends {
                let row = start..*end as usize;
                start = row.end;
                for at in row {
                    let known = rows.targets[at];
                    let target = if known == Node::MAX { self.states.insert(rows.keys[at]) } else { known };
                    self.graph.transition(rows.labels[at], target);
                }
                if self.states.len() > states_max {
                    return Err(Truncation::TooManyStates(states_max));
                }
                if self.graph.transitions() > TRANSITIONS_MAX {
                    return Err(Truncation::TooManyTransitions);
                }
                self.graph.end_row();
                self.mark(share.start);
                share.start += 1;
            }
            if share.is_empty() {
                return Ok(());
            }
            let key = self.states.keys()[share.start as usize];
            self.tabled.complete(key.control(), &key.pages(self.concrete.pages))?;
            rows = self.expand(share.clone());
        }
    }

    fn mark(&mut self, state: Node) {
        let key = self.states.keys()[state as usize];
        let page = key.pages(self.concrete.pages.min(1)).first().copied();
        self.marks.push(self.pending.of(&self.tabled, key.control(), page));
    }
}
