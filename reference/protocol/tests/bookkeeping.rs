//! What a host says of itself and its work: the state of the process, what became of it, where its pages go, whom it
//! waits for. Nothing else goes wrong when these are wrong.

mod pair;

use protocol::destination::Destination;
use protocol::error::{Error, Misbehaviour, Refusal};
use protocol::host::{Host, HostLimits, MessageOutcome, ProcessState, Role, Suspension, Timeouts, Work};
use protocol::memory::PageStore;
use protocol::policy::Policy;
use protocol::source::{Draining, Source};
use protocol::wire::Message;
use steplog::event::Event;
use steplog::fate::{Cause, Fate, Loss};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, Place};

use pair::{
    A, B, C, PAGES, Pair, another, events, exchange, hop, kinds, misbehaviour, moving_on, quiet, refusal,
    resync,
};

// The state of the process.

#[test]
fn the_state_of_the_process_is_that_of_the_taxonomy() {
    use ProcessState::{Migration, Normal, PostMigration, PreMigration};
    for policy in Policy::ALL {
        let name = policy.name.clone();
        let at = |pair: &Pair| [pair[A].process_state(), pair[B].process_state()];
        let generic = name == "generic";
        let copies = ["pre-copy", "pre-copy-unbounded", "assisted-post-copy"].contains(&&*name);
        let rest = if generic { PreMigration } else { Normal };
        assert_eq!(at(&Pair::new(policy.clone())), [Some(rest), None], "{name}");
        let started = if copies { PreMigration } else { rest };
        let mut pair = Pair::started(policy.clone());
        assert_eq!(at(&pair), [Some(started), None], "{name}");
        while pair[A].check_suspension().is_err() {
            pair.step();
        }
        pair[A].suspend(Suspension::default()).unwrap();
        assert_eq!(at(&pair), [Some(Migration), None], "{name}");
        let runs = |pair: &Pair| pair[B].is_running();
        let pair = pair.until(runs);
        // Where nothing is left at the source there is no Post-migration.
        let post = ["lazy-copy", "post-copy", "assisted-post-copy", "generic"].contains(&&*name);
        assert_eq!(at(&pair), [None, Some(if post { PostMigration } else { rest })], "{name}");
    }
}

#[test]
fn a_process_that_moves_on_with_pages_elsewhere_is_in_post_migration() {
    let (pair, _) = moving_on(false);
    assert_eq!(pair[B].process_state(), Some(ProcessState::PostMigration));
}

// Where a page goes.

#[test]
fn work_says_where_its_page_goes() {
    let page = PageNumber(1);
    let to = |host: &Host<PageStore>, work| {
        let task = host.tasks().find(|task| task.work == work);
        task.unwrap_or_else(|| panic!("{work:?} is not due: {host:?}")).page_to
    };
    let pair = Pair::started(Policy::PRE_COPY);
    assert_eq!(to(&pair[A], Work::Copy(page)), Some(B.into()));
    let mut pair = Pair::started(Policy::TOTAL_COPY);
    pair[A].suspend(Suspension::default()).unwrap();
    assert_eq!(to(&pair[A], Work::Transfer(page)), Some(B.into()));
    let mut pair = Pair::started(Policy::FLUSHING);
    pair[A].suspend(Suspension::default()).unwrap();
    assert_eq!(to(&pair[A], Work::Flush(page)), Some(Place::FileServer));
    let pair = Pair::new(Policy::GENERIC);
    assert_eq!(to(&pair[A], Work::WriteBack(PageNumber(3))), Some(Place::FileServer));
    let mut pair = Pair::moved(Policy::POST_COPY);
    assert_eq!(to(&pair[A], Work::Push(page)), Some(B.into()));
    pair[B].fault(page).unwrap();
    pair.deliver(MessageKind::Request);
    assert_eq!(to(&pair[A], Work::Serve(page)), Some(B.into()));
    let mut pair = Pair::started(Policy::POST_COPY);
    pair[A].suspend(Suspension::default()).unwrap();
    assert_eq!(to(&pair[A], Work::SendState), None);
}

/// Who asks is served, though the process went elsewhere from here, and though it is to come back.
#[test]
fn a_page_goes_to_the_host_that_asked() {
    let (page, mut pair) = (PageNumber(1), Pair::moved(Policy::LAZY_COPY));
    let mut c = another(C, Policy::LAZY_COPY);
    hop(&mut pair[B], &mut c, 2);
    pair[A].process_moves_on(C, Epoch(2));
    c.fault(page).unwrap();
    exchange(&mut c, &mut pair[A]);
    let to =
        |host: &Host<PageStore>| host.tasks().find(|task| task.work == Work::Serve(page)).unwrap().page_to;
    assert_eq!(to(&pair[A]), Some(C.into()));
    pair[A].expect_migration(C, Epoch(3)).unwrap();
    assert_eq!(to(&pair[A]), Some(C.into()));
}

/// What is to be said to a host out of reach is not due; what is to be said to others is.
#[test]
fn nothing_is_due_for_a_host_out_of_reach() {
    let mut pair = Pair::moved(Policy::POST_COPY);
    assert!(pair[A].tasks().any(|task| matches!(task.work, Work::Push(_))));
    pair[A].disconnected(B).unwrap();
    assert!(!pair[A].tasks().any(|task| matches!(task.work, Work::Push(_))));
    let mut pair = Pair::moved(Policy::POST_COPY);
    pair[A].disconnected(C).unwrap();
    assert!(pair[A].tasks().any(|task| matches!(task.work, Work::Push(_))));
}

/// Write-back goes on while the process is suspended.
#[test]
fn dirty_pages_are_written_back_in_the_freeze_too() {
    let mut pair = Pair::started(Policy::GENERIC);
    pair[A].suspend(Suspension::default()).unwrap();
    assert!(pair[A].is_due(Work::WriteBack(PageNumber(3))));
}

/// The page under the instruction pointer if it is file-mapped, the page under the stack pointer if it is private.
#[test]
fn the_working_set_is_code_that_is_mapped_and_a_stack_that_is_private() {
    let transfers = |code, stack| {
        let mut pair = Pair::started(Policy::GENERIC);
        let (code_page, stack_page) = (Some(PageNumber(code)), Some(PageNumber(stack)));
        pair[A].suspend(Suspension { registers: vec![], code_page, stack_page, switched: false }).unwrap();
        let works: Vec<_> = pair[A].tasks().map(|task| task.work).collect();
        [code, stack].map(|page| works.contains(&Work::Transfer(PageNumber(page))))
    };
    assert_eq!(transfers(2, 0), [true, true]);
    assert_eq!(transfers(0, 2), [false, false]);
}

// What became of it.

#[test]
fn the_next_attempt_makes_the_last_fate_forgotten() {
    let mut pair = Pair::started(Policy::POST_COPY);
    pair[A].cancel().unwrap();
    assert_eq!(pair[A].fate(), Some(Fate::CarriedOn(Cause::Cancelled)));
    pair.deliver(MessageKind::Cancel);
    assert_eq!(pair[B].fate(), Some(Fate::Forgotten(Cause::Cancelled)));
    pair[B].expect_migration(A, Epoch(2)).unwrap();
    pair[A].start_migration(B).unwrap();
    assert_eq!(pair.fates(), [None, None]);
}

#[test]
fn a_process_that_was_lost_stays_lost() {
    let mut pair = Pair::moved(Policy::POST_COPY);
    pair[A].fenced(B).unwrap();
    assert_eq!(pair[A].fate(), Some(Fate::Lost(Loss::Runner)));
    pair.perform(A, Work::Destroy);
    assert_eq!(pair[A].fate(), Some(Fate::Lost(Loss::Runner)));
}

#[test]
fn who_waits_for_the_last_word_is_paused_without_a_connection() {
    let completing = |pair: &Pair| matches!(pair[B].role(), Role::Destination(Destination::Completing(_)));
    let mut pair = Pair::started(Policy::TOTAL_COPY).until(completing);
    pair[B].disconnected(A).unwrap();
    assert_eq!(pair[B].fate(), Some(Fate::Paused(Cause::ConnectionLost)));
}

/// A cancelled return of lazy copy leaves the process where it was: with pages elsewhere.
#[test]
fn a_process_that_does_not_move_on_has_pages_elsewhere_still() {
    let (mut pair, _) = moving_on(true);
    pair[B].cancel().unwrap();
    let role = pair[B].role();
    assert!(matches!(role, Role::Destination(Destination::Post(_))), "{role:?}");
}

#[test]
fn a_time_out_is_told_from_a_lost_connection() {
    let mut pair = Pair::started(Policy::POST_COPY);
    let timeouts = Timeouts { arrival_ns: Some(1), ..Timeouts::default() };
    pair[B].configure(HostLimits::default(), timeouts);
    events(&mut pair[B]);
    for now_ns in 0..10 {
        pair[B].tick(now_ns).unwrap();
    }
    let fate = Some(Fate::Forgotten(Cause::TimedOut));
    assert_eq!(events(&mut pair[B]), [Event::PeerTimedOut { peer: A.into(), fate }]);
}

/// A machine dies that has no part in it.
#[test]
fn the_death_of_a_bystander_changes_nothing() {
    let mut pair = Pair::moved(Policy::POST_COPY);
    for host in pair.both() {
        let before = host.role().clone();
        events(host);
        host.fenced(C).unwrap();
        assert_eq!(events(host), [Event::PeerFenced { peer: C, fate: None }]);
        assert_eq!(*host.role(), before);
    }
}

/// A host that has only a write-back to wait for owes the dead no last word.
#[test]
fn who_is_to_be_told_that_all_is_destroyed_may_die() {
    let tell = |host: &Host<PageStore>| match host.role() {
        Role::Source(Source::Draining(Draining { tell, .. })) => *tell,
        role => panic!("{role:?}"),
    };
    let mut pair = Pair::draining();
    let host = &mut pair[A];
    host.fenced(C).unwrap();
    assert_eq!(tell(host), Some(B));
    events(host);
    host.fenced(B).unwrap();
    assert_eq!(tell(host), None);
    assert_eq!(events(host), [Event::PeerFenced { peer: B, fate: Some(Fate::Migrated) }]);
    host.perform(Work::Destroy).unwrap();
    assert_eq!(kinds(host), []);
}

/// What this host still has to do before its last word it does, though it is asked for that again.
#[test]
fn the_last_word_is_not_said_before_all_is_destroyed() {
    let mut pair = Pair::draining();
    let host = &mut pair[A];
    quiet(host);
    let complete = resync(Progress::Complete, &[], &[]);
    let said = host.handle_message(B.into(), Epoch(1), &complete);
    assert_eq!((said, kinds(host)), (Ok(MessageOutcome::Ignored), vec![]));
}

/// It would have to have handed the process over, and has not.
#[test]
fn nobody_awaits_what_was_not_said() {
    let mut pair = Pair::offered(Policy::POST_COPY);
    let doubt = resync(Progress::AwaitingGo, &[], &[]);
    let said = pair[A].handle_message(B.into(), Epoch(1), &doubt);
    assert_eq!(misbehaviour(said), Misbehaviour::Unexpected { kind: MessageKind::Resync });
}

// Who may say what.

#[test]
fn nobody_speaks_for_another() {
    let kind = MessageKind::Go;
    let mut pair = Pair::handed_over(Policy::POST_COPY);
    let host = &mut pair[B];
    for from in [Place::Host(B), Place::Host(C), Place::FileServer] {
        let said = host.handle_message(from, Epoch(1), &Message::Go);
        assert_eq!(misbehaviour(said), Misbehaviour::NotThePeer { kind }, "{from}");
    }
    let said = host.handle_message(B.into(), Epoch(1), &Message::Complete);
    assert_eq!(misbehaviour(said), Misbehaviour::NotThePeer { kind: MessageKind::Complete });
    let mut pair = Pair::offered(Policy::POST_COPY);
    let said = pair[A].handle_message(C.into(), Epoch(1), &Message::Ready);
    assert_eq!(misbehaviour(said), Misbehaviour::NotThePeer { kind: MessageKind::Ready });
}

/// While the process is to come back, a request is about the migration that it left by, not about its return.
#[test]
fn a_request_is_about_the_migration_that_left_the_page_behind() {
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    pair[A].expect_migration(B, Epoch(2)).unwrap();
    let request = Message::Request { page: PageNumber(0) };
    let said = pair[A].handle_message(B.into(), Epoch(2), &request);
    assert_eq!(misbehaviour(said), Misbehaviour::Unexpected { kind: MessageKind::Request });
    assert_eq!(pair[A].handle_message(B.into(), Epoch(1), &request), Ok(MessageOutcome::Applied));
}

/// An attempt is for the host that it was announced from to give up, not for another one to replace.
#[test]
fn an_attempt_of_another_source_is_refused() {
    let mut pair = Pair::started(Policy::POST_COPY);
    let before = pair[B].role().clone();
    assert!(matches!(pair[B].expect_migration(C, Epoch(2)), Err(Error::Refused(_))));
    assert_eq!(*pair[B].role(), before);
    assert_eq!(refusal(pair[B].expect_migration(B, Epoch(2))), Refusal::NoSuchMigration);
}

/// Where everything leaves at once, a former host is not to take the process back before it is done.
#[test]
fn a_former_host_is_occupied() {
    let mut pair = Pair::moved(Policy::POST_COPY);
    assert_eq!(refusal(pair[A].expect_migration(B, Epoch(2))), Refusal::Occupied);
}

/// An attempt was called off, and word of it crosses with what its destination says.
#[test]
fn what_is_said_about_an_attempt_that_was_called_off_is_late() {
    let mut pair = Pair::offered(Policy::POST_COPY);
    pair[A].cancel().unwrap();
    for message in [Message::Ready, Message::Refuse] {
        assert_eq!(pair[A].handle_message(B.into(), Epoch(1), &message), Ok(MessageOutcome::Ignored));
    }
    let said = pair[A].handle_message(B.into(), Epoch(1), &Message::Cancel);
    assert_eq!(misbehaviour(said), Misbehaviour::Unexpected { kind: MessageKind::Cancel });
}

// Limits and time-outs.

#[test]
fn there_is_room_for_as_many_pages_as_the_limit_says() {
    for (max, takes) in [(PAGES, true), (PAGES - 1, false)] {
        let mut pair = Pair::started(Policy::TOTAL_COPY);
        let limits = HostLimits { pages_at_resumption_max: Some(max), ..HostLimits::default() };
        pair[B].configure(limits, Timeouts::default());
        let decided = |pair: &Pair| pair[B].is_running() || matches!(pair[B].role(), Role::Vacant);
        assert_eq!(pair.until(decided)[B].is_running(), takes, "{max}");
    }
}

/// A host that waits for nothing from its peer has no time-out.
#[test]
fn a_clock_runs_only_for_what_is_awaited() {
    let all = Timeouts { hand_over_ns: Some(9), arrival_ns: Some(9), answer_ns: Some(9) };
    let set = |pair: &mut Pair| pair.ensemble.configure(HostLimits::default(), all);
    // A source of pre-copy waits for room: for its messages to be taken to its peer, and to nobody else.
    let mut pair = Pair::started(Policy::PRE_COPY);
    set(&mut pair);
    assert_eq!(pair[A].next_timeout(), None);
    pair[A].perform(Work::Copy(PageNumber(0))).unwrap();
    assert!(pair[A].next_timeout().is_some());
    pair.send_all();
    assert_eq!(pair[A].next_timeout(), None);
    let mut pair = Pair::started(Policy::GENERIC);
    set(&mut pair);
    pair[A].perform(Work::WriteBack(PageNumber(3))).unwrap();
    assert_eq!(pair[A].next_timeout(), None);
    // A destination that has the state waits for pages that travel, if any do.
    let assembling = |pair: &Pair| matches!(pair[B].role(), Role::Destination(Destination::Assembling(_)));
    let mut pair = Pair::started(Policy::POST_COPY).until(assembling);
    set(&mut pair);
    assert_eq!(pair[B].next_timeout(), None);
}

/// What waits to be taken to another place is not lost with a connection.
#[test]
fn a_lost_connection_takes_only_what_was_to_go_over_it() {
    let mut pair = Pair::moved(Policy::GENERIC);
    quiet(&mut pair[A]);
    pair[A].perform(Work::Push(PageNumber(1))).unwrap();
    pair[A].disconnected(Place::FileServer).unwrap();
    assert_eq!(kinds(&mut pair[A]), [(B.into(), MessageKind::Page)]);
    let mut pair = Pair::moved(Policy::GENERIC);
    quiet(&mut pair[A]);
    pair[A].perform(Work::Push(PageNumber(1))).unwrap();
    pair[A].disconnected(B).unwrap();
    assert_eq!(kinds(&mut pair[A]), []);
}

/// After an outage what the file server has not acknowledged is said again, from wherever it was said.
#[test]
fn write_backs_are_repeated_from_every_phase() {
    let page = PageNumber(3);
    let outage = |host: &mut Host<PageStore>| {
        quiet(host);
        host.disconnected(Place::FileServer).unwrap();
        assert!(!host.is_due(Work::Repeat(page)));
        host.connected(Place::FileServer).unwrap();
        assert!(host.tasks().any(|task| task.work == Work::Repeat(page)), "{:?}", host.role());
        host.perform(Work::Repeat(page)).unwrap();
        assert_eq!(kinds(host), [(Place::FileServer, MessageKind::WriteBack)]);
    };
    let mut pair = Pair::new(Policy::GENERIC);
    pair[A].perform(Work::WriteBack(page)).unwrap();
    outage(&mut pair[A]);
    // At a host that has handed the process over.
    let mut pair = Pair::started(Policy::GENERIC);
    pair[A].perform(Work::WriteBack(page)).unwrap();
    quiet(&mut pair[A]);
    pair[A].suspend(Suspension::default()).unwrap();
    pair.perform(A, Work::SendState);
    pair.deliver(MessageKind::State);
    pair.perform(B, Work::DeclareReady);
    pair.deliver(MessageKind::Ready);
    pair.perform(A, Work::HandOver);
    outage(&mut pair[A]);
    // At the host where it runs.
    let mut pair = Pair::moved(Policy::GENERIC);
    pair.perform(A, Work::Push(page));
    pair.deliver(MessageKind::Page);
    pair[B].write(page, 0, b"again").unwrap();
    pair[B].perform(Work::WriteBack(page)).unwrap();
    outage(&mut pair[B]);
}
