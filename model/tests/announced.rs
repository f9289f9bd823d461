//! A migration that is announced: what a cancel, a refusal and a crash before its start cost, and what they leave.

mod common;

use common::{explore, legal_combinations};
use enumset::EnumSet;
use model::concrete::State;
use model::disruption::{Leftover, Strike};
use model::page::{Currency, Holding, Kind};
use model::strategy::{Real, Start, Strategy};
use model::system::{ControlMove, Judged, System};
use model::{
    Concrete, Control, ControlStep, Disruption, Disruptions, Hosts, Link, Migration, Move, Page, Phase,
    Process, Property, Stage, algorithms,
};

fn announced(strategy: Strategy) -> Option<Strategy> {
    let real = Real { start: Start::Announced, ..strategy.real };
    Strategy { real, ..strategy }.check().ok()
}

/// With every legal combination of the other choices, whatever the links do.
#[test]
fn whatever_is_announced_is_safe() {
    let (mut strategies, mut states) = (0, 0);
    let mut all: Vec<Strategy> = legal_combinations().into_iter().filter_map(announced).collect();
    all.sort_by_key(|strategy| format!("{strategy:?}"));
    for strategy in all {
        strategies += 1;
        for (link, pages) in [(Link::Fifo, 2), (Link::Unordered, 2), (Link::Lossy, 1)] {
            let system = Migration::new(strategy.clone(), Hosts::Three, link);
            let (seen, violated) = explore(&Concrete { system, pages });
            assert!(violated.is_empty(), "{strategy:?} over {link:?} violates {violated:?}");
            states += seen.len();
        }
    }
    assert_eq!((strategies, states), (40, 153_136));
}

/// Any two disruptions, one page: nothing is violated that is not where nothing is announced.
#[test]
fn it_is_safe_when_things_go_wrong() {
    let mut states = 0;
    for strategy in algorithms::BUILT_IN.into_iter().filter_map(announced) {
        for link in Link::ALL {
            let disruptions = Disruptions::up_to(2, EnumSet::all());
            let system = Migration::new(strategy.clone(), Hosts::Two, link).with_disruptions(disruptions);
            let (seen, violated) = explore(&Concrete { system, pages: 1 });
            assert!(violated.is_empty(), "{strategy:?} over {link:?}: {violated:?}");
            states += seen.len();
        }
    }
    assert_eq!(states, 97_977);
}

/// Before the start the process is not stopped by anything, and nothing of it has moved.
#[test]
fn before_the_start_the_process_runs_on_untouched() {
    for strategy in algorithms::BUILT_IN.into_iter().filter_map(announced) {
        let kinds = Disruption::Cancel | Disruption::Refuse | Disruption::CrashDestination | Disruption::Cut;
        let disruptions = Disruptions::one(Strike { kinds, stages: Stage::Announced.into() });
        let system = Migration::new(strategy.clone(), Hosts::Two, Link::Fifo).with_disruptions(disruptions);
        let (seen, _) = explore(&Concrete { system, pages: 1 });
        let before = seen.iter().filter(|state| state.control.stage(&strategy) == Some(Stage::Announced));
        let mut left = 0;
        for state in before {
            assert!(state.control.source_runs, "{state:?}");
            assert!(state.pages.iter().all(|page| !page.destination.is_held()), "{state:?}");
            left += u8::from(state.control.phase == Phase::Forgotten);
        }
        assert!(left > 0, "{} has nobody who refuses", strategy.name);
        assert!(seen.iter().any(|state| state.control.aftermath.leftover == Leftover::Expecting));
    }
}

/// A destination that expects a migration which was called off hears of it before it takes up another one.
#[test]
fn an_announcement_waits_for_the_cancel_of_the_last_one() {
    let cancel = Disruptions::up_to(1, Disruption::Cancel.into());
    let system = Migration::new(algorithms::PRE_COPY_ANNOUNCED, Hosts::Two, Link::Unordered);
    let concrete = Concrete { system: system.with_disruptions(cancel), pages: 1 };
    let (seen, _) = explore(&concrete);
    let expecting = |state: &&State<Migration>| state.control.aftermath.leftover == Leftover::Expecting;
    let announced = |state: &&State<Migration>| state.control.phase == Phase::Announced;
    let mut waiting = 0;
    for state in seen.iter().filter(expecting).filter(announced) {
        let steps: Vec<_> = concrete.successors(state).map(|(step, _)| step).collect();
        assert!(!steps.contains(&Move::Control(ControlStep::DeliverAnnouncement)), "{state:?}");
        assert!(steps.contains(&Move::Control(ControlStep::DeliverCancel)), "{state:?}");
        waiting += 1;
    }
    assert!(waiting > 0);
}

/// Where the process may move on with pages elsewhere, it is refused.
#[test]
fn lazy_copy_is_not_announced() {
    let announced = algorithms::LAZY_COPY.to_toml() + "start = \"announced\"\n";
    let error = announced.parse::<Strategy>().expect_err("refused").to_string();
    assert!(error.starts_with("line 8: start: with push = \"none\""), "{error}");
    let text = algorithms::PRE_COPY_ANNOUNCED.to_toml();
    assert!(text.contains("start = \"announced\"\n"), "{text}");
    assert_eq!(text.parse(), Ok(algorithms::PRE_COPY_ANNOUNCED));
}

/// S9 objects to a start that was announced and is not expected, S5 to what a former host still has by then.
#[test]
fn what_is_judged_of_an_announcement() {
    let rest = Control::at_rest(Process::Normal);
    let at = |phase| Control { phase, ..rest };
    let copying = Control { phase: Phase::PreCopy { pass: 1 }, ..Control::at_rest(Process::PreMigration) };
    let begins = |strategy: Strategy, from: Control| {
        let system = Migration::new(strategy, Hosts::Three, Link::Fifo);
        let taken = ControlMove { requires: EnumSet::empty(), control: copying };
        system.judge_control_move(ControlStep::Begin, &from, &taken).contains(Property::S9)
    };
    assert!(!begins(algorithms::PRE_COPY_ANNOUNCED, at(Phase::Expected)));
    assert!(begins(algorithms::PRE_COPY_ANNOUNCED, at(Phase::Announced)));
    assert!(begins(algorithms::PRE_COPY_ANNOUNCED, rest));
    assert!(!begins(algorithms::PRE_COPY, rest));

    let system = Migration::new(algorithms::PRE_COPY_ANNOUNCED, Hosts::Three, Link::Fifo);
    let held = Holding::Held(Currency::Stale);
    let loaded = Page::loaded(Kind::Private);
    for phase in [Phase::Announced, Phase::Expected] {
        let indebted = |page: Page| system.judge_page(&at(phase), &page).contains(Property::S5);
        assert!(!indebted(loaded));
        assert!(indebted(Page { third: held, ..loaded }) && indebted(Page { destination: held, ..loaded }));
        assert!(phase.at_source() && phase.can_abort() && phase.message_in_flight() && phase.is_announced());
    }
    assert!(!Phase::Rest.is_announced() && !Phase::Freeze.is_announced());
}

/// Whoever has heard of it can call it off: the destination refuses instead of expecting, and gives the source up afterwards.
#[test]
fn who_can_call_it_off() {
    use ControlStep::{Begin, Cancel, DeliverAnnouncement, Refuse, SuspectDestination, SuspectSource};
    let any = Disruptions::up_to(1, EnumSet::all());
    let system = Migration::new(algorithms::PRE_COPY_ANNOUNCED, Hosts::Two, Link::Fifo).with_disruptions(any);
    let rest = Control::at_rest(Process::Normal);
    let can = |phase, message_lost| {
        let control = Control { phase, message_lost, ..rest };
        let steps = [Cancel, Refuse, SuspectDestination, SuspectSource, DeliverAnnouncement, Begin];
        steps.map(|step| system.control_move(step, &control).is_some())
    };
    assert_eq!(can(Phase::Announced, false), [true, true, true, false, true, false]);
    assert_eq!(can(Phase::Announced, true), [true, false, true, false, false, false]);
    assert_eq!(can(Phase::Expected, false), [true, false, true, true, false, true]);
    assert_eq!(can(Phase::Expected, true), [true, false, true, true, false, false]);
}
