//! What survives what: the tables, their witnesses, and what must never be in them.

mod common;

use std::num::NonZeroUsize;

use checker::survival::{
    Blow, PAGES, SurvivalCell, SurvivalOutcome, cell, cells, hand_over_table, pairs_table, setting,
    shortest_losses, table, with_each_hand_over, witness, worse_than_ready_go,
};
use model::{Disruption, Move, Phase, Stage, Strategy, algorithms};

use common::everything;

const THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

fn built_in(blows: &[Blow]) -> Vec<SurvivalCell> {
    cells(&algorithms::BUILT_IN, None, blows, THREADS, &|| true)
}

#[test]
fn one_disruption() {
    insta::assert_snapshot!(table(&built_in(&Blow::singles())).to_string());
}

/// The choices about pages, threads and connections cost nothing: in each cell a process fares as without them.
#[test]
fn choices_about_pages() {
    let cells = cells(&algorithms::CHOICES, None, &Blow::singles(), THREADS, &|| true);
    assert!(cells.iter().all(|cell| !cell.is_avoidable()));
    insta::assert_snapshot!(table(&cells).to_string());
}

/// What is announced can be called off before it has begun, and what a store has can be fallen back on.
#[test]
fn precautions() {
    let blows = Blow::singles_of(&algorithms::PRECAUTIONS);
    let cells = cells(&algorithms::PRECAUTIONS, None, &blows, THREADS, &|| true);
    assert!(cells.iter().all(|cell| !cell.is_avoidable()));
    insta::assert_snapshot!(table(&cells));
}

/// A process of which nobody has written to a page survives the death of its source, where it can fall back.
#[test]
fn a_process_that_has_written_nothing_survives_its_source() {
    let unwritten = |strategy| {
        let blow = Blow::Single { disruption: Disruption::CrashSource, stage: Stage::PostMigration };
        let setting = setting(strategy, blow.disruptions());
        let story = witness(&setting, SurvivalOutcome::Lost, PAGES, &|| true).expect("few states");
        let writes = |step: &_| matches!(step, Move::Page(model::PageStep::Write, _));
        let story = story.expect("a page that was written to is lost");
        story.steps.iter().all(|(step, _)| !writes(step))
    };
    assert!(unwritten(algorithms::POST_COPY));
    assert!(!unwritten(algorithms::POST_COPY_FALLBACK));
}

/// Ready-go loses nothing but with a machine; what the others lose beside it is named, each with a run of its own.
#[test]
fn ways_to_hand_over() {
    let strategies = with_each_hand_over(&algorithms::BUILT_IN);
    assert_eq!(strategies.len(), 36);
    let cells = cells(&strategies, None, &Blow::singles(), THREADS, &|| true);
    let ready_go = cells.iter().filter(|cell| cell.algorithm.ends_with("=ready-go"));
    assert!(ready_go.clone().all(|cell| !cell.is_avoidable()) && ready_go.count() == 9 * 35);
    assert!(worse_than_ready_go(&cells).iter().all(|cell| !cell.algorithm.ends_with("=ready-go")));
    let mut told = hand_over_table(&cells).to_string();
    for cell in shortest_losses(&cells) {
        let (algorithm, worst) = (&cell.algorithm, cell.worst.expect("it strikes"));
        let strategy = strategies.iter().find(|strategy| strategy.name == *algorithm).expect("one of them");
        let setting = setting(strategy.clone(), cell.blow.disruptions());
        let story = witness(&setting, worst, PAGES, &|| true).expect("few states").expect("a run of it");
        assert_eq!(Some(story.steps.len()), cell.steps);
        told += &format!("\n{} ({} steps)", cell.witness.as_deref().unwrap_or_default(), story.steps.len());
    }
    insta::assert_snapshot!(told);
}

#[test]
fn two_disruptions() {
    insta::assert_snapshot!(pairs_table(&built_in(&Blow::pairs())).to_string());
}

/// No connection that breaks, no word that is wrong, and no outage costs the process.
#[test]
fn only_a_crash_loses_a_process() {
    for blows in [Blow::singles(), Blow::pairs()] {
        for cell in built_in(&blows) {
            assert!(!cell.is_avoidable(), "{}: {:?} loses the process", cell.algorithm, cell.blow);
        }
    }
}

/// Two pages do not fare better or worse than one. (The generic algorithm takes too long for a test of every day.)
#[test]
fn one_page_shows_all() {
    let two = NonZeroUsize::new(2).unwrap();
    let few = |strategy: &Strategy| !strategy.tells_kinds_apart();
    for strategy in everything().filter(few) {
        for blow in Blow::singles() {
            let ends = |pages| {
                let SurvivalCell { worst, best, .. } =
                    cell(&strategy, None, blow, pages, &|| true).expect("few states");
                (worst, best)
            };
            assert_eq!(ends(PAGES), ends(two), "{}: {blow:?}", strategy.name);
        }
    }
}

/// Every witness is a run of the model that begins at rest, contains the blow, and ends as it says.
#[test]
fn every_cell_has_a_witness() {
    for cell in built_in(&Blow::singles()) {
        let Blow::Single { disruption, stage } = cell.blow else { unreachable!("no pair was asked for") };
        let Some(worst) = cell.worst else { continue };
        let strategy = algorithms::built_in(&cell.algorithm).expect("built in");
        let setting = setting(strategy, cell.blow.disruptions());
        let story = witness(&setting, worst, PAGES, &|| true).expect("few states").expect("a witness");
        assert_eq!(Some(story.steps.len()), cell.steps);
        let concrete = setting.concrete(PAGES);
        let mut state = story.start.clone();
        let mut struck = Vec::new();
        for (step, after) in &story.steps {
            if let Move::Control(control) = step {
                let at = state.control.stage(&setting.strategy);
                struck.extend(control.disruption().map(|disruption| (disruption, at)));
            }
            state = concrete.apply(&state, *step).expect("a step of the model");
            assert_eq!(&state, after);
        }
        assert_eq!(struck, [(disruption, Some(stage))]);
        assert_eq!(state.control.phase == Phase::Lost, worst == SurvivalOutcome::Lost);
    }
}

/// What does not need the file server does not notice its outage.
#[test]
fn an_outage_is_noticed_by_those_alone_who_use_the_file_server() {
    for cell in built_in(&Blow::singles()) {
        if let Blow::Single { disruption: Disruption::Outage, .. } = cell.blow {
            let uses = ["flushing", "generic"].contains(&cell.algorithm.as_str());
            let noticed = cell.worst == Some(SurvivalOutcome::Recovers);
            assert!(cell.worst.is_none() || noticed == uses, "{cell:?}");
        }
    }
}

/// The stages that an algorithm has are those of its cycle.
#[test]
fn stages_are_those_of_the_cycle() {
    for strategy in algorithms::BUILT_IN {
        let has = |stage| {
            cell(&strategy, None, Blow::Single { disruption: Disruption::Cut, stage }, PAGES, &|| true)
                .expect("few states")
                .worst
                .is_some()
        };
        let before = strategy.pre != model::strategy::Pre::None;
        assert_eq!(has(Stage::PreMigration), before, "{}", strategy.name);
        assert_eq!(has(Stage::PostMigration), strategy.owes_pages(), "{}", strategy.name);
        assert!(has(Stage::Freeze) && has(Stage::HandOver) && has(Stage::CleanUp), "{}", strategy.name);
    }
}

/// The judge of the table says no: a process that is lost although nothing was killed is told apart from one that is not.
#[test]
fn a_process_that_need_not_be_lost_is_noticed() {
    let few = |strategy, defect, disruption| {
        let blow = Blow::Single { disruption, stage: Stage::PostMigration };
        cell(&strategy, defect, blow, PAGES, &|| true).expect("few states")
    };
    let timed_out = few(algorithms::POST_COPY, Some(model::Defect::LostOnTimeOut), Disruption::Cut);
    assert_eq!((timed_out.worst, timed_out.is_avoidable()), (Some(SurvivalOutcome::Lost), true));
    let sound = few(algorithms::POST_COPY, None, Disruption::Cut);
    assert_eq!((sound.worst, sound.is_avoidable()), (Some(SurvivalOutcome::Recovers), false));
    let killed = few(algorithms::POST_COPY, None, Disruption::CrashSource);
    assert_eq!((killed.worst, killed.is_avoidable()), (Some(SurvivalOutcome::Lost), false));
}
