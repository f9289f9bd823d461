//! A step log is complete: fresh endpoints go through it step by step and end in the same state. A log that was
//! tampered with is not consumed to its end.

use std::sync::Arc;

use protocol::policy::Policy;
use protocol::replay::{Replay, ReplayError};
use steplog::event::{Event, Step, read_log, write_log};
use steplog::page::PageNumber;
use steplog::place::HostId;
use world::net::{FrameOrder, LinkConfig};
use world::workload::{PageLayout, Pattern, Workload};
use world::{Ending, Scenario, World};

const HOSTS: [HostId; 3] = [HostId(0), HostId(1), HostId(2)];

fn scenario(policy: &Policy, ending: Ending) -> Scenario {
    let (jitter_ns, loss_percent, duplicate_percent, retransmit_after_ns) = (1_000_000, 20, 20, 2_000_000);
    let order = FrameOrder::Lossy { jitter_ns, loss_percent, duplicate_percent, retransmit_after_ns };
    Scenario {
        policy: policy.clone(),
        layout: PageLayout {
            pages: 12,
            file_mapped_percent: 50,
            initially_dirty_percent: 50,
            noise_percent: 30,
        },
        workload: Workload { pattern: Pattern::Zipf, write_percent: 50, interval_ns: 200_000 },
        link: LinkConfig { order, ..LinkConfig::FAST_ETHERNET },
        route: vec![HOSTS[0], HOSTS[1], HOSTS[2], HOSTS[0]],
        accesses_per_stay: 30,
        registers_len: 16,
        ending,
        seed: 3,
    }
}

fn replay(scenario: &Scenario) -> Replay {
    let image = Arc::new(scenario.layout.image(scenario.seed));
    Replay::new(&scenario.policy, &image, &HOSTS).unwrap()
}

/// The index of the first step that cannot be replayed, and why.
fn first_failure(scenario: &Scenario, log: &[Step]) -> Option<(usize, ReplayError)> {
    let mut replay = replay(scenario);
    log.iter().enumerate().find_map(|(at, step)| replay.step(step).err().map(|error| (at, error)))
}

#[test]
fn a_log_leads_fresh_endpoints_to_the_same_state() {
    for policy in Policy::ALL {
        for ending in [Ending::Idle, Ending::Exit] {
            let scenario = scenario(&policy, ending);
            let mut world = World::new(&scenario).unwrap();
            world.finish().unwrap();
            let mut ndjson = Vec::new();
            write_log(world.log(), &mut ndjson).unwrap();
            let mut replay = replay(&scenario);
            for (at, step) in read_log(&ndjson[..]).enumerate() {
                replay
                    .step(&step.unwrap())
                    .unwrap_or_else(|error| panic!("{}, line {at}: {error}", policy.name));
            }
            for id in HOSTS {
                let (replayed, original) = (replay.host(id).unwrap(), world.host(id).unwrap());
                assert_eq!(replayed.role(), original.role(), "{}", policy.name);
                assert_eq!(replayed.memory(), original.memory(), "{}", policy.name);
            }
        }
    }
}

#[test]
fn a_log_with_a_step_missing_is_not_accepted() {
    let scenario = scenario(&Policy::GENERIC, Ending::Idle);
    let log = World::run(&scenario).unwrap().log;
    let essential = |event: &Event| {
        !matches!(
            event,
            Event::PageRead { .. }
                | Event::PageWritten { .. }
                | Event::MessageIgnored { .. }
                // These may answer a duplicate; what follows is the same as from the first answer.
                | Event::WriteBackSuperseded { .. }
                | Event::FetchServed { .. }
                // Without consequences if the page is not written again.
                | Event::WriteBackAcknowledged { .. }
        )
    };
    // What comes last has no consequences that could be missed.
    let migrations_end =
        log.iter().rposition(|step| matches!(step.event, Event::DestructionLearned { .. })).unwrap();
    let without = (0..migrations_end).filter(|&at| essential(&log[at].event));
    for at in without {
        let mut shortened = log.clone();
        let removed = shortened.remove(at);
        let failure = first_failure(&scenario, &shortened);
        assert!(failure.is_some_and(|(failed_at, _)| failed_at >= at), "without {removed:?}");
    }
}

#[test]
fn a_step_that_nothing_led_to_is_named() {
    let scenario = scenario(&Policy::POST_COPY, Ending::Idle);
    let mut log = World::run(&scenario).unwrap().log;
    let resumed = log.iter().position(|step| matches!(step.event, Event::ProcessResumed { .. })).unwrap();
    let Step { at_ns, place, epoch, .. } = log[resumed];
    let event = Event::RequestAccepted { page: PageNumber(1), from: HOSTS[2] };
    log.insert(resumed, Step { at_ns, place, epoch, event });
    assert!(
        matches!(first_failure(&scenario, &log), Some((at, ReplayError::NeverSent { .. })) if at == resumed)
    );
}
