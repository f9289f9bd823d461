//! Every defect in every built-in algorithm, over every link, undisturbed and with each kind of disruption: it is caught by
//! the property that must catch it there, or it is known to make no difference. There is no third kind.

mod common;

use std::collections::BTreeMap;

use checker::judge::Engine;
use checker::report::Actual;
use checker::setting::Setting;
use model::defects::{DEFECTS, Entry};
use model::{Disruption, Disruptions, Hosts, Link, Migration, Strategy};

use common::{everything, exactly, run};

/// What is to be said of a defect in a world: what catches it, or `None` where it makes no difference.
fn judged(entry: &Entry, strategy: &Strategy, link: Link, disruptions: Disruptions) -> Option<String> {
    let hosts = entry.hosts;
    let world = Migration::new(strategy.clone(), hosts, link).with_disruptions(disruptions);
    let world = world.with_defect(entry.defect);
    // Over a lossy link one page shows what two do, unless it takes two.
    let pages = (1..=2).find(|pages| world.defect_acts(Some(*pages)).is_ok())?;
    let property = entry.caught_in(&world);
    let strategy = strategy.clone();
    let setting = Setting { strategy, hosts, link, defect: Some(entry.defect), disruptions };
    let run = run(&setting, exactly(pages), property.into(), Engine::Native);
    let caught = run.verdicts.iter().any(|verdict| verdict.actual == Actual::Fails);
    assert!(
        caught,
        "{property} does not catch {} in {} over {link}, {disruptions:?}",
        entry.defect, world.strategy.name
    );
    Some(property.to_string())
}

/// How often each answer is given. Whatever catches a defect catches it where something may go wrong besides: what goes
/// wrong is free not to happen. So a defect that shows without it is judged without it.
#[test]
fn there_is_no_third_kind() {
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for entry in DEFECTS {
        let kinds: Vec<Disruptions> = match entry.disruption {
            None => vec![Disruptions::NONE],
            Some(_) => Disruption::ALL.map(|kind| Disruptions::up_to(1, kind.into())).to_vec(),
        };
        for strategy in everything() {
            for link in Link::ALL {
                for disruptions in &kinds {
                    let answer = judged(&entry, &strategy, link, *disruptions);
                    *answers.entry(answer.unwrap_or_else(|| "no difference".to_owned())).or_default() += 1;
                }
            }
        }
    }
    insta::assert_debug_snapshot!(answers);
}

/// What is said not to make a difference is the sound algorithm, state by state.
#[test]
fn no_difference_means_the_same_graph() {
    let mut compared = 0;
    for entry in DEFECTS {
        for strategy in everything() {
            let world = Migration::new(strategy, Hosts::Two, Link::Fifo);
            if world.clone().with_defect(entry.defect).defect_acts(None).is_err() {
                assert!(!world.with_defect(entry.defect).differs_from_sound(2), "{}", entry.defect);
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "only {compared} were compared");
}
