//! Every defect is caught by the property it names, within two pages and two migrations, and by a run that
//! a person can follow.

mod common;

use std::collections::HashSet;
use std::num::NonZeroUsize;

use checker::judge::Engine;
use checker::report::{Actual, Conclusion};
use checker::setting::{Pages, Setting};
use enumset::EnumSet;
use model::concrete::State;
use model::defects::{DEFECTS, Entry};
use model::{
    ControlStep, Defect, Disruption, Disruptions, Hosts, Link, Migration, Move, Property, algorithms,
};

use common::{exactly, run};

fn broken(entry: &Entry) -> Setting {
    let strategy = algorithms::built_in(entry.algorithm).expect("a built-in algorithm");
    Setting {
        strategy,
        hosts: entry.hosts,
        link: entry.link,
        defect: Some(entry.defect),
        disruptions: entry.disruptions(),
    }
}

#[test]
fn every_defect_is_caught() {
    insta::with_settings!({ omit_expression => true }, {
        for entry in DEFECTS {
            let caught = (1..=2).find_map(|pages| {
                let run = run(&broken(&entry), exactly(pages), entry.caught_by.into(), Engine::Native);
                assert_eq!(run.inconclusive, None);
                run.verdicts.into_iter().find(|verdict| verdict.actual == Actual::Fails)
            });
            let verdict = caught.unwrap_or_else(|| panic!("{} does not catch {}", entry.caught_by, entry.defect));
            assert_eq!(verdict.conclusion(exactly(1)), Conclusion::Surprise);
            let story = verdict.story.expect("a run that shows it");
            let migrations = story.steps.iter().filter(|(step, _)| {
                matches!(step, Move::Control(ControlStep::MigrateBack | ControlStep::MigrateOnward))
            });
            assert!(migrations.count() <= 2, "{} needs more than two migrations", entry.defect);
            insta::assert_snapshot!(entry.defect.to_string(), story.to_text());
        }
    });
}

/// Those that are said to show at the second migration only do not show at the first: no run with one
/// migration violates the property, however long it is.
#[test]
fn some_defects_show_at_the_second_migration_only() {
    let late: Vec<Entry> = DEFECTS.into_iter().filter(|entry| entry.hop == 2).collect();
    assert!(late.len() >= 4);
    for entry in late {
        assert!(!violated_within(&entry, 1), "{} shows at the first migration", entry.defect);
        assert!(violated_within(&entry, 2), "{} does not show at the second", entry.defect);
    }
}

/// Is the property violated on some run with so many migrations at most?
fn violated_within(entry: &Entry, migrations: u8) -> bool {
    let concrete = broken(entry).concrete(NonZeroUsize::MIN);
    let mut seen: HashSet<(State<Migration>, u8)> =
        concrete.initial().into_iter().map(|state| (state, 0)).collect();
    let mut open: Vec<_> = seen.iter().cloned().collect();
    while let Some((state, done)) = open.pop() {
        for (step, next) in concrete.successors(&state) {
            let migrates =
                matches!(step, Move::Control(ControlStep::MigrateBack | ControlStep::MigrateOnward));
            let done = done + u8::from(migrates);
            if done > migrations {
                continue;
            }
            if (concrete.judge(&next) | concrete.judge_step(&state, step)).contains(entry.caught_by) {
                return true;
            }
            if seen.insert((next.clone(), done)) {
                open.push((next, done));
            }
        }
    }
    false
}

/// Whatever the source remembers: a request has reached it, so no other page comes first, and a page that it happens to
/// push later is no answer.
#[test]
fn that_the_source_has_dropped_a_request_is_no_excuse() {
    let drops = [
        (Defect::ForgetDemand, Disruptions::NONE),
        (Defect::ForgetDemandOnReconnect, Disruptions::up_to(1, Disruption::Cut.into())),
    ];
    for (defect, disruptions) in drops {
        for strategy in [algorithms::POST_COPY, algorithms::ASSISTED_POST_COPY, algorithms::GENERIC] {
            let name = strategy.name.clone();
            let (hosts, link) = (Hosts::Two, Link::Fifo);
            let setting = Setting { strategy, hosts, link, defect: Some(defect), disruptions };
            let failing = |pages| {
                let run = run(&setting, pages, Property::S7 | Property::L3, Engine::Native);
                let failing = run.verdicts.iter().filter(|verdict| verdict.actual == Actual::Fails);
                failing.map(|verdict| verdict.property).collect::<EnumSet<Property>>()
            };
            // A page alone has no other that could come first.
            assert_eq!(failing(exactly(1)), Property::L3, "{defect} in {name}");
            for pages in [exactly(2), Pages::Any] {
                assert_eq!(failing(pages), Property::S7 | Property::L3, "{defect} in {name}");
            }
        }
    }
}

/// A sound algorithm of the same setting is not accused: what catches the defect is the defect.
#[test]
fn without_the_defect_nothing_is_caught() {
    for entry in DEFECTS {
        let sound = Setting { defect: None, ..broken(&entry) };
        let run = run(&sound, exactly(1), entry.caught_by.into(), Engine::Native);
        assert_eq!(run.conclusion(), Conclusion::AsExpected, "{} without {}", entry.algorithm, entry.defect);
    }
}

#[test]
fn the_table_has_every_defect_once_and_every_safety_property() {
    let names: HashSet<String> = DEFECTS.iter().map(|entry| entry.defect.to_string()).collect();
    assert_eq!(names.len(), DEFECTS.len());
    for entry in DEFECTS {
        assert_eq!(entry.defect.to_string().parse(), Ok(entry.defect));
        assert_eq!(entry.defect.entry().meaning, entry.meaning);
    }
    let caught: EnumSet<model::Property> = DEFECTS.iter().map(|entry| entry.caught_by).collect();
    assert!(caught.is_superset(common::safety()), "{:?} catch nothing", common::safety() - caught);
}
