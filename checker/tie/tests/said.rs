//! What is said of a log: which line, which reason, who waits; and what a right log says of itself.

use std::ops::ControlFlow;

use model::Strategy;
use model::algorithms::{GENERIC, LAZY_COPY, POST_COPY, PRE_COPY_UNBOUNDED};
use steplog::event::{Bytes, Event, Step};
use steplog::fate::{Cause, Fate, Loss};
use steplog::header::{Header, LinkOrder, Unseen};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Sequence};
use tie::trace::{
    Accepted, Difference, LineOrigin, MergeError, Objection, TraceError, Wait, conform, conform_steps, merge,
};

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const EPOCH: Epoch = Epoch(1);

fn step(place: impl Into<Place>, event: Event) -> Step {
    Step { at_ns: 0, place: place.into(), epoch: EPOCH, event }
}

/// Before any migration.
fn written(page: u64, epoch: u64) -> Step {
    let event = Event::PageWritten { page: PageNumber(page), offset: 0, bytes: Bytes(vec![1]) };
    Step { epoch: Epoch(epoch), ..step(if epoch == 0 { A } else { B }, event) }
}

fn begun() -> Vec<Step> {
    vec![step(B, Event::MigrationExpected { from: A }), step(A, Event::MigrationStarted { to: B })]
}

fn handed_over() -> Vec<Step> {
    let registers = Bytes::default();
    vec![
        step(A, Event::ProcessSuspended { registers, code_page: None, stack_page: None, switched: false }),
        step(A, Event::StateSent { to: B }),
        step(B, Event::StateAccepted { from: A, discarded: vec![] }),
        step(B, Event::ReadinessDeclared { to: A }),
        step(A, Event::ReadinessLearned { from: B }),
        step(A, Event::ProcessHandedOver { to: B }),
        step(B, Event::ProcessResumed { from: A }),
    ]
}

fn ended() -> Vec<Step> {
    vec![
        step(B, Event::CompletionDeclared { told: vec![A] }),
        step(A, Event::CompletionLearned { from: B }),
        step(A, Event::ImageDestroyed { told: Some(B) }),
        step(B, Event::DestructionLearned { from: A, at_rest: true }),
    ]
}

fn pushed(page: u64) -> [Step; 2] {
    let (page, sequence) = (PageNumber(page), Sequence(1));
    [
        step(A, Event::PagePushed { page, sequence, to: B }),
        step(B, Event::PageInstalled { page, sequence, from: A }),
    ]
}

/// A right log of post-copy with two pages.
fn post_copy() -> Vec<Step> {
    let pushes = [0, 1].into_iter().flat_map(pushed);
    [vec![written(0, 0)], begun(), handed_over(), pushes.collect(), ended()].concat()
}

fn header(strategy: &Strategy, pages: u64) -> Header {
    Header::new(&strategy.name, LinkOrder::Fifo, pages)
}

fn judged(header: &Header, strategy: Strategy, steps: &[Step]) -> Result<Accepted, TraceError> {
    conform_steps(header.clone(), strategy, steps)
}

fn ndjson(header: &Header, steps: &[Step]) -> String {
    let mut text = Vec::new();
    header.write_with(steps, &mut text).expect("memory can be written to");
    String::from_utf8(text).expect("text")
}

/// A line that is none is named with its number, and the reason says where in it, and not which line it thinks it is.
#[test]
fn a_line_that_cannot_be_read() {
    let header = header(&POST_COPY, 2);
    let text = ndjson(&header, &post_copy());
    let lines: Vec<&str> = text.lines().collect();
    for (wrong, reason) in [
        ("", "the line is empty"),
        ("{", "EOF while parsing an object, at column 1"),
        ("nonsense", "expected ident, at column 2"),
        (r#"{"at_ns":0,"place":{"host":0},"epoch":1,"event":"process-resumed"}"#, "missing field `from`"),
    ] {
        let mut lines = lines.clone();
        lines[4] = wrong;
        let text = lines.join("\n");
        let found = match (conform(text.as_bytes(), None), merge([text.as_bytes()], None)) {
            (
                Err(TraceError::Line { line, reason }),
                Err(MergeError::Log { log: 0, error: TraceError::Line { line: again, reason: same } }),
            ) => {
                assert_eq!((line, &reason), (again, &same));
                (line, reason)
            }
            other => panic!("{wrong}: {other:?}"),
        };
        assert_eq!(found.0, 5);
        assert!(found.1.starts_with(reason) && !found.1.contains("line 1"), "{}", found.1);
    }
}

/// What a log comes to does not depend on how it is read, also where things may go wrong.
#[test]
fn one_log_in_three_ways() {
    for disrupted in [false, true] {
        let header = Header { disrupted, ..header(&POST_COPY, 2) };
        let steps = post_copy();
        let kept = judged(&header, POST_COPY, &steps).expect("it is right");
        assert_eq!((kept.steps, kept.hops, &kept.algorithm[..]), (steps.len(), 1, "post-copy"));
        let text = ndjson(&header, &steps);
        assert_eq!(conform(text.as_bytes(), None).expect("it is right"), kept);
        let watched =
            tie::trace::conform_watched(text.as_bytes(), Some(POST_COPY), &mut |_| ControlFlow::Continue(()));
        assert_eq!(watched.expect("it is right"), kept);
        let merged = merge([text.as_bytes()], None).expect("of one run");
        let origins: Vec<_> = (2..2 + steps.len()).map(|line| LineOrigin { log: 0, line }).collect();
        assert_eq!(merged.origins, origins);
    }
}

/// The first thing that is wrong is told with its line, what the model has instead, and who waits.
#[test]
fn the_sentences() {
    let header = header(&POST_COPY, 2);
    let mut steps = post_copy();
    let suspended = steps.iter().position(|step| matches!(step.event, Event::ProcessSuspended { .. }));
    let suspended = suspended.expect("it is suspended");
    let cut = judged(&header, POST_COPY, &steps[..=suspended]).expect_err("it is unfinished").to_string();
    let line = suspended + 2;
    assert_eq!(
        cut,
        format!(
            "it ends after line {line}, in the middle of something\nA has begun to move the process to B in epoch 1 and \
             has not sent its state; the process is suspended\nB waits for the process from A in epoch 1"
        )
    );
    let cut = judged(&header, POST_COPY, &steps[..suspended]).expect_err("it is unfinished").to_string();
    assert!(cut.contains("has not sent its state\n"), "{cut}");
    steps.swap(suspended, suspended + 1);
    let rejected = judged(&header, POST_COPY, &steps).expect_err("it is wrong").to_string();
    let text = serde_json::to_string(&steps[suspended]).expect("a step is JSON");
    let start =
        format!("line {line}: {text}\nthe process has not been suspended\nthe model could go on with ");
    assert!(rejected.starts_with(&start), "{rejected}");
}

fn waits(header: &Header, strategy: &Strategy, steps: &[Step]) -> Vec<Wait> {
    match judged(header, strategy.clone(), steps) {
        Ok(_) => vec![],
        Err(TraceError::Unfinished(unfinished)) => unfinished.waits,
        Err(other) => panic!("{other}"),
    }
}

/// Whoever keeps something is waited for, unless it may be kept for ever.
#[test]
fn what_a_former_host_keeps() {
    let header = header(&POST_COPY, 2);
    let steps = post_copy();
    let until = |is_last: fn(&Event) -> bool| {
        let last = steps.iter().position(|step| is_last(&step.event)).expect("such a step");
        waits(&header, &POST_COPY, &steps[..=last])
    };
    let resumed = until(|event| matches!(event, Event::ProcessResumed { .. }));
    assert_eq!(resumed, [Wait::Complete { on: A, from: B, epoch: EPOCH }]);
    let learned = until(|event| matches!(event, Event::CompletionLearned { .. }));
    let destroyed = Wait::Destroyed { on: B, from: A, epoch: EPOCH };
    assert_eq!(learned, [Wait::Destruction { on: A, epoch: EPOCH }, destroyed.clone()]);
    assert_eq!(until(|event| matches!(event, Event::ImageDestroyed { .. })), [destroyed]);
    assert_eq!(until(|event| matches!(event, Event::DestructionLearned { .. })), []);

    // With lazy copy it may, until the process has exited.
    let header = self::header(&LAZY_COPY, 2);
    let mut steps = [vec![written(0, 0)], begun(), handed_over()].concat();
    assert_eq!(waits(&header, &LAZY_COPY, &steps), []);
    steps.push(step(B, Event::ProcessExited));
    assert_eq!(waits(&header, &LAZY_COPY, &steps), [Wait::Release { on: B }]);
    steps.push(step(B, Event::ProcessReleased { told: vec![A] }));
    assert_eq!(waits(&header, &LAZY_COPY, &steps), [Wait::Complete { on: A, from: B, epoch: EPOCH }]);
    steps.push(step(A, Event::ExitLearned { from: B }));
    assert_eq!(waits(&header, &LAZY_COPY, &steps), [Wait::Destruction { on: A, epoch: EPOCH }]);
    steps.push(step(A, Event::ImageDestroyed { told: None }));
    assert_eq!(waits(&header, &LAZY_COPY, &steps), []);
}

/// Where hosts part without a word, the log says what the source does, and may end when nothing is owed.
#[test]
fn hosts_that_part_without_a_word() {
    let header = Header { unseen: [Unseen::Departure].into(), ..header(&POST_COPY, 2) };
    let pushes: Vec<_> = [0, 1].into_iter().flat_map(pushed).collect();
    let moved = [vec![written(0, 0)], begun(), handed_over()].concat();
    let parted = step(A, Event::ImageDestroyed { told: None });
    let all = [&moved[..], &pushes, std::slice::from_ref(&parted)].concat();
    assert_eq!(waits(&header, &POST_COPY, &all), []);
    // Nobody says that it is complete, so it is where nothing is owed.
    let owing = [&moved[..], &pushes[..2], &[parted]].concat();
    assert_eq!(waits(&header, &POST_COPY, &owing), [Wait::Model]);
}

/// Any number of contents of a page may be on their way, and each of them arrives before the state.
#[test]
fn many_contents_of_a_page_on_their_way() {
    let page = PageNumber(0);
    let copied = |pass: u32| {
        let sequence = Sequence(pass.into());
        [
            Some(written(0, 0)),
            (pass > 1).then(|| step(A, Event::PassBegun { pass })),
            Some(step(A, Event::PageCopied { page, sequence, pass, to: B })),
        ]
        .into_iter()
        .flatten()
    };
    let installed =
        |pass: u32| step(B, Event::PageInstalled { page, sequence: Sequence(pass.into()), from: A });
    for last in 1..8 {
        let header = header(&PRE_COPY_UNBOUNDED, 1);
        let mut steps = begun();
        steps.extend((1..=last).flat_map(copied));
        let arrive = steps.len();
        steps.extend((1..=last).map(installed));
        let suspended = steps.len();
        steps.extend(handed_over().into_iter().chain(ended()));
        let right = judged(&header, PRE_COPY_UNBOUNDED, &steps);
        assert_eq!(right.map(|of| of.steps).map_err(|error| error.to_string()), Ok(steps.len()), "{last}");
        // The state does not arrive before any of them.
        for late in arrive..suspended {
            let mut steps = steps.clone();
            let content = steps.remove(late);
            let accepted = steps.iter().position(|step| matches!(step.event, Event::StateAccepted { .. }));
            let accepted = accepted.expect("such a step");
            steps.insert(accepted + 1, content);
            match judged(&header, PRE_COPY_UNBOUNDED, &steps) {
                Err(TraceError::Rejected(rejection)) => {
                    assert!(rejection.line <= accepted + 2, "{rejection}")
                }
                other => panic!("{last}: {other:?}"),
            }
        }
    }
}

/// While the process is suspended, only the pages under its pointers go ahead of those that are asked for.
#[test]
fn the_working_set_is_where_the_pointers_are() {
    let header = header(&GENERIC, 3);
    let pointers = Event::ProcessSuspended {
        registers: Bytes::default(),
        code_page: Some(PageNumber(0)),
        stack_page: Some(PageNumber(2)),
        switched: false,
    };
    let written = (0..3).map(|page| written(page, 0)).collect();
    let suspended = [written, begun(), vec![step(A, pointers)]].concat();
    for page in 0..3 {
        let sent = Event::PageTransferred { page: PageNumber(page), sequence: Sequence(1), to: B };
        let steps = [&suspended[..], &[step(A, sent)]].concat();
        match judged(&header, GENERIC, &steps) {
            Err(TraceError::Unfinished(_)) => assert_ne!(page, 1),
            Err(TraceError::Rejected(rejection)) => {
                assert_eq!((page, rejection.line), (1, steps.len() + 1), "{rejection}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Each kind of difference, at the first line that shows it.
#[test]
fn what_differs() {
    let right = post_copy();
    let header = header(&POST_COPY, 2);
    let at =
        |is_it: fn(&Event) -> bool| right.iter().position(|step| is_it(&step.event)).expect("such a step");
    let difference = |line: usize, event: Event| {
        let mut steps = right[..line].to_vec();
        let (place, epoch) = match event {
            Event::PageFaulted { .. } | Event::PageLoaded { .. } | Event::CompletionDeclared { .. } => (B, 1),
            Event::PageWrittenBack { .. } => (A, 0),
            _ => (A, 1),
        };
        steps.push(Step { epoch: Epoch(epoch), ..step(place, event) });
        match judged(&header, POST_COPY, &steps) {
            Err(TraceError::Rejected(rejection)) => match rejection.objection {
                Objection::Unexplained(difference) => difference,
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let (page, sequence, to) = (PageNumber(0), Sequence(1), B);
    let resumed = at(|event| matches!(event, Event::ProcessResumed { .. })) + 1;
    let all_there = at(|event| matches!(event, Event::CompletionDeclared { .. }));
    let faulted = Event::PageFaulted { page, asked: A.into() };
    assert_eq!(difference(all_there, faulted.clone()), Difference::Present);
    assert_eq!(difference(resumed, Event::PageServed { page, sequence, to }), Difference::NotAsked);
    assert_eq!(difference(resumed, Event::CompletionDeclared { told: vec![A] }), Difference::StillOwed);
    let version = steplog::place::Version(1);
    assert_eq!(difference(1, Event::PageWrittenBack { page, version }), Difference::NotDue);
}

fn place_of(log: &[Step], which: impl Fn(&Event) -> bool) -> usize {
    log.iter().position(|step| which(&step.event)).expect("such a step")
}

/// Post-copy with a connection that breaks and comes back, after the lines before and before those after.
fn with_a_cut(before: Vec<Step>, progress: Progress, after: Vec<Step>) -> Vec<Step> {
    let noticed = |peer: HostId| Event::PeerDisconnected {
        peer: peer.into(),
        fate: Some(Fate::Paused(Cause::ConnectionLost)),
    };
    let connected = |peer: HostId, resync| Event::PeerConnected { peer: peer.into(), resync };
    let cut = vec![
        step(A, noticed(B)),
        step(B, noticed(A)),
        step(A, connected(B, None)),
        step(B, connected(A, Some(progress))),
    ];
    [before, cut, after].concat()
}

/// Is the log right over links of each kind, and rejected at the line of the step that is put in the place of this one?
fn refuses_instead(strategy: &Strategy, steps: &[Step], at: usize, others: impl IntoIterator<Item = Event>) {
    let others: Vec<_> = others.into_iter().collect();
    for link in [LinkOrder::Fifo, LinkOrder::Unordered, LinkOrder::Lossy] {
        let header = Header { link, disrupted: true, ..header(strategy, 2) };
        assert_eq!(waits(&header, strategy, steps), []);
        let text = ndjson(&header, steps);
        assert!(conform(text.as_bytes(), None).is_ok(), "read from a file it is right as well");
        for event in &others {
            let mut steps = steps.to_vec();
            steps[at].event = event.clone();
            match judged(&header, strategy.clone(), &steps) {
                Err(TraceError::Rejected(rejection)) => {
                    assert_eq!(rejection.line, at + 2, "{link:?}: {event:?}: {rejection}");
                }
                other => panic!("{link:?}: {event:?}: {other:?}"),
            }
        }
    }
}

/// Who talks again says how far it is, and is heard to say that; and which pages it lacks.
#[test]
fn what_is_said_over_a_new_connection() {
    use Progress::{AwaitingGo, Complete, Running};
    let connected = |peer: HostId, resync| Event::PeerConnected { peer: peer.into(), resync };
    let resynced = |progress, owed_again: &[u64], requested: &[u64]| {
        let pages = |of: &[u64]| of.iter().copied().map(PageNumber).collect();
        Event::ResyncAccepted {
            from: B,
            progress,
            owed_again: pages(owed_again),
            requested: pages(requested),
        }
    };
    let [first, second] = [0, 1].map(|page| pushed(page).to_vec());
    let moved = [vec![written(0, 0)], begun(), handed_over(), first].concat();
    let heard = vec![step(A, resynced(Running, &[], &[]))];
    let log = with_a_cut(moved.clone(), Running, [heard, second.clone(), ended()].concat());
    let resync = place_of(&log, |event| matches!(event, Event::ResyncAccepted { .. }));
    let wrong = [
        resynced(Complete, &[], &[]),
        resynced(AwaitingGo, &[], &[]),
        resynced(Running, &[0], &[]),
        resynced(Running, &[1], &[]),
        resynced(Running, &[2], &[]),
        resynced(Running, &[], &[0]),
        resynced(Running, &[], &[1]),
    ];
    refuses_instead(&POST_COPY, &log, resync, wrong);
    refuses_instead(
        &POST_COPY,
        &log,
        resync - 1,
        [AwaitingGo, Complete].map(|progress| connected(A, Some(progress))),
    );
    let source = [AwaitingGo, Running, Complete].map(|progress| connected(B, Some(progress)));
    refuses_instead(&POST_COPY, &log, resync - 2, source);
    let disconnected = Event::PeerDisconnected { peer: A.into(), fate: Some(Fate::Migrated) };
    refuses_instead(&POST_COPY, &log, resync - 3, [disconnected]);

    // That nothing is missing is lost with the connection.
    let [declared, learned, destroyed, at_rest] =
        <[Step; 4]>::try_from(ended()).expect("four steps").map(|step| vec![step]);
    let moved = [moved, second, declared].concat();
    let log = with_a_cut(moved, Complete, [learned, destroyed, at_rest].concat());
    let learned = place_of(&log, |event| matches!(event, Event::CompletionLearned { .. }));
    let wrong = [AwaitingGo, Running].map(|progress| connected(A, Some(progress)));
    refuses_instead(&POST_COPY, &log, learned - 1, wrong);
    // The file server is no part of it.
    let mut log = log;
    let lost = Event::PeerDisconnected { peer: Place::FileServer, fate: None };
    let found = |resync| Event::PeerConnected { peer: Place::FileServer, resync };
    log.splice(1..1, [lost, found(None)].map(|event| Step { epoch: Epoch(0), ..step(A, event) }));
    refuses_instead(
        &POST_COPY,
        &log,
        2,
        [AwaitingGo, Running, Complete].map(|progress| found(Some(progress))),
    );
}

/// What was sent and has not come is owed again, and what the process waits for is asked for: all of it, and once.
#[test]
fn what_is_lacking_over_a_new_connection() {
    let page = PageNumber(1);
    let resynced = |owed_again: &[PageNumber], requested: &[PageNumber]| {
        let (owed_again, requested) = (owed_again.to_vec(), requested.to_vec());
        Event::ResyncAccepted { from: B, progress: Progress::Running, owed_again, requested }
    };
    let served = step(A, Event::PageServed { page, sequence: Sequence(1), to: B });
    let asked = vec![
        step(B, Event::PageFaulted { page, asked: A.into() }),
        step(A, Event::RequestAccepted { page, from: B }),
        served.clone(),
    ];
    let arrives = vec![served, step(B, Event::PageInstalled { page, sequence: Sequence(1), from: A })];
    let moved = [vec![written(0, 0)], begun(), handed_over(), pushed(0).to_vec()].concat();
    let again = [vec![step(A, resynced(&[page], &[page]))], arrives.clone(), ended()].concat();
    let log = with_a_cut([moved.clone(), asked].concat(), Progress::Running, again);
    let resync = place_of(&log, |event| matches!(event, Event::ResyncAccepted { .. }));
    let lists: [[&[PageNumber]; 2]; 4] =
        [[&[], &[page]], [&[page], &[]], [&[page, page], &[page]], [&[page], &[page, page]]];
    refuses_instead(
        &POST_COPY,
        &log,
        resync,
        lists.map(|[owed_again, requested]| resynced(owed_again, requested)),
    );

    // The request itself is lost.
    let faulted = step(B, Event::PageFaulted { page, asked: A.into() });
    let again = [vec![step(A, resynced(&[], &[page]))], arrives, ended()].concat();
    let log = with_a_cut([moved, vec![faulted]].concat(), Progress::Running, again);
    let resync = place_of(&log, |event| matches!(event, Event::ResyncAccepted { .. }));
    let lists: [[&[PageNumber]; 2]; 3] = [[&[], &[]], [&[page], &[page]], [&[], &[page, page]]];
    refuses_instead(
        &POST_COPY,
        &log,
        resync,
        lists.map(|[owed_again, requested]| resynced(owed_again, requested)),
    );
}

/// A destination that has not said *ready* forgets what a dead source has sent; one that has is left with a process in doubt.
#[test]
fn what_is_left_when_the_source_is_dead() {
    let lost = |loss| Some(Fate::Lost(loss));
    let forgotten = Some(Fate::Forgotten(Cause::PeerDead));
    let fenced = |fate| Event::PeerFenced { peer: A, fate };
    let all = [
        None,
        Some(Fate::Migrated),
        Some(Fate::Paused(Cause::PeerDead)),
        Some(Fate::CarriedOn(Cause::PeerDead)),
    ];
    let moved = [vec![written(0, 0)], begun(), handed_over()].concat();
    let sent = place_of(&moved, |event| matches!(event, Event::StateSent { .. }));
    let declared = place_of(&moved, |event| matches!(event, Event::ReadinessDeclared { .. }));
    for (last, right, wrong) in [
        (sent, forgotten, lost(Loss::InDoubt)),
        (sent + 1, forgotten, lost(Loss::InDoubt)),
        (declared, lost(Loss::InDoubt), forgotten),
    ] {
        let log = [&moved[..=last], &[step(A, Event::HostCrashed), step(B, fenced(right))]].concat();
        refuses_instead(&POST_COPY, &log, last + 2, all.into_iter().chain([wrong]).map(fenced));
    }
}

/// What died with the other machine is said as it is: the process itself, or so many pages of it.
#[test]
fn what_is_lost_with_a_machine() {
    let fenced = |peer, fate| Event::PeerFenced { peer, fate };
    let losses =
        [Loss::Runner, Loss::InDoubt, Loss::Pages(0), Loss::Pages(1), Loss::Pages(2), Loss::Pages(3)];
    let others = |right: Loss| {
        let ends = [None, Some(Fate::Migrated), Some(Fate::CarriedOn(Cause::PeerDead))];
        let losses = losses.into_iter().filter(move |loss| *loss != right).map(Fate::Lost).map(Some);
        ends.into_iter().chain(losses)
    };
    let moved = [vec![written(0, 0)], begun(), handed_over()].concat();
    // Where the process is, two pages are owed, or one of them has come; where it was, the process itself is gone.
    for (before, dead, told, right) in [
        (moved.clone(), A, B, Loss::Pages(2)),
        ([moved.clone(), pushed(0).to_vec()].concat(), A, B, Loss::Pages(1)),
        (moved, B, A, Loss::Runner),
    ] {
        let at = before.len() + 1;
        let fate = Some(Fate::Lost(right));
        let freed = step(told, Event::ImageDestroyed { told: None });
        let log =
            [before, vec![step(dead, Event::HostCrashed), step(told, fenced(dead, fate)), freed]].concat();
        refuses_instead(&POST_COPY, &log, at, others(right).map(|fate| fenced(dead, fate)));
    }
}

/// A process that is on its way back is lost with the pages that it had left where it goes to.
#[test]
fn what_is_lost_on_the_way_back() {
    let fenced = |fate| Event::PeerFenced { peer: A, fate };
    let page = PageNumber(1);
    let sequence = Sequence(1);
    let there = vec![
        step(B, Event::PageFaulted { page, asked: A.into() }),
        step(A, Event::RequestAccepted { page, from: B }),
        step(A, Event::PageServed { page, sequence, to: B }),
        step(B, Event::PageInstalled { page, sequence, from: A }),
    ];
    let registers = Bytes::default();
    let back = [
        step(A, Event::MigrationExpected { from: B }),
        step(B, Event::MigrationStarted { to: A }),
        step(B, Event::ProcessSuspended { registers, code_page: None, stack_page: None, switched: false }),
        step(B, Event::PageTransferred { page, sequence, to: A }),
        step(B, Event::StateSent { to: A }),
        step(A, Event::HostCrashed),
        step(B, fenced(Some(Fate::Lost(Loss::Pages(1))))),
    ];
    let back = back.map(|step| Step { epoch: Epoch(2), ..step });
    let freed = step(B, Event::ImageDestroyed { told: None });
    let log = [vec![written(0, 0)], begun(), handed_over(), there, back.to_vec(), vec![freed]].concat();
    let others = [
        None,
        Some(Fate::CarriedOn(Cause::PeerDead)),
        Some(Fate::Lost(Loss::Pages(2))),
        Some(Fate::Lost(Loss::InDoubt)),
    ];
    refuses_instead(&LAZY_COPY, &log, log.len() - 2, others.map(fenced));
}

/// The page that comes is needed: nobody ignores it, whatever may come late of a migration before.
#[test]
fn a_page_that_is_needed_is_not_ignored() {
    let log = post_copy();
    let arrives = place_of(&log, |event| matches!(event, Event::PageInstalled { .. }));
    let (page, number) = (Some(PageNumber(0)), Some(1));
    let mut steps = log.clone();
    steps[arrives].event = Event::MessageIgnored { kind: MessageKind::Page, page, number, from: A.into() };
    for link in [LinkOrder::Fifo, LinkOrder::Unordered, LinkOrder::Lossy] {
        let header = Header { link, ..header(&POST_COPY, 2) };
        assert_eq!(waits(&header, &POST_COPY, &log), []);
        match judged(&header, POST_COPY, &steps) {
            Err(TraceError::Rejected(rejection)) => {
                assert_eq!(rejection.line, arrives + 2, "{link:?}: {rejection}")
            }
            other => panic!("{link:?}: {other:?}"),
        }
    }
}

/// Once it has learned that the process has exited, a host sends nothing more of it.
#[test]
fn pages_of_a_process_that_has_exited() {
    let exits = [
        step(B, Event::ProcessExited),
        step(B, Event::ProcessReleased { told: vec![A] }),
        step(A, Event::ExitLearned { from: B }),
        step(A, Event::ImageDestroyed { told: None }),
    ];
    let log = [vec![written(0, 0)], begun(), handed_over(), exits.to_vec()].concat();
    let (page, sequence) = (PageNumber(0), Sequence(1));
    let sent = [Event::PagePushed { page, sequence, to: B }, Event::PageServed { page, sequence, to: B }];
    refuses_instead(&POST_COPY, &log, log.len() - 1, sent);
}

/// Whoever does not see that a host is ready may all the same see that the other has heard it.
#[test]
fn readiness_that_is_heard_and_not_said() {
    let header = Header { unseen: [Unseen::Readiness].into(), ..header(&POST_COPY, 2) };
    let mut steps = post_copy();
    steps.retain(|step| !matches!(step.event, Event::ReadinessDeclared { .. }));
    assert_eq!(waits(&header, &POST_COPY, &steps), []);
    assert!(judged(&Header { unseen: [].into(), ..header }, POST_COPY, &steps).is_err());
}
