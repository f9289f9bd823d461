//! Strategy files: what is written reads back the same, what is contradictory is refused with the reason,
//! and whatever is accepted can be explored.

mod common;

use std::collections::HashSet;

use common::legal_combinations;
use model::concrete::State;
use model::paging::{Channels, Mappings, Paging, Waking};
use model::strategy::{
    Clean, Fallback, Freeze, HandOver, LogReading, Missing, PASSES_MAX, Passes, Pre, Push, Real, Rest, Start,
    Stop, Strategy,
};
use model::system::Properties;
use model::{Concrete, Expectation, Hosts, Link, Migration, Property, algorithms};
use proptest::prelude::*;
use quickcheck::{Arbitrary, Gen, quickcheck};

#[derive(Clone, Debug)]
struct AnyStrategy(Strategy);

fn choose(seed: [u8; 16], name: String) -> Strategy {
    let pick = |index: usize, count: u8| seed[index] % count;
    Strategy {
        name: name.into(),
        pre: match pick(0, 4) {
            0 => Pre::None,
            1 => Pre::Copy(Passes::AtMost(seed[7] % (PASSES_MAX + 2))),
            2 => Pre::Copy(Passes::Unbounded),
            _ => Pre::WriteBack,
        },
        freeze: [Freeze::All, Freeze::Modified, Freeze::NotInStep, Freeze::FlushModified, Freeze::None]
            [usize::from(pick(1, 5))],
        working_set: pick(2, 2) == 0,
        missing: [Missing::Nothing, Missing::Source, Missing::Store, Missing::Split][usize::from(pick(3, 4))],
        push: [Push::None, Push::Next, Push::Pivot, Push::Pull][usize::from(pick(4, 4))],
        clean: [Clean::Travel, Clean::LocalStore][usize::from(pick(5, 2))],
        rest: [Rest::Normal, Rest::PreMigration][usize::from(pick(6, 2))],
        real: Real {
            hand_over: [HandOver::ReadyGo, HandOver::OneShot, HandOver::Acknowledged, HandOver::None]
                [usize::from(pick(8, 4))],
            log: [LogReading::Page, LogReading::Pass][usize::from(pick(9, 2))],
            stop: [Stop::Passes, Stop::Target, Stop::Switch][usize::from(pick(10, 3))],
            start: [Start::AtOnce, Start::Announced][usize::from(pick(14, 2))],
            fallback: [Fallback::None, Fallback::Store][usize::from(pick(15, 2))],
        },
        paging: Paging {
            wake: [Waking::WithPage, Waking::Apart][usize::from(pick(11, 2))],
            pages: [Mappings::Fixed, Mappings::ComeAndGo][usize::from(pick(12, 2))],
            channels: [Channels::One, Channels::DemandApart, Channels::Striped][usize::from(pick(13, 3))],
        },
    }
}

impl Arbitrary for AnyStrategy {
    fn arbitrary(g: &mut Gen) -> Self {
        AnyStrategy(choose(std::array::from_fn(|_| u8::arbitrary(g)), String::arbitrary(g)))
    }
}

quickcheck! {
    fn files_round_trip(strategy: AnyStrategy) -> bool {
        let AnyStrategy(strategy) = strategy;
        let read = strategy.to_toml().parse::<Strategy>();
        match strategy.clone().check() {
            Ok(legal) => read == Ok(legal),
            Err(contradiction) => {
                let error = read.expect_err("a contradictory strategy must not parse");
                error.field.as_deref() == Some(contradiction.field) && error.reason == contradiction.reason
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every legal combination of choices, not only the built-in ones, keeps its safety properties.
    #[test]
    fn legal_strategies_are_safe(seed: [u8; 16], lossy: bool, three: bool) {
        let Ok(strategy) = choose(seed, "any".into()).check() else { return Ok(()) };
        let link = if lossy { Link::Lossy } else { Link::Unordered };
        let hosts = if three { Hosts::Three } else { Hosts::Two };
        let (_, violated) = explore(&Concrete { system: Migration::new(strategy.clone(), hosts, link), pages: 1 });
        for property in violated {
            prop_assert_eq!(strategy.expectation(property), Expectation::Fails, "{} under {:?}", property, strategy);
        }
    }
}

/// The number of reachable states, and what they violate.
fn explore(concrete: &Concrete<Migration>) -> (usize, Properties) {
    let mut seen: HashSet<State<Migration>> = concrete.initial().into_iter().collect();
    let mut open: Vec<State<Migration>> = seen.iter().cloned().collect();
    let mut violated = Properties::empty();
    while let Some(state) = open.pop() {
        violated |= concrete.judge(&state);
        for (step, next) in concrete.successors(&state) {
            violated |= concrete.judge_step(&state, step);
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    (seen.len(), violated)
}

/// Pinned, so that a rule that is dropped or added shows.
#[test]
fn legal_combinations_are_counted() {
    assert_eq!(legal_combinations().len(), 44);
}

/// The rules are neither too lax nor blind: whatever they accept keeps every safety property. The number of states is
/// pinned: it shows what no built-in algorithm does.
#[test]
fn every_legal_combination_is_safe() {
    let mut states = 0;
    for strategy in legal_combinations() {
        for (link, pages) in [(Link::Fifo, 2), (Link::Unordered, 2), (Link::Lossy, 1)] {
            let system = Migration::new(strategy.clone(), Hosts::Three, link);
            let (count, violated) = explore(&Concrete { system, pages });
            assert!(violated.is_empty(), "{strategy:?} over {link:?} violates {violated:?}");
            states += count;
        }
    }
    assert_eq!(states, 270_213);
}

#[test]
fn built_in_algorithms_are_legal_and_round_trip() {
    for strategy in algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS) {
        let strategy = strategy.check().expect("legal");
        assert_eq!(strategy.to_toml().parse::<Strategy>(), Ok(strategy));
    }
}

#[test]
fn errors_name_line_field_and_reason() {
    let error = |text: &str| text.parse::<Strategy>().expect_err("refused").to_string();
    let contradictory =
        algorithms::POST_COPY.to_toml().replace("missing = \"source\"", "missing = \"nothing\"");
    assert_eq!(
        error(&contradictory),
        "line 4: missing: freeze = \"none\" leaves pages at the source: say \"source\" or \"split\""
    );
    let misspelt = algorithms::POST_COPY.to_toml().replace("freeze = \"none\"", "freeze = \"nil\"");
    assert!(
        error(&misspelt).starts_with("line 3: freeze: unknown variant `nil`, expected one of"),
        "{}",
        error(&misspelt)
    );
    let unknown = algorithms::POST_COPY.to_toml() + "speed = \"high\"\n";
    assert!(error(&unknown).starts_with("line 8: speed: unknown field `speed`"), "{}", error(&unknown));
    let incomplete = algorithms::PRE_COPY.to_toml().replace("passes = 2\n", "");
    assert_eq!(error(&incomplete), "line 2: passes: pre = \"copy\" needs it: a number, or \"unbounded\"");
    let excessive = algorithms::PRE_COPY.to_toml().replace("passes = 2", "passes = 30");
    assert_eq!(error(&excessive), "line 3: passes: must be 1 to 6, or \"unbounded\"");
}

/// A property that does not apply is not one that fails.
#[test]
fn expectations_differ_between_algorithms() {
    let expectation = |strategy: &Strategy| strategy.expectation(Property::L1);
    assert_eq!(expectation(&algorithms::LAZY_COPY), Expectation::Fails);
    assert_eq!(expectation(&algorithms::POST_COPY), Expectation::Holds);
    assert_eq!(expectation(&algorithms::TOTAL_COPY), Expectation::NotApplicable);
}

/// A name can say what is to be otherwise; what it says is a strategy file's, and refused as there.
#[test]
fn a_name_can_make_other_choices() {
    let varied = |name: &str| algorithms::varied(name).map(|read| read.map_err(|error| error.to_string()));
    let pulling = varied("post-copy+push=pull+hand-over=one-shot").expect("a name").expect("legal");
    let Strategy { name, push, real, .. } = pulling;
    assert_eq!((&*name, push), ("post-copy+push=pull+hand-over=one-shot", Push::Pull));
    assert_eq!(real, Real { hand_over: HandOver::OneShot, ..Real::NONE });
    let passes = algorithms::built_in("pre-copy+passes=4").expect("a name that is understood");
    assert_eq!(passes.pre, Pre::Copy(Passes::AtMost(4)));
    assert!(algorithms::built_in("generic+working-set=false").is_some_and(|strategy| !strategy.working_set));
    for none in ["post-copy", "nobody+push=pull", "post-copy+pull", "post-copy+"] {
        assert_eq!(varied(none), None, "{none}");
    }
    let refused = |name: &str| varied(name).expect("a name").expect_err("refused");
    assert!(refused("post-copy+speed=high").contains("speed: unknown field"));
    assert!(refused("total-copy+push=next").contains("push: the source owes no page"));
    assert_eq!(algorithms::built_in("total-copy+push=next"), None);
}
