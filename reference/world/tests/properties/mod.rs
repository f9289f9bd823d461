//! What must hold of every run, checked on its log step by step with endpoints that go through the same steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::host::{ProcessState, Role};
use protocol::policy::{Policy, Pre, Rest};
use protocol::replay::Replay;
use steplog::event::{Event, Step};
use steplog::fate::Fate;
use steplog::page::PageNumber;
use steplog::place::{Place, Version};
use world::Scenario;

/// What has to be remembered of the steps so far.
#[derive(Default)]
struct Seen {
    /// Host and version of the write-back of a page that is not acknowledged.
    write_backs: BTreeMap<PageNumber, (Place, Version)>,
    /// The newest version of a page that was acknowledged.
    safe: BTreeMap<PageNumber, Version>,
    /// Requests that wait at a host.
    demands: BTreeMap<Place, BTreeSet<PageNumber>>,
    states: Vec<ProcessState>,
    exited: bool,
    /// Whether a migration was called off, so that the process is back in the state before.
    called_off: bool,
}

/// Checks a log from its first step on.
pub fn check(scenario: &Scenario, log: &[Step]) -> Result<(), String> {
    let image = Arc::new(scenario.layout.image(scenario.seed));
    let mut hosts = scenario.route.clone();
    let mut known = BTreeSet::new();
    hosts.retain(|host| known.insert(*host));
    let mut replay = Replay::new(&scenario.policy, &image, &hosts).map_err(|error| error.to_string())?;
    let mut seen = Seen::default();
    for (at, step) in log.iter().enumerate() {
        let told = |error: String| format!("step {at}, {step:?}: {error}");
        replay.step(step).map_err(|error| told(error.to_string()))?;
        seen.step(step).map_err(told)?;
        seen.process(&replay, known.iter()).map_err(told)?;
        clean_departure(step, &replay).map_err(told)?;
    }
    seen.cycle(&scenario.policy)
}

impl Seen {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let place = step.place;
        match step.event {
            // Content of a page is on its way to the file server at most once, whoever sent it.
            Event::PageWrittenBack { page, version } | Event::PageFlushed { page, version } => {
                if let Some(other) = self.write_backs.insert(page, (place, version)) {
                    return Err(format!("the write-back {other:?} is not acknowledged"));
                }
            }
            Event::WriteBackAcknowledged { page, version } => {
                if self.write_backs.remove(&page) != Some((place, version)) {
                    return Err("that write-back is not outstanding".into());
                }
                self.safe.insert(page, version);
            }
            // The file server goes forward.
            Event::FetchServed { page, version, .. }
                if self.safe.get(&page).is_some_and(|safe| version < *safe) =>
            {
                return Err(format!("{:?} was acknowledged", self.safe.get(&page)));
            }
            Event::RequestAccepted { page, .. } => {
                self.demands.entry(place).or_default().insert(page);
            }
            Event::PageServed { page, .. } => {
                self.demands.entry(place).or_default().remove(&page);
            }
            // Demand first, unless it waits for the file server.
            Event::PagePushed { .. } if self.demand_waits_at(place) => {
                return Err(format!("requested pages wait: {:?}", self.demands));
            }
            // Over a new connection the destination says what it waits for.
            Event::PeerDisconnected { .. } | Event::PeerTimedOut { .. } | Event::PeerConnected { .. } => {
                self.demands.remove(&place);
            }
            Event::ResyncAccepted { ref requested, .. } => {
                self.demands.entry(place).or_default().extend(requested);
            }
            // What was on a machine that died is nobody's business any more.
            Event::HostCrashed => {
                self.write_backs.retain(|_, (sender, _)| *sender != place);
                self.demands.remove(&place);
            }
            // Nobody leaves before the file server has what he sent it.
            Event::ImageDestroyed { .. } | Event::ProcessReleased { .. } => {
                if self.write_backs.values().any(|(sender, _)| *sender == place) {
                    return Err(format!("write-backs are not acknowledged: {:?}", self.write_backs));
                }
                self.demands.remove(&place);
            }
            Event::ProcessExited => self.exited = true,
            _ => {}
        }
        self.called_off |= match step.event {
            Event::MigrationCancelled { .. } | Event::RefusalLearned { .. } | Event::HostCrashed => true,
            Event::PeerDisconnected { fate, .. }
            | Event::PeerTimedOut { fate, .. }
            | Event::PeerFenced { fate, .. } => matches!(fate, Some(Fate::CarriedOn(_) | Fate::Migrated)),
            _ => false,
        };
        Ok(())
    }

    /// Whether a requested page could be sent by this host.
    fn demand_waits_at(&self, place: Place) -> bool {
        let held_up = |page| self.write_backs.get(page).is_some_and(|(sender, _)| *sender == place);
        self.demands.get(&place).is_some_and(|waiting| waiting.iter().any(|page| !held_up(page)))
    }

    /// One runner, and what state the process is in.
    fn process<'a>(
        &mut self,
        replay: &Replay,
        hosts: impl Iterator<Item = &'a steplog::place::HostId>,
    ) -> Result<(), String> {
        let hosts: Vec<_> = hosts.filter_map(|id| replay.host(*id)).collect();
        if hosts.iter().filter(|host| host.is_running()).count() > 1 {
            return Err("the process runs twice".into());
        }
        let states: Vec<_> = hosts.iter().filter_map(|host| host.process_state()).collect();
        let state = match states[..] {
            [] => ProcessState::Migration,
            [state] => state,
            _ => return Err(format!("the process is in several states: {states:?}")),
        };
        if self.states.last() != Some(&state) && !self.exited {
            self.states.push(state);
        }
        Ok(())
    }

    /// The states follow each other as the algorithm has it.
    fn cycle(&self, policy: &Policy) -> Result<(), String> {
        let cycle = cycle(policy);
        let follows = |pair: &[ProcessState]| {
            let next =
                cycle.iter().zip(cycle.iter().cycle().skip(1)).any(|(from, to)| [*from, *to] == pair[..]);
            let left_behind = policy.leaves_pages_behind()
                && pair[0] == ProcessState::PostMigration
                && [ProcessState::PreMigration, ProcessState::Migration].contains(&pair[1]);
            next || left_behind
        };
        // A migration that is called off can end in any state but the suspended one.
        if self.called_off {
            return Ok(());
        }
        let starts = self.states.first().is_none_or(|state| *state == cycle[0]);
        if starts && self.states.windows(2).all(follows) {
            return Ok(());
        }
        Err(format!("{:?} does not follow {cycle:?}", self.states))
    }
}

/// The states that the process goes through in a migration, from rest.
fn cycle(policy: &Policy) -> Vec<ProcessState> {
    let rest = match policy.rest {
        Rest::Normal => ProcessState::Normal,
        Rest::PreMigration => ProcessState::PreMigration,
    };
    let pre = matches!(policy.pre, Pre::Copy(_)).then_some(ProcessState::PreMigration);
    let post = policy.has_post_migration().then_some(ProcessState::PostMigration);
    [Some(rest), pre, Some(ProcessState::Migration), post].into_iter().flatten().collect()
}

/// Back at rest, the host that the process came from holds nothing.
fn clean_departure(step: &Step, replay: &Replay) -> Result<(), String> {
    let Event::DestructionLearned { from, at_rest: true } = step.event else { return Ok(()) };
    match replay.host(from).map(|host| host.role()) {
        Some(Role::Vacant) => Ok(()),
        other => Err(format!("{from} is {other:?}")),
    }
}
