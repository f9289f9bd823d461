//! Every algorithm over every kind of link under every workload, three hops: the process sees what it would have
//! seen without moving, and no more pages cross the wire than the algorithm allows.

mod properties;

use protocol::policy::Policy;
use steplog::place::{Epoch, HostId};
use world::net::{FrameOrder, LinkConfig};
use world::workload::{PageLayout, Pattern, Workload};
use world::{Ending, Report, Scenario, World};

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const C: HostId = HostId(2);

/// Pages of the process.
const PAGES: u64 = 24;

const PATTERNS: [Pattern; 4] =
    [Pattern::Uniform, Pattern::Sequential, Pattern::Zipf, Pattern::WorkingSet { pages: 6, dwell: 20 }];

const ORDERS: [FrameOrder; 3] = [
    FrameOrder::Fifo,
    FrameOrder::Unordered { jitter_ns: 2_000_000 },
    FrameOrder::Lossy {
        jitter_ns: 2_000_000,
        loss_percent: 20,
        duplicate_percent: 20,
        retransmit_after_ns: 3_000_000,
    },
];

fn scenario(policy: &Policy, order: FrameOrder, pattern: Pattern, route: &[HostId], seed: u64) -> Scenario {
    Scenario {
        policy: policy.clone(),
        layout: PageLayout {
            pages: PAGES,
            file_mapped_percent: 40,
            initially_dirty_percent: 50,
            noise_percent: 30,
        },
        workload: Workload { pattern, write_percent: 50, interval_ns: 300_000 },
        link: LinkConfig { order, ..LinkConfig::FAST_ETHERNET },
        route: route.to_vec(),
        accesses_per_stay: 60,
        registers_len: 100,
        ending: Ending::Idle,
        seed,
    }
}

fn run(scenario: &Scenario) -> Report {
    let line = serde_json::to_string(scenario).unwrap();
    let report = World::run(scenario).unwrap_or_else(|error| panic!("{error}\nscenario: {line}"));
    properties::check(scenario, &report.log).unwrap_or_else(|error| panic!("{error}\nscenario: {line}"));
    report
}

fn everything(route: &[HostId], mut check: impl FnMut(&Scenario, &Report)) {
    for policy in Policy::ALL {
        for order in ORDERS {
            for pattern in PATTERNS {
                for seed in 1..=3 {
                    let scenario = scenario(&policy, order, pattern, route, seed);
                    check(&scenario, &run(&scenario));
                }
            }
        }
    }
}

fn check_traffic(scenario: &Scenario, report: &Report) {
    let policy = &scenario.policy;
    assert_eq!(report.migrations.len(), scenario.route.len() - 1, "{}", policy.name);
    for (migration, hop) in report.migrations.iter().zip(scenario.route.windows(2)) {
        assert_eq!([migration.from, migration.to], hop);
        if let Some(max) = policy.crossings_per_page_max() {
            assert!(migration.crossings_of_a_page_max <= max, "{}: {migration:?}", policy.name);
        }
        assert!(migration.freeze_ns().is_some(), "{}: {migration:?}", policy.name);
        if let Some(pages) = pages_from_source(policy) {
            let different = migration.pages_sent() - migration.pages_sent_again;
            assert_eq!(different, pages, "{}: {migration:?}", policy.name);
        }
    }
}

/// How many different pages must come from the source, where that does not depend on what the process does.
fn pages_from_source(policy: &Policy) -> Option<u64> {
    let all = ["total-copy", "pre-copy", "pre-copy-unbounded", "post-copy", "assisted-post-copy"];
    match &*policy.name {
        "flushing" => Some(0),
        name => all.contains(&name).then_some(PAGES),
    }
}

#[test]
fn to_three_hosts() {
    everything(&[A, B, C, A], check_traffic);
}

#[test]
fn there_and_back_and_there_again() {
    everything(&[A, B, A, B], check_traffic);
}

/// In the freeze nothing travels but what the algorithm says: no page at all for those that move pages afterwards,
/// up to two for the working set. A lazy copy that comes round to a host that it left earlier carries nothing there.
#[test]
fn the_freeze_stays_within_its_budget() {
    everything(&[A, B, C, A], |scenario, report| {
        let max = match &*scenario.policy.name {
            "lazy-copy" | "post-copy" | "assisted-post-copy" | "flushing" => 0,
            "generic" => 2,
            _ => PAGES,
        };
        for migration in &report.migrations {
            assert!(migration.pages_transferred <= max, "{}: {migration:?}", scenario.policy.name);
        }
    });
}

#[test]
fn every_algorithm_but_lazy_copy_comes_back_to_rest() {
    everything(&[A, B, C], |scenario, report| {
        let at_rest = report.migrations.iter().all(|migration| migration.at_rest_ns.is_some());
        assert_eq!(at_rest, scenario.policy != Policy::LAZY_COPY, "{}", scenario.policy.name);
    });
}

#[test]
fn lazy_copy_comes_to_rest_after_a_return() {
    for order in ORDERS {
        let report = run(&scenario(&Policy::LAZY_COPY, order, Pattern::Uniform, &[A, B, A], 1));
        assert_eq!(report.migrations[0].at_rest_ns, None);
        assert!(report.migrations[1].at_rest_ns.is_some() && report.migrations[1].pages_transferred > 0);
    }
}

/// Round to the first host again is no return: what is at the others stays there until it is touched.
#[test]
fn lazy_copy_does_not_come_to_rest_by_going_round() {
    for order in ORDERS {
        let report = run(&scenario(&Policy::LAZY_COPY, order, Pattern::Uniform, &[A, B, C, A, C], 1));
        let at_rest: Vec<_> =
            report.migrations.iter().map(|migration| migration.at_rest_ns.is_some()).collect();
        assert_eq!(at_rest, [false, false, false, true], "only the way straight back to C is a return");
    }
}

#[test]
fn after_exit_nothing_is_left_on_any_host() {
    for route in [&[A][..], &[A, B], &[A, B, C], &[A, B, A]] {
        everything(route, |scenario, _| {
            for ending in [Ending::Exit, Ending::ExitLeaving] {
                run(&Scenario { ending, ..scenario.clone() });
            }
        });
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for policy in Policy::ALL {
        let scenario = scenario(&policy, ORDERS[2], Pattern::Zipf, &[A, B, C], 9);
        assert_eq!(run(&scenario), run(&scenario));
        let other = Scenario { seed: 10, ..scenario.clone() };
        assert_ne!(run(&scenario).log, run(&other).log);
    }
}

#[test]
fn pages_that_are_nowhere_else_are_pushed_or_served_once() {
    let report = run(&scenario(&Policy::POST_COPY, FrameOrder::Fifo, Pattern::Uniform, &[A, B], 1));
    let migration = &report.migrations[0];
    assert_eq!((migration.epoch, migration.pages_sent(), migration.pages_transferred), (Epoch(1), 24, 0));
    assert!(migration.pages_served > 0 && migration.pages_pushed > 0, "{migration:?}");
}
