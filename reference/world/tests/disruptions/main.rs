//! Every disruption at every step of a migration under every algorithm, and pairs of them: the process sees one memory,
//! runs on one host at most, and ends where the table says.

mod table;

use protocol::policy::{Policy, Pre};
use steplog::event::{Event, Step};
use steplog::place::HostId;
use world::net::LinkConfig;
use world::storm::{self, StormError};
use world::workload::{PageLayout, Pattern, Workload};
use world::{Disrupted, Disruption, Ending, Moment, Scenario, Scheduled, World};

const A: HostId = HostId(0);
const B: HostId = HostId(1);

/// A few round trips.
const MS: u64 = 1_000_000;

fn scenario(policy: &Policy) -> Scenario {
    Scenario {
        policy: policy.clone(),
        layout: PageLayout {
            pages: 6,
            file_mapped_percent: 50,
            initially_dirty_percent: 60,
            noise_percent: 100,
        },
        workload: Workload { pattern: Pattern::Uniform, write_percent: 60, interval_ns: 250_000 },
        link: LinkConfig { send_buffer_frames: 1, ..LinkConfig::FAST_ETHERNET },
        route: vec![A, B],
        accesses_per_stay: 10,
        registers_len: 16,
        ending: Ending::Idle,
        seed: 1899,
    }
}

fn at(steps: usize, disruption: Disruption) -> Scheduled {
    Scheduled { when: Moment::AfterSteps(steps), disruption }
}

fn with(policy: &Policy, disruptions: Vec<Scheduled>) -> Disrupted {
    Disrupted { disruptions, ..Disrupted::from(scenario(policy)) }
}

fn run(run: &Disrupted) -> Vec<Step> {
    let fails = |error: StormError| panic!("{error}\n{}", serde_json::to_string(run).unwrap());
    storm::weather(run).unwrap_or_else(fails);
    let mut world = World::disrupted(run).unwrap();
    world.finish().unwrap();
    world.log().to_vec()
}

/// What can go wrong, by name, each in a few ways.
fn disruptions() -> Vec<(&'static str, Vec<Disruption>)> {
    let cut = |noticed_after_ns, lasts_ns| Disruption::Cut { between: [A, B], noticed_after_ns, lasts_ns };
    let crash = |host, noticed_after_ns, lasts_ns| Disruption::Crash { host, noticed_after_ns, lasts_ns };
    let outage = |noticed_after_ns, lasts_ns| Disruption::Outage { noticed_after_ns, lasts_ns };
    vec![
        ("cancel", vec![Disruption::Cancel]),
        ("refuse", vec![Disruption::Refuse]),
        // One end gives the connection up; the other goes on as if nothing were until there is a new one.
        ("suspect", vec![cut([0, 3 * MS], MS), cut([3 * MS, 0], MS)]),
        ("cut", vec![cut([0, 0], 3 * MS)]),
        ("  noticed late", vec![cut([MS, MS], MS), cut([MS / 5, MS / 2], MS)]),
        ("outage", vec![outage(0, MS), outage(2 * MS, MS)]),
        ("crash-source", vec![crash(A, 0, MS)]),
        ("  noticed late", vec![crash(A, MS, MS)]),
        ("crash-destination", vec![crash(B, 0, MS)]),
        ("  noticed late", vec![crash(B, MS, MS)]),
    ]
}

#[test]
fn pairs_of_disruptions() {
    let all: Vec<_> = disruptions().into_iter().flat_map(|(_, ways)| ways).collect();
    for (turn, policy) in Policy::ALL.iter().enumerate() {
        let steps = run(&with(policy, vec![])).len();
        // Different steps for each algorithm, the second one also after the undisturbed run would have ended.
        for first in (turn..steps).step_by(15) {
            for (ways, one) in all.iter().enumerate() {
                for (other_ways, other) in all.iter().enumerate() {
                    let gap = (7 * ways + 3 * other_ways + first) % 40;
                    run(&with(policy, vec![at(first, *one), at(first + gap, *other)]));
                }
            }
        }
    }
}

/// Over links that reorder, lose and repeat, with more hosts, and with exit instead of rest.
#[test]
fn a_disruption_at_every_step_of_a_rough_journey() {
    let order = world::net::FrameOrder::Lossy {
        jitter_ns: MS,
        loss_percent: 20,
        duplicate_percent: 20,
        retransmit_after_ns: 2 * MS,
    };
    for policy in &Policy::ALL {
        for ending in [Ending::Idle, Ending::Exit, Ending::ExitLeaving] {
            let link = LinkConfig { order, ..LinkConfig::FAST_ETHERNET };
            let rough = Scenario { link, ending, route: vec![A, B, HostId(2), A], ..scenario(policy) };
            let undisturbed = Disrupted::from(rough);
            let steps = run(&undisturbed).len();
            for (turn, disruption) in disruptions().into_iter().flat_map(|(_, ways)| ways).enumerate() {
                for step in (turn..steps).step_by(8) {
                    run(&Disrupted { disruptions: vec![at(step, disruption)], ..undisturbed.clone() });
                }
            }
        }
    }
}

/// How often an event of this kind is in the log.
fn count(log: &[Step], wanted: impl Fn(&Event) -> bool) -> usize {
    log.iter().filter(|step| wanted(&step.event)).count()
}

/// An attempt that failed has cleared no dirty bit: what it sent is sent again, whatever way it goes.
#[test]
fn a_second_attempt_starts_afresh() {
    for policy in Policy::ALL.iter().filter(|policy| matches!(policy.pre, Pre::Copy(_))) {
        let undisturbed = run(&with(policy, vec![]));
        let copied = |event: &Event| matches!(event, Event::PageCopied { .. });
        let suspended =
            undisturbed.iter().position(|step| matches!(step.event, Event::ProcessSuspended { .. })).unwrap();
        let log = run(&with(policy, vec![at(suspended + 1, Disruption::Cancel)]));
        assert_eq!(count(&log, |event| matches!(event, Event::MigrationCancelled { .. })), 1);
        assert_eq!(count(&log, |event| matches!(event, Event::MigrationStarted { .. })), 2);
        assert!(count(&log, copied) >= count(&undisturbed, copied) + 6, "{}", policy.name);
    }
}
