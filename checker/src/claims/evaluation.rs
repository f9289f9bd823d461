//! The evaluation: C23 to C28 by bounds over all runs and by simulation in the published setting, and C30.

use model::concrete::{Move, State, Step};
use model::page::Plan;
use model::{PageStep, Property};
use protocol::policy::{Policy, Push};

use super::lab::{listed, names, range};
use super::{ClaimFinding, Lab, LabError};
use crate::bounds::{Bounds, Cost};
use crate::observed::{ObservedMigration, Past};
use crate::simulate::{SimulatedWorkload, SimulationSetup};

fn named(name: &str) -> Policy {
    Policy::named(name).unwrap_or_else(|| unreachable!("{name} is built in"))
}

fn milliseconds(ns: Option<u64>) -> String {
    ns.map_or("∞".to_owned(), |ns| format!("{:.1}", ns as f64 / 1e6))
}

/// C23.
pub(super) fn migration_delay(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let none = Bounds { minimum: 0, maximum: Some(0) };
    let frozen = |name| lab.bound(name, Cost::Frozen);
    let mut as_short = Vec::new();
    for name in names() {
        if frozen(name)? == none {
            as_short.push(name);
        }
    }
    let generic = frozen("generic")?;
    let without = frozen("generic-without-working-set")?;
    let freeze = |policy| Ok::<_, LabError>(lab.simulated(policy)?.freeze.ns());
    let bare = freeze(Policy { working_set: false, ..Policy::GENERIC })?;
    let (lazy, full) = (freeze(Policy::LAZY_COPY)?, freeze(Policy::GENERIC)?);
    let (mut as_fast, mut slower) = (Vec::new(), Vec::new());
    for name in names().into_iter().filter(|name| *name != "generic") {
        let list = if freeze(named(name))? < full { &mut as_fast } else { &mut slower };
        list.push(name);
    }
    Ok(ClaimFinding::new("checker bounds")
        .claims(
            format!(
                "pages sent while frozen, of {}: generic {}, lazy copy {}",
                lab.n(),
                range(generic),
                range(frozen("lazy-copy")?)
            ),
            generic == none,
        )
        .claims(
            format!("algorithms that send none while frozen: {}", listed(as_short.iter().copied())),
            as_short == ["lazy-copy", "generic"],
        )
        .corrects("without its working set generic sends none while frozen", without == none)
        .corrects(
            format!(
                "simulated freeze in ms: lazy copy {}, generic without its working set {}, with it {}; shorter than that: {}",
                milliseconds(lazy),
                milliseconds(bare),
                milliseconds(full),
                listed(as_fast.iter().copied())
            ),
            lazy <= bare && bare < full && as_fast == ["lazy-copy", "post-copy"],
        )
        .corrects(
            format!("longer: {}", listed(slower.iter().copied())),
            slower.len() + as_fast.len() + 1 == names().len(),
        ))
}

/// C24.
pub(super) fn run_time(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let time = |name| Ok::<_, LabError>(lab.simulated(named(name))?.run_time_ns);
    let (generic, pre_copy) = (time("generic")?, time("pre-copy")?);
    let (total, flushing, lazy) = (time("total-copy")?, time("flushing")?, time("lazy-copy")?);
    let all = format!(
        "simulated run time in ms: generic {}, pre-copy {}, lazy copy {}, total copy {}, flushing {}",
        milliseconds(generic),
        milliseconds(pre_copy),
        milliseconds(lazy),
        milliseconds(total),
        milliseconds(flushing)
    );
    Ok(ClaimFinding::new("checker simulate")
        .claims(all, generic.is_some() && generic > pre_copy && generic < total && generic < flushing)
        .corrects(
            "longer than pre-copy, less long than lazy copy and flushing",
            generic > pre_copy && generic < lazy && generic < flushing,
        ))
}

/// C25.
pub(super) fn no_lasting_dependency(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let finding = ClaimFinding::new("checker check generic total-copy pre-copy flushing --property S5,L1,L2");
    let finding = lab.claims_kept(
        finding,
        &["generic", "total-copy", "pre-copy", "flushing"],
        Property::S5 | Property::L2,
    )?;
    lab.claims_kept(finding, &["generic"], Property::L1)
}

/// C26.
pub(super) fn traffic(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let bytes = |name| lab.bound(name, Cost::Bytes);
    let (generic, total) = (bytes("generic")?, bytes("total-copy")?);
    let page = crate::bounds::PAGE_BYTES;
    let sent = lab.bound("generic", Cost::Sent)?;
    let fetched = lab.bound("generic", Cost::Fetched)?;
    let in_pages = |bounds: Bounds| Bounds {
        minimum: bounds.minimum / page,
        maximum: bounds.maximum.map(|bytes| bytes / page),
    };
    Ok(ClaimFinding::new("checker bounds generic total-copy")
        .claims(
            format!(
                "page contents on all links, of {} pages: generic {}, total copy {}",
                lab.n(),
                range(in_pages(generic)),
                range(in_pages(total))
            ),
            total.maximum.is_some_and(|total| generic.minimum > total),
        )
        .corrects(
            "it has no bound, by the write-backs, and no least but none: pages that are clean and not touched never travel",
            generic.maximum.is_none() && generic.minimum == 0,
        )
        .corrects(
            format!(
                "without the write-backs it is never more than total copy's {}: from the source {}, from the file server {}",
                range(in_pages(total)),
                range(sent),
                range(fetched)
            ),
            sent.maximum <= Some(lab.n()) && fetched.maximum <= Some(lab.n()) && sent.maximum.is_some(),
        ))
}

/// C27.
pub(super) fn working_set(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let faults_on = |before: &State<ObservedMigration>, step: Step<ObservedMigration>, _: &_| match step {
        Move::Page(PageStep::Fault | PageStep::LoadLocal, index) => {
            let page = &before.pages[index];
            // Sent before the resume means: sent with the state.
            page.sent && page.page.plan != Plan::FromSource
        }
        _ => false,
    };
    let spared = lab.never("generic", Past::Sent, faults_on)?;
    let faults = |policy| Ok::<_, LabError>(lab.simulated(policy)?.faults.remote());
    let on = faults(Policy::GENERIC)?;
    let off = faults(Policy { working_set: false, ..Policy::GENERIC })?;
    Ok(ClaimFinding::new("checker bounds generic generic-without-working-set")
        .claims("a page that went along with the state is never faulted in that migration", spared)
        .claims(format!("simulated faults: {on} with the working set, {off} without"), on <= off))
}

/// C28.
pub(super) fn prefetch(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let requests = |workload: &SimulatedWorkload, push| {
        let policy = Policy { push, ..Policy::POST_COPY };
        let setup = SimulationSetup { workload: workload.clone(), ..SimulationSetup::published(policy) };
        let runs = (1..=SEEDS)
            .map(|seed| Ok(lab.outcome(SimulationSetup { seed, ..setup.clone() })?.faults.at_source));
        Ok::<_, LabError>(runs.sum::<Result<u64, LabError>>()? / SEEDS)
    };
    let mut finding = ClaimFinding::new("checker claims C28");
    for (name, workload) in WORKLOADS {
        let (pivot, next, none) = (
            requests(&workload, Push::Pivot)?,
            requests(&workload, Push::NextMissing)?,
            requests(&workload, Push::None)?,
        );
        finding = finding
            .claims(
                format!(
                    "simulated requests, {name} accesses: {pivot} if pushes follow the last request, {next} if they go in order"
                ),
                pivot < next,
            )
            .corrects(format!("{name} accesses: {none} without any push, so any order halves them"), {
                2 * pivot.max(next) <= none + none / 100
            });
    }
    Ok(finding)
}

/// Runs over which requests are averaged.
const SEEDS: u64 = 8;

const WORKLOADS: [(&str, SimulatedWorkload); 4] = [
    ("sequential", SimulatedWorkload::Sequential),
    ("working-set", SimulatedWorkload::WorkingSet),
    ("zipf", SimulatedWorkload::Zipf),
    ("uniform", SimulatedWorkload::Uniform),
];

/// C30.
pub(super) fn virtual_machines(_: &Lab) -> Result<ClaimFinding, LabError> {
    Ok(ClaimFinding::new("checker simulate --memory 1GiB --bandwidth 1Gbit/s"))
}
