//! What several tests need.

use std::collections::HashSet;

use model::Paging;
use model::strategy::{Clean, Freeze, Missing, Passes, Pre, Push, Rest, Strategy};

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
                                let (name, paging) = ("combination".into(), Paging::PLAIN);
                                let strategy = Strategy {
                                    name,
                                    pre,
                                    freeze,
                                    working_set,
                                    missing,
                                    push,
                                    clean,
                                    rest,
                                    paging,
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
