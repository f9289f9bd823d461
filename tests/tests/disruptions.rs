//! Every verdict is the expected one when things go wrong.

mod common;

use checker::judge::Engine;
use checker::report::{CheckRun, Conclusion};
use checker::setting::{Pages, Setting};
use enumset::EnumSet;
use model::{Disruption, Disruptions, Hosts, Link, Property, Strategy};

use common::{everything, exactly, run, safety};

fn disrupted(strategy: Strategy, link: Link, budget: usize, kinds: EnumSet<Disruption>) -> Setting {
    let disruptions = Disruptions::up_to(budget, kinds);
    Setting { strategy, hosts: Hosts::Two, link, defect: None, disruptions }
}

fn surprises(run: &CheckRun, what: &str) -> Vec<String> {
    let verdicts = run.verdicts.iter().filter(|verdict| run.conclusion_of(verdict) != Conclusion::AsExpected);
    let mut said: Vec<String> = verdicts
        .map(|verdict| {
            let story = verdict.story.as_ref().map(|story| story.to_text()).unwrap_or_default();
            format!(
                "{} over {} with {what}: {} {:?} {:?}\n{story}",
                run.algorithm, run.link, verdict.property, verdict.actual, verdict.basis
            )
        })
        .collect();
    if run.conclusion() != Conclusion::AsExpected {
        said.push(format!("{} over {} with {what}: never taken: {:?}", run.algorithm, run.link, run.untaken));
    }
    said
}

fn assert_as_expected(setting: &Setting, pages: Pages, properties: EnumSet<Property>, what: &str) {
    let run = run(setting, pages, properties, Engine::Native);
    let surprises = surprises(&run, what);
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[test]
fn one_disruption_of_each_kind() {
    for link in Link::ALL {
        for strategy in everything() {
            for kind in Disruption::ALL {
                let setting = disrupted(strategy.clone(), link, 1, kind.into());
                assert_as_expected(&setting, exactly(1), EnumSet::all(), &kind.to_string());
            }
        }
    }
}

#[test]
fn one_disruption_of_any_kind_with_two_pages() {
    for link in [Link::Fifo, Link::Unordered] {
        for strategy in everything() {
            let setting = disrupted(strategy, link, 1, EnumSet::all());
            assert_as_expected(&setting, exactly(2), EnumSet::all(), "any disruption");
        }
    }
}

#[test]
fn two_disruptions_of_any_kinds() {
    for link in Link::ALL {
        for strategy in everything() {
            let setting = disrupted(strategy, link, 2, EnumSet::all());
            assert_as_expected(&setting, exactly(1), EnumSet::all(), "any two disruptions");
        }
    }
}

#[test]
fn one_disruption_of_any_kind_for_any_number_of_pages() {
    for link in Link::ALL {
        for strategy in everything() {
            let setting = disrupted(strategy, link, 1, EnumSet::all());
            // Of L7 the proof says only that it does not know.
            let properties = EnumSet::all() - Property::L7;
            assert_as_expected(&setting, Pages::Any, properties, "any disruption, any number of pages");
        }
    }
}

#[test]
fn both_engines_agree() {
    for link in Link::ALL {
        for strategy in everything() {
            for budget in 1..=2 {
                let setting = disrupted(strategy.clone(), link, budget, EnumSet::all());
                let run = run(&setting, exactly(1), safety(), Engine::Both);
                assert_eq!(surprises(&run, "both engines"), Vec::<String>::new());
            }
        }
    }
}
