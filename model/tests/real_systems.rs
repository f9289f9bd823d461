//! What real systems do otherwise: where nothing goes wrong every choice keeps every safety property; and what each can lose
//! when something does.

use std::collections::{BTreeMap, HashSet};

use enumset::EnumSet;
use model::concrete::State;
use model::strategy::{HandOver, Log, Real, Stop, Strategy};
use model::system::Properties;
use model::{Concrete, Disruption, Disruptions, Hosts, Link, Migration, algorithms};

/// Every choice alone and with each other one, for every algorithm that it goes with.
fn choices() -> Vec<Strategy> {
    let hand_overs = [HandOver::ReadyGo, HandOver::OneShot, HandOver::Acknowledged, HandOver::None];
    let mut all = vec![];
    for strategy in algorithms::BUILT_IN.into_iter().chain([algorithms::QEMU_HYBRID]) {
        for hand_over in hand_overs {
            for log in [Log::Page, Log::Pass] {
                for stop in [Stop::Passes, Stop::Target, Stop::Switch] {
                    let real = Real { hand_over, log, stop };
                    all.extend(Strategy { real, ..strategy.clone() }.check());
                }
            }
        }
    }
    all
}

/// What the reachable states and the steps between them violate, and the number of the states.
fn explore(system: Migration, pages: usize) -> (usize, Properties) {
    let concrete = Concrete { system, pages };
    let mut seen: HashSet<State<Migration>> =
        concrete.initial().into_iter().map(|state| state.sorted()).collect();
    let mut open: Vec<State<Migration>> = seen.iter().cloned().collect();
    let mut violated = Properties::empty();
    while let Some(state) = open.pop() {
        violated |= concrete.judge(&state);
        for (step, next) in concrete.successors(&state) {
            violated |= concrete.judge_step(&state, step);
            let next = next.sorted();
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    (seen.len(), violated)
}

#[test]
fn every_choice_is_safe_where_nothing_goes_wrong() {
    let all = choices();
    let mut states = 0;
    for strategy in &all {
        for (link, pages) in [(Link::Fifo, 2), (Link::Unordered, 2), (Link::Lossy, 1)] {
            let (count, violated) = explore(Migration::new(strategy.clone(), Hosts::Two, link), pages);
            assert!(violated.is_empty(), "{strategy:?} over {link:?} violates {violated:?}");
            states += count;
        }
    }
    assert_eq!((all.len(), states), (0, 0));
}

/// A cut costs a one-shot the process, and the other two that it runs once.
#[test]
fn each_hand_over_loses_what_its_table_says() {
    let mut lost = BTreeMap::new();
    for strategy in choices() {
        for kind in Disruption::ALL {
            for link in Link::ALL {
                let system = Migration::new(strategy.clone(), Hosts::Two, link);
                let (_, violated) = explore(system.with_disruptions(Disruptions::up_to(1, kind.into())), 1);
                if !violated.is_empty() {
                    let of: &mut EnumSet<_> =
                        lost.entry((format!("{:?}", strategy.real.hand_over), kind.to_string())).or_default();
                    *of |= violated;
                    if violated.contains(model::Property::S10)
                        || violated.contains(model::Property::S1)
                        || violated.contains(model::Property::S2)
                    {
                        println!(
                            "{:?} {kind} {link} {} {:?} {:?} {violated:?}",
                            strategy.real.hand_over, strategy.name, strategy.real.log, strategy.real.stop
                        );
                    }
                }
            }
        }
    }
    for (key, value) in &lost {
        println!("{key:?} {value:?}");
    }
    assert!(lost.is_empty());
}
