//! The judge of logs says no where it must, at the line in question and for the reason in question; and it says yes to
//! what is right though it looks odd.

use model::Strategy;
use model::strategy::{Real, Start};
use protocol::policy::Policy;
use steplog::event::{Event, Step};
use steplog::header::{Header, LinkOrder, Unseen};
use steplog::message::MessageKind;
use steplog::place::{Epoch, HostId, Place, Sequence};
use tie::policy::strategy;
use tie::trace::{
    Difference, MergeError, Objection, TraceError, Wait, conform, conform_merged, conform_steps, merge,
};
use world::net::{FrameOrder, LinkConfig};
use world::workload::{PageLayout, Pattern, Workload};
use world::{Ending, Scenario, World};

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const C: HostId = HostId(2);

const JITTER: FrameOrder = FrameOrder::Unordered { jitter_ns: 2_000_000 };

fn run(policy: &Policy, order: FrameOrder, ending: Ending) -> (Header, Vec<Step>) {
    let scenario = Scenario {
        policy: policy.clone(),
        layout: PageLayout {
            pages: 64,
            file_mapped_percent: 40,
            initially_dirty_percent: 50,
            noise_percent: 0,
        },
        workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 50_000 },
        link: LinkConfig { order, ..LinkConfig::FAST_ETHERNET },
        route: vec![A, B, C],
        accesses_per_stay: 100,
        registers_len: 8,
        ending,
        seed: 1,
    };
    let log = World::run(&scenario).expect("a legal scenario").log;
    (scenario.header(false), log)
}

fn judged(policy: &Policy, header: &Header, log: &[Step]) -> Result<usize, TraceError> {
    let strategy = strategy(policy).expect("a variant of a built-in algorithm");
    conform_steps(header.clone(), strategy, log).map(|accepted| accepted.steps)
}

fn find(log: &[Step], from: usize, which: impl Fn(&Event) -> bool) -> usize {
    from + log[from..].iter().position(|step| which(&step.event)).expect("such a step")
}

/// Changes a log so that the line at the returned index is wrong, and requires the judge to say so there, for a reason.
fn refuses(
    policy: &Policy,
    order: FrameOrder,
    change: impl Fn(&mut Vec<Step>) -> usize,
    is_reason: impl Fn(&Objection) -> bool,
) {
    let (header, mut log) = run(policy, order, Ending::Idle);
    judged(policy, &header, &log).expect("before the change it is right");
    let line = change(&mut log) + 2;
    match judged(policy, &header, &log) {
        Err(TraceError::Rejected(rejection)) => {
            assert_eq!(rejection.line, line, "{rejection}");
            assert!(is_reason(&rejection.objection), "{}: {rejection}", policy.name);
        }
        other => panic!("{}, line {line}: {other:?}", policy.name),
    }
}

fn text(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/logs/{name}.ndjson", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("the log is there")
}

fn rejected(name: &str) -> (usize, Objection) {
    match conform(&text(name)[..], None) {
        Err(TraceError::Rejected(rejection)) => (rejection.line, rejection.objection),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn an_older_copy_over_a_newer_one() {
    assert_eq!(rejected("older-copy-installed-last"), (91, Objection::Older { installed: 3 }));
}

#[test]
fn a_read_of_a_page_that_is_not_there() {
    let (line, objection) = rejected("read-of-an-absent-page");
    assert_eq!((line, objection.to_string().starts_with("the page is not there")), (36, true), "{objection}");
}

#[test]
fn a_ready_that_is_ignored() {
    let (line, objection) = rejected("ready-ignored");
    let is_ready = |objection: &Objection| matches!(objection, Objection::Ignored(message, _) if message.kind == MessageKind::Ready);
    assert!(line == 29 && is_ready(&objection), "{line}: {objection}");
}

#[test]
fn a_request_that_is_ignored() {
    let (line, objection) = rejected("request-ignored-for-ever");
    assert_eq!((line, objection.to_string().contains("owed")), (40, true), "{objection}");
}

/// Two threads wait for one page; the second one need not ask again.
#[test]
fn two_threads_that_touch_one_page() {
    assert_eq!(conform(&text("two-threads-fault")[..], None).expect("it is right").steps, 65);
}

/// Where the destination is told ahead, that line is the announcement; the migration begins with a later one, and the process
/// goes on in between.
#[test]
fn a_migration_that_is_announced() {
    for policy in [Policy::TOTAL_COPY, Policy::PRE_COPY, Policy::POST_COPY, Policy::GENERIC] {
        let (header, mut log) = run(&policy, FrameOrder::Fifo, Ending::Idle);
        let plain = strategy(&policy).expect("a built-in algorithm");
        let real = Real { start: Start::Announced, ..plain.real };
        let announced = Strategy { real, ..plain };
        let expected = find(&log, 0, |event| matches!(event, Event::MigrationExpected { .. }));
        let line = log.remove(expected);
        let written = find(&log, 0, |event| matches!(event, Event::PageWritten { .. }));
        assert!(written < expected, "the process runs before it moves");
        log.insert(written, Step { at_ns: log[written].at_ns, ..line });
        let accepted = conform_steps(header.clone(), announced.clone(), &log);
        assert_eq!(accepted.map(|accepted| accepted.steps).map_err(|error| error.to_string()), Ok(log.len()));
        // What is not announced does not begin.
        let line = log.remove(written);
        let began = find(&log, 0, |event| matches!(event, Event::MigrationStarted { .. }));
        log.insert(began + 1, Step { at_ns: log[began].at_ns, ..line });
        match conform_steps(header, announced, &log) {
            Err(TraceError::Rejected(rejection)) => assert_eq!(rejection.line, began + 2, "{rejection}"),
            other => panic!("{}: {other:?}", policy.name),
        }
    }
}

#[test]
fn another_epoch() {
    let pushed = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::PagePushed { .. }));
        log[at].epoch = Epoch(7);
        at
    };
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, pushed, |why| *why == Objection::Epoch(Epoch(1)));
    let written = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::PageWritten { .. }));
        log[at].epoch = Epoch(1);
        at
    };
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, written, |why| *why == Objection::Epoch(Epoch(0)));
}

#[test]
fn another_place() {
    let change = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::ProcessHandedOver { .. }));
        log[at].place = B.into();
        at
    };
    let is_reason = |why: &Objection| *why == Objection::Misplaced(Some(A.into()));
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, change, is_reason);
    let stored = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::WriteBackStored { .. }));
        log[at].place = A.into();
        at
    };
    let is_reason = |why: &Objection| *why == Objection::Misplaced(Some(Place::FileServer));
    refuses(&Policy::GENERIC, FrameOrder::Fifo, stored, is_reason);
}

#[test]
fn another_peer() {
    let change = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::StateSent { .. }));
        log[at].event = Event::StateSent { to: C };
        at
    };
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, change, |why| *why == Objection::Peer(B.into()));
}

#[test]
fn another_number() {
    let change = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::PageCopied { .. }));
        if let Event::PageCopied { sequence, .. } = &mut log[at].event {
            *sequence = Sequence(2);
        }
        at
    };
    refuses(&Policy::PRE_COPY, FrameOrder::Fifo, change, |why| *why == Objection::Number(1));
}

#[test]
fn a_message_that_nobody_sent() {
    let change = |log: &mut Vec<Step>| {
        let sent = find(log, 0, |event| matches!(event, Event::ProcessHandedOver { .. }));
        let early = find(log, 0, |event| matches!(event, Event::ProcessResumed { .. }));
        let step = log.remove(early);
        log.insert(sent, step);
        sent
    };
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, change, |why| matches!(why, Objection::NeverSent(_)));
}

#[test]
fn a_message_handled_twice() {
    let change = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::PageInstalled { .. }));
        log.insert(at + 1, log[at].clone());
        at + 1
    };
    let is_reason = |why: &Objection| matches!(why, Objection::HandledBefore(_));
    refuses(&Policy::TOTAL_COPY, FrameOrder::Fifo, change, is_reason);
}

#[test]
fn a_message_that_overtakes_another() {
    let change = |log: &mut Vec<Step>| {
        let is_install = |event: &Event| matches!(event, Event::PageInstalled { .. });
        let one = find(log, 0, is_install);
        let other = find(log, one + 1, is_install);
        log.swap(one, other);
        one
    };
    let is_reason = |why: &Objection| matches!(why, Objection::Overtakes(_));
    refuses(&Policy::TOTAL_COPY, FrameOrder::Fifo, change, is_reason);
}

#[test]
fn bytes_beyond_a_page() {
    let change = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::PageRead { .. }));
        if let Event::PageRead { offset, .. } = &mut log[at].event {
            *offset = 4090;
        }
        at
    };
    let is_reason = |why: &Objection| matches!(why, Objection::OutOfPage { .. });
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, change, is_reason);
}

#[test]
fn a_read_while_the_process_is_suspended() {
    let change = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::ProcessSuspended { .. }));
        let read = find(log, 0, |event| matches!(event, Event::PageRead { .. }));
        log.insert(at + 1, log[read].clone());
        at + 1
    };
    let is_reason = |why: &Objection| *why == Objection::Process("is suspended");
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, change, is_reason);
}

/// The state has declared it outdated: what was copied before is not the page.
#[test]
fn outdated_pages_that_are_kept_or_installed() {
    let kept = |log: &mut Vec<Step>| {
        let with_outdated =
            |event: &Event| matches!(event, Event::StateAccepted { discarded, .. } if !discarded.is_empty());
        let at = find(log, 0, with_outdated);
        if let Event::StateAccepted { discarded, .. } = &mut log[at].event {
            discarded.pop();
        }
        at
    };
    let is_reason = |why: &Objection| matches!(why, Objection::Unexplained(_));
    refuses(&Policy::ASSISTED_POST_COPY, FrameOrder::Fifo, kept, is_reason);
    let given_up = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::StateAccepted { .. }));
        if let Event::StateAccepted { discarded, .. } = &mut log[at].event {
            let all = (0..16).map(steplog::page::PageNumber);
            let current =
                all.into_iter().find(|page| !discarded.contains(page)).expect("not all are outdated");
            discarded.push(current);
        }
        at
    };
    refuses(&Policy::ASSISTED_POST_COPY, FrameOrder::Fifo, given_up, is_reason);
}

#[test]
fn an_image_destroyed_where_it_is_needed() {
    let change = |log: &mut Vec<Step>| {
        let resumed = find(log, 0, |event| matches!(event, Event::ProcessResumed { .. }));
        let event = Event::ImageDestroyed { told: Some(B) };
        log.insert(resumed + 1, Step { at_ns: 0, place: A.into(), epoch: Epoch(1), event });
        resumed + 1
    };
    let is_reason = |why: &Objection| matches!(why, Objection::NoPart { .. });
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, change, is_reason);
}

#[test]
fn readiness_learned_before_it_is_declared() {
    let change = |log: &mut Vec<Step>| {
        let declared = find(log, 0, |event| matches!(event, Event::ReadinessDeclared { .. }));
        let learned = find(log, 0, |event| matches!(event, Event::ReadinessLearned { .. }));
        let step = log.remove(learned);
        log.insert(declared, step);
        declared
    };
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, change, |why| matches!(why, Objection::NeverSent(_)));
}

#[test]
fn another_list_of_those_who_are_told() {
    let change = |log: &mut Vec<Step>| {
        let at = find(log, 0, |event| matches!(event, Event::CompletionDeclared { .. }));
        log[at].event = Event::CompletionDeclared { told: vec![] };
        at
    };
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, change, |why| *why == Objection::Told(vec![A]));
}

/// Every beginning of a log of one migration is unfinished while it is under way, and says who waits.
#[test]
fn a_log_that_stops_in_the_middle() {
    let (header, log) = run(&Policy::POST_COPY, FrameOrder::Fifo, Ending::Idle);
    let waits = |until: usize| match judged(&Policy::POST_COPY, &header, &log[..until]) {
        Err(TraceError::Unfinished(unfinished)) => {
            assert_eq!(unfinished.line, until + 1);
            unfinished.waits
        }
        other => panic!("up to {until}: {other:?}"),
    };
    assert_eq!(waits(0), [Wait::Nothing]);
    let at = |which: fn(&Event) -> bool| find(&log, 0, which) + 1;
    let epoch = Epoch(1);
    let suspended = waits(at(|event| matches!(event, Event::ProcessSuspended { .. })));
    assert!(suspended.contains(&Wait::State { from: A, to: B, epoch, suspended: true }), "{suspended:?}");
    let offered = waits(at(|event| matches!(event, Event::ReadinessDeclared { .. })));
    assert!(offered.contains(&Wait::Ready { from: A, to: B, epoch }), "{offered:?}");
    assert!(offered.contains(&Wait::Go { on: B, from: A, epoch }), "{offered:?}");
    let faulted = at(|event| matches!(event, Event::PageFaulted { .. }));
    let Event::PageFaulted { page, .. } = log[faulted - 1].event else { unreachable!("found") };
    let waiting = waits(faulted);
    assert!(waiting.contains(&Wait::Page { on: B, page: page.0, asked: A.into() }), "{waiting:?}");
    let declared = waits(at(|event| matches!(event, Event::CompletionDeclared { .. })));
    assert!(declared.contains(&Wait::Destroyed { on: B, from: A, epoch }), "{declared:?}");
    let destroyed = at(|event| matches!(event, Event::DestructionLearned { .. }));
    judged(&Policy::POST_COPY, &header, &log[..destroyed]).expect("at rest it may stop");
}

/// Over links that lose nothing, what was sent arrives.
#[test]
fn a_message_that_never_arrives() {
    let (header, mut log) = run(&Policy::GENERIC, JITTER, Ending::Idle);
    let last = log.iter().rposition(|step| matches!(step.event, Event::WriteBackAcknowledged { .. }));
    log.remove(last.expect("it writes back"));
    match judged(&Policy::GENERIC, &header, &log) {
        Err(TraceError::Unfinished(unfinished)) => {
            let is_it = |wait: &Wait| matches!(wait, Wait::Message(message) if message.kind == MessageKind::WriteBackDone);
            assert!(unfinished.waits.iter().any(is_it), "{:?}", unfinished.waits);
        }
        Err(TraceError::Rejected(_)) => {}
        other => panic!("{other:?}"),
    }
}

fn is_unseen(event: &Event) -> bool {
    matches!(
        event,
        Event::PageWritten { .. }
            | Event::PageRead { .. }
            | Event::ReadinessDeclared { .. }
            | Event::ReadinessLearned { .. }
            | Event::MessageIgnored { kind: MessageKind::Ready, .. }
    )
}

/// Logs of somebody who sees neither accesses nor readiness, of all algorithms: right if the header says so.
#[test]
fn unseen_events_are_tried() {
    let lossy = FrameOrder::Lossy {
        jitter_ns: 2_000_000,
        loss_percent: 20,
        duplicate_percent: 20,
        retransmit_after_ns: 3_000_000,
    };
    let mut otherwise_wrong = 0;
    for policy in Policy::ALL {
        for order in [FrameOrder::Fifo, JITTER, lossy] {
            let (mut header, mut log) = run(&policy, order, Ending::Idle);
            log.retain(|step| !is_unseen(&step.event));
            otherwise_wrong += usize::from(judged(&policy, &header, &log).is_err());
            header.unseen = [Unseen::Writes, Unseen::Reads, Unseen::Readiness].into();
            judged(&policy, &header, &log)
                .unwrap_or_else(|error| panic!("{}, {order:?}: {error}", policy.name));
        }
    }
    assert_eq!(otherwise_wrong, Policy::ALL.len() * 3, "without readiness no log is right");
}

/// A page that nobody has written is not sent again, unless writes are unseen; and one that is owed is not forgotten.
#[test]
fn unseen_writes_do_not_excuse_everything() {
    let (mut header, mut log) = run(&Policy::PRE_COPY, FrameOrder::Fifo, Ending::Idle);
    log.retain(|step| !matches!(step.event, Event::PageWritten { .. }));
    assert!(matches!(judged(&Policy::PRE_COPY, &header, &log), Err(TraceError::Rejected(_))));
    header.unseen = [Unseen::Writes].into();
    judged(&Policy::PRE_COPY, &header, &log).expect("with unseen writes it is right");
    let copied = find(&log, 0, |event| matches!(event, Event::PageCopied { pass: 1, .. }));
    log.remove(copied);
    assert!(matches!(judged(&Policy::PRE_COPY, &header, &log), Err(TraceError::Rejected(_))));
}

fn ndjson(header: &Header, steps: &[Step]) -> Vec<u8> {
    let mut text = Vec::new();
    header.write_with(steps, &mut text).expect("memory can be written to");
    text
}

/// A log for each place, whose clocks are far apart.
fn split(header: &Header, log: &[Step]) -> Vec<Vec<u8>> {
    let places = [A.into(), B.into(), C.into(), Place::FileServer];
    let of_place = |(skew, place): (u64, Place)| {
        let own = log.iter().filter(|step| step.place == place);
        let skewed = own.map(|step| Step { at_ns: step.at_ns + skew * 1_000_000_000, ..step.clone() });
        ndjson(header, &skewed.collect::<Vec<_>>())
    };
    [3, 0, 2, 1].into_iter().zip(places).map(of_place).collect()
}

#[test]
fn logs_of_several_hosts_are_merged_by_what_causes_what() {
    let (jitter_ns, retransmit_after_ns) = (2_000_000, 3_000_000);
    let lossy = FrameOrder::Lossy { jitter_ns, loss_percent: 20, duplicate_percent: 20, retransmit_after_ns };
    let policies = [Policy::POST_COPY, Policy::PRE_COPY, Policy::GENERIC];
    let runs =
        policies.iter().flat_map(|policy| [FrameOrder::Fifo, JITTER, lossy].map(|order| (policy, order)));
    for (policy, order) in runs {
        let (header, log) = run(policy, order, Ending::Idle);
        let merged = merge(split(&header, &log).iter().map(|text| &text[..]), None).expect("of one run");
        assert_eq!(merged.steps.len(), log.len());
        let accepted = conform_merged(&merged, None, &mut |_| std::ops::ControlFlow::Continue(()));
        assert_eq!(accepted.expect("it is right").steps, log.len(), "{}", policy.name);
    }
}

#[test]
fn logs_that_contradict_each_other() {
    let (header, mut log) = run(&Policy::POST_COPY, FrameOrder::Fifo, Ending::Idle);
    // A hears *ready* before it sends the state that B has to have first.
    let sent = find(&log, 0, |event| matches!(event, Event::StateSent { .. }));
    let learned = find(&log, 0, |event| matches!(event, Event::ReadinessLearned { .. }));
    let early = log.remove(learned);
    log.insert(sent, early);
    match merge(split(&header, &log).iter().map(|text| &text[..]), None) {
        Err(MergeError::Contradiction { handled, sent }) => {
            assert!(sent.is_some_and(|sent| sent.log != handled.log), "two lines of two logs: {sent:?}");
        }
        other => panic!("{other:?}"),
    }
    let other = Header { link: LinkOrder::Unordered, ..header.clone() };
    let logs = [ndjson(&header, &[]), ndjson(&other, &[])];
    assert!(matches!(merge(logs.iter().map(|text| &text[..]), None), Err(MergeError::Headers { log: 1 })));
}

/// A page that somebody waits for goes first, although the one that is pushed is due as well.
#[test]
fn a_push_between_a_request_and_its_answer() {
    let change = |log: &mut Vec<Step>| {
        let is_push = |event: &Event| matches!(event, Event::PagePushed { .. });
        let served = (0..log.len())
            .find(|at| {
                matches!(log[*at].event, Event::PageServed { .. })
                    && log[*at..].iter().any(|step| step.epoch == log[*at].epoch && is_push(&step.event))
            })
            .expect("a page is served before all are pushed");
        let pushed = find(log, served, is_push);
        let push = log.remove(pushed);
        log.insert(served, push);
        served
    };
    let is_reason = |why: &Objection| *why == Objection::Unexplained(Difference::DemandFirst);
    refuses(&Policy::POST_COPY, FrameOrder::Fifo, change, is_reason);
}

/// A header that asks for what there is not, and lines that do not go with it.
#[test]
fn headers_and_lines_that_do_not_go_together() {
    let (header, log) = run(&Policy::GENERIC, FrameOrder::Fifo, Ending::Idle);
    let read = |header: &Header, log: &[Step]| conform(&ndjson(header, log)[..], None);
    let pages = header.pages;
    let with = |change: &dyn Fn(&mut Header)| {
        let mut other = header.clone();
        change(&mut other);
        read(&other, &log)
    };
    for wrong in [
        with(&|header| header.pages = 0),
        with(&|header| header.pages = tie::trace::PAGES_MAX + 1),
        with(&|header| _ = header.file_mapped.insert(pages)),
        with(&|header| header.algorithm = None),
        with(&|header| header.algorithm = Some("no-such".to_owned())),
        with(&|header| header.trace += 1),
    ] {
        assert!(matches!(wrong, Err(TraceError::Header(_))), "{wrong:?}");
    }
    with(&|_| {}).expect("it is right");
    let most = Header { pages: tie::trace::PAGES_MAX, ..header.clone() };
    assert!(matches!(read(&most, &[]), Err(TraceError::Unfinished(_))), "as many pages as there may be");

    let of_page =
        find(&log, 0, |event| matches!(event, Event::PageInstalled { .. } | Event::PageFetched { .. }));
    let fewer = |pages: u64| Header { pages, file_mapped: [].into(), ..header.clone() };
    let (Event::PageInstalled { page, .. } | Event::PageFetched { page, .. }) = log[of_page].event else {
        unreachable!("found")
    };
    let only = &log[of_page..=of_page];
    let refused = read(&fewer(page.0), only);
    assert!(matches!(refused, Err(TraceError::Line { line: 2, .. })), "{refused:?}");
    assert!(matches!(read(&fewer(page.0 + 1), only), Err(TraceError::Rejected(_))), "the last page is one");

    let step = |place: HostId, event| Step { at_ns: 0, place: place.into(), epoch: Epoch(1), event };
    let disrupted = Header { disrupted: true, ..header.clone() };
    let crash = [step(A, Event::HostCrashed)];
    assert!(matches!(read(&header, &crash), Err(TraceError::Line { line: 2, .. })), "nothing is announced");
    assert!(!matches!(read(&disrupted, &crash), Err(TraceError::Line { .. })), "it is announced");
    let third_host = |event: Event| {
        let expected = step(B, Event::MigrationExpected { from: A });
        match read(&disrupted, &[expected, step(A, event)]) {
            Err(TraceError::Line { line, reason }) => Some((line, reason.contains("third host"))),
            _ => None,
        }
    };
    for (peer, refused) in [(C, Some((3, true))), (B, None)] {
        assert_eq!(third_host(Event::MigrationStarted { to: peer }), refused);
        assert_eq!(third_host(Event::PeerFenced { peer, fate: None }), refused);
        assert_eq!(third_host(Event::PeerDisconnected { peer: peer.into(), fate: None }), refused);
    }
    assert_eq!(third_host(Event::PeerDisconnected { peer: Place::FileServer, fate: None }), None);
}

/// Whoever watches is told each line that is judged, and stops it there.
#[test]
fn a_judgement_can_be_stopped() {
    let (header, log) = run(&Policy::POST_COPY, FrameOrder::Fifo, Ending::Idle);
    for disrupted in [false, true] {
        let header = Header { disrupted, ..header.clone() };
        let mut lines = Vec::new();
        let stopped = tie::trace::conform_watched(&ndjson(&header, &log[..8])[..], None, &mut |line| {
            lines.push(line);
            if line < 5 { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
        });
        assert!(matches!(stopped, Err(TraceError::Stopped { line: 5 })), "{stopped:?}");
        assert_eq!(lines, [2, 3, 4, 5]);
    }
}
