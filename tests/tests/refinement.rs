//! Every step of real endpoints is a step of the model, or a stutter: along random schedules, with every
//! algorithm, over every kind of link, to two and three hosts and back.
//!
//! A failure is shrunk to a short schedule; the report names the step, the states around it, and what the model
//! could have done instead.

use std::cell::Cell;
use std::sync::Arc;

use enumset::EnumSet;
use model::disruption::Disruptions;
use model::{Hosts, Migration, Strategy, algorithms};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;
use proptest::test_runner::TestRunner;
use protocol::page::PageKind;
use tie::network::RigOrder;
use tie::rig::Rig;
use tie::schedule::{self, ScheduleError, ScheduleTally};

/// Where, by which algorithm, and the choices made on the way.
#[derive(Clone, Debug)]
struct Schedule {
    strategy: Strategy,
    hosts: Hosts,
    order: RigOrder,
    kinds: Vec<PageKind>,
    choices: Vec<u16>,
    disruptions: Disruptions,
}

fn schedule(hosts: Hosts, disruptions: usize) -> impl Generator<Value = Schedule> {
    let strategies: Vec<_> = algorithms::BUILT_IN
        .into_iter()
        .chain(algorithms::VARIANTS)
        .chain([algorithms::POST_COPY_PULL])
        .collect();
    let orders = vec![RigOrder::Fifo, RigOrder::FifoByPage, RigOrder::Unordered, RigOrder::Lossy];
    let kinds =
        prop::collection::vec(prop::sample::select(vec![PageKind::Private, PageKind::FileMapped]), 1..5);
    let choices = prop::collection::vec(any::<u16>(), 0..400);
    (prop::sample::select(strategies), prop::sample::select(orders), kinds, choices).prop_map(
        move |(strategy, order, kinds, choices)| {
            let disruptions = Disruptions::up_to(disruptions, EnumSet::all());
            Schedule { strategy, hosts, order, kinds, choices, disruptions }
        },
    )
}

/// Takes every step of a schedule, then lets everything settle.
fn run(schedule: &Schedule) -> Result<ScheduleTally, ScheduleError> {
    let Schedule { strategy, hosts, order, kinds, choices, disruptions } = schedule;
    let migration = Migration::new(strategy.clone(), *hosts, order.link()).with_disruptions(*disruptions);
    let mut rig = Rig::new(Arc::new(migration), *order, kinds, None)
        .expect("the reference has every built-in algorithm");
    schedule::run(&mut rig, choices.iter().copied())
}

/// `PROPTEST_CASES` (256 unless set) times eight.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.saturating_mul(8), failure_persistence: None, ..config }
}

fn check(hosts: Hosts, disruptions: usize) {
    let runs = Cell::new(0_u64);
    let steps = Cell::new(0_u64);
    let hops = Cell::new(0_u64);
    let struck = Cell::new(0_u64);
    let outcome =
        TestRunner::new(config()).run(&schedule(hosts, disruptions), |schedule| match run(&schedule) {
            Ok(tally) => {
                runs.set(runs.get() + 1);
                steps.set(steps.get() + tally.steps);
                hops.set(hops.get() + tally.hops);
                struck.set(struck.get() + tally.disruptions);
                Ok(())
            }
            Err(error) => Err(TestCaseError::fail(format!("{error}\n{schedule:?}"))),
        });
    let (runs, steps, hops) = (runs.get(), steps.get(), hops.get());
    let struck = struck.get();
    println!("{hosts:?} hosts: {runs} runs, {steps} steps, {hops} hops, {struck} disruptions");
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let struck_enough = disruptions == 0 || 2 * struck > runs;
    assert!(struck_enough, "something goes wrong in every other run on average: {struck} in {runs}");
    assert!(hops > runs, "a run has more than one migration on average: {hops} in {runs}");
}

#[test]
fn between_two_hosts() {
    check(Hosts::Two, 0);
}

#[test]
fn between_three_hosts() {
    check(Hosts::Three, 0);
}

#[test]
fn while_one_thing_goes_wrong() {
    check(Hosts::Two, 1);
}

#[test]
fn while_two_things_go_wrong() {
    check(Hosts::Two, 2);
}
