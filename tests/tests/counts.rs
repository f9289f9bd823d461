//! Every count is pinned: a change of the model shows here, and needs a sentence in its commit message.

mod common;

use std::fmt::Write;

use checker::judge::Engine;
use model::{Hosts, Link};

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
