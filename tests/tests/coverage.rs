//! Real endpoints go through every transition of the model's graphs: all algorithms, two hosts, fifo and unordered
//! links, and lossy ones with one page. What they do not go through has a reason, and the output says how much it is.
//!
//! ```sh
//! cargo test -p conformance --test coverage -- --nocapture
//! ```

use checker::conform::drive::{Coverage, drive};
use checker::conform::network::Order;
use enumset::EnumSet;
use model::disruption::Disruptions;
use model::{Hosts, Migration, Strategy, algorithms};

/// The model's FIFO keeps the order of one page's messages; any order of different pages is driven as well.
const RELIABLE: [Order; 2] = [Order::FifoByPage, Order::Unordered];

fn cover(strategies: impl Iterator<Item = Strategy>, orders: &[Order], pages: usize) {
    for strategy in strategies {
        for &order in orders {
            let migration = Migration::new(strategy.clone(), Hosts::Two, order.link());
            let name = &strategy.name;
            let coverage =
                drive(&migration, order, pages, None).unwrap_or_else(|error| panic!("{name}: {error}"));
            print(name, order, pages, &coverage);
            let unexcused: Vec<_> = coverage.unexcused().collect();
            assert!(unexcused.is_empty(), "{name}, {order:?}: not driven: {unexcused:#?}");
            assert!(coverage.driven > 0, "{name}");
        }
    }
}

fn print(name: &str, order: Order, pages: usize, coverage: &Coverage) {
    let Coverage { states, transitions, driven, actions, .. } = coverage;
    let percent = 100.0 * *driven as f64 / *transitions as f64;
    println!(
        "{name}, {pages} pages, {order:?}: {driven} of {transitions} transitions driven ({percent:.1} %), \
         {states} states, {actions} real steps"
    );
    for ((excuse, step, phase), count) in coverage.classes() {
        println!("    not {count} × {step} in {phase}: {excuse:?}");
    }
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
    cover(everything(), &[Order::Lossy], 1);
}

#[test]
fn two_pages() {
    cover(everything(), &RELIABLE, 2);
}

#[test]
fn three_pages() {
    cover(everything().filter(|strategy| !strategy.name.starts_with("generic")), &RELIABLE, 3);
}

/// Takes longer than the others together.
#[test]
fn three_pages_of_the_generic_algorithm() {
    cover([algorithms::GENERIC].into_iter(), &RELIABLE, 3);
}

/// One disruption of any kind: every step that real endpoints can take then is a step of the model, and the share of the
/// model's that they take is reported. What is not driven has no reason given yet.
#[test]
fn one_page_and_one_disruption() {
    for strategy in algorithms::BUILT_IN {
        let order = Order::FifoByPage;
        let disruptions = Disruptions::up_to(1, EnumSet::all());
        let migration =
            Migration::new(strategy.clone(), Hosts::Two, order.link()).with_disruptions(disruptions);
        let name = &strategy.name;
        let coverage = drive(&migration, order, 1, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        print(name, order, 1, &coverage);
        assert!(2 * coverage.driven > coverage.transitions, "{name}: most of them are driven");
    }
}
