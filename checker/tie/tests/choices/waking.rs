//! Fault, install and wake as three steps, and several threads that wait for one page.

use enumset::EnumSet;
use model::disruption::Disruptions;
use model::paging::{Channels, Paging, Waking};
use model::strategy::{HandOver, Real, Start, Stop, Strategy};
use model::{Hosts, Migration, algorithms};
use tie::campaign::{CampaignCoverage, weather};
use tie::drive::drive;
use tie::network::RigOrder;
use tie::policy::policy;
use world::storm;

use super::common::{drive_all, judge_all, run_all};

fn threads() -> Vec<Strategy> {
    let paging = Paging { wake: Waking::Apart, ..Paging::PLAIN };
    let apart = |strategy: Strategy| Strategy {
        name: format!("{} threads", strategy.name).into(),
        paging: Paging { channels: strategy.paging.channels, ..paging },
        ..strategy
    };
    let acknowledged = Real { hand_over: HandOver::Acknowledged, ..Real::NONE };
    let hybrid = Real { stop: Stop::Switch, ..Real::NONE };
    let announced = Real { start: Start::Announced, ..Real::NONE };
    let demand = Paging { channels: Channels::DemandApart, ..Paging::PLAIN };
    let others = [
        algorithms::LAZY_COPY,
        algorithms::FLUSHING,
        algorithms::ASSISTED_POST_COPY,
        algorithms::ASSISTED_SPLIT,
        algorithms::POST_COPY_PULL,
        algorithms::GENERIC,
        algorithms::POST_COPY_FALLBACK,
        Strategy { name: "acknowledged".into(), real: acknowledged, ..algorithms::POST_COPY },
        Strategy { name: "hybrid".into(), real: hybrid, ..algorithms::QEMU_HYBRID },
        Strategy { name: "announced".into(), real: announced, ..algorithms::POST_COPY },
        Strategy { name: "announced and copied".into(), real: announced, ..algorithms::ASSISTED_POST_COPY },
        Strategy { name: "demand apart".into(), paging: demand, ..algorithms::POST_COPY },
    ];
    [algorithms::POST_COPY_THREADS].into_iter().chain(others.map(apart)).collect()
}

#[test]
fn every_wake_is_driven() {
    drive_all(&threads());
}

#[test]
fn every_wake_refines_the_model() {
    let tally = run_all(&threads(), Hosts::Three, 0, 20);
    assert!(tally.hops > 100, "{tally:?}");
    for disruptions in [1, 2] {
        let tally = run_all(&threads(), Hosts::Two, disruptions, 20);
        assert!(tally.disruptions > 400, "{tally:?}");
    }
}

#[test]
fn what_is_logged_of_every_wake_is_a_run_of_the_model() {
    judge_all(&threads());
}

/// Real endpoints take every transition of the model with one page and one disruption.
#[test]
fn every_wake_is_driven_while_something_goes_wrong() {
    let strategy = algorithms::POST_COPY_THREADS;
    for order in [RigOrder::FifoByPage, RigOrder::Unordered, RigOrder::Lossy] {
        let migration = Migration::new(strategy.clone(), Hosts::Two, order.link());
        let migration = migration.with_disruptions(Disruptions::up_to(1, EnumSet::all()));
        let coverage = drive(&migration, order, 1, None).unwrap_or_else(|error| panic!("{order:?}: {error}"));
        let unexcused: Vec<_> = coverage.unexcused().collect();
        let few: Vec<_> = unexcused.iter().take(3).collect();
        assert!(unexcused.is_empty(), "{order:?}: {} not driven: {few:?}", unexcused.len());
        assert!(coverage.refuted.is_empty(), "{order:?}: {:#?}", coverage.refuted);
    }
}

#[test]
fn storms_of_threads_are_runs_of_the_model() {
    // Where the source may take the process back, two hosts may run it.
    let ready = |strategy: &Strategy| strategy.real.hand_over == HandOver::ReadyGo;
    let strategies: Vec<_> = threads().into_iter().filter(ready).collect();
    let policies: Vec<_> = strategies.iter().map(|strategy| policy(strategy).unwrap()).collect();
    let mut coverage = CampaignCoverage::of(strategies);
    for (at, policy) in (0..400).zip(policies.iter().cycle()) {
        let mut run = storm::run(storm::number(11, at));
        run.scenario.policy = policy.clone();
        weather(&run, &mut coverage)
            .unwrap_or_else(|error| panic!("{error}\n{}", serde_json::to_string(&run).unwrap()));
    }
    assert!(coverage.runs > 100);
}
