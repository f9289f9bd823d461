//! A story tells what happened: every arrow and every verb is backed by a change of the state, whatever the step is called
//! and however broken the protocol is.

mod common;

use std::collections::HashSet;

use checker::narrative::{Manner, Story, StoryLine};
use checker::setting::Setting;
use enumset::EnumSet;
use model::concrete::{Concrete, State, Step};
use model::defects::DEFECTS;
use model::disruption::{Connection, Leftover};
use model::page::{Holding, Transit, WriteBack};
use model::{
    Control, ControlStep, Defect, Disruptions, Hosts, Link, Migration, Move, Page, Phase, algorithms,
};

/// States of one setting: enough for every kind of transition, few enough for all settings together.
const STATES_MAX: usize = 1_500;

#[test]
fn every_arrow_and_every_verb_is_backed_by_a_change() {
    let mut told = HashSet::new();
    let mut settings = 0;
    let defects = DEFECTS.iter().map(|entry| Some(entry.defect)).chain([None]);
    for defect in defects {
        for strategy in algorithms::BUILT_IN {
            for disruptions in [Disruptions::NONE, Disruptions::up_to(1, EnumSet::all())] {
                let link = defect.map_or(Link::Lossy, |defect: Defect| defect.entry().link);
                let hosts = if disruptions.is_none() { Hosts::Three } else { Hosts::Two };
                let setting = Setting { strategy: strategy.clone(), hosts, link, defect, disruptions };
                settings += 1;
                judge_all(&setting.concrete(std::num::NonZeroUsize::MIN), &mut told);
            }
        }
    }
    assert!(settings > 800 && told.len() > 20_000, "{settings} settings, {} transitions", told.len());
}

type Transition = (State<Migration>, Step<Migration>, State<Migration>);

/// Breadth first, each transition that has not been told yet.
fn judge_all(concrete: &Concrete<Migration>, told: &mut HashSet<Transition>) {
    let mut states = concrete.initial();
    let mut known: HashSet<State<Migration>> = states.iter().cloned().collect();
    let mut position = 0;
    while position < states.len() && position < STATES_MAX {
        let before = states[position].clone();
        position += 1;
        for (step, after) in concrete.successors(&before) {
            if told.insert((before.clone(), step, after.clone())) {
                let story = Story {
                    title: String::new(),
                    start: before.clone(),
                    steps: vec![(step, after.clone())],
                    loop_from: None,
                };
                let line = &story.lines()[0];
                if let Some(lie) = lie(line, &before, step, &after) {
                    let defect = concrete.system.defect;
                    panic!("{} with {defect:?}: {lie}\n{}", concrete.system.strategy.name, story.to_text());
                }
            }
            if known.insert(after.clone()) {
                states.push(after);
            }
        }
    }
}

/// What a line says that is not so.
fn lie(
    line: &StoryLine,
    before: &State<Migration>,
    step: Step<Migration>,
    after: &State<Migration>,
) -> Option<String> {
    let text = line.event.text.as_str();
    let backed = match (line.event.manner, step) {
        (Manner::Sent, Move::Page(_, page)) => on_link(&before.pages[page]) != on_link(&after.pages[page]),
        (Manner::Sent, Move::Control(_)) => says(&before.control) != says(&after.control),
        (Manner::Arrived, Move::Page(_, page)) => has_message(&before.pages[page]),
        (Manner::Arrived, Move::Control(_)) => is_addressed(&before.control),
        (Manner::Lost, Move::Control(_)) | (Manner::Local, _) => true,
        (Manner::Lost, Move::Page(_, page)) => on_link(&before.pages[page]) != on_link(&after.pages[page]),
    };
    if !backed {
        return Some(format!("no message is behind the arrow '{text}'"));
    }
    if line.event.manner != Manner::Local && line.event.from == line.event.to {
        return Some(format!("'{text}' goes from a place to itself"));
    }
    let (was, is) = (&before.control, &after.control);
    let runs = |control: &Control| control.source_runs || control.destination_runs;
    let starts = !runs(was) && runs(is);
    let resumes = step == Move::Control(ControlStep::Resume);
    let fell_back = was.phase.can_abort() && matches!(is.phase, Phase::Rest | Phase::Running) && !resumes;
    // Where nothing is said to have come, what would have been said of it is no claim.
    let claims = |word: &str| text.contains(word) && !text.contains("acts as if this had come");
    let verbs = [
        ("thaws", starts),
        ("; resumes", is.destination_runs && !was.destination_runs),
        ("resumes the process", is.destination_runs && !was.destination_runs),
        ("aborts", fell_back || (was.phase.committed() && is.source_runs)),
        ("stays suspended", !runs(is)),
        ("leaves the process suspended", !runs(is)),
        ("suspends the process", !runs(is)),
        ("at rest", is.phase == Phase::Rest),
        ("too late", was.phase == is.phase && runs(was) == runs(is)),
        ("commits, go", is.phase == Phase::Committed),
        ("; destroys", is.phase == Phase::Departing),
        ("it is lost", is.phase == Phase::Lost),
        ("declares the process lost", is.phase == Phase::Lost),
        ("which owed", is.phase == Phase::Lost),
        ("forgets the attempt", is.phase == Phase::Forgotten || has_no_state(is)),
        ("gives up the connection", is.aftermath.connection == Connection::Broken),
    ];
    if let Some((verb, _)) = verbs.iter().find(|(verb, so)| claims(verb) && !so) {
        return Some(format!("'{verb}' is not so"));
    }
    // The other way round: what has become of the process is not passed over.
    let Move::Control(step) = step else { return None };
    let ends = matches!(step, ControlStep::Exit | ControlStep::DeliverExit);
    if starts && !["thaws", "resumes", "runs the process"].iter().any(|verb| text.contains(verb)) {
        return Some("the process runs again, without a word".to_owned());
    }
    if fell_back && !ends && !text.contains("aborts") {
        return Some("the attempt is aborted, without a word".to_owned());
    }
    if fell_back && !runs(is) && !text.contains("suspended") {
        return Some("the process stays suspended, without a word".to_owned());
    }
    if is.phase == Phase::Lost && was.phase != Phase::Lost && !text.contains("lost") {
        return Some("the process is lost, without a word".to_owned());
    }
    None
}

/// The destination has nothing of the attempt but pages at most.
fn has_no_state(control: &Control) -> bool {
    matches!(control.aftermath.leftover, Leftover::None | Leftover::Receiving)
}

/// The messages with a page's content, requests for it, and write-backs of it.
type OnLink = (Transit<model::page::Currency>, u8, Transit<()>, WriteBack, u8);

fn on_link(page: &Page) -> OnLink {
    (page.content, page.older, page.request, page.write_back, page.crossings)
}

fn has_message(page: &Page) -> bool {
    let echo = [page.echo, page.stray, page.write_back_echo].iter().any(|echo| *echo != Holding::Absent);
    let write_back =
        matches!(page.write_back, WriteBack::Sent(Transit::Flying(_)) | WriteBack::Acknowledged(true));
    let request = page.request == Transit::Flying(());
    echo || write_back || request || matches!(page.content, Transit::Flying(_)) || page.older > 0
}

/// The control messages under way.
fn says(control: &Control) -> (Option<Phase>, bool, Connection, bool) {
    let message = control.phase.message_in_flight().then_some(control.phase);
    (message, control.message_lost, control.aftermath.connection, control.aftermath.old_ready)
}

fn is_addressed(control: &Control) -> bool {
    let message = control.phase.message_in_flight() && !control.message_lost;
    let aftermath = control.aftermath;
    message
        || aftermath.connection == Connection::Resyncing
        || aftermath.old_ready
        || aftermath.leftover != Leftover::None
}
