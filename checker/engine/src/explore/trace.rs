//! Shortest traces, found by walking the levels backwards.
//!
//! The store knows the level of each state but not its parent. For a state of one level, the states of
//! the level before are expanded again and the least that leads to it is taken; all traces are found in one
//! such pass. It costs at most as much as the exploration did, only when there is a violation, and makes
//! the trace independent of threads. The sequence of states is then replayed by the plain semantics, which
//! also gives the pages back the identity that sorting took from them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use population::concrete::{Concrete, Configuration, Move, State, Step};
use population::system::Judged;

use super::layout::Word;
use super::store::{Piece, Store};
use super::successors::{Expander, StepIndex};
use super::tally::Finding;
use super::{ExploreError, StateRun, Trace};
use crate::tabled::{Missing, Tabled};

/// A shortest trace for each finding, as `Concrete` replays it.
pub(super) fn traces<S: Judged, W: Word>(
    concrete: &Concrete<S>,
    tabled: &mut Tabled<'_, S>,
    store: &Store<W>,
    symmetry: bool,
    threads: NonZeroUsize,
    findings: &[Finding<S::Property>],
) -> Result<BTreeMap<S::Property, Trace<S>>, ExploreError> {
    let mut chains: Vec<Vec<W>> =
        findings.iter().map(|finding| vec![store.layout().pack(finding.control, &finding.pages)]).collect();
    let level_of = |finding: &Finding<_>| finding.length as usize - usize::from(finding.step.is_some());

    let deepest = findings.iter().map(level_of).max().unwrap_or(0);
    for level in (0..deepest).rev() {
        let traced = findings.iter().zip(&mut chains).filter(|(finding, _)| level_of(finding) > level);
        let traced: Vec<_> =
            traced.filter_map(|(_, chain)| chain.last().copied().map(|last| (last, chain))).collect();
        let mut wanted: Vec<W> = traced.iter().map(|(last, _)| *last).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let parents = parents(tabled, store, symmetry, threads, level, &wanted)?;
        for (last, chain) in traced {
            chain.extend(wanted.binary_search(&last).ok().and_then(|nth| parents[nth]));
        }
    }

    let expander = Expander { tabled, layout: store.layout(), symmetry };
    let replayed = findings.iter().zip(chains).map(|(finding, mut chain)| {
        chain.reverse();
        let trace =
            replay(concrete, &expander, &chain, finding).filter(|_| chain.len() == level_of(finding) + 1);
        Ok((finding.property, trace.ok_or(ExploreError::Replay(finding.property.to_string()))?))
    });
    replayed.collect()
}

/// For each wanted state the least state of the level that leads to it.
fn parents<S: Judged, W: Word>(
    tabled: &mut Tabled<'_, S>,
    store: &Store<W>,
    symmetry: bool,
    threads: NonZeroUsize,
    level: usize,
    wanted: &[W],
) -> Result<Vec<Option<W>>, ExploreError> {
    let pieces = store.pieces(level);
    loop {
        let expander = Expander { tabled, layout: store.layout(), symmetry };
        let next = AtomicUsize::new(0);
        let scan = || scan(&expander, store, &pieces, &next, wanted);
        let scans: Vec<_> = thread::scope(|scope| {
            let others: Vec<_> = (1..threads.get()).map(|_| scope.spawn(scan)).collect();
            let first = scan();
            let others = others.into_iter().map(|other| match other.join() {
                Ok(scan) => scan,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            others.chain([first]).collect()
        });
        let missing: Vec<Missing> = scans.iter().flat_map(|scan| scan.missing.iter().copied()).collect();
        if missing.is_empty() {
            let least = |nth: usize| scans.iter().filter_map(|scan| scan.parents[nth]).min();
            return Ok((0..wanted.len()).map(least).collect());
        }
        // A resumed exploration has the records of these levels but not their moves.
        missing.into_iter().try_for_each(|missing| tabled.fill(missing))?;
    }
}

/// What one thread finds.
struct Scan<W> {
    parents: Vec<Option<W>>,
    missing: Vec<Missing>,
}

fn scan<S: Judged, W: Word>(
    expander: &Expander<'_, '_, S>,
    store: &Store<W>,
    pieces: &[Piece],
    next: &AtomicUsize,
    wanted: &[W],
) -> Scan<W> {
    let mut result = Scan { parents: vec![None; wanted.len()], missing: Vec::new() };
    let mut states = Vec::new();
    while let Some(piece) = pieces.get(next.fetch_add(1, Relaxed)) {
        store.read(*piece, &mut states);
        for state in &states {
            let (control, pages) = expander.layout.unpack(*state);
            let expanded = expander.expand(control, &pages, |successor| {
                let Some(nth) =
                    successor.state.and_then(|next| wanted.iter().position(|wanted| *wanted == next))
                else {
                    return;
                };
                let parent = &mut result.parents[nth];
                *parent = Some(parent.map_or(*state, |known: W| known.min(*state)));
            });
            if expanded.is_none() {
                expander.tabled.missing(control, &pages, &mut result.missing);
            }
        }
    }
    result
}

/// The run through the states of a chain and the violating step, if it is one and the violation is there.
fn replay<S: Judged, W: Word>(
    concrete: &Concrete<S>,
    expander: &Expander<'_, '_, S>,
    chain: &[W],
    finding: &Finding<S::Property>,
) -> Option<Trace<S>> {
    let tabled = expander.tabled;
    let pack = |state: &State<S>| -> Option<W> {
        let pages = state.pages.iter().map(|page| tabled.find_page(page)).collect::<Option<Vec<_>>>()?;
        Some(expander.pack(tabled.find_control(&state.control)?, &pages))
    };
    let (control, pages) = expander.layout.unpack(*chain.first()?);
    let initial = Configuration {
        control: *tabled.control(control),
        pages: pages.iter().map(|page| *tabled.page(*page)).collect(),
    };
    let may_start = concrete.system.initial_pages();
    let starts = initial.control == concrete.system.initial_control()
        && initial.pages.len() == concrete.pages
        && initial.pages.iter().all(|page| may_start.contains(page));
    if !starts {
        return None;
    }
    let mut trace = StateRun { initial, steps: Vec::new() };
    for next in &chain[1..] {
        let step = concrete.successors(trace.last()).find(|(_, state)| pack(state) == Some(*next))?;
        trace.steps.push(step);
    }

    let violated = match finding.step {
        None => concrete.judge(trace.last()),
        Some(step) => {
            let state = trace.last().clone();
            let step = concrete_step(tabled, finding, step, &state)?;
            trace.steps.push((step, concrete.apply(&state, step)?));
            concrete.judge_step(&state, step)
        }
    };
    violated.contains(finding.property).then_some(trace)
}

/// The finding's step, of a page that has the record of the page meant.
fn concrete_step<S: Judged>(
    tabled: &Tabled<'_, S>,
    finding: &Finding<S::Property>,
    step: StepIndex,
    state: &State<S>,
) -> Option<Step<S>> {
    let system = tabled.system();
    match step {
        StepIndex::Control { step } => Some(Move::Control(*system.control_steps().get(usize::from(step))?)),
        StepIndex::Page { index, step } => {
            let meant = tabled.page(*finding.pages.get(usize::from(index))?);
            let index = match state.pages.get(usize::from(index)) {
                Some(page) if page == meant => usize::from(index),
                _ => state.pages.iter().position(|page| page == meant)?,
            };
            Some(Move::Page(*system.page_steps().get(usize::from(step))?, index))
        }
    }
}
