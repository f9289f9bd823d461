//! Connections that break, peers that never answer, operators who change their minds: message by message.

mod pair;

use protocol::destination::Destination;
use protocol::error::{Misbehaviour, Refusal};
use protocol::host::{Host, HostLimits, MessageOutcome, ProcessState, Role, Suspension, Timeouts, Work};
use protocol::policy::Policy;
use protocol::source::Source;
use protocol::wire::Message;
use steplog::fate::{Cause, Fate, Loss};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place};

use pair::{A, B, PAGES, Pair, misbehaviour, quiet, refusal};

const SECOND_NS: u64 = 1_000_000_000;

// Before the hand-over.

#[test]
fn before_the_hand_over_a_lost_connection_leaves_the_process_where_it_is() {
    let mut pair = Pair::offered(Policy::POST_COPY);
    pair.cut(&[A]);
    assert!(pair[A].is_running());
    assert_eq!(pair[A].process_state(), Some(ProcessState::Normal));
    assert_eq!(pair.fates()[0], Some(Fate::CarriedOn(Cause::ConnectionLost)));
    // The destination has said that it is ready: it cannot know.
    pair[B].disconnected(A).unwrap();
    assert_eq!(pair.fates()[1], Some(Fate::Paused(Cause::ConnectionLost)));
    assert!(!pair[B].is_running());
    pair.reconnect();
    pair.deliver(MessageKind::Resync);
    pair.deliver(MessageKind::Cancel);
    assert_eq!(*pair[B].role(), Role::Vacant);
    assert_eq!(pair.fates()[1], Some(Fate::Forgotten(Cause::Cancelled)));
}

#[test]
fn a_destination_that_is_not_ready_forgets() {
    for policy in [Policy::TOTAL_COPY, Policy::ASSISTED_POST_COPY] {
        let mut pair = Pair::started(policy).until(|pair| pair.content(B, PageNumber(1)).is_some());
        pair.cut(&[B]);
        assert_eq!(*pair[B].role(), Role::Vacant);
        assert!((0..PAGES).all(|page| pair.content(B, PageNumber(page)).is_none()), "nothing of it is left");
        assert_eq!(pair.fates()[1], Some(Fate::Forgotten(Cause::ConnectionLost)));
    }
}

/// Whoever wins, there is one outcome: it depends on whether *go* has been said, not on what has arrived.
#[test]
fn cancel_races_with_go() {
    let mut early = Pair::offered(Policy::POST_COPY);
    early[A].cancel().unwrap();
    // *Ready* comes after the fact.
    let ready = Message::Ready;
    assert_eq!(early[A].handle_message(B.into(), Epoch(1), &ready), Ok(MessageOutcome::Ignored));
    assert!(early[A].is_running() && !early[A].is_due(Work::HandOver));
    early.deliver(MessageKind::Cancel);
    assert_eq!(*early[B].role(), Role::Vacant);

    let mut late = Pair::handed_over(Policy::POST_COPY);
    assert_eq!(refusal(late[A].cancel()), Refusal::TooLate);
    late.deliver(MessageKind::Go);
    assert_eq!(refusal(late[B].cancel()), Refusal::TooLate);
    assert_eq!(refusal(late[B].refuse()), Refusal::TooLate);
    // From a source that breaks its word.
    let before = late[B].role().clone();
    let cancelled = late[B].handle_message(A.into(), Epoch(1), &Message::Cancel);
    assert_eq!(misbehaviour(cancelled), Misbehaviour::CancelAfterGo);
    assert_eq!(*late[B].role(), before);
}

#[test]
fn a_destination_in_doubt_takes_no_other_attempt() {
    let mut pair = Pair::offered(Policy::POST_COPY);
    assert_eq!(refusal(pair[B].expect_migration(A, Epoch(2))), Refusal::InDoubt);
    let mut pair = Pair::started(Policy::PRE_COPY).until(|pair| pair.content(B, PageNumber(0)).is_some());
    pair[B].expect_migration(A, Epoch(2)).unwrap();
    assert_eq!(pair.content(B, PageNumber(0)), None, "the attempt before counts for nothing");
}

/// The process is written to after the attempt: what its first pass sent is not what the second one needs.
#[test]
fn a_second_attempt_moves_what_was_written_in_between() {
    for policy in Policy::ALL {
        let mut pair = Pair::started(policy.clone()).until(|pair| pair[A].check_suspension().is_ok());
        pair[A].suspend(Suspension::default()).unwrap();
        // A flush or transfer or two are under way, whatever the algorithm has.
        for _ in 0..2 {
            pair[A].perform_next().unwrap();
        }
        pair[A].cancel().unwrap();
        pair[A].write(PageNumber(0), 5, b"in between").unwrap();
        pair[A].write(PageNumber(3), 5, b"in between").unwrap();
        let mut pair = pair.until(|pair| *pair[B].role() == Role::Vacant);
        while pair[A].perform_next().unwrap().is_some() {
            pair.step();
        }
        pair[B].expect_migration(A, Epoch(2)).unwrap();
        assert_eq!(pair[A].start_migration(B), Ok(Epoch(2)));
        let mut pair = pair.until(|pair| pair[B].is_running()).settle();
        for page in [0, 1, 3].map(PageNumber) {
            let mut read = [0; 10];
            if pair[B].read(page, 5, &mut read).is_err() {
                pair[B].fault(page).unwrap();
                pair = pair.settle();
                pair[B].read(page, 5, &mut read).unwrap();
            }
            let written = page != PageNumber(1);
            assert_eq!(&read == b"in between", written, "{}: {page}", policy.name);
        }
    }
}

#[test]
fn a_process_that_is_too_large_is_refused() {
    let mut pair = Pair::started(Policy::TOTAL_COPY);
    let limits = HostLimits { pages_at_resumption_max: Some(PAGES - 1), ..HostLimits::default() };
    pair[B].configure(limits, Timeouts::default());
    let mut pair = pair.until(|pair| pair[B].is_due(Work::Refuse));
    assert!(!pair[B].is_due(Work::DeclareReady));
    pair.perform(B, Work::Refuse);
    pair.deliver(MessageKind::Refuse);
    assert_eq!(pair.fates(), [Some(Fate::CarriedOn(Cause::Refused)), Some(Fate::Forgotten(Cause::Refused))]);
    assert!(pair[A].is_running());
}

// After the hand-over.

#[test]
fn a_go_that_was_lost_is_said_again() {
    let mut pair = Pair::handed_over(Policy::POST_COPY);
    pair.cut(&[A, B]);
    let paused = Some(Fate::Paused(Cause::ConnectionLost));
    assert_eq!(pair.fates(), [paused, paused]);
    assert!(!pair.ensemble.hosts().any(Host::is_running), "neither runs it before they have spoken");
    pair.reconnect();
    assert!(pair[A].tasks().next().is_none(), "the source waits to hear what arrived");
    pair.deliver(MessageKind::Resync);
    pair.deliver(MessageKind::Go);
    assert!(pair[B].is_running());
    let pair = pair.settle();
    assert_eq!(pair.fates(), [Some(Fate::Migrated), Some(Fate::Migrated)]);
}

/// Cut again and again, at every point of the recovery as well: no page is lost, no word is missed.
#[test]
fn a_second_cut_during_resync() {
    for cuts_after in 0..12 {
        let mut pair = Pair::moved(Policy::POST_COPY);
        pair[B].fault(PageNumber(1)).unwrap();
        pair.deliver(MessageKind::Request);
        pair.perform(A, Work::Serve(PageNumber(1)));
        pair.cut(&[B]);
        pair.reconnect();
        for _ in 0..cuts_after {
            pair.step();
        }
        pair.cut(&[A]);
        pair.reconnect();
        let pair = pair.settle();
        assert_eq!(*pair[A].role(), Role::Vacant, "after {cuts_after} steps");
        assert!(matches!(pair[B].role(), Role::Source(Source::Resting(_))), "after {cuts_after} steps");
        assert_eq!(pair.content(B, PageNumber(1)).unwrap()[..8], *b"modified");
    }
}

/// A page that was pre-copied and then dirtied is stale at the destination, before and after a cut.
#[test]
fn what_the_dirty_map_discarded_stays_discarded() {
    let mut pair = Pair::started(Policy::ASSISTED_POST_COPY).until(|pair| pair[A].check_suspension().is_ok());
    pair[A].write(PageNumber(0), 0, b"newer").unwrap();
    let mut pair = pair.until(|pair| pair[B].is_running());
    pair.cut(&[A, B]);
    assert_eq!(pair.content(B, PageNumber(0)), None);
    pair.reconnect();
    let pair = pair.settle();
    assert_eq!(pair.content(B, PageNumber(0)).unwrap()[..5], *b"newer");
}

#[test]
fn what_is_left_of_the_clean_up_is_said_again() {
    let complete = |pair: &Pair| matches!(pair[B].role(), Role::Destination(Destination::Completing(_)));
    let destroyed = |pair: &Pair| *pair[A].role() == Role::Vacant;
    for (lost, said) in [("complete", &complete as &dyn Fn(&Pair) -> bool), ("destroyed", &destroyed)] {
        let mut pair = Pair::handed_over(Policy::POST_COPY).until(said);
        pair.cut(&[A, B]);
        assert!(pair[B].is_running());
        pair.reconnect();
        let pair = pair.settle();
        assert_eq!(*pair[A].role(), Role::Vacant, "{lost}");
        assert!(matches!(pair[B].role(), Role::Source(Source::Resting(_))), "{lost}");
    }
}

#[test]
fn only_a_fence_ends_what_a_lost_connection_pauses() {
    // The destination had the process.
    let mut pair = Pair::handed_over(Policy::POST_COPY);
    pair[A].disconnected(B).unwrap();
    pair[A].fenced(B).unwrap();
    assert_eq!(pair.fates()[0], Some(Fate::Lost(Loss::Runner)));
    pair.perform(A, Work::Destroy);
    assert_eq!(*pair[A].role(), Role::Vacant);
    // The source had pages.
    let mut pair = Pair::moved(Policy::POST_COPY);
    pair[B].fenced(A).unwrap();
    assert_eq!(pair.fates()[1], Some(Fate::Lost(Loss::Pages(PAGES))));
    assert!(!pair[B].is_running());
    // It had none any more.
    let pair = Pair::handed_over(Policy::POST_COPY);
    let mut pair = pair.until(|pair| matches!(pair[B].role(), Role::Destination(Destination::Completing(_))));
    pair[B].fenced(A).unwrap();
    assert_eq!(pair.fates()[1], Some(Fate::Migrated));
    assert!(pair[B].is_running());
    // Nobody knows whether it ran on at the source: the copy here may be old.
    let mut pair = Pair::offered(Policy::POST_COPY);
    pair[B].fenced(A).unwrap();
    assert_eq!(pair.fates()[1], Some(Fate::Lost(Loss::InDoubt)));
    assert_eq!(*pair[B].role(), Role::Vacant);
}

/// The process moves on with pages owed, and is lost with the host that owed them. The next host does not know yet.
#[test]
fn what_is_said_about_a_move_that_ended_in_a_loss_comes_too_late() {
    let next = HostId(2);
    for said in [Message::Ready, Message::Refuse] {
        let mut pair = Pair::moved(Policy::LAZY_COPY);
        let host = &mut pair[B];
        host.start_migration(next).unwrap();
        host.fenced(A).unwrap();
        assert_eq!(host.fate(), Some(Fate::Lost(Loss::Pages(PAGES))));
        assert_eq!(host.handle_message(next.into(), Epoch(2), &said), Ok(MessageOutcome::Ignored));
    }
}

/// A push and a request cross. It does not matter then what becomes of the connection with somebody else.
#[test]
fn a_connection_with_a_bystander_changes_nothing() {
    let bystander = HostId(2);
    let page = PageNumber(1);
    let mut pair = Pair::moved(Policy::POST_COPY);
    pair.perform(A, Work::Push(page));
    pair[A].disconnected(bystander).unwrap();
    pair[A].connected(bystander).unwrap();
    let request = pair[A].handle_message(B.into(), Epoch(1), &Message::Request { page });
    assert_eq!(request, Ok(MessageOutcome::Ignored), "the page is on its way");
    assert!(!pair[A].is_due(Work::Serve(page)));
}

/// Never answering.
#[test]
fn a_peer_that_never_answers_is_given_up() {
    let timeouts =
        Timeouts { hand_over_ns: Some(SECOND_NS), arrival_ns: Some(SECOND_NS), answer_ns: Some(SECOND_NS) };
    let silent = |mut host: Host<_>| {
        host.configure(HostLimits::default(), timeouts);
        quiet(&mut host);
        assert_eq!(host.next_timeout(), Some(SECOND_NS));
        host.tick(0).unwrap();
        host.tick(SECOND_NS - 1).unwrap();
        assert_eq!(host.poll_event(), None, "not before the time");
        assert_eq!(host.next_timeout(), Some(SECOND_NS));
        host.tick(SECOND_NS).unwrap();
        assert_eq!(host.next_timeout(), None, "once");
        host.fate()
    };
    let [a, b] = Pair::offered(Policy::POST_COPY).apart();
    assert_eq!(silent(a), Some(Fate::CarriedOn(Cause::TimedOut)), "the source, before go");
    assert_eq!(silent(b), Some(Fate::Paused(Cause::TimedOut)), "the destination, ready");
    let [_, b] = Pair::started(Policy::POST_COPY).apart();
    assert_eq!(silent(b), Some(Fate::Forgotten(Cause::TimedOut)), "the destination, before it was ready");
    let [_, b] = Pair::moved(Policy::POST_COPY).apart();
    assert_eq!(silent(b), Some(Fate::Paused(Cause::TimedOut)), "the destination, waiting for pages");
    let mut pair = Pair::handed_over(Policy::POST_COPY);
    while pair[A].perform_next().unwrap().is_some() {}
    let [a, _] = pair.apart();
    assert_eq!(silent(a), Some(Fate::Paused(Cause::TimedOut)), "the source, after go");
}

/// A sign of life in between starts the time anew.
#[test]
fn a_peer_that_says_something_is_not_given_up() {
    let mut pair = Pair::started(Policy::TOTAL_COPY);
    pair[A].suspend(Suspension::default()).unwrap();
    pair.perform(A, Work::Transfer(PageNumber(0)));
    let timeouts = Timeouts { arrival_ns: Some(SECOND_NS), ..Timeouts::default() };
    pair[B].configure(HostLimits::default(), timeouts);
    pair[B].tick(0).unwrap();
    pair.deliver(MessageKind::Page);
    pair[B].tick(SECOND_NS).unwrap();
    assert_eq!(pair[B].next_timeout(), Some(2 * SECOND_NS));
    pair[B].tick(2 * SECOND_NS).unwrap();
    assert_eq!(pair.fates()[1], Some(Fate::Forgotten(Cause::TimedOut)));
}

// The file server.

/// Write-backs outstanding when the file server goes away are said again, same version, same content; meanwhile what
/// is modified stays modified, and nothing piles up.
#[test]
fn an_outage_loses_no_write() {
    let page = PageNumber(3);
    let mut pair = Pair::new(Policy::GENERIC);
    pair.perform(A, Work::WriteBack(page));
    let first = pair.in_flight.pop().unwrap().message;
    pair[A].disconnected(Place::FileServer).unwrap();
    pair[A].write(page, 0, b"meanwhile").unwrap();
    pair[A].write(PageNumber(2), 0, b"meanwhile").unwrap();
    assert!(pair[A].tasks().next().is_none(), "nothing is sent to a server that is away");
    pair[A].connected(Place::FileServer).unwrap();
    assert!(pair[A].is_due(Work::Repeat(page)) && !pair[A].is_due(Work::WriteBack(page)));
    pair.perform(A, Work::Repeat(page));
    assert_eq!(pair.in_flight.last().unwrap().message, first);
    let pair = pair.settle();
    for page in [2, 3].map(PageNumber) {
        let stored = pair.ensemble.file_server().stored(page).unwrap();
        assert_eq!(stored.content.as_slice()[..9], *b"meanwhile");
    }
}

#[test]
fn a_fetch_is_said_again_after_an_outage() {
    let mut pair = Pair::started(Policy::FLUSHING).until(|pair| pair[B].is_running());
    let page = PageNumber(1);
    pair[B].fault(page).unwrap();
    quiet(&mut pair[B]);
    pair[B].disconnected(Place::FileServer).unwrap();
    pair[B].fault(PageNumber(2)).unwrap();
    assert_eq!(pair[B].poll_message(), None);
    pair[B].connected(Place::FileServer).unwrap();
    let pair = pair.settle();
    assert_eq!(pair.content(B, page).unwrap()[..8], *b"modified");
    assert!(pair.content(B, PageNumber(2)).is_some());
}

/// A driver that takes nothing is not handed more and more.
#[test]
fn a_full_outbox_holds_back_work_and_loses_nothing() {
    let max = 3;
    let mut pair = Pair::started(Policy::TOTAL_COPY);
    let limits = HostLimits { outbox_messages_max: max, ..HostLimits::default() };
    pair.ensemble.configure(limits, Timeouts::default());
    pair[A].suspend(Suspension::default()).unwrap();
    let mut done = 0;
    while pair[A].perform_next().unwrap().is_some() {
        done += 1;
    }
    assert_eq!(done, max);
    assert!(pair[A].tasks().next().is_none());
    assert_eq!(refusal(pair[A].perform(Work::SendState)), Refusal::NotDue(Work::SendState));
    let pair = pair.until(|pair| pair[B].is_running()).settle();
    assert!((0..PAGES).all(|page| pair.content(B, PageNumber(page)).is_some()));
    // Faults count as well.
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    pair[B].configure(HostLimits { outbox_messages_max: 1, ..HostLimits::default() }, Timeouts::default());
    pair[B].fault(PageNumber(0)).unwrap();
    assert_eq!(refusal(pair[B].fault(PageNumber(1))), Refusal::OutboxFull);
    pair.send_all();
    pair[B].fault(PageNumber(1)).unwrap();
}
