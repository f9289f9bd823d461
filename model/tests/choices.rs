//! The choices about pages, threads and connections: whatever goes with one of them stays safe, and each is seen to matter.

mod common;

use std::collections::HashSet;

use common::legal_combinations;
use enumset::EnumSet;
use model::concrete::State;
use model::paging::{Channels, Mappings, Paging, Waking};
use model::strategy::{Push, Strategy};
use model::system::Properties;
use model::{Concrete, Disruption, Disruptions, Hosts, Link, Migration, algorithms};

/// The number of reachable states, and what they violate.
fn explore(concrete: &Concrete<Migration>) -> (usize, Properties) {
    let mut seen: HashSet<State<Migration>> =
        concrete.initial().into_iter().map(|state| state.sorted()).collect();
    let mut open: Vec<State<Migration>> = seen.iter().cloned().collect();
    let mut violated = Properties::empty();
    while let Some(state) = open.pop() {
        let new = concrete.judge(&state);
        if !(new - violated).is_empty() && std::env::var("TELL").is_ok() {
            eprintln!("{new:?} {state:?}");
        }
        violated |= new;
        for (step, next) in concrete.successors(&state) {
            let new = concrete.judge_step(&state, step);
            if !(new - violated).is_empty() && std::env::var("TELL").is_ok() {
                eprintln!("{new:?} {step:?} {state:?}");
            }
            violated |= new;
            let next = next.sorted();
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    (seen.len(), violated)
}

/// Every single choice and every pair.
fn pagings() -> Vec<Paging> {
    let mut all = Vec::new();
    for wake in [Waking::WithPage, Waking::Apart] {
        for pages in [Mappings::Fixed, Mappings::ComeAndGo] {
            for channels in [Channels::One, Channels::DemandApart, Channels::Striped] {
                all.push(Paging { wake, pages, channels });
            }
        }
    }
    all
}

/// Every legal combination of all choices, but for plain ones.
fn legal() -> Vec<Strategy> {
    let plain = legal_combinations().into_iter().flat_map(|strategy| {
        [strategy.push, Push::Pull].map(|push| Strategy { push, ..strategy.clone() })
    });
    let all = plain.flat_map(|strategy| pagings().into_iter().map(move |paging| Strategy { paging, ..strategy.clone() }));
    let mut legal: Vec<Strategy> = all
        .filter(|strategy| !strategy.paging.is_plain() || strategy.pulls())
        .filter_map(|strategy| strategy.check().ok())
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    legal.sort_by_key(|strategy| format!("{strategy:?}"));
    legal
}

#[test]
fn every_legal_combination_with_a_choice_is_safe() {
    let mut states = 0;
    for strategy in legal() {
        for (link, pages) in [(Link::Fifo, 1), (Link::Unordered, 1), (Link::Lossy, 1), (Link::Fifo, 2)] {
            if pages == 2 && strategy.paging.pages == Mappings::ComeAndGo && strategy.paging != (Paging { pages: Mappings::ComeAndGo, ..Paging::PLAIN }) {
                continue;
            }
            let system = Migration::new(strategy.clone(), Hosts::Two, link);
            let (count, violated) = explore(&Concrete { system, pages });
            assert!(violated.is_empty(), "{strategy:?} over {link:?} with {pages} violates {violated:?}");
            states += count;
        }
    }
    eprintln!("{} {states}", legal().len());
}

#[test]
fn the_choices_are_safe_when_things_go_wrong() {
    let mut states = 0;
    for strategy in algorithms::CHOICES {
        for link in Link::ALL {
            for kind in Disruption::ALL {
                let disruptions = Disruptions::up_to(1, kind.into());
                let system = Migration::new(strategy.clone(), Hosts::Two, link).with_disruptions(disruptions);
                let (count, violated) = explore(&Concrete { system, pages: 1 });
                assert!(violated.is_empty(), "{strategy:?} over {link:?}, {kind}: {violated:?}");
                states += count;
            }
            let disruptions = Disruptions::up_to(2, EnumSet::all());
            let system = Migration::new(strategy.clone(), Hosts::Two, link).with_disruptions(disruptions);
            let (count, violated) = explore(&Concrete { system, pages: 1 });
            assert!(violated.is_empty(), "{strategy:?} over {link:?}, two: {violated:?}");
            states += count;
        }
    }
    eprintln!("{states}");
}
