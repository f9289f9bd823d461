//! What a message of a peer costs the host that handles it: `cargo bench -p protocol --bench messages`.
//!
//! Prints ratios first. A short message must not become dearer with the size of the process: next to each row stands what
//! it costs with more and more pages, divided by what it costs with ten thousand. Where a message of a few bytes names
//! every page that is owed, its cost is divided by their number. Then criterion watches the smallest process for changes.
//!
//! Time a page grows where the records of all pages outgrow the caches, though not the work: with `MESSAGES=CASE:PAGES` in the
//! environment, as in `MESSAGES=exit:160000`, one message is handled once, for whoever counts instructions;
//! `MESSAGES=CASE:PAGES:0` only makes the host, to be subtracted.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion};
use protocol::host::{Host, MessageOutcome, Suspension, Work};
use protocol::memory::Elided;
use protocol::page::{Image, PAGE_COUNT_MAX, PageBytes};
use protocol::policy::Policy;
use protocol::wire::{FormerHost, Message, PageRuns, Plan, PlanEntry, Resync, State, Whereabouts};
use steplog::message::Progress;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Sequence, Version};

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const EPOCH: Epoch = Epoch(1);

/// Numbers of pages; the first is what the others are compared with.
const PAGES: [u64; 4] = [10_000, 160_000, 2_560_000, PAGE_COUNT_MAX];

/// Times that a message is handed in where it leaves the host as it was.
const REPEATS: u32 = 1000;

/// A kind of message in a phase, and whether it names every page.
struct Case {
    name: &'static str,
    names_every_page: bool,
    /// The host, and what it is sent, made for so many pages.
    prepare: fn(u64) -> (Host<Elided>, Message),
    /// Whether the host is as it was afterwards, so that the message can be handed in again.
    repeatable: bool,
}

const CASES: [Case; 9] = [
    Case { name: "page, duplicate", names_every_page: false, prepare: duplicate_page, repeatable: true },
    Case { name: "request, all requested", names_every_page: false, prepare: request, repeatable: true },
    Case { name: "resync, one page", names_every_page: false, prepare: resync_of_one, repeatable: true },
    Case { name: "resync, every page", names_every_page: true, prepare: resync_of_all, repeatable: false },
    Case { name: "state, refused", names_every_page: false, prepare: refused_state, repeatable: true },
    Case { name: "state, accepted", names_every_page: true, prepare: accepted_state, repeatable: false },
    Case { name: "complete, refused", names_every_page: false, prepare: complete, repeatable: true },
    Case { name: "cancel", names_every_page: false, prepare: cancel, repeatable: false },
    Case { name: "exit", names_every_page: false, prepare: exit, repeatable: false },
];

fn occupied(policy: Policy, pages: u64) -> Host<Elided> {
    let image = Arc::new(Image::blank(pages, 0));
    Host::occupied(A, policy, image, Elided::loaded(pages)).expect("a consistent policy")
}

fn receiving(pages: u64) -> Host<Elided> {
    let image = Arc::new(Image::blank(pages, 0));
    let host = Host::vacant(B, Policy::POST_COPY, image, Elided::vacant(pages));
    let mut host = host.expect("a consistent policy");
    host.expect_migration(A, EPOCH).expect("a vacant host");
    host
}

/// The process has moved on and every page is still owed.
fn shadow(pages: u64) -> Host<Elided> {
    let mut host = occupied(Policy::POST_COPY, pages);
    host.start_migration(B).expect("a process at rest");
    host.suspend(Suspension::default()).expect("a running process");
    host.perform(Work::SendState).expect("nothing else to send");
    host.handle_message(B.into(), EPOCH, &Message::Ready).expect("the state is sent");
    host.perform(Work::HandOver).expect("the destination is ready");
    quiet(&mut host);
    host
}

fn quiet(host: &mut Host<Elided>) {
    while host.poll_event().is_some() || host.poll_message().is_some() {}
}

fn duplicate_page(pages: u64) -> (Host<Elided>, Message) {
    let mut host = receiving(pages);
    let page = Message::Page { page: PageNumber(0), sequence: Sequence(1), content: PageBytes::zeroed() };
    host.handle_message(A.into(), EPOCH, &page).expect("the first");
    (host, page)
}

fn request(pages: u64) -> (Host<Elided>, Message) {
    let mut host = shadow(pages);
    for page in (0..pages).map(PageNumber) {
        host.handle_message(B.into(), EPOCH, &Message::Request { page }).expect("a page that is owed");
        quiet(&mut host);
    }
    (host, Message::Request { page: PageNumber(pages / 2) })
}

fn resync(lacks: Vec<(u32, u32)>) -> Message {
    let lacks = PageRuns::from_runs(lacks).expect("runs within the process");
    Message::Resync(Resync { progress: Progress::Running, waits: PageRuns::default(), lacks })
}

fn resync_of_one(pages: u64) -> (Host<Elided>, Message) {
    (shadow(pages), resync(vec![(7, 1)]))
}

fn resync_of_all(pages: u64) -> (Host<Elided>, Message) {
    let mut host = shadow(pages);
    for page in (0..pages).map(PageNumber) {
        host.perform(Work::Push(page)).expect("a page that is owed");
        quiet(&mut host);
    }
    host.connected(B).expect("a host that works");
    quiet(&mut host);
    (host, resync(vec![(0, pages as u32)]))
}

fn state(pages: u64, version: u64) -> Message {
    let whereabouts = Whereabouts::At(FormerHost { host: A, epoch: EPOCH }, Sequence(0));
    let entry = PlanEntry { whereabouts, dirty: false, version: Version(version) };
    let plan = Plan::from_runs(vec![(pages as u32, entry)]).expect("a run within the process");
    Message::State(State { registers: Vec::new(), former_hosts: Vec::new(), plan })
}

fn refused_state(pages: u64) -> (Host<Elided>, Message) {
    (receiving(pages), state(pages, u64::MAX))
}

fn accepted_state(pages: u64) -> (Host<Elided>, Message) {
    (receiving(pages), state(pages, 0))
}

fn complete(pages: u64) -> (Host<Elided>, Message) {
    (shadow(pages), Message::Complete)
}

fn cancel(pages: u64) -> (Host<Elided>, Message) {
    (receiving(pages), Message::Cancel)
}

fn exit(pages: u64) -> (Host<Elided>, Message) {
    (shadow(pages), Message::Exit)
}

fn hand_in(host: &mut Host<Elided>, message: &Message) -> bool {
    let from = if host.id() == A { B } else { A };
    let handled = black_box(host.handle_message(from.into(), EPOCH, black_box(message)));
    matches!(handled, Ok(MessageOutcome::Applied))
}

/// The least of three where that costs no new process of this size, since what others take away only makes it longer.
fn cost(case: &Case, pages: u64) -> Duration {
    let (mut host, message) = (case.prepare)(pages);
    if !case.repeatable {
        let start = Instant::now();
        assert!(hand_in(&mut host, &message), "{}", case.name);
        return start.elapsed();
    }
    let mut once = || {
        let start = Instant::now();
        for _ in 0..REPEATS {
            assert!(!hand_in(&mut host, &message), "{}", case.name);
            quiet(&mut host);
        }
        start.elapsed() / REPEATS
    };
    let [first, second, third] = [once(), once(), once()];
    first.min(second).min(third)
}

fn ratios() {
    println!(
        "{:<28}{:>14}{}",
        "",
        "ns at 10 000",
        PAGES[1..].iter().map(|pages| format!("{pages:>14}")).collect::<String>()
    );
    for case in &CASES {
        let per = |pages: u64| if case.names_every_page { pages as f64 } else { 1.0 };
        let costs = PAGES.map(|pages| cost(case, pages).as_nanos() as f64 / per(pages));
        let name = format!("{}{}", case.name, if case.names_every_page { ", a page" } else { "" });
        let ratios = costs[1..].iter().map(|cost| format!("{:>13.1}x", cost / costs[0])).collect::<String>();
        println!("{name:<28}{:>14.1}{ratios}", costs[0]);
    }
}

/// What `MESSAGES` asks for.
fn asked(of: &str) -> Option<()> {
    let mut words = of.split(':');
    let name = words.next()?;
    let case = CASES.iter().find(|case| case.name == name)?;
    let (mut host, message) = (case.prepare)(words.next()?.parse().ok()?);
    if words.next() != Some("0") {
        hand_in(&mut host, &message);
    }
    // What becomes of the host afterwards is not the message's.
    std::mem::forget((host, message));
    Some(())
}

fn main() {
    if let Ok(of) = std::env::var("MESSAGES") {
        return asked(&of).expect("a message that is in the table, and how many pages");
    }
    let mut criterion = Criterion::default().configure_from_args();
    // Run by `cargo test`, each benchmark is tried once, and nothing is measured.
    if !std::env::args().any(|argument| argument == "--test") {
        ratios();
    }
    for case in &CASES {
        criterion.bench_function(case.name, |bencher| {
            let prepare = || (case.prepare)(PAGES[0]);
            bencher.iter_batched_ref(
                prepare,
                |(host, message)| hand_in(host, message),
                BatchSize::PerIteration,
            );
        });
    }
    criterion.final_summary();
}
