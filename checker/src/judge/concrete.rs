//! A given number of pages: exhaustive exploration for safety, the whole graph for liveness.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use engine::explore::{self, Exploration, ExploreOutcome, LimitReason, explore};
use engine::liveness::{self, Assumptions, Space};
use engine::views::fingerprint;
use model::concrete::Concrete;
use model::system::{Fairness, Properties};
use model::{Migration, Property};

use super::{
    Engine, JudgeCheckpoint, JudgeError, JudgeOptions, JudgeProgress, applicable, lasso, oracle, violation,
};
use crate::report::{Actual, Basis, CheckRun, PropertyVerdict};
use crate::setting::{Pages, Setting};

/// The least time between two checkpoints; writing one takes as long as reading back what it holds.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// The largest unreduced graph on which liveness is judged, in states, unless a limit is given.
const LIVENESS_STATES_MAX: u32 = 50_000_000;

pub(super) fn judge(
    setting: &Setting,
    pages: NonZeroUsize,
    options: &JudgeOptions<'_>,
) -> Result<CheckRun, JudgeError> {
    let started = Instant::now();
    let concrete = setting.concrete(pages);
    let wanted = applicable(setting, options);
    let mut run = match options.engine {
        Engine::Stateright => oracle::judge(setting, pages, wanted, options),
        Engine::Native => safety(setting, pages, wanted, options)?,
        Engine::Both => both(setting, pages, wanted, options)?,
    };
    let live: Properties = wanted.iter().filter(|property| !property.is_safety()).collect();
    if !live.is_empty() && options.engine != Engine::Stateright {
        let space = space(&concrete, options, started);
        let judged = liveness::judge(&space, live, &Assumptions::default(), options.threads.get())?;
        run.verdicts.extend(judged.into_iter().map(|judged| verdict(setting, judged)));
    }
    run.engine = options.engine.name();
    run.seconds = started.elapsed().as_secs_f64();
    Ok(run)
}

/// Ours, compared with stateright's; where that stops early, nothing has been compared.
fn both(
    setting: &Setting,
    pages: NonZeroUsize,
    wanted: Properties,
    options: &JudgeOptions<'_>,
) -> Result<CheckRun, JudgeError> {
    let run = safety(setting, pages, wanted, options)?;
    match run.inconclusive {
        None => compared(run, || oracle::judge(setting, pages, wanted, options)),
        Some(_) => Ok(run),
    }
}

/// A complete run of ours, held to a second opinion.
pub(super) fn compared(mut run: CheckRun, second: impl FnOnce() -> CheckRun) -> Result<CheckRun, JudgeError> {
    let second = second();
    oracle::compare(&run, &second)?;
    run.inconclusive = second.inconclusive.map(|reason| format!("stateright: {reason}"));
    Ok(run)
}

/// The graph for liveness, as far as the limits allow.
pub(super) fn space<'a>(
    concrete: &'a Concrete<Migration>,
    options: &JudgeOptions<'_>,
    started: Instant,
) -> Space<'a, Migration> {
    let states_max = options.states_max.map_or(LIVENESS_STATES_MAX, |max| max.try_into().unwrap_or(u32::MAX));
    let limits = liveness::SpaceLimits { states_max, threads: options.threads.get() };
    Space::explore_while(concrete, limits, |progress| {
        (options.progress)(&JudgeProgress::BuildingGraph(progress));
        match options.memory_bytes_max.filter(|max| progress.memory_bytes > *max) {
            Some(max) => Err(LimitReason::Memory(max).to_string()),
            None => give_up(options, started),
        }
    })
}

pub(super) fn give_up(options: &JudgeOptions<'_>, started: Instant) -> Result<(), String> {
    if options.interrupted.load(Relaxed) {
        return Err("interrupted".to_owned());
    }
    match options.timeout.filter(|timeout| started.elapsed() > *timeout) {
        Some(timeout) => Err(format!("it takes longer than {} s", timeout.as_secs_f64())),
        None => Ok(()),
    }
}

fn safety(
    setting: &Setting,
    pages: NonZeroUsize,
    wanted: Properties,
    options: &JudgeOptions<'_>,
) -> Result<CheckRun, JudgeError> {
    let progress =
        |progress: &explore::ExploreProgress| (options.progress)(&JudgeProgress::Exploring(*progress));
    let concrete = setting.concrete(pages);
    let identity = options.checkpoint.map(|_| identity(setting, &concrete.system)).unwrap_or_default();
    let directory = options.checkpoint.map(|checkpoint| checkpoint.directory.join(name(setting, pages)));
    let exploration = explore(
        &concrete,
        explore::ExploreOptions {
            threads: options.threads,
            symmetry: options.symmetry,
            stop_at: Properties::empty(),
            states_max: options.states_max,
            memory_bytes_max: options.memory_bytes_max,
            timeout: options.timeout,
            interrupted: Some(options.interrupted),
            progress: Some(&progress),
            checkpoint: directory.as_deref().zip(options.checkpoint).map(|(directory, checkpoint)| {
                let JudgeCheckpoint { resume, .. } = checkpoint;
                explore::Checkpoint { directory, system: &identity, every: CHECKPOINT_EVERY, resume }
            }),
        },
    )?;
    Ok(report(setting, pages, wanted, options, exploration))
}

fn report(
    setting: &Setting,
    pages: NonZeroUsize,
    wanted: Properties,
    options: &JudgeOptions<'_>,
    mut exploration: Exploration<Migration>,
) -> CheckRun {
    let inconclusive = match exploration.outcome {
        ExploreOutcome::Complete | ExploreOutcome::Stopped => None,
        ExploreOutcome::Inconclusive(reason) => Some(reason.to_string()),
    };
    let actions: BTreeMap<String, u64> = (exploration.control_steps.iter())
        .map(|(step, count)| (step.to_string(), *count))
        .chain(exploration.page_steps.iter().map(|(step, count)| (step.to_string(), *count)))
        .collect();
    let safe = wanted.iter().filter(|property| property.is_safety());
    let verdicts = safe.map(|property| match (exploration.violations.remove(&property), &inconclusive) {
        (Some(trace), _) => PropertyVerdict::new(setting, property, Actual::Fails)
            .showing(violation(setting, property, trace)),
        (None, Some(reason)) => PropertyVerdict::new(setting, property, Actual::Inconclusive)
            .resting_on(Basis::Cut(reason.clone())),
        (None, None) => PropertyVerdict::new(setting, property, Actual::Holds),
    });
    CheckRun {
        verdicts: verdicts.collect(),
        untaken: actions
            .iter()
            .filter(|(_, count)| **count == 0 && setting.disruptions.strike_freely())
            .map(|(name, _)| name.clone())
            .collect(),
        actions,
        states: exploration.states_unreduced,
        orbits: options.symmetry.then_some(exploration.states),
        transitions: Some(exploration.transitions_unreduced),
        depth: exploration.depth as u64,
        seconds: exploration.seconds,
        inconclusive,
        unsaved: exploration.unsaved.map(|error| with_cause(&error)),
        ..empty(setting, Pages::Exactly(pages))
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// A run about which nothing is known yet.
pub(super) fn empty(setting: &Setting, pages: Pages) -> CheckRun {
    CheckRun {
        algorithm: setting.strategy.name.clone().into_owned(),
        strategy: setting.strategy.clone(),
        pages,
        hosts: setting.hosts,
        link: setting.link,
        defect: setting.defect,
        disruptions: setting.disruptions,
        engine: Engine::Native.name(),
        states: 0,
        orbits: None,
        transitions: None,
        depth: 0,
        seconds: 0.0,
        actions: BTreeMap::new(),
        untaken: vec![],
        inconclusive: None,
        unsaved: None,
        verdicts: vec![],
    }
}

pub(super) fn verdict(setting: &Setting, judged: liveness::Liveness<Migration>) -> PropertyVerdict {
    let property = judged.property;
    match judged.outcome {
        liveness::LivenessOutcome::Holds if judged.vacuous => {
            PropertyVerdict::new(setting, property, Actual::Vacuous).resting_on(Basis::Vacuous)
        }
        liveness::LivenessOutcome::Holds => {
            PropertyVerdict::new(setting, property, Actual::Holds).resting_on(fairness(property, &judged))
        }
        liveness::LivenessOutcome::Fails(run) => {
            PropertyVerdict::new(setting, property, Actual::Fails).showing(lasso(setting, property, run))
        }
        liveness::LivenessOutcome::Inconclusive(reason) => {
            PropertyVerdict::new(setting, property, Actual::Inconclusive).resting_on(Basis::Open(reason))
        }
    }
}

fn fairness(property: Property, judged: &liveness::Liveness<Migration>) -> Basis {
    match judged.fairness {
        Fairness::None if property == Property::L7 => Basis::Possibility,
        Fairness::None => Basis::NoFairness,
        Fairness::Weak => Basis::WeakFairness,
        Fairness::Strong => {
            let names = judged.strong.iter().map(|step| match step {
                model::Move::Control(step) => step.to_string(),
                model::Move::Page(step, _) => step.to_string(),
            });
            Basis::StrongFairness(names.collect::<BTreeSet<_>>().into_iter().collect())
        }
    }
}

/// What a checkpoint belongs to: the setting, this version of the program, and the steps that it gives the system.
fn identity(setting: &Setting, migration: &Migration) -> String {
    let (version, tables) = (env!("CARGO_PKG_VERSION"), fingerprint(migration));
    format!("{} by version {version}, tables {tables:016x}", setting.fingerprint())
}

/// A directory for one exploration, so that no two algorithms have the same.
fn name(setting: &Setting, pages: NonZeroUsize) -> String {
    let name = &setting.strategy.name;
    let plain: String =
        name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
    match plain == **name {
        true => format!("{name}-{pages}"),
        false => format!("{plain}-{:08x}-{pages}", crc32fast::hash(name.as_bytes())),
    }
}
