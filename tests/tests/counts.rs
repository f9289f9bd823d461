//! Every count is pinned: a change of the model shows here, and needs a sentence in its commit message.

mod common;

use std::fmt::Write;

use checker::judge::Engine;
use checker::report::Conclusion;
use checker::setting::{Pages, Setting};
use enumset::EnumSet;
use model::{Disruptions, Hosts, Link, Property, algorithms};

use common::{everything, exactly, run, safety, sound};

#[test]
fn states_transitions_and_depth() {
    let mut table = format!(
        "{:30}{:>6}{:>12}{:>10}{:>13}{:>7}\n",
        "algorithm", "pages", "states", "orbits", "transitions", "depth"
    );
    for strategy in everything() {
        for pages in 1..=3 {
            let setting = sound(strategy.clone(), Hosts::Three, Link::Fifo);
            let run = run(&setting, exactly(pages), safety(), Engine::Native);
            let (orbits, transitions) = (run.orbits.expect("symmetry"), run.transitions.expect("explored"));
            writeln!(
                table,
                "{:30}{pages:>6}{:>12}{orbits:>10}{transitions:>13}{:>7}",
                run.algorithm, run.states, run.depth
            )
            .expect("a string takes it");
        }
    }
    insta::assert_snapshot!(table);
}

/// The choices about pages, threads and connections: what they come to with a page or two, and that whatever holds is proved
/// for any number of pages (but for L7, a possibility).
#[test]
fn choices_about_pages() {
    let mut table = format!(
        "{:24}{:10}{:>6}{:>9}{:>13}{:>7}\n",
        "algorithm", "link", "pages", "states", "transitions", "depth"
    );
    for strategy in algorithms::CHOICES {
        for link in Link::ALL {
            let setting = sound(strategy.clone(), Hosts::Two, link);
            for pages in 1..=2 {
                let run = run(&setting, exactly(pages), EnumSet::all(), Engine::Native);
                assert_eq!(run.conclusion(), Conclusion::AsExpected, "{} over {link}", strategy.name);
                let transitions = run.transitions.expect("explored");
                let link = link.to_string();
                writeln!(
                    table,
                    "{:24}{link:10}{pages:>6}{:>9}{transitions:>13}{:>7}",
                    run.algorithm, run.states, run.depth
                )
                .expect("a string takes it");
            }
            let run = run(&setting, Pages::Any, EnumSet::all() - Property::L7, Engine::Native);
            assert_eq!(run.conclusion(), Conclusion::AsExpected, "{} over {link}, any number", strategy.name);
        }
    }
    insta::assert_snapshot!(table);
}

/// The precautions likewise; also when something goes wrong.
#[test]
fn precautions() {
    let mut table = format!(
        "{:24}{:10}{:>6}{:>9}{:>13}{:>7}\n",
        "algorithm", "", "pages", "states", "transitions", "depth"
    );
    for strategy in algorithms::PRECAUTIONS {
        for budget in 0..=1 {
            let disruptions = Disruptions::up_to(budget, EnumSet::all());
            let setting = Setting { disruptions, ..sound(strategy.clone(), Hosts::Two, Link::Fifo) };
            for pages in 1..=2 {
                let run = run(&setting, exactly(pages), EnumSet::all(), Engine::Native);
                assert_eq!(run.conclusion(), Conclusion::AsExpected, "{} with {budget}", strategy.name);
                let transitions = run.transitions.expect("explored");
                let with = if budget == 0 { "" } else { "disrupted" };
                writeln!(
                    table,
                    "{:24}{with:10}{pages:>6}{:>9}{transitions:>13}{:>7}",
                    run.algorithm, run.states, run.depth
                )
                .expect("a string takes it");
            }
            let any = run(&setting, Pages::Any, EnumSet::all() - Property::L7, Engine::Native);
            assert_eq!(
                any.conclusion(),
                Conclusion::AsExpected,
                "{} with {budget}, any number",
                strategy.name
            );
        }
    }
    insta::assert_snapshot!(table);
}
