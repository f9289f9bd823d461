//! The same algorithm in the words of the model and of the reference.

use model::paging::{Channels, Mappings, Paging, Waking};
use model::strategy::{
    Clean, Fallback, Freeze, HandOver, LogReading, Missing, Passes, Pre, Push, Rest, Start, Stop,
};
use model::{Contradiction, Strategy};
use protocol::policy::{self as endpoint, Policy};

/// Why the reference has no policy for a strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The model rejects it.
    #[error(transparent)]
    Model(#[from] Contradiction),
    /// The reference rejects it.
    #[error(transparent)]
    Reference(#[from] endpoint::Contradiction),
    /// The endpoints do not have it.
    #[error("{0}: the endpoints of the reference do not have this yet: leave it out")]
    Choice(&'static str),
}

/// The policy that makes the choices of this strategy.
///
/// # Errors
/// The choices contradict each other, or the reference does not have them.
pub fn policy(strategy: &Strategy) -> Result<Policy, Unsupported> {
    let Strategy { name, pre, freeze, working_set, missing, push, clean, rest, real, paging } =
        strategy.clone().check()?;
    let Paging { wake, pages, channels } = paging;
    let lacking = [("pages", pages != Mappings::Fixed), ("channels", channels == Channels::Striped)];
    if let Some((field, _)) = lacking.into_iter().find(|(_, lacking)| *lacking) {
        return Err(Unsupported::Choice(field));
    }
    let policy = Policy {
        name,
        pre: match pre {
            Pre::None => endpoint::Pre::None,
            Pre::Copy(Passes::AtMost(passes)) => endpoint::Pre::Copy(endpoint::Passes::AtMost(passes.into())),
            Pre::Copy(Passes::Unbounded) => endpoint::Pre::Copy(endpoint::Passes::UntilInStep),
            Pre::WriteBack => endpoint::Pre::WriteBack,
        },
        freeze: match freeze {
            Freeze::All => endpoint::Freeze::All,
            Freeze::Modified => endpoint::Freeze::Modified,
            Freeze::NotInStep => endpoint::Freeze::NotInStep,
            Freeze::FlushModified => endpoint::Freeze::Flush,
            Freeze::None => endpoint::Freeze::None,
        },
        working_set,
        missing: match missing {
            Missing::Nothing => endpoint::Missing::Never,
            Missing::Source => endpoint::Missing::Source,
            Missing::Store if freeze == Freeze::FlushModified => endpoint::Missing::FileServer,
            // The reference does not call a page missing that the local backing store has.
            Missing::Store => endpoint::Missing::Never,
            Missing::Split => endpoint::Missing::ByKind,
        },
        push: match push {
            Push::None => endpoint::Push::None,
            Push::Next => endpoint::Push::NextMissing,
            Push::Pivot => endpoint::Push::Pivot,
            Push::Pull => endpoint::Push::Pull,
        },
        clean: match clean {
            Clean::Travel => endpoint::Clean::Travel,
            Clean::LocalStore => endpoint::Clean::LocalStore,
        },
        rest: match rest {
            Rest::Normal => endpoint::Rest::Normal,
            Rest::PreMigration => endpoint::Rest::PreMigration,
        },
        stop: match real.stop {
            Stop::Passes => endpoint::Stop::Passes,
            Stop::Switch => endpoint::Stop::Switch,
            Stop::Target => endpoint::Stop::Target,
        },
        start: match real.start {
            Start::AtOnce => endpoint::Start::AtOnce,
            Start::Announced => endpoint::Start::Announced,
        },
        fallback: match real.fallback {
            Fallback::None => endpoint::Fallback::None,
            Fallback::Store => endpoint::Fallback::Store,
        },
        channels: match channels {
            Channels::DemandApart => endpoint::Channels::DemandApart,
            Channels::One | Channels::Striped => endpoint::Channels::One,
        },
        wake: match wake {
            Waking::WithPage => endpoint::Wake::WithPage,
            Waking::Apart => endpoint::Wake::Apart,
        },
        log: match real.log {
            LogReading::Page => endpoint::LogReading::Page,
            LogReading::Pass => endpoint::LogReading::Pass,
        },
        hand_over: match real.hand_over {
            HandOver::ReadyGo => endpoint::HandOver::ReadyGo,
            HandOver::OneShot => endpoint::HandOver::OneShot,
            HandOver::Acknowledged => endpoint::HandOver::Acknowledged,
            HandOver::None => endpoint::HandOver::None,
        },
    };
    policy.check()?;
    Ok(policy)
}

/// The strategy that makes the choices of this policy, if the model has them: both are written down alike.
pub fn strategy(policy: &Policy) -> Option<Strategy> {
    let strategy = policy.to_toml().parse().ok()?;
    (self::policy(&strategy).as_ref() == Ok(policy)).then_some(strategy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::strategy::Real;

    #[test]
    fn the_built_in_algorithms_are_the_same_on_both_sides() {
        for (strategy, expected) in model::algorithms::BUILT_IN.into_iter().zip(Policy::ALL) {
            assert_eq!(policy(&strategy), Ok(expected));
        }
    }

    /// Every combination of choices.
    fn combinations() -> impl Iterator<Item = Strategy> {
        let pres = [
            Pre::None,
            Pre::Copy(Passes::AtMost(1)),
            Pre::Copy(Passes::AtMost(6)),
            Pre::Copy(Passes::Unbounded),
            Pre::WriteBack,
        ];
        let freezes = [Freeze::All, Freeze::Modified, Freeze::NotInStep, Freeze::FlushModified, Freeze::None];
        let missings = [Missing::Nothing, Missing::Source, Missing::Store, Missing::Split];
        let of = move |pre| {
            let (name, clean, rest) = ("combination".into(), Clean::Travel, Rest::Normal);
            let (freeze, missing, push) = (Freeze::All, Missing::Nothing, Push::None);
            let (real, paging) = (Real::NONE, Paging::PLAIN);
            Strategy { name, pre, freeze, working_set: false, missing, push, clean, rest, real, paging }
        };
        let all = pres.into_iter().map(of);
        let all = all.flat_map(move |strategy| freezes.map(|freeze| Strategy { freeze, ..strategy.clone() }));
        let all =
            all.flat_map(move |strategy| missings.map(|missing| Strategy { missing, ..strategy.clone() }));
        let all = all.flat_map(|strategy| {
            [Push::None, Push::Next, Push::Pivot, Push::Pull]
                .map(|push| Strategy { push, ..strategy.clone() })
        });
        let all = all.flat_map(|strategy| {
            [Clean::Travel, Clean::LocalStore].map(|clean| Strategy { clean, ..strategy.clone() })
        });
        let all = all.flat_map(|strategy| {
            [Rest::Normal, Rest::PreMigration].map(|rest| Strategy { rest, ..strategy.clone() })
        });
        let all = all.flat_map(|strategy| {
            [false, true].map(|working_set| Strategy { working_set, ..strategy.clone() })
        });
        let reals = || {
            let falling = |real| [real, Real { fallback: Fallback::Store, ..real }];
            Real::all().flat_map(falling)
        };
        let all =
            all.flat_map(move |strategy| reals().map(move |real| Strategy { real, ..strategy.clone() }));
        let pagings = [
            Paging::PLAIN,
            Paging { channels: Channels::DemandApart, ..Paging::PLAIN },
            Paging { channels: Channels::Striped, ..Paging::PLAIN },
            Paging { wake: Waking::Apart, ..Paging::PLAIN },
        ];
        all.flat_map(move |strategy| pagings.map(|paging| Strategy { paging, ..strategy.clone() }))
    }

    /// A file that describes an algorithm to the model describes the same one to the reference, or none.
    #[test]
    fn one_file_is_read_alike_on_both_sides() {
        let (mut same, mut refused) = (0, 0);
        let built_in = model::algorithms::BUILT_IN.into_iter().chain(model::algorithms::CHOICES);
        for strategy in combinations().chain(built_in) {
            if strategy.clone().check().is_err() {
                continue;
            }
            let read = strategy.to_toml().parse::<Policy>();
            match policy(&strategy) {
                Ok(policy) => {
                    assert_eq!(read, Ok(policy.clone()), "{}", strategy.to_toml());
                    assert_eq!(self::strategy(&policy), Some(strategy));
                    same += 1;
                }
                Err(_) => {
                    assert!(read.is_err(), "{}", strategy.to_toml());
                    refused += 1;
                }
            }
        }
        assert!(same > 9 && refused > 0, "{same} read alike, {refused} refused");
    }

    /// What the endpoints leave to others they name: a strategy file that asks for it says in which line.
    #[test]
    fn a_choice_that_the_endpoints_do_not_have_is_named() {
        let mut named = vec![];
        for strategy in model::algorithms::CHOICES {
            let text = strategy.to_toml();
            if let Err(error) = text.parse::<Policy>() {
                let field = error.reason.split(':').next().unwrap_or_default().to_owned();
                assert!(
                    text.lines().nth(error.line - 1).is_some_and(|line| line.starts_with(&field)),
                    "{error}"
                );
                assert!(matches!(policy(&strategy), Err(Unsupported::Choice(_))));
                named.push(field);
            }
        }
        assert_eq!(named, ["pages", "pages", "pages", "channels"]);
    }

    #[test]
    fn a_policy_is_found_again() {
        for strategy in model::algorithms::BUILT_IN {
            for working_set in [false, true] {
                let strategy = Strategy { working_set, ..strategy.clone() };
                let Ok(policy) = policy(&strategy) else { continue };
                assert_eq!(self::strategy(&policy), Some(strategy));
            }
        }
        let without_prefetch = Strategy { push: Push::Next, ..model::algorithms::GENERIC };
        assert_eq!(strategy(&policy(&without_prefetch).unwrap()), Some(without_prefetch));
        let unheard_of = Strategy { name: "unheard-of".into(), ..model::algorithms::POST_COPY };
        assert_eq!(strategy(&policy(&unheard_of).unwrap()), Some(unheard_of));
        let modified_alone = Policy { clean: endpoint::Clean::LocalStore, ..Policy::PRE_COPY };
        let found = strategy(&modified_alone).expect("the model has it");
        assert_eq!((found.missing, policy(&found)), (Missing::Store, Ok(modified_alone)));
        let unheard_of = Policy { clean: endpoint::Clean::LocalStore, ..Policy::LAZY_COPY };
        let unheard_of = Policy { missing: endpoint::Missing::ByKind, ..unheard_of };
        assert_eq!((unheard_of.check(), strategy(&unheard_of)), (Ok(()), None));
    }

    #[test]
    fn what_the_reference_does_not_have_is_refused() {
        for profile in model::algorithms::PROFILES {
            let read = profile.to_toml().parse::<Policy>();
            assert_eq!(read.ok(), policy(&profile).ok(), "{}", profile.name);
            assert!(policy(&profile).is_ok(), "{}", profile.name);
        }
        let strategy = Strategy { push: Push::Next, ..model::algorithms::TOTAL_COPY };
        assert!(matches!(policy(&strategy), Err(Unsupported::Model(_))));
    }
}
