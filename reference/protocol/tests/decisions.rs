//! Where the published descriptions leave room: what was decided, one test each, message by message.

mod pair;

use protocol::destination::Destination;
use protocol::error::Refusal;
use protocol::host::{Location, MessageOutcome, Role, Suspension, Work};
use protocol::page::PAGE_SIZE;
use protocol::policy::Policy;
use protocol::source::Source;
use protocol::wire::FormerHost;
use protocol::wire::{FORMER_HOSTS_MAX, Message, PlanEntry, State, Whereabouts};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Sequence, Version};

use pair::{A, B, PAGES, Pair};

/// Private and modified.
const PRIVATE: PageNumber = PageNumber(1);
/// File-mapped and not modified.
const CLEAN: PageNumber = PageNumber(2);
/// File-mapped and modified.
const MAPPED: PageNumber = PageNumber(3);

impl Pair {
    fn suspend_and_hand_over(&mut self) {
        self[A].suspend(Suspension::default()).unwrap();
        self.perform(A, Work::SendState);
        self.deliver(MessageKind::State);
        self.perform(B, Work::DeclareReady);
        self.deliver(MessageKind::Ready);
        self.perform(A, Work::HandOver);
        self.deliver(MessageKind::Go);
    }

    fn location_at_b(&self, page: PageNumber) -> Location {
        self[B].role().resident().unwrap().pages[page.index()].location
    }

    fn dirty_at_b(&self, page: PageNumber) -> bool {
        self[B].role().resident().unwrap().pages[page.index()].dirty
    }
}

/// Fetched from the file server at once, the page would be stale.
#[test]
fn a_page_whose_write_back_is_not_acknowledged_comes_from_the_source() {
    let mut pair = Pair::started(Policy::GENERIC);
    pair.perform(A, Work::WriteBack(MAPPED));
    pair.suspend_and_hand_over();
    assert!(matches!(pair.location_at_b(MAPPED), Location::At(former, _) if former.host == A));
    assert_eq!(pair.location_at_b(CLEAN), Location::FileServer);
    assert_eq!(pair.location_at_b(PageNumber(0)), Location::LocalStore);
}

/// So no two hosts ever write the same page back at once.
#[test]
fn the_source_sends_no_page_while_its_own_write_back_of_it_is_on_the_way() {
    let mut pair = Pair::started(Policy::GENERIC);
    pair.perform(A, Work::WriteBack(MAPPED));
    pair.suspend_and_hand_over();
    pair[B].fault(MAPPED).unwrap();
    pair.deliver(MessageKind::Request);
    assert!(!pair[A].is_due(Work::Serve(MAPPED)));
    // A request that cannot be answered yet does not hold up other pages.
    assert!(pair[A].is_due(Work::Push(PRIVATE)));
    pair.deliver(MessageKind::WriteBack);
    pair.deliver(MessageKind::WriteBackDone);
    pair.perform(A, Work::Serve(MAPPED));
    pair.deliver(MessageKind::Page);
    assert!(!pair.dirty_at_b(MAPPED), "the write-back is done, there is nothing to take along");
}

#[test]
fn the_duty_to_write_back_travels_with_the_page() {
    let mut pair = Pair::started(Policy::GENERIC);
    pair.suspend_and_hand_over();
    assert!(!pair[A].is_due(Work::WriteBack(MAPPED)), "the source writes nothing back any more");
    pair.perform(A, Work::Push(MAPPED));
    pair.deliver(MessageKind::Page);
    assert!(pair.dirty_at_b(MAPPED));
    pair.perform(B, Work::WriteBack(MAPPED));
    pair.deliver(MessageKind::WriteBack);
    let stored = pair.ensemble.file_server().stored(MAPPED).unwrap();
    assert_eq!((stored.version, &stored.content.as_slice()[..8]), (Version(1), &b"modified"[..]));
}

#[test]
fn a_page_written_during_its_write_back_is_dirty_again() {
    let mut pair = Pair::started(Policy::GENERIC);
    pair.perform(A, Work::WriteBack(MAPPED));
    pair[A].write(MAPPED, 0, b"newer").unwrap();
    assert!(!pair[A].is_due(Work::WriteBack(MAPPED)), "one write-back of a page at a time");
    pair.deliver(MessageKind::WriteBack);
    pair.deliver(MessageKind::WriteBackDone);
    pair.perform(A, Work::WriteBack(MAPPED));
    let Message::WriteBack { version, content, .. } = pair.deliver(MessageKind::WriteBack) else { panic!() };
    assert_eq!((version, &content.as_slice()[..5]), (Version(2), &b"newer"[..]));
}

/// As a closing `munmap` would see to. Only the source knows when its write-back is acknowledged; the page follows.
#[test]
fn a_process_is_gone_only_when_its_former_host_has_written_back() {
    let mut pair = Pair::started(Policy::GENERIC);
    pair.perform(A, Work::WriteBack(MAPPED));
    pair.suspend_and_hand_over();
    pair.perform(A, Work::Push(PRIVATE));
    pair.deliver(MessageKind::Page);
    assert!(!pair[B].is_due(Work::DeclareComplete), "the mapped page is still owed");
    pair[B].exit().unwrap();
    assert!(!pair[B].is_due(Work::Release));
    pair.deliver(MessageKind::WriteBack);
    pair.deliver(MessageKind::WriteBackDone);
    pair.perform(A, Work::Push(MAPPED));
    pair.deliver(MessageKind::Page);
    pair.perform(B, Work::Release);
    pair.deliver(MessageKind::Exit);
    pair.perform(A, Work::Destroy);
    assert_eq!((pair[A].role(), pair.content(A, MAPPED)), (&Role::Vacant, None));
}

#[test]
fn a_page_pushed_and_requested_at_once_is_sent_once() {
    let mut pair = Pair::started(Policy::POST_COPY);
    pair.suspend_and_hand_over();
    pair.perform(A, Work::Push(PRIVATE));
    pair[B].fault(PRIVATE).unwrap();
    let request = Message::Request { page: PRIVATE };
    let outcome = pair[A].handle_message(B.into(), Epoch(1), &request);
    assert_eq!(outcome, Ok(MessageOutcome::Ignored));
    assert!(!pair[A].is_due(Work::Serve(PRIVATE)) && !pair[A].is_due(Work::Push(PRIVATE)));
    pair.deliver(MessageKind::Page);
    assert_eq!(pair.content(B, PRIVATE).unwrap()[..8], *b"modified");
}

#[test]
fn a_pre_copied_page_that_was_written_later_is_discarded_before_the_process_resumes() {
    let mut pair = Pair::started(Policy::ASSISTED_POST_COPY);
    for page in (0..4).map(PageNumber) {
        pair.perform(A, Work::Copy(page));
    }
    // The last of the four is still on its way when the state overtakes it.
    (0..3).for_each(|_| drop(pair.deliver(MessageKind::Page)));
    pair[A].write(PRIVATE, 0, b"newer!!!").unwrap();
    pair[A].suspend(Suspension::default()).unwrap();
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::State);
    assert_eq!(pair.content(B, PRIVATE), None);
    assert!(!pair[B].is_due(Work::DeclareReady), "a page that travels has not arrived");
    pair.deliver(MessageKind::Page);
    pair.perform(B, Work::DeclareReady);
    pair.deliver(MessageKind::Ready);
    pair.perform(A, Work::HandOver);
    pair.perform(A, Work::Push(PRIVATE));
    // Even ahead of `Go`, what was sent after it counts: it is sent only once.
    pair.deliver(MessageKind::Page);
    pair.deliver(MessageKind::Go);
    assert_eq!(pair.content(B, PRIVATE).unwrap()[..8], *b"newer!!!");
}

#[test]
fn the_pages_after_the_one_last_requested_are_pushed_first() {
    let mut pair = Pair::started(Policy { push: protocol::policy::Push::Pivot, ..Policy::POST_COPY });
    pair.suspend_and_hand_over();
    pair[B].fault(PRIVATE).unwrap();
    pair.deliver(MessageKind::Request);
    let order: Vec<_> = std::iter::from_fn(|| pair[A].perform_next().unwrap()).collect();
    let push = |page| Work::Push(PageNumber(page));
    assert_eq!(order, [Work::Serve(PRIVATE), push(2), push(3), push(0)]);
}

#[test]
fn while_a_migration_is_not_complete_the_next_is_refused() {
    let mut pair = Pair::started(Policy::TOTAL_COPY);
    pair[A].suspend(Suspension::default()).unwrap();
    (0..4).for_each(|page| pair.perform(A, Work::Transfer(PageNumber(page))));
    pair.perform(A, Work::SendState);
    pair = pair.until(|pair| pair[B].is_running());
    assert!(matches!(pair[B].role(), Role::Destination(Destination::Post(_))));
    assert!(pair[B].start_migration(A).is_err());
    let mut pair = pair.until(|pair| matches!(pair[B].role(), Role::Source(Source::Resting(_))));
    assert_eq!(pair[B].start_migration(A), Ok(Epoch(2)));
    assert_eq!(pair.content(B, CLEAN), Some(vec![3; PAGE_SIZE]));
}

#[test]
fn pre_copy_may_be_suspended_at_the_end_of_any_pass_and_makes_no_more_than_allowed() {
    let mut pair = Pair::started(Policy::PRE_COPY);
    let copy_all = |pair: &mut Pair, pages: &[u64]| {
        pages.iter().for_each(|&page| pair.perform(A, Work::Copy(PageNumber(page))));
    };
    copy_all(&mut pair, &[0, 1, 2]);
    assert!(pair[A].check_suspension().is_err(), "the pass is not over");
    copy_all(&mut pair, &[3]);
    pair[A].write(PRIVATE, 0, b"newer").unwrap();
    assert!(!pair[A].is_due(Work::Copy(PRIVATE)), "no page is sent twice in a pass");
    assert!(pair[A].check_suspension().is_ok());
    pair.perform(A, Work::BeginPass);
    copy_all(&mut pair, &[PRIVATE.0]);
    pair[A].write(PRIVATE, 0, b"newest").unwrap();
    assert!(pair[A].check_suspension().is_ok());
    assert!(!pair[A].is_due(Work::BeginPass), "two passes are the most");
    pair[A].suspend(Suspension::default()).unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| pair[A].perform_next().unwrap()).collect();
    assert_eq!(rest, [Work::Transfer(PRIVATE), Work::SendState]);
}

#[test]
fn unbounded_pre_copy_never_suspends_a_process_that_goes_on_writing() {
    let mut pair = Pair::started(Policy::PRE_COPY_UNBOUNDED);
    (0..4).for_each(|page| pair.perform(A, Work::Copy(PageNumber(page))));
    for _ in 0..100 {
        pair[A].write(PRIVATE, 0, b"newer").unwrap();
        assert!(pair[A].check_suspension().is_err());
        pair.perform(A, Work::BeginPass);
        pair.perform(A, Work::Copy(PRIVATE));
    }
    assert!(pair[A].check_suspension().is_ok(), "in step as soon as it stops");
}

/// The request would otherwise be answered to a host that the process has left.
#[test]
fn no_process_is_suspended_while_it_waits_for_a_page() {
    let mut pair = Pair::started(Policy::LAZY_COPY);
    pair.suspend_and_hand_over();
    pair[B].fault(PRIVATE).unwrap();
    pair.deliver(MessageKind::Request);
    pair[A].expect_migration(B, Epoch(2)).unwrap();
    pair[B].start_migration(A).unwrap();
    assert!(pair[B].suspend(Suspension::default()).is_err());
    // Although it is to be the destination, A still serves.
    pair.perform(A, Work::Serve(PRIVATE));
    pair.deliver(MessageKind::Page);
    assert!(pair[B].suspend(Suspension::default()).is_ok());
}

/// A state names so many former hosts and no more. The process is not suspended first to find that out.
#[test]
fn a_process_with_too_many_former_hosts_stays_where_it_is() {
    let [_, mut host] = Pair::started(Policy::LAZY_COPY).apart();
    let left = FormerHost { host: A, epoch: Epoch(1) };
    let entry =
        PlanEntry { whereabouts: Whereabouts::At(left, Sequence(0)), dirty: false, version: Version(0) };
    let former = |host| FormerHost { host: HostId(host), epoch: Epoch(0) };
    let former_hosts = (100..).map(former).take(FORMER_HOSTS_MAX - 1).collect();
    let plan = (0..PAGES).map(|_| entry).collect();
    let state = Message::State(State { registers: vec![], former_hosts, plan });
    host.handle_message(A.into(), Epoch(1), &state).unwrap();
    host.perform(Work::DeclareReady).unwrap();
    host.handle_message(A.into(), Epoch(1), &Message::Go).unwrap();
    assert_eq!(host.start_migration(HostId(7)), Err(Refusal::TooManyFormerHosts.into()));
    assert!(host.is_running());
    // To one of them there is one fewer to name.
    assert_eq!(host.start_migration(HostId(100)), Ok(Epoch(2)));
}
