//! The published table, row by row: N1 to N9.
//!
//! Each cell is simulated in the published setting, with one set of constants for all cells, and must be the
//! published one within two per cent.

use protocol::policy::Policy;

use super::{Answer, Claim, ClaimFinding, Lab, LabError};
use crate::simulate::paper::{self, PublishedState, Time};
use crate::simulate::{CostModel, SimulatedWorkload, SimulationSetup, run};

#[rustfmt::skip]
pub(super) const NUMBERS: [Claim; 9] = {
    const fn row(
        id: &'static str,
        expected: Answer,
        check: fn(&Lab) -> Result<ClaimFinding, LabError>,
        says: &'static str,
    ) -> Claim {
        Claim { id, section: "7", says, expected, check }
    }
    use Answer::{Fails, Holds};
    [
        row("N1", Holds, |lab| cells(lab, PublishedState::PreMigration, &["pre-copy"]),
            "Pre-migration, pre-copy: 776 ms."),
        row("N2", Holds, |lab| cells(lab, PublishedState::PreMigration, &["total-copy", "post-copy", "lazy-copy"]),
            "Pre-migration, total copy, post-copy, lazy copy: none."),
        row("N3", Holds, |lab| cells(lab, PublishedState::Migration, &["total-copy"]),
            "Migration, total copy: 780 ms."),
        row("N4", Holds, |lab| cells(lab, PublishedState::Migration, &["pre-copy"]),
            "Migration, pre-copy: 202.5 ms, 52.5 at best, 828 at worst."),
        row("N5", Holds, |lab| cells(lab, PublishedState::Migration, &["post-copy", "lazy-copy"]),
            "Migration, post-copy and lazy copy: 4.5 ms."),
        row("N6", Holds, |lab| cells(lab, PublishedState::PostMigration, &["total-copy", "pre-copy"]),
            "Post-migration, total copy and pre-copy: none."),
        row("N7", Holds, |lab| cells(lab, PublishedState::PostMigration, &["post-copy"]),
            "Post-migration, post-copy: 900 ms, 778 at best, 1300 at worst."),
        row("N8", Holds, |lab| cells(lab, PublishedState::PostMigration, &["lazy-copy"]),
            "Post-migration, lazy copy: without end."),
        row("N9", Fails, bandwidth,
            "Ten megabytes take 776 ms at 100 Mbit/s."),
    ]
};

/// The cells of some rows of one table.
fn cells(lab: &Lab, state: PublishedState, algorithms: &[&str]) -> Result<ClaimFinding, LabError> {
    let wanted = |row, algorithm: &str| row == state && algorithms.contains(&algorithm);
    let mut finding = ClaimFinding::new("checker simulate --paper");
    for cell in paper::cells(wanted, lab.altered)? {
        let says = format!(
            "{}, {}: {} published, {} simulated",
            cell.algorithm,
            cell.case.name(),
            shown(cell.published),
            shown(cell.simulated)
        );
        finding = finding.claims(says, cell.is_reproduced());
    }
    Ok(finding)
}

fn shown(time: Time) -> String {
    match time {
        Time::Ms(ms) => format!("{ms:.1} ms"),
        Time::Endless => "∞".to_owned(),
    }
}

/// Ten million bytes, without headers, and 2560 pages with theirs.
fn bandwidth(lab: &Lab) -> Result<ClaimFinding, LabError> {
    const BITS_PER_S: u64 = 100_000_000;
    let least_ms = 10_000_000.0 * 8.0 / BITS_PER_S as f64 * 1e3;
    let published = (lab.altered)(SimulationSetup::published(Policy::PRE_COPY));
    let assumed = published.costs.bandwidth_bits_per_s;
    let costs = CostModel { bandwidth_bits_per_s: BITS_PER_S, ..published.costs.clone() };
    let setup = SimulationSetup { costs, workload: SimulatedWorkload::None, ..published };
    let simulated_ms = run(&setup)?.copying_ns as f64 / 1e6;
    Ok(ClaimFinding::new("checker simulate --paper")
        .claims(
            format!("the bits alone take {least_ms:.0} ms, 2560 pages as messages {simulated_ms:.0} ms"),
            least_ms <= 776.0,
        )
        .corrects(
            format!("776 ms imply a faster link; here {:.2} Mbit/s serve all cells", assumed as f64 / 1e6),
            assumed > BITS_PER_S && simulated_ms > least_ms,
        ))
}
