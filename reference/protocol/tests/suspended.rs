//! What must not happen while the process is suspended.

mod pair;

use protocol::host::{Suspension, Work};
use protocol::memory::Fault;
use protocol::policy::Policy;
use steplog::message::MessageKind;
use steplog::page::PageNumber;

use pair::{A, B, Pair};

/// Private and modified.
const PRIVATE: PageNumber = PageNumber(1);
/// File-mapped and modified.
const MAPPED: PageNumber = PageNumber(3);

#[test]
fn the_process_runs_nowhere_between_suspension_and_go() {
    let mut pair = Pair::started(Policy::POST_COPY);
    let write = |pair: &mut Pair, host: usize| pair.hosts[host].write(PRIVATE, 0, b"x");
    assert_eq!(write(&mut pair, 0), Ok(()));
    pair.hosts[0].suspend(Suspension::default()).unwrap();
    assert_eq!(write(&mut pair, 0), Err(Fault::Frozen));
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::DeclareReady);
    pair.deliver(MessageKind::Ready);
    pair.perform(A, Work::HandOver);
    assert_eq!([write(&mut pair, 0), write(&mut pair, 1)], [Err(Fault::Frozen); 2]);
    pair.deliver(MessageKind::Go);
    assert_eq!(write(&mut pair, 0), Err(Fault::Frozen), "never again at the source");
    assert_eq!(write(&mut pair, 1), Err(Fault::Missing(PRIVATE)));
}

/// Otherwise two hosts could write it back at once.
#[test]
fn what_travels_in_the_freeze_is_written_back_by_the_destination() {
    let mut pair = Pair::started(Policy::GENERIC);
    assert!(pair.hosts[0].is_due(Work::WriteBack(MAPPED)));
    pair.hosts[0].suspend(Suspension { code_page: Some(MAPPED), ..Suspension::default() }).unwrap();
    assert!(!pair.hosts[0].is_due(Work::WriteBack(MAPPED)), "it is going to travel");
    pair.perform(A, Work::Transfer(MAPPED));
    assert!(!pair.hosts[0].is_due(Work::WriteBack(MAPPED)), "it has travelled");
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::Page);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::DeclareReady);
    pair.deliver(MessageKind::Ready);
    pair.perform(A, Work::HandOver);
    pair.deliver(MessageKind::Go);
    assert!(pair.hosts[1].is_due(Work::WriteBack(MAPPED)));
}
