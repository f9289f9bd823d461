//! Logs of somebody who does not see connections break and come back: what was right is accepted without those lines, and
//! what must never happen is rejected all the same.

use model::Strategy;
use steplog::event::{Bytes, Event, Step};
use steplog::fate::Fate;
use steplog::header::{Header, Unseen};
use steplog::page::PageNumber;
use tie::policy::strategy;
use tie::trace::{TraceError, conform_steps};
use world::World;
use world::storm;

const RUNS: usize = 150;

/// A line that such a writer does not write. What a host makes of a loss, where that ends an attempt, still has one.
fn is_unseen(step: &Step) -> bool {
    match step.event {
        Event::PeerConnected { .. } => true,
        Event::PeerDisconnected { fate, .. } | Event::PeerTimedOut { fate, .. } => {
            !matches!(fate, Some(Fate::CarriedOn(_) | Fate::Forgotten(_)))
        }
        _ => false,
    }
}

struct Log {
    strategy: Strategy,
    header: Header,
    steps: Vec<Step>,
    /// Lines that were left out.
    unseen: usize,
}

fn logs() -> impl Iterator<Item = Log> {
    let runs = (0..).map(|at| storm::run(storm::number(23, at)));
    let runs = runs.filter(|run| run.scenario.route.iter().all(|host| host.0 < 2));
    runs.take(RUNS).map(|run| {
        let mut world = World::disrupted(&run).expect("a legal scenario");
        world.finish_within(storm::RUN_STEPS_MAX).expect("it comes to its end");
        let steps: Vec<Step> = world.log().iter().filter(|step| !is_unseen(step)).cloned().collect();
        let unseen = world.log().len() - steps.len();
        let header = Header { unseen: [Unseen::Connections].into(), ..run.scenario.header(true) };
        let strategy = strategy(&run.scenario.policy).expect("a variant of a built-in algorithm");
        Log { strategy, header, steps, unseen }
    })
}

fn judged(log: &Log, header: &Header) -> Result<usize, TraceError> {
    conform_steps(header.clone(), log.strategy.clone(), &log.steps).map(|accepted| accepted.steps)
}

#[test]
fn what_was_right_is_accepted() {
    let (mut lines, mut unseen, mut needed, mut wrong) = (0, 0, 0, Vec::new());
    for log in logs() {
        match judged(&log, &log.header) {
            Ok(accepted) => lines += accepted,
            Err(error) => wrong.push(format!("{}: {error}", log.strategy.name)),
        }
        unseen += log.unseen;
        // It is the header that says so: whoever sees connections has to say when they break.
        let seen = Header { unseen: [].into(), ..log.header.clone() };
        needed += usize::from(judged(&log, &seen).is_err());
    }
    assert!(wrong.is_empty(), "{} of {RUNS}: {}", wrong.len(), wrong.join("\n"));
    println!("{lines} lines accepted, {unseen} of connections left out; {needed} logs only so");
    assert!(unseen > RUNS && needed * 10 > RUNS, "{unseen} lines left out, {needed} logs only accepted so");
}

/// Changes the logs where `change` finds a place for it: it returns the index of the step that is wrong then.
fn all_rejected(change: impl Fn(&mut Vec<Step>) -> Option<usize>) {
    let mut changed = 0;
    for mut log in logs() {
        let Some(wrong) = change(&mut log.steps) else { continue };
        changed += 1;
        match judged(&log, &log.header) {
            Err(TraceError::Rejected(rejection)) => {
                assert_eq!(rejection.line, wrong + 2, "{}: {rejection}", log.strategy.name);
            }
            other => panic!("{}: line {} is not rejected: {other:?}", log.strategy.name, wrong + 2),
        }
    }
    println!("{changed} changed logs rejected");
    assert!(changed >= 20, "only {changed} logs could be changed");
}

fn find(log: &[Step], which: impl Fn(&Event) -> bool) -> Option<usize> {
    log.iter().position(|step| which(&step.event))
}

#[test]
fn no_loss_explains_two_running_copies() {
    all_rejected(|log| {
        let at = find(log, |event| matches!(event, Event::ProcessHandedOver { .. }))?;
        let event = Event::PageWritten { page: PageNumber(0), offset: 0, bytes: Bytes(vec![1]) };
        log.insert(at + 1, Step { event, ..log[at].clone() });
        Some(at + 1)
    });
}

#[test]
fn no_loss_explains_a_cancel_after_the_hand_over() {
    all_rejected(|log| {
        let at = find(log, |event| matches!(event, Event::ProcessHandedOver { .. }))?;
        let Event::ProcessHandedOver { to } = log[at].event else { return None };
        log.insert(at + 1, Step { event: Event::MigrationCancelled { to }, ..log[at].clone() });
        Some(at + 1)
    });
}

#[test]
fn no_loss_explains_a_page_that_was_never_sent() {
    all_rejected(|log| {
        let at = find(log, |event| matches!(event, Event::PageInstalled { .. }))?;
        let Event::PageInstalled { page, ref mut sequence, .. } = log[at].event else { return None };
        let sent = |event: &Event| match *event {
            Event::PageCopied { page: sent, sequence, .. }
            | Event::PageTransferred { page: sent, sequence, .. }
            | Event::PageServed { page: sent, sequence, .. }
            | Event::PagePushed { page: sent, sequence, .. } => (sent == page).then_some(sequence.0),
            _ => None,
        };
        sequence.0 = 1_000;
        let epoch = log[at].epoch;
        let of_it = log.iter().filter(|step| step.epoch == epoch).filter_map(|step| sent(&step.event));
        (of_it.max()? < 1_000).then_some(at)
    });
}
