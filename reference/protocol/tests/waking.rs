//! A page is installed, and whoever waits for it is woken in a step of its own.

mod pair;

use pair::{A, B, Pair, events};
use protocol::error::{Error, Refusal};
use protocol::host::{HostLimits, Role, Suspension, Timeouts, Work};
use protocol::policy::{Policy, Start, Wake};
use protocol::source::Source;
use protocol::wire::Message;
use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;

const PAGE: PageNumber = PageNumber(0);

fn threads(policy: Policy) -> Policy {
    Policy { wake: Wake::Apart, ..policy }
}

/// The process has asked for a page, and that is there.
fn installed(policy: Policy) -> Pair {
    let mut pair = Pair::moved(threads(policy));
    pair[B].fault(PAGE).unwrap();
    pair.send_all();
    pair.deliver(MessageKind::Request);
    pair.perform(A, Work::Serve(PAGE));
    pair.deliver(MessageKind::Page);
    events(&mut pair[B]);
    pair
}

fn is_awaited(pair: &Pair, page: PageNumber) -> bool {
    pair[B].role().resident().is_some_and(|resident| resident.waits.contains(page))
}

#[test]
fn a_page_that_is_there_is_read_before_anybody_is_woken() {
    let mut pair = installed(Policy::POST_COPY);
    assert!(is_awaited(&pair, PAGE));
    pair[B].read(PAGE, 0, &mut [0]).unwrap();
    assert_eq!(pair[B].tasks().next().map(|task| task.work), Some(Work::Wake(PAGE)));
    events(&mut pair[B]);
    pair.perform(B, Work::Wake(PAGE));
    assert!(!is_awaited(&pair, PAGE));
    assert!(!pair[B].is_due(Work::Wake(PAGE)));
    assert_eq!(pair[B].perform(Work::Wake(PAGE)), Err(Refusal::NotDue(Work::Wake(PAGE)).into()));
}

#[test]
fn every_fault_is_heard_and_the_first_alone_asks() {
    let heard = |woken| [Event::FaultHeard { page: PAGE, woken }];
    let mut pair = Pair::moved(threads(Policy::POST_COPY));
    pair[B].fault(PAGE).unwrap();
    events(&mut pair[B]);
    // Another thread before the page is there, one before anybody is woken, and one after that.
    pair[B].fault(PAGE).unwrap();
    assert_eq!(events(&mut pair[B]), heard(false));
    pair.send_all();
    let requests =
        pair.in_flight.iter().filter(|envelope| matches!(envelope.message, Message::Request { .. }));
    assert_eq!(requests.count(), 1);
    assert!(!pair[B].is_due(Work::Wake(PAGE)));
    let mut pair = installed(Policy::POST_COPY);
    pair[B].fault(PAGE).unwrap();
    assert_eq!(events(&mut pair[B]), heard(false));
    pair[B].perform(Work::Wake(PAGE)).unwrap();
    assert_eq!(events(&mut pair[B]), [Event::ThreadsWoken { page: PAGE }]);
    pair[B].fault(PAGE).unwrap();
    assert_eq!(events(&mut pair[B]), heard(true));
    // Where waking is no step of its own, neither is a further fault.
    let mut plain = Pair::moved(Policy::POST_COPY);
    plain[B].fault(PAGE).unwrap();
    assert_eq!(plain[B].fault(PAGE), Err(Refusal::RequestOutstanding(PAGE).into()));
}

/// The process is at rest on B, and nobody has been woken who waits for the page.
fn resting(policy: Policy) -> (Pair, PageNumber) {
    // Where pages are copied ahead, this one is written to afterwards.
    let mut pair = Pair::started(threads(policy)).until(|pair| pair[A].check_suspension().is_ok());
    let page = PAGE;
    pair[A].write(page, 0, b"left").unwrap();
    pair[A].suspend(Suspension::default()).unwrap();
    let mut pair = pair.until(|pair| pair[B].is_running());
    pair[B].fault(page).unwrap();
    for _ in 0..200 {
        pair.send_all();
        if matches!(pair[B].role(), Role::Source(Source::Resting(_))) {
            assert!(is_awaited(&pair, page));
            return (pair, page);
        }
        if !pair.in_flight.is_empty() {
            let first = pair.in_flight.remove(0);
            pair.ensemble.deliver(&first).unwrap();
            continue;
        }
        for host in [A, B] {
            let mut works = pair[host].tasks().map(|task| task.work);
            let other = works.find(|work| !matches!(work, Work::Wake(_)));
            drop(works);
            if let Some(work) = other {
                pair[host].perform(work).unwrap();
                break;
            }
        }
    }
    panic!("not at rest: {:?}", pair.ensemble);
}

/// Who waits may do so until after the migration. Before pages are copied again he is woken.
#[test]
fn who_waits_is_woken_at_rest_and_before_pages_are_copied_again() {
    for (policy, copies) in [(Policy::ASSISTED_POST_COPY, true), (Policy::POST_COPY, false)] {
        let (mut pair, page) = resting(policy);
        let waits = if copies { Err(Refusal::RequestOutstanding(page)) } else { Ok(()) };
        assert_eq!(pair[B].check_start(A).map(drop), waits);
        pair[B].perform(Work::Wake(page)).unwrap();
        assert_eq!(pair[B].check_start(A).map(drop), Ok(()));
    }
}

/// An announced migration begins when nobody waits: the word that it is expected is handed in again then.
#[test]
fn who_waits_is_woken_before_an_announced_migration_begins() {
    let (mut pair, page) = resting(Policy { start: Start::Announced, ..Policy::ASSISTED_POST_COPY });
    pair.ensemble.start(B, A).unwrap();
    pair.send_all();
    pair.deliver(MessageKind::Announce);
    pair.send_all();
    let expected = pair.in_flight.remove(0);
    let waits = Err(Refusal::RequestOutstanding(page).into());
    assert_eq!(pair[B].handle_message(A.into(), expected.epoch, &expected.message), waits);
    pair[B].perform(Work::Wake(page)).unwrap();
    assert!(pair[B].handle_message(A.into(), expected.epoch, &expected.message).is_ok());
    assert!(matches!(pair[B].role(), Role::Source(Source::PreMigration(_))));
}

/// Wake says nothing, so it waits for no room.
#[test]
fn who_waits_is_woken_though_nothing_more_can_be_said() {
    let mut pair = installed(Policy::POST_COPY);
    let limits = HostLimits { outbox_messages_max: 0, ..HostLimits::default() };
    pair[B].configure(limits, Timeouts::default());
    assert!(matches!(pair[B].fault(PageNumber(1)), Err(Error::Refused(Refusal::OutboxFull))));
    assert_eq!(pair[B].perform_next(), Ok(Some(Work::Wake(PAGE))));
}

#[test]
fn nobody_is_woken_of_a_process_that_has_exited() {
    let mut pair = installed(Policy::POST_COPY);
    pair[B].exit().unwrap();
    assert!(!pair[B].is_due(Work::Wake(PAGE)));
    assert_eq!(pair[B].fault(PAGE), Err(Refusal::Exited.into()));
}
