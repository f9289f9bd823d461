//! Random scenarios: whatever the algorithm, the links, the workload and the route, the process sees one memory.
//!
//! A failure is shrunk to a short scenario and printed as JSON together with its transcript.

mod properties;

use proptest::prelude::*;
use protocol::policy::{
    Channels, Clean, Fallback, Freeze, HandOver, LogReading, Missing, Passes, Policy, Pre, Push, Rest, Start,
    Stop, Wake,
};
use protocol::transcript::transcript;
use steplog::place::HostId;
use world::net::{FrameOrder, LinkConfig};
use world::workload::{PageLayout, Pattern, Workload};
use world::{Disrupted, Disruption, Ending, Moment, Scenario, Scheduled, World};

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        Just(Pattern::Sequential),
        Just(Pattern::Uniform),
        Just(Pattern::Zipf),
        (1..4u64, 1..30u64).prop_map(|(pages, dwell)| Pattern::WorkingSet { pages, dwell }),
    ]
}

fn order() -> impl Strategy<Value = FrameOrder> {
    let lossy = (0..3_000_000u64, 0..60u8, 0..60u8, 0..3_000_000u64);
    prop_oneof![
        Just(FrameOrder::Fifo),
        (0..3_000_000u64).prop_map(|jitter_ns| FrameOrder::Unordered { jitter_ns }),
        lossy.prop_map(|(jitter_ns, loss_percent, duplicate_percent, retransmit_after_ns)| {
            FrameOrder::Lossy { jitter_ns, loss_percent, duplicate_percent, retransmit_after_ns }
        }),
    ]
}

fn link() -> impl Strategy<Value = LinkConfig> {
    (1_000_000..1_000_000_000u64, 0..1_000_000u64, 1..6usize, order()).prop_map(
        |(bandwidth_bits_per_s, latency_ns, send_buffer_frames, order)| LinkConfig {
            bandwidth_bits_per_s,
            latency_ns,
            send_buffer_frames,
            order,
        },
    )
}

fn built_in() -> impl Strategy<Value = Policy> {
    (0..Policy::ALL.len(), any::<bool>(), any::<bool>()).prop_map(|(at, working_set, pivot)| {
        let policy = Policy::ALL[at].clone();
        match policy.push {
            Push::Pivot if !pivot => Policy { working_set, push: Push::NextMissing, ..policy },
            Push::Pivot => Policy { working_set, ..policy },
            _ => policy,
        }
    })
}

/// Every combination of choices that is an algorithm, known or not.
fn consistent() -> Vec<Policy> {
    let pre = [Pre::None, Pre::Copy(Passes::AtMost(2)), Pre::Copy(Passes::UntilInStep), Pre::WriteBack];
    let freeze = [Freeze::None, Freeze::All, Freeze::Modified, Freeze::NotInStep, Freeze::Flush];
    let missing = [Missing::Never, Missing::Source, Missing::FileServer, Missing::ByKind];
    let mut policies = Vec::new();
    for (pre, freeze, missing) in pre.into_iter().flat_map(|pre| {
        freeze.into_iter().flat_map(move |freeze| missing.map(move |missing| (pre, freeze, missing)))
    }) {
        let rest = if pre == Pre::WriteBack { Rest::PreMigration } else { Rest::Normal };
        for push in [Push::None, Push::NextMissing, Push::Pivot] {
            for clean in [Clean::Travel, Clean::LocalStore] {
                for working_set in [false, true] {
                    let name = "combination".into();
                    policies.push(Policy {
                        name,
                        pre,
                        freeze,
                        working_set,
                        missing,
                        push,
                        clean,
                        rest,
                        stop: Stop::Passes,
                        hand_over: HandOver::ReadyGo,
                        log: LogReading::Page,
                        start: Start::AtOnce,
                        fallback: Fallback::None,
                        channels: Channels::One,
                        wake: Wake::WithPage,
                    });
                }
            }
        }
    }
    policies.retain(|policy| policy.check().is_ok());
    policies
}

fn combination() -> impl Strategy<Value = Policy> {
    prop::sample::select(consistent())
}

/// Nine have names; with the switches of `generic`, twelve.
#[test]
fn so_many_policies_are_consistent() {
    assert_eq!(consistent().len(), 290);
}

/// Hosts in order; the process never moves to where it is.
fn route() -> impl Strategy<Value = Vec<HostId>> {
    prop::collection::vec(1..3u16, 1..5).prop_map(|steps| {
        let mut at = 0;
        let hops = steps.into_iter().map(|step| {
            at = (at + step) % 3;
            HostId(at)
        });
        [HostId(0)].into_iter().chain(hops).collect()
    })
}

fn scenario(policy: impl Strategy<Value = Policy>) -> impl Strategy<Value = Scenario> {
    let layout = (1..12u64, 0..=100u8, 0..=100u8, 0..=100u8).prop_map(
        |(pages, file_mapped_percent, initially_dirty_percent, noise_percent)| PageLayout {
            pages,
            file_mapped_percent,
            initially_dirty_percent,
            noise_percent,
        },
    );
    let workload = (pattern(), 0..=100u8, 1_000..2_000_000u64)
        .prop_map(|(pattern, write_percent, interval_ns)| Workload { pattern, write_percent, interval_ns });
    let ending = prop::sample::select(vec![Ending::Idle, Ending::Exit, Ending::ExitLeaving]);
    (policy, layout, workload, link(), route(), 0..40u64, ending, any::<u64>()).prop_map(
        |(policy, layout, workload, link, route, accesses_per_stay, ending, seed)| Scenario {
            policy,
            layout,
            workload,
            link,
            route,
            accesses_per_stay,
            registers_len: 16,
            ending,
            seed,
        },
    )
}

/// From nothing to a few round trips.
fn duration_ns() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..100_000u64, 100_000..5_000_000u64]
}

fn disruption() -> impl Strategy<Value = Disruption> {
    let cut = (0..3u16, 1..3u16, [duration_ns(), duration_ns()], duration_ns()).prop_map(
        |(a, step, noticed_after_ns, lasts_ns)| {
            let between = [HostId(a), HostId((a + step) % 3)];
            Disruption::Cut { between, noticed_after_ns, lasts_ns }
        },
    );
    let outage = (duration_ns(), duration_ns())
        .prop_map(|(noticed_after_ns, lasts_ns)| Disruption::Outage { noticed_after_ns, lasts_ns });
    let crash = (0..3u16, duration_ns(), duration_ns()).prop_map(|(host, noticed_after_ns, lasts_ns)| {
        Disruption::Crash { host: HostId(host), noticed_after_ns, lasts_ns }
    });
    prop_oneof![
        2 => Just(Disruption::Cancel),
        2 => Just(Disruption::Refuse),
        4 => cut,
        2 => outage,
        1 => crash,
    ]
}

fn disrupted() -> impl Strategy<Value = Disrupted> {
    let moment = prop_oneof![
        4 => (0..300usize).prop_map(Moment::AfterSteps),
        1 => (0..50_000_000u64).prop_map(Moment::AtNs),
    ];
    let scheduled = (moment, disruption()).prop_map(|(when, disruption)| Scheduled { when, disruption });
    (scenario(built_in()), prop::collection::vec(scheduled, 0..5), 1..8usize).prop_map(
        |(scenario, disruptions, outbox_messages_max)| {
            let mut disrupted = Disrupted { disruptions, ..Disrupted::from(scenario) };
            disrupted.limits.outbox_messages_max = outbox_messages_max;
            disrupted
        },
    )
}

fn check_disrupted(disrupted: &Disrupted) -> Result<(), TestCaseError> {
    let mut world = World::disrupted(disrupted).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let outcome = world.finish_within(100_000);
    let checked = properties::check(&disrupted.scenario, world.log());
    prop_assert!(
        outcome.is_ok() && checked.is_ok(),
        "{outcome:?} {checked:?}\n{}\n{}",
        serde_json::to_string(disrupted).unwrap_or_default(),
        transcript(world.log())
    );
    Ok(())
}

fn check(scenario: &Scenario) -> Result<(), TestCaseError> {
    let mut world = World::new(scenario).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let outcome = world.finish();
    let told =
        || format!("{}\n{}", serde_json::to_string(scenario).unwrap_or_default(), transcript(world.log()));
    prop_assert!(
        outcome.is_ok(),
        "{}\n{}",
        outcome.err().map_or(String::new(), |error| error.to_string()),
        told()
    );
    let checked = properties::check(scenario, world.log());
    prop_assert!(checked.is_ok(), "{checked:?}\n{}", told());
    let max = scenario.policy.crossings_per_page_max().unwrap_or(u64::MAX);
    for migration in world::migrations(world.log()) {
        prop_assert!(migration.crossings_of_a_page_max <= max, "{migration:?}\n{}", told());
    }
    Ok(())
}

proptest! {
    // `PROPTEST_CASES` in the environment takes precedence: 50 000 take half a minute.
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn built_in_algorithms_are_transparent(scenario in scenario(built_in())) {
        check(&scenario)?;
    }

    /// And go wrong what may: the log replays to its end all the same.
    #[test]
    fn disruptions_are_survived(disrupted in disrupted()) {
        check_disrupted(&disrupted)?;
    }

    #[test]
    fn any_consistent_policy_is_transparent(scenario in scenario(combination())) {
        check(&scenario)?;
    }
}
