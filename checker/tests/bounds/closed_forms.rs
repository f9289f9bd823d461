//! What each algorithm costs for a number of pages, as a person would work it out.

use std::num::NonZeroUsize;

use checker::bounds::{Bounds, Cost, Migrations, PAGE_BYTES, STATES_MAX, Way, observed};
use checker::observed::{Population, Writes};
use model::concrete::Move;
use model::page::Kind;
use model::strategy::{Passes, Pre};
use model::{Defect, Hosts, Link, Migration, PageStep, Strategy, algorithms};

fn built_in(name: &str) -> Strategy {
    algorithms::built_in(name).unwrap_or_else(|| panic!("no algorithm is called {name}"))
}

fn migration(strategy: Strategy) -> Migration {
    Migration::new(strategy, Hosts::Three, Link::Fifo)
}

/// The bounds of some costs, of all migrations forth.
fn bounds<const N: usize>(
    migration: Migration,
    population: Population,
    pages: usize,
    costs: [Cost; N],
) -> [Bounds; N] {
    let concrete = observed(migration, population, NonZeroUsize::new(pages).expect("a page"));
    let mut migrations = Migrations::explore(&concrete, Way::Forth, STATES_MAX, |_| true).expect("small");
    costs.map(|cost| migrations.bounds(cost).expect("a migration"))
}

const ANY: Population = Population { kind: None, writes: Writes::Any };

fn between(minimum: u64, maximum: u64) -> Bounds {
    Bounds { minimum, maximum: Some(maximum) }
}

fn from(minimum: u64) -> Bounds {
    Bounds { minimum, maximum: None }
}

const TRAVEL: [Cost; 5] = [Cost::Sent, Cost::Frozen, Cost::Awaited, Cost::Resent, Cost::Faults];
const STORE: [Cost; 3] = [Cost::Fetched, Cost::WrittenBack, Cost::Bytes];

#[test]
fn what_travels() {
    for pages in 1..=3 {
        let n = pages as u64;
        let (none, all, some) = (between(0, 0), between(n, n), between(0, n));
        for (name, expected) in [
            ("total-copy", [all, all, all, none, none]),
            ("total-copy-dirty", [some, some, some, none, some]),
            ("pre-copy", [between(n, 3 * n), some, between(0, 3 * n), between(0, 2 * n), none]),
            ("pre-copy-unbounded", [from(n), none, between(0, 2 * n), from(0), none]),
            ("lazy-copy", [some, none, none, none, some]),
            ("flushing", [none, some, none, none, some]),
            ("post-copy", [all, none, none, none, some]),
            ("assisted-post-copy", [between(n, 2 * n), none, some, some, some]),
            ("generic", [some, between(0, n.min(2)), between(0, n.min(2)), none, some]),
            ("generic-without-working-set", [some, none, none, none, some]),
        ] {
            let found = bounds(migration(built_in(name)), Population::default(), pages, TRAVEL);
            assert_eq!(found, expected, "{name}, {pages} pages");
        }
    }
}

#[test]
fn what_the_file_server_has_to_do() {
    for pages in 1..=3 {
        let n = pages as u64;
        let (none, some) = (between(0, 0), between(0, n));
        for (name, expected) in [
            ("total-copy", [none, none, between(n * PAGE_BYTES, n * PAGE_BYTES)]),
            ("total-copy-dirty", [none, none, between(0, n * PAGE_BYTES)]),
            ("flushing", [some, some, between(0, 2 * n * PAGE_BYTES)]),
            ("generic", [some, from(0), from(0)]),
        ] {
            let found = bounds(migration(built_in(name)), Population::default(), pages, STORE);
            assert_eq!(found, expected, "{name}, {pages} pages");
        }
    }
}

/// R passes and the freeze: R + 1 times each page at most.
#[test]
fn pre_copy_sends_a_page_once_a_pass_and_once_in_the_freeze() {
    for passes in 1..=4 {
        let strategy = Strategy { pre: Pre::Copy(Passes::AtMost(passes)), ..built_in("pre-copy") };
        for pages in 1..=2 {
            let n = pages as u64;
            let most = n * u64::from(passes + 1);
            let found =
                bounds(migration(strategy.clone()), Population::default(), pages, [Cost::Sent, Cost::Resent]);
            assert_eq!(found, [between(n, most), between(0, most - n)], "{passes} passes, {pages} pages");
        }
    }
}

/// What the kinds of page and what the process writes make of `generic`.
#[test]
fn generic_depends_on_the_kinds_of_page() {
    let n = 2;
    let (none, some) = (between(0, 0), between(0, n));
    let generic = || migration(built_in("generic-without-working-set"));
    let costs = [Cost::Sent, Cost::Fetched, Cost::WrittenBack];
    let of = |kind, writes| bounds(generic(), Population { kind: Some(kind), writes }, 2, costs);
    assert_eq!(of(Kind::Private, Writes::AllAtFirst), [between(n, n), none, none]);
    assert_eq!(of(Kind::Private, Writes::Any), [some, none, none]);
    assert_eq!(of(Kind::Private, Writes::None), [none, none, none]);
    assert_eq!(of(Kind::FileMapped, Writes::Any), [some, some, from(0)]);
    assert_eq!(of(Kind::FileMapped, Writes::None), [none, some, none]);
}

#[test]
fn a_return_under_lazy_copy_carries_back_what_had_moved() {
    let concrete =
        observed(migration(built_in("lazy-copy")), Population::default(), NonZeroUsize::new(2).expect("two"));
    let mut returns = Migrations::explore(&concrete, Way::Return, STATES_MAX, |_| true).expect("small");
    assert_eq!(returns.bounds(Cost::Frozen), Some(between(0, 2)));
    assert_eq!(returns.bounds(Cost::Sent), Some(between(0, 2)));
}

/// A defect that costs something shows in the bounds.
#[test]
fn wrong_algorithms_have_other_bounds() {
    let never = Population { kind: None, writes: Writes::None };
    for (name, population, defect, cost, right, wrong) in [
        // What is in step is sent again: to be seen where nothing is ever out of step.
        ("pre-copy", never, Defect::FreezeSendsAll, Cost::Frozen, between(0, 0), between(0, 2)),
        ("lazy-copy", ANY, Defect::FreezeSendsAll, Cost::Frozen, between(0, 0), between(0, 2)),
        ("post-copy", ANY, Defect::PushWhileFrozen, Cost::Frozen, between(0, 0), between(0, 2)),
        ("generic", ANY, Defect::SwollenWorkingSet, Cost::Frozen, between(0, 2), between(0, 3)),
        ("post-copy", ANY, Defect::SendTwice, Cost::Resent, between(0, 0), between(0, 2)),
        ("pre-copy", ANY, Defect::ForgetRedirtied, Cost::Resent, between(0, 4), between(0, 0)),
        ("generic", ANY, Defect::NeverWriteBack, Cost::WrittenBack, from(0), between(0, 0)),
    ] {
        let pages = if defect == Defect::SwollenWorkingSet { 3 } else { 2 };
        let of = |migration: Migration| {
            let [found] = bounds(migration, population, pages, [cost]);
            found
        };
        assert_eq!(of(migration(built_in(name))), right, "{name}: {cost}");
        assert_eq!(of(migration(built_in(name)).with_defect(defect)), wrong, "{name}, {defect}: {cost}");
    }
}

/// Each figure comes with a run that has it, and that the plain semantics can take.
#[test]
fn every_bound_has_a_run() {
    for strategy in algorithms::BUILT_IN {
        let concrete =
            observed(migration(strategy.clone()), Population::default(), NonZeroUsize::new(2).expect("two"));
        let mut migrations = Migrations::explore(&concrete, Way::Forth, STATES_MAX, |_| true).expect("small");
        for cost in [Cost::Sent, Cost::WrittenBack] {
            let found = migrations.bounds(cost).expect("a migration");
            let (least, most) = migrations.witnesses(cost).expect("a migration");
            for (story, weight) in [(least, Some(found.minimum)), (most, found.maximum)] {
                let counted = story.steps.iter().filter(|(step, _)| match step {
                    Move::Page(step, _) => match cost {
                        Cost::Sent => step.sends_content(),
                        _ => *step == PageStep::WriteBack,
                    },
                    Move::Control(_) => false,
                });
                // The run up to the migration may cost something too.
                let counted = counted.count() as u64;
                assert!(weight.is_none_or(|weight| counted >= weight), "{}", story.title);
                assert_eq!(weight.is_none(), story.loop_from.is_some(), "{}", story.title);
                let plain = model::Concrete { system: migration(strategy.clone()), pages: 2 };
                let mut at = story.start.clone();
                assert!(plain.initial().contains(&at), "{}", story.title);
                for (step, after) in &story.steps {
                    assert_eq!(plain.apply(&at, *step).as_ref(), Some(after), "{}", story.title);
                    at = after.clone();
                }
                assert!(!story.lines().is_empty());
            }
        }
    }
}
