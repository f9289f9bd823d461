//! The choices about pages, threads and connections: whatever goes with one of them stays safe, and each is seen to matter.

mod common;

use std::collections::HashSet;

use common::{explore, legal_combinations};
use enumset::EnumSet;
use model::defects::DEFECTS;
use model::page::{Currency, Holding, Kind, Plan, Transit};
use model::paging::{Aside, Channels, Life, Mappings, Paging, Waking};
use model::strategy::{Push, Strategy};
use model::system::{Judged, Live, PageMove, System};
use model::{
    Concrete, Condition, Control, Disruption, Disruptions, Hosts, Link, Migration, Page, PageStep, Phase,
    Process, Property, algorithms,
};

/// Every choice with every other.
fn pagings() -> Vec<Paging> {
    let mut all = Vec::new();
    for wake in [Waking::WithPage, Waking::Apart] {
        for pages in [Mappings::Fixed, Mappings::ComeAndGo] {
            for channels in [Channels::One, Channels::DemandApart, Channels::Striped] {
                all.push(Paging { wake, pages, channels });
            }
        }
    }
    all
}

/// Every legal combination of all choices, but for plain ones.
fn legal() -> Vec<Strategy> {
    let plain = legal_combinations()
        .into_iter()
        .flat_map(|strategy| [strategy.push, Push::Pull].map(|push| Strategy { push, ..strategy.clone() }));
    let all = plain.flat_map(|strategy| {
        pagings().into_iter().map(move |paging| Strategy { paging, ..strategy.clone() })
    });
    let mut legal: Vec<Strategy> = all
        .filter(|strategy| !strategy.paging.is_plain() || strategy.pulls())
        .filter_map(|strategy| strategy.check().ok())
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    legal.sort_by_key(|strategy| format!("{strategy:?}"));
    legal
}

/// Does the strategy make one of the choices alone?
fn is_single(strategy: &Strategy) -> bool {
    let Paging { wake, pages, channels } = strategy.paging;
    let made = [
        strategy.pulls(),
        wake != Waking::default(),
        pages != Mappings::default(),
        channels != Channels::default(),
    ];
    made.into_iter().filter(|made| *made).count() == 1
}

/// Each choice alone with everything that it goes with, two pages on an orderly link and one on the others; and all of
/// them together.
#[test]
fn every_legal_combination_with_a_choice_is_safe() {
    let (mut alone, mut states) = (0, 0);
    for strategy in legal() {
        let worlds: &[(Link, usize)] = match is_single(&strategy) {
            true => &[(Link::Fifo, 2), (Link::Unordered, 1), (Link::Lossy, 1)],
            false => &[(Link::Fifo, 1)],
        };
        alone += usize::from(is_single(&strategy));
        for (link, pages) in worlds {
            let system = Migration::new(strategy.clone(), Hosts::Two, *link);
            let (seen, violated) = explore(&Concrete { system, pages: *pages });
            assert!(violated.is_empty(), "{strategy:?} over {link:?} with {pages} violates {violated:?}");
            states += seen.len();
        }
    }
    assert_eq!((legal().len(), alone, states), (560, 166, 913_119));
}

#[test]
fn the_choices_are_safe_when_things_go_wrong() {
    let mut states = 0;
    for strategy in algorithms::CHOICES {
        for link in Link::ALL {
            for kind in Disruption::ALL {
                let disruptions = Disruptions::up_to(1, kind.into());
                let system = Migration::new(strategy.clone(), Hosts::Two, link).with_disruptions(disruptions);
                let (seen, violated) = explore(&Concrete { system, pages: 1 });
                assert!(violated.is_empty(), "{strategy:?} over {link:?}, {kind}: {violated:?}");
                states += seen.len();
            }
            let disruptions = Disruptions::up_to(2, EnumSet::all());
            let system = Migration::new(strategy.clone(), Hosts::Two, link).with_disruptions(disruptions);
            let (seen, violated) = explore(&Concrete { system, pages: 1 });
            assert!(violated.is_empty(), "{strategy:?} over {link:?}, two: {violated:?}");
            states += seen.len();
        }
    }
    assert_eq!(states, 285_331);
}

/// Each of their defects shows on the algorithm that its entry names, and does not show without it.
#[test]
fn their_defects_violate_what_they_are_said_to() {
    let entries = DEFECTS
        .into_iter()
        .filter(|entry| algorithms::CHOICES.iter().any(|choice| choice.name == entry.algorithm));
    let mut caught = 0;
    for entry in entries {
        let strategy = algorithms::built_in(entry.algorithm).expect("an algorithm that is built in");
        let sound = Migration::new(strategy, entry.hosts, entry.link).with_disruptions(entry.disruptions());
        let (_, violated) = explore(&Concrete { system: sound.with_defect(entry.defect), pages: 2 });
        let told = violated.contains(entry.caught_by) || !entry.caught_by.is_safety();
        assert!(told, "{} violates {violated:?}", entry.defect);
        caught += 1;
    }
    assert_eq!(caught, 17);
}

/// What the properties say of a page that is zero, exempt, gone, void or waited for, clause by clause.
#[test]
fn what_is_judged_of_such_pages() {
    let world = |strategy: Strategy| Migration::new(strategy, Hosts::Two, Link::Fifo);
    let system = world(algorithms::POST_COPY_MAPPINGS);
    let running = Control {
        phase: Phase::Running,
        process: Process::PostMigration,
        source_runs: false,
        destination_runs: true,
        ..Control::at_rest(Process::Normal)
    };
    let aside = |life| Aside { life, ..Aside::NONE };
    let stale = Page {
        source: Holding::Absent,
        destination: Holding::Held(Currency::Stale),
        plan: Plan::Settled,
        ..Page::loaded(Kind::Private)
    };
    // Nobody reads what is gone, or minds what is read of an exempt page; a zero page is one like others.
    for (life, minded) in [(Life::Used, true), (Life::Zero, true), (Life::Exempt, false), (Life::Gone, false)]
    {
        let judged = system.judge_page(&running, &Page { aside: aside(life), ..stale });
        assert_eq!(judged.contains(Property::S1), minded, "{life:?}");
        assert_eq!(judged.contains(Property::S2), minded, "{life:?}");
    }
    // A zero page need not be anywhere while the dirty map is on its way, if the map says so.
    let offered = Control { phase: Phase::Offered, destination_runs: false, ..running };
    let nowhere = Page { destination: Holding::Absent, aside: aside(Life::Zero), ..stale };
    let lost = |page| system.judge_page(&offered, &page).contains(Property::S1);
    assert!(!lost(nowhere));
    assert!(lost(Page { plan: Plan::Travelled, ..nowhere }));
    // What is void does not count, whatever it is.
    let settled = Page {
        destination: Holding::Held(Currency::Current),
        content: Transit::Flying(Currency::Stale),
        ..stale
    };
    assert!(system.judge_page(&running, &settled).contains(Property::S1));
    let void = Page { aside: Aside { void: true, ..Aside::NONE }, ..settled };
    assert!(system.judge_page(&running, &void).is_empty());

    // What is known not to be needed is not sent; what the sender has not heard of is no offence.
    let sends = |step, page: Page| {
        let after = PageMove { requires: EnumSet::empty(), control: running, page };
        system.judge_page_move(step, &running, &page, &after).violated.contains(Property::S8)
    };
    for life in [Life::Zero, Life::Exempt, Life::Gone] {
        let page = Page { aside: aside(life), ..stale };
        assert!(sends(PageStep::Push, page), "{life:?}");
        assert!(!sends(PageStep::Discard, page), "{life:?}");
        assert!(
            !sends(PageStep::Push, Page { aside: Aside { void: true, ..aside(life) }, ..stale }),
            "{life:?}"
        );
    }
    assert!(!sends(PageStep::Push, stale));

    // A thread whose fault was not heard waits, too.
    let heard = Page { destination: Holding::Held(Currency::Current), ..stale };
    let late = Page { aside: Aside { late: true, ..Aside::NONE }, ..heard };
    let pending = |page: &Page| system.pending(Property::L3, &running, Some(page));
    assert!(pending(&late) && !pending(&heard));
    let quiet = |page: &Page| system.conditions(page).contains(Condition::Quiet);
    assert!(!quiet(&late) && quiet(&heard));

    // While a thread waits for a page, another one is not asked for ahead.
    let pulling = world(algorithms::POST_COPY_PULL);
    let owed = Page { plan: Plan::FromSource, ..Page::loaded(Kind::Private) };
    let pull = pulling.page_move(PageStep::Pull, &running, &owed).expect("it may ask");
    let verdict = pulling.judge_page_move(PageStep::Pull, &running, &owed, &pull);
    let beside = |page: Page| verdict.given(pulling.conditions(&page)).contains(Property::S7);
    assert!(beside(Page { waiting: true, ..owed }) && !beside(owed));
    // One that waits to be woken has its page.
    assert!(!beside(Page { waiting: true, ..heard }));
}
