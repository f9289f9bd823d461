//! Links that do not keep order: what overtakes what, and comes once more.

mod pair;

use protocol::host::{Host, MessageOutcome, Role, Suspension, Work};
use protocol::policy::Policy;
use protocol::source::Source;
use protocol::wire::Envelope;
use steplog::fate::{Fate, Loss};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::Epoch;

use pair::{A, B, C, PAGES, Pair, exchange};

/// A process runs on the second host that waits for page 0 over a connection that is gone. There is a new one.
fn waiting() -> Pair {
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    pair[B].fault(PageNumber(0)).unwrap();
    pair.cut(&[A, B]);
    pair.reconnect();
    pair
}

#[test]
fn what_the_process_waits_for_is_served_though_another_request_overtakes_word_of_it() {
    let mut pair = waiting();
    pair[B].fault(PageNumber(1)).unwrap();
    pair.deliver(MessageKind::Request);
    assert!(!pair[A].is_due(Work::Serve(PageNumber(0))));
    let said = pair.deliver(MessageKind::Resync);
    assert!(pair[A].is_due(Work::Serve(PageNumber(0))));
    // Word that comes once more, after the page has been sent, asks for nothing.
    pair.perform(A, Work::Serve(PageNumber(0)));
    assert_eq!(pair[A].handle_message(B.into(), Epoch(1), &said), Ok(MessageOutcome::Ignored));
    assert!(!pair[A].is_due(Work::Serve(PageNumber(0))));
}

/// A page was lost with a connection. Over the next one the process asks for it before the resync says that it lacks it.
#[test]
fn what_is_asked_for_again_goes_before_what_is_pushed() {
    let (mut pair, page) = (Pair::moved(Policy::POST_COPY), PageNumber(0));
    pair.perform(A, Work::Push(page));
    pair.cut(&[A, B]);
    pair.reconnect();
    pair[B].fault(page).unwrap();
    pair.deliver(MessageKind::Request);
    assert!(pair[A].is_due(Work::Serve(page)));
    assert!(!pair[A].is_due(Work::Push(PageNumber(1))));
    pair.perform(A, Work::Serve(page));
    pair.deliver(MessageKind::Resync);
    assert!(!pair[A].is_due(Work::Serve(page)) && !pair[A].is_due(Work::Push(page)));
    pair.deliver(MessageKind::Page);
    assert!(pair[B].read(page, 0, &mut []).is_ok());
}

#[test]
fn what_was_sent_over_the_connection_that_there_is_is_not_sent_again() {
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    pair.cut(&[A, B]);
    pair.reconnect();
    pair[B].fault(PageNumber(0)).unwrap();
    pair.deliver(MessageKind::Request);
    pair.perform(A, Work::Serve(PageNumber(0)));
    // Where pages are left behind along a chain, anybody could be served.
    pair[A].disconnected(C).unwrap();
    pair[A].connected(C).unwrap();
    pair.deliver(MessageKind::Page);
    pair.deliver(MessageKind::Resync);
    let Role::Source(Source::Shadow(shadow)) = pair[A].role() else { panic!("{:?}", pair[A]) };
    assert!(!shadow.owed.contains(PageNumber(0)));
}

/// What the next host was sent comes once more after the process was lost there.
#[test]
fn what_comes_once_more_after_a_loss_is_ignored() {
    let (mut pair, page) = (Pair::moved(Policy::LAZY_COPY), PageNumber(0));
    pair[B].fault(page).unwrap();
    pair.deliver(MessageKind::Request);
    pair.perform(A, Work::Serve(page));
    pair.deliver(MessageKind::Page);
    let (mut b, mut c) =
        (pair[B].clone(), Host::without_process(C, Policy::LAZY_COPY, Pair::image()).unwrap());
    c.expect_migration(B, Epoch(2)).unwrap();
    b.start_migration(C).unwrap();
    b.suspend(Suspension::default()).unwrap();
    b.perform(Work::SendState).unwrap();
    let mut said = exchange(&mut b, &mut c);
    c.perform(Work::DeclareReady).unwrap();
    exchange(&mut c, &mut b);
    b.perform(Work::HandOver).unwrap();
    said.extend(exchange(&mut b, &mut c));
    assert!(c.is_running());
    c.fault(page).unwrap();
    exchange(&mut c, &mut b);
    b.perform(Work::Serve(page)).unwrap();
    said.extend(exchange(&mut b, &mut c));
    c.fenced(A).unwrap();
    assert_eq!(c.fate(), Some(Fate::Lost(Loss::Pages(PAGES - 1))));
    let said = said.into_iter().filter(|envelope| envelope.to == C.into());
    let kinds: Vec<_> = said
        .map(|Envelope { from, epoch, message, .. }| {
            assert_eq!(c.handle_message(from, epoch, &message), Ok(MessageOutcome::Ignored));
            message.kind()
        })
        .collect();
    assert_eq!(kinds, [MessageKind::State, MessageKind::Go, MessageKind::Page]);
}
