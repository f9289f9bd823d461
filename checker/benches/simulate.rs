//! How fast migrations are simulated: `cargo bench -p checker --bench simulate`.
//!
//! Prints a ratio first: what simulating a migration costs a page, next to what copying the contents of a
//! page from one place in memory to another costs, which a migration on this machine would have to do at least once.
//! The ratio says more than pages a second do, which depend on the machine.
//!
//! Then 64 GiB, the most that is simulated, once for each of some algorithms: the time, and the most memory that was in use
//! until then. Then criterion watches two small simulations for changes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use checker::simulate::{CostModel, SimulatedWorkload, SimulationSetup, run};
use criterion::{Criterion, Throughput};
use protocol::policy::Policy;

const MEMORY_BYTES: u64 = 4 << 30;

/// The most that is simulated.
const LARGEST_BYTES: u64 = 64 << 30;

/// More than the caches hold.
const COPIED_BYTES: usize = 512 << 20;

fn setup(policy: Policy, memory_bytes: u64) -> SimulationSetup {
    SimulationSetup {
        memory_bytes,
        costs: CostModel { bandwidth_bits_per_s: 10_000_000_000, ..CostModel::PAPER },
        workload: SimulatedWorkload::Uniform,
        access_interval_ns: 20_000,
        ..SimulationSetup::published(policy)
    }
}

fn ratios() {
    let page_bytes = SimulationSetup::published(Policy::GENERIC).page_size_bytes as usize;
    let (from, mut to) = (vec![1u8; COPIED_BYTES], vec![0u8; COPIED_BYTES]);
    let copying = best_of_three(|| {
        for (from, to) in from.chunks_exact(page_bytes).zip(to.chunks_exact_mut(page_bytes)) {
            black_box(to).copy_from_slice(black_box(from));
        }
    });
    let copying_ns = copying.as_nanos() as f64 / (COPIED_BYTES / page_bytes) as f64;
    println!("copying a page: {copying_ns:.0} ns");
    println!("{:<20}{:>10}{:>14}{:>14}{:>8}", "", "pages", "pages/s", "ns a page", "ratio");
    for policy in Policy::ALL {
        let setup = setup(policy, MEMORY_BYTES);
        let pages = setup.page_count().expect("a setup that makes sense");
        let simulating = best_of_three(|| {
            black_box(run(black_box(&setup))).expect("the endpoints do what they should");
        });
        let page_ns = simulating.as_nanos() as f64 / pages as f64;
        println!(
            "{:<20}{pages:>10}{:>14.0}{page_ns:>14.0}{:>8.1}",
            setup.policy.name,
            1e9 / page_ns,
            page_ns / copying_ns
        );
    }
}

fn largest() {
    println!("{:<20}{:>10}{:>14}{:>14}", "64 GiB", "s", "ns a page", "MiB at most");
    for policy in [Policy::TOTAL_COPY, Policy::POST_COPY, Policy::PRE_COPY, Policy::GENERIC] {
        let setup = setup(policy, LARGEST_BYTES);
        let pages = setup.page_count().expect("a setup that makes sense");
        let start = Instant::now();
        black_box(run(black_box(&setup))).expect("the endpoints do what they should");
        let took = start.elapsed();
        let (seconds, page_ns) = (took.as_secs_f64(), took.as_nanos() as f64 / pages as f64);
        let memory = peak_mebibytes().map_or("?".to_owned(), |mebibytes| mebibytes.to_string());
        println!("{:<20}{seconds:>10.1}{page_ns:>14.0}{memory:>14}", setup.policy.name);
    }
}

/// The most memory that this program has had, where the operating system says so.
fn peak_mebibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024)
}

/// The least time: what another process takes away only ever makes it longer.
fn best_of_three(mut run: impl FnMut()) -> Duration {
    let mut timed = || {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    timed().min(timed()).min(timed())
}

fn small(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulate");
    group.sample_size(10);
    for policy in [Policy::PRE_COPY, Policy::GENERIC] {
        let setup = setup(policy, 64 << 20);
        group.throughput(Throughput::Elements(setup.page_count().expect("a setup that makes sense")));
        group.bench_function(&*setup.policy.name, |bencher| bencher.iter(|| run(black_box(&setup))));
    }
    group.finish();
}

fn main() {
    // Without `--bench`, as under `cargo test --benches`, all that is asked is whether it runs.
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
        largest();
    }
    let mut criterion = Criterion::default().configure_from_args();
    small(&mut criterion);
    criterion.final_summary();
}
