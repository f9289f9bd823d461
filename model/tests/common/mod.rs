//! What several tests need.

use std::collections::HashSet;

use model::Paging;
use model::strategy::{Clean, Freeze, Missing, Passes, Pre, Push, Real, Rest, Strategy};

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
