//! How real systems hand over, stop copying and read their log.

mod pair;

use protocol::error::Refusal;
use protocol::host::{Role, Suspension, Work};
use protocol::policy::{Freeze, HandOver, LogReading, Missing, Policy, Push, Start, Stop};
use protocol::source::{Draining, Source};
use steplog::fate::{Cause, Fate, Loss};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::Epoch;

use pair::{A, B, PAGES, Pair, refusal};

fn with(hand_over: HandOver, policy: Policy) -> Policy {
    Policy { hand_over, ..policy }
}

/// Up to the state, which is on its way.
fn entrusted(policy: Policy) -> Pair {
    let mut pair = Pair::started(policy);
    pair[A].suspend(Suspension::default()).unwrap();
    while !pair[A].is_due(Work::SendState) {
        pair[A].perform_next().unwrap();
    }
    pair.perform(A, Work::SendState);
    pair
}

// One-shot.

#[test]
fn a_one_shot_source_has_given_the_process_up_with_the_state() {
    let mut pair = entrusted(with(HandOver::OneShot, Policy::POST_COPY));
    assert_eq!(refusal(pair[A].cancel()), Refusal::TooLate);
    // It pushes at once, and the page is there before the process runs.
    pair.perform(A, Work::Push(PageNumber(1)));
    pair.deliver(MessageKind::State);
    pair.deliver(MessageKind::Page);
    assert!(!pair[B].is_running() && !pair[B].is_due(Work::DeclareReady));
    pair.perform(B, Work::Resume);
    assert!(pair[B].is_running());
    assert!(pair.content(B, PageNumber(1)).is_some_and(|content| content.starts_with(b"modified")));
    let pair = pair.settle();
    assert_eq!(pair.fates(), [Some(Fate::Migrated); 2]);
}

/// A page that has overtaken the state that says where it is.
#[test]
fn what_is_pushed_may_come_before_the_state() {
    let mut pair = entrusted(with(HandOver::OneShot, Policy::POST_COPY));
    pair.perform(A, Work::Push(PageNumber(1)));
    pair.deliver(MessageKind::Page);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::Resume);
    let owed = pair[B].role().resident().map(|resident| resident.owed.len());
    assert_eq!(owed, Some(PAGES as usize - 1));
    pair.settle();
}

#[test]
fn a_one_shot_that_is_refused_is_lost() {
    let mut pair = entrusted(with(HandOver::OneShot, Policy::TOTAL_COPY));
    while pair.in_flight.iter().any(|envelope| envelope.message.kind() == MessageKind::Page) {
        pair.deliver(MessageKind::Page);
    }
    pair.deliver(MessageKind::State);
    pair[B].refuse().unwrap();
    pair.deliver(MessageKind::Refuse);
    assert!(matches!(pair[A].role(), Role::Source(Source::Draining(Draining { tell: None, .. }))));
    assert_eq!(pair.fates()[0], Some(Fate::Lost(Loss::Runner)));
    let pair = pair.settle();
    assert!([A, B].iter().all(|host| *pair[*host].role() == Role::Vacant));
}

#[test]
fn a_one_shot_whose_connection_breaks_under_it_is_lost_and_the_source_hears_of_it() {
    let mut pair = entrusted(with(HandOver::OneShot, Policy::TOTAL_COPY));
    pair.cut(&[A, B]);
    let lost = Cause::ConnectionLost;
    assert_eq!(pair.fates(), [Some(Fate::Paused(lost)), Some(Fate::Forgotten(lost))]);
    pair.reconnect();
    pair.deliver(MessageKind::Refuse);
    assert_eq!(pair.fates()[0], Some(Fate::Lost(Loss::Runner)));
}

/// It has all that it needs, and nobody else can run it.
#[test]
fn a_one_shot_destination_that_has_everything_runs_the_process_without_a_connection() {
    let mut pair = entrusted(with(HandOver::OneShot, Policy::POST_COPY));
    pair.deliver(MessageKind::State);
    pair.cut(&[A, B]);
    pair.reconnect();
    assert!(pair[B].is_running());
    pair.deliver(MessageKind::Resync);
    let pair = pair.settle();
    assert_eq!(pair.fates(), [Some(Fate::Migrated); 2]);

    let mut dead = entrusted(with(HandOver::OneShot, Policy::POST_COPY));
    dead.deliver(MessageKind::State);
    dead[B].fenced(A).unwrap();
    assert_eq!(dead.fates()[1], Some(Fate::Lost(Loss::Pages(PAGES))));
}

// Acknowledged.

#[test]
fn until_it_hears_the_answer_the_source_takes_the_process_back() {
    let mut pair = Pair::handed_over(with(HandOver::Acknowledged, Policy::POST_COPY));
    assert!(!pair[A].is_due(Work::Push(PageNumber(0))), "nothing is pushed before the answer");
    assert_eq!(refusal(pair[A].cancel()), Refusal::TooLate);
    pair.cut(&[A]);
    assert!(pair[A].is_running());
    assert_eq!(pair.fates()[0], Some(Fate::CarriedOn(Cause::ConnectionLost)));
    // The destination has not heard *go*: it is told that it will not.
    pair.reconnect();
    pair.deliver(MessageKind::Resync);
    pair.deliver(MessageKind::Cancel);
    assert_eq!(*pair[B].role(), Role::Vacant);
}

#[test]
fn once_it_has_heard_the_answer_it_does_not() {
    let mut pair = Pair::moved(with(HandOver::Acknowledged, Policy::POST_COPY));
    pair.deliver(MessageKind::Resumed);
    assert!(pair[A].is_due(Work::Push(PageNumber(0))));
    pair.cut(&[A]);
    assert!(!pair[A].is_running());
    assert_eq!(pair.fates()[0], Some(Fate::Paused(Cause::ConnectionLost)));
}

/// What such a hand-over can come to: the answer is lost, and both run the process.
#[test]
fn a_lost_answer_has_the_process_run_twice() {
    let mut pair = Pair::moved(with(HandOver::Acknowledged, Policy::POST_COPY));
    pair.cut(&[A]);
    assert!(pair[A].is_running() && pair[B].is_running());
    // And neither takes what the other says for an error.
    pair[B].fault(PageNumber(0)).unwrap();
    pair.reconnect();
    pair.deliver(MessageKind::Resync);
}

// None.

#[test]
fn without_a_hand_over_the_source_may_be_told_to_take_the_process_back_at_any_time() {
    let policy = Policy { push: Push::Pull, ..with(HandOver::None, Policy::POST_COPY) };
    let mut pair = entrusted(policy.clone());
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::Resume);
    pair[A].cancel().unwrap();
    assert!(pair[A].is_running() && pair[B].is_running());
    pair.deliver(MessageKind::Cancel);
    assert!(pair[B].is_running());

    let mut complete =
        entrusted(policy).until(|pair| matches!(pair[A].role(), Role::Source(Source::Draining(_))));
    assert_eq!(refusal(complete[A].cancel()), Refusal::TooLate);
}

// Stop and log.

#[test]
fn a_switch_leaves_behind_what_is_not_in_step() {
    let hybrid = Policy {
        freeze: Freeze::NotInStep,
        stop: Stop::Switch,
        missing: Missing::Source,
        ..Policy::ASSISTED_POST_COPY
    };
    let switch = Suspension { switched: true, ..Suspension::default() };
    let mut pair = Pair::started(hybrid.clone());
    pair.perform(A, Work::Copy(PageNumber(0)));
    pair[A].suspend(switch.clone()).unwrap();
    assert!(pair[A].is_due(Work::SendState), "nothing travels while the process stands still");
    let pair = pair.until(|pair| pair[B].is_running());
    assert_eq!(pair[B].role().resident().map(|resident| resident.owed.len()), Some(PAGES as usize - 1));

    // The same without a switch: everything travels.
    let mut pair = Pair::started(hybrid);
    pair.perform(A, Work::Copy(PageNumber(0)));
    pair[A].suspend(Suspension::default()).unwrap();
    assert!(!pair[A].is_due(Work::SendState) && pair[A].is_due(Work::Transfer(PageNumber(1))));

    let mut plain = Pair::started(Policy { stop: Stop::Target, ..Policy::PRE_COPY });
    assert_eq!(refusal(plain[A].suspend(switch)), Refusal::NoSwitch);
}

/// What is written between the clearing of its mark and its copy is in the content and in the log; what is cleared and not
/// copied is not in step.
#[test]
fn a_log_read_by_pass_is_cleared_before_the_copy() {
    let policy = Policy { log: LogReading::Pass, ..Policy::PRE_COPY };
    let page = PageNumber(0);
    let mut pair = Pair::started(policy.clone());
    assert!(!pair[A].is_due(Work::Copy(page)) && pair[A].is_due(Work::ClearMark(page)));
    pair.perform(A, Work::ClearMark(page));
    pair[A].write(page, 0, b"between").unwrap();
    pair.perform(A, Work::Copy(page));
    for other in (1..PAGES).map(PageNumber) {
        pair.perform(A, Work::ClearMark(other));
        pair.perform(A, Work::Copy(other));
    }
    pair.perform(A, Work::BeginPass);
    assert!(pair[A].is_due(Work::ClearMark(page)), "it is sent once more, in vain");
    assert!(!pair[A].is_due(Work::ClearMark(PageNumber(1))));

    // Cleared in the second pass, and the pass is cut short: it travels in the freeze.
    let mut pair = Pair::started(Policy { stop: Stop::Target, ..policy });
    for page in (0..PAGES).map(PageNumber) {
        pair.perform(A, Work::ClearMark(page));
        pair.perform(A, Work::Copy(page));
    }
    pair[A].write(page, 0, b"after").unwrap();
    pair.perform(A, Work::BeginPass);
    pair.perform(A, Work::ClearMark(page));
    pair[A].suspend(Suspension::default()).unwrap();
    assert!(pair[A].is_due(Work::Transfer(page)));
}

// Announced.

/// Up to the announcement, which is on its way.
fn announced(policy: Policy) -> Pair {
    let mut pair = Pair::new(Policy { start: Start::Announced, ..policy });
    pair[A].announce_migration(B).unwrap();
    pair.send_all();
    pair
}

#[test]
fn a_migration_that_is_announced_begins_when_it_is_expected() {
    let mut pair = announced(Policy::PRE_COPY);
    pair[A].write(PageNumber(0), 0, b"meanwhile").unwrap();
    assert!(pair[A].is_running() && !pair[A].is_due(Work::Copy(PageNumber(0))));
    assert_eq!(refusal(pair[A].suspend(Suspension::default())), Refusal::NotRunning);
    assert_eq!(refusal(pair[A].announce_migration(B)), Refusal::NotAtRest);
    pair.deliver(MessageKind::Announce);
    assert!(!pair[A].is_due(Work::Copy(PageNumber(0))), "not before it is expected");
    pair.deliver(MessageKind::Expected);
    assert!(pair[A].is_due(Work::Copy(PageNumber(0))));
}

#[test]
fn what_is_called_off_before_it_begins_costs_nothing() {
    let calls_off: [fn(&mut Pair); 4] = [
        |pair| pair[A].cancel().unwrap(),
        |pair| {
            pair[B].decline_migration(A, Epoch(1)).unwrap();
            pair.send_all();
            pair.deliver(MessageKind::Refuse);
        },
        |pair| pair.cut(&[A, B]),
        |pair| pair[A].fenced(B).unwrap(),
    ];
    for (at, call_off) in calls_off.into_iter().enumerate() {
        let mut pair = announced(Policy::POST_COPY);
        call_off(&mut pair);
        assert!(pair[A].is_running(), "{at}");
        assert!(matches!(pair[A].role(), Role::Source(Source::Resting(_))), "{at}");
        assert!(matches!(pair.fates()[0], Some(Fate::CarriedOn(_))), "{at}: {:?}", pair.fates());
    }
}

/// Over links without order the next announcement may come first, also to a destination that waits for *go*.
#[test]
fn the_next_announcement_says_that_the_last_attempt_was_called_off() {
    let mut pair = announced(Policy::POST_COPY);
    pair.deliver(MessageKind::Announce);
    pair.deliver(MessageKind::Expected);
    pair[A].suspend(Suspension::default()).unwrap();
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::DeclareReady);
    pair[A].cancel().unwrap();
    pair[A].announce_migration(B).unwrap();
    pair.send_all();
    pair.deliver(MessageKind::Announce);
    assert_eq!(pair[B].epoch(), Epoch(2));
    pair.deliver(MessageKind::Cancel);
    pair.deliver(MessageKind::Expected);
    assert!(pair[A].check_suspension().is_ok());
    assert!(matches!(pair[B].role(), Role::Destination(_)), "the late word is about the last one");
}
