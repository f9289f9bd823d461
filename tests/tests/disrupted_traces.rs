//! Step logs of real runs in which things go wrong are accepted; logs of what must never happen then are rejected at
//! the line in question.

use std::collections::BTreeSet;

use model::{ControlStep, Move, Strategy};
use steplog::event::{Bytes, Event, Step};
use steplog::fate::{Fate, Loss};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Place, Sequence};
use tie::policy::strategy;
use tie::trace::{TraceError, conform_steps};
use world::storm;
use world::{Disrupted, World};

/// Random runs between two hosts, with their logs.
fn runs() -> impl Iterator<Item = (Disrupted, Vec<Step>)> {
    let runs = (0..).map(|at| storm::run(storm::number(7, at)));
    let runs = runs.filter(|run| run.scenario.route.iter().all(|host| host.0 < 2));
    runs.take(1200).map(|run| {
        let mut world = World::disrupted(&run).expect("a legal scenario");
        world.finish_within(storm::RUN_STEPS_MAX).expect("it comes to its end");
        let log = world.log().to_vec();
        (run, log)
    })
}

fn algorithm(run: &Disrupted) -> Strategy {
    strategy(&run.scenario.policy).expect("a variant of a built-in algorithm")
}

#[test]
fn real_runs_are_accepted() {
    let (mut lines, mut steps) = (0, BTreeSet::new());
    for (run, log) in runs() {
        let accepted = conform_steps(run.scenario.header(true), algorithm(&run), &log);
        let accepted = accepted.unwrap_or_else(|error| panic!("{}: {error}", run.scenario.policy.name));
        lines += accepted.steps;
        steps.extend(accepted.run.iter().filter_map(|step| match step {
            Move::Control(step) => Some(*step),
            Move::Page(..) => None,
        }));
    }
    println!("{lines} lines accepted");
    // Not only undisturbed ones.
    use ControlStep::*;
    for step in [CrashSource, CrashDestination, Cut, Outage, Cancel, Refuse, Abort, Forget, Reconnect, Fence]
    {
        assert!(steps.contains(&step), "{step} explains nothing");
    }
}

/// Changes the logs where `change` finds a place for it: it returns the index of the step that is wrong then. Each must
/// be rejected there.
fn all_rejected(change: impl Fn(&Disrupted, &mut Vec<Step>) -> Option<usize>) {
    let mut changed = 0;
    for (run, mut log) in runs() {
        let Some(wrong) = change(&run, &mut log) else { continue };
        changed += 1;
        let (name, line) = (&run.scenario.policy.name, wrong + 2);
        match conform_steps(run.scenario.header(true), algorithm(&run), &log) {
            Err(TraceError::Rejected(rejection)) => assert_eq!(rejection.line, line, "{name}: {rejection}"),
            Err(error) => panic!("{name}: {error}"),
            Ok(_) => panic!("{name}: line {line} is not rejected"),
        }
    }
    println!("{changed} changed logs rejected");
    assert!(changed >= 5, "only {changed} logs could be changed");
}

fn find(log: &[Step], from: usize, which: impl Fn(&Step) -> bool) -> Option<usize> {
    log[from..].iter().position(which).map(|at| from + at)
}

fn is_hand_over(step: &Step) -> bool {
    matches!(step.event, Event::ProcessHandedOver { .. })
}

/// Two running copies: the source has handed the process over, hears nothing, and goes on.
#[test]
fn a_source_that_goes_on_after_the_hand_over() {
    all_rejected(|_, log| {
        let handed_over = find(log, 0, is_hand_over)?;
        let paused = |step: &Step| match step.event {
            Event::PeerDisconnected { fate, .. } | Event::PeerTimedOut { fate, .. } => {
                matches!(fate, Some(Fate::Paused(_))) && step.place == log[handed_over].place
            }
            _ => false,
        };
        let next = find(log, handed_over, |step| matches!(step.event, Event::MigrationExpected { .. }));
        let at = find(log, handed_over, paused).filter(|at| next.is_none_or(|next| *at < next))?;
        let event = Event::PageWritten { page: PageNumber(0), offset: 0, bytes: Bytes(vec![1]) };
        log.insert(at + 1, Step { event, ..log[at].clone() });
        Some(at + 1)
    });
}

#[test]
fn a_cancel_after_the_hand_over() {
    all_rejected(|_, log| {
        let at = find(log, 0, is_hand_over)?;
        let Event::ProcessHandedOver { to } = log[at].event else { return None };
        log.insert(at + 1, Step { event: Event::MigrationCancelled { to }, ..log[at].clone() });
        Some(at + 1)
    });
}

/// A failed attempt has consumed dirty bits: the retry leaves a page out, which shows when it sends the state.
#[test]
fn a_retry_that_leaves_a_page_out() {
    let transferred = |step: &Step| match step.event {
        Event::PageTransferred { page, .. } => Some(page),
        _ => None,
    };
    all_rejected(|run, log| {
        let sent_before = |at: usize, page| {
            log[..at].iter().any(|step| step.epoch < log[at].epoch && transferred(step) == Some(page))
        };
        let again =
            (0..log.len()).find(|&at| transferred(&log[at]).is_some_and(|page| sent_before(at, page)))?;
        let retry = &log[again];
        let state = find(log, again, |step| matches!(step.event, Event::StateSent { .. }))?;
        let undisturbed = log[again..state].iter().all(|step| transferred(step).is_some());
        // Only the first attempt has failed, and the working set need not travel.
        let of_retry = undisturbed && retry.epoch == log[state].epoch && !run.scenario.policy.working_set;
        let resumed = find(&log[..again], 0, |step| matches!(step.event, Event::ProcessResumed { .. }));
        (of_retry && resumed.is_none()).then(|| {
            log.remove(again);
            state - 1
        })
    });
}

/// The destination knows that the attempt was called off, and installs a page of it all the same.
#[test]
fn a_page_of_an_earlier_attempt_that_is_installed() {
    all_rejected(|_, log| {
        let mut forgotten = BTreeSet::new();
        log.iter_mut().position(|step| match step.event {
            Event::CancellationLearned { .. } => {
                forgotten.insert((step.place, step.epoch));
                false
            }
            Event::MessageIgnored {
                kind: MessageKind::Page,
                page: Some(page),
                number: Some(number),
                from: Place::Host(from),
            } if forgotten.contains(&(step.place, step.epoch)) => {
                step.event = Event::PageInstalled { page, sequence: Sequence(number), from };
                true
            }
            _ => false,
        })
    });
}

/// A host gives the process up for lost although its source has gone on with it.
#[test]
fn giving_up_without_need() {
    all_rejected(|_, log| {
        log.iter_mut().position(|step| match &mut step.event {
            Event::PeerFenced { fate: fate @ Some(Fate::CarriedOn(_)), .. } => {
                *fate = Some(Fate::Lost(Loss::Runner));
                true
            }
            _ => false,
        })
    });
}

/// A host is told that a machine is dead that is alive.
#[test]
fn word_of_the_death_of_a_living_machine() {
    all_rejected(|_, log| {
        let unharmed = log.iter().all(|step| !matches!(step.event, Event::HostCrashed));
        let at =
            find(log, 0, |step| matches!(step.event, Event::PeerDisconnected { peer: Place::Host(_), .. }))?;
        let Event::PeerDisconnected { peer: Place::Host(peer), .. } = log[at].event else { return None };
        log.insert(at + 1, Step { event: Event::PeerFenced { peer, fate: None }, ..log[at].clone() });
        unharmed.then_some(at + 1)
    });
}

/// Over a new connection the source sends before the destination has said what it lacks.
#[test]
fn pages_sent_again_unasked() {
    all_rejected(|_, log| {
        let heard = find(log, 0, |step| matches!(step.event, Event::ResyncAccepted { .. }))?;
        let sends = |step: &Step| matches!(step.event, Event::PagePushed { .. } | Event::PageServed { .. });
        let at = find(log, heard, sends)?;
        let of_others = log[heard + 1..at].iter().all(|step| step.place != log[heard].place);
        let undisturbed = log[heard + 1..at].iter().all(|step| {
            matches!(
                step.event,
                Event::PageRead { .. } | Event::PageWritten { .. } | Event::PageInstalled { .. }
            )
        });
        (of_others && undisturbed).then(|| {
            log[heard..=at].rotate_right(1);
            heard
        })
    });
}

/// A machine that is dead takes no step.
#[test]
fn a_step_of_a_dead_machine() {
    all_rejected(|_, log| {
        let at = find(log, 0, |step| matches!(step.event, Event::HostCrashed))?;
        // Of a machine that is alive nobody would mind.
        let (kind, from) = (MessageKind::Cancel, Place::FileServer);
        let event = Event::MessageIgnored { kind, page: None, number: None, from };
        log.insert(at + 1, Step { event, ..log[at].clone() });
        Some(at + 1)
    });
}

/// Nobody tells of a connection that was lost, so none was: what the source sends again it sends twice.
#[test]
fn a_recovery_from_nothing() {
    all_rejected(|_, log| {
        let unharmed = log.iter().all(|step| !matches!(step.event, Event::HostCrashed));
        log.retain(|step| {
            !matches!(
                step.event,
                Event::PeerDisconnected { .. }
                    | Event::PeerTimedOut { .. }
                    | Event::PeerConnected { .. }
                    | Event::ResyncAccepted { .. }
            )
        });
        let mut sent = BTreeSet::new();
        let twice = log.iter().position(|step| match step.event {
            Event::PagePushed { page, .. } | Event::PageServed { page, .. } => {
                !sent.insert((step.epoch, page))
            }
            _ => false,
        });
        let at = twice.filter(|_| unharmed)?;
        log.truncate(at + 1);
        Some(at)
    });
}

/// Lines that are left out, repeated, exchanged or of another run make no sense, and do no harm.
#[test]
fn a_log_in_disorder_is_accepted_or_rejected() {
    let (mut accepted, mut rejected) = (0, 0);
    let mut other: Vec<Step> = Vec::new();
    for (at, (run, log)) in (0..).zip(runs()) {
        let pick = |what: u64, of: usize| storm::number(at, what) as usize % of.max(1);
        let mut changed = log.clone();
        for round in 0..3 {
            let (one, another) = (pick(2 * round, changed.len()), pick(2 * round + 1, changed.len()));
            match (at + round) % 4 {
                0 => _ = changed.remove(one),
                1 => changed.insert(another, changed[one].clone()),
                2 => changed.swap(one, another),
                _ => changed.extend(other.get(pick(2 * round, other.len())).cloned()),
            }
        }
        match conform_steps(run.scenario.header(true), algorithm(&run), &changed) {
            Ok(_) => accepted += 1,
            Err(_) => rejected += 1,
        }
        other = log;
    }
    println!("{accepted} accepted, {rejected} rejected");
    assert!(rejected > accepted);
}
