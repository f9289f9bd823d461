//! What is said over a new connection: a peer that lies, repeats itself, or is overtaken by its own words.

mod pair;

use protocol::error::{Misbehaviour, Refusal};
use protocol::host::{MessageOutcome, Role, Suspension, Work};
use protocol::policy::Policy;
use protocol::source::Source;
use protocol::wire::Message;
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::Epoch;

use pair::{A, B, C, PAGES, Pair, misbehaviour, refusal, resync};

#[test]
fn a_resync_that_cannot_be_is_refused() {
    let mut pair = Pair::started(Policy::GENERIC);
    pair[A].suspend(Suspension::default()).unwrap();
    let mut pair = pair.until(|pair| matches!(pair[A].role(), Role::Source(Source::Shadow(_))));
    pair.cut(&[A, B]);
    pair[A].connected(B).unwrap();
    let (kind, host) = (MessageKind::Resync, &mut pair[A]);
    let before = host.role().clone();
    let not_owed = |page| Misbehaviour::NotOwed { kind, page: PageNumber(page) };
    // Page 0 is unmodified: it is in the local backing store of the destination.
    let mut said = |message: Message, epoch| host.handle_message(B.into(), Epoch(epoch), &message);
    assert_eq!(misbehaviour(said(resync(Progress::Running, &[0, 1], &[]), 1)), not_owed(0));
    assert_eq!(misbehaviour(said(resync(Progress::Running, &[1], &[3]), 1)), not_owed(3));
    assert_eq!(misbehaviour(said(resync(Progress::Running, &[PAGES], &[]), 1)), not_owed(PAGES));
    let known = Epoch(1);
    let unknown = Misbehaviour::UnknownEpoch { kind, epoch: Epoch(2), known };
    assert_eq!(misbehaviour(said(resync(Progress::Running, &[], &[]), 2)), unknown);
    let still_owed = misbehaviour(said(resync(Progress::Complete, &[], &[]), 1));
    assert!(matches!(still_owed, Misbehaviour::StillOwed { .. }), "{still_owed}");
    assert_eq!(*host.role(), before);
    assert_eq!(host.poll_message(), None);
}

/// A resync that is repeated, by the link or by the peer, asks for nothing twice.
#[test]
fn a_resync_counts_once() {
    let mut pair = Pair::moved(Policy::POST_COPY);
    pair.perform(A, Work::Push(PageNumber(0)));
    pair.cut(&[A, B]);
    pair.reconnect();
    let first = pair.deliver(MessageKind::Resync);
    pair.perform(A, Work::Push(PageNumber(0)));
    assert_eq!(pair[A].handle_message(B.into(), Epoch(1), &first), Ok(MessageOutcome::Ignored));
    assert!(!pair[A].is_due(Work::Push(PageNumber(0))));
}

/// What comes over a connection that counts as lost, of whatever kind, is not accepted.
#[test]
fn nothing_is_accepted_from_a_place_out_of_reach() {
    let mut pair = Pair::handed_over(Policy::POST_COPY);
    pair[B].disconnected(A).unwrap();
    assert_eq!(pair[B].handle_message(A.into(), Epoch(1), &Message::Go), Ok(MessageOutcome::Ignored));
    assert!(!pair[B].is_running());
    assert_eq!(refusal(Pair::cut_off()[A].start_migration(B)), Refusal::OutOfReach(B));
    assert_eq!(refusal(Pair::cut_off()[B].expect_migration(A, Epoch(1))), Refusal::OutOfReach(A));
}

impl Pair {
    fn cut_off() -> Self {
        let mut pair = Self::new(Policy::POST_COPY);
        pair.cut(&[A, B]);
        pair
    }
}

/// On a link that does not keep order, word that nothing is needed any more overtakes word that the return is off. It may
/// come from a third host, to which the process has gone instead.
#[test]
fn completion_says_that_a_return_was_called_off() {
    for (reconnected, by) in [(false, B), (true, B), (false, C), (true, C)] {
        let mut pair = Pair::moved(Policy::LAZY_COPY);
        for page in (0..PAGES).map(PageNumber) {
            // All but the last page are at the destination before the return is called off.
            if page.0 + 1 < PAGES {
                pair[B].fault(page).unwrap();
                pair.deliver(MessageKind::Request);
                pair.perform(A, Work::Serve(page));
                pair.deliver(MessageKind::Page);
            }
        }
        pair[A].expect_migration(B, Epoch(2)).unwrap();
        pair[B].start_migration(A).unwrap();
        let complete = match reconnected {
            false => Message::Complete,
            true => resync(Progress::Complete, &[], &[]),
        };
        // While a page is owed it cannot be.
        let before = pair[A].role().clone();
        assert_ne!(pair[A].handle_message(by.into(), Epoch(1), &complete), Ok(MessageOutcome::Applied));
        assert_eq!(*pair[A].role(), before);
        pair[B].fault(PageNumber(PAGES - 1)).unwrap();
        pair.deliver(MessageKind::Request);
        pair.perform(A, Work::Serve(PageNumber(PAGES - 1)));
        pair[B].cancel().unwrap();
        pair[A].process_moves_on(C, Epoch(3));
        assert_eq!(pair[A].handle_message(by.into(), Epoch(1), &complete), Ok(MessageOutcome::Applied));
        assert!(matches!(pair[A].role(), Role::Source(Source::Draining(_))));
        pair.deliver(MessageKind::Cancel);
        assert!(pair[A].is_due(Work::Destroy));
    }
}
