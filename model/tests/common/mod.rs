//! What several tests need.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::HashSet;

use model::concrete::State;
use model::strategy::{Clean, Freeze, Missing, Passes, Pre, Push, Real, Rest, Strategy};
use model::system::Properties;
use model::{Concrete, Migration, Paging};

/// Every choice with every other, but for the number of passes.
pub fn legal_combinations() -> HashSet<Strategy> {
    let mut legal = HashSet::new();
    for pre in [Pre::None, Pre::Copy(Passes::AtMost(2)), Pre::Copy(Passes::Unbounded), Pre::WriteBack] {
        for freeze in [Freeze::All, Freeze::Modified, Freeze::NotInStep, Freeze::FlushModified, Freeze::None]
        {
            for missing in [Missing::Nothing, Missing::Source, Missing::Store, Missing::Split] {
                for push in [Push::None, Push::Next, Push::Pivot] {
                    for clean in [Clean::Travel, Clean::LocalStore] {
                        for rest in [Rest::Normal, Rest::PreMigration] {
                            for working_set in [false, true] {
                                let strategy = Strategy {
                                    name: "combination".into(),
                                    pre,
                                    freeze,
                                    working_set,
                                    missing,
                                    push,
                                    clean,
                                    rest,
                                    real: Real::NONE,
                                    paging: Paging::PLAIN,
                                };
                                legal.extend(strategy.check());
                            }
                        }
                    }
                }
            }
        }
    }
    legal
}

/// Every state that can be reached but for the order of its pages, and what these and the steps between them violate.
pub fn explore(concrete: &Concrete<Migration>) -> (HashSet<State<Migration>>, Properties) {
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
    (seen, violated)
}
