//! Requests and the pages that answer them have a connection of their own, and messages of the two overtake each other.

mod pair;

use pair::{A, B, Pair, kinds, quiet};
use protocol::host::{MessageOutcome, Role, Work};
use protocol::policy::{Channels, Policy};
use protocol::source::Source;
use protocol::wire::{Channel, Message};
use steplog::message::MessageKind;
use steplog::page::PageNumber;

const PAGE: PageNumber = PageNumber(0);

fn apart() -> Policy {
    Policy { channels: Channels::DemandApart, ..Policy::POST_COPY }
}

fn channels(pair: &Pair) -> Vec<(MessageKind, Channel)> {
    pair.in_flight.iter().map(|envelope| (envelope.message.kind(), envelope.channel)).collect()
}

#[test]
fn what_is_asked_for_goes_apart_and_all_else_does_not() {
    let mut pair = Pair::moved(apart());
    pair[B].fault(PAGE).unwrap();
    pair.send_all();
    assert_eq!(channels(&pair), [(MessageKind::Request, Channel::Demand)]);
    pair.deliver(MessageKind::Request);
    let task = pair[A].tasks().next().unwrap();
    assert_eq!((task.work, task.channel), (Work::Serve(PAGE), Channel::Demand));
    pair.perform(A, Work::Serve(PAGE));
    pair.perform(A, Work::Push(PageNumber(1)));
    let pages = [(MessageKind::Page, Channel::Demand), (MessageKind::Page, Channel::Main)];
    assert_eq!(channels(&pair), pages);
    // Over one connection there is but that.
    let mut plain = Pair::moved(Policy::POST_COPY);
    plain[B].fault(PAGE).unwrap();
    plain.send_all();
    assert_eq!(channels(&plain), [(MessageKind::Request, Channel::Main)]);
}

/// Without a barrier *complete* comes before a request that a push has answered meanwhile.
#[test]
fn complete_overtakes_a_request() {
    let mut pair = Pair::moved(apart());
    pair[B].fault(PAGE).unwrap();
    pair.send_all();
    let request = pair.in_flight.remove(0);
    for page in 0..pair::PAGES {
        pair.perform(A, Work::Push(PageNumber(page)));
        pair.deliver(MessageKind::Page);
    }
    pair.perform(B, Work::DeclareComplete);
    pair.deliver(MessageKind::Complete);
    assert!(matches!(pair[A].role(), Role::Source(Source::Draining(_))));
    let (from, epoch) = (request.from, request.epoch);
    assert_eq!(pair[A].handle_message(from, epoch, &request.message), Ok(MessageOutcome::Ignored));
    pair.perform(A, Work::Destroy);
    assert_eq!(pair[A].handle_message(from, epoch, &request.message), Ok(MessageOutcome::Ignored));
    pair.deliver(MessageKind::Destroyed);
    assert!(matches!(pair[B].role(), Role::Source(Source::Resting(_))));
}

/// Over a new connection a request comes before the resync: it says as much of its page, and the rest is owed again when that comes.
#[test]
fn a_request_overtakes_the_resync() {
    let mut pair = Pair::moved(apart());
    for page in 0..2 {
        pair.perform(A, Work::Push(PageNumber(page)));
    }
    pair.cut(&[A, B]);
    pair.reconnect();
    pair[B].fault(PAGE).unwrap();
    pair.send_all();
    let request = pair.deliver(MessageKind::Request);
    assert_eq!(request, Message::Request { page: PAGE });
    pair.perform(A, Work::Serve(PAGE));
    pair.deliver(MessageKind::Page);
    pair.deliver(MessageKind::Resync);
    assert!(pair.content(B, PAGE).is_some());
    assert!(pair[A].is_due(Work::Push(PageNumber(1))));
    quiet(&mut pair[A]);
    assert_eq!(kinds(&mut pair[A]), []);
    let pair = pair.until(|pair| matches!(pair[B].role(), Role::Source(Source::Resting(_))));
    assert!((0..pair::PAGES).all(|page| pair.content(B, PageNumber(page)).is_some()));
}
