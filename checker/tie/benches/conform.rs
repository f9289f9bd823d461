//! What a line of a log costs its judge, for address spaces of different sizes: it should not depend on their size.
//!
//! ```sh
//! cargo bench -p tie --bench conform
//! CONFORM=pre-copy:20 valgrind --tool=callgrind target/release/deps/conform-…
//! ```
//!
//! Prints ratios first: next to each kind of log stands what a line of it costs with more and more pages, divided by what
//! it costs with the fewest. With `CONFORM=LOG:PAGES_LOG2` in the environment one log is judged once, for whoever counts
//! instructions; `CONFORM=LOG:PAGES_LOG2:0` only makes it, to be subtracted.

#![allow(missing_docs, reason = "the macros of criterion make public functions")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use model::Strategy;
use model::algorithms::{GENERIC, POST_COPY, PRE_COPY};
use steplog::event::{Bytes, Event, Step};
use steplog::fate::{Cause, Fate};
use steplog::header::{Header, LinkOrder, Unseen};
use steplog::message::Progress;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Sequence, Version};
use tie::trace::conform_steps;

const A: HostId = HostId(0);
const B: HostId = HostId(1);

/// Sizes of the address space; the first is what the others are compared with.
const PAGES_LOG2: [u32; 5] = [12, 14, 16, 18, 20];

const FIRST: Sequence = Sequence(1);

/// A kind of log.
struct Case {
    name: &'static str,
    strategy: Strategy,
    /// The log with so many pages.
    log: fn(u64) -> (Header, Vec<Step>),
}

const CASES: [Case; 5] = [
    Case { name: "pre-copy", strategy: PRE_COPY, log: pre_copy },
    Case { name: "pre-copy-unseen", strategy: PRE_COPY, log: pre_copy_unseen },
    Case { name: "post-copy", strategy: POST_COPY, log: post_copy },
    Case { name: "post-copy-cut", strategy: POST_COPY, log: post_copy_cut },
    Case { name: "generic", strategy: GENERIC, log: generic },
];

fn step(place: impl Into<Place>, event: Event) -> Step {
    Step { at_ns: 0, place: place.into(), epoch: Epoch(1), event }
}

fn header(algorithm: &str, pages: u64) -> Header {
    Header::new(algorithm, LinkOrder::Fifo, pages)
}

fn begun() -> Vec<Step> {
    vec![step(B, Event::MigrationExpected { from: A }), step(A, Event::MigrationStarted { to: B })]
}

/// From the suspension to the resumption.
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

fn installed(page: PageNumber) -> Step {
    step(B, Event::PageInstalled { page, sequence: FIRST, from: A })
}

fn pushed(page: PageNumber) -> Step {
    step(A, Event::PagePushed { page, sequence: FIRST, to: B })
}

fn pages(range: std::ops::Range<u64>) -> impl DoubleEndedIterator<Item = PageNumber> {
    range.map(PageNumber)
}

/// Every page is copied once, and all are on their way at the same time.
fn pre_copy(count: u64) -> (Header, Vec<Step>) {
    let copied = |page| step(A, Event::PageCopied { page, sequence: FIRST, pass: 1, to: B });
    let copies = pages(0..count).map(copied).chain(pages(0..count).map(installed));
    let steps = begun().into_iter().chain(copies).chain(handed_over()).chain(ended()).collect();
    (header("pre-copy", count), steps)
}

/// The same, written by somebody who does not see the process write.
fn pre_copy_unseen(count: u64) -> (Header, Vec<Step>) {
    let (header, steps) = pre_copy(count);
    (Header { unseen: [Unseen::Writes].into(), ..header }, steps)
}

/// A quarter of the pages is asked for, from the last to the first; the rest is pushed.
fn post_copy(count: u64) -> (Header, Vec<Step>) {
    let asked = |page| {
        let accessed = step(B, Event::PageWritten { page, offset: 0, bytes: Bytes(vec![1]) });
        let served = Event::PageServed { page, sequence: FIRST, to: B };
        let fault = step(B, Event::PageFaulted { page, asked: A.into() });
        let request = step(A, Event::RequestAccepted { page, from: B });
        [fault, request, step(A, served), installed(page), accessed]
    };
    let rest = count / 4;
    let asked = pages(0..rest).rev().flat_map(asked);
    let pushes = pages(rest..count).map(pushed).chain(pages(rest..count).map(installed));
    let steps = begun().into_iter().chain(handed_over()).chain(asked).chain(pushes).chain(ended()).collect();
    (header("post-copy", count), steps)
}

/// Every page is pushed, and half of them are lost with the connection.
fn post_copy_cut(count: u64) -> (Header, Vec<Step>) {
    let lost = count / 2;
    let noticed = |fate| move |peer: HostId| Event::PeerDisconnected { peer: peer.into(), fate };
    let paused = Some(Fate::Paused(Cause::ConnectionLost));
    let again = pages(lost..count).collect();
    let recovered = [
        step(A, noticed(paused)(B)),
        step(B, noticed(paused)(A)),
        step(A, Event::PeerConnected { peer: B.into(), resync: None }),
        step(B, Event::PeerConnected { peer: A.into(), resync: Some(Progress::Running) }),
        step(
            A,
            Event::ResyncAccepted {
                from: B,
                progress: Progress::Running,
                owed_again: again,
                requested: vec![],
            },
        ),
    ];
    let first = pages(0..count).map(pushed).chain(pages(0..lost).map(installed));
    let second = pages(lost..count).map(pushed).chain(pages(lost..count).map(installed));
    let pushes = first.chain(recovered).chain(second);
    let steps = begun().into_iter().chain(handed_over()).chain(pushes).chain(ended()).collect();
    (Header { disrupted: true, ..header("post-copy", count) }, steps)
}

/// Every page is file-mapped, written to and written back; afterwards all come from the file server.
fn generic(count: u64) -> (Header, Vec<Step>) {
    let version = Version(1);
    let rest = |place: Place, event| Step { epoch: Epoch(0), ..step(place, event) };
    let (a, store) = (A.into(), Place::FileServer);
    let written = |page| rest(a, Event::PageWritten { page, offset: 0, bytes: Bytes(vec![1]) });
    let sent = |page| rest(a, Event::PageWrittenBack { page, version });
    let stored = |page| rest(store, Event::WriteBackStored { page, version, from: A });
    let done = |page| rest(a, Event::WriteBackAcknowledged { page, version });
    let fetched = |page| {
        let fault = step(B, Event::PageFaulted { page, asked: store });
        let served = step(store, Event::FetchServed { page, version, to: B });
        [fault, served, step(B, Event::PageFetched { page, version })]
    };
    let before = pages(0..count).map(written).chain(pages(0..count).map(sent));
    let before = before.chain(pages(0..count).map(stored)).chain(pages(0..count).map(done));
    let after = handed_over().into_iter().chain(ended()).chain(pages(0..count).flat_map(fetched));
    let steps = before.chain(begun()).chain(after).collect();
    (Header { file_mapped: (0..count).collect(), ..header("generic", count) }, steps)
}

fn judge(case: &Case, header: &Header, steps: &[Step]) {
    let judged = black_box(conform_steps(header.clone(), case.strategy.clone(), steps));
    assert_eq!(judged.map(|accepted| accepted.steps).map_err(|error| error.to_string()), Ok(steps.len()));
}

/// Nanoseconds that a line takes: the least of three, since what others take away only makes it longer.
fn cost_ns(case: &Case, pages_log2: u32) -> f64 {
    let (header, steps) = (case.log)(1 << pages_log2);
    let once = || {
        let start = Instant::now();
        judge(case, &header, &steps);
        start.elapsed().as_nanos() as f64 / steps.len() as f64
    };
    once().min(once()).min(once())
}

fn ratios() {
    let head = |pages_log2: &u32| format!("{:>9}", format!("2^{pages_log2}"));
    println!("{:<20}{:>12}{}", "", "ns at 2^12", PAGES_LOG2[1..].iter().map(head).collect::<String>());
    for case in &CASES {
        let costs = PAGES_LOG2.map(|pages_log2| cost_ns(case, pages_log2));
        let ratios = costs[1..].iter().map(|cost| format!("{:>8.1}x", cost / costs[0])).collect::<String>();
        println!("{:<20}{:>12.0}{ratios}", case.name, costs[0]);
    }
}

/// What `CONFORM` asks for.
fn asked(of: &str) -> Option<()> {
    let mut words = of.split(':');
    let name = words.next()?;
    let case = CASES.iter().find(|case| case.name == name)?;
    let (header, steps) = (case.log)(1 << words.next()?.parse::<u32>().ok()?);
    if words.next() != Some("0") {
        judge(case, &header, &steps);
    }
    println!("{} lines", steps.len());
    Some(())
}

fn main() {
    if let Ok(of) = std::env::var("CONFORM") {
        return asked(&of).expect("a log of this name, and how many pages");
    }
    let mut criterion = Criterion::default().configure_from_args();
    // Run by `cargo test`, each benchmark is tried once, and nothing is measured.
    if !std::env::args().any(|argument| argument == "--test") {
        ratios();
    }
    for case in &CASES {
        let (header, steps) = (case.log)(1 << PAGES_LOG2[0]);
        let mut group = criterion.benchmark_group("conform");
        group.sample_size(10).throughput(Throughput::Elements(steps.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(case.name), |bencher| {
            bencher.iter(|| judge(case, &header, &steps));
        });
        group.finish();
    }
    criterion.final_summary();
}
