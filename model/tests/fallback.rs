//! A source that dies while it owes pages, and a backing store that has some of them; and pre-copy after which each page
//! comes from where it is.

mod common;

use std::collections::{BTreeSet, HashSet};

use common::legal_combinations;
use enumset::EnumSet;
use model::concrete::State;
use model::disruption::{Aftermath, Connection};
use model::page::{Currency, Kind, Plan, WriteBack};
use model::paging::{Aside, Life, Paging};
use model::strategy::{Fallback, Missing, Pre, Push, Real, Stop, Strategy};
use model::system::{Judged, PageMove, Properties};
use model::{
    Concrete, Control, Disruption, Disruptions, Hosts, Link, Migration, Move, Page, PageStep, Phase, Process,
    Property, algorithms,
};

fn falling_back(strategy: Strategy) -> Option<Strategy> {
    let real = Real { fallback: Fallback::Store, ..strategy.real };
    Strategy { real, ..strategy }.check().ok()
}

/// Whatever can fall back: legal combinations, with pre-copy that stops at any moment, and with pull.
fn strategies() -> Vec<Strategy> {
    let stops = [Stop::Passes, Stop::Target, Stop::Switch];
    let with_stop = |strategy: Strategy| {
        stops.map(|stop| Strategy { real: Real { stop, ..strategy.real }, ..strategy.clone() })
    };
    let with_pull = |strategy: Strategy| [strategy.clone(), Strategy { push: Push::Pull, ..strategy }];
    // A one-shot loses the process for reasons of its own.
    let hybrid = Strategy { real: Real { stop: Stop::Switch, ..Real::NONE }, ..algorithms::QEMU_HYBRID };
    let all = legal_combinations().into_iter().chain([hybrid]);
    let all: BTreeSet<String> = all
        .flat_map(with_stop)
        .flat_map(with_pull)
        .filter_map(falling_back)
        .map(|strategy| strategy.to_toml())
        .collect();
    all.iter().map(|text| text.parse().expect("legal")).collect()
}

fn disrupted(strategy: Strategy, link: Link, budget: usize, kinds: EnumSet<Disruption>) -> Migration {
    Migration::new(strategy, Hosts::Two, link).with_disruptions(Disruptions::up_to(budget, kinds))
}

struct Explored {
    states: HashSet<State<Migration>>,
    violated: Properties,
    fell_back: HashSet<(Kind, Phase)>,
}

fn explore(system: Migration, pages: usize) -> Explored {
    let concrete = Concrete { system, pages };
    let mut states: HashSet<State<Migration>> =
        concrete.initial().into_iter().map(|state| state.sorted()).collect();
    let mut open: Vec<State<Migration>> = states.iter().cloned().collect();
    let mut violated = Properties::empty();
    let mut fell_back = HashSet::new();
    while let Some(state) = open.pop() {
        violated |= concrete.judge(&state);
        for (step, next) in concrete.successors(&state) {
            violated |= concrete.judge_step(&state, step);
            if let Move::Page(PageStep::FallBack, index) = step {
                fell_back.insert((state.pages[index].kind, state.control.phase));
            }
            let next = next.sorted();
            if states.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    Explored { states, violated, fell_back }
}

/// Whatever else goes wrong beside the death; every strategy that can fall back does, in some run.
#[test]
fn what_falls_back_is_safe() {
    let (mut strategies_seen, mut states) = (0, 0);
    for strategy in strategies() {
        strategies_seen += 1;
        for link in Link::ALL {
            let crash = Disruption::CrashSource.into();
            let one = explore(disrupted(strategy.clone(), link, 1, crash), 1);
            let two = explore(disrupted(strategy.clone(), link, 2, EnumSet::all()), 1);
            let pages = if link == Link::Fifo { 2 } else { 1 };
            let undisturbed = explore(Migration::new(strategy.clone(), Hosts::Three, link), pages);
            for explored in [&one, &two, &undisturbed] {
                assert!(explored.violated.is_empty(), "{strategy:?} over {link:?}: {:?}", explored.violated);
                states += explored.states.len();
            }
            assert!(!one.fell_back.is_empty(), "{strategy:?} over {link:?}");
            assert!(undisturbed.fell_back.is_empty());
        }
    }
    assert_eq!((strategies_seen, states), (31, 1_308_686));
}

/// Who knows what is gone: an unmodified page is at the local replica, a file-mapped one at the file server if its
/// write-back had come, and any other existed at the source alone.
#[test]
fn what_falls_back_is_what_a_store_has() {
    let crash = || Disruption::CrashSource.into();
    let of = |strategy| explore(disrupted(strategy, Link::Fifo, 1, crash()), 1);
    let post_copy = of(algorithms::POST_COPY_FALLBACK);
    assert_eq!(post_copy.fell_back, HashSet::from([(Kind::Private, Phase::Running)]));
    let generic = of(algorithms::GENERIC_FALLBACK);
    assert_eq!(generic.fell_back, HashSet::from([(Kind::FileMapped, Phase::Running)]));

    let system = disrupted(algorithms::GENERIC_FALLBACK, Link::Fifo, 1, crash());
    let falls =
        |state: &State<Migration>| system.can_fall_back(&state.pages[0]).then_some(state.pages[0].store);
    let owed = |state: &&State<Migration>| {
        state.control.aftermath.source_down && state.pages[0].plan == Plan::FromSource
    };
    let mut seen = HashSet::new();
    for state in generic.states.iter().filter(owed) {
        assert_eq!(state.pages[0].write_back, WriteBack::Idle, "nobody is left to send it again");
        let stored = state.pages[0].store == Currency::Current;
        assert_eq!(falls(state).is_some(), stored, "{state:?}");
        seen.insert(stored);
    }
    assert_eq!(seen.len(), 2, "some are stored, some are not");
}

/// Fewer processes are lost than without; those that wrote to a page that had not come are.
#[test]
fn a_process_is_lost_with_pages_that_existed_at_the_source_alone() {
    let lost = |explored: &Explored| explored.states.iter().any(|state| state.control.phase == Phase::Lost);
    let survives = |explored: &Explored| {
        let on = |state: &State<Migration>| {
            state.control.aftermath.struck == 1 && state.control.phase == Phase::Rest && state.control.runs()
        };
        explored.states.iter().any(on)
    };
    for strategy in [algorithms::POST_COPY_FALLBACK, algorithms::GENERIC_FALLBACK] {
        let explored = explore(disrupted(strategy, Link::Fifo, 1, Disruption::CrashSource.into()), 1);
        assert!(lost(&explored) && survives(&explored));
    }
}

/// A pass of pre-copy over what was modified, then each page from where it is.
#[test]
fn pre_copy_can_leave_the_rest_to_source_and_store() {
    let split: Vec<Strategy> = legal_combinations()
        .into_iter()
        .filter(|strategy| matches!(strategy.pre, Pre::Copy(_)) && strategy.missing == Missing::Split)
        .collect();
    assert!(split.iter().any(|strategy| *strategy
        == Strategy { name: strategy.name.clone(), pre: strategy.pre, ..algorithms::ASSISTED_SPLIT }));
    let plans: HashSet<Plan> = explore(Migration::new(algorithms::ASSISTED_SPLIT, Hosts::Two, Link::Fifo), 2)
        .states
        .iter()
        .filter(|state| state.control.phase == Phase::Rebuilding)
        .flat_map(|state| state.pages.clone())
        .map(|page| page.plan)
        .collect();
    assert_eq!(plans, HashSet::from([Plan::Travelled, Plan::FromSource, Plan::FromStore]));
    for strategy in split {
        for link in Link::ALL {
            let two = disrupted(strategy.clone(), link, 2, EnumSet::all());
            let explored = explore(two, 1);
            assert!(explored.violated.is_empty(), "{strategy:?} over {link:?}: {:?}", explored.violated);
        }
    }
}

/// Where no store has what the source owes, there is nothing to fall back on.
#[test]
fn what_could_never_fall_back_is_refused() {
    let refused = |strategy: Strategy| {
        let fallback = Real { fallback: Fallback::Store, ..strategy.real };
        let error = Strategy { real: fallback, ..strategy }.check().expect_err("refused");
        (error.field, error.reason)
    };
    let reason = ("fallback", "no backing store has what the source owes: say \"none\"".to_owned());
    for strategy in [
        algorithms::TOTAL_COPY,
        algorithms::PRE_COPY,
        algorithms::FLUSHING,
        algorithms::ASSISTED_POST_COPY,
        algorithms::ASSISTED_SPLIT,
    ] {
        assert_eq!(refused(strategy), reason);
    }
    for strategy in [algorithms::LAZY_COPY, algorithms::QEMU_POST_COPY, algorithms::QEMU_HYBRID] {
        assert!(falling_back(strategy).is_some());
    }
    let text = algorithms::GENERIC_FALLBACK.to_toml();
    assert!(text.contains("fallback = \"store\"\n"), "{text}");
    assert_eq!(text.parse(), Ok(algorithms::GENERIC_FALLBACK));
    let plain = Strategy { paging: Paging::PLAIN, ..algorithms::POST_COPY };
    assert!(!plain.to_toml().contains("fallback"));
}

/// S12 objects where the process is given up for a page that a store has, and only where a store is fallen back on.
#[test]
fn what_is_judged_of_a_loss() {
    let lost = Control { phase: Phase::Lost, process: Process::Lost, ..Control::GONE };
    let running = Control {
        phase: Phase::Running,
        source_runs: false,
        destination_runs: true,
        aftermath: Aftermath { source_down: true, connection: Connection::Broken, ..Aftermath::NONE },
        ..Control::at_rest(Process::PostMigration)
    };
    let given_up = |strategy: Strategy, store| {
        let system = disrupted(strategy, Link::Fifo, 1, Disruption::CrashSource.into());
        let page = Page { plan: Plan::FromSource, store, ..Page::GONE };
        let taken = PageMove { requires: EnumSet::empty(), control: lost, page: Page::GONE };
        let verdict = system.judge_page_move(PageStep::DeclareLost, &running, &page, &taken);
        verdict.violated.contains(Property::S12)
    };
    assert!(given_up(algorithms::POST_COPY_FALLBACK, Currency::Current));
    assert!(!given_up(algorithms::POST_COPY_FALLBACK, Currency::Stale));
    assert!(!given_up(algorithms::POST_COPY, Currency::Current));
}

/// Only what the source owes, unmodified and in use, comes from a store; and only where the strategy says so.
#[test]
fn what_can_fall_back() {
    let owed = Page { plan: Plan::FromSource, ..Page::GONE };
    let can = |strategy: Strategy, page: Page| {
        Migration::new(strategy, Hosts::Two, Link::Fifo).can_fall_back(&page)
    };
    assert!(can(algorithms::POST_COPY_FALLBACK, owed));
    assert!(!can(algorithms::POST_COPY, owed));
    assert!(!can(algorithms::POST_COPY_FALLBACK, Page { dirty: true, ..owed }));
    assert!(!can(algorithms::POST_COPY_FALLBACK, Page { plan: Plan::Travelled, ..owed }));
    let zero = Aside { life: Life::Zero, ..Aside::NONE };
    assert!(!can(algorithms::POST_COPY_FALLBACK, Page { aside: zero, ..owed }));
}
