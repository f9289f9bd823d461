//! A source that dies while it owes pages, and backing stores that have some of them; pre-copy that leaves those out.

mod pair;

use pair::{A, B, Pair, events, misbehaviour, quiet};
use protocol::destination::Destination;
use protocol::error::{Error, Misbehaviour};
use protocol::host::{HostLimits, Location, MessageOutcome, Role, Suspension, Timeouts, Work};
use protocol::policy::{Clean, Fallback, Missing, Policy};
use protocol::source::Source;
use protocol::wire::Message;
use steplog::event::Event;
use steplog::fate::{Fate, Loss};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Place, Version};

const CLEAN: PageNumber = PageNumber(0);
const DIRTY: PageNumber = PageNumber(1);
const CLEAN_MAPPED: PageNumber = PageNumber(2);
const DIRTY_MAPPED: PageNumber = PageNumber(3);

fn post_copy() -> Policy {
    Policy { fallback: Fallback::Store, ..Policy::POST_COPY }
}

fn generic() -> Policy {
    Policy { fallback: Fallback::Store, ..Policy::GENERIC }
}

fn push(pair: &mut Pair, page: PageNumber) {
    pair.perform(A, Work::Push(page));
    pair.deliver(MessageKind::Page);
}

fn is_at_rest(pair: &Pair) -> bool {
    matches!(pair[B].role(), Role::Source(Source::Resting(_)))
}

fn die(pair: &mut Pair) {
    pair.cut(&[]);
    pair.ensemble.crash(A).unwrap();
    pair.in_flight.clear();
    quiet(&mut pair[B]);
    pair[B].fenced(A).unwrap();
}

/// The write-back of a page is under way when the process moves, and was stored or not when its source dies.
fn dead_with_a_write_back(stored: bool) -> Pair {
    let mut pair = Pair::started(generic());
    pair.perform(A, Work::WriteBack(DIRTY_MAPPED));
    let write_back = pair.in_flight.remove(0);
    pair[A].suspend(Suspension::default()).unwrap();
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::DeclareReady);
    pair.deliver(MessageKind::Ready);
    pair.perform(A, Work::HandOver);
    pair.deliver(MessageKind::Go);
    push(&mut pair, DIRTY);
    if stored {
        pair.ensemble.deliver(&write_back).unwrap();
    }
    die(&mut pair);
    pair
}

#[test]
fn what_nobody_has_written_to_is_loaded_from_the_local_store() {
    let mut pair = Pair::moved(post_copy());
    push(&mut pair, DIRTY);
    push(&mut pair, DIRTY_MAPPED);
    die(&mut pair);
    assert_eq!(events(&mut pair[B]), [Event::PeerFenced { peer: A, fate: None }]);
    assert_eq!(pair[B].fate(), None);
    // One that is touched meanwhile is there at once.
    pair[B].fault(CLEAN).unwrap();
    assert_eq!(events(&mut pair[B]), [Event::PageLoaded { page: CLEAN }]);
    assert!(!is_at_rest(&pair));
    assert_eq!(pair[B].perform_next(), Ok(Some(Work::FallBack(CLEAN_MAPPED))));
    assert_eq!(events(&mut pair[B]), [Event::PageFellBack { page: CLEAN_MAPPED, version: None }]);
    assert!(!is_at_rest(&pair));
    pair.perform(B, Work::DeclareComplete);
    assert!(is_at_rest(&pair) && pair[B].fate() == Some(Fate::Migrated));
    for page in [CLEAN, CLEAN_MAPPED] {
        let expected = Pair::image().content(page).unwrap().as_slice().to_vec();
        assert_eq!(pair.content(B, page), Some(expected));
    }
    // And it moves on from there.
    pair.ensemble.add_vacant(A, protocol::memory::PageStore::vacant(pair::PAGES)).unwrap();
    assert!(pair[B].check_start(A).is_ok());
}

#[test]
fn what_was_written_to_is_lost_with_its_source() {
    let mut pair = Pair::moved(post_copy());
    push(&mut pair, DIRTY);
    die(&mut pair);
    let fate = Some(Fate::Lost(Loss::Pages(1)));
    assert_eq!(events(&mut pair[B]), [Event::PeerFenced { peer: A, fate }]);
    assert_eq!(pair[B].fate(), fate);
    // Without a store to fall back on each of them counts.
    let mut pair = Pair::moved(Policy::POST_COPY);
    push(&mut pair, DIRTY);
    die(&mut pair);
    assert_eq!(pair[B].fate(), Some(Fate::Lost(Loss::Pages(3))));
}

#[test]
fn what_was_stored_in_time_comes_from_the_file_server() {
    let mut pair = dead_with_a_write_back(true);
    pair[B].fault(DIRTY_MAPPED).unwrap();
    pair.perform(B, Work::FallBack(DIRTY_MAPPED));
    assert!(!pair[B].is_due(Work::FallBack(DIRTY_MAPPED)), "it has been asked");
    pair.deliver(MessageKind::AskVersion);
    pair.deliver(MessageKind::VersionTold);
    pair.perform(B, Work::DeclareComplete);
    assert!(is_at_rest(&pair));
    pair.deliver(MessageKind::Fetch);
    pair.deliver(MessageKind::Fetched);
    assert_eq!(pair.content(B, DIRTY_MAPPED).unwrap()[..8], *b"modified");
}

#[test]
fn what_was_stored_too_late_is_lost() {
    let mut pair = dead_with_a_write_back(false);
    pair.perform(B, Work::FallBack(DIRTY_MAPPED));
    pair.deliver(MessageKind::AskVersion);
    pair.deliver(MessageKind::VersionTold);
    assert!(matches!(pair[B].role(), Role::Source(Source::Draining(_))));
    assert_eq!(pair[B].fate(), Some(Fate::Lost(Loss::Pages(1))));
    pair.perform(B, Work::Destroy);
    assert_eq!(*pair[B].role(), Role::Vacant);
}

/// What the file server was asked over a connection that is gone it is asked again.
#[test]
fn the_file_server_is_asked_again() {
    let mut pair = dead_with_a_write_back(true);
    pair.perform(B, Work::FallBack(DIRTY_MAPPED));
    pair.in_flight.clear();
    pair[B].disconnected(Place::FileServer).unwrap();
    assert!(!pair[B].is_due(Work::FallBack(DIRTY_MAPPED)), "nobody is there");
    pair[B].connected(Place::FileServer).unwrap();
    pair.perform(B, Work::FallBack(DIRTY_MAPPED));
    pair.deliver(MessageKind::AskVersion);
    pair.deliver(MessageKind::VersionTold);
    pair.perform(B, Work::DeclareComplete);
    assert!(is_at_rest(&pair));
}

#[test]
fn a_version_that_cannot_be_is_refused() {
    let mut pair = dead_with_a_write_back(true);
    let epoch = pair[B].epoch();
    let told = |version| Message::VersionTold { page: DIRTY_MAPPED, version: Version(version) };
    quiet(&mut pair[B]);
    let mut before = pair[B].clone();
    // It was not asked for.
    assert_eq!(pair[B].handle_message(Place::FileServer, epoch, &told(1)), Ok(MessageOutcome::Ignored));
    events(&mut pair[B]);
    assert_eq!(pair[B], before);
    pair.perform(B, Work::FallBack(DIRTY_MAPPED));
    quiet(&mut pair[B]);
    before = pair[B].clone();
    let kind = MessageKind::VersionTold;
    let ahead = Misbehaviour::NumberAhead { kind, page: DIRTY_MAPPED, number: 2, latest: 1 };
    assert_eq!(misbehaviour(pair[B].handle_message(Place::FileServer, epoch, &told(2))), ahead);
    let not_the_peer = Misbehaviour::NotThePeer { kind };
    assert_eq!(misbehaviour(pair[B].handle_message(A.into(), epoch, &told(1))), not_the_peer);
    // With a full outbox the page could not be fetched.
    let limits = HostLimits { outbox_messages_max: 0, ..HostLimits::default() };
    pair[B].configure(limits, Timeouts::default());
    assert!(matches!(pair[B].handle_message(Place::FileServer, epoch, &told(1)), Err(Error::Refused(_))));
    pair[B].configure(HostLimits::default(), Timeouts::default());
    assert_eq!(pair[B], before);
    // Where nothing falls back nobody asks.
    let mut plain = Pair::moved(Policy::GENERIC);
    let unexpected = Misbehaviour::Unexpected { kind };
    assert_eq!(misbehaviour(plain[B].handle_message(Place::FileServer, epoch, &told(0))), unexpected);
}

/// A machine in place of the dead one is not asked for anything, and not believed.
#[test]
fn another_machine_owes_nothing() {
    let mut pair = Pair::moved(post_copy());
    push(&mut pair, DIRTY);
    push(&mut pair, DIRTY_MAPPED);
    die(&mut pair);
    events(&mut pair[B]);
    pair[B].connected(A).unwrap();
    assert_eq!(events(&mut pair[B]).last(), Some(&Event::PeerConnected { peer: A.into(), resync: None }));
    assert!(pair[B].poll_message().is_none());
    let content = Pair::image().content(DIRTY).unwrap().clone();
    let page = Message::Page { page: CLEAN, sequence: steplog::place::Sequence(1), content };
    let epoch = pair[B].epoch();
    assert_eq!(pair[B].handle_message(A.into(), epoch, &page), Ok(MessageOutcome::Ignored));
    // It dies as well: nothing more is lost.
    pair[B].fenced(A).unwrap();
    let Role::Destination(Destination::Post(post)) = pair[B].role() else { panic!("{:?}", pair[B].role()) };
    assert!(matches!(post.resident.pages[0].location, Location::At(former, _) if former.host == A));
    let pair = pair.until(is_at_rest);
    assert_eq!(pair[B].fate(), Some(Fate::Migrated));
}

/// Pages that equal their backing store are left out of the passes, and loaded from there.
#[test]
fn pre_copy_leaves_out_what_a_store_has() {
    let policy = Policy { missing: Missing::ByKind, clean: Clean::LocalStore, ..Policy::ASSISTED_POST_COPY };
    let mut pair = Pair::started(policy);
    let copies: Vec<_> = pair[A].tasks().map(|task| task.work).collect();
    assert_eq!(copies, [Work::Copy(DIRTY), Work::Copy(DIRTY_MAPPED)]);
    for page in [DIRTY, DIRTY_MAPPED] {
        pair.perform(A, Work::Copy(page));
        pair.deliver(MessageKind::Page);
    }
    // Written to after it was copied, and for the first time.
    for page in [DIRTY, CLEAN] {
        pair[A].write(page, 0, b"again").unwrap();
    }
    pair[A].suspend(Suspension::default()).unwrap();
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::DeclareReady);
    let locations: Vec<_> =
        pair[B].role().resident().unwrap().pages.iter().map(|page| page.location).collect();
    assert!(matches!(locations[..2], [Location::At(..), Location::At(..)]), "{locations:?}");
    assert_eq!(locations[2..], [Location::LocalStore, Location::Here]);
}

/// The same until everything is in step: what was never written to is.
#[test]
fn what_a_store_has_is_in_step() {
    let policy = Policy { clean: Clean::LocalStore, ..Policy::PRE_COPY_UNBOUNDED };
    let mut pair = Pair::started(policy);
    for page in [DIRTY, DIRTY_MAPPED] {
        assert!(pair[A].check_suspension().is_err());
        pair.perform(A, Work::Copy(page));
    }
    assert_eq!((pair[A].check_suspension(), pair[A].perform_next()), (Ok(()), Ok(None)));
    pair[A].write(CLEAN, 0, b"now").unwrap();
    assert!(pair[A].check_suspension().is_err());
    pair.perform(A, Work::BeginPass);
    let copies: Vec<_> = pair[A].tasks().map(|task| task.work).collect();
    assert_eq!(copies, [Work::Copy(CLEAN)]);
}
