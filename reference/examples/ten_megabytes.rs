//! Moves 10 MB over 100 Mbit/s by each algorithm and prints what it costs.
//!
//! `cargo run --release -p reference --example ten_megabytes`

use reference::net::LinkConfig;
use reference::place::HostId;
use reference::policy::Policy;
use reference::workload::{Layout, Pattern, Workload};
use reference::world::{Ending, Migration, Scenario, World, WorldError};

/// 2560 pages of 4 KiB.
const PAGES: u64 = 2560;

fn scenario(policy: Policy) -> Scenario {
    Scenario {
        policy,
        layout: Layout {
            pages: PAGES,
            file_mapped_percent: 50,
            initially_dirty_percent: 50,
            noise_percent: 100,
        },
        workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 350_000 },
        link: LinkConfig::FAST_ETHERNET,
        route: vec![HostId(0), HostId(1)],
        accesses_per_stay: 2000,
        registers_len: 4096,
        ending: Ending::Idle,
        seed: 1,
    }
}

fn main() -> Result<(), WorldError> {
    println!(
        "{:20} {:>10} {:>10} {:>7} {:>7} {:>7} {:>7}",
        "", "frozen ms", "total ms", "before", "frozen", "after", "faults"
    );
    for policy in Policy::ALL {
        let report = World::run(&scenario(policy.clone()))?;
        for migration in &report.migrations {
            print(&policy.name, migration);
        }
    }
    Ok(())
}

fn print(name: &str, migration: &Migration) {
    let ms = |ns: Option<u64>| ns.map_or("-".to_owned(), |ns| format!("{:.1}", ns as f64 / 1e6));
    println!(
        "{name:20} {:>10} {:>10} {:>7} {:>7} {:>7} {:>7}",
        ms(migration.freeze_ns()),
        ms(migration.total_ns()),
        migration.pages_copied,
        migration.pages_transferred + migration.pages_flushed,
        migration.pages_served + migration.pages_pushed,
        migration.faults_at_hosts + migration.faults_at_file_server,
    );
}
