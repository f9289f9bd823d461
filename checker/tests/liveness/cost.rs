//! What liveness costs next to safety, on the same unreduced graph and one thread.

use std::num::NonZeroUsize;
use std::time::Instant;

use checker::explore::{Options, explore};
use checker::liveness::{Assumptions, Space, judge};
use model::concrete::Concrete;
use model::system::Properties;
use model::{Hosts, Link, Migration, algorithms};

/// `cargo test -p checker --test liveness -- --ignored --nocapture cost`, on a machine with nothing else to
/// do: more than 10 million states.
#[test]
#[ignore = "takes a minute, and a quiet machine"]
fn all_properties_cost_at_most_three_times_the_safety_run() {
    let system = Migration::new(algorithms::GENERIC, Hosts::Two, Link::Fifo);
    let concrete = Concrete { system, pages: 4 };

    let started = Instant::now();
    let options = Options { symmetry: false, threads: NonZeroUsize::MIN, ..Options::default() };
    let safety = explore(&concrete, options).map(|explored| (explored.states, explored.transitions));
    let safety_s = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let space = Space::explore(&concrete);
    let built_s = started.elapsed().as_secs_f64();
    let verdicts = judge(&space, Properties::all(), &Assumptions::default(), 1);
    let liveness_s = started.elapsed().as_secs_f64();

    let graph = space.graph();
    assert_eq!(safety.ok(), Some((u64::from(graph.states()), graph.transitions() as u64)));
    assert_eq!(verdicts.map(|verdicts| verdicts.len()), Ok(7));
    println!("{} states, {} transitions", graph.states(), graph.transitions());
    println!("safety {safety_s:.2} s; liveness {liveness_s:.2} s, of which the graph {built_s:.2} s");
    println!("liveness is {:.2} times safety", liveness_s / safety_s);
    assert!(liveness_s <= 3.0 * safety_s);
}
