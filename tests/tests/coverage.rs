//! Real endpoints go through every transition of the model's graphs: all algorithms, two hosts, fifo and unordered
//! links, and lossy ones with one page; also while one thing goes wrong. What they do not go through has a reason, and the
//! output says how much it is. A reason that they refute is none.
//!
//! ```sh
//! cargo test -p conformance --test coverage -- --nocapture
//! ```

use enumset::EnumSet;
use model::disruption::Disruptions;
use model::strategy::{Real, Stop};
use model::{Hosts, Migration, Strategy, algorithms};
use tie::drive::{DriveCoverage, drive};
use tie::network::RigOrder;

/// The model's FIFO keeps the order of one page's messages; any order of different pages is driven as well.
const RELIABLE: [RigOrder; 2] = [RigOrder::FifoByPage, RigOrder::Unordered];

fn cover(strategies: impl Iterator<Item = Strategy>, orders: &[RigOrder], pages: usize) {
    cover_disrupted(strategies, orders, pages, Disruptions::NONE);
}

fn cover_disrupted(
    strategies: impl Iterator<Item = Strategy>,
    orders: &[RigOrder],
    pages: usize,
    disruptions: Disruptions,
) {
    for strategy in strategies {
        for &order in orders {
            let migration = Migration::new(strategy.clone(), Hosts::Two, order.link());
            let migration = migration.with_disruptions(disruptions);
            let name = &strategy.name;
            let coverage =
                drive(&migration, order, pages, None).unwrap_or_else(|error| panic!("{name}: {error}"));
            print(name, order, pages, &coverage);
            let unexcused: Vec<_> = coverage.unexcused().collect();
            assert!(unexcused.is_empty(), "{name}, {order:?}: not driven: {unexcused:#?}");
            let refuted = &coverage.refuted;
            assert!(refuted.is_empty(), "{name}, {order:?}: driven in spite of an excuse: {refuted:#?}");
            assert!(2 * coverage.driven > coverage.transitions, "{name}: most of them are driven");
        }
    }
}

fn print(name: &str, order: RigOrder, pages: usize, coverage: &DriveCoverage) {
    let DriveCoverage { states, transitions, driven, actions, .. } = coverage;
    let percent = 100.0 * *driven as f64 / *transitions as f64;
    println!(
        "{name}, {pages} pages, {order:?}: {driven} of {transitions} transitions driven ({percent:.1} %), \
         {states} states, {actions} real steps"
    );
    for (excuse, count) in coverage.reasons() {
        println!("    not {count}: {excuse:?}");
    }
}

fn without_generic() -> impl Iterator<Item = Strategy> {
    everything().filter(|strategy| !strategy.name.starts_with("generic"))
}

fn everything() -> impl Iterator<Item = Strategy> {
    algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS)
}

#[test]
fn one_page() {
    cover(everything(), &RELIABLE, 1);
}

#[test]
fn one_page_over_lossy_links() {
    cover(everything(), &[RigOrder::Lossy], 1);
}

#[test]
fn two_pages() {
    cover(everything(), &RELIABLE, 2);
}

#[test]
fn three_pages() {
    cover(without_generic(), &RELIABLE, 3);
}

/// Takes longer than the others together.
#[test]
fn three_pages_of_the_generic_algorithm() {
    cover([algorithms::GENERIC].into_iter(), &RELIABLE, 3);
}

/// Copying may end at any moment, with the pass unfinished. Not with unbounded passes: there a third content of one page may be
/// under way when the freeze sends it, and a record of the model has room for two.
#[test]
fn a_pass_cut_short() {
    let real = Real { stop: Stop::Target, ..Real::NONE };
    let stops = |strategy: Strategy| Strategy { real, ..strategy };
    let cut_short = [algorithms::PRE_COPY, algorithms::ASSISTED_POST_COPY];
    cover(cut_short.clone().into_iter().map(stops), &RELIABLE, 1);
    cover(cut_short.into_iter().map(stops), &[RigOrder::FifoByPage], 2);
    cover_disrupted([stops(algorithms::ASSISTED_POST_COPY)].into_iter(), &RELIABLE, 1, once());
}

/// One disruption, of any kind.
fn once() -> Disruptions {
    Disruptions::up_to(1, EnumSet::all())
}

#[test]
fn one_page_and_one_disruption() {
    cover_disrupted(everything(), &RELIABLE, 1, once());
}

#[test]
fn two_pages_and_one_disruption() {
    cover_disrupted(without_generic(), &[RigOrder::FifoByPage], 2, once());
}

/// Without the generic algorithm, which takes longer than all others together; `proofs-notes/refinement.md` has its figures.
#[test]
fn one_page_and_one_disruption_over_lossy_links() {
    cover_disrupted(without_generic(), &[RigOrder::Lossy], 1, once());
}

/// A destination that asks for every page.
#[test]
fn pulling() {
    let pull = || [algorithms::POST_COPY_PULL].into_iter();
    cover(pull(), &RELIABLE, 1);
    cover(pull(), &RELIABLE, 2);
    cover(pull(), &[RigOrder::Lossy], 1);
    cover_disrupted(pull(), &[RigOrder::FifoByPage], 1, once());
}
