//! The other way round: real endpoints are driven along every transition of the model's graph.
//!
//! Breadth first over copies of a rig, keyed by the state of the model that it is in: in each, every possible
//! action is taken and checked as in [`refine`](super::refine), and the transition that it stands for is ticked off.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use model::concrete::{Concrete, State, Step};
use model::{Migration, Move, Phase};
use protocol::host::{Host, Role};
use protocol::page::PageKind;
use protocol::source::Source;
use protocol::wire::Message;
use rustc_hash::FxHasher;
use steplog::place::Place;

use super::abstraction::canonical;
use super::excuse::{Excuse, excuse};
use super::flaws::Flaw;
use super::network::{Flight, RigOrder};
use super::policy::Unsupported;
use super::refine::{Violation, possible, refine};
use super::rig::Rig;

/// A transition of the model's graph, up to the order of pages: state, step, state. Whose of several pages a step is does
/// not matter; it is written as that of the first.
pub type Transition = (State<Migration>, Step<Migration>, State<Migration>);

/// How much of the model's graph real endpoints went through.
#[derive(Clone, Debug)]
pub struct DriveCoverage {
    /// States of the model, up to the order of pages.
    pub states: usize,
    /// Transitions of the model that change the state.
    pub transitions: usize,
    /// Those that real endpoints took.
    pub driven: usize,
    /// Those that they did not take, with the reason if there is a good one.
    pub undriven: Vec<(Transition, Option<Excuse>)>,
    /// Those that they did take although there is a reason why they could not: the reason is wrong.
    pub refuted: Vec<(Transition, Excuse)>,
    /// Actions of real endpoints that were checked on the way.
    pub actions: u64,
}

impl DriveCoverage {
    /// How many transitions were not driven for each reason.
    pub fn reasons(&self) -> BTreeMap<Option<Excuse>, usize> {
        let mut reasons = BTreeMap::new();
        for (_, excuse) in &self.undriven {
            *reasons.entry(*excuse).or_default() += 1;
        }
        reasons
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
    order: RigOrder,
    pages: usize,
    flaw: Option<Flaw>,
) -> Result<DriveCoverage, DriveError> {
    let graph = Graph::of(migration, pages);
    let mut open = graph.transitions.clone();
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
    Ok(graph.coverage(migration, open, actions))
}

/// The steps that the model may have taken. From rest, going back and going onward are the same.
fn aliases(step: Step<Migration>, before: &State<Migration>) -> Vec<Step<Migration>> {
    use model::ControlStep::{MigrateBack, MigrateOnward};
    match step {
        Move::Control(MigrateBack | MigrateOnward) if before.control.phase == Phase::Rest => {
            vec![Move::Control(MigrateBack), Move::Control(MigrateOnward)]
        }
        step => vec![of_any_page(step)],
    }
}

fn of_any_page(step: Step<Migration>) -> Step<Migration> {
    match step {
        Move::Page(step, _) => Move::Page(step, 0),
        step => step,
    }
}

/// The model's reachable states and the transitions that change the state, up to the order of pages.
struct Graph {
    initial: Vec<State<Migration>>,
    states: usize,
    transitions: BTreeSet<Transition>,
}

impl Graph {
    fn of(migration: &Migration, pages: usize) -> Self {
        let model = Concrete { system: migration.clone(), pages };
        let initial: Vec<_> =
            model.initial().into_iter().map(|state| canonical(migration, state).sorted()).collect();
        let mut seen: HashSet<State<Migration>> = initial.iter().cloned().collect();
        let mut queue: VecDeque<State<Migration>> = initial.iter().cloned().collect();
        let mut transitions = BTreeSet::new();
        while let Some(state) = queue.pop_front() {
            for (step, next) in model.successors(&state) {
                let next = canonical(migration, next).sorted();
                if next != state {
                    transitions.insert((state.clone(), of_any_page(step), next.clone()));
                }
                if seen.insert(next.clone()) {
                    queue.push_back(next);
                }
            }
        }
        Graph { initial, states: seen.len(), transitions }
    }

    /// Every transition is driven or not, with a reason or not. Whatever cannot be reached but through transitions that
    /// have a reason has one as well; what is reached after all has none.
    fn coverage(self, migration: &Migration, open: BTreeSet<Transition>, actions: u64) -> DriveCoverage {
        let Graph { initial, states, transitions } = self;
        let mut next: HashMap<&State<Migration>, Vec<&State<Migration>>> = HashMap::new();
        let possible = transitions.iter().filter(|transition| excuse(migration, transition).is_none());
        possible.for_each(|(before, _, after)| next.entry(before).or_default().push(after));
        let mut reachable: HashSet<&State<Migration>> = initial.iter().collect();
        let mut queue: Vec<_> = initial.iter().collect();
        while let Some(state) = queue.pop() {
            let successors = next.get(state).into_iter().flatten();
            queue.extend(successors.copied().filter(|after| reachable.insert(after)));
        }
        let reason = |transition: &Transition| {
            let behind = || (!reachable.contains(&transition.0)).then_some(Excuse::Unreachable);
            excuse(migration, transition).or_else(behind)
        };
        let driven = transitions.difference(&open);
        let refuted =
            driven.filter_map(|transition| Some((transition.clone(), reason(transition)?))).collect();
        let undriven = open.iter().map(|transition| (transition.clone(), reason(transition))).collect();
        let (transitions, driven) = (transitions.len(), transitions.len() - open.len());
        DriveCoverage { states, transitions, driven, undriven, refuted, actions }
    }
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
    let mut hidden: Vec<u64> = rig.hosts().flat_map(|host| hidden_in(host.role())).collect();
    if rig.is_disrupted() {
        hidden.push(hidden_by_trouble(rig));
    }
    // To the model it has been heard already, or need not be.
    let latest = rig.hosts().map(Host::epoch).max().unwrap_or_default();
    let answers = rig.network.flights().iter().filter(|flight| flight.envelope.message == Message::Resumed);
    let mut answers: Vec<_> = answers.map(|flight| u64::from(flight.envelope.epoch != latest)).collect();
    answers.dedup();
    hidden.extend(answers);
    // To the model it has died with the process.
    let announced = |flight: &Flight| flight.envelope.message == Message::Announce;
    hidden.extend(rig.network.flights().iter().any(announced).then_some(5));
    hidden
}

/// After disruptions: who has noticed what, what is to be said again, and what is on its way without the model's
/// counting it.
fn hidden_by_trouble(rig: &Rig) -> u64 {
    let mut hasher = FxHasher::default();
    for host in rig.hosts() {
        for place in rig.hosts().map(|other| Place::from(other.id())).chain([Place::FileServer]) {
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
        Role::Source(Source::Announced(announced)) => hidden.extend([3, announced.route.to.0.into()]),
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
