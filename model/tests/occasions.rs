//! Where a defect can make a difference is known, and right: compared with every reachable state of the sound protocol.
//! If the defect changes no step of any of them, it changes nothing.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::legal_combinations;
use enumset::EnumSet;
use model::concrete::State;
use model::defects::{DEFECTS, Idle};
use model::disruption::Strike;
use model::strategy::Strategy;
use model::{Concrete, Defect, Disruption, Disruptions, Hosts, Link, Migration, Stage, algorithms};

/// The defects that change a step of some reachable state of the sound protocol. A defect adds steps,
/// and never makes a list shorter.
fn acting(sound: &Migration, pages: usize) -> BTreeSet<Defect> {
    let plain = Concrete { system: sound.clone(), pages };
    let broken = |defect| Concrete { system: sound.clone().with_defect(defect), pages };
    let mut idle: Vec<_> = DEFECTS.iter().map(|entry| broken(entry.defect)).collect();
    let mut acting = BTreeSet::new();
    let mut seen: BTreeSet<State<Migration>> = plain.initial().iter().map(|state| state.sorted()).collect();
    let mut open: Vec<State<Migration>> = seen.iter().cloned().collect();
    while let Some(state) = open.pop() {
        let sound: BTreeMap<_, _> = plain.successors(&state).collect();
        idle.retain(|broken| {
            let differs = broken.steps().any(|step| broken.apply(&state, step).as_ref() != sound.get(&step));
            if differs {
                acting.extend(broken.system.defect);
            }
            !differs
        });
        let next = sound.into_values().map(|next| next.sorted());
        open.extend(next.filter(|next| seen.insert(next.clone())));
    }
    acting
}

fn known(sound: &Migration, pages: usize) -> BTreeSet<Defect> {
    let acts = |defect: &Defect| sound.clone().with_defect(*defect).defect_acts(Some(pages)).is_ok();
    DEFECTS.into_iter().map(|entry| entry.defect).filter(acts).collect()
}

#[track_caller]
fn compare(sound: &Migration, pages: usize) -> usize {
    let (known, acting) = (known(sound, pages), acting(sound, pages));
    let Migration { strategy, link, hosts, disruptions, .. } = sound;
    let wrong: Vec<_> = known.symmetric_difference(&acting).map(Defect::to_string).collect();
    assert!(wrong.is_empty(), "{strategy:?} {link} {hosts} hosts {pages} pages {disruptions:?}: {wrong:?}");
    acting.len()
}

fn everything() -> impl Iterator<Item = Strategy> {
    algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS).chain(algorithms::PROFILES)
}

#[test]
fn without_disruptions() {
    let mut acting = 0;
    for strategy in everything() {
        for link in Link::ALL {
            for hosts in [Hosts::Two, Hosts::Three] {
                let sound = Migration::new(strategy.clone(), hosts, link);
                acting += compare(&sound, 1);
                if link != Link::Lossy && hosts == Hosts::Two {
                    acting += compare(&sound, 2);
                }
            }
        }
    }
    assert_eq!(acting, 2129);
}

#[test]
fn with_one_disruption_of_each_kind() {
    let mut acting = 0;
    for strategy in everything() {
        for link in Link::ALL {
            for kind in Disruption::ALL {
                let sound = Migration::new(strategy.clone(), Hosts::Two, link);
                acting += compare(&sound.with_disruptions(Disruptions::up_to(1, kind.into())), 1);
            }
        }
    }
    assert_eq!(acting, 7443);
}

#[test]
fn with_two_disruptions() {
    let mut acting = 0;
    for strategy in everything() {
        let sound = Migration::new(strategy, Hosts::Two, Link::Unordered);
        acting += compare(&sound.with_disruptions(Disruptions::up_to(2, EnumSet::all())), 1);
    }
    assert_eq!(acting, 546);
}

/// Of the algorithms that make a choice about pages and threads, or take a precaution: undisturbed, and with one disruption of each kind.
#[test]
fn with_choices_about_pages_and_threads() {
    let mut acting = 0;
    for strategy in algorithms::CHOICES.into_iter().chain(algorithms::PRECAUTIONS) {
        for link in Link::ALL {
            let sound = Migration::new(strategy.clone(), Hosts::Two, link);
            acting += compare(&sound, 1);
            if link != Link::Lossy {
                acting += compare(&sound, 2);
            }
            for kind in Disruption::ALL {
                acting += compare(&sound.clone().with_disruptions(Disruptions::up_to(1, kind.into())), 1);
            }
        }
    }
    assert!(acting > 1000, "{acting}");
}

/// Also of the algorithms that nobody has built in.
#[test]
fn with_every_legal_combination_of_choices() {
    let mut acting = 0;
    for strategy in legal_combinations() {
        for link in Link::ALL {
            acting += compare(&Migration::new(strategy.clone(), Hosts::Two, link), 1);
        }
    }
    assert_eq!(acting, 2089);
}

#[test]
fn what_is_missing_is_named() {
    let world = |strategy, link| Migration::new(strategy, Hosts::Two, link);
    let reason = |world: Migration, defect, pages| {
        world.with_defect(defect).defect_acts(pages).map_err(|idle| idle.to_string())
    };
    let generic = || world(algorithms::GENERIC, Link::Fifo);
    let none = |text: &str| Err(format!("the defect {text}"));
    assert_eq!(generic().defect_acts(None), Ok(()));
    assert_eq!(reason(generic(), Defect::LiteralGeneric, Some(1)), Ok(()));
    assert_eq!(
        reason(world(algorithms::TOTAL_COPY, Link::Fifo), Defect::LiteralGeneric, None),
        none(
            "'literal-generic' makes no difference to total-copy: the algorithm never does what it would do wrong"
        )
    );
    assert_eq!(
        reason(generic(), Defect::StoreOlder, None),
        none("'store-older' makes no difference to generic over a fifo link; over a lossy link it does")
    );
    assert_eq!(
        reason(world(algorithms::LAZY_COPY, Link::Fifo), Defect::DestroyWhileOwed, None),
        none("'destroy-while-owed' makes no difference to lazy-copy with two hosts; with three it does")
    );
    assert_eq!(
        reason(generic(), Defect::ResumeInDoubt, None),
        none(
            "'resume-in-doubt' makes no difference to generic unless something else goes wrong: suspect or cut"
        )
    );
    assert_eq!(
        reason(generic(), Defect::DemandBehindPushes, Some(1)),
        none("'demand-behind-pushes' makes no difference to generic with one page; with two it does")
    );
    assert_eq!(reason(generic(), Defect::DemandBehindPushes, Some(2)), Ok(()));
    assert_eq!(reason(generic(), Defect::DemandBehindPushes, None), Ok(()));

    let cut_in = |stage: Stage| {
        let strike = Strike { kinds: Disruption::Cut.into(), stages: stage.into() };
        generic()
            .with_disruptions(Disruptions::one(strike))
            .with_defect(Defect::ResumeInDoubt)
            .defect_acts(None)
    };
    assert_eq!(cut_in(Stage::Freeze), Ok(()));
    for stage in [Stage::PreMigration, Stage::PostMigration, Stage::CleanUp] {
        assert_eq!(cut_in(stage), Err(Idle::Stage(Defect::ResumeInDoubt, "generic".to_owned())));
    }
}
