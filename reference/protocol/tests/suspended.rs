//! What must not happen while the process is suspended.

mod pair;

use std::sync::Arc;

use protocol::error::Refusal;
use protocol::host::{Host, MessageOutcome, Suspension, Work};
use protocol::memory::{Elided, Fault};
use protocol::page::Image;
use protocol::policy::Policy;
use protocol::wire::{REGISTERS_LEN_MAX, decode, encode};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId};

use pair::{A, B, Pair, refusal};

/// Private and modified.
const PRIVATE: PageNumber = PageNumber(1);
/// File-mapped and modified.
const MAPPED: PageNumber = PageNumber(3);

#[test]
fn the_process_runs_nowhere_between_suspension_and_go() {
    let mut pair = Pair::started(Policy::POST_COPY);
    let write = |pair: &mut Pair, host: HostId| pair[host].write(PRIVATE, 0, b"x");
    assert_eq!(write(&mut pair, A), Ok(()));
    pair[A].suspend(Suspension::default()).unwrap();
    assert_eq!(write(&mut pair, A), Err(Fault::Frozen));
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::DeclareReady);
    pair.deliver(MessageKind::Ready);
    pair.perform(A, Work::HandOver);
    assert_eq!([write(&mut pair, A), write(&mut pair, B)], [Err(Fault::Frozen); 2]);
    pair.deliver(MessageKind::Go);
    assert_eq!(write(&mut pair, A), Err(Fault::Frozen), "never again at the source");
    assert_eq!(write(&mut pair, B), Err(Fault::Missing(PRIVATE)));
}

/// Otherwise two hosts could write it back at once.
#[test]
fn what_travels_in_the_freeze_is_written_back_by_the_destination() {
    let mut pair = Pair::started(Policy::GENERIC);
    assert!(pair[A].is_due(Work::WriteBack(MAPPED)));
    pair[A].suspend(Suspension { code_page: Some(MAPPED), ..Suspension::default() }).unwrap();
    assert!(!pair[A].is_due(Work::WriteBack(MAPPED)), "it is going to travel");
    pair.perform(A, Work::Transfer(MAPPED));
    assert!(!pair[A].is_due(Work::WriteBack(MAPPED)), "it has travelled");
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::Page);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::DeclareReady);
    pair.deliver(MessageKind::Ready);
    pair.perform(A, Work::HandOver);
    pair.deliver(MessageKind::Go);
    assert!(pair[B].is_due(Work::WriteBack(MAPPED)));
}

/// Half of two million pages are modified, and no two neighbours alike: what is suspended can be sent, and arrives.
#[test]
fn the_longest_plans_travel() {
    const MANY: u64 = 2_000_000;
    let image = Arc::new(Image::blank(MANY, 0));
    let (loaded, vacant) = (Elided::loaded(MANY), Elided::vacant(MANY));
    let mut a = Host::occupied(A, Policy::GENERIC, Arc::clone(&image), loaded).unwrap();
    let mut b = Host::vacant(B, Policy::GENERIC, image, vacant).unwrap();
    for page in (0..MANY).step_by(2).map(PageNumber) {
        a.write(page, 0, b"x").unwrap();
        a.poll_event();
    }
    b.expect_migration(A, Epoch(1)).unwrap();
    a.start_migration(B).unwrap();
    a.suspend(Suspension::default()).unwrap();
    a.perform(Work::SendState).unwrap();
    let sent = a.poll_message().unwrap();
    let bytes = encode(sent.epoch, &sent.message).unwrap();
    let (arrived, _) = decode(&bytes).unwrap();
    assert_eq!(b.handle_message(A.into(), arrived.epoch, &arrived.message), Ok(MessageOutcome::Applied));
    let resident = b.role().resident().unwrap();
    assert_eq!((resident.owed.len() as u64, resident.pages.len() as u64), (MANY / 2, MANY));
    b.perform(Work::DeclareReady).unwrap();
}

/// What a state cannot carry is said before the process is stopped.
#[test]
fn registers_that_do_not_fit_stop_nothing() {
    let mut pair = Pair::started(Policy::POST_COPY);
    let of = |len| Suspension { registers: vec![0; len], ..Suspension::default() };
    let before = pair[A].clone();
    let refused = refusal(pair[A].suspend(of(REGISTERS_LEN_MAX + 1)));
    assert_eq!(refused, Refusal::RegistersTooLarge(REGISTERS_LEN_MAX + 1));
    assert_eq!(pair[A], before);
    pair[A].suspend(of(REGISTERS_LEN_MAX)).unwrap();
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::State);
}
