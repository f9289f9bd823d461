//! Where a formula says what a migration costs, the simulation agrees: to the page, and to the microsecond.

use checker::simulate::{
    CostModel, FaultCounts, Fraction, PageCounts, SimulatedWorkload, SimulationOutcome, SimulationSetup,
    Span, message_bytes, run,
};
use protocol::policy::Policy;
use steplog::message::MessageKind;

use crate::{pre_copy_once, setup};

/// Time on the link of so many messages.
fn sending_ns(setup: &SimulationSetup, kind: MessageKind, count: u64) -> f64 {
    (message_bytes(kind, setup) * count * 8) as f64 * 1e9 / setup.costs.bandwidth_bits_per_s as f64
}

fn pages_ns(setup: &SimulationSetup, count: u64) -> f64 {
    sending_ns(setup, MessageKind::Page, count)
}

/// The state, and the two words of the hand-over.
fn hand_over_ns(setup: &SimulationSetup) -> f64 {
    let words = [MessageKind::State, MessageKind::Ready, MessageKind::Go];
    words.map(|kind| sending_ns(setup, kind, 1) + setup.costs.latency_ns as f64).iter().sum()
}

/// Complete and destroyed.
fn farewell_ns(setup: &SimulationSetup) -> f64 {
    2.0 * (sending_ns(setup, MessageKind::Complete, 1) + setup.costs.latency_ns as f64)
}

/// How many page messages fit into the send buffer.
fn buffered(setup: &SimulationSetup) -> u64 {
    setup.costs.send_buffer_bytes / message_bytes(MessageKind::Page, setup)
}

#[track_caller]
fn assert_close(span: Span, expected_ns: f64) {
    let ns = span.ns().expect("it ends") as f64;
    assert!((ns - expected_ns).abs() <= 1000.0, "{ns} ns, expected {expected_ns} ns");
}

fn outcome(setup: &SimulationSetup) -> SimulationOutcome {
    run(setup).expect("it runs")
}

/// Large and small pages, fast and slow links, so that no formula holds by the accident of one setting.
fn settings(policy: Policy, workload: SimulatedWorkload) -> [SimulationSetup; 3] {
    let published = setup(policy, workload);
    let other = SimulationSetup {
        memory_bytes: 77_000_000,
        page_size_bytes: 16_384,
        costs: CostModel {
            bandwidth_bits_per_s: 1_234_567_890,
            latency_ns: 1_000_000,
            send_buffer_bytes: 100_000,
            state_bytes: 9_999,
            request_pause_ns: 3_000,
            ..CostModel::PAPER
        },
        ..published.clone()
    };
    let costs = CostModel { bandwidth_bits_per_s: 56_000, ..CostModel::PAPER };
    let slow = SimulationSetup { memory_bytes: 1 << 20, costs, ..published.clone() };
    [published, other, slow]
}

#[test]
fn total_copy_freezes_for_the_whole_address_space_whatever_the_process_does() {
    for workload in [SimulatedWorkload::Uniform, SimulatedWorkload::None, SimulatedWorkload::All] {
        for setup in settings(Policy::TOTAL_COPY, workload) {
            let outcome = outcome(&setup);
            let pages = outcome.page_count;
            assert_eq!(outcome.pages, PageCounts { transferred: pages, ..PageCounts::default() });
            assert_eq!((outcome.pre_migration, outcome.post_migration), (Span::Ns(0), Span::Ns(0)));
            assert_close(outcome.freeze, pages_ns(&setup, pages) + hand_over_ns(&setup));
            assert_eq!(outcome.faults, FaultCounts::default());
        }
    }
}

#[test]
fn pre_copy_at_its_best_freezes_for_what_is_in_the_send_buffer() {
    for setup in settings(pre_copy_once(), SimulatedWorkload::None) {
        let outcome = outcome(&setup);
        let pages = outcome.page_count;
        assert_eq!(outcome.pages, PageCounts { copied: pages, ..PageCounts::default() });
        assert_eq!(outcome.copying_ns, pages_ns(&setup, pages) as u64);
        // The last page is copied as soon as there is room for it: when the first that is not in the way has left.
        assert_close(outcome.pre_migration, pages_ns(&setup, pages - buffered(&setup)));
        assert_close(outcome.freeze, pages_ns(&setup, buffered(&setup)) + hand_over_ns(&setup));
    }
}

#[test]
fn pre_copy_at_its_worst_freezes_for_the_whole_address_space_once_more() {
    for setup in settings(pre_copy_once(), SimulatedWorkload::All) {
        let outcome = outcome(&setup);
        let pages = outcome.page_count;
        assert_eq!(
            outcome.pages,
            PageCounts { copied: pages, transferred: pages, sent_again: pages, ..PageCounts::default() }
        );
        assert_close(outcome.total(), pages_ns(&setup, 2 * pages) + hand_over_ns(&setup));
        assert_close(outcome.freeze, pages_ns(&setup, buffered(&setup) + pages) + hand_over_ns(&setup));
    }
}

#[test]
fn dirty_pages_alone_travel_where_the_rest_is_in_the_local_store() {
    for (dirty_share, share) in [(Fraction::NONE, 0.0), (Fraction::ALL, 1.0)] {
        for setup in settings(Policy::TOTAL_COPY_DIRTY, SimulatedWorkload::None) {
            let setup = SimulationSetup { dirty_share, ..setup };
            let outcome = outcome(&setup);
            let pages = (outcome.page_count as f64 * share) as u64;
            assert_eq!(outcome.pages, PageCounts { transferred: pages, ..PageCounts::default() });
            assert_close(outcome.freeze, pages_ns(&setup, pages) + hand_over_ns(&setup));
        }
    }
}

#[test]
fn without_a_fault_post_copy_takes_as_long_as_its_pages() {
    for setup in settings(Policy::POST_COPY, SimulatedWorkload::None) {
        let outcome = outcome(&setup);
        let pages = outcome.page_count;
        assert_eq!(outcome.pages, PageCounts { pushed: pages, ..PageCounts::default() });
        assert_close(outcome.freeze, hand_over_ns(&setup));
        // The first page leaves with the go, which needs a latency to be the resume; the last needs one to arrive.
        assert_close(outcome.post_migration, pages_ns(&setup, pages) + farewell_ns(&setup));
        assert_eq!((outcome.faults, outcome.stall_ns), (FaultCounts::default(), 0));
    }
}

/// Every page is requested while the one before it is on its way, and each request keeps the source from sending.
#[test]
fn with_a_fault_for_every_page_post_copy_takes_as_long_as_its_pages_and_pauses() {
    let setup = setup(Policy::POST_COPY, SimulatedWorkload::All);
    let outcome = outcome(&setup);
    let pages = outcome.page_count;
    assert_eq!(outcome.faults, FaultCounts { at_source: pages, ..FaultCounts::default() });
    assert_eq!(outcome.pages.served + outcome.pages.pushed, pages);
    let pauses_ns = (setup.costs.request_pause_ns * pages) as f64;
    assert_close(outcome.post_migration, pages_ns(&setup, pages) + pauses_ns + farewell_ns(&setup));
}

/// A fault of lazy copy: request, pause, page.
#[test]
fn lazy_copy_fetches_each_page_it_touches_at_the_price_of_a_round_trip() {
    for setup in settings(Policy::LAZY_COPY, SimulatedWorkload::All) {
        let outcome = outcome(&setup);
        let pages = outcome.page_count;
        assert_eq!(outcome.pages, PageCounts { served: pages, ..PageCounts::default() });
        assert_eq!(outcome.post_migration, Span::Endless);
        let fault_ns = sending_ns(&setup, MessageKind::Request, 1)
            + pages_ns(&setup, 1)
            + (setup.costs.request_pause_ns + 2 * setup.costs.latency_ns) as f64;
        // Each fault starts at a whole nanosecond.
        let error_ns = outcome.stall_ns as f64 - fault_ns * pages as f64;
        assert!(error_ns.abs() <= 2.0 * pages as f64, "{error_ns}");
    }
}

#[test]
fn flushing_at_its_worst_writes_everything_and_waits_for_the_last_acknowledgement() {
    for setup in settings(Policy::FLUSHING, SimulatedWorkload::All) {
        let outcome = outcome(&setup);
        let pages = outcome.page_count;
        assert_eq!(outcome.pages, PageCounts { flushed: pages, fetched: pages, ..PageCounts::default() });
        let acknowledgement_ns =
            sending_ns(&setup, MessageKind::WriteBackDone, 1) + 2.0 * setup.costs.latency_ns as f64;
        assert_close(outcome.freeze, pages_ns(&setup, pages) + acknowledgement_ns + hand_over_ns(&setup));
    }
}
