//! The simulation against itself and against contents.

use checker::bounds::Cost;
use checker::simulate::bounds::bounded;
use checker::simulate::{
    Fraction, Preset, SimulatedWorkload, SimulationOutcome, SimulationSetup, Span, message_bytes, run,
    run_with_contents,
};
use model::algorithms::built_in;
use protocol::page::{PAGE_SIZE, PageBytes};
use protocol::policy::{Passes, Policy, Pre};
use protocol::wire::{Message, encode};
use steplog::page::PageNumber;
use steplog::place::{Epoch, Place, Sequence, Version};
use world::random::Random;

use crate::setup;

const WORKLOADS: [SimulatedWorkload; 7] = [
    SimulatedWorkload::Uniform,
    SimulatedWorkload::Sequential,
    SimulatedWorkload::Zipf,
    SimulatedWorkload::WorkingSet,
    SimulatedWorkload::Local,
    SimulatedWorkload::None,
    SimulatedWorkload::All,
];

/// Every algorithm under every workload and with the costs of every system, in a small address space.
fn small() -> impl Iterator<Item = SimulationSetup> {
    let alike = |workload: &SimulatedWorkload, policy: &Policy| {
        let others = [Preset::Qemu, Preset::Criu, Preset::Sojourn].map(|preset| {
            let threads = 3;
            SimulationSetup {
                workload: workload.clone(),
                zero_share: Fraction::HALF,
                threads,
                ..SimulationSetup::new(policy.clone(), preset)
            }
        });
        let small = |setup| SimulationSetup { memory_bytes: 1 << 18, accesses_min: 500, ..setup };
        std::iter::once(setup(policy.clone(), workload.clone())).chain(others).map(small).collect::<Vec<_>>()
    };
    WORKLOADS
        .into_iter()
        .flat_map(move |workload| Policy::ALL.into_iter().flat_map(move |policy| alike(&workload, &policy)))
}

fn outcome(setup: &SimulationSetup) -> SimulationOutcome {
    run(setup).expect("it runs")
}

#[test]
fn contents_change_nothing() {
    for setup in small() {
        assert_eq!(run_with_contents(&setup), run(&setup), "{} {:?}", setup.policy.name, setup.workload);
    }
}

/// And a figure that no run can have is noticed, whichever it is.
#[test]
fn every_figure_is_between_its_bounds() {
    for setup in small() {
        let name = &setup.policy.name;
        let strategy = built_in(name).expect("an algorithm that is built in");
        let outcome = outcome(&setup);
        let rows = bounded(&strategy, &setup, &outcome).expect("a small graph");
        assert_eq!(rows.len(), 7, "{name}");
        for row in rows {
            assert!(row.is_within(), "{name} {:?}: {row:?}", setup.workload);
        }
        let mut wrong = outcome;
        wrong.pages.transferred += wrong.page_count + 3;
        let rows = bounded(&strategy, &setup, &wrong).expect("a small graph");
        let outside = rows.iter().filter(|row| !row.is_within()).map(|row| row.cost);
        assert!(
            outside.clone().any(|cost| cost == Cost::Frozen),
            "{name}: {:?}",
            outside.collect::<Vec<_>>()
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_outcome_and_another_seed_another() {
    for policy in Policy::ALL {
        let setup = setup(policy, SimulatedWorkload::Uniform);
        assert_eq!(outcome(&setup), outcome(&setup));
        let other = SimulationSetup { seed: 2, ..setup.clone() };
        // Total copy costs the same whatever the process does; only its accesses differ, and they cost nothing.
        assert_eq!(
            outcome(&setup) == outcome(&other),
            setup.policy == Policy::TOTAL_COPY,
            "{}",
            setup.policy.name
        );
    }
}

#[test]
fn every_page_that_is_missing_comes_once_and_every_access_is_done() {
    for setup in small() {
        let (name, outcome) = (&setup.policy.name, outcome(&setup));
        if let Some(divergence) = outcome.divergence {
            assert_eq!(&**name, "pre-copy-unbounded", "{divergence:?}");
            continue;
        }
        let expected = match setup.workload {
            SimulatedWorkload::None => 0,
            SimulatedWorkload::All => outcome.page_count,
            _ => setup.accesses_min,
        };
        assert!(outcome.accesses >= expected, "{name}: {outcome:?}");
        let different = outcome.pages_from_source() - outcome.pages.sent_again;
        assert!(different <= outcome.page_count, "{name}: {outcome:?}");
        let all_move = ["total-copy", "pre-copy", "pre-copy-unbounded", "post-copy", "assisted-post-copy"];
        assert!(!all_move.contains(&&**name) || different == outcome.page_count, "{name}: {outcome:?}");
        let sent: u64 = outcome.sent.iter().map(|sent| sent.pages).sum();
        let pages = outcome.pages;
        assert_eq!(sent, outcome.pages_from_source() + pages.flushed + pages.written_back + pages.fetched);
    }
}

/// What encryption adds to a message that is sent by itself.
const RECORD_BYTES: u64 = 22;

/// Pages of the reference are, to a byte; what has none is a few bytes longer or shorter than the header that all have.
#[test]
fn a_message_is_as_long_as_it_is_on_the_wire() {
    let mut setup = setup(Policy::GENERIC, SimulatedWorkload::None);
    setup.costs = Preset::Sojourn.costs();
    let mut random = Random::new(1);
    let mut content = PageBytes::zeroed();
    content.as_mut_slice().iter_mut().for_each(|byte| *byte = random.next() as u8);
    assert_eq!(setup.page_size_bytes, PAGE_SIZE as u64);
    let (page, version) = (PageNumber(20_000), Version(1));
    for message in [
        Message::Page { page, sequence: Sequence(1), content: content.clone() },
        Message::WriteBack { page, version, content: content.clone() },
        Message::Fetched { page, version, content },
        Message::WriteBackDone { page, version },
        Message::Request { page },
        Message::Fetch { page },
        Message::Ready,
        Message::Go,
        Message::Complete,
        Message::Destroyed,
        Message::Exit,
    ] {
        let frame = encode(Epoch(1), &message).expect("it has a frame");
        let (sent, foretold) = (frame.len() as u64 + RECORD_BYTES, message_bytes(message.kind(), &setup));
        let apart = if message.page().is_some() && frame.len() > PAGE_SIZE { 0 } else { 8 };
        assert!(sent.abs_diff(foretold) <= apart, "{:?}: {sent}, {foretold}", message.kind());
    }
}

#[test]
fn what_is_sent_is_said_by_origin_and_destination() {
    let outcome = outcome(&setup(Policy::GENERIC, SimulatedWorkload::Uniform));
    let pairs: Vec<(Place, Place)> = outcome.sent.iter().map(|sent| (sent.from, sent.to)).collect();
    let [a, b] = [checker::simulate::SOURCE, checker::simulate::DESTINATION].map(Place::Host);
    let s = Place::FileServer;
    assert_eq!(pairs, [(a, b), (a, s), (b, a), (b, s), (s, a), (s, b)]);
}

/// The rate that is reported is the border: below it copying ends, beyond it does not.
#[test]
fn copying_ends_below_the_rate_that_is_said_to_be_the_border() {
    let policy = Policy { pre: Pre::Copy(Passes::UntilInStep), ..Policy::PRE_COPY };
    let writing = |rate: f64| {
        let interval_ns = (1e9 / rate) as u64;
        let setup = SimulationSetup {
            access_interval_ns: interval_ns,
            ..setup(policy.clone(), SimulatedWorkload::Uniform)
        };
        outcome(&SimulationSetup { write_share: Fraction::ALL, ..setup })
    };
    let diverged = writing(6000.0);
    let divergence = diverged.divergence.expect("it never ends");
    assert_eq!((diverged.pre_migration, diverged.freeze), (Span::Endless, Span::NotReached));
    assert!((divergence.writes_per_s.expect("a rate") - 6000.0).abs() < 1.0 && divergence.pages_left > 1000);
    let border = divergence.pages_per_s;
    assert!(writing(0.95 * border).divergence.is_none());
    assert!(writing(1.05 * border).divergence.is_some());
}
