//! What a dead machine owed comes from a backing store; and pre-copy that leaves to the store what that has.

use enumset::EnumSet;
use model::disruption::{Disruption, Disruptions};
use model::strategy::{Clean, Fallback, LogReading, Missing, Real, Stop, Strategy};
use model::{Hosts, algorithms};
use steplog::event::{Event, Step};
use steplog::place::HostId;
use tie::campaign::{CampaignCoverage, weather};
use tie::network::RigOrder;
use tie::policy::policy;
use tie::trace::{TraceError, conform_steps};
use world::storm::{self, End};
use world::{Disrupted, Moment, Scheduled};

use super::common::{drive_all, drive_disrupted, judge_all, run_all};

fn falling_back() -> Vec<Strategy> {
    let fall = |strategy: Strategy| Strategy {
        name: format!("{} falling back", strategy.name).into(),
        real: Real { fallback: Fallback::Store, ..strategy.real },
        ..strategy
    };
    let hybrid = Real { stop: Stop::Switch, ..Real::NONE };
    let others = [
        algorithms::LAZY_COPY,
        algorithms::POST_COPY_PULL,
        Strategy { real: hybrid, ..algorithms::QEMU_HYBRID },
    ];
    let built_in = [algorithms::POST_COPY_FALLBACK, algorithms::GENERIC_FALLBACK];
    built_in.into_iter().chain(others.map(fall)).collect()
}

/// Pre-copy that leaves to the store what that has: to fall back on, or as a rule.
fn split() -> Vec<Strategy> {
    let by_pass = Real { log: LogReading::Pass, ..Real::NONE };
    let passes = Strategy {
        name: "pre-copy of what is modified".into(),
        clean: Clean::LocalStore,
        missing: Missing::Store,
        ..algorithms::PRE_COPY
    };
    let unbounded = Strategy {
        name: "the same unbounded".into(),
        pre: algorithms::PRE_COPY_UNBOUNDED.pre,
        ..passes.clone()
    };
    let target = Strategy {
        name: "assisted-split to a target".into(),
        real: Real { stop: Stop::Target, ..Real::NONE },
        ..algorithms::ASSISTED_SPLIT
    };
    let log = Strategy { name: "assisted-split by pass".into(), real: by_pass, ..algorithms::ASSISTED_SPLIT };
    vec![algorithms::ASSISTED_SPLIT, passes, unbounded, target, log]
}

#[test]
fn every_split_is_driven() {
    drive_all(&split());
}

#[test]
fn every_split_refines_the_model() {
    let tally = run_all(&split(), Hosts::Three, 0, 20);
    assert!(tally.hops > 100, "{tally:?}");
    for disruptions in [1, 2] {
        let tally = run_all(&split(), Hosts::Two, disruptions, 20);
        assert!(tally.disruptions > 200, "{tally:?}");
    }
}

#[test]
fn what_is_logged_of_every_split_is_a_run_of_the_model() {
    judge_all(&split());
}

#[test]
fn where_nothing_goes_wrong_nothing_falls_back() {
    drive_all(&falling_back());
    judge_all(&falling_back());
}

#[test]
fn every_fallback_refines_the_model() {
    let tally = run_all(&falling_back(), Hosts::Three, 0, 20);
    assert!(tally.hops > 100, "{tally:?}");
    for disruptions in [1, 2] {
        let tally = run_all(&falling_back(), Hosts::Two, disruptions, 40);
        assert!(tally.disruptions > 400, "{tally:?}");
    }
}

/// Real endpoints take every transition of the model with one page and one disruption.
#[test]
fn every_fallback_is_driven() {
    for strategy in [algorithms::POST_COPY_FALLBACK, algorithms::GENERIC_FALLBACK] {
        // What else can go wrong takes too long over lossy links, and has nothing to do with it.
        drive_disrupted(&strategy, |order| {
            let dies = Disruption::CrashSource.into();
            let kinds = if order == RigOrder::Lossy { dies } else { EnumSet::all() };
            Disruptions::up_to(1, kinds)
        });
    }
}

/// A storm in which the source dies soon after the process has resumed elsewhere, and owes little that is nowhere else.
fn deadly(strategy: &Strategy, at: u64) -> Disrupted {
    let mut run = storm::run(storm::number(5, at));
    let scenario = &mut run.scenario;
    scenario.policy = policy(strategy).unwrap();
    scenario.route = [0, 1].map(HostId).into();
    scenario.layout.pages = 12;
    scenario.layout.initially_dirty_percent /= 2;
    if scenario.policy.writes_back() {
        scenario.layout.file_mapped_percent = 100;
        scenario.layout.initially_dirty_percent = 100;
    }
    run.disruptions.truncate(at as usize % 2);
    let (_, log) = storm::record(&run).unwrap();
    let resumed = log.iter().position(|step| matches!(step.event, Event::ProcessResumed { .. }));
    let when = Moment::AfterSteps(resumed.unwrap_or(100) + at as usize % 30);
    let crash = world::Disruption::Crash { host: HostId(0), noticed_after_ns: 1_000, lasts_ns: 1_000_000 };
    run.disruptions.push(Scheduled { when, disruption: crash });
    run
}

/// Each run is one of the model. Of those in which something falls back some lose the process, and most do not; where nothing
/// does, all of these lose it.
#[test]
fn storms_of_what_falls_back_are_runs_of_the_model() {
    let strategies = vec![algorithms::POST_COPY_FALLBACK, algorithms::GENERIC_FALLBACK];
    let plain = [algorithms::POST_COPY, algorithms::GENERIC];
    let mut coverage = CampaignCoverage::of(strategies.clone());
    let (mut fallen, mut lost) = ([0; 2], [0; 2]);
    for at in 0..1_000 {
        let of = at as usize % 2;
        let run = deadly(&strategies[of], at);
        let tally = weather(&run, &mut coverage).unwrap_or_else(|error| {
            panic!("{}: {error}\n{}", strategies[of].name, serde_json::to_string(&run).unwrap())
        });
        let (_, log) = storm::record(&run).unwrap();
        let falls = |step: &Step| matches!(step.event, Event::PageFellBack { .. } | Event::PageLost { .. });
        if log.iter().any(falls) {
            fallen[of] += 1;
            lost[of] += tally.ends.get(&End::Lost).copied().unwrap_or_default();
            let without = storm::weather(&deadly(&plain[of], at)).unwrap();
            assert_eq!(without.ends.get(&End::Lost), Some(&1), "{}", serde_json::to_string(&run).unwrap());
        }
    }
    assert!(coverage.runs > 500 && fallen[0] > 20 && fallen[1] > 20, "{fallen:?} fall back");
    assert!(lost[0] == 0 && 0 < lost[1] && 2 * lost[1] < fallen[1], "{lost:?} of {fallen:?} lost");
}

/// The judge says no where a store is fallen back on that does not have the page.
#[test]
fn what_falls_back_blindly_is_no_run_of_the_model() {
    let strategy = algorithms::GENERIC_FALLBACK;
    let mut refused = 0;
    for at in 0..1_000 {
        let run = deadly(&strategy, at);
        let (_, log) = storm::record(&run).unwrap();
        let lost = log.iter().position(|step| matches!(step.event, Event::PageLost { .. }));
        let Some(lost) = lost else { continue };
        let mut steps = log[..=lost].to_vec();
        let Event::PageLost { page, version } = steps[lost].event else { continue };
        let header = run.scenario.header(true);
        conform_steps(header.clone(), strategy.clone(), &log).unwrap_or_else(|error| panic!("{error}"));
        steps[lost].event = Event::PageFellBack { page, version: Some(version) };
        let judged = conform_steps(header, strategy.clone(), &steps);
        assert!(
            matches!(&judged, Err(TraceError::Rejected(rejection)) if rejection.line == lost + 2),
            "{judged:?}"
        );
        refused += 1;
    }
    assert!(refused > 0);
}
