//! Every step of real endpoints is a step of the model, or a stutter: along random schedules, with every
//! algorithm, over every kind of link, to two and three hosts and back.
//!
//! A failure is shrunk to a short schedule; the report names the step, the states around it, and what the model
//! could have done instead.

use std::cell::Cell;
use std::sync::Arc;

use checker::conform::network::Order;
use checker::conform::rig::Rig;
use checker::conform::schedule::{self, ScheduleError, Tally};
use model::{Hosts, Migration, Strategy, algorithms};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;
use proptest::test_runner::TestRunner;
use reference::page::PageKind;

/// Where, by which algorithm, and the choices made on the way.
#[derive(Clone, Debug)]
struct Schedule {
    strategy: Strategy,
    hosts: Hosts,
    order: Order,
    kinds: Vec<PageKind>,
    choices: Vec<u16>,
}

fn schedule(hosts: Hosts) -> impl Generator<Value = Schedule> {
    let strategies: Vec<_> = algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS).collect();
    let orders = vec![Order::Fifo, Order::FifoByPage, Order::Unordered, Order::Lossy];
    let kinds =
        prop::collection::vec(prop::sample::select(vec![PageKind::Private, PageKind::FileMapped]), 1..5);
    let choices = prop::collection::vec(any::<u16>(), 0..400);
    (prop::sample::select(strategies), prop::sample::select(orders), kinds, choices).prop_map(
        move |(strategy, order, kinds, choices)| Schedule { strategy, hosts, order, kinds, choices },
    )
}

/// Takes every step of a schedule, then lets everything settle.
fn run(schedule: &Schedule) -> Result<Tally, ScheduleError> {
    let Schedule { strategy, hosts, order, kinds, choices } = schedule;
    let migration = Arc::new(Migration::new(strategy.clone(), *hosts, order.link()));
    let mut rig =
        Rig::new(migration, *order, kinds, None).expect("the reference has every built-in algorithm");
    schedule::run(&mut rig, choices.iter().copied())
}

/// `PROPTEST_CASES` (256 unless set) times eight.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.saturating_mul(8), failure_persistence: None, ..config }
}

fn check(hosts: Hosts) {
    let runs = Cell::new(0_u64);
    let steps = Cell::new(0_u64);
    let hops = Cell::new(0_u64);
    let outcome = TestRunner::new(config()).run(&schedule(hosts), |schedule| match run(&schedule) {
        Ok(tally) => {
            runs.set(runs.get() + 1);
            steps.set(steps.get() + tally.steps);
            hops.set(hops.get() + tally.hops);
            Ok(())
        }
        Err(error) => Err(TestCaseError::fail(format!("{error}\n{schedule:?}"))),
    });
    let (runs, steps, hops) = (runs.get(), steps.get(), hops.get());
    println!("{hosts:?} hosts: {runs} runs, {steps} steps, {hops} hops");
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(hops > runs, "a run has more than one migration on average: {hops} in {runs}");
}

#[test]
fn between_two_hosts() {
    check(Hosts::Two);
}

#[test]
fn between_three_hosts() {
    check(Hosts::Three);
}
