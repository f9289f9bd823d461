//! Guards never read ghosts: what no machine knows makes no difference to what may happen.

use std::collections::HashSet;

use enumset::EnumSet;
use model::concrete::State;
use model::{Concrete, Disruptions, Hosts, Link, Migration, algorithms, defects};

/// Visits every reachable state and compares its moves, and what the machines know after each, with those of
/// the same state without ghosts.
fn compare(concrete: &Concrete<Migration>) -> usize {
    let mut seen: HashSet<State<Migration>> = concrete.initial().into_iter().collect();
    let mut open: Vec<State<Migration>> = seen.iter().cloned().collect();
    while let Some(state) = open.pop() {
        let known = |state: &State<Migration>| {
            concrete.successors(state).map(|(step, next)| (step, without_ghosts(&next))).collect::<Vec<_>>()
        };
        assert_eq!(
            known(&state),
            known(&without_ghosts(&state)),
            "{} reads a ghost in {state:?}",
            concrete.system.strategy.name
        );
        for (_, next) in concrete.successors(&state) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen.len()
}

fn without_ghosts(state: &State<Migration>) -> State<Migration> {
    let pages = state.pages.iter().map(|page| page.without_ghosts()).collect();
    State::<Migration> { control: state.control, pages }
}

#[test]
fn no_guard_reads_a_ghost() {
    let everything = algorithms::BUILT_IN
        .into_iter()
        .chain(algorithms::VARIANTS)
        .chain(algorithms::CHOICES)
        .chain(algorithms::PRECAUTIONS);
    let mut states = 0;
    for strategy in everything {
        for link in [Link::Fifo, Link::Unordered, Link::Lossy] {
            for hosts in [Hosts::Two, Hosts::Three] {
                let system = Migration::new(strategy.clone(), hosts, link);
                let pages = if link == Link::Lossy { 1 } else { 2 };
                states += compare(&Concrete { system, pages });
            }
        }
    }
    assert!(states > 10_000, "only {states} states were compared");
}

#[test]
fn no_guard_reads_a_ghost_when_things_go_wrong() {
    let mut states = 0;
    for strategy in algorithms::BUILT_IN
        .into_iter()
        .chain(algorithms::VARIANTS)
        .chain(algorithms::CHOICES)
        .chain(algorithms::PRECAUTIONS)
    {
        for link in Link::ALL {
            for budget in 1..=2 {
                let system = Migration::new(strategy.clone(), Hosts::Two, link)
                    .with_disruptions(Disruptions::up_to(budget, EnumSet::all()));
                states += compare(&Concrete { system, pages: 1 });
            }
        }
    }
    assert!(states > 100_000, "only {states} states were compared");
}

#[test]
fn no_defect_lets_a_guard_read_a_ghost() {
    for entry in defects::DEFECTS {
        let strategy = algorithms::built_in(entry.algorithm).expect("a built-in algorithm");
        let system = Migration::new(strategy, entry.hosts, entry.link).with_defect(entry.defect);
        let system = system.with_disruptions(entry.disruptions());
        compare(&Concrete { system, pages: 1 });
    }
}

/// The test above would see a guard that reads a ghost: states do differ in ghosts alone.
#[test]
fn ghosts_do_differ() {
    let system = Migration::new(algorithms::GENERIC, Hosts::Two, Link::Fifo);
    let concrete = Concrete { system, pages: 1 };
    let mut seen: HashSet<State<Migration>> = concrete.initial().into_iter().collect();
    let mut open: Vec<State<Migration>> = seen.iter().cloned().collect();
    while let Some(state) = open.pop() {
        open.extend(
            concrete.successors(&state).map(|(_, next)| next).filter(|next| seen.insert(next.clone())),
        );
    }
    let known: HashSet<_> =
        seen.iter().map(|state| (state.control, state.pages[0].without_ghosts())).collect();
    assert!(known.len() < seen.len(), "{} states, all of which the machines tell apart", seen.len());
}
