//! The nine algorithms: which liveness properties hold, fail, or say nothing, and what failing looks like.

use engine::liveness::{Assumptions, Liveness, LivenessOutcome, Space, Tail, judge, strong_needed};
use model::algorithms::built_in;
use model::concrete::{Concrete, Move};
use model::defects::DEFECTS;
use model::system::{Fairness, Properties};
use model::{ControlStep, Expectation, Hosts, Link, Migration, PageStep, Property, Strategy};

/// `L1` to `L7`: `+` holds, `x` fails, `-` is never pending.
const EXPECTED: [(&str, &str); 9] = [
    ("total-copy", "-+-+--+"),
    ("total-copy-dirty", "-+-+--+"),
    ("pre-copy", "-+-++-+"),
    ("pre-copy-unbounded", "-x-+x-+"),
    ("lazy-copy", "xx++--+"),
    ("flushing", "-+++--+"),
    ("post-copy", "++++--+"),
    ("assisted-post-copy", "+++++-+"),
    ("generic", "++++-++"),
];

fn strategy(name: &str) -> Strategy {
    built_in(name).unwrap_or_else(|| panic!("no algorithm is called {name}"))
}

fn migration(name: &str, hosts: Hosts, link: Link, pages: usize) -> Concrete<Migration> {
    Concrete { system: Migration::new(strategy(name), hosts, link), pages }
}

fn judged(concrete: &Concrete<Migration>, assumptions: &Assumptions<Migration>) -> Vec<Liveness<Migration>> {
    let verdicts = judge(&Space::explore(concrete), Properties::all(), assumptions, 1);
    verdicts.unwrap_or_else(|error| panic!("{}: {error}", concrete.system.strategy.name))
}

fn line(verdicts: &[Liveness<Migration>]) -> String {
    let sign = |verdict: &Liveness<Migration>| match &verdict.outcome {
        LivenessOutcome::Holds if verdict.vacuous => '-',
        LivenessOutcome::Holds => '+',
        LivenessOutcome::Fails(_) => 'x',
        LivenessOutcome::Inconclusive(_) => '?',
    };
    verdicts.iter().map(sign).collect()
}

#[test]
fn verdicts_are_the_expected_ones() {
    for link in [Link::Fifo, Link::Unordered, Link::Lossy] {
        for hosts in [Hosts::Two, Hosts::Three] {
            for pages in 1..=if link == Link::Lossy { 1 } else { 2 } {
                for (name, expected) in EXPECTED {
                    let verdicts = judged(&migration(name, hosts, link, pages), &Assumptions::default());
                    assert_eq!(line(&verdicts), expected, "{name}, {hosts:?}, {link:?}, {pages} pages");
                    let strategy = &strategy(name);
                    for (verdict, sign) in verdicts.iter().zip(expected.chars()) {
                        let known = match strategy.expectation(verdict.property) {
                            Expectation::Holds => '+',
                            Expectation::Fails => 'x',
                            Expectation::NotApplicable => '-',
                        };
                        assert_eq!(sign, known, "{name}: {}", verdict.property);
                    }
                }
            }
        }
    }
}

/// A write-back is interrupted by each further write, so weak fairness does not oblige it; without loss
/// nothing else needs strong fairness.
#[test]
fn only_write_back_needs_strong_fairness_where_nothing_is_lost() {
    let links = [Link::Fifo, Link::Unordered];
    for ((name, _), link) in EXPECTED.into_iter().flat_map(|row| links.map(|link| (row, link))) {
        let concrete = migration(name, Hosts::Two, link, 2);
        let space = Space::explore(&concrete);
        for verdict in judge(&space, Properties::all(), &Assumptions::default(), 1).unwrap_or_default() {
            let needed = strong_needed(&space, &verdict, &Assumptions::default());
            let write_back = (name, verdict.property) == ("generic", Property::L6);
            let expected = if write_back { vec![Move::Page(PageStep::WriteBack, 0)] } else { Vec::new() };
            assert_eq!(needed, expected, "{name}, {link:?}: {}", verdict.property);
        }
    }
}

/// Lazy copy: after the process has resumed, nothing has to happen.
#[test]
fn lazy_copy_may_rest_with_pages_owed() {
    let verdicts = judged(&migration("lazy-copy", Hosts::Two, Link::Fifo, 2), &Assumptions::default());
    for verdict in &verdicts[..2] {
        let lasso = verdict.outcome.counterexample();
        assert_eq!(lasso.map(|lasso| &lasso.tail), Some(&Tail::Stutter), "{}", verdict.property);
        let last = lasso.and_then(|lasso| lasso.stem.last()).map(|(step, _)| *step);
        assert_eq!(last, Some(Move::Control(ControlStep::Resume)), "{}", verdict.property);
    }
}

/// What has to be assumed of the process or the operator for lazy copy to end.
#[test]
fn lazy_copy_ends_under_further_assumptions() {
    let concrete = migration("lazy-copy", Hosts::Two, Link::Fifo, 2);
    let with = |assumptions: Assumptions<Migration>| line(&judged(&concrete, &assumptions));
    let assume = Assumptions::default;
    // The dependency ends when the process exits, touches every page, or is taken back.
    assert_eq!(with(assume().control(ControlStep::Exit, Fairness::Weak)), "+x++--+");
    assert_eq!(with(assume().page(PageStep::Fault, Fairness::Weak)), "+x++--+");
    assert_eq!(with(assume().control(ControlStep::MigrateBack, Fairness::Weak)), "+x++--+");
    // It is back at rest only when the process exits in spite of being suspended again and again, or when
    // the operator leaves it the time to complete its return.
    assert_eq!(with(assume().control(ControlStep::Exit, Fairness::Strong)), "++++--+");
    assert_eq!(with(assume().control(ControlStep::MigrateBack, Fairness::Strong)), "+x++--+");
    let returns = assume().control(ControlStep::MigrateBack, Fairness::Weak);
    assert_eq!(with(returns.control(ControlStep::SendComplete, Fairness::Strong)), "++++--+");
}

/// Pre-copy without a bound goes round for ever, sending what was written meanwhile.
#[test]
fn unbounded_pre_copy_may_never_end() {
    let verdicts =
        judged(&migration("pre-copy-unbounded", Hosts::Two, Link::Fifo, 1), &Assumptions::default());
    for property in [Property::L2, Property::L5] {
        let lasso = verdicts.iter().find(|verdict| verdict.property == property);
        let lasso = lasso.and_then(|verdict| verdict.outcome.counterexample());
        let Some(Tail::Cycle(cycle)) = lasso.map(|lasso| &lasso.tail) else {
            panic!("{property}: {lasso:?}")
        };
        let steps: Vec<_> = cycle.iter().map(|(step, _)| *step).collect();
        for step in [PageStep::Write, PageStep::Copy] {
            assert!(steps.contains(&Move::Page(step, 0)), "{property}: {steps:?}");
        }
    }
}

/// Each defect that a liveness property must catch is caught by it.
#[test]
fn defects_are_caught() {
    for entry in DEFECTS.iter().filter(|entry| !entry.caught_by.is_safety()) {
        let mut concrete = migration(entry.algorithm, entry.hosts, entry.link, 1);
        concrete.system = concrete.system.with_defect(entry.defect).with_disruptions(entry.disruptions());
        let verdicts = judged(&concrete, &Assumptions::default());
        let caught = verdicts.iter().find(|verdict| verdict.property == entry.caught_by);
        assert!(
            caught.is_some_and(|verdict| verdict.outcome.counterexample().is_some()),
            "{:?}: {}",
            entry.defect,
            line(&verdicts)
        );
    }
}
