//! Where right ends and wrong begins: numbers, versions, epochs and lengths that are as large as may be, or one larger.

mod pair;

use protocol::destination::Destination;
use protocol::error::{Misbehaviour, Refusal};
use protocol::host::{Host, MessageOutcome, Role, Suspension, Work};
use protocol::memory::PageStore;
use protocol::page::{PAGE_SIZE, PageBytes};
use protocol::policy::Policy;
use protocol::wire::FormerHost;
use protocol::wire::{Message, PlanEntry, REGISTERS_LEN_MAX, State, Whereabouts};
use steplog::event::Event;
use steplog::fate::{Fate, Loss};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, Place, Sequence, Version};

use pair::{A, B, C, PAGES, Pair, another, exchange, hop, misbehaviour, quiet, refusal, resync};

fn content() -> PageBytes {
    [7; PAGE_SIZE].into()
}

fn page(page: u64, sequence: u64) -> Message {
    Message::Page { page: PageNumber(page), sequence: Sequence(sequence), content: content() }
}

#[test]
fn registers_may_be_as_long_as_the_limit() {
    let registers = |len| Suspension { registers: vec![0; len], ..Suspension::default() };
    let mut pair = Pair::started(Policy::POST_COPY);
    let too_long = REGISTERS_LEN_MAX + 1;
    assert_eq!(refusal(pair[A].suspend(registers(too_long))), Refusal::RegistersTooLarge(too_long));
    assert_eq!(pair[A].suspend(registers(REGISTERS_LEN_MAX)), Ok(()));
}

/// The number of a page is the next after that of the outdated content, and no other.
#[test]
fn a_page_has_the_next_number() {
    let mut pair = Pair::moved(Policy::POST_COPY);
    let mut said = |message: &Message| pair[B].handle_message(A.into(), Epoch(1), message);
    assert_eq!(said(&page(1, 0)), Ok(MessageOutcome::Ignored));
    let ahead =
        Misbehaviour::NumberAhead { kind: MessageKind::Page, page: PageNumber(1), number: 2, latest: 1 };
    assert_eq!(misbehaviour(said(&page(1, 2))), ahead);
    assert_eq!(said(&page(1, 1)), Ok(MessageOutcome::Applied));
    assert_eq!(said(&page(1, 1)), Ok(MessageOutcome::Ignored));
}

/// A page that is in the backing store is not for the source to send; one of an earlier migration is late.
#[test]
fn a_page_that_is_not_owed_is_late_or_wrong() {
    let mut pair = Pair::moved(Policy::GENERIC);
    let mut said = |epoch| pair[B].handle_message(A.into(), Epoch(epoch), &page(0, 1));
    assert_eq!(said(0), Ok(MessageOutcome::Ignored));
    let not_owed = Misbehaviour::NotOwed { kind: MessageKind::Page, page: PageNumber(0) };
    assert_eq!(misbehaviour(said(1)), not_owed);
}

/// The same of a host that waits for pages which travel.
#[test]
fn a_page_of_an_earlier_migration_is_late_while_pages_are_awaited() {
    let assembling = |pair: &Pair| matches!(pair[B].role(), Role::Destination(Destination::Assembling(_)));
    let mut pair = Pair::started(Policy::POST_COPY).until(assembling);
    let mut said = |epoch| pair[B].handle_message(A.into(), Epoch(epoch), &page(1, 1));
    assert_eq!(said(0), Ok(MessageOutcome::Ignored));
    assert_eq!(misbehaviour(said(1)), Misbehaviour::Unexpected { kind: MessageKind::Page });
}

#[test]
fn the_file_server_has_the_version_that_it_acknowledged() {
    let number = PageNumber(1);
    let running = |pair: &Pair| pair[B].is_running();
    let mut pair = Pair::started(Policy::FLUSHING).until(running);
    pair[B].fault(number).unwrap();
    let mut said_in = |epoch, version| {
        let fetched = Message::Fetched { page: number, version: Version(version), content: content() };
        pair[B].handle_message(Place::FileServer, Epoch(epoch), &fetched)
    };
    assert_eq!(said_in(0, 1), Ok(MessageOutcome::Ignored));
    let mut said = |version| said_in(1, version);
    let back = Misbehaviour::StoreWentBack { page: number, served: 0, acknowledged: 1 };
    assert_eq!(misbehaviour(said(0)), back);
    let kind = MessageKind::Fetched;
    let ahead = Misbehaviour::NumberAhead { kind, page: number, number: 2, latest: 1 };
    assert_eq!(misbehaviour(said(2)), ahead);
    assert_eq!(said(1), Ok(MessageOutcome::Applied));
}

/// What the file server alone can say is not for a host to say.
#[test]
fn a_host_does_not_speak_for_the_file_server() {
    let mut pair = Pair::moved(Policy::GENERIC);
    let done = Message::WriteBackDone { page: PageNumber(0), version: Version(0) };
    let said = pair[B].handle_message(A.into(), Epoch(1), &done);
    assert_eq!(misbehaviour(said), Misbehaviour::NotThePeer { kind: MessageKind::WriteBackDone });
}

#[test]
fn a_step_belongs_to_the_migration_that_brought_the_process() {
    let mut pair = Pair::moved(Policy::POST_COPY);
    quiet(&mut pair[B]);
    pair.deliver_page_to_be_read();
    while pair[B].poll_event().is_some() {}
    pair[B].read(PageNumber(1), 0, &mut [0]).unwrap();
    assert_eq!(pair[B].poll_event().map(|(epoch, _)| epoch), Some(Epoch(1)));
}

impl Pair {
    fn deliver_page_to_be_read(&mut self) {
        self.perform(A, Work::Push(PageNumber(1)));
        self.deliver(MessageKind::Page);
    }
}

#[test]
fn work_on_a_page_names_it() {
    let page = PageNumber(3);
    for work in [
        Work::Copy(page),
        Work::Transfer(page),
        Work::Flush(page),
        Work::Push(page),
        Work::Serve(page),
        Work::WriteBack(page),
        Work::Repeat(page),
    ] {
        assert_eq!(work.page(), Some(page), "{work:?}");
    }
    assert_eq!(Work::Release.page(), None);
}

/// Of several former hosts it is the last that the process came from.
#[test]
fn a_process_came_from_the_host_that_it_left_last() {
    let (mut pair, mut c) = (Pair::moved(Policy::LAZY_COPY), another(C, Policy::LAZY_COPY));
    hop(&mut pair[B], &mut c, 2);
    let came_from = |host: &Host<PageStore>| host.role().resident().unwrap().came_from();
    assert_eq!(came_from(&c), Some(B));
    assert_eq!(came_from(&Pair::new(Policy::LAZY_COPY)[A]), None);
    assert_eq!(came_from(&Pair::moved(Policy::LAZY_COPY)[B]), Some(A));
}

/// A process that has exited needs of a dead host what it has to write back, and nothing else.
#[test]
fn an_exited_process_needs_what_is_to_be_written_back() {
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    pair[B].exit().unwrap();
    pair[B].fenced(A).unwrap();
    assert!(!matches!(pair[B].fate(), Some(Fate::Lost(_))), "{:?}", pair[B].fate());
    // Of three modified pages two are private.
    let mut pair = Pair::new(Policy::GENERIC);
    pair[A].write(PageNumber(0), 0, b"modified").unwrap();
    pair[B].expect_migration(A, Epoch(1)).unwrap();
    pair[A].start_migration(B).unwrap();
    pair[A].suspend(Suspension::default()).unwrap();
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::DeclareReady);
    pair.deliver(MessageKind::Ready);
    pair.perform(A, Work::HandOver);
    pair.deliver(MessageKind::Go);
    pair[B].exit().unwrap();
    pair[B].fenced(A).unwrap();
    assert_eq!(pair[B].fate(), Some(Fate::Lost(Loss::Pages(1))));
}

/// A dirty page that is elsewhere, and a clean one that is here, are not to be written back.
#[test]
fn what_is_clean_or_elsewhere_is_not_written_back() {
    let mut pair = Pair::moved(Policy::GENERIC);
    let writes_back =
        |host: &Host<PageStore>| host.tasks().any(|task| matches!(task.work, Work::WriteBack(_)));
    assert!(!writes_back(&pair[B]));
    pair.perform(A, Work::Push(PageNumber(3)));
    pair.deliver(MessageKind::Page);
    assert!(writes_back(&pair[B]));
}

/// While the process is to come back, word of its exit is about the migration that it left by.
#[test]
fn an_exit_is_of_the_migration_that_the_process_left_by() {
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    pair[A].expect_migration(B, Epoch(2)).unwrap();
    let said = pair[A].handle_message(B.into(), Epoch(1), &Message::Exit);
    assert_eq!(said, Ok(MessageOutcome::Applied));
    assert_eq!(*pair[A].role(), Role::Vacant);
}

/// The process comes back, and its state says of each page that it is here since some migration: it is since one.
#[test]
fn a_page_that_is_here_was_left_by_the_migration_that_left_it() {
    for (epoch, contradiction) in [(1, false), (7, true)] {
        let mut pair = Pair::moved(Policy::LAZY_COPY);
        pair[A].expect_migration(B, Epoch(2)).unwrap();
        let whereabouts = Whereabouts::At(FormerHost { host: A, epoch: Epoch(epoch) }, Sequence(0));
        let entry = PlanEntry { whereabouts, dirty: true, version: Version(0) };
        let plan = (0..PAGES).map(|_| entry).collect();
        let state = Message::State(State { registers: vec![], former_hosts: vec![], plan });
        let said = pair[A].handle_message(B.into(), Epoch(2), &state);
        match contradiction {
            true => assert_eq!(misbehaviour(said), Misbehaviour::PlanContradiction { page: PageNumber(0) }),
            false => assert_eq!(said, Ok(MessageOutcome::Applied)),
        }
    }
}

/// A process left its former hosts before it leaves the host that it comes from.
#[test]
fn a_former_host_was_left_before() {
    for (epoch, contradiction) in [(1, false), (2, true)] {
        let mut b = another(B, Policy::LAZY_COPY);
        b.expect_migration(A, Epoch(2)).unwrap();
        let former = FormerHost { host: C, epoch: Epoch(epoch) };
        let entry =
            PlanEntry { whereabouts: Whereabouts::At(former, Sequence(0)), dirty: true, version: Version(0) };
        let plan = (0..PAGES).map(|_| entry).collect();
        let state = Message::State(State { registers: vec![1, 2], former_hosts: vec![former], plan });
        let said = b.handle_message(A.into(), Epoch(2), &state);
        match contradiction {
            true => assert_eq!(misbehaviour(said), Misbehaviour::PlanContradiction { page: PageNumber(0) }),
            false => {
                assert_eq!(said, Ok(MessageOutcome::Applied));
                assert_eq!(b.role().resident().unwrap().registers, [1, 2]);
            }
        }
    }
}

/// A host with a last word to say answers who waits for another one.
#[test]
fn who_is_in_doubt_about_another_migration_is_answered() {
    let mut pair = Pair::draining();
    let host = &mut pair[A];
    quiet(host);
    let doubt = resync(Progress::AwaitingGo, &[], &[]);
    host.handle_message(C.into(), Epoch(5), &doubt).unwrap();
    let said = host.poll_message().unwrap();
    assert_eq!((said.to, said.epoch, said.message), (C.into(), Epoch(5), Message::Cancel));
}

/// The file server says what it did.
#[test]
fn the_file_server_has_a_log() {
    let mut pair = Pair::new(Policy::GENERIC);
    pair[A].perform(Work::WriteBack(PageNumber(3))).unwrap();
    pair.send_all();
    let write_back = pair.in_flight.remove(0);
    pair.ensemble.deliver(&write_back).unwrap();
    let (page, version) = (PageNumber(3), Version(1));
    let stored = Event::WriteBackStored { page, version, from: A };
    assert_eq!(pair.ensemble.take().steps, [(Place::FileServer, write_back.epoch, stored)]);
}

/// A process was lost with what it lacked while it was about to go on. The next host's honest word is late.
#[test]
fn what_is_said_about_an_attempt_that_ended_in_a_loss_is_late() {
    let (mut pair, mut c) = (Pair::moved(Policy::LAZY_COPY), another(C, Policy::LAZY_COPY));
    let b = &mut pair[B];
    c.expect_migration(B, Epoch(2)).unwrap();
    b.start_migration(C).unwrap();
    b.suspend(Suspension::default()).unwrap();
    b.perform(Work::SendState).unwrap();
    exchange(b, &mut c);
    b.fenced(A).unwrap();
    for message in [Message::Ready, Message::Refuse] {
        assert_eq!(b.handle_message(C.into(), Epoch(2), &message), Ok(MessageOutcome::Ignored));
    }
    let request = Message::Request { page: PageNumber(0) };
    let said = misbehaviour(b.handle_message(C.into(), Epoch(2), &request));
    assert_eq!(said, Misbehaviour::Unexpected { kind: MessageKind::Request });
}
