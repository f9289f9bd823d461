//! Storms: random runs in which things go wrong, until they stop going wrong and everything has to come to its end.
//!
//! A number is a run: it fixes the algorithm, the address space, the workload, the links, the route and every
//! disruption. [`weather`] runs it in virtual time and checks all along that the process sees one memory and runs on
//! one host at most, that a host gives up only what a crash has taken, and that no page crosses a link more often than
//! the algorithm and its recoveries allow. Disruptions end by themselves, so in the end the process must be at its
//! last stop, or have exited, or be lost, with nothing left behind and nobody waiting.
//!
//! What goes wrong is data, so a run that fails can be made smaller ([`shrink`]) and run again.

use std::collections::BTreeMap;

use protocol::host::{HostLimits, Timeouts};
use protocol::policy::{Policy, Push};
use steplog::event::{Event, Step};
use steplog::place::{Epoch, HostId, Place};

use crate::net::{FrameOrder, LinkConfig};
use crate::random::Random;
use crate::workload::{PageLayout, Pattern, Workload};
use crate::{Disrupted, Disruption, DisruptionKind, Ending, Injected, Moment, Report, Scenario, Scheduled};
use crate::{World, WorldError};

/// Most disruptions in one run.
const DISRUPTIONS_MAX: u64 = 5;

/// Disruptions come within so many steps, which is about what a run takes.
const STEPS_MAX: u64 = 400;

/// Steps after which a run counts as endless: many times what any takes.
pub const RUN_STEPS_MAX: usize = 100_000;

/// Hosts of a run.
const HOSTS: u64 = 3;

/// What came of some runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StormTally {
    /// Runs that came to their end.
    pub runs: u64,
    /// Steps of all endpoints.
    pub steps: u64,
    /// Virtual time, in nanoseconds.
    pub virtual_ns: u64,
    /// Migrations that were begun.
    pub migrations: u64,
    /// How often each kind of disruption had an effect.
    pub injected: Injected,
    /// How the runs ended.
    pub ends: BTreeMap<End, u64>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The process is where it was to go.
    Arrived,
    /// The process has exited.
    Exited,
    /// A crash has taken the process.
    Lost,
}

/// Why a run is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StormError {
    /// It did not come to its end, or the process saw something wrong on the way.
    #[error(transparent)]
    World(#[from] WorldError),
    /// Too many copies of a page were sent.
    #[error(
        "a page was sent {sent} times in {epoch}, with {recoveries} recoveries at most {max} are allowed"
    )]
    Traffic {
        /// In which migration.
        epoch: Epoch,
        /// How often.
        sent: u64,
        /// How often the migration was resumed over a new connection.
        recoveries: u64,
        /// How often it may be sent.
        max: u64,
    },
}

impl StormTally {
    /// Counts other runs as well.
    pub fn add(&mut self, other: &Self) {
        let Self { runs, steps, virtual_ns, migrations, injected, ends } = other;
        self.runs += runs;
        self.steps += steps;
        self.virtual_ns = self.virtual_ns.saturating_add(*virtual_ns);
        self.migrations += migrations;
        injected.iter().for_each(|(kind, count)| *self.injected.entry(*kind).or_default() += count);
        ends.iter().for_each(|(end, count)| *self.ends.entry(*end).or_default() += count);
    }
}

/// Runs it to its end, and checks it on the way.
pub fn weather(run: &Disrupted) -> Result<StormTally, StormError> {
    record(run).map(|(tally, _)| tally)
}

/// As [`weather`], with the step log.
pub fn record(run: &Disrupted) -> Result<(StormTally, Vec<Step>), StormError> {
    let mut world = World::disrupted(run)?;
    world.finish_within(RUN_STEPS_MAX)?;
    let exited = world.exited();
    let report = world.report();
    check_traffic(&run.scenario.policy, &report)?;
    let end = match (report.lost, exited) {
        (true, _) => End::Lost,
        (false, true) => End::Exited,
        (false, false) => End::Arrived,
    };
    let tally = StormTally {
        runs: 1,
        steps: report.log.len() as u64,
        virtual_ns: report.elapsed_ns,
        migrations: report.migrations.len() as u64,
        injected: report.injected,
        ends: [(end, 1)].into(),
    };
    Ok((tally, report.log))
}

/// Content of a page crosses the link once more for each recovery: a new connection to the host that the process left,
/// over which it is said what is lacking.
fn check_traffic(policy: &Policy, report: &Report) -> Result<(), StormError> {
    let Some(max) = policy.crossings_per_page_max() else { return Ok(()) };
    let recovered = |step: &Step| match step.event {
        Event::PeerConnected { peer: Place::Host(from), resync: Some(_) } => Some((from, step.epoch)),
        _ => None,
    };
    let recovered: Vec<_> = report.log.iter().filter_map(recovered).collect();
    for migration in &report.migrations {
        let (epoch, sent) = (migration.epoch, migration.crossings_of_a_page_max);
        let of_it = |(from, of): &&(HostId, Epoch)| *from == migration.from && *of >= epoch;
        let recoveries = recovered.iter().filter(of_it).count() as u64;
        if sent > max + recoveries {
            return Err(StormError::Traffic { epoch, sent, recoveries, max: max + recoveries });
        }
    }
    Ok(())
}

/// The run that belongs to a number.
pub fn run(number: u64) -> Disrupted {
    let mut random = Random::new(number);
    let policy = policy(&mut random);
    let hosts = if random.percent(50) { 2 } else { HOSTS };
    let scenario = Scenario {
        policy,
        layout: PageLayout {
            pages: 1 + random.below(12),
            file_mapped_percent: percent(&mut random),
            initially_dirty_percent: percent(&mut random),
            noise_percent: percent(&mut random),
        },
        workload: Workload {
            pattern: pattern(&mut random),
            write_percent: percent(&mut random),
            interval_ns: 1_000 + random.below(1_000_000),
        },
        link: link(&mut random),
        route: route(hosts, &mut random),
        accesses_per_stay: random.below(40),
        registers_len: 16,
        ending: [Ending::Idle, Ending::Idle, Ending::Exit, Ending::ExitLeaving][random.below(4) as usize],
        seed: random.next(),
    };
    let disruptions = (0..1 + random.below(DISRUPTIONS_MAX)).map(|_| scheduled(hosts, &mut random)).collect();
    Disrupted { scenario, disruptions, limits: limits(&mut random), timeouts: timeouts(&mut random) }
}

/// The number of the run that comes at this place in a storm of this seed.
pub fn number(seed: u64, at: u64) -> u64 {
    Random::new(seed ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next()
}

fn percent(random: &mut Random) -> u8 {
    random.below(101) as u8
}

fn policy(random: &mut Random) -> Policy {
    let policy = Policy::ALL[random.below(Policy::ALL.len() as u64) as usize].clone();
    let (working_set, pivot) = (random.percent(50), random.percent(50));
    match policy.push {
        Push::Pivot if !pivot => Policy { working_set, push: Push::NextMissing, ..policy },
        Push::Pivot => Policy { working_set, ..policy },
        _ => policy,
    }
}

fn pattern(random: &mut Random) -> Pattern {
    match random.below(4) {
        0 => Pattern::Uniform,
        1 => Pattern::Sequential,
        2 => Pattern::Zipf,
        _ => Pattern::WorkingSet { pages: 1 + random.below(3), dwell: 1 + random.below(30) },
    }
}

fn link(random: &mut Random) -> LinkConfig {
    let jitter_ns = random.below(3_000_000);
    let order = match random.below(4) {
        0 | 1 => FrameOrder::Fifo,
        2 => FrameOrder::Unordered { jitter_ns },
        _ => FrameOrder::Lossy {
            jitter_ns,
            loss_percent: random.below(50) as u8,
            duplicate_percent: random.below(50) as u8,
            retransmit_after_ns: random.below(3_000_000),
        },
    };
    LinkConfig {
        bandwidth_bits_per_s: 5_000_000 + random.below(500_000_000),
        latency_ns: random.below(1_000_000),
        send_buffer_frames: 1 + random.below(5) as usize,
        order,
    }
}

/// Two to four stops; the process never moves to where it is.
fn route(hosts: u64, random: &mut Random) -> Vec<HostId> {
    let mut at = 0;
    let hops = 1 + random.below(3);
    let stops = (0..hops).map(|_| {
        at = (at + 1 + random.below(hosts - 1)) % hosts;
        HostId(at as u16)
    });
    [HostId(0)].into_iter().chain(stops.collect::<Vec<_>>()).collect()
}

fn limits(random: &mut Random) -> HostLimits {
    let outbox_messages_max = if random.percent(30) { 1 + random.below(3) as usize } else { 64 };
    HostLimits { outbox_messages_max, ..HostLimits::default() }
}

/// Long enough that a healthy peer never times out, or none at all.
fn timeouts(random: &mut Random) -> Timeouts {
    if random.percent(70) {
        return Timeouts::default();
    }
    let mut limit_ns = || random.percent(70).then(|| 300_000_000 + random.below(500_000_000));
    Timeouts { hand_over_ns: limit_ns(), arrival_ns: limit_ns(), answer_ns: limit_ns() }
}

fn scheduled(hosts: u64, random: &mut Random) -> Scheduled {
    let when = match random.below(4) {
        0 => Moment::AtNs(random.below(60_000_000)),
        _ => Moment::AfterSteps(random.below(STEPS_MAX) as usize),
    };
    Scheduled { when, disruption: disruption(hosts, random) }
}

fn disruption(hosts: u64, random: &mut Random) -> Disruption {
    let lasts_ns = duration_ns(random);
    // Crashes end most runs, so they are rarer than what a run survives.
    match random.below(10) {
        0..4 => {
            let a = random.below(hosts);
            let b = (a + 1 + random.below(hosts - 1)) % hosts;
            let between = [HostId(a as u16), HostId(b as u16)];
            let noticed_after_ns = [duration_ns(random), duration_ns(random)];
            Disruption::Cut { between, noticed_after_ns, lasts_ns }
        }
        4 | 5 => Disruption::Outage { noticed_after_ns: duration_ns(random), lasts_ns },
        6 => {
            let host = HostId(random.below(hosts) as u16);
            Disruption::Crash { host, noticed_after_ns: duration_ns(random), lasts_ns }
        }
        7 | 8 => Disruption::Cancel,
        _ => Disruption::Refuse,
    }
}

/// From nothing to a few round trips, short ones more often.
fn duration_ns(random: &mut Random) -> u64 {
    let magnitude = random.below(25);
    random.below(1 << magnitude)
}

/// A smaller run that fails as well: without what makes no difference. `fails` says whether a run does.
pub fn shrink(run: &Disrupted, mut fails: impl FnMut(&Disrupted) -> bool) -> Disrupted {
    let mut smallest = run.clone();
    while let Some(smaller) = smaller(&smallest).into_iter().find(&mut fails) {
        smallest = smaller;
    }
    smallest
}

/// Runs that are a little smaller, the boldest cuts first.
fn smaller(run: &Disrupted) -> Vec<Disrupted> {
    let with = |change: &dyn Fn(&mut Disrupted)| {
        let mut smaller = run.clone();
        change(&mut smaller);
        smaller
    };
    let mut candidates: Vec<Disrupted> =
        (0..run.disruptions.len()).map(|at| with(&|run| _ = run.disruptions.remove(at))).collect();
    candidates.push(with(&|run| run.scenario.route.truncate(run.scenario.route.len().max(3) - 1)));
    candidates.push(with(&|run| run.scenario.link.order = FrameOrder::Fifo));
    candidates.push(with(&|run| run.timeouts = Timeouts::default()));
    candidates.push(with(&|run| run.limits = HostLimits::default()));
    candidates.push(with(&|run| run.scenario.ending = Ending::Idle));
    candidates.push(with(&|run| run.scenario.layout.noise_percent = 0));
    candidates.push(with(&|run| run.scenario.layout.pages = (run.scenario.layout.pages / 2).max(1)));
    candidates.push(with(&|run| run.scenario.layout.pages = run.scenario.layout.pages.max(2) - 1));
    candidates.push(with(&|run| run.scenario.accesses_per_stay /= 2));
    candidates
        .push(with(&|run| run.scenario.accesses_per_stay = run.scenario.accesses_per_stay.saturating_sub(1)));
    candidates.retain(|candidate| candidate != run);
    candidates
}

impl End {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Arrived, Self::Exited, Self::Lost];
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Arrived => "arrived",
            Self::Exited => "exited",
            Self::Lost => "lost",
        })
    }
}

impl StormTally {
    /// How often this kind of disruption had an effect.
    pub fn injected(&self, kind: DisruptionKind) -> u64 {
        self.injected.get(&kind).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations;

    /// A run of an algorithm in which nothing goes wrong.
    fn report(policy: Policy) -> Report {
        let mut scenario = run(1).scenario;
        scenario.policy = policy;
        scenario.route = vec![HostId(0), HostId(1)];
        scenario.layout.pages = 4;
        World::run(&scenario).unwrap()
    }

    /// One more crossing of one page, in the log of a run.
    fn with_another_crossing(mut report: Report) -> Report {
        let sent = |step: &&Step| {
            matches!(
                step.event,
                Event::PageTransferred { .. } | Event::PagePushed { .. } | Event::PageCopied { .. }
            )
        };
        let again = report.log.iter().find(sent).expect("a page that was sent").clone();
        report.log.push(again);
        report.migrations = migrations(&report.log);
        report
    }

    /// The bound is where the algorithm has it, and each recovery of that migration moves it by one.
    #[test]
    fn a_crossing_too_many_is_named() {
        for policy in [Policy::TOTAL_COPY, Policy::TOTAL_COPY_DIRTY, Policy::POST_COPY] {
            let mut report = report(policy.clone());
            report.migrations.iter_mut().for_each(|migration| migration.crossings_of_a_page_max = 1);
            assert_eq!(check_traffic(&policy, &report), Ok(()));
        }
        for policy in [Policy::TOTAL_COPY, Policy::POST_COPY] {
            let report = report(policy.clone());
            assert_eq!(check_traffic(&policy, &report), Ok(()));
            let mut report = with_another_crossing(report);
            let epoch = Epoch(1);
            let traffic =
                |recoveries, sent| Err(StormError::Traffic { epoch, sent, recoveries, max: 1 + recoveries });
            assert_eq!(check_traffic(&policy, &report), traffic(0, 2));
            let recovered = |host, of| {
                let event = Event::PeerConnected {
                    peer: HostId(host).into(),
                    resync: Some(steplog::message::Progress::Running),
                };
                Step { at_ns: 0, place: HostId(1).into(), epoch: Epoch(of), event }
            };
            // To another host, and before this migration.
            report.log.extend([recovered(2, 1), recovered(0, 0)]);
            assert_eq!(check_traffic(&policy, &report), traffic(0, 2));
            report.log.push(recovered(0, 1));
            assert_eq!(check_traffic(&policy, &report), Ok(()));
            let report = with_another_crossing(report);
            assert_eq!(check_traffic(&policy, &report), traffic(1, 3));
        }
    }
}
