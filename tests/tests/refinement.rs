//! Every step of real endpoints is a step of the model, or a stutter: along random schedules, with every
//! algorithm, over every kind of link, to two and three hosts and back.
//!
//! A failure is shrunk to a short schedule; the report names the step, the states around it, and what the model
//! could have done instead.

use std::cell::Cell;
use std::sync::Arc;

use checker::conform::network::Order;
use checker::conform::refine::{Violation, refine};
use checker::conform::rig::{Action, Rig};
use model::{ControlStep, Hosts, Migration, Move, Strategy, algorithms};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;
use proptest::test_runner::TestRunner;
use reference::host::Work;
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

/// Choices from here on let the process exit, if it can; a run that never exits hops on.
const EXIT: u16 = u16::MAX - 400;

/// Steps after which everything that goes on by itself must be over.
const SETTLING_STEPS_MAX: usize = 2000;

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

/// The next action: one of those that there are, by number.
fn choose(rig: &Rig, choice: u16) -> Option<Action> {
    let mut actions = rig.actions();
    if choice >= EXIT && actions.contains(&Action::Exit) {
        return Some(Action::Exit);
    }
    actions.retain(|action| *action != Action::Exit);
    let count = actions.len().max(1);
    actions.into_iter().nth(usize::from(choice) % count)
}

/// What goes on by itself: messages arrive, hosts do what is due, a migration under way goes on.
fn goes_on(action: &Action) -> bool {
    match action {
        Action::Deliver { kept, .. } => !kept,
        Action::Work(_, work) => *work != Work::BeginPass,
        Action::Resend(_) | Action::Suspend { .. } => true,
        _ => false,
    }
}

/// What was checked in a run.
#[derive(Default)]
struct Tally {
    steps: u64,
    hops: u64,
}

impl Tally {
    fn check(&mut self, rig: &mut Rig, action: Action) -> Result<(), Box<Violation>> {
        let explained = refine(rig, action)?;
        self.steps += 1;
        self.hops += u64::from(explained.steps.contains(&Move::Control(ControlStep::Resume)));
        Ok(())
    }
}

/// Takes every step of a schedule, then lets everything settle.
fn run(schedule: &Schedule) -> Result<Tally, Box<Violation>> {
    let Schedule { strategy, hosts, order, kinds, choices } = schedule;
    let migration = Arc::new(Migration::new(strategy.clone(), *hosts, order.link()));
    let mut rig =
        Rig::new(migration, *order, kinds, None).expect("the reference has every built-in algorithm");
    let mut tally = Tally::default();
    for choice in choices {
        let Some(action) = choose(&rig, *choice) else { break };
        tally.check(&mut rig, action)?;
    }
    for _ in 0..SETTLING_STEPS_MAX {
        let Some(action) = rig.actions().into_iter().rfind(goes_on) else { break };
        tally.check(&mut rig, action)?;
    }
    assert!(!rig.actions().iter().any(goes_on), "does not settle: {:?}", rig.actions());
    rig.check_end().unwrap_or_else(|error| panic!("{error}"));
    Ok(tally)
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
        Err(violation) => Err(TestCaseError::fail(format!("{violation}\n{schedule:?}"))),
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
