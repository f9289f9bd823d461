//! The reachable states by the plain semantics, without any engine: how many there are, that none violates a safety
//! property, and what each defect makes of them.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write};

use enumset::EnumSet;
use model::concrete::{State, Step};
use model::system::Properties;
use model::{
    Concrete, Defect, Disruption, Disruptions, Hosts, Link, Migration, Move, PageStep, Phase, Process,
    Stateright, algorithms, defects,
};
use stateright::{Checker, Model};

/// What there is of the reachable states. The weight is the sum, over all transitions, of how far from the start they
/// lead: a transition that leads elsewhere shows, even where no state appears or disappears.
#[derive(Debug, PartialEq)]
struct Reachable {
    states: usize,
    transitions: usize,
    weight: usize,
    violated: Properties,
}

impl fmt::Display for Reachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reachable { states, transitions, weight, violated } = self;
        write!(f, "{states:>8}{transitions:>8}{weight:>10}  {}", names(*violated))
    }
}

fn explore(system: Migration) -> Reachable {
    let pages = if system.link == Link::Lossy || !system.disruptions.is_none() { 1 } else { 2 };
    let concrete = Concrete { system, pages };
    let mut depths: HashMap<State<Migration>, usize> =
        concrete.initial().into_iter().map(|state| (state, 0)).collect();
    let mut open: VecDeque<State<Migration>> = depths.keys().cloned().collect();
    let (mut transitions, mut weight, mut violated) = (0, 0, Properties::empty());
    while let Some(state) = open.pop_front() {
        let depth = depths[&state];
        let dead = matches!(state.control.phase, Phase::Doomed | Phase::Lost);
        assert_eq!(state.control.process == Process::Lost, dead, "{:?}", state.control);
        violated |= concrete.judge(&state);
        for (step, next) in concrete.successors(&state) {
            transitions += 1;
            assert!(!takes_message(step) || next != state, "{step:?} changes nothing in {state:?}");
            violated |= concrete.judge_step(&state, step);
            weight += *depths.entry(next).or_insert_with_key(|next| {
                open.push_back(next.clone());
                depth + 1
            });
        }
    }
    Reachable { states: depths.len(), transitions, weight, violated }
}

/// Does the step take a message from where it is? It arrives, is lost, or is sent again.
fn takes_message(step: Step<Migration>) -> bool {
    use PageStep::*;
    match step {
        Move::Page(DeliverAcknowledgement | DeliverEcho | DeliverOlder | DeliverPage | DeliverRequest, _) => {
            true
        }
        Move::Page(DeliverStray | Store | StoreEcho, _) => true,
        Move::Page(LosePage | LoseRequest | LoseWriteBack, _) => true,
        Move::Page(ResendPage | ResendRequest | ResendWriteBack, _) => true,
        Move::Control(step) => {
            matches!(step, model::ControlStep::LoseMessage | model::ControlStep::ResendMessage)
        }
        Move::Page(..) => false,
    }
}

fn names(properties: Properties) -> String {
    properties.iter().map(|property| property.to_string()).collect::<Vec<_>>().join(" ")
}

/// A count that changes needs a sentence in the commit message.
#[test]
fn without_defect() {
    let mut table = String::new();
    for strategy in algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS) {
        for link in Link::ALL {
            for hosts in [Hosts::Two, Hosts::Three] {
                let reachable = explore(Migration::new(strategy.clone(), hosts, link));
                assert!(reachable.violated.is_empty(), "{} violates some: {reachable}", strategy.name);
                let setting = format!("{}, {} hosts, {link:?}", strategy.name, hosts.count());
                writeln!(table, "{setting:48}{reachable}").expect("a string takes it");
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn with_one_disruption() {
    insta::assert_snapshot!(table(algorithms::BUILT_IN.into_iter().flat_map(|strategy| {
        Disruption::ALL.map(|kind| {
            let sound = Migration::new(strategy.clone(), Hosts::Two, Link::Unordered);
            let disrupted = sound.with_disruptions(Disruptions::up_to(1, kind.into()));
            (format!("{}, {kind}", strategy.name), disrupted)
        })
    })));
}

/// The second one strikes what the first has left.
#[test]
fn with_two_disruptions() {
    insta::assert_snapshot!(table(algorithms::BUILT_IN.into_iter().flat_map(|strategy| {
        Link::ALL.map(|link| {
            let sound = Migration::new(strategy.clone(), Hosts::Two, link);
            let disrupted = sound.with_disruptions(Disruptions::up_to(2, EnumSet::all()));
            (format!("{}, {link:?}", strategy.name), disrupted)
        })
    })));
}

/// A line for each system: its name, and what there is of its reachable states.
fn table(systems: impl Iterator<Item = (String, Migration)>) -> String {
    systems.map(|(name, system)| format!("{name:48}{}\n", explore(system))).collect()
}

/// What a defect does is pinned as well: it is a defect for as long as it makes a difference.
#[test]
fn with_each_defect() {
    let mut table = String::new();
    for entry in defects::DEFECTS {
        let strategy = algorithms::built_in(entry.algorithm).expect("a built-in algorithm");
        let sound = Migration::new(strategy, entry.hosts, entry.link).with_disruptions(entry.disruptions());
        let reachable = explore(sound.clone().with_defect(entry.defect));
        assert!(
            reachable.violated.contains(entry.caught_by) || !entry.caught_by.is_safety(),
            "{}",
            entry.defect
        );
        assert_ne!(reachable, explore(sound), "{} makes no difference", entry.defect);
        writeln!(table, "{:28}{reachable}", entry.defect.to_string()).expect("a string takes it");
    }
    insta::assert_snapshot!(table);
}

/// The link over which this defect is shown makes no duplicates; here they come late, and are taken for the page.
#[test]
fn duplicates_without_sequence_numbers() {
    let mut table = String::new();
    for strategy in algorithms::BUILT_IN {
        let sound = Migration::new(strategy.clone(), Hosts::Two, Link::Lossy);
        let reachable = explore(sound.with_defect(Defect::NoSequenceNumbers));
        writeln!(table, "{:28}{reachable}", strategy.name).expect("a string takes it");
    }
    insta::assert_snapshot!(table);
}

/// The same states, and the same properties violated, as a stateright model.
#[test]
fn stateright_agrees() {
    for strategy in algorithms::BUILT_IN {
        let system = Migration::new(strategy, Hosts::Two, Link::Fifo);
        let states = explore(system.clone()).states;
        let checker = Stateright(Concrete { system, pages: 2 }).checker().spawn_bfs().join();
        assert_eq!(checker.unique_state_count(), states);
        assert!(checker.discoveries().is_empty());
    }
    for entry in defects::DEFECTS.into_iter().filter(|entry| entry.caught_by.is_safety()) {
        let strategy = algorithms::built_in(entry.algorithm).expect("a built-in algorithm");
        let system = Migration::new(strategy, entry.hosts, entry.link).with_disruptions(entry.disruptions());
        let pages = if entry.link == Link::Lossy || entry.disruption.is_some() { 1 } else { 2 };
        let checker = Stateright(Concrete { system: system.with_defect(entry.defect), pages })
            .checker()
            .spawn_bfs()
            .join();
        let name = entry.caught_by.to_string();
        assert!(checker.discoveries().contains_key(&*name), "{name} does not catch {}", entry.defect);
    }
}
