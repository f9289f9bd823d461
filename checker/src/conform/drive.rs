//! The other way round: real endpoints are driven along every transition of the model's graph.
//!
//! Breadth first over copies of a rig, keyed by the state of the model that it is in: in each, every possible
//! action is taken and checked as in [`refine`](super::refine), and the transition that it stands for is ticked off.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use model::concrete::{Concrete, State};
use model::page::DirtyLog;
use model::{Migration, Move, Phase};
use reference::host::Role;
use reference::page::PageKind;
use reference::place::Place;
use reference::source::Source;
use rustc_hash::FxHasher;

use super::abstraction::canonical;
use super::flaws::Flaw;
use super::network::Order;
use super::policy::Unsupported;
use super::refine::{Violation, possible, refine};
use super::rig::Rig;

/// A transition of the model's graph, up to the order of pages: state, name of the step, state.
pub type Transition = (State<Migration>, String, State<Migration>);

/// How much of the model's graph real endpoints went through.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// States of the model, up to the order of pages.
    pub states: usize,
    /// Transitions of the model that change the state.
    pub transitions: usize,
    /// Those that real endpoints took.
    pub driven: usize,
    /// Those that they did not take, with the reason if there is a good one.
    pub undriven: Vec<(Transition, Option<Excuse>)>,
    /// Actions of real endpoints that were checked on the way.
    pub actions: u64,
}

/// Why real endpoints do not take a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Excuse {
    /// It lies behind an empty pass of pre-copy. The model cannot ask that *some* page be due, so it begins a pass
    /// in which nothing is; the reference does not.
    EmptyPass,
}

impl Coverage {
    /// The transitions that were not driven, by reason, step and phase, with their number.
    pub fn classes(&self) -> BTreeMap<(Option<Excuse>, String, String), usize> {
        let mut classes = BTreeMap::new();
        for ((before, step, _), excuse) in &self.undriven {
            *classes.entry((*excuse, step.clone(), phase_name(before.control.phase))).or_default() += 1;
        }
        classes
    }

    /// Transitions that were not driven without a good reason.
    pub fn unexcused(&self) -> impl Iterator<Item = &Transition> {
        self.undriven.iter().filter(|(_, excuse)| excuse.is_none()).map(|(transition, _)| transition)
    }
}

/// Why driving ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriveError {
    /// The reference does not have the algorithm.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The reference did something that the model does not have.
    #[error("{0}")]
    Violation(Box<Violation>),
}

/// Drives real endpoints with so many pages along the model's graph, with a flaw if need be.
///
/// # Errors
/// The reference does not have the algorithm, or does something that the model does not have.
pub fn drive(
    migration: &Migration,
    order: Order,
    pages: usize,
    flaw: Option<Flaw>,
) -> Result<Coverage, DriveError> {
    let (states, mut open) = graph(migration, pages, true);
    let (_, without) = graph(migration, pages, false);
    let transitions = open.len();
    let mut actions = 0;
    let mut seen = HashSet::new();
    let mut queue = VecDeque::new();
    for kinds in populations(migration, pages) {
        queue.push_back(Rig::new(Arc::new(migration.clone()), order, &kinds, flaw)?);
    }
    while let Some(rig) = queue.pop_front() {
        for action in possible(&rig).unwrap_or_default() {
            let mut next = rig.clone();
            let explained = refine(&mut next, action).map_err(DriveError::Violation)?;
            actions += 1;
            next.drop_forgotten();
            if let [step] = explained.steps[..] {
                let (before, after) = (explained.before.sorted(), explained.after.sorted());
                for alias in aliases(step, &before) {
                    open.remove(&(before.clone(), alias, after.clone()));
                }
            }
            if seen.insert((explained.after, hidden(&next))) {
                queue.push_back(next);
            }
        }
    }
    let driven = transitions - open.len();
    let undriven = open.into_iter().map(|transition| {
        let excuse = excuse(&transition, &without);
        (transition, excuse)
    });
    Ok(Coverage { states, transitions, driven, undriven: undriven.collect(), actions })
}

fn excuse(transition: &Transition, without_empty_passes: &BTreeSet<Transition>) -> Option<Excuse> {
    (!without_empty_passes.contains(transition)).then_some(Excuse::EmptyPass)
}

/// The names under which the model may have taken a step. From rest, going back and going onward are the same.
fn aliases(step: model::concrete::Step<Migration>, before: &State<Migration>) -> Vec<String> {
    use model::ControlStep::{MigrateBack, MigrateOnward};
    match step {
        Move::Control(MigrateBack | MigrateOnward) if before.control.phase == Phase::Rest => {
            vec![MigrateBack.to_string(), MigrateOnward.to_string()]
        }
        Move::Control(step) => vec![step.to_string()],
        Move::Page(step, _) => vec![step.to_string()],
    }
}

/// The model's reachable states and the transitions that change the state, up to the order of pages; with or
/// without passes of pre-copy in which nothing is due.
fn graph(migration: &Migration, pages: usize, empty_passes: bool) -> (usize, BTreeSet<Transition>) {
    let model = Concrete { system: migration.clone(), pages };
    let mut seen: HashSet<State<Migration>> = HashSet::new();
    let mut queue: VecDeque<State<Migration>> = VecDeque::new();
    let mut transitions = BTreeSet::new();
    for state in model.initial() {
        let state = canonical(state).sorted();
        if seen.insert(state.clone()) {
            queue.push_back(state);
        }
    }
    while let Some(state) = queue.pop_front() {
        for (step, next) in model.successors(&state) {
            if step == Move::Control(model::ControlStep::NextPass) && !empty_passes && is_in_step(&state) {
                continue;
            }
            let next = canonical(next).sorted();
            let name = match step {
                Move::Control(step) => step.to_string(),
                Move::Page(step, _) => step.to_string(),
            };
            if next != state {
                transitions.insert((state.clone(), name, next.clone()));
            }
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    (seen.len(), transitions)
}

fn is_in_step(state: &State<Migration>) -> bool {
    state.pages.iter().all(|page| page.log == DirtyLog::InStep)
}

/// Every combination of kinds of pages, up to their order.
fn populations(migration: &Migration, pages: usize) -> Vec<Vec<PageKind>> {
    let mapped = if migration.strategy.tells_kinds_apart() { pages } else { 0 };
    let population = |mapped| {
        let kind = move |page| if page < mapped { PageKind::FileMapped } else { PageKind::Private };
        (0..pages).map(kind).collect()
    };
    (0..=mapped).map(population).collect()
}

/// What makes a difference for what comes next, but not for the model: choices made, messages handled and not
/// acted upon.
fn hidden(rig: &Rig) -> Vec<u64> {
    let mut hidden: Vec<u64> = rig.hosts.iter().flat_map(|host| hidden_in(host.role())).collect();
    if rig.is_disrupted() {
        hidden.push(hidden_by_trouble(rig));
    }
    hidden
}

/// After disruptions: who has noticed what, what is to be said again, and what is on its way without the model's
/// counting it.
fn hidden_by_trouble(rig: &Rig) -> u64 {
    let mut hasher = FxHasher::default();
    for host in &rig.hosts {
        for place in rig.hosts.iter().map(|other| Place::from(other.id())).chain([Place::FileServer]) {
            host.is_connected(place).hash(&mut hasher);
        }
        host.tasks().for_each(|task| task.work.hash(&mut hasher));
        std::mem::discriminant(host.role()).hash(&mut hasher);
    }
    for flight in rig.network.flights() {
        let envelope = &flight.envelope;
        (envelope.message.kind(), envelope.message.page(), envelope.to, flight.fate).hash(&mut hasher);
        rig.trouble.aborted.contains(&envelope.epoch).hash(&mut hasher);
    }
    hasher.finish()
}

fn hidden_in(role: &Role) -> Vec<u64> {
    let exited = role.resident().is_some_and(|resident| resident.exited);
    let mut hidden = vec![u64::from(exited)];
    match role {
        Role::Source(Source::PreMigration(pre)) => hidden.extend([1, pre.route.to.0.into()]),
        Role::Source(Source::Frozen(frozen)) => {
            hidden.push(2);
            hidden.extend(frozen.to_transfer.iter().map(|page| page.0));
        }
        Role::Source(Source::Offered(offered)) => hidden.extend([3, offered.ready.into()]),
        Role::Source(Source::Draining(_)) => hidden.push(4),
        _ => {}
    }
    hidden
}

fn phase_name(phase: Phase) -> String {
    match phase {
        Phase::PreCopy { pass } => format!("pre-copy pass {pass}"),
        other => format!("{other:?}").to_lowercase(),
    }
}
