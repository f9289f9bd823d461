//! What real systems are limited by, and what ends their passes: each against a formula, or against the same without it.

use std::sync::Arc;

use checker::simulate::summary::{Summary, outcomes};
use checker::simulate::workload_file::{AccessList, ListedAccess, Measured, Profile};
use checker::simulate::{
    CostModel, DirtyMarks, Endless, Fraction, Framing, Intervals, Patience, Preset, SimulatedWorkload,
    SimulationError, SimulationOutcome, SimulationSetup, SimulationSetupError, Span, StopRule, Throttling,
    message_bytes, run, run_while,
};
use protocol::policy::{Passes, Policy, Pre, Push};
use steplog::message::MessageKind;
use steplog::place::Place;

use crate::pre_copy_once;

/// Software for nothing on an ideal line of 100 Mbit/s.
fn bare(policy: Policy) -> SimulationSetup {
    let costs = CostModel { bandwidth_bits_per_s: 100_000_000, request_pause_ns: 0, ..CostModel::PAPER };
    SimulationSetup { costs, ..SimulationSetup::new(policy, Preset::Paper) }
}

fn costing(setup: SimulationSetup, change: impl FnOnce(&mut CostModel)) -> SimulationSetup {
    let mut setup = setup;
    change(&mut setup.costs);
    setup
}

fn outcome(setup: &SimulationSetup) -> SimulationOutcome {
    run(setup).expect("it runs")
}

fn freeze_s(outcome: &SimulationOutcome) -> f64 {
    outcome.freeze.ns().expect("it ends") as f64 / 1e9
}

#[track_caller]
fn assert_near(value: f64, expected: f64, share: f64) {
    assert!((value - expected).abs() <= share * expected, "{value}, expected {expected}");
}

#[test]
fn a_line_carries_frames_and_not_only_payload() {
    let setup = costing(bare(Policy::TOTAL_COPY), |costs| costs.framing = Some(Framing::ETHERNET));
    assert!(freeze_s(&outcome(&setup)) > 0.891);
    assert!(freeze_s(&outcome(&bare(Policy::TOTAL_COPY))) < 0.853);
}

#[test]
fn a_host_receives_no_more_than_its_line_takes() {
    for policy in Policy::ALL {
        let setup = bare(policy);
        let outcome = outcome(&setup);
        let to_destination =
            outcome.sent.iter().filter(|sent| sent.to == Place::Host(checker::simulate::DESTINATION));
        let bytes: u64 = to_destination.map(|sent| sent.bytes).sum();
        let least_s = bytes as f64 * 8.0 / 1e8;
        assert!(outcome.end_ns as f64 / 1e9 >= least_s, "{}: {outcome:?}", setup.policy.name);
    }
    let slow = costing(bare(Policy::TOTAL_COPY), |costs| costs.receive_bits_per_s = Some(50_000_000));
    assert_near(freeze_s(&outcome(&slow)), 2.0 * freeze_s(&outcome(&bare(Policy::TOTAL_COPY))), 0.01);
}

#[test]
fn a_window_and_a_round_trip_limit_the_rate() {
    let window_bytes = 64u64 << 10;
    let setup = costing(bare(Policy::TOTAL_COPY), |costs| {
        costs.bandwidth_bits_per_s = 10_000_000_000;
        costs.latency_ns = 10_000_000;
        costs.send_buffer_bytes = 1 << 30;
        costs.window_bytes = Some(window_bytes);
    });
    let page = message_bytes(MessageKind::Page, &setup);
    let round_trips = 2560.0 / (window_bytes / page) as f64;
    assert_near(freeze_s(&outcome(&setup)), round_trips * 0.020 + 0.03, 0.05);
    // And so does a send buffer that holds what is not acknowledged.
    let buffered = costing(setup, |costs| {
        costs.send_buffer_bytes = window_bytes;
        costs.window_bytes = Some(1 << 30);
    });
    assert_near(freeze_s(&outcome(&buffered)), round_trips * 0.020 + 0.03, 0.05);
}

#[test]
fn a_fault_waits_behind_what_is_queued_unless_it_has_a_channel_of_its_own() {
    let stall = |own_channel: bool, buffer: u64| {
        let setup = SimulationSetup {
            memory_bytes: 64 << 20,
            access_interval_ns: 20_000_000,
            accesses_min: 0,
            ..bare(Policy::POST_COPY)
        };
        let setup = costing(setup, |costs| {
            costs.window_bytes = Some(1 << 20);
            (costs.own_channel, costs.send_buffer_bytes, costs.push_backlog_bytes) =
                (own_channel, buffer, buffer);
        });
        outcome(&setup).stalls.median_ns as f64
    };
    let buffered_ns = |bytes: u64| bytes as f64 * 8.0 / 1e8 * 1e9;
    assert_near(stall(false, 256 << 10), buffered_ns(256 << 10), 0.1);
    assert_near(stall(false, 512 << 10), buffered_ns(512 << 10), 0.1);
    assert!(stall(true, 512 << 10) < 0.05 * stall(false, 512 << 10));
}

#[test]
fn costs_of_the_software_do_not_idle_the_line() {
    let bare = bare(Policy::TOTAL_COPY);
    let cheap = costing(bare.clone(), |costs| costs.page_ns = 100_000);
    assert_near(freeze_s(&outcome(&cheap)), freeze_s(&outcome(&bare)), 0.001);
    let dear = costing(bare.clone(), |costs| costs.page_ns = 1_000_000);
    assert_near(freeze_s(&outcome(&dear)), 2.56, 0.01);
    let shared = costing(bare.clone(), |costs| (costs.page_ns, costs.streams) = (1_000_000, 2));
    assert_near(freeze_s(&outcome(&shared)), 1.28, 0.01);
    let fixed = costing(bare.clone(), |costs| costs.freeze_ns = 50_000_000);
    assert_near(freeze_s(&outcome(&fixed)), freeze_s(&outcome(&bare)) + 0.05, 0.001);
    let post = |fault_ns, serve_ns| {
        let setup = SimulationSetup { workload: SimulatedWorkload::All, ..self::bare(Policy::LAZY_COPY) };
        outcome(&costing(setup, |costs| (costs.fault_ns, costs.serve_ns) = (fault_ns, serve_ns)))
            .stalls
            .median_ns
    };
    // Once for the request, once to run again.
    assert_eq!(post(30_000, 20_000) - post(0, 0), 2 * 30_000 + 20_000);
}

#[test]
fn a_cap_holds_before_the_suspension_and_another_after_the_resume() {
    let capped = costing(bare(pre_copy_once()), |costs| costs.copy_cap_bits_per_s = Some(10_000_000));
    let capped = SimulationSetup { workload: SimulatedWorkload::None, ..capped };
    assert_near(outcome(&capped).pre_migration.ns().expect("it ends") as f64 / 1e9, 8.47, 0.01);
    let capped = costing(bare(Policy::POST_COPY), |costs| costs.post_cap_bits_per_s = Some(10_000_000));
    let capped = SimulationSetup { workload: SimulatedWorkload::None, ..capped };
    assert_near(outcome(&capped).post_migration.ns().expect("it ends") as f64 / 1e9, 8.47, 0.01);
}

/// What is dirty after a pass in which each page is written `x` times on average, any as likely as the others.
#[test]
fn a_log_by_pass_leaves_what_was_written_in_the_pass_and_one_by_page_what_was_written_since_it_was_sent() {
    let x = 2.12f64;
    let left = |log| {
        let setup = SimulationSetup {
            log,
            write_share: Fraction::ALL,
            dirty_share: Fraction::NONE,
            ..bare(pre_copy_once())
        };
        let setup = costing(SimulationSetup { memory_bytes: 32 << 20, ..setup }, |costs| {
            costs.send_buffer_bytes = 8192
        });
        let access_interval_ns = (1e9 / setup.pages_per_s() / x) as u64;
        let outcome = outcome(&SimulationSetup { access_interval_ns, ..setup });
        outcome.left_after_pass[0] as f64 / outcome.page_count as f64
    };
    let by_pass = 1.0 - (-x).exp();
    assert_near(left(DirtyMarks::Pass), by_pass, 0.02);
    assert_near(left(DirtyMarks::Page), 1.0 - by_pass / x, 0.02);
}

/// The reference on Linux looks for marks all the time and takes one when its page is sent; hypervisors take all when a pass
/// begins. So of a process that writes anywhere, a pass leaves half as many, as long as they are few.
#[test]
fn each_system_takes_marks_in_its_own_way() {
    let left = |preset: Preset| {
        // On one line, with the same costs and hardly any buffer, in which pages would wait that count as sent.
        let setup = SimulationSetup {
            costs: bare(pre_copy_once()).costs,
            access_interval_ns: 3_000_000,
            ..SimulationSetup::new(pre_copy_once(), preset)
        };
        let outcome = outcome(&costing(setup, |costs| costs.send_buffer_bytes = 8192));
        outcome.left_after_pass[0] as f64
    };
    assert_near(left(Preset::Qemu) / left(Preset::Sojourn), 2.0, 0.3);
    assert_near(left(Preset::Criu) / left(Preset::Sojourn), 2.0, 0.3);
}

/// Where the target is looked at during a pass as well, the freeze is as long as it may be, and copying ends sooner.
#[test]
fn qemu_stops_within_a_pass_as_soon_as_the_target_is_met() {
    let target_ns = 300_000_000;
    let moved = |look_every_ns| {
        let mut setup = SimulationSetup::new(Policy::PRE_COPY, Preset::Qemu);
        setup.memory_bytes = 64 << 20;
        setup.workload = SimulatedWorkload::Sequential;
        (setup.write_share, setup.access_interval_ns) = (Fraction::ALL, 1_000_000);
        setup.costs.send_buffer_bytes = 64 << 10;
        assert_eq!(setup.stop.look_every_ns, Some(50_000_000));
        setup.stop.look_every_ns = look_every_ns;
        setup.unbind_passes();
        setup.aim_at_downtime(target_ns);
        let outcome = outcome(&setup);
        (freeze_s(&outcome), outcome.pre_migration.ns().expect("it ends"))
    };
    let (within, at_end) = (moved(Some(50_000_000)), moved(None));
    assert!((0.24..0.32).contains(&within.0), "{within:?}");
    assert!(at_end.0 < 0.9 * within.0 && at_end.1 > within.1, "{at_end:?} and {within:?}");
}

/// Pages are sent one after the other, and each is written a while before: it goes again unless it was looked meanwhile.
#[test]
fn what_is_written_shortly_before_it_is_sent_goes_again_where_marks_are_looked_for() {
    let setup = costing(bare(pre_copy_once()), |costs| costs.send_buffer_bytes = 8192);
    let page_ns = (message_bytes(MessageKind::Page, &setup) * 8 * 10) as f64;
    let before_ns = 20_000_000;
    let access =
        |page: u64| ListedAccess { at_ns: (page as f64 * page_ns) as u64 - before_ns, page, writes: true };
    let begins = ListedAccess { at_ns: 0, page: 0, writes: false };
    let accesses: Vec<_> = std::iter::once(begins).chain((100..2560).map(access)).collect();
    let pages = accesses.len() as f64 - 1.0;
    let workload = SimulatedWorkload::Listed(Arc::new(AccessList { accesses, period_ns: 1 << 60 }));
    let left = |look_ns: u64| {
        let setup = SimulationSetup { workload: workload.clone(), accesses_min: 0, ..setup.clone() };
        outcome(&costing(setup, |costs| costs.look_ns = look_ns)).pages.transferred as f64
    };
    assert_eq!((left(0), left(10_000_000)), (0.0, 0.0));
    assert_near(left(50_000_000), pages * (1.0 - 20.0 / 50.0), 0.05);
    assert_near(left(200_000_000), pages * (1.0 - 20.0 / 200.0), 0.05);
}

/// Of what is written in every look, few enough are sent while the process stands still for them; with more it goes on.
#[test]
fn a_process_that_is_found_to_have_written_few_pages_is_held_until_they_are_sent() {
    let setup = |pages: u64, every_ns: u64, look_ns: u64| {
        let access = |page: u64| ListedAccess { at_ns: page * every_ns, page, writes: true };
        let list = AccessList { accesses: (0..pages).map(access).collect(), period_ns: pages * every_ns };
        let setup = SimulationSetup {
            workload: SimulatedWorkload::Listed(Arc::new(list)),
            accesses_min: 0,
            ..bare(Policy::PRE_COPY_UNBOUNDED)
        };
        costing(setup, |costs| {
            (costs.look_ns, costs.send_buffer_bytes) = (look_ns, 8192);
        })
    };
    let page_s = (message_bytes(MessageKind::Page, &setup(1, 1, 0)) * 8) as f64 / 1e8;
    let frozen_s = |pages, every_ns, look_ns| {
        let setup = setup(pages, every_ns, look_ns);
        let outcome = outcome(&setup);
        assert_eq!(outcome.pages.transferred, 0, "{outcome:?}");
        freeze_s(&outcome) - setup.bare_freeze_ns() as f64 / 1e9
    };
    // What is in the send buffer comes first in any case.
    assert!(frozen_s(10, 1_000_000, 0) < 3.0 * page_s);
    let held_s = frozen_s(10, 100_000, 50_000_000);
    assert!((9.5..13.0).contains(&(held_s / page_s)), "{} pages", held_s / page_s);
    // 60 are found, then 40, 26 and 17.
    let held_s = frozen_s(60, 500_000, 50_000_000);
    assert!((6.0..18.0).contains(&(held_s / page_s)), "{} pages", held_s / page_s);
}

/// What a freeze consists of besides the line, each where it has an occasion.
#[test]
fn a_freeze_takes_longer_with_mapped_files_and_with_outdated_pages() {
    let longer = |setup: SimulationSetup, change: fn(&mut CostModel)| {
        let before = freeze_s(&outcome(&setup));
        freeze_s(&outcome(&costing(setup, change))) - before
    };
    let mapped: fn(&mut CostModel) = |costs| costs.mapped_freeze_ns = 2_000_000_000;
    let outdated: fn(&mut CostModel) = |costs| costs.drop_ns = 2_000_000_000;
    let idle = |policy| SimulationSetup { workload: SimulatedWorkload::None, ..bare(policy) };
    let private = SimulationSetup { mapped_share: Fraction::NONE, ..idle(Policy::GENERIC) };
    for (setup, change, expected) in [
        (idle(Policy::GENERIC), mapped, 2.0),
        (private, mapped, 0.0),
        (idle(Policy::POST_COPY), mapped, 0.0),
        (idle(Policy::PRE_COPY), outdated, 0.0),
        (bare(Policy::PRE_COPY), outdated, 2.0),
        (bare(Policy::POST_COPY), outdated, 0.0),
    ] {
        let name = setup.policy.name.clone();
        // What is in the buffer passes meanwhile.
        assert!((longer(setup, change) - expected).abs() < 0.1, "{name}: {expected}");
    }
}

#[test]
fn a_description_of_the_state_is_waited_for_where_no_page_follows_the_resume() {
    let hybrid = Policy::ASSISTED_POST_COPY;
    for (policy, expected_s) in
        [(Policy::PRE_COPY, 1.0), (Policy::TOTAL_COPY, 1.0), (Policy::POST_COPY, 0.0), (hybrid, 0.0)]
    {
        let setup = SimulationSetup { workload: SimulatedWorkload::None, ..bare(policy) };
        let described = costing(setup.clone(), |costs| costs.description_bytes = 12_500_000);
        let longer_s = freeze_s(&outcome(&described)) - freeze_s(&outcome(&setup));
        assert!((longer_s - expected_s).abs() < 1e-6, "{}: {longer_s}", setup.policy.name);
    }
}

#[test]
fn a_process_that_was_measured_and_does_nothing_moves() {
    let curve = vec![Measured { after_ns: 1_000_000_000, written: 0, touched: 0, ..Measured::default() }];
    let profile = Profile { pages: 100, curve, ..Profile::default() };
    for policy in [Policy::PRE_COPY, Policy::POST_COPY, Policy::GENERIC] {
        let mut setup = SimulationSetup::new(policy, Preset::Sojourn);
        setup.take_over(&profile);
        setup.workload = SimulatedWorkload::Measured(Arc::new(profile.clone()));
        assert_eq!(outcome(&setup).accesses, 0);
    }
}

/// Drawn intervals do not keep step with the pages that are sent: a little more time makes a little difference, and each
/// seed another one.
#[test]
fn with_drawn_intervals_a_little_more_time_makes_a_little_difference() {
    let faults = |access_interval_ns| {
        let setup = SimulationSetup {
            intervals: Intervals::Drawn,
            access_interval_ns,
            ..SimulationSetup::published(Policy::POST_COPY)
        };
        Summary::of(&outcomes(&setup, 16, &Endless).expect("they run")).faults
    };
    let [shorter, longer] = [280_000, 300_000].map(faults);
    assert!(shorter.deviation > 0.0 && longer.deviation < 0.1 * longer.mean, "{shorter:?} and {longer:?}");
    let expected = shorter.mean * 0.965;
    assert_near(longer.mean, expected, 0.05);
}

#[test]
fn where_accesses_are_local_it_matters_which_page_is_pushed_next() {
    let faults = |push, workload: SimulatedWorkload| {
        let setup = SimulationSetup {
            workload,
            access_interval_ns: 500_000,
            ..bare(Policy { push, ..Policy::POST_COPY })
        };
        let setup = SimulationSetup { memory_bytes: 64 << 20, ..setup };
        Summary::of(&outcomes(&setup, 4, &Endless).expect("they run")).faults.mean
    };
    let [pivot, next] = [Push::Pivot, Push::NextMissing].map(|push| faults(push, SimulatedWorkload::Local));
    assert!(2.0 * pivot < next, "{pivot} and {next}");
    let [pivot, next] = [Push::Pivot, Push::NextMissing].map(|push| faults(push, SimulatedWorkload::Uniform));
    assert!(pivot > 0.8 * next, "{pivot} and {next}");
}

#[test]
fn a_dirty_rate_is_one_of_different_pages() {
    let mut setup = bare(Policy::PRE_COPY);
    setup.set_dirty_rate(1000).expect("a rate");
    let writes = -2560.0 * (1.0 - 1000.0 / 2560.0f64).ln();
    assert_near(setup.writes_per_s().expect("a rate"), writes, 0.1);
    let mut sequential =
        SimulationSetup { workload: SimulatedWorkload::Sequential, ..bare(Policy::PRE_COPY) };
    sequential.set_dirty_rate(1000).expect("a rate");
    assert_near(sequential.writes_per_s().expect("a rate"), 1000.0, 0.1);
    assert!(matches!(
        setup.set_dirty_rate(2561),
        Err(SimulationSetupError::RateTooHigh { distinct: 2561, most: 2560, .. })
    ));
    let mut half = SimulationSetup { touched_share: Fraction::HALF, ..bare(Policy::PRE_COPY) };
    assert!(half.set_dirty_rate(1300).is_err());
}

#[test]
fn a_downtime_target_is_kept() {
    let target_ns = 60_000_000;
    let mut setup = costing(bare(Policy::PRE_COPY), |costs| costs.send_buffer_bytes = 8192);
    setup.unbind_passes();
    setup.stop = StopRule { downtime_ns: Some(target_ns), ..StopRule::default() };
    let outcome = outcome(&setup);
    let most_ns = target_ns + setup.bare_freeze_ns() + 2_000_000;
    assert!(outcome.freeze.ns().is_some_and(|ns| ns <= most_ns), "{outcome:?}");
    assert!(setup.frozen_ns(*outcome.left_after_pass.last().expect("a pass")) <= target_ns);
    assert!(outcome.left_after_pass.iter().rev().skip(1).all(|left| setup.frozen_ns(*left) > target_ns));
}

/// A process that writes to half of its pages faster than they are sent.
fn restless() -> SimulationSetup {
    let setup = SimulationSetup {
        touched_share: Fraction::HALF,
        write_share: Fraction::ALL,
        access_interval_ns: 50_000,
        ..bare(Policy::PRE_COPY)
    };
    let mut setup = setup;
    setup.unbind_passes();
    setup.stop.downtime_ns = Some(50_000_000);
    setup
}

#[test]
fn what_is_missed_by_copying_alone_is_met_by_throttling_or_followed_by_post_copy() {
    let alone = outcome(&restless());
    let divergence = alone.divergence.expect("it never ends");
    assert!(divergence.fewest_left > 1000 && divergence.freeze_ns > 50_000_000, "{divergence:?}");
    assert_eq!((alone.pre_migration, alone.freeze), (Span::Endless, Span::NotReached));
    let stop = StopRule { throttle: Some(Throttling::AUTO_CONVERGE), ..restless().stop };
    let throttled = outcome(&SimulationSetup { stop, ..restless() });
    assert!(throttled.divergence.is_none() && throttled.throttled_ns > 0, "{throttled:?}");
    assert!(throttled.slowdown() > 0.1);
    let stop = StopRule { switch_to_post_copy: true, timeout_ns: Some(2_000_000_000), ..restless().stop };
    let switched = outcome(&SimulationSetup { stop, ..restless() });
    assert!(switched.switched && switched.pages.pushed > 0 && switched.divergence.is_none());
    assert!(freeze_s(&switched) < 0.06);
    let stop = StopRule { timeout_ns: Some(2_000_000_000), ..restless().stop };
    let late = outcome(&SimulationSetup { stop, ..restless() });
    assert!(
        !late.switched
            && freeze_s(&late) > 0.1
            && late.pre_migration.ns().is_some_and(|ns| ns > 2_000_000_000)
    );
}

/// What is said of a run is seen in it: a target of as much as it says is met.
#[test]
fn copying_that_never_ends_would_end_with_the_target_that_is_said() {
    let divergence = outcome(&restless()).divergence.expect("it never ends");
    let mut setup = restless();
    setup.stop.downtime_ns = Some(divergence.freeze_ns + 1_000_000);
    assert!(outcome(&setup).divergence.is_none());
}

#[test]
fn zero_pages_and_compressed_ones_are_short() {
    let whole = outcome(&bare(Policy::TOTAL_COPY));
    let zero = costing(
        SimulationSetup {
            zero_share: Fraction::HALF,
            dirty_share: Fraction::NONE,
            workload: SimulatedWorkload::None,
            ..bare(Policy::TOTAL_COPY)
        },
        |costs| {
            costs.zero_page_bytes = Some(9);
        },
    );
    assert_near(freeze_s(&outcome(&zero)), 0.5 * freeze_s(&whole), 0.05);
    let compressed = costing(bare(Policy::TOTAL_COPY), |costs| costs.compressed = Some(Fraction::HALF));
    assert_near(freeze_s(&outcome(&compressed)), 0.5 * freeze_s(&whole), 0.05);
}

#[test]
fn a_part_on_a_slower_line_takes_as_long() {
    for policy in [Policy::TOTAL_COPY, Policy::PRE_COPY, Policy::POST_COPY] {
        let setup = SimulationSetup { memory_bytes: 1 << 26, ..SimulationSetup::new(policy, Preset::Qemu) };
        let setup = SimulationSetup {
            access_interval_ns: 54_400,
            ..costing(setup, |costs| costs.bandwidth_bits_per_s = 625_000_000)
        };
        let [all, part] =
            [1, 8].map(|divisor| outcome(&setup.scaled(divisor)).total().ns().expect("it ends") as f64);
        assert_near(part, all, 0.05);
    }
}

#[test]
fn what_is_beyond_all_bounds_is_refused_by_name() {
    let refused = |setup: SimulationSetup| setup.page_count().expect_err("too much").to_string();
    let bare = || bare(Policy::PRE_COPY);
    for (error, culprit) in [
        (refused(costing(bare(), |costs| costs.bandwidth_bits_per_s = 1)), "years"),
        (refused(costing(bare(), |costs| costs.bandwidth_bits_per_s = u64::MAX)), "a bandwidth"),
        (refused(costing(bare(), |costs| costs.receive_bits_per_s = Some(0))), "bandwidth of 0"),
        (refused(costing(bare(), |costs| costs.latency_ns = u64::MAX)), "a latency"),
        (refused(costing(bare(), |costs| costs.send_buffer_bytes = u64::MAX)), "a send buffer"),
        (refused(costing(bare(), |costs| costs.window_bytes = Some(u64::MAX))), "a window"),
        (refused(costing(bare(), |costs| costs.state_bytes = u64::MAX)), "a state"),
        (refused(costing(bare(), |costs| costs.freeze_ns = u64::MAX)), "a cost of the freeze"),
        (refused(costing(bare(), |costs| costs.page_ns = u64::MAX)), "a cost of a page"),
        (refused(costing(bare(), |costs| costs.fault_ns = u64::MAX)), "a cost of a fault"),
        (refused(costing(bare(), |costs| costs.streams = u32::MAX)), "streams"),
        (refused(SimulationSetup { threads: u32::MAX, ..bare() }), "threads"),
        (refused(SimulationSetup { access_interval_ns: u64::MAX, ..bare() }), "an access interval"),
        (refused(SimulationSetup { accesses_min: u64::MAX, ..bare() }), "accesses"),
        (
            refused(SimulationSetup { page_size_bytes: u64::MAX, memory_bytes: u64::MAX, ..bare() }),
            "a page size",
        ),
        (refused(SimulationSetup { memory_bytes: u64::MAX, ..bare() }), "at most 16777216"),
    ] {
        assert!(error.contains(culprit), "{error} does not name {culprit}");
    }
}

/// Somebody who looks a few times.
struct Impatient(std::cell::Cell<u32>);

impl Patience for Impatient {
    fn is_out(&self, _: u64, _: u64) -> bool {
        self.0.set(self.0.get() + 1);
        self.0.get() > 2
    }
}

#[test]
fn a_long_run_can_be_given_up() {
    let setup = SimulationSetup { memory_bytes: 1 << 30, ..bare(Policy::TOTAL_COPY) };
    let given_up = run_while(&setup, &Impatient(0.into()));
    assert!(matches!(given_up, Err(SimulationError::OutOfTime { now_ns }) if now_ns > 0), "{given_up:?}");
}

#[test]
fn bounded_passes_are_what_the_algorithm_says() {
    let setup = SimulationSetup {
        write_share: Fraction::ALL,
        ..bare(Policy { pre: Pre::Copy(Passes::AtMost(3)), ..Policy::PRE_COPY })
    };
    assert_eq!(outcome(&setup).passes, 3);
}
