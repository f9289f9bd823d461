//! Algorithms against each other: what an observer of steps and messages can tell apart.

use checker::observed::{ObservedMigration, Population, Writes};
use engine::bisimulation::{Comparison, Labelled, PlayerSide, compare};
use engine::state_graph::{PageIdentity, StateGraph};
use model::concrete::{Move, Step};
use model::page::Kind;
use model::{ControlStep, Defect, Hosts, Link, Migration, PageStep, algorithms};

/// Every step as it is, the page's number included.
type Label = Step<ObservedMigration>;

fn labelled(name: &str, population: Population, defect: Option<Defect>) -> Labelled<Label> {
    let strategy = algorithms::built_in(name).unwrap_or_else(|| panic!("no algorithm is called {name}"));
    let migration = Migration::new(strategy, Hosts::Three, Link::Fifo);
    let migration = match defect {
        Some(defect) => migration.with_defect(defect),
        None => migration,
    };
    let concrete = ObservedMigration { population, ..ObservedMigration::new(migration) }.with_pages(2);
    let graph = StateGraph::explore(&concrete, PageIdentity::Apart, 1_000_000).expect("small");
    Labelled::of(&graph, |step, _| Some(step))
}

const PRIVATE_DIRTY: Population = Population { kind: Some(Kind::Private), writes: Writes::AllAtFirst };

#[test]
fn an_algorithm_is_like_itself() {
    for name in ["post-copy", "total-copy-dirty"] {
        let one = labelled(name, Population::default(), None);
        assert!(matches!(compare(&one, &one), Comparison::Bisimilar { .. }), "{name}");
    }
}

#[test]
fn a_defect_can_be_seen() {
    let right = labelled("post-copy", Population::default(), None);
    for defect in [Defect::SendTwice, Defect::NeverPush, Defect::DemandBehindPushes, Defect::PushWhileFrozen]
    {
        let wrong = labelled("post-copy", Population::default(), Some(defect));
        let Comparison::Different { play } = compare(&wrong, &right) else { panic!("{defect}") };
        assert!(play.last().is_some_and(|last| last.answer.is_none()), "{defect}");
    }
}

#[test]
fn the_working_set_is_what_tells_generic_from_post_copy() {
    let post_copy = labelled("post-copy", PRIVATE_DIRTY, None);
    let without = labelled("generic-without-working-set", PRIVATE_DIRTY, None);
    assert!(matches!(compare(&without, &post_copy), Comparison::Bisimilar { .. }));
    let generic = labelled("generic", PRIVATE_DIRTY, None);
    let Comparison::Different { play } = compare(&generic, &post_copy) else { panic!("alike") };
    let labels: Vec<_> = play.iter().map(|step| (step.attacker, step.label)).collect();
    assert_eq!(
        labels,
        [
            (PlayerSide::Left, Some(Move::Control(ControlStep::MigrateBack))),
            (PlayerSide::Left, Some(Move::Page(PageStep::SendWorkingSet, 0))),
        ]
    );
}

#[test]
fn it_takes_all_pages_dirty() {
    let private = Population { kind: Some(Kind::Private), writes: Writes::Any };
    let generic = labelled("generic-without-working-set", private, None);
    let post_copy = labelled("post-copy", private, None);
    assert!(matches!(compare(&generic, &post_copy), Comparison::Different { .. }));
}
