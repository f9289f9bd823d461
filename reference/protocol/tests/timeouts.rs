//! How long a host waits, and who can make it wait longer.

mod pair;

use protocol::host::{Host, HostLimits, MessageOutcome, Role, Suspension, Timeouts, Work};
use protocol::memory::PageStore;
use protocol::policy::Policy;
use protocol::source::Source;
use protocol::wire::Message;
use steplog::fate::{Cause, Fate};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId};

use pair::{A, B, C, Pair, resync};

const LIMIT_NS: u64 = 1000;

fn impatient(host: &mut Host<PageStore>) {
    let limit = Some(LIMIT_NS);
    let timeouts = Timeouts { hand_over_ns: limit, arrival_ns: limit, answer_ns: limit };
    host.configure(HostLimits::default(), timeouts);
}

/// Ticks, and in between has this said to the host. When it gives its peer up, if it does within ten times the limit.
fn given_up_at(host: &mut Host<PageStore>, said: &[(HostId, Epoch, Message)]) -> Option<u64> {
    impatient(host);
    (0..10 * LIMIT_NS).step_by(100).find(|&now_ns| {
        host.tick(now_ns).unwrap();
        for (from, epoch, message) in said {
            let _ = host.handle_message((*from).into(), *epoch, message);
            while host.poll_message().is_some() {}
        }
        matches!(host.fate(), Some(Fate::CarriedOn(Cause::TimedOut) | Fate::Forgotten(Cause::TimedOut)))
            || matches!(host.fate(), Some(Fate::Paused(Cause::TimedOut)))
    })
}

/// What anybody can say at any time: questions that are answered, and what came too late.
fn chatter() -> Vec<(HostId, Epoch, Message)> {
    let words = [resync(Progress::AwaitingGo, &[], &[]), Message::Ready, Message::Go, Message::Complete];
    let said = |from| words.clone().map(|word| [(from, Epoch(0), word.clone()), (from, Epoch(7), word)]);
    [A, B, C].into_iter().flat_map(said).flatten().collect()
}

#[test]
fn a_suspended_process_runs_on_after_the_limit_whatever_is_said() {
    let suspended = || {
        let mut pair = Pair::started(Policy::TOTAL_COPY);
        pair[A].suspend(Suspension::default()).unwrap();
        pair
    };
    let [mut frozen, _] = suspended().apart();
    assert_eq!(given_up_at(&mut frozen, &chatter()), Some(LIMIT_NS));
    assert!(frozen.is_running());
    let offered = suspended().until(|pair| matches!(pair[A].role(), Role::Source(Source::Offered(_))));
    let [mut offered, _] = offered.apart();
    assert_eq!(given_up_at(&mut offered, &chatter()), Some(LIMIT_NS));
    assert!(offered.is_running());
}

#[test]
fn questions_and_strangers_are_no_sign_of_life() {
    let [_, mut receiving] = Pair::started(Policy::TOTAL_COPY).apart();
    assert_eq!(given_up_at(&mut receiving, &chatter()), Some(LIMIT_NS));
    let [_, mut ready] = Pair::offered(Policy::POST_COPY).apart();
    assert_eq!(given_up_at(&mut ready, &chatter()), Some(LIMIT_NS));
    let [_, mut running] = Pair::moved(Policy::POST_COPY).apart();
    assert_eq!(given_up_at(&mut running, &chatter()), Some(LIMIT_NS));
}

/// A page from a former host is no sign of life of another one, for which the process waits.
#[test]
fn one_peer_is_no_sign_of_life_of_another() {
    let mut pair = Pair::moved(Policy::GENERIC);
    let page = PageNumber(2);
    pair[B].fault(page).unwrap();
    pair[B].fault(PageNumber(1)).unwrap();
    impatient(&mut pair[B]);
    pair[B].tick(0).unwrap();
    pair.deliver(MessageKind::Fetch);
    pair.deliver(MessageKind::Fetched);
    pair[B].tick(LIMIT_NS).unwrap();
    assert_eq!(pair.fates()[1], Some(Fate::Paused(Cause::TimedOut)));
}

/// The time of one attempt does not count for the next, even if nobody looked at the clock in between.
#[test]
fn a_second_attempt_has_all_its_time() {
    let mut pair = Pair::started(Policy::POST_COPY);
    impatient(&mut pair[A]);
    pair[A].suspend(Suspension::default()).unwrap();
    pair[A].tick(0).unwrap();
    pair[A].cancel().unwrap();
    pair.deliver(MessageKind::Cancel);
    pair[B].expect_migration(A, Epoch(2)).unwrap();
    pair[A].start_migration(B).unwrap();
    pair[A].suspend(Suspension::default()).unwrap();
    pair[A].tick(LIMIT_NS).unwrap();
    assert_eq!(pair.fates()[0], None);
    pair[A].tick(2 * LIMIT_NS).unwrap();
    assert_eq!(pair.fates()[0], Some(Fate::CarriedOn(Cause::TimedOut)));
}

/// A request does not count as word about how far the destination is, unless it is accepted.
#[test]
fn a_refused_or_ignored_request_does_not_stand_for_a_resync() {
    let mut pair = Pair::moved(Policy::GENERIC);
    let (asked, other) = (PageNumber(1), PageNumber(3));
    let request = |page| Message::Request { page };
    pair[A].handle_message(B.into(), Epoch(1), &request(asked)).unwrap();
    pair.cut(&[A, B]);
    pair[A].connected(B).unwrap();
    let serve = Work::Serve(asked);
    assert!(!pair[A].is_due(serve), "not before it is known what has arrived");
    // Page 0 is unmodified: nobody owes it. Page 1 was asked for before.
    for page in [PageNumber(0), asked] {
        pair::quiet(&mut pair[A]);
        let before = pair[A].clone();
        let handled = pair[A].handle_message(B.into(), Epoch(1), &request(page));
        assert_ne!(handled, Ok(MessageOutcome::Applied));
        pair::quiet(&mut pair[A]);
        assert_eq!(pair[A], before);
    }
    assert!(!pair[A].is_due(serve));
    let accepted = pair[A].handle_message(B.into(), Epoch(1), &request(other));
    assert_eq!(accepted, Ok(MessageOutcome::Applied));
    assert!(pair[A].is_due(serve));
}
