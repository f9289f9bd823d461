//! The explorer against stateright on the same model: `cargo bench -p checker --bench explore`.
//!
//! Prints ratios first: CPU seconds on one thread, wall-clock time on two, bytes a state, and what all seven
//! liveness properties cost next to the safety run. They mean little on a machine that is busy with
//! something else. stateright is given a single property that is always true, so it judges nothing, while
//! the explorer judges all ten safety properties.
//!
//! Then criterion watches two small explorations for changes.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use criterion::Criterion;
use engine::explore::{Exploration, ExploreOptions, ExploreOutcome, explore};
use engine::liveness::{Assumptions, Space, judge};
use model::concrete::{State, Step};
use model::system::{Judged, Properties};
use model::{Concrete, Hosts, Link, Migration, Stateright, algorithms};
use stateright::{Checker, Model, Property};

/// From 2 to 12 million states.
const MEASURED: [(&str, usize, Link); 3] =
    [("post-copy", 7, Link::Fifo), ("post-copy", 5, Link::Lossy), ("generic", 4, Link::Fifo)];

fn migration(algorithm: &str, pages: usize, link: Link) -> Concrete<Migration> {
    let strategy = algorithms::built_in(algorithm).expect("an algorithm that is built in");
    Concrete { system: Migration::new(strategy, Hosts::Two, link), pages }
}

fn explored(concrete: &Concrete<Migration>, threads: usize, symmetry: bool) -> Exploration<Migration> {
    let threads = NonZeroUsize::new(threads).expect("at least one thread");
    let options = ExploreOptions { threads, symmetry, ..ExploreOptions::default() };
    let exploration = explore(concrete, options).expect("nothing can go wrong without a checkpoint");
    assert_eq!(exploration.outcome, ExploreOutcome::Complete);
    exploration
}

/// Judges every liveness property, from the building of the graph to the verdicts; how many there are.
fn judged(concrete: &Concrete<Migration>) -> usize {
    let space = Space::explore(concrete);
    let verdicts = judge(&space, Properties::all(), &Assumptions::default(), 1);
    verdicts.expect("every counterexample replays").len()
}

/// The model without its properties.
struct Unjudged<S>(Stateright<S>);

impl<S: Judged<Property = model::Property>> Model for Unjudged<S> {
    type State = State<S>;
    type Action = Step<S>;

    fn init_states(&self) -> Vec<Self::State> {
        self.0.init_states()
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        self.0.actions(state, actions);
    }

    fn next_state(&self, state: &Self::State, step: Self::Action) -> Option<Self::State> {
        self.0.next_state(state, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        // Without any property, stateright would see nothing to do.
        vec![Property::always("true", |_, _| true)]
    }
}

fn ratios() {
    println!(
        "{:<18}{:>10}{:>12} | CPU: stateright  explorer  ratio | wall clock: 1 thread  2 threads  ratio | B/state | liveness/safety",
        "system", "states", "transitions"
    );
    for (algorithm, pages, link) in MEASURED {
        let concrete = migration(algorithm, pages, link);
        let [(one, one_cpu, one_wall), (two, _, two_wall)] =
            best([1, 2], |threads| explored(&concrete, threads, false));
        let (baseline, baseline_cpu, _) =
            measured(|| Unjudged(Stateright(concrete.clone())).checker().spawn_bfs().join());
        let (live, live_cpu, _) = measured(|| judged(&concrete));
        assert_eq!(live, 7, "liveness properties");
        assert_eq!(baseline.unique_state_count() as u64, one.states);
        assert_eq!((one.states, one.transitions), (two.states, two.transitions));
        println!(
            "{:<18}{:>10}{:>12} | {:>13.2} s{:>8.2} s{:>7.1} | {:>18.2} s{:>9.2} s{:>7.2} | {:>7.1} | {:>15.2}",
            format!("{algorithm} {pages} {link:?}"),
            one.states,
            one.transitions,
            baseline_cpu.as_secs_f64(),
            one_cpu.as_secs_f64(),
            baseline_cpu.as_secs_f64() / one_cpu.as_secs_f64(),
            one_wall.as_secs_f64(),
            two_wall.as_secs_f64(),
            one_wall.as_secs_f64() / two_wall.as_secs_f64(),
            two.memory_bytes_peak as f64 / two.states as f64,
            live_cpu.as_secs_f64() / one_cpu.as_secs_f64(),
        );
    }
}

/// For each number of threads the last result, and the least times: what another process takes away only ever makes
/// them longer. They take turns, so that a slow minute of the machine is one for both.
fn best<T>(threads: [usize; 2], run: impl Fn(usize) -> T) -> [(T, Duration, Duration); 2] {
    let mut best = threads.map(|threads| measured(|| run(threads)));
    for _ in 1..ROUNDS {
        for ((result, cpu, wall), threads) in best.iter_mut().zip(threads) {
            let (again, cpu_again, wall_again) = measured(|| run(threads));
            *result = again;
            (*cpu, *wall) = (cpu_again.min(*cpu), wall_again.min(*wall));
        }
    }
    best
}

/// How often each number of threads has its turn.
const ROUNDS: usize = 5;

/// The result, the CPU time, and the wall-clock time.
fn measured<T>(run: impl FnOnce() -> T) -> (T, Duration, Duration) {
    let (cpu, wall) = (cpu_time(), Instant::now());
    let result = run();
    let wall = wall.elapsed();
    let cpu = cpu.zip(cpu_time()).map_or(wall, |(before, after)| after - before);
    (result, cpu, wall)
}

/// The CPU time of the process, where Linux tells.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses; the 14th and 15th are clock ticks, 100 a second.
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

fn small(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("explore");
    group.sample_size(10);
    let concrete = migration("generic", 3, Link::Fifo);
    group.bench_function("generic, 3 pages", |bencher| {
        bencher.iter(|| explored(black_box(&concrete), 1, false).states);
    });
    let concrete = migration("generic", 4, Link::Fifo);
    group.bench_function("generic, 4 pages, symmetry", |bencher| {
        bencher.iter(|| explored(black_box(&concrete), 1, true).states);
    });
    group.finish();
}

fn main() {
    // Without `--bench`, as under `cargo test --benches`, all that is asked is whether it runs.
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
    }
    let mut criterion = Criterion::default().configure_from_args();
    small(&mut criterion);
    criterion.final_summary();
}
